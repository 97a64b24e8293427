// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"io"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"claviger/internal/keys"
)

// k1Size is the size of a secp256k1 scalar and field element in bytes (SEC 2 §2.4.1).
const k1Size = 32

func generateK1(rand io.Reader, _ keys.Spec) (Material, error) {
	key, err := secp256k1.GeneratePrivateKeyFromRand(rand)
	if err != nil {
		return Material{}, err
	}
	defer key.Zero()
	scalar := key.Serialize()
	defer clear(scalar)
	return marshalEC(k1Algorithm(), scalar, key.PubKey().SerializeUncompressed())
}

func openK1(spec keys.Spec, private []byte) (*Key, error) {
	key, err := parseK1(private)
	if err != nil {
		return nil, err
	}
	return openPrivate(spec, &k1Private{key}, k1Public{key.PubKey()})
}

func openK1Public(_ keys.Spec, spki []byte) (publicKey, error) {
	point, err := parseSPKI(keys.SECP256K1, k1Algorithm(), spki)
	if err != nil {
		return nil, err
	}
	key, err := parseK1Point(point)
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

func (p k1Public) marshal() ([]byte, error) {
	return marshalSPKI(k1Algorithm(), p.key.SerializeUncompressed())
}

func parseK1Point(b []byte) (*secp256k1.PublicKey, error) {
	key, err := secp256k1.ParsePubKey(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMaterial, err)
	}
	return key, nil
}

// parseK1 reads a private key. A point, where there is one, must be the scalar's.
func parseK1(private []byte) (*secp256k1.PrivateKey, error) {
	scalar, encoded, err := parsePKCS8EC(keys.SECP256K1, k1Algorithm(), private)
	if err != nil {
		return nil, err
	}
	defer clear(scalar)
	var d secp256k1.ModNScalar
	if len(scalar) != k1Size || d.SetByteSlice(scalar) || d.IsZero() {
		return nil, fmt.Errorf("%w: scalar is not in [1, n-1]", ErrMaterial)
	}
	key := secp256k1.NewPrivateKey(&d)
	if encoded == nil {
		return key, nil
	}
	if point, err := parseK1Point(encoded); err != nil || !point.IsEqual(key.PubKey()) {
		return nil, fmt.Errorf("%w: point is not the scalar's", ErrMaterial)
	}
	return key, nil
}
