// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"claviger/internal/audit"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// farFuture is later than anything that is scheduled.
var farFuture = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// dueBatch is how many events are looked up at once.
const dueBatch = 64

// eraseChunk bounds how many versions one transaction erases.
const eraseChunk = 100

// errNotDue says that a row changed since it was found due; what it is now decides.
var errNotDue = errors.New("no longer due")

// Sweep performs what is due at the domain clock's now, one by one, and tells how many events
// took effect. Each effect is claimed by the row's revision in its own transaction, so it
// happens exactly once. It also forgets expired tokens, nonces and tombstones.
func (s *Service) Sweep(ctx context.Context) (int, error) {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	return s.sweep(ctx)
}

// sweep is Sweep with s.sweeping held.
func (s *Service) sweep(ctx context.Context) (done int, err error) {
	end, err := s.begin()
	if err != nil {
		return 0, err
	}
	defer end()
	w := &sweeper{s: s, skip: map[keys.ID]bool{}, stale: map[keys.ID]int64{}}
	var failed error
	for ctx.Err() == nil {
		batch, err := w.due(ctx)
		if err != nil || len(batch) == 0 {
			failed = err
			break
		}
		for i := range batch {
			w.try(ctx, &batch[i])
		}
	}
	s.held.Store(int64(w.held))
	if s.remains.Swap(false) {
		if err := s.store.Scrub(ctx); err != nil {
			s.remains.Store(true)
			failed = errors.Join(failed, err)
		}
	}
	return w.done, errors.Join(ctx.Err(), w.failed, failed, s.note(ctx), s.expire(ctx))
}

// sweeper is one sweep.
type sweeper struct {
	s      *Service
	skip   map[keys.ID]bool  // not to be tried again in this sweep
	stale  map[keys.ID]int64 // the revision that was found not to be due after all
	done   int
	held   int
	failed error
}

// due lists the next events, earliest first.
func (w *sweeper) due(ctx context.Context) ([]store.Due, error) {
	var rows []store.Due
	err := w.s.store.View(ctx, func(tx store.Tx) (err error) {
		rows, err = tx.Due(w.s.clock.Now(), len(w.skip)+dueBatch)
		return err
	})
	return slices.DeleteFunc(rows, func(d store.Due) bool { return w.skip[d.ID] }), err
}

// try performs an event. A row that has changed since it was found is looked up once more.
func (w *sweeper) try(ctx context.Context, d *store.Due) {
	if d.Kind != store.RotateKey && !w.s.clock.virtual && !w.s.guard.trusted() {
		w.skip[d.ID] = true
		w.held++
		return
	}
	if d.Kind != store.RotateKey {
		w.s.remains.Store(true) // even if it fails: part of it may be done
	}
	switch err := w.s.perform(ctx, d); {
	case errors.Is(err, errNotDue):
		revision, again := w.stale[d.ID]
		w.skip[d.ID] = again && revision == d.Revision
		w.stale[d.ID] = d.Revision
	case err != nil:
		w.s.log.ErrorContext(ctx, "scheduled event", "kind", string(d.Kind), "id", d.ID.String(), "error", err)
		w.failed = errors.Join(w.failed, fmt.Errorf("%s of %s: %w", d.Kind, d.ID, err))
		w.skip[d.ID] = true
	default:
		w.done++
	}
}

// expire forgets what is over, in bounded batches, once a minute of either clock: nothing
// waits for it, since every reader looks at the time itself.
func (s *Service) expire(ctx context.Context) error {
	wall, now := s.clock.wall(), s.clock.Now()
	if wall.Sub(s.expired.wall).Abs() < time.Minute && now.Sub(s.expired.domain).Abs() < time.Minute {
		return nil
	}
	s.expired.wall, s.expired.domain = wall, now
	s.ring.dropOver(wall)
	until := store.Expiry{Domain: now, Request: wall, Work: now.Add(-s.keepWork), Tombstones: now.Add(-s.tombs)}
	leaving, err := s.endpointsOf(ctx, until.Tombstones)
	if err := errors.Join(err, s.failAbandoned(ctx)); err != nil {
		return err
	}
	for {
		n := 0
		_, err := s.store.Update(ctx, func(tx store.Tx) (err error) {
			n, err = tx.Expire(until, 500)
			return err
		})
		if err != nil {
			return err
		}
		if n == 0 {
			return s.free(ctx, leaving)
		}
	}
}

// leaving are the tombstones that are about to be forgotten and hold an endpoint.
type leaving struct {
	vaults   []*keys.Vault
	replicas []*keys.Replica
}

func (s *Service) endpointsOf(ctx context.Context, before time.Time) (out leaving, err error) {
	if s.endpoints == nil {
		return out, nil
	}
	err = s.store.View(ctx, func(tx store.Tx) (err error) {
		if out.vaults, err = tx.Vaults(store.VaultQuery{}); err != nil {
			return err
		}
		out.replicas, err = tx.Replicas(keys.ID{})
		return err
	})
	stays := func(endpoint string, state keys.State, deleteAt time.Time) bool {
		return endpoint == "" || state != keys.Deleted || !deleteAt.Before(before)
	}
	out.vaults = slices.DeleteFunc(out.vaults, func(v *keys.Vault) bool { return stays(v.Endpoint, v.State, v.DeleteAt) })
	out.replicas = slices.DeleteFunc(out.replicas, func(r *keys.Replica) bool { return stays(r.Endpoint, r.State, r.DeleteAt) })
	return out, err
}

// free gives back the endpoints of what is forgotten by now.
func (s *Service) free(ctx context.Context, l leaving) error {
	forgotten := func(rec store.Record) (bool, error) {
		err := s.store.View(ctx, func(tx store.Tx) error { return tx.Load(rec) })
		if errors.Is(err, store.ErrNotFound) {
			return true, nil
		}
		return false, err
	}
	for _, v := range l.vaults {
		gone, err := forgotten(&keys.Vault{ID: v.ID})
		if err != nil {
			return err
		}
		if gone {
			s.endpoints.Close(v)
		}
	}
	for _, r := range l.replicas {
		gone, err := forgotten(&keys.Replica{ID: r.ID})
		if err != nil {
			return err
		}
		if gone {
			s.endpoints.CloseReplica(r)
		}
	}
	return nil
}

// nextDue is the earliest event at or before a time; nil when there is none.
func (s *Service) nextDue(ctx context.Context, before time.Time) (*store.Due, error) {
	var rows []store.Due
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		rows, err = tx.Due(before, 1)
		return err
	})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return &rows[0], nil
}

// Scheduled lists what is scheduled, earliest first.
func (s *Service) Scheduled(ctx context.Context, c *Call, limit int) ([]store.Due, error) {
	return read(ctx, s, c, keys.ReadAudit, func(m *mutation) ([]store.Due, error) {
		if !m.who.System() {
			return nil, &keys.Error{Kind: keys.KindDenied, Action: keys.ReadAudit}
		}
		return m.tx.Due(farFuture, limit)
	})
}

func (s *Service) perform(ctx context.Context, d *store.Due) error {
	c := s.System(string(d.Kind))
	switch d.Kind {
	case store.EraseVersion:
		return s.eraseVersion(ctx, c, d)
	case store.EraseKey:
		return s.eraseKey(ctx, c, d.ID, d.Revision)
	case store.EraseVault:
		return s.eraseVault(ctx, c, d)
	case store.ExpireMaterial:
		return s.expireMaterial(ctx, c, d)
	case store.RotateKey:
		return s.rotateDue(ctx, c, d)
	case store.DropVault:
		return s.dropVault(ctx, d.ID, d.Revision)
	case store.DropKey:
		return s.dropKey(ctx, d.ID, d.Revision)
	}
	return fmt.Errorf("unknown kind of event %q", d.Kind)
}

// apply is one transaction of a scheduled event with its audit event. run may be run again.
func (s *Service) apply(ctx context.Context, c *Call, act keys.Action, run func(*mutation) error) error {
	_, err := s.store.Update(ctx, func(tx store.Tx) error {
		m := &mutation{tx: tx, c: c, who: c.Who, now: s.clock.Now(), ev: s.event(c, act)}
		if err := run(m); err != nil {
			return err
		}
		m.ev.Outcome, m.ev.Revision = audit.OutcomeOK, tx.Revision()
		return tx.Record(*m.ev)
	})
	return err
}

func (s *Service) eraseVersion(ctx context.Context, c *Call, d *store.Due) error {
	return s.apply(ctx, c, keys.ScheduleVersionDeletion, func(m *mutation) error {
		v, err := store.LoadVersion(m.tx, d.ID)
		if err != nil {
			return err
		}
		if v.Revision != d.Revision || v.Effective(m.now) != keys.Deleted {
			return errNotDue
		}
		k, err := loadKeyView(m.tx, v.Key, m.now)
		if err != nil {
			return err
		}
		if k.State == keys.Restoring {
			return errNotDue // the restore is not done with it
		}
		m.ev.Tenant, m.ev.Vault, m.ev.Key, m.ev.Version = v.Tenant, v.Vault, v.Key, v.ID
		return m.erase(&k.Key, v.DeleteAt, v)
	})
}

// erase leaves the tombstones of versions that are gone since at, and counts them on their key.
func (m *mutation) erase(k *keys.Key, at time.Time, versions ...*keys.Version) error {
	for _, v := range versions {
		entombVersion(v, at)
		if err := m.tx.Put(v); err != nil {
			return err
		}
	}
	k.Erased += len(versions)
	return m.tx.Put(k)
}

// eraseKey erases a key's versions in bounded chunks and then leaves its tombstone. It is
// gone for every caller since its due time, so an interruption in between shows nothing; the
// key stays due until its own row is done. revision 0 erases it as part of its vault.
func (s *Service) eraseKey(ctx context.Context, c *Call, id keys.ID, revision int64) error {
	for done := false; !done; {
		var own int64 // the revision of this erasure's own change of the row
		err := s.apply(ctx, c, keys.ScheduleKeyDeletion, func(m *mutation) error {
			done, own = false, m.tx.Revision()
			k, err := loadKeyView(m.tx, id, m.now)
			if err != nil {
				return err
			}
			if (revision != 0 && k.Revision != revision) || k.State != keys.Deleted {
				return errNotDue
			}
			m.ev.Tenant, m.ev.Vault, m.ev.Key = k.Tenant, k.Vault, k.ID
			rows, err := m.tx.Versions(store.VersionQuery{Key: id, HideDeleted: true, Limit: eraseChunk})
			if err != nil {
				return err
			}
			row := k.Key
			if len(rows) > 0 {
				return m.erase(&row, k.DeleteAt, rows...)
			}
			done = true
			return m.buryKey(&row, k.DeleteAt)
		})
		if err != nil {
			return err
		}
		revision = own
	}
	return nil
}

// buryKey leaves a key's tombstone: ids, times and the state stay, tags, aliases and grants go.
func (m *mutation) buryKey(k *keys.Key, at time.Time) error {
	aliases, err := m.tx.Aliases(store.AliasQuery{Tenant: k.Tenant, Region: k.Region, Key: k.ID})
	if err != nil {
		return err
	}
	for _, a := range aliases {
		if err := m.tx.Delete(a); err != nil {
			return err
		}
	}
	grants, err := m.tx.Grants(k.ID)
	if err != nil {
		return err
	}
	for _, g := range grants {
		if err := m.tx.Delete(g); err != nil {
			return err
		}
	}
	entomb(k, at)
	return m.tx.Put(k)
}

// eraseVault erases the vault's keys one by one, then its KEK, then leaves its tombstone.
func (s *Service) eraseVault(ctx context.Context, c *Call, d *store.Due) error {
	for {
		var rows []*keys.Key
		err := s.store.View(ctx, func(tx store.Tx) (err error) {
			rows, err = tx.Keys(store.KeyQuery{Vault: d.ID, HideDeleted: true, WithHidden: true, Page: store.Page{Limit: eraseChunk}})
			return err
		})
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			break
		}
		for _, k := range rows {
			if err := s.eraseKey(ctx, c, k.ID, 0); err != nil {
				return err
			}
		}
	}
	err := s.apply(ctx, c, keys.ScheduleVaultDeletion, func(m *mutation) error {
		v, err := store.LoadVault(m.tx, d.ID)
		if err != nil {
			return err
		}
		if v.Revision != d.Revision || v.Effective(m.now) != keys.Deleted {
			return errNotDue
		}
		m.ev.Tenant, m.ev.Vault = v.Tenant, v.ID
		if !v.Replica.IsZero() {
			r, err := store.LoadReplica(m.tx, v.Replica)
			if err == nil {
				err = m.buryReplica(r, v.DeleteAt)
			}
			if err != nil {
				return err
			}
		}
		v.State, v.Tags = keys.Deleted, keys.Tags{}
		return errors.Join(m.tx.Put(v), deleteKEKs(m.tx, v.ID))
	})
	if err == nil {
		s.hierarchy.drop(d.ID)
	}
	return err
}
