// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"claviger/internal/audit"
	"claviger/internal/engine"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// CreateKey makes a key with its first version. One of origin [keys.Imported] has none: it waits
// for its material.
func (s *Service) CreateKey(ctx context.Context, c *Call, req NewKey) (*Key, error) {
	return s.createKey(ctx, c, req, func(ctx context.Context, vault *keys.Vault, k *keys.Key, v *keys.Version) error {
		if req.Origin == keys.Imported {
			*v = keys.Version{}
			return nil
		}
		return s.newVersion(ctx, k.ID, vault, req.Spec, v)
	})
}

// fill fills a key's first version, whose ID is set, or takes the ID away.
type fill func(ctx context.Context, vault *keys.Vault, k *keys.Key, v *keys.Version) error

func (s *Service) createKey(ctx context.Context, c *Call, req NewKey, first fill) (*Key, error) {
	k, v := &keys.Key{}, &keys.Version{}
	prepare := func(ev *audit.Event) error { return s.prepareKey(ctx, c, ev, req, k, v, first) }
	return do(ctx, s, c, keys.CreateKey, prepare, func(m *mutation) (*Key, error) {
		return s.insertKey(m, req, *k, *v)
	})
}

// prepareKey checks what can be checked before the slow part, and makes the material.
func (s *Service) prepareKey(ctx context.Context, c *Call, ev *audit.Event, req NewKey, k *keys.Key, v *keys.Version, first fill) error {
	if err := newKeyFits(req); err != nil {
		return err
	}
	if req.Protection == keys.HSM && s.hsm != SoftwareLabelled {
		return &keys.Error{
			Kind: keys.KindUnsupported, Noun: keys.TypeKey, Field: "protection",
			Hint: "this server has no HSM: ask for protection SOFTWARE, or set hsm_keys = \"software-labelled\" to keep HSM keys in software",
		}
	}
	var vault *keys.Vault
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		m := &mutation{tx: tx, c: c, who: c.Who, now: s.clock.Now(), ev: ev, told: &c.told}
		id := req.Vault
		if req.VaultName != "" {
			if id, err = m.vaultID(VaultRef{External: req.VaultName}); err != nil {
				return err
			}
		}
		vault, err = m.vaultForKey(id)
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range []*keys.ID{&k.ID, &v.ID} {
		if *id, err = keys.NewID(s.rand); err != nil {
			return err
		}
	}
	k.Tenant, k.Vault, k.Region = vault.Tenant, vault.ID, vault.Region
	return first(ctx, vault, k, v)
}

// newVersion fills v with fresh material for a key; v.ID is set.
func (s *Service) newVersion(ctx context.Context, key keys.ID, vault *keys.Vault, spec keys.Spec, v *keys.Version) error {
	material, err := s.pool.Generate(ctx, spec)
	if err != nil {
		return fmt.Errorf("generate %s: %w", spec, err)
	}
	defer material.Private.Wipe()
	return s.fillVersion(ctx, key, vault, v, keys.Generated, material)
}

func (s *Service) fillVersion(ctx context.Context, key keys.ID, vault *keys.Vault, v *keys.Version, origin keys.Origin, material engine.Material) error {
	v.Tenant, v.Vault, v.Region, v.Key = vault.Tenant, vault.ID, vault.Region, key
	v.State, v.Origin, v.PublicKey = keys.Enabled, origin, material.Public
	return s.sealMaterial(ctx, v, vault.KEKGeneration, material.Private)
}

func newKeyFits(req NewKey) error {
	switch {
	case !req.Spec.Valid():
		return keys.Invalid("spec", "unknown key spec")
	case engine.Supported(req.Spec) != nil:
		return &keys.Error{Kind: keys.KindUnsupported, Field: "spec", Hint: "this server makes no " + string(req.Spec) + " keys: " + engine.Supported(req.Spec).Error()}
	case req.Usages == 0 || !req.Spec.Usages().Has(req.Usages):
		return &keys.Error{Kind: keys.KindUnsupported, Field: "usage", Hint: "a " + string(req.Spec) + " key cannot be used to " + req.Usages.String()}
	case req.Origin == keys.Imported:
		return importable(req.Spec)
	case req.Origin != keys.Generated:
		return &keys.Error{Kind: keys.KindUnsupported, Field: "origin", Hint: "keys in a key manager elsewhere are not supported"}
	}
	return nil
}

// vaultForKey finds the vault of a new key: the one asked for, the one whose endpoint was
// called, or the tenant's default vault of the region.
func (m *mutation) vaultForKey(id keys.ID) (*keys.Vault, error) {
	if id.IsZero() {
		id = m.c.Vault
	}
	if id.IsZero() {
		var err error
		if id, err = m.defaultVault(); err != nil {
			return nil, err
		}
	}
	v, err := store.LoadVault(m.tx, id)
	if err != nil {
		return nil, notFound(err, keys.TypeVault)
	}
	if m.who == nil || (!m.who.System() && (v.Tenant != m.who.Tenant || !m.c.reaches(v))) {
		return nil, keys.NotFound(keys.TypeVault)
	}
	m.told.tell(v.Revision)
	m.ev.Tenant, m.ev.Vault = v.Tenant, v.ID
	if err := m.may(keys.CreateKey, identity.Resource{Tenant: v.Tenant, Vault: v.ID}); err != nil {
		return nil, err
	}
	if !m.c.Replica.IsZero() {
		return nil, readOnly(keys.CreateKey)
	}
	if err := m.c.gate(keys.UseVault, Thing{Vault: v}); err != nil {
		return nil, err
	}
	_, err = keys.VaultLifecycle.Step(keys.UseVault, v.Effective(m.now), keys.Active)
	return v, err
}

func (s *Service) insertKey(m *mutation, req NewKey, k keys.Key, v keys.Version) (*Key, error) {
	vault, err := m.vaultForKey(k.Vault)
	if err != nil {
		return nil, err
	}
	m.ev.Tenant, m.ev.Vault, m.ev.Key, m.ev.Version = k.Tenant, k.Vault, k.ID, v.ID
	if err := m.quota(store.Counter{Type: keys.TypeKey, Tenant: k.Tenant, Region: k.Region}, m.c.Profile.KeysPerRegion); err != nil {
		return nil, err
	}
	if k.Compartment, err = m.compartment(k.Tenant, req.Compartment); err != nil {
		return nil, err
	}
	k.Name, k.Description, k.Spec, k.Usages = req.Name, req.Description, req.Spec, req.Usages
	k.Origin, k.Protection, k.Tags = req.Origin, req.Protection, req.Tags
	if m.who != nil {
		k.Creator = m.who.Principal
	}
	if k.CreatedAt.IsZero() {
		k.CreatedAt = m.now
	}
	k.State = keys.PendingImport
	if !v.ID.IsZero() {
		if err := inForce(v.KEKGeneration, vault.KEKGeneration); err != nil {
			return nil, err
		}
		k.State, k.Primary, k.Versions, k.LastVersionAt = keys.Enabled, v.ID, 1, k.CreatedAt
		v.Ordinal, v.CreatedAt = 1, k.CreatedAt
	}
	if err := tagsFit(k.Tags, m.c.Profile); err != nil {
		return nil, err
	}
	if req.Rotation != nil {
		if err := setRotation(&k, *req.Rotation, m); err != nil {
			return nil, err
		}
	}
	if err := m.tx.Put(&k); err != nil {
		return nil, err
	}
	if !v.ID.IsZero() {
		if err := m.tx.Put(&v); err != nil {
			return nil, err
		}
	}
	return viewKey(&k, vault, m.now), nil
}

// Key reads a key. The wrapping key of the call's vault is made when it is first asked for.
func (s *Service) Key(ctx context.Context, c *Call, ref KeyRef) (*Key, error) {
	if !c.Vault.IsZero() && ref.ID == keys.WrappingKeyID(c.Vault) {
		if err := s.ensureWrappingKey(ctx, c, keys.ReadKey); err != nil {
			return nil, err
		}
	}
	return read(ctx, s, c, keys.ReadKey, func(m *mutation) (*Key, error) {
		at, _, err := m.locate(ref, keys.ReadKey)
		if err != nil {
			return nil, err
		}
		k := at.view(m.now)
		return k, busyKeys(m.tx, k)
	})
}

// Keys lists keys of the caller's tenant in the call's region, in the call's vault where it has one.
func (s *Service) Keys(ctx context.Context, c *Call, f KeyFilter, p Page) (*List[*Key], error) {
	return read(ctx, s, c, keys.ListKeys, func(m *mutation) (*List[*Key], error) {
		tenant := callerTenant(c)
		if c.Who != nil && c.Who.System() {
			tenant = f.Tenant
		}
		q := store.KeyQuery{
			Tenant: tenant, Region: c.Region, Vault: orElse(f.Vault, c.Vault), Specs: f.Specs,
			Protection: f.Protection, HideDeleted: f.HideDeleted,
		}
		if err := m.may(keys.ListKeys, identity.Resource{Tenant: tenant, Vault: q.Vault}); err != nil {
			return nil, err
		}
		if !c.Replica.IsZero() {
			var err error
			if q.Region, err = c.home(m.lookup()); err != nil {
				return nil, notFound(err, keys.TypeVault)
			}
		}
		if f.Compartment != "" {
			var err error
			if q.Compartment, err = compartmentID(m.tx, c.Dialect, tenant, f.Compartment); err != nil {
				return nil, notFound(err, keys.TypeCompartment)
			}
		}
		return s.listKeys(m, q, f, p)
	})
}

func (s *Service) listKeys(m *mutation, q store.KeyQuery, f KeyFilter, p Page) (*List[*Key], error) {
	specs := make([]string, len(q.Specs))
	for i, spec := range q.Specs {
		specs[i] = string(spec)
	}
	slices.Sort(specs)
	list := listName("keys", q.Tenant.String(), string(q.Region), q.Vault.String(), q.Compartment.String(),
		strings.Join(specs, ","), string(q.Protection), fmt.Sprint(q.HideDeleted, p.ByName, p.Desc))
	scan := p
	if f.Match != nil {
		scan.Offset, scan.Limit = 0, 0 // a filter of the dialect's sees every row
	}
	var err error
	if q.Page, err = s.storePage(list, scan); err != nil {
		return nil, err
	}
	rows, err := m.tx.Keys(q)
	if err != nil {
		return nil, err
	}
	more := false
	if f.Match == nil {
		rows, more = cut(rows, p.Limit)
	}
	views, err := m.viewKeys(rows, f)
	if err != nil {
		return nil, err
	}
	out := &List[*Key]{Items: views, Total: -1}
	if f.Match != nil {
		out.Total = len(views)
		out.Items, more = cut(views[min(p.Offset, len(views)):], p.Limit)
		rows = rowsOf(out.Items)
	} else if q.Compartment.IsZero() && q.Vault.IsZero() && q.Protection == "" && q.HideDeleted {
		if out.Total, err = m.tx.Count(store.Counter{Type: keys.TypeKey, Tenant: q.Tenant, Region: q.Region, Specs: q.Specs}); err != nil {
			return nil, err
		}
	}
	if more {
		last := rows[len(rows)-1]
		out.Next = s.encodeCursor(list, cursor{mark: store.Mark{Time: last.CreatedAt, Name: last.Name, ID: last.ID}})
	}
	return out, busyKeys(m.tx, out.Items...)
}

func rowsOf(views []*Key) []*keys.Key {
	rows := make([]*keys.Key, len(views))
	for i, v := range views {
		rows[i] = &v.Key
	}
	return rows
}

func (m *mutation) viewKeys(rows []*keys.Key, f KeyFilter) ([]*Key, error) {
	vaults := map[keys.ID]*keys.Vault{}
	var out []*Key
	for _, k := range rows {
		v := vaults[k.Vault]
		if v == nil {
			var err error
			if v, err = store.LoadVault(m.tx, k.Vault); err != nil {
				return nil, err
			}
			vaults[k.Vault] = v
		}
		view := viewKey(k, v, m.now)
		view.Through = !m.c.Replica.IsZero()
		hidden := view.State == keys.Deleted || view.State == keys.Restoring
		if v.State == keys.Restoring || (f.HideDeleted && hidden) || (f.Match != nil && !f.Match(view)) {
			continue
		}
		out = append(out, view)
	}
	return out, nil
}

// changeKey is the way of every change of one key. change sees the key with its next state set.
func (s *Service) changeKey(ctx context.Context, c *Call, ref KeyRef, act keys.Action, change func(*mutation, *keys.Key) error) (*Key, error) {
	return do(ctx, s, c, act, nil, func(m *mutation) (*Key, error) {
		at, next, err := m.locate(ref, act)
		if err != nil {
			return nil, err
		}
		if err := m.match(viewKey(at.key, at.vault, m.now).ETag); err != nil {
			return nil, err
		}
		k := at.key
		if next != at.state { // the stored state may be another: a vault or the time decides too
			k.Before, k.State = k.State, next
		}
		if next != keys.PendingDeletion {
			k.Before, k.DeleteAt = "", time.Time{}
		}
		if change != nil {
			if err := change(m, k); err != nil {
				return nil, err
			}
		}
		if err := m.tx.Put(k); err != nil {
			return nil, err
		}
		return viewKey(k, at.vault, m.now), nil
	})
}

// UpdateKey changes a key's names, tags and rotation.
func (s *Service) UpdateKey(ctx context.Context, c *Call, ref KeyRef, u KeyUpdate) (*Key, error) {
	return s.changeKey(ctx, c, ref, orElse(u.Action, keys.UpdateKey), func(m *mutation, k *keys.Key) error {
		if u.Name != nil {
			k.Name = *u.Name
		}
		if u.Description != nil {
			k.Description = *u.Description
		}
		if u.Plain != nil {
			k.Tags.Plain = *u.Plain
		}
		if u.Namespaced != nil {
			k.Tags.Namespaced = *u.Namespaced
		}
		if u.Rotation != nil {
			if err := setRotation(k, *u.Rotation, m); err != nil {
				return err
			}
		}
		return tagsFit(k.Tags, m.c.Profile)
	})
}

// ChangeKeyState applies a lifecycle action that needs nothing more: EnableKey, DisableKey,
// EnsureEnabled, EnsureDisabled, CancelKeyDeletion or RestoreKey.
func (s *Service) ChangeKeyState(ctx context.Context, c *Call, ref KeyRef, act keys.Action) (*Key, error) {
	return s.changeKey(ctx, c, ref, act, nil)
}

// ScheduleKeyDeletion makes a key unusable at once and erases it when the retention ends.
func (s *Service) ScheduleKeyDeletion(ctx context.Context, c *Call, ref KeyRef, at time.Time) (*Key, error) {
	return s.changeKey(ctx, c, ref, keys.ScheduleKeyDeletion, func(m *mutation, k *keys.Key) (err error) {
		if err := unprotected(k, keys.TypeKey, k.ID, keys.ScheduleKeyDeletion); err != nil {
			return err
		}
		k.DeleteAt, err = retention(at, m.now, m.c.Profile.KeyRetention)
		return err
	})
}

// MoveKey moves a key to another compartment of its tenant.
func (s *Service) MoveKey(ctx context.Context, c *Call, ref KeyRef, compartment string) (*Key, error) {
	return s.changeKey(ctx, c, ref, keys.MoveKey, func(m *mutation, k *keys.Key) (err error) {
		k.Compartment, err = m.compartment(k.Tenant, compartment)
		return err
	})
}

// setRotation applies a rotation policy. When the next rotation is already past, it is due now,
// and the one after it an interval from now.
func setRotation(k *keys.Key, p RotationPolicy, m *mutation) error {
	if !p.Enabled {
		k.Rotation = keys.Rotation{Last: k.Rotation.Last, Status: k.Rotation.Status, Message: k.Rotation.Message}
		return nil
	}
	if err := rotates(k, m.c.Profile); err != nil {
		return err
	}
	interval := p.Interval
	if interval == 0 {
		interval = k.Rotation.Interval
	}
	w := m.c.Profile.RotationInterval
	if interval == 0 {
		return keys.Missing("rotationInterval")
	}
	if !w.Contains(interval) {
		return keys.Invalid("rotationInterval", fmt.Sprintf("must be %d to %d days", int(w.Min/keys.Day), int(w.Max/keys.Day)))
	}
	k.Rotation.Interval = interval
	if !p.Start.IsZero() {
		k.Rotation.Start = p.Start.UTC()
	}
	k.Rotation.Next = nextRotation(k)
	if k.Rotation.Start.IsZero() && k.Rotation.Next.Before(m.now) {
		k.Rotation.Next = m.now
	}
	return nil
}

// nextRotation is the first point of the rotation's grid after the last version.
func nextRotation(k *keys.Key) time.Time {
	base, interval := k.Rotation.Start, k.Rotation.Interval
	if base.IsZero() {
		base = k.LastVersionAt
	}
	passed := max(0, k.LastVersionAt.Sub(base)/interval)
	return base.Add((passed + 1) * interval)
}
