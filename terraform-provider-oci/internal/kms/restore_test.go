// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"
)

// forgotten is after how long the server knows nothing any more of what was deleted.
const forgotten = 8*day + 91*day

// backup is an object in a bucket of the server's own.
func backup(name string) keymanagement.BackupLocation {
	namespace, bucket := "n", "b"
	return keymanagement.BackupLocationBucket{Namespace: &namespace, BucketName: &bucket, ObjectName: &name}
}

func fromBucket(name string) string {
	return fmt.Sprintf("restore_from_object_store {\n  destination = \"bucket\"\n  namespace = \"n\"\n  bucket = \"b\"\n  object = %q\n}\n", name)
}

// object is the content of an object, which the server keeps in a directory beside its keys.
func (w *world) object(t *testing.T, name string) []byte {
	t.Helper()
	var content []byte
	err := filepath.WalkDir(filepath.Dir(w.OCI.PrivateKeyFile), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Name() == name {
			content, err = os.ReadFile(path)
		}
		return err
	})
	if err != nil || len(content) == 0 {
		t.Fatalf("object %s: %d bytes, %v", name, len(content), err)
	}
	return content
}

func fromFile(argument string, content []byte) string {
	sum := md5.Sum(content)
	return fmt.Sprintf("restore_from_file {\n  %s = %q\n  content_length = \"%d\"\n  content_md5 = %q\n}\n",
		argument, base64.StdEncoding.EncodeToString(content), len(content), base64.StdEncoding.EncodeToString(sum[:]))
}

// same fails a step in which a resource has become another one.
func same(address string, id *string) resource.TestCheckFunc {
	return func(s *terraform.State) error {
		if r, ok := s.RootModule().Resources[address]; !ok || r.Primary.ID != *id {
			return fmt.Errorf("%s is not %s", address, *id)
		}
		return nil
	}
}

// A key that was deleted and forgotten is brought back from a bucket, and another time from a file.
func TestKey_Restore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const it = "oci_kms_key.it"
	var id string
	lose := func() {
		if _, err := w.management(t).ScheduleKeyDeletion(context.Background(), keymanagement.ScheduleKeyDeletionRequest{
			KeyId: &id, ScheduleKeyDeletionDetails: keymanagement.ScheduleKeyDeletionDetails{TimeOfDeletion: sdkTime(w.Now(t).Add(7*day + time.Hour))},
		}); err != nil {
			t.Fatal(err)
		}
		w.Advance(t, forgotten)
	}
	config := func(name, more string) string { return w.keyConfig(w.OCI.Compartment, name, p256+more) }
	var file string
	resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{
		{Config: config("one", ""), Check: remember(it, &id)},
		{
			PreConfig: func() {
				if _, err := w.management(t).BackupKey(context.Background(), keymanagement.BackupKeyRequest{
					KeyId: &id, BackupKeyDetails: keymanagement.BackupKeyDetails{BackupLocation: backup("key.backup")},
				}); err != nil {
					t.Fatal(err)
				}
				file = fromFile("restore_key_from_file_details", w.object(t, "key.backup"))
				lose()
			},
			RefreshState: true, ExpectNonEmptyPlan: true,
		},
		{ // brought back, and made what the configuration says
			Config: config("two", fromBucket("key.backup")), ConfigPlanChecks: planned(it, plancheck.ResourceActionCreate),
			Check:             same(it, &id),
			ConfigStateChecks: []statecheck.StateCheck{exactly(it, "display_name", "two"), exactly(it, "state", "ENABLED"), matching(it, "restored_from_key_id", "^ocid1.key.")},
		},
		{ // it is there: the service refuses to restore over it
			Config:      config("two", fromBucket("key.backup")+"restore_trigger = true\n"),
			ExpectError: spaced("NotAuthorizedOrResourceAlreadyExists"),
		},
		{PreConfig: lose, RefreshState: true, ExpectNonEmptyPlan: true},
		{
			Config:      config("one", "restore_from_object_store {\n  destination = \"BUCKET\"\n  namespace = \"n\"\n  bucket = \"b\"\n  object = \"other\"\n}\n"),
			ExpectError: spaced("RelatedResourceNotAuthorizedOrNotFound"),
		},
	}})
	resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{
		{Config: config("one", file), Check: same(it, &id), ConfigStateChecks: []statecheck.StateCheck{exactly(it, "state", "ENABLED")}},
	}})
}

// The same with a vault, and the keys in it.
func TestVault_Restore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const it = "oci_kms_vault.it"
	var id string
	var file string
	lose := func() {
		if _, err := w.vaults(t).ScheduleVaultDeletion(context.Background(), keymanagement.ScheduleVaultDeletionRequest{
			VaultId: &id, ScheduleVaultDeletionDetails: keymanagement.ScheduleVaultDeletionDetails{TimeOfDeletion: sdkTime(w.Now(t).Add(7*day + time.Hour))},
		}); err != nil {
			t.Fatal(err)
		}
		w.Advance(t, forgotten)
	}
	resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{
		{Config: w.vault(w.OCI.Compartment, "one", ""), Check: remember(it, &id)},
		{
			PreConfig: func() {
				keys := true
				if _, err := w.vaults(t).BackupVault(context.Background(), keymanagement.BackupVaultRequest{
					VaultId: &id, BackupVaultDetails: keymanagement.BackupVaultDetails{BackupLocation: backup("vault.backup"), IsIncludeKeys: &keys},
				}); err != nil {
					t.Fatal(err)
				}
				file = fromFile("restore_vault_from_file_details", w.object(t, "vault.backup"))
				lose()
			},
			RefreshState: true, ExpectNonEmptyPlan: true,
		},
		{
			Config: w.vault(w.OCI.Compartment, "two", fromBucket("vault.backup")), Check: same(it, &id),
			ConfigStateChecks: []statecheck.StateCheck{exactly(it, "display_name", "two"), exactly(it, "state", "ACTIVE")},
		},
		{
			Config:      w.vault(w.OCI.Compartment, "two", fromBucket("vault.backup")+"restore_trigger = true\n"),
			ExpectError: spaced("NotAuthorizedOrResourceAlreadyExists"),
		},
		{PreConfig: lose, RefreshState: true, ExpectNonEmptyPlan: true},
	}})
	resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{
		{Config: w.vault(w.OCI.Compartment, "one", file), Check: same(it, &id), ConfigStateChecks: []statecheck.StateCheck{exactly(it, "state", "ACTIVE")}},
	}})
}
