// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
	"unique"

	"claviger/internal/audit"
	"claviger/internal/engine"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/secret"
	"claviger/internal/store"
)

// using is what a data call works with inside use: one moment, snapshots held until the
// call's End.
type using struct {
	s   *Service
	ctx context.Context
	c   *Call
	now time.Time
	ev  *audit.Event

	last *versionSnapshot // that was looked up
}

// use is the door for data calls: the checks of do against the keyring, and the audit record
// handed to the operating system before anything is answered. No plaintext or signature
// leaves without it.
func use[T any](ctx context.Context, s *Service, c *Call, act keys.Action, run func(*using) (T, error)) (T, error) {
	c.recorded, c.told.fleet = true, s.fleet
	ev := s.event(c, act)
	u := &using{s: s, ctx: ctx, c: c, now: ev.Time, ev: ev}
	var out T
	err := admit(c)
	if err == nil {
		err = s.MayAnswer(c)
	}
	if err == nil {
		out, err = run(u)
	}
	return answered(ctx, s, u.ev, out, err)
}

// answered records how a call that changes nothing ended, and lets its answer out only then.
func answered[T any](ctx context.Context, s *Service, ev *audit.Event, out T, err error) (T, error) {
	if err == nil {
		ev.Outcome = audit.OutcomeOK
		err = s.record(ev)
	} else {
		err = s.refuse(ctx, ev, err)
	}
	if err != nil {
		if w, secret := any(out).(interface{ wipe() }); secret {
			w.wipe()
		}
		var none T
		return none, err
	}
	return out, nil
}

// locate finds a key for act. now is the moment of the whole call.
func (u *using) locate(ref KeyRef, act keys.Action) (*located, error) {
	at, err := locate(u, u.c, u.c.Who, ref, u.now)
	if err != nil {
		return nil, err
	}
	u.ev.Tenant, u.ev.Vault, u.ev.Key = at.key.Tenant, at.key.Vault, at.key.ID
	_, err = at.permit(u.c.Who, act)
	return at, err
}

// versionFor finds the version to act with and its opened material, and applies its lifecycle.
func (u *using) versionFor(at *located, ref VersionRef) (*keys.Version, *engine.Key, error) {
	v, err := versionOf(u, u.c, at, ref, u.now)
	if err != nil {
		return nil, nil, err
	}
	u.ev.Version = v.ID
	if err := u.c.gate(keys.UseVersion, Thing{Vault: at.vault, Key: at.key, Version: v}); err != nil {
		return nil, nil, err
	}
	if _, err := keys.VersionLifecycle.Step(keys.UseVersion, v.Effective(u.now), keys.Enabled); err != nil {
		return nil, nil, err
	}
	material, err := u.material(v)
	return v, material, err
}

// keySnapshot is a key's.
type keySnapshot struct {
	key    *keys.Key
	grants []*keys.Grant
}

// versionSnapshot is a version's, with its material once somebody was allowed to use it.
type versionSnapshot struct {
	keys.Version
	material atomic.Pointer[engine.Key]
}

// Wipe forgets the material.
func (v *versionSnapshot) Wipe() {
	if m := v.material.Load(); m != nil {
		m.Wipe()
	}
}

func (u *using) tells() *told { return &u.c.told }

func (u *using) alias(tenant keys.ID, region keys.Region, name string) (keys.ID, error) {
	k := ringKey{kind: ofAlias, name: store.AliasName(tenant, region, name)}
	return fromRing(u, k, func(tx store.Tx) (keys.ID, error) { return txLookup{tx: tx}.alias(tenant, region, name) })
}

// external is remembered for good: such a name is never given to anything else.
func (u *using) external(dialect string, t keys.Type, tenant keys.ID, region keys.Region, name string) (keys.ID, error) {
	k := ringKey{kind: ofExternal, id: tenant, name: dialect + " " + string(t) + " " + string(region) + " " + name}
	return fromRing(u, k, func(tx store.Tx) (keys.ID, error) { return txLookup{tx: tx}.external(dialect, t, tenant, region, name) })
}

func (u *using) key(id keys.ID) (*keys.Key, []*keys.Grant, error) {
	name := ringKey{kind: ofKey, id: id}
	if value, ok := u.s.ring.hit(u.c, &name); ok {
		rk := value.(*keySnapshot)
		return rk.key, rk.grants, nil
	}
	rk, err := fromRing(u, name, func(tx store.Tx) (*keySnapshot, error) {
		k, grants, err := txLookup{tx: tx}.key(id)
		if err == nil {
			k.Region, k.Spec, k.Origin = shared(k.Region), shared(k.Spec), shared(k.Origin)
			k.Protection, k.State, k.Before = shared(k.Protection), shared(k.State), shared(k.Before)
		}
		return &keySnapshot{k, grants}, err
	})
	if err != nil {
		return nil, nil, err
	}
	return rk.key, rk.grants, nil
}

// shared is a text that many snapshots have, once in memory.
func shared[T ~string](text T) T { return T(unique.Make(string(text)).Value()) }

func (u *using) vault(id keys.ID) (*keys.Vault, error) {
	name := ringKey{kind: ofVault, id: id}
	if value, ok := u.s.ring.hit(u.c, &name); ok {
		return value.(*keys.Vault), nil
	}
	return fromRing(u, name, func(tx store.Tx) (*keys.Vault, error) { return store.LoadVault(tx, id) })
}

// version is without its material: whoever names a version has not yet been asked whether it
// is theirs.
func (u *using) version(id keys.ID) (*keys.Version, error) {
	v, err := u.versionSnapshot(id)
	if err != nil {
		return nil, err
	}
	return &v.Version, nil
}

func (u *using) versionSnapshot(id keys.ID) (*versionSnapshot, error) {
	if v := u.last; v != nil && v.ID == id {
		return v, nil
	}
	name := ringKey{kind: ofVersion, id: id}
	if value, ok := u.s.ring.hit(u.c, &name); ok {
		u.last = value.(*versionSnapshot)
		return u.last, nil
	}
	v, err := fromRing(u, name, func(tx store.Tx) (*versionSnapshot, error) {
		v, err := txLookup{tx: tx}.version(id)
		if err != nil {
			return nil, err
		}
		v.Sealed, v.Fingerprint = nil, nil
		v.Region, v.State, v.Origin = shared(v.Region), shared(v.State), shared(v.Origin)
		return &versionSnapshot{Version: *v}, nil
	})
	if err == nil {
		u.last = v
	}
	return v, err
}

// material is a version's opened material. The call holds the snapshot that it belongs to: while it
// is read, a change retires that snapshot, and waits for the call.
func (u *using) material(of *keys.Version) (*engine.Key, error) {
	v, err := u.versionSnapshot(of.ID)
	if err != nil {
		return nil, err
	}
	if m := v.material.Load(); m != nil {
		return m, nil
	}
	m, err := u.s.loadMaterial(u.ctx, v.ID)
	if keys.IsKind(err, keys.KindState) { // by a change that the snapshot is from before of
		u.last = nil
		if now, err := u.version(v.ID); err == nil {
			u.tells().tell(now.Revision)
		}
	}
	if err != nil {
		return nil, err
	}
	if !v.material.CompareAndSwap(nil, m) {
		m.Wipe()
		m = v.material.Load()
	}
	return m, nil
}

// loadMaterial opens a version's material. Whether the public key beside it is still the one
// that belongs to it shows here: nothing else binds that column.
func (s *Service) loadMaterial(ctx context.Context, version keys.ID) (*engine.Key, error) {
	v, spec, opened, err := s.openVersion(ctx, version)
	if err != nil {
		return nil, err
	}
	defer opened.Wipe()
	material, err := engine.Open(spec, opened)
	if err != nil {
		return nil, fmt.Errorf("open key version %s: %w", v.ID, err)
	}
	if pub := material.Public(); pub != nil && !bytes.Equal(pub.DER(), v.PublicKey) {
		material.Wipe()
		return nil, fmt.Errorf("key version %s: the stored public key is not that of its private key", v.ID)
	}
	return material, nil
}

// openVersion loads a version and opens its material. A KEK that is no more has been replaced since
// the version was loaded: it is loaded anew.
func (s *Service) openVersion(ctx context.Context, version keys.ID) (v *keys.Version, spec keys.Spec, opened secret.Bytes, err error) {
	for try := 1; ; try++ {
		err = s.store.View(ctx, func(tx store.Tx) (err error) {
			if v, err = store.LoadVersion(tx, version); err != nil {
				return err
			}
			k, err := store.LoadKey(tx, v.Key)
			if err != nil {
				return err
			}
			spec = k.Spec
			return nil
		})
		if err == nil && v.Sealed == nil {
			err = store.ErrNotFound
		}
		if errors.Is(err, store.ErrNotFound) {
			// It was there a moment ago: the erasure overtook this call.
			err = &keys.Error{Kind: keys.KindState, Noun: keys.TypeVersion, State: keys.Deleted, Action: keys.UseVersion}
		}
		if err != nil {
			return nil, "", secret.Bytes{}, err
		}
		if opened, err = s.openMaterial(ctx, v); !errors.Is(err, store.ErrNotFound) || try == resealTries {
			return v, spec, opened, err
		}
	}
}

func fromRing[T any](u *using, k ringKey, read func(store.Tx) (T, error)) (T, error) {
	value, err := u.s.ring.get(u.ctx, u.c, k, func(ctx context.Context) (any, error) {
		var out T
		err := u.s.store.View(ctx, func(tx store.Tx) (err error) {
			out, err = read(tx)
			return err
		})
		return out, err
	})
	if err != nil {
		var none T
		return none, err
	}
	return value.(T), nil
}

// Authenticate finds the credential that a request names, held until the call's End. The
// dialect verifies with it and only then sets the call's Who. An unknown name is KindUnauthenticated.
func (s *Service) Authenticate(ctx context.Context, c *Call, kind identity.CredentialKind, name string) (*identity.Credential, error) {
	known := ringKey{kind: credentialKind(kind), name: name}
	if value, ok := s.ring.hit(c, &known); ok {
		return value.(*identity.Credential), nil
	}
	value, err := s.ring.get(ctx, c, known, func(ctx context.Context) (any, error) {
		return s.loadCredential(ctx, kind, name)
	})
	if err != nil {
		if err = notFound(err, keys.TypeCredential); keys.IsKind(err, keys.KindNotFound) {
			return nil, &keys.Error{Kind: keys.KindUnauthenticated, Noun: keys.TypeCredential, Hint: "no credential named " + name}
		}
		return nil, translate(err)
	}
	return value.(*identity.Credential), nil
}

// loadCredential loads and opens a credential. A KEK that is no more has been replaced since it was
// loaded: it is loaded anew.
func (s *Service) loadCredential(ctx context.Context, kind identity.CredentialKind, name string) (*identity.Credential, error) {
	for try := 1; ; try++ {
		row := identity.CredentialRow{Kind: kind, Name: name}
		var p *identity.Principal
		var bindings []*identity.Binding
		err := s.store.View(ctx, func(tx store.Tx) (err error) {
			if err = tx.Load(&row); err != nil {
				return err
			}
			if p, err = store.LoadPrincipal(tx, row.Principal); err != nil {
				return err
			}
			bindings, err = tx.Bindings(p.ID)
			return err
		})
		if err != nil {
			return nil, err
		}
		cred, err := s.openCredential(ctx, &row, identity.NewCaller(p, row.ID, bindings))
		if !errors.Is(err, store.ErrNotFound) {
			return cred, err
		}
		if try == resealTries {
			return nil, fmt.Errorf("%w: %v", errNoKEK, err) //nolint:errorlint // it is not the credential that is not there
		}
	}
}

// read is the door for reads that go to the database: one snapshot, authorized inside, and
// recorded like data calls.
func read[T any](ctx context.Context, s *Service, c *Call, act keys.Action, run func(*mutation) (T, error)) (T, error) {
	c.recorded, c.told.fleet = true, s.fleet
	ev := s.event(c, act)
	var out T
	err := admit(c)
	if err == nil {
		err = s.store.View(ctx, func(tx store.Tx) (err error) {
			out, err = run(&mutation{tx: tx, c: c, who: c.Who, now: s.clock.Now(), ev: ev, told: &c.told})
			return err
		})
	}
	return answered(ctx, s, ev, out, err)
}

func admit(c *Call) error {
	if c.Admit == nil {
		return nil
	}
	return c.Admit()
}
