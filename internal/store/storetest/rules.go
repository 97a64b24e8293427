// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// refused runs a transaction that must not succeed, and answers why.
func refused(t *testing.T, s store.Store, what string, fn func(store.Tx) error) error {
	t.Helper()
	before := read(t, s, store.Tx.Head)
	_, err := s.Update(context.Background(), fn)
	if err == nil {
		t.Errorf("%s: succeeded", what)
	}
	if after := read(t, s, store.Tx.Head); after != before {
		t.Errorf("%s: was refused and moved the head from %+v to %+v", what, before, after)
	}
	return err
}

func testUnique(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	tenant, elsewhere := b.tenant, b.Tenant()
	principal := b.Principal(tenant)
	credential := b.Credential(principal)
	k := b.Key(b.vault)
	version := b.Version(k)
	alias := b.Alias(k)
	put(t, s, elsewhere, principal, credential, k, version, alias)
	v := b.Vault(tenant)
	v.Default, v.Endpoint = true, "7444"
	kek := &store.KEK{Owner: v.ID, Generation: 1, Sealed: []byte{1}, CreatedAt: b.Time()}
	external := &store.ExternalID{Dialect: "oci", Type: keys.TypeKey, Tenant: tenant.ID, Name: "n", ID: k.ID}
	token := &store.Token{Principal: principal.ID, Operation: "o", Token: "t", ExpiresAt: b.Time()}
	nonce := &store.Nonce{Hash: [16]byte{9}, ExpiresAt: b.Time()}
	put(t, s, v, kek, external, token, nonce)

	taken := map[string]store.Record{
		"tenant's id":           with(*b.Tenant(), func(r *keys.Tenant) { r.ID = tenant.ID }),
		"tenant's name":         with(*b.Tenant(), func(r *keys.Tenant) { r.Name = tenant.Name }),
		"principal's name":      with(*b.Principal(tenant), func(r *identity.Principal) { r.Name = principal.Name }),
		"credential's name":     with(*b.Credential(principal), func(r *identity.CredentialRow) { r.Name = credential.Name }),
		"default vault":         with(*b.Vault(tenant), func(r *keys.Vault) { r.Default = true }),
		"vault's endpoint":      with(*b.Vault(elsewhere), func(r *keys.Vault) { r.Endpoint = v.Endpoint }),
		"vault's id":            with(*b.Vault(tenant), func(r *keys.Vault) { r.ID = v.ID }),
		"key's id":              with(*b.Key(v), func(r *keys.Key) { r.ID = k.ID }),
		"version's ordinal":     with(*version, func(r *keys.Version) { r.ID, r.Revision = b.ID(), 0 }),
		"version's id":          with(*version, func(r *keys.Version) { r.Ordinal, r.Revision = 7, 0 }),
		"alias":                 with(*alias, func(r *keys.Alias) { r.Revision = 0 }),
		"kek's generation":      with(*kek, func(r *store.KEK) { r.Root = "other" }),
		"external id":           with(*external, func(r *store.ExternalID) { r.ID = v.ID }),
		"idempotency token":     with(*token, func(r *store.Token) { r.Fingerprint[0]++ }),
		"nonce":                 nonce,
		"tenant's name, rename": with(*elsewhere, func(r *keys.Tenant) { r.Name = tenant.Name }),
		"vault's endpoint, set": with(*b.vault, func(r *keys.Vault) { r.Endpoint = v.Endpoint }),
		"default vault, set":    with(*b.vault, func(r *keys.Vault) { r.Default = true }),
	}
	for what, rec := range taken {
		err := refused(t, s, what, func(tx store.Tx) error { return tx.Put(rec) })
		if !errors.Is(err, store.ErrExists) {
			t.Errorf("%s is taken: %v, want ErrExists", what, err)
		}
		// The refusal may be handled: the transaction goes on.
		update(t, s, func(tx store.Tx) error {
			if err := tx.Put(rec); !errors.Is(err, store.ErrExists) {
				return errors.Join(errors.New(what), err)
			}
			return tx.Put(&store.Setting{Name: what, Value: "went on"})
		})
	}
	free := []store.Record{
		with(*b.Principal(elsewhere), func(r *identity.Principal) { r.Name = principal.Name }),
		with(*b.Credential(principal), func(r *identity.CredentialRow) { r.Kind, r.Name = identity.RSAKey, credential.Name }),
		with(*b.Vault(tenant), func(r *keys.Vault) { r.Default, r.Region = true, away }),
		with(*b.Vault(elsewhere), func(r *keys.Vault) { r.Default = true }),
		with(*b.Vault(tenant), func(r *keys.Vault) { r.Name = v.Name }),
		with(*b.Key(v), func(r *keys.Key) { r.Name = k.Name }),
		&store.KEK{Owner: v.ID, Generation: 2, Sealed: []byte{1}, CreatedAt: b.Time()},
		&store.KEK{Generation: 1, Sealed: []byte{1}, CreatedAt: b.Time()},
	}
	put(t, s, free...)
	v.State, v.DeleteAt = keys.Deleted, b.Time()
	put(t, s, v, with(*b.Vault(tenant), func(r *keys.Vault) { r.Default = true })) // the place is free again
}

// with is a changed copy of a record.
func with[T any](rec T, change func(*T)) *T {
	change(&rec)
	return &rec
}

func testFixed(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	other := b.Tenant()
	k := b.Key(b.vault)
	v, w := b.Version(k), b.WorkRequest(b.tenant)
	put(t, s, other, k, v, w)
	for what, rec := range map[string]store.Record{
		"tenant's creation":  with(*other, func(r *keys.Tenant) { r.CreatedAt = b.Time() }),
		"vault's region":     with(*b.vault, func(r *keys.Vault) { r.Region = away }),
		"vault's tenant":     with(*b.vault, func(r *keys.Vault) { r.Tenant = other.ID }),
		"key's spec":         with(*k, func(r *keys.Key) { r.Spec = keys.AES256 }),
		"key's hiding":       with(*k, func(r *keys.Key) { r.Hidden = true }),
		"key's vault":        with(*k, func(r *keys.Key) { r.Vault = b.ID() }),
		"version's ordinal":  with(*v, func(r *keys.Version) { r.Ordinal = 2 }),
		"version's key":      with(*v, func(r *keys.Version) { r.Key = b.ID() }),
		"work's region":      with(*w, func(r *keys.WorkRequest) { r.Region = away }),
		"version's creation": with(*v, func(r *keys.Version) { r.CreatedAt = b.Time() }),
		"key's lack of id":   with(*b.Key(b.vault), func(r *keys.Key) { r.ID = keys.ID{} }),
		"what is no record":  new(int),
	} {
		err := refused(t, s, what, func(tx store.Tx) error { return tx.Put(rec) })
		for _, wrong := range []error{store.ErrConflict, store.ErrExists, store.ErrUnknown} {
			if errors.Is(err, wrong) {
				t.Errorf("%s: %v, which would be tried again", what, err)
			}
		}
	}
	for what, rec := range map[string]store.Record{
		"vault of no tenant": with(*b.Vault(b.tenant), func(r *keys.Vault) { r.Tenant = b.ID() }),
		"key of no vault":    with(*b.Key(b.vault), func(r *keys.Key) { r.Vault = b.ID() }),
		"version of no key":  with(*v, func(r *keys.Version) { r.ID, r.Key, r.Revision = b.ID(), b.ID(), 0 }),
		"alias of no key":    with(*b.Alias(k), func(r *keys.Alias) { r.Key = b.ID() }),
	} {
		_ = refused(t, s, what, func(tx store.Tx) error { return tx.Put(rec) })
	}
	_ = refused(t, s, "deletion of a key with versions", func(tx store.Tx) error { return tx.Delete(k) })
}

// testTombstones holds the store to what it must never keep of an erased record.
func testTombstones(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	k := b.Key(b.vault)
	first, second := b.Version(k), b.Version(k)
	put(t, s, k, first, second)
	at := b.Time()
	for what, rec := range map[string]store.Record{
		"erased version with material": with(*first, func(r *keys.Version) { r.State, r.DeleteAt = keys.Deleted, at }),
		"erased version with a fingerprint": with(*first, func(r *keys.Version) {
			r.State, r.DeleteAt, r.Sealed, r.Fingerprint = keys.Deleted, at, nil, []byte("sealed fingerprint")
		}),
		"waiting version with material": with(*first, func(r *keys.Version) { r.State = keys.PendingImport }),
		"erased version at no time":     with(*first, func(r *keys.Version) { r.State, r.Sealed = keys.Deleted, nil }),
		"erased key with tags": with(*k, func(r *keys.Key) {
			r.State, r.DeleteAt, r.Tags = keys.Deleted, at, keys.Tags{Plain: map[string]string{"a": "b"}}
		}),
		"erased vault at no time":  with(*b.vault, func(r *keys.Vault) { r.State = keys.Deleted }),
		"pending key at no time":   with(*k, func(r *keys.Key) { r.State = keys.PendingDeletion }),
		"pending vault at no time": with(*b.vault, func(r *keys.Vault) { r.State = keys.PendingDeletion }),
	} {
		_ = refused(t, s, what, func(tx store.Tx) error { return tx.Put(rec) })
	}
	erase(k, first, at)
	put(t, s, first, k)
	back := *first
	back.State, back.Sealed = keys.Enabled, []byte("sealed material")
	_ = refused(t, s, "an erased version enabled again", func(tx store.Tx) error { return tx.Put(&back) })
	put(t, s, first) // a tombstone may be replaced by one
	got := read(t, s, func(tx store.Tx) (*keys.Version, error) { return store.LoadVersion(tx, first.ID) })
	if diff := cmp.Diff(first, got); diff != "" {
		t.Errorf("tombstone (-want +got):\n%s", diff)
	}
}

func testLookUps(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	p := b.Principal(b.tenant)
	p.SessionEpoch, p.AssumableBy = 1, []keys.ID{b.ID()}
	access, signing := b.Credential(p), b.Credential(p)
	signing.Kind, signing.Name, signing.PublicKey, signing.Sealed = identity.RSAKey, access.Name, []byte("der"), nil
	put(t, s, p, access, signing)
	owner := b.ID()
	for generation := range 3 {
		put(t, s, &store.KEK{Owner: owner, Generation: generation + 1, Sealed: []byte{byte(generation)}, CreatedAt: b.Time()})
	}
	put(t, s, &store.KEK{Owner: b.ID(), Generation: 9, Sealed: []byte{9}, CreatedAt: b.Time()})
	view(t, s, func(tx store.Tx) error {
		for _, want := range []*identity.CredentialRow{access, signing} {
			got := &identity.CredentialRow{Kind: want.Kind, Name: want.Name}
			if err := tx.Load(got); err != nil {
				return err
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("credential by name (-want +got):\n%s", diff)
			}
		}
		named := &identity.Principal{Tenant: p.Tenant, Name: p.Name}
		if err := tx.Load(named); err != nil {
			return err
		}
		if diff := cmp.Diff(p, named); diff != "" {
			t.Errorf("principal by name (-want +got):\n%s", diff)
		}
		newest, second := &store.KEK{Owner: owner}, &store.KEK{Owner: owner, Generation: 2}
		if err := errors.Join(tx.Load(newest), tx.Load(second)); err != nil {
			return err
		}
		if newest.Generation != 3 || newest.Sealed[0] != 2 || second.Sealed[0] != 1 {
			t.Errorf("KEKs: newest is %+v, second is %+v", newest, second)
		}
		for _, rec := range []store.Record{
			&store.KEK{Owner: b.ID()}, &store.KEK{Owner: owner, Generation: 4}, &identity.CredentialRow{Kind: "x", Name: access.Name},
			&identity.Principal{Tenant: b.ID(), Name: p.Name}, &identity.Principal{Tenant: p.Tenant, Name: "x"}, &identity.Principal{},
		} {
			if err := tx.Load(rec); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("load of %+v: %v, want ErrNotFound", rec, err)
			}
		}
		return nil
	})
	update(t, s, func(tx store.Tx) error {
		return tx.Delete(&identity.CredentialRow{Kind: access.Kind, Name: access.Name})
	})
	left := read(t, s, func(tx store.Tx) ([]*identity.CredentialRow, error) { return tx.Credentials(b.tenant.ID) })
	if diff := cmp.Diff([]*identity.CredentialRow{signing}, left); diff != "" {
		t.Errorf("credentials after one was deleted by name (-want +got):\n%s", diff)
	}
}
