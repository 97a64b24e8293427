// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"claviger/internal/archive"
	"claviger/internal/keys"
	"claviger/internal/seal"
	"claviger/internal/secret"
	"claviger/internal/store"
)

// Manifest says what a backup holds.
type Manifest = archive.Manifest

// Progress hears how far a backup or restore has come, in records of about equal work. total
// stays the same throughout; it is called on the goroutine of the call, and may be nil.
type Progress func(done, total int)

// BackupConfig says how backups are encrypted and where they are gathered. The zero value is for
// the same root key, and in memory.
type BackupConfig struct {
	// Recipients are the holders of the private keys that backups are encrypted to. Nobody: they
	// are encrypted under the root key.
	Recipients archive.Recipients
	// Identities are private keys that a restore may open backups with, beside the root key.
	Identities archive.Identities
	// Spool makes the place that a backup is gathered in; nil is in memory.
	Spool func() (Spool, error)
	// Store makes the file of a backup of the whole store, made at a time; nil: none is made.
	Store func(at time.Time) (StoreFile, error)
	// Software is this release, as manifests tell it.
	Software string
}

// WriteKeyBackup writes a backup of one key with all of its versions to w: everything is as of
// one revision of the store. The key and its material are encrypted to the configured recovery
// recipients, or, without any, under the root key. The call's IfMatch is honoured. w is written to
// outside of any transaction and may be slow. After an error what w received is of no use.
//
// Errors: those of finding the key, KindDenied, KindState where [keys.BackupKey] is not allowed.
// An error of w is in the chain.
func (s *Service) WriteKeyBackup(ctx context.Context, c *Call, ref KeyRef, w io.Writer, progress Progress) (*Manifest, error) {
	return s.writeBackup(ctx, c, keys.BackupKey, w, progress, func(m *mutation, g *gathering) error {
		at, _, err := m.locate(ref, keys.BackupKey)
		if err != nil {
			return err
		}
		if err := m.match(viewKey(at.key, at.vault, m.now).ETag); err != nil {
			return err
		}
		return g.keyAlone(at)
	})
}

// WriteVaultBackup is WriteKeyBackup for a vault: with all of its keys, or the vault's own record
// and its wrapping key alone.
func (s *Service) WriteVaultBackup(ctx context.Context, c *Call, ref VaultRef, includeKeys bool, w io.Writer, progress Progress) (*Manifest, error) {
	return s.writeBackup(ctx, c, keys.BackupVault, w, progress, func(m *mutation, g *gathering) error {
		v, _, err := m.vault(ref, keys.BackupVault)
		if err != nil {
			return err
		}
		if err := m.match(viewVault(v, m.now).ETag); err != nil {
			return err
		}
		return g.wholeVault(v, includeKeys)
	})
}

// writeBackup gathers records into a spool in one view, then writes them out. The audit event is
// recorded in between: nothing leaves without it.
func (s *Service) writeBackup(ctx context.Context, c *Call, act keys.Action, w io.Writer, progress Progress, gather func(*mutation, *gathering) error) (*Manifest, error) {
	spool, err := s.newSpool()
	if err != nil {
		return nil, s.refuse(ctx, s.event(c, act), err)
	}
	defer spool.Close()
	id, err := keys.NewID(s.rand)
	if err != nil {
		return nil, translate(err)
	}
	m, err := read(ctx, s, c, act, func(m *mutation) (*Manifest, error) {
		out := bufio.NewWriter(spool)
		g := &gathering{m: m, w: out, manifest: &Manifest{ID: id, CreatedAt: m.now, Software: s.backup.Software}}
		head, err := m.tx.Head()
		if err != nil {
			return nil, err
		}
		g.manifest.Revision = head.Revision
		return g.manifest, errors.Join(gather(m, g), out.Flush())
	})
	if err != nil {
		return nil, err
	}
	if _, err = spool.Seek(0, io.SeekStart); err == nil {
		err = s.writeArchive(ctx, w, m, bufio.NewReader(spool), newMeter(progress, m, 1))
	}
	if err != nil {
		s.log.ErrorContext(ctx, "write backup", "request_id", c.RequestID, "backup", m.ID.String(), "error", err)
		return nil, translate(fmt.Errorf("write backup: %w", err))
	}
	return m, nil
}

func (s *Service) newSpool() (Spool, error) {
	if s.backup.Spool == nil {
		return &memorySpool{}, nil
	}
	spool, err := s.backup.Spool()
	if err != nil {
		return nil, fmt.Errorf("make a place to gather the backup in: %w", err)
	}
	return spool, nil
}

// writeArchive turns what was gathered into an archive: material is opened one version at a time.
func (s *Service) writeArchive(ctx context.Context, w io.Writer, m *Manifest, gathered *bufio.Reader, meter *meter) error {
	out, err := archive.NewWriter(ctx, w, m, archive.Lock{Root: s.root, Recipients: s.backup.Recipients}, s.rand)
	if err != nil {
		return err
	}
	defer out.Wipe()
	place := keys.Version{Tenant: m.Tenants[0].ID, Vault: m.Vault.ID, Region: m.Region}
	for {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		rec, err := archive.ReadRecord(gathered)
		if errors.Is(err, io.EOF) {
			return out.Finish()
		}
		if err != nil {
			return err
		}
		if rec.Key != nil {
			place.Key = rec.Key.ID
		}
		if err := s.openRecord(ctx, rec, &place); err != nil {
			return err
		}
		err = out.Write(rec)
		rec.Wipe()
		if err != nil {
			return err
		}
		meter.count(rec)
	}
}

// sealedUnder is what is sealed of a version, after the generation of its KEK: so it waits in the
// spool. Nothing sealed is nothing.
func sealedUnder(v *keys.Version, sealed []byte) secret.Bytes {
	if sealed == nil {
		return secret.Bytes{}
	}
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(sealed)), uint64(v.KEKGeneration)) //nolint:gosec // never negative
	return secret.New(append(b, sealed...))
}

// openRecord opens the secrets of a gathered version, which lies in place.
func (s *Service) openRecord(ctx context.Context, rec *archive.Record, place *keys.Version) error {
	if rec.Version == nil {
		return nil
	}
	v := *place
	v.ID = rec.Version.ID
	for _, part := range []struct {
		aad    func(*keys.Version) []byte
		secret *secret.Bytes
	}{{materialAAD, &rec.Material}, {fingerprintAAD, &rec.Fingerprint}} {
		b := part.secret.Reveal()
		if len(b) == 0 {
			continue
		}
		v.KEKGeneration = int(binary.BigEndian.Uint64(b)) //nolint:gosec // as sealedUnder put it
		opened, err := s.openGathered(ctx, &v, part.aad, b[8:])
		if err != nil {
			return err
		}
		*part.secret = opened
	}
	return nil
}

// openGathered opens what was gathered of a version. Where the vault was resealed since then, it is
// what the version has now: the same, under another KEK.
func (s *Service) openGathered(ctx context.Context, v *keys.Version, aad func(*keys.Version) []byte, box []byte) (secret.Bytes, error) {
	for try := 1; ; try++ {
		kek, err := s.vaultKEK(ctx, v.Tenant, v.Vault, v.KEKGeneration)
		if err == nil {
			opened, err := seal.OpenBox(kek, aad(v), box)
			if err != nil {
				return secret.Bytes{}, fmt.Errorf("open what is sealed of key version %s: %w", v.ID, err)
			}
			return opened, nil
		}
		if !errors.Is(err, store.ErrNotFound) || try == resealTries {
			return secret.Bytes{}, err
		}
		var now *keys.Version
		err = s.store.View(ctx, func(tx store.Tx) (err error) {
			now, err = store.LoadVersion(tx, v.ID)
			return err
		})
		if err != nil {
			return secret.Bytes{}, fmt.Errorf("load key version %s again: %w", v.ID, err)
		}
		v.KEKGeneration = now.KEKGeneration
		if box = now.Sealed; string(aad(v)) == string(fingerprintAAD(v)) {
			box = now.Fingerprint
		}
		if box == nil {
			return secret.Bytes{}, fmt.Errorf("key version %s was erased while the backup was made: %w", v.ID, store.ErrNotFound)
		}
	}
}

// meter counts records for a Progress.
type meter struct {
	progress    Progress
	done, total int
}

// newMeter counts the records of an archive so many times over.
func newMeter(progress Progress, m *Manifest, times int) *meter {
	return &meter{progress: progress, total: times * (m.Counts.Vaults + m.Counts.Keys + m.Counts.Versions)}
}

func (p *meter) count(rec *archive.Record) {
	if p.progress == nil || (rec.Vault == nil && rec.Key == nil && rec.Version == nil) {
		return
	}
	p.done++
	p.progress(p.done, p.total)
}
