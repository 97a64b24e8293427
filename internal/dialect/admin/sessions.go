// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
)

type createSessionRequest struct{ Body NewSession }

func (a *API) createSession(ctx context.Context, c *kms.Call, r *createSessionRequest) (*Session, error) {
	p, err := a.findPrincipal(ctx, c, "principal", r.Body.Principal)
	if err != nil {
		return nil, err
	}
	wish := kms.NewSession{Principal: p.ID, Name: r.Body.Name}
	if r.Body.Duration != "" {
		if wish.Life, err = parseSpan("duration", r.Body.Duration); err != nil {
			return nil, err
		}
		if wish.Life <= 0 {
			return nil, keys.Invalid("duration", "a session lasts at least a second")
		}
	}
	t, err := a.findTenant(ctx, c, "tenant", p.Tenant.String())
	if err != nil {
		return nil, err
	}
	if r.Body.PublicKey != "" {
		return a.keySession(ctx, c, t, p, wish, r.Body.PublicKey)
	}
	s, err := a.service.IssueAccessSession(ctx, c, wish)
	if err != nil {
		return nil, err
	}
	out := sessionOf(s.Session, t, s.Token)
	out.AccessKeyID, out.Secret = s.AccessKey, string(s.Secret)
	clear(s.Secret)
	return out, nil
}

func (a *API) keySession(ctx context.Context, c *kms.Call, t *keys.Tenant, p *identity.Principal, wish kms.NewSession, text string) (*Session, error) {
	spki, err := publicKey(text)
	if err != nil {
		return nil, err
	}
	for _, n := range a.cfg.Naming {
		name, fingerprint := n.RSAKeyName(t, p, spki)
		if name == "" {
			continue
		}
		s, err := a.service.IssueKeySession(ctx, c, wish, n.Dialect(), spki)
		if err != nil {
			return nil, err
		}
		out := sessionOf(s.Session, t, s.Token)
		out.Fingerprint = fingerprint
		return out, nil
	}
	return nil, &keys.Error{Kind: keys.KindUnsupported, Field: "publicKey", Hint: "no dialect of this server has a name for " + p.Name + " with an RSA key"}
}

func sessionOf(s *identity.Session, t *keys.Tenant, token string) *Session {
	return &Session{
		ID: s.ID.String(), Tenant: s.Tenant.String(), TenantNames: Names(t.Names), Principal: s.Principal().String(), Name: s.Name,
		ExpiresAt: s.ExpiresAt, Token: token,
	}
}

func (a *API) endSessions(ctx context.Context, c *kms.Call, r *idRequest) (none, error) {
	p, err := a.findPrincipal(ctx, c, "id", r.ID)
	if err != nil {
		return none{}, err
	}
	return none{}, a.service.EndSessions(ctx, c, p.ID)
}

type allowAssumingRequest struct {
	ID   string `path:"id"`
	Body Assumer
}

func (a *API) allowAssuming(ctx context.Context, c *kms.Call, r *allowAssumingRequest) (none, error) {
	by, err := a.findPrincipal(ctx, c, "principal", r.Body.Principal)
	if err != nil {
		return none{}, err
	}
	return a.setAssumable(ctx, c, r.ID, by.ID, true)
}

type forbidAssumingRequest struct {
	ID string `path:"id"`
	By string `path:"by"`
}

func (a *API) forbidAssuming(ctx context.Context, c *kms.Call, r *forbidAssumingRequest) (none, error) {
	// By id it may also be one that is gone and still listed.
	if id, err := keys.ParseID(r.By); err == nil {
		return a.setAssumable(ctx, c, r.ID, id, false)
	}
	by, err := a.findPrincipal(ctx, c, "by", r.By)
	if err != nil {
		return none{}, err
	}
	return a.setAssumable(ctx, c, r.ID, by.ID, false)
}

func (a *API) setAssumable(ctx context.Context, c *kms.Call, principal string, by keys.ID, allowed bool) (none, error) {
	p, err := a.findPrincipal(ctx, c, "id", principal)
	if err != nil {
		return none{}, err
	}
	return none{}, a.service.SetAssumable(ctx, c, p.ID, by, allowed)
}
