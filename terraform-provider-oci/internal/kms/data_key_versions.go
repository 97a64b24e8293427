// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/terraform-provider-oci/internal/cloud"
)

// keyVersionsData is the data source oci_kms_key_versions.
type keyVersionsData struct{ dataBase }

// NewKeyVersionsData is the data source oci_kms_key_versions.
func NewKeyVersionsData() datasource.DataSource {
	return &keyVersionsData{dataBase{base{name: "kms_key_versions"}}}
}

type keyVersionsModel struct {
	ID                 types.String `tfsdk:"id"`
	KeyID              types.String `tfsdk:"key_id"`
	ManagementEndpoint types.String `tfsdk:"management_endpoint"`
	KeyVersions        types.List   `tfsdk:"key_versions"`
	Filters            []filter     `tfsdk:"filter"`
}

func (d *keyVersionsData) Schema(ctx context.Context, _ datasource.SchemaRequest, a *datasource.SchemaResponse) {
	a.Schema = manySchema(ctx, NewKeyVersion(), "key_versions", "The versions of a key.",
		map[string]schema.Attribute{"key_id": wanted("The OCID of the key."), "management_endpoint": atManagement()})
}

func (d *keyVersionsData) Read(ctx context.Context, q datasource.ReadRequest, a *datasource.ReadResponse) {
	var m keyVersionsModel
	if a.Diagnostics.Append(q.Config.Get(ctx, &m)...); a.Diagnostics.HasError() {
		return
	}
	client, err := d.cloud.Management(m.ManagementEndpoint.ValueString())
	var found []keymanagement.KeyVersionSummary
	if err == nil {
		found, err = pages(func(cursor *string) ([]keymanagement.KeyVersionSummary, *string, error) {
			answer, err := cloud.Call(ctx, d.cloud, client.ListKeyVersions,
				keymanagement.ListKeyVersionsRequest{KeyId: m.KeyID.ValueStringPointer(), Page: cursor})
			return answer.Items, answer.OpcNextPage, err
		})
	}
	if err != nil {
		d.refuse(&a.Diagnostics, "Listing the versions of key "+m.KeyID.ValueString(), err)
		return
	}
	items := make([]types.Object, len(found))
	for i, s := range found {
		v := keyVersionModel{ManagementEndpoint: m.ManagementEndpoint}
		v.learn(keymanagement.KeyVersion{
			Id: s.Id, KeyId: s.KeyId, VaultId: s.VaultId, CompartmentId: s.CompartmentId, TimeCreated: s.TimeCreated,
			LifecycleState: keymanagement.KeyVersionLifecycleStateEnum(s.LifecycleState), TimeOfDeletion: s.TimeOfDeletion,
			IsAutoRotated: s.IsAutoRotated, ExternalKeyReferenceDetails: s.ExternalKeyReferenceDetails,
		})
		v.TimeOfDeletion = instantOf(s.TimeOfDeletion)
		items[i] = itemOf(ctx, NewKeyVersion(), v, &a.Diagnostics)
	}
	m.ID = types.StringValue("versions of " + m.KeyID.ValueString())
	m.KeyVersions = listOf(ctx, NewKeyVersion(), m.Filters, items, &a.Diagnostics)
	a.Diagnostics.Append(a.State.Set(ctx, &m)...)
}
