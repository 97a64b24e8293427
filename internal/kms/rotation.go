// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"fmt"

	"claviger/internal/keys"
	"claviger/internal/store"
)

// SetRotation turns a key's automatic rotation on or off. When the next rotation is already
// past, it has run before this returns. What cannot be turned on cannot be turned off either,
// unless it is on: KindUnsupported.
func (s *Service) SetRotation(ctx context.Context, c *Call, ref KeyRef, p RotationPolicy) (*Key, error) {
	k, err := s.changeKey(ctx, c, ref, keys.SetRotation, func(m *mutation, k *keys.Key) error {
		if k.Rotation.Interval == 0 {
			if err := rotates(k, m.c.Profile); err != nil {
				return err
			}
		}
		return setRotation(k, p, m)
	})
	if err != nil || k.Rotation.Next.IsZero() || k.Rotation.Next.After(s.clock.Now()) {
		return k, err
	}
	return s.rotateAtOnce(ctx, k), nil
}

// rotateAtOnce does not leave to the next sweep what is due by a policy that was just set. The
// policy is set in any case: what fails here, the sweep tries again.
func (s *Service) rotateAtOnce(ctx context.Context, k *Key) *Key {
	c := s.System(string(store.RotateKey))
	err := s.rotateDue(ctx, c, &store.Due{At: k.Rotation.Next, Kind: store.RotateKey, ID: k.ID, Revision: k.Revision})
	if err == nil {
		var now *Key
		err = s.store.View(ctx, func(tx store.Tx) (err error) {
			now, err = loadKeyView(tx, k.ID, s.clock.Now())
			return err
		})
		if err == nil {
			return now
		}
	}
	if !errors.Is(err, errNotDue) {
		s.log.WarnContext(ctx, "rotation at once", "id", k.ID.String(), "error", err)
	}
	return k
}

// rotates refuses automatic rotation of keys that do not have it.
func rotates(k *keys.Key, p *keys.Profile) error {
	if mayRotate(k, p) && k.Spec.Rotates() && (k.Spec.Symmetric() || !p.AsymmetricRotationOnly) {
		return nil
	}
	return &keys.Error{Kind: keys.KindUnsupported, Noun: keys.TypeKey, Field: "rotation", Hint: "keys of this spec or origin are not rotated automatically"}
}

// What a key's policy says of its last run.
const (
	rotationSucceeded = "SUCCESS"
	rotationFailed    = "FAILED"
	rotationFault     = "The rotation could not be carried out and will be tried again"
)

// rotateDue makes a key's scheduled version. After a time in which the schedule missed several
// turns it acts once, and the next date stays on the original grid. A rotation that fails is
// noted with the key and stays due, so that the next sweep tries it again.
func (s *Service) rotateDue(ctx context.Context, c *Call, d *store.Due) error {
	err := s.rotateNow(ctx, c, d)
	for try := 1; errors.Is(err, errResealed) && try < resealTries; try++ {
		err = s.rotateNow(ctx, c, d)
	}
	if err == nil || errors.Is(err, errNotDue) || ctx.Err() != nil {
		return err
	}
	note := s.apply(context.WithoutCancel(ctx), c, keys.Rotate, func(m *mutation) error {
		k, err := m.dueForRotation(d)
		if err != nil {
			return err
		}
		r := &k.Rotation
		if r.Status == rotationFailed {
			return errNotDue // it says so already: an attempt every second leaves no trail
		}
		r.Status, r.Message = rotationFailed, rotationFault
		return m.tx.Put(&k.Key)
	})
	if note != nil && !errors.Is(note, errNotDue) {
		err = errors.Join(err, fmt.Errorf("note the failed rotation: %w", note))
	}
	return err
}

// dueForRotation loads a key that a rotation was found due of. One that has changed since then, or
// may not be rotated, is errNotDue.
func (m *mutation) dueForRotation(d *store.Due) (*Key, error) {
	k, err := loadKeyView(m.tx, d.ID, m.now)
	if err != nil {
		return nil, err
	}
	if k.Revision != d.Revision || k.State != keys.Enabled || k.Rotation.Interval == 0 || k.Rotation.Next.After(m.now) {
		return nil, errNotDue
	}
	m.ev.Tenant, m.ev.Vault, m.ev.Key = k.Tenant, k.Vault, k.ID
	return k, nil
}

func (s *Service) rotateNow(ctx context.Context, c *Call, d *store.Due) error {
	var k *Key
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		k, err = loadKeyView(tx, d.ID, s.clock.Now())
		return err
	})
	if err != nil {
		return err
	}
	v := &keys.Version{AutoRotated: true}
	if v.ID, err = keys.NewID(s.rand); err != nil {
		return err
	}
	if err := s.newVersion(ctx, k.ID, &k.InVault, k.Spec, v); err != nil {
		return err
	}
	return s.apply(ctx, c, keys.Rotate, func(m *mutation) error {
		k, err := m.dueForRotation(d)
		if err != nil {
			return err
		}
		r := &k.Rotation
		missed := m.now.Sub(r.Next) / r.Interval
		r.Next = r.Next.Add((missed + 1) * r.Interval)
		r.Last, r.Status, r.Message = m.now, rotationSucceeded, ""
		_, err = m.addVersion(&located{key: &k.Key, vault: &k.InVault}, *v)
		return err
	})
}
