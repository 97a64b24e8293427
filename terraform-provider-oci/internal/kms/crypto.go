// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"encoding/base64"
	"hash/crc32"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/mapplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"claviger/terraform-provider-oci/internal/cloud"
)

// onceBase is what resources have in common that are one answer of a vault's crypto endpoint, kept: the
// service knows nothing of them, so that they are neither read nor deleted, and nothing that happens to
// their key changes them.
type onceBase struct{ resourceBase }

func (r *onceBase) Read(context.Context, resource.ReadRequest, *resource.ReadResponse) {}

// Update is only ever about timeouts: all else makes another thing.
func (r *onceBase) Update(_ context.Context, q resource.UpdateRequest, a *resource.UpdateResponse) {
	a.State.Raw = q.Plan.Raw
}

func (r *onceBase) Delete(context.Context, resource.DeleteRequest, *resource.DeleteResponse) {}

// Of arguments that resources, data sources and ephemeral resources share.
const (
	aboutCryptoEndpoint = "The crypto endpoint of the vault that holds the key: the attribute `crypto_endpoint` of `oci_kms_vault`."
	aboutAssociatedData = "What the ciphertext is bound to: it can only be decrypted with the same associated data. Not for RSA keys."
	aboutLoggingContext = "What the service's audit log says besides."
	aboutDataKeyShape   = "What kind of key it is."
	aboutDataKeyAlgo    = "`AES`."
	aboutDataKeyLength  = "The length in bytes: 16, 24 or 32."
	aboutDataKeyCurve   = "Nothing: keys of AES have no curve."
	aboutPlainKey       = "The key, in base64."
	aboutPlaintext      = "The plaintext, in base64."
	aboutChecksum       = "The CRC-32 of the decoded plaintext, as a decimal number."
	aboutSealedKey      = "The key, encrypted, in base64: `oci_kms_decrypted_data` decrypts it."
)

func cryptoEndpoint() schema.StringAttribute {
	return fixed(aboutCryptoEndpoint, endpoint{cloud.CryptoPurpose})
}

// fixedPairs is an optional argument of names and values; others make another thing.
func fixedPairs(doc string) schema.MapAttribute {
	return schema.MapAttribute{
		Optional: true, ElementType: types.StringType, MarkdownDescription: doc, Validators: []validator.Map{given{}},
		PlanModifiers: []planmodifier.Map{mapplanmodifier.RequiresReplace()},
	}
}

// given accepts maps without nulls, which no request can say.
type given struct{}

func (given) Description(context.Context) string             { return "no value is null" }
func (g given) MarkdownDescription(c context.Context) string { return g.Description(c) }

func (given) ValidateMap(_ context.Context, q validator.MapRequest, a *validator.MapResponse) {
	for name, value := range q.ConfigValue.Elements() {
		if value.IsNull() {
			a.Diagnostics.AddAttributeError(q.Path.AtMapKey(name), "Value is null", "A value must be a text. Leave the name away, or give it the empty text.")
		}
	}
}

// sentPairs are names and values for a request; nil for none.
func sentPairs(m types.Map) map[string]string {
	if len(m.Elements()) == 0 {
		return nil
	}
	pairs := map[string]string{}
	for name, value := range m.Elements() {
		pairs[name] = plain(value)
	}
	return pairs
}

// encoded accepts base64, of which the service lets the padding be missing. What is refused may be a
// secret, so that it is not told.
type encoded struct{}

func (encoded) Description(context.Context) string             { return "base64" }
func (e encoded) MarkdownDescription(c context.Context) string { return e.Description(c) }

func (encoded) ValidateString(_ context.Context, q validator.StringRequest, a *validator.StringResponse) {
	if q.ConfigValue.IsNull() || q.ConfigValue.IsUnknown() {
		return
	}
	text := q.ConfigValue.ValueString()
	encoding := base64.StdEncoding
	if !strings.HasSuffix(text, "=") {
		encoding = base64.RawStdEncoding
	}
	if _, err := encoding.DecodeString(text); err != nil {
		a.Diagnostics.AddAttributeError(q.Path, "Not base64", "It must be given in base64, such as base64encode(\"text\") or filebase64(\"file\").")
	}
}

// numberOf is the id that Oracle's provider gives to what has no OCID: the CRC-32 of its ciphertext.
func numberOf(ciphertext *string) types.String {
	return types.StringValue(strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(deref(ciphertext)))), 10))
}

func signingAlgorithm() schema.StringAttribute {
	return fixed("For RSA keys `SHA_256_RSA_PKCS_PSS` or `SHA_256_RSA_PKCS1_V1_5`, for ECDSA keys `ECDSA_SHA_256`; with RSA also 224, 384 and "+
		"512, with ECDSA 384 and 512 in the place of 256.", oneOf{words: []string{
		"SHA_224_RSA_PKCS_PSS", "SHA_256_RSA_PKCS_PSS", "SHA_384_RSA_PKCS_PSS", "SHA_512_RSA_PKCS_PSS",
		"SHA_224_RSA_PKCS1_V1_5", "SHA_256_RSA_PKCS1_V1_5", "SHA_384_RSA_PKCS1_V1_5", "SHA_512_RSA_PKCS1_V1_5",
		"ECDSA_SHA_256", "ECDSA_SHA_384", "ECDSA_SHA_512",
	}})
}

func signedMessage() schema.StringAttribute {
	return fixed("The message, of at most 4096 bytes, or its digest, in base64.", encoded{})
}

// rawMessage is the message type that the service takes where none is given.
const rawMessage = "RAW"

func messageType() schema.StringAttribute {
	return chosen("Whether `message` is the message (`RAW`, the default) or its digest (`DIGEST`).", oneOf{words: []string{rawMessage, "DIGEST"}})
}
