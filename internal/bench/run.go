// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Run says how load is put on a target.
type Run struct {
	// Rate is how many requests a second are due, on all connections together: an open loop, in
	// which a late answer delays nothing, and the time of an answer counts from when its request
	// was due, whether or not a connection was free for it (else the slow answers would hide those
	// that they held up, which is called coordinated omission). 0 means a closed loop: each
	// connection sends its next request when it has its answer.
	Rate     float64
	WarmUp   time.Duration // is not measured
	Duration time.Duration
	Requests int64 // end after so many that are measured, if that is sooner; 0: no such end
	Server   int   // process id of the server, if it runs on this machine; 0 if not
}

// sampleEach is how many answers pass until the content of one is checked again.
const sampleEach = 64

// grace is how long answers may take after the end, until they count as errors.
const grace = 30 * time.Second

// execution is one run on its way.
type execution struct {
	plan       *Plan
	run        Run
	begin      time.Time
	from, to   time.Time // measured
	slot       atomic.Int64
	measured   atomic.Int64 // slots of requests that are measured, with Run.Requests
	workers    []*worker
	connection sync.Mutex
	open       map[*conn]bool // guarded by connection
	over       bool           // guarded by connection
}

// Do runs the plan once. A cancelled context ends it early, and what was measured by then is told.
// It fails if no connection comes about, and otherwise counts what goes wrong.
func (p *Plan) Do(ctx context.Context, r Run) (*Result, error) {
	if r.Rate < 0 || r.Duration <= 0 || r.WarmUp < 0 {
		return nil, errors.New("the rate must not be negative, and the duration more than nothing")
	}
	x := &execution{plan: p, run: r, open: map[*conn]bool{}}
	for i := range p.load.Connections {
		w, err := x.worker(i)
		if err != nil {
			x.close()
			return nil, err
		}
		x.workers = append(x.workers, w)
	}
	x.begin = p.around.Now()
	x.from = x.begin.Add(r.WarmUp)
	x.to = x.from.Add(r.Duration)
	deadline := time.AfterFunc(r.WarmUp+r.Duration+grace, x.close)
	defer deadline.Stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, x.close)
	defer stop()
	watched := make(chan usage, 1)
	go func() { watched <- x.watch(ctx) }()

	var group sync.WaitGroup
	for _, w := range x.workers {
		group.Go(func() { w.loop(ctx) })
	}
	group.Wait()
	end := p.around.Now()
	interrupted := ctx.Err() != nil
	cancel()
	used := <-watched
	x.close()
	return x.result(end, used, interrupted), nil
}

// close ends all connections, and with them all workers.
func (x *execution) close() {
	x.connection.Lock()
	defer x.connection.Unlock()
	x.over = true
	for c := range x.open {
		_ = c.Close()
	}
	clear(x.open)
}

var errOver = errors.New("the run is over")

func (x *execution) connect(at int) (*conn, error) {
	c, err := x.plan.addresses[at].connect()
	if err != nil {
		return nil, err
	}
	x.connection.Lock()
	defer x.connection.Unlock()
	if x.over {
		return nil, errors.Join(errOver, c.Close())
	}
	x.open[c] = true
	return c, nil
}

func (x *execution) drop(c *conn) {
	x.connection.Lock()
	defer x.connection.Unlock()
	delete(x.open, c)
	_ = c.Close()
}

// worker is one connection with what it has counted.
type worker struct {
	x       *execution
	source  *source
	conns   [endpoints]*conn
	timer   *time.Timer
	stats   []stats // by work
	perTime []uint64
	errors  map[Failure]uint64
	count   atomic.Uint64 // answered, for progress
	failed  atomic.Uint64
	last    time.Time // of the last answer that was measured
}

type stats struct {
	Histogram
	seen   uint64
	failed uint64
}

func (x *execution) worker(i int) (*worker, error) {
	s, err := x.plan.source(i, x.plan.load.Connections)
	if err != nil {
		return nil, err
	}
	w := &worker{x: x, source: s, stats: make([]stats, len(x.plan.works)), errors: map[Failure]uint64{}}
	w.timer = time.NewTimer(time.Hour)
	at := x.plan.works[0].at
	if w.conns[at], err = x.connect(at); err != nil {
		return nil, fmt.Errorf("connect to %s: %w", x.plan.addresses[at].dial, err)
	}
	return w, nil
}

func (w *worker) loop(ctx context.Context) {
	now := w.x.plan.around.Now
	for ctx.Err() == nil {
		due := now()
		if w.x.run.Rate > 0 {
			due = w.x.begin.Add(time.Duration(float64(w.x.slot.Add(1)-1) / w.x.run.Rate * float64(time.Second)))
			if !w.await(ctx, due.Sub(now())) {
				return
			}
		}
		if !due.Before(w.x.to) || !now().Before(w.x.to) {
			return
		}
		if n := w.x.run.Requests; n > 0 && !due.Before(w.x.from) && w.x.measured.Add(1) > n {
			return
		}
		work, in, bytes, err := w.source.take(now())
		if err == nil {
			if w.x.run.Rate == 0 {
				due = now()
			}
			err = w.send(work, in, bytes)
		}
		done := now()
		if errors.Is(err, errOver) || ctx.Err() != nil {
			return
		}
		w.record(work, due, done, err)
	}
}

// await waits until a request is due.
func (w *worker) await(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	w.timer.Reset(d)
	select {
	case <-w.timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// send sends a request and judges its answer.
func (w *worker) send(work int, in *sample, bytes []byte) (err error) {
	p := w.x.plan
	at := p.works[work].at
	c := w.conns[at]
	if c == nil {
		if c, err = w.x.connect(at); err != nil {
			return err
		}
		w.conns[at] = c
	}
	a, err := c.do(bytes)
	if err != nil || a.last {
		w.x.drop(c)
		w.conns[at] = nil
	}
	if err != nil {
		return err
	}
	if a.status/100 != 2 {
		return refusal(a)
	}
	s := &w.stats[work]
	if s.seen++; s.seen%sampleEach != 1 {
		return nil
	}
	found, err := readContent(p.target.Dialect, a.body)
	if err != nil {
		return wrong("it cannot be decoded")
	}
	return p.works[work].check(p.works[work], in, &found)
}

func (w *worker) record(work int, due, done time.Time, err error) {
	if err != nil {
		w.errors[failure(w.x.plan.works[work].Name, err)]++
		w.stats[work].failed++
		w.failed.Add(1)
		return
	}
	w.count.Add(1)
	measured := done
	if w.x.run.Rate > 0 {
		measured = due
	}
	if measured.Before(w.x.from) {
		return
	}
	w.stats[work].Record(done.Sub(due))
	w.last = done
	second := int(done.Sub(w.x.from) / time.Second)
	for len(w.perTime) <= second {
		w.perTime = append(w.perTime, 0)
	}
	w.perTime[second]++
}

// failure says what went wrong with a request.
func failure(operation string, err error) Failure {
	f := Failure{Operation: operation}
	if r, ok := errors.AsType[*Refusal](err); ok {
		f.Status, f.Code, f.Message = r.Status, r.Code, r.Message
		return f
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		err = fmt.Errorf("%s: %w", e.Op, e.Err)
	}
	f.Code, f.Message = "connection", err.Error()
	if errors.Is(err, errContent) {
		f.Code, f.Message = "content", err.Error()
	}
	return f
}

// watch tells progress, and what the server has used between the begin and the end of what is
// measured.
func (x *execution) watch(ctx context.Context) (used usage) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var before usage
	now := x.plan.around.Now
	for !now().After(x.to) && ctx.Err() == nil {
		var wait time.Duration
		if t := now(); t.Before(x.from) {
			wait = x.from.Sub(t)
		} else {
			wait = x.to.Sub(t)
			if before.pid == 0 && x.run.Server != 0 {
				before = x.used()
			}
		}
		edge := time.NewTimer(wait)
		select {
		case <-tick.C:
		case <-edge.C:
		case <-ctx.Done():
		}
		edge.Stop()
		x.progress(now())
	}
	if before.pid != 0 {
		used = x.used()
		used.cpu -= before.cpu
		used.answers -= before.answers
	}
	return used
}

// used is what the server has used so far, and for how many answers.
func (x *execution) used() usage {
	u := readUsage(x.run.Server)
	for _, w := range x.workers {
		u.answers += w.count.Load() + w.failed.Load()
	}
	return u
}

func (x *execution) progress(now time.Time) {
	if x.plan.around.Progress == nil {
		return
	}
	p := Progress{Phase: "measure", Done: now.Sub(x.from).Seconds(), Total: x.run.Duration.Seconds()}
	if now.Before(x.from) {
		p = Progress{Phase: "warm up", Done: now.Sub(x.begin).Seconds(), Total: x.run.WarmUp.Seconds()}
	}
	for _, w := range x.workers {
		p.Requests += w.count.Load()
		p.Errors += w.failed.Load()
	}
	x.plan.around.Progress(p)
}
