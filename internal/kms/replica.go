// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"claviger/internal/audit"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// Replica is a vault's replica as seen at one moment.
type Replica struct {
	keys.Replica
	ETag string
}

func viewReplica(r *keys.Replica) *Replica {
	return &Replica{Replica: *r, ETag: etag(r.ID, r.Revision, r.State)}
}

// reaches reports whether a vault answers where the call came in: in its own region, or at the
// endpoint of the replica that it has. A data call holds the vault's snapshot from here on, so
// that taking the replica away waits for it.
func (c *Call) reaches(v *keys.Vault) bool {
	if c.Replica.IsZero() {
		return v.Region == c.Region
	}
	return v.ID == c.Vault && v.Replica == c.Replica
}

// home is the region in which names are looked up: the one whose endpoint was called, or that of
// the vault whose replica was. A replica that is no more is store.ErrNotFound.
func (c *Call) home(l lookup) (keys.Region, error) {
	if c.Replica.IsZero() {
		return c.Region, nil
	}
	v, err := l.vault(c.Vault)
	if err != nil {
		return "", err
	}
	if !c.reaches(v) {
		return "", store.ErrNotFound
	}
	return v.Region, nil
}

func readOnly(act keys.Action) error {
	return &keys.Error{
		Kind: keys.KindReadOnly, Noun: keys.TypeReplica, Action: act,
		Hint: "this is a vault's replica, which can be read and used but not changed: ask the vault in its own region",
	}
}

// replicaHere is the replica that a vault of another region has in the call's.
func (m *mutation) replicaHere(v *keys.Vault) (*keys.Replica, error) {
	if !m.c.Profile.Replicas || v.Replica.IsZero() {
		return nil, keys.NotFound(keys.TypeVault)
	}
	r, err := store.LoadReplica(m.tx, v.Replica)
	if err != nil {
		return nil, notFound(err, keys.TypeVault)
	}
	if r.Region != m.c.Region {
		return nil, keys.NotFound(keys.TypeVault)
	}
	return r, nil
}

// vaultNamed finds a vault by a name that was carried over, in the call's region or among those
// that have their replica there.
func (m *mutation) vaultNamed(name string) (keys.ID, error) {
	l := m.lookup()
	id, err := l.external(m.c.Dialect, keys.TypeVault, callerTenant(m.c), m.c.Region, name)
	if !errors.Is(err, store.ErrNotFound) || !m.c.Profile.Replicas {
		return id, err
	}
	rows, err := m.tx.Vaults(store.VaultQuery{Tenant: callerTenant(m.c), ReplicaIn: m.c.Region})
	if err != nil {
		return id, err
	}
	for _, v := range rows {
		id, err := l.external(m.c.Dialect, keys.TypeVault, callerTenant(m.c), v.Region, name)
		if err == nil && id == v.ID {
			return id, nil
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return id, err
		}
	}
	return id, store.ErrNotFound
}

// withReplicated adds to a page of a region's vaults those of other regions that have their
// replica there, in the page's order. Rows beyond the page's limit are for the caller to cut.
func (m *mutation) withReplicated(rows []*keys.Vault, q store.VaultQuery) ([]*keys.Vault, error) {
	q.Region, q.ReplicaIn = "", q.Region
	more, err := m.tx.Vaults(q)
	if err != nil || len(more) == 0 {
		return rows, err
	}
	rows = append(rows, more...)
	slices.SortFunc(rows, func(a, b *keys.Vault) int {
		by := a.CreatedAt.Compare(b.CreatedAt)
		if q.Page.Sort == store.ByName {
			by = cmp.Compare(a.Name, b.Name)
		}
		by = cmp.Or(by, slices.Compare(a.ID[:], b.ID[:]))
		if q.Page.Desc {
			return -by
		}
		return by
	})
	return rows, nil
}

// Replicated is what making a replica, or taking one away, came to.
type Replicated struct {
	Vault   *Vault
	Replica *keys.Replica // which was made, was there already, or was deleted
	Work    *keys.WorkRequest
	There   bool // nothing was done: the replica was there already
}

func (r *Replicated) unchanged() bool { return r.There }

// identity is the vault's once the replica is deleted: the answer to its deletion can be repeated,
// and the one to its making cannot.
func (r *Replicated) identity() (keys.Type, keys.ID) {
	if r.Replica.State == keys.Deleted {
		return r.Vault.identity()
	}
	return keys.TypeReplica, r.Replica.ID
}

func (r *Replicated) records() records {
	return records{Vault: &r.Vault.Vault, Replica: r.Replica, Work: r.Work}
}

// CreateReplica gives a vault a replica in another region: an endpoint there at which the vault
// and its keys can be read and used. Where it has one there already, that one is the answer; one
// in another region is in the way (KindState, noun replica). KindInvalid, field "replicaRegion",
// is a region that is not served or the vault's own.
func (s *Service) CreateReplica(ctx context.Context, c *Call, ref VaultRef, region keys.Region) (*Replicated, error) {
	return withEndpoint(s, func(id keys.ID) (*Replicated, error) { return s.createReplica(ctx, c, ref, region, id) })
}

func (s *Service) createReplica(ctx context.Context, c *Call, ref VaultRef, region keys.Region, id keys.ID) (*Replicated, error) {
	endpoint := ""
	prepare := func(ev *audit.Event) error {
		var there *keys.Replica
		err := s.store.View(ctx, func(tx store.Tx) (err error) {
			m := &mutation{tx: tx, c: c, who: c.Who, now: s.clock.Now(), ev: ev}
			_, there, err = m.replicable(s, ref, region)
			return err
		})
		if err != nil || there != nil || s.endpoints == nil {
			return err
		}
		if endpoint, err = s.endpoints.Reserve(ctx, id); err != nil {
			return &keys.Error{Kind: keys.KindLimit, Noun: keys.TypeReplica, Err: err, Hint: "no endpoint is free for a replica: " + err.Error()}
		}
		return nil
	}
	// Who leaves must not leave a replica behind whose endpoint nobody opens.
	out, err := s.replicate(context.WithoutCancel(ctx), c, keys.CreateReplica, prepare, func(m *mutation) (*keys.Vault, *keys.Replica, error) {
		v, there, err := m.replicable(s, ref, region)
		switch {
		case err != nil, there != nil:
			return v, there, err
		case endpoint == "" && s.endpoints != nil: // it was there a moment ago
			return nil, nil, &keys.Error{Kind: keys.KindTransient, Noun: keys.TypeReplica, State: keys.Deleted, Action: keys.CreateReplica, Hint: "the vault's replica is just being deleted: try again"}
		}
		r := &keys.Replica{ID: id, Tenant: v.Tenant, Vault: v.ID, Region: region, Endpoint: endpoint, State: keys.Active, CreatedAt: m.now}
		v.Replica = id
		return v, r, errors.Join(m.tx.Put(r), m.tx.Put(v))
	})
	made := err == nil && out.Replica.ID == id
	if endpoint != "" && !made && !errors.Is(err, store.ErrUnknown) {
		s.endpoints.Release(endpoint)
	}
	if !made || s.endpoints == nil {
		return out, err
	}
	if err := s.endpoints.OpenReplica(out.Replica); err != nil {
		return nil, &keys.Error{Kind: keys.KindInternal, Err: fmt.Errorf("open endpoint of replica %s: %w", id, err)}
	}
	return out, nil
}

// replicate is the way of both changes of a replica: the work request that they are known by is
// done when they are.
func (s *Service) replicate(ctx context.Context, c *Call, act keys.Action, prepare func(*audit.Event) error, change func(*mutation) (*keys.Vault, *keys.Replica, error)) (*Replicated, error) {
	work, err := s.newWork(act)
	if err != nil {
		return nil, translate(err)
	}
	return do(ctx, s, c, act, prepare, func(m *mutation) (*Replicated, error) {
		v, r, err := change(m)
		if err != nil {
			return nil, err
		}
		m.ev.Replica, m.ev.Region = r.ID, r.Region
		out := &Replicated{Vault: viewVault(v, m.now), Replica: r, There: act == keys.CreateReplica && r.Revision != m.tx.Revision()}
		out.Work, err = m.finishedWork(work, v, v.Compartment, keys.WorkResource{
			Type: keys.TypeVault, ID: v.ID, Vault: v.ID, Region: v.Region, Effect: keys.WorkUpdated,
		})
		return out, err
	})
}

// replicable finds a vault that may have a replica in the region, and the one that is there already.
func (m *mutation) replicable(s *Service, ref VaultRef, region keys.Region) (*keys.Vault, *keys.Replica, error) {
	v, _, err := m.vault(ref, keys.CreateReplica)
	if err != nil {
		return nil, nil, err
	}
	if err := m.match(viewVault(v, m.now).ETag); err != nil {
		return nil, nil, err
	}
	switch {
	case region == v.Region:
		return nil, nil, keys.Invalid("replicaRegion", "this is the vault's own region")
	case !slices.Contains(s.regions, region):
		return nil, nil, keys.Invalid("replicaRegion", "this server has no such region")
	case v.Replica.IsZero():
		return v, nil, nil
	}
	there, err := store.LoadReplica(m.tx, v.Replica)
	if err == nil {
		err = m.c.gate(keys.CreateReplica, Thing{Vault: v, Replica: there})
	}
	if err == nil && there.Region != region {
		err = &keys.Error{
			Kind: keys.KindState, Noun: keys.TypeReplica, State: there.State, Action: keys.CreateReplica,
			Hint: fmt.Sprintf("the vault has its replica in region %s: delete that one first", there.Region),
		}
	}
	return v, there, err
}

// DeleteReplica takes a vault's replica in a region away. When it returns, nothing is answered
// through it any more. KindNotFound, noun replica, where there is none.
func (s *Service) DeleteReplica(ctx context.Context, c *Call, ref VaultRef, region keys.Region) (*Replicated, error) {
	return s.replicate(ctx, c, keys.DeleteReplica, nil, func(m *mutation) (*keys.Vault, *keys.Replica, error) {
		v, _, err := m.vault(ref, keys.DeleteReplica)
		if err != nil {
			return nil, nil, err
		}
		if err := m.match(viewVault(v, m.now).ETag); err != nil {
			return nil, nil, err
		}
		r, err := m.replicaOf(v)
		if err == nil && r.Region != region {
			err = keys.NotFound(keys.TypeReplica)
		}
		if err == nil {
			err = m.c.gate(keys.DeleteReplica, Thing{Vault: v, Replica: r})
		}
		if err != nil {
			return nil, nil, err
		}
		v.Replica = keys.ID{}
		return v, r, errors.Join(m.buryReplica(r, m.now), m.tx.Put(v))
	})
}

// replicaOf is the replica that a vault has.
func (m *mutation) replicaOf(v *keys.Vault) (*keys.Replica, error) {
	if v.Replica.IsZero() {
		return nil, keys.NotFound(keys.TypeReplica)
	}
	r, err := store.LoadReplica(m.tx, v.Replica)
	return r, notFound(err, keys.TypeReplica)
}

// buryReplica leaves the tombstone of a replica, which keeps its endpoint from being given to
// somebody else while clients still know it.
func (m *mutation) buryReplica(r *keys.Replica, at time.Time) error {
	r.State, r.DeleteAt = keys.Deleted, at
	return m.tx.Put(r)
}

// Replicas lists where a vault is replicated to: at most one region. The call's if-match applies.
func (s *Service) Replicas(ctx context.Context, c *Call, ref VaultRef) (*Vault, []*Replica, error) {
	var out []*Replica
	v, err := read(ctx, s, c, keys.ReadReplica, func(m *mutation) (*Vault, error) {
		v, _, err := m.vault(ref, keys.ReadReplica)
		if err != nil {
			return nil, err
		}
		view := viewVault(v, m.now)
		view.Through = m.through
		if err := m.match(view.ETag); err != nil || v.Replica.IsZero() || view.State == keys.Deleted {
			return view, err
		}
		r, err := m.replicaOf(v)
		if err == nil {
			out = append(out, viewReplica(r))
		}
		return view, err
	})
	return v, out, err
}

// Replication finds the replica with an id that the vault has whose endpoint was called.
func (s *Service) Replication(ctx context.Context, c *Call, id keys.ID) (*Replica, error) {
	return read(ctx, s, c, keys.ReadReplica, func(m *mutation) (*Replica, error) {
		if m.who == nil {
			return nil, &keys.Error{Kind: keys.KindUnauthenticated}
		}
		v, err := store.LoadVault(m.tx, c.Vault)
		if err != nil {
			return nil, notFound(err, keys.TypeVault)
		}
		if !m.who.System() && (v.Tenant != m.who.Tenant || !c.reaches(v)) {
			return nil, keys.NotFound(keys.TypeVault)
		}
		m.ev.Tenant = v.Tenant
		if err := m.may(keys.ReadReplica, identity.Resource{Tenant: v.Tenant, Vault: v.ID}); err != nil {
			return nil, err
		}
		r, err := m.replicaOf(v)
		if err == nil && (r.ID != id || v.Effective(m.now) == keys.Deleted) {
			err = keys.NotFound(keys.TypeReplica)
		}
		if err == nil {
			err = c.gate(keys.ReadReplica, Thing{Vault: v, Replica: r})
		}
		if err != nil {
			return nil, err
		}
		return viewReplica(r), nil
	})
}

// AllReplicas lists every vault's replica, tombstones included: whose endpoints are to be opened,
// and which must stay free.
func (s *Service) AllReplicas(ctx context.Context) ([]*keys.Replica, error) {
	var out []*keys.Replica
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		out, err = tx.Replicas(keys.ID{})
		return err
	})
	return out, err
}
