// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
)

// issued makes a session as somebody.
func issued(t testing.TB, w *kmstest.World, as kmstest.Tenant, req kms.NewSession) *kms.AccessSession {
	t.Helper()
	c := w.Call(t, as)
	defer c.End()
	s, err := w.IssueAccessSession(context.Background(), c, req)
	if err != nil {
		t.Fatalf("issue session: %v", err)
	}
	return s
}

// in runs f in a call of a session.
func in(w *kmstest.World, s *kms.AccessSession, f func(*kms.Call) error) error {
	c := &kms.Call{Dialect: "test", Operation: "in a session", Region: kmstest.Region, Profile: &kmstest.Profile}
	defer c.End()
	cred, err := w.AuthenticateSession(context.Background(), c, s.AccessKey, s.Token)
	if err != nil {
		return err
	}
	c.Who = cred.Caller
	return f(c)
}

// encrypts is a data call with a key.
func encrypts(w *kmstest.World, key keys.ID) func(*kms.Call) error {
	return func(c *kms.Call) error {
		return second(w.Encrypt(context.Background(), c, kms.EncryptRequest{Key: kms.KeyRef{ID: key}, Plaintext: []byte("x")}))
	}
}

// creates is a mutation.
func creates(w *kmstest.World) func(*kms.Call) error {
	return func(c *kms.Call) error { return second(w.CreateKey(context.Background(), c, wish(keys.AES256))) }
}

// wantWhy reports an error that does not refuse a session for this reason; "" is success.
func wantWhy(t testing.TB, what string, err error, why string) {
	t.Helper()
	got := ""
	if err != nil {
		e := keys.AsError(err)
		if got = e.Field; e.Kind != keys.KindUnauthenticated || e.Noun != keys.TypeSession {
			got = "another error"
		}
	}
	if got != why {
		t.Errorf("%s: %q (%v), want %q", what, got, err, why)
	}
}

func TestASessionHasItsPrincipalsRights(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	k := newAES(t, w)
	user := member(t, w, w.Tenant, "app", identity.User, keys.ID{})
	s := issued(t, w, user, kms.NewSession{Principal: user.Principal, Name: "ci-17"})
	if !strings.HasPrefix(s.AccessKey, "STS.") || s.Of.Name != "app" || s.ExpiresAt.Sub(s.IssuedAt) != time.Hour {
		t.Errorf("the session is %+v of %+v", s.Session, s.Of)
	}
	want(t, "a data call", in(w, s, encrypts(w, k.ID)), "")
	want(t, "a mutation that its role lacks", in(w, s, creates(w)), keys.KindDenied)
	if err := w.SetRole(t.Context(), w.System("test"), user.Principal, identity.Operator, keys.ID{}); err != nil {
		t.Fatal(err)
	}
	want(t, "the mutation with the role of now", in(w, s, creates(w)), "")
	want(t, "the data call with the role of now", in(w, s, encrypts(w, k.ID)), keys.KindDenied)

	found := 0
	for _, ev := range events(t, w) {
		if ev.Operation != "in a session" {
			continue
		}
		found++
		if ev.Session != s.ID || ev.SessionName != "ci-17" || ev.Principal != user.Principal || ev.Credential.IsZero() {
			t.Errorf("the call is recorded as %+v", ev)
		}
	}
	if found != 4 {
		t.Errorf("%d calls are recorded, want 4", found)
	}
}

func TestIssuingIsRecordedWithWhatWasIssued(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	s := issued(t, w, w.Tenant, kms.NewSession{Principal: w.Tenant.Principal, Name: "ci"})
	for _, ev := range events(t, w) {
		if ev.Action != keys.Assume {
			continue
		}
		if ev.Context["session"] != s.ID.String() || ev.Context["session_name"] != "ci" || ev.Context["principal"] != w.Tenant.Principal.String() {
			t.Errorf("recorded is %+v", ev)
		}
		return
	}
	t.Error("nothing is recorded")
}

// TestASessionEndsAtItsTime asks to the second, cold and warm, in both forms.
func TestASessionEndsAtItsTime(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	k := newAES(t, w)
	w.Clock.Add(300 * time.Millisecond) // a minute is not cut to whole seconds
	warm := issued(t, w, w.Tenant, kms.NewSession{Principal: w.Tenant.Principal, Name: "warm", Life: time.Minute})
	cold := issued(t, w, w.Tenant, kms.NewSession{Principal: w.Tenant.Principal, Name: "cold", Life: time.Minute})
	signed := keySession(t, w, w.Tenant.Principal)
	advance(t, w, 30*keys.Day) // domain time, which sessions do not live by
	w.Clock.Add(time.Minute)
	wantWhy(t, "after what was asked for", in(w, warm, encrypts(w, k.ID)), "")
	w.Clock.Add(700 * time.Millisecond)
	wantWhy(t, "warm, when it is over", in(w, warm, encrypts(w, k.ID)), kms.SessionExpired)
	wantWhy(t, "cold, when it is over", in(w, cold, encrypts(w, k.ID)), kms.SessionExpired)
	wantWhy(t, "the one with a key is longer", byKey(w, signed), "")
	w.Clock.Add(time.Hour)
	wantWhy(t, "with a key, warm, when it is over", byKey(w, signed), kms.SessionExpired)
	if n := w.Stats().Keyring; n == 0 {
		t.Fatal("nothing is remembered, so that nothing can be forgotten")
	}
	before := w.Stats().Keyring
	if _, err := w.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := w.Stats().Keyring; after != before-2 {
		t.Errorf("%d snapshots are left of %d: sessions that are over should be forgotten", after, before)
	}
}

// keySession is a session of a principal for the holder of the tenant's RSA key, made by the server itself.
func keySession(t testing.TB, w *kmstest.World, principal keys.ID) string {
	t.Helper()
	tamper(t, w, func(tx store.Tx) error {
		p, err := store.LoadPrincipal(tx, principal)
		if err != nil {
			return err
		}
		p.Names = keys.Names{"oci": "ocid1.user"}
		return tx.Put(p)
	})
	s, err := w.IssueKeySession(t.Context(), w.System("test"), kms.NewSession{Principal: principal, Name: "ci"}, "oci", rsaSPKI(t, w.Tenant))
	if err != nil {
		t.Fatalf("issue session: %v", err)
	}
	return s.Token
}

func byKey(w *kmstest.World, token string) error {
	c := &kms.Call{Region: kmstest.Region, Profile: &kmstest.Profile}
	defer c.End()
	return second(w.AuthenticateKeySession(context.Background(), c, token))
}

// TestARevocationEndsSessionsAtOnce warms a session, revokes something that it rests on, and
// uses it again.
func TestARevocationEndsSessionsAtOnce(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	k := newAES(t, w)
	sys := func() *kms.Call { return w.System("test") }
	for name, tc := range map[string]struct {
		revoke func(ci, app kmstest.Tenant, cred keys.ID) error
		own    string // why the session of ci as itself is refused; "" if it is not
		as     string // and that of ci as app
	}{
		"nothing": {func(_, _ kmstest.Tenant, _ keys.ID) error { return nil }, "", ""},
		"the principal is deleted": {
			func(ci, _ kmstest.Tenant, _ keys.ID) error {
				return w.DeletePrincipal(t.Context(), sys(), ci.Principal)
			},
			kms.SessionEnded, kms.SessionEnded,
		},
		"the assumed principal is deleted": {
			func(_, app kmstest.Tenant, _ keys.ID) error {
				return w.DeletePrincipal(t.Context(), sys(), app.Principal)
			},
			"", kms.SessionEnded,
		},
		"the credential is removed": {
			func(_, _ kmstest.Tenant, cred keys.ID) error { return w.RemoveCredential(t.Context(), sys(), cred) },
			kms.SessionEnded, kms.SessionEnded,
		},
		"the credential is disabled": {
			func(_, _ kmstest.Tenant, cred keys.ID) error {
				return w.SetCredentialDisabled(t.Context(), sys(), cred, true)
			},
			kms.SessionEnded, kms.SessionEnded,
		},
		"the principal's sessions are ended": {
			func(ci, _ kmstest.Tenant, _ keys.ID) error { return w.EndSessions(t.Context(), sys(), ci.Principal) },
			kms.SessionEnded, kms.SessionEnded,
		},
		"the assumed principal's sessions are ended": {
			func(_, app kmstest.Tenant, _ keys.ID) error { return w.EndSessions(t.Context(), sys(), app.Principal) },
			"", kms.SessionEnded,
		},
		"it may not be assumed any more": {
			func(ci, app kmstest.Tenant, _ keys.ID) error {
				return w.SetAssumable(t.Context(), sys(), app.Principal, ci.Principal, false)
			},
			"", kms.SessionEnded,
		},
	} {
		ci := member(t, w, w.Tenant, "ci when "+name, identity.User, keys.ID{})
		app := member(t, w, w.Tenant, "app when "+name, identity.User, keys.ID{})
		if err := w.SetAssumable(t.Context(), sys(), app.Principal, ci.Principal, true); err != nil {
			t.Fatal(err)
		}
		own := issued(t, w, ci, kms.NewSession{Principal: ci.Principal, Name: "own"})
		as := issued(t, w, ci, kms.NewSession{Role: app.Principal.String(), Name: "as"})
		wantWhy(t, "the own session", in(w, own, encrypts(w, k.ID)), "")
		wantWhy(t, "the assumed session", in(w, as, encrypts(w, k.ID)), "")
		if err := tc.revoke(ci, app, own.Credential); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantWhy(t, "the own session when "+name, in(w, own, encrypts(w, k.ID)), tc.own)
		wantWhy(t, "the assumed session when "+name, in(w, as, encrypts(w, k.ID)), tc.as)
	}
}

// TestEndingSessionsWaitsForTheirCalls holds a call of a session open.
func TestEndingSessionsWaitsForTheirCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := kmstest.New(t)
		s := issued(t, w, w.Tenant, kms.NewSession{Principal: w.Tenant.Principal, Name: "ci"})
		ended := make(chan error, 1)
		err := in(w, s, func(inFlight *kms.Call) error {
			go func() { ended <- w.EndSessions(context.Background(), w.System("test"), w.Tenant.Principal) }()
			synctest.Wait()
			select {
			case err := <-ended:
				t.Fatalf("EndSessions answered (%v) while a call of a session had not ended", err)
			default:
			}
			wantWhy(t, "a call received after it was committed", in(w, s, creates(w)), kms.SessionEnded)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
}

// TestAMutationOfAnEndedSessionIsRefused lets a mutation begin before its session is ended and
// run after.
func TestAMutationOfAnEndedSessionIsRefused(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	s := issued(t, w, w.Tenant, kms.NewSession{Principal: w.Tenant.Principal, Name: "ci"})
	err := in(w, s, func(c *kms.Call) error {
		c.End() // what do does before its transaction
		if err := w.EndSessions(t.Context(), w.System("test"), w.Tenant.Principal); err != nil {
			t.Fatal(err)
		}
		return creates(w)(c)
	})
	wantWhy(t, "the mutation", err, kms.SessionEnded)
}

// TestALoadOvertakenByTheEndOfSessionsIsNotUsed parks the load of a session between its read
// and its insert.
func TestALoadOvertakenByTheEndOfSessionsIsNotUsed(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	s := issued(t, w, w.Tenant, kms.NewSession{Principal: w.Tenant.Principal, Name: "ci"})
	parked := false
	w.ParkLoadsOf(keys.TypeSession, keys.ID{}, func() {
		if !parked {
			parked = true
			if err := w.EndSessions(context.Background(), w.System("test"), w.Tenant.Principal); err != nil {
				t.Error(err)
			}
		}
	})
	wantWhy(t, "the parked call", in(w, s, creates(w)), kms.SessionEnded)
	if !parked {
		t.Error("no load was parked")
	}
}

func TestWhoMayAssumeWhom(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	target := member(t, w, w.Tenant, "target", identity.Admin, keys.ID{})
	foreign := member(t, w, w.Other, "target", identity.User, keys.ID{})
	listed := member(t, w, w.Tenant, "listed", identity.Auditor, keys.ID{})
	if err := w.SetAssumable(t.Context(), w.System("test"), target.Principal, listed.Principal, true); err != nil {
		t.Fatal(err)
	}
	want(t, "listing another tenant's principal",
		w.SetAssumable(t.Context(), w.System("test"), target.Principal, foreign.Principal, true), keys.KindNotFound)
	vaultAdmin := member(t, w, w.Tenant, "vault admin", identity.Admin, w.Tenant.Vault)
	for _, tc := range []struct {
		who  string
		as   kmstest.Tenant
		role string
		want keys.Kind
	}{
		{"an administrator", w.Tenant, "target", ""},
		{"an administrator, by id", w.Tenant, target.Principal.String(), ""},
		{"an administrator, for nobody", w.Tenant, "nobody", keys.KindNotFound},
		{"an administrator, for another tenant's", w.Tenant, foreign.Principal.String(), keys.KindNotFound},
		{"an administrator of another tenant", w.Other, target.Principal.String(), keys.KindNotFound},
		{"an administrator of another tenant, for his own of that name", w.Other, "target", ""},
		{"one who is listed", listed, "target", ""},
		{"one who is listed, for nobody", listed, "nobody", keys.KindDenied},
		{"one who is listed, the other way round", target, "listed", ""}, // it is an administrator
		{"himself", listed, "listed", ""},
		{"an operator", member(t, w, w.Tenant, "operator", identity.Operator, keys.ID{}), "target", keys.KindDenied},
		{"a user", member(t, w, w.Tenant, "user", identity.User, keys.ID{}), "target", keys.KindDenied},
		{"an auditor", member(t, w, w.Tenant, "auditor", identity.Auditor, keys.ID{}), "target", keys.KindDenied},
		{"an administrator of a vault", vaultAdmin, "target", keys.KindDenied},
		{"an administrator of a vault, for another tenant's", vaultAdmin, foreign.Principal.String(), keys.KindDenied},
	} {
		c := w.Call(t, tc.as)
		_, err := w.IssueAccessSession(t.Context(), c, kms.NewSession{Role: tc.role, Name: "ci"})
		c.End()
		want(t, tc.who, err, tc.want)
	}
}

// TestASessionMakesNoMoreThanItIs makes sessions in sessions.
func TestASessionMakesNoMoreThanItIs(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	member(t, w, w.Tenant, "app", identity.User, keys.ID{})
	first := issued(t, w, w.Tenant, kms.NewSession{Role: "app", Name: "first", Life: time.Hour})
	again := func(of *kms.AccessSession, role string, life time.Duration) (out *kms.AccessSession, err error) {
		err = in(w, of, func(c *kms.Call) error {
			out, err = w.IssueAccessSession(context.Background(), c, kms.NewSession{Role: role, Name: "again", Life: life})
			return err
		})
		return out, err
	}
	_, err := again(first, "acme-admin", time.Minute)
	want(t, "back to the administrator", err, keys.KindDenied)
	w.Clock.Add(time.Minute)
	_, err = again(first, "app", time.Hour)
	want(t, "one that outlives it", err, keys.KindInvalid)
	second, err := again(first, "app", 59*time.Minute)
	want(t, "one that does not", err, "")
	if len(second.Chain) != 2 || second.Credential != first.Credential {
		t.Errorf("the second rests on %+v", second.Session)
	}
	if err := w.EndSessions(t.Context(), w.System("test"), w.Tenant.Principal); err != nil {
		t.Fatal(err)
	}
	wantWhy(t, "when those of the first in the chain were ended", in(w, second, creates(w)), kms.SessionEnded)

	one := member(t, w, w.Tenant, "one", identity.Admin, keys.ID{})
	member(t, w, w.Tenant, "two", identity.Admin, keys.ID{})
	s := issued(t, w, one, kms.NewSession{Principal: one.Principal, Name: "one", Life: time.Hour})
	for i := 1; i < identity.MaxChain; i++ {
		next := []string{"one", "two"}[i%2]
		if s, err = again(s, next, time.Minute); err != nil {
			t.Fatalf("link %d: %v", i, err)
		}
	}
	_, err = again(s, "app", time.Minute)
	want(t, "one link too many", err, keys.KindDenied)
}

// TestWishesForSessions tries what no session may be.
func TestWishesForSessions(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	limited := kmstest.Profile
	limited.SessionLife = keys.Window{Min: 15 * time.Minute, Max: time.Hour, Default: time.Hour}
	for name, tc := range map[string]struct {
		req     kms.NewSession
		profile *keys.Profile
		want    keys.Kind
	}{
		"the shortest name":      {kms.NewSession{Name: "ab"}, &kmstest.Profile, ""},
		"the longest name":       {kms.NewSession{Name: strings.Repeat("a.@-_Z09", 8)}, &kmstest.Profile, ""},
		"a name too short":       {kms.NewSession{Name: "a"}, &kmstest.Profile, keys.KindInvalid},
		"a name too long":        {kms.NewSession{Name: strings.Repeat("a", 65)}, &kmstest.Profile, keys.KindInvalid},
		"no name":                {kms.NewSession{}, &kmstest.Profile, keys.KindInvalid},
		"a name with a slash":    {kms.NewSession{Name: "a/b"}, &kmstest.Profile, keys.KindInvalid},
		"a name with a break":    {kms.NewSession{Name: "a\nb"}, &kmstest.Profile, keys.KindInvalid},
		"a second":               {kms.NewSession{Name: "ci", Life: time.Second}, &kmstest.Profile, ""},
		"twelve hours":           {kms.NewSession{Name: "ci", Life: 12 * time.Hour}, &kmstest.Profile, ""},
		"more than twelve hours": {kms.NewSession{Name: "ci", Life: 12*time.Hour + time.Second}, &kmstest.Profile, keys.KindInvalid},
		"a part of a second":     {kms.NewSession{Name: "ci", Life: 1500 * time.Millisecond}, &kmstest.Profile, keys.KindInvalid},
		"a negative life":        {kms.NewSession{Name: "ci", Life: -time.Second}, &kmstest.Profile, keys.KindInvalid},
		"the profile's least":    {kms.NewSession{Name: "ci", Life: 15 * time.Minute}, &limited, ""},
		"less than that":         {kms.NewSession{Name: "ci", Life: 15*time.Minute - time.Second}, &limited, keys.KindInvalid},
		"the profile's most":     {kms.NewSession{Name: "ci", Life: time.Hour}, &limited, ""},
		"more than that":         {kms.NewSession{Name: "ci", Life: time.Hour + time.Second}, &limited, keys.KindInvalid},
	} {
		c := w.Call(t, w.Tenant)
		c.Profile, tc.req.Principal = tc.profile, w.Tenant.Principal
		_, err := w.IssueAccessSession(t.Context(), c, tc.req)
		c.End()
		want(t, name, err, tc.want)
	}
	_, err := w.IssueKeySession(t.Context(), w.System("test"), kms.NewSession{Principal: w.Tenant.Principal, Name: "ci"}, "oci", []byte("no key"))
	want(t, "no key", err, keys.KindInvalid)
	_, err = w.IssueKeySession(t.Context(), w.System("test"), kms.NewSession{Principal: w.Tenant.Principal, Name: "ci"}, "oci", rsaSPKI(t, w.Tenant))
	want(t, "a principal without a name in the cloud", err, keys.KindUnsupported)
	_, err = w.IssueAccessSession(t.Context(), w.System("test"), kms.NewSession{Role: "acme-admin", Name: "ci"})
	want(t, "the server itself, by a name of no tenant", err, keys.KindNotFound)
	_, err = w.IssueAccessSession(t.Context(), w.System("test"), kms.NewSession{Principal: w.Tenant.Principal, Name: "ci"})
	want(t, "the server itself, by id", err, "")
}

// TestTokensOfOthersAndChangedOnes flips every character of both kinds of token.
func TestTokensOfOthersAndChangedOnes(t *testing.T) {
	t.Parallel()
	w, other := kmstest.New(t), kmstest.New(t)
	s := issued(t, w, w.Tenant, kms.NewSession{Principal: w.Tenant.Principal, Name: "ci"})
	another := issued(t, w, w.Tenant, kms.NewSession{Principal: w.Tenant.Principal, Name: "ci"})
	signed := keySession(t, w, w.Tenant.Principal)
	sealed := func(w *kmstest.World, accessKey, token string) error {
		c := &kms.Call{Region: kmstest.Region, Profile: &kmstest.Profile}
		defer c.End()
		return second(w.AuthenticateSession(context.Background(), c, accessKey, token))
	}
	wantWhy(t, "as it is", sealed(w, s.AccessKey, s.Token), "")
	wantWhy(t, "with another session's key", sealed(w, another.AccessKey, s.Token), kms.SessionMismatch)
	wantWhy(t, "with a lasting key", sealed(w, w.Tenant.AccessKey, s.Token), kms.SessionMismatch)
	wantWhy(t, "at another server", sealed(other, s.AccessKey, s.Token), kms.SessionMalformed)
	wantWhy(t, "with a key, at another server", byKey(other, signed), kms.SessionMalformed)
	wantWhy(t, "one kind as the other", sealed(w, s.AccessKey, signed), kms.SessionMalformed)
	wantWhy(t, "the other kind as the one", byKey(w, s.Token), kms.SessionMalformed)
	for what, token := range map[string]string{
		"nothing": "", "an id alone": base64.StdEncoding.EncodeToString(s.ID[:]), "cut off": s.Token[:len(s.Token)-4],
		"a line break": s.Token[:40] + "\n" + s.Token[40:], "longer": s.Token + "AAAA", "far too long": strings.Repeat("A", identity.MaxToken+4),
	} {
		wantWhy(t, what, sealed(w, s.AccessKey, token), kms.SessionMalformed)
		wantWhy(t, what+", with a key", byKey(w, token), kms.SessionMalformed)
	}
	for i := range s.Token {
		wantWhy(t, "a changed character", sealed(w, s.AccessKey, flipped(s.Token, i)), kms.SessionMalformed)
	}
	for i := range signed {
		wantWhy(t, "a changed character, with a key", byKey(w, flipped(signed, i)), kms.SessionMalformed)
	}
}

// flipped is text with one character exchanged.
func flipped(text string, i int) string {
	b := []byte(text)
	if b[i] = 'A'; text[i] == 'A' {
		b[i] = 'B'
	}
	return string(b)
}

// TestSessionsOutliveARestart: nothing of them is stored, and the keys come from the root.
func TestSessionsOutliveARestart(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.InDir(kmstest.Dir(t)))
	s := issued(t, w, w.Tenant, kms.NewSession{Principal: w.Tenant.Principal, Name: "ci"})
	signed := keySession(t, w, w.Tenant.Principal)
	w.Restart(t)
	wantWhy(t, "with a secret", in(w, s, creates(w)), "")
	wantWhy(t, "with a key", byKey(w, signed), "")
}

// TestEverybodyMayKnowWhoHeIs asks as somebody without any role.
func TestEverybodyMayKnowWhoHeIs(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	nobody := member(t, w, w.Tenant, "nobody", "", keys.ID{})
	err := as(t, w, nobody, func(c *kms.Call) error {
		p, err := w.Self(t.Context(), c)
		if err == nil && p.ID != nobody.Principal {
			t.Errorf("is told to be %+v", p)
		}
		return err
	})
	want(t, "nobody", err, "")
	_, err = w.Self(t.Context(), w.System("test"))
	want(t, "the server", err, keys.KindUnauthenticated)
}

// FuzzSessionTokens gives both kinds of token any text.
func FuzzSessionTokens(f *testing.F) {
	w := kmstest.New(f)
	s := issued(f, w, w.Tenant, kms.NewSession{Principal: w.Tenant.Principal, Name: "ci"})
	signed := keySession(f, w, w.Tenant.Principal)
	f.Add("")
	f.Add(flipped(s.Token, len(s.Token)-1))
	f.Add(flipped(signed, 40))
	f.Fuzz(func(t *testing.T, token string) {
		c := &kms.Call{Region: kmstest.Region, Profile: &kmstest.Profile}
		defer c.End()
		if _, err := w.AuthenticateSession(t.Context(), c, s.AccessKey, token); (err == nil) != (token == s.Token) {
			t.Errorf("%q: %v", token, err)
		}
		if _, err := w.AuthenticateKeySession(t.Context(), c, token); err == nil && token != signed {
			t.Errorf("%q is let in", token)
		}
	})
}
