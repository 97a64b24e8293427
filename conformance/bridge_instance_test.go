// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/oracle/oci-go-sdk/v65/common"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/conformance/internal/alibaba"
	"claviger/conformance/internal/live"
	"claviger/conformance/internal/oracle"
)

// instance is the id of the one instance that is not other.
func (a alicloud) instance(t *testing.T, other string) string {
	t.Helper()
	list := a.must(t, "ListKmsInstances")
	for i := range 2 {
		if id := at(list, fmt.Sprintf("KmsInstances.KmsInstance.%d.KmsInstanceId", i)); id != "" && id != other {
			return id
		}
	}
	t.Fatalf("no instance but %s: %v", other, list)
	return ""
}

// A vault that OCI's API made is a KMS instance, and a key that Alibaba's API makes in it lies at the
// vault's endpoints.
func TestBridgeInstance(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	first, a := throughOCI(t, server), alicloud{server}
	standard := at(a.must(t, "GetDefaultKmsInstance"), "DefaultKmsInstanceId")
	vault := first.createVault(t, "ledger")
	id := a.instance(t, standard)
	wantAt(t, "the instance", a.must(t, "GetKmsInstance", "KmsInstanceId="+id), map[string]string{
		"KmsInstance.InstanceId": id, "KmsInstance.InstanceName": "ledger", "KmsInstance.Status": "Connected",
	})
	key := at(a.must(t, "CreateKey", "DKMSInstanceId="+id), "KeyMetadata.KeyId")
	want(t, "DKMSInstanceId", at(a.must(t, "DescribeKey", "KeyId="+key), "KeyMetadata.DKMSInstanceId"), id)
	inside, name := first.in(t, vault), server.Admin.Key(t, key).Names.OCI
	want(t, "vault of the key", *inside.key(t, name).VaultId, *vault.Id)
	sealed := at(a.must(t, "Encrypt", "KeyId="+key, "Plaintext=QQ=="), "CiphertextBlob")
	opened, err := inside.decrypt(t.Context(), name, "", sealed, nil, "")
	if err != nil || string(opened) != "A" {
		t.Errorf("opened at the vault's endpoint: %q, %v", opened, err)
	}
	_, err = first.Management.GetKey(t.Context(), keymanagement.GetKeyRequest{KeyId: &name})
	want(t, "the key at another vault's endpoint", oracle.Refusal(err), "404 NotAuthorizedOrNotFound")
	found := a.must(t, "ListKeys", `Filters=[{"Key":"DKMSInstanceId","Values":["`+id+`"]}]`)
	wantAt(t, "keys of the instance", found, map[string]string{"TotalCount": "1", "Keys.Key.0.KeyId": key})
	ocis := server.Admin.Key(t, *inside.createKey(t, aesShape(32)).Id).Names.Alibaba
	want(t, "DKMSInstanceId of OCI's key", at(a.must(t, "DescribeKey", "KeyId="+ocis), "KeyMetadata.DKMSInstanceId"), id)
}

// Deletion protection that Alibaba's API sets holds against OCI's: for the key, its versions and its
// vault.
func TestBridgeProtection(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	first := throughOCI(t, server)
	vault := first.createVault(t, "held")
	o := first.in(t, vault)
	key := *o.createKey(t, aesShape(32)).Id
	old := *o.key(t, key).CurrentKeyVersion
	o.createVersion(t, key)
	ali := throughAlibaba(t, server, alibaba.Classic)
	now := server.Admin.Now(t)
	when := &common.SDKTime{Time: now.Add(10 * day)}
	attempts := map[string]func() error{
		"its version": func() error {
			_, err := o.scheduleVersionDeletion(t.Context(), key, old, when.Time)
			return err
		},
		"the key": func() error {
			_, err := o.Management.ScheduleKeyDeletion(t.Context(), keymanagement.ScheduleKeyDeletionRequest{
				KeyId: &key, ScheduleKeyDeletionDetails: keymanagement.ScheduleKeyDeletionDetails{TimeOfDeletion: when},
			})
			return err
		},
		"its vault": func() error {
			_, err := first.Vault.ScheduleVaultDeletion(t.Context(), keymanagement.ScheduleVaultDeletionRequest{
				VaultId: vault.Id, ScheduleVaultDeletionDetails: keymanagement.ScheduleVaultDeletionDetails{TimeOfDeletion: when},
			})
			return err
		},
	}
	for _, on := range []bool{true, false} {
		names := server.Admin.Key(t, key).Names
		ali.must(t, "SetDeletionProtection", alibaba.Params{
			"ProtectedResourceArn":     "acs:kms:" + server.Ready.Alibaba.RegionID + ":" + server.Ready.Alibaba.AccountID + ":key/" + names.Alibaba,
			"EnableDeletionProtection": on,
		})
		wanted := map[bool]string{true: "409 Conflict", false: "200"}[on]
		for _, what := range []string{"its version", "the key", "its vault"} {
			want(t, "deleting "+what, oracle.Refusal(attempts[what]()), wanted)
		}
	}
}

// OCI's free-form tags and Alibaba's tags are the same.
func TestBridgeTags(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	o, a := throughOCI(t, server), alicloud{server}
	key := *o.createKey(t, aesShape(32)).Id
	id := server.Admin.Key(t, key).Names.Alibaba
	set := func(tags map[string]string) {
		t.Helper()
		_, err := o.Management.UpdateKey(t.Context(), keymanagement.UpdateKeyRequest{
			KeyId: &key, UpdateKeyDetails: keymanagement.UpdateKeyDetails{FreeformTags: tags},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	look := func(step string, wanted map[string]string) {
		t.Helper()
		if diff := cmp.Diff(wanted, o.key(t, key).FreeformTags); diff != "" {
			t.Errorf("%s, through OCI (-want +got):\n%s", step, diff)
		}
		got, list := map[string]string{}, a.must(t, "ListResourceTags", "KeyId="+id)
		for i := 0; at(list, fmt.Sprintf("Tags.Tag.%d.KeyId", i)) != ""; i++ {
			row := fmt.Sprintf("Tags.Tag.%d.", i)
			got[at(list, row+"TagKey")] = at(list, row+"TagValue")
		}
		if diff := cmp.Diff(wanted, got); diff != "" {
			t.Errorf("%s, through Alibaba (-want +got):\n%s", step, diff)
		}
	}
	set(map[string]string{"cost center": "a, b", "team": "x"})
	look("set through OCI", map[string]string{"cost center": "a, b", "team": "x"})
	a.must(t, "TagResource", "KeyId="+id, `Tags=[{"TagKey":"team","TagValue":"y"},{"TagKey":"env","TagValue":"prod"}]`)
	look("changed through Alibaba", map[string]string{"cost center": "a, b", "team": "y", "env": "prod"})
	a.must(t, "UntagResource", "KeyId="+id, `TagKeys=["cost center"]`)
	look("removed through Alibaba", map[string]string{"team": "y", "env": "prod"})
	set(map[string]string{})
	look("removed through OCI", map[string]string{})
}
