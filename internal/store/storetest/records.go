// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// sample is a record of one type with every field set, and what the suite does with it.
type sample struct {
	name     string
	rec      store.Record
	parents  []store.Record
	identity func() store.Record // only what Load goes by
	change   func()              // every field that may change; nil: it cannot be replaced
}

// samples makes one of each type.
func samples(b *basis) []sample {
	t, v := b.Tenant(), b.Vault(b.tenant)
	principal, other := b.Principal(b.tenant), b.Tenant()
	parent := b.Key(b.vault)
	kek := &store.KEK{Owner: b.ID(), Generation: 3, Root: "root-1", Sealed: []byte("sealed kek"), CreatedAt: b.Time()}
	setting := &store.Setting{Name: "clock", Value: "1 2"}
	external := &store.ExternalID{Dialect: "alibaba", Type: keys.TypeKey, Tenant: b.tenant.ID, Region: home, Name: "key-1", ID: b.ID()}
	token := &store.Token{
		Principal: b.ID(), Operation: "CreateKey", Token: "t", Fingerprint: [32]byte{1, 2}, Type: keys.TypeKey,
		Result: []byte(`{"a":1}`), ID: b.ID(), ExpiresAt: b.Time(),
	}
	nonce := &store.Nonce{Hash: [16]byte(b.ID()), ExpiresAt: b.Time()}
	return append(identities(b, t, principal), []sample{
		{"vault", v, nil, func() store.Record { return &keys.Vault{ID: v.ID} }, func() { fillVault(b, v) }},
		replicaSample(b),
		keySample(b),
		versionSample(b),
		aliasSample(b),
		grantSample(b, parent, other),
		workSample(b),
		{"kek", kek, nil, func() store.Record { return &store.KEK{Owner: kek.Owner, Generation: 3} }, nil},
		{"setting", setting, nil, func() store.Record { return &store.Setting{Name: setting.Name} }, func() { setting.Value = "3 4" }},
		{"external id", external, nil, func() store.Record {
			return &store.ExternalID{Dialect: "alibaba", Type: keys.TypeKey, Tenant: b.tenant.ID, Region: home, Name: "key-1"}
		}, nil},
		{"token", token, nil, func() store.Record {
			return &store.Token{Principal: token.Principal, Operation: token.Operation, Token: token.Token}
		}, nil},
		{"nonce", nonce, nil, func() store.Record { return &store.Nonce{Hash: nonce.Hash} }, nil},
	}...)
}

func identities(b *basis, t *keys.Tenant, principal *identity.Principal) []sample {
	c, member := b.Compartment(b.tenant), b.Principal(b.tenant)
	binding, credential := b.Binding(principal), b.Credential(principal)
	binding.Vault = b.vault.ID
	credential.PublicKey = []byte("public")
	return []sample{
		{"tenant", t, nil, func() store.Record { return &keys.Tenant{ID: t.ID} }, func() {
			t.Name, t.Names = "renamed", keys.Names{"oci": "other", "<&>\u2028": "\"\\\x00é"}
		}},
		{"compartment", c, nil, func() store.Record { return &keys.Compartment{ID: c.ID} }, func() {
			c.Name, c.Parent, c.Names = "renamed", keys.ID{}, nil
		}},
		{"principal", member, nil, func() store.Record { return &identity.Principal{ID: member.ID} }, func() {
			member.Name, member.Names = "renamed", nil
			member.SessionEpoch, member.AssumableBy = 3, []keys.ID{principal.ID, member.ID}
		}},
		{"binding", binding, []store.Record{principal}, func() store.Record { return &identity.Binding{ID: binding.ID} }, func() {
			binding.Role, binding.Vault = identity.Auditor, keys.ID{}
		}},
		{"credential", credential, nil, func() store.Record { return &identity.CredentialRow{ID: credential.ID} }, func() {
			credential.Sealed, credential.MAC, credential.KEKGeneration = []byte("resealed"), []byte("other"), 3
			credential.Disabled = true
		}},
	}
}

func fillVault(b *basis, v *keys.Vault) {
	v.Compartment, v.Name, v.Default, v.Endpoint = b.ID(), "renamed", true, "8443"
	v.State, v.DeleteAt, v.Restored = keys.PendingDeletion, b.Time(), &keys.Restoration{At: b.Time()}
	v.Tags = keys.Tags{Plain: map[string]string{"a": "b"}, Namespaced: map[string]map[string]string{"n": {"c": "d"}}}
}

func replicaSample(b *basis) sample {
	v := b.Vault(b.tenant)
	r := b.Replica(v)
	v.Replica = keys.ID{} // it was taken away
	r.Endpoint, r.State, r.DeleteAt = "9443", keys.Deleted, b.Time()
	return sample{"replica", r, []store.Record{v}, func() store.Record { return &keys.Replica{ID: r.ID} }, func() {
		r.DeleteAt = b.Time()
	}}
}

func keySample(b *basis) sample {
	k := b.Key(b.vault)
	return sample{"key", k, nil, func() store.Record { return &keys.Key{ID: k.ID} }, func() {
		k.Compartment, k.Name, k.Description = b.ID(), "renamed", "text"
		k.State, k.Before, k.DeleteAt = keys.PendingDeletion, keys.Disabled, b.Time()
		k.Rotation = keys.Rotation{
			Interval: 30*24*time.Hour + time.Microsecond, Start: b.Time(), Next: b.Time(), Last: b.Time(),
			Status: "FAILED", Message: "why",
		}
		k.DeletionProtected, k.DeletionProtection = true, "dear"
		k.MaterialExpiresAt, k.Restored = b.Time(), &keys.Restoration{At: b.Time()}
		k.Tags = keys.Tags{Plain: map[string]string{"": ""}}
	}}
}

// versionSample is a version of a key that has it already.
func versionSample(b *basis) sample {
	k := b.Key(b.vault)
	first := b.Version(k)
	v := b.Version(k)
	v.Fingerprint = []byte("sealed fingerprint")
	k.Primary = first.ID
	return sample{"version", v, []store.Record{k, first}, func() store.Record { return &keys.Version{ID: v.ID} }, func() {
		v.State, v.DeleteAt = keys.PendingDeletion, b.Time()
		v.Sealed, v.Fingerprint, v.KEKGeneration, v.PublicKey = []byte("resealed"), nil, 2, nil
	}}
}

func aliasSample(b *basis) sample {
	k, to := b.Key(b.vault), b.Key(b.vault)
	a := b.Alias(k)
	return sample{"alias", a, []store.Record{k, to}, func() store.Record {
		return &keys.Alias{Tenant: a.Tenant, Region: a.Region, Name: a.Name}
	}, func() { a.Key = to.ID }}
}

func grantSample(b *basis, k *keys.Key, to *keys.Tenant) sample {
	g := b.Grant(k, to)
	return sample{"grant", g, []store.Record{k, to}, func() store.Record { return &keys.Grant{ID: g.ID} }, func() {
		g.Actions = []keys.Action{keys.Sign}
	}}
}

func workSample(b *basis) sample {
	w := b.WorkRequest(b.tenant)
	return sample{"work request", w, nil, func() store.Record { return &keys.WorkRequest{ID: w.ID} }, func() {
		w.Status, w.Percent, w.Owner = keys.WorkFailed, 73, "other"
		w.StartedAt, w.FinishedAt = b.Time(), b.Time()
		w.Resources = []keys.WorkResource{
			{Type: keys.TypeVault, ID: b.ID(), Region: home, Effect: keys.WorkCreated},
			{Type: keys.TypeKey, ID: b.ID(), Vault: b.ID(), Region: away, Effect: keys.WorkRelated},
		}
		w.Errors = []keys.WorkNote{{At: b.Time(), Kind: keys.KindInvalid, Noun: keys.TypeKey, Field: "name", Text: "<&>\u2028"}}
		w.Logs = []keys.WorkNote{{At: b.Time(), Text: "begun"}, {At: b.Time()}}
	}}
}

// revision is a record's revision, nil where its type has none.
func revision(rec store.Record) *int64 {
	f := reflect.ValueOf(rec).Elem().FieldByName("Revision")
	if !f.IsValid() {
		return nil
	}
	return f.Addr().Interface().(*int64)
}

// stored loads the record with the identity of a sample.
func (x *sample) stored(tx store.Tx) (store.Record, error) {
	rec := x.identity()
	return rec, tx.Load(rec)
}

func same(t *testing.T, s store.Store, x sample, when string) {
	t.Helper()
	got := read(t, s, x.stored)
	if diff := cmp.Diff(x.rec, got); diff != "" {
		t.Errorf("%s %s: stored is otherwise (-want +got):\n%s", x.name, when, diff)
	}
}

func testRecords(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	for _, x := range samples(b) {
		put(t, s, x.parents...)
		rev := put(t, s, x.rec)
		if at := revision(x.rec); at != nil && (*at != rev || rev == 0) {
			t.Errorf("%s: put in revision %d says %d", x.name, rev, *at)
		}
		same(t, s, x, "inserted")
		if x.change != nil {
			x.change()
			update(t, s, func(tx store.Tx) error { // twice in one transaction
				if err := tx.Put(x.rec); err != nil {
					return err
				}
				got, err := x.stored(tx)
				if diff := cmp.Diff(x.rec, got); diff != "" {
					t.Errorf("%s: its transaction reads it otherwise (-want +got):\n%s", x.name, diff)
				}
				return errors.Join(err, tx.Put(x.rec))
			})
			same(t, s, x, "replaced")
		}
		if x.name == "version" { // its key counts on it
			continue
		}
		for range 2 {
			update(t, s, func(tx store.Tx) error { return tx.Delete(x.identity()) })
		}
		view(t, s, func(tx store.Tx) error {
			if err := tx.Load(x.identity()); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: load after delete: %v, want ErrNotFound", x.name, err)
			}
			return nil
		})
	}
}

// testEmptyRecords stores records with as little in them as there can be, and expects that
// nothing is read as something.
func testEmptyRecords(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	at := b.Time()
	tenant := &keys.Tenant{ID: b.ID(), CreatedAt: at}
	v := &keys.Vault{ID: b.ID(), Tenant: tenant.ID, Region: home, CreatedAt: at}
	k := &keys.Key{ID: b.ID(), Tenant: tenant.ID, Vault: v.ID, Region: home, CreatedAt: at, State: keys.PendingImport}
	p := &identity.Principal{ID: b.ID(), Tenant: tenant.ID, CreatedAt: at}
	for _, x := range []sample{
		{"tenant", tenant, nil, func() store.Record { return &keys.Tenant{ID: tenant.ID} }, nil},
		{"vault", v, nil, func() store.Record { return &keys.Vault{ID: v.ID} }, nil},
		{"key", k, nil, func() store.Record { return &keys.Key{ID: k.ID} }, nil},
		{"principal", p, nil, func() store.Record { return &identity.Principal{ID: p.ID} }, nil},
	} {
		put(t, s, x.rec)
		same(t, s, x, "with nothing in it")
	}
	full := b.Vault(b.tenant)
	full.Tags, full.Default = keys.Tags{Plain: map[string]string{}, Namespaced: map[string]map[string]string{}}, true
	put(t, s, full)
	got := read(t, s, func(tx store.Tx) (*keys.Vault, error) { return store.LoadVault(tx, full.ID) })
	if diff := cmp.Diff(full, got, cmpopts.EquateEmpty()); diff != "" || got.Tags.Plain != nil || got.Tags.Namespaced != nil {
		t.Errorf("empty tags are not read as nil: %+v\n%s", got.Tags, diff)
	}
}

// testConflicts replaces with revisions that are not the stored one.
func testConflicts(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	for _, x := range samples(b) {
		at := revision(x.rec)
		if at == nil {
			continue
		}
		put(t, s, x.parents...)
		put(t, s, x.rec)
		right := *at
		for _, wrong := range []int64{right - 1, right + 1, 1 << 40} {
			*at = wrong
			if _, err := s.Update(context.Background(), func(tx store.Tx) error { return tx.Put(x.rec) }); !errors.Is(err, store.ErrConflict) {
				t.Errorf("%s: put with revision %d, stored is %d: %v, want ErrConflict", x.name, wrong, right, err)
			}
			if *at != wrong {
				t.Errorf("%s: a refused put set the revision to %d", x.name, *at)
			}
		}
		*at = right
		same(t, s, x, "after refused puts")
		put(t, s, x.rec)
	}
	gone := b.Key(b.vault)
	gone.Revision = 1
	if _, err := s.Update(context.Background(), func(tx store.Tx) error { return tx.Put(gone) }); !errors.Is(err, store.ErrConflict) {
		t.Errorf("replace what is not there: %v, want ErrConflict", err)
	}
}
