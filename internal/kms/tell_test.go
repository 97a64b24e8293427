// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store/pgtest"
)

// tale is a change of a key at the first node, and calls there whose answers tell of it.
type tale struct {
	name   string
	before func(*testing.T, *kmstest.World, *kms.Key)
	change func(*kmstest.World, *kms.Call, *kms.Key) error
	shows  func(*kms.Key) bool // whether a look at the key shows the change
	// What Encrypt, and one more change of the kind, come to by then; the second node, which has
	// not heard of it, answers Encrypt by what was before.
	use, again, stale keys.Kind
}

func tales() []tale {
	state := func(act keys.Action) func(*kmstest.World, *kms.Call, *kms.Key) error {
		return func(w *kmstest.World, c *kms.Call, k *kms.Key) error {
			return second(w.ChangeKeyState(context.Background(), c, kms.KeyRef{ID: k.ID}, act))
		}
	}
	in := func(s keys.State) func(*kms.Key) bool { return func(k *kms.Key) bool { return k.State == s } }
	disabled := func(t *testing.T, w *kmstest.World, k *kms.Key) {
		t.Helper()
		want(t, "disable", change(t, w, k.ID, keys.DisableKey), "")
	}
	return []tale{
		{name: "disable", change: state(keys.DisableKey), shows: in(keys.Disabled), use: keys.KindState, again: keys.KindState},
		{
			name: "schedule deletion", shows: in(keys.PendingDeletion), use: keys.KindState, again: keys.KindState,
			change: func(w *kmstest.World, c *kms.Call, k *kms.Key) error {
				return second(w.ScheduleKeyDeletion(context.Background(), c, kms.KeyRef{ID: k.ID}, time.Time{}))
			},
		},
		{
			name: "schedule the vault's deletion", shows: in(keys.PendingDeletion), use: keys.KindState, again: keys.KindState,
			change: func(w *kmstest.World, c *kms.Call, k *kms.Key) error {
				return second(w.ScheduleVaultDeletion(context.Background(), c, kms.VaultRef{ID: k.Vault}, time.Time{}))
			},
		},
		{name: "enable", before: disabled, change: state(keys.EnableKey), shows: in(keys.Enabled), again: keys.KindState, stale: keys.KindState},
		{
			name: "rotate", shows: func(k *kms.Key) bool { return k.Versions == 2 },
			change: func(w *kmstest.World, c *kms.Call, k *kms.Key) error {
				return second(w.Rotate(context.Background(), c, kms.KeyRef{ID: k.ID}))
			},
		},
	}
}

// testFleetTells changes a key at one node while another hears of nothing: whatever else the first
// node answers of it waits, and the other goes on by what it knows.
func testFleetTells(t *testing.T, server *pgtest.Server) {
	steady := newBootClock()
	n := newNodes(t, server, func(c *kms.Config) {
		c.Fleet.Lease = time.Hour // for as long as the test holds a node back
		c.Fleet.Steady = steady.now
	})
	for _, tl := range tales() {
		for _, gone := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, gone %t", tl.name, gone), func(t *testing.T) { testTale(t, n, tl, steady, gone) })
		}
	}
}

func testTale(t *testing.T, n *nodes, tl tale, steady *bootClock, gone bool) {
	req := wish(keys.AES256)
	req.Vault = newVault(t, n.World, tl.name+fmt.Sprint(gone))
	k := newKey(t, n.World, req)
	if tl.before != nil {
		tl.before(t, n.World, k)
	}
	n.inStep(t)
	told(t, n.World, k)
	told(t, n.other, k)
	_, err := encrypt(t, n.other, k.ID) // and remembers what it takes
	want(t, "before it, at the second node", err, tl.stale)

	changed := make(chan error, 1)
	var tellers []*teller
	n.other.HoldReading(func() {
		go func() {
			changed <- as(t, n.World, n.Tenant, func(c *kms.Call) error { return tl.change(n.World, c, k) })
		}()
		for !tl.shows(seen(t, n.World, k.ID)) {
			time.Sleep(time.Millisecond) //nolint:forbidigo // until it is committed, which nobody is told before it is answered
		}
		tellers = n.tell(t, tl, k)
		n.compared(t, 5)
		for _, x := range tellers {
			x.stillWaits(t)
		}
		c := n.other.Call(t, n.Tenant)
		defer c.End()
		out, err := n.other.Encrypt(t.Context(), c, kms.EncryptRequest{Key: kms.KeyRef{ID: k.ID}})
		want(t, "at a node that has not heard of it", err, tl.stale)
		if err == nil && out.Version.Ordinal != 1 {
			t.Errorf("a node that has not heard of it uses version %d", out.Version.Ordinal)
		}
		want(t, "its answer", n.other.MayTell(t.Context(), c), "")
		if gone {
			steady.add(time.Hour + 2*margin)
			for _, x := range tellers {
				want(t, x.name+", once the other is gone", <-x.end, "")
			}
		}
	})
	for _, x := range tellers {
		if !gone {
			want(t, x.name+", once the other has heard", <-x.end, "")
		}
		x.call.End()
	}
	want(t, tl.name, <-changed, "")
}

// teller is a call that waits before it tells what it came to.
type teller struct {
	name string
	call *kms.Call
	end  chan error
}

func (x *teller) stillWaits(t *testing.T) {
	t.Helper()
	select {
	case err := <-x.end:
		t.Errorf("%s is answered (%v) before the other node has heard of the change", x.name, err)
		x.end <- err
	default:
	}
}

// tell makes the calls that tell of a tale.
func (n *nodes) tell(t *testing.T, tl tale, k *kms.Key) (all []*teller) {
	t.Helper()
	add := func(name string, kind keys.Kind, f func(*kms.Call) error) {
		c := n.Call(t, n.Tenant)
		want(t, name, f(c), kind)
		x := &teller{name, c, make(chan error, 1)}
		go func() { x.end <- n.MayTell(context.Background(), c) }()
		all = append(all, x)
	}
	add("Encrypt", tl.use, func(c *kms.Call) error {
		return second(n.Encrypt(t.Context(), c, kms.EncryptRequest{Key: kms.KeyRef{ID: k.ID}}))
	})
	add("a look at the key", "", func(c *kms.Call) error { return second(n.Key(t.Context(), c, kms.KeyRef{ID: k.ID})) })
	add("a look at the version", "", func(c *kms.Call) error {
		return second(n.Version(t.Context(), c, kms.KeyRef{ID: k.ID}, kms.VersionRef{}))
	})
	if tl.again != "" {
		add("the same change again", tl.again, func(c *kms.Call) error { return tl.change(n.World, c, k) })
	}
	return all
}

// told waits until a node may tell of a key.
func told(t *testing.T, w *kmstest.World, k *kms.Key) {
	t.Helper()
	must(t, w, func(c *kms.Call) error {
		if _, err := w.Key(t.Context(), c, kms.KeyRef{ID: k.ID}); err != nil {
			return err
		}
		return w.MayTell(t.Context(), c)
	})
}

// compared waits until the first node has asked what others heard so many times more.
func (n *nodes) compared(t *testing.T, times int) {
	t.Helper()
	for range times {
		if _, _, err := n.Nodes(t.Context(), n.System("nodes")); err != nil {
			t.Fatal(err)
		}
	}
}

// testFleetTellsNews makes a key while another node hears of nothing. It is used and looked at without
// delay: nobody knows anything else of it.
func testFleetTellsNews(t *testing.T, server *pgtest.Server) {
	n := newNodes(t, server, func(c *kms.Config) { c.Fleet.Lease = time.Hour })
	told(t, n.World, newAES(t, n.World)) // and so of the vault
	over, cancel := context.WithCancel(t.Context())
	cancel()
	n.other.HoldReading(func() {
		k := newAES(t, n.World)
		for name, f := range map[string]func(*kms.Call) error{
			"Encrypt": func(c *kms.Call) error {
				return second(n.Encrypt(t.Context(), c, kms.EncryptRequest{Key: kms.KeyRef{ID: k.ID}}))
			},
			"a look": func(c *kms.Call) error { return second(n.Key(t.Context(), c, kms.KeyRef{ID: k.ID})) },
		} {
			must(t, n.World, f)
			must(t, n.World, func(c *kms.Call) error {
				if err := f(c); err != nil {
					return err
				}
				want(t, name+" of a new key", n.MayTell(over, c), "")
				return nil
			})
		}
	})
}

// testFleetTellsAtEnd has calls that wait and cannot go on: a caller that leaves, a lease that ends.
func testFleetTellsAtEnd(t *testing.T, server *pgtest.Server) {
	n := newNodes(t, server)
	k := newAES(t, n.World)
	told(t, n.World, k)
	n.inStep(t)
	changed := make(chan error, 1)
	n.other.HoldReading(func() {
		go func() { changed <- change(t, n.World, k.ID, keys.DisableKey) }()
		for seen(t, n.World, k.ID).State != keys.Disabled {
			time.Sleep(time.Millisecond) //nolint:forbidigo // until it is committed, which nobody is told before it is answered
		}
		c := n.Call(t, n.Tenant)
		defer c.End()
		_, err := n.Encrypt(t.Context(), c, kms.EncryptRequest{Key: kms.KeyRef{ID: k.ID}})
		want(t, "Encrypt", err, keys.KindState)
		over, cancel := context.WithCancel(t.Context())
		cancel()
		want(t, "for a caller that left", n.MayTell(over, c), keys.KindUnavailable)
		n.HoldRenewals(func() {
			n.boot[0].add(lease)
			want(t, "after the lease", n.MayTell(t.Context(), c), keys.KindUnavailable)
		})
	})
	want(t, "Disable", <-changed, "")
}
