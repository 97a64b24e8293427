// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/terraform-provider-oci/internal/cloud"
)

// verify is the resource oci_kms_verify.
type verify struct{ onceBase }

// NewVerify is the resource oci_kms_verify.
func NewVerify() resource.Resource { return &verify{onceBase{resourceBase{base{name: "kms_verify"}}}} }

var (
	_ resource.ResourceWithConfigure   = (*verify)(nil)
	_ resource.ResourceWithImportState = (*verify)(nil)
)

// verifyModel is the state of an oci_kms_verify.
type verifyModel struct {
	ID               types.String `tfsdk:"id"`
	CryptoEndpoint   types.String `tfsdk:"crypto_endpoint"`
	KeyID            types.String `tfsdk:"key_id"`
	KeyVersionID     types.String `tfsdk:"key_version_id"`
	Message          types.String `tfsdk:"message"`
	Signature        types.String `tfsdk:"signature"`
	SigningAlgorithm types.String `tfsdk:"signing_algorithm"`
	MessageType      types.String `tfsdk:"message_type"`
	IsSignatureValid types.Bool   `tfsdk:"is_signature_valid"`
	Timeouts         *timeouts    `tfsdk:"timeouts"`
}

func (r *verify) Schema(_ context.Context, _ resource.SchemaRequest, a *resource.SchemaResponse) {
	a.Schema = schema.Schema{
		MarkdownDescription: "What a key of the vault says of a signature, once: the answer stays the same until an argument changes. A signature that " +
			"is not valid is no error; to make it one, check `is_signature_valid` in a `postcondition`.",
		Attributes: map[string]schema.Attribute{
			"id":                 lasting("The signature."),
			"crypto_endpoint":    cryptoEndpoint(),
			"key_id":             fixed("The OCID of the key, of RSA or ECDSA."),
			"key_version_id":     fixed("The OCID of the key version that signed."),
			"message":            signedMessage(),
			"signature":          fixed("The signature, in base64.", encoded{}),
			"signing_algorithm":  signingAlgorithm(),
			"message_type":       messageType(),
			"is_signature_valid": lastingBool("Whether the key version made the signature of the message."),
		},
		Blocks: map[string]schema.Block{"timeouts": timeoutsBlock()},
	}
}

func (r *verify) Create(ctx context.Context, q resource.CreateRequest, a *resource.CreateResponse) {
	var m verifyModel
	if a.Diagnostics.Append(q.Plan.Get(ctx, &m)...); a.Diagnostics.HasError() {
		return
	}
	ctx, cancel := m.Timeouts.within(ctx, creating)
	defer cancel()
	client, err := r.cloud.Crypto(m.CryptoEndpoint.ValueString())
	var answer keymanagement.VerifyResponse
	if err == nil {
		answer, err = cloud.Call(ctx, r.cloud, client.Verify, keymanagement.VerifyRequest{VerifyDataDetails: keymanagement.VerifyDataDetails{
			KeyId: m.KeyID.ValueStringPointer(), KeyVersionId: m.KeyVersionID.ValueStringPointer(),
			Message: m.Message.ValueStringPointer(), Signature: m.Signature.ValueStringPointer(),
			MessageType:      keymanagement.VerifyDataDetailsMessageTypeEnum(m.MessageType.ValueString()),
			SigningAlgorithm: keymanagement.VerifyDataDetailsSigningAlgorithmEnum(m.SigningAlgorithm.ValueString()),
		}})
	}
	if err != nil {
		r.refuse(&a.Diagnostics, "Verifying a signature with key "+m.KeyID.ValueString(), err)
		return
	}
	m.ID, m.IsSignatureValid = m.Signature, types.BoolPointerValue(answer.IsSignatureValid)
	m.MessageType = kept(m.MessageType, types.StringValue(rawMessage))
	a.Diagnostics.Append(a.State.Set(ctx, &m)...)
}

func (r *verify) ImportState(ctx context.Context, q resource.ImportStateRequest, a *resource.ImportStateResponse) {
	importUnknown(ctx, q, a)
}
