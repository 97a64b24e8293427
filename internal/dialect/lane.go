// SPDX-License-Identifier: Apache-2.0

package dialect

import (
	"context"
	"sync"
)

// flowLength is how many requests of one flow may wait.
const flowLength = 256

// lane lets a few run at once. Those who wait take turns flow by flow, so that a flow with many
// waits no less than one with few.
type lane struct {
	mu      sync.Mutex
	free    int              // guarded by mu; nobody waits while it is not 0
	flows   map[uint64]*flow // guarded by mu; those in which somebody waits
	turns   []*flow          // guarded by mu; the order of their turns
	waiting int              // guarded by mu
}

// flow is who waits together, first come first served.
type flow struct {
	key     uint64
	waiting []chan struct{}
}

// laneFull says that a flow has as many waiting as it may.
type laneFull struct{}

func (laneFull) Error() string { return "too many requests wait for their turn" }

// enter waits for a turn, which leave ends. The errors are laneFull and the context's.
func (l *lane) enter(ctx context.Context, key uint64) error {
	l.mu.Lock()
	if l.free > 0 {
		l.free--
		l.mu.Unlock()
		return nil
	}
	if l.flows == nil {
		l.flows = map[uint64]*flow{}
	}
	f := l.flows[key]
	if f == nil {
		f = &flow{key: key}
		l.flows[key], l.turns = f, append(l.turns, f)
	}
	if len(f.waiting) >= flowLength {
		l.mu.Unlock()
		return laneFull{}
	}
	turn := make(chan struct{})
	f.waiting = append(f.waiting, turn)
	l.waiting++
	l.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	if !l.withdraw(f, turn) {
		l.leave() // it had come in the same moment
	}
	return context.Cause(ctx)
}

// withdraw takes a waiting request back; false says that its turn has come.
func (l *lane) withdraw(f *flow, turn chan struct{}) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, other := range f.waiting {
		if other == turn {
			f.waiting = append(f.waiting[:i], f.waiting[i+1:]...)
			l.waiting--
			return true // an empty flow goes when its turn comes
		}
	}
	return false
}

// leave ends a turn, and gives it to the first of the flow that is next.
func (l *lane) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.turns) > 0 {
		f := l.turns[0]
		l.turns = l.turns[1:]
		if len(f.waiting) == 0 {
			delete(l.flows, f.key)
			continue
		}
		turn := f.waiting[0]
		f.waiting = f.waiting[1:]
		l.waiting--
		if len(f.waiting) > 0 {
			l.turns = append(l.turns, f)
		} else {
			delete(l.flows, f.key)
		}
		close(turn)
		return
	}
	l.free++
}

func (l *lane) length() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting
}
