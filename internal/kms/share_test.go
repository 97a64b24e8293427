// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"testing"
	"time"

	"claviger/internal/dialect"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store/pgtest"
)

// TestStrictNonces keeps nonces in the store of one process, over its end.
func TestStrictNonces(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.InDir(kmstest.Dir(t)), kmstest.With(func(c *kms.Config) { c.StrictNonces = true }))
	now := w.Clock.Now()
	want(t, "the first time", seenNonce(t, w, 1, now), "")
	want(t, "the second time", seenNonce(t, w, 1, now), keys.KindReplay)
	w.Restart(t)
	want(t, "after a start, which nothing has to be younger than", seenNonce(t, w, 2, now.Add(-time.Minute)), "")
	want(t, "after a start", seenNonce(t, w, 1, now), keys.KindReplay)
	if n := w.Stats().Nonces; n != 0 {
		t.Errorf("%d nonces are in memory", n)
	}
	// A change has its nonce recorded before it, not again with it.
	c := signed(t, w, 3, now)
	defer c.End()
	want(t, "a change's nonce", w.Seen(t.Context(), c, now), "")
	if _, err := w.CreateKey(t.Context(), c, wish(keys.AES256)); err != nil {
		t.Error(err)
	}
	w.Clock.Add(2*nonceWindow + time.Minute)
	if _, err := w.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(t, "once nobody would take its signature", seenNonce(t, w, 1, w.Clock.Now()), "")
}

// TestAcrossNodes sends a signature to a second node, and counts the requests of a tenant over both.
func TestAcrossNodes(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("several nodes need a PostgreSQL server")
	}
	n := newNodes(t, pgtest.Start(t), func(c *kms.Config) { c.StrictNonces = true })
	now := n.Clock.Now()
	for i, pair := range [][2]*kmstest.World{{n.World, n.other}, {n.other, n.World}} {
		nonce := byte(i + 1)
		want(t, "on one node", seenNonce(t, pair[0], nonce, now), "")
		want(t, "on another", seenNonce(t, pair[1], nonce, now), keys.KindReplay)
		want(t, "on the same", seenNonce(t, pair[0], nonce, now), keys.KindReplay)
	}
	limiters := []*dialect.Limiter{}
	for _, w := range []*kmstest.World{n.World, n.other} {
		limiters = append(limiters, dialect.NewSharedLimiter(w.Take, map[string]float64{"writes": 1e-6}))
	}
	want(t, "the first request", limiters[0].Admit(t.Context(), n.Tenant.ID, "writes"), "")
	for _, l := range limiters {
		want(t, "the next one", l.Admit(t.Context(), n.Tenant.ID, "writes"), keys.KindThrottled)
		want(t, "one of a class without a rate", l.Admit(t.Context(), n.Tenant.ID, "reads"), "")
	}
	want(t, "another tenant's", limiters[1].Admit(t.Context(), n.Other.ID, "writes"), "")
}
