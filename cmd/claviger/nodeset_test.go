// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"claviger/internal/porttest"
)

// nodeSet is a database of serve in PostgreSQL and its nodes, or one in SQLite and its only one. Each keeps its addresses and
// its directory over its starts.
type nodeSet struct {
	binary, dir, url string
	settings         string // of every node, TOML
	nodes            []*setNode
	ready            ready // what callers of all nodes have in common
	key              *rsa.PrivateKey
}

type setNode struct {
	config, admin, region string // the file; addresses
	data                  string
}

// setHost is the name of the endpoints that all nodes share, under which vaults have theirs. No
// resolver is asked: a caller connects to its node.
const setHost = "kms.test"

// newNodeSet makes the database, and a tenant with an administrator through the first node, which
// goes on running.
func newNodeSet(t *testing.T, binary, url string, nodes int, settings ...string) (*nodeSet, *server) {
	t.Helper()
	s := &nodeSet{binary: binary, dir: t.TempDir(), url: url, settings: strings.Join(settings, "\n")}
	for i := range nodes {
		s.nodes = append(s.nodes, s.configure(t, i))
	}
	if out, err := exec.Command(binary, "init", "--config", s.nodes[0].config).CombinedOutput(); err != nil {
		t.Fatalf("init: %v\n%s", err, out)
	}
	first := s.start(t, 0)
	s.ready.Admin.Token = strings.TrimSpace(string(read(t, filepath.Join(s.dir, "admin.token"))))
	s.populate(t)
	return s, first
}

func (s *nodeSet) configure(t *testing.T, i int) *setNode {
	t.Helper()
	n := &setNode{
		config: filepath.Join(s.dir, fmt.Sprintf("node%d.toml", i)), data: filepath.Join(s.dir, fmt.Sprintf("node%d", i)),
		admin: unusedAddress(t), region: unusedAddress(t),
	}
	database := ""
	if s.url != "" {
		database = fmt.Sprintf("store.type = \"postgres\"\nstore.url = %q\nnode.name = \"node%d\"", s.url, i)
	}
	write(t, n.config, fmt.Appendf(nil, `data = %q
%s
seal.file = %q
admin.token_file = %q
admin.listen = %q
vaults.mode = "hosts"
vaults.template = "http://{vault}.%s"
log.format = "text"
%s
[[region]]
name = "home"
oci = "eu-frankfurt-1"
alibaba = "eu-central-1"
listen = %q
advertise = "http://%s"
`, n.data, database, filepath.Join(s.dir, "root.key"), filepath.Join(s.dir, "admin.token"), n.admin, setHost, s.settings, n.region, setHost))
	return n
}

func unusedAddress(t *testing.T) string {
	t.Helper()
	port, err := porttest.Row(1)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// begin starts a node and does not wait for it.
func (s *nodeSet) begin(t *testing.T, i int) *server {
	t.Helper()
	p := newServer(t)
	p.spawn(t, []string{s.binary, "serve", "--config", s.nodes[i].config})
	return p
}

// start starts a node and waits until it is ready.
func (s *nodeSet) start(t *testing.T, i int) *server {
	t.Helper()
	p := s.begin(t, i)
	s.awaitStatus(t, p, i, http.StatusOK)
	return p
}

// awaitStatus waits until a node's readiness is what it should be.
func (s *nodeSet) awaitStatus(t *testing.T, p *server, i, want int) {
	t.Helper()
	got := 0
	for range ticks(t, 10*time.Millisecond) {
		select {
		case <-p.ended:
			t.Fatalf("claviger ended: %v\n%s", p.err, p.output(t))
		default:
		}
		if got = s.status(i); got == want {
			return
		}
	}
	t.Fatalf("readiness of node %d is %d, want %d\n%s", i, got, want, p.output(t))
}

// status is a node's readiness; 0 while it does not answer.
func (s *nodeSet) status(i int) int {
	client := http.Client{Timeout: hang, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + s.nodes[i].admin + "/readyz")
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// metric is a value of a node's metrics page.
func (s *nodeSet) metric(t *testing.T, i int, name string) string {
	t.Helper()
	resp, err := http.Get("http://" + s.nodes[i].admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// caller is the administrator, who calls one node.
func (s *nodeSet) caller(t *testing.T, i int) *caller {
	t.Helper()
	n := s.nodes[i]
	transport := &http.Transport{
		MaxIdleConnsPerHost: 32,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if host, _, _ := net.SplitHostPort(address); host == setHost || strings.HasSuffix(host, "."+setHost) {
				address = n.region
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
	c := &caller{ready: s.ready, key: s.key, http: &http.Client{Transport: transport, Timeout: hang}}
	c.ready.Admin.Endpoint = "http://" + n.admin
	t.Cleanup(c.http.CloseIdleConnections)
	return c
}

// populate makes the tenant and what its administrator signs with.
func (s *nodeSet) populate(t *testing.T) {
	t.Helper()
	c, ctx := s.caller(t, 0), t.Context()
	tenant := must(t, "create tenant", c.admin(ctx, http.MethodPost, "tenants", map[string]any{"name": "acme"}))
	user := must(t, "create principal", c.admin(ctx, http.MethodPost, "principals", map[string]any{"tenant": "acme", "name": "ops", "role": "admin"}))
	var err error
	if s.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(s.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
	signing := must(t, "add API key", c.admin(ctx, http.MethodPost, "credentials", map[string]any{"principal": "ops", "publicKey": public}))
	access := must(t, "add access key", c.admin(ctx, http.MethodPost, "credentials", map[string]any{"principal": "ops"}))
	var vaults struct{ Items []struct{ URL string } }
	if err := json.Unmarshal(must(t, "list vaults", c.admin(ctx, http.MethodGet, "vaults", nil)).body, &vaults); err != nil || len(vaults.Items) != 1 {
		t.Fatalf("the tenant has the vaults %v: %v", vaults, err)
	}
	r := &s.ready
	r.OCI.Tenancy, r.OCI.Compartment = tenant.text("names", "oci"), tenant.text("names", "oci")
	r.OCI.User, r.OCI.Fingerprint = user.text("names", "oci"), signing.text("fingerprint")
	r.OCI.VaultEndpoint, r.OCI.ManagementEndpoint, r.OCI.CryptoEndpoint = "http://"+setHost, vaults.Items[0].URL, vaults.Items[0].URL
	r.Alibaba.Endpoint = "http://" + setHost
	r.Alibaba.AccessKeyID, r.Alibaba.AccessKeySecret = access.text("name"), access.text("secret")
}

// verify runs the commands that check a database and the audit log of a node.
func (s *nodeSet) verify(t *testing.T) {
	t.Helper()
	for i, n := range s.nodes {
		if _, err := os.Stat(filepath.Join(n.data, "audit")); err != nil {
			continue // it was never started
		}
		if out, err := exec.Command(s.binary, "audit", "verify", filepath.Join(n.data, "audit")).CombinedOutput(); err != nil {
			t.Errorf("the audit log of node %d: %v\n%s", i, err, out)
		}
	}
	if out, err := exec.Command(s.binary, "store", "verify", "--config", s.nodes[0].config).CombinedOutput(); err != nil {
		t.Errorf("the store: %v\n%s", err, out)
	}
}
