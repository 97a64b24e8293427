// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"fmt"

	"claviger/internal/audit"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/seal"
	"claviger/internal/secret"
	"claviger/internal/store"
)

// NewPrincipal is the wish for a principal with its first role. A zero ID is chosen at random.
type NewPrincipal struct {
	ID, Tenant keys.ID
	Name       string
	Names      keys.Names
	Role       identity.Role // "": none
	Vault      keys.ID       // zero: the role is on the whole tenant
}

// CreatePrincipal makes a principal.
func (s *Service) CreatePrincipal(ctx context.Context, c *Call, req NewPrincipal) (*identity.Principal, error) {
	if req.Name == "" {
		return nil, keys.Missing("name")
	}
	if req.Role != "" && !req.Role.Valid() {
		return nil, keys.Invalid("role", "roles are admin, operator, user and auditor")
	}
	var p identity.Principal
	_, err := do(ctx, s, c, keys.ManageIdentity, nil, func(m *mutation) (nothing, error) {
		if err := m.tenant(req.Tenant, keys.ManageIdentity); err != nil {
			return nothing{}, err
		}
		p = identity.Principal{ID: req.ID, Tenant: req.Tenant, Name: req.Name, Names: req.Names, CreatedAt: m.now}
		var err error
		if p.ID.IsZero() {
			if p.ID, err = keys.NewID(s.rand); err != nil {
				return nothing{}, err
			}
		}
		err = errors.Join(m.tx.Put(&p), m.names(keys.TypePrincipal, p.ID, p.Names))
		if err == nil && req.Role != "" {
			err = s.bind(m, &p, req.Role, req.Vault)
		}
		return nothing{}, exists(err, keys.TypePrincipal, "a principal with this name exists in the tenant")
	})
	return &p, err
}

// tenant checks that a tenant exists and that the caller may do act in it.
func (m *mutation) tenant(id keys.ID, act keys.Action) error {
	m.ev.Tenant = id
	if err := m.may(act, identity.Resource{Tenant: id}); err != nil {
		return err
	}
	_, err := store.LoadTenant(m.tx, id)
	return notFound(err, keys.TypeTenant)
}

// principal loads a principal and checks that the caller may manage its tenant.
func (m *mutation) principal(id keys.ID) (*identity.Principal, error) {
	p, err := store.LoadPrincipal(m.tx, id)
	if err != nil {
		return nil, notFound(err, keys.TypePrincipal)
	}
	return p, m.tenant(p.Tenant, keys.ManageIdentity)
}

func (s *Service) bind(m *mutation, p *identity.Principal, role identity.Role, vault keys.ID) error {
	if err := m.ownVault(p, vault); err != nil {
		return err
	}
	id, err := keys.NewID(s.rand)
	if err != nil {
		return err
	}
	return m.tx.Put(&identity.Binding{ID: id, Tenant: p.Tenant, Principal: p.ID, Role: role, Vault: vault, CreatedAt: m.now})
}

// ownVault checks that a vault is of the principal's tenant; zero is the whole tenant.
func (m *mutation) ownVault(p *identity.Principal, vault keys.ID) error {
	if vault.IsZero() {
		return nil
	}
	v, err := store.LoadVault(m.tx, vault)
	if err == nil && v.Tenant != p.Tenant {
		err = store.ErrNotFound
	}
	return notFound(err, keys.TypeVault)
}

// Principals lists a tenant's principals.
func (s *Service) Principals(ctx context.Context, c *Call, tenant keys.ID) ([]*identity.Principal, error) {
	return readTenant(ctx, s, c, tenant, store.Tx.Principals)
}

// Bindings lists a principal's roles.
func (s *Service) Bindings(ctx context.Context, c *Call, principal keys.ID) ([]*identity.Binding, error) {
	return read(ctx, s, c, keys.ReadIdentity, func(m *mutation) ([]*identity.Binding, error) {
		p, err := store.LoadPrincipal(m.tx, principal)
		if err != nil {
			return nil, notFound(err, keys.TypePrincipal)
		}
		if err := m.may(keys.ReadIdentity, identity.Resource{Tenant: p.Tenant}); err != nil {
			return nil, err
		}
		return m.tx.Bindings(principal)
	})
}

// SetRole replaces a principal's roles on its tenant (vault zero) or on a vault by one; "" takes
// them away. When it returns no call with the former rights is under way.
func (s *Service) SetRole(ctx context.Context, c *Call, principal keys.ID, role identity.Role, vault keys.ID) error {
	if role != "" && !role.Valid() {
		return keys.Invalid("role", "roles are admin, operator, user and auditor")
	}
	_, err := do(ctx, s, c, keys.ManageIdentity, nil, func(m *mutation) (nothing, error) {
		p, err := m.principal(principal)
		if err != nil {
			return nothing{}, err
		}
		if err := m.ownVault(p, vault); err != nil {
			return nothing{}, err
		}
		bindings, err := m.tx.Bindings(principal)
		if err != nil {
			return nothing{}, err
		}
		for _, b := range bindings {
			if b.Vault == vault {
				if err := m.tx.Delete(b); err != nil {
					return nothing{}, err
				}
			}
		}
		if role == "" {
			return nothing{}, nil
		}
		return nothing{}, s.bind(m, p, role, vault)
	})
	return err
}

// DeletePrincipal removes a principal with its credentials and roles.
func (s *Service) DeletePrincipal(ctx context.Context, c *Call, id keys.ID) error {
	_, err := do(ctx, s, c, keys.ManageIdentity, nil, func(m *mutation) (nothing, error) {
		p, err := m.principal(id)
		if err != nil {
			return nothing{}, err
		}
		creds, err := m.tx.Credentials(p.Tenant)
		if err != nil {
			return nothing{}, err
		}
		for _, cred := range creds {
			if cred.Principal == id {
				if err := m.tx.Delete(cred); err != nil {
					return nothing{}, err
				}
			}
		}
		bindings, err := m.tx.Bindings(id)
		if err != nil {
			return nothing{}, err
		}
		for _, b := range bindings {
			if err := m.tx.Delete(b); err != nil {
				return nothing{}, err
			}
		}
		return nothing{}, m.tx.Delete(p)
	})
	return err
}

const credentialMAC = "credential"

func credentialFields(row *identity.CredentialRow) [][]byte {
	disabled := []byte{0}
	if row.Disabled {
		disabled[0] = 1
	}
	return [][]byte{row.ID[:], row.Tenant[:], row.Principal[:], []byte(row.Kind), []byte(row.Name), row.PublicKey, row.Sealed, disabled}
}

func credentialAAD(row *identity.CredentialRow) []byte {
	return seal.AAD{Purpose: seal.PurposeCredential, Tenant: row.Tenant, Row: row.ID, Generation: int64(row.KEKGeneration)}.Bytes()
}

// openCredential opens a stored credential. A row that somebody changed in the database does not open.
func (s *Service) openCredential(ctx context.Context, row *identity.CredentialRow, caller *identity.Caller) (*identity.Credential, error) {
	kek, err := s.tenantKEK(ctx, row.Tenant, row.KEKGeneration)
	if err != nil {
		return nil, err
	}
	if !seal.CheckMAC(kek, credentialMAC, row.MAC, credentialFields(row)...) {
		return nil, fmt.Errorf("credential %s: the stored row was changed by something else than this server", row.ID)
	}
	if row.Kind == identity.RSAKey {
		return identity.OpenRSAKey(row, caller)
	}
	opened, err := seal.OpenBox(kek, credentialAAD(row), row.Sealed)
	if err != nil {
		return nil, fmt.Errorf("open secret of credential %s: %w", row.ID, err)
	}
	return identity.OpenAccessKey(row, opened, caller), nil
}

// AddRSAKey gives a principal an API signing key: the DER SubjectPublicKeyInfo of an RSA key,
// under the name by which requests will name it.
func (s *Service) AddRSAKey(ctx context.Context, c *Call, principal keys.ID, name string, spki []byte) (*identity.CredentialRow, error) {
	if _, err := identity.ParseRSAPublicKey(spki); err != nil {
		return nil, keys.Invalid("publicKey", err.Error())
	}
	return s.addCredential(ctx, c, &identity.CredentialRow{Principal: principal, Kind: identity.RSAKey, Name: name, PublicKey: spki}, secret.Bytes{})
}

// AddAccessKey gives a principal a shared secret under the name by which requests will name it.
func (s *Service) AddAccessKey(ctx context.Context, c *Call, principal keys.ID, name string, value secret.Bytes) (*identity.CredentialRow, error) {
	if value.Len() == 0 {
		return nil, keys.Missing("secret")
	}
	return s.addCredential(ctx, c, &identity.CredentialRow{Principal: principal, Kind: identity.AccessKey, Name: name}, value)
}

func (s *Service) addCredential(ctx context.Context, c *Call, row *identity.CredentialRow, value secret.Bytes) (*identity.CredentialRow, error) {
	if row.Name == "" {
		return nil, keys.Missing("name")
	}
	prepare := func(*audit.Event) error {
		var p *identity.Principal
		err := s.store.View(ctx, func(tx store.Tx) (err error) {
			p, err = store.LoadPrincipal(tx, row.Principal)
			return err
		})
		if err != nil {
			return notFound(err, keys.TypePrincipal)
		}
		row.Tenant = p.Tenant
		return s.sealCredential(ctx, row, value)
	}
	_, err := do(ctx, s, c, keys.ManageIdentity, prepare, func(m *mutation) (nothing, error) {
		if _, err := m.principal(row.Principal); err != nil {
			return nothing{}, err
		}
		if err := tenantInForce(m.tx, row.Tenant, row.KEKGeneration); err != nil {
			return nothing{}, err
		}
		row.Revision, row.CreatedAt = 0, m.now
		return nothing{}, exists(m.tx.Put(row), keys.TypeCredential, "a credential with this name exists")
	})
	return row, err
}

// sealCredential completes a row: its ID, its sealed secret and its MAC.
func (s *Service) sealCredential(ctx context.Context, row *identity.CredentialRow, value secret.Bytes) error {
	under, err := s.tenantNow(ctx, row.Tenant)
	if err != nil {
		return err
	}
	if row.ID.IsZero() {
		if row.ID, err = keys.NewID(s.rand); err != nil {
			return err
		}
	}
	row.KEKGeneration = under.generation
	if row.Kind == identity.AccessKey {
		if row.Sealed, err = seal.SealBox(s.rand, under.kek, credentialAAD(row), value); err != nil {
			return fmt.Errorf("seal secret: %w", err)
		}
	}
	signCredential(under.kek, row)
	return nil
}

// signCredential makes a row's MAC.
func signCredential(kek secret.Bytes, row *identity.CredentialRow) {
	mac := seal.MAC(kek, credentialMAC, credentialFields(row)...)
	row.MAC = mac[:]
}

// Credentials lists a tenant's credentials, without their secrets.
func (s *Service) Credentials(ctx context.Context, c *Call, tenant keys.ID) ([]*identity.CredentialRow, error) {
	return readTenant(ctx, s, c, tenant, func(tx store.Tx, id keys.ID) ([]*identity.CredentialRow, error) {
		rows, err := tx.Credentials(id)
		for _, row := range rows {
			row.Sealed, row.MAC = nil, nil
		}
		return rows, err
	})
}

// RemoveCredential removes a credential. When it returns no call that it signed is under way.
func (s *Service) RemoveCredential(ctx context.Context, c *Call, id keys.ID) error {
	_, err := do(ctx, s, c, keys.ManageIdentity, nil, func(m *mutation) (nothing, error) {
		row, err := m.credential(id)
		if err != nil {
			return nothing{}, err
		}
		return nothing{}, m.tx.Delete(row)
	})
	return err
}

// SetCredentialDisabled switches a credential off or on again.
func (s *Service) SetCredentialDisabled(ctx context.Context, c *Call, id keys.ID, disabled bool) error {
	var under parent
	prepare := func(*audit.Event) error {
		row := identity.CredentialRow{ID: id}
		if err := s.store.View(ctx, func(tx store.Tx) error { return tx.Load(&row) }); err != nil {
			return notFound(err, keys.TypeCredential)
		}
		kek, err := s.tenantKEK(ctx, row.Tenant, row.KEKGeneration)
		under = parent{kek, row.KEKGeneration}
		return replaced(err)
	}
	// The transaction signs with the KEK, which must not be wiped before it is over.
	_, err := do(context.WithoutCancel(ctx), s, c, keys.ManageIdentity, prepare, func(m *mutation) (nothing, error) {
		row, err := m.credential(id)
		if err != nil {
			return nothing{}, err
		}
		if err := inForce(under.generation, row.KEKGeneration); err != nil {
			return nothing{}, err
		}
		row.Disabled = disabled
		signCredential(under.kek, row)
		return nothing{}, m.tx.Put(row)
	})
	return err
}

func (m *mutation) credential(id keys.ID) (*identity.CredentialRow, error) {
	row := &identity.CredentialRow{ID: id}
	if err := m.tx.Load(row); err != nil {
		return nil, notFound(err, keys.TypeCredential)
	}
	return row, m.tenant(row.Tenant, keys.ManageIdentity)
}
