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

const day = 24 * time.Hour

// versions is a configuration with versions of a key that was made elsewhere; each is given by its
// name and, if wanted, more lines.
func (w *world) versions(key string, versions ...[2]string) string {
	config := ""
	for _, v := range versions {
		config += fmt.Sprintf(`
resource "oci_kms_key_version" %q {
  key_id              = %q
  management_endpoint = %q
  %s
}
`, v[0], key, w.OCI.ManagementEndpoint, v[1])
	}
	return config
}

func deleteAt(t time.Time) string {
	return fmt.Sprintf("time_of_deletion = %q", t.Format(time.RFC3339Nano))
}

func importID(w *world, address string) resource.ImportStateIdFunc {
	return func(s *terraform.State) (string, error) {
		r := s.RootModule().Resources[address].Primary
		return "managementEndpoint/" + w.OCI.ManagementEndpoint + "/keys/" + r.Attributes["key_id"] + "/keyVersions/" + r.ID, nil
	}
}

// remember keeps the id of a resource for later steps.
func remember(address string, id *string) resource.TestCheckFunc {
	return func(s *terraform.State) error {
		r, ok := s.RootModule().Resources[address]
		if !ok {
			return fmt.Errorf("%s is not in the state", address)
		}
		*id = r.Primary.ID
		return nil
	}
}

func updated(address string) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate)}}
}

func unchanged() resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}
}

// A version is made, shown, imported, given times of deletion, and scheduled with the last of them
// once it is not current any more.
func TestKeyVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := *w.createKey(t).Id
	const first = "oci_kms_key_version.first"
	at := w.Now(t).Add(10 * day).Truncate(time.Second).UTC()
	var id string
	resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{
		{
			Config: w.versions(key, [2]string{"first", ""}),
			Check:  remember(first, &id),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(first, tfjsonpath.New("compartment_id"), knownvalue.StringExact(w.OCI.Compartment)),
				statecheck.ExpectKnownValue(first, tfjsonpath.New("id"), knownvalue.StringRegexp(regexp.MustCompile(`^ocid1\.keyversion\.`))),
				statecheck.ExpectKnownValue(first, tfjsonpath.New("key_id"), knownvalue.StringExact(key)),
				statecheck.ExpectKnownValue(first, tfjsonpath.New("state"), knownvalue.StringExact("ENABLED")),
				statecheck.ExpectKnownValue(first, tfjsonpath.New("time_created"), knownvalue.StringRegexp(regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`))),
				statecheck.ExpectKnownValue(first, tfjsonpath.New("time_of_deletion"), knownvalue.Null()),
				statecheck.ExpectKnownValue(first, tfjsonpath.New("vault_id"), knownvalue.StringExact(w.OCI.VaultID)),
			},
		},
		{
			ResourceName: first, ImportState: true, ImportStateIdFunc: importID(w, first), ImportStateVerify: true,
		},
		{
			ResourceName: first, ImportState: true, ImportStateIdFunc: importID(w, first),
			ImportStateKind: resource.ImportBlockWithID, // its plan must be empty
		},
		{
			Config:           w.versions(key, [2]string{"first", deleteAt(at.Add(day))}),
			ConfigPlanChecks: updated(first),
		},
		{
			Config:           w.versions(key, [2]string{"first", deleteAt(at)}),
			ConfigPlanChecks: updated(first),
		},
		{
			Config:           w.versions(key, [2]string{"first", deleteAt(at.In(time.FixedZone("", 5400)))}),
			ConfigPlanChecks: unchanged(),
		},
		{
			Config: w.versions(key, [2]string{"first", deleteAt(at)}, [2]string{"second", ""}),
			Check: func(*terraform.State) error {
				if v := w.version(t, key, id); v.LifecycleState != "ENABLED" || v.TimeOfDeletion != nil {
					return fmt.Errorf("the version is %s until %v before it is destroyed", v.LifecycleState, v.TimeOfDeletion)
				}
				return nil
			},
		},
		{
			Config: w.versions(key, [2]string{"second", ""}),
			Check: func(*terraform.State) error {
				w.export("disable_kms_version_delete", "true") // for the end of the test: the second one is current
				if v := w.version(t, key, id); v.LifecycleState != "PENDING_DELETION" || !v.TimeOfDeletion.Equal(at) {
					return fmt.Errorf("after its destruction the version is %s until %v, want %s", v.LifecycleState, v.TimeOfDeletion, at)
				}
				return nil
			},
		},
	}})
}

// The current version cannot be destroyed: that is said at once, with the ways out, and nothing happens.
func TestKeyVersion_Current(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := *w.createKey(t).Id
	var id string
	resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{
		{Config: w.versions(key, [2]string{"it", deleteAt(w.Now(t).Add(10 * day))}), Check: remember("oci_kms_key_version.it", &id)},
		{
			Config:      w.versions(key, [2]string{"it", deleteAt(w.Now(t).Add(10 * day))}),
			Destroy:     true,
			ExpectError: regexp.MustCompile(`(?s)current version.*Rotate the key first.*terraform\s+state\s+rm`),
		},
		{
			PreConfig: func() {
				if v := w.version(t, key, id); v.LifecycleState != "ENABLED" {
					t.Errorf("the current version is %s", v.LifecycleState)
				}
				w.export("disable_kms_version_delete", "true")
			},
			RefreshState: true,
		},
	}})
}

// Deletions that are scheduled, moved, cancelled and carried out behind Terraform's back.
func TestKeyVersion_Drift(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := *w.createKey(t).Id
	w.export("disable_kms_version_delete", "true")
	client := w.management(t)
	const old = "oci_kms_key_version.old"
	now := w.Now(t).Truncate(time.Second).UTC()
	var id string
	both := func(more string) string {
		return w.versions(key, [2]string{"old", more}) + w.versions(key, [2]string{"new", "depends_on = [" + old + "]"})
	}
	schedule := func(at time.Time) {
		t.Helper()
		if _, err := client.ScheduleKeyVersionDeletion(context.Background(), keymanagement.ScheduleKeyVersionDeletionRequest{
			KeyId: &key, KeyVersionId: &id, ScheduleKeyVersionDeletionDetails: keymanagement.ScheduleKeyVersionDeletionDetails{TimeOfDeletion: sdkTime(at)},
		}); err != nil {
			t.Fatal(err)
		}
	}
	cancel := func() {
		t.Helper()
		if _, err := client.CancelKeyVersionDeletion(context.Background(), keymanagement.CancelKeyVersionDeletionRequest{KeyId: &key, KeyVersionId: &id}); err != nil {
			t.Fatal(err)
		}
	}
	isPending := func(at time.Time) resource.TestCheckFunc {
		return func(*terraform.State) error {
			if v := w.version(t, key, id); v.LifecycleState != "PENDING_DELETION" || !v.TimeOfDeletion.Equal(at) {
				return fmt.Errorf("the version is %s until %v, want PENDING_DELETION until %s", v.LifecycleState, v.TimeOfDeletion, at)
			}
			return nil
		}
	}
	inState := func(attribute, value string) statecheck.StateCheck {
		check := knownvalue.Check(knownvalue.Null())
		if value != "" {
			check = knownvalue.StringExact(value)
		}
		return statecheck.ExpectKnownValue(old, tfjsonpath.New(attribute), check)
	}
	resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{
		{Config: both(""), Check: remember(old, &id)},
		{ // scheduled elsewhere: shown, and not changed where the configuration is silent
			PreConfig: func() { schedule(now.Add(20 * day)) },
			Config:    both(""), ConfigPlanChecks: unchanged(),
			Check: isPending(now.Add(20 * day)),
			ConfigStateChecks: []statecheck.StateCheck{
				inState("state", "PENDING_DELETION"), inState("time_of_deletion", now.Add(20*day).Format("2006-01-02T15:04:05.000Z")),
			},
		},
		{ // moved to where the configuration wants it
			Config: both(deleteAt(now.Add(12 * day))), ConfigPlanChecks: updated(old),
			Check: isPending(now.Add(12 * day)),
		},
		{ // moved elsewhere, and moved back
			PreConfig: func() { cancel(); schedule(now.Add(25 * day)) },
			Config:    both(deleteAt(now.Add(12 * day))), ConfigPlanChecks: updated(old),
			Check: isPending(now.Add(12 * day)),
		},
		{ // a time that is refused leaves the deletion where it was
			Config:      both(deleteAt(now.Add(2 * day))),
			ExpectError: regexp.MustCompile(`(?s)still\s+scheduled\s+for\s+the\s+time\s+before`),
		},
		{
			Config: both(deleteAt(now.Add(12 * day))), ConfigPlanChecks: unchanged(),
			Check: isPending(now.Add(12 * day)),
		},
		{ // cancelled elsewhere: the time is the user's again, and no deletion is scheduled by an update
			PreConfig: cancel,
			Config:    both(deleteAt(now.Add(12 * day))), ConfigPlanChecks: updated(old),
			ConfigStateChecks: []statecheck.StateCheck{inState("state", "ENABLED")},
		},
		{ // no time any more
			Config: both(""), ConfigPlanChecks: updated(old),
			ConfigStateChecks: []statecheck.StateCheck{inState("time_of_deletion", "")},
		},
		{ // deleted: it drops out of the state, and would be made again
			PreConfig:    func() { schedule(now.Add(8 * day)); w.Advance(t, 9*day) },
			RefreshState: true, ExpectNonEmptyPlan: true,
			Check: func(s *terraform.State) error {
				if _, ok := s.RootModule().Resources[old]; ok {
					return fmt.Errorf("%s is still in the state", old)
				}
				return nil
			},
		},
	}})
}

// Every way in which a version is refused says what to do.
func TestKeyVersion_Refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := *w.createKey(t).Id
	disabled := *w.createKey(t).Id
	w.disable(t, disabled)
	config := func(key, endpoint, more string) string {
		return fmt.Sprintf("resource \"oci_kms_key_version\" \"it\" {\n  key_id = %q\n  management_endpoint = %q\n%s\n}\n", key, endpoint, more)
	}
	good := w.OCI.ManagementEndpoint
	w.refuses(t, map[string]refusal{
		"time of deletion is none":    {config(key, good, `time_of_deletion = "tomorrow"`), `not a time in RFC 3339`},
		"no key":                      {`resource "oci_kms_key_version" "it" { management_endpoint = "http://127.0.0.1:1" }`, `"key_id" is required`},
		"no endpoint":                 {`resource "oci_kms_key_version" "it" { key_id = "ocid1.key" }`, `"management_endpoint" is required`},
		"unknown argument":            {config(key, good, `colour = "red"`), `An argument named "colour" is not expected`},
		"unsupported argument":        {config(key, good, `external_key_version_id = "x"`), `externalKeyVersionId`},
		"endpoint with a path":        {config(key, good+"/20180608", ""), `leave the rest away`},
		"endpoint with a slash":       {config(key, good+"/", ""), `ends with a slash`},
		"endpoint of another kind":    {config(key, "https://abc-crypto.kms.us-ashburn-1.oraclecloud.com", ""), `is the crypto endpoint`},
		"endpoint of Oracle's vaults": {config(key, "https://kms.us-ashburn-1.oraclecloud.com", ""), `is the vault service of a region`},
		"endpoint of the vaults":      {config(key, w.OCI.VaultEndpoint, ""), `is the address of the vault service`},
		"endpoint where nobody is":    {config(key, "http://127.0.0.1:1", ""), `Nothing accepts connections there`},
		"endpoint by a wrong scheme":  {config(key, "https"+good[len("http"):], ""), `speaks plain HTTP`},
		"unknown key":                 {config(key[:len(key)-1]+"x", good, ""), `Check the OCID`},
		"disabled key":                {config(disabled, good, ""), `only an ENABLED key gets new versions`},
		"a timeout that is none":      {config(key, good, `timeouts { create = "soon" }`), `not a duration`},
	})
}

// What an import's id must look like.
func TestKeyVersion_ImportRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.createKey(t)
	w.export("disable_kms_version_delete", "true")
	for id, says := range map[string]string{
		*key.CurrentKeyVersion: `is not of the form`,
		"keys/" + *key.Id + "/keyVersions/" + *key.CurrentKeyVersion:                                                           `is not of the form`,
		"managementEndpoint/" + w.OCI.ManagementEndpoint + "/x/keys/" + *key.Id + "/keyVersions/" + *key.CurrentKeyVersion:     `leave the rest away`,
		"managementEndpoint/" + w.OCI.ManagementEndpoint + "/keys/" + *key.Id + "/keyVersions/" + *key.CurrentKeyVersion + "x": `Cannot import non-existent remote object`,
	} {
		resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{{
			Config:       w.versions(*key.Id, [2]string{"it", ""}),
			ResourceName: "oci_kms_key_version.it", ImportState: true, ImportStateId: id, ExpectError: spaced(says),
		}}})
	}
}
