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

// keyVersionData is the data source oci_kms_key_version.
type keyVersionData struct{ dataBase }

// NewKeyVersionData is the data source oci_kms_key_version.
func NewKeyVersionData() datasource.DataSource {
	return &keyVersionData{dataBase{base{name: "kms_key_version"}}}
}

func (d *keyVersionData) Schema(ctx context.Context, _ datasource.SchemaRequest, a *datasource.SchemaResponse) {
	a.Schema = oneSchema(ctx, NewKeyVersion(), "A key version.", map[string]schema.Attribute{
		"key_id": wanted("The OCID of the key."), "key_version_id": wanted("The OCID of the key version."), "management_endpoint": atManagement(),
	})
}

func (d *keyVersionData) Read(ctx context.Context, q datasource.ReadRequest, a *datasource.ReadResponse) {
	var key, id, at types.String
	for name, into := range map[string]*types.String{"key_id": &key, "key_version_id": &id, "management_endpoint": &at} {
		a.Diagnostics.Append(q.Config.GetAttribute(ctx, path.Root(name), into)...)
	}
	if a.Diagnostics.HasError() {
		return
	}
	client, err := d.cloud.Management(at.ValueString())
	var answer keymanagement.GetKeyVersionResponse
	if err == nil {
		answer, err = cloud.Call(ctx, d.cloud, client.GetKeyVersion,
			keymanagement.GetKeyVersionRequest{KeyId: key.ValueStringPointer(), KeyVersionId: id.ValueStringPointer()})
	}
	if err != nil {
		d.refuse(&a.Diagnostics, "Reading key version "+id.ValueString(), err)
		return
	}
	m := keyVersionModel{ManagementEndpoint: at}
	m.learn(answer.KeyVersion)
	m.TimeOfDeletion = instantOf(answer.TimeOfDeletion)
	setOne(ctx, &a.State, itemOf(ctx, NewKeyVersion(), m, &a.Diagnostics), &a.Diagnostics)
}
