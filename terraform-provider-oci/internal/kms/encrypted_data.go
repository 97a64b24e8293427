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

// encryptedData is the resource oci_kms_encrypted_data.
type encryptedData struct{ onceBase }

// NewEncryptedData is the resource oci_kms_encrypted_data.
func NewEncryptedData() resource.Resource {
	return &encryptedData{onceBase{resourceBase{base{name: "kms_encrypted_data"}}}}
}

var _ resource.ResourceWithConfigure = (*encryptedData)(nil)

// encryptedDataModel is the state of an oci_kms_encrypted_data.
type encryptedDataModel struct {
	ID                  types.String `tfsdk:"id"`
	CryptoEndpoint      types.String `tfsdk:"crypto_endpoint"`
	KeyID               types.String `tfsdk:"key_id"`
	Plaintext           types.String `tfsdk:"plaintext"`
	AssociatedData      types.Map    `tfsdk:"associated_data"`
	EncryptionAlgorithm types.String `tfsdk:"encryption_algorithm"`
	KeyVersionID        types.String `tfsdk:"key_version_id"`
	LoggingContext      types.Map    `tfsdk:"logging_context"`
	Ciphertext          types.String `tfsdk:"ciphertext"`
	Timeouts            *timeouts    `tfsdk:"timeouts"`
}

func (r *encryptedData) Schema(_ context.Context, _ resource.SchemaRequest, a *resource.SchemaResponse) {
	plaintext := fixed("What is encrypted, in base64: at most 4096 bytes for AES keys, less for RSA keys. It is kept in the state.", encoded{})
	plaintext.Sensitive = true
	a.Schema = schema.Schema{
		MarkdownDescription: "Data that a key of the vault has encrypted, once: the ciphertext stays the same until an argument changes, also when " +
			"the key is rotated. Destroying it only forgets it.",
		Attributes: map[string]schema.Attribute{
			"id":              lasting("A number made from the ciphertext."),
			"crypto_endpoint": cryptoEndpoint(),
			"key_id":          fixed("The OCID of the key."),
			"plaintext":       plaintext,
			"associated_data": fixedPairs(aboutAssociatedData),
			"encryption_algorithm": chosen("`AES_256_GCM` (the service's default, for AES keys of any length), `RSA_OAEP_SHA_1` or `RSA_OAEP_SHA_256`.",
				oneOf{words: []string{"AES_256_GCM", "RSA_OAEP_SHA_1", "RSA_OAEP_SHA_256"}}),
			"key_version_id":  chosen("The OCID of the key version that encrypts. The service's default is the key's current one."),
			"logging_context": fixedPairs(aboutLoggingContext),
			"ciphertext":      lasting("The ciphertext, in base64."),
		},
		Blocks: map[string]schema.Block{"timeouts": timeoutsBlock()},
	}
}

func (r *encryptedData) Create(ctx context.Context, q resource.CreateRequest, a *resource.CreateResponse) {
	var m encryptedDataModel
	if a.Diagnostics.Append(q.Plan.Get(ctx, &m)...); a.Diagnostics.HasError() {
		return
	}
	ctx, cancel := m.Timeouts.within(ctx, creating)
	defer cancel()
	made, err := r.encrypt(ctx, m.CryptoEndpoint.ValueString(), keymanagement.EncryptDataDetails{
		KeyId: m.KeyID.ValueStringPointer(), Plaintext: m.Plaintext.ValueStringPointer(), KeyVersionId: sent(m.KeyVersionID),
		EncryptionAlgorithm: keymanagement.EncryptDataDetailsEncryptionAlgorithmEnum(m.EncryptionAlgorithm.ValueString()),
		AssociatedData:      sentPairs(m.AssociatedData), LoggingContext: sentPairs(m.LoggingContext),
	})
	if err != nil {
		r.refuse(&a.Diagnostics, "Encrypting with key "+m.KeyID.ValueString(), err)
		return
	}
	m.ID, m.Ciphertext = numberOf(made.Ciphertext), text(made.Ciphertext)
	m.EncryptionAlgorithm = kept(m.EncryptionAlgorithm, word(made.EncryptionAlgorithm))
	m.KeyVersionID = kept(m.KeyVersionID, text(made.KeyVersionId))
	a.Diagnostics.Append(a.State.Set(ctx, &m)...)
}

// encrypt asks a vault's crypto endpoint for a ciphertext.
func (b *base) encrypt(ctx context.Context, endpoint string, details keymanagement.EncryptDataDetails) (keymanagement.EncryptedData, error) {
	client, err := b.cloud.Crypto(endpoint)
	if err != nil {
		return keymanagement.EncryptedData{}, err
	}
	answer, err := cloud.Call(ctx, b.cloud, client.Encrypt, keymanagement.EncryptRequest{EncryptDataDetails: details})
	return answer.EncryptedData, err
}
