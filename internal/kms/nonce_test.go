// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"context"
	"testing"
	"time"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
)

const nonceWindow = 15 * time.Minute

// bucket is by how much longer nonces may be remembered than they must be.
const bucket = 5 * time.Minute

// signed is a call signed at a time with a nonce, as a dialect makes it.
func signed(t testing.TB, w *kmstest.World, nonce byte, at time.Time) *kms.Call {
	t.Helper()
	c := w.Call(t, w.Tenant)
	c.Nonce, c.NonceExpires = [16]byte{nonce}, at.Add(nonceWindow)
	return c
}

// seenNonce asks the memory for a nonce, as a dialect does once the signature verified.
func seenNonce(t testing.TB, w *kmstest.World, nonce byte, at time.Time) error {
	t.Helper()
	c := signed(t, w, nonce, at)
	defer c.End()
	return w.Seen(t.Context(), c, at)
}

func TestANonceIsServedOnce(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	start := w.Clock.Now()
	want(t, "the first time", seenNonce(t, w, 1, start), "")
	want(t, "the second time", seenNonce(t, w, 1, start), keys.KindReplay)
	want(t, "signed at another time", seenNonce(t, w, 1, start.Add(3*time.Minute)), keys.KindReplay)
	want(t, "another", seenNonce(t, w, 2, start), "")

	// Domain time has nothing to do with it.
	advance(t, w, 100*keys.Day)
	want(t, "after a move of the domain clock", seenNonce(t, w, 1, start), keys.KindReplay)
	if n := w.Stats().Nonces; n != 2 {
		t.Errorf("%d nonces are remembered, want 2", n)
	}
}

// TestNoncesAreForgottenByRequestTime lets the window of a nonce pass.
func TestNoncesAreForgottenByRequestTime(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	want(t, "the first", seenNonce(t, w, 1, w.Clock.Now()), "")
	w.Clock.Add(nonceWindow - time.Second)
	want(t, "within its window", seenNonce(t, w, 1, w.Clock.Now()), keys.KindReplay)
	w.Clock.Add(bucket + time.Minute)
	want(t, "another, which makes room", seenNonce(t, w, 2, w.Clock.Now()), "")
	if n := w.Stats().Nonces; n != 1 {
		t.Errorf("%d nonces are remembered, want 1", n)
	}
	want(t, "the first, after its window", seenNonce(t, w, 1, w.Clock.Now()), "")
}

// TestANonceIsGoodAgainAfterItsWindow asks for nothing else in between.
func TestANonceIsGoodAgainAfterItsWindow(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	want(t, "the first time", seenNonce(t, w, 1, w.Clock.Now()), "")
	w.Clock.Add(nonceWindow + bucket)
	want(t, "after its window", seenNonce(t, w, 1, w.Clock.Now()), "")
	want(t, "again", seenNonce(t, w, 1, w.Clock.Now()), keys.KindReplay)
	if n := w.Stats().Nonces; n != 1 {
		t.Errorf("%d nonces are remembered, want 1", n)
	}
}

// TestAFullMemoryOfNoncesThrottles fills the memory: nothing is forgotten for it.
func TestAFullMemoryOfNoncesThrottles(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.With(func(c *kms.Config) { c.NonceLimit = 3 }))
	now := w.Clock.Now()
	for i := range byte(3) {
		want(t, "while there is room", seenNonce(t, w, i, now), "")
	}
	want(t, "one more", seenNonce(t, w, 9, now), keys.KindThrottled)
	want(t, "one that is remembered", seenNonce(t, w, 1, now), keys.KindReplay)
	w.Clock.Add(nonceWindow + bucket)
	want(t, "once their window is over", seenNonce(t, w, 9, w.Clock.Now()), "")
}

// TestRequestsOlderThanTheServerAreRefused comes with a signature from before the start: the
// process before may have served it.
func TestRequestsOlderThanTheServerAreRefused(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	start := w.Clock.Now()
	want(t, "a second before the start", seenNonce(t, w, 1, start.Add(-time.Second)), keys.KindReplay)
	want(t, "at the start", seenNonce(t, w, 1, start), "")
}

// TestAMutationIsNotReplayedAcrossARestart repeats a mutation's nonce after a restart, with a
// time of signing that the new process would take.
func TestAMutationIsNotReplayedAcrossARestart(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.InDir(kmstest.Dir(t)))
	k := newAES(t, w)
	at := w.Clock.Now()
	rotation := func() error {
		c := signed(t, w, 1, at)
		defer c.End()
		if err := w.Seen(context.Background(), c, at); err != nil {
			return err
		}
		return second(w.Rotate(t.Context(), c, kms.KeyRef{ID: k.ID}))
	}
	want(t, "the first time", rotation(), "")
	w.Restart(t)
	want(t, "after a restart", rotation(), keys.KindReplay)
	if n := seen(t, w, k.ID).Versions; n != 2 {
		t.Errorf("%d versions, want 2", n)
	}
	// The store forgets it by request time as well.
	w.Clock.Add(nonceWindow + bucket)
	if _, err := w.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	at = w.Clock.Now()
	want(t, "after its window", rotation(), "")
}

// TestARefusedMutationLeavesItsNonceUnused keeps the store's nonces to what had an effect; the
// memory has the others.
func TestARefusedMutationLeavesItsNonceUnused(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	k := newAES(t, w)
	want(t, "disable", change(t, w, k.ID, keys.DisableKey), "")
	at := w.Clock.Now()
	rotation := func() error {
		c := signed(t, w, 1, at)
		defer c.End()
		return second(w.Rotate(t.Context(), c, kms.KeyRef{ID: k.ID}))
	}
	want(t, "of a disabled key", rotation(), keys.KindState)
	want(t, "enable", change(t, w, k.ID, keys.EnableKey), "")
	want(t, "of an enabled key", rotation(), "")
	want(t, "again", rotation(), keys.KindReplay)
}
