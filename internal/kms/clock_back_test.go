// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"testing"
	"time"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
)

// TestClockSteppedBack sets the machine's clock back after the time of a deletion has come: the
// key stays out of use and cannot be brought back, and time goes on where it was.
func TestClockSteppedBack(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	k := newAES(t, w)
	c := w.Call(t, w.Tenant)
	defer c.End()
	if _, err := w.ScheduleKeyDeletion(t.Context(), c, kms.KeyRef{ID: k.ID}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	w.Clock.Add(31 * keys.Day)
	late := w.Now()
	want(t, "cancel it after its time", change(t, w, k.ID, keys.CancelKeyDeletion), keys.KindState)
	w.Clock.Add(-10 * keys.Day)
	if now := w.Now(); !now.Equal(late) {
		t.Errorf("the clock shows %v after a step back, and showed %v", now, late)
	}
	if held := w.Stats().ClockHeld; held != 10*keys.Day {
		t.Errorf("time stands still for %v", held)
	}
	want(t, "cancel it after the step", change(t, w, k.ID, keys.CancelKeyDeletion), keys.KindState)
	_, err := encrypt(t, w, k.ID)
	want(t, "use it after the step", err, keys.KindState)
	w.Clock.Add(10*keys.Day + time.Second)
	if now := w.Now(); !now.Equal(late.Add(time.Second)) || w.Stats().ClockHeld != 0 {
		t.Errorf("the clock shows %v once the machine's has caught up with %v", now, late)
	}
}
