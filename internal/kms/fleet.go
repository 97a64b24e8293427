// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// FleetConfig is how a node keeps step with the others that share its store. All are required
// where the store is shared.
type FleetConfig struct {
	Name  string        // of the node, for people
	Lease time.Duration // how long it serves from memory after it began a renewal
	// Margin is added to another node's lease before it is taken for gone: for the difference
	// between two clocks' speeds, and for the time that a message takes.
	Margin time.Duration
	Poll   time.Duration // how often it asks whether others changed anything
	// Boot is the time since the machine started, its sleep included (CLOCK_BOOTTIME): the node's
	// own lease runs by it.
	Boot func() time.Duration
	// Steady is a time that never goes on by more than has passed (CLOCK_MONOTONIC, which stands
	// still while the machine sleeps): another node's silence is measured by it. Nil: Boot.
	Steady func() time.Duration
}

// fleet keeps the promise that a revocation is true on every node when it is answered.
//
// A node holds a lease, which runs from the moment before its renewal was sent. While it holds
// it, whoever commits a change waits until this node's watermark says that it has followed. Out
// of lease nothing is answered from memory. A lease that has ended begins again only after the
// node has followed up to what was committed before the renewal: others may have stopped waiting
// for it in between.
//
// Who commits a change reads the nodes after the commit, by the same statement that renews its
// own row: since that is committed, the database is the one that commits are made in. A node is
// taken for gone only when its renewals did not grow for its lease and a margin, by the
// reader's own clock.
//
// A call that takes long to end, such as one whose client reads slowly, keeps the watermark from
// growing and so keeps others waiting, but not the lease from being renewed.
type fleet struct {
	FleetConfig
	shared store.Fleet
	wall   func() time.Time
	log    *slog.Logger
	moved  func(context.Context) // runs after changes of others were read

	until    atomic.Int64 // Boot up to which the lease runs
	followed atomic.Int64 // the watermark
	trail    trail
	said     atomic.Int64 // the watermark of the last renewal
	heard    atomic.Int64 // up to which revision this node has read others' changes
	spoken   atomic.Int64 // that of the last renewal
	common   atomic.Int64 // up to which revision every node has heard, as far as this one knows
	waiting  atomic.Int64 // calls whose answers wait for others to hear
	head     atomic.Int64 // how far the store had come at that
	wake     chan struct{}
	stop     context.CancelFunc
	stopped  chan struct{}

	mu sync.Mutex
	me store.Node // but for its ID guarded by mu, which is held during a renewal

	rounds  sync.Mutex
	round   *round            // the reading of nodes that has not begun; guarded by rounds
	renewed chan struct{}     // closed when the lease was renewed, and replaced; guarded by rounds
	seen    map[keys.ID]sight // of the others, as last read; guarded by rounds
}

// sight is what is known of another node's life.
type sight struct {
	renewals int64
	since    time.Duration // Steady when it was first seen with so many
}

// round is one reading of the nodes, for everybody who asked before it began.
type round struct {
	done  chan struct{}
	nodes []store.Node
	err   error
}

// joinFleet registers the node, follows, and begins to renew.
func joinFleet(ctx context.Context, cfg FleetConfig, id keys.ID, shared store.Fleet, wall func() time.Time, log *slog.Logger, moved func(context.Context)) (*fleet, error) {
	if cfg.Lease <= 0 || cfg.Margin <= 0 || cfg.Poll <= 0 || cfg.Boot == nil {
		return nil, errors.New("the store is shared: say lease, margin, poll and clock of the node")
	}
	if cfg.Steady == nil {
		cfg.Steady = cfg.Boot
	}
	f := &fleet{
		trail:       trail{moved: make(chan struct{})},
		FleetConfig: cfg, shared: shared, wall: wall, log: log, moved: moved,
		wake: make(chan struct{}, 1), stopped: make(chan struct{}), renewed: make(chan struct{}), seen: map[keys.ID]sight{},
		me: store.Node{ID: id, Name: cfg.Name, StartedAt: wall().UTC().Truncate(time.Microsecond), Lease: cfg.Lease},
	}
	if err := f.renew(ctx); err != nil {
		return nil, fmt.Errorf("join the other nodes: %w", err)
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	f.stop = stop
	go f.run(running)
	return f, nil
}

// leave ends the lease and tells the others that nobody has to wait for this node any more.
func (f *fleet) leave() {
	f.stop()
	<-f.stopped
	f.until.Store(0)
	ctx, cancel := context.WithTimeout(context.Background(), f.Lease)
	defer cancel()
	if err := f.shared.Leave(ctx, f.me.ID); err != nil {
		f.log.WarnContext(ctx, "leave the other nodes, who wait for this one's lease to end", "error", err)
	}
}

func (f *fleet) run(ctx context.Context) {
	defer close(f.stopped)
	failing := false
	for {
		pause := f.Poll
		if f.waiting.Load() > 0 {
			pause /= 2
		}
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
		case <-time.After(pause):
		}
		err := f.turn(ctx)
		if failed := err != nil && ctx.Err() == nil; failed != failing {
			failing = failed
			if failed {
				f.log.ErrorContext(ctx, "keep step with the other nodes", "error", err)
			} else {
				f.log.InfoContext(ctx, "in step with the other nodes again")
			}
		}
	}
}

// findDatabase is what it may take to connect to a database that has moved, or has much to do. A
// node without a lease takes that time: given up after each lease it might never get there.
const findDatabase = 5 * time.Second

// turn follows what others changed, and renews the lease when it has something to say or to ask, or
// a third of it is over.
func (f *fleet) turn(ctx context.Context) error {
	bound := f.Lease
	if !f.holds() {
		bound = max(2*f.Lease, findDatabase)
	}
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	if _, err := f.read(ctx, f.head.Load()); err != nil {
		return err
	}
	left := time.Duration(f.until.Load()) - f.Boot()
	quiet := f.followed.Load() == f.said.Load() && f.heard.Load() == f.spoken.Load() && f.waiting.Load() == 0
	if quiet && left > f.Lease*2/3 {
		return nil
	}
	return f.renew(ctx)
}

// renew renews the lease.
func (f *fleet) renew(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	nodes, err := f.renewLocked(ctx)
	if err != nil {
		return err
	}
	return f.bury(ctx, nodes)
}

// renewLocked renews the lease and answers the nodes. f.mu is held.
func (f *fleet) renewLocked(ctx context.Context) ([]store.Node, error) {
	began := f.Boot()
	f.me.Renewals++
	f.me.Watermark, f.me.Heard, f.me.RenewedAt = f.followed.Load(), f.heard.Load(), f.wall().UTC().Truncate(time.Microsecond)
	head, nodes, err := f.shared.Renew(ctx, f.me)
	if err != nil {
		return nil, err
	}
	f.said.Store(f.me.Watermark)
	f.spoken.Store(f.me.Heard)
	f.head.Store(head)
	f.note(nodes)
	f.compare(head, nodes)
	if f.Boot() >= time.Duration(f.until.Load()) {
		if err := f.catchUp(ctx, head); err != nil {
			return nil, err
		}
	}
	f.until.Store(int64(began + f.Lease))
	f.rounds.Lock()
	defer f.rounds.Unlock()
	close(f.renewed)
	f.renewed = make(chan struct{})
	return nodes, nil
}

// note remembers since when each of the others has not renewed.
func (f *fleet) note(nodes []store.Node) {
	f.rounds.Lock()
	defer f.rounds.Unlock()
	now, seen := f.Steady(), make(map[keys.ID]sight, len(nodes))
	for _, n := range nodes {
		s, known := f.seen[n.ID]
		if !known || s.renewals != n.Renewals {
			s = sight{n.Renewals, now}
		}
		seen[n.ID] = s
	}
	f.seen = seen
}

// silence is for how long a node has not renewed, as far as this one has seen.
func (f *fleet) silence(n *store.Node) time.Duration {
	f.rounds.Lock()
	defer f.rounds.Unlock()
	s, known := f.seen[n.ID]
	if !known || s.renewals != n.Renewals {
		return 0
	}
	return f.Steady() - s.since
}

// gone reports whether a node's lease is certainly over.
func (f *fleet) gone(n *store.Node) bool { return f.silence(n) > n.Lease+f.Margin }

// bury removes the nodes that have been gone for long. One that comes back follows first, as after
// every lease that has ended.
func (f *fleet) bury(ctx context.Context, nodes []store.Node) error {
	const long = 100 // times what makes a node gone
	var dead []keys.ID
	for i := range nodes {
		if n := &nodes[i]; n.ID != f.me.ID && f.silence(n) > long*(n.Lease+f.Margin) {
			dead = append(dead, n.ID)
		}
	}
	if len(dead) == 0 {
		return nil
	}
	return f.shared.Leave(ctx, dead...)
}

// holds reports whether the lease runs.
func (f *fleet) holds() bool { return f.Boot() < time.Duration(f.until.Load()) }

// attend waits, for at most a lease, until the lease runs.
func (f *fleet) attend(ctx context.Context) error {
	if f.holds() {
		return nil
	}
	enough := time.After(f.Lease)
	for {
		f.rounds.Lock()
		renewed := f.renewed
		f.rounds.Unlock()
		if f.holds() {
			return nil
		}
		f.nudge()
		select {
		case <-renewed:
		case <-enough:
			return errLease()
		case <-ctx.Done():
			return translate(context.Cause(ctx))
		}
	}
}

func errLease() error {
	return &keys.Error{
		Kind: keys.KindUnavailable,
		Hint: "this node cannot tell whether another has revoked something: it does not reach the database; try again, or another node",
	}
}

// settle waits until every other node has followed up to revision or is gone.
func (f *fleet) settle(ctx context.Context, revision int64) error {
	failing := f.Boot()
	for {
		nodes, err := f.look(ctx)
		if err == nil {
			failing = f.Boot()
		} else if ctx.Err() != nil || f.Boot()-failing > f.Lease+f.Margin {
			return &keys.Error{
				Kind: keys.KindUnavailable, Err: fmt.Errorf("wait for the other nodes: %w", err),
				Hint: "the change is made, but another node may not know of it yet: repeat the request, with its retry token where it has one",
			}
		}
		behind := err != nil
		for i := range nodes {
			n := &nodes[i]
			behind = behind || n.ID != f.me.ID && n.Watermark < revision && !f.gone(n)
		}
		if !behind {
			return nil
		}
		select {
		case <-time.After(f.Poll / 2):
		case <-ctx.Done():
			return translate(fmt.Errorf("%w: %w", store.ErrUnknown, context.Cause(ctx)))
		}
	}
}

// look reads the nodes by a renewal that begins after the call. Those who call while one is under
// way share the next.
func (f *fleet) look(ctx context.Context) ([]store.Node, error) {
	f.rounds.Lock()
	r := f.round
	first := r == nil
	if first {
		r = &round{done: make(chan struct{})}
		f.round = r
	}
	f.rounds.Unlock()
	if !first {
		select {
		case <-r.done:
			return r.nodes, r.err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	f.mu.Lock()
	f.rounds.Lock()
	f.round = nil // it begins
	f.rounds.Unlock()
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.Lease+f.Margin)
	r.nodes, r.err = f.renewLocked(bounded)
	cancel()
	f.mu.Unlock()
	close(r.done)
	return r.nodes, r.err
}

// Attend waits until what is remembered may be used. Whoever serves a request asks first.
func (s *Service) Attend(ctx context.Context) error {
	if s.fleet == nil {
		return nil
	}
	return s.fleet.attend(ctx)
}

// MayAnswer refuses the answer of a call that used what is remembered, once that may be out of
// date. Whoever serves a request asks last.
func (s *Service) MayAnswer(c *Call) error {
	if s.fleet == nil || c.nheld == 0 || s.fleet.holds() {
		return nil
	}
	return errLease()
}

// settleFleet lets a change be answered once it is true on every node. What is new is nowhere
// remembered: nobody has to forget it.
func (s *Service) settleFleet(ctx context.Context, act keys.Action, revision int64) error {
	if s.fleet == nil || act == keys.CreateKey || act == keys.CreateVault || act == keys.CreateAlias {
		return nil
	}
	return s.fleet.settle(ctx, revision)
}

// Node is one of the processes that serve from a shared store.
type Node = store.Node

// Nodes lists the processes that serve from the store, and how far it has come; none where this
// process alone has it.
func (s *Service) Nodes(ctx context.Context, c *Call) (head int64, nodes []Node, err error) {
	if s.fleet != nil {
		if nodes, err = s.fleet.look(ctx); err != nil {
			return 0, nil, &keys.Error{Kind: keys.KindUnavailable, Err: err}
		}
	}
	head, err = read(ctx, s, c, keys.ReadIdentity, func(m *mutation) (int64, error) {
		if err := m.may(keys.ReadIdentity, identity.Resource{}); err != nil {
			return 0, err
		}
		h, err := m.tx.Head()
		return h.Revision, err
	})
	return head, nodes, err
}
