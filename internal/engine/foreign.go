// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"

	"claviger/internal/keys"
)

// maxForeign bounds a foreign SubjectPublicKeyInfo, in bytes. That of RSA-4096 has 550.
const maxForeign = 1024

// OpenForeign parses and validates a public key that a caller brought, to encrypt a short secret
// under it with [PublicKey.Encrypt]: DER SubjectPublicKeyInfo of at most 1024 bytes, of an RSA
// or SM2 spec.
//
// Errors: [ErrSpec] (a spec that does not encrypt), [ErrFIPS], [ErrMaterial].
func OpenForeign(spec keys.Spec, spki []byte) (*PublicKey, error) {
	if !spec.Usages().Has(keys.UsageEncrypt) || spec.Symmetric() {
		return nil, fmt.Errorf("%w: %q does not wrap", ErrSpec, string(spec))
	}
	if len(spki) > maxForeign {
		return nil, fmt.Errorf("%w: public key of %d bytes", ErrMaterial, len(spki))
	}
	return OpenPublic(spec, spki)
}
