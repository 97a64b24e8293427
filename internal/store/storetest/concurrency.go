// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"claviger/internal/keys"
	"claviger/internal/store"
)

// testSnapshot moves a token between two keys while views count it: there is always one.
func testSnapshot(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	here, there := b.Key(b.vault), b.Key(b.vault)
	here.Description = "token"
	put(t, s, here, there)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 200 {
			_, err := s.Update(context.Background(), func(tx store.Tx) error {
				from, err := store.LoadKey(tx, here.ID)
				if err != nil {
					return err
				}
				to, err := store.LoadKey(tx, there.ID)
				if err != nil {
					return err
				}
				from.Description, to.Description = to.Description, from.Description
				return putAll(tx, from, to)
			})
			if err != nil {
				t.Errorf("move: %v", err)
				return
			}
		}
	}()
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		view(t, s, func(tx store.Tx) error {
			x, err := store.LoadKey(tx, here.ID)
			if err != nil {
				return err
			}
			y, err := store.LoadKey(tx, there.ID)
			if err != nil {
				return err
			}
			if x.Description+y.Description != "token" || x.Revision != y.Revision {
				t.Errorf("a view sees %q of revision %d and %q of %d", x.Description, x.Revision, y.Description, y.Revision)
				over = true
			}
			return nil
		})
	}
}

// testContention rotates one key from 200 goroutines at once, each on what it read outside of
// the transaction, again and again until it fits: all succeed, and in order.
func testContention(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	k := b.Key(b.vault)
	put(t, s, k)
	rotations := 200
	if testing.Short() {
		rotations = 50
	}
	type done struct {
		ordinal  int
		revision int64
	}
	results := make(chan done, rotations)
	var group sync.WaitGroup
	for range rotations {
		maker := &World{n: b.n}
		b.n += 100_000 // ids of its own for each
		group.Go(func() {
			for {
				mine, err := reload(s, k.ID)
				if err != nil {
					t.Errorf("reload: %v", err)
					return
				}
				var v *keys.Version
				rev, err := s.Update(context.Background(), func(tx store.Tx) error {
					next := *mine // the function may be run again
					v = maker.Version(&next)
					return putAll(tx, v, &next)
				})
				switch {
				case err == nil:
					results <- done{v.Ordinal, rev}
					return
				case !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrExists):
					t.Errorf("rotate: %v", err)
					return
				}
			}
		})
	}
	group.Wait()
	close(results)
	var all []done
	for r := range results {
		all = append(all, r)
	}
	slices.SortFunc(all, func(x, y done) int { return x.ordinal - y.ordinal })
	for i, r := range all {
		if r.ordinal != i+1 || i > 0 && r.revision <= all[i-1].revision {
			t.Fatalf("rotation %d made version %d in revision %d: not in order", i+1, r.ordinal, r.revision)
		}
	}
	if got, err := reload(s, k.ID); err != nil || got.Versions != rotations || len(all) != rotations {
		t.Errorf("after %d rotations: %+v, %v", rotations, got, err)
	}
}

// testBatch queues transactions behind one that is held, so that a store that commits groups
// commits them together. Those that fail or panic leave the others alone.
func testBatch(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	seen := &listener{}
	s.Observe(seen)
	mine := errors.New("mine")
	shared := &store.Setting{Name: "order"}
	put(t, s, shared)
	for round := range 5 {
		inside, leave := make(chan struct{}), make(chan struct{})
		var group sync.WaitGroup
		group.Go(func() {
			_, err := s.Update(context.Background(), func(store.Tx) error {
				close(inside)
				<-leave
				return nil
			})
			if err != nil {
				t.Errorf("the first: %v", err)
			}
		})
		<-inside
		made := make([]*keys.Key, 24)
		for i := range made {
			made[i] = b.Key(b.vault)
			made[i].Name = fmt.Sprintf("round %d", round)
			group.Go(func() { inBatch(t, s, i, made[i], mine) })
		}
		close(leave)
		group.Wait()
		for i, k := range made {
			got, err := reload(s, k.ID)
			if fails := i%4 == 1 || i%4 == 2; fails != errors.Is(err, store.ErrNotFound) || err == nil && got.Revision != k.Revision {
				t.Errorf("round %d, transaction %d: %+v, %v", round, i, got, err)
			}
		}
	}
	order := &store.Setting{Name: "order"}
	view(t, s, func(tx store.Tx) error { return tx.Load(order) })
	if len(order.Value) != 5*12 {
		t.Errorf("%d transactions appended to one setting, want %d", len(order.Value), 5*12)
	}
}

// inBatch is one transaction of testBatch: of four, one fails, one panics.
func inBatch(t *testing.T, s store.Store, i int, k *keys.Key, mine error) {
	rev, err := s.Update(context.Background(), func(tx store.Tx) error {
		order := &store.Setting{Name: "order"}
		if err := tx.Load(order); err != nil {
			return err
		}
		order.Value += "x"
		if err := putAll(tx, order, k); err != nil {
			return err
		}
		switch i % 4 {
		case 1:
			return mine
		case 2:
			panic("mine")
		}
		return nil
	})
	switch i % 4 {
	case 1:
		if err != mine { //nolint:errorlint // it is returned as it is
			t.Errorf("transaction %d: %v, want its own error", i, err)
		}
	case 2:
		if err == nil || errors.Is(err, store.ErrUnknown) {
			t.Errorf("transaction %d panicked: %v", i, err)
		}
	default:
		if err != nil || rev != k.Revision {
			t.Errorf("transaction %d: revision %d for %d, %v", i, rev, k.Revision, err)
		}
	}
}
