// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"time"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// lookup reads the records that a reference leads to: from the keyring for data calls, from a
// transaction for everything else. Misses are store.ErrNotFound.
type lookup interface {
	tells() *told // where what is found is noted; may be nil
	alias(tenant keys.ID, region keys.Region, name string) (keys.ID, error)
	external(dialect string, t keys.Type, tenant keys.ID, region keys.Region, name string) (keys.ID, error)
	key(id keys.ID) (*keys.Key, []*keys.Grant, error)
	vault(id keys.ID) (*keys.Vault, error)
	version(id keys.ID) (*keys.Version, error)
}

// located is a key that the call may know of, with its vault and its effective state.
type located struct {
	key    *keys.Key
	vault  *keys.Vault
	grants []*keys.Grant
	state  keys.State
	noun   keys.Type // what the request named it by

	call    *Call
	replica bool // reached through the vault's replica
}

// noun is what a reference that leads nowhere did not find: whether an alias leads to nothing
// or to a key that the caller may not know of is not told apart.
func (ref KeyRef) noun() keys.Type {
	if ref.Alias != "" {
		return keys.TypeAlias
	}
	return keys.TypeKey
}

// locate follows a key reference. What is not there, not the caller's and not granted, in
// another region or vault than the endpoint's, or not accepted by the dialect, is the same
// not-found.
func locate(l lookup, c *Call, who *identity.Caller, ref KeyRef, now time.Time) (*located, error) {
	if who == nil {
		return nil, &keys.Error{Kind: keys.KindUnauthenticated}
	}
	tenant := ref.Tenant
	if tenant.IsZero() {
		tenant = who.Tenant
	}
	id, err := resolve(l, c, tenant, ref)
	if err != nil {
		return nil, notFound(err, ref.noun())
	}
	k, grants, err := l.key(id)
	if err != nil {
		return nil, notFound(err, ref.noun())
	}
	switch {
	case !who.System() && k.Tenant != tenant,
		!c.Vault.IsZero() && k.Vault != c.Vault,
		k.Tenant != who.Tenant && !who.System() && !ref.Foreign,
		ref.Accept != nil && !ref.Accept(k):
		return nil, keys.NotFound(ref.noun())
	}
	v, err := l.vault(k.Vault)
	if err != nil {
		return nil, err
	}
	if !who.System() && !c.reaches(v) {
		return nil, keys.NotFound(ref.noun())
	}
	if v.State == keys.Restoring {
		return nil, keys.NotFound(ref.noun()) // not before its vault is
	}
	tellKey(l, k, v)
	state := k.Effective(v, now)
	if ref.HideDeleted && (state == keys.Deleted || state == keys.Restoring) {
		return nil, keys.NotFound(ref.noun())
	}
	return &located{key: k, vault: v, grants: grants, state: state, noun: ref.noun(), call: c, replica: !c.Replica.IsZero()}, nil
}

func resolve(l lookup, c *Call, tenant keys.ID, ref KeyRef) (keys.ID, error) {
	if ref.Alias == "" && ref.External == "" {
		return ref.ID, nil
	}
	region, err := c.home(l)
	switch {
	case err != nil:
		return keys.ID{}, err
	case ref.Alias != "":
		return l.alias(tenant, region, ref.Alias)
	}
	return l.external(c.Dialect, keys.TypeKey, tenant, region, ref.External)
}

// permit authorizes act on the key and applies the key's lifecycle. A caller of another
// tenant without a grant learns nothing but not-found. It returns the state after act.
func (at *located) permit(who *identity.Caller, act keys.Action) (keys.State, error) {
	r := identity.Resource{Tenant: at.key.Tenant, Vault: at.key.Vault, Grants: at.grants}
	if !who.May(act, r) {
		if who.Tenant != at.key.Tenant && !who.Granted(act, r) {
			return "", keys.NotFound(at.noun)
		}
		return "", may(who, act, r)
	}
	if at.key.Hidden && !keys.ForHidden(act) {
		return "", errHidden(act)
	}
	if at.replica && !keys.ThroughReplica(act) {
		return "", readOnly(act)
	}
	if err := at.call.gate(act, Thing{Vault: at.vault, Key: at.key}); err != nil {
		return "", err
	}
	next, err := keys.KeyLifecycle.Step(act, at.state, at.key.Before)
	if err == nil && next != at.state && at.vault.State == keys.PendingDeletion {
		// The vault's schedule governs its keys until it is cancelled.
		return "", &keys.Error{
			Kind: keys.KindState, Noun: keys.TypeKey, State: at.state, Action: act,
			Hint: "the key's vault is scheduled for deletion: cancel that first",
		}
	}
	return next, err
}

// versionOf follows a version reference within a located key; the zero reference is the primary.
func versionOf(l lookup, c *Call, at *located, ref VersionRef, now time.Time) (*keys.Version, error) {
	id := ref.ID
	switch {
	case ref.External != "":
		var err error
		if id, err = l.external(c.Dialect, keys.TypeVersion, at.key.Tenant, at.key.Region, ref.External); err != nil {
			return nil, notFound(err, keys.TypeVersion)
		}
	case ref.IsZero():
		id = at.key.Primary
	}
	v, err := l.version(id)
	if err != nil {
		return nil, notFound(err, keys.TypeVersion)
	}
	if v.Key != at.key.ID || (ref.Accept != nil && !ref.Accept(v)) {
		return nil, keys.NotFound(keys.TypeVersion)
	}
	tellVersion(l, at.key, v)
	if ref.HideDeleted && (v.Effective(now) == keys.Deleted || at.state == keys.Deleted) {
		return nil, keys.NotFound(keys.TypeVersion)
	}
	return v, nil
}

// txLookup reads from a transaction.
type txLookup struct {
	tx   store.Tx
	told *told
}

func (l txLookup) tells() *told { return l.told }

func (l txLookup) alias(tenant keys.ID, region keys.Region, name string) (keys.ID, error) {
	a, err := store.LoadAlias(l.tx, tenant, region, name)
	if err != nil {
		return keys.ID{}, err
	}
	return a.Key, nil
}

func (l txLookup) external(dialect string, t keys.Type, tenant keys.ID, region keys.Region, name string) (keys.ID, error) {
	x := store.ExternalID{Dialect: dialect, Type: t, Tenant: tenant, Region: region, Name: name}
	err := l.tx.Load(&x)
	return x.ID, err
}

func (l txLookup) key(id keys.ID) (*keys.Key, []*keys.Grant, error) {
	k, err := store.LoadKey(l.tx, id)
	if err != nil {
		return nil, nil, err
	}
	grants, err := l.tx.Grants(id)
	return k, grants, err
}

func (l txLookup) vault(id keys.ID) (*keys.Vault, error)     { return store.LoadVault(l.tx, id) }
func (l txLookup) version(id keys.ID) (*keys.Version, error) { return store.LoadVersion(l.tx, id) }

func (m *mutation) lookup() txLookup { return txLookup{tx: m.tx, told: m.told} }

// locate finds a key inside the mutation and authorizes and steps act on it.
func (m *mutation) locate(ref KeyRef, act keys.Action) (*located, keys.State, error) {
	at, err := locate(m.lookup(), m.c, m.who, ref, m.now)
	if err != nil {
		return nil, "", err
	}
	m.ev.Tenant, m.ev.Vault, m.ev.Key = at.key.Tenant, at.key.Vault, at.key.ID
	next, err := at.permit(m.who, act)
	return at, next, err
}
