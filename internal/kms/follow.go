// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"sync"
)

// trail is what the node has read of others' changes and not yet followed: calls still hold what
// they retired.
type trail struct {
	reading sync.Mutex // held while the store is read, so that what was read is noted in order

	mu       sync.Mutex
	read     int64         // up to which revision; guarded by mu
	waits    []func()      // that nobody waits for yet; guarded by mu
	settling bool          // a goroutine waits; guarded by mu
	moved    chan struct{} // closed when the watermark grew, and replaced; guarded by mu
}

// read reads what others changed, up to a revision at least, and answers up to which. The
// watermark follows when no call holds what that retired.
func (f *fleet) read(ctx context.Context, atLeast int64) (int64, error) {
	t := &f.trail
	t.reading.Lock()
	revision, waits, err := f.shared.Follow(ctx, atLeast)
	if err != nil {
		t.reading.Unlock()
		return 0, err
	}
	f.trace(revision, waits)
	t.reading.Unlock()
	f.moved(ctx)
	return revision, nil
}

// trace notes what was read. f.trail.reading is held.
func (f *fleet) trace(revision int64, waits []func()) {
	t := &f.trail
	t.mu.Lock()
	defer t.mu.Unlock()
	t.read, t.waits = max(t.read, revision), append(t.waits, waits...)
	f.heard.Store(t.read)
	switch {
	case t.settling:
	case len(t.waits) == 0:
		f.follow(t.read)
	default:
		t.settling = true
		go f.settleTrail()
	}
}

// settleTrail waits for the calls that hold what was retired, until there are none.
func (f *fleet) settleTrail() {
	t := &f.trail
	for {
		t.mu.Lock()
		waits, read := t.waits, t.read
		t.waits = nil
		t.settling = len(waits) > 0 || f.followed.Load() < read
		more := t.settling
		t.mu.Unlock()
		if !more {
			return
		}
		for _, wait := range waits {
			wait()
		}
		t.mu.Lock()
		f.follow(read)
		t.mu.Unlock()
		f.nudge()
	}
}

// follow moves the watermark. f.trail.mu is held.
func (f *fleet) follow(revision int64) {
	if f.followed.Load() >= revision {
		return
	}
	f.followed.Store(revision)
	close(f.trail.moved)
	f.trail.moved = make(chan struct{})
}

// catchUp follows up to a revision at least.
func (f *fleet) catchUp(ctx context.Context, atLeast int64) error {
	revision, err := f.read(ctx, atLeast)
	if err != nil {
		return err
	}
	for {
		f.trail.mu.Lock()
		moved := f.trail.moved
		f.trail.mu.Unlock()
		if f.followed.Load() >= revision {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// nudge lets the node's goroutine take its turn now.
func (f *fleet) nudge() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}
