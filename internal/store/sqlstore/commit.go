// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"claviger/internal/store"
)

// maxBatch bounds how many transactions share one commit, and so how long the first of them
// waits for the last.
const maxBatch = 128

var (
	errPanic = errors.New("the transaction's function panicked; see the log")
	errExit  = errors.New("the transaction's function ended its goroutine")
)

// committer is the one writer of this process. Everything in it belongs to its goroutine.
type committer struct {
	db      *sql.DB
	engine  engine
	queue   *queue
	log     *slog.Logger
	exclude func() (release func()) // keeps views out between begin and commit, where the engine needs that
	herald  *herald
	stopped chan struct{} // closed when the last transaction is over

	session *session   // nil when the next batch must open one
	head    store.Head // as last committed
	away    bool       // the database could not be reached for as long as a batch waits for that
	memo    memo       // of records, for swift batches

	refused atomic.Pointer[error] // why the last change was; nil when it was made
}

// run is the committer's goroutine.
func (c *committer) run() {
	var batch []*request
	over := false
	defer func() {
		if over {
			close(c.stopped)
			return
		}
		// A function called runtime.Goexit, which nothing can stop: a test's Fatal does that.
		c.abandon()
		c.fail(batch, errExit)
		go c.run()
	}()
	for batch = c.queue.take(maxBatch); batch != nil; batch = c.queue.take(maxBatch) {
		c.serve(batch)
	}
	over = true
}

// close ends the connections, after run has ended.
func (c *committer) close() error {
	if c.session != nil {
		c.session.discard()
	}
	return c.db.Close()
}

// maxRuns bounds how often a batch is run again that others were in the way of.
const maxRuns = 8

// serve answers every request of a batch.
func (c *committer) serve(batch []*request) {
	ctx := context.Background() // a caller's end is not the batch's
	if err := c.reach(ctx); err != nil {
		c.log.ErrorContext(ctx, "reopen the database", "error", err)
		c.refused.Store(&err)
		c.fail(batch, err)
		return
	}
	if first := batch[0]; first.alone != nil {
		if first.start() {
			c.memo.clear()
			err := first.alone(c.session)
			if err != nil {
				c.abandon() // whatever is wrong with the connection, a new one does not have
			}
			first.answer(answer{err: err})
		}
		return
	}
	for run := 1; ; run++ {
		err := c.bounded(ctx, batch, swiftly)
		if errors.Is(err, errCareful) {
			if err = c.reach(ctx); err == nil {
				err = c.bounded(ctx, batch, carefully)
			}
		}
		if err == nil {
			return
		}
		c.abandon()
		if run < maxRuns && c.engine.again(err) {
			c.log.InfoContext(ctx, "run a batch again", "transactions", len(batch), "because", err)
			if err = c.reach(ctx); err == nil {
				continue
			}
		}
		c.log.ErrorContext(ctx, "commit a batch", "transactions", len(batch), "error", err)
		c.refused.Store(&err)
		c.fail(batch, err)
		return
	}
}

// The ways to run a batch.
const (
	swiftly   = true
	carefully = false
)

// bounded is transact within the engine's limit of time.
func (c *committer) bounded(ctx context.Context, batch []*request, swift bool) error {
	if most := c.engine.limits().batch; most > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, most)
		defer cancel()
	}
	return c.transact(ctx, batch, swift)
}

// transact runs a batch in one transaction of the database and answers its requests. After an
// error nothing was answered. After [errCareful] the transaction is undone.
func (c *committer) transact(ctx context.Context, requests []*request, swift bool) (err error) {
	var given numbers
	defer func() {
		if err != nil && !errors.Is(err, store.ErrUnknown) {
			given.takeBack(0)
		}
	}()
	release := c.exclude()
	defer func() { release() }()
	known := c.head.Revision
	if err := c.engine.begin(ctx, c.session, &c.head); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := c.herald.follow(ctx, c.session, c.head.Revision); err != nil {
		return fmt.Errorf("follow what others changed: %w", err)
	}
	if !swift || known != c.head.Revision {
		c.memo.clear()
	}
	var b *batch
	if swift {
		b = &batch{memo: &c.memo, begun: c.head, head: c.head}
	}
	head, wrote, err := c.applyAll(ctx, requests, b, &given)
	if errors.Is(err, errCareful) {
		c.memo.clear()
		c.session.pipeline = nil
		if _, undone := c.session.exec(ctx, "ROLLBACK"); undone != nil {
			c.abandon() // the database may have undone it already
		}
	}
	if err != nil {
		return err
	}
	defer c.herald.committing()()
	if !wrote {
		if _, err := c.session.exec(ctx, "ROLLBACK"); err != nil {
			return fmt.Errorf("end: %w", err)
		}
	} else if err := c.engine.commit(ctx, c.session); err != nil {
		if errors.Is(err, store.ErrUnknown) {
			// A transaction that only read may have seen what is now in doubt.
			c.unknown(requests)
		}
		return fmt.Errorf("commit: %w", err)
	}
	if wrote {
		c.refused.Store(nil)
	}
	c.head = head
	release()
	release = func() {}
	for _, r := range requests {
		if r.state.Load() == running {
			c.answer(r)
		}
	}
	return nil
}

// applyAll runs the requests of a batch, and answers where the head is then and whether anything
// was written.
func (c *committer) applyAll(ctx context.Context, requests []*request, b *batch, given *numbers) (store.Head, bool, error) {
	head, wrote := c.head, false
	for _, r := range requests {
		if !r.proceed() {
			continue
		}
		dirty, err := c.apply(ctx, r, b, given, &head)
		if err != nil {
			return head, false, err
		}
		wrote = wrote || dirty
	}
	if !wrote || b == nil {
		return head, wrote, nil
	}
	t := &tx{ctx: ctx, session: c.session, engine: c.engine, batch: b, writer: true, dirty: true}
	err := b.finish(t)
	if err != nil && !errors.Is(t.broken, errHead) && !c.engine.again(t.broken) && ctx.Err() == nil {
		c.log.InfoContext(ctx, "run a batch carefully", "transactions", len(requests), "because", err)
		err = errCareful
	}
	return head, wrote, err
}

// apply runs one request and reports whether it wrote. The error is one that ends the whole
// batch; the request's own is in the request.
func (c *committer) apply(ctx context.Context, r *request, b *batch, given *numbers, head *store.Head) (bool, error) {
	before := len(*given)
	t := &tx{
		ctx: ctx, session: c.session, engine: c.engine, batch: b, numbers: given,
		writer: true, begun: *head, head: *head, revision: head.Revision + 1,
	}
	r.revision, r.changes = 0, nil
	r.err = c.call(r, t)
	if r.err == nil {
		r.err = t.finish()
	}
	t.over = true
	switch {
	case errors.Is(t.broken, errHead), c.engine.again(t.broken), t.broken != nil && ctx.Err() != nil:
		return false, t.broken
	case b != nil && (t.broken != nil || r.err != nil && t.wrote):
		return false, errCareful
	case t.broken != nil && !t.dirty && (c.engine.abortsOnError() || c.engine.ended(t.broken)):
		return false, t.broken // there is no savepoint to go back to
	case !t.dirty:
		return false, nil
	case r.err != nil && b != nil:
		return false, nil // nothing of it was written
	case r.err != nil:
		given.takeBack(before)
		return false, c.undo(ctx, t)
	}
	if b != nil {
		b.add(t)
	} else if _, err := c.session.exec(ctx, "RELEASE tx"); err != nil {
		return false, fmt.Errorf("end a transaction: %w", err)
	}
	*head = t.head
	if len(t.changes) > 0 {
		r.revision, r.changes = t.revision, t.changes
	}
	return true, nil
}

// undo takes back what one transaction of a careful batch has written. Where that fails, all of the
// batch is undone, for whatever was wrong with the database in the first place: SQLite ends the
// whole transaction itself when it has no room, and then knows no savepoint. Whatever else the
// function answered is not the business of the others in the batch.
func (c *committer) undo(ctx context.Context, t *tx) error {
	for _, text := range []string{"ROLLBACK TO tx", "RELEASE tx"} {
		if _, err := c.session.exec(ctx, text); err != nil {
			err = fmt.Errorf("undo a transaction: %w", err)
			if t.broken != nil {
				err = fmt.Errorf("%w; then: %w", t.broken, err)
			}
			return err
		}
	}
	return nil
}

// call runs a request's function. A panic is its error: the service must go on serving others.
func (c *committer) call(r *request, t *tx) (err error) {
	defer func() {
		if v := recover(); v != nil {
			c.log.ErrorContext(t.ctx, "panic in a transaction", "panic", v, "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	return r.fn(t)
}

// answer tells the observer and then the caller.
func (c *committer) answer(r *request) {
	a := answer{revision: r.revision, err: r.err}
	a.wait = c.herald.committed(r.changes)
	r.answer(a)
}

// unknown tells the observer that the outcome of a batch is.
func (c *committer) unknown(batch []*request) {
	var changes []store.Change
	for _, r := range batch {
		changes = append(changes, r.changes...)
	}
	c.herald.unknown(changes)
}

// fail answers every request of a batch that has no answer yet with the batch's error.
func (c *committer) fail(batch []*request, err error) {
	for _, r := range batch {
		r.start()
		r.answer(answer{err: err})
	}
}

// abandon drops the connection, and with it whatever is not committed on it.
func (c *committer) abandon() {
	if c.session == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	_, _ = c.session.exec(ctx, "ROLLBACK") // closing does it as well
	cancel()
	c.session.discard()
	c.session = nil
	c.memo.clear()
}

// reach makes sure of a connection. While the database is away, as it is when another host takes
// over, it tries for a while; a batch that comes after that while tries once.
func (c *committer) reach(ctx context.Context) error {
	err := c.open(ctx)
	if most := c.engine.limits().reopen; err != nil && most > 0 && !c.away {
		enough := time.After(most)
		for pause := firstPause; err != nil; pause = min(2*pause, lastPause) {
			select {
			case <-enough:
				c.away = true
				return err
			case <-time.After(pause):
			}
			err = c.open(ctx)
		}
	}
	c.away = err != nil
	return err
}

// The pauses between attempts to reach a database that is away.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = time.Second
)

// open opens a connection where there is none. After a new one it reads the head again: a
// commit whose outcome was unknown may have moved it.
func (c *committer) open(ctx context.Context) error {
	if c.session != nil {
		return nil
	}
	s, err := newSession(ctx, c.db)
	if err != nil {
		return err
	}
	s.most = c.engine.limits().batch
	h, err := loadHead(ctx, s)
	if err != nil {
		s.discard()
		return err
	}
	c.session, c.head = s, h
	return nil
}

func loadHead(ctx context.Context, s *session) (h store.Head, err error) {
	err = s.one(ctx, readHead, nil, []any{&h.Revision, &h.Events, (*hashCol)(&h.Hash)})
	if err != nil {
		err = fmt.Errorf("read head: %w", err)
	}
	return h, err
}
