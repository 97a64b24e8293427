// SPDX-License-Identifier: Apache-2.0

// Package engine holds the algorithms over key material: generate, seal, encrypt, sign, wrap.
//
// It is pure: no I/O and no clock; randomness is an argument. Where the standard library
// no longer honours a caller's reader (RSA and NIST EC generation, ECDSA signing: since
// Go 1.26 they always draw from the system), the function says so.
//
// Invariants: a [Key] that exists was parsed and validated against its spec; material is
// opened once, not per call; a ciphertext that does not open answers [ErrCiphertext] and
// nothing else, whatever the cause, and so does wrapped material with [ErrWrapped]; no error
// carries material or plaintext.
//
// The byte formats are described, with test vectors, in docs/formats.md.
//
// When FIPS 140-3 is enforced (GODEBUG=fips140=only) secp256k1, SM2, SM4, HMAC with SM3, OAEP with
// SHA-1 and PKCS #1 v1.5 wrapping are refused with [ErrFIPS]; everything else runs on the validated
// module, which then accepts only crypto/rand's Reader as the randomness of PSS and OAEP.
package engine
