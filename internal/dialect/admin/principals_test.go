// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/dialect/admin"
	"claviger/internal/keys"
)

// TestIdentities makes a tenant with everything below it, and takes it away again.
func TestIdentities(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	tenant, err := r.client.CreateTenant(ctx, admin.NewTenant{Name: "new"})
	if err != nil {
		t.Fatal(err)
	}
	if got := tenant.Names["one"]; got != "one:tenant:"+tenant.ID {
		t.Errorf("the made-up name is %q", got)
	}
	_, err = r.client.CreateTenant(ctx, admin.NewTenant{Name: "new"})
	want(t, "a second tenant of this name", err, 409, "exists")
	_, err = r.client.CreateTenant(ctx, admin.NewTenant{Name: "newer", Names: admin.Names{"one": tenant.Names["one"]}})
	want(t, "a second tenant of this cloud's name", err, 409, "exists")

	parent, err := r.client.CreateCompartment(ctx, admin.NewCompartment{Tenant: "new", Name: "parent"})
	if err != nil {
		t.Fatal(err)
	}
	child, err := r.client.CreateCompartment(ctx, admin.NewCompartment{Tenant: tenant.ID, Parent: "parent", Name: "child", Names: admin.Names{"one": "carried"}})
	if err != nil || child.Parent != parent.ID || parent.Parent != tenant.ID || child.Names["one"] != "carried" {
		t.Errorf("compartments are %+v and %+v, %v", parent, child, err)
	}
	if all, err := r.client.Compartments(ctx, "new"); err != nil || len(all) != 3 {
		t.Errorf("the tenant has compartments %+v, %v; want root, parent and child", all, err)
	}

	p, err := r.client.CreatePrincipal(ctx, admin.NewPrincipal{Tenant: "new", Name: "ops", Role: "admin"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]admin.Role{{Role: "admin"}}, p.Roles); diff != "" {
		t.Errorf("roles (-want +got):\n%s", diff)
	}
	vaults, err := r.client.Vaults(ctx, "new")
	if err != nil || len(vaults) != 1 {
		t.Fatalf("vaults: %+v, %v", vaults, err)
	}
	for _, role := range []admin.Role{{Role: "auditor"}, {Role: "user", Vault: vaults[0].ID}} {
		r.Clock.Add(time.Second) // they are listed by age
		if err := r.client.SetRole(ctx, "ops", role); err != nil {
			t.Fatal(err)
		}
	}
	want(t, "a role on a foreign vault", r.client.SetRole(ctx, "ops", admin.Role{Role: "user", Vault: r.Tenant.Vault.String()}), 404, "not-found")
	all, err := r.client.Principals(ctx, "new")
	if err != nil || len(all) != 1 {
		t.Fatalf("principals: %+v, %v", all, err)
	}
	if diff := cmp.Diff([]admin.Role{{Role: "auditor"}, {Role: "user", Vault: vaults[0].ID}}, all[0].Roles); diff != "" {
		t.Errorf("roles (-want +got):\n%s", diff)
	}
	r.credentials(t, p)

	if err := r.client.DeletePrincipal(ctx, p.ID); err != nil {
		t.Fatal(err)
	}
	if left, err := r.client.Credentials(ctx, "new"); err != nil || len(left) != 0 {
		t.Errorf("credentials %+v, %v outlive their principal", left, err)
	}
	want(t, "a principal that is gone", r.client.DeletePrincipal(ctx, p.ID), 404, "not-found")
}

func (r *rig) credentials(t *testing.T, p *admin.Principal) {
	t.Helper()
	ctx := t.Context()
	access, err := r.client.AddCredential(ctx, admin.NewCredential{Principal: p.Names["one"]})
	if err != nil || access.Secret != "told once" || access.Kind != "access-key" || access.Name != "made-"+p.ID {
		t.Fatalf("the access key is %+v, %v", access, err)
	}
	key := r.Tenant.RSAKey // made already
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
	api, err := r.client.AddCredential(ctx, admin.NewCredential{Principal: "ops", PublicKey: public})
	if err != nil || api.Kind != "rsa-key" || api.Name != "new/ops" || api.Fingerprint != "one-fingerprint" || api.Secret != "" {
		t.Fatalf("the API key is %+v, %v", api, err)
	}
	private := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	_, err = r.client.AddCredential(ctx, admin.NewCredential{Principal: "ops", PublicKey: private})
	want(t, "a private key", err, 400, "invalid")
	_, err = r.client.AddCredential(ctx, admin.NewCredential{Principal: "ops", PublicKey: public + public})
	want(t, "two keys", err, 400, "invalid")

	if err := r.client.SetCredentialDisabled(ctx, "new/ops", true); err != nil {
		t.Fatal(err)
	}
	all, err := r.client.Credentials(ctx, "new")
	if err != nil || len(all) != 2 {
		t.Fatalf("credentials are %+v, %v", all, err)
	}
	for _, c := range all {
		if c.Secret != "" {
			t.Errorf("the list tells the secret of %s", c.Name)
		}
		if (c.Fingerprint == "one-fingerprint") != (c.ID == api.ID) || c.CreatedAt.IsZero() {
			t.Errorf("the list shows %+v", c)
		}
		if c.Disabled != (c.ID == api.ID) {
			t.Errorf("%s is disabled: %t", c.Name, c.Disabled)
		}
	}
	if err := r.client.RemoveCredential(ctx, api.ID); err != nil {
		t.Fatal(err)
	}
	want(t, "a credential that is gone", r.client.RemoveCredential(ctx, api.ID), 404, "not-found")
}

func TestGrants(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	k := r.newKey(t, r.Tenant, "orders", keys.AES256)
	g, err := r.client.CreateGrant(ctx, admin.NewGrant{Key: k.ID.String(), Grantee: "rival", Actions: []string{"Encrypt", "ReadKey", "Encrypt"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Encrypt", "ReadKey"}, g.Actions); diff != "" || g.Grantee != r.Other.ID.String() || g.Key != k.ID.String() {
		t.Errorf("the grant is %+v", g)
	}
	all, err := r.client.Grants(ctx, "one:home:"+k.ID.String())
	if err != nil || len(all) != 1 || all[0].ID != g.ID {
		t.Errorf("grants are %+v, %v", all, err)
	}
	if err := r.client.RemoveGrant(ctx, g.ID); err != nil {
		t.Fatal(err)
	}
	if all, err := r.client.Grants(ctx, k.ID.String()); err != nil || len(all) != 0 {
		t.Errorf("after the removal there are %+v, %v", all, err)
	}
}
