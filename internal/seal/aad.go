// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"encoding/binary"

	"claviger/internal/keys"
)

// Purpose says what a sealed value is for, so that no value can stand in for one of another kind.
type Purpose string

// What is sealed. A new kind of sealed row adds a line here and in docs/formats.md.
const (
	PurposeSystemKEK     Purpose = "system-kek"
	PurposeTenantKEK     Purpose = "tenant-kek"
	PurposeVaultKEK      Purpose = "vault-kek"
	PurposeMaterial      Purpose = "key-material"
	PurposeCredential    Purpose = "credential"
	PurposeSessionKey    Purpose = "session-key"
	PurposeSessionToken  Purpose = "session-token"
	PurposeCursorKey     Purpose = "cursor-key"
	PurposeImportWrapper Purpose = "import-wrapping-key"
	PurposeArchive       Purpose = "archive-key" // the key of a backup, under the root key
	PurposeFingerprint   Purpose = "material-fingerprint"
)

// AAD is the place of a sealed value. A box opens only at the place that it was sealed for.
// A zero ID means that the value is not below such a record.
type AAD struct {
	Purpose Purpose
	Tenant  keys.ID
	Vault   keys.ID
	Key     keys.ID
	Version keys.ID
	// Row is the record itself where it is none of the above: a credential, a session key.
	Row keys.ID
	// Generation is that of the KEK which seals the value.
	Generation int64
}

const aadLabel = "claviger/aad/1"

// Bytes encodes a so that two different places never give equal bytes: every part is preceded
// by its length in one byte, and the generation is 8 bytes, big-endian. A zero ID has length 0.
// Purposes are at most 255 bytes; a longer one panics, since it can only be a mistake in the code.
func (a AAD) Bytes() []byte {
	if len(a.Purpose) > 255 {
		panic("seal: purpose longer than 255 bytes")
	}
	b := make([]byte, 0, 128+len(a.Purpose))
	b = append(b, byte(len(aadLabel)))
	b = append(b, aadLabel...)
	b = append(b, byte(len(a.Purpose))) //nolint:gosec // at most 255, checked above
	b = append(b, a.Purpose...)
	for _, id := range [...]keys.ID{a.Tenant, a.Vault, a.Key, a.Version, a.Row} {
		if id.IsZero() {
			b = append(b, 0)
			continue
		}
		b = append(b, byte(len(id)))
		b = append(b, id[:]...)
	}
	return binary.BigEndian.AppendUint64(b, uint64(a.Generation)) //nolint:gosec // its bits, whatever the sign
}
