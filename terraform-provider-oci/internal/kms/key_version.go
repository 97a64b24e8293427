// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"fmt"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/terraform-provider-oci/internal/cloud"
)

// keyVersion is the resource oci_kms_key_version.
//
// Its time_of_deletion can be updated: while the version is enabled the time is only kept, to be sent
// when the resource is destroyed; once the deletion is scheduled, it is scheduled anew.
type keyVersion struct{ resourceBase }

// NewKeyVersion is the resource oci_kms_key_version.
func NewKeyVersion() resource.Resource {
	return &keyVersion{resourceBase{base{name: "kms_key_version"}}}
}

var (
	_ resource.ResourceWithConfigure   = (*keyVersion)(nil)
	_ resource.ResourceWithImportState = (*keyVersion)(nil)
)

// keyVersionModel is the state of an oci_kms_key_version.
type keyVersionModel struct {
	ID                          types.String `tfsdk:"id"`
	KeyID                       types.String `tfsdk:"key_id"`
	ManagementEndpoint          types.String `tfsdk:"management_endpoint"`
	ExternalKeyVersionID        types.String `tfsdk:"external_key_version_id"`
	TimeOfDeletion              instant      `tfsdk:"time_of_deletion"`
	KeyVersionID                types.String `tfsdk:"key_version_id"`
	CompartmentID               types.String `tfsdk:"compartment_id"`
	VaultID                     types.String `tfsdk:"vault_id"`
	State                       types.String `tfsdk:"state"`
	TimeCreated                 types.String `tfsdk:"time_created"`
	PublicKey                   types.String `tfsdk:"public_key"`
	RestoredFromKeyID           types.String `tfsdk:"restored_from_key_id"`
	RestoredFromKeyVersionID    types.String `tfsdk:"restored_from_key_version_id"`
	IsPrimary                   types.Bool   `tfsdk:"is_primary"`
	IsAutoRotated               types.Bool   `tfsdk:"is_auto_rotated"`
	ReplicaDetails              types.List   `tfsdk:"replica_details"`
	ExternalKeyReferenceDetails types.List   `tfsdk:"external_key_reference_details"`
	Timeouts                    *timeouts    `tfsdk:"timeouts"`
}

// externalKeyFields is the type of external_key_reference_details of keys and versions.
func externalKeyFields() map[string]attr.Type {
	return map[string]attr.Type{"external_key_id": types.StringType, "external_key_version_id": types.StringType}
}

func externalKey(d *keymanagement.ExternalKeyReferenceDetails) types.List {
	if d == nil {
		return object(externalKeyFields(), nil)
	}
	return object(externalKeyFields(), map[string]attr.Value{
		"external_key_id": text(d.ExternalKeyId), "external_key_version_id": text(d.ExternalKeyVersionId),
	})
}

// learn takes over what the service says. The time of deletion is its own only while a deletion is
// scheduled; before that it is the user's, and stays.
func (m *keyVersionModel) learn(v keymanagement.KeyVersion) {
	m.ID, m.KeyVersionID = text(v.Id), text(v.Id)
	m.KeyID = text(v.KeyId)
	m.CompartmentID, m.VaultID = text(v.CompartmentId), text(v.VaultId)
	wasPending := m.State.ValueString() == pendingDeletion
	m.State = word(v.LifecycleState)
	m.TimeCreated = timeText(v.TimeCreated)
	switch {
	case v.LifecycleState == keymanagement.KeyVersionLifecycleStatePendingDeletion:
		m.TimeOfDeletion = instantOf(v.TimeOfDeletion)
	case wasPending:
		m.TimeOfDeletion = noInstant() // somebody cancelled it
	default:
		m.TimeOfDeletion = m.TimeOfDeletion.orNone()
	}
	m.PublicKey = text(v.PublicKey)
	m.RestoredFromKeyVersionID, m.RestoredFromKeyID = text(v.RestoredFromKeyVersionId), text(v.RestoredFromKeyVersionId)
	m.IsPrimary, m.IsAutoRotated = types.BoolPointerValue(v.IsPrimary), types.BoolPointerValue(v.IsAutoRotated)
	var replication *string
	if v.ReplicaDetails != nil {
		replication = v.ReplicaDetails.ReplicationId
	}
	m.ReplicaDetails = replica(replication, v.ReplicaDetails != nil)
	m.ExternalKeyReferenceDetails = externalKey(v.ExternalKeyReferenceDetails)
	if d := v.ExternalKeyReferenceDetails; d != nil {
		m.ExternalKeyVersionID = text(d.ExternalKeyVersionId)
	} else if m.ExternalKeyVersionID.IsUnknown() {
		m.ExternalKeyVersionID = types.StringNull()
	}
}

// compositeID is how Oracle's provider names a version in its state, and after the management
// endpoint in imports.
var compositeID = regexp.MustCompile(`^(?:managementEndpoint/(.+)/)?keys/([^/]+)/keyVersions/([^/]+)$`)

// ocid is the version's OCID, also in a state that Oracle's provider wrote.
func (m *keyVersionModel) ocid() string {
	if parts := compositeID.FindStringSubmatch(m.ID.ValueString()); parts != nil {
		return parts[3]
	}
	return m.ID.ValueString()
}

func (r *keyVersion) Read(ctx context.Context, q resource.ReadRequest, a *resource.ReadResponse) {
	var m keyVersionModel
	if a.Diagnostics.Append(q.State.Get(ctx, &m)...); a.Diagnostics.HasError() {
		return
	}
	v, err := r.look(ctx, m)
	if r.gone(err, m.ManagementEndpoint) || err == nil && v.LifecycleState == keymanagement.KeyVersionLifecycleStateDeleted {
		a.State.RemoveResource(ctx)
		return
	}
	if err != nil {
		r.refuse(&a.Diagnostics, "Reading key version "+m.ocid(), err)
		return
	}
	known := m.TimeOfDeletion
	m.learn(v)
	if m.State.ValueString() == pendingDeletion && !known.same(m.TimeOfDeletion) {
		a.Diagnostics.AddWarning("Key version is scheduled for deletion", fmt.Sprintf(
			"Key version %s will be deleted at %s; until then it can be saved by cancelling its deletion. This was not known to this state.",
			m.ocid(), m.TimeOfDeletion.ValueString()))
	}
	a.Diagnostics.Append(a.State.Set(ctx, &m)...)
}

// look asks for the version as it is now.
func (r *keyVersion) look(ctx context.Context, m keyVersionModel) (keymanagement.KeyVersion, error) {
	client, err := r.cloud.Management(m.ManagementEndpoint.ValueString())
	if err != nil {
		return keymanagement.KeyVersion{}, err
	}
	id := m.ocid()
	answer, err := cloud.Call(ctx, r.cloud, client.GetKeyVersion,
		keymanagement.GetKeyVersionRequest{KeyId: m.KeyID.ValueStringPointer(), KeyVersionId: &id})
	return answer.KeyVersion, err
}

// gone says whether an error means that the thing is not there any more. An answer of the vault
// service does not: it never had the thing.
func (b *base) gone(err error, endpoint types.String) bool {
	return cloud.Missing(err) && !b.cloud.KeepMissing && !b.cloud.IsVaultService(endpoint.ValueString())
}

func (r *keyVersion) ImportState(ctx context.Context, q resource.ImportStateRequest, a *resource.ImportStateResponse) {
	const form = "managementEndpoint/{managementEndpoint}/keys/{keyId}/keyVersions/{keyVersionId}"
	parts := compositeID.FindStringSubmatch(q.ID)
	if parts == nil || parts[1] == "" {
		a.Diagnostics.AddError("Not the id of a key version", fmt.Sprintf("%q is not of the form %s", q.ID, form))
		return
	}
	if err := cloud.CheckEndpoint(parts[1]); err != nil {
		a.Diagnostics.AddError("Not the id of a key version", fmt.Sprintf("In %s: %s.", form, err))
		return
	}
	a.Diagnostics.Append(a.State.SetAttribute(ctx, path.Root("management_endpoint"), parts[1])...)
	a.Diagnostics.Append(a.State.SetAttribute(ctx, path.Root("key_id"), parts[2])...)
	a.Diagnostics.Append(a.State.SetAttribute(ctx, path.Root("id"), parts[3])...)
}
