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

// vaultUsageData is the data source oci_kms_vault_usage.
type vaultUsageData struct{ dataBase }

// NewVaultUsageData is the data source oci_kms_vault_usage.
func NewVaultUsageData() datasource.DataSource {
	return &vaultUsageData{dataBase{base{name: "kms_vault_usage"}}}
}

type vaultUsageModel struct {
	ID                      types.String `tfsdk:"id"`
	VaultID                 types.String `tfsdk:"vault_id"`
	KeyCount                types.Int64  `tfsdk:"key_count"`
	KeyVersionCount         types.Int64  `tfsdk:"key_version_count"`
	SoftwareKeyCount        types.Int64  `tfsdk:"software_key_count"`
	SoftwareKeyVersionCount types.Int64  `tfsdk:"software_key_version_count"`
}

func (d *vaultUsageData) Schema(_ context.Context, _ datasource.SchemaRequest, a *datasource.SchemaResponse) {
	count := func(doc string) schema.Attribute {
		return schema.Int64Attribute{Computed: true, MarkdownDescription: doc}
	}
	a.Schema = schema.Schema{
		MarkdownDescription: "How much lies in a vault, in all compartments; what is deleted does not count.",
		Attributes: map[string]schema.Attribute{
			"id":                         shown("The OCID of the vault."),
			"vault_id":                   wanted("The OCID of the vault."),
			"key_count":                  count("The number of keys with the protection mode `HSM`."),
			"key_version_count":          count("The number of versions of such keys."),
			"software_key_count":         count("The number of keys with the protection mode `SOFTWARE`."),
			"software_key_version_count": count("The number of versions of such keys."),
		},
	}
}

func (d *vaultUsageData) Read(ctx context.Context, q datasource.ReadRequest, a *datasource.ReadResponse) {
	var m vaultUsageModel
	if a.Diagnostics.Append(q.Config.Get(ctx, &m)...); a.Diagnostics.HasError() {
		return
	}
	client, err := d.cloud.Vaults()
	var answer keymanagement.GetVaultUsageResponse
	if err == nil {
		answer, err = cloud.Call(ctx, d.cloud, client.GetVaultUsage, keymanagement.GetVaultUsageRequest{VaultId: m.VaultID.ValueStringPointer()})
	}
	if err != nil {
		d.refuse(&a.Diagnostics, "Reading the usage of vault "+m.VaultID.ValueString(), err)
		return
	}
	m.ID = m.VaultID
	m.KeyCount, m.KeyVersionCount = countOf(answer.KeyCount), countOf(answer.KeyVersionCount)
	m.SoftwareKeyCount, m.SoftwareKeyVersionCount = countOf(answer.SoftwareKeyCount), countOf(answer.SoftwareKeyVersionCount)
	a.Diagnostics.Append(a.State.Set(ctx, &m)...)
}

// countOf is a number of the service; what is absent is null.
func countOf(n *int) types.Int64 {
	if n == nil {
		return types.Int64Null()
	}
	return types.Int64Value(int64(*n))
}
