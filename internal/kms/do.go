// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"fmt"
	"strconv"
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

	told *told // what the call tells; nil where nobody waits for that

	through *keys.Replica // by which the call sees the vault that it is about; nil at home
}

// result is what a mutation answers. It can be kept for a repeated idempotency token, and
// never holds material.
type result interface {
	identity() (keys.Type, keys.ID)
	records() records
}

// nothing is the result of mutations that answer nothing.
type nothing struct{}

func (nothing) identity() (keys.Type, keys.ID) { return "", keys.ID{} }
func (nothing) records() records               { return records{} }

// do is the only door for mutations. In one transaction it looks for the idempotency token,
// re-establishes the caller, records the nonce, runs, saves the token and records the audit
// event: none of these can be forgotten. prepare, which may be nil, does the slow part before
// the transaction (generating material) and only if the token was not used before. run may be
// run again and touches nothing but its mutation.
func do[T result](ctx context.Context, s *Service, c *Call, act keys.Action, prepare func(*audit.Event) error, run func(*mutation) (T, error)) (T, error) {
	var none T
	c.recorded, c.told.fleet = true, s.fleet
	end, err := s.begin()
	if err != nil {
		return none, s.refuse(ctx, s.event(c, act), err)
	}
	defer end()
	for try := 1; ; try++ {
		ev := s.event(c, act)
		known, err := tokenKnown[T](ctx, s, c)
		if err == nil && !known {
			err = prepared(c, ev, prepare)
		}
		if errors.Is(err, errResealed) && try < resealTries {
			continue
		}
		if err != nil {
			return none, s.refuse(ctx, ev, err)
		}
		// The snapshots held so far would make this call wait for itself.
		c.End()
		done, err := transact(ctx, s, c, act, known, run)
		switch {
		case errors.Is(err, errTokenOver), errors.Is(err, errResealed) && try < resealTries:
			continue
		case err != nil:
			c.told.tell(done.told.revision)
			return none, s.refuse(ctx, orElse(done.ev, ev), err)
		}
		if err = s.settleFleet(ctx, act, done.revision); err == nil && done.again {
			t, id := done.out.identity()
			err = s.repeated(done.ev, t, id)
		} else if err == nil {
			c.changed(act, done.out)
		}
		return done.out, err
	}
}

// errTokenOver says that a token ended its life between being looked for and being used.
var errTokenOver = errors.New("the idempotency token is over")

func prepared(c *Call, ev *audit.Event, prepare func(*audit.Event) error) error {
	if err := admit(c); err != nil || prepare == nil {
		return err
	}
	return prepare(ev)
}

// outcome is what a transaction of do came to.
type outcome[T result] struct {
	out   T
	ev    *audit.Event
	again bool // out is the stored result of an earlier call with the same token

	revision int64 // of the change, or of the newest one before it where it was made earlier
	told     told  // by a refusal
}

// transact is do's transaction. repeats says that the token was found already, and that
// nothing is prepared: the transaction then only confirms it. That orders the answer after
// the commit of the first call and after what it retired.
func transact[T result](ctx context.Context, s *Service, c *Call, act keys.Action, repeats bool, run func(*mutation) (T, error)) (outcome[T], error) {
	var done outcome[T]
	_, err := s.store.Update(ctx, func(tx store.Tx) error {
		t := told{fleet: s.fleet} // not the call's: its caller may have left
		m := &mutation{tx: tx, c: c, now: s.clock.Now(), ev: s.event(c, act), told: &t}
		out, again, err := loadToken[T](tx, c, m.now)
		if err == nil && !again && repeats {
			err = errTokenOver
		}
		if err == nil && !again {
			out, err = effect(m, run)
		}
		done = outcome[T]{out: out, ev: m.ev, again: again, revision: tx.Revision(), told: t}
		if again {
			done.revision--
		}
		return err
	})
	if errors.Is(err, store.ErrUnknown) {
		return outcome[T]{}, err // the transaction may still be under way: done is not ours to read
	}
	return done, err
}

// effect is what happens once the token is known to be new.
func effect[T result](m *mutation, run func(*mutation) (T, error)) (out T, err error) {
	if m.who, err = caller(m.tx, m.c.Who); err != nil {
		return out, err
	}
	if m.c.Nonce != ([16]byte{}) {
		if err := recordNonce(m.tx, m.c); err != nil {
			return out, err
		}
	}
	if out, err = run(m); err != nil {
		return out, err
	}
	if !m.c.work.IsZero() {
		if err := m.completeWork(out); err != nil {
			return out, err
		}
	}
	if err := saveToken(m.tx, m.c, out, m.now); err != nil {
		return out, err
	}
	m.ev.Outcome, m.ev.Revision = audit.OutcomeOK, m.tx.Revision()
	return out, m.tx.Record(*m.ev)
}

// repeated records that an earlier answer is given again, and lets it wait as the first one
// did: for the calls that hold what the change retired.
func (s *Service) repeated(ev *audit.Event, t keys.Type, id keys.ID) error {
	s.ring.settle(t, id)
	switch t {
	case keys.TypeVault:
		ev.Vault = id
	case keys.TypeReplica:
		ev.Replica = id
	case keys.TypeKey:
		ev.Key = id
	case keys.TypeVersion:
		ev.Version = id
	default:
	}
	ev.Outcome, ev.Reason = audit.OutcomeOK, "the answer to the first request with this retry token, given again"
	return s.record(ev)
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
	if who.Session != nil {
		return sessionCaller(tx, who.Session)
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
	case errors.Is(err, store.ErrFull):
		return &keys.Error{Kind: keys.KindUnavailable, Err: err, Hint: "nothing was changed: the database has no room; try again once its administrator has made some"}
	case errors.Is(err, store.ErrReadOnly):
		return &keys.Error{Kind: keys.KindUnavailable, Err: err, Hint: "nothing was changed: the database takes no changes at the moment"}
	case errors.Is(err, store.ErrAway):
		return &keys.Error{Kind: keys.KindUnavailable, Err: err, Hint: "the database does not answer; try again"}
	case errors.Is(err, store.ErrClosed), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &keys.Error{Kind: keys.KindUnavailable, Err: err}
	case errors.Is(err, errResealed):
		return &keys.Error{Kind: keys.KindUnavailable, Err: err, Hint: "the keys above were being replaced: repeat the request"}
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
		Time: s.clock.Now(), Request: c.RequestID, Batch: c.Batch, Dialect: c.Dialect, Operation: c.Operation,
		Action: act, Source: c.Source, Context: c.Context, Vault: c.Vault,
	}
	if !c.Replica.IsZero() {
		ev.Replica, ev.Region = c.Replica, c.Region
	}
	if c.Who != nil {
		ev.Principal, ev.Credential, ev.Tenant = c.Who.Principal, c.Who.Credential, c.Who.Tenant
		if session := c.Who.Session; session != nil {
			ev.Session, ev.SessionName = session.ID, session.Name
		}
	}
	return ev
}

// Refused records a refusal, unless a use case has recorded the call: a dialect's pipeline
// calls it for every request that it refuses.
func (s *Service) Refused(ctx context.Context, c *Call, act keys.Action, err error) {
	if !c.recorded {
		c.recorded = true
		_ = s.refuse(ctx, s.event(c, act), err)
	}
}

// RefusedMany records n requests of one source in one event: refusals of callers that could not be
// established, beyond what a source may have recorded one by one.
func (s *Service) RefusedMany(ctx context.Context, source string, n uint64, first, last time.Time) {
	ev := s.event(&Call{Source: source}, "")
	ev.Outcome = string(keys.KindThrottled)
	ev.Reason = fmt.Sprintf("%d more requests of this source were refused and not recorded one by one", n)
	ev.Context = map[string]string{
		"requests": strconv.FormatUint(n, 10),
		"first":    first.UTC().Format(time.RFC3339), "last": last.UTC().Format(time.RFC3339),
	}
	if err := s.record(ev); err != nil {
		s.log.ErrorContext(ctx, "record refusals", "source", source, "requests", n, "error", err)
	}
}

// refuse records a refusal and answers it in the core's words.
func (s *Service) refuse(ctx context.Context, ev *audit.Event, err error) error {
	err = translate(err)
	e := keys.AsError(err)
	ev.Outcome, ev.Reason = string(e.Kind), e.Reason()
	if auditErr := s.record(ev); auditErr != nil {
		s.log.ErrorContext(ctx, "record refusal", "request_id", ev.Request, "refusal", err, "error", auditErr)
		return auditErr
	}
	return err
}

// record hands an event to the audit log; without it there is no answer but this error.
func (s *Service) record(ev *audit.Event) error {
	if err := s.audit.Append(*ev); err != nil {
		return &keys.Error{Kind: keys.KindUnavailable, Err: fmt.Errorf("record audit event: %w", err)}
	}
	return nil
}
