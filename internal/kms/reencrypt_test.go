// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"claviger/internal/audit"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
)

func reEncrypt(t testing.TB, w *kmstest.World, who kmstest.Tenant, req kms.ReEncryptRequest) (*kms.ReEncryptResult, error) {
	t.Helper()
	var out *kms.ReEncryptResult
	err := as(t, w, who, func(c *kms.Call) (err error) {
		out, err = w.ReEncrypt(t.Context(), c, req)
		return err
	})
	return out, err
}

// TestReEncrypt moves ciphertexts of each kind under another key, with another context.
func TestReEncrypt(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	aes, sm4 := newKey(t, w, wish(keys.AES256)), newKey(t, w, wish(keys.SM4))
	first := aes.Primary
	rotate(t, w, aes.ID)
	rsa, sm2 := newKey(t, w, wish(keys.RSA2048)), newKey(t, w, wish(keys.SM2))
	under := func(k *kms.Key) *kms.KeyRef { return &kms.KeyRef{ID: k.ID} }
	old, context := map[string]string{"a": "old"}, map[string]string{"a": "new"}
	plaintext := []byte("a plaintext")
	for name, tt := range map[string]struct {
		made kms.EncryptRequest
		from kms.DecryptRequest
		to   *kms.Key
		text bool
	}{
		"text": {
			kms.EncryptRequest{Key: *under(aes), Text: true, Context: old}, kms.DecryptRequest{Context: old}, sm4, true,
		},
		"bytes, of an old version, the key named": {
			kms.EncryptRequest{Key: *under(aes), Version: kms.VersionRef{ID: first}}, kms.DecryptRequest{Key: under(aes)}, sm4, false,
		},
		"under the key that it has": {kms.EncryptRequest{Key: *under(sm4)}, kms.DecryptRequest{}, sm4, false},
		"SM4 to AES":                {kms.EncryptRequest{Key: *under(sm4), Text: true}, kms.DecryptRequest{}, aes, true},
		"RSA": {
			kms.EncryptRequest{Key: *under(rsa), Algorithm: keys.OAEPSHA1},
			kms.DecryptRequest{Key: under(rsa), Version: kms.VersionRef{ID: rsa.Primary}, Algorithm: keys.OAEPSHA1},
			aes, false,
		},
		"SM2": {
			kms.EncryptRequest{Key: *under(sm2), Algorithm: keys.SM2PKE},
			kms.DecryptRequest{Key: under(sm2), Version: kms.VersionRef{ID: sm2.Primary}, Algorithm: keys.SM2PKE},
			aes, false,
		},
	} {
		tt.made.Plaintext = plaintext
		ct, err := sealed(t, w, tt.made)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		tt.from.Ciphertext = ct
		out, err := reEncrypt(t, w, w.Tenant, kms.ReEncryptRequest{Source: tt.from, Key: *under(tt.to), Context: context})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		from := tt.made.Version.ID
		if from.IsZero() {
			from = seen(t, w, tt.made.Key.ID).Primary
		}
		if out.FromKey.ID != tt.made.Key.ID || out.FromVersion.ID != from || out.Key.ID != tt.to.ID || out.Version.ID != seen(t, w, tt.to.ID).Primary {
			t.Errorf("%s: from %s of %s to %s of %s", name, out.FromVersion.ID, out.FromKey.ID, out.Version.ID, out.Key.ID)
		}
		got, err := open(t, w, kms.DecryptRequest{Ciphertext: out.Ciphertext, Context: context})
		if err != nil || !bytes.Equal(got.Plaintext, plaintext) || got.Text != tt.text || got.Key.ID != tt.to.ID {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if _, err := open(t, w, kms.DecryptRequest{Ciphertext: out.Ciphertext, Context: old}); !keys.IsKind(err, keys.KindCiphertext) {
			t.Errorf("%s: under the old context: %v", name, err)
		}
	}
}

// TestReEncryptRefusals: whatever is refused is refused before anything is made.
func TestReEncryptRefusals(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	aes, to, rsa := newAES(t, w), newAES(t, w), newKey(t, w, wish(keys.RSA2048))
	ct, err := sealed(t, w, kms.EncryptRequest{Key: kms.KeyRef{ID: aes.ID}, Plaintext: []byte("x"), Context: map[string]string{"a": "b"}})
	if err != nil {
		t.Fatal(err)
	}
	good := kms.DecryptRequest{Ciphertext: ct, Context: map[string]string{"a": "b"}}
	for name, tt := range map[string]struct {
		change func(*kms.ReEncryptRequest)
		kind   keys.Kind
	}{
		"nothing":                   {func(*kms.ReEncryptRequest) {}, ""},
		"another context":           {func(r *kms.ReEncryptRequest) { r.Source.Context = nil }, keys.KindCiphertext},
		"noise":                     {func(r *kms.ReEncryptRequest) { r.Source.Ciphertext = make([]byte, 100) }, keys.KindCiphertext},
		"another source key":        {func(r *kms.ReEncryptRequest) { r.Source.Key = &kms.KeyRef{ID: to.ID} }, keys.KindCiphertext},
		"an unknown source key":     {func(r *kms.ReEncryptRequest) { r.Source.Key = &kms.KeyRef{ID: keys.ID{1}} }, keys.KindNotFound},
		"an asymmetric destination": {func(r *kms.ReEncryptRequest) { r.Key.ID = rsa.ID }, keys.KindUnsupported},
		"an unknown destination":    {func(r *kms.ReEncryptRequest) { r.Key.ID = keys.ID{1} }, keys.KindNotFound},
		"a context that is no text": {func(r *kms.ReEncryptRequest) { r.Context = map[string]string{"a": "\xff"} }, keys.KindInvalid},
		"an algorithm for an AES key": {func(r *kms.ReEncryptRequest) {
			r.Source.Key, r.Source.Algorithm = &kms.KeyRef{ID: aes.ID}, keys.OAEPSHA256
		}, keys.KindUnsupported},
	} {
		req := kms.ReEncryptRequest{Source: good, Key: kms.KeyRef{ID: to.ID}}
		tt.change(&req)
		_, err := reEncrypt(t, w, w.Tenant, req)
		want(t, name, err, tt.kind)
	}
}

// TestReEncryptAsksBothKeys: the caller's rights and the states of both keys count, and the record
// names both.
func TestReEncryptAsksBothKeys(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	inVault := func(name string) *kms.Key {
		req := wish(keys.AES256)
		req.Vault = newVault(t, w, name)
		return newKey(t, w, req)
	}
	from, to := inVault("from"), inVault("to")
	ct, err := encrypt(t, w, from.ID)
	if err != nil {
		t.Fatal(err)
	}
	req := kms.ReEncryptRequest{Source: kms.DecryptRequest{Ciphertext: ct}, Key: kms.KeyRef{ID: to.ID}}
	for i, tt := range []struct {
		role  identity.Role
		vault keys.ID
		kind  keys.Kind
	}{
		{identity.User, keys.ID{}, ""},
		{identity.User, from.Vault, keys.KindDenied},
		{identity.User, to.Vault, keys.KindDenied},
		{identity.Operator, keys.ID{}, keys.KindDenied},
	} {
		_, err := reEncrypt(t, w, member(t, w, w.Tenant, fmt.Sprint(i), tt.role, tt.vault), req)
		want(t, fmt.Sprintf("%s of vault %s", tt.role, tt.vault), err, tt.kind)
	}
	last := func() audit.Event {
		all := slices.DeleteFunc(recorded(t, w, t.Name()), func(ev audit.Event) bool { return ev.Action != keys.ReEncrypt })
		return all[len(all)-1]
	}
	for _, k := range []*kms.Key{from, to} {
		want(t, "disable", change(t, w, k.ID, keys.DisableKey), "")
		_, err := reEncrypt(t, w, w.Tenant, req)
		want(t, "one of the keys disabled", err, keys.KindState)
		if got := last(); got.Key != to.ID || (k == from && got.FromKey != from.ID) || got.Outcome != string(keys.KindState) {
			t.Errorf("the record of the refusal is %+v", got)
		}
		want(t, "enable", change(t, w, k.ID, keys.EnableKey), "")
	}
	if _, err := reEncrypt(t, w, w.Tenant, req); err != nil {
		t.Fatal(err)
	}
	if got := last(); got.Key != to.ID || got.Version != to.Primary || got.FromKey != from.ID || got.FromVersion != from.Primary || got.Vault != to.Vault {
		t.Errorf("the record is %+v", got)
	}
}

// TestReEncryptAcrossTenants: a grant on each side is enough, less is not.
func TestReEncryptAcrossTenants(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	from, to := newAES(t, w), newAES(t, w)
	ct, err := encrypt(t, w, from.ID)
	if err != nil {
		t.Fatal(err)
	}
	foreign := func(k *kms.Key) kms.KeyRef { return kms.KeyRef{ID: k.ID, Tenant: w.Tenant.ID, Foreign: true} }
	source := foreign(from)
	req := kms.ReEncryptRequest{Source: kms.DecryptRequest{Key: &source, Ciphertext: ct}, Key: foreign(to)}
	grant := func(k *kms.Key, act keys.Action) {
		if _, err := w.CreateGrant(t.Context(), w.System("test"), k.ID, w.Other.ID, []keys.Action{act}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = reEncrypt(t, w, w.Other, req)
	want(t, "without a grant", err, keys.KindNotFound)
	grant(to, keys.Encrypt)
	_, err = reEncrypt(t, w, w.Other, req)
	want(t, "with a grant of the destination", err, keys.KindNotFound)
	grant(from, keys.Encrypt)
	_, err = reEncrypt(t, w, w.Other, req)
	want(t, "with a grant to encrypt with the source", err, keys.KindNotFound)
	grant(from, keys.Decrypt)
	_, err = reEncrypt(t, w, w.Other, req)
	want(t, "with both grants", err, "")
}
