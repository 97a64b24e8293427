// SPDX-License-Identifier: Apache-2.0

// Package seal is the root of trust. A [Seal] holds the root key and never gives it out; it
// wraps the system KEK and nothing else. Below it every key is sealed under the next higher
// one with [SealBox]:
//
//	root key → system KEK → tenant KEK → vault KEK → version material
//
// What every sealed value is for is bound by an [AAD], so that a row moved to another place
// does not open. Rows that are readable but must not be changed carry a [MAC].
//
// The package never logs, never reads a clock, and keeps no state but a seal's own key.
package seal

import (
	"context"
	"errors"
	"fmt"

	"claviger/internal/secret"
)

// A Seal wraps and unwraps small secrets under a root key that never leaves it. Its methods
// may be called concurrently. Every implementation passes the suite of package sealtest.
type Seal interface {
	// ID names the root key: 16 lower-case hex digits, the same whenever and wherever
	// that root key is opened. It may be stored and shown in the clear.
	ID() string

	// Wrap seals plaintext so that only this root key and the same aad open it. Two calls
	// never give equal bytes. Errors: [ErrClosed], or what the randomness or device says.
	Wrap(ctx context.Context, plaintext secret.Bytes, aad []byte) ([]byte, error)

	// Unwrap opens what Wrap made. Errors: [*WrongRootError] if the bytes name another
	// root key, [ErrOpen] if they are damaged or aad differs, [ErrClosed].
	Unwrap(ctx context.Context, wrapped, aad []byte) (secret.Bytes, error)

	// Close forgets the root key. Wrap and Unwrap fail from then on; ID does not.
	Close() error
}

// ErrOpen says that sealed bytes do not open. It is one error for every cause, since a wrong
// key, a wrong place and a changed byte cannot be told apart.
var ErrOpen = errors.New("does not open: damaged, moved from another place, or sealed under another key")

// ErrClosed says that a seal was used after Close.
var ErrClosed = errors.New("the seal is closed")

// WrongRootError says that something was sealed under another root key than the seal holds.
type WrongRootError struct {
	Want string // the ID of the root key that sealed it
	Have string // the ID of the root key that the seal holds
}

// Error names both root keys; IDs are no secrets.
func (e *WrongRootError) Error() string {
	return fmt.Sprintf("sealed by root key %s, but this seal holds root key %s", e.Want, e.Have)
}

// CheckRoot compares the root key that s holds with want, the ID that was stored when the
// data was sealed. The error is a [*WrongRootError].
func CheckRoot(s Seal, want string) error {
	if several, ok := s.(interface{ Holds(id string) bool }); ok && several.Holds(want) {
		return nil
	}
	if have := s.ID(); have != want {
		return &WrongRootError{Want: want, Have: have}
	}
	return nil
}
