// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/terraform-provider-oci/internal/cloud"
)

func versionState(v keymanagement.KeyVersion) string { return string(v.LifecycleState) }

// await waits until the version has one of the states; v, if it is not nil, is what was last seen of it.
func (r *keyVersion) await(ctx context.Context, m keyVersionModel, w cloud.Wait, v *keymanagement.KeyVersion) (keymanagement.KeyVersion, error) {
	return cloud.Await(ctx, r.cloud, w, v, func(ctx context.Context) (keymanagement.KeyVersion, error) { return r.look(ctx, m) }, versionState)
}

func (r *keyVersion) Create(ctx context.Context, q resource.CreateRequest, a *resource.CreateResponse) {
	var m keyVersionModel
	if a.Diagnostics.Append(q.Plan.Get(ctx, &m)...); a.Diagnostics.HasError() {
		return
	}
	ctx, cancel := m.Timeouts.within(ctx, creating)
	defer cancel()
	action := "Creating a version of key " + m.KeyID.ValueString()
	client, err := r.cloud.Management(m.ManagementEndpoint.ValueString())
	if err != nil {
		r.refuse(&a.Diagnostics, action, err)
		return
	}
	done, err := r.cloud.Rotating(ctx, m.KeyID.ValueString())
	if err != nil {
		r.refuse(&a.Diagnostics, action, fmt.Errorf("other versions of the key were being made until the time was up: %w", err))
		return
	}
	defer done()
	answer, err := cloud.Call(ctx, r.cloud, client.CreateKeyVersion, keymanagement.CreateKeyVersionRequest{
		KeyId:                    m.KeyID.ValueStringPointer(),
		CreateKeyMetadataDetails: keymanagement.ExternalKeyVersionReference{ExternalKeyVersionId: sent(m.ExternalKeyVersionID)},
	})
	if err != nil {
		r.refuse(&a.Diagnostics, action, r.whyNotRotated(ctx, m, err))
		return
	}
	m.learn(answer.KeyVersion)
	a.Diagnostics.Append(a.State.Set(ctx, &m)...) // it exists from here on, whatever the wait brings
	v, err := r.await(ctx, m, cloud.Wait{Until: []string{enabled}, While: []string{"CREATING", "ENABLING"}, New: true}, &answer.KeyVersion)
	if err != nil {
		r.refuse(&a.Diagnostics, "Waiting for key version "+m.ocid(), err)
		return
	}
	m.learn(v)
	a.Diagnostics.Append(a.State.Set(ctx, &m)...)
}

// whyNotRotated adds the key's state to a conflict, which the service's own text need not name.
func (r *keyVersion) whyNotRotated(ctx context.Context, m keyVersionModel, err error) error {
	if !cloud.Conflicts(err) {
		return err
	}
	key, lookErr := r.key(ctx, m)
	if lookErr != nil || key.LifecycleState == keymanagement.KeyLifecycleStateEnabled {
		return err
	}
	advice := `set desired_state = "ENABLED" in its oci_kms_key`
	if key.LifecycleState != keymanagement.KeyLifecycleStateDisabled {
		advice = "cancel its deletion first"
	}
	return fmt.Errorf("the key is %s, and only an ENABLED key gets new versions: %s.\n\n%s", key.LifecycleState, advice, r.cloud.Explain(err))
}

// key is the version's key.
func (r *keyVersion) key(ctx context.Context, m keyVersionModel) (keymanagement.Key, error) {
	return r.findKey(ctx, m.ManagementEndpoint.ValueString(), m.KeyID.ValueString())
}

// Update is only ever about time_of_deletion and timeouts: all else makes another version.
func (r *keyVersion) Update(ctx context.Context, q resource.UpdateRequest, a *resource.UpdateResponse) {
	var plan, old keyVersionModel
	a.Diagnostics.Append(q.Plan.Get(ctx, &plan)...)
	a.Diagnostics.Append(q.State.Get(ctx, &old)...)
	if a.Diagnostics.HasError() {
		return
	}
	ctx, cancel := plan.Timeouts.within(ctx, updating)
	defer cancel()
	if !plan.TimeOfDeletion.IsNull() && !plan.TimeOfDeletion.same(old.TimeOfDeletion) {
		if err := r.reschedule(ctx, plan); err != nil {
			r.refuse(&a.Diagnostics, "Scheduling the deletion of key version "+plan.ocid()+" anew", err)
			return
		}
	}
	a.Diagnostics.Append(a.State.Set(ctx, &plan)...)
}

// reschedule moves a deletion that is scheduled to the planned time. A version whose deletion is not
// scheduled is left alone; the current version is always one.
func (r *keyVersion) reschedule(ctx context.Context, m keyVersionModel) error {
	client, err := r.cloud.Management(m.ManagementEndpoint.ValueString())
	if err != nil {
		return err
	}
	v, err := r.await(ctx, m, cloud.Wait{
		Until: []string{enabled, disabled, pendingDeletion}, While: []string{"CREATING", "ENABLING", "SCHEDULING_DELETION", "CANCELLING_DELETION"},
	}, nil)
	if err != nil || v.LifecycleState != keymanagement.KeyVersionLifecycleStatePendingDeletion {
		return err
	}
	cancelled, err := cloud.Call(ctx, r.cloud, client.CancelKeyVersionDeletion,
		keymanagement.CancelKeyVersionDeletionRequest{KeyId: v.KeyId, KeyVersionId: v.Id})
	if err != nil {
		return err
	}
	if _, err := r.await(ctx, m, cloud.Wait{Until: []string{enabled, disabled}, While: []string{pendingDeletion, "CANCELLING_DELETION", "ENABLING"}},
		&cancelled.KeyVersion); err != nil {
		return err
	}
	err = r.schedule(ctx, m, m.TimeOfDeletion)
	if err == nil {
		return nil
	}
	if back := r.schedule(ctx, m, instantOf(v.TimeOfDeletion)); back != nil {
		return fmt.Errorf("its deletion was cancelled and it is ENABLED now, since neither time was accepted: %s", r.cloud.Explain(err))
	}
	return fmt.Errorf("it is still scheduled for the time before, %s: %s", instantOf(v.TimeOfDeletion).ValueString(), r.cloud.Explain(err))
}

// schedule asks for the deletion of the version, at a time unless that is null, and waits until it is
// scheduled.
func (r *keyVersion) schedule(ctx context.Context, m keyVersionModel, at instant) error {
	client, err := r.cloud.Management(m.ManagementEndpoint.ValueString())
	if err != nil {
		return err
	}
	id := m.ocid()
	answer, err := cloud.Call(ctx, r.cloud, client.ScheduleKeyVersionDeletion, keymanagement.ScheduleKeyVersionDeletionRequest{
		KeyId: m.KeyID.ValueStringPointer(), KeyVersionId: &id,
		ScheduleKeyVersionDeletionDetails: keymanagement.ScheduleKeyVersionDeletionDetails{TimeOfDeletion: at.sdk()},
	})
	if err != nil {
		return err
	}
	_, err = r.await(ctx, m, cloud.Wait{
		Until: []string{pendingDeletion, deleted}, While: []string{enabled, disabled, "DELETING", "SCHEDULING_DELETION"},
	}, &answer.KeyVersion)
	return err
}

func (r *keyVersion) Delete(ctx context.Context, q resource.DeleteRequest, a *resource.DeleteResponse) {
	var m keyVersionModel
	if a.Diagnostics.Append(q.State.Get(ctx, &m)...); a.Diagnostics.HasError() || r.cloud.KeepVersions {
		return
	}
	ctx, cancel := m.Timeouts.within(ctx, deleting)
	defer cancel()
	action := "Deleting key version " + m.ocid()
	v, err := r.await(ctx, m, cloud.Wait{
		Until: []string{enabled, disabled, pendingDeletion, deleted},
		While: []string{"CREATING", "ENABLING", "DISABLING", "DELETING", "SCHEDULING_DELETION", "CANCELLING_DELETION"},
	}, nil)
	switch {
	case r.gone(err, m.ManagementEndpoint):
		return
	case err != nil:
		r.refuse(&a.Diagnostics, action, err)
		return
	case versionState(v) == pendingDeletion, versionState(v) == deleted:
		return
	}
	if r.leave(ctx, m, action, &a.Diagnostics) {
		return
	}
	err = r.schedule(ctx, m, m.TimeOfDeletion)
	if cloud.Conflicts(err) && r.leave(ctx, m, action, &a.Diagnostics) {
		return // it became so in between
	}
	if err != nil {
		r.refuse(&a.Diagnostics, action, whyNotScheduled(r.cloud, m.TimeOfDeletion, err))
	}
}

// leave says whether the version's key forbids its deletion, or makes it needless, and tells the user.
func (r *keyVersion) leave(ctx context.Context, m keyVersionModel, action string, diags *diag.Diagnostics) bool {
	key, err := r.key(ctx, m)
	switch {
	case err != nil:
		r.refuse(diags, action, err)
	case key.LifecycleState == keymanagement.KeyLifecycleStatePendingDeletion || key.LifecycleState == keymanagement.KeyLifecycleStateDeleted:
		diags.AddWarning("Key version goes with its key", fmt.Sprintf(
			"Key %s is %s and takes its version %s with it. If the deletion of the key is cancelled, the version stays.",
			m.KeyID.ValueString(), key.LifecycleState, m.ocid()))
	case deref(key.CurrentKeyVersion) == m.ocid():
		isCurrent(diags, m)
	default:
		return false
	}
	return true
}

// isCurrent tells that, and why, a version cannot be deleted, and what can be done.
func isCurrent(diags *diag.Diagnostics, m keyVersionModel) {
	diags.AddError("The current version of a key cannot be deleted", fmt.Sprintf(
		"Key version %s is the current version of key %s: what is encrypted or signed now uses it. Nothing was changed. There are two ways out:\n\n"+
			"1. Rotate the key first, with another oci_kms_key_version (or lifecycle { create_before_destroy = true } in this one). Then this "+
			"version is not current any more and can be destroyed.\n\n"+
			"2. Keep the version and let Terraform forget it: terraform state rm ADDRESS. If the key itself is destroyed, its versions go with it.",
		m.ocid(), m.KeyID.ValueString()))
}

// whyNotScheduled adds what to do about a time that was not accepted.
func whyNotScheduled(c *cloud.Cloud, at instant, err error) error {
	if !cloud.Invalid(err) || at.IsNull() {
		return err
	}
	return fmt.Errorf("time_of_deletion is %s, and the service takes times 7 to 30 days from now. Change it (or remove it, for 30 days from "+
		"now), apply that, and destroy then.\n\n%s", at.ValueString(), c.Explain(err))
}
