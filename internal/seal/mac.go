// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"

	"claviger/internal/secret"
)

// MACSize is the size of a row's MAC in bytes.
const MACSize = sha256.Size

// DeriveKey gives the 32-byte key that kek has for label: HKDF-SHA-256 (RFC 5869) with no salt
// and the info "claviger/derive/1 " + label. Keys of different labels say nothing about each other
// or about kek. It panics if kek is not a key of [KeySize] bytes: deriving from anything else
// would make a key that an attacker can guess, and there is no safe answer.
func DeriveKey(kek secret.Bytes, label string) secret.Bytes {
	return derive(kek, "claviger/derive/1 "+label)
}

func derive(kek secret.Bytes, info string) secret.Bytes {
	if kek.Len() != KeySize {
		panic(fmt.Sprintf("seal: derive from a key of %d bytes, must have %d", kek.Len(), KeySize))
	}
	b, err := hkdf.Key(sha256.New, kek.Reveal(), nil, info, KeySize)
	if err != nil {
		panic("seal: HKDF-SHA-256 of 32 bytes: " + err.Error())
	}
	return secret.New(b)
}

// MAC authenticates a row that is stored in the clear: HMAC-SHA-256 over the fields, under the key
// that HKDF-SHA-256 derives from kek with the info "claviger/mac/1 " + label. The number of fields
// and the length of each are part of it, so that no two lists of fields give the same input. The
// label says what kind of row it is. It panics as [DeriveKey] does.
func MAC(kek secret.Bytes, label string, fields ...[]byte) [MACSize]byte {
	key := derive(kek, "claviger/mac/1 "+label)
	defer key.Wipe()
	h := hmac.New(sha256.New, key.Reveal())
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(fields)))
	h.Write(n[:])
	for _, f := range fields {
		binary.BigEndian.PutUint64(n[:], uint64(len(f)))
		h.Write(n[:])
		h.Write(f)
	}
	var mac [MACSize]byte
	h.Sum(mac[:0])
	return mac
}

// CheckMAC reports whether mac is the [MAC] of the fields, in constant time. A mac of another
// length is never right.
func CheckMAC(kek secret.Bytes, label string, mac []byte, fields ...[]byte) bool {
	want := MAC(kek, label, fields...)
	return subtle.ConstantTimeCompare(want[:], mac) == 1
}
