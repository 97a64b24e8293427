// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"
)

// vaultReplicasData is the data source oci_kms_vault_replicas.
type vaultReplicasData struct{ dataBase }

// NewVaultReplicasData is the data source oci_kms_vault_replicas.
func NewVaultReplicasData() datasource.DataSource {
	return &vaultReplicasData{dataBase{base{name: "kms_vault_replicas"}}}
}

type vaultReplicasModel struct {
	ID            types.String `tfsdk:"id"`
	VaultID       types.String `tfsdk:"vault_id"`
	VaultReplicas types.List   `tfsdk:"vault_replicas"`
	Filters       []filter     `tfsdk:"filter"`
}

// vaultReplicaFields is the type of one of vault_replicas.
func vaultReplicaFields() map[string]attr.Type {
	return map[string]attr.Type{
		"crypto_endpoint": types.StringType, "management_endpoint": types.StringType, "region": types.StringType, "status": types.StringType,
	}
}

func (d *vaultReplicasData) Schema(_ context.Context, _ datasource.SchemaRequest, a *datasource.SchemaResponse) {
	a.Schema = schema.Schema{
		MarkdownDescription: "The replicas of a vault in other regions.",
		Attributes: map[string]schema.Attribute{
			"id":       shown("What the list was made from."),
			"vault_id": wanted("The OCID of the vault."),
			"vault_replicas": schema.ListAttribute{
				Computed: true, ElementType: types.ObjectType{AttrTypes: vaultReplicaFields()},
				MarkdownDescription: "What was found: regions, with their endpoints of the vault and the state of the replica, such as `CREATED`.",
			},
		},
		Blocks: map[string]schema.Block{"filter": filterBlock()},
	}
}

func (d *vaultReplicasData) Read(ctx context.Context, q datasource.ReadRequest, a *datasource.ReadResponse) {
	var m vaultReplicasModel
	if a.Diagnostics.Append(q.Config.Get(ctx, &m)...); a.Diagnostics.HasError() {
		return
	}
	all, err := d.replicas(ctx, m.VaultID.ValueString())
	if err != nil {
		d.refuse(&a.Diagnostics, "Listing the replicas of vault "+m.VaultID.ValueString(), err)
		return
	}
	found := []attr.Value{}
	for _, s := range all {
		item := replicaItem(s)
		passes := true
		for _, f := range m.Filters {
			match, err := f.match(item)
			if err != nil {
				a.Diagnostics.AddAttributeError(path.Root("filter"), "Filter not usable", err.Error())
				return
			}
			passes = passes && match
		}
		if passes {
			found = append(found, item)
		}
	}
	m.ID = types.StringValue("replicas of " + m.VaultID.ValueString())
	m.VaultReplicas = types.ListValueMust(types.ObjectType{AttrTypes: vaultReplicaFields()}, found)
	a.Diagnostics.Append(a.State.Set(ctx, &m)...)
}

func replicaItem(s keymanagement.VaultReplicaSummary) types.Object {
	return types.ObjectValueMust(vaultReplicaFields(), map[string]attr.Value{
		"crypto_endpoint": text(s.CryptoEndpoint), "management_endpoint": text(s.ManagementEndpoint),
		"region": text(s.Region), "status": word(s.Status),
	})
}
