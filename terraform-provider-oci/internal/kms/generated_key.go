// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/boolplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/terraform-provider-oci/internal/cloud"
)

// generatedKey is the resource oci_kms_generated_key.
type generatedKey struct{ onceBase }

// NewGeneratedKey is the resource oci_kms_generated_key.
func NewGeneratedKey() resource.Resource {
	return &generatedKey{onceBase{resourceBase{base{name: "kms_generated_key"}}}}
}

var _ resource.ResourceWithConfigure = (*generatedKey)(nil)

// generatedKeyModel is the state of an oci_kms_generated_key.
type generatedKeyModel struct {
	ID                  types.String `tfsdk:"id"`
	CryptoEndpoint      types.String `tfsdk:"crypto_endpoint"`
	KeyID               types.String `tfsdk:"key_id"`
	IncludePlaintextKey types.Bool   `tfsdk:"include_plaintext_key"`
	AssociatedData      types.Map    `tfsdk:"associated_data"`
	LoggingContext      types.Map    `tfsdk:"logging_context"`
	Ciphertext          types.String `tfsdk:"ciphertext"`
	Plaintext           types.String `tfsdk:"plaintext"`
	PlaintextChecksum   types.String `tfsdk:"plaintext_checksum"`
	Shape               []keyShape   `tfsdk:"key_shape"`
	Timeouts            *timeouts    `tfsdk:"timeouts"`
}

func (r *generatedKey) Schema(_ context.Context, _ resource.SchemaRequest, a *resource.SchemaResponse) {
	plaintext, checksum := lasting(aboutPlainKey+" Only with `include_plaintext_key`."), lasting(aboutChecksum+" Only with `include_plaintext_key`.")
	plaintext.Sensitive, checksum.Sensitive = true, true
	a.Schema = schema.Schema{
		MarkdownDescription: "A data encryption key that the service has made and a key of the vault has encrypted, once: it stays the same until an " +
			"argument changes. Destroying it only forgets it.\n\n" +
			"With `include_plaintext_key` the key itself lies in the state. Without it there is only the ciphertext; where the key is needed, " +
			"the ephemeral resource `oci_kms_decrypted_data` decrypts it.",
		Attributes: map[string]schema.Attribute{
			"id":              lasting("A number made from the ciphertext."),
			"crypto_endpoint": cryptoEndpoint(),
			"key_id":          fixed("The OCID of the key that encrypts it."),
			"include_plaintext_key": schema.BoolAttribute{
				Required: true, MarkdownDescription: "Whether the key itself is kept in the state too.",
				PlanModifiers: []planmodifier.Bool{boolplanmodifier.RequiresReplace()},
			},
			"associated_data":    fixedPairs(aboutAssociatedData),
			"logging_context":    fixedPairs(aboutLoggingContext),
			"ciphertext":         lasting(aboutSealedKey),
			"plaintext":          plaintext,
			"plaintext_checksum": checksum,
		},
		Blocks: map[string]schema.Block{
			"key_shape": schema.ListNestedBlock{
				MarkdownDescription: aboutDataKeyShape,
				Validators:          []validator.List{single{required: true}},
				NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
					"algorithm": fixed(aboutDataKeyAlgo, oneOf{words: []string{"AES"}}),
					"length": schema.Int64Attribute{
						Required: true, MarkdownDescription: aboutDataKeyLength,
						PlanModifiers: []planmodifier.Int64{int64planmodifier.RequiresReplace()},
					},
					"curve_id": chosen(aboutDataKeyCurve),
				}},
			},
			"timeouts": timeoutsBlock(),
		},
	}
}

func (r *generatedKey) Create(ctx context.Context, q resource.CreateRequest, a *resource.CreateResponse) {
	var m generatedKeyModel
	if a.Diagnostics.Append(q.Plan.Get(ctx, &m)...); a.Diagnostics.HasError() {
		return
	}
	ctx, cancel := m.Timeouts.within(ctx, creating)
	defer cancel()
	made, err := r.generate(ctx, m.CryptoEndpoint.ValueString(), keymanagement.GenerateKeyDetails{
		KeyId: m.KeyID.ValueStringPointer(), IncludePlaintextKey: m.IncludePlaintextKey.ValueBoolPointer(), KeyShape: m.Shape[0].sent(),
		AssociatedData: sentPairs(m.AssociatedData), LoggingContext: sentPairs(m.LoggingContext),
	})
	if err != nil {
		r.refuse(&a.Diagnostics, "Generating a data encryption key with key "+m.KeyID.ValueString(), err)
		return
	}
	m.ID, m.Ciphertext = numberOf(made.Ciphertext), text(made.Ciphertext)
	m.Plaintext, m.PlaintextChecksum = text(made.Plaintext), text(made.PlaintextChecksum)
	m.Shape[0].CurveID = kept(m.Shape[0].CurveID, types.StringNull())
	a.Diagnostics.Append(a.State.Set(ctx, &m)...)
}

// sent is the shape for a request.
func (s keyShape) sent() *keymanagement.KeyShape {
	length := int(s.Length.ValueInt64())
	return &keymanagement.KeyShape{
		Algorithm: keymanagement.KeyShapeAlgorithmEnum(s.Algorithm.ValueString()), Length: &length,
		CurveId: keymanagement.KeyShapeCurveIdEnum(s.CurveID.ValueString()),
	}
}

// generate asks a vault's crypto endpoint for a data encryption key.
func (b *base) generate(ctx context.Context, endpoint string, details keymanagement.GenerateKeyDetails) (keymanagement.GeneratedKey, error) {
	client, err := b.cloud.Crypto(endpoint)
	if err != nil {
		return keymanagement.GeneratedKey{}, err
	}
	answer, err := cloud.Call(ctx, b.cloud, client.GenerateDataEncryptionKey,
		keymanagement.GenerateDataEncryptionKeyRequest{GenerateKeyDetails: details})
	return answer.GeneratedKey, err
}
