// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"fmt"

	"claviger/internal/keys"
	"claviger/internal/store"
)

// SetProtection turns a key's deletion protection on, with a description that may be empty, or
// off. While it is on neither the key, nor one of its versions, nor its vault can be scheduled
// for deletion: KindProtected.
func (s *Service) SetProtection(ctx context.Context, c *Call, ref KeyRef, on bool, description string) (*Key, error) {
	return s.changeKey(ctx, c, ref, keys.SetProtection, func(_ *mutation, k *keys.Key) error {
		k.DeletionProtected, k.DeletionProtection = on, ""
		if on {
			k.DeletionProtection = description
		}
		return nil
	})
}

// unprotected refuses to delete a protected key, or something of it.
func unprotected(k *keys.Key, noun keys.Type, id keys.ID, act keys.Action) error {
	if !k.DeletionProtected {
		return nil
	}
	return &keys.Error{
		Kind: keys.KindProtected, Noun: noun, ID: id, Action: act,
		Hint: "deletion protection of key " + k.ID.String() + " is on: switch it off first",
	}
}

// holdsNoProtected refuses to delete a vault that holds a protected key.
func (m *mutation) holdsNoProtected(v *keys.Vault) error {
	rows, err := m.tx.Keys(store.KeyQuery{Vault: v.ID, Protected: true, HideDeleted: true, Page: store.Page{Limit: 1}})
	if err != nil || len(rows) == 0 {
		return err
	}
	return &keys.Error{
		Kind: keys.KindProtected, Noun: keys.TypeVault, ID: v.ID, Action: keys.ScheduleVaultDeletion,
		Hint: fmt.Sprintf("deletion protection of key %s, which lies in the vault, is on: switch it off first", rows[0].ID),
	}
}
