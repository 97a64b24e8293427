// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"crypto/sha256"
	"fmt"

	"claviger/internal/keys"
	"claviger/internal/seal"
	"claviger/internal/secret"
)

func materialAAD(v *keys.Version) []byte { return versionAAD(seal.PurposeMaterial, v) }

func fingerprintAAD(v *keys.Version) []byte { return versionAAD(seal.PurposeFingerprint, v) }

func versionAAD(purpose seal.Purpose, v *keys.Version) []byte {
	return seal.AAD{
		Purpose: purpose, Tenant: v.Tenant, Vault: v.Vault, Key: v.Key, Version: v.ID,
		Generation: int64(v.KEKGeneration),
	}.Bytes()
}

// sealMaterial fills v.Sealed, and v.Fingerprint where the material is imported, under a generation
// of its vault's KEK. The version's identity must be complete: it is bound.
func (s *Service) sealMaterial(ctx context.Context, v *keys.Version, generation int, material secret.Bytes) error {
	v.KEKGeneration = generation
	kek, err := s.vaultKEK(ctx, v.Tenant, v.Vault, v.KEKGeneration)
	if err != nil {
		return replaced(err)
	}
	return s.sealUnder(kek, v, material)
}

// sealUnder is sealMaterial with the KEK of v.KEKGeneration at hand.
func (s *Service) sealUnder(kek secret.Bytes, v *keys.Version, material secret.Bytes) (err error) {
	if v.Sealed, err = seal.SealBox(s.rand, kek, materialAAD(v), material); err != nil {
		return fmt.Errorf("seal material: %w", err)
	}
	if v.Origin != keys.Imported || v.Fingerprint != nil {
		return nil
	}
	mark := fingerprint(material)
	defer mark.Wipe()
	if v.Fingerprint, err = seal.SealBox(s.rand, kek, fingerprintAAD(v), mark); err != nil {
		return fmt.Errorf("seal fingerprint of material: %w", err)
	}
	return nil
}

// fingerprint is what material is recognized by: its SHA-256. It is kept sealed, like the material:
// by itself it would let whoever has the database try keys that could be the one.
func fingerprint(material secret.Bytes) secret.Bytes {
	sum := sha256.Sum256(material.Reveal())
	return secret.New(sum[:])
}

// isFingerprint reports whether v's fingerprint is that of material.
func isFingerprint(kek secret.Bytes, v *keys.Version, material secret.Bytes) (bool, error) {
	kept, err := seal.OpenBox(kek, fingerprintAAD(v), v.Fingerprint)
	if err != nil {
		return false, fmt.Errorf("open fingerprint of key version %s: %w", v.ID, err)
	}
	defer kept.Wipe()
	mark := fingerprint(material)
	defer mark.Wipe()
	return kept.Equal(mark), nil
}

// openMaterial opens v.Sealed. The error names the version and never the bytes.
func (s *Service) openMaterial(ctx context.Context, v *keys.Version) (secret.Bytes, error) {
	kek, err := s.vaultKEK(ctx, v.Tenant, v.Vault, v.KEKGeneration)
	if err != nil {
		return secret.Bytes{}, err
	}
	material, err := seal.OpenBox(kek, materialAAD(v), v.Sealed)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("open material of key version %s: %w", v.ID, err)
	}
	return material, nil
}
