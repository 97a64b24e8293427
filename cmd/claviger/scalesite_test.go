// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"claviger/internal/porttest"
)

// buildStripped compiles the server as a release is.
func buildStripped(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "claviger")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build claviger: %v\n%s", err, out)
	}
	return binary
}

func fileMiB(t *testing.T, name string) float64 {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return float64(info.Size()) / (1 << 20)
}

// site is a configuration with a database that was filled.
type site struct {
	dir   string
	ready ready
}

// site makes a site, or finds it from an earlier time.
func (s *scale) site(t *testing.T, name string, keys, versions, largest int) *site {
	t.Helper()
	base := os.Getenv("CLAVIGER_SCALE_DIR")
	if base == "" {
		base = t.TempDir()
	}
	at := &site{dir: filepath.Join(base, fmt.Sprintf("%s-%d-%d-%d", name, keys, versions, largest))}
	if raw, err := os.ReadFile(filepath.Join(at.dir, "site.json")); err == nil {
		if err := json.Unmarshal(raw, &at.ready); err != nil {
			t.Fatal(err)
		}
		return at
	} else if !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err := errors.Join(os.RemoveAll(at.dir), os.MkdirAll(at.dir, 0o700)); err != nil {
		t.Fatal(err)
	}
	at.configure(t)
	at.claviger(t, s.binary, "init")
	at.people(t, s.binary)
	at.claviger(t, s.binary, "store", "fill", "--tenant", "acme", "--keys", strconv.Itoa(keys), "--versions", strconv.Itoa(versions), "--largest", strconv.Itoa(largest))
	raw, err := json.Marshal(at.ready)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(at.dir, "site.json"), raw)
	return at
}

// configure writes the configuration, on ports that are free now.
func (at *site) configure(t *testing.T) {
	t.Helper()
	port, err := porttest.Row(3)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(at.dir, "claviger.toml"), fmt.Appendf(nil, `data = "data"
seal.file = "root.key"
vaults.ports = "%d-%d"
limits.mode = "off"

[admin]
listen = "127.0.0.1:%d"
token_file = "token"

[[region]]
name = "home"
oci = "us-ashburn-1"
alibaba = "cn-hangzhou"
listen = "127.0.0.1:%d"
`, port, port, port+1, port+2))
	at.ready.Admin.Endpoint = "http://127.0.0.1:" + strconv.Itoa(port+1)
	at.ready.OCI.VaultEndpoint = "http://127.0.0.1:" + strconv.Itoa(port+2)
	at.ready.OCI.ManagementEndpoint = "http://127.0.0.1:" + strconv.Itoa(port)
	at.ready.OCI.CryptoEndpoint = at.ready.OCI.ManagementEndpoint
	at.ready.Alibaba.Endpoint = at.ready.OCI.VaultEndpoint
	at.ready.OCI.PrivateKeyFile = filepath.Join(at.dir, "api.pem")
}

// claviger runs a command of the CLI on the site, and answers what it printed.
func (at *site) claviger(t *testing.T, binary string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "CLAVIGER_CONFIG="+filepath.Join(at.dir, "claviger.toml"))
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	if err := cmd.Run(); err != nil {
		t.Fatalf("claviger %s: %v\n%s", strings.Join(args, " "), err, &talk)
	}
	return out.Bytes()
}

// people makes a tenant and somebody with credentials in it.
func (at *site) people(t *testing.T, binary string) {
	t.Helper()
	p := at.launch(t, binary)
	p.await(t, func() bool {
		resp, err := http.Get(at.ready.Admin.Endpoint + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	decode := func(v any, args ...string) {
		if err := json.Unmarshal(at.claviger(t, binary, append(args, "--json")...), v); err != nil {
			t.Fatal(err)
		}
	}
	var who struct{ Names map[string]string }
	decode(&who, "tenant", "create", "acme")
	at.ready.OCI.Tenancy, at.ready.OCI.Compartment = who.Names["oci"], who.Names["oci"]
	decode(&who, "principal", "create", "ops", "--tenant", "acme", "--role", "admin")
	at.ready.OCI.User = who.Names["oci"]
	var credential struct{ Name, Secret, Fingerprint string }
	decode(&credential, "credential", "add", "--principal", "ops", "--access-key")
	at.ready.Alibaba.AccessKeyID, at.ready.Alibaba.AccessKeySecret = credential.Name, credential.Secret
	public := at.ready.OCI.PrivateKeyFile + ".pub"
	for _, args := range [][]string{
		{"genrsa", "-out", at.ready.OCI.PrivateKeyFile, "2048"}, {"rsa", "-in", at.ready.OCI.PrivateKeyFile, "-pubout", "-out", public},
	} {
		if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
			t.Fatalf("openssl: %v\n%s", err, out)
		}
	}
	decode(&credential, "credential", "add", "--principal", "ops", "--public-key", public)
	at.ready.OCI.Fingerprint = credential.Fingerprint
	p.stop(t)
}

// serving is a process that serves a site.
type serving struct {
	*caller
	*server
	firstAnswer time.Duration // since it was started
}

// launch starts a server.
func (at *site) launch(t *testing.T, binary string) *serving {
	t.Helper()
	s := &server{dir: t.TempDir(), ended: make(chan struct{})}
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s.cmd = exec.Command(binary, "serve", "--config", filepath.Join(at.dir, "claviger.toml"))
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("start claviger: %v", err)
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.ended)
	}()
	t.Cleanup(s.kill)
	return &serving{server: s}
}

// serve starts a server, and measures until it has answered a signed request.
func (at *site) serve(t *testing.T, binary string) *serving {
	t.Helper()
	c := newCaller(t, &server{ready: at.ready})
	req, err := c.ociRequest(t.Context(), http.MethodGet, at.ready.OCI.ManagementEndpoint+"/20180608/keys?limit=1&compartmentId="+at.ready.OCI.Compartment, nil)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	p := at.launch(t, binary)
	p.caller = c
	p.await(t, func() bool {
		a := p.send(req)
		return a.ok()
	})
	p.firstAnswer = time.Since(began)
	return p
}

// await asks again and again until done.
func (p *serving) await(t *testing.T, done func() bool) {
	t.Helper()
	for range ticks(t, time.Millisecond) {
		if done() {
			return
		}
		select {
		case <-p.ended:
			t.Fatalf("claviger ended: %v\n%s", p.err, p.output(t))
		default:
		}
	}
	t.Fatalf("no answer within %v\n%s", hang, p.output(t))
}

var residentLine = regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`)

// rss is the process's resident memory in MiB.
func (p *serving) rss(t *testing.T) float64 {
	t.Helper()
	m := residentLine.FindSubmatch(read(t, fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid)))
	if m == nil {
		t.Fatal("the process tells no resident memory")
	}
	kib, _ := strconv.ParseFloat(string(m[1]), 64)
	return kib / 1024
}

// cpu is what the process has used of CPU: the kernel counts it in nanoseconds in schedstat for
// each thread.
func (p *serving) cpu(t *testing.T) (sum time.Duration) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			continue // the thread ended just now
		}
		field, _, _ := strings.Cut(string(raw), " ")
		ns, _ := strconv.ParseInt(field, 10, 64)
		sum += time.Duration(ns)
	}
	return sum
}

func (p *serving) keys() string {
	return p.caller.ready.OCI.ManagementEndpoint + "/20180608/keys?compartmentId=" + p.caller.ready.OCI.Compartment
}

// ids are the ids of a list's items.
func (a answer) ids() (out []string) {
	var items []struct{ ID string }
	_ = json.Unmarshal(a.body, &items) // none, then
	for _, i := range items {
		out = append(out, i.ID)
	}
	return out
}

// named finds a key by its name.
func (p *serving) named(t *testing.T, name string) string {
	t.Helper()
	a := must(t, "list keys", p.oci(t.Context(), http.MethodGet, p.keys()+"&limit=1&sortBy=DISPLAYNAME&sortOrder=ASC", nil))
	var items []struct{ ID, DisplayName string }
	if err := json.Unmarshal(a.body, &items); err != nil || len(items) != 1 || items[0].DisplayName != name {
		t.Fatalf("the first key by name is %s (%v)", a, err)
	}
	return items[0].ID
}

// middle is the mark of the page after about n items of a list.
func (p *serving) middle(t *testing.T, list string, n int) string {
	t.Helper()
	mark := ""
	for seen := 0; seen < n; {
		limit := min(1000, n-seen)
		a := must(t, "list", p.oci(t.Context(), http.MethodGet, list+"&limit="+strconv.Itoa(limit)+mark, nil))
		seen += len(a.ids())
		mark = "&page=" + a.header.Get("Opc-Next-Page")
	}
	return strings.TrimPrefix(mark, "&page=")
}

// oldest is the OCID of a key's first version.
func (p *serving) oldest(t *testing.T, key string) string {
	t.Helper()
	a := must(t, "list versions", p.oci(t.Context(), http.MethodGet, p.keyURL(key)+"/keyVersions?limit=1&sortOrder=ASC", nil))
	return a.ids()[0]
}

// uuid is what Alibaba calls a key.
func (p *serving) uuid(t *testing.T, key string) string {
	t.Helper()
	token := strings.TrimSpace(string(read(t, filepath.Join(filepath.Dir(p.caller.ready.OCI.PrivateKeyFile), "token"))))
	p.caller.ready.Admin.Token = token
	return must(t, "show key", p.admin(t.Context(), http.MethodGet, "keys/"+key, nil)).text("id")
}

func (p *serving) get(target string) request {
	return request{p, func(ctx context.Context) (*http.Request, error) {
		return p.ociRequest(ctx, http.MethodGet, target, nil)
	}}
}

func (p *serving) creation(key string) request {
	return request{p, func(ctx context.Context) (*http.Request, error) {
		return p.ociRequest(ctx, http.MethodPost, p.keyURL(key)+"/keyVersions", nil)
	}}
}

func (p *serving) encryption(key string) request {
	return p.crypto("encrypt", map[string]any{"keyId": key, "plaintext": "b25jZQ=="})
}

// decryption decrypts what a version encrypted; "" is the primary.
func (p *serving) decryption(t *testing.T, key, version string) request {
	t.Helper()
	body := map[string]any{"keyId": key, "plaintext": "b25jZQ=="}
	if version != "" {
		body["keyVersionId"] = version
	}
	ciphertext := must(t, "encrypt", p.data(t.Context(), "encrypt", body)).text("ciphertext")
	return p.crypto("decrypt", map[string]any{"keyId": key, "ciphertext": ciphertext})
}

func (p *serving) crypto(operation string, body map[string]any) request {
	return request{p, func(ctx context.Context) (*http.Request, error) {
		return p.ociRequest(ctx, http.MethodPost, p.caller.ready.OCI.CryptoEndpoint+"/20180608/"+operation, body)
	}}
}

func (p *serving) alibabaCall(action string, params ...string) request {
	return request{p, func(ctx context.Context) (*http.Request, error) { return p.alibabaRequest(ctx, action, params...) }}
}
