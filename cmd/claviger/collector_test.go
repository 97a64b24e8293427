// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

func TestPercentFor(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		live uint64
		want int
	}{
		{0, mostPercent}, {1 << 20, mostPercent}, {8 << 20, 400}, {16 << 20, 200}, {headroom, 100}, {1 << 40, 100},
	} {
		if got := percentFor(tc.live); got != tc.want {
			t.Errorf("percentFor(%d) = %d, want %d", tc.live, got, tc.want)
		}
	}
}

func TestAdjustLetsSmallDifferencesBe(t *testing.T) {
	t.Parallel()
	var live uint64
	var set []int
	c := &collector{live: func() uint64 { return live }, set: func(p int) { set = append(set, p) }}
	for _, live = range []uint64{8 << 20, 8<<20 + 1000, 9 << 20, 16 << 20, headroom - 1000, headroom, 2 * headroom} {
		c.adjust()
	}
	if want := []int{400, 200, 100}; !slices.Equal(set, want) {
		t.Errorf("set %v, want %v", set, want)
	}
}

// TestWatchFollowsCollections: each collection is followed by a look at what lives, until stop.
func TestWatchFollowsCollections(t *testing.T) {
	t.Parallel()
	var looks atomic.Int64
	c := &collector{live: func() uint64 { looks.Add(1); return 0 }, set: func(int) {}}
	c.watch()
	defer c.stopped.Store(true)
	end := time.Now().Add(time.Minute)
	for want := int64(2); want <= 4; want++ {
		for looks.Load() < want {
			if time.Now().After(end) {
				t.Fatalf("%d looks after many collections, want %d", looks.Load(), want)
			}
			runtime.GC()
			runtime.Gosched()
		}
	}
}

// TestSpare gives memory back when there is much of it and little is done, and not again at once.
func TestSpare(t *testing.T) {
	t.Parallel()
	var h heapSample
	freed := 0
	s := &spare{sample: func() heapSample { return h }, free: func() { freed++ }}
	looks := func(n int, allocate, live, held uint64, want int) {
		t.Helper()
		before := freed
		for range n {
			h.allocated += allocate
			h.live, h.held = live, held
			s.look(context.Background())
		}
		if freed-before != want {
			t.Errorf("memory was given back %d times, want %d", freed-before, want)
		}
	}
	const mib = 1 << 20
	looks(100, 8*mib, 4*mib, 36*mib, 0)     // busy
	looks(calmLooks-1, 0, 4*mib, 36*mib, 0) // not for long
	looks(1, 8*mib, 4*mib, 36*mib, 0)       // and busy again
	looks(100, 0, 4*mib, 7*mib, 0)          // nothing to gain
	looks(100, 0, 100*mib, 110*mib, 0)      // little for what it costs
	looks(1, 0, 4*mib, 36*mib, 1)
	looks(restLooks-1, 0, 4*mib, 36*mib, 0)
	looks(1, 0, 4*mib, 36*mib, 1)
	if live := sampleHeap(); live.allocated == 0 || live.held == 0 {
		t.Errorf("the runtime tells %+v", live)
	}
}
