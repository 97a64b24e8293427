// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"fmt"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/terraform-provider-oci/internal/cloud"
)

// key is the resource oci_kms_key.
type key struct{ resourceBase }

// NewKey is the resource oci_kms_key.
func NewKey() resource.Resource { return &key{resourceBase{base{name: "kms_key"}}} }

var (
	_ resource.ResourceWithConfigure      = (*key)(nil)
	_ resource.ResourceWithImportState    = (*key)(nil)
	_ resource.ResourceWithValidateConfig = (*key)(nil)
)

// keyModel is the state of an oci_kms_key.
type keyModel struct {
	ID                          types.String `tfsdk:"id"`
	CompartmentID               types.String `tfsdk:"compartment_id"`
	DisplayName                 types.String `tfsdk:"display_name"`
	ManagementEndpoint          types.String `tfsdk:"management_endpoint"`
	ProtectionMode              types.String `tfsdk:"protection_mode"`
	DesiredState                types.String `tfsdk:"desired_state"`
	IsAutoRotationEnabled       types.Bool   `tfsdk:"is_auto_rotation_enabled"`
	DefinedTags                 types.Map    `tfsdk:"defined_tags"`
	FreeformTags                types.Map    `tfsdk:"freeform_tags"`
	TimeOfDeletion              instant      `tfsdk:"time_of_deletion"`
	RestoreTrigger              types.Bool   `tfsdk:"restore_trigger"`
	CurrentKeyVersion           types.String `tfsdk:"current_key_version"`
	State                       types.String `tfsdk:"state"`
	TimeCreated                 types.String `tfsdk:"time_created"`
	VaultID                     types.String `tfsdk:"vault_id"`
	RestoredFromKeyID           types.String `tfsdk:"restored_from_key_id"`
	IsPrimary                   types.Bool   `tfsdk:"is_primary"`
	ReplicaDetails              types.List   `tfsdk:"replica_details"`
	ExternalKeyReferenceDetails types.List   `tfsdk:"external_key_reference_details"`

	Shape            []keyShape         `tfsdk:"key_shape"`
	Rotation         []keyRotation      `tfsdk:"auto_key_rotation_details"`
	External         []externalRef      `tfsdk:"external_key_reference"`
	RestoreFromStore []restoreFromStore `tfsdk:"restore_from_object_store"`
	RestoreFromFile  []restoreKeyFile   `tfsdk:"restore_from_file"`
	Timeouts         *timeouts          `tfsdk:"timeouts"`
}

// keyShape is the block key_shape; lengths are in bytes.
type keyShape struct {
	Algorithm types.String `tfsdk:"algorithm"`
	Length    types.Int64  `tfsdk:"length"`
	CurveID   types.String `tfsdk:"curve_id"`
}

// keyRotation is the block auto_key_rotation_details.
type keyRotation struct {
	Interval     types.Int64  `tfsdk:"rotation_interval_in_days"`
	Start        instant      `tfsdk:"time_of_schedule_start"`
	LastMessage  types.String `tfsdk:"last_rotation_message"`
	LastStatus   types.String `tfsdk:"last_rotation_status"`
	LastRotation types.String `tfsdk:"time_of_last_rotation"`
	NextRotation types.String `tfsdk:"time_of_next_rotation"`
}

// externalRef is the block external_key_reference.
type externalRef struct {
	KeyID types.String `tfsdk:"external_key_id"`
}

// restoreKeyFile is the block restore_from_file.
type restoreKeyFile struct {
	Details types.String `tfsdk:"restore_key_from_file_details"`
	Length  types.String `tfsdk:"content_length"`
	MD5     types.String `tfsdk:"content_md5"`
}

// learn takes over what the service says. time_of_deletion stays the user's: a key whose deletion is
// scheduled is not in any state. Blocks stay as the configuration has them, but a new state, as after
// an import, takes those that the service has.
func (m *keyModel) learn(b *base, k keymanagement.Key) {
	fresh := m.TimeCreated.ValueString() == ""
	shown := b.show(k.DefinedTags, k.FreeformTags, tags{defined: m.DefinedTags})
	m.ID = text(k.Id)
	m.CompartmentID, m.DisplayName = text(k.CompartmentId), text(k.DisplayName)
	m.ProtectionMode = word(k.ProtectionMode)
	m.State = word(k.LifecycleState)
	if s := m.State.ValueString(); s == enabled || s == disabled || m.DesiredState.IsUnknown() {
		m.DesiredState = m.State
	}
	m.IsAutoRotationEnabled = types.BoolPointerValue(k.IsAutoRotationEnabled)
	m.DefinedTags, m.FreeformTags = shown.defined, shown.freeform
	m.TimeOfDeletion = m.TimeOfDeletion.orNone()
	m.CurrentKeyVersion, m.VaultID = text(k.CurrentKeyVersion), text(k.VaultId)
	m.TimeCreated, m.RestoredFromKeyID = timeText(k.TimeCreated), text(k.RestoredFromKeyId)
	m.IsPrimary = types.BoolPointerValue(k.IsPrimary)
	var replication *string
	if k.ReplicaDetails != nil {
		replication = k.ReplicaDetails.ReplicationId
	}
	m.ReplicaDetails = replica(replication, k.ReplicaDetails != nil)
	m.ExternalKeyReferenceDetails = externalKey(k.ExternalKeyReferenceDetails)
	m.learnShape(k.KeyShape)
	m.learnRotation(k, fresh)
}

// learnRotation takes the schedule that the service has into a block that is there, or into a state
// that is new. The service keeps none while rotation is off; then the block is as the user wrote it.
func (m *keyModel) learnRotation(k keymanagement.Key, fresh bool) {
	if len(m.Rotation) == 0 && !(fresh && k.AutoKeyRotationDetails != nil) {
		return
	}
	is := rotationOf(keymanagement.AutoKeyRotationDetails{})
	if k.AutoKeyRotationDetails != nil {
		is = rotationOf(*k.AutoKeyRotationDetails)
	}
	if len(m.Rotation) == 1 {
		known := m.Rotation[0]
		if k.AutoKeyRotationDetails == nil {
			is.Interval = known.Interval
		}
		if k.AutoKeyRotationDetails == nil || known.Start.sameDay(is.Start) {
			is.Start = known.Start
		}
	}
	m.Rotation = []keyRotation{is}
}

func (m *keyModel) learnShape(s *keymanagement.KeyShape) {
	if s == nil {
		return
	}
	shape := keyShape{Algorithm: word(s.Algorithm), Length: types.Int64Null(), CurveID: word(s.CurveId)}
	if s.Length != nil {
		shape.Length = types.Int64Value(int64(*s.Length))
	}
	m.Shape = []keyShape{shape}
}

func rotationOf(d keymanagement.AutoKeyRotationDetails) keyRotation {
	r := keyRotation{
		Interval: types.Int64Null(), Start: instantOf(d.TimeOfScheduleStart),
		LastMessage: text(d.LastRotationMessage), LastStatus: word(d.LastRotationStatus),
		LastRotation: timeText(d.TimeOfLastRotation), NextRotation: timeText(d.TimeOfNextRotation),
	}
	if d.RotationIntervalInDays != nil {
		r.Interval = types.Int64Value(int64(*d.RotationIntervalInDays))
	}
	return r
}

// promised is learn for the answer to a plan, whose known values stand.
func (m *keyModel) promised(b *base, k keymanagement.Key) {
	plan := *m
	m.learn(b, k)
	m.CompartmentID, m.DisplayName = kept(plan.CompartmentID, m.CompartmentID), kept(plan.DisplayName, m.DisplayName)
	m.ProtectionMode, m.DesiredState = kept(plan.ProtectionMode, m.ProtectionMode), kept(plan.DesiredState, m.DesiredState)
	m.IsAutoRotationEnabled = kept(plan.IsAutoRotationEnabled, m.IsAutoRotationEnabled)
	m.DefinedTags, m.FreeformTags = kept(plan.DefinedTags, m.DefinedTags), kept(plan.FreeformTags, m.FreeformTags)
	m.CurrentKeyVersion, m.State = kept(plan.CurrentKeyVersion, m.CurrentKeyVersion), kept(plan.State, m.State)
	m.TimeCreated, m.VaultID = kept(plan.TimeCreated, m.TimeCreated), kept(plan.VaultID, m.VaultID)
	m.RestoredFromKeyID, m.IsPrimary = kept(plan.RestoredFromKeyID, m.RestoredFromKeyID), kept(plan.IsPrimary, m.IsPrimary)
	m.ReplicaDetails = kept(plan.ReplicaDetails, m.ReplicaDetails)
	m.ExternalKeyReferenceDetails = kept(plan.ExternalKeyReferenceDetails, m.ExternalKeyReferenceDetails)
	m.Shape, m.Rotation = keptShape(plan.Shape, m.Shape), keptRotation(plan.Rotation, m.Rotation)
}

func keptShape(planned, actual []keyShape) []keyShape {
	if len(planned) != 1 || len(actual) != 1 {
		return planned
	}
	p, a := planned[0], actual[0]
	return []keyShape{{kept(p.Algorithm, a.Algorithm), kept(p.Length, a.Length), kept(p.CurveID, a.CurveID)}}
}

func keptRotation(planned, actual []keyRotation) []keyRotation {
	if len(planned) != 1 {
		return nil
	}
	p, a := planned[0], rotationOf(keymanagement.AutoKeyRotationDetails{})
	if len(actual) == 1 {
		a = actual[0]
	}
	return []keyRotation{{
		kept(p.Interval, a.Interval), kept(p.Start, a.Start), kept(p.LastMessage, a.LastMessage), kept(p.LastStatus, a.LastStatus),
		kept(p.LastRotation, a.LastRotation), kept(p.NextRotation, a.NextRotation),
	}}
}

func (r *key) Read(ctx context.Context, q resource.ReadRequest, a *resource.ReadResponse) {
	var m keyModel
	if a.Diagnostics.Append(q.State.Get(ctx, &m)...); a.Diagnostics.HasError() {
		return
	}
	k, err := r.findKey(ctx, m.ManagementEndpoint.ValueString(), m.ID.ValueString())
	switch {
	case r.gone(err, m.ManagementEndpoint), err == nil && leaving(keyState(k)):
		a.State.RemoveResource(ctx)
	case err != nil:
		r.refuse(&a.Diagnostics, "Reading key "+m.ID.ValueString(), err)
	default:
		m.learn(&r.base, k)
		a.Diagnostics.Append(a.State.Set(ctx, &m)...)
	}
}

// findKey asks for a key as it is now.
func (b *base) findKey(ctx context.Context, endpoint, id string) (keymanagement.Key, error) {
	client, err := b.cloud.Management(endpoint)
	if err != nil {
		return keymanagement.Key{}, err
	}
	answer, err := cloud.Call(ctx, b.cloud, client.GetKey, keymanagement.GetKeyRequest{KeyId: &id})
	return answer.Key, err
}

func keyState(k keymanagement.Key) string { return string(k.LifecycleState) }

func (r *key) ValidateConfig(ctx context.Context, q resource.ValidateConfigRequest, a *resource.ValidateConfigResponse) {
	a.Diagnostics.Append(oneRestore(ctx, q.Config)...)
}

// keyImport is the id of a key in imports.
var keyImport = regexp.MustCompile(`^managementEndpoint/(.+)/keys/([^/]+)$`)

func (r *key) ImportState(ctx context.Context, q resource.ImportStateRequest, a *resource.ImportStateResponse) {
	const form = "managementEndpoint/{managementEndpoint}/keys/{keyId}"
	parts := keyImport.FindStringSubmatch(q.ID)
	if parts == nil {
		a.Diagnostics.AddError("Not the id of a key", fmt.Sprintf("%q is not of the form %s", q.ID, form))
		return
	}
	if err := cloud.CheckEndpoint(parts[1]); err != nil {
		a.Diagnostics.AddError("Not the id of a key", fmt.Sprintf("In %s: %s.", form, err))
		return
	}
	a.Diagnostics.Append(a.State.SetAttribute(ctx, path.Root("management_endpoint"), parts[1])...)
	a.Diagnostics.Append(a.State.SetAttribute(ctx, path.Root("id"), parts[2])...)
}
