// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"crypto/rand"
	"encoding/asn1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/big"
	"testing"
	"testing/iotest"

	"github.com/emmansun/gmsm/sm2/sm2ec"
	"github.com/emmansun/gmsm/sm3"

	"claviger/internal/keys"
	"claviger/internal/secret"
)

// The key of the examples in GB/T 32918.5 annexes A and C.
const (
	sm2SampleD = "3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8"
	sm2SampleX = "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
	sm2SampleY = "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sm2Sample is the key of the standard's examples.
func sm2Sample(t testing.TB) *Key {
	t.Helper()
	m, err := marshalEC(sm2Algorithm(), unhex(t, sm2SampleD), unhex(t, "04"+sm2SampleX+sm2SampleY))
	if err != nil {
		t.Fatal(err)
	}
	k, err := Open(keys.SM2, m.Private)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(k.Public().DER(), m.Public) {
		t.Fatal("the sample's public key is not the scalar's")
	}
	return k
}

// TestSM3Vectors are the examples of GB/T 32905 annex A.
func TestSM3Vectors(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"abc": "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0",
		"abcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcd": "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732",
	} {
		h := algorithm{}.newHash()
		h.Write([]byte(message))
		if got := hex.EncodeToString(h.Sum(nil)); got != want {
			t.Errorf("SM3 of %q: %s", message, got)
		}
	}
}

// TestSM2SignatureSample is the example of GB/T 32918.5 annex A: "message digest" signed by the
// default identity.
func TestSM2SignatureSample(t *testing.T) {
	t.Parallel()
	k := sm2Sample(t)
	digest := k.Public().Digest(keys.SM2DSA, []byte("message digest"))
	if got := hex.EncodeToString(digest); got != "f0b43e94ba45accaace692ed534382eb17e6ab5a19ce7b31f4486fdfc0d28640" {
		t.Errorf("e is %s", got)
	}
	integer := func(s string) *big.Int { return new(big.Int).SetBytes(unhex(t, s)) }
	sig, err := asn1.Marshal(struct{ R, S *big.Int }{
		integer("f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"),
		integer("b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := k.Verify(keys.SM2DSA, digest, sig); !ok || err != nil {
		t.Errorf("the standard's signature: %t, %v", ok, err)
	}
}

// The example of GB/T 32918.5 annex C.
const (
	sm2SamplePlaintext = "encryption standard"
	sm2SampleK         = "59276e27d506861a16680f3ad9c02dccef3cc1fa3cdbe4ce6d54b80deac1bc21"
	sm2SampleC1        = "0404ebfc718e8d1798620432268e77feb6415e2ede0e073c0f4f640ecd2e149a73" +
		"e858f9d81e5430a57b36daab8f950a3c64e6ee6a63094d99283aff767e124df0"
	sm2SampleC3 = "59983c18f809e262923c53aec295d30383b54e39d609d160afcb1908d0bd8766"
	sm2SampleC2 = "21886ca989ca9c7d58087307ca93092d651efa"
)

func TestSM2EncryptionSample(t *testing.T) {
	t.Parallel()
	k := sm2Sample(t)
	raw := unhex(t, sm2SampleC1+sm2SampleC3+sm2SampleC2)
	want, err := asn1.Marshal(sm2Ciphertext{
		X: new(big.Int).SetBytes(raw[1:33]), Y: new(big.Int).SetBytes(raw[33:65]), Hash: raw[65:97], Text: raw[97:],
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := k.Encrypt(bytes.NewReader(unhex(t, sm2SampleK)), keys.SM2PKE, []byte(sm2SamplePlaintext))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("encrypted to %x, %v, want %x", got, err, want)
	}
	for form, ct := range map[string][]byte{"DER": want, "C1 C3 C2": raw} {
		if got, err := k.Decrypt(keys.SM2PKE, ct); err != nil || string(got) != sm2SamplePlaintext {
			t.Errorf("%s: %q, %v", form, got, err)
		}
	}
}

// testSM2Encrypt is what every SM2 key does: all sizes, both forms, and one error for all else.
func testSM2Encrypt(t *testing.T, k *Key) {
	for _, size := range []int{1, 2, 16, 31, 32, 33, 63, 64, 65, 255, 256, 257, 511, 1025, 6047} {
		plaintext := make([]byte, size)
		_, _ = rand.Read(plaintext)
		ct, err := k.Encrypt(rand.Reader, keys.SM2PKE, plaintext)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := k.Decrypt(keys.SM2PKE, ct); err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("%d bytes: %v", size, err)
		}
		if got, err := k.Decrypt(keys.SM2PKE, rawSM2(t, ct)); err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("%d bytes, without DER: %v", size, err)
		}
	}
	if _, err := k.Encrypt(rand.Reader, keys.SM2PKE, nil); !errors.Is(err, ErrEmpty) {
		t.Errorf("nothing: %v", err)
	}
	plaintext := []byte("plaintext")
	ct, err := k.Encrypt(rand.Reader, keys.SM2PKE, plaintext)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, b []byte) {
		t.Helper()
		if got, err := k.Decrypt(keys.SM2PKE, b); err != ErrCiphertext || got != nil { //nolint:errorlint // the very value
			t.Errorf("%s: %x, %v", what, got, err)
		}
	}
	var c sm2Ciphertext
	if _, err := asn1.Unmarshal(ct, &c); err != nil {
		t.Fatal(err)
	}
	more, err := asn1.Marshal(struct {
		X, Y       *big.Int
		Hash, Text []byte
		More       int
	}{c.X, c.Y, c.Hash, c.Text, 1})
	if err != nil {
		t.Fatal(err)
	}
	refused("an element more", more)
	refused("a length in more bytes than it needs", append([]byte{0x30, 0x81}, ct[1:]...))
	for _, whole := range [][]byte{ct, rawSM2(t, ct)} {
		for i := range whole {
			changed := bytes.Clone(whole)
			changed[i] ^= 1
			refused("one bit changed", changed)
			refused("cut", whole[:i])
		}
		refused("one byte more", append(bytes.Clone(whole), 0))
	}
}

// rawSM2 is a ciphertext in the form of GB/T 32918.4: C1 C3 C2.
func rawSM2(t *testing.T, der []byte) []byte {
	t.Helper()
	var c sm2Ciphertext
	if _, err := asn1.Unmarshal(der, &c); err != nil {
		t.Fatal(err)
	}
	return append(append(encodeSM2(c.X, c.Y), c.Hash...), c.Text...)
}

// TestSM2Short encrypts so short that an all-zero key stream and an all-zero C2 both come up:
// the first must be passed over, the second opened.
func TestSM2Short(t *testing.T) {
	t.Parallel()
	k := sm2Sample(t)
	zeroText := 0
	for i := range 1500 {
		plaintext := []byte{byte(i)}
		ct, err := k.Encrypt(rand.Reader, keys.SM2PKE, plaintext)
		if err != nil {
			t.Fatal(err)
		}
		if ct[len(ct)-1] == 0 {
			zeroText++
		}
		if bytes.Equal(ct[len(ct)-1:], plaintext) {
			t.Errorf("%x is encrypted to itself", plaintext)
		}
		if got, err := k.Decrypt(keys.SM2PKE, ct); err != nil || !bytes.Equal(got, plaintext) {
			t.Fatalf("%x encrypted as %x: %x, %v", plaintext, ct, got, err)
		}
	}
	if zeroText == 0 {
		t.Error("no C2 of zero among 1500: its test showed nothing")
	}
}

// TestSM2KDF compares the library's derivation, which works on several blocks at once, with the
// text of GB/T 32918.4 §5.4.3.
func TestSM2KDF(t *testing.T) {
	t.Parallel()
	var s sm2Shared
	_, _ = rand.Read(s[:])
	for n := 1; n < 1200; n++ {
		var want []byte
		for ct := uint32(1); len(want) < n; ct++ {
			h := sm3.Sum(binary.BigEndian.AppendUint32(bytes.Clone(s[:]), ct))
			want = append(want, h[:]...)
		}
		if got, _ := s.stream(n); !bytes.Equal(got, want[:n]) {
			t.Fatalf("%d bytes differ", n)
		}
	}
}

// TestSM2Nonces: a reader that repeats itself gives other nonces for another digest or key. The
// library skips a byte of the nonces' stream now and then, so there are two for each.
func TestSM2Nonces(t *testing.T) {
	t.Parallel()
	k, other := sm2Sample(t), fixedKey(t, keys.SM2)
	// s·(1+d) + r·d is the nonce.
	nonce := func(k *Key, digest []byte) string {
		t.Helper()
		der, err := k.Sign(bytes.NewReader(make([]byte, 32)), keys.SM2DSA, digest)
		if err != nil {
			t.Fatal(err)
		}
		var sig struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(der, &sig); err != nil {
			t.Fatal(err)
		}
		d := k.private.(sm2Private).key.D
		n := new(big.Int).Mul(sig.S, new(big.Int).Add(d, big.NewInt(1)))
		n.Add(n, new(big.Int).Mul(sig.R, d))
		return n.Mod(n, sm2ec.P256().Params().N).Text(16)
	}
	digest, another := make([]byte, 32), bytes.Repeat([]byte{1}, 32)
	seen := map[string]string{}
	for range 16 {
		for name, got := range map[string]string{
			"as is": nonce(k, digest), "another digest": nonce(k, another), "another key": nonce(other, digest),
		} {
			if whose, ok := seen[got]; ok && whose != name {
				t.Fatalf("%s has the nonce of %s", name, whose)
			}
			seen[got] = name
		}
	}
	broken := errors.New("broken reader")
	if _, err := k.Sign(iotest.ErrReader(broken), keys.SM2DSA, digest); !errors.Is(err, broken) {
		t.Errorf("broken reader: %v", err)
	}
}

// TestInvalidSM2 opens scalars and points that are none.
func TestInvalidSM2(t *testing.T) {
	t.Parallel()
	n := sm2ec.P256().Params().N
	less := func(by int64) []byte { return new(big.Int).Sub(n, big.NewInt(by)).Bytes() }
	good := unhex(t, "04"+sm2SampleX+sm2SampleY)
	off := bytes.Clone(good)
	off[64] ^= 1
	for name, c := range map[string]struct {
		scalar, point []byte
		valid         bool
	}{
		"the sample":          {unhex(t, sm2SampleD), good, true},
		"no point":            {unhex(t, sm2SampleD), nil, true},
		"n-2":                 {less(2), nil, true},
		"n-1":                 {less(1), nil, false},
		"n":                   {less(0), nil, false},
		"0":                   {make([]byte, 32), nil, false},
		"short":               {unhex(t, sm2SampleD)[1:], nil, false},
		"long":                {append([]byte{0}, unhex(t, sm2SampleD)...), nil, false},
		"another point":       {less(2), good, false},
		"a point off it":      {unhex(t, sm2SampleD), off, false},
		"a hybrid point":      {unhex(t, sm2SampleD), append([]byte{7}, good[1:]...), false},
		"a point at infinity": {unhex(t, sm2SampleD), []byte{0}, false},
	} {
		inner, err := asn1.Marshal(sec1{Version: 1, Scalar: c.scalar, Point: bitString(c.point)})
		if err != nil {
			t.Fatal(err)
		}
		der, err := asn1.Marshal(pkcs8EC{Algorithm: sm2Algorithm(), Private: inner})
		if err != nil {
			t.Fatal(err)
		}
		_, err = Open(keys.SM2, secret.New(der))
		if c.valid != (err == nil) || !c.valid && !errors.Is(err, ErrMaterial) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, point := range map[string][]byte{
		"off the curve": off, "infinity": {0}, "empty": {}, "compressed": append([]byte{2}, good[1:33]...),
		"hybrid": append([]byte{6}, good[1:]...), "long": append(bytes.Clone(good), 0),
	} {
		spki, err := marshalSPKI(sm2Algorithm(), point)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := OpenPublic(keys.SM2, spki); !errors.Is(err, ErrMaterial) {
			t.Errorf("public, %s: %v", name, err)
		}
	}
	more, err := asn1.Marshal(struct {
		Algorithm ecAlgorithm
		Point     asn1.BitString
		More      int
	}{sm2Algorithm(), bitString(good), 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenPublic(keys.SM2, more); !errors.Is(err, ErrMaterial) {
		t.Errorf("public, an element more: %v", err)
	}
}

// TestGenerateSM2: what a reader gives is the scalar, unless it is out of range.
func TestGenerateSM2(t *testing.T) {
	t.Parallel()
	d := unhex(t, sm2SampleD)
	m, err := Generate(bytes.NewReader(append(bytes.Repeat([]byte{0xff}, 32), d...)), keys.SM2)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m.Public, sm2Sample(t).Public().DER()) {
		t.Error("the public key is not the sample's")
	}
	if _, err := Generate(bytes.NewReader(d[:31]), keys.SM2); err == nil {
		t.Error("a short reader is enough")
	}
}

// FuzzDecryptSM2: a ciphertext opens only if it is one that was made, in either of its forms.
func FuzzDecryptSM2(f *testing.F) {
	k := sm2Sample(f)
	ct, err := k.Encrypt(bytes.NewReader(unhex(f, sm2SampleK)), keys.SM2PKE, []byte(sm2SamplePlaintext))
	if err != nil {
		f.Fatal(err)
	}
	raw := unhex(f, sm2SampleC1+sm2SampleC3+sm2SampleC2)
	f.Add(ct)
	f.Add(raw)
	f.Add(ct[:len(ct)-1])
	f.Add(raw[:97])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := k.Decrypt(keys.SM2PKE, b)
		if bytes.Equal(b, ct) || bytes.Equal(b, raw) {
			if err != nil || string(got) != sm2SamplePlaintext {
				t.Fatalf("%q, %v", got, err)
			}
			return
		}
		if err != ErrCiphertext || got != nil { //nolint:errorlint // the very value
			t.Fatalf("%q, %v", got, err)
		}
	})
}

// FuzzOpenSM2: what is accepted as material comes out as a key that signs for its own public
// half, and a public key is written again as it was read.
func FuzzOpenSM2(f *testing.F) {
	m, err := Generate(bytes.NewReader(unhex(f, sm2SampleD)), keys.SM2)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(m.Private.Reveal())
	f.Add(m.Public)
	f.Add([]byte{})
	digest := make([]byte, 32)
	f.Fuzz(func(t *testing.T, der []byte) {
		if p, err := OpenForeign(keys.SM2, der); err == nil {
			if again, err := p.key.marshal(); err != nil || !bytes.Equal(again, der) {
				t.Fatalf("%x, %v", again, err)
			}
		} else if !errors.Is(err, ErrMaterial) {
			t.Fatal(err)
		}
		k, err := Open(keys.SM2, secret.Copy(der))
		if err != nil {
			if !errors.Is(err, ErrMaterial) {
				t.Fatal(err)
			}
			return
		}
		sig, err := k.Sign(rand.Reader, keys.SM2DSA, digest)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := k.Verify(keys.SM2DSA, digest, sig); !ok || err != nil {
			t.Fatal(ok, err)
		}
	})
}

// TestSM2SignatureForms: the one DER of numbers in [1, n-1] verifies, and nothing else does
// (GB/T 32918.2 §7.1).
func TestSM2SignatureForms(t *testing.T) {
	t.Parallel()
	k, n := sm2Sample(t), sm2ec.P256().Params().N
	digest := k.Public().Digest(keys.SM2DSA, []byte("message digest"))
	r := new(big.Int).SetBytes(unhex(t, "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"))
	s := new(big.Int).SetBytes(unhex(t, "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"))
	sum := func(a, b *big.Int) *big.Int { return new(big.Int).Add(a, b) }
	less := func(a, b *big.Int) *big.Int { return new(big.Int).Sub(a, b) }
	der := func(numbers ...*big.Int) []byte {
		b, err := asn1.Marshal(numbers)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	zero, one := big.NewInt(0), big.NewInt(1)
	good := der(r, s)
	long := append([]byte{0x30, 0x81, good[1]}, good[2:]...)                                 // a length in two bytes
	padded := append([]byte{0x30, good[1] + 1, 0x02, good[3] + 1, 0x00}, good[4:]...)        // a zero before r
	negative := append([]byte{0x30, good[1] - 1, 0x02, good[3] - 1}, good[5:]...)            // r without its zero
	indefinite := append(append([]byte{0x30, 0x80}, good[2:]...), 0x00, 0x00)                // BER
	raw := append(r.FillBytes(make([]byte, sm2Size)), s.FillBytes(make([]byte, sm2Size))...) // r ‖ s
	for name, c := range map[string]struct {
		sig   []byte
		valid bool
	}{
		"as the standard has it": {good, true},
		"s negated":              {der(r, less(n, s)), false},
		"r + n":                  {der(sum(r, n), s), false},
		"s + n":                  {der(r, sum(s, n)), false},
		"-r":                     {der(new(big.Int).Neg(r), s), false},
		"r = 0":                  {der(zero, s), false},
		"s = 0":                  {der(r, zero), false},
		"r = n":                  {der(n, s), false},
		"s = n":                  {der(r, n), false},
		"both 0":                 {der(zero, zero), false},
		"both 1":                 {der(one, one), false},
		"r + s = n":              {der(r, less(n, r)), false},
		"one number":             {der(r), false},
		"three numbers":          {der(r, s, one), false},
		"trailing byte":          {append(bytes.Clone(good), 0), false},
		"long length":            {long, false},
		"padded r":               {padded, false},
		"r without its sign":     {negative, false},
		"indefinite length":      {indefinite, false},
		"r and s bare":           {raw, false},
		"nothing":                {nil, false},
	} {
		if ok, err := k.Verify(keys.SM2DSA, digest, c.sig); ok != c.valid || err != nil {
			t.Errorf("%s: %t, %v", name, ok, err)
		}
	}
}
