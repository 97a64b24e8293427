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
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// cluster is several processes of `claviger serve` on one database, with a tenant that may use it.
type cluster struct {
	dir     string
	members []*member
	ready   ready // but for the admin endpoint the same for all
	key     *rsa.PrivateKey
}

// member is one node: its configuration, and its process while there is one.
type member struct {
	name, binary   string
	config, faults string // files
	region, admin  string // addresses
	flags          []string
	*server
}

// The leases of tests are short: most of what is tested is that they end.
const (
	testLease  = time.Second
	testMargin = 500 * time.Millisecond
)

// newCluster initializes the database at the first URL, which has no tables, and starts a node
// for each URL.
func newCluster(t *testing.T, binary string, urls []string, flags ...string) *cluster {
	t.Helper()
	c := &cluster{dir: t.TempDir()}
	for i, u := range urls {
		c.members = append(c.members, c.member(t, binary, fmt.Sprintf("n%d", i+1), u, flags))
	}
	out, err := exec.Command(binary, "init", "--config", c.members[0].config).CombinedOutput()
	if err != nil {
		t.Fatalf("init: %v\n%s", err, out)
	}
	for _, m := range c.members {
		m.launch(t)
	}
	for _, m := range c.members {
		m.serving(t)
	}
	c.ready.Admin.Token = strings.TrimSpace(string(read(t, filepath.Join(c.dir, "token"))))
	c.tenant(t)
	return c
}

// member writes the configuration of one.
func (c *cluster) member(t *testing.T, binary, name, database string, flags []string) *member {
	t.Helper()
	m := &member{
		name: name, binary: binary, flags: flags, config: filepath.Join(c.dir, name+".toml"), faults: filepath.Join(c.dir, name+".clock"),
		region: unusedAddress(t), admin: unusedAddress(t),
	}
	write(t, m.config, fmt.Appendf(nil, `
data = %q
seal.file = "root.key"
admin.token_file = "token"
admin.listen = %q
limits.mode = "off"
log.format = "text"
log.level = "warn"
[store]
type = "postgres"
url = %q
reopen_timeout = "2s"
idle_timeout = "2s"
[node]
name = %q
lease = %q
margin = %q
poll = "10ms"
[vaults]
mode = "hosts"
template = "http://{vault}.kms.test"
[[region]]
name = "home"
oci = "us-ashburn-1"
alibaba = "cn-hangzhou"
listen = %q
advertise = "http://kms.test"
`, name, m.admin, database, name, testLease, testMargin, m.region))
	return m
}

// launch starts the node's process.
func (m *member) launch(t *testing.T) {
	t.Helper()
	args := append([]string{m.binary, "serve", "--config", m.config}, m.flags...)
	m.server = newServer(t)
	m.spawn(t, args, "CLAVIGER_FAULTCLOCK="+m.faults)
}

// serving waits until the node is ready.
func (m *member) serving(t *testing.T) {
	t.Helper()
	for range ticks(t, 5*poll) {
		if m.isReady() {
			return
		}
		select {
		case <-m.ended:
			t.Fatalf("node %s ended: %v\n%s", m.name, m.err, m.output(t))
		default:
		}
	}
	t.Fatalf("node %s was not ready within %v\n%s", m.name, hang, m.output(t))
}

func (m *member) isReady() bool {
	client := http.Client{Timeout: hang, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + m.admin + "/readyz")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// step sets the node's clocks off, in a server that is built for it.
func (m *member) step(t *testing.T, wall, boot time.Duration) {
	t.Helper()
	write(t, m.faults+".new", fmt.Append(nil, wall, " ", boot))
	if err := os.Rename(m.faults+".new", m.faults); err != nil {
		t.Fatal(err)
	}
}

// tenant makes a tenant and somebody who may do everything in it.
func (c *cluster) tenant(t *testing.T) {
	t.Helper()
	var err error
	if c.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(c.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
	a := c.caller(t, c.members[0], hang)
	post := func(path string, body map[string]any) (got answer) {
		t.Helper()
		for i := range ticks(t, poll) { // a busy machine's nodes may be out of step for a moment
			if name, named := body["name"]; named && i > 0 {
				body["name"] = fmt.Sprint(name, i)
			}
			got = a.admin(t.Context(), http.MethodPost, path, body)
			if got.err != nil || got.status != http.StatusServiceUnavailable {
				break
			}
		}
		return must(t, path, got)
	}
	tenant := post("tenants", map[string]any{"name": "acme"})
	who := post("principals", map[string]any{"tenant": tenant.text("id"), "name": "ops", "role": "admin"})
	rsaKey := post("credentials", map[string]any{"principal": who.text("id"), "publicKey": string(public)})
	access := post("credentials", map[string]any{"principal": who.text("id")})
	var vaults struct{ Items []struct{ URL string } }
	raw := must(t, "vaults", a.admin(t.Context(), http.MethodGet, "vaults?tenant="+tenant.text("id"), nil)).body
	if err := json.Unmarshal(raw, &vaults); err != nil || len(vaults.Items) == 0 {
		t.Fatalf("vaults: %v: %s", err, raw)
	}
	o, url := &c.ready.OCI, vaults.Items[0].URL
	o.Tenancy, o.Compartment = tenant.text("names", "oci"), tenant.text("names", "oci")
	o.User, o.Fingerprint = who.text("names", "oci"), rsaKey.text("fingerprint")
	o.VaultEndpoint, o.ManagementEndpoint, o.CryptoEndpoint = "http://kms.test", url, url
	c.ready.Alibaba.Endpoint = "http://kms.test"
	c.ready.Alibaba.AccessKeyID, c.ready.Alibaba.AccessKeySecret = access.text("name"), access.text("secret")
}

// caller talks to one node. It gives up after a while.
func (c *cluster) caller(t *testing.T, m *member, patience time.Duration) *caller {
	t.Helper()
	is := c.ready
	is.Admin.Endpoint = "http://" + m.admin
	transport := &http.Transport{
		MaxIdleConnsPerHost: 32,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if u, err := url.Parse(is.Admin.Endpoint); err != nil || address != u.Host {
				address = m.region // whatever the host: it leads to a vault
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &caller{ready: is, key: c.key, http: &http.Client{Transport: transport, Timeout: patience}}
}
