// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/dialect/admin"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
)

// publicPEM is the public half of the tenant's RSA key.
func (r *rig) publicPEM(t *testing.T) string {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(r.Tenant.RSAKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
}

// TestSessions makes both kinds, uses them, and ends them.
func TestSessions(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	if _, err := r.client.CreateTenant(ctx, admin.NewTenant{Name: "new"}); err != nil {
		t.Fatal(err)
	}
	p, err := r.client.CreatePrincipal(ctx, admin.NewPrincipal{Tenant: "new", Name: "ops", Role: "user"})
	if err != nil {
		t.Fatal(err)
	}
	access, err := r.client.CreateSession(ctx, admin.NewSession{Principal: "ops", Name: "ci", Duration: "90s"})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := r.client.CreateSession(ctx, admin.NewSession{Principal: p.ID, Name: "ci", PublicKey: r.publicPEM(t)})
	if err != nil {
		t.Fatal(err)
	}
	if access.Principal != p.ID || access.TenantNames["one"] == "" || !access.ExpiresAt.Equal(r.Clock.Now().Add(90*time.Second)) || access.Fingerprint != "" {
		t.Errorf("the session with a secret is %+v", access)
	}
	if signed.Fingerprint != "one-fingerprint" || signed.AccessKeyID != "" || signed.Secret != "" || !signed.ExpiresAt.Equal(r.Clock.Now().Add(time.Hour)) {
		t.Errorf("the session with a key is %+v", signed)
	}
	use := func() (withSecret, withKey error) {
		c := &kms.Call{Region: kmstest.Region, Profile: &kmstest.Profile}
		defer c.End()
		_, withSecret = r.AuthenticateSession(ctx, c, access.AccessKeyID, access.Token)
		_, withKey = r.AuthenticateKeySession(ctx, c, signed.Token)
		return withSecret, withKey
	}
	if one, two := use(); one != nil || two != nil {
		t.Errorf("the sessions are refused: %v, %v", one, two)
	}
	if err := r.client.EndSessions(ctx, "ops"); err != nil {
		t.Fatal(err)
	}
	if one, two := use(); one == nil || two == nil {
		t.Errorf("sessions that were ended are let in: %v, %v", one, two)
	}
}

func TestSessionsThatCannotBe(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for what, tt := range map[string]struct {
		wish   admin.NewSession
		status int
		code   string
	}{
		"of nobody":              {admin.NewSession{Principal: "nobody", Name: "ci"}, 404, "not-found"},
		"without a principal":    {admin.NewSession{Name: "ci"}, 400, "missing"},
		"without a name":         {admin.NewSession{Principal: "acme-admin"}, 400, "invalid"},
		"of no length":           {admin.NewSession{Principal: "acme-admin", Name: "ci", Duration: "0s"}, 400, "invalid"},
		"too long":               {admin.NewSession{Principal: "acme-admin", Name: "ci", Duration: "1d"}, 400, "invalid"},
		"of no span":             {admin.NewSession{Principal: "acme-admin", Name: "ci", Duration: "soon"}, 400, "invalid"},
		"with no key":            {admin.NewSession{Principal: "acme-admin", Name: "ci", PublicKey: "key"}, 400, "invalid"},
		"without a cloud's name": {admin.NewSession{Principal: "acme-admin", Name: "ci", PublicKey: r.publicPEM(t)}, 400, "unsupported"},
	} {
		_, err := r.client.CreateSession(t.Context(), tt.wish)
		want(t, what, err, tt.status, tt.code)
	}
}

func TestAssumers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	p, err := r.client.CreatePrincipal(ctx, admin.NewPrincipal{Tenant: "acme", Name: "ci", Role: "user"})
	if err != nil {
		t.Fatal(err)
	}
	shown := func() []string {
		t.Helper()
		all, err := r.client.Principals(ctx, "acme")
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range all {
			if p.Name == "acme-admin" {
				return p.Assumers
			}
		}
		return nil
	}
	if err := r.client.SetAssumable(ctx, "acme-admin", "ci", true); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{p.ID}, shown()); diff != "" {
		t.Errorf("assumers (-want +got):\n%s", diff)
	}
	want(t, "another tenant's", r.client.SetAssumable(ctx, "acme-admin", "rival-admin", true), 404, "not-found")
	want(t, "nobody", r.client.SetAssumable(ctx, "acme-admin", "nobody", true), 404, "not-found")
	want(t, "nobody taken back", r.client.SetAssumable(ctx, "acme-admin", "nobody", false), 404, "not-found")
	if err := r.client.DeletePrincipal(ctx, "ci"); err != nil {
		t.Fatal(err)
	}
	if err := r.client.SetAssumable(ctx, "acme-admin", p.ID, false); err != nil {
		t.Errorf("one who is gone: %v", err)
	}
	if got := shown(); len(got) != 0 {
		t.Errorf("left are %v", got)
	}
}
