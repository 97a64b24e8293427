// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"claviger/internal/archive"
	"claviger/internal/engine"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// records reads the whole backup, record by record. visit owns the secrets of what it is given.
func (x *restore) records(ctx context.Context, visit func(context.Context, *archive.Record) error) error {
	var r *archive.Reader
	err := x.open(func() (err error) {
		r, err = archive.NewReader(ctx, x.file, archive.Opener{Root: x.s.root, Identities: x.s.backup.Identities})
		return err
	})
	if err != nil {
		return err
	}
	defer r.Wipe()
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = visit(ctx, rec)
		}
		if err != nil {
			return unfit(err)
		}
		x.meter.count(rec)
	}
}

// verify reads the whole backup before anything is changed. What comes from it may be a
// stranger's, where it is encrypted to recipients: so material must be what its key says.
func (x *restore) verify(ctx context.Context) error {
	var k *keys.Key
	return x.records(ctx, func(ctx context.Context, rec *archive.Record) error {
		defer rec.Wipe()
		switch {
		case rec.Tenant != nil:
			return x.ofTenant(ctx, rec.Tenant)
		case rec.Key != nil:
			k = rec.Key
			return x.keyFits(k)
		case rec.Version != nil:
			return versionFits(k, rec)
		}
		return nil
	})
}

// ofTenant finds the tenant here that a backup is of: the caller's own.
func (x *restore) ofTenant(ctx context.Context, theirs *keys.Tenant) error {
	var candidates []*keys.Tenant
	err := x.s.store.View(ctx, func(tx store.Tx) (err error) {
		id := callerTenant(x.c)
		if x.vault != nil {
			id = x.vault.Tenant
		}
		if id.IsZero() { // the server itself
			candidates, err = tx.Tenants()
			return err
		}
		t, err := store.LoadTenant(tx, id)
		candidates = []*keys.Tenant{t}
		return err
	})
	if err != nil {
		return err
	}
	for _, t := range candidates {
		if sameTenant(t, theirs) {
			x.tenant = t
			return nil
		}
	}
	return keys.Invalid("backup", "it is of another tenant")
}

// sameTenant reports whether two tenants are one: by id, or, where a tenant was made anew, by what
// clouds call it. Those names are unique everywhere; ours is not.
func sameTenant(a, b *keys.Tenant) bool {
	if a.ID == b.ID {
		return true
	}
	same := false
	for dialect, name := range a.Names {
		switch theirs, ok := b.Names[dialect]; {
		case !ok:
		case theirs != name:
			return false
		default:
			same = true
		}
	}
	return same || (len(a.Names) == 0 && len(b.Names) == 0 && a.Name == b.Name)
}

// keyFits checks that this server keeps such keys.
func (x *restore) keyFits(k *keys.Key) error {
	if err := engine.Supported(k.Spec); err != nil {
		return &keys.Error{Kind: keys.KindUnsupported, Noun: keys.TypeKey, ID: k.ID, Field: "spec", Action: x.action, Err: err, Hint: "this server has no " + string(k.Spec) + " keys: " + err.Error()}
	}
	if k.Protection == keys.HSM && x.s.hsm != SoftwareLabelled && !k.Hidden {
		return &keys.Error{
			Kind: keys.KindUnsupported, Noun: keys.TypeKey, ID: k.ID, Field: "protection", Action: x.action,
			Hint: "the backup has a key of protection level HSM, and this server has no HSM: set hsm_keys = \"software-labelled\" to keep such keys in software",
		}
	}
	return nil
}

// versionFits checks that a version's secrets are what it and its key say.
func versionFits(k *keys.Key, rec *archive.Record) error {
	v := rec.Version
	if n := rec.Fingerprint.Len(); n > 0 && n != sha256.Size {
		return fmt.Errorf("%w: the fingerprint of key version %s is none", archive.ErrDamaged, v.ID)
	}
	if rec.Material.Len() == 0 {
		return nil
	}
	opened, err := engine.Open(k.Spec, rec.Material)
	if err != nil {
		return fmt.Errorf("%w: the material of key version %s is none of %s", archive.ErrDamaged, v.ID, k.Spec)
	}
	defer opened.Wipe()
	var public []byte
	if pub := opened.Public(); pub != nil {
		public = pub.DER()
	}
	if !bytes.Equal(public, v.PublicKey) {
		return fmt.Errorf("%w: the public key of key version %s is another key's", archive.ErrDamaged, v.ID)
	}
	mark := fingerprint(rec.Material)
	defer mark.Wipe()
	if v.Origin == keys.Imported && !mark.Equal(rec.Fingerprint) {
		return fmt.Errorf("%w: the material of key version %s is not what it is recognized by", archive.ErrDamaged, v.ID)
	}
	return nil
}
