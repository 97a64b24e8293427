// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"testing"
	"time"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
)

// strict is a profile with the rules of one cloud's CreateKeyVersion.
func strict() *keys.Profile {
	p := kmstest.Profile
	p.VersionSpacing, p.AsymmetricRotationOnly, p.AsymmetricVersions = 7*keys.Day, true, 50
	return &p
}

// rotateAs rotates by a profile.
func rotateAs(t testing.TB, w *kmstest.World, who kmstest.Tenant, p *keys.Profile, id keys.ID) error {
	t.Helper()
	return as(t, w, who, func(c *kms.Call) error {
		c.Profile = p
		return second(w.Rotate(t.Context(), c, kms.KeyRef{ID: id}))
	})
}

// TestVersionsAreSevenDaysApart rotates a microsecond before the seven days are over, and at
// their end. What another API made counts too.
func TestVersionsAreSevenDaysApart(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	k := newKey(t, w, wish(keys.ECP256))
	const spacing = 7 * keys.Day
	for i, other := range []bool{false, true, false} {
		w.Clock.Add(spacing - time.Microsecond)
		err := rotateAs(t, w, w.Tenant, strict(), k.ID)
		want(t, "a microsecond too soon", err, keys.KindTooSoon)
		w.Clock.Add(time.Microsecond)
		p := strict()
		if other {
			p = &kmstest.Profile
		}
		want(t, "after exactly seven days", rotateAs(t, w, w.Tenant, p, k.ID), "")
		if got := seen(t, w, k.ID); got.Versions != i+2 || !got.LastVersionAt.Equal(w.Now()) {
			t.Errorf("%d versions, the last of %v", got.Versions, got.LastVersionAt)
		}
		want(t, "at once again", rotateAs(t, w, w.Tenant, strict(), k.ID), keys.KindTooSoon)
	}
	want(t, "at once, where there is no such rule", rotateAs(t, w, w.Tenant, &kmstest.Profile, k.ID), "")
}

// TestTheStateIsToldBeforeTheSpacing disables a key whose last version is fresh.
func TestTheStateIsToldBeforeTheSpacing(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	k := newKey(t, w, wish(keys.ECP256))
	want(t, "disable", change(t, w, k.ID, keys.DisableKey), "")
	want(t, "rotate", rotateAs(t, w, w.Tenant, strict(), k.ID), keys.KindState)
	want(t, "rotate a symmetric key", rotateAs(t, w, w.Tenant, strict(), newAES(t, w).ID), keys.KindUnsupported)
}

// TestFiftyAsymmetricVersions fills the quota of a tenant and region: over all its keys, by
// whichever API a version was made, without symmetric keys and without other tenants.
func TestFiftyAsymmetricVersions(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	a, b := newKey(t, w, wish(keys.ECP256)), newKey(t, w, wish(keys.ECP384)) // 2 versions
	for range 20 {
		rotate(t, w, a.ID) // 22, by an API without the rule
		rotate(t, w, newAES(t, w).ID)
	}
	for range 27 { // 49, by the one that has it
		w.Clock.Add(7 * keys.Day)
		want(t, "within the quota", rotateAs(t, w, w.Tenant, strict(), b.ID), "")
	}
	w.Clock.Add(7 * keys.Day)
	want(t, "the fiftieth", rotateAs(t, w, w.Tenant, strict(), a.ID), "")
	w.Clock.Add(7 * keys.Day)
	want(t, "the fifty-first", rotateAs(t, w, w.Tenant, strict(), b.ID), keys.KindLimit)
	want(t, "the fifty-first, where there is no such rule", rotateAs(t, w, w.Tenant, &kmstest.Profile, b.ID), "")

	var theirs *kms.Key
	err := as(t, w, w.Other, func(c *kms.Call) (err error) {
		theirs, err = w.CreateKey(t.Context(), c, wish(keys.ECP256))
		return err
	})
	want(t, "another tenant's key", err, "")
	w.Clock.Add(7 * keys.Day)
	want(t, "another tenant's rotation", rotateAs(t, w, w.Other, strict(), theirs.ID), "")

	// Erased versions make room: two, to be below fifty again.
	for ordinal := 1; ordinal <= 2; ordinal++ {
		scheduleVersion(t, w, a.ID, version(t, w, a.ID, ordinal).ID, 7)
	}
	want(t, "while the erasure is scheduled", rotateAs(t, w, w.Tenant, strict(), b.ID), keys.KindLimit)
	advance(t, w, 7*keys.Day)
	want(t, "after the erasure", rotateAs(t, w, w.Tenant, strict(), b.ID), "")
}

// TestQuotasOfThings limits keys, aliases and vaults of a tenant and region.
func TestQuotasOfThings(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	p := kmstest.Profile
	p.KeysPerRegion, p.AliasesPerRegion, p.VaultsPerRegion = 2, 2, 3 // one vault is there
	var last *kms.Key
	for name, create := range map[string]func(*kms.Call, string) error{
		"key": func(c *kms.Call, _ string) (err error) {
			k, err := w.CreateKey(t.Context(), c, wish(keys.AES128))
			if err == nil {
				last = k
			}
			return err
		},
		"vault": func(c *kms.Call, name string) error {
			return second(w.CreateVault(t.Context(), c, kms.NewVault{Name: name, Kind: keys.SharedVault}))
		},
	} {
		for i, kind := range []keys.Kind{"", "", keys.KindLimit} {
			err := as(t, w, w.Tenant, func(c *kms.Call) error {
				c.Profile = &p
				return create(c, string(rune('a'+i)))
			})
			want(t, name, err, kind)
			if kind != "" && string(keys.AsError(err).Noun) != name {
				t.Errorf("the limit of a %s is told of a %s", name, keys.AsError(err).Noun)
			}
		}
	}
	for i, kind := range []keys.Kind{"", "", keys.KindLimit} {
		err := as(t, w, w.Tenant, func(c *kms.Call) error {
			c.Profile = &p
			return w.CreateAlias(t.Context(), c, "alias/"+string(rune('a'+i)), kms.KeyRef{ID: last.ID})
		})
		want(t, "alias", err, kind)
	}
	must(t, w, func(c *kms.Call) error { return w.DeleteAlias(t.Context(), c, "alias/a") })
	must(t, w, func(c *kms.Call) error {
		c.Profile = &p
		return w.CreateAlias(t.Context(), c, "alias/c", kms.KeyRef{ID: last.ID})
	})
	want(t, "an alias that is taken", as(t, w, w.Tenant, func(c *kms.Call) error {
		return w.CreateAlias(t.Context(), c, "alias/c", kms.KeyRef{ID: last.ID})
	}), keys.KindExists)
}

// TestRetentionWindows asks for erasures at the edges of what a profile allows, and by default.
func TestRetentionWindows(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	for _, tt := range []struct {
		name string
		in   time.Duration
		kind keys.Kind
	}{
		{"the least", 7 * keys.Day, ""},
		{"what a request lost on its way", 7*keys.Day - time.Minute, ""},
		{"less", 7*keys.Day - time.Minute - time.Microsecond, keys.KindInvalid},
		{"the most", 30 * keys.Day, ""},
		{"more", 30*keys.Day + 2*time.Minute, keys.KindInvalid},
		{"the past", -time.Hour, keys.KindInvalid},
	} {
		k := newAES(t, w)
		at := w.Now().Add(tt.in)
		err := as(t, w, w.Tenant, func(c *kms.Call) error {
			return second(w.ScheduleKeyDeletion(t.Context(), c, kms.KeyRef{ID: k.ID}, at))
		})
		want(t, tt.name, err, tt.kind)
		if got := seen(t, w, k.ID).DeleteAt; tt.kind == "" && !got.Equal(at) {
			t.Errorf("%s: erased at %v, want %v", tt.name, got, at)
		}
	}
	k := newAES(t, w)
	must(t, w, func(c *kms.Call) error {
		return second(w.ScheduleKeyDeletion(t.Context(), c, kms.KeyRef{ID: k.ID}, time.Time{}))
	})
	if got := seen(t, w, k.ID).DeleteAt; !got.Equal(w.Now().Add(30 * keys.Day)) {
		t.Errorf("by default: erased at %v", got)
	}
}

// TestWhatANewKeyMayBe asks for keys that cannot be.
func TestWhatANewKeyMayBe(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.With(func(c *kms.Config) { c.HSM = kms.RefuseHSM }))
	lenient := kmstest.New(t)
	for _, tt := range []struct {
		name   string
		change func(*kms.NewKey)
		kind   keys.Kind
	}{
		{"plain", func(*kms.NewKey) {}, ""},
		{"in another tenant's vault", func(r *kms.NewKey) { r.Vault = w.Other.Vault }, keys.KindNotFound},
		{"in no vault", func(r *kms.NewKey) { r.Vault = keys.ID{1} }, keys.KindNotFound},
		{"in an unknown compartment", func(r *kms.NewKey) { r.Compartment = "nowhere" }, keys.KindRelatedNotFound},
		{"of an unknown spec", func(r *kms.NewKey) { r.Spec = "AES_512" }, keys.KindInvalid},
		{"for signing", func(r *kms.NewKey) { r.Usages = keys.UsageSign }, keys.KindUnsupported},
		{"for nothing", func(r *kms.NewKey) { r.Usages = 0 }, keys.KindUnsupported},
		{"of a key manager elsewhere", func(r *kms.NewKey) { r.Origin = keys.External }, keys.KindUnsupported},
		{"with material from outside, on a curve", func(r *kms.NewKey) {
			r.Origin, r.Spec, r.Usages = keys.Imported, keys.ECP256, keys.UsageSign
		}, keys.KindUnsupported},
		{"in an HSM", func(r *kms.NewKey) { r.Protection = keys.HSM }, keys.KindUnsupported},
		{"with too many tags", func(r *kms.NewKey) {
			r.Tags.Plain = map[string]string{}
			for i := range 11 {
				r.Tags.Plain[string(rune('a'+i))] = ""
			}
		}, keys.KindInvalid},
		{"rotated too often", func(r *kms.NewKey) { r.Rotation = &kms.RotationPolicy{Enabled: true, Interval: keys.Day} }, keys.KindInvalid},
		{"rotated without an interval", func(r *kms.NewKey) { r.Rotation = &kms.RotationPolicy{Enabled: true} }, keys.KindMissing},
	} {
		req := wish(keys.AES256)
		tt.change(&req)
		err := as(t, w, w.Tenant, func(c *kms.Call) error { return second(w.CreateKey(t.Context(), c, req)) })
		want(t, tt.name, err, tt.kind)
	}
	hsm := wish(keys.AES256)
	hsm.Protection = keys.HSM
	if k := newKey(t, lenient, hsm); k.Protection != keys.HSM {
		t.Errorf("where it is allowed the key is labelled %s", k.Protection)
	}
	stored(t, w, func(tx store.Tx) error {
		n, err := tx.Count(store.Counter{Type: keys.TypeKey, Tenant: w.Tenant.ID})
		if n != 1 {
			t.Errorf("%d keys were made, want 1", n)
		}
		return err
	})
}
