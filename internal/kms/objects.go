// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"claviger/internal/archive"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/objects"
	"claviger/internal/store"
)

// Location says where a backup goes or comes from: a name in the tenant's buckets, or a
// pre-authenticated request. The owner of a name is filled in here.
type (
	Location   = objects.Location
	ObjectName = objects.Name
	RequestURI = objects.URI
)

// File is a temporary file.
type File = objects.File

// Source is what a restore reads: an upload, or what is at a location. Whoever is given an upload
// closes it.
type Source struct {
	Upload File
	From   Location
}

func (s Source) close() {
	if s.Upload != nil {
		_ = s.Upload.Close() // it was only read, and is gone
	}
}

// NewUpload makes a place for what a client sends, of at most the largest backup's size.
func (s *Service) NewUpload() (File, error) {
	f, err := s.newFile()
	if err != nil {
		return nil, translate(err)
	}
	return f, nil
}

// MaxUpload is the most bytes of an upload.
func (s *Service) MaxUpload() int64 { return s.maxBackup }

func (s *Service) newFile() (objects.File, error) {
	if s.spool == nil {
		return nil, &keys.Error{Kind: keys.KindUnsupported, Field: "backup", Hint: "this server has no place for temporary files"}
	}
	return s.spool.New(s.maxBackup)
}

// FileError says in the core's words why a temporary file did not take more. Other errors pass.
func FileError(err error) error {
	switch {
	case errors.Is(err, objects.ErrTooLarge):
		return &keys.Error{Kind: keys.KindTooLarge, Field: "body", Err: err, Hint: "the backup is larger than server.upload_mib allows"}
	case errors.Is(err, objects.ErrFull):
		return &keys.Error{Kind: keys.KindUnavailable, Err: err, Hint: "too many uploads and backups are under way for server.spool_mib: try again later"}
	}
	return err
}

// StoreKeyBackup makes a backup of a key and puts it where a client wants it. See WriteKeyBackup
// for what may go wrong; of the location KindInvalid and KindRelatedNotFound, field
// "backupLocation", and KindUnavailable.
func (s *Service) StoreKeyBackup(ctx context.Context, c *Call, ref KeyRef, to Location) (*Working, error) {
	return s.doWork(ctx, c, keys.BackupKey, nil, func(m *mutation, w *keys.WorkRequest) (*Working, error) {
		at, _, err := m.locate(ref, keys.BackupKey)
		if err != nil {
			return nil, err
		}
		if err := m.backedUp(keys.TypeKey, at.key.ID); err != nil {
			return nil, err
		}
		if err := m.match(viewKey(at.key, at.vault, m.now).ETag); err != nil {
			return nil, err
		}
		w, err = m.acceptWork(w, at.vault, at.key.Compartment, keys.WorkResource{
			Type: keys.TypeKey, ID: at.key.ID, Vault: at.vault.ID, Region: at.key.Region, Effect: keys.WorkRelated,
		})
		return &Working{Key: viewKey(at.key, at.vault, m.now), Work: w}, err
	}, s.backupTask(to, func(ctx context.Context, c *Call, w io.Writer, p Progress) (*Manifest, error) {
		return s.WriteKeyBackup(ctx, c, ref, w, p)
	}))
}

// StoreVaultBackup is StoreKeyBackup for a vault: with all of its keys, or its own record alone.
func (s *Service) StoreVaultBackup(ctx context.Context, c *Call, ref VaultRef, includeKeys bool, to Location) (*Working, error) {
	return s.doWork(ctx, c, keys.BackupVault, nil, func(m *mutation, w *keys.WorkRequest) (*Working, error) {
		v, _, err := m.vault(ref, keys.BackupVault)
		if err != nil {
			return nil, err
		}
		if err := m.backedUp(keys.TypeVault, v.ID); err != nil {
			return nil, err
		}
		if err := m.match(viewVault(v, m.now).ETag); err != nil {
			return nil, err
		}
		w, err = m.acceptWork(w, v, v.Compartment, keys.WorkResource{
			Type: keys.TypeVault, ID: v.ID, Vault: v.ID, Region: v.Region, Effect: keys.WorkRelated,
		})
		return &Working{Vault: viewVault(v, m.now), Work: w}, err
	}, s.backupTask(to, func(ctx context.Context, c *Call, w io.Writer, p Progress) (*Manifest, error) {
		return s.WriteVaultBackup(ctx, c, ref, includeKeys, w, p)
	}))
}

// backedUp refuses a second backup of a thing while one is made.
func (m *mutation) backedUp(t keys.Type, id keys.ID) error {
	busy, err := backingUp(m.tx)
	if err != nil || !busy[id] {
		return err
	}
	return &keys.Error{Kind: keys.KindTransient, Noun: t, State: keys.BackingUp, Hint: "a backup of it is being made: wait until its work request is finished"}
}

// backingUp tells what backups are being made of, now and by whichever node.
func backingUp(tx store.Tx) (map[keys.ID]bool, error) {
	rows, err := tx.WorkRequests(store.WorkQuery{Unfinished: true})
	if err != nil {
		return nil, err
	}
	var out map[keys.ID]bool
	for _, w := range rows {
		if (w.Action != keys.BackupKey && w.Action != keys.BackupVault) || len(w.Resources) == 0 {
			continue
		}
		if out == nil {
			out = map[keys.ID]bool{}
		}
		out[w.Resources[0].ID] = true
	}
	return out, nil
}

// backupTask makes a backup into a temporary file and puts it where it belongs.
func (s *Service) backupTask(to Location, write func(context.Context, *Call, io.Writer, Progress) (*Manifest, error)) task {
	return task{run: func(ctx context.Context, c *Call, j *job) error {
		f, err := s.newFile()
		if err != nil {
			return err
		}
		defer f.Close()
		manifest, err := write(ctx, c, f, j.part(0, 70))
		if err != nil {
			return FileError(err)
		}
		if err := s.own(ctx, c, &to); err != nil {
			return err
		}
		if err := s.objects.Put(ctx, to, f, f.Size()); err != nil {
			return s.objectError(err)
		}
		j.note("backup " + manifest.ID.String() + " of revision " + fmt.Sprint(manifest.Revision) + " was stored: " +
			fmt.Sprintf("%d keys, %d key versions, %d bytes", manifest.Counts.Keys, manifest.Counts.Versions, f.Size()))
		return nil
	}}
}

// RestoreKey brings a key back from a backup, into the vault whose endpoint was called. See
// RestoreKeyBackup for what may go wrong, and StoreKeyBackup for what of the location.
func (s *Service) RestoreKey(ctx context.Context, c *Call, from Source) (*Working, error) {
	return s.restore(ctx, c, keys.RestoreKeyBackup, from, func(m *mutation, w *keys.WorkRequest) (*keys.WorkRequest, error) {
		v, err := store.LoadVault(m.tx, c.Vault)
		if err != nil {
			return nil, notFound(err, keys.TypeVault)
		}
		if v.Tenant != m.who.Tenant || !m.c.reaches(v) {
			return nil, keys.NotFound(keys.TypeVault)
		}
		m.ev.Tenant, m.ev.Vault = v.Tenant, v.ID
		if err := m.may(keys.RestoreKeyBackup, identity.Resource{Tenant: v.Tenant, Vault: v.ID}); err != nil {
			return nil, err
		}
		if !m.c.Replica.IsZero() {
			return nil, readOnly(keys.RestoreKeyBackup)
		}
		if err := m.c.gate(keys.UseVault, Thing{Vault: v}); err != nil {
			return nil, err
		}
		if _, err := keys.VaultLifecycle.Step(keys.UseVault, v.Effective(m.now), keys.Active); err != nil {
			return nil, err
		}
		return m.acceptWork(w, v, v.Compartment)
	}, func(ctx context.Context, c *Call, f objects.File, p Progress) error {
		_, err := s.RestoreKeyBackup(ctx, c, f, p)
		return err
	})
}

// RestoreVault brings a vault back from a backup, into a compartment, named as in [NewVault].
func (s *Service) RestoreVault(ctx context.Context, c *Call, compartment string, from Source) (*Working, error) {
	return s.restore(ctx, c, keys.RestoreVaultBackup, from, func(m *mutation, w *keys.WorkRequest) (*keys.WorkRequest, error) {
		tenant := callerTenant(m.c)
		if err := m.may(keys.RestoreVaultBackup, identity.Resource{Tenant: tenant}); err != nil {
			return nil, err
		}
		into, err := compartmentID(m.tx, c.Dialect, tenant, compartment)
		if err != nil {
			return nil, notFound(err, keys.TypeCompartment)
		}
		return m.acceptWork(w, &keys.Vault{Tenant: tenant, Region: c.Region}, into)
	}, func(ctx context.Context, c *Call, f objects.File, p Progress) error {
		_, err := s.RestoreVaultBackup(ctx, c, compartment, f, p)
		return err
	})
}

// restore is the way of both restores. The source is closed in the end, whoever gets to it.
func (s *Service) restore(ctx context.Context, c *Call, act keys.Action, from Source,
	accept func(*mutation, *keys.WorkRequest) (*keys.WorkRequest, error),
	apply func(context.Context, *Call, objects.File, Progress) error,
) (*Working, error) {
	taken := false
	defer func() {
		if !taken {
			from.close()
		}
	}()
	return s.doWork(ctx, c, act, nil, func(m *mutation, w *keys.WorkRequest) (*Working, error) {
		if err := m.match(""); err != nil { // what is yet to come has no etag
			return nil, err
		}
		w, err := accept(m, w)
		return &Working{Work: w}, err
	}, task{
		taken: func() { taken = true },
		run: func(ctx context.Context, c *Call, j *job) error {
			defer func() { from.close() }()
			if from.Upload == nil {
				f, err := s.fetch(ctx, c, from.From, j.part(0, 30))
				if err != nil {
					return err
				}
				from.Upload = f
			}
			if err := s.tellSubject(ctx, c, from.Upload); err != nil {
				return err
			}
			return apply(ctx, c, from.Upload, j.part(30, 100))
		},
	})
}

// own makes a location the caller's tenant's: by what its cloud calls the tenant, which stays the
// same where a tenant is made anew, or by its ID.
func (s *Service) own(ctx context.Context, c *Call, at *Location) error {
	if s.objects == nil {
		return s.objectError(objects.ErrRefused)
	}
	return s.store.View(ctx, func(tx store.Tx) error {
		t, err := store.LoadTenant(tx, callerTenant(c))
		if err != nil {
			return err
		}
		at.Name.Owner = orElse(t.Names[c.Dialect], t.ID.String())
		return nil
	})
}

// fetch copies what is at a location into a temporary file.
func (s *Service) fetch(ctx context.Context, c *Call, from Location, p Progress) (_ objects.File, err error) {
	if err := s.own(ctx, c, &from); err != nil {
		return nil, err
	}
	f, err := s.newFile()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = f.Close() // the error that is told is the first
		}
	}()
	body, size, err := s.objects.Get(ctx, from)
	if err != nil {
		return nil, s.objectError(err)
	}
	defer body.Close()
	if size > s.maxBackup {
		return nil, FileError(objects.ErrTooLarge)
	}
	_, err = io.Copy(&metered{f: f, total: int(size), progress: p}, body)
	if errors.Is(err, objects.ErrTooLarge) || errors.Is(err, objects.ErrFull) {
		return nil, FileError(err)
	}
	if err == nil && size >= 0 && f.Size() != size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, s.objectError(fmt.Errorf("read object: %w", err))
	}
	return f, nil
}

// metered tells how much of a file was written.
type metered struct {
	f        objects.File
	total    int
	progress Progress
}

func (m *metered) Write(p []byte) (int, error) {
	n, err := m.f.Write(p)
	m.progress(int(m.f.Size()), m.total)
	return n, err
}

// tellSubject says in the work request what is being restored, as the backup claims it.
func (s *Service) tellSubject(ctx context.Context, c *Call, f objects.File) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	m, err := s.InspectBackup(f)
	if err != nil {
		return err
	}
	r := keys.WorkResource{Type: keys.TypeVault, Region: c.Region, Effect: keys.WorkCreated}
	if m.Vault != nil {
		r.ID, r.Vault = m.Vault.ID, m.Vault.ID
	}
	if m.Kind == archive.KindKey && m.Key != nil {
		r.Type, r.ID = keys.TypeKey, m.Key.ID
	}
	err = s.changeWork(ctx, c.work, func(w *keys.WorkRequest, _ *mutation) error {
		w.Resources = []keys.WorkResource{r}
		return nil
	})
	if err != nil {
		return fmt.Errorf("say what is restored: %w", err)
	}
	return nil
}

// objectError says in the core's words what went wrong at a location. The cause, which holds no
// URI, is for the log.
func (s *Service) objectError(err error) error {
	const field = "backupLocation"
	e := &keys.Error{Kind: keys.KindUnavailable, Field: field, Err: err, Hint: "the object storage did not answer as it should; the server's log says more"}
	switch {
	case errors.Is(err, objects.ErrRefused):
		e.Kind = keys.KindInvalid
		e.Hint = "the location is not one that this server may use (" + err.Error() + "): for buckets set [objects] type, for request URIs list their host in objects.request_hosts"
	case errors.Is(err, objects.ErrNotFound), errors.Is(err, objects.ErrDenied):
		e.Kind = keys.KindRelatedNotFound
		e.Hint = "there is no such object or bucket, or no right to it: check the location; buckets are not made by the server"
	case errors.Is(err, context.Canceled):
		return err
	}
	return e
}

// busyKeys and busyVaults mark what a backup is being made of.
func busyKeys(tx store.Tx, all ...*Key) error {
	busy, err := backingUp(tx)
	for _, k := range all {
		if busy[k.ID] && slices.Contains([]keys.State{keys.Enabled, keys.Disabled, keys.PendingImport}, k.State) {
			k.Busy = keys.BackingUp
		}
	}
	return err
}

func busyVaults(tx store.Tx, all ...*Vault) error {
	busy, err := backingUp(tx)
	for _, v := range all {
		if busy[v.ID] && v.State == keys.Active {
			v.Busy = keys.BackingUp
		}
	}
	return err
}
