// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// CreateAlias gives a key another name, unique in its tenant and region.
func (s *Service) CreateAlias(ctx context.Context, c *Call, name string, ref KeyRef) error {
	_, err := do(ctx, s, c, keys.CreateAlias, nil, func(m *mutation) (nothing, error) {
		at, _, err := m.locate(ref, keys.CreateAlias)
		if err != nil {
			return nothing{}, err
		}
		k := at.key
		if err := m.quota(store.Counter{Type: keys.TypeAlias, Tenant: k.Tenant, Region: k.Region}, m.c.Profile.AliasesPerRegion); err != nil {
			return nothing{}, err
		}
		err = m.tx.Put(&keys.Alias{Tenant: k.Tenant, Region: k.Region, Name: name, Key: k.ID, CreatedAt: m.now})
		if errors.Is(err, store.ErrExists) {
			err = &keys.Error{Kind: keys.KindExists, Noun: keys.TypeAlias, Action: keys.CreateAlias, Hint: "the alias " + name + " exists: update it to point it at another key"}
		}
		return nothing{}, err
	})
	return err
}

// UpdateAlias points an alias at another key. Only the state of that key matters.
func (s *Service) UpdateAlias(ctx context.Context, c *Call, name string, ref KeyRef) error {
	_, err := do(ctx, s, c, keys.UpdateAlias, nil, func(m *mutation) (nothing, error) {
		a, err := m.alias(name, keys.UpdateAlias)
		if err != nil {
			return nothing{}, err
		}
		at, _, err := m.locate(ref, keys.UpdateAlias)
		if err != nil {
			return nothing{}, err
		}
		a.Key = at.key.ID
		return nothing{}, m.tx.Put(a)
	})
	return err
}

// DeleteAlias removes an alias, whatever the state of its key.
func (s *Service) DeleteAlias(ctx context.Context, c *Call, name string) error {
	_, err := do(ctx, s, c, keys.DeleteAlias, nil, func(m *mutation) (nothing, error) {
		a, err := m.alias(name, keys.DeleteAlias)
		if err != nil {
			return nothing{}, err
		}
		m.ev.Key = a.Key
		return nothing{}, m.tx.Delete(a)
	})
	return err
}

// alias finds an alias of the caller's and authorizes act in its key's vault.
func (m *mutation) alias(name string, act keys.Action) (*keys.Alias, error) {
	a, err := store.LoadAlias(m.tx, callerTenant(m.c), m.c.Region, name)
	if err != nil {
		return nil, notFound(err, keys.TypeAlias)
	}
	k, err := loadKeyView(m.tx, a.Key, m.now)
	if err != nil {
		return nil, err
	}
	if k.State == keys.Deleted { // its aliases went with it, swept away or not
		return nil, keys.NotFound(keys.TypeAlias)
	}
	return a, m.may(act, identity.Resource{Tenant: a.Tenant, Vault: k.Vault})
}

// Aliases lists the aliases of the caller's tenant in the call's region.
func (s *Service) Aliases(ctx context.Context, c *Call, p Page) (*List[*keys.Alias], error) {
	return read(ctx, s, c, keys.ListAliases, func(m *mutation) (*List[*keys.Alias], error) {
		tenant := callerTenant(c)
		if err := m.may(keys.ListAliases, identity.Resource{Tenant: tenant}); err != nil {
			return nil, err
		}
		return m.aliases(store.AliasQuery{Tenant: tenant, Region: c.Region}, p)
	})
}

// KeyAliases lists a key's aliases.
func (s *Service) KeyAliases(ctx context.Context, c *Call, ref KeyRef, p Page) (*List[*keys.Alias], error) {
	return read(ctx, s, c, keys.ListAliases, func(m *mutation) (*List[*keys.Alias], error) {
		at, _, err := m.locate(ref, keys.ListAliases)
		if err != nil {
			return nil, err
		}
		return m.aliases(store.AliasQuery{Tenant: at.key.Tenant, Region: at.key.Region, Key: at.key.ID}, p)
	})
}

func (m *mutation) aliases(q store.AliasQuery, p Page) (*List[*keys.Alias], error) {
	q.Offset, q.Limit = p.Offset, p.Limit
	rows, err := m.tx.Aliases(q)
	if err != nil {
		return nil, err
	}
	total, err := m.tx.Count(store.Counter{Type: keys.TypeAlias, Tenant: q.Tenant, Region: q.Region, Key: q.Key})
	if err != nil {
		return nil, err
	}
	rows, err = m.living(rows)
	return &List[*keys.Alias]{Items: rows, Total: total}, err
}

// living drops the aliases of keys whose retention is over: they are gone, swept away or not.
func (m *mutation) living(rows []*keys.Alias) ([]*keys.Alias, error) {
	gone := map[keys.ID]bool{}
	var out []*keys.Alias
	for _, a := range rows {
		dead, known := gone[a.Key]
		if !known {
			k, err := loadKeyView(m.tx, a.Key, m.now)
			if err != nil {
				return nil, err
			}
			dead = k.State == keys.Deleted
			gone[a.Key] = dead
		}
		if !dead {
			out = append(out, a)
		}
	}
	return out, nil
}
