// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// NewSession is the wish for a session.
type NewSession struct {
	// Principal is whose rights the session is to have; zero: the one named Role in the
	// caller's tenant.
	Principal keys.ID
	Role      string        // a principal's name, or its id
	Name      string        // see identity.ValidSessionName
	Life      time.Duration // whole seconds within the profile's SessionLife; 0: its default
}

// defaultSessionLife is the window of profiles that have none: the administrator's.
func defaultSessionLife() keys.Window {
	return keys.Window{Min: time.Second, Max: identity.MaxSessionLife, Default: time.Hour}
}

// AccessSession is a session whose holder signs with a secret, as it is told once.
type AccessSession struct {
	*identity.Session
	Of        *identity.Principal // whose rights it has
	AccessKey string
	Secret    []byte
	Token     string
}

// wipe forgets the secret of an answer that is not given.
func (r *AccessSession) wipe() {
	if r != nil {
		clear(r.Secret)
	}
}

// IssueAccessSession makes a session that signs with a secret. Everybody may have one as
// himself; as somebody else only whom identity.Caller.MayAssume allows.
func (s *Service) IssueAccessSession(ctx context.Context, c *Call, req NewSession) (*AccessSession, error) {
	return issue(ctx, s, c, req, func(m *mutation, sess *identity.Session, p *identity.Principal) (*AccessSession, error) {
		token, value, err := s.sessions().seal(sess)
		if err != nil {
			return nil, err
		}
		defer value.Wipe()
		return &AccessSession{
			Session: sess, Of: p, AccessKey: identity.AccessKeyOf(sess.ID), Secret: slices.Clone(value.Reveal()), Token: token,
		}, nil
	})
}

// KeySession is a session whose holder signs with a private key of its own.
type KeySession struct {
	*identity.Session
	Of    *identity.Principal
	Token string
}

// IssueKeySession makes a session for the holder of the private half of an RSA key, given as
// its DER SubjectPublicKeyInfo. The token names principal and tenant as dialect does; a
// principal without such a name cannot have one.
func (s *Service) IssueKeySession(ctx context.Context, c *Call, req NewSession, dialect string, spki []byte) (*KeySession, error) {
	pub, err := identity.ParseRSAPublicKey(spki)
	if err != nil {
		return nil, keys.Invalid("publicKey", err.Error())
	}
	return issue(ctx, s, c, req, func(m *mutation, sess *identity.Session, p *identity.Principal) (*KeySession, error) {
		t, err := store.LoadTenant(m.tx, p.Tenant)
		if err != nil {
			return nil, err
		}
		signed := &identity.KeySession{Session: *sess, Subject: p.Names[dialect], Account: t.Names[dialect], Key: pub}
		if signed.Subject == "" || signed.Account == "" {
			return nil, &keys.Error{Kind: keys.KindUnsupported, Field: "principal", Hint: p.Name + " has no name in " + dialect}
		}
		token, err := signed.Sign(s.sessions().key, s.rand)
		if err != nil {
			return nil, err
		}
		return &KeySession{Session: sess, Of: p, Token: token}, nil
	})
}

// issue makes a session and records who made it. It stores nothing: what the session rests on
// is asked at every use.
func issue[T any](ctx context.Context, s *Service, c *Call, req NewSession, token func(*mutation, *identity.Session, *identity.Principal) (T, error)) (T, error) {
	if err := s.refreshSystem(ctx); err != nil {
		var none T
		return none, translate(err)
	}
	return read(ctx, s, c, keys.Assume, func(m *mutation) (out T, err error) {
		p, err := m.assumed(req)
		if err != nil {
			return out, err
		}
		sess, err := s.newSession(m, p, req)
		if err != nil {
			return out, err
		}
		m.ev.Tenant = p.Tenant
		if m.ev.Context = maps.Clone(m.ev.Context); m.ev.Context == nil {
			m.ev.Context = map[string]string{}
		}
		maps.Copy(m.ev.Context, map[string]string{
			"principal": p.ID.String(), "session": sess.ID.String(), "session_name": sess.Name,
			"expires": sess.ExpiresAt.Format(time.RFC3339),
		})
		return token(m, sess, p)
	})
}

// assumed finds the principal that is to be assumed and asks whether the caller may. Who may
// not does not learn whether there is one.
func (m *mutation) assumed(req NewSession) (*identity.Principal, error) {
	if m.who == nil {
		return nil, &keys.Error{Kind: keys.KindUnauthenticated}
	}
	p := &identity.Principal{ID: req.Principal}
	if p.ID.IsZero() {
		p.Tenant, p.Name = m.who.Tenant, req.Role
		if id, err := keys.ParseID(req.Role); err == nil {
			p.ID = id
		}
	}
	err := m.tx.Load(p)
	if err == nil && !m.who.System() && p.Tenant != m.who.Tenant {
		err = store.ErrNotFound
	}
	switch {
	case err == nil && m.who.MayAssume(p):
		return p, nil
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return nil, err
	case err != nil && m.who.May(keys.Assume, identity.Resource{Tenant: m.who.Tenant}):
		return nil, keys.NotFound(keys.TypePrincipal)
	}
	return nil, &keys.Error{
		Kind: keys.KindDenied, Action: keys.Assume,
		Hint: m.who.Name + " may have sessions as itself and as principals that list it: an administrator can allow it with \"claviger principal trust\"",
	}
}

func (s *Service) newSession(m *mutation, p *identity.Principal, req NewSession) (*identity.Session, error) {
	if !identity.ValidSessionName(req.Name) {
		return nil, keys.Invalid("sessionName", "a session's name has 2 to 64 letters, digits and . @ - _")
	}
	window := orElse(m.c.Profile.SessionLife, defaultSessionLife())
	life := orElse(req.Life, window.Default)
	if !window.Contains(life) || life%time.Second != 0 {
		return nil, keys.Invalid("duration", fmt.Sprintf("a session lasts %v to %v, in whole seconds", window.Min, window.Max))
	}
	now := s.guard.wall().UTC()
	sess := &identity.Session{Tenant: p.Tenant, Name: req.Name, IssuedAt: now.Truncate(time.Second)}
	// Never shorter than it was asked for.
	if sess.ExpiresAt = sess.IssuedAt.Add(life); sess.ExpiresAt.Before(now.Add(life)) {
		sess.ExpiresAt = sess.ExpiresAt.Add(time.Second)
	}
	var err error
	if err = m.restOn(sess, p); err != nil {
		return nil, err
	}
	sess.ID, err = keys.NewID(s.rand)
	return sess, err
}

// restOn notes what the session rests on: the caller's credential and the principals through
// which it came here. A session makes none that outlives it.
func (m *mutation) restOn(sess *identity.Session, p *identity.Principal) error {
	if before := m.who.Session; before != nil {
		if sess.ExpiresAt.After(before.ExpiresAt) {
			return keys.Invalid("duration", "a session cannot make one that outlives it, and it ends at "+before.ExpiresAt.Format(time.RFC3339))
		}
		sess.Credential, sess.Chain = before.Credential, slices.Clone(before.Chain)
	} else if !m.who.System() {
		own, err := store.LoadPrincipal(m.tx, m.who.Principal)
		if err != nil {
			return notFound(err, keys.TypePrincipal)
		}
		sess.Credential, sess.Chain = m.who.Credential, []identity.Link{{Principal: own.ID, Epoch: own.SessionEpoch}}
	}
	if n := len(sess.Chain); n == 0 || sess.Chain[n-1].Principal != p.ID {
		sess.Chain = append(sess.Chain, identity.Link{Principal: p.ID, Epoch: p.SessionEpoch})
	}
	if len(sess.Chain) > identity.MaxChain {
		return &keys.Error{
			Kind: keys.KindDenied, Action: keys.Assume,
			Hint: fmt.Sprintf("a session was handed through %d principals, which is the most", identity.MaxChain),
		}
	}
	return nil
}

// EndSessions ends every session of a principal, and those that were assumed through it. When it
// returns no call in one of them is under way.
func (s *Service) EndSessions(ctx context.Context, c *Call, principal keys.ID) error {
	_, err := do(ctx, s, c, keys.ManageIdentity, nil, func(m *mutation) (nothing, error) {
		p, err := m.principal(principal)
		if err != nil {
			return nothing{}, err
		}
		p.SessionEpoch++
		return nothing{}, m.tx.Put(p)
	})
	return err
}

// SetAssumable says whether a principal may have sessions as another of its tenant. When it
// returns no call in a session without that right is under way.
func (s *Service) SetAssumable(ctx context.Context, c *Call, principal, by keys.ID, allowed bool) error {
	_, err := do(ctx, s, c, keys.ManageIdentity, nil, func(m *mutation) (nothing, error) {
		p, err := m.principal(principal)
		if err != nil {
			return nothing{}, err
		}
		if allowed {
			other, err := store.LoadPrincipal(m.tx, by)
			if err == nil && other.Tenant != p.Tenant {
				err = store.ErrNotFound
			}
			if err != nil {
				return nothing{}, notFound(err, keys.TypePrincipal)
			}
		}
		p.AssumableBy = slices.DeleteFunc(p.AssumableBy, func(id keys.ID) bool { return id == by })
		if allowed {
			p.AssumableBy = append(p.AssumableBy, by)
		}
		return nothing{}, m.tx.Put(p)
	})
	return err
}

// Self is the caller's own principal: everybody may know who he is.
func (s *Service) Self(ctx context.Context, c *Call) (*identity.Principal, error) {
	return read(ctx, s, c, keys.ReadIdentity, func(m *mutation) (*identity.Principal, error) {
		if m.who == nil || m.who.System() {
			return nil, &keys.Error{Kind: keys.KindUnauthenticated}
		}
		m.ev.Tenant = m.who.Tenant
		return store.LoadPrincipal(m.tx, m.who.Principal)
	})
}
