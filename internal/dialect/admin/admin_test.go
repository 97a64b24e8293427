// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/dialect/admin"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/secret"
	"claviger/internal/store"
)

const token = "the-admin-token"

// cloud is a cloud whose names are a prefix and the id, and which does not show P-384.
type cloud string

func (c cloud) Dialect() string { return string(c) }

func (c cloud) Key(k *keys.Key) string {
	if k.Spec == keys.ECP384 {
		return ""
	}
	return string(c) + ":" + string(k.Region) + ":" + k.ID.String()
}

func (c cloud) Version(k *keys.Key, v *keys.Version) string {
	if c.Key(k) == "" {
		return ""
	}
	return string(c) + ":" + v.ID.String()
}

func (c cloud) Vault(v *keys.Vault) string { return string(c) + ":vault:" + v.ID.String() }

func (c cloud) Fresh(t keys.Type, id keys.ID) string {
	return string(c) + ":" + string(t) + ":" + id.String()
}

// Parse reads cloud:region:id, cloud:tenant:alias/name, cloud:vault:id and alias/name.
func (c cloud) Parse(name string) (admin.Ref, bool) {
	if strings.HasPrefix(name, "alias/") {
		return admin.Ref{Type: keys.TypeKey, Alias: name}, true
	}
	rest, ok := strings.CutPrefix(name, string(c)+":")
	if !ok {
		return admin.Ref{}, false
	}
	where, rest, _ := strings.Cut(rest, ":")
	if strings.HasPrefix(rest, "alias/") {
		return admin.Ref{Type: keys.TypeKey, Alias: rest, Tenant: where}, true
	}
	id, err := keys.ParseID(rest)
	if where == "vault" {
		return admin.Ref{Type: keys.TypeVault, ID: id}, err == nil
	}
	return admin.Ref{Type: keys.TypeKey, ID: id, Exact: true}, err == nil
}

func (c cloud) RSAKeyName(t *keys.Tenant, p *identity.Principal, spki []byte) (name, fingerprint string) {
	return t.Name + "/" + p.Name, string(c) + "-fingerprint"
}

func (c cloud) Fingerprint(spki []byte) string { return string(c) + "-fingerprint" }

func (c cloud) Region(r keys.Region) string { return string(c) + "-" + string(r) }

// rig is the API on a real socket, in front of a whole service.
type rig struct {
	*kmstest.World
	client *admin.Client
	resets int
}

func newRig(t *testing.T, change ...func(*admin.Config)) *rig {
	t.Helper()
	return newRigIn(t, kmstest.New(t), change...)
}

func newRigIn(t *testing.T, w *kmstest.World, change ...func(*admin.Config)) *rig {
	t.Helper()
	r := &rig{World: w}
	cfg := admin.Config{
		Service: r.Service, Token: token, Naming: []admin.Naming{cloud("one")}, Mode: "dev", Version: "v1", FIPS: admin.FIPS{Mode: "on", Module: "v2"},
		Now: time.Now, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler),
		VaultURL: func(v *keys.Vault) string { return "http://vault.example/" + v.Name },
		AddAccessKey: func(ctx context.Context, c *kms.Call, p keys.ID) (*identity.CredentialRow, string, error) {
			row, err := r.AddAccessKey(ctx, c, p, "made-"+p.String(), secret.Copy([]byte("told once")))
			return row, "told once", err
		},
		Reset: func(context.Context) error { r.resets++; return nil },
	}
	for _, c := range change {
		c(&cfg)
	}
	srv := httptest.NewServer(admin.New(cfg))
	t.Cleanup(srv.Close)
	r.client = &admin.Client{Endpoint: srv.URL, Token: token, HTTP: srv.Client()}
	return r
}

// newKey makes a key in the default vault of a tenant.
func (r *rig) newKey(t *testing.T, tenant kmstest.Tenant, name string, spec keys.Spec) *kms.Key {
	t.Helper()
	id, err := keys.NewID(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := r.System("test")
	c.Region = kmstest.Region
	version, err := keys.NewID(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := r.SeedKey(t.Context(), c, kms.SeedKey{
		NewKey: kms.NewKey{
			Vault: tenant.Vault, Name: name, Spec: spec, Usages: spec.Usages(), Origin: keys.Generated, Protection: keys.Software,
		},
		ID: id, Versions: []kms.SeedVersion{{ID: version}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// want fails the test unless err is a refusal of this status and code.
func want(t *testing.T, what string, err error, status int, code string) {
	t.Helper()
	refusal, ok := errors.AsType[*admin.Refusal](err)
	if !ok || refusal.Status != status || refusal.Code != code {
		t.Errorf("%s: %v, want a refusal %d %s", what, err, status, code)
		return
	}
	if refusal.Message == "" {
		t.Errorf("%s: the refusal has no message", what)
	}
}

// raw sends a request as it is.
func (r *rig) raw(t *testing.T, method, path, authorization, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, r.client.Endpoint+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := r.client.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func TestToken(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, authorization := range []string{
		"", token, "Bearer", "Bearer ", "Bearer wrong", "Bearer " + token + "x", "Bearer " + token[1:], "Bearer  " + token, "bearer " + token, "Basic " + token,
	} {
		for _, path := range []string{"/admin/v1/info", "/admin/v1/nonsense", "/admin/v1/keys/x"} {
			resp, body := r.raw(t, http.MethodGet, path, authorization, "")
			if resp.StatusCode != 401 || resp.Header.Get("WWW-Authenticate") == "" || strings.Contains(body, token) {
				t.Errorf("with %q, %s is answered %d %s", authorization, path, resp.StatusCode, body)
			}
		}
	}
	if resp, body := r.raw(t, http.MethodGet, "/admin/v1/info", "Bearer "+token, ""); resp.StatusCode != 200 {
		t.Errorf("the right token is answered %d %s", resp.StatusCode, body)
	}
}

// TestNoToken: a server without a token lets nobody in, least of all those who send none.
func TestNoToken(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *admin.Config) { c.Token = "" })
	for _, authorization := range []string{"", "Bearer ", "Bearer"} {
		if resp, _ := r.raw(t, http.MethodGet, "/admin/v1/info", authorization, ""); resp.StatusCode != 401 {
			t.Errorf("with %q the answer is %d", authorization, resp.StatusCode)
		}
	}
}

func TestAnswerHeaders(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	resp, _ := r.raw(t, http.MethodGet, "/admin/v1/credentials", "Bearer "+token, "")
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
	} {
		if got := resp.Header.Get(name); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
	if resp.Header.Get("X-Claviger-Request-Id") == "" {
		t.Error("the answer has no request id")
	}
}

// TestStrict sends what operations do not know.
func TestStrict(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, test := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"POST", "tenants", ``, 400, "missing"},
		{"POST", "tenants", `{`, 400, "malformed"},
		{"POST", "tenants", `[]`, 400, "malformed"},
		{"POST", "tenants", `{"name":5}`, 400, "malformed"},
		{"POST", "tenants", `{"name":"a","colour":"red"}`, 400, "malformed"},
		{"POST", "tenants", `{"name":"a"} {}`, 400, "malformed"},
		{"POST", "tenants", `{}`, 400, "missing"},
		{"POST", "tenants", `{"name":" a"}`, 400, "invalid"},
		{"POST", "tenants", `{"name":"a\u0007"}`, 400, "invalid"},
		{"POST", "tenants", `{"name":"` + strings.Repeat("a", 256) + `"}`, 400, "invalid"},
		{"POST", "tenants", `{"name":"a","names":{"two":"x"}}`, 400, "invalid"},
		{"POST", "tenants", `{"name":"` + strings.Repeat("a", 70_000) + `"}`, 413, "too-large"},
		{"GET", "tenants", `{}`, 400, "invalid"},
		{"GET", "tenants?colour=red", ``, 400, "invalid"},
		{"GET", "keys?limit=x", ``, 400, "invalid"},
		{"GET", "keys?limit=-1", ``, 400, "invalid"},
		{"GET", "keys?limit=1001", ``, 400, "invalid"},
		{"GET", "keys?limit=1&limit=2", ``, 400, "invalid"},
		{"GET", "keys?cursor=nonsense", ``, 400, "invalid"},
		{"GET", "keys?vault=nowhere", ``, 404, "not-found"},
		{"GET", "keys?tenant=nobody", ``, 404, "not-found"},
		{"GET", "keys?%zz", ``, 400, "malformed"},
		{"GET", "keys/", ``, 404, "not-found"},
		{"GET", "grants", ``, 400, "missing"},
		{"GET", "audit?after=x", ``, 400, "invalid"},
		{"DELETE", "tenants", ``, 404, "not-found"},
		{"DELETE", "grants/nonsense", ``, 404, "not-found"},
		{"DELETE", "grants/00000000-0000-0000-0000-000000000001", ``, 404, "not-found"},
		{"DELETE", "credentials/nonsense", ``, 404, "not-found"},
		{"PUT", "clock", `{}`, 404, "not-found"},
		{"POST", "clock", `{}`, 400, "invalid"},
		{"POST", "clock", `{"freeze":true,"advance":"1h"}`, 400, "invalid"},
		{"POST", "clock", `{"advance":"soon"}`, 400, "invalid"},
		{"POST", "clock", `{"advance":"-1h"}`, 400, "invalid"},
		{"POST", "principals", `{"name":"p","tenant":"acme","role":"king"}`, 400, "invalid"},
		{"POST", "principals", `{"name":"p","role":"user"}`, 400, "missing"},
		{"POST", "principals", `{"name":"p","tenant":"acme","role":"user","vault":"nowhere"}`, 404, "not-found"},
		{"POST", "credentials", `{"principal":"acme-admin","publicKey":"x"}`, 400, "invalid"},
		{"POST", "credentials", `{}`, 400, "missing"},
		{"POST", "compartments", `{"tenant":"acme","name":"c","parent":"nowhere"}`, 404, "not-found"},
		{"POST", "grants", `{"key":"x","grantee":"rival","actions":[]}`, 400, "missing"},
		{"POST", "grants", `{"key":"x","grantee":"rival","actions":["CreateKey"]}`, 400, "invalid"},
	} {
		resp, body := r.raw(t, test.method, "/admin/v1/"+test.path, "Bearer "+token, test.body)
		var problem admin.Problem
		if err := json.Unmarshal([]byte(body), &problem); err != nil {
			t.Errorf("%s %s: the refusal is no JSON: %s", test.method, test.path, body)
		}
		if resp.StatusCode != test.status || problem.Code != test.code || problem.Message == "" {
			t.Errorf("%s %s %.80s is answered %d %s, want %d %s", test.method, test.path, test.body, resp.StatusCode, body, test.status, test.code)
		}
	}
}

func TestInfo(t *testing.T) {
	t.Parallel()
	got, err := newRig(t).client.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&admin.Info{
		Version: "v1", Mode: "dev", Regions: []string{string(kmstest.Region)}, RegionNames: map[string]admin.Names{"home": {"one": "one-home"}},
		FIPS: admin.FIPS{Mode: "on", Module: "v2"},
	}, got); diff != "" {
		t.Errorf("info (-want +got):\n%s", diff)
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	start, err := r.client.Clock(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if !start.Now.Equal(r.Clock.Now()) || !start.Virtual || start.Frozen || start.Offset != "0s" {
		t.Errorf("the clock begins as %+v", start)
	}
	on, off := true, false
	for _, step := range []struct {
		change admin.ClockChange
		before time.Duration // how far the machine's clock goes on before
		now    time.Duration // since the start
		frozen bool
	}{
		{admin.ClockChange{Advance: "168h"}, 0, 168 * time.Hour, false},
		{admin.ClockChange{Advance: "1d"}, time.Hour, 193 * time.Hour, false},
		{admin.ClockChange{Freeze: &on}, 0, 193 * time.Hour, true},
		{admin.ClockChange{Advance: "1s"}, time.Hour, 193*time.Hour + time.Second, true},
		{admin.ClockChange{Freeze: &off}, time.Hour, 193*time.Hour + time.Second, false},
	} {
		r.Clock.Add(step.before)
		got, err := r.client.MoveClock(ctx, step.change)
		if err != nil {
			t.Fatal(err)
		}
		if since := got.Now.Sub(start.Now); since != step.now || got.Frozen != step.frozen {
			t.Errorf("after %+v the clock is %v after its start, frozen %t; want %v, %t", step.change, since, got.Frozen, step.now, step.frozen)
		}
	}
	_, err = r.client.MoveClock(ctx, admin.ClockChange{ToNextEvent: true})
	want(t, "no next event", err, 409, "state")
}

// TestEvents schedules a deletion, sees it listed, and goes there.
func TestEvents(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k := r.newKey(t, r.Tenant, "doomed", keys.AES256)
	at := r.Now().Add(10 * keys.Day)
	c := r.System("test")
	c.Region = kmstest.Region
	c.Profile = &keys.Profile{KeyRetention: keys.Window{Min: keys.Day, Max: 30 * keys.Day}}
	if _, err := r.ScheduleKeyDeletion(t.Context(), c, kms.KeyRef{ID: k.ID}, at); err != nil {
		t.Fatal(err)
	}
	events, err := r.client.Events(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]admin.Event{{At: at, Kind: "erase-key", ID: k.ID.String()}}, events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	clock, err := r.client.MoveClock(t.Context(), admin.ClockChange{ToNextEvent: true})
	if err != nil || !clock.Now.Equal(at) {
		t.Errorf("the clock went to %v, %v; want %v", clock, err, at)
	}
	shown, err := r.client.Key(t.Context(), k.ID.String(), "")
	if err != nil || shown.State != "DELETED" || shown.Versions[0].State != "DELETED" {
		t.Errorf("the key is %+v, %v; want it deleted", shown, err)
	}
}

// TestMaterialExpires sees the end of imported material in the list, goes there, and finds a key
// that waits for its material.
func TestMaterialExpires(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	k := r.newKey(t, r.Tenant, "imported", keys.AES256)
	at := r.Now().Add(time.Hour)
	_, err := r.Store.Update(t.Context(), func(tx store.Tx) error {
		row, err := store.LoadKey(tx, k.ID)
		if err != nil {
			return err
		}
		row.MaterialExpiresAt = at
		return tx.Put(row)
	})
	if err != nil {
		t.Fatal(err)
	}
	events, err := r.client.Events(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]admin.Event{{At: at, Kind: "expire-material", ID: k.ID.String()}}, events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	is := func(state string) {
		t.Helper()
		shown, err := r.client.Key(t.Context(), k.ID.String(), "")
		if err != nil || shown.State != state || shown.Versions[0].State != state || shown.MaterialEnd == nil || !shown.MaterialEnd.Equal(at) {
			t.Errorf("the key is %+v, %v; want it %s", shown, err, state)
		}
	}
	is("ENABLED")
	clock, err := r.client.MoveClock(t.Context(), admin.ClockChange{ToNextEvent: true})
	if err != nil || !clock.Now.Equal(at) {
		t.Errorf("the clock went to %v, %v; want %v", clock, err, at)
	}
	is("PENDING_IMPORT")
	if events, err := r.client.Events(t.Context(), 10); err != nil || len(events) != 0 {
		t.Errorf("events afterwards: %v, %v", events, err)
	}
}

func TestReset(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if err := r.client.Reset(t.Context()); err != nil || r.resets != 1 {
		t.Errorf("reset: %v, done %d times", err, r.resets)
	}
	r = newRig(t, func(c *admin.Config) { c.Reset = nil })
	want(t, "reset of a real server", r.client.Reset(t.Context()), 400, "unsupported")
}

func TestVaults(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	all, err := r.client.Vaults(t.Context(), "")
	if err != nil || len(all) != 2 {
		t.Fatalf("vaults: %+v, %v", all, err)
	}
	mine, err := r.client.Vaults(t.Context(), "acme")
	if err != nil || len(mine) != 1 || mine[0].ID != r.Tenant.Vault.String() {
		t.Fatalf("vaults of acme: %+v, %v", mine, err)
	}
	v, err := r.client.Vault(t.Context(), "one:vault:"+mine[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if v.URL != "http://vault.example/default" || v.State != "ACTIVE" || !v.Default || v.Tenant != r.Tenant.ID.String() {
		t.Errorf("the vault is %+v", v)
	}
	_, err = r.client.Vault(t.Context(), "default") // every tenant has one
	want(t, "an ambiguous name", err, 400, "invalid")
}

func TestReplicaOfAVault(t *testing.T) {
	t.Parallel()
	r := newRigIn(t, kmstest.New(t, kmstest.TwoRegions()), func(cfg *admin.Config) {
		cfg.ReplicaURL = func(r *keys.Replica) string { return "http://vault.example/in/" + string(r.Region) }
	})
	made, err := r.CreateReplica(t.Context(), r.Call(t, r.Tenant), kms.VaultRef{ID: r.Tenant.Vault}, kmstest.Away)
	if err != nil {
		t.Fatal(err)
	}
	want := &admin.Replica{
		ID: made.Replica.ID.String(), Region: string(kmstest.Away), URL: "http://vault.example/in/" + string(kmstest.Away),
		CreatedAt: made.Replica.CreatedAt,
	}
	all, err := r.client.Vaults(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		v, err := r.client.Vault(t.Context(), all[i].ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&all[i], v); diff != "" {
			t.Errorf("the vault in the list and alone (-list +alone):\n%s", diff)
		}
		wanted := want
		if v.ID != r.Tenant.Vault.String() {
			wanted = nil
		}
		if diff := cmp.Diff(wanted, v.Replica); diff != "" {
			t.Errorf("the replica of vault %s (-want +got):\n%s", v.ID, diff)
		}
	}
}

func TestAudit(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	if _, err := r.client.CreateTenant(ctx, admin.NewTenant{Name: "new"}); err != nil {
		t.Fatal(err)
	}
	all, err := r.client.Audit(ctx, 0, 1000)
	if err != nil || len(all) < 2 {
		t.Fatalf("events: %d, %v", len(all), err)
	}
	found := false
	for i, e := range all {
		if e.Sequence != int64(i+1) || len(e.Hash) != 64 {
			t.Errorf("event %d is %+v", i, e)
		}
		var event struct{ Operation, Outcome string }
		if err := json.Unmarshal(e.Event, &event); err != nil {
			t.Fatal(err)
		}
		found = found || event.Operation == "CreateTenant" && event.Outcome == "ok"
	}
	if !found {
		t.Error("the making of a tenant is not audited")
	}
	rest, err := r.client.Audit(ctx, all[0].Sequence, 1)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(all[1:2], rest); diff != "" {
		t.Errorf("the second event (-want +got):\n%s", diff)
	}
}

// TestNotTheAdminAPI points the client at something else.
func TestNotTheAdminAPI(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"code":"NotFound","message":"another server's words"}`)
	}))
	t.Cleanup(srv.Close)
	c := &admin.Client{Endpoint: srv.URL + "/", Token: token, HTTP: srv.Client()}
	_, err := c.Tenants(t.Context())
	if _, ok := errors.AsType[*admin.Refusal](err); ok || err == nil || strings.Contains(err.Error(), "words") {
		t.Errorf("error is %v", err)
	}
}

// FuzzRequest sends anything to every operation that takes something: the answer is always one
// of the API's own, and never says that the server is at fault.
func FuzzRequest(f *testing.F) {
	f.Add("POST", "tenants", `{"name":"a"}`)
	f.Add("POST", "clock", `{"advance":"1h"}`)
	f.Add("GET", "keys/alias%2Fx?tenant=a", ``)
	f.Add("POST", "credentials", `{"principal":"acme-admin","publicKey":"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"}`)
	f.Add("POST", "grants", `{"key":"alias/a","grantee":"rival","actions":["Encrypt"]}`)
	w := kmstest.New(f)
	h := admin.New(admin.Config{
		Service: w.Service, Token: token, Naming: []admin.Naming{cloud("one")}, Now: time.Now, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler),
		AddAccessKey: func(context.Context, *kms.Call, keys.ID) (*identity.CredentialRow, string, error) {
			return nil, "", keys.Missing("nothing")
		},
	})
	f.Fuzz(func(t *testing.T, method, path, body string) {
		req, err := http.NewRequest(method, "http://host"+admin.Prefix+"/"+path, strings.NewReader(body))
		if err != nil {
			return
		}
		req.Header.Set("Authorization", "Bearer "+token)
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, req)
		if answer.Code >= 500 {
			t.Errorf("%s %s %s is answered %d %s", method, path, body, answer.Code, answer.Body)
		}
		if answer.Code >= 400 && !json.Valid(answer.Body.Bytes()) {
			t.Errorf("the refusal %s is no JSON", answer.Body)
		}
	})
}
