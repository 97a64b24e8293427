// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"encoding/pem"
	"fmt"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
)

type principalsRequest struct {
	Tenant string `query:"tenant"`
}

func (a *API) principals(ctx context.Context, c *kms.Call, r *principalsRequest) (*List[*Principal], error) {
	tenants, err := a.someTenants(ctx, c, r.Tenant)
	if err != nil {
		return nil, err
	}
	out := &List[*Principal]{Items: []*Principal{}}
	for _, t := range tenants {
		all, err := a.service.Principals(ctx, c, t.ID)
		if err != nil {
			return nil, err
		}
		for _, p := range all {
			shown, err := a.principalOf(ctx, c, p)
			if err != nil {
				return nil, err
			}
			out.Items = append(out.Items, shown)
		}
	}
	return out, nil
}

func (a *API) principalOf(ctx context.Context, c *kms.Call, p *identity.Principal) (*Principal, error) {
	bindings, err := a.service.Bindings(ctx, c, p.ID)
	if err != nil {
		return nil, err
	}
	out := &Principal{ID: p.ID.String(), Tenant: p.Tenant.String(), Name: p.Name, Names: Names(p.Names), CreatedAt: p.CreatedAt, Roles: []Role{}}
	for _, id := range p.AssumableBy {
		out.Assumers = append(out.Assumers, id.String())
	}
	for _, b := range bindings {
		out.Roles = append(out.Roles, Role{Role: string(b.Role), Vault: idOf(b.Vault)})
	}
	return out, nil
}

type createPrincipalRequest struct{ Body NewPrincipal }

func (a *API) createPrincipal(ctx context.Context, c *kms.Call, r *createPrincipalRequest) (*Principal, error) {
	if err := validName("name", r.Body.Name); err != nil {
		return nil, err
	}
	t, err := a.findTenant(ctx, c, "tenant", r.Body.Tenant)
	if err != nil {
		return nil, err
	}
	role, vault, err := a.roleOf(ctx, Role{Role: r.Body.Role, Vault: r.Body.Vault})
	if err != nil {
		return nil, err
	}
	id, names, err := a.fresh(keys.TypePrincipal, r.Body.Names)
	if err != nil {
		return nil, err
	}
	p, err := a.service.CreatePrincipal(ctx, c, kms.NewPrincipal{ID: id, Tenant: t.ID, Name: r.Body.Name, Names: names, Role: role, Vault: vault})
	if err != nil {
		return nil, err
	}
	return a.principalOf(ctx, c, p)
}

func (a *API) roleOf(ctx context.Context, r Role) (identity.Role, keys.ID, error) {
	role := identity.Role(r.Role)
	if !role.Valid() {
		return "", keys.ID{}, keys.Invalid("role", fmt.Sprintf("%q is not one of %v", r.Role, identity.Roles()))
	}
	if r.Vault == "" {
		return role, keys.ID{}, nil
	}
	v, err := a.findVault(ctx, "vault", r.Vault)
	if err != nil {
		return "", keys.ID{}, err
	}
	return role, v.ID, nil
}

func (a *API) deletePrincipal(ctx context.Context, c *kms.Call, r *idRequest) (none, error) {
	p, err := a.findPrincipal(ctx, c, "id", r.ID)
	if err != nil {
		return none{}, err
	}
	return none{}, a.service.DeletePrincipal(ctx, c, p.ID)
}

type setRoleRequest struct {
	ID   string `path:"id"`
	Body Role
}

func (a *API) setRole(ctx context.Context, c *kms.Call, r *setRoleRequest) (none, error) {
	p, err := a.findPrincipal(ctx, c, "id", r.ID)
	if err != nil {
		return none{}, err
	}
	role, vault, err := a.roleOf(ctx, r.Body)
	if err != nil {
		return none{}, err
	}
	return none{}, a.service.SetRole(ctx, c, p.ID, role, vault)
}

func (a *API) credentials(ctx context.Context, c *kms.Call, r *principalsRequest) (*List[*Credential], error) {
	tenants, err := a.someTenants(ctx, c, r.Tenant)
	if err != nil {
		return nil, err
	}
	out := &List[*Credential]{Items: []*Credential{}}
	for _, t := range tenants {
		all, err := a.service.Credentials(ctx, c, t.ID)
		if err != nil {
			return nil, err
		}
		for _, row := range all {
			out.Items = append(out.Items, a.credentialOf(row))
		}
	}
	return out, nil
}

func (a *API) credentialOf(row *identity.CredentialRow) *Credential {
	return &Credential{
		ID: row.ID.String(), Tenant: row.Tenant.String(), Principal: row.Principal.String(), Kind: string(row.Kind),
		Name: row.Name, Fingerprint: a.fingerprint(row.PublicKey), Disabled: row.Disabled, CreatedAt: row.CreatedAt,
	}
}

// fingerprint is that of the first cloud which tells public keys apart; "" for none.
func (a *API) fingerprint(spki []byte) string {
	for _, n := range a.cfg.Naming {
		if text := n.Fingerprint(spki); len(spki) > 0 && text != "" {
			return text
		}
	}
	return ""
}

type addCredentialRequest struct{ Body NewCredential }

func (a *API) addCredential(ctx context.Context, c *kms.Call, r *addCredentialRequest) (*Credential, error) {
	p, err := a.findPrincipal(ctx, c, "principal", r.Body.Principal)
	if err != nil {
		return nil, err
	}
	if r.Body.PublicKey != "" {
		return a.addRSAKey(ctx, c, p, r.Body.PublicKey)
	}
	row, secret, err := a.cfg.AddAccessKey(ctx, c, p.ID)
	if err != nil {
		return nil, err
	}
	out := a.credentialOf(row)
	out.Secret = secret
	return out, nil
}

func (a *API) addRSAKey(ctx context.Context, c *kms.Call, p *identity.Principal, text string) (*Credential, error) {
	spki, err := publicKey(text)
	if err != nil {
		return nil, err
	}
	t, err := a.findTenant(ctx, c, "tenant", p.Tenant.String())
	if err != nil {
		return nil, err
	}
	for _, n := range a.cfg.Naming {
		name, fingerprint := n.RSAKeyName(t, p, spki)
		if name == "" {
			continue
		}
		row, err := a.service.AddRSAKey(ctx, c, p.ID, name, spki)
		if err != nil {
			return nil, err
		}
		out := a.credentialOf(row)
		out.Fingerprint = fingerprint
		return out, nil
	}
	return nil, &keys.Error{Kind: keys.KindUnsupported, Field: "publicKey", Hint: "no dialect of this server authenticates with RSA keys"}
}

// publicKey reads an RSA key of acceptable size out of one PEM block.
func publicKey(text string) ([]byte, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "PUBLIC KEY" || len(rest) > 0 {
		return nil, keys.Invalid("publicKey", "must be one PEM block of type PUBLIC KEY; the private key stays with its owner")
	}
	if _, err := identity.ParseRSAPublicKey(block.Bytes); err != nil {
		return nil, keys.Invalid("publicKey", err.Error())
	}
	return block.Bytes, nil
}

type updateCredentialRequest struct {
	ID   string `path:"id"`
	Body CredentialUpdate
}

func (a *API) updateCredential(ctx context.Context, c *kms.Call, r *updateCredentialRequest) (none, error) {
	id, err := a.credentialID(ctx, c, r.ID)
	if err != nil {
		return none{}, err
	}
	return none{}, a.service.SetCredentialDisabled(ctx, c, id, r.Body.Disabled)
}

func (a *API) removeCredential(ctx context.Context, c *kms.Call, r *idRequest) (none, error) {
	id, err := a.credentialID(ctx, c, r.ID)
	if err != nil {
		return none{}, err
	}
	return none{}, a.service.RemoveCredential(ctx, c, id)
}

// credentialID finds a credential by its id or its name.
func (a *API) credentialID(ctx context.Context, c *kms.Call, text string) (keys.ID, error) {
	tenants, err := a.service.Tenants(ctx, c)
	if err != nil {
		return keys.ID{}, err
	}
	var all []*identity.CredentialRow
	for _, t := range tenants {
		some, err := a.service.Credentials(ctx, c, t.ID)
		if err != nil {
			return keys.ID{}, err
		}
		all = append(all, some...)
	}
	row, err := pick(keys.TypeCredential, "id", text, all,
		func(r *identity.CredentialRow) keys.ID { return r.ID }, func(r *identity.CredentialRow) string { return r.Name },
		func(*identity.CredentialRow) []string { return nil })
	if err != nil {
		return keys.ID{}, err
	}
	return row.ID, nil
}
