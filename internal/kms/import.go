// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"fmt"
	"time"

	"claviger/internal/audit"
	"claviger/internal/engine"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// There are two ways for material to come in. It makes a key, or a further version of one, wrapped
// under the wrapping key of the vault (this file's first half). Or a key is made without material
// and gets it into its one version, wrapped under a pair made for the occasion (importtoken.go and
// this file's second half); that material can have an end, be taken away, and come again, but never
// be replaced by other material: old ciphertext would not open, and nobody would see why.

// Wrapped is key material encrypted under a wrapping key.
type Wrapped struct {
	Algorithm keys.Wrapping
	Bytes     []byte
}

// errMaterial is the one refusal of wrapped material: it tells nothing about what is wrong with it.
func errMaterial() error {
	return &keys.Error{
		Kind: keys.KindMaterial, Field: "material",
		Hint: "the wrapped material does not open to a key of this kind: it must be wrapped with the stated algorithm under the wrapping key of this vault or import, " +
			"and be the raw bytes of a symmetric key or the DER of one PKCS #8 private key without attributes, of exactly the key's size",
	}
}

func importable(spec keys.Spec) error {
	if err := engine.Importable(spec); err != nil {
		return &keys.Error{Kind: keys.KindUnsupported, Field: "spec", Hint: "the material of " + string(spec) + " keys cannot be imported"}
	}
	return nil
}

// wrappingFits refuses what cannot hold an asymmetric key, with a better word than the one error.
func wrappingFits(w keys.Wrapping, spec keys.Spec) error {
	if !spec.Symmetric() && w != keys.WrapOAEPAES {
		return keys.Invalid("wrapping", "a private RSA key is too long for this wrapping algorithm: wrap it with an AES key, and that with RSA")
	}
	return nil
}

// ImportKey makes a key whose first version is of material from outside.
func (s *Service) ImportKey(ctx context.Context, c *Call, req NewKey, w Wrapped) (*Key, error) {
	req.Origin = keys.Imported
	return s.createKey(ctx, c, req, s.fillImported(req.Spec, w))
}

// ImportVersion makes a version of material from outside; it becomes the primary. The versions of
// one key may be of either origin.
func (s *Service) ImportVersion(ctx context.Context, c *Call, ref KeyRef, w Wrapped) (*Version, error) {
	return s.rotate(ctx, c, ref, false, func(ctx context.Context, vault *keys.Vault, k *keys.Key, v *keys.Version) error {
		if err := importable(k.Spec); err != nil {
			return err
		}
		return s.fillImported(k.Spec, w)(ctx, vault, k, v)
	})
}

// fillImported fills a version with what is wrapped under the wrapping key of its vault.
func (s *Service) fillImported(spec keys.Spec, w Wrapped) fill {
	return func(ctx context.Context, vault *keys.Vault, k *keys.Key, v *keys.Version) error {
		if err := wrappingFits(w.Algorithm, spec); err != nil {
			return err
		}
		wrapping, err := s.wrappingMaterial(ctx, vault)
		if err != nil {
			return err
		}
		defer wrapping.Wipe()
		material, err := wrapping.Unwrap(w.Algorithm, spec, w.Bytes)
		if err != nil {
			return engineError(err, "wrapping")
		}
		defer material.Private.Wipe()
		return s.fillVersion(ctx, k.ID, vault, v, keys.Imported, material)
	}
}

// ImportMaterialRequest brings the material of a key that was made without.
type ImportMaterialRequest struct {
	Key       KeyRef
	Wrapped   []byte
	Token     []byte    // of the same key, from [Service.ImportParameters]
	ExpiresAt time.Time // when the material is over; zero: never
}

// ImportMaterial gives a key its material, or gives it back, or changes when it is over.
//
// Errors: KindImportToken, KindImportOver; KindMaterial for every fault of the material, also
// that it is not what the key had before; KindUnsupported for keys that do not take material.
func (s *Service) ImportMaterial(ctx context.Context, c *Call, req ImportMaterialRequest) (*Key, error) {
	var in incoming
	defer func() { in.material.Private.Wipe() }()
	prepare := func(ev *audit.Event) error { return s.prepareMaterial(ctx, c, ev, req, &in) }
	// The transaction seals the material, which must not be wiped before it is over.
	return do(context.WithoutCancel(ctx), s, c, keys.ImportMaterial, prepare, func(m *mutation) (*Key, error) {
		at, next, err := m.locateSlot(req.Key, keys.ImportMaterial)
		if err != nil {
			return nil, err
		}
		k := at.key
		if err := m.match(viewKey(k, at.vault, m.now).ETag); err != nil {
			return nil, err
		}
		if err := importTimes(k, req.ExpiresAt, in.expiresAt, m.now); err != nil {
			return nil, err
		}
		v, err := s.slotVersion(m, at, &in)
		if err != nil {
			return nil, err
		}
		m.ev.Version = v.ID
		if next != at.state {
			k.State = next
		}
		k.MaterialExpiresAt = req.ExpiresAt
		if err := errors.Join(m.tx.Put(k), m.tx.Put(v)); err != nil {
			return nil, err
		}
		return viewKey(k, at.vault, m.now), nil
	})
}

// incoming is material on its way into a key.
type incoming struct {
	material  engine.Material
	expiresAt time.Time // of the token
	under     parent    // the vault's KEK that is in force
	kept      parent    // what the version that is there is sealed under
	version   keys.ID   // for a first version
}

// prepareMaterial opens the token and, with what is in it, the material.
func (s *Service) prepareMaterial(ctx context.Context, c *Call, ev *audit.Event, req ImportMaterialRequest, in *incoming) error {
	var at *located
	var there *keys.Version
	now := s.clock.Now()
	in.material.Private.Wipe() // of an attempt before
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		m := &mutation{tx: tx, c: c, who: c.Who, now: now, ev: ev, told: &c.told}
		at, _, err = m.locateSlot(req.Key, keys.ImportMaterial)
		if there = nil; err == nil && at.key.Versions > 0 {
			there, err = store.LoadVersion(tx, at.key.Primary)
		}
		return err
	})
	if err != nil {
		return err
	}
	token, err := s.openImportToken(ctx, at.key, req.Token)
	if err != nil {
		return err
	}
	defer token.private.Wipe()
	if err := importTimes(at.key, req.ExpiresAt, token.expiresAt, now); err != nil {
		return err
	}
	wrapping, err := engine.Open(token.spec, token.private)
	if err != nil {
		return fmt.Errorf("open key of an import token: %w", err)
	}
	defer wrapping.Wipe()
	if in.material, err = wrapping.Unwrap(token.wrapping, at.key.Spec, req.Wrapped); err != nil {
		return engineError(err, "wrapping")
	}
	in.expiresAt = token.expiresAt
	if in.under, err = s.vaultParent(ctx, at.vault, at.vault.KEKGeneration); err != nil {
		return err
	}
	if there != nil {
		if in.kept, err = s.vaultParent(ctx, at.vault, there.KEKGeneration); err != nil {
			return err
		}
	}
	in.version, err = keys.NewID(s.rand)
	return err
}

// importTimes checks that the token is not over, and that the material will not be at once.
func importTimes(k *keys.Key, material, token, now time.Time) error {
	at := "; the server's time is " + now.Format(time.RFC3339)
	switch {
	case !now.Before(token):
		return &keys.Error{Kind: keys.KindImportOver, Hint: "the import token was for use before " + token.Format(time.RFC3339) + at + ": ask for new parameters"}
	case material.IsZero():
		return nil
	case !now.Before(material):
		return keys.Invalid("materialExpires", "the material would be over at "+material.Format(time.RFC3339)+at)
	case k.Rotation.Interval != 0:
		return &keys.Error{Kind: keys.KindUnsupported, Noun: keys.TypeKey, Field: "materialExpires", Action: keys.ImportMaterial, Hint: "a key that is rotated automatically cannot have material that is over at some time"}
	}
	return nil
}

// locateSlot finds a key that takes its material from outside into its one version.
func (m *mutation) locateSlot(ref KeyRef, act keys.Action) (*located, keys.State, error) {
	at, next, err := m.locate(ref, act)
	if err == nil {
		err = takesMaterial(at.key, act)
	}
	return at, next, err
}

func takesMaterial(k *keys.Key, act keys.Action) error {
	hint := ""
	switch {
	case k.Origin != keys.Imported:
		hint = "the material of this key was made here"
	case k.Versions > 1:
		hint = fmt.Sprintf("this key has had %d versions: material is imported into a key's only one", k.Versions)
	default:
		return nil
	}
	return &keys.Error{Kind: keys.KindUnsupported, Noun: keys.TypeKey, Field: "origin", Action: act, Hint: hint}
}

// slotVersion is the one version of a key, with the incoming material in it: made now, or the one
// that there is, if the material is the same.
func (s *Service) slotVersion(m *mutation, at *located, in *incoming) (*keys.Version, error) {
	k := at.key
	if err := inForce(in.under.generation, at.vault.KEKGeneration); err != nil {
		return nil, err
	}
	if k.Versions == 0 {
		v := &keys.Version{
			ID: in.version, Tenant: k.Tenant, Vault: k.Vault, Key: k.ID, Region: k.Region, Ordinal: 1, State: keys.Enabled,
			Origin: keys.Imported, PublicKey: in.material.Public, KEKGeneration: in.under.generation, CreatedAt: m.now,
		}
		k.Primary, k.Versions, k.LastVersionAt = v.ID, 1, m.now
		return v, s.sealUnder(in.under.kek, v, in.material.Private)
	}
	v, err := store.LoadVersion(m.tx, k.Primary)
	if err != nil {
		return nil, err
	}
	if err := inForce(in.kept.generation, v.KEKGeneration); err != nil {
		return nil, err
	}
	same, err := isFingerprint(in.kept.kek, v, in.material.Private)
	if err != nil {
		return nil, err
	}
	if !same {
		return nil, errMaterial()
	}
	if v.State, err = keys.VersionLifecycle.Step(keys.ImportMaterial, v.Effective(m.now), keys.Enabled); err != nil {
		return nil, err
	}
	if v.Sealed != nil { // only the time changes
		return v, nil
	}
	v.Fingerprint, v.KEKGeneration = nil, in.under.generation // both anew
	return v, s.sealUnder(in.under.kek, v, in.material.Private)
}

// DeleteMaterial takes a key's imported material away: at once and for good, but that the same may
// be imported again.
func (s *Service) DeleteMaterial(ctx context.Context, c *Call, ref KeyRef) (*Key, error) {
	k, err := do(ctx, s, c, keys.DeleteMaterial, nil, func(m *mutation) (*Key, error) {
		at, _, err := m.locateSlot(ref, keys.DeleteMaterial)
		if err != nil {
			return nil, err
		}
		if err := m.match(viewKey(at.key, at.vault, m.now).ETag); err != nil {
			return nil, err
		}
		if err := m.dropMaterial(at.key); err != nil {
			return nil, err
		}
		return viewKey(at.key, at.vault, m.now), nil
	})
	if err == nil || keys.IsKind(err, keys.KindUnavailable) { // the change may have been made
		s.remains.Store(true)
	}
	return k, err
}

// dropMaterial erases the material of a key's one version, if it is there. A key that is pending
// deletion stays so; it will wait for its material if the deletion is cancelled.
func (m *mutation) dropMaterial(k *keys.Key) error {
	if k.Versions == 0 {
		return nil
	}
	v, err := store.LoadVersion(m.tx, k.Primary)
	if err != nil {
		return err
	}
	m.ev.Version = v.ID
	if v.State == keys.PendingImport {
		return nil
	}
	if v.State, err = keys.VersionLifecycle.Step(keys.DeleteMaterial, v.Effective(m.now), keys.Enabled); err != nil {
		return err
	}
	v.Sealed = nil
	if k.State == keys.PendingDeletion {
		k.Before = keys.PendingImport
	} else {
		k.State = keys.PendingImport
	}
	return errors.Join(m.tx.Put(k), m.tx.Put(v))
}

// expireMaterial erases material that is over. It has been unusable since its time.
func (s *Service) expireMaterial(ctx context.Context, c *Call, d *store.Due) error {
	return s.apply(ctx, c, keys.DeleteMaterial, func(m *mutation) error {
		k, err := store.LoadKey(m.tx, d.ID)
		if err != nil {
			return err
		}
		if k.Revision != d.Revision || !k.MaterialOver(m.now) {
			return errNotDue
		}
		m.ev.Tenant, m.ev.Vault, m.ev.Key = k.Tenant, k.Vault, k.ID
		return m.dropMaterial(k)
	})
}
