// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"fmt"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// resealSchema is the first schema whose releases ask for the KEK that is in force before they seal.
const resealSchema = 24

const (
	resealVersion = `UPDATE versions SET sealed = $1, fingerprint = $2, kek_generation = $3
		WHERE id = $4 AND revision = $5 AND kek_generation < $3 AND state <> 'DELETED'`
	//nolint:gosec // G101: the text of a statement
	resealCredential = `UPDATE credentials SET sealed = $1, mac = $2, kek_generation = $3
		WHERE id = $4 AND revision = $5 AND kek_generation < $3`
	resealOwner = `UPDATE %s SET kek_generation = $1 WHERE id = $2 AND revision = $3 AND kek_generation < $1`
	resealKEK   = `UPDATE keks SET root = $1, sealed = $2 WHERE owner = $3 AND generation = $4`
	raiseFloor  = `UPDATE schema_floor SET version = $1 WHERE version < $1`
)

// Reseal implements [store.Tx].
func (t *tx) Reseal(rec store.Record) error {
	r, err := describe(rec)
	if err != nil {
		return err
	}
	if err := t.write(); err != nil {
		return err
	}
	if err = t.reseal(&r); err != nil {
		return fmt.Errorf("reseal in %s: %w", r.name, err)
	}
	return nil
}

func (t *tx) reseal(r *row) error {
	var n int64
	var err error
	switch rec := r.record.(type) {
	case *keys.Version:
		n, err = t.exec(resealVersion, (*blobCol)(&rec.Sealed), (*blobCol)(&rec.Fingerprint), rec.KEKGeneration, (*idCol)(&rec.ID), rec.Revision)
	case *identity.CredentialRow:
		n, err = t.exec(resealCredential, (*blobCol)(&rec.Sealed), (*blobCol)(&rec.MAC), rec.KEKGeneration, (*idCol)(&rec.ID), rec.Revision)
		t.announceKEK(&rec.Tenant) // committers remember credentials as long as the head stays
	case *keys.Vault:
		n, err = t.resealOwner(r, rec.KEKGeneration, rec.Revision)
	case *keys.Tenant:
		n, err = t.resealOwner(r, rec.KEKGeneration, rec.Revision)
	case *store.KEK:
		n, err = t.exec(resealKEK, rec.Root, (*blobCol)(&rec.Sealed), (*idCol)(&rec.Owner), rec.Generation)
	default:
		return fmt.Errorf("%T is not sealed", rec)
	}
	if err == nil && n == 0 {
		err = store.ErrConflict
	}
	return err
}

// resealOwner changes the KEK that new things are sealed under. The feed tells of a KEK: the owner
// has the revision that it had.
func (t *tx) resealOwner(r *row, generation int, revision int64) (int64, error) {
	n, err := t.exec(fmt.Sprintf(resealOwner, r.name), generation, (*idCol)(r.id), revision)
	if err != nil || n == 0 {
		return n, err
	}
	t.announceKEK(r.id)
	_, err = t.exec(raiseFloor, resealSchema)
	return n, err
}

// announceKEK tells that KEKs of an owner are others.
func (t *tx) announceKEK(owner *keys.ID) {
	t.announce(&row{table: kekTable, id: owner}, false)
}

// sealedUnder is the generation of the KEK that a record is sealed under.
func sealedUnder(rec store.Record) int {
	switch r := rec.(type) {
	case *keys.Version:
		return r.KEKGeneration
	case *identity.CredentialRow:
		return r.KEKGeneration
	}
	return 0
}
