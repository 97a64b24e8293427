// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"crypto"
	"crypto/fips140"
	_ "crypto/sha1" //nolint:gosec // G505: crypto.SHA1 is for OAEP, which needs no collision resistance
	_ "crypto/sha256"
	_ "crypto/sha512"
	"fmt"
	"hash"

	"github.com/emmansun/gmsm/sm3"

	"claviger/internal/keys"
)

type scheme uint8

const (
	schemeOAEP scheme = iota + 1
	schemePSS
	schemePKCS1
	schemeECDSA
	schemeSM2PKE
	schemeSM2DSA
	schemeHMAC
)

type algorithm struct {
	scheme scheme
	hash   crypto.Hash // zero is SM3, which package crypto does not number
}

func (a algorithm) newHash() hash.Hash {
	if a.hash == 0 {
		return sm3.New()
	}
	return a.hash.New()
}

func (a algorithm) hashSize() int {
	if a.hash == 0 {
		return sm3.Size
	}
	return a.hash.Size()
}

// algorithms is every algorithm that the engine serves, beside the envelope.
var algorithms = map[keys.Algorithm]algorithm{
	keys.OAEPSHA1:    {schemeOAEP, crypto.SHA1},
	keys.OAEPSHA256:  {schemeOAEP, crypto.SHA256},
	keys.PSSSHA224:   {schemePSS, crypto.SHA224},
	keys.PSSSHA256:   {schemePSS, crypto.SHA256},
	keys.PSSSHA384:   {schemePSS, crypto.SHA384},
	keys.PSSSHA512:   {schemePSS, crypto.SHA512},
	keys.PKCS1SHA224: {schemePKCS1, crypto.SHA224},
	keys.PKCS1SHA256: {schemePKCS1, crypto.SHA256},
	keys.PKCS1SHA384: {schemePKCS1, crypto.SHA384},
	keys.PKCS1SHA512: {schemePKCS1, crypto.SHA512},
	keys.ECDSASHA256: {schemeECDSA, crypto.SHA256},
	keys.ECDSASHA384: {schemeECDSA, crypto.SHA384},
	keys.ECDSASHA512: {schemeECDSA, crypto.SHA512},
	keys.SM2PKE:      {schemeSM2PKE, 0},
	keys.SM2DSA:      {schemeSM2DSA, 0},
	keys.MACSHA224:   {schemeHMAC, crypto.SHA224},
	keys.MACSHA256:   {schemeHMAC, crypto.SHA256},
	keys.MACSHA384:   {schemeHMAC, crypto.SHA384},
	keys.MACSHA512:   {schemeHMAC, crypto.SHA512},
	keys.MACSM3:      {schemeHMAC, 0},
}

// DigestSize is the number of bytes of the digest that alg signs; 0 if alg does not sign.
func DigestSize(alg keys.Algorithm) int {
	a := algorithms[alg]
	switch a.scheme {
	case schemePSS, schemePKCS1, schemeECDSA, schemeSM2DSA:
		return a.hashSize()
	default:
		return 0
	}
}

// algorithmFor finds alg if a key of spec can be used for usage with it: else
// [ErrAlgorithm], which is also [ErrFIPS] where only the mode forbids it.
func algorithmFor(spec keys.Spec, alg keys.Algorithm, usage keys.Usage) (algorithm, error) {
	a, known := algorithms[alg]
	if u, fits := alg.Fits(spec); !known || !fits || u != usage {
		return algorithm{}, fmt.Errorf("%w: %q with %s", ErrAlgorithm, string(alg), spec)
	}
	if a.hash == crypto.SHA1 && fips140.Enforced() {
		return algorithm{}, refusedByFIPS(string(alg))
	}
	return a, nil
}

// signatureFor is algorithmFor signing, with the length of the digest checked.
func signatureFor(spec keys.Spec, alg keys.Algorithm, digest []byte) (algorithm, error) {
	a, err := algorithmFor(spec, alg, keys.UsageSign)
	if err != nil {
		return algorithm{}, err
	}
	if len(digest) != a.hashSize() {
		return algorithm{}, fmt.Errorf("%w: %d bytes, %s takes %d", ErrDigestSize, len(digest), alg, a.hashSize())
	}
	return a, nil
}
