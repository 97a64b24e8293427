// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"time"

	"claviger/internal/engine"
	"claviger/internal/keys"
	"claviger/internal/secret"
	"claviger/internal/store"
)

// SeedVault makes a vault with a chosen identity; for dev's seed file only.
func (s *Service) SeedVault(ctx context.Context, c *Call, id, tenant keys.ID, region keys.Region, req NewVault) (*Vault, error) {
	return s.createVault(ctx, c, req, vaultSeed{id: id, tenant: tenant, region: region})
}

// SeedKey is a key with a chosen identity and, where wanted, chosen versions, oldest first;
// for dev's seed file only.
type SeedKey struct {
	NewKey
	ID        keys.ID
	CreatedAt time.Time // zero: now
	Versions  []SeedVersion
	Disabled  bool
}

// SeedVersion is a version with a chosen identity and, where wanted, chosen material.
type SeedVersion struct {
	ID        keys.ID
	Material  secret.Bytes // in the engine's encoding; empty: generated
	CreatedAt time.Time    // zero: the key's
}

// SeedKey makes a key with its past.
func (s *Service) SeedKey(ctx context.Context, c *Call, req SeedKey) (*Key, error) {
	if len(req.Versions) == 0 {
		return nil, keys.Missing("versions")
	}
	if err := newKeyFits(req.NewKey); err != nil {
		return nil, err
	}
	if len(req.Versions) > 1 && !req.Spec.Rotates() {
		return nil, keys.Invalid("versions", "a "+string(req.Spec)+" key has one version only")
	}
	var vault *keys.Vault
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		vault, err = store.LoadVault(tx, req.Vault)
		return notFound(err, keys.TypeVault)
	})
	if err != nil {
		return nil, translate(err)
	}
	rows := make([]*keys.Version, len(req.Versions))
	for i, sv := range req.Versions {
		if rows[i], err = s.seedVersion(ctx, req, sv, vault); err != nil {
			return nil, translate(err)
		}
	}
	return do(ctx, s, c, keys.CreateKey, nil, func(m *mutation) (*Key, error) {
		k := keys.Key{ID: req.ID, Tenant: vault.Tenant, Vault: vault.ID, Region: vault.Region, CreatedAt: req.CreatedAt}
		first := *rows[0]
		view, err := s.insertKey(m, req.NewKey, k, first)
		if err != nil {
			return nil, err
		}
		at := &located{key: &view.Key, vault: vault}
		for _, row := range rows[1:] {
			if err := m.addPastVersion(at.key, *row); err != nil {
				return nil, err
			}
		}
		if req.Disabled {
			at.key.State = keys.Disabled
		}
		if at.key.Rotation.Interval > 0 {
			at.key.Rotation.Next = nextRotation(at.key)
		}
		if err := m.tx.Put(at.key); err != nil {
			return nil, err
		}
		return viewKey(at.key, vault, m.now), nil
	})
}

// addPastVersion adds a version with a creation time of its own.
func (m *mutation) addPastVersion(k *keys.Key, v keys.Version) error {
	k.Versions++
	k.Primary, k.LastVersionAt = v.ID, orElse(v.CreatedAt, k.CreatedAt)
	if k.Rotation.Interval > 0 && k.Rotation.Start.IsZero() {
		k.Rotation.Next = k.LastVersionAt.Add(k.Rotation.Interval)
	}
	v.Ordinal, v.CreatedAt = k.Versions, k.LastVersionAt
	return errors.Join(m.tx.Put(k), m.tx.Put(&v))
}

func (s *Service) seedVersion(ctx context.Context, req SeedKey, sv SeedVersion, vault *keys.Vault) (*keys.Version, error) {
	v := &keys.Version{ID: sv.ID, CreatedAt: sv.CreatedAt}
	if sv.Material.Len() == 0 {
		return v, s.newVersion(ctx, req.ID, vault, req.Spec, v)
	}
	opened, err := engine.Open(req.Spec, sv.Material)
	if err != nil {
		return nil, keys.Invalid("material", err.Error())
	}
	material := engine.Material{Private: sv.Material}
	if pub := opened.Public(); pub != nil {
		material.Public = pub.DER()
	}
	opened.Wipe()
	return v, s.fillVersion(ctx, req.ID, vault, v, keys.Generated, material)
}

// FindKey reads any tenant's key with all its versions; for the server's administrator.
func (s *Service) FindKey(ctx context.Context, c *Call, id keys.ID) (*Key, []*Version, error) {
	var versions []*Version
	k, err := read(ctx, s, c, keys.ReadKey, func(m *mutation) (*Key, error) {
		at, _, err := m.locate(KeyRef{ID: id}, keys.ReadKey)
		if err != nil {
			return nil, err
		}
		k := viewKey(at.key, at.vault, m.now)
		rows, err := m.tx.Versions(store.VersionQuery{Key: id})
		for _, v := range rows {
			versions = append(versions, viewVersion(v, k, m.now))
		}
		return k, err
	})
	return k, versions, err
}
