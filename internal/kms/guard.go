// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"claviger/internal/store"
)

// clockGuard keeps a wrong machine clock from destroying material. Erasure goes on only while
// the machine's time, its monotonic progress since start and the time that the store last saw
// agree within clockTolerance. Otherwise it is held: the material stays, unusable all the same.
type clockGuard struct {
	wall  func() time.Time
	start time.Time    // with its monotonic reading
	seen  atomic.Int64 // the latest time in the store at start, microseconds
}

const (
	clockTolerance = 5 * time.Minute
	settingSeen    = "last-seen"
)

func newClockGuard(wall func() time.Time) *clockGuard {
	return &clockGuard{wall: wall, start: wall()}
}

// load reads the time that the store last saw.
func (g *clockGuard) load(tx store.Tx) error {
	set := store.Setting{Name: settingSeen}
	switch err := tx.Load(&set); {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	micros, err := strconv.ParseInt(set.Value, 10, 64)
	if err != nil {
		return fmt.Errorf("parse stored time %q: %w", set.Value, err)
	}
	g.seen.Store(micros)
	return nil
}

// mismatch is by how much the clocks disagree; within clockTolerance all is well.
func (g *clockGuard) mismatch() time.Duration {
	now := g.wall()
	// Sub uses the monotonic readings, Round(0) strips them.
	drift := now.Round(0).Sub(g.start.Round(0)) - now.Sub(g.start)
	if back := time.UnixMicro(g.seen.Load()).Sub(now); back > drift.Abs() {
		return back
	}
	return drift.Abs()
}

func (g *clockGuard) trusted() bool { return g.mismatch() <= clockTolerance }

// note stores the machine's time as seen, once a minute; only while it is trusted.
func (s *Service) note(ctx context.Context) error {
	now := s.guard.wall().UnixMicro()
	if !s.guard.trusted() || now-s.guard.seen.Load() < time.Minute.Microseconds() {
		return nil
	}
	_, err := s.store.Update(ctx, func(tx store.Tx) error {
		return tx.Put(&store.Setting{Name: settingSeen, Value: strconv.FormatInt(now, 10)})
	})
	if err != nil {
		return fmt.Errorf("store the time seen: %w", err)
	}
	s.guard.seen.Store(now)
	return nil
}
