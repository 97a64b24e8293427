// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"io"

	"claviger/internal/archive"
	"claviger/internal/keys"
)

// Manifest says what a backup holds.
type Manifest = archive.Manifest

// Progress hears how far a backup or restore has come, in records of about equal work. total
// stays the same throughout; it is called on the goroutine of the call, and may be nil.
type Progress func(done, total int)

// WriteKeyBackup writes a backup of one key with all of its versions to w: everything is as of
// one revision of the store. The key and its material are encrypted to the configured recovery
// recipients, or, without any, under the root key. The call's IfMatch is honoured. w is written to
// outside of any transaction and may be slow. After an error what w received is of no use.
//
// Errors: those of finding the key, KindDenied, KindState where [keys.BackupKey] is not allowed.
// An error of w is in the chain.
func (s *Service) WriteKeyBackup(_ context.Context, _ *Call, _ KeyRef, _ io.Writer, _ Progress) (*Manifest, error) {
	return nil, &keys.Error{Kind: keys.KindNotImplemented}
}

// WriteVaultBackup is WriteKeyBackup for a vault: with all of its keys, or the vault's own record alone.
func (s *Service) WriteVaultBackup(_ context.Context, _ *Call, _ VaultRef, _ bool, _ io.Writer, _ Progress) (*Manifest, error) {
	return nil, &keys.Error{Kind: keys.KindNotImplemented}
}
