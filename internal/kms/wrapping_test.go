// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"crypto/x509"
	"errors"
	"sync"
	"testing"
	"time"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
)

// TestOneWrappingKey asks for a vault's wrapping key in every way, at once.
func TestOneWrappingKey(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	home, id := w.Tenant.Vault, keys.WrappingKeyID(w.Tenant.Vault)
	got := make([]keys.ID, 8) // the version that each found
	var all sync.WaitGroup
	for i := range got {
		all.Go(func() {
			c := w.Call(t, w.Tenant)
			defer c.End()
			c.Vault = home
			if i%2 == 0 {
				v, err := w.WrappingKey(t.Context(), c)
				if err != nil {
					t.Error(err)
					return
				}
				got[i] = v.ID
				return
			}
			k, err := w.Key(t.Context(), c, kms.KeyRef{ID: id})
			if err != nil {
				t.Error(err)
				return
			}
			got[i] = k.Primary
		})
	}
	all.Wait()
	for _, version := range got {
		if version != got[0] {
			t.Fatalf("two wrapping keys: %v", got)
		}
	}
	v, err := wrappingKey(t, w, home)
	if err != nil {
		t.Fatal(err)
	}
	k := v.OfKey
	if k.ID != id || k.Name != "RSA wrapping key" || k.Spec != keys.RSA4096 || k.Protection != keys.HSM || k.State != keys.Enabled || !k.Hidden {
		t.Errorf("the wrapping key is %+v", k.Key)
	}
	if _, err := x509.ParsePKIXPublicKey(v.PublicKey); err != nil {
		t.Error(err)
	}
	made := 0
	for _, e := range events(t, w) {
		if e.Key == id && e.Action == keys.CreateKey {
			made++
		}
	}
	if made != 1 {
		t.Errorf("it was made %d times, by the audit log", made)
	}
}

// TestTheWrappingKeyIsHidden looks for it where keys are listed and counted, and tries to do
// something with it.
func TestTheWrappingKeyIsHidden(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	home := w.Tenant.Vault
	v, err := wrappingKey(t, w, home)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*kms.Call{"its administrator": w.Call(t, w.Tenant), "the server": w.System("test")} {
		list, err := w.Keys(t.Context(), c, kms.KeyFilter{Tenant: w.Tenant.ID}, kms.Page{})
		if err != nil || len(list.Items) != 0 {
			t.Errorf("%s lists %d keys, %v", name, len(list.Items), err)
		}
		c.End()
	}
	stored(t, w, func(tx store.Tx) error {
		for _, of := range []keys.Type{keys.TypeKey, keys.TypeVersion} {
			if n, err := tx.Count(store.Counter{Type: of, Tenant: w.Tenant.ID}); n != 0 || err != nil {
				t.Errorf("%d of type %s are counted, %v", n, of, err)
			}
		}
		return nil
	})
	s := newScene(t, w, home)
	s.key, s.ec, s.mac, s.old = &v.OfKey, &v.OfKey, &v.OfKey, v
	tried := 0
	for _, m := range append(keyMethods(), dataMethods()...) {
		kind := keys.KindUnsupported
		if keys.ForHidden(m.action) {
			kind = ""
		} else {
			tried++
		}
		want(t, m.name+" "+string(m.action)+" of the wrapping key", m.by(s, w.Tenant), kind)
	}
	if tried < 20 {
		t.Errorf("only %d methods were tried", tried)
	}
	err = as(t, w, w.Tenant, func(c *kms.Call) error { return w.CreateAlias(t.Context(), c, "alias/w", kms.KeyRef{ID: v.Key}) })
	want(t, "an alias", err, keys.KindUnsupported)
	_, err = w.CreateGrant(t.Context(), w.System("test"), v.Key, w.Other.ID, []keys.Action{keys.ReadKey})
	want(t, "a grant", err, keys.KindUnsupported)
	err = as(t, w, w.Tenant, func(c *kms.Call) error {
		return second(w.ImportVersion(t.Context(), c, kms.KeyRef{ID: v.Key}, kms.Wrapped{Algorithm: keys.WrapOAEPAES}))
	})
	want(t, "another version", err, keys.KindUnsupported)
	err = as(t, w, w.Other, func(c *kms.Call) error { return second(w.Key(t.Context(), c, kms.KeyRef{ID: v.Key})) })
	want(t, "reading it from another tenant", err, keys.KindNotFound)
}

// TestTheWrappingKeyIsItsOwn: whoever writes the database cannot have clients wrap for him.
func TestTheWrappingKeyIsItsOwn(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	before, err := wrappingKey(t, w, w.Tenant.Vault)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Store.Update(t.Context(), func(tx store.Tx) error {
		v, err := store.LoadVersion(tx, before.ID)
		if err != nil {
			return err
		}
		v.PublicKey = rsaSPKI(t, w.Tenant)
		return tx.Put(v)
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = wrappingKey(t, w, w.Tenant.Vault)
	want(t, "an exchanged public key", err, keys.KindInternal)
}

// TestWhoMayNotReadMakesNoWrappingKey asks where nothing may come of it.
func TestWhoMayNotReadMakesNoWrappingKey(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	vault := newVault(t, w, "another")
	nobody := member(t, w, w.Tenant, "nobody", "", keys.ID{})
	elsewhere := member(t, w, w.Tenant, "elsewhere", identity.Admin, vault)
	ask := func(who kmstest.Tenant, in keys.ID) error {
		return as(t, w, who, func(c *kms.Call) error {
			c.Vault = in
			return second(w.WrappingKey(t.Context(), c))
		})
	}
	want(t, "somebody without a role", ask(nobody, w.Tenant.Vault), keys.KindNotFound)
	want(t, "somebody with a role elsewhere", ask(elsewhere, w.Tenant.Vault), keys.KindNotFound)
	want(t, "another tenant", ask(w.Other, w.Tenant.Vault), keys.KindNotFound)
	want(t, "in no vault", ask(w.Tenant, keys.ID{1}), keys.KindNotFound)
	scheduleVault(t, w, vault, 10)
	want(t, "in a vault pending deletion", ask(w.Tenant, vault), keys.KindNotFound)
	stored(t, w, func(tx store.Tx) error {
		for _, in := range []keys.ID{w.Tenant.Vault, vault} {
			if _, err := store.LoadKey(tx, keys.WrappingKeyID(in)); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("a wrapping key was made: %v", err)
			}
		}
		return nil
	})
	auditor := member(t, w, w.Tenant, "auditor", identity.Auditor, keys.ID{})
	want(t, "an auditor", ask(auditor, w.Tenant.Vault), "")
}

// TestTheWrappingKeyGoesWithItsVault follows it through its vault's changes.
func TestTheWrappingKeyGoesWithItsVault(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	vault := newVault(t, w, "doomed")
	v, err := wrappingKey(t, w, vault)
	if err != nil {
		t.Fatal(err)
	}
	folder := keys.ID{7}
	if _, err := w.CreateCompartment(t.Context(), w.System("test"), kms.NewCompartment{
		ID: folder, Tenant: w.Tenant.ID, Name: "folder", Names: keys.Names{"test": "folder"},
	}); err != nil {
		t.Fatal(err)
	}
	must(t, w, func(c *kms.Call) error { return second(w.MoveVault(t.Context(), c, kms.VaultRef{ID: vault}, "folder")) })
	if k := seen(t, w, v.Key); k.Compartment != folder {
		t.Errorf("its vault moved to %s and it is in %s", folder, k.Compartment)
	}
	scheduleVault(t, w, vault, 10)
	stateOf(t, w, "in a vault pending deletion", v.Key, keys.PendingDeletion)
	_, err = importKey(t, w, kms.NewKey{Vault: vault, Spec: keys.AES256, Usages: keys.UsageEncrypt, Protection: keys.Software}, kms.Wrapped{Algorithm: keys.WrapOAEPAES})
	want(t, "an import into a vault pending deletion", err, keys.KindState)
	advance(t, w, 11*keys.Day)
	stateOf(t, w, "in a deleted vault", v.Key, keys.Deleted)
	if sealed, live := rows(t, w, v.Key); sealed+live != 0 {
		t.Errorf("%d versions have material, %d are live", sealed, live)
	}
	advance(t, w, 91*keys.Day+time.Minute)
	stored(t, w, func(tx store.Tx) error {
		if _, err := store.LoadVault(tx, vault); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the vault's tombstone: %v", err)
		}
		return nil
	})
}

// TestWithoutAnHSMTheWrappingKeyClaimsNone reads it on a server that refuses HSM keys.
func TestWithoutAnHSMTheWrappingKeyClaimsNone(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.With(func(c *kms.Config) { c.HSM = kms.RefuseHSM }))
	v, err := wrappingKey(t, w, w.Tenant.Vault)
	if err != nil || v.OfKey.Protection != keys.Software {
		t.Errorf("protection %s, %v", v.OfKey.Protection, err)
	}
}
