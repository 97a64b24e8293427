// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"fmt"
	"time"

	"claviger/internal/audit"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/seal"
	"claviger/internal/store"
)

// Rotating the root replaces the system KEK and every tenant's, so that nothing that the root key
// before has sealed, here or in what remains of this store elsewhere, opens with what is here now.
// The vaults' KEKs stay and are wrapped anew. Each step is a transaction that leaves a whole store:
// a row says under which generation it is, and a generation is deleted when nothing is under it.

// RotateRoot seals a store under another root key. cfg.Seal holds both, and nobody serves from the
// store meanwhile. It goes on where an earlier run was stopped, and does nothing where there is
// nothing to be done.
func RotateRoot(ctx context.Context, cfg Config, next seal.Seal, progress Progress) error {
	h, err := openHierarchy(ctx, cfg)
	if err != nil {
		return err
	}
	defer h.close()
	r := &rerooting{h: h, store: cfg.Store, now: cfg.Wall().UTC().Truncate(time.Microsecond)}
	if err := r.begin(ctx, next); err != nil {
		return err
	}
	var tenants []*keys.Tenant
	err = r.store.View(ctx, func(tx store.Tx) (err error) {
		tenants, err = tx.Tenants()
		return err
	})
	if err != nil {
		return err
	}
	for i, t := range tenants {
		if progress != nil {
			progress(i, len(tenants))
		}
		if err := r.tenant(ctx, t); err != nil {
			return fmt.Errorf("tenant %s: %w", t.Name, err)
		}
	}
	if err := r.finish(ctx); err != nil {
		return err
	}
	if progress != nil {
		progress(len(tenants), len(tenants))
	}
	return nil
}

type rerooting struct {
	h      *hierarchy
	store  store.Store
	now    time.Time
	system parent
}

func (r *rerooting) update(ctx context.Context, fn func(store.Tx) error) error {
	_, err := r.store.Update(ctx, fn)
	return err
}

// begin makes the system KEK under the next root key, unless it is there.
func (r *rerooting) begin(ctx context.Context, next seal.Seal) error {
	var rec store.KEK
	if err := r.store.View(ctx, func(tx store.Tx) error { return tx.Load(&rec) }); err != nil {
		return fmt.Errorf("load system KEK: %w", err)
	}
	if rec.Root != next.ID() {
		fresh, kek, err := newSystemKEK(ctx, next, r.h.rand, rec.Generation+1, r.now)
		if err != nil {
			return err
		}
		kek.Wipe()
		if err := r.update(ctx, func(tx store.Tx) error { return tx.Put(fresh) }); err != nil {
			return fmt.Errorf("store system KEK: %w", err)
		}
		rec = *fresh
	}
	kek, err := r.h.kek(ctx, keys.ID{}, keys.ID{}, rec.Generation)
	r.system = parent{kek, rec.Generation}
	return err
}

// tenant replaces a tenant's KEK and wraps anew what is under it.
func (r *rerooting) tenant(ctx context.Context, t *keys.Tenant) error {
	rec := store.KEK{Owner: t.ID, Generation: t.KEKGeneration}
	var vaults []*keys.Vault
	var credentials []*identity.CredentialRow
	err := r.store.View(ctx, func(tx store.Tx) (err error) {
		if err = tx.Load(&rec); err != nil {
			return err
		}
		if vaults, err = tx.Vaults(store.VaultQuery{Tenant: t.ID}); err != nil {
			return err
		}
		credentials, err = tx.Credentials(t.ID)
		return err
	})
	if err != nil {
		return err
	}
	above, err := parentOf(&rec)
	if err != nil {
		return err
	}
	if above < r.system.generation {
		fresh, kek, err := r.h.newKEK(r.system, t.ID, keys.ID{}, rec.Generation+1, r.now)
		if err != nil {
			return err
		}
		kek.Wipe()
		t.KEKGeneration = fresh.Generation
		if err := r.update(ctx, func(tx store.Tx) error { return errors.Join(tx.Put(fresh), tx.Reseal(t)) }); err != nil {
			return err
		}
	}
	kek, err := r.h.kek(ctx, t.ID, keys.ID{}, t.KEKGeneration)
	if err != nil {
		return err
	}
	under := parent{kek, t.KEKGeneration}
	for _, v := range vaults {
		if err := r.vault(ctx, v, under); err != nil {
			return err
		}
	}
	if err := r.credentials(ctx, credentials, under); err != nil {
		return err
	}
	return r.update(ctx, func(tx store.Tx) error {
		_, err := retireKEKs(tx, t.ID, under.generation)
		return err
	})
}

// vault wraps a vault's KEKs anew: one, or two where a reseal is not finished.
func (r *rerooting) vault(ctx context.Context, v *keys.Vault, under parent) error {
	var recs []*store.KEK
	err := r.store.View(ctx, func(tx store.Tx) error {
		recs = nil
		for g := v.KEKGeneration; g >= firstGeneration; g-- {
			rec := &store.KEK{Owner: v.ID, Generation: g}
			if err := tx.Load(rec); errors.Is(err, store.ErrNotFound) {
				return nil // it is erased, or this is all
			} else if err != nil {
				return err
			}
			recs = append(recs, rec)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, rec := range recs {
		above, err := parentOf(rec)
		if err != nil {
			return err
		}
		if above == under.generation {
			continue
		}
		kek, err := r.h.kek(ctx, v.Tenant, v.ID, rec.Generation)
		if err == nil {
			err = r.h.wrapKEK(rec, under, v.Tenant, v.ID, kek)
		}
		if err == nil {
			err = r.update(ctx, func(tx store.Tx) error { return tx.Reseal(rec) })
		}
		if err != nil {
			return fmt.Errorf("vault %s: %w", v.ID, err)
		}
	}
	return nil
}

// credentials seals and signs a tenant's credentials anew.
func (r *rerooting) credentials(ctx context.Context, rows []*identity.CredentialRow, under parent) error {
	for len(rows) > 0 {
		batch := rows[:min(len(rows), resealRows)]
		rows = rows[len(batch):]
		var fresh []*identity.CredentialRow
		for _, row := range batch {
			if row.KEKGeneration == under.generation {
				continue
			}
			if err := r.credential(ctx, row, under); err != nil {
				return fmt.Errorf("credential %s: %w", row.ID, err)
			}
			fresh = append(fresh, row)
		}
		err := r.update(ctx, func(tx store.Tx) error {
			for _, row := range fresh {
				if err := tx.Reseal(row); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// credential seals a row's secret anew. A row that somebody changed is not made good by it.
func (r *rerooting) credential(ctx context.Context, row *identity.CredentialRow, under parent) error {
	kek, err := r.h.kek(ctx, row.Tenant, keys.ID{}, row.KEKGeneration)
	if err != nil {
		return err
	}
	if !seal.CheckMAC(kek, credentialMAC, row.MAC, credentialFields(row)...) {
		return errors.New("the stored row was changed by something else than this server: remove the credential first")
	}
	old := credentialAAD(row)
	row.KEKGeneration = under.generation
	if row.Sealed != nil {
		opened, err := seal.OpenBox(kek, old, row.Sealed)
		if err != nil {
			return err
		}
		row.Sealed, err = seal.SealBox(r.h.rand, under.kek, credentialAAD(row), opened)
		opened.Wipe()
		if err != nil {
			return err
		}
	}
	signCredential(under.kek, row)
	return nil
}

// finish deletes the system KEKs before: with it the root key before opens nothing here any more.
func (r *rerooting) finish(ctx context.Context) error {
	return r.update(ctx, func(tx store.Tx) error {
		n, err := retireKEKs(tx, keys.ID{}, r.system.generation)
		if err != nil || n == 0 {
			return err
		}
		return tx.Record(audit.Event{
			Time: r.now, Dialect: "admin", Operation: string(keys.RotateRoot), Action: keys.RotateRoot, Outcome: audit.OutcomeOK,
			Revision: tx.Revision(),
		})
	})
}
