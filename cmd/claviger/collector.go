// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
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

// Memory is given back to the system when the process has allocated less than calmRate bytes a second
// for calmLooks seconds, if enough of it lies unused: leastSpare, and an eighth of what lives, since
// giving back collects all of that. By itself the runtime keeps what the next collection may need.
const (
	calmRate   = 1 << 20
	calmLooks  = 3
	leastSpare = 4 << 20
	restLooks  = 30 // between one time and the next
)

// spare gives unused memory back to the system while there is little to do. look is called every second.
type spare struct {
	sample func() heapSample
	free   func() // as debug.FreeOSMemory

	before uint64 // what was allocated until the last look
	calm   int    // looks in a row that found little allocated since the one before
	rest   int    // looks until memory may be given back again
}

// heapSample is the heap at one moment, in bytes.
type heapSample struct {
	allocated uint64 // since the process began
	live      uint64 // in use as of the last collection
	held      uint64 // in use, garbage, or free and not given back
}

// newSpare asks rest, before it gives memory back, to let go of what is kept outside of the heap. It collects
// twice: pools keep what they have for one collection more.
func newSpare(rest func()) *spare {
	return &spare{sample: sampleHeap, free: func() { rest(); runtime.GC(); debug.FreeOSMemory() }}
}

func (s *spare) look(context.Context) {
	h := s.sample()
	s.calm++
	if h.allocated-s.before > calmRate {
		s.calm = 0
	}
	s.before = h.allocated
	if s.rest > 0 {
		s.rest--
	}
	if s.calm >= calmLooks && s.rest == 0 && h.held > h.live+max(leastSpare, h.live/8) {
		s.free()
		s.rest = restLooks
	}
}

func sampleHeap() heapSample {
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	n := func(i int) uint64 { return samples[i].Value.Uint64() }
	return heapSample{allocated: n(0), live: n(1), held: n(2) + n(3)}
}
