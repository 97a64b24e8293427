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

// vaultsData is the data source oci_kms_vaults.
type vaultsData struct{ dataBase }

// NewVaultsData is the data source oci_kms_vaults.
func NewVaultsData() datasource.DataSource { return &vaultsData{dataBase{base{name: "kms_vaults"}}} }

type vaultsModel struct {
	ID            types.String `tfsdk:"id"`
	CompartmentID types.String `tfsdk:"compartment_id"`
	Vaults        types.List   `tfsdk:"vaults"`
	Filters       []filter     `tfsdk:"filter"`
}

func (d *vaultsData) Schema(ctx context.Context, _ datasource.SchemaRequest, a *datasource.SchemaResponse) {
	a.Schema = manySchema(ctx, NewVault(), "vaults", "The vaults of a compartment.",
		map[string]schema.Attribute{"compartment_id": wanted("The OCID of the compartment.")})
}

func (d *vaultsData) Read(ctx context.Context, q datasource.ReadRequest, a *datasource.ReadResponse) {
	var m vaultsModel
	if a.Diagnostics.Append(q.Config.Get(ctx, &m)...); a.Diagnostics.HasError() {
		return
	}
	client, err := d.cloud.Vaults()
	var found []keymanagement.VaultSummary
	if err == nil {
		found, err = pages(func(cursor *string) ([]keymanagement.VaultSummary, *string, error) {
			answer, err := cloud.Call(ctx, d.cloud, client.ListVaults,
				keymanagement.ListVaultsRequest{CompartmentId: m.CompartmentID.ValueStringPointer(), Page: cursor})
			return answer.Items, answer.OpcNextPage, err
		})
	}
	if err != nil {
		d.refuse(&a.Diagnostics, "Listing the vaults of "+m.CompartmentID.ValueString(), err)
		return
	}
	items := make([]types.Object, len(found))
	for i, s := range found {
		var v vaultModel
		v.learn(&d.base, keymanagement.Vault{
			Id: s.Id, CompartmentId: s.CompartmentId, DisplayName: s.DisplayName, VaultType: keymanagement.VaultVaultTypeEnum(s.VaultType),
			LifecycleState: keymanagement.VaultLifecycleStateEnum(s.LifecycleState), TimeCreated: s.TimeCreated,
			CryptoEndpoint: s.CryptoEndpoint, ManagementEndpoint: s.ManagementEndpoint, DefinedTags: s.DefinedTags, FreeformTags: s.FreeformTags,
			ExternalKeyManagerMetadataSummary: s.ExternalKeyManagerMetadataSummary,
		})
		items[i] = itemOf(ctx, NewVault(), v, &a.Diagnostics)
	}
	m.ID = types.StringValue("vaults of " + m.CompartmentID.ValueString())
	m.Vaults = listOf(ctx, NewVault(), m.Filters, items, &a.Diagnostics)
	a.Diagnostics.Append(a.State.Set(ctx, &m)...)
}
