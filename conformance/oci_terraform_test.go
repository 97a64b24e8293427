// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oracle/oci-go-sdk/v65/common"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/conformance/internal/live"
	"claviger/conformance/internal/oracle"
)

// terraformOCI calls what Oracle's Terraform provider calls, in its order and with its demands on the
// answers: it is the same SDK beneath.
type terraformOCI struct {
	oci
	server *live.Process
}

func throughTerraform(t *testing.T, o live.Options) terraformOCI {
	t.Helper()
	server := start(t, o)
	return terraformOCI{throughOCI(t, server), server}
}

// takesForGone says whether the provider drops a resource from its state because of an error: it
// looks for words in its text.
func takesForGone(err error) bool {
	text := err.Error()
	return strings.Contains(text, "does not exist") || strings.Contains(text, " not present in ") || strings.Contains(text, "not found") ||
		strings.Contains(strings.ToLower(text), "status code: 404")
}

// repeats says whether the provider repeats a call for minutes after an error.
func repeats(err error) bool {
	var refused common.ServiceError
	if !errors.As(err, &refused) {
		return true
	}
	status := refused.GetHTTPStatusCode()
	return status == http.StatusTooManyRequests || status >= 500 ||
		status == http.StatusConflict && !strings.Contains(err.Error(), "InvalidatedRetryToken")
}

// await is the provider's wait for a state: another state than those on the way, in any look, is a
// failure. It pauses between looks; a server that is settled needs one.
func await(t *testing.T, what string, until, while []string, look func() string) {
	t.Helper()
	for range 50 {
		state := look()
		if slices.Contains(until, state) {
			return
		}
		if !slices.Contains(while, state) {
			t.Fatalf("%s: unexpected state %s, wanted %v", what, state, until)
		}
	}
	t.Fatalf("%s: no state of %v in 50 looks", what, until)
}

func (o terraformOCI) vaultState(t *testing.T, id string) func() string {
	t.Helper()
	return func() string { return string(o.vault(t, id).LifecycleState) }
}

func (o terraformOCI) keyState(t *testing.T, id string) func() string {
	t.Helper()
	return func() string { return string(o.key(t, id).LifecycleState) }
}

func (o terraformOCI) versionState(t *testing.T, key, id string) func() string {
	t.Helper()
	return func() string { return string(o.version(t, key, id).LifecycleState) }
}

// gone are the states in which the provider takes a thing for gone.
func gone() []string { return []string{"DELETED", "PENDING_DELETION"} }

func TestTerraformOCI_Vault(t *testing.T) {
	t.Parallel()
	o := throughTerraform(t, live.Options{})
	created := o.createVault(t, "one")
	id := *created.Id
	await(t, "create", []string{"ACTIVE"}, []string{"CREATING", "RESTORING"}, o.vaultState(t, id))
	read := o.vault(t, id)
	if read.TimeOfDeletion != nil {
		t.Errorf("timeOfDeletion %v before a deletion: a later destruction could not parse it", read.TimeOfDeletion)
	}
	for what, value := range map[string]*string{
		"managementEndpoint": read.ManagementEndpoint, "cryptoEndpoint": read.CryptoEndpoint, "compartmentId": read.CompartmentId,
		"displayName": read.DisplayName, "id": read.Id,
	} {
		if value == nil || *value == "" {
			t.Errorf("%s is absent", what)
		}
	}

	there := o.server.Admin.NewCompartment(t, o.server.Ready.OCI.Tenancy, "there")
	if _, err := o.Vault.ChangeVaultCompartment(t.Context(), keymanagement.ChangeVaultCompartmentRequest{
		VaultId: &id, ChangeVaultCompartmentDetails: keymanagement.ChangeVaultCompartmentDetails{CompartmentId: &there},
	}); err != nil {
		t.Fatalf("ChangeVaultCompartment: %v", err)
	}
	updated, err := o.Vault.UpdateVault(t.Context(), keymanagement.UpdateVaultRequest{ // at once, without a wait
		VaultId: &id, UpdateVaultDetails: keymanagement.UpdateVaultDetails{
			DisplayName: common.String("two"), FreeformTags: map[string]string{"a": "b"}, DefinedTags: map[string]map[string]interface{}{"n": {"k": "v"}},
		},
	})
	if err != nil {
		t.Fatalf("UpdateVault: %v", err)
	}
	if *updated.DisplayName != "two" || *updated.CompartmentId != there || updated.FreeformTags["a"] != "b" || updated.DefinedTags["n"]["k"] != "v" {
		t.Errorf("the answer to UpdateVault is %v", updated.Vault)
	}

	at := o.server.Admin.Now(t).Add(10 * day)
	if _, err := o.Vault.ScheduleVaultDeletion(t.Context(), keymanagement.ScheduleVaultDeletionRequest{
		VaultId: &id, ScheduleVaultDeletionDetails: keymanagement.ScheduleVaultDeletionDetails{TimeOfDeletion: &common.SDKTime{Time: at}},
	}); err != nil {
		t.Fatalf("ScheduleVaultDeletion: %v", err)
	}
	await(t, "delete", gone(), []string{"DELETING", "SCHEDULING_DELETION"}, o.vaultState(t, id))
}

func TestTerraformOCI_Key(t *testing.T) {
	t.Parallel()
	o := throughTerraform(t, live.Options{})
	for _, shape := range []keymanagement.KeyShape{aesShape(32), ecShape(keymanagement.KeyShapeCurveIdP384)} {
		id := *o.createKey(t, shape).Id
		await(t, "create", []string{"ENABLED"}, []string{"CREATING", "ENABLING", "RESTORING", "UPDATING"}, o.keyState(t, id))
		read := o.key(t, id)
		want(t, "curve, which forces another key when it differs", string(read.KeyShape.CurveId), string(shape.CurveId))
		want(t, "protection mode, likewise", string(read.ProtectionMode), "SOFTWARE")
		if read.TimeOfDeletion != nil || read.CurrentKeyVersion == nil || read.VaultId == nil {
			t.Errorf("read: %v", read.Key)
		}

		there := o.server.Admin.NewCompartment(t, o.server.Ready.OCI.Tenancy, "for "+id)
		if _, err := o.Management.ChangeKeyCompartment(t.Context(), keymanagement.ChangeKeyCompartmentRequest{
			KeyId: &id, ChangeKeyCompartmentDetails: keymanagement.ChangeKeyCompartmentDetails{CompartmentId: &there},
		}); err != nil {
			t.Fatalf("ChangeKeyCompartment: %v", err)
		}
		settled, busy := []string{"ENABLED", "DISABLED"}, []string{"ENABLING", "DISABLING", "UPDATING", "RESTORING"}
		await(t, "move", settled, busy, o.keyState(t, id))
		o.update(t, id, "two")
		if _, err := o.Management.DisableKey(t.Context(), keymanagement.DisableKeyRequest{KeyId: &id}); err != nil {
			t.Fatalf("DisableKey: %v", err)
		}
		await(t, "disable", settled, busy, o.keyState(t, id))
		o.update(t, id, "three") // the provider always sends this first, to a disabled key as well
		if _, err := o.Management.EnableKey(t.Context(), keymanagement.EnableKeyRequest{KeyId: &id}); err != nil {
			t.Fatalf("EnableKey: %v", err)
		}
		await(t, "enable", settled, busy, o.keyState(t, id))
		want(t, "name", *o.key(t, id).DisplayName, "three")

		o.scheduleKeyDeletion(t, id, o.server.Admin.Now(t).Add(10*day))
		await(t, "delete", gone(), []string{"DISABLED", "DELETING", "SCHEDULING_DELETION"}, o.keyState(t, id))
		if _, err := o.Management.CancelKeyDeletion(t.Context(), keymanagement.CancelKeyDeletionRequest{KeyId: &id}); err != nil {
			t.Fatal(err)
		}
		if at := o.key(t, id).TimeOfDeletion; at != nil {
			t.Errorf("timeOfDeletion %v after its cancellation", at)
		}
	}
}

// update is the UpdateKey of every change of a key.
func (o terraformOCI) update(t *testing.T, id, name string) {
	t.Helper()
	updated, err := o.Management.UpdateKey(t.Context(), keymanagement.UpdateKeyRequest{
		KeyId: &id, UpdateKeyDetails: keymanagement.UpdateKeyDetails{
			DisplayName: &name, FreeformTags: map[string]string{}, DefinedTags: map[string]map[string]interface{}{},
		},
	})
	if err != nil {
		t.Fatalf("UpdateKey: %v", err)
	}
	want(t, "answered name", *updated.DisplayName, name)
}

func TestTerraformOCI_KeyVersion(t *testing.T) {
	t.Parallel()
	o := throughTerraform(t, live.Options{})
	key := *o.createKey(t, aesShape(32)).Id
	old, current := *o.createVersion(t, key).Id, *o.createVersion(t, key).Id
	for _, id := range []string{old, current} {
		await(t, "create", []string{"ENABLED"}, []string{"CREATING", "ENABLING"}, o.versionState(t, key, id))
		read := o.version(t, key, id)
		if read.TimeOfDeletion != nil || read.Id == nil || read.KeyId == nil || read.CompartmentId == nil || read.VaultId == nil {
			t.Errorf("read: %v", read.KeyVersion)
		}
	}
	_, err := o.scheduleVersionDeletion(t.Context(), key, current, o.server.Admin.Now(t).Add(10*day))
	want(t, "destroy the current version", oracle.Refusal(err), "409 Conflict")
	if takesForGone(err) {
		t.Errorf("the provider would report a success for %v", err)
	}
	if _, err := o.scheduleVersionDeletion(t.Context(), key, old, o.server.Admin.Now(t).Add(10*day)); err != nil {
		t.Fatal(err)
	}
	await(t, "delete", gone(), []string{"DISABLED", "DELETING", "SCHEDULING_DELETION"}, o.versionState(t, key, old))
}

// The crypto resources call once; their data sources at every read, without naming a version.
func TestTerraformOCI_Crypto(t *testing.T) {
	t.Parallel()
	o := throughTerraform(t, live.Options{})
	key := *o.createKey(t, aesShape(32)).Id
	about, logged := map[string]string{"order": "1"}, map[string]string{"why": "test"}
	sealed, err := o.Crypto.Encrypt(t.Context(), keymanagement.EncryptRequest{EncryptDataDetails: keymanagement.EncryptDataDetails{
		KeyId: &key, Plaintext: common.String("aGVsbG8="), AssociatedData: about, LoggingContext: logged,
	}})
	if err != nil {
		t.Fatal(err)
	}
	o.createVersion(t, key)
	opened, err := o.Crypto.Decrypt(t.Context(), keymanagement.DecryptRequest{DecryptDataDetails: keymanagement.DecryptDataDetails{
		KeyId: &key, Ciphertext: sealed.Ciphertext, AssociatedData: about,
	}})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "plaintext", *opened.Plaintext, "aGVsbG8=")
	if opened.PlaintextChecksum == nil || *opened.PlaintextChecksum == "" {
		t.Error("no checksum of the plaintext")
	}
	shape := aesShape(32)
	for _, plain := range []bool{true, false} {
		made, err := o.Crypto.GenerateDataEncryptionKey(t.Context(), keymanagement.GenerateDataEncryptionKeyRequest{
			GenerateKeyDetails: keymanagement.GenerateKeyDetails{KeyId: &key, IncludePlaintextKey: &plain, KeyShape: &shape, AssociatedData: about, LoggingContext: logged},
		})
		if err != nil {
			t.Fatal(err)
		}
		if made.Ciphertext == nil || (made.Plaintext != nil) != plain || (made.PlaintextChecksum != nil) != plain {
			t.Errorf("a data key, in plain %t: %v", plain, made.GeneratedKey)
		}
	}
	signing := *o.createKey(t, ecShape(keymanagement.KeyShapeCurveIdP256)).Id
	signed, err := o.Crypto.Sign(t.Context(), keymanagement.SignRequest{SignDataDetails: keymanagement.SignDataDetails{
		KeyId: &signing, Message: common.String("aGVsbG8="), SigningAlgorithm: keymanagement.SignDataDetailsSigningAlgorithmEcdsaSha256,
	}})
	if err != nil || signed.KeyId == nil || signed.KeyVersionId == nil || signed.Signature == nil {
		t.Fatalf("Sign: %v, %v", signed.SignedData, err)
	}
	for message, valid := range map[string]bool{"aGVsbG8=": true, "aGVsbG9v": false} {
		verified, err := o.Crypto.Verify(t.Context(), keymanagement.VerifyRequest{VerifyDataDetails: keymanagement.VerifyDataDetails{
			KeyId: &signing, KeyVersionId: signed.KeyVersionId, Message: &message, Signature: signed.Signature,
			SigningAlgorithm: keymanagement.VerifyDataDetailsSigningAlgorithmEcdsaSha256,
		}})
		if err != nil || *verified.IsSignatureValid != valid {
			t.Errorf("Verify of %s: %v, %v; a wrong signature is no error", message, verified.IsSignatureValid, err)
		}
	}
}

// The resource oci_kms_vault_replication.
func TestTerraformOCI_Replication(t *testing.T) {
	t.Parallel()
	o := throughTerraform(t, live.Options{Regions: []string{there + "/cn-beijing"}})
	vault := *o.createVault(t, "replicated").Id
	if _, err := o.createReplica(t.Context(), vault, there); err != nil {
		t.Fatal(err)
	}
	status := func() string {
		for _, r := range o.replicas(t, vault) {
			if *r.Region == there {
				return string(r.Status)
			}
		}
		return "absent"
	}
	await(t, "create", []string{"CREATED"}, []string{"CREATING"}, status)
	for _, r := range o.replicas(t, vault) {
		if r.ManagementEndpoint == nil || r.CryptoEndpoint == nil {
			t.Errorf("replica %v has no endpoints", r)
		}
	}
	if err := o.deleteReplica(t.Context(), vault, there); err != nil {
		t.Fatal(err)
	}
	await(t, "delete", []string{"DELETED", "absent"}, []string{"DELETING"}, status)
}

// Data sources follow lists to their end, and take some fields of each item for granted.
func TestTerraformOCI_Lists(t *testing.T) {
	t.Parallel()
	o := throughTerraform(t, live.Options{})
	o.createVault(t, "another")
	key := *o.createKey(t, aesShape(32)).Id
	o.createKey(t, ecShape(keymanagement.KeyShapeCurveIdP256))
	for range 120 {
		o.createVersion(t, key)
	}
	present := func(what string, raw any, fields ...string) {
		t.Helper()
		text, err := json.Marshal(raw)
		if err != nil {
			t.Fatal(err)
		}
		var item map[string]any
		if err := json.Unmarshal(text, &item); err != nil {
			t.Fatal(err)
		}
		for _, field := range fields {
			if item[field] == nil || item[field] == "" {
				t.Errorf("%s: %s is absent", what, field)
			}
		}
	}
	vaults, err := o.Vault.ListVaults(t.Context(), keymanagement.ListVaultsRequest{CompartmentId: &o.compartment})
	if err != nil || len(vaults.Items) != 2 {
		t.Fatalf("vaults: %d, %v", len(vaults.Items), err)
	}
	for _, v := range vaults.Items {
		present("vault", v, "compartmentId", "id", "displayName", "lifecycleState", "managementEndpoint", "cryptoEndpoint", "timeCreated", "vaultType")
	}
	keys, err := o.Management.ListKeys(t.Context(), keymanagement.ListKeysRequest{CompartmentId: &o.compartment})
	if err != nil || len(keys.Items) != 2 {
		t.Fatalf("keys: %d, %v", len(keys.Items), err)
	}
	for _, k := range keys.Items {
		present("key", k, "compartmentId", "id", "displayName", "lifecycleState", "timeCreated", "vaultId", "protectionMode", "algorithm")
	}
	listed, cursor := 0, (*string)(nil)
	for {
		versions, err := o.Management.ListKeyVersions(t.Context(), keymanagement.ListKeyVersionsRequest{KeyId: &key, Page: cursor})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range versions.Items {
			present("version", v, "keyId", "id", "compartmentId", "vaultId", "timeCreated", "lifecycleState")
		}
		listed += len(versions.Items)
		if cursor = versions.OpcNextPage; cursor == nil {
			break
		}
	}
	if listed != 121 {
		t.Errorf("%d versions are listed, want 121", listed)
	}
}

// The provider finds out by words whether a thing is gone, so these words are in the answers for what
// is not there, and in no others. What it repeats for minutes are the answers that can change.
func TestTerraformOCI_Errors(t *testing.T) {
	t.Parallel()
	o := throughTerraform(t, live.Options{})
	key := *o.createKey(t, aesShape(32)).Id
	current := *o.key(t, key).CurrentKeyVersion
	disabled := *o.createKey(t, aesShape(32)).Id
	if _, err := o.Management.DisableKey(t.Context(), keymanagement.DisableKeyRequest{KeyId: &disabled}); err != nil {
		t.Fatal(err)
	}
	stranger := oracle.WithKey(t, o.server.Ready.OCI, newAPIKey(t).private)
	nowhere := func(id string) *string { return common.String(id[:len(id)-4] + "aaaa") }
	for name, test := range map[string]struct {
		call    func(context.Context) error
		gone    bool
		repeats bool
	}{
		"key that is not there": {func(ctx context.Context) error {
			_, err := o.Management.GetKey(ctx, keymanagement.GetKeyRequest{KeyId: nowhere(key)})
			return err
		}, true, false},
		"version that is not there": {func(ctx context.Context) error {
			_, err := o.Management.GetKeyVersion(ctx, keymanagement.GetKeyVersionRequest{KeyId: &key, KeyVersionId: nowhere(current)})
			return err
		}, true, false},
		"vault that is not there": {func(ctx context.Context) error {
			_, err := o.Vault.GetVault(ctx, keymanagement.GetVaultRequest{VaultId: nowhere(o.server.Ready.OCI.VaultID)})
			return err
		}, true, false},
		"stranger": {func(ctx context.Context) error {
			_, err := stranger.Management.GetKey(ctx, keymanagement.GetKeyRequest{KeyId: &key})
			return err
		}, false, false},
		"compartment that is not there": {func(ctx context.Context) error {
			shape := aesShape(32)
			_, err := o.Management.CreateKey(ctx, keymanagement.CreateKeyRequest{CreateKeyDetails: keymanagement.CreateKeyDetails{
				CompartmentId: nowhere(o.compartment), DisplayName: common.String("x"), KeyShape: &shape,
			}})
			return err
		}, false, false},
		"name that is none": {func(ctx context.Context) error {
			_, err := o.Management.UpdateKey(ctx, keymanagement.UpdateKeyRequest{KeyId: &key, UpdateKeyDetails: keymanagement.UpdateKeyDetails{DisplayName: common.String("")}})
			return err
		}, false, false},
		"time that is too soon": {func(ctx context.Context) error {
			_, err := o.Management.ScheduleKeyDeletion(ctx, keymanagement.ScheduleKeyDeletionRequest{KeyId: &key, ScheduleKeyDeletionDetails: keymanagement.ScheduleKeyDeletionDetails{
				TimeOfDeletion: &common.SDKTime{Time: o.server.Admin.Now(t).Add(time.Hour)},
			}})
			return err
		}, false, false},
		"disabled key": {func(ctx context.Context) error {
			_, err := o.encrypt(ctx, disabled, []byte("x"), nil, "")
			return err
		}, false, true},
		"rotation of a disabled key": {func(ctx context.Context) error {
			_, err := o.Management.CreateKeyVersion(ctx, keymanagement.CreateKeyVersionRequest{KeyId: &disabled})
			return err
		}, false, true},
		"current version": {func(ctx context.Context) error {
			_, err := o.scheduleVersionDeletion(ctx, key, current, o.server.Admin.Now(t).Add(10*day))
			return err
		}, false, true},
		"another's ciphertext": {func(ctx context.Context) error {
			_, err := o.decrypt(ctx, key, "", "AAAA", nil, "")
			return err
		}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.call(t.Context())
			if err == nil {
				t.Fatal("no error")
			}
			if takesForGone(err) != test.gone {
				t.Errorf("taken for gone: %t, want %t: %v", !test.gone, test.gone, err)
			}
			if repeats(err) != test.repeats {
				t.Errorf("repeated: %t, want %t: %v", !test.repeats, test.repeats, err)
			}
		})
	}
}
