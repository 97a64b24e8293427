// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

// headroom is how much a server allocates at least, in bytes, before the next garbage collection.
// What lives is a few megabytes while there are few keys, and Go collects when as much again was
// allocated: under load dozens of times a second, at a fifth of the processor.
const headroom = 32 << 20

// mostPercent bounds the garbage of a heap that is all but empty.
const mostPercent = 800

// collector keeps the room for garbage at headroom, or at what lives where that is more.
type collector struct {
	live    func() uint64     // bytes that the last collection found in use
	set     func(percent int) // as debug.SetGCPercent
	percent atomic.Int64      // as last set
	stopped atomic.Bool
}

// paceCollector begins to give the garbage collector room, until stop is called. GOGC, where the
// environment has it, is left as it is.
func paceCollector(env map[string]string) (stop func()) {
	if env["GOGC"] != "" {
		return func() {}
	}
	before := debug.SetGCPercent(100)
	c := &collector{live: liveBytes, set: func(percent int) { debug.SetGCPercent(percent) }}
	c.watch()
	return func() {
		c.stopped.Store(true)
		debug.SetGCPercent(before)
	}
}

// watch adjusts now and after each collection: the object that it makes and forgets goes with the
// next one.
func (c *collector) watch() {
	if c.stopped.Load() {
		return
	}
	c.adjust()
	runtime.AddCleanup(&struct{ self *collector }{c}, (*collector).watch, c)
}

// adjust sets the percentage that leaves the room. Setting it stops the world for a moment, so
// small differences are let be.
func (c *collector) adjust() {
	percent := percentFor(c.live())
	if old := int(c.percent.Load()); percent > old-old/8 && percent < old+old/8 && percent != 100 {
		return
	}
	if c.percent.Swap(int64(percent)) != int64(percent) {
		c.set(percent)
	}
}

// percentFor is GOGC for a heap of which live bytes are in use.
func percentFor(live uint64) int {
	if live >= headroom {
		return 100
	}
	return int(min(mostPercent, headroom*100/max(live, 1)))
}

func liveBytes() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
