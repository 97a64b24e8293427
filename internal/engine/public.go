// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"io"

	"claviger/internal/keys"
)

// PublicKey is the public half of an asymmetric key: enough to verify and to encrypt. It
// is safe for concurrent use.
type PublicKey struct {
	spec keys.Spec
	key  publicKey
	spki []byte
}

// publicKey is the public half of one kind. RSA and SM2 are also encrypters, and SM2 a digester.
type publicKey interface {
	verify(alg algorithm, digest, sig []byte) bool
	marshal() ([]byte, error)
}

type encrypter interface {
	encrypt(rand io.Reader, alg algorithm, plaintext []byte) ([]byte, error)
}

// digester is a public key that takes part in the digest that is signed.
type digester interface{ digest(message []byte) []byte }

// OpenPublic parses and validates a DER SubjectPublicKeyInfo, which must be of spec.
//
// Errors: [ErrSpec] (also for a symmetric spec), [ErrFIPS], [ErrMaterial].
func OpenPublic(spec keys.Spec, spki []byte) (*PublicKey, error) {
	k, err := kindOf(spec)
	if err != nil {
		return nil, err
	}
	if k.openPublic == nil {
		return nil, fmt.Errorf("%w: %s has no public key", ErrSpec, spec)
	}
	key, err := k.openPublic(spec, spki)
	if err != nil {
		return nil, fmt.Errorf("open public %s: %w", spec, err)
	}
	return &PublicKey{spec: spec, key: key, spki: append([]byte(nil), spki...)}, nil
}

// Spec is what p was opened as.
func (p *PublicKey) Spec() keys.Spec { return p.spec }

// DER is the SubjectPublicKeyInfo of p; the caller must not change it.
func (p *PublicKey) DER() []byte { return p.spki }

// Digest hashes message as alg signs it with this key, for [Key.Sign] and [PublicKey.Verify]; nil
// if the key does not sign with alg. SM2DSA's digest holds the key and the default user identity.
func (p *PublicKey) Digest(alg keys.Algorithm, message []byte) []byte {
	a, err := algorithmFor(p.spec, alg, keys.UsageSign)
	if err != nil {
		return nil
	}
	if d, ok := p.key.(digester); ok {
		return d.digest(message)
	}
	h := a.newHash()
	h.Write(message)
	return h.Sum(nil)
}

// Verify reports whether sig is alg's signature of digest. A malformed signature is a
// wrong one; misuse is an error: [ErrAlgorithm], [ErrFIPS], [ErrDigestSize].
func (p *PublicKey) Verify(alg keys.Algorithm, digest, sig []byte) (bool, error) {
	a, err := signatureFor(p.spec, alg, digest)
	if err != nil {
		return false, err
	}
	return p.key.verify(a, digest, sig), nil
}

// Encrypt encrypts plaintext with RSAES-OAEP (RFC 8017 §7.1), empty label, MGF1 with the
// same hash, whose capacity is the modulus less twice the hash less 2 bytes; or with SM2
// (GB/T 32918.4) into DER, whose capacity no caller reaches and which cannot encrypt nothing.
//
// Errors: [ErrAlgorithm], [ErrFIPS], [ErrTooLong], [ErrEmpty], or the reader's.
func (p *PublicKey) Encrypt(rand io.Reader, alg keys.Algorithm, plaintext []byte) ([]byte, error) {
	a, err := algorithmFor(p.spec, alg, keys.UsageEncrypt)
	if err != nil {
		return nil, err
	}
	e, ok := p.key.(encrypter)
	if !ok {
		return nil, fmt.Errorf("%w: %s does not encrypt", ErrAlgorithm, p.spec)
	}
	ct, err := e.encrypt(rand, a, plaintext)
	if err != nil {
		return nil, fmt.Errorf("encrypt with %s: %w", alg, err)
	}
	return ct, nil
}
