// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"fmt"
	"io"

	"claviger/internal/secret"
)

// KeySize is the size of every KEK and of the root key: 32 bytes, for AES-256.
const KeySize = 32

// Sizes of a box.
const (
	boxVersion = 1
	nonceSize  = 12
	tagSize    = 16

	// BoxOverhead is how many bytes a box is longer than its plaintext.
	BoxOverhead = 1 + nonceSize + tagSize
)

// NewKey reads a fresh KEK from rand.
func NewKey(rand io.Reader) (secret.Bytes, error) {
	b := make([]byte, KeySize)
	if _, err := io.ReadFull(rand, b); err != nil {
		return secret.Bytes{}, fmt.Errorf("read random key: %w", err)
	}
	return secret.New(b), nil
}

// SealBox encrypts plaintext under kek with AES-256-GCM and binds aad, which is not stored:
// [OpenBox] must be given the same. The box is a version byte, a 12-byte random nonce, the
// ciphertext and the 16-byte tag; the version byte is authenticated too.
//
// One KEK may seal 2^32 boxes before random nonces become likely to repeat (NIST SP 800-38D
// §8.3). The bound is far: a vault KEK seals one box per key version and a tenant KEK one per
// vault and credential, so a million rotations a day reach it after eleven years, and every
// rotation of a KEK starts anew. No data of callers is sealed with it.
func SealBox(rand io.Reader, kek secret.Bytes, aad []byte, plaintext secret.Bytes) ([]byte, error) {
	return appendBox([]byte{boxVersion}, rand, kek, aad, plaintext)
}

// OpenBox opens what [SealBox] made. The error is [ErrOpen] for a wrong key, another aad or any
// changed byte, and says more only where the bytes cannot be a box at all.
func OpenBox(kek secret.Bytes, aad, box []byte) (secret.Bytes, error) {
	if len(box) < BoxOverhead {
		return secret.Bytes{}, fmt.Errorf("sealed bytes are truncated to %d of at least %d: %w", len(box), BoxOverhead, ErrOpen)
	}
	if box[0] != boxVersion {
		return secret.Bytes{}, fmt.Errorf("sealed bytes have version %d, known is %d: %w", box[0], boxVersion, ErrOpen)
	}
	return openBox(kek, box[:1], aad, box[1:])
}

// appendBox appends nonce, ciphertext and tag to head, which is authenticated before aad. Since
// each format has a head of one length, head and aad cannot run into each other.
func appendBox(head []byte, rand io.Reader, kek secret.Bytes, aad []byte, plaintext secret.Bytes) ([]byte, error) {
	block, err := newCipher(kek)
	if err != nil {
		return nil, err
	}
	out := make([]byte, len(head), len(head)+nonceSize+plaintext.Len()+tagSize)
	copy(out, head)
	bound := join(head, aad)
	if fips140.Enforced() {
		// In FIPS-only mode nonces must come from the validated module itself.
		gcm, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, fmt.Errorf("set up AES-GCM: %w", err)
		}
		return gcm.Seal(out, nil, plaintext.Reveal(), bound), nil //nolint:gosec // this AEAD makes its nonce itself
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("set up AES-GCM: %w", err)
	}
	nonce := out[len(head) : len(head)+nonceSize]
	if _, err := io.ReadFull(rand, nonce); err != nil {
		return nil, fmt.Errorf("read random nonce: %w", err)
	}
	return gcm.Seal(out[:len(head)+nonceSize], nonce, plaintext.Reveal(), bound), nil
}

func openBox(kek secret.Bytes, head, aad, body []byte) (secret.Bytes, error) {
	block, err := newCipher(kek)
	if err != nil {
		return secret.Bytes{}, err
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block) // reads the nonce from the front of body
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("set up AES-GCM: %w", err)
	}
	plaintext, err := gcm.Open(nil, nil, body, join(head, aad))
	if err != nil {
		return secret.Bytes{}, ErrOpen
	}
	return secret.New(plaintext), nil
}

func newCipher(kek secret.Bytes) (cipher.Block, error) {
	if kek.Len() != KeySize {
		return nil, fmt.Errorf("the key has %d bytes, must have %d", kek.Len(), KeySize)
	}
	block, err := aes.NewCipher(kek.Reveal())
	if err != nil {
		return nil, fmt.Errorf("set up AES: %w", err)
	}
	return block, nil
}

func join(a, b []byte) []byte {
	return append(append(make([]byte, 0, len(a)+len(b)), a...), b...)
}
