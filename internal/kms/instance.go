// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// LiveVaults lists the vaults of the caller's tenant in the call's region that are not erased,
// in numbered pages, with their number.
func (s *Service) LiveVaults(ctx context.Context, c *Call, p Page) (*List[*Vault], error) {
	return read(ctx, s, c, keys.ListVaults, func(m *mutation) (*List[*Vault], error) {
		tenant := callerTenant(c)
		if err := m.may(keys.ListVaults, identity.Resource{Tenant: tenant}); err != nil {
			return nil, err
		}
		q := store.VaultQuery{Tenant: tenant, Region: c.Region, HideDeleted: true, Page: store.Page{Offset: p.Offset, Limit: p.Limit}}
		rows, err := m.tx.Vaults(q)
		if err != nil {
			return nil, err
		}
		out := &List[*Vault]{}
		for _, v := range rows {
			if view := viewVault(v, m.now); view.State != keys.Deleted {
				out.Items = append(out.Items, view)
			}
		}
		out.Total, err = m.tx.Count(store.Counter{Type: keys.TypeVault, Tenant: tenant, Region: c.Region})
		return out, err
	})
}

// DefaultVault is the vault of keys that the caller's tenant creates with no vault in the
// call's region.
func (s *Service) DefaultVault(ctx context.Context, c *Call) (*Vault, error) {
	return read(ctx, s, c, keys.ReadVault, func(m *mutation) (*Vault, error) {
		id, err := m.defaultVault()
		if err != nil {
			return nil, err
		}
		v, _, err := m.vault(VaultRef{ID: id, HideDeleted: true}, keys.ReadVault)
		if err != nil {
			return nil, err
		}
		return viewVault(v, m.now), nil
	})
}

func (m *mutation) defaultVault() (keys.ID, error) {
	rows, err := m.tx.Vaults(store.VaultQuery{Tenant: callerTenant(m.c), Region: m.c.Region, OnlyDefault: true, HideDeleted: true})
	if err != nil {
		return keys.ID{}, err
	}
	if len(rows) == 0 {
		return keys.ID{}, keys.NotFound(keys.TypeVault)
	}
	return rows[0].ID, nil
}

// ExternalName is the name that a record was given in a dialect, the first in the order of
// bytes where there are several; "" when there is none.
func (s *Service) ExternalName(ctx context.Context, dialect string, id keys.ID) (string, error) {
	name := ""
	err := s.store.View(ctx, func(tx store.Tx) error {
		all, err := tx.ExternalIDs(id)
		for _, x := range all {
			if x.Dialect == dialect && name == "" {
				name = x.Name
			}
		}
		return err
	})
	if err != nil {
		return "", translate(err)
	}
	return name, nil
}
