// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"claviger/internal/store"
)

// Store is a [store.Store] in a SQL database.
type Store struct {
	engine    engine
	committer *committer
	views     *pool
	fleet     *fleet        // nil where this process alone has the database
	shared    *sync.RWMutex // held by views for reading and by commits for writing; nil where they get on
	release   func() error  // of what the engine holds for as long as the store is open

	mu      sync.RWMutex // held for reading by each View, so that Close waits for them
	closed  bool
	closing sync.Once
	err     error // of Close
}

var _ store.Store = (*Store)(nil)

// Observe implements [store.Store].
func (s *Store) Observe(o store.Observer) { s.committer.herald.observer = o }

// View implements [store.Store].
func (s *Store) View(ctx context.Context, fn func(store.Tx) error) (err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return store.ErrClosed
	}
	session, err := s.beginView(ctx)
	if err != nil {
		return s.named(fmt.Errorf("view: %w", err))
	}
	if s.shared != nil {
		defer s.shared.RUnlock()
	}
	t := &tx{ctx: ctx, session: session, engine: s.engine}
	fit := false
	defer func() { s.views.put(session, fit) }()
	defer func() {
		t.over = true
		_, undone := session.exec(context.WithoutCancel(ctx), "ROLLBACK")
		fit = undone == nil && !errors.Is(err, errStale)
	}()
	return s.named(fn(t))
}

// named adds to an error of the database the one that the store's contract has for it.
func (s *Store) named(err error) error {
	if err == nil || errors.Is(err, store.ErrUnknown) {
		return err
	}
	if trouble := s.engine.trouble(err); trouble != nil && !errors.Is(err, trouble) {
		return fmt.Errorf("%w: %w", trouble, err)
	}
	return err
}

// beginView takes a session with a view begun on it, and s.shared for reading where there is one.
// A connection that broke while nobody used it shows that only now; another takes its place.
func (s *Store) beginView(ctx context.Context) (*session, error) {
	for attempt := 1; ; attempt++ {
		session, err := s.views.take(ctx)
		if err != nil {
			return nil, err
		}
		used := session.used
		if s.shared != nil {
			s.shared.RLock()
		}
		if _, err = session.exec(ctx, s.engine.view()); err == nil {
			err = s.current(ctx, session)
		}
		if err == nil {
			return session, nil
		}
		if s.shared != nil {
			s.shared.RUnlock()
		}
		s.views.put(session, false)
		if err = errors.Join(context.Cause(ctx), err); ctx.Err() != nil || !errors.Is(err, errStale) && (!used || !s.engine.again(err)) {
			return nil, err
		}
		if attempt > 2*cap(s.views.slots) { // each connection of the pool, and as many new ones
			return nil, err
		}
	}
}

// current refuses a view on a database that does not know what this process was told of: one
// that another has taken over from, and that was not told so. It tells what the view sees and this
// process was not told of: who reads a change does not find it undone in what is remembered.
func (s *Store) current(ctx context.Context, session *session) error {
	if s.fleet == nil {
		return nil
	}
	told := s.committer.herald.since()
	h, err := loadHead(ctx, session)
	switch {
	case err != nil:
		return err
	case h.Revision < told:
		return errStale
	}
	return s.committer.herald.follow(ctx, session, h.Revision)
}

// Update implements [store.Store].
func (s *Store) Update(ctx context.Context, fn func(store.Tx) error) (int64, error) {
	r := newRequest(ctx)
	r.fn = fn
	a := s.submit(ctx, r)
	if a.wait != nil {
		a.wait()
	}
	if a.err != nil {
		return 0, s.named(a.err)
	}
	return a.revision, nil
}

// submit hands a request to the committer and waits for the answer.
func (s *Store) submit(ctx context.Context, r *request) answer {
	if err := ctx.Err(); err != nil {
		return answer{err: context.Cause(ctx)}
	}
	if err := s.committer.queue.push(r); err != nil {
		return answer{err: err}
	}
	select {
	case a := <-r.done:
		return a
	case <-ctx.Done():
	}
	if r.withdraw() {
		return answer{err: context.Cause(ctx)}
	}
	select {
	case a := <-r.done: // just now
		return a
	default:
		return answer{err: fmt.Errorf("%w: %w", store.ErrUnknown, context.Cause(ctx))}
	}
}

// Scrub implements [store.Store].
func (s *Store) Scrub(ctx context.Context) error { return s.named(s.engine.scrub(ctx, s)) }

// Rest implements [store.Store]: it closes the connections for reading that nobody uses, with the
// pages that SQLite keeps for each. PostgreSQL has those in its own memory, and connecting to it takes longer.
func (s *Store) Rest() {
	if !s.engine.limits().shared {
		s.views.rest()
	}
}

// Ping implements [store.Store]. It asks for a connection that reads and for the one that writes.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.View(ctx, func(t store.Tx) error { _, err := t.Head(); return err }); err != nil {
		return err
	}
	r := newRequest(ctx)
	r.alone = func(session *session) error {
		_, err := loadHead(context.Background(), session)
		return err
	}
	if a := s.submit(ctx, r); a.err != nil {
		return fmt.Errorf("ping: %w", s.named(a.err))
	}
	return nil
}

// Writable is nil unless the database itself refused the last change: for want of room, because it
// takes none, or because it did not answer. It does not try.
func (s *Store) Writable() error {
	if err := s.committer.refused.Load(); err != nil {
		return s.named(*err)
	}
	return nil
}

// Close implements [store.Store]. Transactions that are queued are finished, and views waited
// for. Closing twice is harmless.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.committer.queue.close()
		<-s.committer.stopped
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		if s.fleet != nil {
			s.fleet.close()
		}
		// The last connection to go moves the log into the database: it must be one that can.
		s.err = errors.Join(s.views.close(), s.committer.close(), s.release())
	})
	return s.err
}
