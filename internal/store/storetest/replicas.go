// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"claviger/internal/keys"
	"claviger/internal/store"
)

// testReplicas gives vaults replicas, finds the vaults by where these are, and takes them away.
func testReplicas(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	others := b.Tenant()
	first, second, plain, foreign := b.Vault(b.tenant), b.Vault(b.tenant), b.Vault(b.tenant), b.Vault(others)
	second.CreatedAt = first.CreatedAt.Add(-time.Second) // the order is that of the vaults
	r1, r2, r3 := b.Replica(first), b.Replica(second), b.Replica(foreign)
	r1.Endpoint = "8443"
	put(t, s, others, first, second, plain, foreign, r1, r2, r3)

	vaults := func(q store.VaultQuery) []*keys.Vault {
		t.Helper()
		return read(t, s, func(tx store.Tx) ([]*keys.Vault, error) { return tx.Vaults(q) })
	}
	for what, c := range map[string]struct {
		q    store.VaultQuery
		want []*keys.Vault
	}{
		"of one tenant":        {store.VaultQuery{Tenant: b.tenant.ID, ReplicaIn: away}, []*keys.Vault{second, first}},
		"of another":           {store.VaultQuery{Tenant: others.ID, ReplicaIn: away}, []*keys.Vault{foreign}},
		"where there are none": {store.VaultQuery{Tenant: b.tenant.ID, ReplicaIn: home}, nil},
		"after one": {store.VaultQuery{Tenant: b.tenant.ID, ReplicaIn: away, Page: store.Page{
			After: &store.Mark{Time: second.CreatedAt, ID: second.ID}, Limit: 1,
		}}, []*keys.Vault{first}},
	} {
		if diff := gocmp.Diff(c.want, vaults(c.q)); diff != "" {
			t.Errorf("vaults with a replica, %s (-want +got):\n%s", what, diff)
		}
	}
	for tenant, want := range map[keys.ID][]*keys.Replica{{}: {r1, r2, r3}, b.tenant.ID: {r1, r2}, others.ID: {r3}, b.ID(): nil} {
		got := read(t, s, func(tx store.Tx) ([]*keys.Replica, error) { return tx.Replicas(tenant) })
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("replicas of %s (-want +got):\n%s", tenant, diff)
		}
	}
	served := b.Vault(b.tenant)
	served.Endpoint = "8444"
	put(t, s, served)
	at := func(endpoint string) *keys.Replica {
		r := b.Replica(with(*plain, func(*keys.Vault) {}))
		r.Endpoint = endpoint
		return r
	}
	for what, rec := range map[string]store.Record{
		"a replica at a replica's endpoint": at(r1.Endpoint),
		"a replica at a vault's":            at(served.Endpoint),
		"a vault at a replica's":            with(*b.Vault(b.tenant), func(v *keys.Vault) { v.Endpoint = r1.Endpoint }),
		"a vault moved to a replica's":      with(*served, func(v *keys.Vault) { v.Endpoint = r1.Endpoint }),
	} {
		if err := refused(t, s, what, func(tx store.Tx) error { return tx.Put(rec) }); !errors.Is(err, store.ErrExists) {
			t.Errorf("%s: %v, want ErrExists", what, err)
		}
	}
	for what, rec := range map[string]*keys.Replica{
		"deleted at no time": with(*r1, func(r *keys.Replica) { r.State = keys.Deleted }),
		"moved":              with(*r1, func(r *keys.Replica) { r.Region = home }),
		"of no vault":        with(*r1, func(r *keys.Replica) { r.ID, r.Vault, r.Endpoint, r.Revision = b.ID(), b.ID(), "", 0 }),
	} {
		_ = refused(t, s, "a replica "+what, func(tx store.Tx) error { return tx.Put(rec) })
	}

	// What a vault says decides; the tombstone only holds the endpoint.
	erased := b.Time()
	first.Replica, r1.State, r1.DeleteAt = keys.ID{}, keys.Deleted, erased
	put(t, s, first, r1)
	if diff := gocmp.Diff([]*keys.Vault{second}, vaults(store.VaultQuery{Tenant: b.tenant.ID, ReplicaIn: away})); diff != "" {
		t.Errorf("vaults after a replica was deleted (-want +got):\n%s", diff)
	}
	second.State, second.DeleteAt, r2.State, r2.DeleteAt = keys.Deleted, erased, keys.Deleted, erased
	put(t, s, second, r2)
	forgotten := 0
	update(t, s, func(tx store.Tx) (err error) {
		forgotten, err = tx.Expire(store.Expiry{Tombstones: erased.Add(time.Microsecond)}, 100)
		return err
	})
	if forgotten != 3 { // two replicas, and the vault that one of them kept
		t.Errorf("forgot %d, want two replicas and a vault", forgotten)
	}
	left := read(t, s, func(tx store.Tx) ([]*keys.Replica, error) { return tx.Replicas(keys.ID{}) })
	if diff := gocmp.Diff([]*keys.Replica{r3}, left); diff != "" {
		t.Errorf("replicas that are left (-want +got):\n%s", diff)
	}
}
