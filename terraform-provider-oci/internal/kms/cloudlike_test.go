// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
)

// A server that shows its changes on their way, as Oracle's does, is waited for at every step: while
// things are created, changed and deleted, and where a change is refused because of another one.
func TestCloudlike(t *testing.T) {
	t.Parallel()
	for seed := range 3 {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "--consistency", "cloudlike", "--consistency-seed", strconv.Itoa(seed))
			there := w.compartment(t, "there")
			at := w.Now(t).Add(10 * day).UTC().Truncate(time.Second)
			config := func(compartment, name, state, versions, version string) string {
				return fmt.Sprintf(`
resource "oci_kms_vault" "it" {
  compartment_id = %[1]q
  display_name   = %[2]q
  vault_type     = "DEFAULT"
}
resource "oci_kms_key" "it" {
  compartment_id      = %[1]q
  display_name        = %[2]q
  management_endpoint = oci_kms_vault.it.management_endpoint
  desired_state       = %[3]q
  %[4]s
}
resource "oci_kms_key_version" "old" {
  count               = %[5]s
  key_id              = oci_kms_key.it.id
  management_endpoint = oci_kms_vault.it.management_endpoint
  time_of_deletion    = %[6]q
}
resource "oci_kms_key_version" "new" {
  key_id              = oci_kms_key.it.id
  management_endpoint = oci_kms_vault.it.management_endpoint
  depends_on          = [oci_kms_key_version.old]
  %[7]s
}
`, compartment, name, state, aes256, versions, at.Format(time.RFC3339), version)
			}
			const key = "oci_kms_key.it"
			resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{
				{Config: config(w.OCI.Compartment, "one", "ENABLED", "3", ""), ConfigStateChecks: []statecheck.StateCheck{
					exactly(key, "state", "ENABLED"), exactly("oci_kms_vault.it", "state", "ACTIVE"), exactly("oci_kms_key_version.old[0]", "state", "ENABLED"),
				}},
				{Config: config(there, "two", "DISABLED", "3", ""), ConfigStateChecks: []statecheck.StateCheck{
					exactly(key, "state", "DISABLED"), exactly(key, "compartment_id", there),
				}},
				{
					Config:            config(w.OCI.Compartment, "three", "ENABLED", "1", ""),
					ConfigPlanChecks:  planned("oci_kms_key_version.old[2]", plancheck.ResourceActionDestroy),
					ConfigStateChecks: []statecheck.StateCheck{exactly(key, "state", "ENABLED"), exactly("oci_kms_vault.it", "display_name", "three")},
				},
				{
					PreConfig: func() { w.export("disable_kms_version_delete", "true") },
					Config:    config(w.OCI.Compartment, "three", "ENABLED", "1", ""), ConfigPlanChecks: unchanged(),
				},
			}})
		})
	}
}
