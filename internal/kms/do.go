// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"time"

	"claviger/internal/audit"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// mutation is what a use case works with inside do: one transaction, one moment.
type mutation struct {
	tx  store.Tx
	c   *Call
	who *identity.Caller // as the transaction knows it, not as the request began
	now time.Time
	ev  *audit.Event
}

// result is what a mutation answers. It can be kept for a repeated idempotency token, and
// never holds material.
type result interface {
	identity() (keys.Type, keys.ID)
}

// nothing is the result of mutations that answer nothing.
type nothing struct{}

func (nothing) identity() (keys.Type, keys.ID) { return "", keys.ID{} }

// do is the only door for mutations. In one transaction it looks for the idempotency token,
// re-establishes the caller, records the nonce, runs, saves the token and records the audit
// event: none of these can be forgotten. prepare, which may be nil, does the slow part before
// the transaction (generating material) and only if the token was not used before. run may be
// run again and touches nothing but its mutation.
func do[T result](ctx context.Context, s *Service, c *Call, act keys.Action, prepare func() error, run func(*mutation) (T, error)) (T, error) {
	var none T
	out, again, err := replayed[T](ctx, s, c)
	if err == nil && !again {
		out, err = doOnce(ctx, s, c, act, prepare, run)
	}
	if err != nil {
		err = translate(err)
		s.Refused(ctx, c, act, err)
		return none, err
	}
	return out, nil
}

func doOnce[T result](ctx context.Context, s *Service, c *Call, act keys.Action, prepare func() error, run func(*mutation) (T, error)) (T, error) {
	var out T
	if c.Admit != nil {
		if err := c.Admit(); err != nil {
			return out, err
		}
	}
	if prepare != nil {
		if err := prepare(); err != nil {
			return out, err
		}
	}
	// The snapshots held so far would make this call wait for itself.
	c.End()
	_, err := s.store.Update(ctx, func(tx store.Tx) error {
		m := &mutation{tx: tx, c: c, now: s.clock.Now(), ev: s.event(c, act)}
		stored, again, err := loadToken[T](tx, c, m.now)
		if err != nil {
			return err
		}
		if again {
			out = stored
			return nil
		}
		if m.who, err = caller(tx, c.Who); err != nil {
			return err
		}
		if c.Nonce != ([16]byte{}) {
			if err := recordNonce(tx, c); err != nil {
				return err
			}
		}
		if out, err = run(m); err != nil {
			return err
		}
		if err := saveToken(tx, c, out, m.now); err != nil {
			return err
		}
		m.ev.Outcome, m.ev.Revision = audit.OutcomeOK, tx.Revision()
		return tx.Record(*m.ev)
	})
	return out, err
}

// caller re-establishes who calls inside the transaction, so that a mutation ordered after a
// revocation is refused however early it was received.
func caller(tx store.Tx, who *identity.Caller) (*identity.Caller, error) {
	if who == nil {
		return nil, &keys.Error{Kind: keys.KindUnauthenticated}
	}
	if who.System() {
		return who, nil
	}
	row := identity.CredentialRow{ID: who.Credential}
	if err := tx.Load(&row); err != nil {
		return nil, gone(err)
	}
	if row.Disabled {
		return nil, gone(store.ErrNotFound)
	}
	p, err := store.LoadPrincipal(tx, who.Principal)
	if err != nil {
		return nil, gone(err)
	}
	bindings, err := tx.Bindings(p.ID)
	if err != nil {
		return nil, err
	}
	return identity.NewCaller(p, row.ID, bindings), nil
}

func gone(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return &keys.Error{Kind: keys.KindUnauthenticated, Noun: keys.TypeCredential, Hint: "the credential was removed while the request was under way"}
	}
	return err
}

// may authorizes act on a tenant's vault or on the tenant itself.
func (m *mutation) may(act keys.Action, r identity.Resource) error { return may(m.who, act, r) }

func may(who *identity.Caller, act keys.Action, r identity.Resource) error {
	if who == nil {
		return &keys.Error{Kind: keys.KindUnauthenticated}
	}
	if who.May(act, r) {
		return nil
	}
	return &keys.Error{
		Kind: keys.KindDenied, Action: act,
		Hint: who.Name + " has no role that allows " + string(act) + " here: an administrator can give one with \"claviger principal\"",
	}
}

// match applies the call's if-match.
func (m *mutation) match(etag string) error {
	if m.c.IfMatch != "" && m.c.IfMatch != etag {
		return &keys.Error{Kind: keys.KindRevision, Hint: "if-match names an earlier state: read the resource again and use its etag " + etag}
	}
	return nil
}

// translate turns the store's errors into the core's. It is the only place that does.
func translate(err error) error {
	if _, ok := errors.AsType[*keys.Error](err); ok {
		return err
	}
	switch {
	case errors.Is(err, store.ErrUnknown):
		return &keys.Error{Kind: keys.KindUnavailable, Err: err, Hint: "the change may or may not have been made: repeat the request, with its retry token where it has one"}
	case errors.Is(err, store.ErrClosed), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &keys.Error{Kind: keys.KindUnavailable, Err: err}
	case errors.Is(err, store.ErrConflict):
		return &keys.Error{Kind: keys.KindRevision, Err: err}
	case errors.Is(err, store.ErrExists):
		return &keys.Error{Kind: keys.KindExists, Err: err}
	}
	return &keys.Error{Kind: keys.KindInternal, Err: err}
}

// notFound turns the store's not-found into the core's for noun, and passes other errors.
func notFound(err error, noun keys.Type) error {
	if errors.Is(err, store.ErrNotFound) {
		return keys.NotFound(noun)
	}
	return err
}

// event begins the audit event of a call.
func (s *Service) event(c *Call, act keys.Action) *audit.Event {
	ev := &audit.Event{
		Time: s.clock.Now(), Request: c.RequestID, Dialect: c.Dialect, Operation: c.Operation,
		Action: act, Source: c.Source, Context: c.Context, Vault: c.Vault,
	}
	if c.Who != nil {
		ev.Principal, ev.Credential, ev.Tenant = c.Who.Principal, c.Who.Credential, c.Who.Tenant
	}
	return ev
}

// Refused records a refusal. Use cases record their own; a dialect's pipeline calls it for
// requests that reach none.
func (s *Service) Refused(ctx context.Context, c *Call, act keys.Action, err error) {
	ev := s.event(c, act)
	e := keys.AsError(err)
	ev.Outcome, ev.Reason = string(e.Kind), e.Hint
	if err := s.audit.Append(*ev); err != nil {
		s.log.ErrorContext(ctx, "record refusal", "request_id", c.RequestID, "error", err)
	}
}
