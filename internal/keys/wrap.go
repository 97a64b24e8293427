// SPDX-License-Identifier: Apache-2.0

package keys

// Wrapping names a way of encrypting key material under a public key, for its import and export.
type Wrapping string

// The ways. OAEP has an empty label and MGF1 with the hash of the OAEP (RFC 8017 §7.1). What is
// wrapped is the material in its encoding: raw for symmetric keys, PKCS #8 for asymmetric ones.
const (
	WrapPKCS1      Wrapping = "RSA_PKCS1"            // RSAES-PKCS1-v1_5 (RFC 8017 §7.2); symmetric keys only
	WrapOAEPSHA1   Wrapping = "RSA_OAEP_SHA_1"       // RSAES-OAEP
	WrapOAEPSHA256 Wrapping = "RSA_OAEP_SHA_256"     // RSAES-OAEP
	WrapOAEPAES    Wrapping = "RSA_OAEP_SHA_256_AES" // RSAES-OAEP of an AES-256 key ‖ AES-KWP (RFC 5649) under it; any length
	WrapSM2        Wrapping = "SM2PKE"               // GB/T 32918.4
)
