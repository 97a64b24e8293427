// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"fmt"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/listplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/terraform-provider-oci/internal/cloud"
)

// vaultReplication is the resource oci_kms_vault_replication.
type vaultReplication struct{ resourceBase }

// NewVaultReplication is the resource oci_kms_vault_replication.
func NewVaultReplication() resource.Resource {
	return &vaultReplication{resourceBase{base{name: "kms_vault_replication"}}}
}

var (
	_ resource.ResourceWithConfigure   = (*vaultReplication)(nil)
	_ resource.ResourceWithImportState = (*vaultReplication)(nil)
)

// vaultReplicationModel is the state of an oci_kms_vault_replication.
type vaultReplicationModel struct {
	ID                 types.String      `tfsdk:"id"`
	VaultID            types.String      `tfsdk:"vault_id"`
	ReplicaRegion      types.String      `tfsdk:"replica_region"`
	CryptoEndpoint     types.String      `tfsdk:"crypto_endpoint"`
	ManagementEndpoint types.String      `tfsdk:"management_endpoint"`
	VaultReplicaStatus types.String      `tfsdk:"vault_replica_status"`
	Metadata           []replicaMetadata `tfsdk:"replica_vault_metadata"`
	Timeouts           *timeouts         `tfsdk:"timeouts"`
}

// replicaMetadata is the block replica_vault_metadata.
type replicaMetadata struct {
	VaultType         types.String `tfsdk:"vault_type"`
	PrivateEndpointID types.String `tfsdk:"private_endpoint_id"`
	Domain            types.String `tfsdk:"idcs_account_name_url"`
}

func (r *vaultReplication) Schema(_ context.Context, _ resource.SchemaRequest, a *resource.SchemaResponse) {
	a.Schema = schema.Schema{
		MarkdownDescription: "The replica of a vault in another region. Destroying it deletes the replica; the vault stays.",
		Attributes: map[string]schema.Attribute{
			"id":                   lasting("The vault and the region, as `{vault_id}:{replica_region}`."),
			"vault_id":             fixed("The OCID of the vault."),
			"replica_region":       fixed("The region that the vault is replicated to, such as `us-phoenix-1`."),
			"crypto_endpoint":      lasting("The replica's address for encrypting, decrypting, signing and verifying."),
			"management_endpoint":  lasting("The replica's address for looking at keys."),
			"vault_replica_status": lasting("The state of the replica, such as `CREATED`."),
		},
		Blocks: map[string]schema.Block{
			"replica_vault_metadata": schema.ListNestedBlock{
				MarkdownDescription: "How the third party's key manager is reached from the region, for vaults of the type `EXTERNAL`.",
				Validators:          []validator.List{single{}},
				PlanModifiers:       []planmodifier.List{listplanmodifier.RequiresReplace()},
				NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
					"vault_type":            fixed("`EXTERNAL`.", oneOf{words: []string{"EXTERNAL"}}),
					"private_endpoint_id":   fixed("The OCID of the private endpoint in the region."),
					"idcs_account_name_url": fixed("The address of the identity domain in the region."),
				}},
			},
			"timeouts": timeoutsBlock(),
		},
	}
}

// unlisted is the state of a replica that the service's list does not have: not yet, or no longer.
const unlisted = "UNLISTED"

func replicaState(s keymanagement.VaultReplicaSummary) string {
	if s.Status == "" {
		return unlisted
	}
	return string(s.Status)
}

// look finds the replica among those of the vault; one without a status is not there.
func (r *vaultReplication) look(ctx context.Context, m vaultReplicationModel) (keymanagement.VaultReplicaSummary, error) {
	all, err := r.replicas(ctx, m.VaultID.ValueString())
	for _, s := range all {
		if deref(s.Region) == m.ReplicaRegion.ValueString() {
			return s, nil
		}
	}
	return keymanagement.VaultReplicaSummary{}, err
}

// replicas lists the replicas of a vault.
func (b *base) replicas(ctx context.Context, vault string) ([]keymanagement.VaultReplicaSummary, error) {
	client, err := b.cloud.Vaults()
	if err != nil {
		return nil, err
	}
	return pages(func(cursor *string) ([]keymanagement.VaultReplicaSummary, *string, error) {
		answer, err := cloud.Call(ctx, b.cloud, client.ListVaultReplicas, keymanagement.ListVaultReplicasRequest{VaultId: &vault, Page: cursor})
		return answer.Items, answer.OpcNextPage, err
	})
}

func (m *vaultReplicationModel) learn(s keymanagement.VaultReplicaSummary) {
	m.ID = types.StringValue(m.VaultID.ValueString() + ":" + m.ReplicaRegion.ValueString())
	m.CryptoEndpoint, m.ManagementEndpoint = text(s.CryptoEndpoint), text(s.ManagementEndpoint)
	m.VaultReplicaStatus = word(s.Status)
}

func (m *vaultReplicationModel) action(doing string) string {
	return doing + " the replica of vault " + m.VaultID.ValueString() + " in " + m.ReplicaRegion.ValueString()
}

func (r *vaultReplication) Create(ctx context.Context, q resource.CreateRequest, a *resource.CreateResponse) {
	var m vaultReplicationModel
	if a.Diagnostics.Append(q.Plan.Get(ctx, &m)...); a.Diagnostics.HasError() {
		return
	}
	ctx, cancel := m.Timeouts.within(ctx, creating)
	defer cancel()
	if err := r.create(ctx, m); err != nil {
		r.refuse(&a.Diagnostics, m.action("Creating"), err)
		return
	}
	m.learn(keymanagement.VaultReplicaSummary{})
	a.Diagnostics.Append(a.State.Set(ctx, &m)...) // it exists from here on, whatever the wait brings
	s, err := r.await(ctx, m, cloud.Wait{Until: []string{"CREATED"}, While: []string{"CREATING", unlisted}})
	if err != nil {
		r.refuse(&a.Diagnostics, m.action("Waiting for"), err)
		return
	}
	m.learn(s)
	a.Diagnostics.Append(a.State.Set(ctx, &m)...)
}

func (r *vaultReplication) create(ctx context.Context, m vaultReplicationModel) error {
	client, err := r.cloud.Vaults()
	if err != nil {
		return err
	}
	details := keymanagement.CreateVaultReplicaDetails{ReplicaRegion: m.ReplicaRegion.ValueStringPointer()}
	if len(m.Metadata) == 1 {
		details.ReplicaVaultMetadata = keymanagement.ReplicaExternalVaultMetadata{
			PrivateEndpointId:  m.Metadata[0].PrivateEndpointID.ValueStringPointer(),
			IdcsAccountNameUrl: m.Metadata[0].Domain.ValueStringPointer(),
		}
	}
	_, err = cloud.Call(ctx, r.cloud, client.CreateVaultReplica,
		keymanagement.CreateVaultReplicaRequest{VaultId: m.VaultID.ValueStringPointer(), CreateVaultReplicaDetails: details})
	return err
}

func (r *vaultReplication) await(ctx context.Context, m vaultReplicationModel, w cloud.Wait) (keymanagement.VaultReplicaSummary, error) {
	return cloud.Await(ctx, r.cloud, w, nil, func(ctx context.Context) (keymanagement.VaultReplicaSummary, error) {
		return r.look(ctx, m)
	}, replicaState)
}

func (r *vaultReplication) Read(ctx context.Context, q resource.ReadRequest, a *resource.ReadResponse) {
	var m vaultReplicationModel
	if a.Diagnostics.Append(q.State.Get(ctx, &m)...); a.Diagnostics.HasError() {
		return
	}
	s, err := r.look(ctx, m)
	switch {
	case cloud.Missing(err) && !r.cloud.KeepMissing, err == nil && (replicaState(s) == unlisted || replicaState(s) == deleted):
		a.State.RemoveResource(ctx)
	case err != nil:
		r.refuse(&a.Diagnostics, m.action("Reading"), err)
	default:
		m.learn(s)
		a.Diagnostics.Append(a.State.Set(ctx, &m)...)
	}
}

// Update is only ever about timeouts: all else makes another replica.
func (r *vaultReplication) Update(_ context.Context, q resource.UpdateRequest, a *resource.UpdateResponse) {
	a.State.Raw = q.Plan.Raw
}

func (r *vaultReplication) Delete(ctx context.Context, q resource.DeleteRequest, a *resource.DeleteResponse) {
	var m vaultReplicationModel
	if a.Diagnostics.Append(q.State.Get(ctx, &m)...); a.Diagnostics.HasError() {
		return
	}
	ctx, cancel := m.Timeouts.within(ctx, deleting)
	defer cancel()
	if err := r.delete(ctx, m); err != nil && (r.cloud.KeepMissing || !cloud.Missing(err)) {
		r.refuse(&a.Diagnostics, m.action("Deleting"), err)
	}
}

// delete asks for the deletion of the replica, and waits until it is not listed any more.
func (r *vaultReplication) delete(ctx context.Context, m vaultReplicationModel) error {
	client, err := r.cloud.Vaults()
	if err != nil {
		return err
	}
	if _, err := cloud.Call(ctx, r.cloud, client.DeleteVaultReplica, keymanagement.DeleteVaultReplicaRequest{
		VaultId:                   m.VaultID.ValueStringPointer(),
		DeleteVaultReplicaDetails: keymanagement.DeleteVaultReplicaDetails{ReplicaRegion: m.ReplicaRegion.ValueStringPointer()},
	}); err != nil {
		return err
	}
	_, err = r.await(ctx, m, cloud.Wait{Until: []string{deleted, unlisted}, While: []string{"CREATED", "DELETING"}})
	return err
}

// replicationImport is the id of a replication in imports.
var replicationImport = regexp.MustCompile(`^([^:]+):([^:]+)$`)

func (r *vaultReplication) ImportState(ctx context.Context, q resource.ImportStateRequest, a *resource.ImportStateResponse) {
	parts := replicationImport.FindStringSubmatch(q.ID)
	if parts == nil {
		a.Diagnostics.AddError("Not the id of a vault's replication", fmt.Sprintf("%q is not of the form {vault_id}:{replica_region}", q.ID))
		return
	}
	a.Diagnostics.Append(a.State.SetAttribute(ctx, path.Root("id"), q.ID)...)
	a.Diagnostics.Append(a.State.SetAttribute(ctx, path.Root("vault_id"), parts[1])...)
	a.Diagnostics.Append(a.State.SetAttribute(ctx, path.Root("replica_region"), parts[2])...)
}
