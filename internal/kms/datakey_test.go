// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"testing"

	"claviger/internal/audit"
	"claviger/internal/engine"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
)

// rsaUnder wraps under the first tenant's API signing key, which is at hand.
func rsaUnder(t testing.TB, w *kmstest.World) kms.WrappingKey {
	t.Helper()
	return kms.WrappingKey{Spec: keys.RSA2048, Algorithm: keys.OAEPSHA256, SPKI: rsaSPKI(t, w.Tenant)}
}

// recipient is somebody with a key of their own.
func recipient(t testing.TB, spec keys.Spec, alg keys.Algorithm) (*engine.Key, kms.WrappingKey) {
	t.Helper()
	m, err := engine.Generate(rand.Reader, spec)
	if err != nil {
		t.Fatal(err)
	}
	k, err := engine.Open(spec, m.Private)
	if err != nil {
		t.Fatal(err)
	}
	return k, kms.WrappingKey{Spec: spec, Algorithm: alg, SPKI: m.Public}
}

// TestDataKeysAreExported: what leaves under a foreign key is the data key.
func TestDataKeysAreExported(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	k := newKey(t, w, wish(keys.SM4))
	context := map[string]string{"a": "b"}
	rsaKey, rsa := recipient(t, keys.RSA2048, keys.OAEPSHA256)
	sha1 := rsa
	sha1.Algorithm = keys.OAEPSHA1
	sm2Key, sm2 := recipient(t, keys.SM2, keys.SM2PKE)
	for _, to := range []struct {
		key   *engine.Key
		under kms.WrappingKey
	}{{rsaKey, rsa}, {rsaKey, sha1}, {sm2Key, sm2}} {
		var made *kms.GenerateAndExportResult
		var exported *kms.ExportResult
		must(t, w, func(c *kms.Call) (err error) {
			made, err = w.GenerateAndExportDataKey(t.Context(), c, kms.DataKeyRequest{Key: kms.KeyRef{ID: k.ID}, Bytes: 32, Context: context}, to.under)
			return err
		})
		must(t, w, func(c *kms.Call) (err error) {
			exported, err = w.ExportDataKey(t.Context(), c, kms.ExportRequest{
				Source: kms.DecryptRequest{Ciphertext: made.Ciphertext, Context: context}, Under: to.under,
			})
			return err
		})
		plain, err := open(t, w, kms.DecryptRequest{Ciphertext: made.Ciphertext, Context: context})
		if err != nil {
			t.Fatal(err)
		}
		for name, wrapped := range map[string][]byte{"at once": made.Wrapped, "later": exported.Wrapped} {
			got, err := to.key.Decrypt(to.under.Algorithm, wrapped)
			if err != nil || len(got) != 32 || !bytes.Equal(got, plain.Plaintext) {
				t.Errorf("%s, exported %s: %d bytes, %v", to.under.Algorithm, name, len(got), err)
			}
		}
		if made.Key.ID != k.ID || made.Version.ID != k.Primary || exported.Key.ID != k.ID || exported.Version.ID != k.Primary {
			t.Errorf("%s: by other keys than the key", to.under.Algorithm)
		}
		sum := sha256.Sum256(to.under.SPKI)
		all := slices.DeleteFunc(recorded(t, w, t.Name()), func(ev audit.Event) bool { return ev.Context == nil })
		for _, ev := range all[len(all)-2:] {
			if ev.Context["wrapping_key_sha256"] != hex.EncodeToString(sum[:]) || ev.Key != k.ID {
				t.Errorf("%s: the record is %+v", to.under.Algorithm, ev)
			}
		}
	}
}

// TestExportRefusals: nothing leaves under a key that is none, or too small.
func TestExportRefusals(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	k := newAES(t, w)
	good := rsaUnder(t, w)
	for name, tt := range map[string]struct {
		change func(*kms.WrappingKey)
		bytes  int
		kind   keys.Kind
		field  string
	}{
		"nothing":               {func(*kms.WrappingKey) {}, 190, "", ""},
		"a longer data key":     {func(*kms.WrappingKey) {}, 191, keys.KindTooLarge, "dataKey"},
		"no public key":         {func(u *kms.WrappingKey) { u.SPKI = nil }, 32, keys.KindInvalid, "publicKey"},
		"another spec":          {func(u *kms.WrappingKey) { u.Spec = keys.RSA3072 }, 32, keys.KindInvalid, "publicKey"},
		"an SM2 key":            {func(u *kms.WrappingKey) { u.Spec, u.Algorithm = keys.SM2, keys.SM2PKE }, 32, keys.KindInvalid, "publicKey"},
		"another algorithm":     {func(u *kms.WrappingKey) { u.Algorithm = keys.SM2PKE }, 32, keys.KindInvalid, "algorithm"},
		"a signing algorithm":   {func(u *kms.WrappingKey) { u.Algorithm = keys.PSSSHA256 }, 32, keys.KindInvalid, "algorithm"},
		"a symmetric spec":      {func(u *kms.WrappingKey) { u.Spec, u.Algorithm = keys.AES256, keys.Envelope }, 32, keys.KindUnsupported, "wrappingKey"},
		"a public key and more": {func(u *kms.WrappingKey) { u.SPKI = append(bytes.Clone(u.SPKI), 0) }, 32, keys.KindInvalid, "publicKey"},
	} {
		under := good
		tt.change(&under)
		dek, err := sealed(t, w, kms.EncryptRequest{Key: kms.KeyRef{ID: k.ID}, Plaintext: make([]byte, tt.bytes)})
		if err != nil {
			t.Fatal(err)
		}
		made := as(t, w, w.Tenant, func(c *kms.Call) error {
			return second(w.GenerateAndExportDataKey(t.Context(), c, kms.DataKeyRequest{Key: kms.KeyRef{ID: k.ID}, Bytes: tt.bytes}, under))
		})
		exported := as(t, w, w.Tenant, func(c *kms.Call) error {
			return second(w.ExportDataKey(t.Context(), c, kms.ExportRequest{Source: kms.DecryptRequest{Ciphertext: dek}, Under: under}))
		})
		for what, err := range map[string]error{"generate": made, "export": exported} {
			want(t, name+", "+what, err, tt.kind)
			if err != nil && keys.AsError(err).Field != tt.field {
				t.Errorf("%s, %s: the field is %q", name, what, keys.AsError(err).Field)
			}
		}
	}
	rsa := newKey(t, w, wish(keys.RSA2048))
	err := as(t, w, w.Tenant, func(c *kms.Call) error {
		return second(w.GenerateAndExportDataKey(t.Context(), c, kms.DataKeyRequest{Key: kms.KeyRef{ID: rsa.ID}, Bytes: 32}, good))
	})
	want(t, "a data key of an RSA key", err, keys.KindUnsupported)
}
