// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"testing"

	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/conformance/internal/alibaba"
	"claviger/conformance/internal/live"
	"claviger/conformance/internal/oracle"
)

// inRegion is the same caller at another region's vault service.
func (o oci) inRegion(r live.Region) oci {
	o.Clients.Vault.Host = r.VaultEndpoint
	return o
}

func (o oci) createReplica(ctx context.Context, vault, region string) (keymanagement.CreateVaultReplicaResponse, error) {
	return o.Vault.CreateVaultReplica(ctx, keymanagement.CreateVaultReplicaRequest{
		VaultId: &vault, CreateVaultReplicaDetails: keymanagement.CreateVaultReplicaDetails{ReplicaRegion: &region},
	})
}

func (o oci) deleteReplica(ctx context.Context, vault, region string) error {
	_, err := o.Vault.DeleteVaultReplica(ctx, keymanagement.DeleteVaultReplicaRequest{
		VaultId: &vault, DeleteVaultReplicaDetails: keymanagement.DeleteVaultReplicaDetails{ReplicaRegion: &region},
	})
	return err
}

func (o oci) replicas(t *testing.T, vault string) []keymanagement.VaultReplicaSummary {
	t.Helper()
	listed, err := o.Vault.ListVaultReplicas(t.Context(), keymanagement.ListVaultReplicasRequest{VaultId: &vault})
	if err != nil {
		t.Fatalf("ListVaultReplicas: %v", err)
	}
	if listed.OpcNextPage != nil || listed.Etag == nil {
		t.Errorf("ListVaultReplicas: next page %v, etag %v", listed.OpcNextPage, listed.Etag)
	}
	return listed.Items
}

const (
	here  = "us-ashburn-1"
	there = "us-phoenix-1"
)

// A vault's replica has the vault's names, reads and uses its keys, follows every change at once,
// takes none, outlives the process, and ends for good.
func TestOCIReplica(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	options := live.Options{Data: data, Regions: []string{there + "/cn-beijing"}}
	server := start(t, options)
	o := throughOCI(t, server)
	created := o.createVault(t, "replicated")
	home := o.in(t, created)
	key := home.createKey(t, aesShape(32))
	sealed, err := home.encrypt(t.Context(), *key.Id, []byte("before"), nil, "")
	if err != nil {
		t.Fatal(err)
	}
	made, err := o.createReplica(t.Context(), *created.Id, there)
	if err != nil || made.OpcWorkRequestId == nil || *made.OpcWorkRequestId == "" {
		t.Fatalf("CreateVaultReplica: %v, work request %v", err, made.OpcWorkRequestId)
	}
	_, err = o.createReplica(t.Context(), *created.Id, there)
	want(t, "CreateVaultReplica where it is", oracle.Refusal(err), "200")
	_, err = o.createReplica(t.Context(), *created.Id, here)
	want(t, "CreateVaultReplica at home", oracle.Refusal(err), "400 InvalidParameter")
	_, err = o.createReplica(t.Context(), *created.Id, "eu-frankfurt-1")
	want(t, "CreateVaultReplica where nothing is", oracle.Refusal(err), "400 InvalidParameter")

	all := o.replicas(t, *created.Id)
	if len(all) != 1 || *all[0].Region != there || all[0].Status != keymanagement.VaultReplicaSummaryStatusCreated {
		t.Fatalf("replicas: %v", all)
	}
	far := o.inRegion(server.Ready.Regions[there])
	seen := far.vault(t, *created.Id)
	if *seen.IsPrimary || *seen.ManagementEndpoint != *all[0].ManagementEndpoint || *seen.CryptoEndpoint != *all[0].CryptoEndpoint {
		t.Errorf("the vault away: %v", seen)
	}
	away := far.in(t, seen)
	got := away.key(t, *key.Id)
	if *got.IsPrimary || *got.VaultId != *created.Id || got.ReplicaDetails == nil || *got.ReplicaDetails.ReplicationId == "" {
		t.Errorf("the key away: %v", got.Key)
	}
	status, err := away.Management.GetReplicationStatus(t.Context(), keymanagement.GetReplicationStatusRequest{ReplicationId: got.ReplicaDetails.ReplicationId})
	if err != nil || len(status.ReplicaDetails) != 1 || *status.ReplicaDetails[0].Region != there ||
		status.ReplicaDetails[0].Status != keymanagement.ReplicaDetailsStatusReplicated {
		t.Errorf("GetReplicationStatus: %v %v", status, err)
	}

	opens := func(what string, from oci, ciphertext, wanted string) {
		t.Helper()
		_, err := from.decrypt(t.Context(), *key.Id, "", ciphertext, nil, "")
		want(t, what, oracle.Refusal(err), wanted)
	}
	opens("Decrypt away", away, *sealed.Ciphertext, "200")
	awaySealed, err := away.encrypt(t.Context(), *key.Id, []byte("away"), nil, "")
	if err != nil {
		t.Fatal(err)
	}
	opens("Decrypt at home of what was encrypted away", home, *awaySealed.Ciphertext, "200")
	_, err = away.Management.DisableKey(t.Context(), keymanagement.DisableKeyRequest{KeyId: key.Id})
	want(t, "DisableKey away", oracle.Refusal(err), "403 NotAllowed")
	_, err = away.Management.CreateKeyVersion(t.Context(), keymanagement.CreateKeyVersionRequest{KeyId: key.Id})
	want(t, "CreateKeyVersion away", oracle.Refusal(err), "403 NotAllowed")
	want(t, "DeleteVaultReplica away", oracle.Refusal(far.deleteReplica(t.Context(), *created.Id, there)), "403 NotAllowed")
	home.createVersion(t, *key.Id)
	opens("Decrypt away after a rotation", away, *sealed.Ciphertext, "200")
	_, err = home.Management.DisableKey(t.Context(), keymanagement.DisableKeyRequest{KeyId: key.Id})
	want(t, "DisableKey at home", oracle.Refusal(err), "200")
	opens("Decrypt away at once after it", away, *sealed.Ciphertext, "409 Conflict")
	_, err = home.Management.EnableKey(t.Context(), keymanagement.EnableKeyRequest{KeyId: key.Id})
	want(t, "EnableKey at home", oracle.Refusal(err), "200")

	// The other cloud has no such thing: its clients see the key at home only.
	id := server.Admin.Key(t, *key.Id).Names.Alibaba
	for name, wanted := range map[string]string{here: "200", there: "404 Forbidden.KeyNotFound"} {
		r := server.Ready.Regions[name]
		client, err := alibaba.New(alibaba.ACS3, alibaba.Config{
			Endpoint: r.AlibabaEndpoint, Region: r.RegionID, ID: server.Ready.Alibaba.AccessKeyID, Secret: server.Ready.Alibaba.AccessKeySecret,
		})
		if err != nil {
			t.Fatal(err)
		}
		want(t, "DescribeKey in "+r.RegionID, ali{client}.refusal("DescribeKey", alibaba.Params{"KeyId": id}), wanted)
	}

	// The replica and its endpoint outlive the process, and the regions need not be said again.
	server.Stop(t)
	options.Regions = nil
	server = start(t, options)
	o = throughOCI(t, server)
	if len(server.Ready.Regions) != 2 || server.Ready.Regions[there].RegionID != "cn-beijing" {
		t.Fatalf("regions after a restart: %v", server.Ready.Regions)
	}
	away, home = o.inRegion(server.Ready.Regions[there]).in(t, seen), o.in(t, created)
	opens("Decrypt away after a restart", away, *sealed.Ciphertext, "200")

	want(t, "DeleteVaultReplica", oracle.Refusal(o.deleteReplica(t.Context(), *created.Id, there)), "200")
	opens("Decrypt away after that", away, *sealed.Ciphertext, "404 NotAuthorizedOrNotFound")
	opens("Decrypt at home after that", home, *sealed.Ciphertext, "200")
	if left := o.replicas(t, *created.Id); len(left) != 0 {
		t.Errorf("replicas that are left: %v", left)
	}
	want(t, "DeleteVaultReplica again", oracle.Refusal(o.deleteReplica(t.Context(), *created.Id, there)), "404 NotAuthorizedOrNotFound")
}
