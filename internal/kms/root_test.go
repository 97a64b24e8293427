// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/seal"
	"claviger/internal/secret"
	"claviger/internal/store"
)

// roots are two root keys, in seals that can be opened again and again.
type roots struct{ old, next []byte }

func newRoots() roots {
	r := roots{make([]byte, seal.KeySize), make([]byte, seal.KeySize)}
	rand.Read(r.old)
	rand.Read(r.next)
	return r
}

func local(t testing.TB, root []byte) seal.Seal {
	t.Helper()
	s, err := seal.NewLocal(secret.Copy(root), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (r roots) both(t testing.TB) seal.Seal { return seal.NewRing(local(t, r.old), local(t, r.next)) }

// rotateRoot rotates with a store that may be cut off.
func (r roots) rotate(t testing.TB, w *kmstest.World, st store.Store) error {
	t.Helper()
	cfg := w.Config
	cfg.Store, cfg.Seal = st, r.both(t)
	return kms.RotateRoot(context.Background(), cfg, local(t, r.next), nil)
}

// with opens the service with a root key, or says why not.
func (r roots) with(t testing.TB, w *kmstest.World, root seal.Seal) (*kmstest.World, error) {
	t.Helper()
	there := *w
	cfg := w.Config
	cfg.Seal = root
	var err error
	there.Service, err = kms.Open(t.Context(), cfg)
	return &there, err
}

// TestRotateRoot rotates the root key, cut off at each commit, before and after it: with both root keys
// everything works at any moment, and at the end with the new one alone.
func TestRotateRoot(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		done := false
		for commits := int64(1); !done; commits++ {
			r := newRoots()
			w := kmstest.New(t, kmstest.With(func(c *kms.Config) { c.Seal = local(t, r.old) }))
			k := newAES(t, w)
			box := encrypted(t, w, k.ID)
			cut := &crashStore{Store: w.Store, after: after}
			cut.left.Store(commits)
			done = r.rotate(t, w, cut) == nil
			between, err := r.with(t, w, r.both(t))
			if err != nil {
				t.Fatalf("commit %d: with both root keys: %v", commits, err)
			}
			opensBox(t, between, box, "with both root keys")
			rotate(t, between, k.ID)
			if _, err := between.AddAccessKey(t.Context(), between.System("test"), w.Tenant.Principal, "another", secret.New([]byte("secret"))); err != nil {
				t.Error(err)
			}
			between.Close()
			if err := r.rotate(t, w, w.Store); err != nil {
				t.Fatal(err)
			}
			now, err := r.with(t, w, local(t, r.next))
			if err != nil {
				t.Fatalf("commit %d: with the new root key: %v", commits, err)
			}
			opensBox(t, now, box, "with the new root key")
			c := now.System("test")
			if _, err := now.Authenticate(t.Context(), c, identity.AccessKey, "another"); err != nil {
				t.Errorf("a credential: %v", err)
			}
			c.End()
			newVault(t, now, "new")
			now.Close()
			if _, err := r.with(t, w, local(t, r.old)); err == nil {
				t.Error("the root key before still opens the store")
			}
			checked(t, w)
			if commits > 60 {
				t.Fatal("there is no end")
			}
		}
	}
}

// TestRemnantsStayClosed keeps a copy of every KEK and version, erases a version, reseals its vault
// and rotates the root: with the new root key and all that is in the store, nothing of the copy opens.
func TestRemnantsStayClosed(t *testing.T) {
	t.Parallel()
	r := newRoots()
	w := kmstest.New(t, kmstest.With(func(c *kms.Config) { c.Seal = local(t, r.old) }))
	k := newAES(t, w)
	var kept struct {
		keks    []*store.KEK
		version *keys.Version
	}
	stored(t, w, func(tx store.Tx) (err error) {
		for _, owner := range []keys.ID{{}, w.Tenant.ID, w.Tenant.Vault} {
			rec := &store.KEK{Owner: owner, Generation: 1}
			if err := tx.Load(rec); err != nil {
				return err
			}
			kept.keks = append(kept.keks, rec)
		}
		kept.version, err = store.LoadVersion(tx, k.Primary)
		return err
	})
	rotate(t, w, k.ID)
	scheduleVersion(t, w, k.ID, kept.version.ID, 7)
	advance(t, w, 8*keys.Day)
	if err := reseal(t, w, w.Tenant.Vault); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if err := r.rotate(t, w, w.Store); err != nil {
		t.Fatal(err)
	}
	// The remnants are put back, each where it was, as somebody would who has the store.
	update(t, w, func(tx store.Tx) error {
		for _, rec := range kept.keks {
			if err := tx.Put(rec); err != nil && !errors.Is(err, store.ErrExists) {
				return err
			}
		}
		return nil
	})
	now, err := r.with(t, w, local(t, r.next))
	if err != nil {
		t.Fatal(err)
	}
	defer now.Close()
	if err := now.OpensRow(t.Context(), kept.version); err == nil {
		t.Error("an erased version opens with the new root key")
	}
	there, err := r.with(t, w, r.both(t))
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	if err := there.OpensRow(t.Context(), kept.version); err != nil {
		t.Errorf("with the root key before it would have opened, or the test is none: %v", err)
	}
}
