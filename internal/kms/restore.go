// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"io"

	"claviger/internal/keys"
)

// InspectBackup reads the manifest at the beginning of a backup. Nothing of it is verified: it
// tells which vault or key a restore would be about. What is no backup is KindInvalid, field "backup".
func (s *Service) InspectBackup(_ io.Reader) (*Manifest, error) {
	return nil, &keys.Error{Kind: keys.KindNotImplemented}
}

// RestoreKeyBackup brings a key back from a backup of it, into its own vault, with its ids, times,
// states and schedules. r is read twice from its beginning: the first time to verify all of it,
// before anything is changed. The key is there from the last transaction on, and before it, where
// there is more than one, in state RESTORING.
//
// Errors: KindInvalid, field "backup", for what is damaged, encrypted to somebody else, of a newer
// format, or of another tenant, region or kind; KindNotFound, noun vault, where the key's vault is not
// there; KindState where the vault is not active, and, with State DELETED, where the key was erased
// here; KindExists where the key exists; KindLimit; KindDenied.
func (s *Service) RestoreKeyBackup(_ context.Context, _ *Call, _ io.ReadSeeker, _ Progress) (*Key, error) {
	return nil, &keys.Error{Kind: keys.KindNotImplemented}
}

// RestoreVaultBackup is RestoreKeyBackup for a vault and the keys that the backup holds. The vault
// goes into a compartment, named as in [NewVault], and gets the endpoint that it had where that
// is free. KindExists where the vault exists; KindState, with State DELETED, where it was erased
// here; KindRelatedNotFound, noun compartment, where there is no such compartment.
func (s *Service) RestoreVaultBackup(_ context.Context, _ *Call, _ string, _ io.ReadSeeker, _ Progress) (*Vault, error) {
	return nil, &keys.Error{Kind: keys.KindNotImplemented}
}
