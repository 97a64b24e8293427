// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"

	"claviger/internal/keys"
	"claviger/internal/secret"
)

func generateRSA(rand io.Reader, spec keys.Spec) (Material, error) {
	key, err := rsa.GenerateKey(rand, spec.Bits())
	if err != nil {
		return Material{}, err
	}
	defer wipeRSA(key)
	return marshalPair(key, &key.PublicKey)
}

// marshalPair encodes a key pair that crypto/x509 knows.
func marshalPair(private, public any) (Material, error) {
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return Material{}, err
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		clear(der)
		return Material{}, err
	}
	return Material{Private: secret.New(der), Public: spki}, nil
}

// parsePKCS8 is x509.ParsePKCS8PrivateKey, which would ignore what follows the key. The
// cause is left out of the error: it could describe the material.
func parsePKCS8(der []byte) (any, error) {
	var outer asn1.RawValue
	if rest, err := asn1.Unmarshal(der, &outer); err != nil || len(rest) != 0 {
		return nil, fmt.Errorf("%w: not one PKCS#8 structure", ErrMaterial)
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: not a valid PKCS#8 key", ErrMaterial)
	}
	return key, nil
}

// openRSA relies on ParsePKCS8PrivateKey, which precomputes the CRT values and validates
// primes and exponents against the modulus.
func openRSA(spec keys.Spec, private []byte) (*Key, error) {
	parsed, err := parsePKCS8(private)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%w: not an RSA key", ErrMaterial)
	}
	if key.N.BitLen() != spec.Bits() || len(key.Primes) != 2 {
		wipeRSA(key)
		return nil, fmt.Errorf("%w: not a two-prime %d-bit modulus", ErrMaterial, spec.Bits())
	}
	return openPrivate(spec, rsaPrivate{key}, rsaPublic{&key.PublicKey})
}

// openRSAPublic checks what ParsePKIXPublicKey leaves to the first use: modulus and
// exponent are odd, and the exponent is not 1 (RFC 8017 §3.1) and not above 2^31-1, beyond
// which the library does not go.
func openRSAPublic(spec keys.Spec, spki []byte) (publicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMaterial, err)
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok || key.N.BitLen() != spec.Bits() {
		return nil, fmt.Errorf("%w: not an RSA key of %d bits", ErrMaterial, spec.Bits())
	}
	if key.N.Bit(0) == 0 || key.E&1 == 0 || key.E < 3 || key.E > math.MaxInt32 {
		return nil, fmt.Errorf("%w: even modulus or bad exponent", ErrMaterial)
	}
	return rsaPublic{key}, nil
}

type rsaPrivate struct{ key *rsa.PrivateKey }

func (r rsaPrivate) sign(rand io.Reader, alg algorithm, digest []byte) ([]byte, error) {
	if alg.scheme == schemePSS {
		return rsa.SignPSS(rand, r.key, alg.hash, digest, pssOptions())
	}
	return rsa.SignPKCS1v15(nil, r.key, alg.hash, digest)
}

func (r rsaPrivate) decrypt(alg algorithm, ciphertext []byte) ([]byte, error) {
	if len(ciphertext) != r.key.Size() { // RFC 8017 §7.1.2 step 1b; the library takes one that lost leading zeros
		return nil, ErrCiphertext
	}
	plaintext, err := rsa.DecryptOAEP(alg.hash.New(), nil, r.key, ciphertext, nil)
	if err != nil {
		return nil, ErrCiphertext
	}
	return plaintext, nil
}

func (r rsaPrivate) wipe() { wipeRSA(r.key) }

func wipeRSA(key *rsa.PrivateKey) {
	pre := &key.Precomputed
	for _, n := range append([]*big.Int{key.D, pre.Dp, pre.Dq, pre.Qinv}, key.Primes...) {
		if n != nil {
			clear(n.Bits())
		}
	}
}

type rsaPublic struct{ key *rsa.PublicKey }

func (r rsaPublic) verify(alg algorithm, digest, sig []byte) bool {
	if alg.scheme == schemePSS {
		return rsa.VerifyPSS(r.key, alg.hash, digest, sig, pssOptions()) == nil
	}
	return rsa.VerifyPKCS1v15(r.key, alg.hash, digest, sig) == nil
}

func (r rsaPublic) encrypt(rand io.Reader, alg algorithm, plaintext []byte) ([]byte, error) {
	if capacity := r.key.Size() - 2*alg.hash.Size() - 2; len(plaintext) > capacity {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLong, len(plaintext), capacity)
	}
	ct, err := rsa.EncryptOAEP(alg.hash.New(), rand, r.key, plaintext, nil)
	if errors.Is(err, rsa.ErrMessageTooLong) {
		return nil, ErrTooLong
	}
	return ct, err
}

func (r rsaPublic) marshal() ([]byte, error) { return x509.MarshalPKIXPublicKey(r.key) }

// pssOptions: salt as long as the hash, MGF1 with the same hash (RFC 8017 §9.1).
func pssOptions() *rsa.PSSOptions {
	return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
}
