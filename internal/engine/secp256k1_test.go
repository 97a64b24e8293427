// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"crypto/rand"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"testing"
	"testing/iotest"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"claviger/internal/keys"
	"claviger/internal/secret"
)

// k1DER encodes what parseK1 reads, valid or not.
func k1DER(t *testing.T, alg ecAlgorithm, version int, inner sec1) []byte {
	t.Helper()
	der, err := asn1.Marshal(inner)
	if err != nil {
		t.Fatal(err)
	}
	der, err = asn1.Marshal(pkcs8EC{Version: version, Algorithm: alg, Private: der})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func k1Order(t *testing.T) []byte {
	t.Helper()
	b, err := hex.DecodeString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSECP256K1Parse(t *testing.T) {
	t.Parallel()
	alg, p256 := k1Algorithm(), asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}
	one := append(make([]byte, 31), 1)
	g := secp256k1.NewPrivateKey(new(secp256k1.ModNScalar).SetInt(1)).PubKey()
	two := secp256k1.NewPrivateKey(new(secp256k1.ModNScalar).SetInt(2)).PubKey()
	last, beyond := k1Order(t), k1Order(t)
	last[31]--
	beyond[31]++
	hybrid := g.SerializeUncompressed()
	hybrid[0] = 6 | hybrid[64]&1
	for _, c := range []struct {
		name  string
		valid bool
		der   []byte
	}{
		{"no point", true, k1DER(t, alg, 0, sec1{Version: 1, Scalar: one})},
		{"uncompressed point", true, k1DER(t, alg, 0, sec1{Version: 1, Scalar: one, Point: bitString(g.SerializeUncompressed())})},
		{"compressed point", true, k1DER(t, alg, 0, sec1{Version: 1, Scalar: one, Point: bitString(g.SerializeCompressed())})},
		{"curve named twice", true, k1DER(t, alg, 0, sec1{Version: 1, Scalar: one, Curve: alg.Curve})},
		{"n-1", true, k1DER(t, alg, 0, sec1{Version: 1, Scalar: last})},
		{"zero", false, k1DER(t, alg, 0, sec1{Version: 1, Scalar: make([]byte, 32)})},
		{"n", false, k1DER(t, alg, 0, sec1{Version: 1, Scalar: k1Order(t)})},
		{"n+1", false, k1DER(t, alg, 0, sec1{Version: 1, Scalar: beyond})},
		{"short scalar", false, k1DER(t, alg, 0, sec1{Version: 1, Scalar: one[1:]})},
		{"long scalar", false, k1DER(t, alg, 0, sec1{Version: 1, Scalar: append([]byte{0}, one...)})},
		{"another's point", false, k1DER(t, alg, 0, sec1{Version: 1, Scalar: one, Point: bitString(two.SerializeUncompressed())})},
		{"hybrid point", false, k1DER(t, alg, 0, sec1{Version: 1, Scalar: one, Point: bitString(hybrid)})},
		{"odd bits", false, k1DER(t, alg, 0, sec1{Version: 1, Scalar: one, Point: asn1.BitString{Bytes: []byte{4, 0}, BitLength: 9}})},
		{"SEC 1 version", false, k1DER(t, alg, 0, sec1{Version: 2, Scalar: one})},
		{"PKCS#8 version", false, k1DER(t, alg, 3, sec1{Version: 1, Scalar: one})},
		{"other curve inside", false, k1DER(t, alg, 0, sec1{Version: 1, Scalar: one, Curve: p256})},
		{"other curve outside", false, k1DER(t, ecAlgorithm{alg.Algorithm, p256}, 0, sec1{Version: 1, Scalar: one})},
	} {
		k, err := Open(keys.SECP256K1, secret.New(c.der))
		if c.valid != (err == nil) || !c.valid && !errors.Is(err, ErrMaterial) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil {
			continue
		}
		if der := k.Public().DER(); der[len(der)-65] != 4 {
			t.Errorf("%s: the public point is not uncompressed", c.name)
		}
	}
}

func TestSECP256K1PublicParse(t *testing.T) {
	t.Parallel()
	g := secp256k1.NewPrivateKey(new(secp256k1.ModNScalar).SetInt(1)).PubKey()
	off := g.SerializeUncompressed()
	off[64] ^= 1
	hybrid := g.SerializeUncompressed()
	hybrid[0] = 6 | hybrid[64]&1
	for _, c := range []struct {
		name  string
		valid bool
		point []byte
	}{
		{"uncompressed", true, g.SerializeUncompressed()},
		{"compressed", true, g.SerializeCompressed()},
		{"hybrid", false, hybrid},
		{"off the curve", false, off},
		{"infinity", false, []byte{0}},
		{"empty", false, nil},
	} {
		der, err := asn1.Marshal(spkiEC{Algorithm: k1Algorithm(), Point: bitString(c.point)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := OpenPublic(keys.SECP256K1, der); c.valid != (err == nil) || !c.valid && !errors.Is(err, ErrMaterial) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestSECP256K1Sign checks our blinded signing against the library's verification and
// arithmetic: the nonce's point and inverse must come out as without blinding.
func TestSECP256K1Sign(t *testing.T) {
	t.Parallel()
	for range 20 {
		k, err := randomScalar(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		share, err := randomScalar(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		plain := secp256k1.NewPrivateKey(k).PubKey().SerializeCompressed()[1:]
		var want secp256k1.ModNScalar
		want.SetByteSlice(plain)
		if got := blindedX(k, share); !got.Equals(&want) {
			t.Error("the blinded point differs")
		}
		// The edge where the second share is zero.
		if got := blindedX(k, k); !got.Equals(&want) {
			t.Error("the blinded point differs with the whole nonce as its share")
		}
		if got := blindedInverse(k, share).Mul(k); !got.Equals(new(secp256k1.ModNScalar).SetInt(1)) {
			t.Error("the blinded inverse differs")
		}
	}
	k := fixedKey(t, keys.SECP256K1)
	public := k.private.(*k1Private).key.PubKey()
	for _, alg := range signAlgorithms(keys.SECP256K1) {
		for i := range 20 {
			digest := k.Public().Digest(alg, []byte{byte(i)})
			der, err := k.Sign(rand.Reader, alg, digest)
			if err != nil {
				t.Fatal(err)
			}
			sig, err := ecdsa.ParseDERSignature(der)
			if err != nil || !sig.Verify(digest, public) {
				t.Fatalf("%s: the library refuses %x: %v", alg, der, err)
			}
			r, s := sig.R(), sig.S()
			if s.IsOverHalfOrder() {
				t.Errorf("%s: high S", alg)
			}
			if ok, err := k.Verify(alg, digest, derSignature(t, r, *s.Negate())); !ok || err != nil {
				t.Errorf("%s: the same signature with high S: %t, %v", alg, ok, err)
			}
		}
	}
}

// derSignature encodes r and s as they are; the library would lower s.
func derSignature(t *testing.T, r, s secp256k1.ModNScalar) []byte {
	t.Helper()
	integer := func(n secp256k1.ModNScalar) asn1.RawValue {
		b := n.Bytes()
		trimmed := bytes.TrimLeft(b[:], "\x00")
		if trimmed[0] >= 0x80 {
			trimmed = append([]byte{0}, trimmed...)
		}
		return asn1.RawValue{Tag: asn1.TagInteger, Bytes: trimmed}
	}
	der, err := asn1.Marshal([]asn1.RawValue{integer(r), integer(s)})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestSECP256K1Reader shows that signing neither goes on without randomness nor depends on
// it for the secrecy of the nonce: a stuck reader still gives distinct nonces per digest.
func TestSECP256K1Reader(t *testing.T) {
	t.Parallel()
	k := fixedKey(t, keys.SECP256K1)
	alg := keys.ECDSASHA256
	broken := errors.New("broken reader")
	if _, err := k.Sign(iotest.ErrReader(broken), alg, k.Public().Digest(alg, nil)); !errors.Is(err, broken) {
		t.Errorf("broken reader: %v", err)
	}
	seen := make(map[string]bool)
	for i := range 10 {
		stuck := bytes.NewReader(bytes.Repeat([]byte{0x42}, 3*k1Size))
		der, err := k.Sign(stuck, alg, k.Public().Digest(alg, []byte{byte(i)}))
		if err != nil {
			t.Fatal(err)
		}
		sig, err := ecdsa.ParseDERSignature(der)
		if err != nil {
			t.Fatal(err)
		}
		r := sig.R()
		rb := r.Bytes()
		seen[string(rb[:])] = true
	}
	if len(seen) != 10 {
		t.Errorf("%d distinct nonces for 10 digests", len(seen))
	}
	if _, err := Generate(iotest.ErrReader(broken), keys.SECP256K1); !errors.Is(err, broken) {
		t.Errorf("generate with a broken reader: %v", err)
	}
}
