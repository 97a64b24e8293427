// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"maps"
	"slices"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
)

// People name things as they know them: by id, by a cloud's name, or by the name for people.
// Where the last is not unique, it is refused and an id asked for.

// pick finds the one thing that text names.
func pick[T any](noun keys.Type, field, text string, all []T, id func(T) keys.ID, name func(T) string, names func(T) []string) (T, error) {
	var found, none T
	matches := 0
	for _, thing := range all {
		if id(thing).String() == text || slices.Contains(names(thing), text) {
			return thing, nil
		}
		if name(thing) == text && text != "" {
			found = thing
			matches++
		}
	}
	switch {
	case text == "":
		return none, keys.Missing(field)
	case matches == 0:
		return none, &keys.Error{Kind: keys.KindNotFound, Noun: noun, Field: field, Hint: "there is no " + string(noun) + " " + text}
	case matches > 1:
		return none, keys.Invalid(field, "there is more than one "+string(noun)+" "+text+": give its id")
	}
	return found, nil
}

func values(n keys.Names) []string { return slices.Collect(maps.Values(n)) }

func (a *API) findTenant(ctx context.Context, c *kms.Call, field, text string) (*keys.Tenant, error) {
	all, err := a.service.Tenants(ctx, c)
	if err != nil {
		return nil, err
	}
	return pick(keys.TypeTenant, field, text, all,
		func(t *keys.Tenant) keys.ID { return t.ID }, func(t *keys.Tenant) string { return t.Name },
		func(t *keys.Tenant) []string { return values(t.Names) })
}

// someTenants is the tenant that text names, or all for "".
func (a *API) someTenants(ctx context.Context, c *kms.Call, text string) ([]*keys.Tenant, error) {
	if text == "" {
		return a.service.Tenants(ctx, c)
	}
	t, err := a.findTenant(ctx, c, "tenant", text)
	return []*keys.Tenant{t}, err
}

func (a *API) findCompartment(ctx context.Context, c *kms.Call, tenant keys.ID, field, text string) (*keys.Compartment, error) {
	all, err := a.service.Compartments(ctx, c, tenant)
	if err != nil {
		return nil, err
	}
	return pick(keys.TypeCompartment, field, text, all,
		func(t *keys.Compartment) keys.ID { return t.ID }, func(t *keys.Compartment) string { return t.Name },
		func(t *keys.Compartment) []string { return values(t.Names) })
}

func (a *API) findPrincipal(ctx context.Context, c *kms.Call, field, text string) (*identity.Principal, error) {
	tenants, err := a.service.Tenants(ctx, c)
	if err != nil {
		return nil, err
	}
	var all []*identity.Principal
	for _, t := range tenants {
		some, err := a.service.Principals(ctx, c, t.ID)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return pick(keys.TypePrincipal, field, text, all,
		func(p *identity.Principal) keys.ID { return p.ID }, func(p *identity.Principal) string { return p.Name },
		func(p *identity.Principal) []string { return values(p.Names) })
}

func (a *API) findVault(ctx context.Context, field, text string) (*keys.Vault, error) {
	all, err := a.service.AllVaults(ctx)
	if err != nil {
		return nil, err
	}
	return pick(keys.TypeVault, field, text, all,
		func(v *keys.Vault) keys.ID { return v.ID }, func(v *keys.Vault) string { return v.Name },
		func(v *keys.Vault) []string {
			var out []string
			for _, n := range a.cfg.Naming {
				out = append(out, n.Vault(v))
			}
			return out
		})
}

// findKey follows a key's name in any form: an id, a cloud's name, an alias, an ARN, or a name
// that was carried over from a cloud. tenant narrows aliases and carried-over names.
func (a *API) findKey(ctx context.Context, c *kms.Call, text, tenant string) (*kms.Key, []*kms.Version, error) {
	if id, err := keys.ParseID(text); err == nil {
		return a.service.FindKey(ctx, c, id)
	}
	for _, n := range a.cfg.Naming {
		ref, ok := n.Parse(text)
		if !ok {
			continue
		}
		if ref.Type != keys.TypeKey {
			return nil, nil, &keys.Error{Kind: keys.KindNotFound, Noun: keys.TypeKey, Hint: text + " names a " + string(ref.Type) + ", not a key"}
		}
		if ref.Tenant == "" {
			ref.Tenant = tenant
		}
		if ref.ID.IsZero() {
			return a.searchKey(ctx, c, ref)
		}
		return a.namedKey(ctx, c, n, ref, text)
	}
	return a.searchKey(ctx, c, Ref{External: text, Tenant: tenant})
}

// namedKey reads a key by the id in a name, if the rest of the name fits it too.
func (a *API) namedKey(ctx context.Context, c *kms.Call, n Naming, ref Ref, text string) (*kms.Key, []*kms.Version, error) {
	k, versions, err := a.service.FindKey(ctx, c, ref.ID)
	if err != nil {
		return nil, nil, err
	}
	fits := (!ref.Exact || n.Key(&k.Key) == text) && (ref.Region == "" || k.Region == ref.Region)
	if fits && ref.Tenant != "" {
		t, err := a.findTenant(ctx, c, "tenant", ref.Tenant)
		fits = err == nil && t.ID == k.Tenant
	}
	if !fits {
		return nil, nil, &keys.Error{Kind: keys.KindNotFound, Noun: keys.TypeKey, Hint: "the key " + k.ID.String() + " exists, but not under this name"}
	}
	return k, versions, nil
}

// searchKey looks for what ref says in every tenant and region that is not ruled out.
func (a *API) searchKey(ctx context.Context, c *kms.Call, ref Ref) (*kms.Key, []*kms.Version, error) {
	tenants, err := a.someTenants(ctx, c, ref.Tenant)
	if err != nil {
		return nil, nil, err
	}
	found := map[keys.ID]bool{}
	for _, t := range tenants {
		for _, r := range a.service.Regions() {
			if ref.Region != "" && r != ref.Region {
				continue
			}
			for _, n := range a.cfg.Naming {
				at := a.service.System(c.Operation)
				at.Dialect, at.Region = n.Dialect(), r
				k, err := a.service.Key(ctx, at, kms.KeyRef{Alias: ref.Alias, External: ref.External, Tenant: t.ID})
				switch {
				case keys.IsKind(err, keys.KindNotFound):
				case err != nil:
					return nil, nil, err
				default:
					found[k.ID] = true
				}
			}
		}
	}
	switch len(found) {
	case 0:
		return nil, nil, keys.NotFound(keys.TypeKey)
	case 1:
		for id := range found {
			return a.service.FindKey(ctx, c, id)
		}
	}
	return nil, nil, keys.Invalid("id", "several tenants or regions have a key of this name: give the key's id, or ?tenant=")
}
