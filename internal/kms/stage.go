// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"claviger/internal/archive"
	"claviger/internal/keys"
	"claviger/internal/seal"
	"claviger/internal/store"
)

// stageRows bounds how many rows one transaction of a restore puts or removes.
const stageRows = 256

// stage is what a restore has staged so far. Rows are put as they are when their batch is
// written, so that a key's row counts the versions that are there, and no others.
type stage struct {
	revision int64    // of the row of the vault or key that is restored, as last written
	final    keys.Key // of a key that is restored: what it will be
	aliases  int

	vault *keys.Vault // that is restored; nil for a key
	key   *keys.Key   // that the next version is of, as it is to be put
	whole *keys.Key   // the same key, once all of its versions are there
	live  int         // versions of it that are not erased

	batch   []func(store.Tx) error
	keyRows []*keys.Key // that the batch puts; each learns its revision from the commit
	doubt   bool        // nobody knows whether the last batch was written
}

// stage reads the backup for the second time and stages what is in it.
func (x *restore) stage(ctx context.Context) error {
	x.staged, x.places = &stage{}, map[keys.ID]keys.ID{}
	err := x.records(ctx, func(ctx context.Context, rec *archive.Record) error {
		defer rec.Wipe()
		if err := x.stageRecord(ctx, rec); err != nil {
			return err
		}
		if len(x.staged.batch) < x.s.stageRows {
			return nil
		}
		return x.flush(ctx)
	})
	if err != nil {
		return err
	}
	x.keyWhole()
	return x.flush(ctx)
}

func (x *restore) stageRecord(ctx context.Context, rec *archive.Record) error {
	switch {
	case rec.Tenant != nil:
		x.places[rec.Tenant.ID] = x.tenant.ID
		return nil
	case rec.Compartment != nil:
		return x.placeCompartment(ctx, rec.Compartment)
	case rec.Vault != nil:
		return x.stageVault(ctx, rec.Vault)
	case rec.Key != nil:
		return x.stageKey(rec.Key)
	case rec.Alias != nil:
		return x.stageAlias(*rec.Alias)
	case rec.External != nil:
		return x.stageExternal(*rec.External)
	}
	return x.stageVersion(ctx, rec)
}

// placeCompartment finds the compartment here that one of the backup's is: by its id, or by what
// a cloud calls it.
func (x *restore) placeCompartment(ctx context.Context, theirs *keys.Compartment) error {
	return x.s.store.View(ctx, func(tx store.Tx) error {
		ids := []keys.ID{theirs.ID}
		for dialect, name := range theirs.Names {
			id := store.ExternalID{Dialect: dialect, Type: keys.TypeCompartment, Name: name}
			switch err := tx.Load(&id); {
			case err == nil:
				ids = append(ids, id.ID)
			case !errors.Is(err, store.ErrNotFound):
				return err
			}
		}
		for _, id := range ids {
			here := keys.Compartment{ID: id}
			switch err := tx.Load(&here); {
			case err == nil && here.Tenant == x.tenant.ID:
				x.places[theirs.ID] = here.ID
				return nil
			case err != nil && !errors.Is(err, store.ErrNotFound):
				return err
			}
		}
		return nil
	})
}

// stageVault puts the vault with its KEK and endpoint, at once: what follows is sealed under it.
func (x *restore) stageVault(ctx context.Context, v *keys.Vault) error {
	v.Tenant, v.Compartment, v.State = x.tenant.ID, x.into, keys.Restoring
	v.Restored, v.KEKGeneration = &keys.Restoration{From: v.ID, At: x.now}, firstGeneration
	under, err := x.s.tenantNow(ctx, v.Tenant)
	if err != nil {
		return err
	}
	kekRec, kek, err := x.s.hierarchy.newKEK(under, v.Tenant, v.ID, firstGeneration, x.now)
	if err != nil {
		return err
	}
	if v.Default {
		err := x.s.store.View(ctx, func(tx store.Tx) error {
			others, err := tx.Vaults(store.VaultQuery{Tenant: v.Tenant, Region: v.Region, OnlyDefault: true, HideDeleted: true})
			v.Default = len(others) == 0
			return err
		})
		if err != nil {
			return err
		}
	}
	had := v.Endpoint
	v.Endpoint = ""
	if x.s.endpoints != nil {
		if v.Endpoint, err = x.s.endpoints.Claim(ctx, v.ID, had); err != nil {
			return &keys.Error{Kind: keys.KindLimit, Noun: keys.TypeVault, Err: err, Hint: "no endpoint is free for another vault: " + err.Error()}
		}
	}
	x.staged.vault, x.vault = v, v
	x.add(func(tx store.Tx) error {
		if err := kekInForce(tx, kekRec, v.Tenant); err != nil {
			return err
		}
		return tx.Put(kekRec)
	})
	if err := x.flush(ctx); err != nil {
		return err
	}
	x.s.hierarchy.remember(v.ID, firstGeneration, kek)
	return nil
}

// stageKey begins a key. What its row says of its versions grows with them.
func (x *restore) stageKey(k *keys.Key) error {
	x.keyWhole()
	k.Tenant = x.tenant.ID
	if here, ok := x.places[k.Compartment]; ok {
		k.Compartment = here
	} else {
		k.Compartment = x.into
	}
	if x.apply {
		settleKey(k, x.now)
	}
	if k.Hidden && x.s.hsm != SoftwareLabelled {
		k.Protection = keys.Software // as a wrapping key that is made here
	}
	k.Restored = &keys.Restoration{From: k.ID, At: x.now}
	row := *k
	row.Versions, row.Primary = 0, keys.ID{}
	if x.kind == archive.KindKey {
		x.staged.final = *k
		row.State, row.Before = keys.Restoring, ""
	}
	x.staged.key, x.staged.whole, x.staged.live = &row, k, 0
	x.putKey()
	return nil
}

// keyWhole makes the key's row what the backup says, once all of its versions are there.
func (x *restore) keyWhole() {
	row, whole := x.staged.key, x.staged.whole
	if row == nil {
		return
	}
	row.Versions, row.Erased, row.Primary = whole.Versions, whole.Versions-x.staged.live, whole.Primary
	x.putKey()
}

// putKey makes the key's row part of the batch, once.
func (x *restore) putKey() {
	st, row := x.staged, x.staged.key
	if slices.Contains(st.keyRows, row) {
		return
	}
	st.keyRows = append(st.keyRows, row)
	x.add(func(tx store.Tx) error {
		put := *row
		if put.State == keys.Restoring {
			put.DeleteAt = x.lease()
		}
		return x.exclusive(tx.Put(&put), keys.TypeKey, put.ID)
	})
}

func (x *restore) stageAlias(a keys.Alias) error {
	if x.staged.whole.State == keys.Deleted {
		return nil
	}
	a.Tenant = x.tenant.ID
	x.add(func(tx store.Tx) error {
		put := a
		err := tx.Put(&put)
		if errors.Is(err, store.ErrExists) {
			if !slices.Contains(x.taken, a.Name) {
				x.taken = append(x.taken, a.Name)
			}
			return nil
		}
		return err
	})
	x.staged.aliases++
	return nil
}

func (x *restore) stageExternal(e archive.External) error {
	put := store.ExternalID{Dialect: e.Dialect, Type: e.Type, Tenant: x.tenant.ID, Region: x.manifest.Region, Name: e.Name, ID: e.ID}
	x.add(func(tx store.Tx) error {
		err := tx.Put(&put)
		if errors.Is(err, store.ErrExists) {
			return &keys.Error{Kind: keys.KindExists, Noun: e.Type, Action: x.action, Hint: "the name " + e.Name + " is that of something else by now"}
		}
		return err
	})
	return nil
}

func (x *restore) stageVersion(ctx context.Context, rec *archive.Record) error {
	st, v := x.staged, rec.Version
	v.Tenant, v.Restored = x.tenant.ID, &keys.Restoration{From: v.ID, At: x.now}
	material := rec.Material.Len() > 0
	if x.apply {
		material = settleVersion(st.whole, v, x.now) && material
	}
	if err := x.sealVersion(ctx, rec, material); err != nil {
		return err
	}
	if v.State != keys.Deleted {
		st.live++
	}
	st.key.Versions, st.key.Erased = v.Ordinal, v.Ordinal-st.live
	if v.ID == st.whole.Primary {
		st.key.Primary = v.ID
	}
	x.putKey()
	x.add(func(tx store.Tx) error {
		if err := x.inForce(tx, v); err != nil {
			return err
		}
		put := *v
		return x.exclusive(tx.Put(&put), keys.TypeVersion, put.ID)
	})
	return nil
}

// sealVersion seals a version's material, or, while it waits for that, what it will be recognized by.
func (x *restore) sealVersion(ctx context.Context, rec *archive.Record, material bool) error {
	v := rec.Version
	if material {
		return x.s.sealMaterial(ctx, v, x.vault.KEKGeneration, rec.Material)
	}
	if v.State != keys.PendingImport {
		return nil
	}
	v.KEKGeneration = x.vault.KEKGeneration
	kek, err := x.s.vaultKEK(ctx, v.Tenant, v.Vault, v.KEKGeneration)
	if err != nil {
		return err
	}
	if v.Fingerprint, err = seal.SealBox(x.s.rand, kek, fingerprintAAD(v), rec.Fingerprint); err != nil {
		return fmt.Errorf("seal fingerprint of material: %w", err)
	}
	return nil
}

// inForce refuses a version that is sealed under another KEK than its vault's new ones are. The
// vault's KEK is not replaced while anything of it is being restored, but was it before.
func (x *restore) inForce(tx store.Tx, v *keys.Version) error {
	if x.staged.vault != nil || (v.Sealed == nil && v.Fingerprint == nil) {
		return nil
	}
	vault, err := store.LoadVault(tx, v.Vault)
	if err != nil {
		return err
	}
	if inForce(v.KEKGeneration, vault.KEKGeneration) != nil {
		return &keys.Error{Kind: keys.KindUnavailable, Noun: keys.TypeVault, Err: errResealed, Hint: "the vault was resealed meanwhile: start the restore again"}
	}
	return nil
}

// exclusive tells whose id is taken.
func (x *restore) exclusive(err error, noun keys.Type, id keys.ID) error {
	if !errors.Is(err, store.ErrExists) {
		return err
	}
	return &keys.Error{Kind: keys.KindExists, Noun: noun, ID: id, Action: x.action, Hint: fmt.Sprintf("%s %s is there already, in another place", noun, id)}
}

func (x *restore) add(put func(store.Tx) error) { x.staged.batch = append(x.staged.batch, put) }

// flush writes the batch in one transaction, which begins with the row of the vault, if one is
// restored: only who wrote it last may go on.
func (x *restore) flush(ctx context.Context) error {
	st := x.staged
	if len(st.batch) == 0 {
		return nil
	}
	revision, err := x.s.store.Update(ctx, func(tx store.Tx) error {
		if st.vault != nil {
			put := *st.vault
			put.DeleteAt = x.lease()
			if err := x.exclusive(tx.Put(&put), keys.TypeVault, put.ID); err != nil {
				return err
			}
		}
		for _, put := range st.batch {
			if err := put(tx); err != nil {
				return err
			}
		}
		return nil
	})
	st.doubt = errors.Is(err, store.ErrUnknown)
	if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound) {
		return overtaken(nil)
	}
	if err != nil {
		return err
	}
	for _, k := range st.keyRows {
		k.Revision = revision
	}
	if st.vault != nil {
		st.vault.Revision, st.revision = revision, revision
	} else {
		st.revision = st.key.Revision
	}
	st.batch, st.keyRows = st.batch[:0], st.keyRows[:0]
	return nil
}
