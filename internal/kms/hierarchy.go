// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"claviger/internal/keys"
	"claviger/internal/seal"
	"claviger/internal/secret"
	"claviger/internal/store"
)

// hierarchy holds the opened key-encryption keys: root key → system KEK → tenant KEK → vault
// KEK → version material. The root key stays in its seal.
type hierarchy struct {
	rand   io.Reader
	system secret.Bytes

	mu   sync.RWMutex
	keks map[kekName]secret.Bytes // guarded by mu; a KEK never changes under its name
}

type kekName struct {
	owner      keys.ID
	generation int
}

// Every KEK that is made today is of the first generation; a reseal makes the next one.
const firstGeneration = 1

var errNotInitialized = errors.New("the database holds no keys of Claviger: run \"claviger init\" once to create them")

// createSystemKEK makes the system KEK in an empty store, under the root key.
func createSystemKEK(ctx context.Context, st store.Store, root seal.Seal, rand io.Reader, now time.Time) error {
	kek, err := seal.NewKey(rand)
	if err != nil {
		return err
	}
	defer kek.Wipe()
	wrapped, err := root.Wrap(ctx, kek, seal.AAD{Purpose: seal.PurposeSystemKEK, Generation: firstGeneration}.Bytes())
	if err != nil {
		return fmt.Errorf("wrap system KEK: %w", err)
	}
	_, err = st.Update(ctx, func(tx store.Tx) error {
		return tx.Put(&store.KEK{Generation: firstGeneration, Root: root.ID(), Sealed: wrapped, CreatedAt: now})
	})
	if errors.Is(err, store.ErrExists) {
		return errors.New("the database is initialized already")
	}
	return err
}

// openHierarchy opens the system KEK. A root key other than the one that sealed the store is
// refused with both of their names.
func openHierarchy(ctx context.Context, st store.Store, root seal.Seal, rand io.Reader) (*hierarchy, error) {
	var rec store.KEK
	err := st.View(ctx, func(tx store.Tx) error { return tx.Load(&rec) })
	if errors.Is(err, store.ErrNotFound) {
		return nil, errNotInitialized
	}
	if err != nil {
		return nil, fmt.Errorf("load system KEK: %w", err)
	}
	if err := seal.CheckRoot(root, rec.Root); err != nil {
		return nil, err
	}
	kek, err := root.Unwrap(ctx, rec.Sealed, seal.AAD{Purpose: seal.PurposeSystemKEK, Generation: int64(rec.Generation)}.Bytes())
	if err != nil {
		return nil, fmt.Errorf("unwrap system KEK with root key %s: %w", root.ID(), err)
	}
	return &hierarchy{rand: rand, system: kek, keks: map[kekName]secret.Bytes{}}, nil
}

func (h *hierarchy) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, kek := range h.keks {
		kek.Wipe()
		delete(h.keks, name)
	}
	h.system.Wipe()
}

func (h *hierarchy) get(owner keys.ID, generation int) (secret.Bytes, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	kek, ok := h.keks[kekName{owner, generation}]
	return kek, ok
}

// remember keeps an opened KEK once the record that holds it is stored. Of two that open the
// same record at once one is kept.
func (h *hierarchy) remember(owner keys.ID, generation int, kek secret.Bytes) secret.Bytes {
	h.mu.Lock()
	defer h.mu.Unlock()
	name := kekName{owner, generation}
	if have, ok := h.keks[name]; ok {
		kek.Wipe()
		return have
	}
	h.keks[name] = kek
	return kek
}

// drop forgets the KEKs of an erased owner. They are not wiped: a seal under way may read them.
func (h *hierarchy) drop(owner keys.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name := range h.keks {
		if name.owner == owner {
			delete(h.keks, name)
		}
	}
}

func kekAAD(tenant, vault keys.ID, generation int) []byte {
	purpose := seal.PurposeTenantKEK
	if !vault.IsZero() {
		purpose = seal.PurposeVaultKEK
	}
	return seal.AAD{Purpose: purpose, Tenant: tenant, Vault: vault, Generation: int64(generation)}.Bytes()
}

// newKEK makes the KEK of a tenant (vault zero) or of a vault, sealed under its parent.
func (h *hierarchy) newKEK(parent secret.Bytes, tenant, vault keys.ID, now time.Time) (*store.KEK, secret.Bytes, error) {
	kek, err := seal.NewKey(h.rand)
	if err != nil {
		return nil, secret.Bytes{}, err
	}
	sealed, err := seal.SealBox(h.rand, parent, kekAAD(tenant, vault, firstGeneration), kek)
	if err != nil {
		return nil, secret.Bytes{}, fmt.Errorf("seal KEK: %w", err)
	}
	owner := vault
	if owner.IsZero() {
		owner = tenant
	}
	return &store.KEK{Owner: owner, Generation: firstGeneration, Sealed: sealed, CreatedAt: now}, kek, nil
}

// tenantKEK opens a tenant's KEK, from memory or the store.
func (s *Service) tenantKEK(ctx context.Context, tenant keys.ID) (secret.Bytes, error) {
	return s.openKEK(ctx, tenant, keys.ID{}, s.hierarchy.system, firstGeneration)
}

// vaultKEK opens a vault's KEK of a generation, from memory or the store.
func (s *Service) vaultKEK(ctx context.Context, tenant, vault keys.ID, generation int) (secret.Bytes, error) {
	if kek, ok := s.hierarchy.get(vault, generation); ok {
		return kek, nil
	}
	parent, err := s.tenantKEK(ctx, tenant)
	if err != nil {
		return secret.Bytes{}, err
	}
	return s.openKEK(ctx, tenant, vault, parent, generation)
}

func (s *Service) openKEK(ctx context.Context, tenant, vault keys.ID, parent secret.Bytes, generation int) (secret.Bytes, error) {
	owner := vault
	if owner.IsZero() {
		owner = tenant
	}
	if kek, ok := s.hierarchy.get(owner, generation); ok {
		return kek, nil
	}
	rec := store.KEK{Owner: owner, Generation: generation}
	if err := s.store.View(ctx, func(tx store.Tx) error { return tx.Load(&rec) }); err != nil {
		return secret.Bytes{}, fmt.Errorf("load KEK of %s: %w", owner, err)
	}
	kek, err := seal.OpenBox(parent, kekAAD(tenant, vault, generation), rec.Sealed)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("open KEK of %s: %w", owner, err)
	}
	return s.hierarchy.remember(owner, generation, kek), nil
}

func materialAAD(v *keys.Version) []byte { return versionAAD(seal.PurposeMaterial, v) }

func fingerprintAAD(v *keys.Version) []byte { return versionAAD(seal.PurposeFingerprint, v) }

func versionAAD(purpose seal.Purpose, v *keys.Version) []byte {
	return seal.AAD{
		Purpose: purpose, Tenant: v.Tenant, Vault: v.Vault, Key: v.Key, Version: v.ID,
		Generation: int64(v.KEKGeneration),
	}.Bytes()
}

// sealMaterial fills v.Sealed, and v.Fingerprint where the material is imported. The version's
// identity must be complete: it is bound.
func (s *Service) sealMaterial(ctx context.Context, v *keys.Version, material secret.Bytes) error {
	v.KEKGeneration = firstGeneration
	kek, err := s.vaultKEK(ctx, v.Tenant, v.Vault, v.KEKGeneration)
	if err != nil {
		return err
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
