// SPDX-License-Identifier: Apache-2.0

package live

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Site is an installation of "claviger serve" with one tenant and an administrator, in a directory
// that outlives its processes.
type Site struct {
	OCI  OCIAccess
	Data string // directory of its database

	binary, dir, admin string
	first              int // of the ports of vaults
	log                string
}

// portsOfVaults is how many vaults a site may have.
const portsOfVaults = 5

// NewSite makes an installation with more settings, in TOML, and starts it once to make the tenant.
// Addresses are ports that were free a moment before.
func NewSite(t testing.TB, binary, settings string) *Site {
	t.Helper()
	dir := t.TempDir()
	region := freePorts(t, 2+portsOfVaults)
	s := &Site{binary: binary, dir: dir, Data: filepath.Join(dir, "data"), admin: fmt.Sprintf("127.0.0.1:%d", region+1), first: region + 2, log: filepath.Join(dir, "log")}
	config := fmt.Sprintf(`data = "data"
seal.file = "root.key"
admin.token_file = "token"
admin.listen = %q
vaults.ports = "%d-%d"
log.format = "text"

%s

[[region]]
name = "home"
oci = "us-ashburn-1"
alibaba = "cn-hangzhou"
listen = "127.0.0.1:%d"
`, s.admin, s.first, s.first+portsOfVaults-1, settings, region)
	if err := os.WriteFile(s.config(), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run(t, nil, "init")
	process := s.Serve(t)
	s.OCI = OCIAccess{VaultEndpoint: fmt.Sprintf("http://127.0.0.1:%d", region), Region: "us-ashburn-1", PrivateKeyFile: filepath.Join(dir, "oci.pem")}
	s.enrol(t)
	process.Stop(t)
	return s
}

func (s *Site) config() string { return filepath.Join(s.dir, "claviger.toml") }

// enrol makes the tenant, its administrator and the key that this one signs with.
func (s *Site) enrol(t testing.TB) {
	t.Helper()
	var tenant, principal struct{ Names map[string]string }
	var credential struct{ Fingerprint string }
	var vaults []struct {
		Names map[string]string
		URL   string
	}
	public := filepath.Join(s.dir, "oci_public.pem")
	openssl(t, "genrsa", "-out", s.OCI.PrivateKeyFile, "2048")
	openssl(t, "pkey", "-in", s.OCI.PrivateKeyFile, "-pubout", "-out", public)
	s.run(t, &tenant, "tenant", "create", "acme")
	s.run(t, &principal, "principal", "create", "ops", "--tenant", "acme", "--role", "admin")
	s.run(t, &credential, "credential", "add", "--principal", "ops", "--public-key", public)
	s.run(t, &vaults, "vault", "list")
	if len(vaults) != 1 {
		t.Fatalf("a new tenant has %d vaults", len(vaults))
	}
	s.OCI.Tenancy, s.OCI.Compartment, s.OCI.User = tenant.Names["oci"], tenant.Names["oci"], principal.Names["oci"]
	s.OCI.Fingerprint, s.OCI.VaultID = credential.Fingerprint, vaults[0].Names["oci"]
	s.OCI.ManagementEndpoint, s.OCI.CryptoEndpoint = vaults[0].URL, vaults[0].URL
}

func openssl(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
		t.Fatalf("openssl %s: %v\n%s", args[0], err, out)
	}
}

// run runs a command of the server's and reads what it prints.
func (s *Site) run(t testing.TB, into any, args ...string) {
	t.Helper()
	if into != nil {
		args = append(args, "--json")
	} else {
		args = append(args, "--config", s.config())
	}
	cmd := exec.Command(s.binary, args...)
	cmd.Env = []string{mode(), "CLAVIGER_CONFIG=" + s.config(), "HOME=" + s.dir}
	out, err := cmd.Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		t.Fatalf("claviger %s: %v\n%s", strings.Join(args, " "), err, failed.Stderr)
	}
	if err == nil && into != nil {
		err = json.Unmarshal(out, into)
	}
	if err != nil {
		t.Fatalf("claviger %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// Serving is a running process of a site.
type Serving struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// Serve starts the installation and waits until it is ready. It is stopped with the test.
func (s *Site) Serve(t testing.TB) *Serving {
	t.Helper()
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p := &Serving{cmd: exec.Command(s.binary, "serve", "--config", s.config()), done: make(chan struct{})}
	p.cmd.Env = []string{mode(), "HOME=" + s.dir}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start claviger serve: %v", err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.Stop(t)
		if t.Failed() {
			t.Logf("the server's own output:\n%s", s.Log(t))
		}
	})
	deadline, tick := time.After(readyDeadline), time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		res, err := http.Get("http://" + s.admin + "/readyz")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return p
			}
		}
		select {
		case <-tick.C:
		case <-p.done:
			t.Fatalf("claviger serve ended: %v\n%s", p.err, s.Log(t))
		case <-deadline:
			t.Fatalf("claviger serve is not ready within %s\n%s", readyDeadline, s.Log(t))
		}
	}
}

// Stop ends the process as an operator does, and expects status 0. Later calls do nothing.
func (p *Serving) Stop(t testing.TB) {
	t.Helper()
	_ = p.cmd.Process.Signal(os.Interrupt) // it may have ended
	select {
	case <-p.done:
		if p.err != nil {
			t.Errorf("claviger serve ended with %v", p.err)
		}
	case <-time.After(stopDeadline):
		t.Errorf("claviger serve did not end within %s of an interrupt", stopDeadline)
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// Log is what the site's processes have printed.
func (s *Site) Log(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(s.log)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// freePorts finds so many ports in a row that nobody listens on, and answers the first. They are
// below those that Linux gives to whoever asks for any, and below those of vaults where claviger dev
// picks ports, so that nobody takes one by chance.
func freePorts(t testing.TB, n int) int {
	t.Helper()
	for range 1000 {
		at, err := rand.Int(rand.Reader, big.NewInt(int64(10_000-n)))
		if err != nil {
			t.Fatal(err)
		}
		first := 10_000 + int(at.Int64())
		var held []net.Listener
		for port := first; port < first+n; port++ {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				break
			}
			held = append(held, l)
		}
		for _, l := range held {
			l.Close()
		}
		if len(held) == n {
			return first
		}
	}
	t.Fatalf("no %d free ports in a row", n)
	return 0
}
