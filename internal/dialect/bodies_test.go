// SPDX-License-Identifier: Apache-2.0

package dialect

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"claviger/internal/keys"
)

const (
	longest = 256 << 10 // bytes that a body may have in these tests
	mib     = 1 << 20
)

// sends is an exchange whose body is about to be read.
func (g *gate) sends(remote string, length int64) *Exchange {
	x := &Exchange{Request: &http.Request{RemoteAddr: remote, ContentLength: length, URL: &url.URL{}}}
	x.Call.Source = g.begin(x, x.Request)
	return x
}

// fill takes as many of the longest bodies as a source may have.
func (g *gate) fill(t *testing.T, remote string) (held []*Exchange) {
	t.Helper()
	for {
		x := g.sends(remote, longest)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if x.takeRoom(ended, longest) != nil {
			return held
		}
		held = append(held, x)
	}
}

// A source has no more than it leaves to all others, however many it sends, and who comes next finds as
// much as he may take. All of it together stays below the bound.
func TestNoSourceHoldsAllBodies(t *testing.T) {
	t.Parallel()
	g := newGate(GuardConfig{Unverified: 4 * mib})
	var held []*Exchange
	for i, want := range []int{8, 4, 2, 1, 1} { // bodies of a quarter of a MiB: half of what is free, each time
		got := g.fill(t, fmt.Sprintf("192.0.2.%d:1", i))
		if len(got) != want {
			t.Errorf("source %d has %d of the longest bodies, want %d", i, len(got), want)
		}
		held = append(held, got...)
		if n := g.Stats().Bodies; n != int64(len(held))*longest || n > 4*mib {
			t.Errorf("%d bytes are held for %d bodies", n, len(held))
		}
	}
	if n := g.Stats().BodiesRefused; n != 5 {
		t.Errorf("%d were refused, want one for each source", n)
	}
	for _, x := range held {
		x.giveRoom()
		x.giveRoom() // twice is once
	}
	if s := g.Stats(); s.Bodies != 0 || s.BodiesWaiting != 0 || len(g.bodies.flows) != 0 || len(g.bodies.turns) != 0 {
		t.Errorf("when all is given back, %+v and %d flows are left", s, len(g.bodies.flows))
	}
}

// What is small, too large to be read or not bounded takes no room; what does not tell its length takes
// the most.
func TestWhichBodiesTakeRoom(t *testing.T) {
	t.Parallel()
	for length, want := range map[int64]int64{
		0: 0, 1: 0, smallBody: 0, smallBody + 1: smallBody + 1, longest: longest, longest + 1: 0, 1 << 40: 0, -1: longest,
	} {
		for _, bound := range []int64{mib, 0} {
			g := newGate(GuardConfig{Unverified: bound})
			x := g.sends("192.0.2.1:1", length)
			if bound == 0 {
				want = 0
			}
			if err := x.takeRoom(t.Context(), longest); err != nil || g.Stats().Bodies != want {
				t.Errorf("a body of %d takes %d of %d, %v, want %d", length, g.Stats().Bodies, bound, err, want)
			}
		}
	}
	x := &Exchange{Request: &http.Request{ContentLength: longest}}
	if err := x.takeRoom(t.Context(), longest); err != nil {
		t.Errorf("without a guard: %v", err)
	}
	x.giveRoom()
}

// Who finds no room waits for a bounded time, and is refused as one who is throttled, for what others
// sent: his budget stays as it was.
func TestWaitForRoomIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(GuardConfig{Failures: 1, Unverified: mib})
		held := g.fill(t, "192.0.2.1:1")
		began := time.Now()
		x := g.sends("192.0.2.1:2", longest)
		err := x.takeRoom(t.Context(), longest)
		if took := time.Since(began); !keys.IsKind(err, keys.KindThrottled) || took != bodyWait || keys.AsError(err).Field != SourceField {
			t.Errorf("refused after %v: %v", took, err)
		}
		x.failed()
		if !x.unread || g.short(&budget{}, g.now.UnixNano()) != 0 || !g.idle() {
			t.Error("who found no room pays for it")
		}
		if s := g.Stats(); s.BodiesWaiting != 0 || s.Bodies != int64(len(held))*longest {
			t.Errorf("%+v", s)
		}
	})
}

// Room that is given back goes to the sources that wait, in turn, and first to those that have nothing.
func TestRoomGoesRound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(GuardConfig{Unverified: mib})
		var held []*Exchange
		for i := range 4 { // each of them may take one
			held = append(held, g.fill(t, fmt.Sprintf("198.51.100.%d:1", i))...)
		}
		held = append(held, g.fill(t, "198.51.100.9:1")...)
		if free := mib - g.Stats().Bodies; free != 0 && free != longest {
			t.Fatalf("%d bytes are free", free)
		}
		order := make(chan string, 100)
		var all sync.WaitGroup
		wait := func(remote string, n int, length int64) {
			for range n {
				all.Go(func() {
					x := g.sends(remote, length)
					if err := x.takeRoom(t.Context(), longest); err != nil {
						t.Error(err)
					}
					order <- remote
					x.giveRoom()
				})
				synctest.Wait()
			}
		}
		wait("192.0.2.1:1", 40, longest)
		wait("192.0.2.2:1", 2, longest)
		wait("192.0.2.3:1", 1, smallBody+1) // what is short does not pass by who has nothing
		if n := g.Stats().BodiesWaiting; n < 40 {
			t.Fatalf("%d wait", n)
		}
		for _, x := range held {
			x.giveRoom()
			synctest.Wait()
		}
		all.Wait()
		close(order)
		place, last := 0, 0
		for remote := range order {
			place++
			if remote != "192.0.2.1:1" {
				last = place
			}
		}
		if place != 43 || last > 6 {
			t.Errorf("of %d turns, the sources with few had their last at place %d, behind one with 40", place, last)
		}
		if s := g.Stats(); s.Bodies != 0 || s.BodiesWaiting != 0 || len(g.bodies.flows) != 0 {
			t.Errorf("at the end: %+v", s)
		}
	})
}

// Many sources come, wait, give up and give back in any order: what is held is never more than there is,
// and nothing is left over.
func TestRoomUnderStress(t *testing.T) {
	t.Parallel()
	const size, rounds = mib, 300
	l := newLane(size, true)
	var all sync.WaitGroup
	for i := range 24 {
		all.Go(func() {
			for round := range rounds {
				n := int64(smallBody + (i*7919+round*104729)%(longest-smallBody))
				ctx, cancel := context.WithCancel(t.Context())
				if (i+round)%3 == 0 {
					time.AfterFunc(time.Duration((i*31+round*17)%200)*time.Microsecond, cancel)
				}
				if l.enter(ctx, uint64(i%5+1), n) == nil {
					if taken := l.taken(); taken > size || taken < n {
						t.Errorf("%d bytes of %d are taken", taken, size)
					}
					l.leave(uint64(i%5+1), n)
				}
				cancel()
			}
		})
	}
	all.Wait()
	if l.taken() != 0 || l.length() != 0 || len(l.flows) != 0 || len(l.turns) != 0 {
		t.Errorf("%d bytes are taken at the end, %d wait, of %d flows", l.taken(), l.length(), len(l.flows))
	}
}

//nolint:paralleltest // allocations are counted
func TestSmallBodiesCostNothing(t *testing.T) {
	g := newGate(GuardConfig{Unverified: mib})
	x := g.sends("192.0.2.1:1", smallBody)
	g.bodies.mu.Lock() // whoever takes it hangs
	defer g.bodies.mu.Unlock()
	if n := testing.AllocsPerRun(1000, func() {
		if x.takeRoom(t.Context(), longest) != nil {
			t.Error("refused")
		}
		x.giveRoom()
	}); n > 0 {
		t.Errorf("%v allocations a call", n)
	}
}

// A proxy that is trusted has no share of its own: its clients do.
func TestRoomOfClientsBehindAProxy(t *testing.T) {
	t.Parallel()
	g := newGate(GuardConfig{Unverified: mib, Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	behind := func(client string) *Exchange {
		r := &http.Request{RemoteAddr: "10.0.0.1:1", ContentLength: longest, URL: &url.URL{}, Header: http.Header{forwardedFor: {client}}}
		x := &Exchange{Request: r}
		x.Call.Source = g.begin(x, r)
		return x
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for i, want := range []bool{true, true, false} { // half of it
		if err := behind("203.0.113.1").takeRoom(ended, longest); (err == nil) != want {
			t.Errorf("body %d of a client: %v", i, err)
		}
	}
	if err := behind("203.0.113.2").takeRoom(ended, longest); err != nil {
		t.Errorf("another client: %v", err)
	}
}

// Whose source has nothing is waited for: what is too little for him is not given to others who come later
// and want less, again and again.
func TestNobodyIsPassedByForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLane(100, true)
		for key, n := range []int64{40, 30, 15, 7} { // 8 are left
			if err := l.enter(t.Context(), uint64(key), n); err != nil {
				t.Fatal(err)
			}
		}
		order := make(chan string, 10)
		come := func(name string, key uint64, n int64) {
			go func() {
				if err := l.enter(t.Context(), key, n); err != nil {
					t.Error(err)
				}
				order <- name
			}()
			synctest.Wait()
		}
		come("much", 9, 20)
		l.leave(3, 7)
		come("little", 3, 7)
		if len(order) != 0 {
			t.Errorf("%s has its turn before there is enough for who came first", <-order)
		}
		l.leave(2, 15)
		synctest.Wait()
		if n := len(order); n != 2 {
			t.Errorf("%d have had their turn, want both", n)
		}
	})
}
