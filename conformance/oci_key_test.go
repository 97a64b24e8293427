// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/oracle/oci-go-sdk/v65/common"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/conformance/internal/live"
	"claviger/conformance/internal/oracle"
)

// list collects the names of the keys that a request finds, over all pages.
func (o oci) list(t *testing.T, request keymanagement.ListKeysRequest) []string {
	t.Helper()
	request.CompartmentId = &o.compartment
	var names []string
	for {
		listed, err := o.Management.ListKeys(t.Context(), request)
		if err != nil {
			t.Fatalf("ListKeys: %v", err)
		}
		for _, key := range listed.Items {
			names = append(names, *key.DisplayName)
		}
		if request.Page = listed.OpcNextPage; request.Page == nil {
			return names
		}
	}
}

func TestOCIListKeys(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	o := throughOCI(t, server)
	shapes := map[string]keymanagement.KeyShape{
		"a AES-128": aesShape(16), "b AES-256": aesShape(32), "c RSA-2048": rsaShape(256),
		"d P-256": ecShape(keymanagement.KeyShapeCurveIdP256), "e P-384": ecShape(keymanagement.KeyShapeCurveIdP384),
	}
	made := []string{"d P-256", "a AES-128", "e P-384", "c RSA-2048", "b AES-256"}
	for _, name := range made {
		shape := shapes[name]
		if _, err := o.Management.CreateKey(t.Context(), keymanagement.CreateKeyRequest{CreateKeyDetails: keymanagement.CreateKeyDetails{
			CompartmentId: &o.compartment, DisplayName: &name, KeyShape: &shape,
			ProtectionMode: keymanagement.CreateKeyDetailsProtectionModeSoftware,
		}}); err != nil {
			t.Fatal(err)
		}
	}
	newest := slices.Clone(made)
	slices.Reverse(newest)
	sorted := slices.Sorted(slices.Values(made))
	backwards := slices.Clone(sorted)
	slices.Reverse(backwards)
	for _, test := range []struct {
		name    string
		request keymanagement.ListKeysRequest
		want    []string
	}{
		{"default", keymanagement.ListKeysRequest{}, newest},
		{"page by page", keymanagement.ListKeysRequest{Limit: common.Int(2)}, newest},
		{"oldest first", keymanagement.ListKeysRequest{SortOrder: keymanagement.ListKeysSortOrderAsc}, made},
		{"by name", keymanagement.ListKeysRequest{SortBy: keymanagement.ListKeysSortByDisplayname}, sorted},
		{"by name, backwards, page by page", keymanagement.ListKeysRequest{
			SortBy: keymanagement.ListKeysSortByDisplayname, SortOrder: keymanagement.ListKeysSortOrderDesc, Limit: common.Int(2),
		}, backwards},
		{"algorithm", keymanagement.ListKeysRequest{Algorithm: keymanagement.ListKeysAlgorithmAes}, []string{"b AES-256", "a AES-128"}},
		{"length", keymanagement.ListKeysRequest{Length: common.Int(256)}, []string{"c RSA-2048"}},
		{"length of two algorithms", keymanagement.ListKeysRequest{Length: common.Int(32)}, []string{"b AES-256", "d P-256"}},
		{"curve", keymanagement.ListKeysRequest{CurveId: keymanagement.ListKeysCurveIdP384}, []string{"e P-384"}},
		{"protection mode", keymanagement.ListKeysRequest{ProtectionMode: keymanagement.ListKeysProtectionModeHsm}, nil},
		{"two filters", keymanagement.ListKeysRequest{
			ProtectionMode: keymanagement.ListKeysProtectionModeSoftware, Algorithm: keymanagement.ListKeysAlgorithmRsa,
		}, []string{"c RSA-2048"}},
	} {
		if diff := cmp.Diff(test.want, o.list(t, test.request)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// A disabled key serves nothing until it is enabled, but may be renamed: Terraform's update sends
// the change before it enables.
func TestOCIDisabledKey(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	o := throughOCI(t, server)
	key := *o.createKey(t, aesShape(32)).Id
	sealed, err := o.encrypt(t.Context(), key, []byte("x"), nil, "")
	if err != nil {
		t.Fatal(err)
	}
	disabled, err := o.Management.DisableKey(t.Context(), keymanagement.DisableKeyRequest{KeyId: &key})
	if err != nil {
		t.Fatalf("DisableKey: %v", err)
	}
	want(t, "state", string(disabled.LifecycleState), "DISABLED")
	_, err = o.encrypt(t.Context(), key, []byte("x"), nil, "")
	want(t, "Encrypt", oracle.Refusal(err), "409 Conflict")
	_, err = o.decrypt(t.Context(), key, "", *sealed.Ciphertext, nil, "")
	want(t, "Decrypt", oracle.Refusal(err), "409 Conflict")
	updated, err := o.Management.UpdateKey(t.Context(), keymanagement.UpdateKeyRequest{
		KeyId: &key, UpdateKeyDetails: keymanagement.UpdateKeyDetails{
			DisplayName: common.String("renamed"), FreeformTags: map[string]string{"a": "b"},
		},
	})
	if err != nil {
		t.Fatalf("UpdateKey of a disabled key: %v", err)
	}
	want(t, "name and tag", *updated.DisplayName+updated.FreeformTags["a"], "renamedb")
	enabled, err := o.Management.EnableKey(t.Context(), keymanagement.EnableKeyRequest{KeyId: &key})
	if err != nil {
		t.Fatalf("EnableKey: %v", err)
	}
	want(t, "state", string(enabled.LifecycleState), "ENABLED")
	if opened, err := o.decrypt(t.Context(), key, "", *sealed.Ciphertext, nil, ""); err != nil || string(opened) != "x" {
		t.Errorf("Decrypt after EnableKey: %q, %v", opened, err)
	}
}

// Without a time the deletion is thirty days away.
func TestOCIDefaultRetention(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	o := throughOCI(t, server)
	server.Admin.Freeze(t)
	key := *o.createKey(t, aesShape(32)).Id
	scheduled, err := o.Management.ScheduleKeyDeletion(t.Context(), keymanagement.ScheduleKeyDeletionRequest{KeyId: &key})
	if err != nil {
		t.Fatalf("ScheduleKeyDeletion: %v", err)
	}
	if got := scheduled.TimeOfDeletion.Sub(server.Admin.Now(t)).Round(day); got != 30*day {
		t.Errorf("deletion in %s, want 30 days", got)
	}
	server.Admin.ToNextEvent(t)
	want(t, "state when the time has come", string(o.key(t, key).LifecycleState), "DELETED")
}

// Raw messages are hashed by the server.
func TestOCISignRawMessage(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	o := throughOCI(t, server)
	key := o.createKey(t, ecShape(keymanagement.KeyShapeCurveIdP256))
	signed, err := o.Crypto.Sign(t.Context(), keymanagement.SignRequest{SignDataDetails: keymanagement.SignDataDetails{
		KeyId: key.Id, Message: common.String("bWVzc2FnZQ=="), SigningAlgorithm: keymanagement.SignDataDetailsSigningAlgorithmEcdsaSha256,
	}})
	if err != nil {
		t.Fatalf("Sign: %v", err)
	}
	valid, err := o.verify(t.Context(), *key.Id, *signed.KeyVersionId, digestFor(t, "SHA_256", "message"), *signed.Signature, "ECDSA_SHA_256")
	if err != nil || !valid {
		t.Errorf("the signature of a raw message is not the signature of its digest (%v)", err)
	}
}
