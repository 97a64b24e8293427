// SPDX-License-Identifier: Apache-2.0

package dialect

import (
	"context"
	"slices"
	"sync"
)

// flowLength is how many requests of one flow may wait.
const flowLength = 256

// lane shares out what there is not enough of for all at once: turns, or bytes. Those who wait take
// turns flow by flow, so that a flow with many waits no less than one with few.
type lane struct {
	size   int64
	shared bool // a flow takes no more than it leaves to the others

	mu      sync.Mutex
	free    int64            // guarded by mu
	flows   map[uint64]*flow // guarded by mu; those that wait and, if shared, those that have something
	turns   []*flow          // guarded by mu; the order of their turns
	waiting int              // guarded by mu; nobody for whom there is enough
}

// flow is who waits together, first come first served.
type flow struct {
	key     uint64
	has     int64 // if the lane is shared
	waiting []asked
}

// asked is what one of a flow waits for.
type asked struct {
	n    int64
	turn chan struct{} // closed when it has that
}

// laneFull says that a flow has as many waiting as it may.
type laneFull struct{}

func (laneFull) Error() string { return "too many requests wait for their turn" }

func newLane(size int64, shared bool) lane {
	return lane{size: size, shared: shared, free: size, flows: map[uint64]*flow{}}
}

// enter waits for n, at most the lane's size, which leave gives back. The errors are laneFull and the
// context's.
func (l *lane) enter(ctx context.Context, key uint64, n int64) error {
	l.mu.Lock()
	f := l.flows[key]
	if f == nil {
		f = &flow{key: key}
	}
	if l.waiting == 0 && l.fits(f, n) {
		l.take(f, n)
		l.mu.Unlock()
		return nil
	}
	if len(f.waiting) >= flowLength {
		l.mu.Unlock()
		return laneFull{}
	}
	if len(f.waiting) == 0 {
		l.flows[key], l.turns = f, append(l.turns, f)
	}
	turn := make(chan struct{})
	f.waiting = append(f.waiting, asked{n, turn})
	l.waiting++
	l.serve()
	l.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	if !l.withdraw(f, turn) {
		l.leave(key, n) // it had come in the same moment
	}
	return context.Cause(ctx)
}

// fits reports whether there is enough for a flow.
func (l *lane) fits(f *flow, n int64) bool { return n <= l.free && (!l.shared || f.has+n <= l.free) }

func (l *lane) take(f *flow, n int64) {
	l.free -= n
	if l.shared {
		f.has += n
		l.flows[f.key] = f
	}
}

// withdraw takes a waiting request back; false says that its turn has come.
func (l *lane) withdraw(f *flow, turn chan struct{}) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(f.waiting, func(a asked) bool { return a.turn == turn })
	if i < 0 {
		return false
	}
	f.waiting = slices.Delete(f.waiting, i, i+1)
	l.waiting--
	if len(f.waiting) == 0 {
		i := slices.Index(l.turns, f)
		l.turns = slices.Delete(l.turns, i, i+1)
		l.forget(f)
	}
	l.serve() // others may have waited behind it
	return true
}

// leave gives back what enter took.
func (l *lane) leave(key uint64, n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.free += n
	if l.shared {
		f := l.flows[key]
		f.has -= n
		l.forget(f)
	}
	l.serve()
}

// forget drops a flow that has nothing and waits for nothing.
func (l *lane) forget(f *flow) {
	if f.has == 0 && len(f.waiting) == 0 {
		delete(l.flows, f.key)
	}
}

// serve gives what is free to the first of each flow, in their turn. A flow that has nothing is waited
// for; others are passed over as long as there is not enough for them.
func (l *lane) serve() {
	for i := 0; i < len(l.turns); {
		f := l.turns[i]
		first := f.waiting[0]
		if !l.fits(f, first.n) {
			if f.has == 0 {
				return
			}
			i++
			continue
		}
		f.waiting = f.waiting[1:]
		l.waiting--
		l.turns = slices.Delete(l.turns, i, i+1)
		if len(f.waiting) > 0 {
			l.turns = append(l.turns, f)
		}
		l.take(f, first.n)
		l.forget(f)
		close(first.turn)
	}
}

func (l *lane) length() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting
}

// taken is how much of the lane's size is not free.
func (l *lane) taken() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.size - l.free
}
