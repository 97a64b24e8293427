// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"testing"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
)

// TestMACs makes and verifies a MAC with each kind of HMAC key.
func TestMACs(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	for spec, alg := range map[keys.Spec]keys.Algorithm{
		keys.HMACSHA224: keys.MACSHA224, keys.HMACSHA256: keys.MACSHA256, keys.HMACSHA384: keys.MACSHA384,
		keys.HMACSHA512: keys.MACSHA512, keys.HMACSM3: keys.MACSM3,
	} {
		k := newKey(t, w, wish(spec))
		req := kms.MACRequest{Key: kms.KeyRef{ID: k.ID}, Algorithm: alg, Message: []byte("message")}
		var mac []byte
		must(t, w, func(c *kms.Call) error {
			out, err := w.GenerateMAC(t.Context(), c, req)
			if err != nil {
				return err
			}
			if out.Key.ID != k.ID || out.Version.ID != k.Primary || len(out.MAC) != spec.Bits()/8 {
				t.Errorf("%s: %d bytes by %s", spec, len(out.MAC), out.Key.ID)
			}
			mac = out.MAC
			return nil
		})
		verify := func(req kms.MACRequest, mac []byte) (valid bool) {
			must(t, w, func(c *kms.Call) error {
				out, err := w.VerifyMAC(t.Context(), c, kms.VerifyMACRequest{MACRequest: req, MAC: mac})
				valid = err == nil && out.Valid
				return err
			})
			return valid
		}
		if !verify(req, mac) || verify(req, mac[:len(mac)-1]) || verify(req, nil) {
			t.Errorf("%s: the MAC does not verify, or less than it does", spec)
		}
		req.Message = []byte("massage")
		if verify(req, mac) {
			t.Errorf("%s: it verifies for another message", spec)
		}
	}
}

// TestWhatAnHMACKeyDoesNotDo: no other hash, no other use, no second version.
func TestWhatAnHMACKeyDoesNotDo(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	k := newKey(t, w, wish(keys.HMACSHA256))
	ref, aes := kms.KeyRef{ID: k.ID}, kms.KeyRef{ID: newAES(t, w).ID}
	mac := func(key kms.KeyRef, alg keys.Algorithm) func(*kms.Call) error {
		return func(c *kms.Call) error {
			return second(w.GenerateMAC(t.Context(), c, kms.MACRequest{Key: key, Algorithm: alg, Message: []byte("x")}))
		}
	}
	for name, tt := range map[string]struct {
		call  func(*kms.Call) error
		field string
	}{
		"another hash":        {mac(ref, keys.MACSHA512), "algorithm"},
		"a signature":         {mac(ref, keys.ECDSASHA256), "algorithm"},
		"no algorithm":        {mac(ref, ""), "algorithm"},
		"a MAC by an AES key": {mac(aes, keys.MACSHA256), "usage"},
		"encryption":          {func(c *kms.Call) error { return second(w.Encrypt(t.Context(), c, kms.EncryptRequest{Key: ref})) }, "usage"},
		"a public key":        {func(c *kms.Call) error { _, _, err := w.PublicKey(t.Context(), c, ref, kms.VersionRef{}); return err }, "spec"},
		"a second version":    {func(c *kms.Call) error { return second(w.Rotate(t.Context(), c, ref)) }, "spec"},
		"rotation by the clock": {func(c *kms.Call) error {
			return second(w.SetRotation(t.Context(), c, ref, kms.RotationPolicy{Enabled: true, Interval: 30 * keys.Day}))
		}, "rotation"},
		"its usage to be signing": {func(c *kms.Call) error {
			req := wish(keys.HMACSHA256)
			req.Usages = keys.UsageSign
			return second(w.CreateKey(t.Context(), c, req))
		}, "usage"},
	} {
		err := as(t, w, w.Tenant, tt.call)
		want(t, name, err, keys.KindUnsupported)
		if got := keys.AsError(err).Field; got != tt.field {
			t.Errorf("%s: the field is %q, want %q", name, got, tt.field)
		}
	}
}

// TestASeededHMACKeyHasOneVersion, as one that is created.
func TestASeededHMACKeyHasOneVersion(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	for versions, kind := range map[int]keys.Kind{1: "", 2: keys.KindInvalid} {
		req := kms.SeedKey{NewKey: wish(keys.HMACSM3), ID: keys.ID{byte(versions)}}
		req.Vault = w.Tenant.Vault
		for i := range versions {
			req.Versions = append(req.Versions, kms.SeedVersion{ID: keys.ID{byte(versions), byte(i + 1)}})
		}
		c := w.System("test")
		c.Region, c.Profile = kmstest.Region, &kmstest.Profile
		_, err := w.SeedKey(t.Context(), c, req)
		want(t, "a key of so many versions", err, kind)
	}
}
