// SPDX-License-Identifier: Apache-2.0

package live

import (
	"net/http"
	"net/url"
	"testing"
	"time"
)

// Principal is a caller with its credentials in both clouds.
type Principal struct {
	ID          string // in the admin API
	Tenant      string // in the admin API
	Tenancy     string // OCID
	User        string // OCID
	Fingerprint string // of the API signing key
	AccountID   string
	AccessKeyID string
	Secret      string   // of the access key
	Credentials []string // ids of both credentials in the admin API
}

// named is what the admin API answers to whatever is created.
type named struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Names       Names  `json:"names"`
	Fingerprint string `json:"fingerprint"`
	Secret      string `json:"secret"`
}

func (a *Admin) create(t testing.TB, path string, in map[string]any) named {
	t.Helper()
	var out named
	a.must(t, http.MethodPost, path, in, &out)
	return out
}

// NewTenant makes a tenant with one administrator, who signs OCI requests with the private half of
// publicKey (PEM) and Alibaba requests with a new access key.
func (a *Admin) NewTenant(t testing.TB, name, publicKey string) Principal {
	t.Helper()
	tenant := a.create(t, "tenants", map[string]any{"name": name})
	p := a.NewPrincipal(t, tenant.ID, name+"-admin", "admin", publicKey)
	p.Tenancy, p.AccountID = tenant.Names.OCI, tenant.Names.Alibaba
	return p
}

// NewPrincipal makes a principal with a role in a tenant; tenant is any name that the admin API takes.
func (a *Admin) NewPrincipal(t testing.TB, tenant, name, role, publicKey string) Principal {
	t.Helper()
	principal := a.create(t, "principals", map[string]any{"tenant": tenant, "name": name, "role": role})
	signing := a.create(t, "credentials", map[string]any{"principal": principal.ID, "publicKey": publicKey})
	access := a.create(t, "credentials", map[string]any{"principal": principal.ID})
	return Principal{
		ID: principal.ID, Tenant: tenant, User: principal.Names.OCI, Fingerprint: signing.Fingerprint,
		AccessKeyID: access.Name, Secret: access.Secret, Credentials: []string{signing.ID, access.ID},
	}
}

// NewCompartment makes a compartment below a tenant's root and returns its OCID.
func (a *Admin) NewCompartment(t testing.TB, tenant, name string) string {
	t.Helper()
	return a.create(t, "compartments", map[string]any{"tenant": tenant, "name": name}).Names.OCI
}

// Grant opens a key to another tenant for the actions and returns the grant's id.
func (a *Admin) Grant(t testing.TB, key, grantee string, actions ...string) string {
	t.Helper()
	return a.create(t, "grants", map[string]any{"key": key, "grantee": grantee, "actions": actions}).ID
}

// AddAPIKey gives a principal one more API signing key and returns its fingerprint.
func (a *Admin) AddAPIKey(t testing.TB, principal, publicKey string) string {
	t.Helper()
	return a.create(t, "credentials", map[string]any{"principal": principal, "publicKey": publicKey}).Fingerprint
}

// AccessKey is an access key as it is told once.
type AccessKey struct{ ID, Secret string }

// AddAccessKey gives a principal one more access key.
func (a *Admin) AddAccessKey(t testing.TB, principal string) AccessKey {
	t.Helper()
	made := a.create(t, "credentials", map[string]any{"principal": principal})
	return AccessKey{ID: made.Name, Secret: made.Secret}
}

// Credential is one row of the list of credentials.
type Credential struct {
	ID          string    `json:"id"`
	Principal   string    `json:"principal"`
	Name        string    `json:"name"`
	Fingerprint string    `json:"fingerprint"`
	Disabled    bool      `json:"disabled"`
	CreatedAt   time.Time `json:"createdAt"`
}

// Credentials lists a tenant's credentials.
func (a *Admin) Credentials(t testing.TB, tenant string) []Credential {
	t.Helper()
	var out struct{ Items []Credential }
	a.must(t, http.MethodGet, "credentials?tenant="+url.QueryEscape(tenant), nil, &out)
	return out.Items
}
