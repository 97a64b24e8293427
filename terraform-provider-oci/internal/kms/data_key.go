// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"claviger/terraform-provider-oci/internal/cloud"
)

// keyData is the data source oci_kms_key.
type keyData struct{ dataBase }

// NewKeyData is the data source oci_kms_key.
func NewKeyData() datasource.DataSource { return &keyData{dataBase{base{name: "kms_key"}}} }

// atManagement is the argument management_endpoint of data sources.
func atManagement() schema.Attribute {
	return wanted("The management endpoint of the vault: the attribute `management_endpoint` of `oci_kms_vault`.", endpoint{cloud.ManagementPurpose})
}

func (d *keyData) Schema(ctx context.Context, _ datasource.SchemaRequest, a *datasource.SchemaResponse) {
	a.Schema = oneSchema(ctx, NewKey(), "A key.",
		map[string]schema.Attribute{"key_id": wanted("The OCID of the key."), "management_endpoint": atManagement()})
}

func (d *keyData) Read(ctx context.Context, q datasource.ReadRequest, a *datasource.ReadResponse) {
	var id, at types.String
	a.Diagnostics.Append(q.Config.GetAttribute(ctx, path.Root("key_id"), &id)...)
	a.Diagnostics.Append(q.Config.GetAttribute(ctx, path.Root("management_endpoint"), &at)...)
	if a.Diagnostics.HasError() {
		return
	}
	k, err := d.findKey(ctx, at.ValueString(), id.ValueString())
	if err != nil {
		d.refuse(&a.Diagnostics, "Reading key "+id.ValueString(), err)
		return
	}
	m := keyModel{ManagementEndpoint: at}
	m.learn(&d.base, k)
	m.DesiredState, m.TimeOfDeletion = m.State, instantOf(k.TimeOfDeletion)
	setOne(ctx, &a.State, itemOf(ctx, NewKey(), m, &a.Diagnostics), &a.Diagnostics)
	a.Diagnostics.Append(a.State.SetAttribute(ctx, path.Root("key_id"), id)...)
}
