// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"io"
	"maps"
	"runtime"
	"sync"

	"claviger/internal/keys"
)

// Pool keeps fresh material ready for specs that are slow to generate, which is RSA. The
// material is only ever in memory. One background goroutine fills it, one pair at a time,
// and only while no caller of Generate is generating: it never competes with a request. While
// a large stock is more than half used up a second one helps, so that it lasts.
type Pool struct {
	rand     io.Reader
	lend     func() (back func())
	generate func(io.Reader, keys.Spec) (Material, error)
	target   map[keys.Spec]int // how many to keep ready
	stop     chan struct{}     // closed by Close
	wake     chan struct{}     // tells fill, if it waits, to look again
	filling  sync.WaitGroup

	mu      sync.Mutex // guards what follows
	ready   map[keys.Spec][]Material
	active  map[keys.Spec]bool // asked for once: filled from then on
	callers int                // generating right now
	helping bool               // help runs
	started bool
	closed  bool
}

// NewPool makes an idle pool that will keep target[spec] pairs of each spec ready. A spec
// is filled after it was first asked for, or after Start; until then the pool costs nothing.
//
// The helper is lent a processor, if lend is given: lend is called before it begins, and what lend answered
// when it is done.
func NewPool(rand io.Reader, target map[keys.Spec]int, lend func() (back func())) *Pool {
	if lend == nil {
		lend = func() func() { return func() {} }
	}
	return &Pool{
		rand:     rand,
		lend:     lend,
		generate: Generate,
		target:   maps.Clone(target),
		stop:     make(chan struct{}),
		wake:     make(chan struct{}, 1),
		ready:    make(map[keys.Spec][]Material),
		active:   make(map[keys.Spec]bool),
	}
}

// Start begins filling every spec at once.
func (p *Pool) Start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for spec := range p.target {
		p.activate(spec)
	}
}

// Generate is [Generate], from the pool if a pair is ready. A generation that has begun is
// not interrupted by ctx: the library offers no way. It works after Close too.
func (p *Pool) Generate(ctx context.Context, spec keys.Spec) (Material, error) {
	if err := ctx.Err(); err != nil {
		return Material{}, err
	}
	m, ok := p.take(spec)
	if ok {
		return m, nil
	}
	defer p.release()
	return p.generate(p.rand, spec)
}

// Add gives the pool a pair that somebody has made, to be the next one of its spec.
func (p *Pool) Add(spec keys.Spec, m Material) { p.put(spec, m) }

// Close stops filling and wipes what is ready. It waits for a generation under way in the
// background, which for RSA-4096 can be seconds.
func (p *Pool) Close() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.stop)
	}
	for _, ready := range p.ready {
		for _, m := range ready {
			m.Private.Wipe()
		}
	}
	clear(p.ready)
	p.mu.Unlock()
	p.filling.Wait()
}

// take removes a ready pair of spec; without one it counts the caller as generating.
func (p *Pool) take(spec keys.Spec) (Material, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.activate(spec)
	ready := p.ready[spec]
	if len(ready) == 0 {
		p.callers++
		return Material{}, false
	}
	last := len(ready) - 1
	m := ready[last]
	ready[last] = Material{}
	p.ready[spec] = ready[:last]
	p.nudge()
	if target := p.target[spec]; target >= largeStock && 2*last < target && !p.helping && !p.closed && runtime.GOMAXPROCS(0) > 1 {
		p.helping = true
		p.filling.Go(func() { p.help(spec) })
	}
	return m, true
}

// largeStock is from what target on a stock is worth a helper.
const largeStock = 16

// help fills one spec, beside fill, until half of its stock is there again.
func (p *Pool) help(spec keys.Spec) {
	back := p.lend()
	for p.wantsHelp(spec) {
		m, err := p.generate(p.rand, spec)
		if err != nil {
			break
		}
		p.put(spec, m)
	}
	back() // before another helper may begin
	p.mu.Lock()
	p.helping = false
	p.mu.Unlock()
}

// wantsHelp reports whether help is to go on.
func (p *Pool) wantsHelp(spec keys.Spec) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.closed && p.callers == 0 && 2*len(p.ready[spec]) < p.target[spec]
}

func (p *Pool) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.callers--
	p.nudge()
}

// activate lets spec be filled, and starts fill if nothing did. The caller holds mu.
func (p *Pool) activate(spec keys.Spec) {
	if p.target[spec] <= 0 || p.closed {
		return
	}
	p.active[spec] = true
	if !p.started {
		p.started = true
		p.filling.Go(p.fill)
	}
	p.nudge()
}

func (p *Pool) nudge() {
	select {
	case p.wake <- struct{}{}:
	default: // a wake-up is already waiting
	}
}

// fill generates while something is missing. After an error it waits for the next wake-up:
// the caller who finds the pool empty meets the error himself.
func (p *Pool) fill() {
	for {
		spec, ok := p.missing()
		if ok {
			if m, err := p.generate(p.rand, spec); err == nil {
				p.put(spec, m)
				continue
			}
		}
		select {
		case <-p.wake:
		case <-p.stop:
			return
		}
	}
}

// missing is the spec with the smallest share of its target ready; of equal ones, the
// first in keys.Specs, which is the cheapest.
func (p *Pool) missing() (keys.Spec, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.callers > 0 {
		return "", false
	}
	var found keys.Spec
	for _, spec := range keys.Specs() {
		have, want := len(p.ready[spec]), p.target[spec]
		if !p.active[spec] || have >= want {
			continue
		}
		if found == "" || have*p.target[found] < len(p.ready[found])*want {
			found = spec
		}
	}
	return found, found != ""
}

func (p *Pool) put(spec keys.Spec, m Material) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		m.Private.Wipe()
		return
	}
	p.ready[spec] = append(p.ready[spec], m)
}
