// SPDX-License-Identifier: Apache-2.0

package main

import (
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
