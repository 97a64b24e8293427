// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"io"
	"sync/atomic"

	"claviger/internal/keys"
	"claviger/internal/secret"
)

// Key is opened key material, ready to use and safe for concurrent use.
type Key struct {
	spec  keys.Spec
	short [shortMaterial]byte // see secret
	size  uint8               // bytes of a symmetric key's material; 0 for an asymmetric spec
	wiped atomic.Bool
	*rest // nil for the many that are in short
}

// shortMaterial is how much material lies in the key itself: servers keep very many of those.
const shortMaterial = 32

// rest is what the other keys have.
type rest struct {
	private privateKey // of an asymmetric key
	public  *PublicKey
	long    []byte // see secret
}

// secret is a symmetric key's material, which is the key's own and which Wipe wipes.
func (k *Key) secret() []byte {
	if k.size > shortMaterial {
		return k.long
	}
	return k.short[:k.size]
}

// privateKey is an asymmetric key. RSA and SM2 are also decrypters.
type privateKey interface {
	sign(rand io.Reader, alg algorithm, digest []byte) ([]byte, error)
	wipe()
}

type decrypter interface {
	decrypt(alg algorithm, ciphertext []byte) ([]byte, error)
}

// Open parses and validates private, which must be of spec, and precomputes what every
// use needs. It copies what it keeps: the caller still owns private and may wipe it.
//
// Errors: [ErrSpec], [ErrFIPS], [ErrMaterial].
func Open(spec keys.Spec, private secret.Bytes) (*Key, error) {
	k, err := kindOf(spec)
	if err != nil {
		return nil, err
	}
	key, err := k.open(spec, private.Reveal())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", spec, err)
	}
	return key, nil
}

func openSecret(spec keys.Spec, private []byte) (*Key, error) {
	if len(private) != spec.Bits()/8 {
		return nil, fmt.Errorf("%w: %d bytes", ErrMaterial, len(private))
	}
	return secretKey(spec, private), nil
}

// secretKey makes a key with a copy of its material.
func secretKey(spec keys.Spec, material []byte) *Key {
	k := &Key{spec: spec, size: uint8(len(material))} //nolint:gosec // G115: at most 64
	if len(material) > shortMaterial {
		k.rest = &rest{long: make([]byte, len(material))}
	}
	copy(k.secret(), material)
	return k
}

// openPrivate completes an asymmetric key with its public half.
func openPrivate(spec keys.Spec, private privateKey, public publicKey) (*Key, error) {
	spki, err := public.marshal()
	if err != nil {
		return nil, fmt.Errorf("%w: encode public key: %w", ErrMaterial, err)
	}
	return &Key{spec: spec, rest: &rest{private: private, public: &PublicKey{spec: spec, key: public, spki: spki}}}, nil
}

// Format never shows the material, whatever the verb.
func (k *Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "["+string(k.spec)+"]") }

// Spec is what k was opened as.
func (k *Key) Spec() keys.Spec { return k.spec }

// Public is the public half of k; nil for a symmetric spec. It stays usable after Wipe.
func (k *Key) Public() *PublicKey {
	if k.rest == nil {
		return nil
	}
	return k.public
}

// half is the private half of k; nil for a symmetric spec.
func (k *Key) half() privateKey {
	if k.rest == nil {
		return nil
	}
	return k.private
}

// Wipe overwrites the material as far as the standard library lets it be reached: its
// internal copies (expanded keys, Montgomery forms) are only left to the garbage
// collector. No other call may be running; later ones answer [ErrWiped].
func (k *Key) Wipe() {
	if k.wiped.Swap(true) {
		return
	}
	clear(k.secret())
	if private := k.half(); private != nil {
		private.wipe()
	}
}

// Sign signs digest, which the caller made as alg does (see [PublicKey.Digest]). PSS salts
// come from rand; NIST ECDSA draws from the system's generator whatever rand is; PKCS #1 v1.5
// needs none. ECDSA and SM2 signatures are ASN.1 DER.
//
// Errors: [ErrAlgorithm], [ErrFIPS], [ErrDigestSize], [ErrWiped], or the reader's.
func (k *Key) Sign(rand io.Reader, alg keys.Algorithm, digest []byte) ([]byte, error) {
	a, err := signatureFor(k.spec, alg, digest)
	if err != nil {
		return nil, err
	}
	if k.wiped.Load() {
		return nil, ErrWiped
	}
	sig, err := k.private.sign(rand, a, digest)
	if err != nil {
		return nil, fmt.Errorf("sign with %s: %w", alg, err)
	}
	return sig, nil
}

// Verify is [PublicKey.Verify] with the public half of k.
func (k *Key) Verify(alg keys.Algorithm, digest, sig []byte) (bool, error) {
	if k.size > 0 {
		_, err := signatureFor(k.spec, alg, digest)
		return false, err
	}
	return k.public.Verify(alg, digest, sig)
}

// Encrypt is [PublicKey.Encrypt] with the public half of k.
func (k *Key) Encrypt(rand io.Reader, alg keys.Algorithm, plaintext []byte) ([]byte, error) {
	if k.size > 0 {
		_, err := algorithmFor(k.spec, alg, keys.UsageEncrypt)
		return nil, err
	}
	return k.public.Encrypt(rand, alg, plaintext)
}

// Decrypt opens a ciphertext of [PublicKey.Encrypt].
//
// Errors: [ErrAlgorithm], [ErrFIPS], [ErrWiped]; for every fault of the ciphertext
// [ErrCiphertext].
func (k *Key) Decrypt(alg keys.Algorithm, ciphertext []byte) ([]byte, error) {
	a, err := algorithmFor(k.spec, alg, keys.UsageEncrypt)
	if err != nil {
		return nil, err
	}
	d, ok := k.half().(decrypter)
	if !ok {
		return nil, fmt.Errorf("%w: %s does not decrypt", ErrAlgorithm, k.spec)
	}
	if k.wiped.Load() {
		return nil, ErrWiped
	}
	return d.decrypt(a, ciphertext)
}
