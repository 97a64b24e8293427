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

// encryptedDataData is the data source oci_kms_encrypted_data.
type encryptedDataData struct{ dataBase }

// NewEncryptedDataData is the data source oci_kms_encrypted_data.
func NewEncryptedDataData() datasource.DataSource {
	return &encryptedDataData{dataBase{base{name: "kms_encrypted_data"}}}
}

type encryptedDataDataModel struct {
	ID             types.String `tfsdk:"id"`
	CryptoEndpoint types.String `tfsdk:"crypto_endpoint"`
	KeyID          types.String `tfsdk:"key_id"`
	Plaintext      types.String `tfsdk:"plaintext"`
	AssociatedData types.Map    `tfsdk:"associated_data"`
	Ciphertext     types.String `tfsdk:"ciphertext"`
}

// atCrypto is the argument crypto_endpoint of data sources.
func atCrypto() schema.Attribute {
	return wanted(aboutCryptoEndpoint, endpoint{cloud.CryptoPurpose})
}

// boundTo is the argument associated_data of data sources.
func boundTo() schema.Attribute {
	return schema.MapAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: aboutAssociatedData, Validators: []validator.Map{given{}}}
}

// shown is what a data source answers.
func shown(doc string) schema.StringAttribute {
	return schema.StringAttribute{Computed: true, MarkdownDescription: doc}
}

func (d *encryptedDataData) Schema(_ context.Context, _ datasource.SchemaRequest, a *datasource.SchemaResponse) {
	plaintext := wanted("What is encrypted, in base64.", encoded{})
	plaintext.Sensitive = true
	a.Schema = schema.Schema{
		MarkdownDescription: "Data that a key of the vault encrypts, anew each time that it is read: no two ciphertexts are equal. The resource " +
			"`oci_kms_encrypted_data` keeps one.",
		Attributes: map[string]schema.Attribute{
			"id":              shown("A number made from the ciphertext."),
			"crypto_endpoint": atCrypto(),
			"key_id":          wanted("The OCID of the key."),
			"plaintext":       plaintext,
			"associated_data": boundTo(),
			"ciphertext":      shown("The ciphertext, in base64."),
		},
	}
}

func (d *encryptedDataData) Read(ctx context.Context, q datasource.ReadRequest, a *datasource.ReadResponse) {
	var m encryptedDataDataModel
	if a.Diagnostics.Append(q.Config.Get(ctx, &m)...); a.Diagnostics.HasError() {
		return
	}
	made, err := d.encrypt(ctx, m.CryptoEndpoint.ValueString(), keymanagement.EncryptDataDetails{
		KeyId: m.KeyID.ValueStringPointer(), Plaintext: m.Plaintext.ValueStringPointer(), AssociatedData: sentPairs(m.AssociatedData),
	})
	if err != nil {
		d.refuse(&a.Diagnostics, "Encrypting with key "+m.KeyID.ValueString(), err)
		return
	}
	m.ID, m.Ciphertext = numberOf(made.Ciphertext), text(made.Ciphertext)
	a.Diagnostics.Append(a.State.Set(ctx, &m)...)
}
