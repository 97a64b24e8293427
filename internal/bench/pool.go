// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// signed is one request of a pool. A pool is divided among the connections, so that each request
// belongs to one of them.
type signed struct {
	sample *sample
	bytes  []byte
	at     time.Time // when it was signed
	offset time.Duration
}

// freshFor is how long a request of a pool is sent before it is signed again. Clouds take a date
// that is five minutes off; a request is dated up to 100 seconds off either way.
const freshFor = 150 * time.Second

// sign makes pools or forms for all works.
func (p *Plan) sign(ctx context.Context) error {
	if !p.target.oci() {
		for _, w := range p.works {
			for _, s := range w.samples {
				w.forms = append(w.forms, p.form(p.message(w.Name, w.key, s), p.addresses[data].host))
			}
		}
		return nil
	}
	type job struct {
		w *work
		e *signed
	}
	var jobs []job
	for _, w := range p.works {
		m := p.message(w.Name, w.key, w.samples[0])
		w.at = m.at
		n := max(p.load.Pool*w.weight/len(p.order), p.load.Connections)
		w.pool = make([]signed, n)
		for i := range w.pool {
			w.pool[i].sample = w.samples[i%len(w.samples)]
			w.pool[i].offset = time.Duration(i/len(w.samples)%spread-spread/2) * time.Second
			jobs = append(jobs, job{w, &w.pool[i]})
		}
	}
	var next, done atomic.Int64
	var group sync.WaitGroup
	failures := make(chan error, 1)
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(jobs) || ctx.Err() != nil {
					return
				}
				if err := p.renew(jobs[i].w, jobs[i].e); err != nil {
					select {
					case failures <- err:
					default:
					}
					return
				}
				if n := done.Add(1); n%500 == 0 && p.around.Progress != nil {
					p.around.Progress(Progress{Phase: "sign", Done: float64(n), Total: float64(len(jobs))})
				}
			}
		})
	}
	group.Wait()
	select {
	case err := <-failures:
		return err
	default:
		return ctx.Err()
	}
}

// renew signs a request of a pool, for now and its own offset from it.
func (p *Plan) renew(w *work, e *signed) (err error) {
	e.at = p.around.Now()
	m := p.message(w.Name, w.key, e.sample)
	e.bytes, err = p.target.APIKey.sign(e.bytes[:0], m.method, m.path, p.addresses[w.at].host, m.body, e.at.Add(e.offset))
	return err
}

// source gives one connection its requests, one after the other.
type source struct {
	plan   *Plan
	step   int   // in the order of works
	next   []int // by work: the next of its pool or samples
	stride int
	signer *signer
	bytes  []byte
}

func (p *Plan) source(connection, connections int) (*source, error) {
	s := &source{plan: p, step: connection, next: make([]int, len(p.works)), stride: connections}
	for i := range s.next {
		s.next[i] = connection
	}
	if p.target.oci() {
		return s, nil
	}
	prefix, err := p.noncePrefix()
	s.signer = newSigner(p.target.Dialect, p.target.AccessKey, prefix)
	return s, err
}

// take returns the next request: which work it is, its inputs, and its bytes, which are good until
// the next call.
func (s *source) take(now time.Time) (work int, in *sample, bytes []byte, err error) {
	work = s.plan.order[s.step%len(s.plan.order)]
	s.step++
	w := s.plan.works[work]
	i := s.next[work]
	s.next[work] += s.stride
	if s.signer != nil {
		i %= len(w.forms)
		nonce, stamp := s.signer.fresh(now)
		s.bytes = w.forms[i].append(s.bytes[:0], s.signer, nonce, stamp)
		return work, w.samples[i], s.bytes, nil
	}
	if i >= len(w.pool) {
		i %= s.stride
		s.next[work] = i + s.stride
	}
	e := &w.pool[i]
	if now.Sub(e.at) > freshFor {
		err = s.plan.renew(w, e)
	}
	return work, e.sample, e.bytes, err
}
