// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/engine"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
)

// sealed encrypts in a call of its own.
func sealed(t testing.TB, w *kmstest.World, req kms.EncryptRequest) ([]byte, error) {
	t.Helper()
	var out []byte
	err := as(t, w, w.Tenant, func(c *kms.Call) error {
		res, err := w.Encrypt(t.Context(), c, req)
		if err == nil {
			out = res.Ciphertext
		}
		return err
	})
	return out, err
}

func open(t testing.TB, w *kmstest.World, req kms.DecryptRequest) (*kms.DecryptResult, error) {
	t.Helper()
	var out *kms.DecryptResult
	err := as(t, w, w.Tenant, func(c *kms.Call) (err error) {
		out, err = w.Decrypt(t.Context(), c, req)
		return err
	})
	return out, err
}

// TestEnvelopesOpenAsTheyWereMade seals bytes and text, with and without a context, under the
// primary and an older version, and opens them with the key named and not.
func TestEnvelopesOpenAsTheyWereMade(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	for _, spec := range []keys.Spec{keys.AES128, keys.AES192, keys.AES256, keys.SM4} {
		k := newKey(t, w, wish(spec))
		old := k.Primary
		primary := rotate(t, w, k.ID).ID
		ref := kms.KeyRef{ID: k.ID}
		for _, text := range []bool{false, true} {
			for _, context := range []map[string]string{nil, {}, {"a": "1", "b": ""}} {
				for _, v := range []keys.ID{{}, old} {
					for _, plaintext := range [][]byte{{}, []byte("hello"), bytes.Repeat([]byte{0xff}, kms.MaxEnvelopePlaintext)} {
						ct, err := sealed(t, w, kms.EncryptRequest{Key: ref, Version: kms.VersionRef{ID: v}, Plaintext: plaintext, Text: text, Context: context})
						if err != nil {
							t.Fatalf("%s: encrypt: %v", spec, err)
						}
						for _, named := range []*kms.KeyRef{nil, &ref} {
							got, err := open(t, w, kms.DecryptRequest{Key: named, Ciphertext: ct, Context: context})
							if err != nil {
								t.Fatalf("%s: decrypt: %v", spec, err)
							}
							by := v
							if by.IsZero() {
								by = primary
							}
							if !bytes.Equal(got.Plaintext, plaintext) || got.Text != text || got.Version.ID != by || got.Key.ID != k.ID {
								t.Errorf("%s: %d bytes, text %t, version %s; want %d, %t, %s", spec, len(got.Plaintext), got.Text, got.Version.ID, len(plaintext), text, by)
							}
						}
					}
				}
			}
		}
	}
}

// TestEveryFaultOfACiphertextIsOneError alters an envelope, its key and its context.
func TestEveryFaultOfACiphertextIsOneError(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	k, other := newAES(t, w), newAES(t, w)
	first := k.Primary
	rotate(t, w, k.ID)
	ref, otherRef := kms.KeyRef{ID: k.ID}, kms.KeyRef{ID: other.ID}
	ct, err := sealed(t, w, kms.EncryptRequest{Key: ref, Plaintext: []byte("hello"), Context: map[string]string{"a": "1"}})
	if err != nil {
		t.Fatal(err)
	}
	under, err := sealed(t, w, kms.EncryptRequest{Key: ref, Version: kms.VersionRef{ID: first}, Plaintext: []byte("hello")})
	if err != nil {
		t.Fatal(err)
	}
	erased := bytes.Clone(under)
	scheduleVersion(t, w, k.ID, first, 7)
	_, err = open(t, w, kms.DecryptRequest{Ciphertext: under})
	want(t, "a version pending deletion", err, keys.KindState)
	advance(t, w, 7*keys.Day)

	with := map[string]string{"a": "1"}
	flip := func(at int) []byte {
		b := bytes.Clone(ct)
		b[at] ^= 1
		return b
	}
	requests := map[string]kms.DecryptRequest{
		"no context":               {Key: &ref, Ciphertext: ct},
		"another context":          {Key: &ref, Ciphertext: ct, Context: map[string]string{"a": "2"}},
		"more context":             {Key: &ref, Ciphertext: ct, Context: map[string]string{"a": "1", "b": ""}},
		"another key":              {Key: &otherRef, Ciphertext: ct, Context: with},
		"another version named":    {Key: &ref, Version: kms.VersionRef{ID: first}, Ciphertext: ct, Context: with},
		"cut off":                  {Key: &ref, Ciphertext: ct[:len(ct)-1], Context: with},
		"longer":                   {Key: &ref, Ciphertext: append(bytes.Clone(ct), 0), Context: with},
		"nothing":                  {Key: &ref, Context: with},
		"nothing, with no key":     {Context: with},
		"noise, with no key":       {Ciphertext: make([]byte, 200)},
		"the version's id changed": {Key: &ref, Ciphertext: append([]byte(keys.ID{1}.String()), ct[36:]...), Context: with},
		"an erased version":        {Key: &ref, Ciphertext: erased},
		"another tenant's version": {Key: &ref, Ciphertext: append([]byte(foreignVersion(t, w).String()), ct[36:]...)},
	}
	for _, at := range []int{36, 37, 38, 60, len(ct) - 17, len(ct) - 1} {
		requests["byte "+string(rune('0'+at/10))+string(rune('0'+at%10))+" flipped"] = kms.DecryptRequest{Key: &ref, Ciphertext: flip(at), Context: with}
	}
	for what, req := range requests {
		_, err := open(t, w, req)
		if diff := cmp.Diff(&keys.Error{Kind: keys.KindCiphertext}, err); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	// With no key named, what does not exist for the caller is not found, whyever.
	for what, id := range map[string]keys.ID{"erased": first, "another tenant's": foreignVersion(t, w), "nobody's": {1}} {
		_, err := open(t, w, kms.DecryptRequest{Ciphertext: append([]byte(id.String()), ct[36:]...), Context: with})
		if diff := cmp.Diff(keys.NotFound(keys.TypeKey), err); diff != "" {
			t.Errorf("a ciphertext of a version that is %s: %s", what, diff)
		}
	}
	if _, err := open(t, w, kms.DecryptRequest{Key: &ref, Ciphertext: ct, Context: with}); err != nil {
		t.Errorf("the ciphertext itself: %v", err)
	}
}

// foreignVersion is the primary of a key of the other tenant.
func foreignVersion(t testing.TB, w *kmstest.World) keys.ID {
	t.Helper()
	var id keys.ID
	err := as(t, w, w.Other, func(c *kms.Call) error {
		k, err := w.CreateKey(t.Context(), c, wish(keys.AES256))
		if err == nil {
			id = k.Primary
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestForeignMaterialIsNotOpened breaks the sealed material of another tenant's version. Whoever
// names it must be told what they are told of any other: it is not even looked at.
func TestForeignMaterialIsNotOpened(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	id := foreignVersion(t, w)
	tamper(t, w, func(tx store.Tx) error {
		v, err := store.LoadVersion(tx, id)
		if err != nil {
			return err
		}
		v.Sealed[20] ^= 1
		return tx.Put(v)
	})
	k := newAES(t, w)
	ref := kms.KeyRef{ID: k.ID}
	blob := append([]byte(id.String()), make([]byte, 100)...)
	blob[36] = byte(engine.SuiteDerived)
	_, err := open(t, w, kms.DecryptRequest{Ciphertext: blob})
	want(t, "decrypt", err, keys.KindNotFound)
	_, err = open(t, w, kms.DecryptRequest{Key: &ref, Ciphertext: blob})
	want(t, "decrypt with a key", err, keys.KindCiphertext)
	_, err = sealed(t, w, kms.EncryptRequest{Key: ref, Version: kms.VersionRef{ID: id}})
	want(t, "encrypt", err, keys.KindNotFound)
}

// TestRSADecryptionTriesTheVersions opens blocks of three versions with none named.
func TestRSADecryptionTriesTheVersions(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	k := newKey(t, w, wish(keys.RSA2048))
	ref := kms.KeyRef{ID: k.ID}
	var blocks [][]byte
	for i := range 3 {
		if i > 0 {
			rotate(t, w, k.ID)
		}
		for _, alg := range []keys.Algorithm{keys.OAEPSHA256, keys.OAEPSHA1} {
			ct, err := sealed(t, w, kms.EncryptRequest{Key: ref, Algorithm: alg, Plaintext: []byte{byte(i)}})
			if err != nil {
				t.Fatal(err)
			}
			if alg == keys.OAEPSHA256 {
				blocks = append(blocks, ct)
			}
			got, err := open(t, w, kms.DecryptRequest{Key: &ref, Algorithm: alg, Ciphertext: ct})
			if err != nil || !bytes.Equal(got.Plaintext, []byte{byte(i)}) {
				t.Errorf("%s under the primary: %v", alg, err)
			}
		}
	}
	decrypt := func(i int, v kms.VersionRef) error {
		got, err := open(t, w, kms.DecryptRequest{Key: &ref, Version: v, Algorithm: keys.OAEPSHA256, Ciphertext: blocks[i]})
		if err == nil && (!bytes.Equal(got.Plaintext, []byte{byte(i)}) || got.Version.Ordinal != i+1) {
			t.Errorf("block %d opens as %x by version %d", i, got.Plaintext, got.Version.Ordinal)
		}
		return err
	}
	for i := range blocks {
		want(t, "with no version named", decrypt(i, kms.VersionRef{}), "")
		want(t, "with its version named", decrypt(i, kms.VersionRef{ID: version(t, w, k.ID, i+1).ID}), "")
		want(t, "with another version named", decrypt(i, kms.VersionRef{ID: version(t, w, k.ID, (i+1)%3+1).ID}), keys.KindCiphertext)
	}
	second := version(t, w, k.ID, 2)
	scheduleVersion(t, w, k.ID, second.ID, 10)
	want(t, "of a version pending deletion", decrypt(1, kms.VersionRef{}), keys.KindCiphertext)
	want(t, "of a version pending deletion, named", decrypt(1, kms.VersionRef{ID: second.ID}), keys.KindState)
	want(t, "of the version before it", decrypt(0, kms.VersionRef{}), "")
	_, err := open(t, w, kms.DecryptRequest{Key: &ref, Algorithm: keys.OAEPSHA256, Ciphertext: make([]byte, 256)})
	want(t, "noise", err, keys.KindCiphertext)
	_, err = sealed(t, w, kms.EncryptRequest{Key: ref, Algorithm: keys.OAEPSHA256, Plaintext: make([]byte, 256-66+1)})
	want(t, "a byte more than fits", err, keys.KindTooLarge)
}

// TestSM2DecryptionTriesTheVersions opens ciphertexts of two versions with none named, and none
// longer than a dialect lets encrypt is made.
func TestSM2DecryptionTriesTheVersions(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	k := newKey(t, w, wish(keys.SM2))
	ref := kms.KeyRef{ID: k.ID}
	for i := range 2 {
		if i > 0 {
			rotate(t, w, k.ID)
		}
		first := kms.VersionRef{ID: k.Primary}
		for _, version := range []kms.VersionRef{first, {}} {
			ct, err := sealed(t, w, kms.EncryptRequest{Key: ref, Version: version, Algorithm: keys.SM2PKE, Plaintext: []byte("hello")})
			if err != nil {
				t.Fatal(err)
			}
			got, err := open(t, w, kms.DecryptRequest{Key: &ref, Algorithm: keys.SM2PKE, Ciphertext: ct})
			if err != nil || string(got.Plaintext) != "hello" {
				t.Errorf("with %d versions: %v", i+1, err)
			}
			if !version.IsZero() && err == nil && got.Version.ID != version.ID {
				t.Errorf("with %d versions: opened by %s", i+1, got.Version.ID)
			}
		}
	}
	for n, kind := range map[int]keys.Kind{0: keys.KindInvalid, kms.MaxEnvelopePlaintext: "", kms.MaxEnvelopePlaintext + 1: keys.KindTooLarge} {
		_, err := sealed(t, w, kms.EncryptRequest{Key: ref, Algorithm: keys.SM2PKE, Plaintext: make([]byte, n)})
		want(t, "a plaintext at a limit", err, kind)
	}
	_, err := open(t, w, kms.DecryptRequest{Key: &ref, Algorithm: keys.SM2PKE, Ciphertext: make([]byte, 200)})
	want(t, "noise", err, keys.KindCiphertext)
}

// TestSignaturesVerify signs by message and by digest, verifies with each version and the public key.
func TestSignaturesVerify(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	for spec, alg := range map[keys.Spec]keys.Algorithm{
		keys.ECP256: keys.ECDSASHA256, keys.ECP384: keys.ECDSASHA384, keys.ECP521: keys.ECDSASHA512,
		keys.SECP256K1: keys.ECDSASHA256, keys.RSA2048: keys.PSSSHA256, keys.SM2: keys.SM2DSA,
	} {
		if engine.Supported(spec) != nil {
			continue
		}
		k := newKey(t, w, wish(spec))
		first := k.Primary
		message := []byte("message")
		req := kms.SignRequest{Key: kms.KeyRef{ID: k.ID}, Algorithm: alg, Message: message}
		var pub *engine.PublicKey
		must(t, w, func(c *kms.Call) error {
			_, v, err := w.PublicKey(t.Context(), c, req.Key, kms.VersionRef{ID: first})
			if err == nil {
				pub, err = engine.OpenPublic(spec, v.PublicKey)
			}
			return err
		})
		digest := pub.Digest(alg, message)
		var sig []byte
		must(t, w, func(c *kms.Call) error {
			out, err := w.Sign(t.Context(), c, req)
			if err == nil {
				sig = out.Signature
			}
			return err
		})
		rotate(t, w, k.ID)
		for _, tt := range []struct {
			what    string
			req     kms.SignRequest
			version keys.ID
			sig     []byte
			valid   bool
		}{
			{"by message", req, first, sig, true},
			{"by digest", kms.SignRequest{Key: req.Key, Algorithm: alg, Digest: digest}, first, sig, true},
			{"by the new version", req, keys.ID{}, sig, false},
			{"of another message", kms.SignRequest{Key: req.Key, Algorithm: alg, Message: []byte("other")}, first, sig, false},
			{"of noise", req, first, []byte("noise"), false},
		} {
			tt.req.Version = kms.VersionRef{ID: tt.version}
			must(t, w, func(c *kms.Call) error {
				out, err := w.Verify(t.Context(), c, kms.VerifyRequest{SignRequest: tt.req, Signature: tt.sig})
				if err == nil && out.Valid != tt.valid {
					t.Errorf("%s, %s: valid is %t", spec, tt.what, out.Valid)
				}
				return err
			})
		}
		if valid, err := pub.Verify(alg, digest, sig); !valid || err != nil {
			t.Errorf("%s: the public key does not verify the signature: %v", spec, err)
		}
	}
}

// TestWhatAKeyDoesNotDo asks keys for what they are not for.
func TestWhatAKeyDoesNotDo(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	aes, ec := kms.KeyRef{ID: newAES(t, w).ID}, kms.KeyRef{ID: newKey(t, w, wish(keys.ECP256)).ID}
	signOnly := wish(keys.RSA2048)
	signOnly.Usages = keys.UsageSign
	rsa := kms.KeyRef{ID: newKey(t, w, signOnly).ID}
	encrypt := func(req kms.EncryptRequest) func(*kms.Call) error {
		return func(c *kms.Call) error { return second(w.Encrypt(t.Context(), c, req)) }
	}
	sign := func(req kms.SignRequest) func(*kms.Call) error {
		return func(c *kms.Call) error { return second(w.Sign(t.Context(), c, req)) }
	}
	dataKey := func(key kms.KeyRef, n int) func(*kms.Call) error {
		return func(c *kms.Call) error {
			return second(w.GenerateDataKey(t.Context(), c, kms.DataKeyRequest{Key: key, Bytes: n}))
		}
	}
	for what, tt := range map[string]struct {
		call  func(*kms.Call) error
		kind  keys.Kind
		field string
	}{
		"an AES key with OAEP":       {encrypt(kms.EncryptRequest{Key: aes, Algorithm: keys.OAEPSHA256}), keys.KindUnsupported, "algorithm"},
		"an EC key encrypting":       {encrypt(kms.EncryptRequest{Key: ec}), keys.KindUnsupported, "usage"},
		"an RSA key for signing":     {encrypt(kms.EncryptRequest{Key: rsa, Algorithm: keys.OAEPSHA256}), keys.KindUnsupported, "usage"},
		"a data key of an EC key":    {dataKey(ec, 32), keys.KindUnsupported, "usage"},
		"a data key of no bytes":     {dataKey(aes, 0), keys.KindInvalid, "bytes"},
		"a data key of -1 bytes":     {dataKey(aes, -1), keys.KindInvalid, "bytes"},
		"a data key of a megabyte":   {dataKey(aes, 1<<20), keys.KindInvalid, "bytes"},
		"an AES key signing":         {sign(kms.SignRequest{Key: aes, Algorithm: keys.ECDSASHA256}), keys.KindUnsupported, "usage"},
		"an EC key signing by RSA":   {sign(kms.SignRequest{Key: ec, Algorithm: keys.PSSSHA256}), keys.KindUnsupported, "algorithm"},
		"an EC key signing by OAEP":  {sign(kms.SignRequest{Key: rsa, Algorithm: keys.OAEPSHA256}), keys.KindUnsupported, "algorithm"},
		"a digest of a wrong length": {sign(kms.SignRequest{Key: ec, Algorithm: keys.ECDSASHA256, Digest: make([]byte, 31)}), keys.KindInvalid, "digest"},
		"a plaintext too long": {
			encrypt(kms.EncryptRequest{Key: aes, Plaintext: make([]byte, kms.MaxEnvelopePlaintext+1)}), keys.KindTooLarge, "plaintext",
		},
		"a context that is no text": {encrypt(kms.EncryptRequest{Key: aes, Context: map[string]string{"a": "\xff"}}), keys.KindInvalid, "context"},
		"the public key of an AES key": {func(c *kms.Call) error {
			_, _, err := w.PublicKey(t.Context(), c, aes, kms.VersionRef{})
			return err
		}, keys.KindUnsupported, "spec"},
	} {
		err := as(t, w, w.Tenant, tt.call)
		want(t, what, err, tt.kind)
		if got := keys.AsError(err).Field; got != tt.field {
			t.Errorf("%s: the field is %q, want %q", what, got, tt.field)
		}
	}
	encrypting := wish(keys.RSA2048)
	encrypting.Usages = keys.UsageEncrypt
	both := kms.KeyRef{ID: newKey(t, w, encrypting).ID}
	_, err := sealed(t, w, kms.EncryptRequest{Key: both, Algorithm: keys.OAEPSHA256, Context: map[string]string{"a": "b"}})
	want(t, "a context with an RSA key", err, keys.KindUnsupported)
}

func TestDataKeysAreFreshAndOpen(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	k := newAES(t, w)
	context := map[string]string{"a": "b"}
	before := map[string]bool{}
	for _, n := range []int{1, 16, 32, 1024} {
		for range 2 {
			var dek, ct []byte
			must(t, w, func(c *kms.Call) error {
				out, err := w.GenerateDataKey(t.Context(), c, kms.DataKeyRequest{Key: kms.KeyRef{ID: k.ID}, Bytes: n, Context: context})
				if err == nil {
					dek, ct = out.Plaintext, out.Ciphertext
				}
				return err
			})
			got, err := open(t, w, kms.DecryptRequest{Ciphertext: ct, Context: context})
			if err != nil || len(dek) != n || !bytes.Equal(got.Plaintext, dek) || got.Text {
				t.Errorf("a data key of %d bytes: %v", n, err)
			}
			if n >= 16 && before[string(dek)] {
				t.Error("two data keys are the same")
			}
			before[string(dek)] = true
		}
	}
}

// countingStore counts what is asked of a store.
type countingStore struct {
	store.Store
	calls atomic.Int64
}

func (s *countingStore) View(ctx context.Context, fn func(store.Tx) error) error {
	s.calls.Add(1)
	return s.Store.View(ctx, fn)
}

func (s *countingStore) Update(ctx context.Context, fn func(store.Tx) error) (int64, error) {
	s.calls.Add(1)
	return s.Store.Update(ctx, fn)
}

// TestAWarmDataCallAsksNoDatabase repeats every data call, by id, by alias and by a carried-over
// name, and counts what reaches the store the second time.
func TestAWarmDataCallAsksNoDatabase(t *testing.T) {
	t.Parallel()
	st := &countingStore{}
	w := kmstest.New(t, kmstest.With(func(c *kms.Config) { st.Store, c.Store = c.Store, st }))
	s := newScene(t, w, w.Tenant.Vault)
	s.giveAlias()
	must(t, w, func(c *kms.Call) error {
		return w.AddExternalID(t.Context(), c, store.ExternalID{
			Dialect: "test", Type: keys.TypeKey, Tenant: w.Tenant.ID, Region: kmstest.Region, Name: "key-old", ID: s.key.ID,
		})
	})
	methods := slices.DeleteFunc(dataMethods(), func(m method) bool {
		return m.action == keys.ExportKey // which wraps what is stored; nobody exports often
	})
	for _, ref := range []kms.KeyRef{{Alias: s.alias}, {External: "key-old"}} {
		methods = append(methods, method{name: "Encrypt by another name", call: func(s *scene, c *kms.Call) error {
			return second(w.Encrypt(t.Context(), c, kms.EncryptRequest{Key: ref}))
		}})
	}
	methods = append(methods, method{name: "Decrypt without a key", call: func(s *scene, c *kms.Call) error {
		return second(w.Decrypt(t.Context(), c, kms.DecryptRequest{Ciphertext: s.sealed}))
	}})
	for _, m := range methods {
		want(t, m.name, m.by(s, w.Tenant), "")
		cold := st.calls.Load()
		want(t, m.name, m.by(s, w.Tenant), "")
		if n := st.calls.Load() - cold; n != 0 {
			t.Errorf("%s asks the database %d times when warm", m.name, n)
		}
	}
}

// TestErrorsHoldNoPlaintext looks for what was to be encrypted in the refusals of it.
func TestErrorsHoldNoPlaintext(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	k := newAES(t, w)
	const hidden = "correct horse battery staple"
	want(t, "disable", change(t, w, k.ID, keys.DisableKey), "")
	_, err := sealed(t, w, kms.EncryptRequest{Key: kms.KeyRef{ID: k.ID}, Plaintext: []byte(hidden), Context: map[string]string{"a": hidden}})
	if err == nil || strings.Contains(err.Error(), hidden) {
		t.Errorf("the refusal says %v", err)
	}
}
