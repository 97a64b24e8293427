// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"sync"
	"sync/atomic"

	"claviger/internal/store"
)

// The states of a request. It leaves waiting once: for running by the committer, for withdrawn
// by either when its context has ended. Only a running one is answered.
const (
	waiting int32 = iota
	running
	answered
	withdrawn
)

// request is one call of Update on its way through the committer, or work that the committer
// does between batches.
type request struct {
	ctx   context.Context
	fn    func(store.Tx) error
	alone func(*session) error // instead of fn: runs outside of any transaction

	state atomic.Int32
	done  chan answer // holds one

	// Owned by the committer until the answer is sent.
	err      error
	revision int64 // 0 when it announced nothing
	changes  []store.Change
}

// answer is what the caller of a request is told.
type answer struct {
	revision int64
	wait     func() // of the observer; may be nil
	err      error
}

func newRequest(ctx context.Context) *request {
	return &request{ctx: ctx, done: make(chan answer, 1)}
}

// start claims the request for the committer, unless its caller has withdrawn it or would.
func (r *request) start() bool {
	if r.ctx.Err() != nil {
		r.withdraw()
		return false
	}
	return r.state.CompareAndSwap(waiting, running)
}

// proceed is start, or the right to run again what was started.
func (r *request) proceed() bool { return r.state.Load() == running || r.start() }

// withdraw takes the request back, if it was not started.
func (r *request) withdraw() bool {
	return r.state.CompareAndSwap(waiting, withdrawn) || r.state.Load() == withdrawn
}

// answer ends a request that was started.
func (r *request) answer(a answer) {
	if r.state.CompareAndSwap(running, answered) {
		r.done <- a
	}
}

// queue holds requests for the committer. Every caller has one in it at most, so it needs no bound.
type queue struct {
	mu     sync.Mutex
	items  []*request
	closed bool
	wake   chan struct{} // holds one token when there may be something to take
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

// push adds a request, unless the queue is closed.
func (q *queue) push(r *request) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return store.ErrClosed
	}
	q.items = append(q.items, r)
	q.signal()
	return nil
}

// take waits for requests and removes up to limit of them, in order. Work that runs alone
// comes alone. It answers nil once the queue is closed and empty.
func (q *queue) take(limit int) []*request {
	for {
		q.mu.Lock()
		n := 0
		for n < len(q.items) && n < limit && (n == 0 || q.items[n].alone == nil && q.items[0].alone == nil) {
			n++
		}
		if n > 0 {
			batch := append([]*request(nil), q.items[:n]...)
			rest := copy(q.items, q.items[n:])
			clear(q.items[rest:])
			q.items = q.items[:rest]
			if rest > 0 || q.closed {
				q.signal()
			}
			q.mu.Unlock()
			return batch
		}
		closed := q.closed
		q.mu.Unlock()
		if closed {
			return nil
		}
		<-q.wake
	}
}

// close lets take drain what is queued, and then end.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}

// signal wakes take. The caller holds mu.
func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
