// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"

	"claviger/internal/engine"
	"claviger/internal/keys"
)

// ExportKeyRequest asks for the material of a version. Version zero is the primary.
type ExportKeyRequest struct {
	Key       KeyRef
	Version   VersionRef
	Wrapping  keys.Wrapping
	PublicKey []byte // the recipient's: DER SubjectPublicKeyInfo, RSA of 2048, 3072 or 4096 bits
}

// ExportKeyResult is wrapped material.
type ExportKeyResult struct {
	Key     *keys.Key
	Version *keys.Version
	Wrapped []byte
}

// ExportKey gives a version's material out, encrypted for a recipient: raw for symmetric keys,
// PKCS #8 for asymmetric ones. Keys of protection HSM never leave, wherever they are kept.
func (s *Service) ExportKey(ctx context.Context, c *Call, req ExportKeyRequest) (*ExportKeyResult, error) {
	return use(ctx, s, c, keys.ExportKey, func(u *using) (*ExportKeyResult, error) {
		recipient, err := engine.Recipient(req.PublicKey)
		if err != nil {
			return nil, keys.Invalid("publicKey", "the public key must be an RSA key of 2048, 3072 or 4096 bits")
		}
		u.record(req.PublicKey)
		at, err := u.locate(req.Key, keys.ExportKey)
		if err != nil {
			return nil, err
		}
		if at.key.Protection != keys.Software {
			return nil, &keys.Error{
				Kind: keys.KindUnsupported, Noun: keys.TypeKey, Field: "export", Action: keys.ExportKey,
				Hint: "a key of protection HSM is never exported: only SOFTWARE keys are",
			}
		}
		v, _, err := u.versionFor(at, req.Version)
		if err != nil {
			return nil, err
		}
		wrapped, err := u.wrapMaterial(v, recipient, req.Wrapping)
		return &ExportKeyResult{Key: at.key, Version: v, Wrapped: wrapped}, err
	})
}

// wrapMaterial wraps a version's material in its stored encoding, which no opened key keeps. The call
// holds the version, so that a revocation waits for it.
func (u *using) wrapMaterial(v *keys.Version, recipient *engine.PublicKey, w keys.Wrapping) ([]byte, error) {
	_, _, material, err := u.s.openVersion(u.ctx, v.ID)
	if err != nil {
		return nil, err
	}
	defer material.Wipe()
	wrapped, err := recipient.Wrap(u.s.rand, w, material)
	if errors.Is(err, engine.ErrTooLong) {
		return nil, keys.Invalid("algorithm", "the key is too long for this algorithm and public key: use the one with a temporary AES key")
	}
	return wrapped, engineError(err, "algorithm")
}
