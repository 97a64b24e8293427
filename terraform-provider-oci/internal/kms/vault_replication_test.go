// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"
)

// The regions of the tests; the first is the server's default.
const (
	home    = "us-ashburn-1"
	phoenix = "us-phoenix-1"
	london  = "uk-london-1"
)

// moreRegions makes a server serve the others.
func moreRegions() []string {
	return []string{"--region", phoenix + "/cn-beijing", "--region", london + "/cn-shanghai"}
}

func replication(vault, region, more string) string {
	return fmt.Sprintf("resource \"oci_kms_vault_replication\" \"it\" {\n  vault_id = %q\n  replica_region = %q\n%s\n}\n", vault, region, more)
}

func (w *world) replicaRegions(t *testing.T, vault string) []string {
	t.Helper()
	answer, err := w.vaults(t).ListVaultReplicas(context.Background(), keymanagement.ListVaultReplicasRequest{VaultId: &vault})
	if err != nil {
		t.Fatal(err)
	}
	regions := []string{}
	for _, r := range answer.Items {
		regions = append(regions, *r.Region)
	}
	return regions
}

// replicatedTo checks where the first vault has its replica; "" for none.
func (w *world) replicatedTo(t *testing.T, region string) resource.TestCheckFunc {
	return func(*terraform.State) error {
		if got := w.replicaRegions(t, w.OCI.VaultID); len(got) > 1 || len(got) == 1 && got[0] != region || len(got) == 0 && region != "" {
			return fmt.Errorf("the vault has replicas in %v, want %q", got, region)
		}
		return nil
	}
}

func (w *world) unreplicate(t *testing.T, region string) {
	t.Helper()
	if _, err := w.vaults(t).DeleteVaultReplica(context.Background(), keymanagement.DeleteVaultReplicaRequest{
		VaultId: &w.OCI.VaultID, DeleteVaultReplicaDetails: keymanagement.DeleteVaultReplicaDetails{ReplicaRegion: &region},
	}); err != nil {
		t.Fatal(err)
	}
}

func TestVaultReplication(t *testing.T) {
	t.Parallel()
	w := newWorld(t, moreRegions()...)
	const it = "oci_kms_vault_replication.it"
	vault := w.OCI.VaultID
	resource.Test(t, resource.TestCase{
		ProtoV5ProviderFactories: w.providers(),
		CheckDestroy:             w.replicatedTo(t, ""),
		Steps: []resource.TestStep{
			{
				Config: replication(vault, phoenix, ""), Check: w.replicatedTo(t, phoenix),
				ConfigStateChecks: []statecheck.StateCheck{
					exactly(it, "id", vault+":"+phoenix), exactly(it, "vault_replica_status", "CREATED"),
					matching(it, "crypto_endpoint", `^http://`), matching(it, "management_endpoint", `^http://`),
				},
			},
			{ResourceName: it, ImportState: true, ImportStateVerify: true},
			{ResourceName: it, ImportState: true, ImportStateKind: resource.ImportBlockWithID},
			{
				Config:           replication(vault, phoenix, "timeouts {\n  delete = \"1m\"\n}"),
				ConfigPlanChecks: updated(it), Check: w.replicatedTo(t, phoenix),
			},
			{
				Config: replication(vault, london, ""), ConfigPlanChecks: replaced(it), Check: w.replicatedTo(t, london),
				ConfigStateChecks: []statecheck.StateCheck{exactly(it, "id", vault+":"+london)},
			},
			{ // deleted elsewhere: it would be made again
				PreConfig:    func() { w.unreplicate(t, london) },
				RefreshState: true, ExpectNonEmptyPlan: true,
			},
			{
				Config: replication(vault, london, ""), ConfigPlanChecks: planned(it, plancheck.ResourceActionCreate), Check: w.replicatedTo(t, london),
			},
		},
	})
}

// A replica that is gone when it is to be destroyed is destroyed, and so is that of a vault which is gone.
func TestVaultReplication_Gone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, moreRegions()...)
	ws := w.workspace(t)
	ws.Write(t, "main.tf", providersBlock+replication(w.OCI.VaultID, phoenix, ""))
	ws.Must(t, "apply", "-auto-approve")
	w.unreplicate(t, phoenix)
	ws.Must(t, "destroy", "-auto-approve", "-refresh=false")

	ws.Must(t, "apply", "-auto-approve")
	w.Do(t, "POST", "reset", nil, nil) // the server forgets the replica
	ws.Must(t, "apply", "-refresh-only", "-auto-approve")
	if list := ws.Must(t, "state", "list"); list != "" {
		t.Errorf("after the server forgot the replica the state has %s", list)
	}
}

func TestVaultReplication_Refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, moreRegions()...)
	vault := w.OCI.VaultID
	external := func(kind string) string {
		return fmt.Sprintf("replica_vault_metadata {\n vault_type = %q\n private_endpoint_id = \"x\"\n idcs_account_name_url = \"https://x\"\n}\n", kind)
	}
	second := replication(vault, phoenix, "") + fmt.Sprintf(`
resource "oci_kms_vault_replication" "second" {
  vault_id       = oci_kms_vault_replication.it.vault_id
  replica_region = %q
}
`, london)
	w.refuses(t, map[string]refusal{
		"no region":           {fmt.Sprintf("resource \"oci_kms_vault_replication\" \"it\" {\n vault_id = %q\n}", vault), `"replica_region" is required`},
		"no vault":            {fmt.Sprintf("resource \"oci_kms_vault_replication\" \"it\" {\n replica_region = %q\n}", phoenix), `"vault_id" is required`},
		"region of the vault": {replication(vault, home, ""), `CreateVaultReplica at`},
		"unknown region":      {replication(vault, "mars-north-1", ""), `CreateVaultReplica at`},
		"unknown vault":       {replication(vault[:len(vault)-1]+"x", phoenix, ""), `Check the OCID`},
		"external metadata":   {replication(vault, phoenix, external("EXTERNAL")), `replicaVaultMetadata goes with vaults of type EXTERNAL`},
		"unknown kind":        {replication(vault, phoenix, external("DEFAULT")), `"DEFAULT" is not one of EXTERNAL`},
		"two blocks":          {replication(vault, phoenix, external("EXTERNAL")+external("EXTERNAL")), `at most one block`},
	})
	resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{
		{Config: second, ExpectError: spaced(`409 Conflict`)},
	}})
	for _, id := range []string{vault, vault + ":", ":" + phoenix, vault + ":" + phoenix + ":x"} {
		resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{{
			Config:       replication(vault, phoenix, ""),
			ResourceName: "oci_kms_vault_replication.it", ImportState: true, ImportStateId: id, ExpectError: spaced(`is not of the form {vault_id}:{replica_region}`),
		}}})
	}
	resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{{
		Config:       replication(vault, phoenix, ""),
		ResourceName: "oci_kms_vault_replication.it", ImportState: true, ImportStateId: vault + ":" + london,
		ExpectError: spaced(`Cannot import non-existent remote object`),
	}}})
}

// What data sources tell of a replica, in the vault's region and in its own.
func TestVaultReplicaData(t *testing.T) {
	t.Parallel()
	w := newWorld(t, moreRegions()...)
	const all, status, there = "data.oci_kms_vault_replicas.all", "data.oci_kms_replication_status.it", "data.oci_kms_key.there"
	key := *w.createKey(t).Id
	config := replication(w.OCI.VaultID, phoenix, "") + fmt.Sprintf(`
data "oci_kms_vault_replicas" "all" {
  vault_id = oci_kms_vault_replication.it.vault_id
}
data "oci_kms_vault_replicas" "none" {
  vault_id = oci_kms_vault_replication.it.vault_id
  filter {
    name   = "region"
    values = [%q]
  }
}
data "oci_kms_vault_replicas" "some" {
  vault_id = oci_kms_vault_replication.it.vault_id
  filter {
    name   = "status"
    values = ["CREATED"]
  }
}
data "oci_kms_vault" "it" {
  vault_id = oci_kms_vault_replication.it.vault_id
}
data "oci_kms_replication_status" "it" {
  replication_id      = data.oci_kms_vault.it.replica_details[0].replication_id
  management_endpoint = data.oci_kms_vault.it.management_endpoint
}
data "oci_kms_key" "there" {
  key_id              = %q
  management_endpoint = oci_kms_vault_replication.it.management_endpoint
}
`, london, key) + names("regions", all+".vault_replicas", "region") + names("statuses", status+".replica_details", "status") +
		names("where", status+".replica_details", "region") + names("some", "data.oci_kms_vault_replicas.some.vault_replicas", "region")
	resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{
		{
			Config: config,
			Check: resource.ComposeTestCheckFunc(
				resource.TestCheckResourceAttrPair(all, "vault_replicas.0.crypto_endpoint", "oci_kms_vault_replication.it", "crypto_endpoint"),
				resource.TestCheckResourceAttrPair(all, "vault_replicas.0.management_endpoint", "oci_kms_vault_replication.it", "management_endpoint"),
				resource.TestCheckResourceAttrPair(status, "id", status, "replication_id"),
			),
			ConfigStateChecks: []statecheck.StateCheck{
				outputs("regions", phoenix), outputs("some", phoenix), outputs("statuses", "REPLICATED"), outputs("where", phoenix),
				counts("data.oci_kms_vault_replicas.none", "vault_replicas", 0),
				statecheck.ExpectKnownValue(there, tfjsonpath.New("is_primary"), knownvalue.Bool(false)),
			},
		},
		{
			Config: replication(w.OCI.VaultID, phoenix, "") + fmt.Sprintf(`
data "oci_kms_vault_replicas" "all" {
  vault_id = %q
  filter {
    name   = "colour"
    values = ["red"]
  }
}
`, w.OCI.VaultID), ExpectError: spaced("there is no attribute colour"),
		},
		{
			Config:      fmt.Sprintf("data \"oci_kms_vault_replicas\" \"all\" {\n vault_id = \"%sx\"\n}\n", w.OCI.VaultID),
			ExpectError: spaced("Check the OCID"),
		},
		{
			Config: fmt.Sprintf("data \"oci_kms_replication_status\" \"it\" {\n replication_id = \"x\"\n management_endpoint = \"%s/\"\n}\n",
				w.OCI.ManagementEndpoint),
			ExpectError: spaced("ends with a slash"),
		},
		{
			Config: fmt.Sprintf("data \"oci_kms_replication_status\" \"it\" {\n replication_id = \"x\"\n management_endpoint = %q\n}\n",
				w.OCI.ManagementEndpoint),
			ExpectError: spaced("Check the OCID"),
		},
	}})
}

// A server that shows its changes on their way is waited for.
func TestVaultReplication_Cloudlike(t *testing.T) {
	t.Parallel()
	for seed := range 3 {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, append(moreRegions(), "--consistency", "cloudlike", "--consistency-seed", strconv.Itoa(seed))...)
			const it = "oci_kms_vault_replication.it"
			resource.Test(t, resource.TestCase{ProtoV5ProviderFactories: w.providers(), Steps: []resource.TestStep{
				{Config: replication(w.OCI.VaultID, phoenix, ""), ConfigStateChecks: []statecheck.StateCheck{exactly(it, "vault_replica_status", "CREATED")}},
				{
					Config: replication(w.OCI.VaultID, london, ""), ConfigPlanChecks: replaced(it),
					ConfigStateChecks: []statecheck.StateCheck{exactly(it, "vault_replica_status", "CREATED")},
				},
			}})
		})
	}
}
