// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"claviger/internal/store"
)

// listener is an observer that remembers.
type listener struct {
	mu      sync.Mutex
	heard   []store.Change
	doubted []store.Change
	wait    func() // given to every Update; may be nil
}

func (l *listener) Committed(changes []store.Change) func() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = append(l.heard, changes...)
	return l.wait
}

func (l *listener) Unknown(changes []store.Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doubted = append(l.doubted, changes...)
}

func (l *listener) committed() []store.Change {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.heard)
}

// testObserver runs transactions from many goroutines: the observer hears exactly the feed, in
// its order, of each before its Update returns, and of none that failed.
func testObserver(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	start := read(t, s, store.Tx.Head).Revision
	seen := &listener{}
	s.Observe(seen)
	var group sync.WaitGroup
	for range 16 {
		k := b.Key(b.vault)
		group.Go(func() {
			for i := range 8 {
				rev, err := s.Update(context.Background(), func(tx store.Tx) error {
					if err := tx.Put(k); err != nil {
						return err
					}
					if i%3 == 1 {
						k.Revision = max(0, k.Revision-1) // as it will be when this is undone
						return context.DeadlineExceeded
					}
					return nil
				})
				if err != nil {
					fresh, loadErr := reload(s, k.ID)
					if loadErr != nil {
						t.Errorf("reload: %v", loadErr)
						return
					}
					*k = *fresh
					continue
				}
				if !slices.ContainsFunc(seen.committed(), func(c store.Change) bool { return c.Revision == rev && c.ID == k.ID }) {
					t.Errorf("revision %d was answered before the observer heard of it", rev)
				}
			}
		})
	}
	group.Wait()
	feed := read(t, s, func(tx store.Tx) ([]store.Change, error) { return tx.Changes(start, 0) })
	if got := seen.committed(); !slices.Equal(feed, got) {
		t.Errorf("the observer heard %d changes, the feed has %d, or in another order", len(got), len(feed))
	}
	if len(seen.doubted) > 0 {
		t.Errorf("the observer was told of doubt about %v", seen.doubted)
	}
}

// testObserverWait holds an Update in the observer's wait: it does not return, others go on,
// and its change is visible.
func testObserverWait(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	held, release := make(chan struct{}), make(chan struct{})
	var waits atomic.Int32
	seen := &listener{}
	seen.wait = func() {
		if waits.Add(1) == 1 {
			close(held)
			<-release
		}
	}
	s.Observe(seen)
	k := b.Key(b.vault)
	returned := make(chan error, 1)
	go func() {
		_, err := s.Update(context.Background(), func(tx store.Tx) error { return tx.Put(k) })
		returned <- err
	}()
	select {
	case <-held:
	case err := <-returned:
		t.Fatalf("the update returned without a wait: %v", err)
	}
	put(t, s, b.Key(b.vault))
	if _, err := reload(s, k.ID); err != nil {
		t.Errorf("load what is committed: %v", err)
	}
	select {
	case err := <-returned:
		t.Errorf("the update returned within its wait: %v", err)
	default:
	}
	close(release)
	if err := <-returned; err != nil {
		t.Errorf("update: %v", err)
	}
	if n := waits.Load(); n != 2 {
		t.Errorf("the store waited %d times, want 2", n)
	}
}
