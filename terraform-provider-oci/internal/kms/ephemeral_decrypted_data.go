// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// decryptedDataEphemeral is the ephemeral resource oci_kms_decrypted_data.
type decryptedDataEphemeral struct{ ephemeralBase }

// NewDecryptedDataEphemeral is the ephemeral resource oci_kms_decrypted_data.
func NewDecryptedDataEphemeral() ephemeral.EphemeralResource {
	return &decryptedDataEphemeral{ephemeralBase{base{name: "kms_decrypted_data"}}}
}

var _ ephemeral.EphemeralResourceWithConfigure = (*decryptedDataEphemeral)(nil)

type decryptedDataEphemeralModel struct {
	CryptoEndpoint types.String `tfsdk:"crypto_endpoint"`
	KeyID          types.String `tfsdk:"key_id"`
	decrypted
}

func (e *decryptedDataEphemeral) Schema(_ context.Context, _ ephemeral.SchemaRequest, a *ephemeral.SchemaResponse) {
	a.Schema = schema.Schema{
		MarkdownDescription: "Data that a key of the vault decrypts, whose plaintext enters neither state nor plan. It can be given to provider " +
			"blocks and to write-only arguments.",
		Attributes: map[string]schema.Attribute{
			"crypto_endpoint":    askedAtCrypto(),
			"key_id":             asked("The OCID of the key."),
			"ciphertext":         asked("The ciphertext, in base64.", encoded{}),
			"associated_data":    askedPairs(aboutAssociatedData),
			"plaintext":          answered(aboutPlaintext, true),
			"plaintext_checksum": answered(aboutChecksum, true),
		},
	}
}

func (e *decryptedDataEphemeral) Open(ctx context.Context, q ephemeral.OpenRequest, a *ephemeral.OpenResponse) {
	var m decryptedDataEphemeralModel
	if a.Diagnostics.Append(q.Config.Get(ctx, &m)...); a.Diagnostics.HasError() {
		return
	}
	if err := e.decrypt(ctx, m.CryptoEndpoint, m.KeyID, &m.decrypted); err != nil {
		e.refuse(&a.Diagnostics, "Decrypting with key "+m.KeyID.ValueString(), err)
		return
	}
	a.Diagnostics.Append(a.Result.Set(ctx, &m)...)
}
