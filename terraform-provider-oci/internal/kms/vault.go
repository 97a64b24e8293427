// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/terraform-provider-oci/internal/cloud"
)

// vault is the resource oci_kms_vault.
type vault struct{ resourceBase }

// NewVault is the resource oci_kms_vault.
func NewVault() resource.Resource { return &vault{resourceBase{base{name: "kms_vault"}}} }

var (
	_ resource.ResourceWithConfigure      = (*vault)(nil)
	_ resource.ResourceWithImportState    = (*vault)(nil)
	_ resource.ResourceWithValidateConfig = (*vault)(nil)
)

// vaultModel is the state of an oci_kms_vault.
type vaultModel struct {
	ID                  types.String `tfsdk:"id"`
	CompartmentID       types.String `tfsdk:"compartment_id"`
	DisplayName         types.String `tfsdk:"display_name"`
	VaultType           types.String `tfsdk:"vault_type"`
	DefinedTags         types.Map    `tfsdk:"defined_tags"`
	FreeformTags        types.Map    `tfsdk:"freeform_tags"`
	TimeOfDeletion      instant      `tfsdk:"time_of_deletion"`
	RestoreTrigger      types.Bool   `tfsdk:"restore_trigger"`
	CryptoEndpoint      types.String `tfsdk:"crypto_endpoint"`
	ManagementEndpoint  types.String `tfsdk:"management_endpoint"`
	State               types.String `tfsdk:"state"`
	TimeCreated         types.String `tfsdk:"time_created"`
	RestoredFromVaultID types.String `tfsdk:"restored_from_vault_id"`
	IsPrimary           types.Bool   `tfsdk:"is_primary"`
	IsVaultReplicable   types.Bool   `tfsdk:"is_vault_replicable"`
	ReplicaDetails      types.List   `tfsdk:"replica_details"`
	ExternalSummary     types.List   `tfsdk:"external_key_manager_metadata_summary"`

	External         []externalManager      `tfsdk:"external_key_manager_metadata"`
	RestoreFromStore []restoreFromStore     `tfsdk:"restore_from_object_store"`
	RestoreFromFile  []restoreVaultFromFile `tfsdk:"restore_from_file"`
	Timeouts         *timeouts              `tfsdk:"timeouts"`
}

// externalManager is the block external_key_manager_metadata.
type externalManager struct {
	EndpointURL       types.String    `tfsdk:"external_vault_endpoint_url"`
	PrivateEndpointID types.String    `tfsdk:"private_endpoint_id"`
	OAuth             []externalOAuth `tfsdk:"oauth_metadata"`
}

type externalOAuth struct {
	ClientAppID        types.String `tfsdk:"client_app_id"`
	ClientAppSecret    types.String `tfsdk:"client_app_secret"`
	IDCSAccountNameURL types.String `tfsdk:"idcs_account_name_url"`
}

// restoreVaultFromFile is the block restore_from_file.
type restoreVaultFromFile struct {
	Details types.String `tfsdk:"restore_vault_from_file_details"`
	Length  types.String `tfsdk:"content_length"`
	MD5     types.String `tfsdk:"content_md5"`
}

func externalOAuthFields() map[string]attr.Type {
	return map[string]attr.Type{"client_app_id": types.StringType, "idcs_account_name_url": types.StringType}
}

func externalSummaryFields() map[string]attr.Type {
	return map[string]attr.Type{
		"external_vault_endpoint_url": types.StringType, "private_endpoint_id": types.StringType, "vendor": types.StringType,
		"oauth_metadata_summary": types.ListType{ElemType: types.ObjectType{AttrTypes: externalOAuthFields()}},
	}
}

func externalSummary(s *keymanagement.ExternalKeyManagerMetadataSummary) types.List {
	if s == nil {
		return object(externalSummaryFields(), nil)
	}
	oauth := object(externalOAuthFields(), nil)
	if o := s.OauthMetadataSummary; o != nil {
		oauth = object(externalOAuthFields(), map[string]attr.Value{
			"client_app_id": text(o.ClientAppId), "idcs_account_name_url": text(o.IdcsAccountNameUrl),
		})
	}
	return object(externalSummaryFields(), map[string]attr.Value{
		"external_vault_endpoint_url": text(s.ExternalVaultEndpointUrl), "private_endpoint_id": text(s.PrivateEndpointId),
		"vendor": text(s.Vendor), "oauth_metadata_summary": oauth,
	})
}

// learn takes over what the service says. time_of_deletion stays the user's: a vault whose deletion is
// scheduled is not in any state.
func (m *vaultModel) learn(b *base, v keymanagement.Vault) {
	shown := b.show(v.DefinedTags, v.FreeformTags, tags{defined: m.DefinedTags})
	m.ID = text(v.Id)
	m.CompartmentID, m.DisplayName, m.VaultType = text(v.CompartmentId), text(v.DisplayName), word(v.VaultType)
	m.DefinedTags, m.FreeformTags = shown.defined, shown.freeform
	m.TimeOfDeletion = m.TimeOfDeletion.orNone()
	m.CryptoEndpoint, m.ManagementEndpoint = text(v.CryptoEndpoint), text(v.ManagementEndpoint)
	m.State, m.TimeCreated = word(v.LifecycleState), timeText(v.TimeCreated)
	m.RestoredFromVaultID = text(v.RestoredFromVaultId)
	m.IsPrimary, m.IsVaultReplicable = types.BoolPointerValue(v.IsPrimary), types.BoolPointerValue(v.IsVaultReplicable)
	var replication *string
	if v.ReplicaDetails != nil {
		replication = v.ReplicaDetails.ReplicationId
	}
	m.ReplicaDetails = replica(replication, v.ReplicaDetails != nil)
	m.ExternalSummary = externalSummary(v.ExternalKeyManagerMetadataSummary)
}

// promised is learn for the answer to a plan, whose known values stand.
func (m *vaultModel) promised(b *base, v keymanagement.Vault) {
	plan := *m
	m.learn(b, v)
	m.CompartmentID, m.DisplayName, m.VaultType = kept(plan.CompartmentID, m.CompartmentID), kept(plan.DisplayName, m.DisplayName), kept(plan.VaultType, m.VaultType)
	m.DefinedTags, m.FreeformTags = kept(plan.DefinedTags, m.DefinedTags), kept(plan.FreeformTags, m.FreeformTags)
	m.CryptoEndpoint, m.ManagementEndpoint = kept(plan.CryptoEndpoint, m.CryptoEndpoint), kept(plan.ManagementEndpoint, m.ManagementEndpoint)
	m.State, m.TimeCreated = kept(plan.State, m.State), kept(plan.TimeCreated, m.TimeCreated)
	m.RestoredFromVaultID = kept(plan.RestoredFromVaultID, m.RestoredFromVaultID)
	m.IsPrimary, m.IsVaultReplicable = kept(plan.IsPrimary, m.IsPrimary), kept(plan.IsVaultReplicable, m.IsVaultReplicable)
	m.ReplicaDetails, m.ExternalSummary = kept(plan.ReplicaDetails, m.ReplicaDetails), kept(plan.ExternalSummary, m.ExternalSummary)
}

func (r *vault) Read(ctx context.Context, q resource.ReadRequest, a *resource.ReadResponse) {
	var m vaultModel
	if a.Diagnostics.Append(q.State.Get(ctx, &m)...); a.Diagnostics.HasError() {
		return
	}
	v, err := r.look(ctx, m.ID.ValueString())
	switch {
	case cloud.Missing(err) && !r.cloud.KeepMissing, err == nil && leaving(vaultState(v)):
		a.State.RemoveResource(ctx)
	case err != nil:
		r.refuse(&a.Diagnostics, "Reading vault "+m.ID.ValueString(), err)
	default:
		m.learn(&r.base, v)
		a.Diagnostics.Append(a.State.Set(ctx, &m)...)
	}
}

// look asks for a vault as it is now.
func (r *vault) look(ctx context.Context, id string) (keymanagement.Vault, error) {
	client, err := r.cloud.Vaults()
	if err != nil {
		return keymanagement.Vault{}, err
	}
	answer, err := cloud.Call(ctx, r.cloud, client.GetVault, keymanagement.GetVaultRequest{VaultId: &id})
	return answer.Vault, err
}

func vaultState(v keymanagement.Vault) string { return string(v.LifecycleState) }

// leaving says whether a state is one in which Terraform takes a vault or a key for gone.
func leaving(state string) bool { return state == pendingDeletion || state == deleted }

func (r *vault) ValidateConfig(ctx context.Context, q resource.ValidateConfigRequest, a *resource.ValidateConfigResponse) {
	a.Diagnostics.Append(oneRestore(ctx, q.Config)...)
}

func (r *vault) ImportState(ctx context.Context, q resource.ImportStateRequest, a *resource.ImportStateResponse) {
	if q.ID == "" {
		a.Diagnostics.AddError("Not the id of a vault", fmt.Sprintf("%q is not the OCID of a vault.", q.ID))
		return
	}
	resource.ImportStatePassthroughID(ctx, path.Root("id"), q, a)
}
