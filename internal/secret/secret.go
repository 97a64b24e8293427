// SPDX-License-Identifier: Apache-2.0

// Package secret holds bytes that must never be printed. A [Bytes] redacts itself in
// every format, and gives its contents only to a caller that asks by name, so that
// "who reads secrets?" is one search for Reveal.
package secret

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// Bytes is a secret. The zero value is empty. Copies of a Bytes share its contents: wiping
// one wipes all.
//
// The contents lie behind two pointers: fmt prints an unexported field of an enclosing struct
// by reflection, asks no method, and for a verb that does not fit follows one pointer.
type Bytes struct{ p **[]byte }

// New takes ownership of b: the caller must not keep or change it.
func New(b []byte) Bytes {
	p := &b
	return Bytes{p: &p}
}

// Copy makes a secret of a copy of b.
func Copy(b []byte) Bytes { return New(append([]byte(nil), b...)) }

// Reveal returns the contents, shared and not copied. The caller must not change or keep them.
func (s Bytes) Reveal() []byte {
	if s.p == nil {
		return nil
	}
	return **s.p
}

// Len is the number of bytes.
func (s Bytes) Len() int { return len(s.Reveal()) }

// Equal compares in constant time for equal lengths.
func (s Bytes) Equal(t Bytes) bool { return subtle.ConstantTimeCompare(s.Reveal(), t.Reveal()) == 1 }

// Wipe overwrites the contents with zeros.
func (s Bytes) Wipe() { clear(s.Reveal()) }

const redacted = "[secret]"

// Format never shows the contents, whatever the verb.
func (Bytes) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// String never shows the contents.
func (Bytes) String() string { return redacted }

// GoString never shows the contents.
func (Bytes) GoString() string { return redacted }

// MarshalText never shows the contents; it is what JSON and TOML encoders call.
func (Bytes) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue never shows the contents.
func (Bytes) LogValue() slog.Value { return slog.StringValue(redacted) }
