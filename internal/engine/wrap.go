// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"io"

	kwp "github.com/tink-crypto/tink-go/v2/kwp/subtle"

	"claviger/internal/keys"
	"claviger/internal/secret"
)

// whole are the wrappings that encrypt the material itself, as the algorithm does that is named.
var whole = map[keys.Wrapping]keys.Algorithm{
	keys.WrapOAEPSHA1:   keys.OAEPSHA1,
	keys.WrapOAEPSHA256: keys.OAEPSHA256,
	keys.WrapSM2:        keys.SM2PKE,
}

// kwpKeySize is the size of the temporary AES-256 key of [keys.WrapOAEPAES].
const kwpKeySize = 32

// Recipient opens the public key, a DER SubjectPublicKeyInfo, of somebody who is to be given
// wrapped material: RSA of 2048, 3072 or 4096 bits.
//
// Errors: [ErrMaterial].
func Recipient(spki []byte) (*PublicKey, error) {
	for _, spec := range []keys.Spec{keys.RSA2048, keys.RSA3072, keys.RSA4096} {
		if p, err := OpenForeign(spec, spki); err == nil {
			return p, nil
		}
	}
	return nil, fmt.Errorf("open recipient's public key: %w: not RSA of 2048, 3072 or 4096 bits", ErrMaterial)
}

// Wrap encrypts material, in the engine's encoding, for the owner of p.
//
// Errors: [ErrAlgorithm] for a wrapping that p's kind does not have, and for
// [keys.WrapPKCS1], which is for opening only; [ErrFIPS]; [ErrTooLong]; or the reader's.
func (p *PublicKey) Wrap(rand io.Reader, w keys.Wrapping, material secret.Bytes) ([]byte, error) {
	if alg, ok := whole[w]; ok {
		return p.Encrypt(rand, alg, material.Reveal())
	}
	if w != keys.WrapOAEPAES {
		return nil, fmt.Errorf("%w: %q with %s", ErrAlgorithm, string(w), p.spec)
	}
	temporary, err := Random(rand, kwpKeySize)
	if err != nil {
		return nil, err
	}
	defer temporary.Wipe()
	head, err := p.Encrypt(rand, keys.OAEPSHA256, temporary.Reveal())
	if err != nil {
		return nil, err
	}
	cipher, err := kwp.NewKWP(temporary.Reveal())
	if err != nil {
		return nil, fmt.Errorf("wrap with %s: %w", w, err)
	}
	body, err := cipher.Wrap(material.Reveal())
	if err != nil {
		return nil, fmt.Errorf("wrap with %s: %w", w, err)
	}
	return append(head, body...), nil
}
