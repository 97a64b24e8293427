// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"fmt"

	"claviger/internal/keys"
	"claviger/internal/seal"
	"claviger/internal/store"
)

// Resealing a vault replaces its KEK. First the next generation is stored and put in force: from
// that commit on nothing new is stored under the one before. Then everything that is there is sealed
// anew, in bounded transactions, while calls go on. When nothing is left under the older generations
// they are deleted. Whatever stops it in between, the next attempt goes on where it was.
//
// A version is sealed anew by compare-and-swap on its revision, which stays: callers see nothing of
// it. A change that comes first wins, and the version is taken again in the next pass.

// resealRows bounds how many rows one transaction seals anew.
const resealRows = 256

// ResealVault replaces a vault's KEK. Its work goes on after the answer; while it is under way a
// further request answers with the same work request. It is for the server's administrator.
func (s *Service) ResealVault(ctx context.Context, c *Call, ref VaultRef) (*Working, error) {
	var vault keys.ID
	accept := func(m *mutation, template *keys.WorkRequest) (*Working, error) {
		v, _, err := m.vault(ref, keys.ResealVault)
		if err != nil {
			return nil, err
		}
		vault = v.ID
		under, err := m.underWay(keys.ResealVault, v.ID)
		if err != nil || under != nil {
			return &Working{Vault: viewVault(v, m.now), Work: under}, err
		}
		if err := m.restoresNothing(v); err != nil {
			return nil, err
		}
		w, err := m.acceptWork(template, v, v.Compartment, keys.WorkResource{
			Type: keys.TypeVault, ID: v.ID, Vault: v.ID, Region: v.Region, Effect: keys.WorkUpdated,
		})
		return &Working{Vault: viewVault(v, m.now), Work: w}, err
	}
	return s.doWork(ctx, c, keys.ResealVault, nil, accept, task{
		detached: true,
		run: func(ctx context.Context, _ *Call, j *job) error {
			r := &resealing{s: s, j: j, vault: vault, rows: s.resealRows}
			return r.run(ctx)
		},
	})
}

// underWay is the unfinished work request of an action on a vault (zero: on the whole store).
func (m *mutation) underWay(act keys.Action, vault keys.ID) (*keys.WorkRequest, error) {
	rows, err := m.tx.WorkRequests(store.WorkQuery{Unfinished: true})
	for _, w := range rows {
		if w.Action == act && w.Vault == vault {
			return w, nil
		}
	}
	return nil, err
}

// restoresNothing refuses to replace the KEK that a restore is sealing under.
func (m *mutation) restoresNothing(v *keys.Vault) error {
	rows, err := m.tx.Keys(store.KeyQuery{Vault: v.ID, State: keys.Restoring, WithHidden: true, Page: store.Page{Limit: 1}})
	if err != nil || len(rows) == 0 {
		return err
	}
	return &keys.Error{
		Kind: keys.KindState, Noun: keys.TypeVault, State: keys.Restoring, Action: keys.ResealVault,
		Hint: fmt.Sprintf("key %s is being restored into the vault: reseal it when that is done", rows[0].ID),
	}
}

// resealing is one run of the work.
type resealing struct {
	s     *Service
	j     *job
	vault keys.ID
	rows  int

	tenant keys.ID
	under  parent // the KEK in force

	total, seen int // versions, in this pass
	resealed    int
	broken      []error // versions that do not open
}

func (r *resealing) run(ctx context.Context) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	for pass := 0; ; pass++ {
		changed, err := r.pass(ctx, pass)
		if err != nil {
			return err
		}
		if len(r.broken) > 0 {
			return &keys.Error{Kind: keys.KindInternal, Noun: keys.TypeVault, Err: errors.Join(r.broken...), Hint: fmt.Sprintf(
				"%d key versions do not open, so that the KEK before is kept; everything else is resealed. The log names them", len(r.broken))}
		}
		if changed == 0 {
			break
		}
	}
	if err := r.finish(ctx); err != nil {
		return err
	}
	what := "key versions are"
	if r.resealed == 1 {
		what = "key version is"
	}
	r.j.note(fmt.Sprintf("%d %s sealed under generation %d of the vault's KEK; older ones are deleted.", r.resealed, what, r.under.generation))
	return nil
}

// begin puts the next generation in force, unless an earlier run did and came to no end.
func (r *resealing) begin(ctx context.Context) error {
	for try := 1; ; try++ {
		err := r.tryBegin(ctx)
		if !errors.Is(err, errResealed) || try == resealTries {
			return err
		}
	}
}

func (r *resealing) tryBegin(ctx context.Context) error {
	s := r.s
	var v *keys.Vault
	unfinished := false
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		if v, err = store.LoadVault(tx, r.vault); err != nil {
			return err
		}
		r.total, err = tx.Count(store.Counter{Type: keys.TypeVersion, Vault: v.ID})
		if err != nil || v.KEKGeneration == firstGeneration {
			return err
		}
		switch err = tx.Load(&store.KEK{Owner: v.ID, Generation: v.KEKGeneration - 1}); {
		case err == nil:
			unfinished = true
		case errors.Is(err, store.ErrNotFound):
			err = nil
		}
		return err
	})
	if err != nil {
		return notFound(err, keys.TypeVault)
	}
	r.tenant = v.Tenant
	if unfinished {
		r.under, err = s.vaultParent(ctx, v, v.KEKGeneration)
		return err
	}
	above, err := s.tenantNow(ctx, v.Tenant)
	if err != nil {
		return err
	}
	rec, kek, err := s.hierarchy.newKEK(above, v.Tenant, v.ID, v.KEKGeneration+1, s.clock.Now())
	if err != nil {
		return err
	}
	revision, err := s.store.Update(ctx, func(tx store.Tx) error {
		now, err := r.load(tx)
		if err != nil {
			return err
		}
		if err := errors.Join(inForce(v.KEKGeneration, now.KEKGeneration), kekInForce(tx, rec, v.Tenant)); err != nil {
			return err
		}
		now.KEKGeneration = rec.Generation
		return errors.Join(tx.Put(rec), tx.Reseal(now))
	})
	if err != nil {
		return err
	}
	r.under = parent{s.hierarchy.remember(v.ID, rec.Generation, kek), rec.Generation}
	return s.settleFleet(ctx, keys.ResealVault, revision)
}

// load is the vault, while it has something to be resealed.
func (r *resealing) load(tx store.Tx) (*keys.Vault, error) {
	v, err := store.LoadVault(tx, r.vault)
	if err != nil {
		return nil, notFound(err, keys.TypeVault)
	}
	_, err = keys.VaultLifecycle.Step(keys.ResealVault, v.Effective(r.s.clock.Now()), keys.Active)
	return v, err
}

// pass seals anew what is not sealed under the KEK in force, and reports how much that was. A pass
// that finds nothing has seen that nothing is left: nothing comes under an older generation.
func (r *resealing) pass(ctx context.Context, pass int) (changed int, err error) {
	progress := r.j.part(0, 90)
	if pass > 0 {
		progress = r.j.part(90, 99)
	}
	r.seen, r.broken = 0, nil
	var batch []*keys.Version
	flush := func() error {
		n, err := r.flush(ctx, batch)
		changed += n
		batch = batch[:0]
		return err
	}
	err = r.versions(ctx, func(rows []*keys.Version) error {
		for _, v := range rows {
			if v.KEKGeneration < r.under.generation && (v.Sealed != nil || v.Fingerprint != nil) {
				batch = append(batch, v)
			}
			if len(batch) >= r.rows {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		r.seen += len(rows)
		progress(r.seen, r.total)
		return nil
	})
	if err == nil && len(batch) > 0 {
		err = flush()
	}
	r.resealed += changed
	return changed, err
}

// versions walks over every version in the vault, a page in each view.
func (r *resealing) versions(ctx context.Context, visit func([]*keys.Version) error) error {
	q := store.KeyQuery{Vault: r.vault, WithHidden: true, HideDeleted: true, Page: store.Page{Limit: r.rows}}
	for {
		var page []*keys.Key
		err := r.s.store.View(ctx, func(tx store.Tx) (err error) {
			page, err = tx.Keys(q)
			return err
		})
		if err != nil {
			return err
		}
		for _, k := range page {
			q.Page.After = &store.Mark{Time: k.CreatedAt, ID: k.ID}
			if err := r.versionsOf(ctx, k.ID, visit); err != nil {
				return err
			}
		}
		if len(page) < q.Page.Limit {
			return nil
		}
	}
}

func (r *resealing) versionsOf(ctx context.Context, key keys.ID, visit func([]*keys.Version) error) error {
	q := store.VersionQuery{Key: key, HideDeleted: true, Limit: r.rows}
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var page []*keys.Version
		err := r.s.store.View(ctx, func(tx store.Tx) (err error) {
			page, err = tx.Versions(q)
			return err
		})
		if err == nil {
			err = visit(page)
		}
		if err != nil || len(page) < q.Limit {
			return err
		}
		q.AfterOrdinal = page[len(page)-1].Ordinal
	}
}

// flush seals versions anew and stores them, all that are as they were read, in one transaction.
func (r *resealing) flush(ctx context.Context, batch []*keys.Version) (int, error) {
	var sealed []*keys.Version
	for _, v := range batch {
		fresh, err := r.reseal(ctx, v)
		if errors.Is(err, seal.ErrOpen) || errors.Is(err, store.ErrNotFound) {
			r.s.log.ErrorContext(ctx, "reseal", "vault", r.vault.String(), "key", v.Key.String(), "version", v.ID.String(), "error", err)
			r.broken = append(r.broken, err)
			continue
		}
		if err != nil {
			return 0, err
		}
		sealed = append(sealed, fresh)
	}
	if len(sealed) == 0 {
		return 0, nil
	}
	n := 0
	_, err := r.s.store.Update(ctx, func(tx store.Tx) error {
		n = 0
		if _, err := r.load(tx); err != nil {
			return err
		}
		for _, v := range sealed {
			switch err := tx.Reseal(v); {
			case err == nil:
				n++
			case !errors.Is(err, store.ErrConflict):
				return err
			}
		}
		return nil
	})
	return max(n, 1), err // what is in conflict is taken again
}

// reseal seals what is sealed of a version under the KEK in force.
func (r *resealing) reseal(ctx context.Context, v *keys.Version) (*keys.Version, error) {
	kek, err := r.s.vaultKEK(ctx, v.Tenant, v.Vault, v.KEKGeneration)
	if err != nil {
		return nil, fmt.Errorf("key version %s: %w", v.ID, err)
	}
	fresh := *v
	fresh.KEKGeneration = r.under.generation
	for _, part := range []struct {
		aad      func(*keys.Version) []byte
		old, now *[]byte
	}{{materialAAD, &v.Sealed, &fresh.Sealed}, {fingerprintAAD, &v.Fingerprint, &fresh.Fingerprint}} {
		if *part.old == nil {
			continue
		}
		opened, err := seal.OpenBox(kek, part.aad(v), *part.old)
		if err != nil {
			return nil, fmt.Errorf("open what is sealed of key version %s: %w", v.ID, err)
		}
		*part.now, err = seal.SealBox(r.s.rand, r.under.kek, part.aad(&fresh), opened)
		opened.Wipe()
		if err != nil {
			return nil, fmt.Errorf("seal key version %s: %w", v.ID, err)
		}
	}
	return &fresh, nil
}

// finish deletes the generations before the one in force, under which nothing is sealed any more.
func (r *resealing) finish(ctx context.Context) error {
	c := r.s.System("ResealVault")
	var revision int64
	err := r.s.apply(ctx, c, keys.ResealVault, func(m *mutation) error {
		v, err := r.load(m.tx)
		if err != nil {
			return err
		}
		if err := inForce(r.under.generation, v.KEKGeneration); err != nil {
			return err
		}
		m.ev.Tenant, m.ev.Vault = v.Tenant, v.ID
		revision = m.tx.Revision()
		_, err = retireKEKs(m.tx, v.ID, r.under.generation)
		return err
	})
	if err != nil {
		return err
	}
	r.s.remains.Store(true)
	return r.s.settleFleet(ctx, keys.ResealVault, revision)
}
