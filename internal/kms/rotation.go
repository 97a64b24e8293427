// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"

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
