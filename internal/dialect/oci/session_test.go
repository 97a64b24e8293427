// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"net/http"
	"strings"
	"testing"
	"time"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
)

// session is a signer with a session of a new principal, and that principal.
func (r *rig) session(t testing.TB, name string, role identity.Role, life time.Duration) (*signer, keys.ID) {
	t.Helper()
	id, err := keys.NewID(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.CreatePrincipal(t.Context(), r.System("test"), kms.NewPrincipal{
		ID: id, Tenant: r.Tenant.ID, Name: name, Names: keys.Names{Name: NewUserName(id)}, Role: role,
	})
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(r.Tenant.RSAKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.IssueKeySession(t.Context(), r.System("test"), kms.NewSession{Principal: p.ID, Name: "ci-17", Life: life}, Name, spki)
	if err != nil {
		t.Fatal(err)
	}
	signer := r.signer(r.Tenant)
	signer.keyID = "ST$" + s.Token
	return signer, p.ID
}

func (r *rig) listVaults(t testing.TB, s *signer) reply {
	t.Helper()
	return send(t, s.request(t, r.Clock.Now(), "GET", r.region.URL+"/20180608/vaults?compartmentId="+r.Tenant.Names[Name], nil, nil))
}

// TestASessionSigns lets a session do what its principal may, in every SDK's form.
func TestASessionSigns(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	session, principal := r.session(t, "auditor", identity.Auditor, time.Hour)
	for name, s := range r.signers(kmstest.Tenant{RSAKeyName: session.keyID, RSAKey: session.key}) {
		if got := r.listVaults(t, s); got.status != http.StatusOK {
			t.Errorf("%s: %d %s, hint %q", name, got.status, got.body, got.hint())
		}
		made := send(t, s.request(t, r.Clock.Now(), "POST", r.region.URL+"/20180608/vaults", nil,
			[]byte(`{"compartmentId":"`+r.Tenant.Names[Name]+`","displayName":"v","vaultType":"DEFAULT"}`)))
		if made.refusal(t) != "404 NotAuthorizedOrNotFound" {
			t.Errorf("%s: what its principal may not: %d %s", name, made.status, made.body)
		}
	}
	found := 0
	for _, ev := range r.Audit.Events() {
		if ev.SessionName == "ci-17" && ev.Principal == principal && !ev.Session.IsZero() {
			found++
		}
	}
	if found != 6 {
		t.Errorf("%d of 6 calls are recorded with their session's name", found)
	}
}

func TestRefusedSessions(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	good, principal := r.session(t, "app", identity.User, time.Minute)
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for what, tt := range map[string]struct {
		change func(*signer)
		hint   string
	}{
		"another private key":    {func(s *signer) { s.key = stranger }, "the server has checked"},
		"a changed token":        {func(s *signer) { s.keyID = strings.Replace(s.keyID, ".", ".A", 1) }, "session token"},
		"no token":               {func(s *signer) { s.keyID = "ST$" }, "session token"},
		"a prefix in lower case": {func(s *signer) { s.keyID = "st$" + s.keyID[3:] }, "no credential"},
		"a token that is long":   {func(s *signer) { s.keyID += strings.Repeat("A", identity.MaxToken) }, "session token"},
	} {
		s := *good
		tt.change(&s)
		got := r.listVaults(t, &s)
		if got.refusal(t) != "401 NotAuthenticated" || got.message(t) != textNotVerified || !strings.Contains(got.hint(), tt.hint) {
			t.Errorf("%s: %d %s, hint %q", what, got.status, got.body, got.hint())
		}
	}
	if got := r.listVaults(t, good); got.status != http.StatusOK {
		t.Errorf("the good one: %d %s, hint %q", got.status, got.body, got.hint())
	}
	if err := r.EndSessions(t.Context(), r.System("test"), principal); err != nil {
		t.Fatal(err)
	}
	if got := r.listVaults(t, good); got.refusal(t) != "401 NotAuthenticated" || !strings.Contains(got.hint(), "all sessions of app were ended") {
		t.Errorf("when it was ended: %d %s, hint %q", got.status, got.body, got.hint())
	}
	brief, _ := r.session(t, "brief", identity.User, time.Minute)
	if got := r.listVaults(t, brief); got.status != http.StatusOK {
		t.Errorf("the brief one: %d %s, hint %q", got.status, got.body, got.hint())
	}
	r.Clock.Add(time.Minute)
	if got := r.listVaults(t, brief); got.refusal(t) != "401 NotAuthenticated" || got.message(t) != textNotVerified || !strings.Contains(got.hint(), "get a new one") {
		t.Errorf("when its time is over: %d %s, hint %q", got.status, got.body, got.hint())
	}
}
