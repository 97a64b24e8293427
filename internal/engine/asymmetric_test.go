// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/iotest"

	"claviger/internal/keys"
	"claviger/internal/secret"
)

// TestAsymmetric is the behaviour that every asymmetric spec shares.
func TestAsymmetric(t *testing.T) {
	t.Parallel()
	for _, spec := range asymmetric() {
		t.Run(string(spec), func(t *testing.T) {
			t.Parallel()
			t.Run("material", func(t *testing.T) { testAsymmetricMaterial(t, spec) })
			t.Run("other specs", func(t *testing.T) { testOtherSpecs(t, spec) })
			t.Run("sign", func(t *testing.T) { testSign(t, spec) })
			if spec.Usages().Has(keys.UsageEncrypt) {
				t.Run("encrypt", func(t *testing.T) { testEncrypt(t, spec) })
			}
			t.Run("misuse", func(t *testing.T) { testAsymmetricMisuse(t, fixedKey(t, spec)) })
			t.Run("wipe", func(t *testing.T) { testAsymmetricWipe(t, spec) })
			t.Run("concurrent", func(t *testing.T) { testConcurrentSign(t, fixedKey(t, spec)) })
		})
	}
}

func testAsymmetricMaterial(t *testing.T, spec keys.Spec) {
	m := fixedMaterial(t, spec)
	k := fixedKey(t, spec)
	if k.Spec() != spec || k.Public().Spec() != spec || !bytes.Equal(k.Public().DER(), m.Public) {
		t.Errorf("opened as %s, public half as %s, public keys equal %t",
			k.Spec(), k.Public().Spec(), bytes.Equal(k.Public().DER(), m.Public))
	}
	p, err := OpenPublic(spec, m.Public)
	if err != nil || !bytes.Equal(p.DER(), m.Public) {
		t.Fatalf("open public: %v", err)
	}
	private := m.Private.Reveal()
	for name, der := range map[string][]byte{
		"empty": nil, "trailing": append(bytes.Clone(private), 0), "cut": private[:len(private)-1],
		"the public key": m.Public,
	} {
		if _, err := Open(spec, secret.New(der)); !errors.Is(err, ErrMaterial) {
			t.Errorf("private, %s: %v", name, err)
		}
	}
	for name, der := range map[string][]byte{
		"empty": nil, "trailing": append(bytes.Clone(m.Public), 0), "cut": m.Public[:len(m.Public)-1],
		"the private key": private,
	} {
		if _, err := OpenPublic(spec, der); !errors.Is(err, ErrMaterial) {
			t.Errorf("public, %s: %v", name, err)
		}
	}
}

// testOtherSpecs opens the material as every other spec.
func testOtherSpecs(t *testing.T, spec keys.Spec) {
	m := fixedMaterial(t, spec)
	for _, other := range asymmetric() {
		if other == spec {
			continue
		}
		if _, err := Open(other, m.Private); !errors.Is(err, ErrMaterial) {
			t.Errorf("private as %s: %v", other, err)
		}
		if _, err := OpenPublic(other, m.Public); !errors.Is(err, ErrMaterial) {
			t.Errorf("public as %s: %v", other, err)
		}
	}
}

func testSign(t *testing.T, spec keys.Spec) {
	k := fixedKey(t, spec)
	public, err := OpenPublic(spec, fixedMaterial(t, spec).Public)
	if err != nil {
		t.Fatal(err)
	}
	algorithms := signAlgorithms(spec)
	for i, alg := range algorithms {
		digest := k.Public().Digest(alg, []byte("message"))
		if len(digest) != DigestSize(alg) {
			t.Fatalf("%s: digest of %d bytes", alg, len(digest))
		}
		sig, err := k.Sign(rand.Reader, alg, digest)
		if err != nil {
			t.Fatalf("%s: %v", alg, err)
		}
		check := func(what string, want bool, alg keys.Algorithm, digest, sig []byte) {
			t.Helper()
			if got, err := k.Verify(alg, digest, sig); got != want || err != nil {
				t.Errorf("%s, %s: %t, %v", alg, what, got, err)
			}
			if got, err := public.Verify(alg, digest, sig); got != want || err != nil {
				t.Errorf("%s, %s, public half alone: %t, %v", alg, what, got, err)
			}
		}
		check("as made", true, alg, digest, sig)
		check("another message", false, alg, k.Public().Digest(alg, []byte("massage")), sig)
		check("empty", false, alg, digest, nil)
		check("one byte more", false, alg, digest, append(bytes.Clone(sig), 0))
		check("one byte less", false, alg, digest, sig[:len(sig)-1])
		for _, at := range []int{0, len(sig) / 2, len(sig) - 1} {
			changed := bytes.Clone(sig)
			changed[at] ^= 1
			check(fmt.Sprintf("byte %d changed", at), false, alg, digest, changed)
		}
		next := algorithms[(i+1)%len(algorithms)]
		if next == alg {
			continue // SM2 has but one
		}
		check("as "+string(next), false, next, k.Public().Digest(next, []byte("message")), sig)
	}
}

func testEncrypt(t *testing.T, spec keys.Spec) {
	k := fixedKey(t, spec)
	for _, alg := range encryptAlgorithms(spec) {
		if alg == keys.SM2PKE {
			testSM2Encrypt(t, k)
		} else {
			testRSAEncrypt(t, k, alg)
			testOAEPRefusals(t, k, alg)
		}
		broken := errors.New("broken reader")
		if _, err := k.Encrypt(iotest.ErrReader(broken), alg, []byte{1}); !errors.Is(err, broken) {
			t.Errorf("%s: broken reader: %v", alg, err)
		}
	}
}

func testRSAEncrypt(t *testing.T, k *Key, alg keys.Algorithm) {
	hash := map[keys.Algorithm]int{keys.OAEPSHA1: 20, keys.OAEPSHA256: 32}[alg]
	modulus := k.Spec().Bits() / 8
	capacity := modulus - 2*hash - 2
	public, err := OpenPublic(k.Spec(), k.Public().DER())
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 1, 32, capacity} {
		plaintext := bytes.Repeat([]byte{0x5a}, size)
		ct, err := public.Encrypt(rand.Reader, alg, plaintext)
		if err != nil || len(ct) != modulus {
			t.Fatalf("%s: %d bytes into %d, %v", alg, size, len(ct), err)
		}
		if got, err := k.Decrypt(alg, ct); err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("%s: %d bytes: %v", alg, size, err)
		}
	}
	if _, err := k.Encrypt(rand.Reader, alg, make([]byte, capacity+1)); !errors.Is(err, ErrTooLong) {
		t.Errorf("%s: beyond capacity: %v", alg, err)
	}
}

func testOAEPRefusals(t *testing.T, k *Key, alg keys.Algorithm) {
	ct, err := k.Encrypt(rand.Reader, alg, []byte("plaintext"))
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(ct)
	flipped[len(ct)-1] ^= 1
	other := keys.OAEPSHA1
	if alg == other {
		other = keys.OAEPSHA256
	}
	for _, c := range []struct {
		name string
		alg  keys.Algorithm
		ct   []byte
	}{
		{"other hash", other, ct},
		{"changed", alg, flipped},
		{"empty", alg, nil},
		{"short", alg, ct[1:]},
		{"long", alg, append(bytes.Clone(ct), 0)},
		{"beyond the modulus", alg, bytes.Repeat([]byte{0xff}, len(ct))},
	} {
		if got, err := k.Decrypt(c.alg, c.ct); err != ErrCiphertext || got != nil { //nolint:errorlint // the very value
			t.Errorf("%s, %s: %x, %v", alg, c.name, got, err)
		}
	}
}

func testAsymmetricMisuse(t *testing.T, k *Key) {
	for _, alg := range allAlgorithms() {
		usage, fits := alg.Fits(k.Spec())
		digest := make([]byte, DigestSize(alg))
		if !fits || usage != keys.UsageSign {
			_, err := k.Sign(rand.Reader, alg, digest)
			wantAlgorithm(t, "sign", alg, err)
			_, err = k.Verify(alg, digest, nil)
			wantAlgorithm(t, "verify", alg, err)
		} else {
			for _, n := range []int{0, len(digest) - 1, len(digest) + 1} {
				if _, err := k.Sign(rand.Reader, alg, make([]byte, n)); !errors.Is(err, ErrDigestSize) {
					t.Errorf("%s signs %d bytes: %v", alg, n, err)
				}
				if _, err := k.Verify(alg, make([]byte, n), nil); !errors.Is(err, ErrDigestSize) {
					t.Errorf("%s verifies %d bytes: %v", alg, n, err)
				}
			}
		}
		if !fits || usage != keys.UsageEncrypt {
			_, err := k.Encrypt(rand.Reader, alg, nil)
			wantAlgorithm(t, "encrypt", alg, err)
			_, err = k.Decrypt(alg, nil)
			wantAlgorithm(t, "decrypt", alg, err)
		}
	}
	_, err := k.Seal(rand.Reader, testKeyID, testHeader, nil, nil)
	wantAlgorithm(t, "seal", keys.Envelope, err)
}

func testAsymmetricWipe(t *testing.T, spec keys.Spec) {
	k := fixedKey(t, spec)
	alg := signAlgorithms(spec)[0]
	digest := k.Public().Digest(alg, nil)
	sig, err := k.Sign(rand.Reader, alg, digest)
	if err != nil {
		t.Fatal(err)
	}
	k.Wipe()
	k.Wipe()
	if _, err := k.Sign(rand.Reader, alg, digest); !errors.Is(err, ErrWiped) {
		t.Errorf("sign: %v", err)
	}
	if spec.Usages().Has(keys.UsageEncrypt) {
		if _, err := k.Decrypt(encryptAlgorithms(spec)[0], nil); !errors.Is(err, ErrWiped) {
			t.Errorf("decrypt: %v", err)
		}
	}
	if ok, err := k.Verify(alg, digest, sig); !ok || err != nil {
		t.Errorf("the public half after Wipe: %t, %v", ok, err)
	}
	switch private := k.private.(type) {
	case rsaPrivate:
		for _, n := range append(private.key.Primes, private.key.D) {
			for _, word := range n.Bits() {
				if word != 0 {
					t.Error("an RSA secret is still there")
				}
			}
		}
	case ecPrivate:
		for _, word := range private.key.D.Bits() { //nolint:staticcheck // SA1019: looks for what must be gone
			if word != 0 {
				t.Error("the scalar is still there")
			}
		}
	case *k1Private:
		if !private.key.Key.IsZero() {
			t.Error("the scalar is still there")
		}
	case sm2Private:
		for _, word := range private.key.D.Bits() {
			if word != 0 {
				t.Error("the scalar is still there")
			}
		}
	default:
		t.Errorf("no wipe check for %T", private)
	}
}

func testConcurrentSign(t *testing.T, k *Key) {
	alg := signAlgorithms(k.Spec())[0]
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			digest := k.Public().Digest(alg, []byte{byte(i)})
			sig, err := k.Sign(rand.Reader, alg, digest)
			if err != nil {
				t.Error(err)
				return
			}
			if ok, err := k.Verify(alg, digest, sig); !ok || err != nil {
				t.Errorf("%t, %v", ok, err)
			}
		})
	}
	wg.Wait()
}

func TestDigest(t *testing.T) {
	t.Parallel()
	sizes := map[keys.Algorithm]int{
		keys.PSSSHA224: 28, keys.PSSSHA256: 32, keys.PSSSHA384: 48, keys.PSSSHA512: 64,
		keys.PKCS1SHA224: 28, keys.PKCS1SHA256: 32, keys.PKCS1SHA384: 48, keys.PKCS1SHA512: 64,
		keys.ECDSASHA256: 32, keys.ECDSASHA384: 48, keys.ECDSASHA512: 64, keys.SM2DSA: 32,
	}
	for _, spec := range []keys.Spec{keys.RSA2048, keys.ECP256, keys.SECP256K1, keys.SM2} {
		p := fixedKey(t, spec).Public()
		for _, alg := range append(allAlgorithms(), "", "NONE") {
			if got := DigestSize(alg); got != sizes[alg] {
				t.Errorf("%q: digest size %d, want %d", alg, got, sizes[alg])
			}
			want := sizes[alg]
			if _, fits := alg.Fits(spec); !fits {
				want = 0
			}
			if got := len(p.Digest(alg, []byte("m"))); got != want {
				t.Errorf("%s, %q: digest of %d bytes, want %d", spec, alg, got, want)
			}
		}
	}
	want := sha256.Sum256([]byte("m"))
	if !bytes.Equal(fixedKey(t, keys.ECP256).Public().Digest(keys.ECDSASHA256, []byte("m")), want[:]) {
		t.Error("SHA-256 differs")
	}
}
