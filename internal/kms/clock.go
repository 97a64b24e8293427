// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"claviger/internal/keys"
	"claviger/internal/store"
)

// settingClock holds the virtual clock: "offset frozen", both in microseconds, frozen being
// a time since 1970 or 0.
const settingClock = "clock"

// clock is domain time: the machine's time, or in dev the machine's moved by an offset or
// standing still. It drives the lifecycle and every stored or answered time. Request time
// (signatures, throttling) is always the machine's and does not come from here.
type clock struct {
	wall    func() time.Time
	virtual bool
	at      atomic.Pointer[clockPoint]
}

// clockPoint is immutable, but for the latest time that was told.
type clockPoint struct {
	offset time.Duration
	frozen time.Time    // zero: running
	latest atomic.Int64 // while running, microseconds
}

func newClock(wall func() time.Time, virtual bool) *clock {
	c := &clock{wall: wall, virtual: virtual}
	c.at.Store(&clockPoint{})
	return c
}

// Now is domain time in UTC with the microsecond precision of the store. It never goes back: when
// the machine's time does, it stands still until that has caught up, so that what is due stays so
// and cannot be cancelled any more.
func (c *clock) Now() time.Time {
	p := c.at.Load()
	if !p.frozen.IsZero() {
		return p.frozen
	}
	now := c.wall().Add(p.offset).UTC().Truncate(time.Microsecond)
	for {
		latest := p.latest.Load()
		if now.UnixMicro() < latest {
			return time.UnixMicro(latest).UTC()
		}
		if now.UnixMicro() == latest || p.latest.CompareAndSwap(latest, now.UnixMicro()) {
			return now
		}
	}
}

// ahead is for how long domain time stands still because the machine's went back.
func (c *clock) ahead() time.Duration {
	p := c.at.Load()
	if !p.frozen.IsZero() {
		return 0
	}
	return max(0, time.UnixMicro(p.latest.Load()).Sub(c.wall().Add(p.offset)))
}

func (p *clockPoint) String() string {
	frozen := int64(0)
	if !p.frozen.IsZero() {
		frozen = p.frozen.UnixMicro()
	}
	return strconv.FormatInt(p.offset.Microseconds(), 10) + " " + strconv.FormatInt(frozen, 10)
}

func parseClockPoint(s string) (*clockPoint, error) {
	a, b, ok := strings.Cut(s, " ")
	offset, err1 := strconv.ParseInt(a, 10, 64)
	frozen, err2 := strconv.ParseInt(b, 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("parse stored clock %q: %w", s, err)
	}
	p := &clockPoint{offset: time.Duration(offset) * time.Microsecond}
	if !ok || p.offset.Microseconds() != offset {
		return nil, fmt.Errorf("parse stored clock %q: not two numbers of microseconds", s)
	}
	if frozen != 0 {
		p.frozen = time.UnixMicro(frozen).UTC()
	}
	return p, nil
}

// ClockState is what the domain clock shows, for people.
type ClockState struct {
	Now     time.Time     // domain time
	Wall    time.Time     // the machine's time
	Offset  time.Duration // domain time less the machine's, while running
	Frozen  bool
	Virtual bool // whether it may be moved
}

// Now is domain time.
func (s *Service) Now() time.Time { return s.clock.Now() }

// ClockState tells the domain clock's position.
func (s *Service) ClockState() ClockState {
	p := s.clock.at.Load()
	now, wall := s.clock.Now(), s.clock.wall().UTC()
	return ClockState{Now: now, Wall: wall, Offset: p.offset, Frozen: !p.frozen.IsZero(), Virtual: s.clock.virtual}
}

var errRealClock = &keys.Error{
	Kind: keys.KindUnsupported, Field: "clock",
	Hint: "the clock can be moved in dev only: this server's time is real",
}

// Freeze stops the domain clock where it is, or lets it run on from there.
func (s *Service) Freeze(ctx context.Context, on bool) error {
	if !s.clock.virtual {
		return errRealClock
	}
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	return s.setClock(ctx, s.clock.pointAt(s.clock.Now(), on))
}

// Advance moves the domain clock forward by d. What becomes due on the way happens one by
// one, each with the clock at its due time.
func (s *Service) Advance(ctx context.Context, d time.Duration) error {
	if !s.clock.virtual {
		return errRealClock
	}
	if d < 0 {
		return keys.Invalid("advance", "the clock only moves forward; use reset to go back to real time")
	}
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	return s.advanceTo(ctx, s.clock.Now().Add(d).Truncate(time.Microsecond))
}

// ToNextEvent moves the domain clock to the next scheduled event and performs it; ok is
// false when nothing is scheduled.
func (s *Service) ToNextEvent(ctx context.Context) (at time.Time, ok bool, err error) {
	if !s.clock.virtual {
		return time.Time{}, false, errRealClock
	}
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	next, err := s.nextDue(ctx, farFuture)
	if err != nil || next == nil {
		return time.Time{}, false, err
	}
	at = next.At
	if now := s.clock.Now(); at.Before(now) {
		at = now
	}
	return at, true, s.advanceTo(ctx, at)
}

// advanceTo stops the clock at each due time up to target, sweeps there, and ends at target
// in the mode it had before. Each stop is stored before anything happens there: whatever ends
// this halfway, no effect lies in the clock's future. s.sweeping is held.
func (s *Service) advanceTo(ctx context.Context, target time.Time) (err error) {
	reached := s.clock.at.Load()
	frozen := !reached.frozen.IsZero()
	defer func() {
		if err != nil {
			s.clock.at.Store(reached)
		}
	}()
	var last store.Due
	for {
		next, err := s.nextDue(ctx, target)
		if err != nil {
			return err
		}
		if next == nil {
			break
		}
		if now := s.clock.Now(); next.At.After(now) || !frozen {
			at := next.At
			if at.Before(now) {
				at = now
			}
			stop := s.clock.pointAt(at, frozen)
			if err := s.storeClock(ctx, stop); err != nil {
				return err
			}
			reached = stop
			s.clock.at.Store(&clockPoint{offset: stop.offset, frozen: at})
		}
		n, err := s.sweep(ctx)
		if err != nil {
			return err
		}
		// A caller may have cancelled or changed it just before its time. Then it is not found again.
		if n == 0 && *next == last {
			return fmt.Errorf("%s of %s is due and did not take effect", next.Kind, next.ID)
		}
		last = *next
	}
	end := s.clock.pointAt(target, frozen)
	if err := s.setClock(ctx, end); err != nil {
		return err
	}
	reached = end
	return s.expire(ctx)
}

// pointAt is the position in which the clock shows at, running or standing still.
func (c *clock) pointAt(at time.Time, frozen bool) *clockPoint {
	p := &clockPoint{offset: at.Sub(c.wall())}
	if frozen {
		p.frozen = at
	}
	return p
}

// setClock stores p and then shows it.
func (s *Service) setClock(ctx context.Context, p *clockPoint) error {
	if err := s.storeClock(ctx, p); err != nil {
		return err
	}
	s.clock.at.Store(p)
	return nil
}

// storeClock makes p the position after a restart.
func (s *Service) storeClock(ctx context.Context, p *clockPoint) error {
	_, err := s.store.Update(ctx, func(tx store.Tx) error {
		return tx.Put(&store.Setting{Name: settingClock, Value: p.String()})
	})
	if err != nil {
		return fmt.Errorf("store the clock: %w", err)
	}
	return nil
}

// loadClock restores a stored clock; a real clock refuses one that was moved.
func (s *Service) loadClock(tx store.Tx) error {
	set := store.Setting{Name: settingClock}
	switch err := tx.Load(&set); {
	case errors.Is(err, store.ErrNotFound):
		s.clock.at.Store(&clockPoint{})
		return nil
	case err != nil:
		return err
	}
	p, err := parseClockPoint(set.Value)
	if err != nil {
		return err
	}
	if !s.clock.virtual && (p.offset != 0 || !p.frozen.IsZero()) {
		return fmt.Errorf("this database was used by dev with its clock moved by %v; serve runs on real time only and refuses it", p.offset)
	}
	s.clock.at.Store(p)
	return nil
}
