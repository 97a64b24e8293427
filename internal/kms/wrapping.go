// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"claviger/internal/engine"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// Each vault has one wrapping key, RSA-4096: material comes into the vault under its public half.
// It is a hidden key whose ID follows from the vault's. It is made when somebody first asks for
// it, since most vaults never need one, and goes with its vault.

const wrappingKeyName = "RSA wrapping key"

// WrappingKey reads the one version of the wrapping key of the call's vault.
func (s *Service) WrappingKey(ctx context.Context, c *Call) (*Version, error) {
	if err := s.ensureWrappingKey(ctx, c, keys.ReadVersion); err != nil {
		return nil, err
	}
	return s.Version(ctx, c, KeyRef{ID: keys.WrappingKeyID(c.Vault)}, VersionRef{})
}

// ensureWrappingKey makes the wrapping key of the call's vault, if it is not there and the caller
// may do act in an active vault. Whoever may not finds nothing, as he would anyway.
func (s *Service) ensureWrappingKey(ctx context.Context, c *Call, act keys.Action) error {
	if err := s.makeWrappingKey(ctx, c, act); err != nil {
		c.recorded = true
		return s.refuse(ctx, s.event(c, act), err)
	}
	return nil
}

func (s *Service) makeWrappingKey(ctx context.Context, c *Call, act keys.Action) error {
	missing := func() (*keys.Vault, error) {
		var vault *keys.Vault
		err := s.store.View(ctx, func(tx store.Tx) (err error) {
			vault, err = s.vaultWithoutWrappingKey(tx, c, act)
			return err
		})
		return vault, err
	}
	vault, err := missing()
	if err != nil || vault == nil {
		return err
	}
	end, err := s.begin()
	if err != nil {
		return err
	}
	defer end()
	// One caller makes it; the others wait and find it there.
	turn, _ := s.wrapping.LoadOrStore(vault.ID, &sync.Mutex{})
	turn.(*sync.Mutex).Lock()
	defer turn.(*sync.Mutex).Unlock()
	for try := 1; ; try++ {
		if vault, err = missing(); err != nil || vault == nil {
			return err
		}
		err = s.insertWrappingKey(ctx, c, vault)
		if !errors.Is(err, errResealed) || try == resealTries {
			return err
		}
	}
}

// vaultWithoutWrappingKey is the call's vault if a wrapping key can be made in it for the caller;
// nil if there is one or it cannot.
func (s *Service) vaultWithoutWrappingKey(tx store.Tx, c *Call, act keys.Action) (*keys.Vault, error) {
	v, err := store.LoadVault(tx, c.Vault)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	allowed := c.reaches(v) && may(c.Who, act, identity.Resource{Tenant: v.Tenant, Vault: v.ID}) == nil
	if !allowed || v.Effective(s.clock.Now()) != keys.Active {
		return nil, nil
	}
	_, err = store.LoadKey(tx, keys.WrappingKeyID(v.ID))
	if errors.Is(err, store.ErrNotFound) {
		return v, nil
	}
	return nil, err
}

// insertWrappingKey makes a vault's wrapping key. That another process has done so meanwhile is
// as good. Its protection is what keys of protection HSM have here; where the server refuses
// those it does not claim to be one.
func (s *Service) insertWrappingKey(ctx context.Context, c *Call, vault *keys.Vault) error {
	k := &keys.Key{
		ID: keys.WrappingKeyID(vault.ID), Tenant: vault.Tenant, Vault: vault.ID, Region: vault.Region,
		Compartment: vault.Compartment, Name: wrappingKeyName, Spec: keys.RSA4096, Usages: keys.UsageEncrypt,
		Origin: keys.Generated, Protection: keys.Software, State: keys.Enabled, Versions: 1, Hidden: true,
	}
	if s.hsm == SoftwareLabelled {
		k.Protection = keys.HSM
	}
	v := &keys.Version{Ordinal: 1}
	var err error
	if v.ID, err = keys.NewID(s.rand); err != nil {
		return err
	}
	k.Primary = v.ID
	if err := s.newVersion(ctx, k.ID, vault, k.Spec, v); err != nil {
		return err
	}
	system := s.System(c.Operation)
	system.RequestID = c.RequestID
	err = s.apply(ctx, system, keys.CreateKey, func(m *mutation) error {
		in, err := store.LoadVault(m.tx, vault.ID)
		if err != nil {
			return err
		}
		if _, err := keys.VaultLifecycle.Step(keys.UseVault, in.Effective(m.now), keys.Active); err != nil {
			return err
		}
		if err := inForce(v.KEKGeneration, in.KEKGeneration); err != nil {
			return err
		}
		m.ev.Tenant, m.ev.Vault, m.ev.Key, m.ev.Version = k.Tenant, k.Vault, k.ID, v.ID
		key, version := *k, *v
		key.CreatedAt, key.LastVersionAt, version.CreatedAt = m.now, m.now, m.now
		return errors.Join(m.tx.Put(&key), m.tx.Put(&version))
	})
	if errors.Is(err, store.ErrExists) {
		return nil
	}
	return err
}

// wrappingMaterial opens the wrapping key of a vault. Without one there is nothing that could
// have been wrapped under it, and the error is that of a blob of another key.
func (s *Service) wrappingMaterial(ctx context.Context, vault *keys.Vault) (*engine.Key, error) {
	var k *keys.Key
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		k, err = store.LoadKey(tx, keys.WrappingKeyID(vault.ID))
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, errMaterial()
	}
	if err != nil {
		return nil, fmt.Errorf("load wrapping key: %w", err)
	}
	return s.loadMaterial(ctx, k.Primary)
}

// checkPublicKey opens a version, which fails if its public key is not that of its private one: it
// is stored in the clear, and whatever comes in under one that somebody put there is his to read.
func (s *Service) checkPublicKey(ctx context.Context, version keys.ID) error {
	k, err := s.loadMaterial(ctx, version)
	if err != nil {
		return err
	}
	k.Wipe()
	return nil
}

func errHidden(act keys.Action) error {
	return &keys.Error{
		Kind: keys.KindUnsupported, Noun: keys.TypeKey, Field: "usage", Action: act,
		Hint: "this is the vault's wrapping key: key material is imported under it, and nothing else can be done with it",
	}
}
