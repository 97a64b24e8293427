// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/audit"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
)

// real makes a world as serve has it: its clock cannot be moved.
func real(c *kms.Config) { c.Virtual = false }

// performed are the changes that the schedule made, oldest first.
func performed(t testing.TB, w *kmstest.World) (out []audit.Event) {
	t.Helper()
	stored(t, w, func(tx store.Tx) error {
		rows, err := tx.Events(0, 0)
		for _, row := range rows {
			switch store.DueKind(row.Event.Operation) {
			case store.EraseKey, store.EraseVault, store.EraseVersion, store.RotateKey, store.ExpireMaterial, store.DropVault, store.DropKey:
				out = append(out, row.Event)
			}
		}
		return err
	})
	return out
}

// TestDueTimesGateAtOnce looks at a version, a key and a vault a microsecond before their time
// and at it, while nothing sweeps.
func TestDueTimesGateAtOnce(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	vault := newVault(t, w, "doomed")
	req := wish(keys.AES256)
	req.Vault = vault
	inVault, own, keeper := newKey(t, w, req), newAES(t, w), newAES(t, w)
	old := keeper.Primary
	rotate(t, w, keeper.ID)
	var ciphertexts [][]byte
	for _, id := range []keys.ID{inVault.ID, own.ID, keeper.ID} {
		ct, err := encrypt(t, w, id)
		if err != nil {
			t.Fatal(err)
		}
		ciphertexts = append(ciphertexts, ct)
	}
	scheduleVersion(t, w, keeper.ID, old, 10)
	scheduleKey(t, w, own.ID, 10)
	scheduleVault(t, w, vault, 10)

	look := func(state keys.State, hidden int) {
		t.Helper()
		must(t, w, func(c *kms.Call) error {
			v, err := w.Vault(t.Context(), c, kms.VaultRef{ID: vault})
			if err != nil {
				return err
			}
			ver, err := w.Version(t.Context(), c, kms.KeyRef{ID: keeper.ID}, kms.VersionRef{ID: old})
			if err != nil {
				return err
			}
			for what, got := range map[string]keys.State{
				"vault": v.State, "key in it": seen(t, w, inVault.ID).State, "key": seen(t, w, own.ID).State, "version": ver.State,
			} {
				if got != state {
					t.Errorf("the %s is %s, want %s", what, got, state)
				}
			}
			list, err := w.Keys(t.Context(), c, kms.KeyFilter{HideDeleted: true}, kms.Page{})
			if err != nil {
				return err
			}
			versions, err := w.Versions(t.Context(), c, kms.KeyRef{ID: keeper.ID}, kms.Page{}, true)
			if err != nil {
				return err
			}
			if len(list.Items) != 3-2*hidden || len(versions.Items) != 2-hidden {
				t.Errorf("while %s: %d keys and %d versions are listed", state, len(list.Items), len(versions.Items))
			}
			return nil
		})
	}
	w.Clock.Add(10*keys.Day - time.Microsecond)
	look(keys.PendingDeletion, 0)
	want(t, "cancel a microsecond before", change(t, w, own.ID, keys.CancelKeyDeletion), "")
	must(t, w, func(c *kms.Call) error {
		_, err := w.ScheduleKeyDeletion(t.Context(), c, kms.KeyRef{ID: own.ID}, inDays(w, 7))
		return err
	})
	w.Clock.Add(7 * keys.Day)
	look(keys.Deleted, 1)

	want(t, "cancel the key at its time", change(t, w, own.ID, keys.CancelKeyDeletion), keys.KindState)
	want(t, "restore the key at its time", change(t, w, own.ID, keys.RestoreKey), keys.KindState)
	want(t, "cancel the vault at its time", as(t, w, w.Tenant, func(c *kms.Call) error {
		return second(w.CancelVaultDeletion(t.Context(), c, kms.VaultRef{ID: vault}))
	}), keys.KindState)
	want(t, "cancel the version at its time", as(t, w, w.Tenant, func(c *kms.Call) error {
		return second(w.CancelVersionDeletion(t.Context(), c, kms.KeyRef{ID: keeper.ID}, kms.VersionRef{ID: old}))
	}), keys.KindState)
	want(t, "decrypt with the key of a vault at its time", decrypts(w, t, ciphertexts[0]), keys.KindNotFound)
	want(t, "decrypt with a key at its time", decrypts(w, t, ciphertexts[1]), keys.KindNotFound)
	want(t, "decrypt with what is not due", decrypts(w, t, ciphertexts[2]), "")
	if events := performed(t, w); len(events) != 0 {
		t.Errorf("something swept: %v", events)
	}
}

// pausingStore runs a function once, after its next View.
type pausingStore struct {
	store.Store
	after func()
}

func (s *pausingStore) View(ctx context.Context, fn func(store.Tx) error) error {
	err := s.Store.View(ctx, fn)
	if f := s.after; f != nil {
		s.after = nil
		f()
	}
	return err
}

// TestEachEventTakesEffectOnce lets one service look up what is due, then four others over the
// same store sweep it, each from two goroutines, and then the first one go on with what it found.
func TestEachEventTakesEffectOnce(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	rotated := newAES(t, w)
	must(t, w, func(c *kms.Call) error {
		return second(w.SetRotation(t.Context(), c, kms.KeyRef{ID: rotated.ID}, kms.RotationPolicy{Enabled: true, Interval: 20 * keys.Day}))
	})
	const erased = 5
	for range erased {
		scheduleKey(t, w, newAES(t, w).ID, 10)
	}
	old := rotated.Primary
	rotate(t, w, rotated.ID)
	scheduleVersion(t, w, rotated.ID, old, 10)
	w.Clock.Add(25 * keys.Day)

	slow := &pausingStore{Store: w.Store}
	var services []*kms.Service
	for i := range 5 {
		cfg := w.Config
		if i == 0 {
			cfg.Store = slow
		}
		s, err := kms.Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		services = append(services, s)
	}
	var total atomic.Int64
	sweep := func(s *kms.Service) {
		n, err := s.Sweep(context.Background())
		if err != nil {
			t.Errorf("sweep: %v", err)
		}
		total.Add(int64(n))
	}
	slow.after = func() {
		var wg sync.WaitGroup
		for _, s := range append(services[1:], services[1:]...) {
			wg.Go(func() { sweep(s) })
		}
		wg.Wait()
	}
	sweep(services[0])
	if slow.after != nil {
		t.Error("the first one looked nothing up")
	}
	if total, want := total.Load(), int64(erased+2); total != want {
		t.Errorf("%d events took effect, want %d", total, want)
	}
	k, versions, err := w.FindKey(t.Context(), w.System("test"), rotated.ID)
	if err != nil || k.Versions != 3 || k.Erased != 1 || len(versions) != 3 {
		t.Errorf("the rotated key has %d versions, %d erased, %d listed (%v); want 3, 1, 3", k.Versions, k.Erased, len(versions), err)
	}
	// Each key's erasure is two transactions: its versions, and itself.
	if got, want := len(performed(t, w)), 2*erased+2; got != want {
		t.Errorf("%d audited effects, want %d", got, want)
	}
}

// TestAYearOfRotations moves the clock over 365 days at once, in steps, and event by event:
// with a rotation every 60 days there are six, each exactly at its time.
func TestAYearOfRotations(t *testing.T) {
	t.Parallel()
	const interval = 60 * keys.Day
	for name, move := range map[string]func(*kmstest.World, time.Time){
		"at once": func(w *kmstest.World, _ time.Time) { advance(t, w, 365*keys.Day) },
		"in odd steps": func(w *kmstest.World, _ time.Time) {
			for range 5 {
				advance(t, w, 73*keys.Day)
			}
		},
		"frozen": func(w *kmstest.World, _ time.Time) {
			if err := w.Freeze(t.Context(), true); err != nil {
				t.Fatal(err)
			}
			w.Clock.Add(time.Hour)
			advance(t, w, 365*keys.Day)
		},
		"event by event": func(w *kmstest.World, end time.Time) {
			for range 6 {
				if at, ok, err := w.ToNextEvent(t.Context()); err != nil || !ok || !w.Now().Equal(at) {
					t.Fatalf("next event: %v, %t, %v", at, ok, err)
				}
			}
			advance(t, w, end.Sub(w.Now()))
		},
	} {
		w := kmstest.New(t)
		k := newAES(t, w)
		must(t, w, func(c *kms.Call) error {
			return second(w.SetRotation(t.Context(), c, kms.KeyRef{ID: k.ID}, kms.RotationPolicy{Enabled: true, Interval: interval}))
		})
		end := k.CreatedAt.Add(365 * keys.Day)
		move(w, end)
		if now := w.Now(); !now.Equal(end) {
			t.Errorf("%s: the clock is at %v, want %v", name, now, end)
		}
		got, versions, err := w.FindKey(t.Context(), w.System("test"), k.ID)
		if err != nil {
			t.Fatal(err)
		}
		var made, planned []time.Time
		for i, v := range versions {
			made = append(made, v.CreatedAt)
			if v.AutoRotated != (i > 0) || v.Ordinal != i+1 {
				t.Errorf("%s: version %d has ordinal %d, automatic: %t", name, i+1, v.Ordinal, v.AutoRotated)
			}
		}
		for i := range 7 {
			planned = append(planned, k.CreatedAt.Add(time.Duration(i)*interval))
		}
		if diff := cmp.Diff(planned, made); diff != "" {
			t.Errorf("%s: times of creation, -want +got:\n%s", name, diff)
		}
		if next := k.CreatedAt.Add(7 * interval); !got.Rotation.Next.Equal(next) || got.Rotation.Status != "SUCCESS" || !got.Rotation.Last.Equal(planned[6]) {
			t.Errorf("%s: the rotation is %+v, want the next at %v", name, got.Rotation, next)
		}
	}
}

// TestEventsOfOneMoveHappenInOrder schedules things of all kinds and moves over them at once.
func TestEventsOfOneMoveHappenInOrder(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	vault := newVault(t, w, "doomed")
	a, b := newAES(t, w), newAES(t, w)
	old := b.Primary
	rotate(t, w, b.ID)
	must(t, w, func(c *kms.Call) error {
		return second(w.SetRotation(t.Context(), c, kms.KeyRef{ID: b.ID}, kms.RotationPolicy{Enabled: true, Interval: 9 * keys.Day}))
	})
	start := w.Now()
	scheduleVersion(t, w, b.ID, old, 12)
	scheduleKey(t, w, a.ID, 10)
	scheduleVault(t, w, vault, 11)
	advance(t, w, 20*keys.Day)
	type event struct {
		operation string
		day       int
	}
	var got []event
	for _, ev := range performed(t, w) {
		got = append(got, event{ev.Operation, int(ev.Time.Sub(start) / keys.Day)})
	}
	planned := []event{{"rotate-key", 9}, {"erase-key", 10}, {"erase-key", 10}, {"erase-vault", 11}, {"erase-version", 12}, {"rotate-key", 18}}
	if diff := cmp.Diff(planned, got, cmp.AllowUnexported(event{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestAMissedScheduleActsOnceAndStaysOnItsGrid stops sweeping for a long time on a real clock.
func TestAMissedScheduleActsOnceAndStaysOnItsGrid(t *testing.T) {
	t.Parallel()
	const interval = 30 * keys.Day
	w := kmstest.New(t, kmstest.With(real))
	k := newAES(t, w)
	must(t, w, func(c *kms.Call) error {
		return second(w.SetRotation(t.Context(), c, kms.KeyRef{ID: k.ID}, kms.RotationPolicy{Enabled: true, Interval: interval}))
	})
	w.Clock.Add(4*interval + 5*keys.Day)
	for i := range 2 {
		n, err := w.Sweep(t.Context())
		if err != nil || n != 1-i {
			t.Errorf("sweep %d performed %d events, %v", i+1, n, err)
		}
	}
	got := seen(t, w, k.ID)
	if got.Versions != 2 || !got.LastVersionAt.Equal(w.Now()) {
		t.Errorf("%d versions, the last of %v; want 2, the last of %v", got.Versions, got.LastVersionAt, w.Now())
	}
	if next := k.CreatedAt.Add(5 * interval); !got.Rotation.Next.Equal(next) {
		t.Errorf("the next rotation is at %v, want %v on the grid", got.Rotation.Next, next)
	}
}

// TestASuspendedRotationWaits disables a key over two dates of its grid.
func TestASuspendedRotationWaits(t *testing.T) {
	t.Parallel()
	const interval = 30 * keys.Day
	w := kmstest.New(t)
	k := newAES(t, w)
	must(t, w, func(c *kms.Call) error {
		return second(w.SetRotation(t.Context(), c, kms.KeyRef{ID: k.ID}, kms.RotationPolicy{Enabled: true, Interval: interval}))
	})
	want(t, "disable", change(t, w, k.ID, keys.DisableKey), "")
	advance(t, w, 2*interval+keys.Day)
	if got := seen(t, w, k.ID); got.Versions != 1 || !got.RotationSuspended() {
		t.Errorf("while disabled: %d versions, suspended %t", got.Versions, got.RotationSuspended())
	}
	want(t, "enable", change(t, w, k.ID, keys.EnableKey), "")
	if n, err := w.Sweep(t.Context()); n != 1 || err != nil {
		t.Errorf("after it was enabled %d events took effect, %v", n, err)
	}
	if got := seen(t, w, k.ID); got.Versions != 2 || !got.Rotation.Next.Equal(k.CreatedAt.Add(3*interval)) || got.RotationSuspended() {
		t.Errorf("after it was enabled: %d versions, next at %v", got.Versions, got.Rotation.Next)
	}
}

// TestRotationGrids sets policies on keys of some age, whose last version is as old, and tells
// when the next rotation is, then and after a rotation by hand. Days count from the key's creation.
func TestRotationGrids(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	const never = -1000
	for _, tt := range []struct {
		name                  string
		age, start            int
		next, nextAfterByHand int
	}{
		{"of a new key", 0, never, 30, 30},
		{"of an older key, from its last version on", 20, never, 30, 50},
		{"of a key so old that it has run at once", 100, never, 130, 130},
		{"from a day on", 10, 12, 42, 42},
		{"from a day before the key was made", 0, -10, 20, 20},
		{"from long before the key was made", 0, -100, 20, 20},
		{"whose first date is past: it has run at once, and stays on its grid", 25, -10, 50, 50},
	} {
		k := newAES(t, w)
		day := func(n int) time.Time { return k.CreatedAt.Add(time.Duration(n) * keys.Day) }
		w.Clock.Add(time.Duration(tt.age) * keys.Day)
		p := kms.RotationPolicy{Enabled: true, Interval: 30 * keys.Day}
		if tt.start != never {
			p.Start = day(tt.start)
		}
		must(t, w, func(c *kms.Call) error { return second(w.SetRotation(t.Context(), c, kms.KeyRef{ID: k.ID}, p)) })
		if got := seen(t, w, k.ID).Rotation.Next; !got.Equal(day(tt.next)) {
			t.Errorf("a rotation %s: next at %v, want %v", tt.name, got, day(tt.next))
		}
		rotate(t, w, k.ID)
		if got := seen(t, w, k.ID).Rotation.Next; !got.Equal(day(tt.nextAfterByHand)) {
			t.Errorf("a rotation %s, after one by hand: next at %v, want %v", tt.name, got, day(tt.nextAfterByHand))
		}
		must(t, w, func(c *kms.Call) error {
			return second(w.SetRotation(t.Context(), c, kms.KeyRef{ID: k.ID}, kms.RotationPolicy{}))
		})
		if got := seen(t, w, k.ID).Rotation; got.Interval != 0 || !got.Next.IsZero() || !got.Start.IsZero() {
			t.Errorf("switched off: %+v", got)
		}
	}
}

func TestRealClocksCannotBeMoved(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.With(real))
	want(t, "advance", w.Advance(t.Context(), time.Hour), keys.KindUnsupported)
	want(t, "freeze", w.Freeze(t.Context(), true), keys.KindUnsupported)
	_, _, err := w.ToNextEvent(t.Context())
	want(t, "to the next event", err, keys.KindUnsupported)
	if s := w.ClockState(); s.Virtual || s.Offset != 0 || s.Frozen || !s.Now.Equal(s.Wall) {
		t.Errorf("the clock is %+v", s)
	}
}

func TestTheClockOnlyMovesForward(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	want(t, "advance backwards", w.Advance(t.Context(), -1), keys.KindInvalid)
	if _, ok, err := w.ToNextEvent(t.Context()); ok || err != nil {
		t.Errorf("next event of nothing: %t, %v", ok, err)
	}
	start := w.Now()
	if err := w.Freeze(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	w.Clock.Add(time.Hour)
	if !w.Now().Equal(start) {
		t.Errorf("the frozen clock went on to %v", w.Now())
	}
	if err := w.Freeze(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	w.Clock.Add(time.Minute)
	if want := start.Add(time.Minute); !w.Now().Equal(want) {
		t.Errorf("it ran on to %v, want %v", w.Now(), want)
	}
	advance(t, w, time.Hour+1500*time.Nanosecond)
	if now := w.Now(); !now.Equal(now.Truncate(time.Microsecond)) {
		t.Errorf("the clock shows parts of microseconds: %v", now)
	}
}

// TestAMovedClockIsKeptAndRefusedByServe restarts a moved service as dev and as serve.
func TestAMovedClockIsKeptAndRefusedByServe(t *testing.T) {
	t.Parallel()
	for name, move := range map[string]func(*kmstest.World) error{
		"moved":  func(w *kmstest.World) error { return w.Advance(t.Context(), 100*keys.Day) },
		"frozen": func(w *kmstest.World) error { return w.Freeze(t.Context(), true) },
	} {
		w := kmstest.New(t, kmstest.InDir(kmstest.Dir(t)))
		if err := move(w); err != nil {
			t.Fatal(err)
		}
		before := w.ClockState()
		w.Restart(t)
		if diff := cmp.Diff(before, w.ClockState()); diff != "" {
			t.Errorf("%s: after a restart, -want +got:\n%s", name, diff)
		}
		cfg := w.Config
		cfg.Virtual = false
		s, err := kms.Open(t.Context(), cfg)
		if err == nil {
			s.Close()
			t.Fatalf("%s: serve takes the database", name)
		}
		if !strings.Contains(err.Error(), "real time only") {
			t.Errorf("%s: refused with %q", name, err)
		}
	}
	// One that dev has not moved is taken.
	w := kmstest.New(t)
	cfg := w.Config
	cfg.Virtual = false
	s, err := kms.Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("a clock that was never moved: %v", err)
	}
	s.Close()
}

// TestNothingIsPerformedWhileRecordsAreReplaced replaces the records by those of an earlier time:
// with the later clock, what is scheduled in them would be overdue.
func TestNothingIsPerformedWhileRecordsAreReplaced(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	replaced := false
	err := w.Forget(t.Context(), func(context.Context) error {
		replaced = true
		if !w.Sweeping() {
			t.Error("a sweep may begin while the records are replaced")
		}
		return nil
	})
	if err != nil || !replaced || w.Sweeping() {
		t.Errorf("replaced: %t, still kept from sweeping: %t: %v", replaced, w.Sweeping(), err)
	}
}
