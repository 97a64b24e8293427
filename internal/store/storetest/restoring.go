// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"claviger/internal/keys"
	"claviger/internal/store"
)

// testRestoring stages a vault and a key as a restore does, removes one of them and finishes the
// other: what is staged counts, is due to be removed at its time, and is removed without a trace.
func testRestoring(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	at := func(hour int) time.Time { return epoch.Add(time.Duration(hour) * time.Hour) }
	vault := b.Vault(b.tenant)
	vault.State, vault.DeleteAt, vault.Restored = keys.Restoring, at(1), &keys.Restoration{From: vault.ID, At: b.Time()}
	inVault, alone := b.Key(vault), b.Key(b.vault)
	inVault.Rotation.Next = at(1) // suspended by its vault
	alone.State, alone.DeleteAt, alone.Rotation.Next = keys.Restoring, at(2), at(1)
	first, second := b.Version(inVault), b.Version(alone)
	alone.Primary = keys.ID{} // which is yet to come
	for _, k := range []*keys.Key{inVault, alone} {
		k.Restored = &keys.Restoration{From: k.ID, At: b.Time()}
	}
	for _, v := range []*keys.Version{first, second} {
		v.Restored = &keys.Restoration{From: v.ID, At: b.Time()}
	}
	put(t, s, vault, inVault, first, alone, second)
	got := read(t, s, func(tx store.Tx) (*keys.Version, error) { return store.LoadVersion(tx, second.ID) })
	if diff := gocmp.Diff(second, got); diff != "" {
		t.Errorf("a restored version (-want +got):\n%s", diff)
	}
	for what, rec := range map[string]store.Record{
		"vault":   with(*vault, func(r *keys.Vault) { r.Restored = &keys.Restoration{From: b.ID()} }),
		"key":     with(*alone, func(r *keys.Key) { r.Restored = &keys.Restoration{From: b.ID()} }),
		"version": with(*second, func(r *keys.Version) { r.Restored = &keys.Restoration{From: b.ID()} }),
	} {
		_ = refused(t, s, what+" restored from another", func(tx store.Tx) error { return tx.Put(rec) })
	}
	due := func(when string, want ...store.Due) {
		t.Helper()
		got := read(t, s, func(tx store.Tx) ([]store.Due, error) { return tx.Due(at(9), 0) })
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("due %s (-want +got):\n%s", when, diff)
		}
	}
	dropKey := func() store.Due {
		return store.Due{At: alone.DeleteAt, Kind: store.DropKey, ID: alone.ID, Revision: alone.Revision}
	}
	due("at first", store.Due{At: at(1), Kind: store.DropVault, ID: vault.ID, Revision: vault.Revision}, dropKey())
	alone.DeleteAt, alone.Restored = at(3), &keys.Restoration{From: alone.ID, At: b.Time()}
	put(t, s, alone) // it goes on
	due("once the key's went on", store.Due{At: at(1), Kind: store.DropVault, ID: vault.ID, Revision: vault.Revision}, dropKey())
	counted := func(kind keys.Type, want int) {
		t.Helper()
		if n := read(t, s, func(tx store.Tx) (int, error) { return tx.Count(store.Counter{Type: kind, Tenant: b.tenant.ID}) }); n != want {
			t.Errorf("%d of type %s are counted, want %d", n, kind, want)
		}
	}
	counted(keys.TypeVault, 2)
	counted(keys.TypeVersion, 2)
	update(t, s, func(tx store.Tx) error {
		for _, rec := range []store.Record{first, inVault, vault} {
			if err := tx.Delete(rec); err != nil {
				return err
			}
		}
		return nil
	})
	counted(keys.TypeVault, 1)
	counted(keys.TypeKey, 1)
	due("once the vault is removed", dropKey())
	alone.State, alone.DeleteAt, alone.Primary, alone.Rotation.Next = keys.Enabled, time.Time{}, second.ID, time.Time{}
	put(t, s, alone)
	due("once the key is restored")
	vault.Revision = 0
	put(t, s, vault) // the same one again
}
