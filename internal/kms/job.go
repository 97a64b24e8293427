// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"claviger/internal/audit"
	"claviger/internal/keys"
	"claviger/internal/store"
)

const (
	jobsAtOnce = 2  // the work under way at once; the rest waits its turn
	jobsMost   = 64 // accepted and not finished; more are refused
	jobStep    = 10 // percent after which progress is stored
	jobRetry   = time.Second
)

// jobs does the work of work requests in the background of this process.
type jobs struct {
	ctx    context.Context //nolint:containedctx // ends when the service closes, and with it every job
	cancel context.CancelFunc
	turns  chan struct{} // holds a token for each job under way

	mu       sync.Mutex
	running  map[keys.ID]*job // guarded by mu; accepted and not finished
	reserved int              // guarded by mu; about to be accepted
}

func newJobs() *jobs {
	ctx, cancel := context.WithCancel(context.Background())
	return &jobs{ctx: ctx, cancel: cancel, turns: make(chan struct{}, jobsAtOnce), running: map[keys.ID]*job{}}
}

// job is the work of one work request.
type job struct {
	percent atomic.Int64
	moved   chan struct{} // holds a token when the percentage was moved
	over    chan struct{} // closed when the work request is finished
	failure error         // why it failed; read once it is over
	notes   []string      // for the work request's log; of the job's own goroutine
}

// note adds a line to what the work request's log will say of a success.
func (j *job) note(text string) { j.notes = append(j.notes, text) }

// part is the progress of a part of the job, which begins and ends at the given percentages of
// it. A job only ever moves forward; telling it so may be done anywhere and does not wait.
func (j *job) part(from, to int) Progress {
	return func(done, total int) {
		if total <= 0 {
			return
		}
		percent := int64(from) + int64(float64(to-from)*min(1, float64(done)/float64(total)))
		for now := j.percent.Load(); percent > now; now = j.percent.Load() {
			if !j.percent.CompareAndSwap(now, percent) {
				continue
			}
			select {
			case j.moved <- struct{}{}:
			default:
			}
		}
	}
}

// task is what is done for a work request.
type task struct {
	// run does the work. It is given up when ctx ends.
	run func(ctx context.Context, c *Call, j *job) error
	// taken, which may be nil, is called when it is sure that run will be.
	taken func()
	// done, which may be nil, takes part in the transaction that ends the work request as a
	// success; an error of it makes a failure of it.
	done func(*mutation, *keys.WorkRequest) error
	// detached says that the answer does not wait for the work.
	detached bool
}

// reserve keeps a place for one more job, until the answered function is called.
func (j *jobs) reserve() (release func(), err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.running)+j.reserved >= jobsMost {
		return nil, &keys.Error{
			Kind: keys.KindThrottled, Noun: keys.TypeWork,
			Hint: fmt.Sprintf("%d work requests are waiting to be done: try again when some are finished", jobsMost),
		}
	}
	j.reserved++
	return sync.OnceFunc(func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.reserved--
	}), nil
}

func (j *jobs) find(work keys.ID) *job {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.running[work]
}

// doWork is do for an operation whose work goes on after its answer. accept runs in do's
// transaction and stores the work request, made from the template that it gets; t is done after
// it, and the answer waits for it as long as the service's patience lasts.
func (s *Service) doWork(ctx context.Context, c *Call, act keys.Action, prepare func(*audit.Event) error,
	accept func(*mutation, *keys.WorkRequest) (*Working, error), t task,
) (*Working, error) {
	end, err := s.begin()
	if err != nil {
		return nil, err
	}
	defer end()
	var template *keys.WorkRequest // nil for a repeat
	release := func() {}
	defer func() { release() }()
	out, err := do(ctx, s, c, act, func(ev *audit.Event) error {
		place, err := s.jobs.reserve()
		if err != nil {
			return err
		}
		release = place
		if template, err = s.newWork(act); err != nil || prepare == nil {
			return err
		}
		return prepare(ev)
	}, func(m *mutation) (*Working, error) { return accept(m, template) })
	if err != nil {
		return nil, err
	}
	if template != nil && template.ID == out.Work.ID {
		if t.taken != nil {
			t.taken()
		}
		s.startJob(c, template.ID, t)
	}
	release()
	if t.detached {
		s.showWork(out.Work)
		return out, nil
	}
	return s.settled(ctx, out)
}

// workOf stands behind an operation's name in the events of its work.
const workOf = "/work"

// startJob does the work of an accepted work request in the background. The caller holds the
// service open (begin) while it calls.
func (s *Service) startJob(c *Call, work keys.ID, t task) {
	j := &job{moved: make(chan struct{}, 1), over: make(chan struct{})}
	s.jobs.mu.Lock()
	s.jobs.running[work] = j
	s.jobs.mu.Unlock()
	// The events of the work name who asked, though the request may be long over and has its own.
	asked := &Call{
		Dialect: c.Dialect, Operation: c.Operation + workOf, RequestID: c.RequestID, Source: c.Source,
		Region: c.Region, Vault: c.Vault, Replica: c.Replica, Profile: c.Profile, Who: c.Who, Changed: c.Changed, work: work,
	}
	s.work.left.Go(func() {
		defer close(j.over)
		s.endJob(asked, work, j, t, s.runJob(asked, work, j, t))
		s.jobs.mu.Lock()
		delete(s.jobs.running, work)
		s.jobs.mu.Unlock()
	})
}

// runJob waits for its turn and does the work.
func (s *Service) runJob(c *Call, work keys.ID, j *job, t task) (err error) {
	ctx := s.jobs.ctx
	defer func() {
		if v := recover(); v != nil {
			err = &keys.Error{Kind: keys.KindInternal, Err: fmt.Errorf("panic: %v", v)}
		}
		if err != nil && ctx.Err() != nil {
			err = errStopped()
		}
	}()
	select {
	case s.jobs.turns <- struct{}{}:
		defer func() { <-s.jobs.turns }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := s.changeWork(ctx, work, func(w *keys.WorkRequest, m *mutation) error {
		w.Status, w.StartedAt = keys.WorkInProgress, m.now
		_, err := caller(m.tx, c.Who) // who has waited may have been turned away since
		return err
	}); err != nil {
		return fmt.Errorf("begin work request: %w", err)
	}
	stored := make(chan struct{})
	running, stop := context.WithCancel(ctx)
	go func() {
		defer close(stored)
		s.storeProgress(running, work, j)
	}()
	defer func() {
		stop()
		<-stored
	}()
	return t.run(ctx, c, j)
}

func errStopped() *keys.Error {
	return &keys.Error{Kind: keys.KindUnavailable, Noun: keys.TypeWork, Hint: "the server stopped before the work was done: ask for it again"}
}

// storeProgress writes a job's percentage now and then: other nodes show it. What is lost of it
// on the way is no loss.
func (s *Service) storeProgress(ctx context.Context, work keys.ID, j *job) {
	var last int64
	for {
		select {
		case <-ctx.Done():
			return
		case <-j.moved:
		}
		percent := j.percent.Load()
		if percent < last+jobStep || percent >= 100 {
			continue
		}
		last = percent
		err := s.changeWork(ctx, work, func(w *keys.WorkRequest, _ *mutation) error {
			w.Percent = int(percent)
			return nil
		})
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "store progress of a work request", "work_request", work.String(), "error", err)
		}
	}
}

// changeWork changes the row of an unfinished work request, which is nobody's news.
func (s *Service) changeWork(ctx context.Context, work keys.ID, change func(*keys.WorkRequest, *mutation) error) error {
	_, err := s.store.Update(ctx, func(tx store.Tx) error {
		w, err := store.LoadWorkRequest(tx, work)
		if err != nil {
			return err
		}
		if w.Finished() {
			return errAbandoned()
		}
		if err := change(w, &mutation{tx: tx, now: s.clock.Now()}); err != nil {
			return err
		}
		return tx.Put(w)
	})
	return err
}

// errAbandoned says that others have taken this node for gone.
func errAbandoned() *keys.Error {
	return &keys.Error{Kind: keys.KindUnavailable, Noun: keys.TypeWork, Hint: "the work was given up when its node was out of reach: ask for it again"}
}

// endJob finishes a work request, as a success only together with what the success changes. It
// tries again until the service closes; what is left then is found at the next start.
func (s *Service) endJob(c *Call, work keys.ID, j *job, t task, failure error) {
	if failure != nil {
		s.log.Warn("work request failed", "work_request", work.String(), "operation", c.Operation, "request_id", c.RequestID, "error", failure)
	}
	for {
		if failure == nil {
			failure = s.finishWork(c, work, func(m *mutation, w *keys.WorkRequest) error { return m.succeedWork(w, j, t.done) }, nil)
			if failure == nil {
				return
			}
		}
		j.failure = translate(failure)
		err := s.finishWork(c, work, nil, j.failure)
		if err == nil || errors.Is(err, store.ErrClosed) {
			return
		}
		s.log.Error("finish a work request", "work_request", work.String(), "error", err)
		select {
		case <-s.jobs.ctx.Done():
			return
		case <-time.After(jobRetry):
		}
	}
}

// finishWork is the transaction that ends a work request: as a failure, or as succeed does. One that
// is finished already stays as it is.
func (s *Service) finishWork(c *Call, work keys.ID, succeed func(*mutation, *keys.WorkRequest) error, failure error) error {
	_, err := s.store.Update(context.Background(), func(tx store.Tx) error {
		w, err := store.LoadWorkRequest(tx, work)
		if errors.Is(err, store.ErrNotFound) || (err == nil && w.Finished()) {
			return nil // the first state was restored, or an earlier try came through
		}
		if err != nil {
			return err
		}
		m := &mutation{tx: tx, c: c, who: c.Who, now: s.clock.Now(), ev: s.event(c, w.Action)}
		m.ev.Tenant, m.ev.Vault, m.ev.Outcome = w.Tenant, w.Vault, audit.OutcomeOK
		if failure != nil {
			m.failWork(w, keys.AsError(failure))
		} else if err := succeed(m, w); err != nil {
			return err
		}
		if err := tx.Put(w); err != nil {
			return err
		}
		m.ev.Revision = tx.Revision()
		return tx.Record(*m.ev)
	})
	return err
}

func (m *mutation) failWork(w *keys.WorkRequest, e *keys.Error) {
	w.Status, w.FinishedAt = keys.WorkFailed, m.now
	w.Errors = append(w.Errors, keys.WorkNote{At: m.now, Kind: e.Kind, Noun: e.Noun, Field: e.Field, Text: e.Reason()})
	m.ev.Outcome, m.ev.Reason = string(e.Kind), e.Reason()
}

// succeedWork ends w with its effect. Who has lost the credential since gets no effect any more.
func (m *mutation) succeedWork(w *keys.WorkRequest, j *job, done func(*mutation, *keys.WorkRequest) error) (err error) {
	if done != nil {
		if m.who, err = caller(m.tx, m.c.Who); err != nil {
			return err
		}
		if err := done(m, w); err != nil {
			return err
		}
	}
	for _, text := range j.notes {
		w.Logs = append(w.Logs, keys.WorkNote{At: m.now, Text: text})
	}
	w.Status, w.Percent, w.FinishedAt = keys.WorkSucceeded, 100, m.now
	return nil
}

// completeWork ends the work request whose work the mutation is, with what came of it.
func (m *mutation) completeWork(out result) error {
	w, err := store.LoadWorkRequest(m.tx, m.c.work)
	if err != nil || w.Finished() {
		return errors.Join(err, errAbandoned())
	}
	for i := range w.Resources {
		w.Resources[i].Type, w.Resources[i].ID = out.identity()
	}
	w.Status, w.Percent, w.FinishedAt = keys.WorkSucceeded, 100, m.now
	return m.tx.Put(w)
}

// failLost finishes the work requests whose owner is gone, as the answered function tells.
func (s *Service) failLost(ctx context.Context, gone func(owner string) bool) error {
	var rows []*keys.WorkRequest
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		rows, err = tx.WorkRequests(store.WorkQuery{Unfinished: true})
		return err
	})
	for _, w := range rows {
		if gone(w.Owner) {
			c := s.System("FailWorkRequest")
			err = errors.Join(err, s.finishWork(c, w.ID, nil, errStopped()))
		}
	}
	if err != nil {
		return fmt.Errorf("finish abandoned work requests: %w", err)
	}
	return nil
}

// failAbandoned finishes the work requests of nodes that are gone: that have left, or whose lease is
// certainly over.
func (s *Service) failAbandoned(ctx context.Context) error {
	if s.fleet == nil {
		return nil
	}
	nodes, err := s.fleet.look(ctx)
	if err != nil {
		return err
	}
	alive := map[string]bool{s.node: true}
	for i := range nodes {
		if n := &nodes[i]; !s.fleet.gone(n) {
			alive[n.ID.String()] = true
		}
	}
	return s.failLost(ctx, func(owner string) bool { return !alive[owner] })
}
