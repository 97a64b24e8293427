// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
)

// cutStore is a store that a crash cuts off: after so many commits it takes no more.
type cutStore struct {
	store.Store
	left   int    // -1: no end
	before func() // is called once, before the next commit; may be nil
}

var errCut = errors.New("the store was cut off")

func (s *cutStore) Update(ctx context.Context, fn func(store.Tx) error) (int64, error) {
	if s.left == 0 {
		return 0, errCut
	}
	if before := s.before; before != nil {
		s.before = nil
		before()
	}
	if s.left > 0 {
		s.left--
	}
	return s.Store.Update(ctx, fn)
}

// TestAdvanceThatIsCutOff ends a move of the clock over three erasures after every possible
// number of commits, and opens the service again: what happened is not in the clock's future,
// the clock has not gone back, and the move can be made again.
func TestAdvanceThatIsCutOff(t *testing.T) {
	t.Parallel()
	finished := false
	for commits := 0; !finished; commits++ {
		cut := &cutStore{left: -1}
		w := kmstest.New(t, kmstest.With(func(c *kms.Config) {
			cut.Store = c.Store
			c.Store = cut
		}))
		var doomed []keys.ID
		for day := range 3 {
			k := newAES(t, w)
			c := w.Call(t, w.Tenant)
			if _, err := w.ScheduleKeyDeletion(t.Context(), c, kms.KeyRef{ID: k.ID}, w.Now().Add(time.Duration(day+10)*keys.Day)); err != nil {
				t.Fatal(err)
			}
			c.End()
			doomed = append(doomed, k.ID)
		}
		before := w.Now()
		cut.left = commits
		err := w.Advance(t.Context(), 20*keys.Day)
		finished = err == nil
		if err != nil && !errors.Is(err, errCut) {
			t.Fatalf("after %d commits: %v", commits, err)
		}
		shown := w.Now()
		cut.left = -1
		again, err := kms.Open(t.Context(), w.Config)
		if err != nil {
			t.Fatal(err)
		}
		now := again.Now()
		if now.Before(before) || !now.Equal(shown) {
			t.Errorf("after %d commits the clock is at %v, after a restart at %v", commits, shown, now)
		}
		erased := func() (n int) {
			for _, id := range doomed {
				var k *keys.Key
				err := w.Store.View(t.Context(), func(tx store.Tx) (err error) {
					k, err = store.LoadKey(tx, id)
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				if k.State == keys.Deleted {
					n++
					if k.DeleteAt.After(again.Now()) {
						t.Errorf("after %d commits a key is erased since %v, and the clock is at %v", commits, k.DeleteAt, again.Now())
					}
				}
			}
			return n
		}
		erased()
		if err := again.Advance(t.Context(), 20*keys.Day); err != nil {
			t.Errorf("after %d commits the move cannot be made again: %v", commits, err)
		}
		if n := erased(); n != len(doomed) {
			t.Errorf("after %d commits and the move made again %d of %d keys are erased", commits, n, len(doomed))
		}
		again.Close()
	}
}

// TestAdvanceMeetsACancellation cancels a deletion after the clock has found it due and before
// the clock gets there. The move goes on to its end, and the key lives.
func TestAdvanceMeetsACancellation(t *testing.T) {
	t.Parallel()
	cut := &cutStore{left: -1}
	w := kmstest.New(t, kmstest.With(func(c *kms.Config) {
		cut.Store = c.Store
		c.Store = cut
	}))
	k := newAES(t, w)
	c := w.Call(t, w.Tenant)
	if _, err := w.ScheduleKeyDeletion(t.Context(), c, kms.KeyRef{ID: k.ID}, w.Now().Add(10*keys.Day)); err != nil {
		t.Fatal(err)
	}
	c.End()
	target := w.Now().Add(20 * keys.Day)
	cut.before = func() {
		if err := change(t, w, k.ID, keys.CancelKeyDeletion); err != nil {
			t.Errorf("cancel: %v", err)
		}
	}
	if err := w.Advance(t.Context(), 20*keys.Day); err != nil {
		t.Errorf("advance: %v", err)
	}
	if now := w.Now(); !now.Equal(target) {
		t.Errorf("the clock is at %v, want %v", now, target)
	}
	if _, err := encrypt(t, w, k.ID); err != nil {
		t.Errorf("a key whose deletion was cancelled in time: %v", err)
	}
}
