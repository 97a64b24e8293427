// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"fmt"

	"claviger/internal/audit"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/secret"
	"claviger/internal/store"
)

// NewTenant is the wish for a tenant. A zero ID is chosen at random.
type NewTenant struct {
	ID    keys.ID
	Name  string
	Names keys.Names // its name in each dialect, such as a tenancy OCID
	// Vaults are the ids of the default vaults; those of regions that are absent are random.
	Vaults map[keys.Region]keys.ID
}

// CreateTenant makes a tenant with its KEK, its root compartment, and a default vault in each region.
func (s *Service) CreateTenant(ctx context.Context, c *Call, req NewTenant) (*keys.Tenant, error) {
	if req.Name == "" {
		return nil, keys.Missing("name")
	}
	t, err := s.newTenantRow(req)
	if err != nil {
		return nil, translate(err)
	}
	var kekRec *store.KEK
	var kek secret.Bytes
	prepare := func(*audit.Event) (err error) {
		if err = s.refreshSystem(ctx); err != nil {
			return err
		}
		kekRec, kek, err = s.hierarchy.newKEK(s.systemKEK(), t.ID, keys.ID{}, firstGeneration, t.CreatedAt)
		return err
	}
	_, err = do(ctx, s, c, keys.ManageIdentity, prepare, func(m *mutation) (nothing, error) {
		row := *t
		m.ev.Tenant = t.ID
		if err := m.may(keys.ManageIdentity, identity.Resource{Tenant: t.ID}); err != nil {
			return nothing{}, err
		}
		if err := kekInForce(m.tx, kekRec, t.ID); err != nil {
			return nothing{}, err
		}
		root := &keys.Compartment{ID: t.ID, Tenant: t.ID, Name: "root", Names: t.Names, CreatedAt: m.now}
		err := errors.Join(m.tx.Put(&row), m.tx.Put(kekRec), m.tx.Put(root), m.names(keys.TypeTenant, t.ID, t.Names))
		return nothing{}, exists(err, keys.TypeTenant, "a tenant with this name exists")
	})
	if err != nil {
		return nil, err
	}
	s.hierarchy.remember(t.ID, firstGeneration, kek)
	return t, s.createDefaultVaults(ctx, c, t.ID, req.Vaults)
}

func (s *Service) newTenantRow(req NewTenant) (*keys.Tenant, error) {
	t := &keys.Tenant{ID: req.ID, Name: req.Name, Names: req.Names, KEKGeneration: firstGeneration, CreatedAt: s.clock.Now()}
	if !t.ID.IsZero() {
		return t, nil
	}
	var err error
	t.ID, err = keys.NewID(s.rand)
	return t, err
}

func (s *Service) createDefaultVaults(ctx context.Context, c *Call, tenant keys.ID, ids map[keys.Region]keys.ID) error {
	for _, region := range s.regions {
		id, chosen := ids[region]
		if !chosen {
			var err error
			if id, err = keys.NewID(s.rand); err != nil {
				return translate(err)
			}
		}
		if err := s.createDefaultVault(ctx, c, tenant, region, id); err != nil {
			return err
		}
	}
	return nil
}

// CompleteVaults makes the default vaults that are missing: of a region that was configured
// later than a tenant was made, or of a tenant whose making was interrupted.
func (s *Service) CompleteVaults(ctx context.Context, c *Call) error {
	tenants, err := s.Tenants(ctx, c)
	if err != nil {
		return err
	}
	vaults, err := s.AllVaults(ctx)
	if err != nil {
		return translate(err)
	}
	type place struct {
		tenant keys.ID
		region keys.Region
	}
	have := map[place]bool{}
	for _, v := range vaults {
		if v.Default {
			have[place{v.Tenant, v.Region}] = true
		}
	}
	for _, t := range tenants {
		for _, region := range s.regions {
			if have[place{t.ID, region}] {
				continue
			}
			id, err := keys.NewID(s.rand)
			if err != nil {
				return translate(err)
			}
			if err := s.createDefaultVault(ctx, c, t.ID, region, id); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Service) createDefaultVault(ctx context.Context, c *Call, tenant keys.ID, region keys.Region, id keys.ID) error {
	seed := vaultSeed{id: id, tenant: tenant, region: region, isDefault: true}
	_, err := s.createVault(ctx, c, NewVault{Name: "default", Kind: keys.SharedVault}, seed)
	return err
}

// names records a record's names in the dialects, each unique in its dialect.
func (m *mutation) names(t keys.Type, id keys.ID, names keys.Names) error {
	for dialect, name := range names {
		x := &store.ExternalID{Dialect: dialect, Type: t, Name: name, ID: id}
		if err := m.tx.Put(x); err != nil {
			return err
		}
	}
	return nil
}

func exists(err error, noun keys.Type, hint string) error {
	if errors.Is(err, store.ErrExists) {
		return &keys.Error{Kind: keys.KindExists, Noun: noun, Hint: hint}
	}
	return err
}

// AuditEvents lists the audited changes of every tenant after a sequence number, in order.
func (s *Service) AuditEvents(ctx context.Context, c *Call, after int64, limit int) ([]store.StoredEvent, error) {
	return read(ctx, s, c, keys.ReadAudit, func(m *mutation) ([]store.StoredEvent, error) {
		if !m.who.System() {
			return nil, &keys.Error{Kind: keys.KindDenied, Action: keys.ReadAudit}
		}
		return m.tx.Events(after, limit)
	})
}

// Tenants lists the tenants: all of them for the server's administrator, its own for anybody else.
func (s *Service) Tenants(ctx context.Context, c *Call) ([]*keys.Tenant, error) {
	return read(ctx, s, c, keys.ReadIdentity, func(m *mutation) ([]*keys.Tenant, error) {
		if m.who.System() {
			return m.tx.Tenants()
		}
		own := callerTenant(c)
		if err := m.may(keys.ReadIdentity, identity.Resource{Tenant: own}); err != nil {
			return nil, err
		}
		t, err := store.LoadTenant(m.tx, own)
		return []*keys.Tenant{t}, notFound(err, keys.TypeTenant)
	})
}

// tenantName is a tenant's name in a dialect.
type tenantName struct{ dialect, name string }

// TenantByName finds a tenant by its name in a dialect.
func (s *Service) TenantByName(ctx context.Context, dialect, name string) (keys.ID, error) {
	if id, ok := s.tenants.Load(tenantName{dialect, name}); ok {
		return id.(keys.ID), nil
	}
	x := store.ExternalID{Dialect: dialect, Type: keys.TypeTenant, Name: name}
	err := s.store.View(ctx, func(tx store.Tx) error { return tx.Load(&x) })
	if err != nil {
		return keys.ID{}, translate(notFound(err, keys.TypeTenant))
	}
	s.tenants.Store(tenantName{dialect, name}, x.ID)
	return x.ID, nil
}

// TenantName is a tenant's name in a dialect; "" when it has none.
func (s *Service) TenantName(ctx context.Context, tenant keys.ID, dialect string) (string, error) {
	t := &keys.Tenant{ID: tenant}
	return s.nameOf(ctx, tenant, dialect, keys.TypeTenant, t, &t.Names)
}

// nameOf is the name in a dialect of a record that, once made, keeps its names. names are the record's
// once it is loaded.
func (s *Service) nameOf(ctx context.Context, id keys.ID, dialect string, noun keys.Type, rec store.Record, names *keys.Names) (string, error) {
	of := nameIn{noun, id, dialect}
	if name, ok := s.names.Load(of); ok {
		return name.(string), nil
	}
	if err := s.store.View(ctx, func(tx store.Tx) error { return tx.Load(rec) }); err != nil {
		return "", translate(notFound(err, noun))
	}
	s.names.Store(of, (*names)[dialect])
	return (*names)[dialect], nil
}

// nameIn says whose name in which dialect.
type nameIn struct {
	noun    keys.Type
	id      keys.ID
	dialect string
}

// NewCompartment is the wish for a compartment. A zero ID is chosen at random.
type NewCompartment struct {
	ID, Tenant, Parent keys.ID // Parent zero: the root
	Name               string
	Names              keys.Names
}

// CreateCompartment makes a compartment in a tenant's tree.
func (s *Service) CreateCompartment(ctx context.Context, c *Call, req NewCompartment) (*keys.Compartment, error) {
	if req.Name == "" {
		return nil, keys.Missing("name")
	}
	var out keys.Compartment
	_, err := do(ctx, s, c, keys.ManageIdentity, nil, func(m *mutation) (nothing, error) {
		m.ev.Tenant = req.Tenant
		if err := m.may(keys.ManageIdentity, identity.Resource{Tenant: req.Tenant}); err != nil {
			return nothing{}, err
		}
		parent := keys.Compartment{ID: orElse(req.Parent, req.Tenant)}
		if err := m.tx.Load(&parent); err != nil || parent.Tenant != req.Tenant {
			return nothing{}, notFound(errors.Join(err, store.ErrNotFound), keys.TypeCompartment)
		}
		out = keys.Compartment{ID: req.ID, Tenant: req.Tenant, Parent: parent.ID, Name: req.Name, Names: req.Names, CreatedAt: m.now}
		if out.ID.IsZero() {
			var err error
			if out.ID, err = keys.NewID(s.rand); err != nil {
				return nothing{}, err
			}
		}
		err := errors.Join(m.tx.Put(&out), m.names(keys.TypeCompartment, out.ID, out.Names))
		return nothing{}, exists(err, keys.TypeCompartment, "a compartment with this name exists")
	})
	return &out, err
}

// Compartments lists a tenant's compartments, the root included.
func (s *Service) Compartments(ctx context.Context, c *Call, tenant keys.ID) ([]*keys.Compartment, error) {
	return readTenant(ctx, s, c, tenant, store.Tx.Compartments)
}

// CompartmentName is a compartment's name in a dialect; the root's is its tenant's.
func (s *Service) CompartmentName(ctx context.Context, tenant, compartment keys.ID, dialect string) (string, error) {
	if compartment == tenant {
		return s.TenantName(ctx, tenant, dialect)
	}
	comp := &keys.Compartment{ID: compartment}
	return s.nameOf(ctx, compartment, dialect, keys.TypeCompartment, comp, &comp.Names)
}

// readTenant reads a list that belongs to a tenant.
func readTenant[T any](ctx context.Context, s *Service, c *Call, tenant keys.ID, list func(store.Tx, keys.ID) ([]T, error)) ([]T, error) {
	return read(ctx, s, c, keys.ReadIdentity, func(m *mutation) ([]T, error) {
		m.ev.Tenant = tenant
		if err := m.may(keys.ReadIdentity, identity.Resource{Tenant: tenant}); err != nil {
			return nil, err
		}
		if _, err := store.LoadTenant(m.tx, tenant); err != nil {
			return nil, notFound(err, keys.TypeTenant)
		}
		return list(m.tx, tenant)
	})
}

// AddExternalID gives a record another name in a dialect, such as an id carried over from the cloud.
func (s *Service) AddExternalID(ctx context.Context, c *Call, x store.ExternalID) error {
	_, err := do(ctx, s, c, keys.ManageIdentity, nil, func(m *mutation) (nothing, error) {
		m.ev.Tenant = x.Tenant
		if err := m.may(keys.ManageIdentity, identity.Resource{Tenant: x.Tenant}); err != nil {
			return nothing{}, err
		}
		err := m.tx.Put(&x)
		return nothing{}, exists(err, x.Type, fmt.Sprintf("the name %s is taken", x.Name))
	})
	return err
}
