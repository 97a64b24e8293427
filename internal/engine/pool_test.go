// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/keys"
	"claviger/internal/secret"
)

// maker is a generator that counts, and can be held or made to fail.
type maker struct {
	mu    sync.Mutex
	made  map[keys.Spec]int
	all   []secret.Bytes
	order []keys.Spec
	gate  chan struct{} // if not nil, one receive per generation
	err   error
}

func (m *maker) generate(_ io.Reader, spec keys.Spec) (Material, error) {
	m.mu.Lock()
	gate := m.gate
	m.mu.Unlock()
	if gate != nil {
		<-gate
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return Material{}, m.err
	}
	if m.made == nil {
		m.made = make(map[keys.Spec]int)
	}
	m.made[spec]++
	m.order = append(m.order, spec)
	s := secret.New([]byte{0xff})
	m.all = append(m.all, s)
	return Material{Private: s}, nil
}

func (m *maker) set(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

func testPool(m *maker, target map[keys.Spec]int) *Pool {
	p := NewPool(rand.Reader, target, nil)
	p.generate = m.generate
	return p
}

// synctest.Test fails if a goroutine outlives its function: each test here also shows that
// Close leaves none.

func TestPoolIdleUntilUsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &maker{}
		p := testPool(m, map[keys.Spec]int{keys.RSA2048: 2, keys.RSA4096: 3})
		synctest.Wait()
		if len(m.order) != 0 {
			t.Fatalf("generated %v before first use", m.order)
		}
		if _, err := p.Generate(t.Context(), keys.RSA2048); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if diff := cmp.Diff(map[keys.Spec]int{keys.RSA2048: 3}, m.made); diff != "" {
			t.Errorf("one for the caller, two ready, none of a spec not asked for (-want +got):\n%s", diff)
		}
		p.Close()
	})
}

func TestPoolStartFillsEvenly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &maker{}
		p := testPool(m, map[keys.Spec]int{keys.RSA2048: 4, keys.RSA3072: 2, keys.RSA4096: 1})
		p.Start()
		p.Start()
		synctest.Wait()
		want := []keys.Spec{
			keys.RSA2048, keys.RSA3072, keys.RSA4096,
			keys.RSA2048, keys.RSA2048, keys.RSA3072, keys.RSA2048,
		}
		if diff := cmp.Diff(want, m.order); diff != "" {
			t.Errorf("order of filling (-want +got):\n%s", diff)
		}
		p.Close()
	})
}

func TestPoolGivesEachPairOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &maker{}
		p := testPool(m, map[keys.Spec]int{keys.RSA2048: 3})
		p.Start()
		seen := make(chan *byte, 20)
		for range cap(seen) {
			go func() {
				got, err := p.Generate(t.Context(), keys.RSA2048)
				if err != nil {
					t.Error(err)
				}
				seen <- &got.Private.Reveal()[0]
			}()
		}
		pairs := make(map[*byte]bool)
		for range cap(seen) {
			pairs[<-seen] = true
		}
		if len(pairs) != cap(seen) {
			t.Errorf("%d distinct pairs for %d callers", len(pairs), cap(seen))
		}
		synctest.Wait()
		if n := len(p.ready[keys.RSA2048]); n != 3 {
			t.Errorf("%d ready after the burst, want 3", n)
		}
		p.Close()
	})
}

func TestPoolYieldsToCallers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &maker{gate: make(chan struct{})}
		p := testPool(m, map[keys.Spec]int{keys.RSA2048: 1})
		done := make(chan struct{})
		go func() {
			defer close(done)
			if _, err := p.Generate(t.Context(), keys.RSA2048); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		if _, ok := p.missing(); ok {
			t.Error("fills while a caller generates")
		}
		m.gate <- struct{}{} // the caller's
		<-done
		m.gate <- struct{}{} // now the background's
		synctest.Wait()
		if n := len(p.ready[keys.RSA2048]); n != 1 {
			t.Errorf("%d ready after the caller finished, want 1", n)
		}
		p.Close()
	})
}

func TestPoolCloseWipesAndStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &maker{gate: make(chan struct{}, 2)}
		p := testPool(m, map[keys.Spec]int{keys.RSA2048: 3})
		m.gate <- struct{}{}
		m.gate <- struct{}{}
		p.Start()
		synctest.Wait() // two ready, the third under way
		closed := make(chan struct{})
		go func() { p.Close(); close(closed) }()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("Close did not wait for the generation under way")
		default:
		}
		m.gate <- struct{}{}
		<-closed
		for i, s := range m.all {
			if s.Reveal()[0] != 0 {
				t.Errorf("pair %d of %d was not wiped", i, len(m.all))
			}
		}
		p.Close()
		m.set(func() { m.gate = nil })
		p.Start()
		got, err := p.Generate(t.Context(), keys.RSA2048)
		if err != nil || got.Private.Len() == 0 {
			t.Errorf("Generate after Close: %v", err)
		}
	})
}

func TestPoolErrors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken reader")
		m := &maker{err: broken}
		p := testPool(m, map[keys.Spec]int{keys.RSA2048: 1})
		p.Start()
		synctest.Wait() // waits, or this would never return
		if _, err := p.Generate(t.Context(), keys.RSA2048); !errors.Is(err, broken) {
			t.Errorf("error %v, want the reader's", err)
		}
		m.set(func() { m.err = nil })
		if _, err := p.Generate(t.Context(), keys.RSA2048); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if n := len(p.ready[keys.RSA2048]); n != 1 {
			t.Errorf("%d ready after recovery, want 1", n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := p.Generate(ctx, keys.RSA2048); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		if n := len(p.ready[keys.RSA2048]); n != 1 {
			t.Error("a cancelled caller took a pair")
		}
		p.Close()
	})
}

func TestPoolRealPair(t *testing.T) {
	t.Parallel()
	p := NewPool(rand.Reader, map[keys.Spec]int{keys.RSA2048: 1}, nil)
	defer p.Close()
	for range 2 {
		m, err := p.Generate(t.Context(), keys.RSA2048)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(keys.RSA2048, m.Private); err != nil {
			t.Error(err)
		}
	}
	if _, err := p.Generate(t.Context(), "AES_512"); !errors.Is(err, ErrSpec) {
		t.Errorf("unserved spec: %v", err)
	}
}

// TestPoolHelper takes more than half of a large stock: two fill it from then on, at the same time.
func TestPoolHelper(t *testing.T) {
	t.Parallel()
	if runtime.GOMAXPROCS(0) < 2 {
		t.Skip("one processor: nobody helps")
	}
	const target = largeStock
	var lent, back atomic.Int64
	p := NewPool(rand.Reader, map[keys.Spec]int{keys.RSA2048: target}, func() func() {
		lent.Add(1)
		return func() { back.Add(1) }
	})
	var mu sync.Mutex
	waiting, running, most := false, 0, 0
	both := make(chan struct{})
	p.generate = func(io.Reader, keys.Spec) (Material, error) {
		mu.Lock()
		running++
		most = max(most, running)
		if waiting && running == 2 {
			waiting = false
			close(both)
		}
		wait := waiting
		mu.Unlock()
		if wait {
			<-both
		}
		mu.Lock()
		running--
		mu.Unlock()
		return Material{Private: secret.New(make([]byte, 8))}, nil
	}
	p.Start()
	for !p.full() {
		runtime.Gosched()
	}
	mu.Lock()
	waiting = true
	mu.Unlock()
	for range target/2 + 1 {
		if _, err := p.Generate(t.Context(), keys.RSA2048); err != nil {
			t.Fatal(err)
		}
	}
	<-both
	for !p.full() {
		runtime.Gosched()
	}
	p.Close()
	if most != 2 {
		t.Errorf("%d generated at once, want 2", most)
	}
	if l, b := lent.Load(), back.Load(); l == 0 || l != b {
		t.Errorf("a processor was lent %d times and given back %d times", l, b)
	}
}

// full reports whether there is as much of every spec as there is to be.
func (p *Pool) full() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for spec := range p.active {
		if len(p.ready[spec]) < p.target[spec] {
			return false
		}
	}
	return true
}
