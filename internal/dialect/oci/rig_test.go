// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"claviger/internal/dialect"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
)

const (
	testRegion = "us-ashburn-1"
	awayRegion = "eu-frankfurt-1" // of a rig on a world of two regions
)

// rig is the dialect on real sockets: a region's, and one for each vault that is asked for.
type rig struct {
	*kmstest.World
	dialect *Dialect
	region  *httptest.Server

	mu     sync.Mutex
	vaults map[keys.ID]*httptest.Server // guarded by mu; of replicas too
}

// newRig makes a rig; change, which may be nil, changes the dialect's configuration.
func newRig(t testing.TB, change func(*Config)) *rig {
	t.Helper()
	return newRigOn(t, kmstest.New(t), change)
}

func newRigOn(t testing.TB, w *kmstest.World, change func(*Config)) *rig {
	t.Helper()
	r := &rig{World: w, vaults: map[keys.ID]*httptest.Server{}}
	cfg := Config{
		Service: r.Service, Regions: map[keys.Region]string{kmstest.Region: testRegion, kmstest.Away: awayRegion},
		VaultURL: r.vaultURL, ReplicaURL: r.replicaURL,
		Now: r.Clock.Now, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler), Hints: true, SoftwareHSM: true,
	}
	if change != nil {
		change(&cfg)
	}
	r.dialect = New(cfg)
	r.region = httptest.NewServer(r.dialect.RegionHandler(kmstest.Region))
	t.Cleanup(func() {
		r.region.Close()
		for _, s := range r.vaults {
			s.Close()
		}
	})
	return r
}

func (r *rig) vaultURL(v *keys.Vault) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.vaults[v.ID] == nil {
		r.vaults[v.ID] = httptest.NewServer(r.dialect.VaultHandler(v.Region, v.ID))
	}
	return r.vaults[v.ID].URL
}

func (r *rig) replicaURL(replica *keys.Replica) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.vaults[replica.ID] == nil {
		r.vaults[replica.ID] = httptest.NewServer(r.dialect.ReplicaHandler(replica))
	}
	return r.vaults[replica.ID].URL
}

// vault is the base URL of a tenant's default vault.
func (r *rig) vault(tenant kmstest.Tenant) string {
	return r.vaultURL(&keys.Vault{ID: tenant.Vault, Region: kmstest.Region})
}

// signer signs requests on its own, as Oracle documents it and without any code of the dialect.
type signer struct {
	keyID   string
	key     *rsa.PrivateKey
	date    string   // the header that carries the signed time
	params  []string // their order in the Authorization header
	get     string   // what is signed without a body
	post    string   // and with one
	content string   // Content-Type
	host    string   // signed in place of the URL's; "" is the URL's
}

// The three forms that Oracle's SDKs write.
func (r *rig) signers(tenant kmstest.Tenant) map[string]*signer {
	form := func(date, params, get, post string) *signer {
		return &signer{
			keyID: tenant.RSAKeyName, key: tenant.RSAKey, date: date, params: strings.Split(params, " "),
			get: get, post: post, content: "application/json",
		}
	}
	return map[string]*signer{
		"Go": form("Date", "version headers keyId algorithm signature",
			"date (request-target) host", "date (request-target) host content-length content-type x-content-sha256"),
		"Python": form("date", "algorithm headers keyId signature version",
			"date (request-target) host", "date (request-target) host content-length content-type x-content-sha256"),
		"TypeScript": form("x-date", "version keyId algorithm headers signature",
			"x-date (request-target) host", "x-date (request-target) host Content-Type Content-Length x-content-sha256"),
	}
}

func (r *rig) signer(tenant kmstest.Tenant) *signer { return r.signers(tenant)["Go"] }

// request makes a signed request. Headers of header are set before signing.
func (s *signer) request(t testing.TB, now time.Time, method, url string, header http.Header, body []byte) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if req.Header.Get(s.date) == "" {
		req.Header.Set(s.date, now.UTC().Format(http.TimeFormat))
	}
	s.sign(t, req, body)
	return req
}

func (s *signer) sign(t testing.TB, req *http.Request, body []byte) {
	t.Helper()
	names := s.get
	if req.Method == "POST" || req.Method == "PUT" {
		names = s.post
		sum := sha256.Sum256(body)
		req.Header.Set("Content-Type", s.content)
		req.Header.Set("X-Content-Sha256", base64.StdEncoding.EncodeToString(sum[:]))
	}
	digest := sha256.Sum256([]byte(s.text(req, names, len(body))))
	signed, err := rsa.SignPKCS1v15(nil, s.key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	value := map[string]string{
		"version": "1", "headers": names, "keyId": s.keyID, "algorithm": "rsa-sha256",
		"signature": base64.StdEncoding.EncodeToString(signed),
	}
	var parts []string
	for _, p := range s.params {
		parts = append(parts, fmt.Sprintf(`%s="%s"`, p, value[p]))
	}
	req.Header.Set("Authorization", "Signature "+strings.Join(parts, ","))
}

func (s *signer) text(req *http.Request, names string, length int) string {
	var lines []string
	for _, name := range strings.Fields(strings.ToLower(names)) {
		value := req.Header.Get(name)
		switch name {
		case "(request-target)":
			value = strings.ToLower(req.Method) + " " + req.URL.RequestURI()
		case "host":
			value = req.URL.Host
			if s.host != "" {
				value = s.host
			}
		case "content-length":
			value = fmt.Sprint(length)
		}
		lines = append(lines, name+": "+value)
	}
	return strings.Join(lines, "\n")
}

// reply is an answer as a client sees it.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func send(t testing.TB, req *http.Request) reply {
	t.Helper()
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, body}
}

// call sends a signed request of a tenant's administrator. body is text, or a value for JSON.
func (r *rig) call(t testing.TB, tenant kmstest.Tenant, method, url string, body any, header ...string) reply {
	t.Helper()
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return send(t, r.signer(tenant).request(t, r.Clock.Now(), method, url, h, bodyBytes(t, body)))
}

func bodyBytes(t testing.TB, body any) []byte {
	t.Helper()
	switch b := body.(type) {
	case nil:
		return nil
	case string:
		return []byte(b)
	}
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// object is the body of a 200, decoded; any other answer ends the test.
func (p reply) object(t testing.TB) map[string]any {
	t.Helper()
	if p.status != http.StatusOK {
		t.Fatalf("answer %d %s %s", p.status, p.body, p.header.Get(dialect.HintHeader))
	}
	var out map[string]any
	if err := json.Unmarshal(p.body, &out); err != nil {
		t.Fatalf("%v in %s", err, p.body)
	}
	return out
}

// refusal is "status code" of an error, and checks the form that every error has.
func (p reply) refusal(t testing.TB) string {
	t.Helper()
	if p.status < 400 {
		t.Fatalf("answer %d %s, want a refusal", p.status, p.body)
	}
	var e struct{ Code, Message string }
	d := json.NewDecoder(bytes.NewReader(p.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil || e.Code == "" || e.Message == "" {
		t.Fatalf("%s is not an error body: %v", p.body, err)
	}
	if p.header.Get("Content-Type") != "application/json" || p.header.Get("Opc-Request-Id") == "" || p.header.Get("Date") == "" {
		t.Fatalf("an error with the headers %v", p.header)
	}
	return fmt.Sprint(p.status, " ", e.Code)
}

func (p reply) message(t testing.TB) string {
	t.Helper()
	var e struct{ Message string }
	if err := json.Unmarshal(p.body, &e); err != nil {
		t.Fatalf("%v in %s", err, p.body)
	}
	return e.Message
}

func (p reply) hint() string { return p.header.Get(dialect.HintHeader) }

// newKey creates a key and answers it.
func (r *rig) newKey(t testing.TB, tenant kmstest.Tenant, algorithm string, length int) map[string]any {
	t.Helper()
	return r.call(t, tenant, "POST", r.vault(tenant)+"/20180608/keys", map[string]any{
		"compartmentId": tenant.Names[Name], "displayName": "k", "protectionMode": "SOFTWARE",
		"keyShape": map[string]any{"algorithm": algorithm, "length": length},
	}).object(t)
}

// systemKey makes a key as another API would.
func (r *rig) systemKey(t testing.TB, req kms.NewKey) *kms.Key {
	t.Helper()
	c := r.Call(t, r.Tenant)
	defer c.End()
	k, err := r.CreateKey(t.Context(), c, req)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// compartment makes a compartment below a tenant's root and answers its OCID.
func (r *rig) compartment(t testing.TB, tenant kmstest.Tenant) string {
	t.Helper()
	id, err := keys.NewID(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	name := NewCompartmentName(id)
	_, err = r.CreateCompartment(t.Context(), r.System("test"), kms.NewCompartment{
		ID: id, Tenant: tenant.ID, Name: "team", Names: keys.Names{Name: name},
	})
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// carryOver gives a record of the first tenant a name that it had in Oracle's cloud.
func (r *rig) carryOver(t testing.TB, typ keys.Type, name string, id keys.ID) {
	t.Helper()
	err := r.AddExternalID(t.Context(), r.System("test"), store.ExternalID{
		Dialect: Name, Type: typ, Tenant: r.Tenant.ID, Region: kmstest.Region, Name: name, ID: id,
	})
	if err != nil {
		t.Fatal(err)
	}
}
