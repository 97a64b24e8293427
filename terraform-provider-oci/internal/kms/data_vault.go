// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/terraform-provider-oci/internal/cloud"
)

// vaultData is the data source oci_kms_vault.
type vaultData struct{ dataBase }

// NewVaultData is the data source oci_kms_vault.
func NewVaultData() datasource.DataSource { return &vaultData{dataBase{base{name: "kms_vault"}}} }

func (d *vaultData) Schema(ctx context.Context, _ datasource.SchemaRequest, a *datasource.SchemaResponse) {
	a.Schema = oneSchema(ctx, NewVault(), "A vault.", map[string]schema.Attribute{"vault_id": wanted("The OCID of the vault.")})
}

func (d *vaultData) Read(ctx context.Context, q datasource.ReadRequest, a *datasource.ReadResponse) {
	var id types.String
	if a.Diagnostics.Append(q.Config.GetAttribute(ctx, path.Root("vault_id"), &id)...); a.Diagnostics.HasError() {
		return
	}
	client, err := d.cloud.Vaults()
	var answer keymanagement.GetVaultResponse
	if err == nil {
		answer, err = cloud.Call(ctx, d.cloud, client.GetVault, keymanagement.GetVaultRequest{VaultId: id.ValueStringPointer()})
	}
	if err != nil {
		d.refuse(&a.Diagnostics, "Reading vault "+id.ValueString(), err)
		return
	}
	var m vaultModel
	m.learn(&d.base, answer.Vault)
	m.TimeOfDeletion = instantOf(answer.TimeOfDeletion)
	setOne(ctx, &a.State, itemOf(ctx, NewVault(), m, &a.Diagnostics), &a.Diagnostics)
	a.Diagnostics.Append(a.State.SetAttribute(ctx, path.Root("vault_id"), id)...)
}
