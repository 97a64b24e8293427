// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"encoding/asn1"
	"fmt"

	"claviger/internal/keys"
	"claviger/internal/secret"
)

// The ASN.1 of keys on curves that crypto/x509 does not know.
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

// ecOn is id-ecPublicKey with a named curve.
func ecOn(curve ...int) ecAlgorithm {
	return ecAlgorithm{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}, Curve: curve}
}

// k1Algorithm is the curve secp256k1 (SEC 2 §A.2.1).
func k1Algorithm() ecAlgorithm { return ecOn(1, 3, 132, 0, 10) }

// sm2Algorithm is the curve of SM2 (GM/T 0006, RFC 8998 §3.2.1).
func sm2Algorithm() ecAlgorithm { return ecOn(1, 2, 156, 10197, 1, 301) }

func (a ecAlgorithm) equal(b ecAlgorithm) bool {
	return a.Algorithm.Equal(b.Algorithm) && a.Curve.Equal(b.Curve)
}

func bitString(b []byte) asn1.BitString { return asn1.BitString{Bytes: b, BitLength: 8 * len(b)} }

func marshalSPKI(alg ecAlgorithm, point []byte) ([]byte, error) {
	return asn1.Marshal(spkiEC{alg, bitString(point)})
}

// marshalEC encodes a key pair. point is the encoded public point, which the private half
// repeats; the curve stands outside of it only.
func marshalEC(alg ecAlgorithm, scalar, point []byte) (Material, error) {
	spki, err := marshalSPKI(alg, point)
	if err != nil {
		return Material{}, err
	}
	inner, err := asn1.Marshal(sec1{Version: 1, Scalar: scalar, Point: bitString(point)})
	if err != nil {
		return Material{}, err
	}
	defer clear(inner)
	private, err := asn1.Marshal(pkcs8EC{Algorithm: alg, Private: inner})
	return Material{Private: secret.New(private), Public: spki}, err
}

// parseSPKI is the encoded point of a public key on the curve of alg. What is accepted is
// exactly what marshalling it again makes.
func parseSPKI(spec keys.Spec, alg ecAlgorithm, spki []byte) ([]byte, error) {
	var outer spkiEC
	rest, err := asn1.Unmarshal(spki, &outer)
	if err != nil || len(rest) != 0 || !outer.Algorithm.equal(alg) {
		return nil, fmt.Errorf("%w: not a SubjectPublicKeyInfo of %s", ErrMaterial, spec)
	}
	if again, err := asn1.Marshal(outer); err != nil || !bytes.Equal(again, spki) {
		return nil, fmt.Errorf("%w: not the DER of a SubjectPublicKeyInfo", ErrMaterial)
	}
	return pointBytes(outer.Point)
}

// parsePKCS8EC accepts what marshalEC and OpenSSL write. The point is nil where there is none;
// else the caller must compare it with the scalar's. The scalar is the caller's to wipe. Causes
// are left out of errors: they could describe the material.
func parsePKCS8EC(spec keys.Spec, alg ecAlgorithm, private []byte) (scalar, point []byte, err error) {
	var outer pkcs8EC
	if rest, err := asn1.Unmarshal(private, &outer); err != nil || len(rest) != 0 ||
		outer.Version != 0 || !outer.Algorithm.equal(alg) {
		return nil, nil, fmt.Errorf("%w: not a PKCS#8 structure of %s", ErrMaterial, spec)
	}
	defer clear(outer.Private) // the parsed point lies in it
	var inner sec1
	if rest, err := asn1.Unmarshal(outer.Private, &inner); err != nil || len(rest) != 0 || inner.Version != 1 ||
		len(inner.Curve) != 0 && !inner.Curve.Equal(alg.Curve) {
		clear(inner.Scalar)
		return nil, nil, fmt.Errorf("%w: not a SEC 1 private key", ErrMaterial)
	}
	if inner.Point.BitLength != 0 {
		if point, err = pointBytes(inner.Point); err != nil {
			clear(inner.Scalar)
			return nil, nil, err
		}
	}
	return inner.Scalar, bytes.Clone(point), nil
}

// pointBytes takes the compressed and uncompressed forms of SEC 1 §2.3.3; the hybrid one is
// refused because a library would take it.
func pointBytes(point asn1.BitString) ([]byte, error) {
	b := point.Bytes
	if point.BitLength != 8*len(b) || len(b) == 0 || b[0] > 4 {
		return nil, fmt.Errorf("%w: not a point encoding", ErrMaterial)
	}
	return b, nil
}
