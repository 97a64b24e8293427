// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/terraform-provider-oci/internal/cloud"
)

// keysData is the data source oci_kms_keys.
type keysData struct{ dataBase }

// NewKeysData is the data source oci_kms_keys.
func NewKeysData() datasource.DataSource { return &keysData{dataBase{base{name: "kms_keys"}}} }

type keysModel struct {
	ID                 types.String `tfsdk:"id"`
	CompartmentID      types.String `tfsdk:"compartment_id"`
	ManagementEndpoint types.String `tfsdk:"management_endpoint"`
	Algorithm          types.String `tfsdk:"algorithm"`
	CurveID            types.String `tfsdk:"curve_id"`
	Length             types.Int64  `tfsdk:"length"`
	ProtectionMode     types.String `tfsdk:"protection_mode"`
	Keys               types.List   `tfsdk:"keys"`
	Filters            []filter     `tfsdk:"filter"`
}

func (d *keysData) Schema(ctx context.Context, _ datasource.SchemaRequest, a *datasource.SchemaResponse) {
	only := func(doc string, words ...string) schema.Attribute {
		return schema.StringAttribute{Optional: true, MarkdownDescription: doc, Validators: []validator.String{oneOf{words: words}}}
	}
	a.Schema = manySchema(ctx, NewKey(), "keys", "The keys of a compartment in one vault.", map[string]schema.Attribute{
		"compartment_id":      wanted("The OCID of the compartment."),
		"management_endpoint": atManagement(),
		"algorithm":           only("Only keys of this algorithm: `AES`, `RSA` or `ECDSA`.", "AES", "RSA", "ECDSA"),
		"curve_id":            only("Only keys on this curve: `NIST_P256`, `NIST_P384` or `NIST_P521`.", "NIST_P256", "NIST_P384", "NIST_P521"),
		"length":              schema.Int64Attribute{Optional: true, MarkdownDescription: "Only keys of this length, in bytes."},
		"protection_mode":     only("Only keys that are kept like this: `HSM`, `SOFTWARE` or `EXTERNAL`.", "HSM", "SOFTWARE", "EXTERNAL"),
	})
}

func (d *keysData) Read(ctx context.Context, q datasource.ReadRequest, a *datasource.ReadResponse) {
	var m keysModel
	if a.Diagnostics.Append(q.Config.Get(ctx, &m)...); a.Diagnostics.HasError() {
		return
	}
	found, err := d.list(ctx, m)
	if err != nil {
		d.refuse(&a.Diagnostics, "Listing the keys of "+m.CompartmentID.ValueString(), err)
		return
	}
	items := make([]types.Object, len(found))
	for i, s := range found {
		k := keyModel{ManagementEndpoint: m.ManagementEndpoint}
		k.learn(&d.base, keymanagement.Key{
			Id: s.Id, CompartmentId: s.CompartmentId, DisplayName: s.DisplayName, VaultId: s.VaultId, TimeCreated: s.TimeCreated,
			LifecycleState: keymanagement.KeyLifecycleStateEnum(s.LifecycleState), ProtectionMode: keymanagement.KeyProtectionModeEnum(s.ProtectionMode),
			DefinedTags: s.DefinedTags, FreeformTags: s.FreeformTags, IsAutoRotationEnabled: s.IsAutoRotationEnabled,
			KeyShape:                    &keymanagement.KeyShape{Algorithm: keymanagement.KeyShapeAlgorithmEnum(s.Algorithm)},
			ExternalKeyReferenceDetails: s.ExternalKeyReferenceDetails,
		})
		items[i] = itemOf(ctx, NewKey(), k, &a.Diagnostics)
	}
	m.ID = types.StringValue("keys of " + m.CompartmentID.ValueString() + " at " + m.ManagementEndpoint.ValueString())
	m.Keys = listOf(ctx, NewKey(), m.Filters, items, &a.Diagnostics)
	a.Diagnostics.Append(a.State.Set(ctx, &m)...)
}

func (d *keysData) list(ctx context.Context, m keysModel) ([]keymanagement.KeySummary, error) {
	client, err := d.cloud.Management(m.ManagementEndpoint.ValueString())
	if err != nil {
		return nil, err
	}
	request := keymanagement.ListKeysRequest{
		CompartmentId:  m.CompartmentID.ValueStringPointer(),
		Algorithm:      keymanagement.ListKeysAlgorithmEnum(m.Algorithm.ValueString()),
		CurveId:        keymanagement.ListKeysCurveIdEnum(m.CurveID.ValueString()),
		ProtectionMode: keymanagement.ListKeysProtectionModeEnum(m.ProtectionMode.ValueString()),
	}
	if !m.Length.IsNull() {
		length := int(m.Length.ValueInt64())
		request.Length = &length
	}
	return pages(func(cursor *string) ([]keymanagement.KeySummary, *string, error) {
		request.Page = cursor
		answer, err := cloud.Call(ctx, d.cloud, client.ListKeys, request)
		return answer.Items, answer.OpcNextPage, err
	})
}
