// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// A World makes records with ids, names and times of their own, always the same ones. It
// belongs to one goroutine.
type World struct{ n uint64 }

// epoch is a little before the first record of a [World] was made.
var epoch = time.Date(2026, 2, 3, 4, 5, 6, 789_012_000, time.UTC)

const (
	home = keys.Region("home")
	away = keys.Region("away")
)

// ID makes an id.
func (w *World) ID() keys.ID {
	w.n++
	var id keys.ID
	binary.BigEndian.PutUint64(id[:], w.n*0x9e3779b97f4a7c15) // spread, as random ids are
	binary.BigEndian.PutUint64(id[8:], w.n)
	return id
}

// Time makes a time, a little later than the one before.
func (w *World) Time() time.Time {
	w.n++
	return epoch.Add(time.Duration(w.n) * time.Millisecond)
}

func (w *World) name(kind string) string {
	w.n++
	return fmt.Sprintf("%s-%d", kind, w.n)
}

// Tenant makes a tenant.
func (w *World) Tenant() *keys.Tenant {
	return &keys.Tenant{
		ID: w.ID(), Name: w.name("tenant"), CreatedAt: w.Time(),
		Names: keys.Names{"oci": w.name("ocid1.tenancy"), "alibaba": w.name("1234")}, KEKGeneration: 1,
	}
}

// Compartment makes a compartment in a tenant's root.
func (w *World) Compartment(t *keys.Tenant) *keys.Compartment {
	return &keys.Compartment{
		ID: w.ID(), Tenant: t.ID, Parent: t.ID, Name: w.name("compartment"), CreatedAt: w.Time(),
		Names: keys.Names{"oci": w.name("ocid1.compartment")},
	}
}

// Principal makes a principal.
func (w *World) Principal(t *keys.Tenant) *identity.Principal {
	return &identity.Principal{
		ID: w.ID(), Tenant: t.ID, Name: w.name("principal"), CreatedAt: w.Time(),
		Names: keys.Names{"oci": w.name("ocid1.user")},
	}
}

// Binding makes a binding of a principal to a role on its tenant.
func (w *World) Binding(p *identity.Principal) *identity.Binding {
	return &identity.Binding{ID: w.ID(), Tenant: p.Tenant, Principal: p.ID, Role: identity.Operator, CreatedAt: w.Time()}
}

// Credential makes an access key.
func (w *World) Credential(p *identity.Principal) *identity.CredentialRow {
	return &identity.CredentialRow{
		ID: w.ID(), Tenant: p.Tenant, Principal: p.ID, Kind: identity.AccessKey, Name: w.name("LTAI"),
		Sealed: []byte("sealed secret"), KEKGeneration: 2, MAC: []byte("mac"), CreatedAt: w.Time(),
	}
}

// Vault makes an active vault at home, with no endpoint.
func (w *World) Vault(t *keys.Tenant) *keys.Vault {
	return &keys.Vault{
		ID: w.ID(), Tenant: t.ID, Compartment: t.ID, Region: home, Name: w.name("vault"), Kind: keys.SharedVault,
		State: keys.Active, KEKGeneration: 1, CreatedAt: w.Time(),
	}
}

// Replica makes the replica of a vault, away and with no endpoint; the vault says so. The vault is
// to be put first, and again where it is stored.
func (w *World) Replica(v *keys.Vault) *keys.Replica {
	r := &keys.Replica{ID: w.ID(), Tenant: v.Tenant, Vault: v.ID, Region: away, State: keys.Active, CreatedAt: w.Time()}
	v.Replica = r.ID
	return r
}

// Key makes an enabled key without versions.
func (w *World) Key(v *keys.Vault) *keys.Key {
	return &keys.Key{
		ID: w.ID(), Tenant: v.Tenant, Compartment: v.Compartment, Vault: v.ID, Region: v.Region,
		Name: w.name("key"), Spec: keys.RSA2048, Usages: keys.UsageEncrypt | keys.UsageSign, Origin: keys.Generated,
		Protection: keys.Software, State: keys.Enabled, Creator: w.ID(), CreatedAt: w.Time(),
	}
}

// Hidden makes a key of the server's own, without versions.
func (w *World) Hidden(v *keys.Vault) *keys.Key {
	k := w.Key(v)
	k.Hidden = true
	return k
}

// Imported makes an enabled key and its version of imported material that is over at a time.
func (w *World) Imported(v *keys.Vault, until time.Time) (*keys.Key, *keys.Version) {
	k := w.Key(v)
	k.Spec, k.Origin, k.MaterialExpiresAt = keys.AES256, keys.Imported, until
	version := w.Version(k)
	version.PublicKey, version.Fingerprint = nil, []byte("sealed fingerprint")
	return k, version
}

// Version makes a key's next version and makes it the primary one. Both are to be put, the
// version first where the key is stored, the key first where it is not.
func (w *World) Version(k *keys.Key) *keys.Version {
	k.Versions++
	v := &keys.Version{
		ID: w.ID(), Tenant: k.Tenant, Vault: k.Vault, Key: k.ID, Region: k.Region, Ordinal: k.Versions,
		State: keys.Enabled, Origin: k.Origin, PublicKey: []byte("public"), Sealed: []byte("sealed material"),
		KEKGeneration: 1, CreatedAt: w.Time(),
	}
	k.Primary, k.LastVersionAt = v.ID, v.CreatedAt
	return v
}

// Alias makes an alias of a key.
func (w *World) Alias(k *keys.Key) *keys.Alias {
	return &keys.Alias{Tenant: k.Tenant, Region: k.Region, Name: w.name("alias/a"), Key: k.ID, CreatedAt: w.Time()}
}

// Grant makes a grant of a key to another tenant.
func (w *World) Grant(k *keys.Key, to *keys.Tenant) *keys.Grant {
	return &keys.Grant{
		ID: w.ID(), Tenant: k.Tenant, Key: k.ID, Grantee: to.ID,
		Actions: []keys.Action{keys.Encrypt, keys.Decrypt}, CreatedAt: w.Time(),
	}
}

// WorkRequest makes a work request that is under way, in a tenant's root compartment.
func (w *World) WorkRequest(t *keys.Tenant) *keys.WorkRequest {
	return &keys.WorkRequest{
		ID: w.ID(), Tenant: t.ID, Compartment: t.ID, Vault: w.ID(), Region: home, Action: keys.ReadVault,
		Status: keys.WorkInProgress, Creator: w.ID(), Owner: "node", CreatedAt: w.Time(), StartedAt: w.Time(),
	}
}

// erase makes a tombstone of a version, as of the given time, and counts it in its key.
func erase(k *keys.Key, v *keys.Version, at time.Time) {
	v.State, v.DeleteAt, v.Sealed, v.PublicKey, v.Fingerprint = keys.Deleted, at, nil, nil, nil
	k.Erased++
}

// basis is a tenant with an active vault, stored.
type basis struct {
	*World
	tenant *keys.Tenant
	vault  *keys.Vault
}

// fixture opens a store with a basis. At the end of the test the store is checked and closed.
func fixture(t *testing.T, open func(testing.TB) store.Store) (store.Store, *basis) {
	t.Helper()
	s := open(t)
	t.Cleanup(func() {
		if err := Check(context.Background(), s); err != nil && !isClosed(err) {
			t.Errorf("the store breaks invariants: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	b := &basis{World: &World{}}
	b.tenant = b.Tenant()
	b.vault = b.Vault(b.tenant)
	put(t, s, b.tenant, b.vault)
	return s, b
}

// put puts records in one transaction and answers its revision.
func put(t testing.TB, s store.Store, recs ...store.Record) int64 {
	t.Helper()
	return update(t, s, func(tx store.Tx) error { return putAll(tx, recs...) })
}

func putAll(tx store.Tx, recs ...store.Record) error {
	for _, rec := range recs {
		if err := tx.Put(rec); err != nil {
			return err
		}
	}
	return nil
}

// update runs a transaction that must succeed.
func update(t testing.TB, s store.Store, fn func(store.Tx) error) int64 {
	t.Helper()
	rev, err := s.Update(context.Background(), fn)
	if err != nil {
		t.Fatalf("update: %v", err)
	}
	return rev
}

// view runs a view that must succeed.
func view(t testing.TB, s store.Store, fn func(store.Tx) error) {
	t.Helper()
	if err := s.View(context.Background(), fn); err != nil {
		t.Fatalf("view: %v", err)
	}
}

// read answers what one call of a Tx lists.
func read[T any](t testing.TB, s store.Store, call func(store.Tx) (T, error)) T {
	t.Helper()
	var out T
	view(t, s, func(tx store.Tx) (err error) {
		out, err = call(tx)
		return err
	})
	return out
}
