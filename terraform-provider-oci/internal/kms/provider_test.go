// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"
)

// What is wrong with the provider's own configuration, and what is told about it.
func TestProvider_Refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := *w.createKey(t).Id
	version := w.versions(key, [2]string{"it", ""})
	other := strangeKey(t)
	for name, test := range map[string]struct{ block, says string }{
		"wrong fingerprint": {`fingerprint = "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff"`, `has the fingerprint ` + w.OCI.Fingerprint},
		"wrong key":         {fmt.Sprintf("private_key = %q", other), `correct one of the two`},
		"wrong user":        {`user_ocid = "ocid1.user.oc1..x"`, `Check that the user ocid1.user.oc1..x`},
		"wrong tenancy":     {`tenancy_ocid = "ocid1.tenancy.oc1..x"`, `of the tenancy ocid1.tenancy.oc1..x`},
		"no such key file":  {`private_key_path = "/nowhere/key.pem"`, `no such file`},
		"unsupported auth":  {`auth = "InstancePrincipal"`, `This provider signs with an API key`},
		"unknown argument":  {`retries_config_file = "x"`, `An argument named "retries_config_file" is not expected`},
		"unknown yet":       {"region = terraform_data.later.output\n}\nresource \"terraform_data\" \"later\" {\n input = timestamp()", `terraform apply -target=`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{
				{Config: "provider \"oci\" {\n" + test.block + "\n}\n" + version, ExpectError: spaced(test.says)},
			}})
		})
	}
}

// A server that was stopped is told of, and nothing is lost.
func TestProvider_StoppedServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.export("TF_VAR_private_key", read(t, w.OCI.PrivateKeyFile)) // the file goes with the server
	ws := w.workspace(t)
	ws.Write(t, "main.tf", providersBlock+w.versions(*w.createKey(t).Id, [2]string{"it", ""}))
	ws.Must(t, "apply", "-auto-approve")
	w.Stop(t)
	if out, code := ws.Run(t, "plan"); code != 1 || !spaced("is the server running, and is this its address?").MatchString(out) {
		t.Errorf("a plan without the server ended with %d:\n%s", code, out)
	}
	if list := ws.Must(t, "state", "list"); !strings.Contains(list, "oci_kms_key_version.it") {
		t.Errorf("the state is %q", list)
	}
}

// With HTTPS the server's authority is named in the environment.
func TestProvider_TLS(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "--tls")
	config := w.keyConfig(w.OCI.Compartment, "one", aes256)
	ca := w.getenv("custom_cert_location")
	resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{
		{PreConfig: func() { w.export("custom_cert_location", "") }, Config: config, ExpectError: spaced("custom_cert_location=/path/to/ca.pem")},
		{PreConfig: func() { w.export("accept_local_certs", "true") }, Config: config},
		{PreConfig: func() { w.export("accept_local_certs", ""); w.export("custom_cert_location", ca) }, Config: config, ConfigPlanChecks: unchanged()},
	}})
}

// A thing that cannot be found is gone, unless the environment says that it must not be.
func TestProvider_PreserveState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.export("TF_PRESERVE_STATE_ON_404", "true")
	ws := w.workspace(t)
	ws.Write(t, "main.tf", providersBlock+w.keyConfig(w.OCI.Compartment, "one", aes256))
	ws.Must(t, "apply", "-auto-approve")
	w.Do(t, "POST", "reset", nil, nil) // the server forgets the key
	if out, code := ws.Run(t, "plan", "-detailed-exitcode"); code != 1 || !spaced("Check the OCID").MatchString(out) {
		t.Errorf("a plan without the key ended with %d:\n%s", code, out)
	}
}

const providersBlock = `
terraform {
  required_providers {
    oci = { source = "oracle/oci" }
  }
}
`

// Defined tags that others set are left alone where the provider is told to.
func TestProvider_IgnoredTags(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const it = "oci_kms_vault.it"
	var id string
	config := func(ignored, tags string) string {
		return fmt.Sprintf("provider \"oci\" {\n  ignore_defined_tags = [%s]\n}\n", ignored) +
			w.vault(w.OCI.Compartment, "one", "defined_tags = { "+tags+" }")
	}
	others := map[string]map[string]interface{}{"a": {"b": "mine"}, "auto": {"by": "somebody", "on": "monday"}}
	resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{
		{Config: config(`"auto.by", "auto.on"`, `"a.b" = "mine"`), Check: remember(it, &id)},
		{
			PreConfig: func() {
				if _, err := w.vaults(t).UpdateVault(context.Background(), keymanagement.UpdateVaultRequest{
					VaultId: &id, UpdateVaultDetails: keymanagement.UpdateVaultDetails{DefinedTags: others},
				}); err != nil {
					t.Fatal(err)
				}
			},
			Config: config(`"auto.by", "auto.on"`, `"a.b" = "mine"`), ConfigPlanChecks: unchanged(),
			ConfigStateChecks: []statecheck.StateCheck{labelled(it, "defined_tags", map[string]string{"a.b": "mine"})},
		},
		{ // a change of one's own leaves them in place
			Config: config(`"auto.by", "auto.on"`, `"a.b" = "still mine"`), ConfigPlanChecks: updated(it),
			ConfigStateChecks: []statecheck.StateCheck{labelled(it, "defined_tags", map[string]string{"a.b": "still mine"})},
		},
		{
			Config: config("", `"a.b" = "still mine"`), ConfigPlanChecks: updated(it),
			PreConfig: func() {
				if got := w.findVault(t, id).DefinedTags; got["auto"]["by"] != "somebody" || got["auto"]["on"] != "monday" || got["a"]["b"] != "still mine" {
					t.Errorf("the vault's tags are %v", got)
				}
			},
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(it, tfjsonpath.New("defined_tags"), knownvalue.MapSizeExact(1)),
			},
		},
	}})
}

// State that Oracle's provider wrote is taken over: nothing is to be changed, and refreshed it reads as ours.
func TestMovedState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ws := w.workspace(t)
	key := w.createKey(t)
	old, err := w.management(t).CreateKeyVersion(t.Context(), keymanagement.CreateKeyVersionRequest{KeyId: key.Id})
	if err != nil {
		t.Fatal(err)
	}
	ws.Write(t, "main.tf", providersBlock+fmt.Sprintf(`
resource "oci_kms_vault" "it" {
  compartment_id = %q
  display_name   = %q
  vault_type     = %q
}
`, w.OCI.Compartment, *w.findVault(t, w.OCI.VaultID).DisplayName, w.findVault(t, w.OCI.VaultID).VaultType)+
		strings.Replace(w.keyConfig(w.OCI.Compartment, "made elsewhere", aes256), "%", "%%", -1)+
		w.versions(*key.Id, [2]string{"it", ""}))
	host := "registry.terraform.io"
	if os.Getenv("TF_ACC_PROVIDER_HOST") != "" {
		host = os.Getenv("TF_ACC_PROVIDER_HOST")
	}
	type object = map[string]any
	none := []any{}
	created := key.TimeCreated.String()
	managed := func(kind string, attributes object) object {
		attributes["timeouts"] = nil
		return object{
			"mode": "managed", "type": kind, "name": "it", "provider": fmt.Sprintf("provider[%q]", host+"/oracle/oci"),
			"instances": []any{object{"schema_version": 0, "attributes": attributes, "sensitive_attributes": none}},
		}
	}
	state, err := json.Marshal(object{
		"version": 4, "terraform_version": "1.5.7", "serial": 1, "lineage": "a", "outputs": object{},
		"resources": []any{
			managed("oci_kms_vault", object{
				"id": w.OCI.VaultID, "compartment_id": w.OCI.Compartment, "display_name": *w.findVault(t, w.OCI.VaultID).DisplayName,
				"vault_type": string(w.findVault(t, w.OCI.VaultID).VaultType), "management_endpoint": w.OCI.ManagementEndpoint,
				"crypto_endpoint": w.OCI.CryptoEndpoint, "state": "ACTIVE", "time_created": created, "time_of_deletion": nil,
				"defined_tags": object{}, "freeform_tags": object{}, "external_key_manager_metadata": none,
				"external_key_manager_metadata_summary": none, "is_primary": true, "is_vault_replicable": false, "replica_details": none,
				"restore_from_file": none, "restore_from_object_store": none, "restore_trigger": nil, "restored_from_vault_id": "",
			}),
			managed("oci_kms_key", object{
				"id": *key.Id, "compartment_id": w.OCI.Compartment, "display_name": "made elsewhere", "management_endpoint": w.OCI.ManagementEndpoint,
				"current_key_version": *key.CurrentKeyVersion, "state": "ENABLED", "desired_state": "ENABLED", "time_created": created,
				"time_of_deletion": created, "defined_tags": object{}, "freeform_tags": object{}, "protection_mode": "HSM", "vault_id": w.OCI.VaultID,
				"key_shape":                 []any{object{"algorithm": "AES", "length": 32, "curve_id": ""}},
				"auto_key_rotation_details": none, "is_auto_rotation_enabled": false, "external_key_reference": none,
				"external_key_reference_details": none, "is_primary": true, "replica_details": []any{object{"replication_id": ""}},
				"restore_from_file": none, "restore_from_object_store": none, "restore_trigger": nil, "restored_from_key_id": nil,
			}),
			managed("oci_kms_key_version", object{
				"id": "keys/" + *key.Id + "/keyVersions/" + *old.Id, "key_version_id": *old.Id, "key_id": *key.Id,
				"management_endpoint": w.OCI.ManagementEndpoint, "compartment_id": w.OCI.Compartment, "vault_id": w.OCI.VaultID,
				"state": "ENABLED", "time_created": created, "time_of_deletion": "", "external_key_version_id": "",
				"external_key_reference_details": none, "is_auto_rotated": false, "is_primary": true, "public_key": "",
				"replica_details": none, "restored_from_key_id": nil, "restored_from_key_version_id": nil,
			}),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ws.Write(t, "terraform.tfstate", string(state))
	settled(t, ws)
	ws.Must(t, "apply", "-refresh-only", "-auto-approve")
	if got := show(t, ws, "oci_kms_key_version.it", "id"); got != *old.Id {
		t.Errorf("refreshed, the version's id is %v, want %s", got, *old.Id)
	}
	settled(t, ws)
}
