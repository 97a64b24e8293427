// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"claviger/internal/keys"
	"claviger/internal/store"
)

// Usage is how many keys and versions a vault holds that are not erased, the server's own aside.
type Usage struct {
	HSMKeys, HSMVersions           int
	SoftwareKeys, SoftwareVersions int
}

// VaultUsage counts what a vault holds of the given specs, in all compartments. The totals are
// kept, so that a large vault costs no more than an empty one; what is due is counted until the
// sweep has erased it. An erased vault holds nothing.
func (s *Service) VaultUsage(ctx context.Context, c *Call, ref VaultRef, specs []keys.Spec) (*Usage, error) {
	return read(ctx, s, c, keys.ReadVault, func(m *mutation) (*Usage, error) {
		v, _, err := m.vault(ref, keys.ReadVault)
		if err != nil {
			return nil, err
		}
		var u Usage
		if v.Effective(m.now) == keys.Deleted {
			return &u, nil
		}
		for _, total := range []struct {
			into       *int
			of         keys.Type
			protection keys.Protection
		}{
			{&u.HSMKeys, keys.TypeKey, keys.HSM},
			{&u.HSMVersions, keys.TypeVersion, keys.HSM},
			{&u.SoftwareKeys, keys.TypeKey, keys.Software},
			{&u.SoftwareVersions, keys.TypeVersion, keys.Software},
		} {
			*total.into, err = m.tx.Count(store.Counter{Type: total.of, Vault: v.ID, Protection: total.protection, Specs: specs})
			if err != nil {
				return nil, err
			}
		}
		return &u, nil
	})
}

// Fleet is a set of clients that reach a vault by mutual TLS.
type Fleet struct {
	ID     string // not empty
	Served bool   // whether the server has an endpoint for mutual TLS
}

// RegisterFleet notes that a fleet's clients reach a vault by mutual TLS, in place of the one
// before. A server that does not serve mutual TLS refuses: KindUnsupported.
func (s *Service) RegisterFleet(ctx context.Context, c *Call, ref VaultRef, f Fleet) (*Vault, error) {
	return s.changeVault(ctx, c, ref, keys.UpdateVault, func(_ *mutation, v *keys.Vault) error {
		if !f.Served {
			return &keys.Error{
				Kind: keys.KindUnsupported, Noun: keys.TypeVault, Field: "fleet",
				Hint: "this server does not ask clients for certificates: set client_ca_file in [tls]",
			}
		}
		v.Fleet = f.ID
		return nil
	})
}
