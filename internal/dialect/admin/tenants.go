// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

func (a *API) tenants(ctx context.Context, c *kms.Call, _ *noParams) (*List[*Tenant], error) {
	all, err := a.service.Tenants(ctx, c)
	if err != nil {
		return nil, err
	}
	out := &List[*Tenant]{Items: []*Tenant{}}
	for _, t := range all {
		out.Items = append(out.Items, tenantOf(t))
	}
	return out, nil
}

func tenantOf(t *keys.Tenant) *Tenant {
	return &Tenant{ID: t.ID.String(), Name: t.Name, Names: Names(t.Names), CreatedAt: t.CreatedAt}
}

type createTenantRequest struct{ Body NewTenant }

func (a *API) createTenant(ctx context.Context, c *kms.Call, r *createTenantRequest) (*Tenant, error) {
	if err := validName("name", r.Body.Name); err != nil {
		return nil, err
	}
	id, names, err := a.fresh(keys.TypeTenant, r.Body.Names)
	if err != nil {
		return nil, err
	}
	t, err := a.service.CreateTenant(ctx, c, kms.NewTenant{ID: id, Name: r.Body.Name, Names: names})
	if err != nil {
		return nil, err
	}
	return tenantOf(t), nil
}

// fresh makes an id, and the names that were not given.
func (a *API) fresh(t keys.Type, given Names) (keys.ID, keys.Names, error) {
	id, err := keys.NewID(a.cfg.Rand)
	if err != nil {
		return id, nil, err
	}
	names := keys.Names{}
	for _, n := range a.cfg.Naming {
		name := given[n.Dialect()]
		if name == "" {
			name = n.Fresh(t, id)
		} else if err := validName("names."+n.Dialect(), name); err != nil {
			return id, nil, err
		}
		if name != "" {
			names[n.Dialect()] = name
		}
	}
	for dialect := range given {
		if _, known := names[dialect]; !known {
			return id, nil, keys.Invalid("names."+dialect, "a "+string(t)+" has no name there")
		}
	}
	return id, names, nil
}

// validName refuses what would break a log line or a table.
func validName(field, s string) error {
	bad := func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }
	switch {
	case s == "":
		return keys.Missing(field)
	case len(s) > 255 || strings.TrimSpace(s) != s || strings.ContainsFunc(s, bad):
		return keys.Invalid(field, "must be 1 to 255 bytes of text with no control characters and no space at its ends")
	}
	return nil
}

type compartmentsRequest struct {
	Tenant string `query:"tenant"`
}

func (a *API) compartments(ctx context.Context, c *kms.Call, r *compartmentsRequest) (*List[*Compartment], error) {
	tenants, err := a.someTenants(ctx, c, r.Tenant)
	if err != nil {
		return nil, err
	}
	out := &List[*Compartment]{Items: []*Compartment{}}
	for _, t := range tenants {
		all, err := a.service.Compartments(ctx, c, t.ID)
		if err != nil {
			return nil, err
		}
		for _, comp := range all {
			out.Items = append(out.Items, compartmentOf(comp))
		}
	}
	return out, nil
}

func compartmentOf(c *keys.Compartment) *Compartment {
	return &Compartment{
		ID: c.ID.String(), Tenant: c.Tenant.String(), Parent: idOf(c.Parent), Name: c.Name,
		Names: Names(c.Names), CreatedAt: c.CreatedAt,
	}
}

type createCompartmentRequest struct{ Body NewCompartment }

func (a *API) createCompartment(ctx context.Context, c *kms.Call, r *createCompartmentRequest) (*Compartment, error) {
	if err := validName("name", r.Body.Name); err != nil {
		return nil, err
	}
	t, err := a.findTenant(ctx, c, "tenant", r.Body.Tenant)
	if err != nil {
		return nil, err
	}
	parent := t.ID
	if r.Body.Parent != "" {
		p, err := a.findCompartment(ctx, c, t.ID, "parent", r.Body.Parent)
		if err != nil {
			return nil, err
		}
		parent = p.ID
	}
	id, names, err := a.fresh(keys.TypeCompartment, r.Body.Names)
	if err != nil {
		return nil, err
	}
	comp, err := a.service.CreateCompartment(ctx, c, kms.NewCompartment{ID: id, Tenant: t.ID, Parent: parent, Name: r.Body.Name, Names: names})
	if err != nil {
		return nil, err
	}
	return compartmentOf(comp), nil
}

type grantsRequest struct {
	Key string `query:"key"`
}

func (a *API) grants(ctx context.Context, c *kms.Call, r *grantsRequest) (*List[*Grant], error) {
	if r.Key == "" {
		return nil, keys.Missing("key")
	}
	k, _, err := a.findKey(ctx, c, r.Key, "")
	if err != nil {
		return nil, err
	}
	all, err := a.service.Grants(ctx, c, k.ID)
	if err != nil {
		return nil, err
	}
	out := &List[*Grant]{Items: []*Grant{}}
	for _, g := range all {
		out.Items = append(out.Items, grantOf(g))
	}
	return out, nil
}

func grantOf(g *keys.Grant) *Grant {
	out := &Grant{ID: g.ID.String(), Key: g.Key.String(), Tenant: g.Tenant.String(), Grantee: g.Grantee.String(), CreatedAt: g.CreatedAt, Actions: []string{}}
	for _, action := range g.Actions {
		out.Actions = append(out.Actions, string(action))
	}
	return out
}

type createGrantRequest struct{ Body NewGrant }

func (a *API) createGrant(ctx context.Context, c *kms.Call, r *createGrantRequest) (*Grant, error) {
	if r.Body.Key == "" {
		return nil, keys.Missing("key")
	}
	actions, err := grantable(r.Body.Actions)
	if err != nil {
		return nil, err
	}
	k, _, err := a.findKey(ctx, c, r.Body.Key, "")
	if err != nil {
		return nil, err
	}
	t, err := a.findTenant(ctx, c, "grantee", r.Body.Grantee)
	if err != nil {
		return nil, err
	}
	g, err := a.service.CreateGrant(ctx, c, k.ID, t.ID, actions)
	if err != nil {
		return nil, err
	}
	return grantOf(g), nil
}

// grantable reads actions that can be about another tenant's key: using and reading it.
func grantable(names []string) ([]keys.Action, error) {
	allowed := []keys.Action{
		keys.Encrypt, keys.Decrypt, keys.GenerateDataKey, keys.Sign, keys.Verify, keys.GenerateMAC, keys.VerifyMAC,
		keys.ReadPublicKey, keys.ReadKey, keys.ReadVersion, keys.ListVersions,
	}
	var out []keys.Action
	for _, name := range names {
		if !slices.Contains(allowed, keys.Action(name)) {
			return nil, keys.Invalid("actions", fmt.Sprintf("%q cannot be granted; %v can", name, allowed))
		}
		if !slices.Contains(out, keys.Action(name)) {
			out = append(out, keys.Action(name))
		}
	}
	if len(out) == 0 {
		return nil, keys.Missing("actions")
	}
	return out, nil
}

type idRequest struct {
	ID string `path:"id"`
}

func (a *API) removeGrant(ctx context.Context, c *kms.Call, r *idRequest) (none, error) {
	id, err := keys.ParseID(r.ID)
	if err != nil {
		return none{}, keys.NotFound(keys.TypeGrant)
	}
	return none{}, a.service.RemoveGrant(ctx, c, id)
}

type auditRequest struct {
	After int64 `query:"after"`
	Limit int   `query:"limit"`
}

func (a *API) audit(ctx context.Context, c *kms.Call, r *auditRequest) (*List[AuditEvent], error) {
	limit, err := limitOf(r.Limit)
	if err != nil {
		return nil, err
	}
	events, err := a.service.AuditEvents(ctx, c, r.After, limit)
	if err != nil {
		return nil, err
	}
	out := &List[AuditEvent]{Items: []AuditEvent{}}
	for _, e := range events {
		out.Items = append(out.Items, AuditEvent{Sequence: e.Sequence, Hash: hex.EncodeToString(e.Hash[:]), Event: e.Event.AppendJSON(nil)})
	}
	return out, nil
}
