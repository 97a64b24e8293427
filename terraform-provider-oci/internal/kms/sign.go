// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/terraform-provider-oci/internal/cloud"
)

// sign is the resource oci_kms_sign.
type sign struct{ onceBase }

// NewSign is the resource oci_kms_sign.
func NewSign() resource.Resource { return &sign{onceBase{resourceBase{base{name: "kms_sign"}}}} }

var (
	_ resource.ResourceWithConfigure   = (*sign)(nil)
	_ resource.ResourceWithImportState = (*sign)(nil)
)

// signModel is the state of an oci_kms_sign.
type signModel struct {
	ID               types.String `tfsdk:"id"`
	CryptoEndpoint   types.String `tfsdk:"crypto_endpoint"`
	KeyID            types.String `tfsdk:"key_id"`
	Message          types.String `tfsdk:"message"`
	SigningAlgorithm types.String `tfsdk:"signing_algorithm"`
	KeyVersionID     types.String `tfsdk:"key_version_id"`
	MessageType      types.String `tfsdk:"message_type"`
	Signature        types.String `tfsdk:"signature"`
	Timeouts         *timeouts    `tfsdk:"timeouts"`
}

func (r *sign) Schema(_ context.Context, _ resource.SchemaRequest, a *resource.SchemaResponse) {
	a.Schema = schema.Schema{
		MarkdownDescription: "A signature that a key of the vault has made, once: it stays the same until an argument changes, also when the key is " +
			"rotated. Destroying it only forgets it.",
		Attributes: map[string]schema.Attribute{
			"id":                lasting("The OCID of the key."),
			"crypto_endpoint":   cryptoEndpoint(),
			"key_id":            fixed("The OCID of the key, of RSA or ECDSA."),
			"message":           signedMessage(),
			"signing_algorithm": signingAlgorithm(),
			"key_version_id":    chosen("The OCID of the key version that signs. The service's default is the key's current one."),
			"message_type":      messageType(),
			"signature":         lasting("The signature, in base64."),
		},
		Blocks: map[string]schema.Block{"timeouts": timeoutsBlock()},
	}
}

func (r *sign) Create(ctx context.Context, q resource.CreateRequest, a *resource.CreateResponse) {
	var m signModel
	if a.Diagnostics.Append(q.Plan.Get(ctx, &m)...); a.Diagnostics.HasError() {
		return
	}
	ctx, cancel := m.Timeouts.within(ctx, creating)
	defer cancel()
	client, err := r.cloud.Crypto(m.CryptoEndpoint.ValueString())
	var answer keymanagement.SignResponse
	if err == nil {
		answer, err = cloud.Call(ctx, r.cloud, client.Sign, keymanagement.SignRequest{SignDataDetails: keymanagement.SignDataDetails{
			KeyId: m.KeyID.ValueStringPointer(), KeyVersionId: sent(m.KeyVersionID), Message: m.Message.ValueStringPointer(),
			MessageType:      keymanagement.SignDataDetailsMessageTypeEnum(m.MessageType.ValueString()),
			SigningAlgorithm: keymanagement.SignDataDetailsSigningAlgorithmEnum(m.SigningAlgorithm.ValueString()),
		}})
	}
	if err != nil {
		r.refuse(&a.Diagnostics, "Signing with key "+m.KeyID.ValueString(), err)
		return
	}
	m.ID, m.Signature = m.KeyID, text(answer.Signature)
	m.KeyVersionID = kept(m.KeyVersionID, text(answer.KeyVersionId))
	m.MessageType = kept(m.MessageType, types.StringValue(rawMessage))
	a.Diagnostics.Append(a.State.Set(ctx, &m)...)
}

func (r *sign) ImportState(ctx context.Context, q resource.ImportStateRequest, a *resource.ImportStateResponse) {
	importUnknown(ctx, q, a)
}

// importUnknown takes an id over, as Oracle's provider does, and says what that is worth: the service
// can tell nothing of a signature.
func importUnknown(ctx context.Context, q resource.ImportStateRequest, a *resource.ImportStateResponse) {
	resource.ImportStatePassthroughID(ctx, path.Root("id"), q, a)
	a.Diagnostics.AddWarning("Only the id was imported", "The service keeps no signatures and tells nothing of them: the next apply replaces "+
		"this one, by asking the service again.")
}
