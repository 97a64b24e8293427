// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/keys"
	"claviger/internal/secret"
)

// TestSymmetric is the behaviour that every symmetric spec shares.
func TestSymmetric(t *testing.T) {
	t.Parallel()
	for _, spec := range symmetric() {
		t.Run(string(spec), func(t *testing.T) {
			t.Parallel()
			t.Run("material", func(t *testing.T) { testSymmetricMaterial(t, spec) })
			t.Run("round trip", func(t *testing.T) { testRoundTrip(t, fixedKey(t, spec)) })
			t.Run("tamper", func(t *testing.T) { testTamper(t, fixedKey(t, spec)) })
			t.Run("binding", func(t *testing.T) { testBinding(t, spec) })
			t.Run("misuse", func(t *testing.T) { testSymmetricMisuse(t, fixedKey(t, spec)) })
			t.Run("wipe", func(t *testing.T) { testSymmetricWipe(t, spec) })
			t.Run("concurrent", func(t *testing.T) { testConcurrentSeal(t, fixedKey(t, spec)) })
		})
	}
}

func testSymmetricMaterial(t *testing.T, spec keys.Spec) {
	size := spec.Bits() / 8
	stream := bytes.Repeat([]byte{7}, size)
	m, err := Generate(bytes.NewReader(stream), spec)
	if err != nil || !bytes.Equal(m.Private.Reveal(), stream) || m.Public != nil {
		t.Errorf("generated from a fixed reader: %v, public %x", err, m.Public)
	}
	if _, err := Generate(bytes.NewReader(stream[1:]), spec); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("short reader: %v", err)
	}
	for _, n := range []int{0, size - 1, size + 1} {
		if _, err := Open(spec, secret.New(make([]byte, n))); !errors.Is(err, ErrMaterial) {
			t.Errorf("%d bytes of material: %v", n, err)
		}
	}
	if _, err := OpenPublic(spec, nil); !errors.Is(err, ErrSpec) {
		t.Errorf("open public: %v", err)
	}
	if k := fixedKey(t, spec); k.Spec() != spec || k.Public() != nil {
		t.Errorf("spec %s, public %v", k.Spec(), k.Public())
	}
}

func testRoundTrip(t *testing.T, k *Key) {
	for _, size := range []int{0, 1, 15, 16, 17, 4096, 6144} {
		for _, context := range [][]byte{nil, []byte("context")} {
			for _, flags := range []Flags{0, FlagText} {
				h := testHeaderOf(k.Spec())
				h.Flags = flags
				plaintext := bytes.Repeat([]byte{0xa5}, size)
				blob, err := k.Seal(rand.Reader, testKeyID, h, context, plaintext)
				if err != nil {
					t.Fatal(err)
				}
				if len(blob) != size+Overhead {
					t.Errorf("%d bytes sealed into %d", size, len(blob))
				}
				if parsed, err := ParseHeader(blob); err != nil || parsed != h {
					t.Errorf("parsed %+v, %v", parsed, err)
				}
				got, gotHeader, err := k.Unseal(testKeyID, blob, context)
				if err != nil || !bytes.Equal(got, plaintext) || gotHeader != h {
					t.Errorf("%d bytes: %v, header %+v", size, err, gotHeader)
				}
			}
		}
	}
	a, errA := k.Seal(rand.Reader, testKeyID, testHeaderOf(k.Spec()), nil, nil)
	b, errB := k.Seal(rand.Reader, testKeyID, Header{Version: testHeader.Version}, nil, nil)
	if errA != nil || errB != nil || bytes.Equal(a[commitAt:], b[commitAt:]) {
		t.Errorf("two envelopes of one plaintext: %v, %v, equal %t", errA, errB, bytes.Equal(a, b))
	}
}

// testTamper changes every byte and every length: each must give exactly ErrCiphertext.
func testTamper(t *testing.T, k *Key) {
	context := []byte("context")
	blob, err := k.Seal(rand.Reader, testKeyID, testHeaderOf(k.Spec()), context, []byte("plaintext"))
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, blob []byte) {
		t.Helper()
		plaintext, h, err := k.Unseal(testKeyID, blob, context)
		if err != ErrCiphertext || plaintext != nil || h != (Header{}) { //nolint:errorlint // the very value
			t.Errorf("%s: %q, %+v, %v", what, plaintext, h, err)
		}
	}
	for i := range blob {
		for _, flip := range []byte{0x01, 0x20, 0x80, 0xff} {
			changed := bytes.Clone(blob)
			changed[i] ^= flip
			refused(fmt.Sprintf("byte %d xor %#x", i, flip), changed)
		}
	}
	for n := range blob {
		refused(fmt.Sprintf("first %d bytes", n), blob[:n])
	}
	for suite := range Suite(8) {
		if suite != suiteOf(k.Spec()) {
			changed := bytes.Clone(blob)
			changed[suiteAt] = byte(suite)
			refused(fmt.Sprintf("suite %d", suite), changed)
		}
	}
	refused("one byte more", append(bytes.Clone(blob), 0))
	refused("nothing", nil)
	refused("no version", append([]byte(keys.ID{}.String()), blob[versionSize:]...))
	if h, err := ParseHeader(append([]byte(keys.ID{}.String()), blob[versionSize:]...)); err == nil {
		t.Errorf("no version parsed as %+v", h)
	}
}

// testBinding shows that an envelope opens only under what it was sealed under.
func testBinding(t *testing.T, spec keys.Spec) {
	k := fixedKey(t, spec)
	blob, err := k.Seal(rand.Reader, testKeyID, testHeaderOf(spec), []byte("context"), []byte("plaintext"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := Generate(rand.Reader, spec)
	if err != nil {
		t.Fatal(err)
	}
	other, err := Open(spec, m.Private)
	if err != nil {
		t.Fatal(err)
	}
	otherID := testKeyID
	otherID[15]++
	for _, c := range []struct {
		name    string
		key     *Key
		id      keys.ID
		context string
	}{
		{"other material", other, testKeyID, "context"},
		{"other key id", k, otherID, "context"},
		{"no context", k, testKeyID, ""},
		{"longer context", k, testKeyID, "context."},
		{"other context", k, testKeyID, "contexT"},
	} {
		if _, _, err := c.key.Unseal(c.id, blob, []byte(c.context)); err != ErrCiphertext { //nolint:errorlint // the very value
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// A tag alone would let another key open a crafted body; the commitment must not.
	blob, err = k.Seal(rand.Reader, testKeyID, testHeaderOf(spec), nil, []byte("plaintext"))
	if err != nil {
		t.Fatal(err)
	}
	derived, err := k.messageKey(testKeyID, testHeaderOf(spec), blob[saltAt:commitAt])
	if err != nil {
		t.Fatal(err)
	}
	blob[commitAt] ^= 1
	resealed := derived.aead.Seal(bytes.Clone(blob[:bodyAt]), derived.nonce, []byte("plaintext"), blob[:bodyAt])
	if _, _, err := k.Unseal(testKeyID, resealed, nil); err != ErrCiphertext { //nolint:errorlint // the very value
		t.Errorf("valid tag over a wrong commitment: %v", err)
	}
}

func testSymmetricMisuse(t *testing.T, k *Key) {
	version := testHeader.Version
	other := SuiteSM4
	if k.Spec() == keys.SM4 {
		other = SuiteDerived
	}
	for name, h := range map[string]Header{
		"no version":    {Suite: suiteOf(k.Spec())},
		"other suite":   {Version: version, Suite: other},
		"token suite":   {Version: version, Suite: SuiteToken},
		"unknown suite": {Version: version, Suite: 9},
		"unknown flag":  {Version: version, Flags: 2},
	} {
		if _, err := k.Seal(rand.Reader, testKeyID, h, nil, nil); !errors.Is(err, ErrHeader) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := k.Seal(rand.Reader, keys.ID{}, testHeaderOf(k.Spec()), nil, nil); !errors.Is(err, ErrHeader) {
		t.Errorf("no key id: %v", err)
	}
	broken := errors.New("broken reader")
	if _, err := k.Seal(iotest.ErrReader(broken), testKeyID, testHeaderOf(k.Spec()), nil, nil); !errors.Is(err, broken) {
		t.Errorf("broken reader: %v", err)
	}
	for _, alg := range allAlgorithms() {
		_, err := k.Sign(rand.Reader, alg, make([]byte, DigestSize(alg)))
		wantAlgorithm(t, "sign", alg, err)
		_, err = k.Verify(alg, make([]byte, DigestSize(alg)), nil)
		wantAlgorithm(t, "verify", alg, err)
		_, err = k.Encrypt(rand.Reader, alg, nil)
		wantAlgorithm(t, "encrypt", alg, err)
		_, err = k.Decrypt(alg, nil)
		wantAlgorithm(t, "decrypt", alg, err)
	}
}

func wantAlgorithm(t *testing.T, call string, alg keys.Algorithm, err error) {
	t.Helper()
	if !errors.Is(err, ErrAlgorithm) || errors.Is(err, ErrFIPS) {
		t.Errorf("%s with %q: %v", call, alg, err)
	}
}

func testSymmetricWipe(t *testing.T, spec keys.Spec) {
	m, err := Generate(rand.Reader, spec)
	if err != nil {
		t.Fatal(err)
	}
	k, err := Open(spec, m.Private)
	if err != nil {
		t.Fatal(err)
	}
	blob, err := k.Seal(rand.Reader, testKeyID, testHeaderOf(k.Spec()), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	k.Wipe()
	k.Wipe()
	if !bytes.Equal(k.secret(), make([]byte, spec.Bits()/8)) {
		t.Error("material is still there")
	}
	if bytes.Equal(m.Private.Reveal(), k.secret()) {
		t.Error("wiping the key wiped its source")
	}
	if _, err := k.Seal(rand.Reader, testKeyID, testHeaderOf(k.Spec()), nil, nil); !errors.Is(err, ErrWiped) {
		t.Errorf("seal: %v", err)
	}
	if _, _, err := k.Unseal(testKeyID, blob, nil); !errors.Is(err, ErrWiped) {
		t.Errorf("unseal: %v", err)
	}
}

func testConcurrentSeal(t *testing.T, k *Key) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			plaintext := []byte{byte(i)}
			blob, err := k.Seal(rand.Reader, testKeyID, testHeaderOf(k.Spec()), nil, plaintext)
			if err != nil {
				t.Error(err)
				return
			}
			if got, _, err := k.Unseal(testKeyID, blob, nil); err != nil || !bytes.Equal(got, plaintext) {
				t.Errorf("%x, %v", got, err)
			}
		})
	}
	wg.Wait()
}

func TestRandom(t *testing.T) {
	t.Parallel()
	got, err := Random(bytes.NewReader([]byte{1, 2, 3, 4}), 3)
	if diff := cmp.Diff([]byte{1, 2, 3}, got.Reveal()); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := Random(bytes.NewReader([]byte{1}), 3); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("short reader: %v", err)
	}
}

// TestSpecs shows that every spec is either served or clearly refused.
func TestSpecs(t *testing.T) {
	t.Parallel()
	for _, spec := range append(keys.Specs(), "", "AES_512") {
		_, served := specs[spec]
		err := Supported(spec)
		if served != (err == nil) {
			t.Errorf("%q: %v", spec, err)
		}
		if served {
			continue
		}
		if !errors.Is(err, ErrSpec) {
			t.Errorf("supported %q: %v", spec, err)
		}
		if _, err := Generate(rand.Reader, spec); !errors.Is(err, ErrSpec) {
			t.Errorf("generate %q: %v", spec, err)
		}
		if _, err := Open(spec, secret.Bytes{}); !errors.Is(err, ErrSpec) {
			t.Errorf("open %q: %v", spec, err)
		}
		if _, err := OpenPublic(spec, nil); !errors.Is(err, ErrSpec) {
			t.Errorf("open public %q: %v", spec, err)
		}
	}
	for spec := range specs {
		if !spec.Valid() {
			t.Errorf("the engine serves %q, which is no spec", spec)
		}
	}
}

// TestKeyIsNotPrinted prints keys whose material lies in themselves, and beside.
func TestKeyIsNotPrinted(t *testing.T) {
	t.Parallel()
	for _, spec := range []keys.Spec{keys.AES256, keys.HMACSHA512} {
		k := secretKey(spec, bytes.Repeat([]byte{0xa7}, spec.Bits()/8))
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			if got := fmt.Sprintf(verb, k); got != "["+string(spec)+"]" {
				t.Errorf("%s of a key is %q", verb, got)
			}
		}
	}
}
