// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"maps"
	"testing"
	"unicode/utf8"

	"claviger/internal/keys"
	"claviger/internal/secret"
)

// fuzzEnvelope is a fixed key, and an envelope that it opens with the context "context".
func fuzzEnvelope(tb testing.TB) (*Key, []byte) {
	tb.Helper()
	k, err := Open(keys.AES256, secret.New(bytes.Repeat([]byte{0x11}, 32)))
	if err != nil {
		tb.Fatal(err)
	}
	salt := bytes.NewReader(bytes.Repeat([]byte{0x22}, saltSize))
	blob, err := k.Seal(salt, testKeyID, testHeader, []byte("context"), []byte("plaintext"))
	if err != nil {
		tb.Fatal(err)
	}
	return k, blob
}

// FuzzParseHeader: what is accepted is written again to the same bytes.
func FuzzParseHeader(f *testing.F) {
	_, blob := fuzzEnvelope(f)
	f.Add(blob)
	f.Add(blob[:Overhead])
	f.Add(blob[:Overhead-1])
	f.Add([]byte{})
	for _, text := range []string{ // dashes too many, at either parity, and too few
		"00000000-0000-0000-0000-00000000-000", "00000000-0000-0000-0000-00-000000000",
		"00000000-0000-0000-0000-000000000--0", "000000000000-0000-0000-000000000000x",
	} {
		f.Add(append([]byte(text), blob[versionSize:]...))
	}
	for at, value := range map[int]byte{0: 'A', 8: '0', suiteAt: byte(SuiteToken), flagsAt: 3} {
		changed := bytes.Clone(blob)
		changed[at] = value
		f.Add(changed)
	}
	sm4 := bytes.Clone(blob)
	sm4[suiteAt] = byte(SuiteSM4)
	f.Add(sm4)
	f.Fuzz(func(t *testing.T, blob []byte) {
		h, err := ParseHeader(blob)
		if err != nil {
			if err != ErrCiphertext || h != (Header{}) { //nolint:errorlint // the very value
				t.Fatalf("%+v, %v", h, err)
			}
			return
		}
		again := append([]byte(h.Version.String()), byte(h.Suite), byte(h.Flags))
		if !bytes.Equal(again, blob[:saltAt]) {
			t.Fatalf("parsed %x\nwrote  %x", blob[:saltAt], again)
		}
	})
}

// FuzzUnseal: an envelope opens only as it was made; every other byte string is refused.
func FuzzUnseal(f *testing.F) {
	k, blob := fuzzEnvelope(f)
	f.Add(blob, []byte("context"))
	f.Add(blob, []byte{})
	f.Add(blob[:len(blob)-1], []byte("context"))
	f.Add(append(bytes.Clone(blob), 0), []byte("context"))
	for at := range blob {
		changed := bytes.Clone(blob)
		changed[at] ^= 1
		f.Add(changed, []byte("context"))
	}
	f.Fuzz(func(t *testing.T, b, context []byte) {
		plaintext, h, err := k.Unseal(testKeyID, b, context)
		if bytes.Equal(b, blob) && string(context) == "context" {
			if err != nil || string(plaintext) != "plaintext" || h != testHeader {
				t.Fatalf("%q, %+v, %v", plaintext, h, err)
			}
			return
		}
		if err != ErrCiphertext || plaintext != nil || h != (Header{}) { //nolint:errorlint // the very value
			t.Fatalf("%q, %+v, %v", plaintext, h, err)
		}
	})
}

// FuzzSeal: what is sealed opens, to the same plaintext and header.
func FuzzSeal(f *testing.F) {
	k, _ := fuzzEnvelope(f)
	f.Add([]byte("plaintext"), []byte("context"), false)
	f.Add([]byte{}, []byte{}, true)
	f.Fuzz(func(t *testing.T, plaintext, context []byte, text bool) {
		h := testHeader
		if text {
			h.Flags = FlagText
		}
		blob, err := k.Seal(rand.Reader, testKeyID, h, context, plaintext)
		if err != nil {
			t.Fatal(err)
		}
		got, gotHeader, err := k.Unseal(testKeyID, blob, context)
		if err != nil || !bytes.Equal(got, plaintext) || gotHeader != h {
			t.Fatalf("%x, %+v, %v", got, gotHeader, err)
		}
	})
}

// parseContext reads a canonical context back, as an independent witness that the form is
// injective.
func parseContext(t *testing.T, b []byte) map[string]string {
	t.Helper()
	next := func() string {
		if len(b) < 4 || uint64(len(b)-4) < uint64(binary.BigEndian.Uint32(b)) {
			t.Fatalf("truncated at %x", b)
		}
		n := binary.BigEndian.Uint32(b)
		s := string(b[4 : 4+n])
		b = b[4+n:]
		return s
	}
	pairs := make(map[string]string)
	last, first := "", true
	for len(b) > 0 {
		name := next()
		if !first && name <= last {
			t.Fatalf("%q after %q", name, last)
		}
		last, first = name, false
		pairs[name] = next()
	}
	return pairs
}

// FuzzCanonicalContext: decoding gives the pairs back; invalid UTF-8 is refused.
func FuzzCanonicalContext(f *testing.F) {
	f.Add("name", "value", "other", "", "", "x")
	f.Add("", "", "", "", "", "")
	f.Add("a", "b", "a", "c", "\xff", "")
	f.Add("a", "b", "c", "\xed\xa0\x80", "d", "")
	f.Add("\uffff", "1", "\U0001f511", "2", "a\x00", "b")
	f.Fuzz(func(t *testing.T, n1, v1, n2, v2, n3, v3 string) {
		pairs := map[string]string{n1: v1, n2: v2, n3: v3}
		valid := true
		for name, value := range pairs {
			valid = valid && utf8.ValidString(name) && utf8.ValidString(value)
		}
		b, err := CanonicalContext(pairs)
		if !valid {
			if !errors.Is(err, ErrContext) || b != nil {
				t.Fatalf("%q: %x, %v", pairs, b, err)
			}
			return
		}
		if err != nil {
			t.Fatalf("%q: %v", pairs, err)
		}
		if got := parseContext(t, b); !maps.Equal(got, pairs) {
			t.Fatalf("%q became %q", pairs, got)
		}
	})
}

func TestCanonicalContextEmpty(t *testing.T) {
	t.Parallel()
	for name, pairs := range map[string]map[string]string{"nil": nil, "empty": {}} {
		if b, err := CanonicalContext(pairs); len(b) != 0 || err != nil {
			t.Errorf("%s: %x, %v", name, b, err)
		}
	}
}

// FuzzOpenSECP256K1 guards the one key parser that is ours: what it accepts as material
// comes out as a key that signs for its own public half.
func FuzzOpenSECP256K1(f *testing.F) {
	m, err := Generate(bytes.NewReader(bytes.Repeat([]byte{0x33}, 32)), keys.SECP256K1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(m.Private.Reveal())
	f.Add(m.Public)
	f.Add([]byte{})
	sum := sha256.Sum256(nil)
	digest := sum[:]
	f.Fuzz(func(t *testing.T, der []byte) {
		if p, err := OpenPublic(keys.SECP256K1, der); err == nil {
			if ok, err := p.Verify(keys.ECDSASHA256, digest, nil); ok || err != nil {
				t.Fatal(ok, err)
			}
		} else if !errors.Is(err, ErrMaterial) {
			t.Fatal(err)
		}
		k, err := Open(keys.SECP256K1, secret.Copy(der))
		if err != nil {
			if !errors.Is(err, ErrMaterial) {
				t.Fatal(err)
			}
			return
		}
		sig, err := k.Sign(rand.Reader, keys.ECDSASHA256, digest)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := k.Verify(keys.ECDSASHA256, digest, sig); !ok || err != nil {
			t.Fatal(ok, err)
		}
	})
}
