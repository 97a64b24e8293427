// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/terraform-provider-oci/internal/cloud"
)

// replicationStatusData is the data source oci_kms_replication_status.
type replicationStatusData struct{ dataBase }

// NewReplicationStatusData is the data source oci_kms_replication_status.
func NewReplicationStatusData() datasource.DataSource {
	return &replicationStatusData{dataBase{base{name: "kms_replication_status"}}}
}

type replicationStatusModel struct {
	ID                 types.String `tfsdk:"id"`
	ReplicationID      types.String `tfsdk:"replication_id"`
	ManagementEndpoint types.String `tfsdk:"management_endpoint"`
	ReplicaDetails     types.List   `tfsdk:"replica_details"`
}

// regionStatusFields is the type of one of replica_details.
func regionStatusFields() map[string]attr.Type {
	return map[string]attr.Type{"region": types.StringType, "status": types.StringType}
}

func (d *replicationStatusData) Schema(_ context.Context, _ datasource.SchemaRequest, a *datasource.SchemaResponse) {
	a.Schema = schema.Schema{
		MarkdownDescription: "Whether a vault, key or key version has arrived in the regions that it is replicated to.",
		Attributes: map[string]schema.Attribute{
			"id": shown("The id of the replication."),
			"replication_id": wanted("The id of the replication: the attribute `replica_details[0].replication_id` of `oci_kms_vault`, `oci_kms_key` " +
				"or `oci_kms_key_version`."),
			"management_endpoint": atManagement(),
			"replica_details": schema.ListAttribute{
				Computed: true, ElementType: types.ObjectType{AttrTypes: regionStatusFields()},
				MarkdownDescription: "For each region `REPLICATING` or `REPLICATED`.",
			},
		},
	}
}

func (d *replicationStatusData) Read(ctx context.Context, q datasource.ReadRequest, a *datasource.ReadResponse) {
	var m replicationStatusModel
	if a.Diagnostics.Append(q.Config.Get(ctx, &m)...); a.Diagnostics.HasError() {
		return
	}
	client, err := d.cloud.Management(m.ManagementEndpoint.ValueString())
	var answer keymanagement.GetReplicationStatusResponse
	if err == nil {
		answer, err = cloud.Call(ctx, d.cloud, client.GetReplicationStatus,
			keymanagement.GetReplicationStatusRequest{ReplicationId: m.ReplicationID.ValueStringPointer()})
	}
	if err != nil {
		d.refuse(&a.Diagnostics, "Reading the status of replication "+m.ReplicationID.ValueString(), err)
		return
	}
	regions := make([]attr.Value, len(answer.ReplicaDetails))
	for i, r := range answer.ReplicaDetails {
		regions[i] = types.ObjectValueMust(regionStatusFields(), map[string]attr.Value{"region": text(r.Region), "status": word(r.Status)})
	}
	m.ID, m.ReplicaDetails = m.ReplicationID, types.ListValueMust(types.ObjectType{AttrTypes: regionStatusFields()}, regions)
	a.Diagnostics.Append(a.State.Set(ctx, &m)...)
}
