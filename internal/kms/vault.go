// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"fmt"
	"time"

	"claviger/internal/audit"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/secret"
	"claviger/internal/store"
)

// CreateVault makes a vault with a KEK and an endpoint of its own. Where another node has given away
// the endpoint meanwhile, and this one does not know of it yet, it takes the next.
func (s *Service) CreateVault(ctx context.Context, c *Call, req NewVault) (*Vault, error) {
	return withEndpoint(s, func(id keys.ID) (*Vault, error) { return s.createVault(ctx, c, req, vaultSeed{id: id}) })
}

// withEndpoint makes something that has an endpoint. Another node may give the same one away at the
// same time: whose change comes second takes another.
func withEndpoint[T any](s *Service, create func(id keys.ID) (T, error)) (T, error) {
	const most = 16
	for try := 1; ; try++ {
		id, err := keys.NewID(s.rand)
		if err != nil {
			var none T
			return none, translate(err)
		}
		out, err := create(id)
		if s.fleet == nil || !keys.IsKind(err, keys.KindExists) || try == most {
			return out, err
		}
	}
}

// vaultSeed is what bootstrap and seeding choose about a vault; requests cannot.
type vaultSeed struct {
	id        keys.ID
	tenant    keys.ID     // zero: the caller's
	region    keys.Region // "": the call's
	isDefault bool
}

func (s *Service) createVault(ctx context.Context, c *Call, req NewVault, seed vaultSeed) (*Vault, error) {
	v := &keys.Vault{
		ID: seed.id, Tenant: orElse(seed.tenant, callerTenant(c)), Region: orElse(seed.region, c.Region),
		Name: req.Name, Kind: req.Kind, Default: seed.isDefault, State: keys.Active, Tags: req.Tags, KEKGeneration: firstGeneration,
	}
	var kekRec *store.KEK
	var kek secret.Bytes
	prepare := func(*audit.Event) error {
		if err := may(c.Who, keys.CreateVault, identity.Resource{Tenant: v.Tenant}); err != nil {
			return err
		}
		under, err := s.tenantNow(ctx, v.Tenant)
		if err != nil {
			return err
		}
		if kekRec, kek, err = s.hierarchy.newKEK(under, v.Tenant, v.ID, firstGeneration, s.clock.Now()); err != nil {
			return err
		}
		if s.endpoints == nil || v.Endpoint != "" {
			return nil
		}
		v.Endpoint, err = s.endpoints.Reserve(ctx, v.ID)
		if err != nil {
			return &keys.Error{Kind: keys.KindLimit, Noun: keys.TypeVault, Err: err, Hint: "no endpoint is free for another vault: " + err.Error()}
		}
		return nil
	}
	// Who leaves must not leave a vault behind whose endpoint nobody opens.
	out, err := do(context.WithoutCancel(ctx), s, c, keys.CreateVault, prepare, func(m *mutation) (*Vault, error) {
		m.ev.Vault = v.ID
		return s.insertVault(m, *v, *kekRec, req.Compartment)
	})
	if err != nil {
		// Where nobody knows whether the vault is there, its endpoint stays taken.
		if v.Endpoint != "" && !errors.Is(err, store.ErrUnknown) {
			s.endpoints.Release(v.Endpoint)
		}
		return nil, err
	}
	if out.ID != v.ID { // an idempotent repeat
		if v.Endpoint != "" {
			s.endpoints.Release(v.Endpoint)
		}
		return out, nil
	}
	s.hierarchy.remember(v.ID, firstGeneration, kek)
	if s.endpoints != nil {
		if err := s.endpoints.Open(&out.Vault); err != nil {
			return nil, &keys.Error{Kind: keys.KindInternal, Err: fmt.Errorf("open endpoint of vault %s: %w", v.ID, err)}
		}
	}
	return out, nil
}

func callerTenant(c *Call) keys.ID {
	if c.Who == nil {
		return keys.ID{}
	}
	return c.Who.Tenant
}

func (s *Service) insertVault(m *mutation, v keys.Vault, kek store.KEK, compartment string) (*Vault, error) {
	if err := m.may(keys.CreateVault, identity.Resource{Tenant: v.Tenant}); err != nil {
		return nil, err
	}
	if err := tagsFit(v.Tags, m.c.Profile); err != nil {
		return nil, err
	}
	if err := m.quota(store.Counter{Type: keys.TypeVault, Tenant: v.Tenant, Region: v.Region}, m.c.Profile.VaultsPerRegion); err != nil {
		return nil, err
	}
	var err error
	if v.Compartment, err = m.compartment(v.Tenant, compartment); err != nil {
		return nil, err
	}
	if err := kekInForce(m.tx, &kek, v.Tenant); err != nil {
		return nil, err
	}
	v.CreatedAt = m.now
	if err := errors.Join(m.tx.Put(&v), m.tx.Put(&kek)); err != nil {
		return nil, err
	}
	return viewVault(&v, m.now), nil
}

// quota refuses one more of what counter counts; most 0 is no limit.
func (m *mutation) quota(counter store.Counter, most int) error {
	if most == 0 {
		return nil
	}
	n, err := m.tx.Count(counter)
	if err != nil {
		return err
	}
	if n >= most {
		return &keys.Error{
			Kind: keys.KindLimit, Noun: counter.Type,
			Hint: fmt.Sprintf("there are %d of at most %d in this tenant and region", n, most),
		}
	}
	return nil
}

// compartment resolves a compartment's name in the call's dialect; "" is the root.
func (m *mutation) compartment(tenant keys.ID, name string) (keys.ID, error) {
	id, err := compartmentID(m.tx, m.c.Dialect, tenant, name)
	if errors.Is(err, store.ErrNotFound) {
		return id, &keys.Error{
			Kind: keys.KindRelatedNotFound, Noun: keys.TypeCompartment, Field: "compartmentId",
			Hint: "this tenant has no such compartment",
		}
	}
	return id, err
}

// compartmentID finds a compartment by its name in a dialect. The root compartment has its
// tenant's ID and, in every dialect, its name.
func compartmentID(tx store.Tx, dialect string, tenant keys.ID, name string) (keys.ID, error) {
	if name == "" {
		return tenant, nil
	}
	for _, t := range []keys.Type{keys.TypeCompartment, keys.TypeTenant} {
		x := store.ExternalID{Dialect: dialect, Type: t, Name: name}
		switch err := tx.Load(&x); {
		case errors.Is(err, store.ErrNotFound):
			continue
		case err != nil:
			return keys.ID{}, err
		}
		comp := keys.Compartment{ID: x.ID}
		if err := tx.Load(&comp); err != nil {
			return keys.ID{}, err
		}
		if comp.Tenant != tenant {
			return keys.ID{}, store.ErrNotFound
		}
		return x.ID, nil
	}
	return keys.ID{}, store.ErrNotFound
}

// vault finds a vault of the caller's tenant and region and authorizes and steps act on it.
func (m *mutation) vault(ref VaultRef, act keys.Action) (*keys.Vault, keys.State, error) {
	if m.who == nil {
		return nil, "", &keys.Error{Kind: keys.KindUnauthenticated}
	}
	id, err := m.vaultID(ref)
	if err != nil {
		return nil, "", err
	}
	v, err := store.LoadVault(m.tx, id)
	if err != nil {
		return nil, "", notFound(err, keys.TypeVault)
	}
	m.told.tell(v.Revision)
	if ref.HideDeleted && v.Effective(m.now) == keys.Deleted {
		return nil, "", keys.NotFound(keys.TypeVault)
	}
	if !m.who.System() && v.Tenant != m.who.Tenant || (ref.Accept != nil && !ref.Accept(v)) {
		return nil, "", keys.NotFound(keys.TypeVault)
	}
	if !m.who.System() && v.Region != m.c.Region {
		if m.through, err = m.replicaHere(v); err != nil {
			return nil, "", err
		}
		m.ev.Replica, m.ev.Region = m.through.ID, m.through.Region
	}
	m.ev.Tenant, m.ev.Vault = v.Tenant, v.ID
	if err := m.may(act, identity.Resource{Tenant: v.Tenant, Vault: v.ID}); err != nil {
		return nil, "", err
	}
	if m.through != nil && !keys.ThroughReplica(act) {
		return nil, "", readOnly(act)
	}
	if err := m.c.gate(act, Thing{Vault: v, Replica: m.through}); err != nil {
		return nil, "", err
	}
	next, err := keys.VaultLifecycle.Step(act, v.Effective(m.now), keys.Active)
	return v, next, err
}

// vaultID follows a vault reference as far as its id.
func (m *mutation) vaultID(ref VaultRef) (keys.ID, error) {
	if ref.External == "" {
		return ref.ID, nil
	}
	id, err := m.vaultNamed(ref.External)
	return id, notFound(err, keys.TypeVault)
}

// changeVault is the way of every change of one vault.
func (s *Service) changeVault(ctx context.Context, c *Call, ref VaultRef, act keys.Action, change func(*mutation, *keys.Vault) error) (*Vault, error) {
	return do(ctx, s, c, act, nil, func(m *mutation) (*Vault, error) {
		v, next, err := m.vault(ref, act)
		if err != nil {
			return nil, err
		}
		if err := m.match(viewVault(v, m.now).ETag); err != nil {
			return nil, err
		}
		v.State = next
		if err := change(m, v); err != nil {
			return nil, err
		}
		if err := m.tx.Put(v); err != nil {
			return nil, err
		}
		return viewVault(v, m.now), nil
	})
}

// Vault reads a vault.
func (s *Service) Vault(ctx context.Context, c *Call, ref VaultRef) (*Vault, error) {
	return read(ctx, s, c, keys.ReadVault, func(m *mutation) (*Vault, error) {
		v, _, err := m.vault(ref, keys.ReadVault)
		if err != nil {
			return nil, err
		}
		view := viewVault(v, m.now)
		view.Through = m.through
		return view, busyVaults(m.tx, view)
	})
}

// Vaults lists the vaults of a compartment, or of the whole tenant when compartment is "",
// in the call's region; for dialects that show replicas also those that have their replica there.
func (s *Service) Vaults(ctx context.Context, c *Call, compartment string, p Page) (*List[*Vault], error) {
	return read(ctx, s, c, keys.ListVaults, func(m *mutation) (*List[*Vault], error) {
		tenant := callerTenant(c)
		if err := m.may(keys.ListVaults, identity.Resource{Tenant: tenant}); err != nil {
			return nil, err
		}
		q := store.VaultQuery{Tenant: tenant, Region: c.Region}
		if compartment != "" {
			var err error
			if q.Compartment, err = compartmentID(m.tx, c.Dialect, tenant, compartment); err != nil {
				return nil, notFound(err, keys.TypeCompartment)
			}
		}
		list := listName("vaults", tenant.String(), string(c.Region), compartment, fmt.Sprint(p.ByName, p.Desc))
		var err error
		if q.Page, err = s.storePage(list, p); err != nil {
			return nil, err
		}
		rows, err := m.tx.Vaults(q)
		if err == nil && c.Profile.Replicas {
			rows, err = m.withReplicated(rows, q)
		}
		if err != nil {
			return nil, err
		}
		rows, more := cut(rows, p.Limit)
		out := &List[*Vault]{Total: -1}
		for _, v := range rows {
			view := viewVault(v, m.now)
			if v.Region != c.Region {
				if view.Through, err = m.replicaHere(v); err != nil {
					return nil, err
				}
			}
			out.Items = append(out.Items, view)
		}
		if more {
			last := rows[len(rows)-1]
			out.Next = s.encodeCursor(list, cursor{mark: store.Mark{Time: last.CreatedAt, Name: last.Name, ID: last.ID}})
		}
		return out, busyVaults(m.tx, out.Items...)
	})
}

// UpdateVault changes a vault's name and tags.
func (s *Service) UpdateVault(ctx context.Context, c *Call, ref VaultRef, u VaultUpdate) (*Vault, error) {
	return s.changeVault(ctx, c, ref, keys.UpdateVault, func(m *mutation, v *keys.Vault) error {
		if u.Name != nil {
			v.Name = *u.Name
		}
		if u.Plain != nil {
			v.Tags.Plain = *u.Plain
		}
		if u.Namespaced != nil {
			v.Tags.Namespaced = *u.Namespaced
		}
		return tagsFit(v.Tags, m.c.Profile)
	})
}

// MoveVault moves a vault to another compartment of its tenant.
func (s *Service) MoveVault(ctx context.Context, c *Call, ref VaultRef, compartment string) (*Vault, error) {
	return s.changeVault(ctx, c, ref, keys.MoveVault, func(m *mutation, v *keys.Vault) (err error) {
		v.Compartment, err = m.compartment(v.Tenant, compartment)
		return err
	})
}

// ScheduleVaultDeletion makes a vault and everything in it unusable at once and erases it
// when the retention ends. A key scheduled for later than that is in its way.
func (s *Service) ScheduleVaultDeletion(ctx context.Context, c *Call, ref VaultRef, at time.Time) (*Vault, error) {
	return s.changeVault(ctx, c, ref, keys.ScheduleVaultDeletion, func(m *mutation, v *keys.Vault) error {
		var err error
		if v.DeleteAt, err = retention(at, m.now, m.c.Profile.VaultRetention); err != nil {
			return err
		}
		if err := m.holdsNoProtected(v); err != nil {
			return err
		}
		pending, err := m.tx.Keys(store.KeyQuery{Vault: v.ID, State: keys.PendingDeletion})
		if err != nil {
			return err
		}
		for _, k := range pending {
			if k.DeleteAt.After(v.DeleteAt) {
				return &keys.Error{
					Kind: keys.KindState, Noun: keys.TypeVault, State: keys.Active, Action: keys.ScheduleVaultDeletion,
					Hint: fmt.Sprintf("key %s is scheduled for %s, later than the vault: cancel its deletion first", k.ID, k.DeleteAt.Format(time.RFC3339)),
				}
			}
		}
		return nil
	})
}

// CancelVaultDeletion brings a vault back, and with it every key that was not scheduled itself.
func (s *Service) CancelVaultDeletion(ctx context.Context, c *Call, ref VaultRef) (*Vault, error) {
	return s.changeVault(ctx, c, ref, keys.CancelVaultDeletion, func(_ *mutation, v *keys.Vault) error {
		v.DeleteAt = time.Time{}
		return nil
	})
}

// retentionSlack forgives the time that a request was on its way: a client that asks for
// exactly the least retention computed it before the server received it.
const retentionSlack = time.Minute

// retention checks a wished erasure time against the profile's window; zero is the default. Clouds
// show whole seconds, so the time that counts is one: what is shown is when it happens.
func retention(at, now time.Time, w keys.Window) (time.Time, error) {
	if at.IsZero() {
		at = now.Add(w.Default)
	}
	at = at.UTC().Truncate(time.Second)
	if d := at.Sub(now); d < w.Min-retentionSlack || d > w.Max+retentionSlack {
		return at, keys.Invalid("timeOfDeletion", fmt.Sprintf(
			"must be %d to %d days from now; the server's time is %s", int(w.Min/keys.Day), int(w.Max/keys.Day), now.Format(time.RFC3339)))
	}
	return at, nil
}

func tagsFit(t keys.Tags, p *keys.Profile) error {
	if p.MaxTags > 0 && len(t.Plain) > p.MaxTags {
		return keys.Invalid("tags", fmt.Sprintf("%d tags, at most %d are allowed", len(t.Plain), p.MaxTags))
	}
	return nil
}

// AllVaults lists every vault, tombstones included: whose endpoints are to be opened, and
// which must stay free.
func (s *Service) AllVaults(ctx context.Context) ([]*keys.Vault, error) {
	var out []*keys.Vault
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		out, err = tx.Vaults(store.VaultQuery{})
		return err
	})
	return out, err
}
