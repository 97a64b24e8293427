// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"testing"
	"time"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
)

// TestProtection tries to delete a protected key in every way: itself, a version, its vault.
func TestProtection(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	s := newScene(t, w, newVault(t, w, "scene"))
	protect := func(on bool) {
		t.Helper()
		must(t, w, func(c *kms.Call) error {
			k, err := w.SetProtection(t.Context(), c, s.aesRef(), on, "the ledger's")
			if err == nil && (k.DeletionProtected != on || (k.DeletionProtection == "the ledger's") != on) {
				t.Errorf("protected %t: %t %q", on, k.DeletionProtected, k.DeletionProtection)
			}
			return err
		})
	}
	ways := map[string]func(c *kms.Call) error{
		"version": func(c *kms.Call) error {
			return second(w.ScheduleVersionDeletion(t.Context(), c, s.aesRef(), kms.VersionRef{ID: s.old.ID}, time.Time{}))
		},
		"key": func(c *kms.Call) error { return second(w.ScheduleKeyDeletion(t.Context(), c, s.aesRef(), time.Time{})) },
		"vault": func(c *kms.Call) error {
			return second(w.ScheduleVaultDeletion(t.Context(), c, kms.VaultRef{ID: s.vault}, time.Time{}))
		},
	}
	protect(true)
	protect(true)
	for name, remove := range ways {
		err := as(t, w, w.Tenant, remove)
		want(t, "the protected key's "+name, err, keys.KindProtected)
		if e := keys.AsError(err); e.Noun == "" || e.Hint == "" {
			t.Errorf("%s: %+v names nothing", name, e)
		}
	}
	protect(false)
	for _, name := range []string{"version", "key", "vault"} {
		want(t, "the key's "+name+", no longer protected", as(t, w, w.Tenant, ways[name]), "")
	}
	err := as(t, w, w.Tenant, func(c *kms.Call) error { return second(w.SetProtection(t.Context(), c, s.ecRef(), true, "")) })
	want(t, "protection in a vault that is being deleted", err, keys.KindState)
}
