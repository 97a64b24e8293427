// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"encoding/asn1"
	"fmt"
	"io"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"claviger/internal/keys"
	"claviger/internal/secret"
)

// k1Size is the size of a secp256k1 scalar and field element in bytes (SEC 2 §2.4.1).
const k1Size = 32

func generateK1(rand io.Reader, _ keys.Spec) (Material, error) {
	key, err := secp256k1.GeneratePrivateKeyFromRand(rand)
	if err != nil {
		return Material{}, err
	}
	defer key.Zero()
	spki, err := marshalK1Public(key.PubKey())
	if err != nil {
		return Material{}, err
	}
	private, err := marshalK1(key)
	return Material{Private: secret.New(private), Public: spki}, err
}

func openK1(spec keys.Spec, private []byte) (*Key, error) {
	key, err := parseK1(private)
	if err != nil {
		return nil, err
	}
	return openPrivate(spec, &k1Private{key}, k1Public{key.PubKey()})
}

func openK1Public(_ keys.Spec, spki []byte) (publicKey, error) {
	key, err := parseK1Public(spki)
	if err != nil {
		return nil, err
	}
	return k1Public{key}, nil
}

type k1Private struct{ key *secp256k1.PrivateKey }

// sign makes a low-S signature (either of s and -s verifies). The nonce is RFC 6979's with
// fresh randomness as its extra input, so neither a weak reader nor a glitch repeats it.
//
// The library multiplies and inverts in variable time, and the timing of an ECDSA nonce
// betrays the key. So neither ever sees the nonce: the point is computed from two random
// shares of it, and the inverse of its product with a random factor is taken.
func (p *k1Private) sign(rand io.Reader, _ algorithm, digest []byte) ([]byte, error) {
	var e secp256k1.ModNScalar
	digest = digest[:k1Size] // the order's length (SEC 1 §4.1.3 step 5)
	e.SetByteSlice(digest)
	d := p.key.Key.Bytes()
	defer clear(d[:])
	var extra [k1Size]byte
	for {
		if _, err := io.ReadFull(rand, extra[:]); err != nil {
			return nil, err
		}
		share, err := randomScalar(rand)
		if err != nil {
			return nil, err
		}
		factor, err := randomScalar(rand)
		if err != nil {
			return nil, err
		}
		k := secp256k1.NonceRFC6979(d[:], digest, extra[:], nil, 0)
		r := blindedX(k, share)
		s := blindedInverse(k, factor)
		s.Mul(new(secp256k1.ModNScalar).Mul2(&p.key.Key, r).Add(&e))
		k.Zero()
		if !r.IsZero() && !s.IsZero() {
			return ecdsa.NewSignature(r, s).Serialize(), nil
		}
	}
}

func (p *k1Private) wipe() { p.key.Zero() }

// randomScalar reads a scalar in [1, n-1]; the chance of a second turn is about 2^-128.
func randomScalar(rand io.Reader) (*secp256k1.ModNScalar, error) {
	var b [k1Size]byte
	defer clear(b[:])
	for {
		if _, err := io.ReadFull(rand, b[:]); err != nil {
			return nil, err
		}
		s := new(secp256k1.ModNScalar)
		if overflow := s.SetBytes(&b); overflow == 0 && !s.IsZero() {
			return s, nil
		}
	}
}

// blindedX is the x coordinate of k·G modulo n, as share·G + (k-share)·G.
func blindedX(k, share *secp256k1.ModNScalar) *secp256k1.ModNScalar {
	var a, b, sum secp256k1.JacobianPoint
	secp256k1.ScalarBaseMultNonConst(share, &a)
	rest := new(secp256k1.ModNScalar).NegateVal(share)
	rest.Add(k)
	secp256k1.ScalarBaseMultNonConst(rest, &b)
	secp256k1.AddNonConst(&a, &b, &sum)
	sum.ToAffine()
	x := sum.X.Bytes()
	r := new(secp256k1.ModNScalar)
	r.SetBytes(x)
	return r
}

// blindedInverse is k^-1 modulo n, as factor·(k·factor)^-1.
func blindedInverse(k, factor *secp256k1.ModNScalar) *secp256k1.ModNScalar {
	product := new(secp256k1.ModNScalar).Mul2(k, factor)
	return product.InverseNonConst().Mul(factor)
}

type k1Public struct{ key *secp256k1.PublicKey }

// verify takes strict DER, and both s and -s: most signers do not normalise.
func (p k1Public) verify(_ algorithm, digest, sig []byte) bool {
	parsed, err := ecdsa.ParseDERSignature(sig)
	return err == nil && parsed.Verify(digest[:k1Size], p.key)
}

func (p k1Public) marshal() ([]byte, error) { return marshalK1Public(p.key) }

// The ASN.1 of a secp256k1 key, which crypto/x509 does not know.
type (
	ecAlgorithm struct { // RFC 5480 §2.1.1
		Algorithm asn1.ObjectIdentifier
		Curve     asn1.ObjectIdentifier
	}
	spkiEC struct { // RFC 5280 §4.1
		Algorithm ecAlgorithm
		Point     asn1.BitString
	}
	pkcs8EC struct { // RFC 5958 §2, version 0
		Version   int
		Algorithm ecAlgorithm
		Private   []byte
	}
	sec1 struct { // RFC 5915 §3
		Version int
		Scalar  []byte
		Curve   asn1.ObjectIdentifier `asn1:"optional,explicit,tag:0"`
		Point   asn1.BitString        `asn1:"optional,explicit,tag:1"`
	}
)

// k1Algorithm is id-ecPublicKey with the curve secp256k1 (SEC 2 §A.2.1).
func k1Algorithm() ecAlgorithm {
	return ecAlgorithm{
		Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1},
		Curve:     asn1.ObjectIdentifier{1, 3, 132, 0, 10},
	}
}

func (a ecAlgorithm) equal(b ecAlgorithm) bool {
	return a.Algorithm.Equal(b.Algorithm) && a.Curve.Equal(b.Curve)
}

func marshalK1Public(key *secp256k1.PublicKey) ([]byte, error) {
	return asn1.Marshal(spkiEC{Algorithm: k1Algorithm(), Point: bitString(key.SerializeUncompressed())})
}

func marshalK1(key *secp256k1.PrivateKey) ([]byte, error) {
	scalar := key.Serialize()
	defer clear(scalar)
	inner, err := asn1.Marshal(sec1{Version: 1, Scalar: scalar, Point: bitString(key.PubKey().SerializeUncompressed())})
	if err != nil {
		return nil, err
	}
	defer clear(inner)
	return asn1.Marshal(pkcs8EC{Algorithm: k1Algorithm(), Private: inner})
}

func bitString(b []byte) asn1.BitString { return asn1.BitString{Bytes: b, BitLength: 8 * len(b)} }

func parseK1Public(spki []byte) (*secp256k1.PublicKey, error) {
	var outer spkiEC
	if rest, err := asn1.Unmarshal(spki, &outer); err != nil || len(rest) != 0 || !outer.Algorithm.equal(k1Algorithm()) {
		return nil, fmt.Errorf("%w: not a secp256k1 SubjectPublicKeyInfo", ErrMaterial)
	}
	return parseK1Point(outer.Point)
}

// parseK1Point takes the compressed and uncompressed forms of SEC 1 §2.3.3; the hybrid one
// is refused because the library would take it.
func parseK1Point(point asn1.BitString) (*secp256k1.PublicKey, error) {
	b := point.Bytes
	if point.BitLength != 8*len(b) || len(b) == 0 || b[0] > 4 {
		return nil, fmt.Errorf("%w: not a point encoding", ErrMaterial)
	}
	key, err := secp256k1.ParsePubKey(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMaterial, err)
	}
	return key, nil
}

// parseK1 accepts what marshalK1 and OpenSSL write. A point, where there is one, must be
// the scalar's. Causes are left out of errors: they could describe the material.
func parseK1(private []byte) (*secp256k1.PrivateKey, error) {
	var outer pkcs8EC
	if rest, err := asn1.Unmarshal(private, &outer); err != nil || len(rest) != 0 ||
		outer.Version != 0 || !outer.Algorithm.equal(k1Algorithm()) {
		return nil, fmt.Errorf("%w: not a secp256k1 PKCS#8 structure", ErrMaterial)
	}
	defer clear(outer.Private)
	var inner sec1
	if rest, err := asn1.Unmarshal(outer.Private, &inner); err != nil || len(rest) != 0 || inner.Version != 1 ||
		len(inner.Curve) != 0 && !inner.Curve.Equal(k1Algorithm().Curve) {
		return nil, fmt.Errorf("%w: not a SEC 1 private key", ErrMaterial)
	}
	defer clear(inner.Scalar)
	var d secp256k1.ModNScalar
	if len(inner.Scalar) != k1Size || d.SetByteSlice(inner.Scalar) || d.IsZero() {
		return nil, fmt.Errorf("%w: scalar is not in [1, n-1]", ErrMaterial)
	}
	key := secp256k1.NewPrivateKey(&d)
	if inner.Point.BitLength == 0 {
		return key, nil
	}
	if point, err := parseK1Point(inner.Point); err != nil || !point.IsEqual(key.PubKey()) {
		return nil, fmt.Errorf("%w: point is not the scalar's", ErrMaterial)
	}
	return key, nil
}
