// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// ID identifies a record: 16 random bytes, never reused. The zero ID means none.
type ID [16]byte

// NewID reads a fresh ID from rand.
func NewID(rand io.Reader) (ID, error) {
	var id ID
	if _, err := io.ReadFull(rand, id[:]); err != nil {
		return ID{}, fmt.Errorf("read random id: %w", err)
	}
	return id, nil
}

// WrappingKeyID is the ID of a vault's wrapping key: the hidden key under which material comes into
// the vault. It follows from the vault's, so that it is known before the key is made.
func WrappingKeyID(vault ID) ID {
	sum := sha256.Sum256(append([]byte("wrapping key"), vault[:]...))
	return ID(sum[:16])
}

// IsZero reports whether id is the zero ID.
func (id ID) IsZero() bool { return id == ID{} }

// String renders id as lower-case UUID text (RFC 9562 §4), 36 characters.
func (id ID) String() string {
	var b [36]byte
	id.put(b[:])
	return string(b[:])
}

// AppendText appends the UUID text of id to b.
func (id ID) AppendText(b []byte) ([]byte, error) {
	n := len(b)
	b = append(b, make([]byte, 36)...)
	id.put(b[n:])
	return b, nil
}

func (id ID) put(b []byte) {
	hex.Encode(b[0:8], id[0:4])
	b[8] = '-'
	hex.Encode(b[9:13], id[4:6])
	b[13] = '-'
	hex.Encode(b[14:18], id[6:8])
	b[18] = '-'
	hex.Encode(b[19:23], id[8:10])
	b[23] = '-'
	hex.Encode(b[24:36], id[10:16])
}

// MarshalText is the UUID text.
func (id ID) MarshalText() ([]byte, error) { return id.AppendText(nil) }

// UnmarshalText reads UUID text, as [ParseID] does; empty text is the zero ID.
func (id *ID) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*id = ID{}
		return nil
	}
	parsed, err := ParseID(string(b))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

var errID = errors.New("not a lower-case UUID")

// ParseID reads exactly the form that String writes; upper case is refused so that
// one record has one name.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 36 {
		return ID{}, errID
	}
	at := 0
	for i := 0; i < 36; {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if s[i] != '-' {
				return ID{}, errID
			}
			i++
			continue
		}
		hi, lo := nibble(s[i]), nibble(s[i+1])
		if hi > 15 || lo > 15 {
			return ID{}, errID
		}
		id[at] = hi<<4 | lo
		at++
		i += 2
	}
	return id, nil
}

func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

// Type tells what kind of record an [ID] names.
type Type string

// The record types that have an ID.
const (
	TypeTenant      Type = "tenant"
	TypeCompartment Type = "compartment"
	TypePrincipal   Type = "principal"
	TypeCredential  Type = "credential"
	TypeVault       Type = "vault"
	TypeReplica     Type = "replica"
	TypeKey         Type = "key"
	TypeVersion     Type = "keyversion"
	TypeAlias       Type = "alias"
	TypeGrant       Type = "grant"
	TypeBinding     Type = "binding"
	TypeWork        Type = "workrequest"
	TypeKEK         Type = "kek"     // in the change feed: the KEKs of the tenant or vault with this ID (zero: the system) are others
	TypeSession     Type = "session" // has no record: its token holds all there is
)
