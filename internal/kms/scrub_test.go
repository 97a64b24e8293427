// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"context"
	"errors"
	"testing"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
)

// scrubStore counts what is asked to make remains unreadable, and fails when it is told to.
type scrubStore struct {
	store.Store
	scrubs int
	err    error
}

func (s *scrubStore) Scrub(ctx context.Context) error {
	s.scrubs++
	if s.err != nil {
		return s.err
	}
	return s.Store.Scrub(ctx)
}

// TestRemainsAreScrubbed shows that what an erasure leaves in the store's files is scrubbed
// whatever comes between: by the first sweep of a process, since the one before may have been
// killed after an erasure, and again after a scrub that failed.
func TestRemainsAreScrubbed(t *testing.T) {
	t.Parallel()
	st := &scrubStore{}
	w := kmstest.New(t, kmstest.With(func(c *kms.Config) {
		st.Store = c.Store
		c.Store = st
	}))
	sweep := func(what string, scrubs int, wanted error) {
		t.Helper()
		if _, err := w.Sweep(t.Context()); !errors.Is(err, wanted) {
			t.Errorf("%s: sweep: %v, want %v", what, err, wanted)
		}
		if st.scrubs != scrubs {
			t.Errorf("%s: %d scrubs so far, want %d", what, st.scrubs, scrubs)
		}
	}
	sweep("the first sweep", 1, nil)
	sweep("nothing was erased", 1, nil)

	k := newAES(t, w)
	c := w.Call(t, w.Tenant)
	if _, err := w.ScheduleKeyDeletion(t.Context(), c, kms.KeyRef{ID: k.ID}, w.Now().Add(10*keys.Day)); err != nil {
		t.Fatal(err)
	}
	c.End()
	sweep("nothing is due", 1, nil)
	st.err = errors.New("the disk is full")
	if err := w.Advance(t.Context(), 20*keys.Day); !errors.Is(err, st.err) {
		t.Errorf("advance: %v, want %v", err, st.err)
	}
	sweep("it fails again", 3, st.err)
	st.err = nil
	sweep("it works", 4, nil)
	sweep("it is done", 4, nil)
}
