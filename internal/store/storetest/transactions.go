// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"claviger/internal/audit"
	"claviger/internal/keys"
	"claviger/internal/store"
)

func reload(s store.Store, id keys.ID) (k *keys.Key, err error) {
	err = s.View(context.Background(), func(tx store.Tx) error {
		k, err = store.LoadKey(tx, id)
		return err
	})
	return k, err
}

// testUndo fails a transaction that wrote everything: nothing of it stays, the error is the
// function's own, and its revision goes to the next.
func testUndo(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	mine := errors.New("mine")
	all := samples(b)
	for _, x := range all {
		put(t, s, x.parents...)
	}
	var numbered int64
	err := refused(t, s, "a function that fails", func(tx store.Tx) error {
		numbered = tx.Revision()
		for _, x := range all {
			if err := tx.Put(x.rec); err != nil {
				return err
			}
		}
		return errors.Join(tx.Record(audit.Event{Time: epoch, Outcome: "denied"}), mine)
	})
	if !errors.Is(err, mine) {
		t.Errorf("the function's error came back as %v", err)
	}
	view(t, s, func(tx store.Tx) error {
		for _, x := range all {
			if _, err := x.stored(tx); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s of an undone transaction: %v, want ErrNotFound", x.name, err)
			}
		}
		return nil
	})
	for _, x := range all {
		if r := revision(x.rec); r != nil && *r != 0 {
			t.Errorf("%s of an undone transaction has revision %d, want none as before it", x.name, *r)
		}
		if x.name == "version" { // which its key counts on
			put(t, s, x.rec)
		}
	}
	if rev := read(t, s, store.Tx.Head).Revision; rev != numbered {
		t.Errorf("the next transaction has revision %d, want that of the undone one, %d", rev, numbered)
	}
}

func testPanic(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	k := b.Key(b.vault)
	for _, value := range []any{"text", errors.New("error"), nil} {
		err := refused(t, s, "a function that panics", func(tx store.Tx) error {
			if err := tx.Put(k); err != nil {
				return err
			}
			panic(value)
		})
		if errors.Is(err, store.ErrUnknown) {
			t.Errorf("a panic is undone, not of unknown outcome: %v", err)
		}
		k.Revision = 0
	}
	if _, err := reload(s, k.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what was written before the panic: %v, want ErrNotFound", err)
	}
	put(t, s, k)
}

func testReadOnly(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	for what, write := range map[string]func(store.Tx) error{
		"put":    func(tx store.Tx) error { return tx.Put(b.Key(b.vault)) },
		"delete": func(tx store.Tx) error { return tx.Delete(b.vault) },
		"record": func(tx store.Tx) error { return tx.Record(audit.Event{Outcome: audit.OutcomeOK}) },
		"expire": func(tx store.Tx) error { _, err := tx.Expire(store.Expiry{Domain: b.Time()}, 1); return err },
	} {
		mine := errors.New("mine")
		err := s.View(context.Background(), func(tx store.Tx) error {
			if tx.Revision() != 0 {
				t.Errorf("a view has revision %d", tx.Revision())
			}
			if err := write(tx); err == nil {
				t.Errorf("%s in a view succeeded", what)
			}
			return mine
		})
		if err != mine { //nolint:errorlint // it is returned as it is
			t.Errorf("view answered %v, want the function's own error", err)
		}
	}
}

// testOver uses transactions after their functions have returned.
func testOver(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	var kept []store.Tx
	keep := func(tx store.Tx) error { kept = append(kept, tx); return nil }
	update(t, s, keep)
	view(t, s, keep)
	for _, tx := range kept {
		if err := tx.Load(&keys.Vault{ID: b.vault.ID}); err == nil {
			t.Error("load after the end succeeded")
		}
		if err := tx.Put(b.Key(b.vault)); err == nil {
			t.Error("put after the end succeeded")
		}
		if _, err := tx.Tenants(); err == nil {
			t.Error("list after the end succeeded")
		}
	}
}

// testCancel ends contexts before, while and after their transactions are run.
func testCancel(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	ended, end := context.WithCancel(context.Background())
	end()
	never := func(store.Tx) error { t.Error("a withdrawn function was run"); return nil }
	if _, err := s.Update(ended, never); !errors.Is(err, context.Canceled) || errors.Is(err, store.ErrUnknown) {
		t.Errorf("with an ended context: %v, want its error", err)
	}

	// While one is in its function, another waits behind it and withdraws.
	inside, leave := make(chan struct{}), make(chan struct{})
	k := b.Key(b.vault)
	ctx, cancel := context.WithCancel(context.Background())
	first := make(chan error, 1)
	go func() {
		_, err := s.Update(ctx, func(tx store.Tx) error {
			close(inside)
			<-leave
			return tx.Put(k)
		})
		first <- err
	}()
	<-inside
	behind, withdraw := context.WithTimeoutCause(context.Background(), time.Hour, nil)
	second := make(chan error, 1)
	go func() {
		_, err := s.Update(behind, never)
		second <- err
	}()
	withdraw()
	if err := <-second; !errors.Is(err, context.Canceled) || errors.Is(err, store.ErrUnknown) {
		t.Errorf("withdrawn while waiting: %v, want the context's error", err)
	}
	cancel()
	if err := <-first; !errors.Is(err, store.ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled while running: %v, want ErrUnknown with the context's error", err)
	}
	close(leave)
	put(t, s, b.Key(b.vault)) // comes after it
	if _, err := reload(s, k.ID); err != nil {
		t.Errorf("what a cancelled caller wrote: %v", err)
	}
}

func testCancelView(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	ctx, cancel := context.WithCancel(context.Background())
	if err := s.View(ctx, func(tx store.Tx) error {
		cancel()
		return tx.Load(&keys.Vault{ID: b.vault.ID})
	}); !errors.Is(err, context.Canceled) {
		t.Errorf("a view whose context ended reads on: %v", err)
	}
	if err := s.View(ctx, func(store.Tx) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a view with an ended context: %v", err)
	}
	if _, err := reload(s, keys.ID{1}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the next view: %v", err)
	}
}

// testClose closes a store with transactions under way: each is either there or refused.
func testClose(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	inside, leave := make(chan struct{}), make(chan struct{})
	answers := make(chan error, 21)
	go func() {
		_, err := s.Update(context.Background(), func(tx store.Tx) error {
			close(inside)
			<-leave
			return tx.Put(b.vault)
		})
		answers <- err
	}()
	<-inside
	for range 20 {
		k := b.Key(b.vault)
		go func() {
			_, err := s.Update(context.Background(), func(tx store.Tx) error { return tx.Put(k) })
			answers <- err
		}()
	}
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	close(leave)
	for range 21 {
		if err := <-answers; err != nil && !errors.Is(err, store.ErrClosed) {
			t.Errorf("update while closing: %v, want nil or ErrClosed", err)
		}
	}
	if err := <-closed; err != nil {
		t.Errorf("close: %v", err)
	}
	if _, err := s.Update(context.Background(), func(store.Tx) error { return nil }); !errors.Is(err, store.ErrClosed) {
		t.Errorf("update after close: %v, want ErrClosed", err)
	}
	if err := s.View(context.Background(), func(store.Tx) error { return nil }); !errors.Is(err, store.ErrClosed) {
		t.Errorf("view after close: %v, want ErrClosed", err)
	}
	for what, err := range map[string]error{"ping": s.Ping(context.Background()), "scrub": s.Scrub(context.Background())} {
		if err == nil {
			t.Errorf("%s after close succeeded", what)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

func testScrub(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	k := b.Key(b.vault)
	first, second := b.Version(k), b.Version(k)
	put(t, s, k, first, second)
	erase(k, first, b.Time())
	put(t, s, first, k)
	if err := errors.Join(s.Scrub(context.Background()), s.Ping(context.Background())); err != nil {
		t.Fatal(err)
	}
	put(t, s, second)
	got := read(t, s, func(tx store.Tx) (*keys.Version, error) { return store.LoadVersion(tx, second.ID) })
	if string(got.Sealed) != string(second.Sealed) {
		t.Errorf("another version's material is %q after a scrub", got.Sealed)
	}
}
