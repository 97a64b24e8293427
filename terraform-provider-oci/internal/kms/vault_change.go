// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/terraform-provider-oci/internal/cloud"
)

// active is the state in which a vault is used.
const active = "ACTIVE"

func (r *vault) await(ctx context.Context, id string, w cloud.Wait, v *keymanagement.Vault) (keymanagement.Vault, error) {
	return cloud.Await(ctx, r.cloud, w, v, func(ctx context.Context) (keymanagement.Vault, error) { return r.look(ctx, id) }, vaultState)
}

// settledVault is the wait after a change.
func settledVault() cloud.Wait {
	return cloud.Wait{Until: []string{active}, While: []string{"CREATING", "UPDATING", "RESTORING", "BACKUP_IN_PROGRESS"}}
}

func (r *vault) Create(ctx context.Context, q resource.CreateRequest, a *resource.CreateResponse) {
	var m vaultModel
	if a.Diagnostics.Append(q.Plan.Get(ctx, &m)...); a.Diagnostics.HasError() {
		return
	}
	ctx, cancel := m.Timeouts.within(ctx, creating)
	defer cancel()
	restores := len(m.RestoreFromStore)+len(m.RestoreFromFile) > 0
	action, start := "Creating vault "+m.DisplayName.ValueString(), r.create
	if restores {
		action, start = "Restoring vault "+m.DisplayName.ValueString(), r.restore
	}
	v, err := start(ctx, m)
	if err != nil {
		r.refuse(&a.Diagnostics, action, err)
		return
	}
	saved := m
	saved.promised(&r.base, v)
	a.Diagnostics.Append(a.State.Set(ctx, &saved)...) // it exists from here on, whatever comes next
	w := settledVault()
	w.New = true
	if v, err = r.await(ctx, deref(v.Id), w, &v); err == nil && restores {
		m.ID = text(v.Id)
		v, err = r.update(ctx, m, v)
	}
	if err != nil {
		r.refuse(&a.Diagnostics, action, err)
		return
	}
	m.promised(&r.base, v)
	a.Diagnostics.Append(a.State.Set(ctx, &m)...)
}

func (r *vault) create(ctx context.Context, m vaultModel) (keymanagement.Vault, error) {
	client, err := r.cloud.Vaults()
	if err != nil {
		return keymanagement.Vault{}, err
	}
	details := keymanagement.CreateVaultDetails{
		CompartmentId: m.CompartmentID.ValueStringPointer(), DisplayName: m.DisplayName.ValueStringPointer(),
		VaultType:   keymanagement.CreateVaultDetailsVaultTypeEnum(m.VaultType.ValueString()),
		DefinedTags: r.sentDefined(m.DefinedTags, nil), FreeformTags: sentFreeform(m.FreeformTags),
	}
	if len(m.External) == 1 && len(m.External[0].OAuth) == 1 {
		e, o := m.External[0], m.External[0].OAuth[0]
		details.ExternalKeyManagerMetadata = &keymanagement.ExternalKeyManagerMetadata{
			ExternalVaultEndpointUrl: sent(e.EndpointURL), PrivateEndpointId: sent(e.PrivateEndpointID),
			OauthMetadata: &keymanagement.OauthMetadata{
				ClientAppId: sent(o.ClientAppID), ClientAppSecret: sent(o.ClientAppSecret), IdcsAccountNameUrl: sent(o.IDCSAccountNameURL),
			},
		}
	}
	answer, err := cloud.Call(ctx, r.cloud, client.CreateVault, keymanagement.CreateVaultRequest{CreateVaultDetails: details})
	return answer.Vault, err
}

// restore brings a vault back from the backup that the configuration names.
func (r *vault) restore(ctx context.Context, m vaultModel) (keymanagement.Vault, error) {
	client, err := r.cloud.Vaults()
	if err != nil {
		return keymanagement.Vault{}, err
	}
	if len(m.RestoreFromStore) == 1 {
		answer, err := cloud.Call(ctx, r.cloud, client.RestoreVaultFromObjectStore, keymanagement.RestoreVaultFromObjectStoreRequest{
			CompartmentId:                      m.CompartmentID.ValueStringPointer(),
			RestoreVaultFromObjectStoreDetails: keymanagement.RestoreVaultFromObjectStoreDetails{BackupLocation: m.RestoreFromStore[0].location()},
		})
		return answer.Vault, err
	}
	from := m.RestoreFromFile[0]
	file, err := fileOf(from.Details, from.Length, from.MD5)
	if err != nil {
		return keymanagement.Vault{}, err
	}
	attempt := func(ctx context.Context, q keymanagement.RestoreVaultFromFileRequest) (keymanagement.RestoreVaultFromFileResponse, error) {
		q.RestoreVaultFromFileDetails = file.body()
		return client.RestoreVaultFromFile(ctx, q)
	}
	answer, err := cloud.Call(ctx, r.cloud, attempt, keymanagement.RestoreVaultFromFileRequest{
		CompartmentId: m.CompartmentID.ValueStringPointer(), ContentLength: &file.length, ContentMd5: file.md5,
	})
	return answer.Vault, err
}

func (r *vault) Update(ctx context.Context, q resource.UpdateRequest, a *resource.UpdateResponse) {
	var m, old vaultModel
	a.Diagnostics.Append(q.Plan.Get(ctx, &m)...)
	a.Diagnostics.Append(q.State.Get(ctx, &old)...)
	if a.Diagnostics.HasError() {
		return
	}
	ctx, cancel := m.Timeouts.within(ctx, updating)
	defer cancel()
	action := "Changing vault " + old.ID.ValueString()
	v, err := r.look(ctx, old.ID.ValueString())
	if err == nil && len(m.RestoreFromStore)+len(m.RestoreFromFile) > 0 && !m.RestoreTrigger.Equal(old.RestoreTrigger) {
		action = "Restoring vault " + old.ID.ValueString()
		if v, err = r.restore(ctx, m); err == nil {
			v, err = r.await(ctx, deref(v.Id), settledVault(), &v)
		}
	}
	if err == nil {
		v, err = r.update(ctx, m, v)
	}
	if err != nil {
		r.refuse(&a.Diagnostics, action, err)
		return
	}
	m.promised(&r.base, v)
	a.Diagnostics.Append(a.State.Set(ctx, &m)...)
}

// update makes the vault, which is v now, what the plan says, and waits for it.
func (r *vault) update(ctx context.Context, m vaultModel, v keymanagement.Vault) (keymanagement.Vault, error) {
	client, err := r.cloud.Vaults()
	if err != nil {
		return v, err
	}
	if to := m.CompartmentID.ValueString(); to != deref(v.CompartmentId) {
		if _, err := cloud.Call(ctx, r.cloud, client.ChangeVaultCompartment, keymanagement.ChangeVaultCompartmentRequest{
			VaultId: v.Id, ChangeVaultCompartmentDetails: keymanagement.ChangeVaultCompartmentDetails{CompartmentId: &to},
		}); err != nil {
			return v, err
		}
		if v, err = r.await(ctx, deref(v.Id), settledVault(), nil); err != nil {
			return v, err
		}
	}
	now := r.show(v.DefinedTags, v.FreeformTags, tags{defined: m.DefinedTags})
	details := keymanagement.UpdateVaultDetails{}
	if m.DisplayName.ValueString() != deref(v.DisplayName) {
		details.DisplayName = m.DisplayName.ValueStringPointer()
	}
	if !kept(m.DefinedTags, now.defined).Equal(now.defined) {
		details.DefinedTags = r.sentDefined(m.DefinedTags, v.DefinedTags)
	}
	if !kept(m.FreeformTags, now.freeform).Equal(now.freeform) {
		details.FreeformTags = sentFreeform(m.FreeformTags)
	}
	if details.DisplayName == nil && details.DefinedTags == nil && details.FreeformTags == nil {
		return v, nil
	}
	answer, err := cloud.Call(ctx, r.cloud, client.UpdateVault, keymanagement.UpdateVaultRequest{VaultId: v.Id, UpdateVaultDetails: details})
	if err != nil {
		return v, err
	}
	return r.await(ctx, deref(v.Id), settledVault(), &answer.Vault)
}

func (r *vault) Delete(ctx context.Context, q resource.DeleteRequest, a *resource.DeleteResponse) {
	var m vaultModel
	if a.Diagnostics.Append(q.State.Get(ctx, &m)...); a.Diagnostics.HasError() {
		return
	}
	ctx, cancel := m.Timeouts.within(ctx, deleting)
	defer cancel()
	if err := r.schedule(ctx, m); err != nil && !(cloud.Missing(err) && !r.cloud.KeepMissing) {
		r.refuse(&a.Diagnostics, "Deleting vault "+m.ID.ValueString(), whyNotScheduled(r.cloud, m.TimeOfDeletion, err))
	}
}

// schedule asks for the deletion of the vault unless it is scheduled already, and waits until it is.
func (r *vault) schedule(ctx context.Context, m vaultModel) error {
	client, err := r.cloud.Vaults()
	if err != nil {
		return err
	}
	v, err := r.await(ctx, m.ID.ValueString(), cloud.Wait{
		Until: []string{active, pendingDeletion, deleted},
		While: []string{"CREATING", "UPDATING", "RESTORING", "BACKUP_IN_PROGRESS", "DELETING", "SCHEDULING_DELETION", "CANCELLING_DELETION"},
	}, nil)
	if err != nil || leaving(vaultState(v)) {
		return err
	}
	answer, err := cloud.Call(ctx, r.cloud, client.ScheduleVaultDeletion, keymanagement.ScheduleVaultDeletionRequest{
		VaultId: v.Id, ScheduleVaultDeletionDetails: keymanagement.ScheduleVaultDeletionDetails{TimeOfDeletion: m.TimeOfDeletion.sdk()},
	})
	if err != nil {
		return err
	}
	_, err = r.await(ctx, m.ID.ValueString(),
		cloud.Wait{Until: []string{pendingDeletion, deleted}, While: []string{"DELETING", "SCHEDULING_DELETION"}}, &answer.Vault)
	return err
}

// oneRestore refuses a configuration with two sources to restore from.
func oneRestore(ctx context.Context, c tfsdk.Config) (diags diag.Diagnostics) {
	var store, file types.List
	diags.Append(c.GetAttribute(ctx, path.Root("restore_from_object_store"), &store)...)
	diags.Append(c.GetAttribute(ctx, path.Root("restore_from_file"), &file)...)
	if len(store.Elements()) > 0 && len(file.Elements()) > 0 {
		diags.AddAttributeError(path.Root("restore_from_file"), "Two sources to restore from",
			"restore_from_file and restore_from_object_store exclude each other: remove one of the blocks.")
	}
	return diags
}
