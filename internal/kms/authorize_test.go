// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"slices"
	"testing"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
)

// mayCall says which roles have an action, in the words of this test.
func mayCall(act keys.Action) []identity.Role {
	switch act {
	case keys.Encrypt, keys.Decrypt, keys.GenerateDataKey, keys.Sign, keys.Verify, keys.GenerateMAC, keys.VerifyMAC,
		keys.ReEncrypt, keys.ExportDataKey:
		return []identity.Role{identity.Admin, identity.User}
	case keys.ReadKey, keys.ReadVersion, keys.ListVersions, keys.ReadPublicKey, keys.ListAliases, keys.ReadVault, keys.ListVaults, keys.ListKeys,
		keys.ReadWork, keys.ListWork, keys.ReadReplica:
		return identity.Roles()
	case keys.ManageIdentity, keys.Assume, keys.ExportKey:
		return []identity.Role{identity.Admin}
	case keys.ReadIdentity:
		return []identity.Role{identity.Admin, identity.Auditor}
	default:
		return []identity.Role{identity.Admin, identity.Operator}
	}
}

// changes reports whether an action changes anything when it is allowed.
func changes(act keys.Action) bool {
	if act == keys.BackupKey || act == keys.BackupVault {
		return false
	}
	may := mayCall(act)
	return act != keys.Assume && act != keys.ExportKey && act != keys.ReadImportParameters && !slices.Contains(may, identity.Auditor) && !slices.Contains(may, identity.User)
}

// ready makes a scene on which m succeeds for whoever may call it.
func (m *method) ready(t testing.TB, w *kmstest.World, vault keys.ID) *scene {
	t.Helper()
	vaultIn(keys.Active)(&scene{World: w, t: t, vault: vault})
	s := newScene(t, w, vault)
	if m.importing() {
		s.imported()
	}
	if m.prepare != nil {
		m.prepare(s)
	}
	return s
}

// by calls m as somebody.
func (m *method) by(s *scene, who kmstest.Tenant) error {
	s.t.Helper()
	return as(s.t, s.World, who, func(c *kms.Call) error { return m.call(s, c) })
}

// TestEachMethodIsOpenToItsRolesOnly calls every method as every role, on the tenant, on the
// vault and on another vault, and as nobody in particular.
func TestEachMethodIsOpenToItsRolesOnly(t *testing.T) {
	t.Parallel()
	groups := map[string][]method{"key": keyMethods(), "data": dataMethods(), "vault": vaultMethods(), "tenant": tenantMethods()}
	for group, methods := range groups {
		t.Run(group, func(t *testing.T) {
			t.Parallel()
			w := kmstest.New(t, kmstest.TwoRegions())
			vault, elsewhere := newVault(t, w, "scene"), newVault(t, w, "elsewhere")
			type caller struct {
				kmstest.Tenant
				role  identity.Role
				reach string
			}
			var callers []caller
			for _, role := range append(identity.Roles(), "") {
				for reach, bound := range map[string]keys.ID{"tenant": {}, "vault": vault, "elsewhere": elsewhere} {
					callers = append(callers, caller{member(t, w, w.Tenant, string(role)+" of "+reach, role, bound), role, reach})
				}
			}
			for _, m := range methods {
				var s *scene
				for _, who := range callers {
					if s == nil {
						s = m.ready(t, w, vault)
					}
					kind := keys.KindDenied
					if slices.Contains(mayCall(m.action), who.role) && (who.reach == "tenant" || (who.reach == "vault" && group != "tenant")) {
						kind = ""
					}
					err := m.by(s, who.Tenant)
					want(t, m.name+" "+string(m.action)+" as "+string(who.role)+" of the "+who.reach, err, kind)
					if err == nil && changes(m.action) {
						s = nil
					}
				}
			}
		})
	}
}

// TestOnlyTheServerItselfSeesEveryTenant tries what no role allows.
func TestOnlyTheServerItselfSeesEveryTenant(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	for name, call := range map[string]func(*kms.Call) error{
		"CreateTenant": func(c *kms.Call) error { return second(w.CreateTenant(t.Context(), c, kms.NewTenant{Name: "third"})) },
		"Scheduled":    func(c *kms.Call) error { return second(w.Scheduled(t.Context(), c, 1)) },
		"AuditEvents":  func(c *kms.Call) error { return second(w.AuditEvents(t.Context(), c, 0, 1)) },
	} {
		want(t, name+" by a tenant's administrator", as(t, w, w.Tenant, call), keys.KindDenied)
		want(t, name+" by the server", call(w.System("test")), "")
	}
}

// TestAnotherTenantLearnsNothing calls every method that names something as the administrator
// of another tenant: with the bare name, and with the owner's where a name of a key may have
// one. It must answer as for something that is not there.
func TestAnotherTenantLearnsNothing(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.TwoRegions())
	vault := newVault(t, w, "scene")
	for _, m := range append(keyMethods(), dataMethods()...) {
		for _, foreign := range []bool{false, true} {
			s := m.ready(t, w, vault)
			s.foreign = foreign
			err := m.by(s, w.Other)
			want(t, m.name+" "+string(m.action), err, keys.KindNotFound)
			s = &scene{World: w, t: t, vault: vault, foreign: foreign, key: &kms.Key{}, ec: &kms.Key{}, mac: &kms.Key{}, old: &kms.Version{}}
			s.key.ID, s.ec.ID, s.mac.ID, s.old.ID = keys.ID{1}, keys.ID{2}, keys.ID{4}, keys.ID{3}
			s.sealed = append([]byte(keys.ID{3}.String()), make([]byte, 100)...)
			missing := m.by(s, w.Other)
			if err.Error() != missing.Error() {
				t.Errorf("%s %s answers %q for another tenant's and %q for nobody's", m.name, m.action, err, missing)
			}
		}
	}
	for _, m := range vaultMethods() {
		want(t, m.name+" "+string(m.action), m.by(m.ready(t, w, vault), w.Other), keys.KindNotFound)
	}
	for _, m := range tenantMethods() {
		switch m.name {
		case "CreateVault", "Vaults", "Keys", "Tags", "Aliases", "Tenants", "WorkRequests", "IssueAccessSession", "IssueKeySession":
			// These are about the caller's own tenant; see TestListsStayWithinTheTenant.
		case "RestoreVaultBackup", "RestoreVault":
			want(t, m.name, m.by(m.ready(t, w, vault), w.Other), keys.KindInvalid) // it is told whose it is not
		default:
			want(t, m.name, m.by(m.ready(t, w, vault), w.Other), keys.KindDenied)
		}
	}
}

// TestAForeignAliasTellsNothing follows an alias in another tenant: whether there is one, and
// whether a grant opens other actions of its key, makes no difference.
func TestAForeignAliasTellsNothing(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	s := newScene(t, w, w.Tenant.Vault)
	s.giveAlias()
	if _, err := w.CreateGrant(t.Context(), w.System("test"), s.key.ID, w.Other.ID, []keys.Action{keys.Encrypt}); err != nil {
		t.Fatal(err)
	}
	read := func(alias string) error {
		return as(t, w, w.Other, func(c *kms.Call) error {
			return second(w.Key(t.Context(), c, kms.KeyRef{Alias: alias, Tenant: w.Tenant.ID, Foreign: true}))
		})
	}
	there, missing := read(s.alias), read("alias/none")
	want(t, "an alias in another tenant", there, keys.KindNotFound)
	if noun := keys.AsError(there).Noun; noun != keys.TypeAlias {
		t.Errorf("what is not found is a %s", noun)
	}
	if there.Error() != missing.Error() {
		t.Errorf("an alias that is there answers %q, one that is not %q", there, missing)
	}
}

// TestAGrantOpensItsActionOnly grants another tenant one action at a time.
func TestAGrantOpensItsActionOnly(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	auditor := member(t, w, w.Other, "auditor", identity.Auditor, keys.ID{})
	bound := member(t, w, w.Other, "bound", identity.Admin, w.Other.Vault)
	all := append(keyMethods(), dataMethods()...)
	for _, m := range all {
		s := m.ready(t, w, w.Tenant.Vault)
		s.foreign = true
		for _, k := range []*kms.Key{s.key, s.ec, s.mac} {
			if _, err := w.CreateGrant(t.Context(), w.System("test"), k.ID, w.Other.ID, m.needs()); err != nil {
				t.Fatal(err)
			}
		}
		name := m.name + " " + string(m.action)
		for _, other := range all {
			if slices.ContainsFunc(other.needs(), func(a keys.Action) bool { return !slices.Contains(m.needs(), a) }) {
				want(t, name+" is granted: "+other.name+" "+string(other.action), other.by(s, w.Other), keys.KindNotFound)
			}
		}
		want(t, name+" is granted, by an administrator of a vault", m.by(s, bound), keys.KindDenied)
		if !slices.Contains(mayCall(m.action), identity.Auditor) {
			want(t, name+" is granted, by an auditor", m.by(s, auditor), keys.KindDenied)
		}
		s.foreign = false
		want(t, name+" is granted, by the bare id", m.by(s, w.Other), keys.KindNotFound)
		s.foreign = true
		want(t, name+" is granted", m.by(s, w.Other), "")
		if m.action == keys.ReadKey {
			err := as(t, w, w.Other, func(c *kms.Call) error {
				return second(w.Key(t.Context(), c, kms.KeyRef{ID: s.key.ID, Tenant: w.Tenant.ID}))
			})
			want(t, "a grant, where the operation takes no other tenant's keys", err, keys.KindNotFound)
		}
	}
}

func TestARemovedGrantIsClosed(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	s := newScene(t, w, w.Tenant.Vault)
	s.foreign = true
	g, err := w.CreateGrant(t.Context(), w.System("test"), s.key.ID, w.Other.ID, []keys.Action{keys.Encrypt})
	if err != nil {
		t.Fatal(err)
	}
	use := func() error {
		return as(t, w, w.Other, func(c *kms.Call) error {
			return second(w.Encrypt(t.Context(), c, kms.EncryptRequest{Key: s.aesRef(), Plaintext: []byte("x")}))
		})
	}
	want(t, "with the grant", use(), "")
	want(t, "removal by the other tenant", as(t, w, w.Other, func(c *kms.Call) error { return w.RemoveGrant(t.Context(), c, g.ID) }), keys.KindDenied)
	must(t, w, func(c *kms.Call) error { return w.RemoveGrant(t.Context(), c, g.ID) })
	want(t, "without it", use(), keys.KindNotFound)
}

// TestAKeyIsFoundAtItsOwnEndpoint calls every method about a key at another vault's endpoint, at
// another region's, and at its vault's own.
func TestAKeyIsFoundAtItsOwnEndpoint(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	vault, elsewhere := newVault(t, w, "scene"), newVault(t, w, "elsewhere")
	inVault := slices.Concat(keyMethods(), dataMethods())
	for _, m := range vaultMethods() {
		if m.name == "Decrypt without a key" {
			inVault = append(inVault, m)
		}
	}
	for _, m := range inVault {
		s := m.ready(t, w, vault)
		at := func(vault keys.ID, region keys.Region) error {
			return as(t, w, w.Tenant, func(c *kms.Call) error {
				c.Vault, c.Region = vault, region
				return m.call(s, c)
			})
		}
		name := m.name + " " + string(m.action)
		want(t, name+" at another vault's endpoint", at(elsewhere, kmstest.Region), keys.KindNotFound)
		want(t, name+" in another region", at(keys.ID{}, "abroad"), keys.KindNotFound)
		want(t, name+" at its vault's endpoint", at(vault, kmstest.Region), "")
	}
	must(t, w, func(c *kms.Call) error {
		c.Vault = elsewhere
		list, err := w.Keys(t.Context(), c, kms.KeyFilter{}, kms.Page{})
		if err == nil && len(list.Items) != 0 {
			t.Errorf("%d keys of another vault are listed at an endpoint", len(list.Items))
		}
		return err
	})
}

func TestListsStayWithinTheTenant(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	s := newScene(t, w, newVault(t, w, "scene"))
	s.giveAlias()
	err := as(t, w, w.Other, func(c *kms.Call) error {
		for _, f := range []kms.KeyFilter{{}, {Vault: s.vault}, {Tenant: w.Tenant.ID}} {
			list, err := w.Keys(t.Context(), c, f, kms.Page{})
			if err != nil || len(list.Items) != 0 {
				t.Errorf("keys: %v, %v", list, err)
			}
		}
		aliases, err := w.Aliases(t.Context(), c, kms.Page{})
		if err != nil || len(aliases.Items) != 0 || aliases.Total != 0 {
			t.Errorf("aliases: %v, %v", aliases, err)
		}
		vaults, err := w.Vaults(t.Context(), c, "", kms.Page{})
		if err != nil || len(vaults.Items) != 1 || vaults.Items[0].ID != w.Other.Vault {
			t.Errorf("vaults: %v, %v", vaults, err)
		}
		tenants, err := w.Tenants(t.Context(), c)
		if err != nil || len(tenants) != 1 || tenants[0].ID != w.Other.ID {
			t.Errorf("tenants: %v, %v", tenants, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestNobodyIsRefusedEverywhere calls every method without a caller.
func TestNobodyIsRefusedEverywhere(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.TwoRegions())
	s := newScene(t, w, w.Tenant.Vault)
	s.giveAlias()
	s.giveMember()
	s.giveGrant()
	methods := append(allMethods(), method{name: "Scheduled", call: func(s *scene, c *kms.Call) error { return second(s.Scheduled(s.t.Context(), c, 1)) }},
		method{name: "AuditEvents", call: func(s *scene, c *kms.Call) error { return second(s.AuditEvents(s.t.Context(), c, 0, 1)) }})
	for _, m := range methods {
		c := &kms.Call{Dialect: "test", Operation: m.name, Region: kmstest.Region, Profile: &kmstest.Profile}
		err := m.call(s, c)
		c.End()
		switch kindOf(err) {
		case keys.KindUnauthenticated, keys.KindDenied, keys.KindNotFound:
		default:
			t.Errorf("%s %s without a caller: %v", m.name, m.action, err)
		}
	}
}

// TestEveryActionHasAMethodHere keeps the tests above complete.
func TestEveryActionHasAMethodHere(t *testing.T) {
	t.Parallel()
	untried := map[keys.Action]string{
		keys.ReadAudit:   "the server itself only: TestOnlyTheServerItselfSeesEveryTenant",
		keys.ResealVault: "the server itself only: TestAReseal",
		keys.RotateRoot:  "no caller's: it is done while nothing serves: TestRotateRoot",
	}
	for _, m := range allMethods() {
		untried[m.action] = "tried"
	}
	for _, act := range identity.Actions() {
		if untried[act] == "" {
			t.Errorf("no method with the action %s is tried", act)
		}
	}
}
