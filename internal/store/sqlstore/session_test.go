// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"claviger/internal/store"
	"claviger/internal/store/storetest"
)

// TestViewFaults fails each step of a view. Whoever asked is told, the connection is replaced
// where that is needed, and none is lost.
func TestViewFaults(t *testing.T) {
	t.Parallel()
	f := &faults{readers: true}
	s := openTest(t, Options{connect: f.connect})
	tenant := (&storetest.World{}).Tenant()
	update(t, s, tenant)
	look := func() error {
		return s.View(t.Context(), func(tx store.Tx) error { _, err := store.LoadTenant(tx, tenant.ID); return err })
	}
	if err := look(); err != nil {
		t.Fatal(err)
	}
	for _, after := range []bool{false, true} {
		for step := range 4 {
			f.arm(step, 1, after)
			err := look()
			steps, fired := f.disarm()
			switch {
			case len(steps) != 3 && step == 0, step > 0 && len(fired) != 1:
				t.Fatalf("a view has the steps %q; failed were %q", steps, fired)
			case step == 1 || step == 2: // BEGIN, SELECT
				if !errors.Is(err, errInjected) {
					t.Errorf("%q failed, the view answers %v", fired, err)
				}
			case err != nil: // the end of a view has nothing left to tell
				t.Errorf("%q failed, the view answers %v", fired, err)
			}
			for range 3 * cap(s.views.slots) {
				if err := look(); err != nil {
					t.Fatalf("after %q failed: %v", fired, err)
				}
			}
		}
	}
	f.arm(1, 1<<20, false) // no connection can be made
	for range 3 * cap(s.views.slots) {
		if err := s.Ping(t.Context()); !errors.Is(err, errInjected) {
			t.Fatalf("the store is gone, and answers a ping with %v", err)
		}
	}
	f.disarm()
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("the store is back: %v", err)
	}
	if n := len(s.views.slots); n != 0 {
		t.Errorf("%d connections are in use after all views", n)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestPingFaults fails the connection that writes under a ping, which tells, and has it replaced.
func TestPingFaults(t *testing.T) {
	t.Parallel()
	f := &faults{}
	s := openTest(t, Options{connect: f.connect})
	for _, width := range []int{1, 1 << 20} {
		f.arm(1, width, false)
		if err := s.Ping(t.Context()); !errors.Is(err, errInjected) {
			t.Errorf("the writer is gone, and the store answers a ping with %v", err)
		}
		f.disarm()
		for range 2 {
			if err := s.Ping(t.Context()); err != nil {
				t.Errorf("the writer is back: %v", err)
			}
		}
	}
	update(t, s, (&storetest.World{}).Tenant())
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestGoexit ends the committer's goroutine from within a function, as a test's Fatal does.
// Whoever waits is answered and the store goes on.
func TestGoexit(t *testing.T) {
	t.Parallel()
	for _, memory := range []bool{false, true} {
		s := openTest(t, Options{Memory: memory})
		w := &storetest.World{}
		var group sync.WaitGroup
		errs := make([]error, 3)
		release := hold(t, s)
		for i := range errs {
			tenant := w.Tenant()
			group.Go(func() {
				_, errs[i] = s.Update(context.Background(), func(tx store.Tx) error {
					if err := tx.Put(tenant); err != nil {
						return err
					}
					if i == 1 {
						runtime.Goexit()
					}
					return nil
				})
			})
			queued(s, i+1)
		}
		release()
		group.Wait()
		for i, err := range errs {
			if !errors.Is(err, errExit) {
				t.Errorf("transaction %d of a batch whose function left: %v", i, err)
			}
		}
		if rev := update(t, s, w.Tenant()); rev != 1 {
			t.Errorf("the next transaction has revision %d, want 1: nothing of that batch is there", rev)
		}
		if err := errors.Join(storetest.Check(t.Context(), s), s.Close()); err != nil {
			t.Error(err)
		}
	}
}

// TestStatementBound prepares more texts than a session keeps, and expects that the connection
// still closes: SQLite keeps one that has statements.
func TestStatementBound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openTest(t, Options{Dir: dir, Create: true})
	_, err := s.Update(t.Context(), func(tx2 store.Tx) error {
		inner := tx2.(*tx)
		for i := range 2 * maxStatements {
			var n int
			if err := inner.one(fmt.Sprintf("SELECT %d", i), nil, &n); err != nil || n != i {
				return fmt.Errorf("%d: %w", n, err)
			}
		}
		if n := len(inner.session.statements); n != maxStatements {
			t.Errorf("the session keeps %d statements, want %d", n, maxStatements)
		}
		return tx2.Put((&storetest.World{}).Tenant())
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, databaseName+"-wal")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the log outlives the store, so a connection does: %v", err)
	}
}

// TestRest closes the connections that nobody uses, and only those, while others come and go.
func TestRest(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{"file": {}, "memory": {Memory: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openTest(t, o)
			defer s.Close()
			tenant := (&storetest.World{}).Tenant()
			update(t, s, tenant)
			look := func() error {
				return s.View(t.Context(), func(tx store.Tx) error { _, err := store.LoadTenant(tx, tenant.ID); return err })
			}
			open := func() int { return s.views.db.Stats().OpenConnections }
			err := s.View(t.Context(), func(tx store.Tx) error {
				if err := look(); err != nil {
					return err
				}
				if n := open(); n != 2 {
					t.Errorf("%d connections read, want two", n)
				}
				s.Rest()
				if n := open(); n != 1 {
					t.Errorf("%d connections are left, want the one that is used", n)
				}
				_, err := store.LoadTenant(tx, tenant.ID)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if s.Rest(); open() != 0 {
				t.Errorf("%d connections are left when nobody reads", open())
			}
			var readers sync.WaitGroup
			for range 4 {
				readers.Go(func() {
					for range 50 {
						if err := look(); err != nil {
							t.Error(err)
						}
					}
				})
			}
			for range 50 {
				s.Rest()
			}
			readers.Wait()
		})
	}
}
