// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/engine"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
)

// TestAPolicyThatIsLateRunsAtOnce sets a policy whose first date is past: the version is there
// with the answer, the next date an interval later, and the sweep finds nothing left to do.
func TestAPolicyThatIsLateRunsAtOnce(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	k := newAES(t, w)
	set := func(interval time.Duration) (got *kms.Key) {
		t.Helper()
		must(t, w, func(c *kms.Call) (err error) {
			got, err = w.SetRotation(t.Context(), c, kms.KeyRef{ID: k.ID}, kms.RotationPolicy{Enabled: true, Interval: interval})
			return err
		})
		return got
	}
	w.Clock.Add(45 * keys.Day)
	if got := set(60 * keys.Day); got.Versions != 1 || !got.Rotation.Next.Equal(k.CreatedAt.Add(60*keys.Day)) {
		t.Errorf("not yet due: %d versions, %+v", got.Versions, got.Rotation)
	}
	got := set(30 * keys.Day)
	if got.Versions != 2 || got.Primary == k.Primary || !got.LastVersionAt.Equal(w.Now()) || !got.Rotation.Next.Equal(w.Now().Add(30*keys.Day)) {
		t.Errorf("due: %d versions, the last of %v, %+v", got.Versions, got.LastVersionAt, got.Rotation)
	}
	if again := seen(t, w, k.ID); again.ETag != got.ETag {
		t.Error("the answer has another etag than the key")
	}
	if n, err := w.Sweep(t.Context()); n != 0 || err != nil {
		t.Errorf("the sweep performed %d events, %v", n, err)
	}
	events := performed(t, w)
	if len(events) != 1 || events[0].Operation != "rotate-key" || events[0].Key != k.ID || events[0].Version != got.Primary {
		t.Errorf("recorded: %+v", events)
	}
}

// TestWhatDoesNotRotate turns rotation off where it cannot be on.
func TestWhatDoesNotRotate(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	ec := newKey(t, w, wish(keys.ECP256))
	cloud := kmstest.Profile
	cloud.AsymmetricRotationOnly = true
	off := func(p *keys.Profile) error {
		return as(t, w, w.Tenant, func(c *kms.Call) error {
			c.Profile = p
			return second(w.SetRotation(t.Context(), c, kms.KeyRef{ID: ec.ID}, kms.RotationPolicy{}))
		})
	}
	want(t, "off, where it never was on", off(&cloud), keys.KindUnsupported)
	must(t, w, func(c *kms.Call) error {
		return second(w.SetRotation(t.Context(), c, kms.KeyRef{ID: ec.ID}, kms.RotationPolicy{Enabled: true, Interval: 30 * keys.Day}))
	})
	want(t, "off, where another cloud had it on", off(&cloud), "")
	want(t, "off, in a cloud that rotates such keys", off(&kmstest.Profile), "")
}

// faulty is a source of randomness that can be broken.
type faulty struct{ broken atomic.Bool }

func (f *faulty) Read(p []byte) (int, error) {
	if f.broken.Load() {
		return 0, errors.New("no randomness")
	}
	return rand.Read(p)
}

// TestARotationThatFails shows in the key, changes nothing else, and is tried again until it
// succeeds, once.
func TestARotationThatFails(t *testing.T) {
	t.Parallel()
	source := &faulty{}
	w := kmstest.New(t, kmstest.With(func(c *kms.Config) { c.Pool = engine.NewPool(source, nil, nil) }))
	k := newAES(t, w)
	start := w.Now().Truncate(keys.Day)
	must(t, w, func(c *kms.Call) error {
		return second(w.SetRotation(t.Context(), c, kms.KeyRef{ID: k.ID}, kms.RotationPolicy{Enabled: true, Interval: 60 * keys.Day, Start: start}))
	})
	w.Clock.Add(60 * keys.Day)
	source.broken.Store(true)
	var failed *kms.Key
	for attempt := range 3 {
		if _, err := w.Sweep(t.Context()); err == nil {
			t.Fatalf("attempt %d: the sweep does not tell that it failed", attempt)
		}
		got := seen(t, w, k.ID)
		r := got.Rotation
		if got.Versions != 1 || r.Status != "FAILED" || r.Message == "" || strings.Contains(r.Message, "randomness") || !r.Last.IsZero() || !r.Next.Equal(start.Add(60*keys.Day)) {
			t.Errorf("attempt %d: %d versions, %+v", attempt, got.Versions, r)
		}
		if attempt > 0 && got.ETag != failed.ETag {
			t.Error("every attempt changes the key")
		}
		failed = got
		w.Clock.Add(keys.Day)
	}
	source.broken.Store(false)
	for range 2 {
		if _, err := w.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	got := seen(t, w, k.ID)
	r := got.Rotation
	if got.Versions != 2 || r.Status != "SUCCESS" || r.Message != "" || !r.Last.Equal(w.Now()) || !r.Next.Equal(start.Add(120*keys.Day)) {
		t.Errorf("after the fault: %d versions, %+v", got.Versions, r)
	}
}

// TestRotationWaits for a key that is disabled and for a vault that is leaving; afterwards one
// version makes up for what was missed, and the next date is on the old grid.
func TestRotationWaits(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.InDir(kmstest.Dir(t)))
	start := w.Now().Truncate(keys.Day)
	policy := kms.RotationPolicy{Enabled: true, Interval: 60 * keys.Day, Start: start}
	disabled, down := newAES(t, w), newAES(t, w)
	for _, k := range []*kms.Key{disabled, down} {
		must(t, w, func(c *kms.Call) error { return second(w.SetRotation(t.Context(), c, kms.KeyRef{ID: k.ID}, policy)) })
	}
	state := func(act keys.Action) {
		t.Helper()
		must(t, w, func(c *kms.Call) error {
			return second(w.ChangeKeyState(t.Context(), c, kms.KeyRef{ID: disabled.ID}, act))
		})
	}
	vault := kms.VaultRef{ID: w.Tenant.Vault}
	sweep := func() {
		t.Helper()
		if _, err := w.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string, k *kms.Key, versions int, next time.Duration) {
		t.Helper()
		if got := seen(t, w, k.ID); got.Versions != versions || !got.Rotation.Next.Equal(start.Add(next)) {
			t.Errorf("%s: %d versions, next %s, want %d and %s", when, got.Versions, got.Rotation.Next, versions, start.Add(next))
		}
	}
	state(keys.DisableKey)
	w.Clock.Add(200 * keys.Day) // with nobody sweeping: the machine was off
	w.Restart(t)
	sweep()
	check("disabled", disabled, 1, 60*keys.Day)
	check("after an outage over three dates", down, 2, 240*keys.Day)
	state(keys.EnableKey)
	sweep()
	sweep()
	check("enabled again", disabled, 2, 240*keys.Day)

	must(t, w, func(c *kms.Call) error { return second(w.ScheduleVaultDeletion(t.Context(), c, vault, time.Time{})) })
	w.Clock.Add(29 * keys.Day)
	sweep()
	must(t, w, func(c *kms.Call) error { return second(w.CancelVaultDeletion(t.Context(), c, vault)) })
	check("its date is not there yet", down, 2, 240*keys.Day)
	w.Clock.Add(5 * keys.Day)
	must(t, w, func(c *kms.Call) error { return second(w.ScheduleVaultDeletion(t.Context(), c, vault, time.Time{})) })
	w.Clock.Add(20 * keys.Day)
	sweep()
	check("its vault is leaving", down, 2, 240*keys.Day)
	must(t, w, func(c *kms.Call) error { return second(w.CancelVaultDeletion(t.Context(), c, vault)) })
	sweep()
	check("its vault is back", down, 3, 300*keys.Day)
}

// TestAYearOfAThousandKeys gives a thousand keys 60 days each and lets 365 days pass, over restarts, by
// the virtual clock and by outages: every key has exactly the versions that its grid has, made
// at midnight where the server was running.
func TestAYearOfAThousandKeys(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	const count, interval, year = 1000, 60 * keys.Day, 365
	w := kmstest.New(t, kmstest.InDir(kmstest.Dir(t)))
	today := func() time.Time { return w.Now().Truncate(keys.Day) }
	first := today()
	type planned struct {
		id    keys.ID
		start time.Time
	}
	var plans []planned
	create := func(n int) {
		t.Helper()
		ids := make([]keys.ID, n)
		var group sync.WaitGroup
		for i := range ids {
			group.Go(func() {
				req := wish(keys.AES256)
				req.Rotation = &kms.RotationPolicy{Enabled: true, Interval: interval, Start: today()}
				c := w.Call(t, w.Tenant)
				defer c.End()
				k, err := w.CreateKey(t.Context(), c, req)
				if err != nil {
					t.Error(err)
					return
				}
				ids[i] = k.ID
			})
		}
		group.Wait()
		for _, id := range ids {
			plans = append(plans, planned{id, today()})
		}
	}
	// Five days of creation, so that the dates differ.
	for range 5 {
		create(count / 5)
		if err := w.Advance(t.Context(), keys.Day); err != nil {
			t.Fatal(err)
		}
	}
	// The machine is off from day 100 to 130: the second dates of all keys are missed by some days.
	for _, hop := range []struct {
		until  int // day
		outage bool
	}{{40, false}, {100, false}, {130, true}, {200, false}, {301, false}, {year, false}} {
		d := first.Add(time.Duration(hop.until)*keys.Day + 12*time.Hour).Sub(w.Now())
		if hop.outage {
			w.Clock.Add(d)
			w.Restart(t)
			if _, err := w.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := w.Advance(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		w.Restart(t)
	}
	back := first.Add(130*keys.Day + 12*time.Hour)
	for _, p := range plans {
		k, versions, err := w.FindKey(t.Context(), w.System("test"), p.id)
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(versions, func(a, b *kms.Version) int { return a.Ordinal - b.Ordinal })
		want := []time.Time{k.CreatedAt}
		for at := p.start.Add(interval); !at.After(w.Now()); at = at.Add(interval) {
			made := at
			if at.After(first.Add(100*keys.Day+12*time.Hour)) && at.Before(back) {
				made = back
			}
			want = append(want, made)
		}
		got := make([]time.Time, len(versions))
		for i, v := range versions {
			got[i] = v.CreatedAt
			if v.AutoRotated != (i > 0) {
				t.Errorf("version %d of %s: made by the schedule: %t", i+1, p.id, v.AutoRotated)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("versions of the key of %s (-want +got):\n%s", p.start, diff)
		}
		if next := want[len(want)-1].Truncate(keys.Day).Add(interval); len(want) != 7 || !k.Rotation.Next.Equal(next) || k.Rotation.Status != "SUCCESS" {
			t.Fatalf("%d versions, next %s, want 7 and %s", len(want), k.Rotation.Next, next)
		}
	}
}
