// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"fmt"
	"time"

	"claviger/internal/audit"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// Rotate makes a new version of a key by hand; it becomes the primary.
func (s *Service) Rotate(ctx context.Context, c *Call, ref KeyRef) (*Version, error) {
	return s.rotate(ctx, c, ref, true, func(ctx context.Context, vault *keys.Vault, k *keys.Key, v *keys.Version) error {
		return s.newVersion(ctx, k.ID, vault, k.Spec, v)
	})
}

// rotate makes a version that next fills. Where next is quick with symmetric keys, and cannot be refused, it may be
// asked for a caller who may not rotate the key.
func (s *Service) rotate(ctx context.Context, c *Call, ref KeyRef, quick bool, next fill) (*Version, error) {
	v, again := &keys.Version{}, false
	prepare := func(ev *audit.Event) error {
		quick := quick && !again
		again = true
		return s.prepareRotation(ctx, c, ev, ref, quick, v, next)
	}
	return do(ctx, s, c, keys.Rotate, prepare, func(m *mutation) (*Version, error) {
		at, err := m.rotatable(ref)
		if err != nil {
			return nil, err
		}
		return m.addVersion(at, *v)
	})
}

// prepareRotation makes the next version of a key. Whether there may be one the transaction decides. What is
// refused does not use up pairs that are slow to make, so it looks at that before, too, unless it is quick and
// the material costs next to nothing.
func (s *Service) prepareRotation(ctx context.Context, c *Call, ev *audit.Event, ref KeyRef, quick bool, v *keys.Version, next fill) error {
	var k *keys.Key
	var vault *keys.Vault
	if quick {
		k, vault = s.knownSymmetric(ctx, c, ref)
	}
	if k == nil {
		err := s.store.View(ctx, func(tx store.Tx) error {
			m := &mutation{tx: tx, c: c, who: c.Who, now: s.clock.Now(), ev: ev, told: &c.told}
			at, err := m.rotatable(ref)
			if err == nil {
				k, vault = at.key, at.vault
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	var err error
	if v.ID, err = keys.NewID(s.rand); err != nil {
		return err
	}
	return next(ctx, vault, k, v)
}

// knownSymmetric is a key that a request names by its ID, with what of it never changes, and its vault; nil
// unless it is symmetric. The answer is remembered, and held until the call's End.
func (s *Service) knownSymmetric(ctx context.Context, c *Call, ref KeyRef) (*keys.Key, *keys.Vault) {
	if ref.ID.IsZero() || ref.Alias != "" || ref.External != "" {
		return nil, nil
	}
	u := &using{s: s, ctx: ctx, c: c}
	k, err := fromRing(u, ringKey{kind: ofLasting, id: ref.ID}, func(tx store.Tx) (*lasting, error) {
		k, err := store.LoadKey(tx, ref.ID)
		if err != nil {
			return nil, err
		}
		return &lasting{k.Vault, shared(k.Spec)}, nil
	})
	if err != nil || !k.spec.Symmetric() {
		return nil, nil // whatever is wrong shows again
	}
	vault, err := u.vault(k.vault)
	if err != nil {
		return nil, nil
	}
	return &keys.Key{ID: ref.ID, Tenant: vault.Tenant, Vault: vault.ID, Region: vault.Region, Spec: k.spec}, vault
}

// lasting is what of a key never changes.
type lasting struct {
	vault keys.ID
	spec  keys.Spec
}

// rotatable finds a key that may get a version by hand now.
func (m *mutation) rotatable(ref KeyRef) (*located, error) {
	at, _, err := m.locate(ref, keys.Rotate)
	if err != nil {
		return nil, err
	}
	k, p := at.key, m.c.Profile
	if err := m.match(viewKey(k, at.vault, m.now).ETag); err != nil {
		return nil, err
	}
	switch {
	case !mayRotate(k, p):
		return nil, &keys.Error{Kind: keys.KindUnsupported, Noun: keys.TypeKey, Field: "origin", Action: keys.Rotate, Hint: "the material of this key comes from outside"}
	case !k.Spec.Rotates():
		return nil, &keys.Error{Kind: keys.KindUnsupported, Noun: keys.TypeKey, Field: "spec", Action: keys.Rotate, Hint: "a MAC does not name the version that made it: an HMAC key has one version only"}
	case p.AsymmetricRotationOnly && k.Spec.Symmetric():
		return nil, &keys.Error{Kind: keys.KindUnsupported, Noun: keys.TypeKey, Field: "spec", Action: keys.Rotate, Hint: "versions of symmetric keys are made by automatic rotation only"}
	case p.VersionSpacing > 0 && m.now.Before(k.LastVersionAt.Add(p.VersionSpacing)):
		return nil, &keys.Error{
			Kind: keys.KindTooSoon, Noun: keys.TypeVersion, Action: keys.Rotate,
			Hint: fmt.Sprintf("the last version was made at %s and the next may be made from %s on; the server's time is %s",
				k.LastVersionAt.Format(time.RFC3339), k.LastVersionAt.Add(p.VersionSpacing).Format(time.RFC3339), m.now.Format(time.RFC3339)),
		}
	}
	if k.Spec.Symmetric() {
		return at, nil
	}
	return at, m.quota(store.Counter{Type: keys.TypeVersion, Tenant: k.Tenant, Region: k.Region, Specs: asymmetricSpecs()}, p.AsymmetricVersions)
}

// mayRotate reports whether a key of its origin may have further versions. One whose material
// has an end has only that.
func mayRotate(k *keys.Key, p *keys.Profile) bool {
	return k.Origin == keys.Generated || (k.Origin == keys.Imported && p.RotateImported && k.MaterialExpiresAt.IsZero())
}

func asymmetricSpecs() []keys.Spec {
	var out []keys.Spec
	for _, spec := range keys.Specs() {
		if !spec.Symmetric() {
			out = append(out, spec)
		}
	}
	return out
}

// addVersion gives the key its next version and makes it the primary.
func (m *mutation) addVersion(at *located, v keys.Version) (*Version, error) {
	if err := inForce(v.KEKGeneration, at.vault.KEKGeneration); err != nil {
		return nil, err
	}
	k := at.key
	if v.Key != k.ID || v.Vault != at.vault.ID {
		return nil, errResealed // another key than was known by this id: prepared again, from the store
	}
	k.Versions++
	k.Primary, k.LastVersionAt = v.ID, m.now
	if k.Rotation.Interval > 0 && !v.AutoRotated {
		k.Rotation.Next = nextRotation(k)
	}
	v.Ordinal, v.CreatedAt = k.Versions, m.now
	m.ev.Version = v.ID
	if err := errors.Join(m.tx.Put(k), m.tx.Put(&v)); err != nil {
		return nil, err
	}
	return viewVersion(&v, viewKey(k, at.vault, m.now), m.now), nil
}

// Version reads a key version.
func (s *Service) Version(ctx context.Context, c *Call, ref KeyRef, vref VersionRef) (*Version, error) {
	v, err := read(ctx, s, c, keys.ReadVersion, func(m *mutation) (*Version, error) {
		at, _, err := m.locate(ref, keys.ReadVersion)
		if err != nil {
			return nil, err
		}
		v, err := versionOf(m.lookup(), m.c, at, vref, m.now)
		if err != nil {
			return nil, err
		}
		m.ev.Version = v.ID
		if err := c.gate(keys.ReadVersion, Thing{Vault: at.vault, Key: at.key, Version: v}); err != nil {
			return nil, err
		}
		return viewVersion(v, at.view(m.now), m.now), nil
	})
	if err == nil && v.OfKey.Hidden && v.State == keys.Enabled {
		err = s.checkPublicKey(ctx, v.ID)
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

// Versions lists a key's versions by ordinal.
func (s *Service) Versions(ctx context.Context, c *Call, ref KeyRef, p Page, hideDeleted bool) (*List[*Version], error) {
	return read(ctx, s, c, keys.ListVersions, func(m *mutation) (*List[*Version], error) {
		at, _, err := m.locate(ref, keys.ListVersions)
		if err != nil {
			return nil, err
		}
		list := listName("versions", at.key.ID.String(), fmt.Sprint(hideDeleted, p.Desc))
		mark, err := s.decodeCursor(list, p.Cursor)
		if err != nil {
			return nil, err
		}
		q := store.VersionQuery{Key: at.key.ID, HideDeleted: hideDeleted, Desc: p.Desc, Offset: p.Offset}
		if p.Limit > 0 {
			q.Limit = p.Limit + 1
		}
		if mark != nil {
			q.AfterOrdinal = mark.ordinal
		}
		rows, err := m.tx.Versions(q)
		if err != nil {
			return nil, err
		}
		rows, more := cut(rows, p.Limit)
		out := &List[*Version]{Total: at.key.Versions}
		if hideDeleted {
			out.Total -= at.key.Erased
		}
		key := at.view(m.now)
		for _, v := range rows {
			if view := viewVersion(v, key, m.now); !hideDeleted || view.State != keys.Deleted {
				out.Items = append(out.Items, view)
			}
		}
		if more {
			out.Next = s.encodeCursor(list, cursor{ordinal: rows[len(rows)-1].Ordinal})
		}
		return out, nil
	})
}

// ScheduleVersionDeletion makes a version unusable at once and erases it when the retention
// ends. The primary cannot be deleted.
func (s *Service) ScheduleVersionDeletion(ctx context.Context, c *Call, ref KeyRef, vref VersionRef, at time.Time) (*Version, error) {
	return s.changeVersion(ctx, c, ref, vref, keys.ScheduleVersionDeletion, func(m *mutation, k *keys.Key, v *keys.Version) (err error) {
		if k.Primary == v.ID {
			return &keys.Error{
				Kind: keys.KindPrimary, Noun: keys.TypeVersion, ID: v.ID, Action: keys.ScheduleVersionDeletion,
				Hint: "this is the key's current version: make a new version first",
			}
		}
		if err := unprotected(k, keys.TypeVersion, v.ID, keys.ScheduleVersionDeletion); err != nil {
			return err
		}
		v.DeleteAt, err = retention(at, m.now, m.c.Profile.VersionRetention)
		return err
	})
}

// CancelVersionDeletion makes a scheduled version usable again.
func (s *Service) CancelVersionDeletion(ctx context.Context, c *Call, ref KeyRef, vref VersionRef) (*Version, error) {
	return s.changeVersion(ctx, c, ref, vref, keys.CancelVersionDeletion, func(_ *mutation, _ *keys.Key, v *keys.Version) error {
		v.DeleteAt = time.Time{}
		return nil
	})
}

// changeVersion is the way of every change of one version: the key's gate, then its own.
func (s *Service) changeVersion(ctx context.Context, c *Call, ref KeyRef, vref VersionRef, act keys.Action, change func(*mutation, *keys.Key, *keys.Version) error) (*Version, error) {
	return do(ctx, s, c, act, nil, func(m *mutation) (*Version, error) {
		at, _, err := m.locate(ref, act)
		if err != nil {
			return nil, err
		}
		v, err := versionOf(m.lookup(), m.c, at, vref, m.now)
		if err != nil {
			return nil, err
		}
		m.ev.Version = v.ID
		if err := c.gate(act, Thing{Vault: at.vault, Key: at.key, Version: v}); err != nil {
			return nil, err
		}
		key := viewKey(at.key, at.vault, m.now)
		if err := m.match(viewVersion(v, key, m.now).ETag); err != nil {
			return nil, err
		}
		if v.State, err = keys.VersionLifecycle.Step(act, v.Effective(m.now), keys.Enabled); err != nil {
			return nil, err
		}
		if err := change(m, at.key, v); err != nil {
			return nil, err
		}
		if err := m.tx.Put(v); err != nil {
			return nil, err
		}
		return viewVersion(v, key, m.now), nil
	})
}
