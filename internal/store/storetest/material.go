// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"claviger/internal/keys"
	"claviger/internal/store"
)

// testHidden has a hidden key among others: it is found by its id, listed only when asked for,
// and never counted, also not when it is erased and forgotten.
func testHidden(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	v := b.Vault(b.tenant)
	plain, hidden := b.Key(v), b.Hidden(v)
	first, version := b.Version(plain), b.Version(hidden)
	put(t, s, v, plain, hidden, first, version)
	got := read(t, s, func(tx store.Tx) (*keys.Key, error) { return store.LoadKey(tx, hidden.ID) })
	if diff := gocmp.Diff(hidden, got); diff != "" {
		t.Errorf("by its id (-want +got):\n%s", diff)
	}
	for _, q := range []store.KeyQuery{
		{},
		{Tenant: b.tenant.ID, Region: home},
		{Vault: v.ID},
		{Vault: v.ID, Specs: []keys.Spec{hidden.Spec}, HideDeleted: true},
		{Vault: v.ID, Page: store.Page{Sort: store.ByName, Limit: 9}},
	} {
		if rows := read(t, s, func(tx store.Tx) ([]*keys.Key, error) { return tx.Keys(q) }); len(rows) != 1 || rows[0].ID != plain.ID {
			t.Errorf("%+v lists %d keys, want the plain one alone", q, len(rows))
		}
		q.WithHidden = true
		if rows := read(t, s, func(tx store.Tx) ([]*keys.Key, error) { return tx.Keys(q) }); len(rows) != 2 {
			t.Errorf("%+v lists %d keys, want both", q, len(rows))
		}
	}
	counted := func(when string, want int) {
		t.Helper()
		for _, of := range []keys.Type{keys.TypeKey, keys.TypeVersion} {
			c := store.Counter{Type: of, Tenant: b.tenant.ID, Region: home}
			if n := read(t, s, func(tx store.Tx) (int, error) { return tx.Count(c) }); n != want {
				t.Errorf("%s: %d of type %s are counted, want %d", when, n, of, want)
			}
		}
	}
	counted("at first", 1)
	put(t, s, b.Version(hidden), hidden) // of a key that is stored already
	c := store.Counter{Type: keys.TypeVersion, Tenant: b.tenant.ID, Region: home}
	if n := read(t, s, func(tx store.Tx) (int, error) { return tx.Count(c) }); n != 1 {
		t.Errorf("%d versions are counted after a hidden key got another", n)
	}
	at := b.Time()
	all := read(t, s, func(tx store.Tx) ([]*keys.Version, error) { return tx.Versions(store.VersionQuery{Key: hidden.ID}) })
	update(t, s, func(tx store.Tx) error {
		for _, version := range all {
			erase(hidden, version, at)
			if err := tx.Put(version); err != nil {
				return err
			}
		}
		hidden.State, hidden.DeleteAt = keys.Deleted, at
		return tx.Put(hidden)
	})
	counted("after the erasure", 1)
	update(t, s, func(tx store.Tx) error {
		n, err := tx.Expire(store.Expiry{Tombstones: at.Add(time.Microsecond)}, 100)
		if n != 3 {
			t.Errorf("forgot %d, want the key and its versions", n)
		}
		return err
	})
	counted("when it is forgotten", 1)
}

// testMaterial follows keys of imported material: their time is due while they have material,
// whatever their state, and once only; without it their versions keep the fingerprint.
func testMaterial(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	at := func(hour int) time.Time { return epoch.Add(time.Duration(hour) * time.Hour) }
	enabled, v1 := b.Imported(b.vault, at(1))
	disabled, v2 := b.Imported(b.vault, at(2))
	pending, v3 := b.Imported(b.vault, at(3))
	disabled.State = keys.Disabled
	pending.State, pending.Before, pending.DeleteAt = keys.PendingDeletion, keys.Enabled, at(9)
	forever, v4 := b.Imported(b.vault, time.Time{})
	erased, v5 := b.Imported(b.vault, at(1))
	erase(erased, v5, at(1))
	erased.State, erased.DeleteAt = keys.Deleted, at(1)
	put(t, s, enabled, disabled, pending, forever, erased, v1, v2, v3, v4, v5)
	due := func(when string, want ...store.Due) {
		t.Helper()
		got := read(t, s, func(tx store.Tx) ([]store.Due, error) { return tx.Due(at(5), 0) })
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	expiry := func(k *keys.Key) store.Due {
		return store.Due{At: k.MaterialExpiresAt, Kind: store.ExpireMaterial, ID: k.ID, Revision: k.Revision}
	}
	due("at first", expiry(enabled), expiry(disabled), expiry(pending))

	for _, gone := range []*struct {
		k *keys.Key
		v *keys.Version
	}{{enabled, v1}, {pending, v3}} {
		gone.v.State, gone.v.Sealed = keys.PendingImport, nil
		if gone.k.State == keys.PendingDeletion {
			gone.k.Before = keys.PendingImport
		} else {
			gone.k.State = keys.PendingImport
		}
		put(t, s, gone.k, gone.v)
		got := read(t, s, func(tx store.Tx) (*keys.Version, error) { return store.LoadVersion(tx, gone.v.ID) })
		if diff := gocmp.Diff(gone.v, got); diff != "" {
			t.Errorf("a version without its material (-want +got):\n%s", diff)
		}
	}
	due("after two were carried out", expiry(disabled))

	v1.State, v1.Sealed, enabled.State, enabled.MaterialExpiresAt = keys.Enabled, []byte("sealed again"), keys.Enabled, at(4)
	put(t, s, enabled, v1)
	due("after one was imported again", expiry(disabled), expiry(enabled))
}
