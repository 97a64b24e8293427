// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"
)

// names is an output of what a list has of an attribute, in order.
func names(output, list, attribute string) string {
	return fmt.Sprintf("output %q { value = %s[*].%s }\n", output, list, attribute)
}

func outputs(name string, values ...string) statecheck.StateCheck {
	wanted := make([]knownvalue.Check, len(values))
	for i, v := range values {
		wanted[i] = knownvalue.StringExact(v)
	}
	return statecheck.ExpectKnownOutputValue(name, knownvalue.ListExact(wanted))
}

func counts(address, list string, n int) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(address, tfjsonpath.New(list), knownvalue.ListSizeExact(n))
}

func TestVaultData(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	there := w.compartment(t, "there")
	const one, all = "data.oci_kms_vault.one", "data.oci_kms_vaults.all"
	resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{{
		Config: fmt.Sprintf(`
resource "oci_kms_vault" "it" {
  count          = 2
  compartment_id = %q
  display_name   = "vault ${count.index}"
  vault_type     = "DEFAULT"
  freeform_tags  = { number = count.index }
}
data "oci_kms_vault" "one" {
  vault_id = oci_kms_vault.it[0].id
}
data "oci_kms_vaults" "all" {
  compartment_id = %[1]q
  depends_on     = [oci_kms_vault.it]
}
data "oci_kms_vaults" "some" {
  compartment_id = %[1]q
  depends_on     = [oci_kms_vault.it]
  filter {
    name   = "display_name"
    values = ["1$", "7$"]
    regex  = true
  }
  filter {
    name   = "state"
    values = ["ACTIVE"]
  }
}
data "oci_kms_vaults" "tagged" {
  compartment_id = %[1]q
  depends_on     = [oci_kms_vault.it]
  filter {
    name   = "freeform_tags.number"
    values = ["0"]
  }
}
`, there) + names("some", "data.oci_kms_vaults.some.vaults", "display_name") + names("tagged", "data.oci_kms_vaults.tagged.vaults", "display_name"),
		Check: resource.ComposeTestCheckFunc(
			resource.TestCheckResourceAttrPair(one, "id", "oci_kms_vault.it.0", "id"),
			resource.TestCheckResourceAttrPair(one, "management_endpoint", "oci_kms_vault.it.0", "management_endpoint"),
			resource.TestCheckResourceAttrPair(one, "crypto_endpoint", "oci_kms_vault.it.0", "crypto_endpoint"),
			resource.TestCheckResourceAttrPair(one, "time_created", "oci_kms_vault.it.0", "time_created"),
			resource.TestCheckResourceAttrPair(one, "is_vault_replicable", "oci_kms_vault.it.0", "is_vault_replicable"),
		),
		ConfigStateChecks: []statecheck.StateCheck{
			exactly(one, "display_name", "vault 0"), exactly(one, "vault_type", "DEFAULT"), exactly(one, "compartment_id", there), exactly(one, "state", "ACTIVE"),
			labelled(one, "freeform_tags", map[string]string{"number": "0"}),
			counts(all, "vaults", 2), outputs("some", "vault 1"), outputs("tagged", "vault 0"),
		},
	}}})
}

func TestKeyData(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	there := w.compartment(t, "there")
	const one = "data.oci_kms_key.one"
	config := fmt.Sprintf(`
locals {
  shapes = [["a", "AES", 32, "HSM"], ["b", "AES", 16, "SOFTWARE"], ["c", "ECDSA", 32, "SOFTWARE"]]
  keys   = { compartment_id = %q, management_endpoint = %q }
}
resource "oci_kms_key" "it" {
  count               = length(local.shapes)
  compartment_id      = local.keys.compartment_id
  management_endpoint = local.keys.management_endpoint
  display_name        = local.shapes[count.index][0]
  protection_mode     = local.shapes[count.index][3]
  key_shape {
    algorithm = local.shapes[count.index][1]
    length    = local.shapes[count.index][2]
  }
}
data "oci_kms_key" "one" {
  key_id              = oci_kms_key.it[2].id
  management_endpoint = local.keys.management_endpoint
}
`, there, w.OCI.ManagementEndpoint)
	for name, only := range map[string]string{
		"all": "", "algorithm": `algorithm = "ECDSA"`, "length": "length = 16", "curve": `curve_id = "NIST_P256"`, "protection": `protection_mode = "SOFTWARE"`,
		"filtered": "filter {\n name = \"key_shape.algorithm\"\n values = [\"AES\"]\n}",
		"none":     "filter {\n name = \"is_auto_rotation_enabled\"\n values = [\"true\"]\n}",
	} {
		config += fmt.Sprintf(`
data "oci_kms_keys" %q {
  compartment_id      = local.keys.compartment_id
  management_endpoint = local.keys.management_endpoint
  depends_on          = [oci_kms_key.it]
  %s
}
output %[1]q { value = sort(data.oci_kms_keys.%[1]s.keys[*].display_name) }
`, name, only)
	}
	resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{{
		Config: config,
		Check: resource.ComposeTestCheckFunc(
			resource.TestCheckResourceAttrPair(one, "id", "oci_kms_key.it.2", "id"),
			resource.TestCheckResourceAttrPair(one, "current_key_version", "oci_kms_key.it.2", "current_key_version"),
		),
		ConfigStateChecks: []statecheck.StateCheck{
			exactly(one, "display_name", "c"), exactly(one, "protection_mode", "SOFTWARE"), exactly(one, "state", "ENABLED"), exactly(one, "vault_id", w.OCI.VaultID),
			statecheck.ExpectKnownValue(one, tfjsonpath.New("key_shape").AtSliceIndex(0).AtMapKey("curve_id"), knownvalue.StringExact("NIST_P256")),
			outputs("all", "a", "b", "c"), outputs("algorithm", "c"), outputs("length", "b"), outputs("curve", "c"), outputs("protection", "b", "c"),
			outputs("filtered", "a", "b"), outputs("none"),
		},
	}}})
}

func TestKeyVersionData(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.export("disable_kms_version_delete", "true")
	key := w.createKey(t)
	at := w.Now(t).Add(9 * day).Truncate(time.Second).UTC()
	const one = "data.oci_kms_key_version.one"
	config := w.versions(*key.Id, [2]string{"new", ""}) + fmt.Sprintf(`
data "oci_kms_key_version" "one" {
  key_id              = %q
  key_version_id      = %q
  management_endpoint = %q
}
data "oci_kms_key_versions" "all" {
  key_id              = %[1]q
  management_endpoint = %[3]q
  depends_on          = [oci_kms_key_version.new]
}
data "oci_kms_key_versions" "enabled" {
  key_id              = %[1]q
  management_endpoint = %[3]q
  depends_on          = [oci_kms_key_version.new]
  filter {
    name   = "state"
    values = ["ENABLED"]
  }
}
`, *key.Id, *key.CurrentKeyVersion, w.OCI.ManagementEndpoint)
	resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{
		{
			Config: config,
			ConfigStateChecks: []statecheck.StateCheck{
				exactly(one, "id", *key.CurrentKeyVersion), exactly(one, "state", "ENABLED"), exactly(one, "key_id", *key.Id), exactly(one, "vault_id", w.OCI.VaultID),
				counts("data.oci_kms_key_versions.all", "key_versions", 2), counts("data.oci_kms_key_versions.enabled", "key_versions", 2),
			},
		},
		{
			PreConfig: func() {
				if _, err := w.management(t).ScheduleKeyVersionDeletion(context.Background(), keymanagement.ScheduleKeyVersionDeletionRequest{
					KeyId: key.Id, KeyVersionId: key.CurrentKeyVersion,
					ScheduleKeyVersionDeletionDetails: keymanagement.ScheduleKeyVersionDeletionDetails{TimeOfDeletion: sdkTime(at)},
				}); err != nil {
					t.Fatal(err)
				}
			},
			Config: config,
			Check: func(s *terraform.State) error {
				all := s.RootModule().Resources["data.oci_kms_key_versions.all"].Primary.Attributes
				if got, want := all["key_versions.1.time_of_deletion"], at.Format("2006-01-02T15:04:05.000Z"); got != want {
					return fmt.Errorf("the older version is listed as to be deleted at %q, want %q", got, want)
				}
				return nil
			},
			ConfigStateChecks: []statecheck.StateCheck{
				exactly(one, "state", "PENDING_DELETION"), exactly(one, "time_of_deletion", at.Format("2006-01-02T15:04:05.000Z")),
				counts("data.oci_kms_key_versions.all", "key_versions", 2), counts("data.oci_kms_key_versions.enabled", "key_versions", 1),
			},
		},
	}})
}

// More things than fit on a page of the service.
func TestKeyVersionsData_AllPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := *w.createKey(t).Id
	client := w.management(t)
	const more = 120
	for range more {
		if _, err := client.CreateKeyVersion(t.Context(), keymanagement.CreateKeyVersionRequest{KeyId: &key}); err != nil {
			t.Fatal(err)
		}
	}
	resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{{
		Config: fmt.Sprintf(`
data "oci_kms_key_versions" "all" {
  key_id              = %q
  management_endpoint = %q
}
`, key, w.OCI.ManagementEndpoint),
		ConfigStateChecks: []statecheck.StateCheck{counts("data.oci_kms_key_versions.all", "key_versions", more+1)},
	}}})
}

func TestData_Refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.createKey(t)
	at := fmt.Sprintf("management_endpoint = %q\n", w.OCI.ManagementEndpoint)
	data := func(kind, lines string) string { return fmt.Sprintf("data %q \"it\" {\n%s\n}\n", kind, lines) }
	keys := at + fmt.Sprintf("compartment_id = %q\n", w.OCI.Compartment)
	w.refuses(t, map[string]refusal{
		"vault that is not there":   {data("oci_kms_vault", `vault_id = "ocid1.vault.oc1.iad.a.b"`), `Check the OCID`},
		"vault without id":          {data("oci_kms_vault", ""), `"vault_id" is required`},
		"vaults of nowhere":         {data("oci_kms_vaults", `compartment_id = "ocid1.compartment.oc1..x"`), `Check the OCID`},
		"key that is not there":     {data("oci_kms_key", at+`key_id = "ocid1.key.oc1.iad.a.b"`), `Check the OCID`},
		"key without endpoint":      {data("oci_kms_key", fmt.Sprintf("key_id = %q", *key.Id)), `"management_endpoint" is required`},
		"key at the vault service":  {data("oci_kms_key", fmt.Sprintf("key_id = %q\nmanagement_endpoint = %q", *key.Id, w.OCI.VaultEndpoint)), `is the address of the vault service`},
		"version of another key":    {data("oci_kms_key_version", at+fmt.Sprintf("key_id = %q\nkey_version_id = %q", *w.createKey(t).Id, *key.CurrentKeyVersion)), `Check the OCID`},
		"versions of no key":        {data("oci_kms_key_versions", at+`key_id = "ocid1.key.oc1.iad.a.b"`), `Check the OCID`},
		"keys of an unknown kind":   {data("oci_kms_keys", keys+`algorithm = "DES"`), `"DES" is not one of AES`},
		"filter by nothing":         {data("oci_kms_keys", keys+"filter {\n name = \"colour\"\n values = [\"red\"]\n}"), `there is no attribute colour; there are auto_key_rotation_details`},
		"filter below a text":       {data("oci_kms_keys", keys+"filter {\n name = \"state.colour\"\n values = [\"red\"]\n}"), `there is nothing within`},
		"filter that does not read": {data("oci_kms_keys", keys+"filter {\n name = \"state\"\n values = [\"(\"]\n regex = true\n}"), `missing closing )`},
	})
}
