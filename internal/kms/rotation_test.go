// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"testing"
	"time"

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
