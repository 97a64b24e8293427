// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"context"
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"
)

// vault is the configuration of a vault; more are more lines of it.
func (w *world) vault(compartment, name, more string) string {
	return fmt.Sprintf(`
resource "oci_kms_vault" "it" {
  compartment_id = %q
  display_name   = %q
  vault_type     = "DEFAULT"
  %s
}
`, compartment, name, more)
}

func exactly(address, attribute, value string) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(address, tfjsonpath.New(attribute), knownvalue.StringExact(value))
}

func matching(address, attribute, expression string) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(address, tfjsonpath.New(attribute), knownvalue.StringRegexp(regexp.MustCompile(expression)))
}

func labelled(address, attribute string, pairs map[string]string) statecheck.StateCheck {
	wanted := map[string]knownvalue.Check{}
	for key, value := range pairs {
		wanted[key] = knownvalue.StringExact(value)
	}
	return statecheck.ExpectKnownValue(address, tfjsonpath.New(attribute), knownvalue.MapExact(wanted))
}

func planned(address string, action plancheck.ResourceActionType) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(address, action)}}
}

func TestVault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const it = "oci_kms_vault.it"
	here, there := w.OCI.Compartment, w.compartment(t, "there")
	at := w.Now(t).Add(15 * day).Truncate(time.Second).UTC()
	var id string
	resource.Test(t, resource.TestCase{
		ProtoV5ProviderFactories: w.providers(),
		CheckDestroy: func(*terraform.State) error {
			if v := w.findVault(t, id); v.LifecycleState != "PENDING_DELETION" || !v.TimeOfDeletion.Equal(at) {
				return fmt.Errorf("after its destruction the vault is %s until %v, want %s", v.LifecycleState, v.TimeOfDeletion, at)
			}
			return nil
		},
		Steps: []resource.TestStep{
			{
				Config: w.vault(here, "one", ""), Check: remember(it, &id),
				ConfigStateChecks: []statecheck.StateCheck{
					exactly(it, "compartment_id", here), exactly(it, "display_name", "one"), exactly(it, "vault_type", "DEFAULT"),
					exactly(it, "state", "ACTIVE"), matching(it, "id", `^ocid1\.vault\.`), matching(it, "management_endpoint", `^http://`),
					matching(it, "crypto_endpoint", `^http://`), matching(it, "time_created", `Z$`),
					labelled(it, "freeform_tags", nil), labelled(it, "defined_tags", nil),
				},
			},
			{ResourceName: it, ImportState: true, ImportStateVerify: true},
			{ResourceName: it, ImportState: true, ImportStateKind: resource.ImportBlockWithID},
			{
				Config:           w.vault(here, "two", `freeform_tags = { a = "1", b = "2" }`+"\n"+`defined_tags = { "n.k" = "v", "n.l" = "w" }`),
				ConfigPlanChecks: updated(it),
				ConfigStateChecks: []statecheck.StateCheck{
					exactly(it, "display_name", "two"), labelled(it, "freeform_tags", map[string]string{"a": "1", "b": "2"}),
					labelled(it, "defined_tags", map[string]string{"n.k": "v", "n.l": "w"}),
				},
			},
			{ // not mentioned: they stay
				Config: w.vault(here, "two", ""), ConfigPlanChecks: unchanged(),
				ConfigStateChecks: []statecheck.StateCheck{labelled(it, "freeform_tags", map[string]string{"a": "1", "b": "2"})},
			},
			{
				Config: w.vault(there, "two", "freeform_tags = {}\n"+deleteAt(at)), ConfigPlanChecks: updated(it),
				ConfigStateChecks: []statecheck.StateCheck{exactly(it, "compartment_id", there), labelled(it, "freeform_tags", nil)},
			},
			{ // changed elsewhere, and changed back
				PreConfig: func() {
					name := "three"
					if _, err := w.vaults(t).UpdateVault(context.Background(), keymanagement.UpdateVaultRequest{
						VaultId: &id, UpdateVaultDetails: keymanagement.UpdateVaultDetails{DisplayName: &name},
					}); err != nil {
						t.Fatal(err)
					}
				},
				Config: w.vault(there, "two", deleteAt(at)), ConfigPlanChecks: updated(it),
				ConfigStateChecks: []statecheck.StateCheck{exactly(it, "display_name", "two")},
			},
		},
	})
}

// A vault whose deletion was scheduled elsewhere is gone for Terraform, which makes another one.
func TestVault_Disappears(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const it = "oci_kms_vault.it"
	var id string
	resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{
		{Config: w.vault(w.OCI.Compartment, "one", ""), Check: remember(it, &id)},
		{
			PreConfig: func() {
				if _, err := w.vaults(t).ScheduleVaultDeletion(context.Background(), keymanagement.ScheduleVaultDeletionRequest{VaultId: &id}); err != nil {
					t.Fatal(err)
				}
			},
			RefreshState: true, ExpectNonEmptyPlan: true,
		},
		{Config: w.vault(w.OCI.Compartment, "one", ""), ConfigPlanChecks: planned(it, plancheck.ResourceActionCreate)},
	}})
}

func TestVault_Refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	here := w.OCI.Compartment
	file := `restore_from_file {
  content_length                  = "3"
  restore_vault_from_file_details = "YWJj"
}
`
	store := `restore_from_object_store {
  destination = "BUCKET"
}
`
	w.refuses(t, map[string]refusal{
		"no name":                  {`resource "oci_kms_vault" "it" { compartment_id = "x" }`, `"display_name" is required`},
		"unknown type":             {fmt.Sprintf("resource \"oci_kms_vault\" \"it\" {\n compartment_id = %q\n display_name = \"x\"\n vault_type = \"ROUND\"\n}", here), `"ROUND" is not one of DEFAULT`},
		"empty name":               {w.vault(here, "", ""), `displayName`},
		"unknown compartment":      {w.vault(here+"x", "x", ""), `this tenant has no such compartment`},
		"time of deletion is none": {w.vault(here, "x", `time_of_deletion = "2026-13-01T00:00:00Z"`), `not a time in RFC 3339`},
		"tag without namespace":    {w.vault(here, "x", `defined_tags = { k = "v" }`), `not of the form namespace.key`},
		"two sources":              {w.vault(here, "x", file+store), `exclude each other`},
		"two blocks":               {w.vault(here, "x", file+file), `at most one block`},
		"unknown destination":      {w.vault(here, "x", `restore_from_object_store { destination = "TAPE" }`), `"TAPE" is not one of BUCKET`},
		"backup not in base64":     {w.vault(here, "x", "restore_from_file {\n content_length = \"1\"\n restore_vault_from_file_details = \"?\"\n}"), `must be given in base64`},
		"length is none":           {w.vault(here, "x", "restore_from_file {\n content_length = \"x\"\n restore_vault_from_file_details = \"YWJj\"\n}"), `not a number of bytes`},
		"length is wrong":          {w.vault(here, "x", "restore_from_file {\n content_length = \"4\"\n restore_vault_from_file_details = \"YWJj\"\n}"), `the backup has 3 bytes`},
		"external without manager": {fmt.Sprintf("resource \"oci_kms_vault\" \"it\" {\n compartment_id = %q\n display_name = \"x\"\n vault_type = \"EXTERNAL\"\n}", here), `vaultType`},
	})
}
