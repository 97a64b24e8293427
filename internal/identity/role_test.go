// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"slices"
	"strings"
	"testing"

	"claviger/internal/identity"
	"claviger/internal/keys"
)

var (
	tenant, foreign  = keys.ID{1}, keys.ID{2}
	vault, elsewhere = keys.ID{3}, keys.ID{4}
	somebody         = keys.ID{5}
)

// rights is who may do what, written down a second time on purpose: a change of the table
// in the code must be meant.
func rights() map[keys.Action]string {
	const (
		everybody = "admin auditor operator user"
		manage    = "admin operator"
		use       = "admin user"
		look      = "admin auditor"
	)
	out := map[keys.Action]string{keys.ExportKey: "admin", keys.ManageIdentity: "admin", keys.ReadIdentity: look, keys.ReadAudit: look, keys.Assume: "admin", keys.ResealVault: "", keys.RotateRoot: ""}
	for _, a := range []keys.Action{
		keys.ReadVault, keys.ListVaults, keys.ReadKey, keys.ListKeys, keys.ListAliases, keys.ReadVersion, keys.ReadWork, keys.ListWork,
		keys.ListVersions, keys.ReadPublicKey, keys.ReadReplica,
	} {
		out[a] = everybody
	}
	for _, a := range []keys.Action{
		keys.CreateVault, keys.UpdateVault, keys.MoveVault, keys.ScheduleVaultDeletion, keys.CancelVaultDeletion,
		keys.CreateKey, keys.UpdateKey, keys.MoveKey, keys.EnableKey, keys.DisableKey, keys.EnsureEnabled,
		keys.EnsureDisabled, keys.ScheduleKeyDeletion, keys.CancelKeyDeletion, keys.RestoreKey, keys.SetRotation,
		keys.SetProtection, keys.TagKey, keys.Rotate, keys.CreateAlias, keys.UpdateAlias, keys.DeleteAlias,
		keys.ScheduleVersionDeletion, keys.CancelVersionDeletion, keys.ReadImportParameters, keys.ImportMaterial, keys.DeleteMaterial,
		keys.BackupVault, keys.BackupKey, keys.RestoreVaultBackup, keys.RestoreKeyBackup, keys.CreateReplica, keys.DeleteReplica,
	} {
		out[a] = manage
	}
	for _, a := range []keys.Action{
		keys.Encrypt, keys.Decrypt, keys.GenerateDataKey, keys.Sign, keys.Verify, keys.GenerateMAC, keys.VerifyMAC,
	} {
		out[a] = use
	}
	return out
}

func holder(role identity.Role, vault keys.ID) *identity.Caller {
	p := &identity.Principal{ID: somebody, Tenant: tenant, Name: string(role)}
	return identity.NewCaller(p, keys.ID{6}, []*identity.Binding{{Tenant: tenant, Principal: somebody, Role: role, Vault: vault}})
}

// TestEveryActionIsDeniedToEveryRoleThatLacksIt goes through every action and role: on the
// tenant, on one vault, on another vault, on another tenant with and without a grant.
func TestEveryActionIsDeniedToEveryRoleThatLacksIt(t *testing.T) {
	t.Parallel()
	table := rights()
	for _, action := range identity.Actions() {
		names, known := table[action]
		if !known {
			t.Errorf("%s has no row in this test: say who may do it", action)
		}
		delete(table, action)
		for _, role := range identity.Roles() {
			has := slices.Contains(strings.Fields(names), string(role))
			granted := []*keys.Grant{{Grantee: tenant, Actions: []keys.Action{action}}}
			others := []*keys.Grant{{Grantee: keys.ID{9}, Actions: []keys.Action{action}}, {Grantee: tenant, Actions: []keys.Action{"Other"}}}
			for _, tt := range []struct {
				name   string
				caller *identity.Caller
				on     identity.Resource
				want   bool
			}{
				{"on its tenant", holder(role, keys.ID{}), identity.Resource{Tenant: tenant}, has},
				{"on a vault of its tenant", holder(role, keys.ID{}), identity.Resource{Tenant: tenant, Vault: vault}, has},
				{"bound to the vault", holder(role, vault), identity.Resource{Tenant: tenant, Vault: vault}, has},
				{"bound to a vault, on the tenant", holder(role, vault), identity.Resource{Tenant: tenant}, false},
				{"bound to another vault", holder(role, elsewhere), identity.Resource{Tenant: tenant, Vault: vault}, false},
				{"in another tenant", holder(role, keys.ID{}), identity.Resource{Tenant: foreign, Vault: vault}, false},
				{"in another tenant, bound to a vault of that id", holder(role, vault), identity.Resource{Tenant: foreign, Vault: vault}, false},
				{"granted", holder(role, keys.ID{}), identity.Resource{Tenant: foreign, Vault: vault, Grants: granted}, has},
				{"granted, but bound to a vault only", holder(role, vault), identity.Resource{Tenant: foreign, Vault: vault, Grants: granted}, false},
				{"granted to others or for others", holder(role, keys.ID{}), identity.Resource{Tenant: foreign, Vault: vault, Grants: others}, false},
			} {
				if got := tt.caller.May(action, tt.on); got != tt.want {
					t.Errorf("%s as %s, %s: %t, want %t", action, role, tt.name, got, tt.want)
				}
			}
		}
	}
	for action := range table {
		t.Errorf("%s is in no role's rights", action)
	}
}

func TestNobodyMayDoWhatIsInNoTable(t *testing.T) {
	t.Parallel()
	on := identity.Resource{Tenant: tenant}
	for _, role := range identity.Roles() {
		if holder(role, keys.ID{}).May("MakeCoffee", on) {
			t.Errorf("%s may do an unknown action", role)
		}
	}
	if holder("root", keys.ID{}).May(keys.ReadKey, on) {
		t.Error("an unknown role may read")
	}
	if !identity.NewSystem("server").May("MakeCoffee", on) {
		t.Error("the server itself is refused")
	}
}

func TestBindingsOfOthersAreIgnored(t *testing.T) {
	t.Parallel()
	p := &identity.Principal{ID: somebody, Tenant: tenant}
	c := identity.NewCaller(p, keys.ID{}, []*identity.Binding{
		{Tenant: tenant, Principal: keys.ID{8}, Role: identity.Admin},
		{Tenant: foreign, Principal: somebody, Role: identity.Admin},
		{Tenant: tenant, Principal: somebody, Role: identity.Auditor, Vault: vault},
		{Tenant: tenant, Principal: somebody, Role: identity.User, Vault: vault},
	})
	on := identity.Resource{Tenant: tenant, Vault: vault}
	if c.May(keys.CreateKey, on) || c.IsAdmin() {
		t.Error("a binding of somebody else, or in another tenant, counts")
	}
	if !c.May(keys.Encrypt, on) || !c.May(keys.ReadKey, on) {
		t.Error("one of two roles on a vault does not count")
	}
}

func TestWhoIsAdministratorAndWhoIsTheServer(t *testing.T) {
	t.Parallel()
	for _, role := range identity.Roles() {
		if got := holder(role, keys.ID{}).IsAdmin(); got != (role == identity.Admin) {
			t.Errorf("%s is administrator: %t", role, got)
		}
	}
	if holder(identity.Admin, vault).IsAdmin() {
		t.Error("the administrator of a vault administers the tenant")
	}
	var nobody *identity.Caller
	if nobody.System() || holder(identity.Admin, keys.ID{}).System() || !identity.NewSystem("x").System() {
		t.Error("System is wrong")
	}
	if identity.Role("root").Valid() || !identity.Operator.Valid() {
		t.Error("Valid is wrong")
	}
}
