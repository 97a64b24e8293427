// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
)

// Keys and versions are counted by where they are kept.
func TestVaultUsageData(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const it = "data.oci_kms_vault_usage.it"
	key := *w.createKey(t).Id
	usage := func(vault string) string {
		return fmt.Sprintf("data \"oci_kms_vault_usage\" \"it\" {\n  vault_id   = %q\n  depends_on = [oci_kms_key.it]\n}\n", vault)
	}
	software := w.keyConfig(w.OCI.Compartment, "one", aes256+"protection_mode = \"SOFTWARE\"\n")
	count := func(keys, versions, softwareKeys, softwareVersions int64) []statecheck.StateCheck {
		checks := []statecheck.StateCheck{exactly(it, "id", w.OCI.VaultID)}
		for name, n := range map[string]int64{
			"key_count": keys, "key_version_count": versions, "software_key_count": softwareKeys, "software_key_version_count": softwareVersions,
		} {
			checks = append(checks, statecheck.ExpectKnownValue(it, tfjsonpath.New(name), knownvalue.Int64Exact(n)))
		}
		return checks
	}
	resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{
		{Config: software + usage(w.OCI.VaultID), ConfigStateChecks: count(1, 1, 1, 1)},
		{PreConfig: func() { w.rotate(t, key) }, Config: software + usage(w.OCI.VaultID), ConfigStateChecks: count(1, 2, 1, 1)},
		{Config: software + `data "oci_kms_vault_usage" "it" {}`, ExpectError: spaced(`"vault_id" is required`)},
		{Config: software + usage(w.OCI.VaultID[:len(w.OCI.VaultID)-1]+"x"), ExpectError: spaced("Check the OCID")},
	}})
}
