// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"fmt"
	"io"

	"claviger/internal/keys"
)

// curveOf is the NIST curve of spec.
func curveOf(spec keys.Spec) elliptic.Curve {
	switch spec {
	case keys.ECP256:
		return elliptic.P256()
	case keys.ECP384:
		return elliptic.P384()
	default:
		return elliptic.P521()
	}
}

func generateEC(rand io.Reader, spec keys.Spec) (Material, error) {
	key, err := ecdsa.GenerateKey(curveOf(spec), rand)
	if err != nil {
		return Material{}, err
	}
	defer ecPrivate{key}.wipe()
	return marshalPair(key, &key.PublicKey)
}

// openEC relies on ParsePKCS8PrivateKey, which refuses a scalar that is not in [1, n-1]
// and computes the point from it.
func openEC(spec keys.Spec, private []byte) (*Key, error) {
	parsed, err := parsePKCS8(private)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != curveOf(spec) {
		return nil, fmt.Errorf("%w: not a key on the curve", ErrMaterial)
	}
	return openPrivate(spec, ecPrivate{key}, ecPublic{&key.PublicKey})
}

func openECPublic(spec keys.Spec, spki []byte) (publicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMaterial, err)
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok || key.Curve != curveOf(spec) {
		return nil, fmt.Errorf("%w: not a key on the curve", ErrMaterial)
	}
	return ecPublic{key}, nil
}

type ecPrivate struct{ key *ecdsa.PrivateKey }

// sign lets the library truncate a digest longer than the curve's order (FIPS 186-5 §6.4.1).
func (e ecPrivate) sign(rand io.Reader, _ algorithm, digest []byte) ([]byte, error) {
	return ecdsa.SignASN1(rand, e.key, digest)
}

func (e ecPrivate) wipe() {
	//nolint:staticcheck // SA1019: the scalar is read only to be overwritten.
	clear(e.key.D.Bits())
}

type ecPublic struct{ key *ecdsa.PublicKey }

func (e ecPublic) verify(_ algorithm, digest, sig []byte) bool {
	return ecdsa.VerifyASN1(e.key, digest, sig)
}

func (e ecPublic) marshal() ([]byte, error) { return x509.MarshalPKIXPublicKey(e.key) }
