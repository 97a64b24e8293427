// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"claviger/internal/archive"
	"claviger/internal/audit"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// A restore verifies the whole backup, then stages what is in it in bounded transactions, below a
// vault or key in state RESTORING, and shows all of it in the last one. Each of these
// transactions writes that vault or key, and must find it as the one before left it: so of two
// restores, or a restore and who clears up behind it, one wins. Staged things are of no use to
// anybody, and removed when the restore fails, when it is repeated, or when it made no progress
// for restoreLease.
const restoreLease = 10 * time.Minute

// InspectBackup reads the manifest at the beginning of a backup. Nothing of it is verified: it
// tells which vault or key a restore would be about. What is no backup is KindInvalid, field "backup".
func (s *Service) InspectBackup(r io.Reader) (*Manifest, error) {
	h, err := archive.ReadHeader(r)
	if err != nil {
		return nil, translate(unfit(err))
	}
	return &h.Manifest, nil
}

// RestoreKeyBackup brings a key back from a backup of it, into its own vault, with its ids, times,
// states and schedules. r is read twice from its beginning: the first time to verify all of it,
// before anything is changed. Until the last transaction the key is in state RESTORING.
//
// What is due by now arrives as its tombstone. Aliases that lead to other keys by now stay with
// those, and what lay in a compartment that is not here comes into its vault's. Grants are given
// by administrators and are no part of a backup.
//
// Errors: KindInvalid, field "backup", for what is damaged, encrypted to somebody else, of a newer
// format, or of another tenant, region or kind; KindNotFound, noun vault, where the key's vault is not
// there; KindState where the vault is not active, and, with State DELETED, where the key was erased
// here; KindExists where the key exists; KindLimit; KindDenied.
func (s *Service) RestoreKeyBackup(ctx context.Context, c *Call, r io.ReadSeeker, progress Progress) (*Key, error) {
	x := s.newRestore(c, keys.RestoreKeyBackup, archive.KindKey, r, progress)
	defer x.close(ctx)
	out, err := do(context.WithoutCancel(ctx), s, c, x.action, func(ev *audit.Event) error { return x.prepare(ctx, ev) }, x.finishKey)
	x.done = err == nil
	return out, err
}

// RestoreVaultBackup is RestoreKeyBackup for a vault and the keys that the backup holds. The vault
// goes into a compartment, named as in [NewVault], and gets the endpoint that it had where that
// is free. It is the tenant's default vault only where there is no other. KindExists where the vault
// exists; KindState, with State DELETED, where it was erased here; KindRelatedNotFound, noun
// compartment, where there is no such compartment.
func (s *Service) RestoreVaultBackup(ctx context.Context, c *Call, compartment string, r io.ReadSeeker, progress Progress) (*Vault, error) {
	x := s.newRestore(c, keys.RestoreVaultBackup, archive.KindVault, r, progress)
	defer x.close(ctx)
	x.compartmentName = compartment
	out, err := do(context.WithoutCancel(ctx), s, c, x.action, func(ev *audit.Event) error { return x.prepare(ctx, ev) }, x.finishVault)
	x.done = err == nil
	if err != nil || x.staged == nil {
		return out, err
	}
	if s.endpoints != nil {
		if err := s.endpoints.Open(&out.Vault); err != nil {
			return nil, &keys.Error{Kind: keys.KindInternal, Err: fmt.Errorf("open endpoint of vault %s: %w", out.ID, err)}
		}
	}
	return out, nil
}

// restore is one restore under way.
type restore struct {
	s        *Service
	c        *Call
	action   keys.Action
	kind     archive.Kind
	file     io.ReadSeeker
	progress Progress

	compartmentName string // where a vault goes, in the dialect's words

	manifest *Manifest
	meter    *meter
	now      time.Time
	apply    bool                // whether the clock is trusted to tell what is due
	tenant   *keys.Tenant        // here
	vault    *keys.Vault         // of the key, or the one that is restored
	into     keys.ID             // the compartment of what has no other here
	places   map[keys.ID]keys.ID // compartment in the backup → here
	taken    []string            // aliases that lead to other keys by now

	leave  func() // ends the work on the vault or key
	staged *stage // nil until something may be staged
	exists error  // why nothing was staged, to be told if the call is no repeat
	done   bool   // what was staged is shown
}

func (s *Service) newRestore(c *Call, act keys.Action, kind archive.Kind, r io.ReadSeeker, progress Progress) *restore {
	return &restore{s: s, c: c, action: act, kind: kind, file: r, progress: progress}
}

// subject is the id of the vault or key that is restored.
func (x *restore) subject() keys.ID {
	if x.kind == archive.KindKey {
		return x.manifest.Key.ID
	}
	return x.manifest.Vault.ID
}

// prepare does all but the last transaction.
func (x *restore) prepare(ctx context.Context, ev *audit.Event) error {
	if x.c.Who == nil {
		return &keys.Error{Kind: keys.KindUnauthenticated}
	}
	var h *archive.Header
	err := x.open(func() (err error) {
		h, err = archive.ReadHeader(x.file)
		return err
	})
	if err != nil {
		return err
	}
	m := &h.Manifest
	x.manifest, x.now, x.apply = m, x.s.clock.Now(), x.s.clock.virtual || x.s.guard.trusted()
	x.meter = newMeter(x.progress, m, 2)
	ev.Vault = m.Vault.ID
	if m.Key != nil {
		ev.Key = m.Key.ID
	}
	if m.Kind != x.kind {
		return keys.Invalid("backup", fmt.Sprintf("this is a backup of a %s, not of a %s", m.Kind, x.kind))
	}
	if err := x.view(ctx, ev, x.target); err != nil {
		return err
	}
	if err := x.verify(ctx); err != nil {
		return err
	}
	if x.leave, err = x.s.restores.enter(ctx, x.subject()); err != nil {
		return err
	}
	var left int64
	err = x.view(ctx, ev, func(m *mutation) (err error) {
		left, err = x.free(m)
		return err
	})
	if x.c.Token != "" && keys.IsKind(err, keys.KindExists) {
		x.exists = err // an earlier request with this token may have made it
		return nil
	}
	if err != nil {
		return err
	}
	if err := x.drop(ctx, left); errors.Is(err, errNotDue) {
		return overtaken(nil)
	} else if err != nil {
		return err
	}
	return x.stage(ctx)
}

// open reads from the beginning of the file.
func (x *restore) open(read func() error) error {
	if _, err := x.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read backup: %w", err)
	}
	return unfit(read())
}

// unfit turns the refusal of a backup's bytes into the core's error.
func unfit(err error) error {
	if err == nil || !archive.IsRefusal(err) {
		return err
	}
	hint := err.Error()
	if errors.Is(err, archive.ErrKey) {
		hint += "; a restore needs the root key that the backup is under, or the identity of a recipient, named in backup.identity_file"
	}
	return &keys.Error{Kind: keys.KindInvalid, Field: "backup", Hint: hint, Err: err}
}

func (x *restore) view(ctx context.Context, ev *audit.Event, fn func(*mutation) error) error {
	return x.s.store.View(ctx, func(tx store.Tx) error {
		return fn(&mutation{tx: tx, c: x.c, who: x.c.Who, now: x.now, ev: ev})
	})
}

// target finds where the backup belongs, and whether the caller may restore there.
func (x *restore) target(m *mutation) error {
	region := x.manifest.Region
	if x.kind == archive.KindKey {
		if err := x.keysVault(m); err != nil {
			return err
		}
	} else if err := m.may(x.action, identity.Resource{Tenant: callerTenant(x.c)}); err != nil {
		return err
	}
	if (x.c.Region != "" && x.c.Region != region) || !slices.Contains(x.s.regions, region) {
		return keys.Invalid("backup", "it was made in region "+string(region)+", and is restored there")
	}
	return nil
}

// keysVault finds the vault that a key goes into: its own, and the one whose endpoint was called.
func (x *restore) keysVault(m *mutation) error {
	id := x.manifest.Vault.ID
	if !x.c.Vault.IsZero() && x.c.Vault != id {
		return &keys.Error{Kind: keys.KindNotFound, Noun: keys.TypeVault, Hint: "the key is of vault " + id.String() + ": restore it at the endpoint of that"}
	}
	v, err := store.LoadVault(m.tx, id)
	if err != nil {
		return notFound(err, keys.TypeVault)
	}
	if !m.who.System() && (v.Tenant != m.who.Tenant || !m.c.reaches(v)) {
		return keys.NotFound(keys.TypeVault)
	}
	m.ev.Tenant = v.Tenant
	if err := m.may(x.action, identity.Resource{Tenant: v.Tenant, Vault: v.ID}); err != nil {
		return err
	}
	if !x.c.Replica.IsZero() {
		return readOnly(x.action)
	}
	x.vault, x.into = v, v.Compartment
	_, err = keys.VaultLifecycle.Step(keys.UseVault, v.Effective(m.now), keys.Active)
	return err
}

// free checks that the place of the vault or key is free. It answers the revision of what an
// unfinished restore left there, or 0.
func (x *restore) free(m *mutation) (left int64, err error) {
	var state keys.State
	noun := keys.TypeVault
	if x.kind == archive.KindKey {
		noun = keys.TypeKey
		var k *Key
		if k, err = loadKeyView(m.tx, x.subject(), m.now); err == nil {
			state, left = k.State, k.Revision
		}
	} else {
		if x.into, err = m.compartment(x.tenant.ID, x.compartmentName); err != nil {
			return 0, err
		}
		var v *keys.Vault
		if v, err = store.LoadVault(m.tx, x.subject()); err == nil {
			state, left = v.Effective(m.now), v.Revision
		}
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return 0, nil
	case err != nil:
		return 0, err
	case state == keys.Restoring:
		return left, nil
	case state == keys.Deleted:
		return 0, &keys.Error{
			Kind: keys.KindState, Noun: noun, ID: x.subject(), State: state, Action: x.action,
			Hint: "it was erased here, and what was erased is not brought back while that is known",
		}
	}
	return 0, &keys.Error{Kind: keys.KindExists, Noun: noun, ID: x.subject(), Action: x.action, Hint: "it is there: a restore replaces nothing"}
}
