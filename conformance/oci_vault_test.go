// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"testing"
	"time"

	"github.com/oracle/oci-go-sdk/v65/common"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/conformance/internal/live"
	"claviger/conformance/internal/oracle"
)

func (o oci) createVault(t *testing.T, name string) keymanagement.Vault {
	t.Helper()
	created, err := o.Vault.CreateVault(t.Context(), keymanagement.CreateVaultRequest{
		CreateVaultDetails: keymanagement.CreateVaultDetails{
			CompartmentId: &o.compartment, DisplayName: &name, VaultType: keymanagement.CreateVaultDetailsVaultTypeDefault,
			FreeformTags: map[string]string{"team": "ledger"},
		},
	})
	if err != nil {
		t.Fatalf("CreateVault: %v", err)
	}
	return created.Vault
}

// in is the same caller at another vault's endpoints.
func (o oci) in(t *testing.T, vault keymanagement.Vault) oci {
	t.Helper()
	return oci{o.At(t, *vault.ManagementEndpoint, *vault.CryptoEndpoint), o.compartment}
}

func (o oci) vault(t *testing.T, id string) keymanagement.Vault {
	t.Helper()
	got, err := o.Vault.GetVault(t.Context(), keymanagement.GetVaultRequest{VaultId: &id})
	if err != nil {
		t.Fatalf("GetVault: %v", err)
	}
	return got.Vault
}

// A vault has endpoints of its own, and a key is known at its own vault's only.
func TestOCIVault(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	first := throughOCI(t, server)
	created := first.createVault(t, "second")
	vault := first.vault(t, *created.Id)
	want(t, "state", string(vault.LifecycleState), "ACTIVE")
	want(t, "name", *vault.DisplayName, "second")
	want(t, "tag", vault.FreeformTags["team"], "ledger")
	if *vault.ManagementEndpoint == server.Ready.OCI.ManagementEndpoint {
		t.Fatalf("two vaults share the management endpoint %s", *vault.ManagementEndpoint)
	}
	second := first.in(t, vault)
	inFirst, inSecond := first.createKey(t, aesShape(32)), second.createKey(t, aesShape(32))
	want(t, "vault of a key made at the second's endpoint", *inSecond.VaultId, *vault.Id)
	for name, test := range map[string]struct {
		at  oci
		key string
	}{"first's key at the second": {second, *inFirst.Id}, "second's key at the first": {first, *inSecond.Id}} {
		_, err := test.at.Management.GetKey(t.Context(), keymanagement.GetKeyRequest{KeyId: &test.key})
		want(t, name, oracle.Refusal(err), "404 NotAuthorizedOrNotFound")
		_, err = test.at.encrypt(t.Context(), test.key, []byte("x"), nil, "")
		want(t, name+", encrypting", oracle.Refusal(err), "404 NotAuthorizedOrNotFound")
	}
	listed, err := second.Management.ListKeys(t.Context(), keymanagement.ListKeysRequest{CompartmentId: &second.compartment})
	if err != nil || len(listed.Items) != 1 || *listed.Items[0].Id != *inSecond.Id {
		t.Errorf("keys of the second vault: %v (%v), want its own only", listed.Items, err)
	}
	vaults, err := first.Vault.ListVaults(t.Context(), keymanagement.ListVaultsRequest{CompartmentId: &first.compartment})
	if err != nil || len(vaults.Items) != 2 {
		t.Errorf("%d vaults listed (%v), want 2", len(vaults.Items), err)
	}
	updated, err := first.Vault.UpdateVault(t.Context(), keymanagement.UpdateVaultRequest{
		VaultId: vault.Id, UpdateVaultDetails: keymanagement.UpdateVaultDetails{DisplayName: common.String("renamed")},
	})
	if err != nil {
		t.Fatalf("UpdateVault: %v", err)
	}
	want(t, "name after UpdateVault", *updated.DisplayName, "renamed")
	want(t, "tag after UpdateVault without tags", updated.FreeformTags["team"], "ledger")
}

// A vault's deletion takes its keys along, and gives them back when it is cancelled.
func TestOCIVaultDeletion(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	o := throughOCI(t, server)
	vault := o.createVault(t, "doomed")
	inside := o.in(t, vault)
	key, own := inside.createKey(t, aesShape(32)), inside.createKey(t, aesShape(32))
	sealed, err := inside.encrypt(t.Context(), *key.Id, []byte("x"), nil, "")
	if err != nil {
		t.Fatal(err)
	}
	schedule := func(at time.Time) error {
		_, err := o.Vault.ScheduleVaultDeletion(t.Context(), keymanagement.ScheduleVaultDeletionRequest{
			VaultId:                      vault.Id,
			ScheduleVaultDeletionDetails: keymanagement.ScheduleVaultDeletionDetails{TimeOfDeletion: &common.SDKTime{Time: at}},
		})
		return err
	}
	now := server.Admin.Now(t)
	inside.scheduleKeyDeletion(t, *own.Id, now.Add(20*day))
	want(t, "a key outlives the vault", oracle.Refusal(schedule(now.Add(10*day))), "409 Conflict")
	want(t, "the vault outlives its keys", oracle.Refusal(schedule(now.Add(25*day))), "200")
	want(t, "state", string(o.vault(t, *vault.Id).LifecycleState), "PENDING_DELETION")
	want(t, "key's state", string(inside.key(t, *key.Id).LifecycleState), "PENDING_DELETION")
	_, err = inside.decrypt(t.Context(), *key.Id, "", *sealed.Ciphertext, nil, "")
	want(t, "Decrypt", oracle.Refusal(err), "409 Conflict")
	_, err = inside.Management.CreateKey(t.Context(), keymanagement.CreateKeyRequest{CreateKeyDetails: keymanagement.CreateKeyDetails{
		CompartmentId: &o.compartment, DisplayName: common.String("late"), KeyShape: &keymanagement.KeyShape{Algorithm: "AES", Length: common.Int(32)},
	}})
	want(t, "CreateKey", oracle.Refusal(err), "409 Conflict")

	if _, err := o.Vault.CancelVaultDeletion(t.Context(), keymanagement.CancelVaultDeletionRequest{VaultId: vault.Id}); err != nil {
		t.Fatalf("CancelVaultDeletion: %v", err)
	}
	want(t, "state after cancelling", string(o.vault(t, *vault.Id).LifecycleState), "ACTIVE")
	want(t, "key's state after cancelling", string(inside.key(t, *key.Id).LifecycleState), "ENABLED")
	want(t, "state of the key with a date of its own", string(inside.key(t, *own.Id).LifecycleState), "PENDING_DELETION")
	if _, err := inside.decrypt(t.Context(), *key.Id, "", *sealed.Ciphertext, nil, ""); err != nil {
		t.Errorf("Decrypt after cancelling: %v", err)
	}

	want(t, "scheduling again", oracle.Refusal(schedule(now.Add(25*day))), "200")
	server.Admin.Advance(t, 26*day)
	want(t, "state at the end", string(o.vault(t, *vault.Id).LifecycleState), "DELETED")
}
