// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/secret"
	"claviger/internal/store"
)

// scene is what a method is tried on, all of it in one vault.
type scene struct {
	*kmstest.World
	t       testing.TB
	vault   keys.ID
	key, ec *kms.Key
	mac     *kms.Key
	old     *kms.Version // of key, which has a newer one
	sealed  []byte       // under key
	alias   string       // of key, when a method wants one
	replica keys.ID      // of the vault, when a method wants one
	foreign bool         // the caller names the keys as another tenant's

	again kms.ImportMaterialRequest // of the material that key has, where it is imported

	// What methods of identities are tried on, when one wants them.
	work       keys.ID
	member     kmstest.Tenant
	credential *identity.CredentialRow
	grant      *keys.Grant
	backup     []byte // of a key or vault that is lost
}

func newScene(t testing.TB, w *kmstest.World, vault keys.ID) *scene {
	t.Helper()
	s := &scene{World: w, t: t, vault: vault}
	aes, ec := wish(keys.AES256), wish(keys.ECP256)
	aes.Vault, ec.Vault = s.vault, s.vault
	s.key, s.ec = newKey(t, w, aes), newKey(t, w, ec)
	mac := wish(keys.HMACSM3)
	mac.Vault = s.vault
	s.mac = newKey(t, w, mac)
	s.old = version(t, w, s.key.ID, 1)
	rotate(t, w, s.key.ID)
	var err error
	if s.sealed, err = encrypt(t, w, s.key.ID); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *scene) ref(id keys.ID) kms.KeyRef {
	if s.foreign {
		return kms.KeyRef{ID: id, Tenant: s.Tenant.ID, Foreign: true}
	}
	return kms.KeyRef{ID: id}
}

func (s *scene) aesRef() kms.KeyRef { return s.ref(s.key.ID) }
func (s *scene) ecRef() kms.KeyRef  { return s.ref(s.ec.ID) }

// source is the scene's ciphertext, its key named.
func (s *scene) source() kms.DecryptRequest {
	ref := s.aesRef()
	return kms.DecryptRequest{Key: &ref, Ciphertext: s.sealed}
}

func (s *scene) macRequest() kms.MACRequest {
	return kms.MACRequest{Key: s.ref(s.mac.ID), Algorithm: keys.MACSM3, Message: []byte("x")}
}

// vaultIn brings the scene's vault into a state.
func vaultIn(state keys.State) func(*scene) {
	return func(s *scene) {
		must(s.t, s.World, func(c *kms.Call) error {
			v, err := s.Vault(s.t.Context(), c, kms.VaultRef{ID: s.vault})
			if err != nil || v.State == state {
				return err
			}
			if state == keys.Active {
				return second(s.CancelVaultDeletion(s.t.Context(), c, kms.VaultRef{ID: s.vault}))
			}
			return second(s.ScheduleVaultDeletion(s.t.Context(), c, kms.VaultRef{ID: s.vault}, time.Time{}))
		})
	}
}

func (s *scene) giveAlias() {
	s.alias = "alias/" + s.key.ID.String()
	must(s.t, s.World, func(c *kms.Call) error { return s.CreateAlias(s.t.Context(), c, s.alias, s.ref(s.key.ID)) })
}

func (s *scene) giveReplica() {
	must(s.t, s.World, func(c *kms.Call) error {
		r, err := s.CreateReplica(s.t.Context(), c, kms.VaultRef{ID: s.vault}, kmstest.Away)
		if err == nil {
			s.replica = r.Replica.ID
		}
		return err
	})
}

func (s *scene) takeReplica() {
	err := as(s.t, s.World, s.World.Tenant, func(c *kms.Call) error {
		return second(s.DeleteReplica(s.t.Context(), c, kms.VaultRef{ID: s.vault}, kmstest.Away))
	})
	if err != nil && !keys.IsKind(err, keys.KindNotFound) {
		s.t.Fatal(err)
	}
}

// method is one use case: who may call it, and how it is called so that it succeeds.
type method struct {
	action  keys.Action
	name    string // of the method
	prepare func(*scene)
	call    func(*scene, *kms.Call) error
}

// needs are the actions that a method is authorized and stepped as, in the order in which it asks.
func (m *method) needs() []keys.Action {
	switch m.action {
	case keys.ReEncrypt:
		return []keys.Action{keys.Encrypt, keys.Decrypt}
	case keys.ExportDataKey:
		return []keys.Action{keys.Decrypt}
	default:
		return []keys.Action{m.action}
	}
}

// importing reports whether m is about keys of imported material.
func (m *method) importing() bool {
	switch m.action {
	case keys.ReadImportParameters, keys.ImportMaterial, keys.DeleteMaterial:
		return true
	default:
		return false
	}
}

func keyMethods() []method {
	disabled := func(s *scene) {
		if err := change(s.t, s.World, s.key.ID, keys.DisableKey); err != nil {
			s.t.Fatal(err)
		}
	}
	pending := func(s *scene) { scheduleKey(s.t, s.World, s.key.ID, 10) }
	byState := func(act keys.Action, prepare func(*scene)) method {
		return method{act, "ChangeKeyState", prepare, func(s *scene, c *kms.Call) error {
			_, err := s.ChangeKeyState(s.t.Context(), c, s.aesRef(), act)
			return err
		}}
	}
	return []method{
		{keys.ReadKey, "Key", nil, func(s *scene, c *kms.Call) error { return second(s.Key(s.t.Context(), c, s.aesRef())) }},
		{keys.UpdateKey, "UpdateKey", nil, func(s *scene, c *kms.Call) error {
			name := "new"
			return second(s.UpdateKey(s.t.Context(), c, s.aesRef(), kms.KeyUpdate{Name: &name}))
		}},
		{keys.TagKey, "UpdateKey", nil, func(s *scene, c *kms.Call) error {
			tags := map[string]string{"a": "b"}
			return second(s.UpdateKey(s.t.Context(), c, s.aesRef(), kms.KeyUpdate{Action: keys.TagKey, Plain: &tags}))
		}},
		{keys.TagKey, "TagKeys", nil, func(s *scene, c *kms.Call) error {
			return s.TagKeys(s.t.Context(), c, []kms.KeyRef{s.aesRef()}, kms.TagChange{Set: map[string]string{"a": "b"}})
		}},
		{keys.ReadKey, "Tags", nil, func(s *scene, c *kms.Call) error {
			return second(s.Tags(s.t.Context(), c, kms.TagFilter{Keys: []kms.KeyRef{s.ecRef(), s.aesRef()}}, kms.Page{}))
		}},
		{keys.SetProtection, "SetProtection", nil, func(s *scene, c *kms.Call) error {
			return second(s.SetProtection(s.t.Context(), c, s.aesRef(), false, ""))
		}},
		{keys.MoveKey, "MoveKey", nil, func(s *scene, c *kms.Call) error { return second(s.MoveKey(s.t.Context(), c, s.aesRef(), "")) }},
		byState(keys.EnableKey, disabled), byState(keys.DisableKey, nil), byState(keys.EnsureEnabled, nil),
		byState(keys.EnsureDisabled, nil), byState(keys.CancelKeyDeletion, pending), byState(keys.RestoreKey, pending),
		{keys.ScheduleKeyDeletion, "ScheduleKeyDeletion", nil, func(s *scene, c *kms.Call) error {
			return second(s.ScheduleKeyDeletion(s.t.Context(), c, s.aesRef(), time.Time{}))
		}},
		{keys.SetRotation, "SetRotation", nil, func(s *scene, c *kms.Call) error {
			return second(s.SetRotation(s.t.Context(), c, s.aesRef(), kms.RotationPolicy{Enabled: true, Interval: 60 * keys.Day}))
		}},
		{keys.BackupKey, "WriteKeyBackup", nil, func(s *scene, c *kms.Call) error {
			return second(s.WriteKeyBackup(s.t.Context(), c, s.aesRef(), io.Discard, nil))
		}},
		{keys.BackupKey, "StoreKeyBackup", nil, func(s *scene, c *kms.Call) error {
			return second(s.StoreKeyBackup(s.t.Context(), c, s.aesRef(), there()))
		}},
		{keys.Rotate, "Rotate", nil, func(s *scene, c *kms.Call) error { return second(s.Rotate(s.t.Context(), c, s.aesRef())) }},
		{keys.ReadVersion, "Version", nil, func(s *scene, c *kms.Call) error {
			return second(s.Version(s.t.Context(), c, s.aesRef(), kms.VersionRef{ID: s.old.ID}))
		}},
		{keys.ListVersions, "Versions", nil, func(s *scene, c *kms.Call) error {
			return second(s.Versions(s.t.Context(), c, s.aesRef(), kms.Page{}, false))
		}},
		{keys.ScheduleVersionDeletion, "ScheduleVersionDeletion", nil, func(s *scene, c *kms.Call) error {
			return second(s.ScheduleVersionDeletion(s.t.Context(), c, s.aesRef(), kms.VersionRef{ID: s.old.ID}, time.Time{}))
		}},
		{
			keys.CancelVersionDeletion, "CancelVersionDeletion",
			func(s *scene) { scheduleVersion(s.t, s.World, s.key.ID, s.old.ID, 10) },
			func(s *scene, c *kms.Call) error {
				return second(s.CancelVersionDeletion(s.t.Context(), c, s.aesRef(), kms.VersionRef{ID: s.old.ID}))
			},
		},
		{keys.ListAliases, "KeyAliases", nil, func(s *scene, c *kms.Call) error {
			return second(s.KeyAliases(s.t.Context(), c, s.aesRef(), kms.Page{}))
		}},
		{keys.ReadImportParameters, "ImportParameters", nil, func(s *scene, c *kms.Call) error {
			return second(s.ImportParameters(s.t.Context(), c, kms.ImportParametersRequest{Key: s.aesRef(), Spec: keys.SM2, Wrapping: keys.WrapSM2}))
		}},
		{keys.ImportMaterial, "ImportMaterial", nil, func(s *scene, c *kms.Call) error {
			req := s.again
			req.Key = s.aesRef()
			return second(s.ImportMaterial(s.t.Context(), c, req))
		}},
		{keys.DeleteMaterial, "DeleteMaterial", nil, func(s *scene, c *kms.Call) error {
			return second(s.DeleteMaterial(s.t.Context(), c, s.aesRef()))
		}},
	}
}

func dataMethods() []method {
	return []method{
		{keys.Encrypt, "Encrypt", nil, func(s *scene, c *kms.Call) error {
			return second(s.Encrypt(s.t.Context(), c, kms.EncryptRequest{Key: s.aesRef(), Plaintext: []byte("x")}))
		}},
		{keys.Decrypt, "Decrypt", nil, func(s *scene, c *kms.Call) error {
			ref := s.aesRef()
			return second(s.Decrypt(s.t.Context(), c, kms.DecryptRequest{Key: &ref, Ciphertext: s.sealed}))
		}},
		{keys.GenerateDataKey, "GenerateDataKey", nil, func(s *scene, c *kms.Call) error {
			return second(s.GenerateDataKey(s.t.Context(), c, kms.DataKeyRequest{Key: s.aesRef(), Bytes: 32}))
		}},
		{keys.Sign, "Sign", nil, func(s *scene, c *kms.Call) error {
			return second(s.Sign(s.t.Context(), c, kms.SignRequest{Key: s.ecRef(), Algorithm: keys.ECDSASHA256, Message: []byte("x")}))
		}},
		{keys.Verify, "Verify", nil, func(s *scene, c *kms.Call) error {
			return second(s.Verify(s.t.Context(), c, kms.VerifyRequest{
				SignRequest: kms.SignRequest{Key: s.ecRef(), Algorithm: keys.ECDSASHA256, Message: []byte("x")}, Signature: []byte("y"),
			}))
		}},
		{keys.ReEncrypt, "ReEncrypt", nil, func(s *scene, c *kms.Call) error {
			return second(s.ReEncrypt(s.t.Context(), c, kms.ReEncryptRequest{Source: s.source(), Key: s.aesRef()}))
		}},
		{keys.ExportDataKey, "ExportDataKey", nil, func(s *scene, c *kms.Call) error {
			return second(s.ExportDataKey(s.t.Context(), c, kms.ExportRequest{Source: s.source(), Under: rsaUnder(s.t, s.World)}))
		}},
		{keys.GenerateDataKey, "GenerateAndExportDataKey", nil, func(s *scene, c *kms.Call) error {
			req := kms.DataKeyRequest{Key: s.aesRef(), Bytes: 32}
			return second(s.GenerateAndExportDataKey(s.t.Context(), c, req, rsaUnder(s.t, s.World)))
		}},
		{keys.GenerateMAC, "GenerateMAC", nil, func(s *scene, c *kms.Call) error {
			return second(s.GenerateMAC(s.t.Context(), c, s.macRequest()))
		}},
		{keys.VerifyMAC, "VerifyMAC", nil, func(s *scene, c *kms.Call) error {
			return second(s.VerifyMAC(s.t.Context(), c, kms.VerifyMACRequest{MACRequest: s.macRequest(), MAC: []byte("y")}))
		}},
		{keys.ReadPublicKey, "PublicKey", nil, func(s *scene, c *kms.Call) error {
			_, _, err := s.PublicKey(s.t.Context(), c, s.ecRef(), kms.VersionRef{})
			return err
		}},
		{keys.ExportKey, "ExportKey", nil, func(s *scene, c *kms.Call) error {
			return second(s.ExportKey(s.t.Context(), c, kms.ExportKeyRequest{
				Key: s.aesRef(), Wrapping: keys.WrapOAEPSHA256, PublicKey: rsaSPKI(s.t, s.Tenant),
			}))
		}},
	}
}

// vaultMethods are about a vault, or about what in a vault is named otherwise than by a key.
func vaultMethods() []method {
	ref := func(s *scene) kms.VaultRef { return kms.VaultRef{ID: s.vault} }
	return []method{
		{keys.ReadVault, "Vault", nil, func(s *scene, c *kms.Call) error { return second(s.Vault(s.t.Context(), c, ref(s))) }},
		{keys.UpdateVault, "UpdateVault", nil, func(s *scene, c *kms.Call) error {
			name := "new"
			return second(s.UpdateVault(s.t.Context(), c, ref(s), kms.VaultUpdate{Name: &name}))
		}},
		{keys.MoveVault, "MoveVault", nil, func(s *scene, c *kms.Call) error { return second(s.MoveVault(s.t.Context(), c, ref(s), "")) }},
		{keys.ScheduleVaultDeletion, "ScheduleVaultDeletion", vaultIn(keys.Active), func(s *scene, c *kms.Call) error {
			return second(s.ScheduleVaultDeletion(s.t.Context(), c, ref(s), time.Time{}))
		}},
		{
			keys.CancelVaultDeletion, "CancelVaultDeletion",
			vaultIn(keys.PendingDeletion),
			func(s *scene, c *kms.Call) error { return second(s.CancelVaultDeletion(s.t.Context(), c, ref(s))) },
		},
		{keys.BackupVault, "WriteVaultBackup", nil, func(s *scene, c *kms.Call) error {
			return second(s.WriteVaultBackup(s.t.Context(), c, ref(s), true, io.Discard, nil))
		}},
		{keys.BackupVault, "StoreVaultBackup", nil, func(s *scene, c *kms.Call) error {
			return second(s.StoreVaultBackup(s.t.Context(), c, ref(s), true, there()))
		}},
		{keys.RestoreKeyBackup, "RestoreKey", (*scene).loseKey, func(s *scene, c *kms.Call) error {
			c.Vault = s.vault
			return second(s.RestoreKey(s.t.Context(), c, upload(s.t, s.World, s.backup)))
		}},
		{keys.RestoreKeyBackup, "RestoreKeyBackup", (*scene).loseKey, func(s *scene, c *kms.Call) error {
			return second(s.RestoreKeyBackup(s.t.Context(), c, bytes.NewReader(s.backup), nil))
		}},
		{keys.CreateReplica, "CreateReplica", (*scene).takeReplica, func(s *scene, c *kms.Call) error {
			return second(s.CreateReplica(s.t.Context(), c, ref(s), kmstest.Away))
		}},
		{keys.DeleteReplica, "DeleteReplica", (*scene).giveReplica, func(s *scene, c *kms.Call) error {
			return second(s.DeleteReplica(s.t.Context(), c, ref(s), kmstest.Away))
		}},
		{keys.ReadReplica, "Replicas", (*scene).giveReplica, func(s *scene, c *kms.Call) error {
			_, _, err := s.Replicas(s.t.Context(), c, ref(s))
			return err
		}},
		{keys.ReadReplica, "Replication", (*scene).giveReplica, func(s *scene, c *kms.Call) error {
			c.Vault = s.vault
			return second(s.Replication(s.t.Context(), c, s.replica))
		}},
		{keys.CreateKey, "CreateKey", nil, func(s *scene, c *kms.Call) error {
			req := wish(keys.AES256)
			req.Vault = s.vault
			return second(s.CreateKey(s.t.Context(), c, req))
		}},
		{keys.Decrypt, "Decrypt without a key", nil, func(s *scene, c *kms.Call) error {
			return second(s.Decrypt(s.t.Context(), c, kms.DecryptRequest{Ciphertext: s.sealed}))
		}},
		{keys.ReadWork, "WorkRequest", (*scene).giveWork, func(s *scene, c *kms.Call) error {
			return second(s.WorkRequest(s.t.Context(), c, kms.WorkRef{ID: s.work}))
		}},
		{keys.ReadWork, "WorkErrors", (*scene).giveWork, func(s *scene, c *kms.Call) error {
			return second(s.WorkErrors(s.t.Context(), c, kms.WorkRef{ID: s.work}, kms.Page{}))
		}},
		{keys.ReadWork, "WorkLogs", (*scene).giveWork, func(s *scene, c *kms.Call) error {
			return second(s.WorkLogs(s.t.Context(), c, kms.WorkRef{ID: s.work}, kms.Page{}))
		}},
		{keys.CreateAlias, "CreateAlias", nil, func(s *scene, c *kms.Call) error {
			return s.CreateAlias(s.t.Context(), c, "alias/"+s.key.ID.String(), kms.KeyRef{ID: s.key.ID})
		}},
		{keys.UpdateAlias, "UpdateAlias", (*scene).giveAlias, func(s *scene, c *kms.Call) error {
			return s.UpdateAlias(s.t.Context(), c, s.alias, kms.KeyRef{ID: s.ec.ID})
		}},
		{keys.DeleteAlias, "DeleteAlias", (*scene).giveAlias, func(s *scene, c *kms.Call) error {
			return s.DeleteAlias(s.t.Context(), c, s.alias)
		}},
	}
}

func (s *scene) giveWork() {
	must(s.t, s.World, func(c *kms.Call) error {
		out, err := s.FinishedWork(s.t.Context(), c, s.vault)
		if err == nil {
			s.work = out.Work.ID
		}
		return err
	})
}

// loseKey takes a key away, and its rows with it, after a backup of it was made.
func (s *scene) loseKey() {
	lost := wish(keys.AES256)
	lost.Vault = s.vault
	id := newKey(s.t, s.World, lost).ID
	s.backup = backupKey(s.t, s.World, id)
	lose(s.t, s.World, id)
}

// loseVault is loseKey for a vault of its own.
func (s *scene) loseVault() {
	id := newVault(s.t, s.World, "lost")
	s.backup = backupVault(s.t, s.World, id)
	tamper(s.t, s.World, func(tx store.Tx) error {
		return errors.Join(tx.Delete(&store.KEK{Owner: id, Generation: 1}), tx.Delete(&keys.Vault{ID: id}))
	})
}

// imported makes the scene's key one of imported material.
func (s *scene) imported() {
	in := newImport(s.t, s.World, s.vault, keys.AES256)
	in.bring(s.t, s.World, time.Time{})
	s.again, s.key = in.request, seen(s.t, s.World, in.key)
	s.old = version(s.t, s.World, in.key, 1)
}

func (s *scene) giveMember() {
	s.member = member(s.t, s.World, s.World.Tenant, "target "+s.key.ID.String(), identity.User, keys.ID{})
	rows, err := s.Credentials(s.t.Context(), s.System("test"), s.World.Tenant.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, row := range rows {
		if row.Principal == s.member.Principal {
			s.credential = row
		}
	}
}

func (s *scene) giveGrant() {
	var err error
	if s.grant, err = s.CreateGrant(s.t.Context(), s.System("test"), s.key.ID, s.Other.ID, []keys.Action{keys.ReadKey}); err != nil {
		s.t.Fatal(err)
	}
}

// tenantMethods are about a whole tenant: a role on a vault is not enough.
func tenantMethods() []method {
	return []method{
		{keys.CreateVault, "CreateVault", nil, func(s *scene, c *kms.Call) error {
			return second(s.CreateVault(s.t.Context(), c, kms.NewVault{Name: "another", Kind: keys.SharedVault}))
		}},
		{keys.ListWork, "WorkRequests", nil, func(s *scene, c *kms.Call) error {
			return second(s.WorkRequests(s.t.Context(), c, kms.WorkFilter{}, kms.Page{}))
		}},
		{keys.RestoreVaultBackup, "RestoreVault", (*scene).loseVault, func(s *scene, c *kms.Call) error {
			return second(s.RestoreVault(s.t.Context(), c, "", upload(s.t, s.World, s.backup)))
		}},
		{keys.RestoreVaultBackup, "RestoreVaultBackup", (*scene).loseVault, func(s *scene, c *kms.Call) error {
			return second(s.RestoreVaultBackup(s.t.Context(), c, "", bytes.NewReader(s.backup), nil))
		}},
		{keys.ListVaults, "Vaults", nil, func(s *scene, c *kms.Call) error { return second(s.Vaults(s.t.Context(), c, "", kms.Page{})) }},
		{keys.ListKeys, "Keys", nil, func(s *scene, c *kms.Call) error {
			return second(s.Keys(s.t.Context(), c, kms.KeyFilter{}, kms.Page{}))
		}},
		{keys.ListKeys, "Tags", nil, func(s *scene, c *kms.Call) error {
			return second(s.Tags(s.t.Context(), c, kms.TagFilter{}, kms.Page{}))
		}},
		{keys.ListAliases, "Aliases", nil, func(s *scene, c *kms.Call) error { return second(s.Aliases(s.t.Context(), c, kms.Page{})) }},
		{keys.ReadIdentity, "Tenants", nil, func(s *scene, c *kms.Call) error { return second(s.Tenants(s.t.Context(), c)) }},
		{keys.ReadIdentity, "Principals", nil, func(s *scene, c *kms.Call) error {
			return second(s.Principals(s.t.Context(), c, s.Tenant.ID))
		}},
		{keys.ReadIdentity, "Credentials", nil, func(s *scene, c *kms.Call) error {
			return second(s.Credentials(s.t.Context(), c, s.Tenant.ID))
		}},
		{keys.ReadIdentity, "Compartments", nil, func(s *scene, c *kms.Call) error {
			return second(s.Compartments(s.t.Context(), c, s.Tenant.ID))
		}},
		{keys.ReadIdentity, "Bindings", nil, func(s *scene, c *kms.Call) error {
			return second(s.Bindings(s.t.Context(), c, s.Tenant.Principal))
		}},
		{keys.ReadIdentity, "Grants", nil, func(s *scene, c *kms.Call) error { return second(s.Grants(s.t.Context(), c, s.key.ID)) }},
		{keys.ManageIdentity, "CreatePrincipal", nil, func(s *scene, c *kms.Call) error {
			return second(s.CreatePrincipal(s.t.Context(), c, kms.NewPrincipal{Tenant: s.Tenant.ID, Name: s.key.ID.String()}))
		}},
		{keys.ManageIdentity, "CreateCompartment", nil, func(s *scene, c *kms.Call) error {
			return second(s.CreateCompartment(s.t.Context(), c, kms.NewCompartment{Tenant: s.Tenant.ID, Name: s.key.ID.String()}))
		}},
		{keys.Assume, "IssueAccessSession", (*scene).giveMember, func(s *scene, c *kms.Call) error {
			return second(s.IssueAccessSession(s.t.Context(), c, kms.NewSession{Principal: s.member.Principal, Name: "ci"}))
		}},
		{keys.Assume, "IssueKeySession", (*scene).giveMember, func(s *scene, c *kms.Call) error {
			return second(s.IssueKeySession(s.t.Context(), c, kms.NewSession{Principal: s.member.Principal, Name: "ci"}, "oci", rsaSPKI(s.t, s.Tenant)))
		}},
		{keys.ManageIdentity, "EndSessions", (*scene).giveMember, func(s *scene, c *kms.Call) error {
			return s.EndSessions(s.t.Context(), c, s.member.Principal)
		}},
		{keys.ManageIdentity, "SetAssumable", (*scene).giveMember, func(s *scene, c *kms.Call) error {
			return s.SetAssumable(s.t.Context(), c, s.member.Principal, s.Tenant.Principal, true)
		}},
		{keys.ManageIdentity, "SetRole", (*scene).giveMember, func(s *scene, c *kms.Call) error {
			return s.SetRole(s.t.Context(), c, s.member.Principal, identity.Admin, keys.ID{})
		}},
		{keys.ManageIdentity, "DeletePrincipal", (*scene).giveMember, func(s *scene, c *kms.Call) error {
			return s.DeletePrincipal(s.t.Context(), c, s.member.Principal)
		}},
		{keys.ManageIdentity, "RemoveCredential", (*scene).giveMember, func(s *scene, c *kms.Call) error {
			return s.RemoveCredential(s.t.Context(), c, s.credential.ID)
		}},
		{keys.ManageIdentity, "SetCredentialDisabled", (*scene).giveMember, func(s *scene, c *kms.Call) error {
			return s.SetCredentialDisabled(s.t.Context(), c, s.credential.ID, true)
		}},
		{keys.ManageIdentity, "AddAccessKey", nil, func(s *scene, c *kms.Call) error {
			return second(s.AddAccessKey(s.t.Context(), c, s.Tenant.Principal, s.key.ID.String(), secret.Copy([]byte("hush"))))
		}},
		{keys.ManageIdentity, "RemoveGrant", (*scene).giveGrant, func(s *scene, c *kms.Call) error {
			return s.RemoveGrant(s.t.Context(), c, s.grant.ID)
		}},
		{keys.ManageIdentity, "AddRSAKey", nil, func(s *scene, c *kms.Call) error {
			return second(s.AddRSAKey(s.t.Context(), c, s.Tenant.Principal, s.key.ID.String(), rsaSPKI(s.t, s.Tenant)))
		}},
		{keys.ManageIdentity, "CreateGrant", nil, func(s *scene, c *kms.Call) error {
			return second(s.CreateGrant(s.t.Context(), c, s.key.ID, s.Other.ID, []keys.Action{keys.Encrypt}))
		}},
		{keys.ManageIdentity, "AddExternalID", nil, func(s *scene, c *kms.Call) error {
			return s.AddExternalID(s.t.Context(), c, store.ExternalID{
				Dialect: "test", Type: keys.TypeKey, Tenant: s.Tenant.ID, Region: kmstest.Region, Name: s.key.ID.String(), ID: s.key.ID,
			})
		}},
	}
}

// second is the error of a result that does not matter.
func second[T any](_ T, err error) error { return err }

func allMethods() []method {
	return slices.Concat(keyMethods(), dataMethods(), vaultMethods(), tenantMethods())
}
