// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"slices"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// CreateGrant opens a key to another tenant for the listed actions. Callers of that tenant
// still need a role there that has the action.
func (s *Service) CreateGrant(ctx context.Context, c *Call, key, grantee keys.ID, actions []keys.Action) (*keys.Grant, error) {
	known := identity.Actions()
	for _, a := range actions {
		if !slices.Contains(known, a) {
			return nil, keys.Invalid("actions", "unknown action "+string(a))
		}
	}
	if len(actions) == 0 {
		return nil, keys.Missing("actions")
	}
	var g keys.Grant
	_, err := do(ctx, s, c, keys.ManageIdentity, nil, func(m *mutation) (nothing, error) {
		k, err := store.LoadKey(m.tx, key)
		if err != nil {
			return nothing{}, notFound(err, keys.TypeKey)
		}
		m.ev.Key, m.ev.Vault = k.ID, k.Vault
		if err := m.tenant(k.Tenant, keys.ManageIdentity); err != nil {
			return nothing{}, err
		}
		if k.Hidden {
			return nothing{}, errHidden(keys.ManageIdentity)
		}
		if _, err := store.LoadTenant(m.tx, grantee); err != nil {
			return nothing{}, notFound(err, keys.TypeTenant)
		}
		g = keys.Grant{Tenant: k.Tenant, Key: k.ID, Grantee: grantee, Actions: actions, CreatedAt: m.now}
		if g.ID, err = keys.NewID(s.rand); err != nil {
			return nothing{}, err
		}
		return nothing{}, m.tx.Put(&g)
	})
	return &g, err
}

// RemoveGrant takes a grant back. When it returns no call that used it is under way.
func (s *Service) RemoveGrant(ctx context.Context, c *Call, id keys.ID) error {
	_, err := do(ctx, s, c, keys.ManageIdentity, nil, func(m *mutation) (nothing, error) {
		g := keys.Grant{ID: id}
		if err := m.tx.Load(&g); err != nil {
			return nothing{}, notFound(err, keys.TypeGrant)
		}
		m.ev.Key = g.Key
		if err := m.tenant(g.Tenant, keys.ManageIdentity); err != nil {
			return nothing{}, err
		}
		return nothing{}, m.tx.Delete(&g)
	})
	return err
}

// Grants lists a key's grants.
func (s *Service) Grants(ctx context.Context, c *Call, key keys.ID) ([]*keys.Grant, error) {
	return read(ctx, s, c, keys.ReadIdentity, func(m *mutation) ([]*keys.Grant, error) {
		k, err := store.LoadKey(m.tx, key)
		if err != nil {
			return nil, notFound(err, keys.TypeKey)
		}
		if err := m.may(keys.ReadIdentity, identity.Resource{Tenant: k.Tenant}); err != nil {
			return nil, err
		}
		return m.tx.Grants(key)
	})
}
