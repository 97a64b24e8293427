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

// decryptedDataData is the data source oci_kms_decrypted_data.
type decryptedDataData struct{ dataBase }

// NewDecryptedDataData is the data source oci_kms_decrypted_data.
func NewDecryptedDataData() datasource.DataSource {
	return &decryptedDataData{dataBase{base{name: "kms_decrypted_data"}}}
}

type decryptedDataDataModel struct {
	ID             types.String `tfsdk:"id"`
	CryptoEndpoint types.String `tfsdk:"crypto_endpoint"`
	KeyID          types.String `tfsdk:"key_id"`
	decrypted
}

// decrypted is what decryption takes and gives besides a key, as data source and as ephemeral resource.
type decrypted struct {
	Ciphertext        types.String `tfsdk:"ciphertext"`
	AssociatedData    types.Map    `tfsdk:"associated_data"`
	Plaintext         types.String `tfsdk:"plaintext"`
	PlaintextChecksum types.String `tfsdk:"plaintext_checksum"`
}

func (d *decryptedDataData) Schema(_ context.Context, _ datasource.SchemaRequest, a *datasource.SchemaResponse) {
	plaintext, checksum := shown(aboutPlaintext), shown(aboutChecksum)
	plaintext.Sensitive, checksum.Sensitive = true, true
	a.Schema = schema.Schema{
		MarkdownDescription: "Data that a key of the vault decrypts. The plaintext lies in the state; with the ephemeral resource of the same name it " +
			"does not.",
		Attributes: map[string]schema.Attribute{
			"id":                 shown("A number made from the ciphertext."),
			"crypto_endpoint":    atCrypto(),
			"key_id":             wanted("The OCID of the key."),
			"ciphertext":         wanted("The ciphertext, in base64.", encoded{}),
			"associated_data":    boundTo(),
			"plaintext":          plaintext,
			"plaintext_checksum": checksum,
		},
	}
}

func (d *decryptedDataData) Read(ctx context.Context, q datasource.ReadRequest, a *datasource.ReadResponse) {
	var m decryptedDataDataModel
	if a.Diagnostics.Append(q.Config.Get(ctx, &m)...); a.Diagnostics.HasError() {
		return
	}
	if err := d.decrypt(ctx, m.CryptoEndpoint, m.KeyID, &m.decrypted); err != nil {
		d.refuse(&a.Diagnostics, "Decrypting with key "+m.KeyID.ValueString(), err)
		return
	}
	m.ID = numberOf(m.Ciphertext.ValueStringPointer())
	a.Diagnostics.Append(a.State.Set(ctx, &m)...)
}

// decrypt asks a vault's crypto endpoint for the plaintext of d.
func (b *base) decrypt(ctx context.Context, endpoint, key types.String, d *decrypted) error {
	client, err := b.cloud.Crypto(endpoint.ValueString())
	if err != nil {
		return err
	}
	answer, err := cloud.Call(ctx, b.cloud, client.Decrypt, keymanagement.DecryptRequest{DecryptDataDetails: keymanagement.DecryptDataDetails{
		KeyId: key.ValueStringPointer(), Ciphertext: d.Ciphertext.ValueStringPointer(), AssociatedData: sentPairs(d.AssociatedData),
	}})
	d.Plaintext, d.PlaintextChecksum = text(answer.Plaintext), text(answer.PlaintextChecksum)
	return err
}
