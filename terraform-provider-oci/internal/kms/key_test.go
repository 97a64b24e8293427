// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"context"
	"fmt"
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

const (
	aes256 = "key_shape {\n  algorithm = \"AES\"\n  length = 32\n}\n"
	p256   = "key_shape {\n  algorithm = \"ECDSA\"\n  length = 32\n}\n"
)

// keyConfig is the configuration of a key; more are more lines of it.
func (w *world) keyConfig(compartment, name, more string) string {
	return fmt.Sprintf(`
resource "oci_kms_key" "it" {
  compartment_id      = %q
  display_name        = %q
  management_endpoint = %q
  %s
}
`, compartment, name, w.OCI.ManagementEndpoint, more)
}

func keyImport(w *world, address string) resource.ImportStateIdFunc {
	return func(s *terraform.State) (string, error) {
		return "managementEndpoint/" + w.OCI.ManagementEndpoint + "/keys/" + s.RootModule().Resources[address].Primary.ID, nil
	}
}

func TestKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const it = "oci_kms_key.it"
	here, there := w.OCI.Compartment, w.compartment(t, "there")
	at := w.Now(t).Add(15 * day).Truncate(time.Second).UTC()
	var id string
	resource.Test(t, resource.TestCase{
		ProtoV5ProviderFactories: w.providers(),
		CheckDestroy: func(*terraform.State) error {
			if k := w.key(t, id); k.LifecycleState != "PENDING_DELETION" || !k.TimeOfDeletion.Equal(at) {
				return fmt.Errorf("after its destruction the key is %s until %v, want %s", k.LifecycleState, k.TimeOfDeletion, at)
			}
			return nil
		},
		Steps: []resource.TestStep{
			{
				Config: w.keyConfig(here, "one", p256), Check: remember(it, &id),
				ConfigStateChecks: []statecheck.StateCheck{
					exactly(it, "compartment_id", here), exactly(it, "display_name", "one"), exactly(it, "state", "ENABLED"),
					exactly(it, "desired_state", "ENABLED"), exactly(it, "vault_id", w.OCI.VaultID), exactly(it, "protection_mode", "HSM"),
					matching(it, "id", `^ocid1\.key\.`), matching(it, "current_key_version", `^ocid1\.keyversion\.`), matching(it, "time_created", `Z$`),
					statecheck.ExpectKnownValue(it, tfjsonpath.New("key_shape").AtSliceIndex(0).AtMapKey("curve_id"), knownvalue.StringExact("NIST_P256")),
					statecheck.ExpectKnownValue(it, tfjsonpath.New("is_auto_rotation_enabled"), knownvalue.Bool(false)),
				},
			},
			{ResourceName: it, ImportState: true, ImportStateIdFunc: keyImport(w, it), ImportStateVerify: true},
			{ResourceName: it, ImportState: true, ImportStateIdFunc: keyImport(w, it), ImportStateKind: resource.ImportBlockWithID},
			{ // everything at once, down to being disabled
				Config: w.keyConfig(there, "two", p256+`freeform_tags = { a = "1" }
  defined_tags  = { "n.k" = "v" }
  desired_state = "DISABLED"
`+deleteAt(at)), ConfigPlanChecks: updated(it),
				ConfigStateChecks: []statecheck.StateCheck{
					exactly(it, "compartment_id", there), exactly(it, "display_name", "two"), exactly(it, "state", "DISABLED"),
					labelled(it, "freeform_tags", map[string]string{"a": "1"}), labelled(it, "defined_tags", map[string]string{"n.k": "v"}),
				},
			},
			{ // and back up
				Config: w.keyConfig(there, "three", p256+"desired_state = \"ENABLED\"\n"+deleteAt(at)), ConfigPlanChecks: updated(it),
				ConfigStateChecks: []statecheck.StateCheck{exactly(it, "display_name", "three"), exactly(it, "state", "ENABLED")},
			},
			{ // disabled elsewhere: enabled again, where the configuration says so
				PreConfig: func() { w.disable(t, id) },
				Config:    w.keyConfig(there, "three", p256+"desired_state = \"ENABLED\"\n"+deleteAt(at)), ConfigPlanChecks: updated(it),
				ConfigStateChecks: []statecheck.StateCheck{exactly(it, "state", "ENABLED")},
			},
			{ // and shown, where it does not
				PreConfig: func() { w.disable(t, id) },
				Config:    w.keyConfig(there, "three", p256+deleteAt(at)), ConfigPlanChecks: unchanged(),
				ConfigStateChecks: []statecheck.StateCheck{exactly(it, "state", "DISABLED"), exactly(it, "desired_state", "DISABLED")},
			},
		},
	})
}

func TestKey_Rotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const it = "oci_kms_key.it"
	here, start := w.OCI.Compartment, w.Now(t).Add(2*day).UTC().Truncate(time.Hour)
	schedule := func(on bool, days int, start time.Time) string {
		return aes256 + fmt.Sprintf("is_auto_rotation_enabled = %t\nauto_key_rotation_details {\n  rotation_interval_in_days = %d\n  time_of_schedule_start = %q\n}\n",
			on, days, start.Format(time.RFC3339))
	}
	detail := func(name string) tfjsonpath.Path {
		return tfjsonpath.New("auto_key_rotation_details").AtSliceIndex(0).AtMapKey(name)
	}
	next := func(at time.Time) statecheck.StateCheck {
		return statecheck.ExpectKnownValue(it, detail("time_of_next_rotation"), knownvalue.StringExact(at.Truncate(day).Format("2006-01-02T15:04:05.000Z")))
	}
	resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{
		{
			Config:            w.keyConfig(here, "one", schedule(true, 90, start)),
			ConfigStateChecks: []statecheck.StateCheck{next(start.Add(90 * day))},
		},
		{ResourceName: it, ImportState: true, ImportStateIdFunc: keyImport(w, it), ImportStateVerify: true, ImportStateVerifyIgnore: []string{
			"auto_key_rotation_details.0.time_of_schedule_start", // the service keeps the day
		}},
		{ResourceName: it, ImportState: true, ImportStateIdFunc: keyImport(w, it), ImportStateKind: resource.ImportBlockWithID},
		{ // another time of the same day is no change
			Config:           w.keyConfig(here, "one", schedule(true, 90, start.Truncate(day))),
			ConfigPlanChecks: unchanged(),
		},
		{ // what the service computes stays when something else changes
			Config: w.keyConfig(here, "two", schedule(true, 90, start)),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectKnownValue(it, detail("time_of_next_rotation"), knownvalue.NotNull()),
			}},
		},
		{
			Config:           w.keyConfig(here, "two", schedule(true, 60, start)),
			ConfigPlanChecks: updated(it), ConfigStateChecks: []statecheck.StateCheck{next(start.Add(60 * day))},
		},
		{ // rotated on schedule: shown, and no change
			PreConfig: func() { w.Advance(t, 63*day) },
			Config:    w.keyConfig(here, "two", schedule(true, 60, start)), ConfigPlanChecks: unchanged(),
			ConfigStateChecks: []statecheck.StateCheck{
				next(start.Add(120 * day)), statecheck.ExpectKnownValue(it, detail("last_rotation_status"), knownvalue.StringExact("SUCCESS")),
			},
		},
		{
			Config: w.keyConfig(here, "two", schedule(false, 60, start)), ConfigPlanChecks: updated(it),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(it, tfjsonpath.New("is_auto_rotation_enabled"), knownvalue.Bool(false)),
			},
		},
		{Config: w.keyConfig(here, "two", aes256), ConfigPlanChecks: updated(it)},
	}})
}

// Another shape makes another key; a key whose deletion was scheduled elsewhere is gone for Terraform.
func TestKey_Replaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const it = "oci_kms_key.it"
	here := w.OCI.Compartment
	var first, second string
	resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{
		{Config: w.keyConfig(here, "one", aes256+"desired_state = \"DISABLED\"\n"), Check: remember(it, &first), ConfigStateChecks: []statecheck.StateCheck{
			exactly(it, "state", "DISABLED"),
		}},
		{
			Config: w.keyConfig(here, "one", p256+"protection_mode = \"SOFTWARE\"\n"), ConfigPlanChecks: planned(it, plancheck.ResourceActionReplace),
			Check: resource.ComposeTestCheckFunc(remember(it, &second), func(*terraform.State) error {
				if k := w.key(t, first); k.LifecycleState != "PENDING_DELETION" {
					return fmt.Errorf("the replaced key is %s", k.LifecycleState)
				}
				return nil
			}),
		},
		{
			PreConfig: func() {
				if _, err := w.management(t).ScheduleKeyDeletion(context.Background(), keymanagement.ScheduleKeyDeletionRequest{KeyId: &second}); err != nil {
					t.Fatal(err)
				}
			},
			RefreshState: true, ExpectNonEmptyPlan: true,
		},
		{Config: w.keyConfig(here, "one", p256), ConfigPlanChecks: planned(it, plancheck.ResourceActionCreate)},
	}})
}

func TestKey_Refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	here := w.OCI.Compartment
	w.refuses(t, map[string]refusal{
		"no shape":                   {w.keyConfig(here, "x", ""), `must be exactly one block`},
		"two shapes":                 {w.keyConfig(here, "x", aes256+p256), `must be exactly one block`},
		"unknown algorithm":          {w.keyConfig(here, "x", "key_shape {\n algorithm = \"ROT13\"\n length = 13\n}"), `"ROT13" is not one of AES`},
		"length that is none":        {w.keyConfig(here, "x", "key_shape {\n algorithm = \"AES\"\n length = 256\n}"), `keyShape`},
		"unknown state":              {w.keyConfig(here, "x", aes256+`desired_state = "PAUSED"`), `"PAUSED" is not one of ENABLED`},
		"unknown protection":         {w.keyConfig(here, "x", aes256+`protection_mode = "SAFE"`), `"SAFE" is not one of HSM`},
		"external protection":        {w.keyConfig(here, "x", aes256+`protection_mode = "EXTERNAL"`), `protectionMode`},
		"external reference":         {w.keyConfig(here, "x", aes256+"external_key_reference {\n external_key_id = \"x\"\n}"), `externalKeyReference`},
		"rotated too often":          {w.keyConfig(here, "x", aes256+"is_auto_rotation_enabled = true\nauto_key_rotation_details {\n rotation_interval_in_days = 59\n}"), `rotationIntervalInDays`},
		"unknown compartment":        {w.keyConfig(here+"x", "x", aes256), `this tenant has no such compartment`},
		"time of deletion is none":   {w.keyConfig(here, "x", aes256+`time_of_deletion = "now"`), `not a time in RFC 3339`},
		"an argument of the service": {w.keyConfig(here, "x", aes256+`current_key_version = "x"`), `Remove the configuration line`},
	})
}

// A time of deletion that the service does not take is told when the key is destroyed, with what to do.
func TestKey_DeletionTimeRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	soon := w.keyConfig(w.OCI.Compartment, "x", aes256+deleteAt(w.Now(t).Add(day)))
	resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{
		{Config: soon},
		{Config: soon, Destroy: true, ExpectError: spaced("the service takes times 7 to 30 days from now")},
		{Config: w.keyConfig(w.OCI.Compartment, "x", aes256), ConfigPlanChecks: updated("oci_kms_key.it")},
	}})
}
