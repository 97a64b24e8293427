// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// testReseal changes how records are sealed: their revisions stay, what was read before another
// change or is sealed under an older KEK is refused, and nothing goes back.
func testReseal(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	principal := b.Principal(b.tenant)
	k, credential := b.Key(b.vault), b.Credential(principal)
	v := b.Version(k)
	kek := &store.KEK{Owner: b.vault.ID, Generation: 1, Sealed: []byte("sealed"), CreatedAt: b.Time()}
	put(t, s, principal, k, v, credential, kek)
	old := with(*v, func(*keys.Version) {})
	oldVault := with(*b.vault, func(*keys.Vault) {})
	seen := &listener{}
	s.Observe(seen)

	v.Sealed, v.Fingerprint, v.KEKGeneration = []byte("resealed"), []byte("fingerprint"), 2
	credential.Sealed, credential.MAC, credential.KEKGeneration = []byte("resealed"), []byte("another"), 3
	kek.Root, kek.Sealed = "2", []byte("resealed")
	if rev := reseal(t, s, v, kek); rev != 0 || len(seen.committed()) != 0 {
		t.Errorf("resealing took revision %d and announced %v", rev, seen.committed())
	}
	if rev := reseal(t, s, credential); rev == 0 {
		t.Error("a credential that was resealed moves nothing by which others see that")
	}
	b.vault.KEKGeneration, b.tenant.KEKGeneration = 2, 2
	if rev := reseal(t, s, b.vault, b.tenant); rev == 0 {
		t.Error("the new KEK of a vault was not announced")
	}
	want := []store.Change{{Type: keys.TypeKEK, ID: b.tenant.ID}, {Type: keys.TypeKEK, ID: b.vault.ID}, {Type: keys.TypeKEK, ID: b.tenant.ID}}
	got := seen.committed()
	for i := range got {
		got[i].Revision = 0
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("announced (-want +got):\n%s", diff)
	}
	for _, rec := range []struct{ want, load store.Record }{
		{v, &keys.Version{ID: v.ID}},
		{credential, &identity.CredentialRow{ID: credential.ID}},
		{kek, &store.KEK{Owner: kek.Owner, Generation: 1}},
		{b.vault, &keys.Vault{ID: b.vault.ID}},
		{b.tenant, &keys.Tenant{ID: b.tenant.ID}},
	} {
		view(t, s, func(tx store.Tx) error { return tx.Load(rec.load) })
		if diff := gocmp.Diff(rec.want, rec.load); diff != "" {
			t.Errorf("resealed (-want +got):\n%s", diff)
		}
	}
	for what, rec := range map[string]store.Record{
		"the same KEK":        v,
		"an older one":        old,
		"another revision":    with(*v, func(r *keys.Version) { r.Revision, r.KEKGeneration = r.Revision+1, 9 }),
		"a vault's older one": oldVault,
		"a KEK that is gone":  with(*kek, func(r *store.KEK) { r.Generation = 2 }),
	} {
		if err := refused(t, s, what, func(tx store.Tx) error { return tx.Reseal(rec) }); !errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: %v, want a conflict", what, err)
		}
	}
	_ = refused(t, s, "what is not sealed", func(tx store.Tx) error { return tx.Reseal(k) })
	if err := refused(t, s, "an older sealed form", func(tx store.Tx) error { return tx.Put(old) }); !errors.Is(err, store.ErrConflict) {
		t.Errorf("an older sealed form is put: %v", err)
	}
	_ = refused(t, s, "a vault as it was", func(tx store.Tx) error { return tx.Put(oldVault) })
	v.PublicKey = []byte("another")
	put(t, s, v) // with what was resealed
	update(t, s, func(tx store.Tx) error { return tx.Delete(kek) })
	if last := seen.committed(); last[len(last)-1].Type != keys.TypeKEK || last[len(last)-1].ID != b.vault.ID {
		t.Errorf("the end of a KEK announced %v", last)
	}
}

func reseal(t testing.TB, s store.Store, recs ...store.Record) int64 {
	t.Helper()
	return update(t, s, func(tx store.Tx) error {
		for _, rec := range recs {
			if err := tx.Reseal(rec); err != nil {
				return err
			}
		}
		return nil
	})
}
