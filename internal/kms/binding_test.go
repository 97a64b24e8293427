// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"testing"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
)

// TestRolesAreOnVaultsOfTheSameTenant tries to give a role on a vault that is another tenant's,
// or nobody's, in both ways that give roles.
func TestRolesAreOnVaultsOfTheSameTenant(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	for name, vault := range map[string]keys.ID{"another tenant's": w.Other.Vault, "nobody's": {1}} {
		_, err := w.CreatePrincipal(t.Context(), w.System("test"), kms.NewPrincipal{
			Tenant: w.Tenant.ID, Name: "new", Role: identity.User, Vault: vault,
		})
		want(t, "create principal, vault "+name, err, keys.KindNotFound)
		want(t, "set role, vault "+name, w.SetRole(t.Context(), w.System("test"), w.Tenant.Principal, identity.User, vault), keys.KindNotFound)
	}
	all, err := w.Principals(t.Context(), w.System("test"), w.Tenant.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.Name == "new" {
			t.Error("a principal whose role was refused is there")
		}
	}
	_, err = w.CreatePrincipal(t.Context(), w.System("test"), kms.NewPrincipal{
		Tenant: w.Tenant.ID, Name: "new", Role: identity.User, Vault: w.Tenant.Vault,
	})
	want(t, "create principal, the tenant's vault", err, "")
}
