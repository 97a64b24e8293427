// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"time"

	"claviger/internal/archive"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// lease is when the restore counts as given up, unless it goes on.
func (x *restore) lease() time.Time { return x.s.clock.Now().Add(restoreLease) }

// close ends a restore: what it staged and did not show is removed.
func (x *restore) close(ctx context.Context) {
	if x.staged != nil && !x.done {
		ctx := context.WithoutCancel(ctx)
		// Whoever cannot clear up now does it when the lease is over.
		if err := x.drop(ctx, x.staged.revision); err != nil && !errors.Is(err, errNotDue) {
			x.s.log.ErrorContext(ctx, "remove what a failed restore left", "id", x.subject().String(), "error", err)
		}
		// Where the vault's row is there, or may be, it holds the endpoint until it is removed.
		if v := x.staged.vault; v != nil && v.Revision == 0 && v.Endpoint != "" && !x.staged.doubt {
			x.s.endpoints.Release(v.Endpoint)
		}
	}
	if x.leave != nil {
		x.leave()
	}
}

// drop removes what is staged below the vault or key, whose row has the given revision.
func (x *restore) drop(ctx context.Context, revision int64) error {
	switch {
	case revision == 0:
		return nil
	case x.kind == archive.KindVault:
		return x.s.unstageVault(ctx, x.subject(), revision)
	}
	return x.s.unstageKey(ctx, x.subject(), revision)
}

// dropVault removes what a restore left that made no progress for too long.
func (s *Service) dropVault(ctx context.Context, id keys.ID, revision int64) error {
	if s.restores.has(id) {
		return errNotDue
	}
	return s.unstageVault(ctx, id, revision)
}

// dropKey is dropVault for a key that was restored alone.
func (s *Service) dropKey(ctx context.Context, id keys.ID, revision int64) error {
	if s.restores.has(id) {
		return errNotDue
	}
	return s.unstageKey(ctx, id, revision)
}

// unstageVault removes a vault that is being restored, with all that is in it. The first
// transaction takes it from whoever is at it.
func (s *Service) unstageVault(ctx context.Context, id keys.ID, revision int64) error {
	revision, err := s.store.Update(ctx, func(tx store.Tx) error {
		v, err := store.LoadVault(tx, id)
		if err != nil || v.State != keys.Restoring || v.Revision != revision {
			return orNotDue(err)
		}
		v.DeleteAt = s.clock.Now().Add(restoreLease)
		return tx.Put(v)
	})
	if err != nil {
		return err
	}
	var gone *keys.Vault
	c := s.System("drop-vault")
	for gone == nil {
		_, err := s.store.Update(ctx, func(tx store.Tx) error {
			gone = nil
			v, err := store.LoadVault(tx, id)
			if err != nil || v.Revision != revision {
				return orNotDue(err)
			}
			left, err := removeKeys(tx, id, s.stageRows)
			if err != nil || left {
				return err
			}
			gone = v
			m := &mutation{tx: tx, c: c, who: c.Who, now: s.clock.Now(), ev: s.event(c, keys.RestoreVaultBackup)}
			m.ev.Tenant, m.ev.Vault = v.Tenant, v.ID
			return errors.Join(removeExternals(tx, id), deleteKEKs(tx, id), tx.Delete(v), m.dropped())
		})
		if err != nil {
			return err
		}
	}
	s.hierarchy.drop(id)
	if s.endpoints != nil && gone.Endpoint != "" {
		s.endpoints.Close(gone)
	}
	return nil
}

// unstageKey removes a key that is being restored.
func (s *Service) unstageKey(ctx context.Context, id keys.ID, revision int64) error {
	revision, err := s.store.Update(ctx, func(tx store.Tx) error {
		k, err := store.LoadKey(tx, id)
		if err != nil || k.State != keys.Restoring || k.Revision != revision {
			return orNotDue(err)
		}
		k.DeleteAt = s.clock.Now().Add(restoreLease)
		return tx.Put(k)
	})
	if err != nil {
		return err
	}
	c := s.System("drop-key")
	for done := false; !done; {
		_, err := s.store.Update(ctx, func(tx store.Tx) error {
			done = false
			k, err := store.LoadKey(tx, id)
			if err != nil || k.Revision != revision {
				return orNotDue(err)
			}
			room := s.stageRows
			if done, err = removeKey(tx, k, &room); err != nil || !done {
				return err
			}
			m := &mutation{tx: tx, c: c, who: c.Who, now: s.clock.Now(), ev: s.event(c, keys.RestoreKeyBackup)}
			m.ev.Tenant, m.ev.Vault, m.ev.Key = k.Tenant, k.Vault, k.ID
			return m.dropped()
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// orNotDue says that a row is not what was to be removed, where nothing worse is known.
func orNotDue(err error) error {
	if err == nil || errors.Is(err, store.ErrNotFound) {
		return errNotDue
	}
	return err
}

// dropped records that a restore came to nothing.
func (m *mutation) dropped() error {
	m.ev.Outcome, m.ev.Revision = string(keys.KindUnavailable), m.tx.Revision()
	m.ev.Reason = "the restore came to no end, and what it had brought was removed"
	return m.tx.Record(*m.ev)
}

// removeKeys removes some of a vault's keys and reports whether there may be more.
func removeKeys(tx store.Tx, vault keys.ID, room int) (left bool, err error) {
	most := room
	rows, err := tx.Keys(store.KeyQuery{Vault: vault, WithHidden: true, Page: store.Page{Limit: most}})
	if err != nil {
		return false, err
	}
	for _, k := range rows {
		if done, err := removeKey(tx, k, &room); err != nil || !done {
			return true, err
		}
	}
	return len(rows) == most, nil
}

// removeKey removes a key that was never shown, as far as there is room for it in the transaction.
func removeKey(tx store.Tx, k *keys.Key, room *int) (done bool, err error) {
	if *room <= 0 {
		return false, nil
	}
	versions, err := tx.Versions(store.VersionQuery{Key: k.ID, Limit: *room})
	if err != nil {
		return false, err
	}
	for _, v := range versions {
		if err := errors.Join(removeExternals(tx, v.ID), tx.Delete(v)); err != nil {
			return false, err
		}
	}
	if *room -= len(versions); *room <= 0 {
		return false, nil
	}
	*room--
	aliases, err := tx.Aliases(store.AliasQuery{Key: k.ID})
	if err != nil {
		return false, err
	}
	for _, a := range aliases {
		if err := tx.Delete(a); err != nil {
			return false, err
		}
	}
	return true, errors.Join(removeExternals(tx, k.ID), tx.Delete(k))
}

func removeExternals(tx store.Tx, id keys.ID) error {
	rows, err := tx.ExternalIDs(id)
	if err != nil {
		return err
	}
	for _, x := range rows {
		if err := tx.Delete(x); err != nil {
			return err
		}
	}
	return nil
}
