// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/seal"
	"claviger/internal/secret"
	"claviger/internal/store"
	"claviger/internal/store/sqlstore"
)

// TestAnotherRootKeyIsRefused opens a store with a root key that did not seal it.
func TestAnotherRootKeyIsRefused(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	other, err := seal.NewMemory(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cfg := w.Config
	cfg.Seal = other
	s, err := kms.Open(t.Context(), cfg)
	if err == nil {
		s.Close()
		t.Fatal("another root key opens the store")
	}
	for _, id := range []string{w.Config.Seal.ID(), other.ID()} {
		if !strings.Contains(err.Error(), id) {
			t.Errorf("%q does not name the root key %s", err, id)
		}
	}
}

func TestAStoreIsInitializedOnce(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	if err := kms.Initialize(t.Context(), w.Config); err == nil || !strings.Contains(err.Error(), "initialized already") {
		t.Errorf("a second time: %v", err)
	}
	empty, err := sqlstore.OpenSQLite(t.Context(), sqlstore.Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	cfg := w.Config
	cfg.Store = empty
	if _, err := kms.Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "claviger init") {
		t.Errorf("an empty store: %v", err)
	}
	cfg.Regions = nil
	if _, err := kms.Open(t.Context(), cfg); err == nil {
		t.Error("a service without a region opens")
	}
}

// TestAChangedRowIsRefused changes, one at a time, every sealed or authenticated row that a
// data call needs, in the store and behind the service's back. The call must fail as a fault
// of the server that the log explains, and the same call must work on the untouched store.
func TestAChangedRowIsRefused(t *testing.T) {
	t.Parallel()
	edit := func(load func(store.Tx) (store.Record, error), change func(store.Record)) func(store.Tx) error {
		return func(tx store.Tx) error {
			rec, err := load(tx)
			if err != nil {
				return err
			}
			change(rec)
			return tx.Put(rec)
		}
	}
	type target struct{ key, other *kms.Key }
	versionRow := func(id keys.ID, change func(*keys.Version)) func(store.Tx) error {
		return edit(func(tx store.Tx) (store.Record, error) { return store.LoadVersion(tx, id) },
			func(rec store.Record) { change(rec.(*keys.Version)) })
	}
	kek := func(owner keys.ID, change func(*store.KEK)) func(store.Tx) error {
		return func(tx store.Tx) error {
			rec := &store.KEK{Owner: owner, Generation: 1}
			if err := errors.Join(tx.Load(rec), tx.Delete(rec)); err != nil {
				return err
			}
			change(rec)
			return tx.Put(rec)
		}
	}
	for name, tt := range map[string]struct {
		tamper func(*kmstest.World, target) func(store.Tx) error
		says   string
	}{
		"a byte of sealed material": {func(_ *kmstest.World, on target) func(store.Tx) error {
			return versionRow(on.key.Primary, func(v *keys.Version) { v.Sealed[len(v.Sealed)/2] ^= 1 })
		}, "open material"},
		"sealed material cut off": {func(_ *kmstest.World, on target) func(store.Tx) error {
			return versionRow(on.key.Primary, func(v *keys.Version) { v.Sealed = v.Sealed[:10] })
		}, "open material"},
		"another key's sealed material": {func(w *kmstest.World, on target) func(store.Tx) error {
			return func(tx store.Tx) error {
				theirs, err := store.LoadVersion(tx, on.other.Primary)
				if err != nil {
					return err
				}
				return versionRow(on.key.Primary, func(v *keys.Version) { v.Sealed = theirs.Sealed })(tx)
			}
		}, "open material"},
		"an older version's sealed material": {func(w *kmstest.World, on target) func(store.Tx) error {
			return func(tx store.Tx) error {
				all, err := tx.Versions(store.VersionQuery{Key: on.key.ID})
				if err != nil {
					return err
				}
				return versionRow(on.key.Primary, func(v *keys.Version) { v.Sealed = all[0].Sealed })(tx)
			}
		}, "open material"},
		"a generation": {func(_ *kmstest.World, on target) func(store.Tx) error {
			return versionRow(on.key.Primary, func(v *keys.Version) { v.KEKGeneration = 2 })
		}, "KEK"},
		"a byte of the vault's KEK": {func(w *kmstest.World, on target) func(store.Tx) error {
			return kek(on.key.Vault, func(rec *store.KEK) { rec.Sealed[20] ^= 1 })
		}, "open KEK"},
		"another vault's KEK": {func(w *kmstest.World, on target) func(store.Tx) error {
			return func(tx store.Tx) error {
				theirs := &store.KEK{Owner: on.other.Vault, Generation: 1}
				if err := tx.Load(theirs); err != nil {
					return err
				}
				return kek(on.key.Vault, func(rec *store.KEK) { rec.Sealed = theirs.Sealed })(tx)
			}
		}, "open KEK"},
		"the tenant's KEK in place of the vault's": {func(w *kmstest.World, on target) func(store.Tx) error {
			return func(tx store.Tx) error {
				tenants := &store.KEK{Owner: w.Tenant.ID, Generation: 1}
				if err := tx.Load(tenants); err != nil {
					return err
				}
				return kek(on.key.Vault, func(rec *store.KEK) { rec.Sealed = tenants.Sealed })(tx)
			}
		}, "open KEK"},
		"a byte of the tenant's KEK": {func(w *kmstest.World, on target) func(store.Tx) error {
			return kek(w.Tenant.ID, func(rec *store.KEK) { rec.Sealed[20] ^= 1 })
		}, "open KEK"},
		"no KEK of the vault": {func(w *kmstest.World, on target) func(store.Tx) error {
			return func(tx store.Tx) error { return tx.Delete(&store.KEK{Owner: on.key.Vault, Generation: 1}) }
		}, "load KEK"},
		"a public key": {func(w *kmstest.World, on target) func(store.Tx) error {
			return func(tx store.Tx) error {
				theirs, err := store.LoadVersion(tx, on.other.Primary)
				if err != nil {
					return err
				}
				return versionRow(on.key.Primary, func(v *keys.Version) { v.PublicKey = theirs.PublicKey })(tx)
			}
		}, "stored public key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := kmstest.New(t)
			second, err := w.CreateVault(t.Context(), callOf(t, w), kms.NewVault{Name: "second", Kind: keys.SharedVault})
			if err != nil {
				t.Fatal(err)
			}
			theirs := wish(keys.ECP256)
			theirs.Vault = second.ID
			on := target{newKey(t, w, wish(keys.ECP256)), newKey(t, w, theirs)}
			on.key.Primary = rotate(t, w, on.key.ID).ID
			sign := func(s *kms.Service) error {
				c := s.System("sign")
				defer c.End()
				_, err := s.Sign(context.Background(), c, kms.SignRequest{Key: kms.KeyRef{ID: on.key.ID}, Algorithm: keys.ECDSASHA256, Message: []byte("x")})
				return err
			}
			want(t, "untouched", sign(w.Service), "")
			if _, err := w.Store.Update(t.Context(), tt.tamper(w, on)); err != nil {
				t.Fatalf("tamper: %v", err)
			}
			again, err := kms.Open(t.Context(), w.Config)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			err = sign(again)
			want(t, "changed", err, keys.KindInternal)
			if err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("the log says %q, want something of %q", err, tt.says)
			}
		})
	}
}

// callOf is a call that ends with the test.
func callOf(t testing.TB, w *kmstest.World) *kms.Call {
	t.Helper()
	c := w.Call(t, w.Tenant)
	t.Cleanup(c.End)
	return c
}

// TestAChangedCredentialIsRefused changes what a stored credential says: none of it lets anybody in.
func TestAChangedCredentialIsRefused(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	for name, change := range map[string]func(row, other *identity.CredentialRow){
		"a byte of the secret":   func(row, _ *identity.CredentialRow) { row.Sealed[20] ^= 1 },
		"another's secret":       func(row, other *identity.CredentialRow) { row.Sealed = other.Sealed },
		"another's row":          func(row, other *identity.CredentialRow) { row.Sealed, row.MAC = other.Sealed, other.MAC },
		"the public key":         func(row, other *identity.CredentialRow) { row.PublicKey = other.PublicKey },
		"the principal":          func(row, other *identity.CredentialRow) { row.Principal = other.Principal },
		"whether it is disabled": func(row, _ *identity.CredentialRow) { row.Disabled = !row.Disabled },
		"the MAC":                func(row, _ *identity.CredentialRow) { row.MAC[0] ^= 1 },
		"no MAC":                 func(row, _ *identity.CredentialRow) { row.MAC = nil },
	} {
		for _, kind := range []identity.CredentialKind{identity.AccessKey, identity.RSAKey} {
			if kind == identity.RSAKey && strings.Contains(name, "secret") || kind == identity.AccessKey && name == "the public key" {
				continue
			}
			mine, theirs := name+string(kind), "other "+name+string(kind)
			for i, name := range []string{mine, theirs} {
				who := member(t, w, w.Tenant, name, identity.Admin, keys.ID{})
				var err error
				if kind == identity.RSAKey {
					_, err = w.AddRSAKey(t.Context(), w.System("test"), who.Principal, name, rsaSPKI(t, []kmstest.Tenant{w.Tenant, w.Other}[i]))
				} else {
					_, err = w.AddAccessKey(t.Context(), w.System("test"), who.Principal, name, secret.Copy([]byte(name)))
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			authenticate := func() error {
				c := &kms.Call{Profile: &kmstest.Profile, Region: kmstest.Region}
				defer c.End()
				_, err := w.Authenticate(t.Context(), c, kind, mine)
				return err
			}
			want(t, "untouched", authenticate(), "")
			tamper(t, w, func(tx store.Tx) error {
				row, other := &identity.CredentialRow{Kind: kind, Name: mine}, &identity.CredentialRow{Kind: kind, Name: theirs}
				if err := errors.Join(tx.Load(row), tx.Load(other), tx.Delete(row)); err != nil {
					return err
				}
				change(row, other)
				row.Revision = 0
				return tx.Put(row)
			})
			err := authenticate()
			want(t, name+" of a "+string(kind), err, keys.KindInternal)
			if err != nil && !strings.Contains(err.Error(), "changed by something else") {
				t.Errorf("%s of a %s: the log says %q", name, kind, err)
			}
		}
	}
}

// TestSealedRowsHoldNoKey looks for a vault's signing key, as the engine would open it, in what
// the store has of its version.
func TestSealedRowsHoldNoKey(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	a, b := newAES(t, w), newAES(t, w)
	stored(t, w, func(tx store.Tx) error {
		x, err := store.LoadVersion(tx, a.Primary)
		if err != nil {
			return err
		}
		y, err := store.LoadVersion(tx, b.Primary)
		if err == nil && (len(x.Sealed) != 32+seal.BoxOverhead || bytes.Equal(x.Sealed, y.Sealed)) {
			t.Errorf("the sealed material has %d bytes", len(x.Sealed))
		}
		return err
	})
	// What is sealed opens after a restart under the same root, and with it what it encrypted.
	ct, err := encrypt(t, w, a.ID)
	if err != nil {
		t.Fatal(err)
	}
	again, err := kms.Open(t.Context(), w.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	c := again.System("test")
	defer c.End()
	if out, err := again.Decrypt(t.Context(), c, kms.DecryptRequest{Ciphertext: ct}); err != nil || string(out.Plaintext) != "hello" {
		t.Errorf("after a restart: %v", err)
	}
}

// TestAClosedServiceSealsNothing shuts the service while rotations go on: each either has its
// version, sealed under the true key, or is refused.
func TestAClosedServiceSealsNothing(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	k := newAES(t, w)
	s, err := kms.Open(t.Context(), w.Config)
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{}, 64)
	results := make(chan error)
	const rotations = 64
	for range rotations {
		go func() {
			c := s.System("rotate")
			c.Region = kmstest.Region
			started <- struct{}{}
			_, err := s.Rotate(context.Background(), c, kms.KeyRef{ID: k.ID})
			c.End()
			results <- err
		}()
	}
	<-started
	s.Close()
	made := 0
	for range rotations {
		switch err := <-results; kindOf(err) {
		case "":
			made++
		case keys.KindUnavailable:
		default:
			t.Errorf("rotate: %v", err)
		}
	}
	if err := w.Forget(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if got := seen(t, w, k.ID).Versions; got != made+1 {
		t.Errorf("%d versions, want %d", got, made+1)
	}
	for ordinal := 1; ordinal <= made+1; ordinal++ {
		v := version(t, w, k.ID, ordinal)
		if _, err := sealed(t, w, kms.EncryptRequest{Key: kms.KeyRef{ID: k.ID}, Version: kms.VersionRef{ID: v.ID}}); err != nil {
			t.Errorf("version %d: %v", ordinal, err)
		}
	}
	c := s.System("late")
	want(t, "after Close", second(s.Rotate(t.Context(), c, kms.KeyRef{ID: k.ID})), keys.KindUnavailable)
	_, err = s.Sweep(t.Context())
	want(t, "a sweep after Close", err, keys.KindUnavailable)
}
