// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"
	"testing"

	"claviger/internal/keys"
	"claviger/internal/secret"
)

// TestInvalidRSA opens RSA keys whose numbers do not belong together.
func TestInvalidRSA(t *testing.T) {
	t.Parallel()
	spec := keys.RSA2048
	type numbers struct { // RFC 8017 §A.1.2
		Version                        int
		N, E, D, P, Q, DP, DQ, Inverse *big.Int
	}
	type pkcs8 struct {
		Version   int
		Algorithm struct {
			ID         asn1.ObjectIdentifier
			Parameters asn1.RawValue
		}
		Private []byte
	}
	key := fixedKey(t, spec).private.(rsaPrivate).key
	plus := func(n *big.Int, m int64) *big.Int { return new(big.Int).Add(n, big.NewInt(m)) }
	for name, change := range map[string]func(*numbers){
		"":                    func(*numbers) {},
		"another modulus":     func(n *numbers) { n.N = plus(n.N, 2) },
		"a composite modulus": func(n *numbers) { n.P = plus(n.P, 2); n.N = new(big.Int).Mul(n.P, n.Q) },
		"equal primes":        func(n *numbers) { n.Q = n.P; n.N = new(big.Int).Mul(n.P, n.P) },
		"another exponent":    func(n *numbers) { n.D = plus(n.D, 2) },
		"public exponent 1":   func(n *numbers) { n.E = big.NewInt(1) },
		"public exponent 2":   func(n *numbers) { n.E = big.NewInt(2) },
		"a negative number":   func(n *numbers) { n.D = new(big.Int).Neg(n.D) },
		"a prime of 1":        func(n *numbers) { n.P = big.NewInt(1); n.Q = n.N },
		"another version":     func(n *numbers) { n.Version = 2 },
	} {
		n := numbers{
			N: key.N, E: big.NewInt(int64(key.E)), D: key.D, P: key.Primes[0], Q: key.Primes[1],
			DP: key.Precomputed.Dp, DQ: key.Precomputed.Dq, Inverse: key.Precomputed.Qinv,
		}
		change(&n)
		outer := pkcs8{}
		outer.Algorithm.ID = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
		outer.Algorithm.Parameters = asn1.NullRawValue
		var err error
		if outer.Private, err = asn1.Marshal(n); err != nil {
			t.Fatal(err)
		}
		der, err := asn1.Marshal(outer)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Open(spec, secret.New(der))
		if valid := name == ""; valid != (err == nil) || !valid && !errors.Is(err, ErrMaterial) {
			t.Errorf("%q: %v", name, err)
		}
		if err != nil && strings.ContainsAny(err.Error(), "+") {
			t.Errorf("%q: the error seems to hold numbers: %v", name, err)
		}
	}
	public := map[string]*rsa.PublicKey{
		"even modulus":      {N: plus(key.N, 1), E: key.E},
		"public exponent 1": {N: key.N, E: 1},
		"even exponent":     {N: key.N, E: 65536},
		"exponent 2^31+1":   {N: key.N, E: 1<<31 + 1},
		"2047 bits":         {N: new(big.Int).Rsh(key.N, 1), E: key.E},
	}
	for name, p := range public {
		der := x509.MarshalPKCS1PublicKey(p)
		spki, err := asn1.Marshal(struct {
			Algorithm struct {
				ID         asn1.ObjectIdentifier
				Parameters asn1.RawValue
			}
			Key asn1.BitString
		}{
			struct {
				ID         asn1.ObjectIdentifier
				Parameters asn1.RawValue
			}{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}, asn1.NullRawValue},
			bitString(der),
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := OpenPublic(spec, spki); !errors.Is(err, ErrMaterial) {
			t.Errorf("public, %s: %v", name, err)
		}
	}
}

// TestInvalidEC opens NIST keys with scalars and points that are not on the curve.
func TestInvalidEC(t *testing.T) {
	t.Parallel()
	oids := map[keys.Spec]asn1.ObjectIdentifier{
		keys.ECP256: {1, 2, 840, 10045, 3, 1, 7},
		keys.ECP384: {1, 3, 132, 0, 34},
		keys.ECP521: {1, 3, 132, 0, 35},
	}
	for spec, oid := range oids {
		alg := ecAlgorithm{k1Algorithm().Algorithm, oid}
		size := (spec.Bits() + 7) / 8
		n := curveOf(spec).Params().N
		for name, c := range map[string]struct {
			scalar *big.Int
			valid  bool
		}{
			"1": {big.NewInt(1), true}, "n-1": {new(big.Int).Sub(n, big.NewInt(1)), true},
			"0": {big.NewInt(0), false}, "n": {n, false}, "n+1": {new(big.Int).Add(n, big.NewInt(1)), false},
		} {
			inner, err := asn1.Marshal(sec1{Version: 1, Scalar: c.scalar.FillBytes(make([]byte, size))})
			if err != nil {
				t.Fatal(err)
			}
			der, err := asn1.Marshal(pkcs8EC{Algorithm: alg, Private: inner})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Open(spec, secret.New(der)); c.valid != (err == nil) || !c.valid && !errors.Is(err, ErrMaterial) {
				t.Errorf("%s, scalar %s: %v", spec, name, err)
			}
		}
		point, err := fixedKey(t, spec).public.key.(ecPublic).key.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		point[len(point)-1] ^= 1
		for name, p := range map[string][]byte{"off the curve": point, "infinity": {0}, "empty": nil} {
			spki, err := asn1.Marshal(spkiEC{Algorithm: alg, Point: bitString(p)})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := OpenPublic(spec, spki); !errors.Is(err, ErrMaterial) {
				t.Errorf("%s, point %s: %v", spec, name, err)
			}
		}
	}
}

// TestForeignCurve opens a key of a curve that the library knows and no spec names.
func TestForeignCurve(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P224(), nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := marshalPair(key, &key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range asymmetric() {
		if _, err := Open(spec, m.Private); !errors.Is(err, ErrMaterial) {
			t.Errorf("private as %s: %v", spec, err)
		}
		if _, err := OpenPublic(spec, m.Public); !errors.Is(err, ErrMaterial) {
			t.Errorf("public as %s: %v", spec, err)
		}
	}
}
