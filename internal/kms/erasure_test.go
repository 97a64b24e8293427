// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
)

// rows counts the sealed and the live versions of a key.
func rows(t testing.TB, w *kmstest.World, key keys.ID) (sealed, live int) {
	t.Helper()
	stored(t, w, func(tx store.Tx) error {
		all, err := tx.Versions(store.VersionQuery{Key: key})
		for _, v := range all {
			if v.Sealed != nil || v.PublicKey != nil {
				sealed++
			}
			if v.State != keys.Deleted {
				live++
			}
		}
		return err
	})
	return sealed, live
}

// TestAnErasedKeyLeavesATombstoneOnly erases a key of more versions than one transaction
// erases, with everything that a key can have.
func TestAnErasedKeyLeavesATombstoneOnly(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	req := wish(keys.AES256)
	req.Name, req.Description, req.Tags = "name", "about", keys.Tags{Plain: map[string]string{"a": "b"}}
	k := newKey(t, w, req)
	const versions = 120
	for range versions - 1 {
		rotate(t, w, k.ID)
	}
	early, late := version(t, w, k.ID, 1), version(t, w, k.ID, 2)
	scheduleVersion(t, w, k.ID, early.ID, 8)
	scheduleVersion(t, w, k.ID, late.ID, 20)
	must(t, w, func(c *kms.Call) error { return w.CreateAlias(t.Context(), c, "alias/a", kms.KeyRef{ID: k.ID}) })
	if _, err := w.CreateGrant(t.Context(), w.System("test"), k.ID, w.Other.ID, []keys.Action{keys.Encrypt}); err != nil {
		t.Fatal(err)
	}
	scheduleKey(t, w, k.ID, 10)
	due := inDays(w, 10)
	earlyDue := inDays(w, 8)
	advance(t, w, 15*keys.Day)

	got := seen(t, w, k.ID)
	if got.State != keys.Deleted || !got.DeleteAt.Equal(due) || got.Erased != versions || got.Versions != versions {
		t.Errorf("the tombstone: %s since %v, %d of %d versions erased", got.State, got.DeleteAt, got.Erased, got.Versions)
	}
	if got.Description != "" || len(got.Tags.Plain) != 0 || got.Rotation != (keys.Rotation{}) || got.Before != "" {
		t.Errorf("the tombstone keeps more than it should: %+v", got.Key)
	}
	if sealed, live := rows(t, w, k.ID); sealed != 0 || live != 0 {
		t.Errorf("%d versions still have material or a public key, %d are not erased", sealed, live)
	}
	for ordinal, at := range map[int]time.Time{1: earlyDue, 2: due, 3: due} {
		if v := version(t, w, k.ID, ordinal); v.State != keys.Deleted || !v.DeleteAt.Equal(at) {
			t.Errorf("version %d is %s since %v, want %v", ordinal, v.State, v.DeleteAt, at)
		}
	}
	stored(t, w, func(tx store.Tx) error {
		aliases, err1 := tx.Aliases(store.AliasQuery{Key: k.ID})
		grants, err2 := tx.Grants(k.ID)
		n, err3 := tx.Count(store.Counter{Type: keys.TypeVersion, Tenant: w.Tenant.ID})
		if len(aliases)+len(grants)+n != 0 {
			t.Errorf("%d aliases, %d grants and %d counted versions are left", len(aliases), len(grants), n)
		}
		return errors.Join(err1, err2, err3)
	})
	must(t, w, func(c *kms.Call) error {
		return w.CreateAlias(t.Context(), c, "alias/a", kms.KeyRef{ID: newAES(t, w).ID})
	})

	// 90 days after its time the tombstone goes, and not before.
	advance(t, w, due.Add(90*keys.Day).Sub(w.Now()))
	if got := seen(t, w, k.ID); got.State != keys.Deleted {
		t.Errorf("90 days after, the key is %s", got.State)
	}
	advance(t, w, time.Minute)
	err := as(t, w, w.Tenant, func(c *kms.Call) error { return second(w.Key(t.Context(), c, kms.KeyRef{ID: k.ID})) })
	want(t, "the key a minute later", err, keys.KindNotFound)
	stored(t, w, func(tx store.Tx) error {
		if err := tx.Load(&keys.Version{ID: late.ID}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a version's tombstone: %v", err)
		}
		return nil
	})
}

// TestAnErasedVaultTakesEverythingWithIt erases a vault with more keys than one look-up finds.
func TestAnErasedVaultTakesEverythingWithIt(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	vault := newVault(t, w, "doomed")
	var ids []keys.ID
	for range 120 {
		req := wish(keys.AES256)
		req.Vault = vault
		ids = append(ids, newKey(t, w, req).ID)
	}
	own := ids[7]
	scheduleKey(t, w, own, 8)
	survivor := newAES(t, w)
	scheduleVault(t, w, vault, 10)
	advance(t, w, 10*keys.Day)
	for _, id := range ids {
		if sealed, live := rows(t, w, id); sealed+live != 0 {
			t.Fatalf("a key of the vault has %d versions with material", sealed)
		}
	}
	if k := seen(t, w, own); !k.DeleteAt.Equal(w.Now().Add(-2 * keys.Day)) {
		t.Errorf("a key with its own schedule is erased since %v", k.DeleteAt)
	}
	if k := seen(t, w, ids[0]); k.State != keys.Deleted || !k.DeleteAt.Equal(w.Now()) {
		t.Errorf("another key is %s since %v", k.State, k.DeleteAt)
	}
	stored(t, w, func(tx store.Tx) error {
		if err := tx.Load(&store.KEK{Owner: vault}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the vault's KEK: %v", err)
		}
		v, err := store.LoadVault(tx, vault)
		if err == nil && v.State != keys.Deleted {
			t.Errorf("the vault is %s", v.State)
		}
		return err
	})
	_, err := encrypt(t, w, survivor.ID)
	want(t, "a key of another vault", err, "")
	advance(t, w, 91*keys.Day)
	stored(t, w, func(tx store.Tx) error {
		left, err := tx.Keys(store.KeyQuery{Vault: vault})
		if err := tx.Load(&keys.Vault{ID: vault}); !errors.Is(err, store.ErrNotFound) || len(left) != 0 {
			t.Errorf("after 91 days: the vault %v, %d keys", err, len(left))
		}
		return err
	})
}

// stoppingStore fails every Update from the n-th on; 0 never does.
type stoppingStore struct {
	store.Store
	updates, stopAt atomic.Int64
}

var errStopped = errors.New("the disk is full")

func (s *stoppingStore) Update(ctx context.Context, fn func(store.Tx) error) (int64, error) {
	if at := s.stopAt.Load(); at > 0 && s.updates.Add(1) >= at {
		return 0, errStopped
	}
	return s.Store.Update(ctx, fn)
}

// TestAnInterruptedErasureGoesOn stops the erasure of a vault before each of its transactions.
// Nothing of it can be used in between, and the next sweep finishes it.
func TestAnInterruptedErasureGoesOn(t *testing.T) {
	t.Parallel()
	const transactions = 5 // two of each key, one of the vault
	st := &stoppingStore{}
	w := kmstest.New(t, kmstest.With(func(c *kms.Config) { st.Store, c.Store = c.Store, st }))
	for n := int64(1); n <= transactions; n++ {
		vault := newVault(t, w, "doomed")
		var ids []keys.ID
		for range 2 {
			req := wish(keys.AES256)
			req.Vault = vault
			ids = append(ids, newKey(t, w, req).ID)
		}
		scheduleVault(t, w, vault, 10)
		w.Clock.Add(10 * keys.Day)
		st.updates.Store(0)
		st.stopAt.Store(n)
		if done, err := w.Sweep(t.Context()); !errors.Is(err, errStopped) || done != 0 {
			t.Fatalf("stopped before transaction %d: %d, %v", n, done, err)
		}
		st.stopAt.Store(0)
		for _, id := range ids {
			_, err := encrypt(t, w, id)
			want(t, fmt.Sprintf("stopped before transaction %d, encrypt", n), err, keys.KindState)
		}
		if done, err := w.Sweep(t.Context()); err != nil || done != 1 {
			t.Errorf("stopped before transaction %d, the next sweep: %d, %v", n, done, err)
		}
		for _, id := range ids {
			if sealed, live := rows(t, w, id); sealed+live != 0 {
				t.Errorf("stopped before transaction %d: a key has material left", n)
			}
			if k := seen(t, w, id); k.Erased != 1 || k.Versions != 1 {
				t.Errorf("stopped before transaction %d: %d of %d versions are counted as erased", n, k.Erased, k.Versions)
			}
		}
	}
}

// TestErasureIsHeldWhileTheClockIsDoubted starts a server whose machine shows an earlier time
// than its own database has seen. What is due is gone for callers, and not destroyed.
func TestErasureIsHeldWhileTheClockIsDoubted(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.With(real))
	k, rotated := newAES(t, w), newAES(t, w)
	must(t, w, func(c *kms.Call) error {
		return second(w.SetRotation(t.Context(), c, kms.KeyRef{ID: rotated.ID}, kms.RotationPolicy{Enabled: true, Interval: 10 * keys.Day}))
	})
	scheduleKey(t, w, k.ID, 10)
	w.Clock.Add(15 * keys.Day)
	if _, err := w.Sweep(t.Context()); err != nil { // notes the time, and erases
		t.Fatal(err)
	}
	late := newAES(t, w)
	scheduleKey(t, w, late.ID, 7)
	w.Clock.Add(8 * keys.Day)
	tamper(t, w, func(tx store.Tx) error {
		return tx.Put(&store.Setting{Name: "last-seen", Value: fmt.Sprint(w.Clock.Now().Add(6 * time.Minute).UnixMicro())})
	})
	again, err := kms.Open(t.Context(), w.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	done, err := again.Sweep(t.Context())
	if s := again.Stats(); err != nil || s.ErasuresHeld != 1 || s.ClockMismatch != 6*time.Minute {
		t.Errorf("sweep: %v; %d held, the clock is off by %v", err, s.ErasuresHeld, s.ClockMismatch)
	}
	if done != 1 || seen(t, w, rotated.ID).Versions != 3 {
		t.Errorf("%d events took effect and the key has %d versions: rotation goes on all the same", done, seen(t, w, rotated.ID).Versions)
	}
	if sealed, _ := rows(t, w, late.ID); sealed != 1 {
		t.Error("the material was destroyed")
	}
	want(t, "using it", second(encrypt(t, w, late.ID)), keys.KindState)
	want(t, "cancelling it", change(t, w, late.ID, keys.CancelKeyDeletion), keys.KindState)

	w.Clock.Add(time.Minute) // five minutes are tolerated
	if done, err := again.Sweep(t.Context()); done != 1 || err != nil || again.Stats().ErasuresHeld != 0 {
		t.Errorf("within the tolerance: %d, %v, %d held", done, err, again.Stats().ErasuresHeld)
	}
	if sealed, _ := rows(t, w, late.ID); sealed != 0 {
		t.Error("the material is still there")
	}
}

// TestASweepGoesOnBehindAFailure has one event that cannot take effect among others.
func TestASweepGoesOnBehindAFailure(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	broken := newAES(t, w)
	must(t, w, func(c *kms.Call) error {
		return second(w.SetRotation(t.Context(), c, kms.KeyRef{ID: broken.ID}, kms.RotationPolicy{Enabled: true, Interval: 10 * keys.Day}))
	})
	tamper(t, w, func(tx store.Tx) error { return tx.Delete(&store.KEK{Owner: w.Tenant.Vault, Generation: 1}) })
	vault := newVault(t, w, "whole")
	req := wish(keys.AES256)
	req.Vault = vault
	k := newKey(t, w, req)
	scheduleKey(t, w, k.ID, 11)
	w.Clock.Add(12 * keys.Day)
	again, err := kms.Open(t.Context(), w.Config) // it has not seen the KEK
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if done, err := again.Sweep(t.Context()); done != 1 || err == nil {
		t.Errorf("%d events took effect, %v", done, err)
	}
	if sealed, _ := rows(t, w, k.ID); sealed != 0 {
		t.Error("the event behind the failure did not take effect")
	}
}
