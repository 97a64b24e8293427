// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
)

// gate counts the answers of revocations and the beginnings of their undoing: odd while what it
// is about is taken away for certain.
type gate struct{ n atomic.Int64 }

func (g *gate) closed() bool { return g.n.Load()%2 == 1 }

// TestNoAnswerWhileRevoked disables and enables a key, and takes a role away and gives it back,
// over and over while many callers encrypt, decrypt and rotate. From the moment in which a
// revocation has answered until its undoing begins no call may answer with a success, whenever
// it was received. The keyring is small, so that it evicts all the while.
func TestNoAnswerWhileRevoked(t *testing.T) {
	t.Parallel()
	const turns = 10
	w := kmstest.New(t, kmstest.With(func(c *kms.Config) { c.KeyringLimit = 8 }))
	s := newScene(t, w, w.Tenant.Vault)
	s.giveAlias()
	user := member(t, w, w.Tenant, "user", identity.User, keys.ID{})
	key := kms.KeyRef{ID: s.key.ID}
	var state, role gate
	var stop atomic.Bool
	var served, refused atomic.Int64

	call := func(who kmstest.Tenant, what string, f func(*kms.Call) error, gates ...*gate) {
		c := &kms.Call{Dialect: "test", Operation: what, Region: kmstest.Region, Profile: &kmstest.Profile}
		defer c.End()
		cred, err := w.Authenticate(context.Background(), c, identity.AccessKey, who.AccessKey)
		if err != nil {
			t.Errorf("authenticate: %v", err)
			return
		}
		c.Who = cred.Caller
		switch err := f(c); kindOf(err) {
		case "":
			served.Add(1)
			for _, g := range gates { // before End: this is when the answer is written
				if g.closed() {
					t.Errorf("%s answered with a success while it was revoked", what)
				}
			}
		case keys.KindState, keys.KindDenied:
			refused.Add(1)
		default:
			t.Errorf("%s: %v", what, err)
		}
	}
	encryptOnce := func(ref kms.KeyRef) func(*kms.Call) error {
		return func(c *kms.Call) error {
			return second(w.Encrypt(context.Background(), c, kms.EncryptRequest{Key: ref, Plaintext: []byte("x")}))
		}
	}
	var callers, controllers sync.WaitGroup
	loop := func(f func()) {
		callers.Go(func() {
			for !stop.Load() {
				f()
			}
		})
	}
	for range 2 {
		loop(func() { call(w.Tenant, "encrypt", encryptOnce(key), &state) })
		loop(func() { call(user, "encrypt as the user", encryptOnce(kms.KeyRef{Alias: s.alias}), &state, &role) })
	}
	loop(func() {
		call(w.Tenant, "decrypt", func(c *kms.Call) error {
			return second(w.Decrypt(context.Background(), c, kms.DecryptRequest{Ciphertext: s.sealed}))
		}, &state)
	})
	loop(func() {
		call(w.Tenant, "rotate", func(c *kms.Call) error { return second(w.Rotate(context.Background(), c, key)) })
	})
	toggle := func(g *gate, revoke, undo func() error) {
		controllers.Go(func() {
			for range turns {
				if err := revoke(); err != nil {
					t.Errorf("revoke: %v", err)
					return
				}
				g.n.Add(1)
				// In between the callers get their turn: whatever they begin now is refused.
				for before := refused.Load(); refused.Load() == before; {
					call(user, "encrypt as the user", encryptOnce(key), g)
				}
				g.n.Add(1)
				if err := undo(); err != nil {
					t.Errorf("undo: %v", err)
					return
				}
			}
		})
	}
	toggle(&state, func() error { return change(t, w, s.key.ID, keys.DisableKey) }, func() error { return change(t, w, s.key.ID, keys.EnableKey) })
	toggle(&role,
		func() error {
			return w.SetRole(context.Background(), w.System("revoke"), user.Principal, identity.Auditor, keys.ID{})
		},
		func() error {
			return w.SetRole(context.Background(), w.System("undo"), user.Principal, identity.User, keys.ID{})
		})
	controllers.Wait()
	stop.Store(true)
	callers.Wait()
	if served.Load() == 0 || refused.Load() < 2*turns {
		t.Errorf("%d calls were served and %d refused: the test shows nothing", served.Load(), refused.Load())
	}
	_, err := encrypt(t, w, s.key.ID)
	want(t, "in the end", err, "")
	got, versions, err := w.FindKey(t.Context(), w.System("test"), s.key.ID)
	if err != nil || got.Versions != len(versions) || got.Primary != versions[len(versions)-1].ID {
		t.Errorf("%d versions are counted and %d are there, %v", got.Versions, len(versions), err)
	}
}
