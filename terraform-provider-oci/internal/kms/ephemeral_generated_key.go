// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"
)

// generatedKeyEphemeral is the ephemeral resource oci_kms_generated_key.
type generatedKeyEphemeral struct{ ephemeralBase }

// NewGeneratedKeyEphemeral is the ephemeral resource oci_kms_generated_key.
func NewGeneratedKeyEphemeral() ephemeral.EphemeralResource {
	return &generatedKeyEphemeral{ephemeralBase{base{name: "kms_generated_key"}}}
}

var _ ephemeral.EphemeralResourceWithConfigure = (*generatedKeyEphemeral)(nil)

type generatedKeyEphemeralModel struct {
	CryptoEndpoint    types.String `tfsdk:"crypto_endpoint"`
	KeyID             types.String `tfsdk:"key_id"`
	AssociatedData    types.Map    `tfsdk:"associated_data"`
	LoggingContext    types.Map    `tfsdk:"logging_context"`
	Ciphertext        types.String `tfsdk:"ciphertext"`
	Plaintext         types.String `tfsdk:"plaintext"`
	PlaintextChecksum types.String `tfsdk:"plaintext_checksum"`
	Shape             []dataShape  `tfsdk:"key_shape"`
}

// dataShape is the block key_shape of an ephemeral resource.
type dataShape struct {
	Algorithm types.String `tfsdk:"algorithm"`
	Length    types.Int64  `tfsdk:"length"`
}

func (e *generatedKeyEphemeral) Schema(_ context.Context, _ ephemeral.SchemaRequest, a *ephemeral.SchemaResponse) {
	a.Schema = schema.Schema{
		MarkdownDescription: "A data encryption key that the service makes and a key of the vault encrypts, which enters neither state nor plan. It can " +
			"be given to provider blocks and to write-only arguments.\n\n" +
			"Each plan and each apply gets another key. To keep one, use the resource `oci_kms_generated_key` without its plaintext, and the " +
			"ephemeral resource `oci_kms_decrypted_data`.",
		Attributes: map[string]schema.Attribute{
			"crypto_endpoint":    askedAtCrypto(),
			"key_id":             asked("The OCID of the key that encrypts it."),
			"associated_data":    askedPairs(aboutAssociatedData),
			"logging_context":    askedPairs(aboutLoggingContext),
			"ciphertext":         answered(aboutSealedKey, false),
			"plaintext":          answered(aboutPlainKey, true),
			"plaintext_checksum": answered(aboutChecksum, true),
		},
		Blocks: map[string]schema.Block{"key_shape": schema.ListNestedBlock{
			MarkdownDescription: aboutDataKeyShape,
			Validators:          []validator.List{single{required: true}},
			NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
				"algorithm": asked(aboutDataKeyAlgo, oneOf{words: []string{"AES"}}),
				"length":    schema.Int64Attribute{Required: true, MarkdownDescription: aboutDataKeyLength},
			}},
		}},
	}
}

func (e *generatedKeyEphemeral) Open(ctx context.Context, q ephemeral.OpenRequest, a *ephemeral.OpenResponse) {
	var m generatedKeyEphemeralModel
	if a.Diagnostics.Append(q.Config.Get(ctx, &m)...); a.Diagnostics.HasError() {
		return
	}
	whole := true
	made, err := e.generate(ctx, m.CryptoEndpoint.ValueString(), keymanagement.GenerateKeyDetails{
		KeyId: m.KeyID.ValueStringPointer(), IncludePlaintextKey: &whole,
		KeyShape:       keyShape{Algorithm: m.Shape[0].Algorithm, Length: m.Shape[0].Length}.sent(),
		AssociatedData: sentPairs(m.AssociatedData), LoggingContext: sentPairs(m.LoggingContext),
	})
	if err != nil {
		e.refuse(&a.Diagnostics, "Generating a data encryption key with key "+m.KeyID.ValueString(), err)
		return
	}
	m.Ciphertext, m.Plaintext, m.PlaintextChecksum = text(made.Ciphertext), text(made.Plaintext), text(made.PlaintextChecksum)
	a.Diagnostics.Append(a.Result.Set(ctx, &m)...)
}
