// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"errors"
	"testing"

	"claviger/internal/store"
)

// TestRequest takes a request through what can happen between its caller and the committer.
func TestRequest(t *testing.T) {
	t.Parallel()
	ended, end := context.WithCancel(context.Background())
	end()
	r := newRequest(ended)
	if r.start() {
		t.Error("a request was started whose context had ended before")
	}
	if !r.withdraw() {
		t.Error("its caller is not told that it was withdrawn")
	}
	r.answer(answer{err: errExit})
	if len(r.done) != 0 {
		t.Error("a withdrawn request was answered")
	}

	r = newRequest(context.Background())
	if !r.start() || r.withdraw() || r.start() {
		t.Error("a started request can be withdrawn or started again")
	}
	r.answer(answer{revision: 1})
	r.answer(answer{revision: 2}) // must not block
	if a := <-r.done; a.revision != 1 || r.withdraw() {
		t.Errorf("answered twice: %+v", a)
	}
}

// TestQueue takes requests in order and in bounds, work that runs alone by itself, and drains
// what was there when it was closed.
func TestQueue(t *testing.T) {
	t.Parallel()
	q := newQueue()
	alone := func(*session) error { return nil }
	var all []*request
	for i := range 7 {
		r := newRequest(context.Background())
		if i == 0 || i == 3 {
			r.alone = alone
		}
		all = append(all, r)
		if err := q.push(r); err != nil {
			t.Fatal(err)
		}
	}
	q.close()
	if err := q.push(newRequest(context.Background())); !errors.Is(err, store.ErrClosed) {
		t.Errorf("push into a closed queue: %v", err)
	}
	for i, want := range []int{1, 2, 1, 2, 1} {
		got := q.take(2)
		if len(got) != want {
			t.Fatalf("batch %d has %d requests, want %d", i, len(got), want)
		}
		for _, r := range got {
			if r != all[0] {
				t.Fatalf("batch %d is out of order", i)
			}
			all = all[1:]
		}
	}
	if got := q.take(2); got != nil {
		t.Errorf("an empty, closed queue gave %d requests", len(got))
	}
}
