// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"encoding/pem"
	"strconv"
	"time"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

type keysRequest struct {
	Tenant string `query:"tenant"`
	Vault  string `query:"vault"`
	Limit  int    `query:"limit"`
	Cursor string `query:"cursor"`
}

func (a *API) keys(ctx context.Context, c *kms.Call, r *keysRequest) (*List[*Key], error) {
	limit, err := limitOf(r.Limit)
	if err != nil {
		return nil, err
	}
	var filter kms.KeyFilter

	if r.Tenant != "" {
		t, err := a.findTenant(ctx, c, "tenant", r.Tenant)
		if err != nil {
			return nil, err
		}
		filter.Tenant = t.ID
	}
	if r.Vault != "" {
		v, err := a.findVault(ctx, "vault", r.Vault)
		if err != nil {
			return nil, err
		}
		filter.Vault = v.ID
	}
	page, err := a.service.Keys(ctx, c, filter, kms.Page{Limit: limit, Cursor: r.Cursor})
	if err != nil {
		return nil, err
	}
	out := &List[*Key]{Items: []*Key{}, Next: page.Next}
	for _, k := range page.Items {
		out.Items = append(out.Items, a.keyOf(k))
	}
	return out, nil
}

type keyRequest struct {
	ID     string `path:"id"`
	Tenant string `query:"tenant"`
}

func (a *API) key(ctx context.Context, c *kms.Call, r *keyRequest) (*Key, error) {
	k, versions, err := a.findKey(ctx, c, r.ID, r.Tenant)
	if err != nil {
		return nil, err
	}
	out := a.keyOf(k)
	for _, v := range versions {
		out.Versions = append(out.Versions, a.versionOf(k, v))
	}
	aliases, err := a.service.KeyAliases(ctx, c, kms.KeyRef{ID: k.ID}, kms.Page{})
	if err != nil && !keys.IsKind(err, keys.KindState) { // an erased key has none
		return nil, err
	}
	if err == nil {
		for _, alias := range aliases.Items {
			out.Aliases = append(out.Aliases, alias.Name)
		}
	}
	return out, nil
}

func (a *API) keyOf(k *kms.Key) *Key {
	out := &Key{
		ID: k.ID.String(), Names: a.names(func(n Naming) string { return n.Key(&k.Key) }),
		Tenant: k.Tenant.String(), Region: string(k.Region), Vault: k.Vault.String(), Compartment: k.Compartment.String(),
		Name: k.Name, Description: k.Description, Spec: string(k.Spec), Usage: k.Usages.String(), Origin: string(k.Origin),
		Protection: string(k.Protection), State: string(k.State), CreatedAt: k.CreatedAt, DeleteAt: timeOf(k.DeleteAt),
		MaterialEnd: timeOf(k.MaterialExpiresAt), Count: k.Key.Versions, Primary: idOf(k.Primary),
	}
	if p := k.Rotation; p.Interval > 0 {
		out.Rotation = &Rotation{
			Interval: p.Interval.String(), Next: timeOf(p.Next), Last: timeOf(p.Last),
			Suspended: k.RotationSuspended(), Status: p.Status,
		}
	}
	return out
}

func (a *API) versionOf(k *kms.Key, v *kms.Version) Version {
	out := Version{
		ID: v.ID.String(), Names: a.names(func(n Naming) string { return n.Version(&k.Key, &v.Version) }),
		Ordinal: v.Ordinal, State: string(v.State), Primary: v.ID == k.Primary, Origin: string(v.Origin),
		AutoRotated: v.AutoRotated, CreatedAt: v.CreatedAt, DeleteAt: timeOf(v.DeleteAt),
	}
	if len(v.PublicKey) > 0 {
		out.PublicKey = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: v.PublicKey}))
	}
	return out
}

// names asks every dialect for a thing's name.
func (a *API) names(of func(Naming) string) Names {
	out := Names{}
	for _, n := range a.cfg.Naming {
		if name := of(n); name != "" {
			out[n.Dialect()] = name
		}
	}
	return out
}

type aliasesRequest struct {
	Tenant string `query:"tenant"`
	Limit  int    `query:"limit"`
	Cursor int    `query:"cursor"` // how many aliases of all tenants came before
}

func (a *API) aliases(ctx context.Context, c *kms.Call, r *aliasesRequest) (*List[*Alias], error) {
	limit, err := limitOf(r.Limit)
	if err != nil {
		return nil, err
	}
	var only keys.ID
	if r.Tenant != "" {
		t, err := a.findTenant(ctx, c, "tenant", r.Tenant)
		if err != nil {
			return nil, err
		}
		only = t.ID
	}
	page, err := a.service.Aliases(ctx, c, kms.Page{Limit: limit, Offset: r.Cursor})
	if err != nil {
		return nil, err
	}
	out := &List[*Alias]{Items: []*Alias{}}
	for _, alias := range page.Items {
		if only.IsZero() || alias.Tenant == only {
			out.Items = append(out.Items, &Alias{
				Name: alias.Name, Key: alias.Key.String(), Tenant: alias.Tenant.String(), Region: string(alias.Region), CreatedAt: alias.CreatedAt,
			})
		}
	}
	if len(page.Items) == limit {
		out.Next = strconv.Itoa(r.Cursor + limit)
	}
	return out, nil
}

type vaultsRequest struct {
	Tenant string `query:"tenant"`
}

func (a *API) vaults(ctx context.Context, c *kms.Call, r *vaultsRequest) (*List[*Vault], error) {
	tenants, err := a.someTenants(ctx, c, r.Tenant)
	if err != nil {
		return nil, err
	}
	all, err := a.service.AllVaults(ctx)
	if err != nil {
		return nil, err
	}
	wanted := map[keys.ID]bool{}
	for _, t := range tenants {
		wanted[t.ID] = true
	}
	replicas, err := a.replicas(ctx)
	if err != nil {
		return nil, err
	}
	out := &List[*Vault]{Items: []*Vault{}}
	for _, v := range all {
		if wanted[v.Tenant] {
			out.Items = append(out.Items, a.vaultOf(v, replicas[v.Replica]))
		}
	}
	return out, nil
}

type vaultRequest struct {
	ID string `path:"id"`
}

func (a *API) vault(ctx context.Context, _ *kms.Call, r *vaultRequest) (*Vault, error) {
	v, err := a.findVault(ctx, "id", r.ID)
	if err != nil {
		return nil, err
	}
	replicas, err := a.replicas(ctx)
	if err != nil {
		return nil, err
	}
	return a.vaultOf(v, replicas[v.Replica]), nil
}

func (a *API) replicas(ctx context.Context) (map[keys.ID]*keys.Replica, error) {
	all, err := a.service.AllReplicas(ctx)
	if err != nil {
		return nil, err
	}
	out := map[keys.ID]*keys.Replica{}
	for _, r := range all {
		out[r.ID] = r
	}
	return out, nil
}

// vaultOf shows a vault, and its replica unless that is nil.
func (a *API) vaultOf(v *keys.Vault, r *keys.Replica) *Vault {
	out := &Vault{
		ID: v.ID.String(), Names: a.names(func(n Naming) string { return n.Vault(v) }),
		Tenant: v.Tenant.String(), Region: string(v.Region), Compartment: v.Compartment.String(), Name: v.Name,
		Kind: string(v.Kind), Default: v.Default, State: string(v.Effective(a.service.Now())),
		CreatedAt: v.CreatedAt, DeleteAt: timeOf(v.DeleteAt),
	}
	if a.cfg.VaultURL != nil {
		out.URL = a.cfg.VaultURL(v)
	}
	if r != nil {
		out.Replica = &Replica{ID: r.ID.String(), Region: string(r.Region), CreatedAt: r.CreatedAt}
		if a.cfg.ReplicaURL != nil {
			out.Replica.URL = a.cfg.ReplicaURL(r)
		}
	}
	return out
}

func timeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func idOf(id keys.ID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}
