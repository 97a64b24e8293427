// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"io"

	"claviger/internal/keys"
	"claviger/internal/secret"
)

// Material is a fresh key in its encoded form, as docs/formats.md describes.
type Material struct {
	// Private is the raw key for AES, SM4 and HMAC, and PKCS#8 DER (RFC 5958) for RSA, EC and SM2.
	Private secret.Bytes
	// Public is DER SubjectPublicKeyInfo (RFC 5280 §4.1); nil for a symmetric spec.
	Public []byte
}

// Generate makes new material of spec. All but RSA and NIST EC keys are read from rand; those
// come from the system's generator whatever rand is, as the standard library
// has it since Go 1.26. RSA takes from tenths of seconds to seconds: see [Pool].
//
// Errors: [ErrSpec], [ErrFIPS], or the reader's.
func Generate(rand io.Reader, spec keys.Spec) (Material, error) {
	k, err := kindOf(spec)
	if err != nil {
		return Material{}, err
	}
	m, err := k.generate(rand, spec)
	if err != nil {
		return Material{}, fmt.Errorf("generate %s: %w", spec, err)
	}
	return m, nil
}

// Random reads n secret bytes, such as a data key, from rand.
func Random(rand io.Reader, n int) (secret.Bytes, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(rand, b); err != nil {
		clear(b)
		return secret.Bytes{}, fmt.Errorf("read random bytes: %w", err)
	}
	return secret.New(b), nil
}

// generateSecret makes a key that is nothing but random bytes.
func generateSecret(rand io.Reader, spec keys.Spec) (Material, error) {
	b, err := Random(rand, spec.Bits()/8)
	return Material{Private: b}, err
}
