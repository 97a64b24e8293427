// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/emmansun/gmsm/sm4"

	"claviger/internal/keys"
)

// Suite tells how an envelope's message key is made.
type Suite uint8

const (
	// SuiteDerived: AES-GCM under a key that HKDF-SHA-256 derives from the material for
	// each message.
	SuiteDerived Suite = 1
	// SuiteToken is reserved for message keys wrapped inside a hardware token.
	SuiteToken Suite = 2
	// SuiteSM4 is SuiteDerived with SM4-GCM (RFC 8998 §3.1) instead of AES-GCM.
	SuiteSM4 Suite = 3
)

// suiteOf is the one suite of a spec; zero for a spec that has no envelope.
func suiteOf(spec keys.Spec) Suite {
	switch spec.Family() {
	case keys.FamilyAES:
		return SuiteDerived
	case keys.FamilySM4:
		return SuiteSM4
	default:
		return 0
	}
}

// Flags are authenticated properties of an envelope's plaintext.
type Flags uint8

// FlagText: the plaintext was given as opaque text; without it, as bytes (canonical base64).
const FlagText Flags = 1

// Header is what an envelope says about itself in the clear, all of it authenticated.
type Header struct {
	Version keys.ID // the key version that sealed it
	Suite   Suite   // zero in Seal means the key's
	Flags   Flags
}

// The layout of an envelope of a derived suite, in bytes; see docs/formats.md.
const (
	versionSize = 36 // UUID text
	suiteAt     = versionSize
	flagsAt     = suiteAt + 1
	saltAt      = flagsAt + 1
	saltSize    = 16
	commitAt    = saltAt + saltSize
	commitSize  = 16
	bodyAt      = commitAt + commitSize
	tagSize     = 16
	nonceSize   = 12

	// Overhead is how much longer an envelope is than its plaintext.
	Overhead = bodyAt + tagSize
)

// ParseHeader reads the header of an envelope without opening it: nothing in it is proved
// until Unseal succeeds. Every fault, an unknown suite or flag among them, is [ErrCiphertext].
func ParseHeader(blob []byte) (Header, error) {
	if len(blob) < Overhead {
		return Header{}, ErrCiphertext
	}
	version, ok := parseVersion(blob[:versionSize])
	h := Header{Version: version, Suite: Suite(blob[suiteAt]), Flags: Flags(blob[flagsAt])}
	if !ok || !h.known() || version.IsZero() {
		return Header{}, ErrCiphertext
	}
	return h, nil
}

// parseVersion reads UUID text without allocating, which keys.ParseID cannot: it takes a
// string. What does not render to the same text again is refused, so that only the
// canonical form remains whatever the decoder lets pass.
func parseVersion(text []byte) (id keys.ID, ok bool) {
	var digits [2 * len(id)]byte
	n := copy(digits[:], text[0:8])
	n += copy(digits[n:], text[9:13])
	n += copy(digits[n:], text[14:18])
	n += copy(digits[n:], text[19:23])
	copy(digits[n:], text[24:])
	if _, err := hex.Decode(id[:], digits[:]); err != nil {
		return keys.ID{}, false
	}
	var rendered [versionSize]byte
	again, _ := id.AppendText(rendered[:0]) // never fails
	return id, bytes.Equal(again, text)
}

func (h Header) known() bool {
	return (h.Suite == SuiteDerived || h.Suite == SuiteSM4) && h.Flags&^FlagText == 0
}

// Seal encrypts plaintext into an envelope that only this material under the same keyID,
// h.Version and context opens. The context is as [CanonicalContext] makes it; it is
// authenticated, not stored. rand gives the 16-byte salt, which is all that keeps two
// messages apart.
//
// Errors: [ErrHeader], [ErrAlgorithm] (not an AES or SM4 key), [ErrWiped], or the reader's.
func (k *Key) Seal(rand io.Reader, keyID keys.ID, h Header, context, plaintext []byte) ([]byte, error) {
	suite := suiteOf(k.spec)
	if suite == 0 {
		return nil, k.noEnvelope()
	}
	if h.Suite == 0 {
		h.Suite = suite
	}
	if !h.known() || h.Suite != suite || h.Version.IsZero() || keyID.IsZero() {
		return nil, ErrHeader
	}
	out := make([]byte, 0, Overhead+len(plaintext))
	out, _ = h.Version.AppendText(out) // never fails
	out = append(out, byte(h.Suite), byte(h.Flags))
	out = out[:bodyAt]
	if _, err := io.ReadFull(rand, out[saltAt:commitAt]); err != nil {
		return nil, fmt.Errorf("read salt: %w", err)
	}
	m, err := k.messageKey(keyID, h, out[saltAt:commitAt])
	if err != nil {
		return nil, err
	}
	copy(out[commitAt:], m.commitment)
	return m.aead.Seal(out, m.nonce, plaintext, authenticated(out, context)), nil
}

// Unseal opens an envelope of [Key.Seal] and returns the header, now proved. The
// commitment is compared before the body is touched, so a ciphertext opens under one key
// only.
//
// Errors: [ErrAlgorithm] (not an AES or SM4 key), [ErrWiped]; for every fault of the
// envelope, the ids or the context [ErrCiphertext].
func (k *Key) Unseal(keyID keys.ID, blob, context []byte) ([]byte, Header, error) {
	suite := suiteOf(k.spec)
	if suite == 0 {
		return nil, Header{}, k.noEnvelope()
	}
	h, err := ParseHeader(blob)
	if err != nil {
		return nil, Header{}, err
	}
	if h.Suite != suite {
		return nil, Header{}, ErrCiphertext
	}
	m, err := k.messageKey(keyID, h, blob[saltAt:commitAt])
	if err != nil {
		return nil, Header{}, err
	}
	if subtle.ConstantTimeCompare(m.commitment, blob[commitAt:bodyAt]) != 1 {
		return nil, Header{}, ErrCiphertext
	}
	plaintext, err := m.aead.Open(nil, m.nonce, blob[bodyAt:], authenticated(blob, context))
	if err != nil {
		return nil, Header{}, ErrCiphertext
	}
	return plaintext, h, nil
}

// authenticated is the additional data: everything before the body, then the context. The
// first part's length is fixed, so the two cannot be confused.
func authenticated(blob, context []byte) []byte {
	if len(context) == 0 {
		return blob[:bodyAt]
	}
	b := make([]byte, 0, bodyAt+len(context))
	return append(append(b, blob[:bodyAt]...), context...)
}

// messageKey is what one message is sealed with.
type messageKey struct {
	aead       cipher.AEAD
	nonce      []byte
	commitment []byte
}

const (
	infoLabel = "claviger/env/1"
	infoSize  = len(infoLabel) + 1 + 16 + 16 + 2
)

// messageKey derives key, nonce and commitment in one HKDF output (RFC 5869).
func (k *Key) messageKey(keyID keys.ID, h Header, salt []byte) (messageKey, error) {
	if k.wiped.Load() {
		return messageKey{}, ErrWiped
	}
	material := k.secret()
	size := len(material)
	length := size + nonceSize + commitSize
	var info [infoSize]byte
	b := append(info[:0], infoLabel...)
	b = append(b, byte(h.Suite))
	b = append(b, keyID[:]...)
	b = append(b, h.Version[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(length)) //nolint:gosec // G115: at most 60
	okm, err := hkdf.Key(sha256.New, material, salt, string(b), length)
	if err != nil {
		return messageKey{}, fmt.Errorf("derive message key: %w", err)
	}
	aead, err := newAEAD(h.Suite, okm[:size])
	clear(okm[:size])
	if err != nil {
		return messageKey{}, fmt.Errorf("derive message key: %w", err)
	}
	return messageKey{aead: aead, nonce: okm[size : size+nonceSize], commitment: okm[size+nonceSize:]}, nil
}

func (k *Key) noEnvelope() error { return fmt.Errorf("%w: %s has no envelope", ErrAlgorithm, k.spec) }

func newAEAD(suite Suite, key []byte) (cipher.AEAD, error) {
	if suite != SuiteSM4 {
		return newGCM(key)
	}
	block, err := sm4.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// newGCM is AES-GCM with a 96-bit nonce of our choice. While FIPS 140-3 is enforced the
// library refuses such nonces, because it cannot see that they do not repeat. Here they
// cannot: each key is derived for one message, and the nonce with it, by an approved KDF
// from an approved generator's salt.
func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	if !fips140.Enforced() {
		return cipher.NewGCM(block)
	}
	var aead cipher.AEAD
	fips140.WithoutEnforcement(func() { aead, err = cipher.NewGCM(block) })
	return aead, err
}
