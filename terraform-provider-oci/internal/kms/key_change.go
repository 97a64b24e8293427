// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/terraform-provider-oci/internal/cloud"
)

// keyTransit are the states on the way to being enabled or disabled.
func keyTransit() []string {
	return []string{"CREATING", "ENABLING", "DISABLING", "UPDATING", "RESTORING", "BACKUP_IN_PROGRESS"}
}

func (r *key) await(ctx context.Context, m keyModel, w cloud.Wait, k *keymanagement.Key) (keymanagement.Key, error) {
	return cloud.Await(ctx, r.cloud, w, k, func(ctx context.Context) (keymanagement.Key, error) {
		return r.findKey(ctx, m.ManagementEndpoint.ValueString(), m.ID.ValueString())
	}, keyState)
}

// settled waits until nothing of the key is being changed.
func (r *key) settled(ctx context.Context, m keyModel, k *keymanagement.Key) (keymanagement.Key, error) {
	return r.await(ctx, m, cloud.Wait{Until: []string{enabled, disabled}, While: keyTransit()}, k)
}

func (r *key) Create(ctx context.Context, q resource.CreateRequest, a *resource.CreateResponse) {
	var m keyModel
	if a.Diagnostics.Append(q.Plan.Get(ctx, &m)...); a.Diagnostics.HasError() {
		return
	}
	ctx, cancel := m.Timeouts.within(ctx, creating)
	defer cancel()
	action, start := "Creating key "+m.DisplayName.ValueString(), r.create
	if len(m.RestoreFromStore)+len(m.RestoreFromFile) > 0 {
		action, start = "Restoring key "+m.DisplayName.ValueString(), r.restore
	}
	k, err := start(ctx, m)
	if err != nil {
		r.refuse(&a.Diagnostics, action, err)
		return
	}
	saved := m
	saved.promised(&r.base, k)
	a.Diagnostics.Append(a.State.Set(ctx, &saved)...) // it exists from here on, whatever comes next
	m.ID = saved.ID
	k, err = r.await(ctx, m, cloud.Wait{Until: []string{enabled, disabled}, While: keyTransit(), New: true}, &k)
	if err == nil {
		k, err = r.update(ctx, m, k)
	}
	if err != nil {
		r.refuse(&a.Diagnostics, action, err)
		return
	}
	m.promised(&r.base, k)
	a.Diagnostics.Append(a.State.Set(ctx, &m)...)
}

func (r *key) create(ctx context.Context, m keyModel) (keymanagement.Key, error) {
	client, err := r.cloud.Management(m.ManagementEndpoint.ValueString())
	if err != nil {
		return keymanagement.Key{}, err
	}
	details := keymanagement.CreateKeyDetails{
		CompartmentId: m.CompartmentID.ValueStringPointer(), DisplayName: m.DisplayName.ValueStringPointer(),
		DefinedTags: r.sentDefined(m.DefinedTags, nil), FreeformTags: sentFreeform(m.FreeformTags),
		ProtectionMode:         keymanagement.CreateKeyDetailsProtectionModeEnum(m.ProtectionMode.ValueString()),
		AutoKeyRotationDetails: m.schedule(),
	}
	if !m.IsAutoRotationEnabled.IsUnknown() {
		details.IsAutoRotationEnabled = m.IsAutoRotationEnabled.ValueBoolPointer()
	}
	if len(m.Shape) == 1 {
		length := int(m.Shape[0].Length.ValueInt64())
		details.KeyShape = &keymanagement.KeyShape{
			Algorithm: keymanagement.KeyShapeAlgorithmEnum(m.Shape[0].Algorithm.ValueString()), Length: &length,
			CurveId: keymanagement.KeyShapeCurveIdEnum(m.Shape[0].CurveID.ValueString()),
		}
	}
	if len(m.External) == 1 {
		details.ExternalKeyReference = &keymanagement.ExternalKeyReference{ExternalKeyId: sent(m.External[0].KeyID)}
	}
	answer, err := cloud.Call(ctx, r.cloud, client.CreateKey, keymanagement.CreateKeyRequest{CreateKeyDetails: details})
	return answer.Key, err
}

// schedule is what a request says of automatic rotation; nil where the plan says nothing.
func (m *keyModel) schedule() *keymanagement.AutoKeyRotationDetails {
	if len(m.Rotation) == 0 {
		return nil
	}
	details := &keymanagement.AutoKeyRotationDetails{TimeOfScheduleStart: m.Rotation[0].Start.sdk()}
	if interval := m.Rotation[0].Interval; !interval.IsNull() && !interval.IsUnknown() {
		days := int(interval.ValueInt64())
		details.RotationIntervalInDays = &days
	}
	return details
}

// restore brings a key back from the backup that the configuration names.
func (r *key) restore(ctx context.Context, m keyModel) (keymanagement.Key, error) {
	client, err := r.cloud.Management(m.ManagementEndpoint.ValueString())
	if err != nil {
		return keymanagement.Key{}, err
	}
	if len(m.RestoreFromStore) == 1 {
		answer, err := cloud.Call(ctx, r.cloud, client.RestoreKeyFromObjectStore, keymanagement.RestoreKeyFromObjectStoreRequest{
			RestoreKeyFromObjectStoreDetails: keymanagement.RestoreKeyFromObjectStoreDetails{BackupLocation: m.RestoreFromStore[0].location()},
		})
		return answer.Key, err
	}
	from := m.RestoreFromFile[0]
	file, err := fileOf(from.Details, from.Length, from.MD5)
	if err != nil {
		return keymanagement.Key{}, err
	}
	attempt := func(ctx context.Context, q keymanagement.RestoreKeyFromFileRequest) (keymanagement.RestoreKeyFromFileResponse, error) {
		q.RestoreKeyFromFileDetails = file.body()
		return client.RestoreKeyFromFile(ctx, q)
	}
	answer, err := cloud.Call(ctx, r.cloud, attempt, keymanagement.RestoreKeyFromFileRequest{ContentLength: &file.length, ContentMd5: file.md5})
	return answer.Key, err
}

func (r *key) Update(ctx context.Context, q resource.UpdateRequest, a *resource.UpdateResponse) {
	var m, old keyModel
	a.Diagnostics.Append(q.Plan.Get(ctx, &m)...)
	a.Diagnostics.Append(q.State.Get(ctx, &old)...)
	if a.Diagnostics.HasError() {
		return
	}
	ctx, cancel := m.Timeouts.within(ctx, updating)
	defer cancel()
	action := "Changing key " + old.ID.ValueString()
	k, err := r.settled(ctx, m, nil)
	if err == nil && len(m.RestoreFromStore)+len(m.RestoreFromFile) > 0 && !m.RestoreTrigger.Equal(old.RestoreTrigger) {
		action = "Restoring key " + old.ID.ValueString()
		if k, err = r.restore(ctx, m); err == nil {
			k, err = r.settled(ctx, m, &k)
		}
	}
	if err == nil {
		k, err = r.update(ctx, m, k)
	}
	if err != nil {
		r.refuse(&a.Diagnostics, action, err)
		return
	}
	m.promised(&r.base, k)
	a.Diagnostics.Append(a.State.Set(ctx, &m)...)
}

// update makes the key, which is k now, what the plan says. It is enabled before anything else is
// changed and disabled after that: a disabled key need not take changes.
func (r *key) update(ctx context.Context, m keyModel, k keymanagement.Key) (keymanagement.Key, error) {
	client, err := r.cloud.Management(m.ManagementEndpoint.ValueString())
	if err != nil {
		return k, err
	}
	wanted := m.DesiredState.ValueString()
	if wanted == enabled && keyState(k) == disabled {
		answer, err := cloud.Call(ctx, r.cloud, client.EnableKey, keymanagement.EnableKeyRequest{KeyId: k.Id})
		if err != nil {
			return k, err
		}
		w := cloud.Wait{Until: []string{enabled}, While: append(keyTransit(), disabled)}
		if k, err = r.await(ctx, m, w, &answer.Key); err != nil {
			return k, err
		}
	}
	if to := m.CompartmentID.ValueString(); to != deref(k.CompartmentId) {
		if _, err := cloud.Call(ctx, r.cloud, client.ChangeKeyCompartment, keymanagement.ChangeKeyCompartmentRequest{
			KeyId: k.Id, ChangeKeyCompartmentDetails: keymanagement.ChangeKeyCompartmentDetails{CompartmentId: &to},
		}); err != nil {
			return k, err
		}
		if k, err = r.settled(ctx, m, nil); err != nil {
			return k, err
		}
	}
	if details, some := r.changes(m, k); some {
		answer, err := cloud.Call(ctx, r.cloud, client.UpdateKey, keymanagement.UpdateKeyRequest{KeyId: k.Id, UpdateKeyDetails: details})
		if err != nil {
			return k, err
		}
		if k, err = r.settled(ctx, m, &answer.Key); err != nil {
			return k, err
		}
	}
	if wanted == disabled && keyState(k) == enabled {
		answer, err := cloud.Call(ctx, r.cloud, client.DisableKey, keymanagement.DisableKeyRequest{KeyId: k.Id})
		if err != nil {
			return k, err
		}
		return r.await(ctx, m, cloud.Wait{Until: []string{disabled}, While: append(keyTransit(), enabled)}, &answer.Key)
	}
	return k, nil
}

// changes is what UpdateKey has to change of k; false for nothing.
func (r *key) changes(m keyModel, k keymanagement.Key) (details keymanagement.UpdateKeyDetails, some bool) {
	now := r.show(k.DefinedTags, k.FreeformTags, tags{defined: m.DefinedTags})
	if m.DisplayName.ValueString() != deref(k.DisplayName) {
		details.DisplayName, some = m.DisplayName.ValueStringPointer(), true
	}
	if !kept(m.DefinedTags, now.defined).Equal(now.defined) {
		details.DefinedTags, some = r.sentDefined(m.DefinedTags, k.DefinedTags), true
	}
	if !kept(m.FreeformTags, now.freeform).Equal(now.freeform) {
		details.FreeformTags, some = sentFreeform(m.FreeformTags), true
	}
	rotates := k.IsAutoRotationEnabled != nil && *k.IsAutoRotationEnabled
	wanted := rotates
	if v := m.IsAutoRotationEnabled; !v.IsNull() && !v.IsUnknown() {
		wanted = v.ValueBool()
	}
	schedule := m.schedule()
	if wanted != rotates || wanted && schedule != nil && !scheduled(*schedule, k.AutoKeyRotationDetails) {
		details.IsAutoRotationEnabled, some = &wanted, true
		if wanted {
			details.AutoKeyRotationDetails = schedule
		}
	}
	return details, some
}

// scheduled says whether the service has the schedule that is wanted; what is not said may be anything.
func scheduled(wanted keymanagement.AutoKeyRotationDetails, is *keymanagement.AutoKeyRotationDetails) bool {
	if is == nil {
		return false
	}
	if i := wanted.RotationIntervalInDays; i != nil && (is.RotationIntervalInDays == nil || *i != *is.RotationIntervalInDays) {
		return false
	}
	return wanted.TimeOfScheduleStart == nil || instantOf(wanted.TimeOfScheduleStart).sameDay(instantOf(is.TimeOfScheduleStart))
}

func (r *key) Delete(ctx context.Context, q resource.DeleteRequest, a *resource.DeleteResponse) {
	var m keyModel
	if a.Diagnostics.Append(q.State.Get(ctx, &m)...); a.Diagnostics.HasError() {
		return
	}
	ctx, cancel := m.Timeouts.within(ctx, deleting)
	defer cancel()
	if err := r.delete(ctx, m); err != nil && !r.gone(err, m.ManagementEndpoint) {
		r.refuse(&a.Diagnostics, "Deleting key "+m.ID.ValueString(), whyNotScheduled(r.cloud, m.TimeOfDeletion, err))
	}
}

// delete asks for the deletion of the key unless it is scheduled already, and waits until it is.
func (r *key) delete(ctx context.Context, m keyModel) error {
	client, err := r.cloud.Management(m.ManagementEndpoint.ValueString())
	if err != nil {
		return err
	}
	k, err := r.await(ctx, m, cloud.Wait{
		Until: []string{enabled, disabled, pendingDeletion, deleted},
		While: append(keyTransit(), "DELETING", "SCHEDULING_DELETION", "CANCELLING_DELETION"),
	}, nil)
	if err != nil || leaving(keyState(k)) {
		return err
	}
	answer, err := cloud.Call(ctx, r.cloud, client.ScheduleKeyDeletion, keymanagement.ScheduleKeyDeletionRequest{
		KeyId: k.Id, ScheduleKeyDeletionDetails: keymanagement.ScheduleKeyDeletionDetails{TimeOfDeletion: m.TimeOfDeletion.sdk()},
	})
	if err != nil {
		return err
	}
	_, err = r.await(ctx, m, cloud.Wait{
		Until: []string{pendingDeletion, deleted}, While: []string{enabled, disabled, "DELETING", "SCHEDULING_DELETION"},
	}, &answer.Key)
	return err
}
