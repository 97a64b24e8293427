// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"claviger/internal/bench"
	"claviger/internal/porttest"
)

// site is an installation of claviger serve with one tenant and its administrator.
type site struct {
	*process
	dir    string
	admin  string // host:port
	region string // base URL
	vault  string // base URL
	tls    *certificate

	oci  bench.Target
	acs3 bench.Target
}

const vaultPorts = 2

// newSite makes an installation in a new directory below dir and starts it. A certificate makes it
// serve TLS. The flags are those of serve.
func newSite(ctx context.Context, binary, dir, settings string, cert *certificate, flags ...string) (s *site, err error) {
	ports, err := porttest.Row(2 + vaultPorts)
	if err != nil {
		return nil, err
	}
	if dir, err = os.MkdirTemp(dir, "site-"); err != nil {
		return nil, err
	}
	s = &site{dir: dir, admin: fmt.Sprintf("127.0.0.1:%d", ports), region: fmt.Sprintf("http://127.0.0.1:%d", ports+1), tls: cert}
	secure := ""
	if cert != nil {
		s.region = fmt.Sprintf("https://127.0.0.1:%d", ports+1)
		secure = fmt.Sprintf("tls.cert_file = %q\ntls.key_file = %q\n", cert.certFile, cert.keyFile)
	}
	text := fmt.Sprintf(`data = "data"
seal.file = "root.key"
admin.token_file = "token"
admin.listen = %q
vaults.ports = "%d-%d"
limits.mode = "off"
alibaba.nonce_capacity = 100000000
%s%s
[[region]]
name = "home"
oci = "us-ashburn-1"
alibaba = "cn-hangzhou"
listen = "127.0.0.1:%d"
`, s.admin, ports+2, ports+1+vaultPorts, secure, settings, ports+1)
	if err := os.WriteFile(s.config(), []byte(text), 0o600); err != nil {
		return nil, err
	}
	if err := s.command(ctx, binary, nil, "init", "--config", s.config()); err != nil {
		return nil, err
	}
	if err := s.serve(ctx, binary, flags...); err != nil {
		return nil, err
	}
	if err := s.enrol(ctx, binary); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *site) config() string { return filepath.Join(s.dir, "claviger.toml") }

// serve starts the server and waits until it is ready. If it does not become so, it is stopped.
func (s *site) serve(ctx context.Context, binary string, flags ...string) (err error) {
	if s.process, err = start(binary, func(string) {}, append([]string{"serve", "--config", s.config()}, flags...)...); err != nil {
		return err
	}
	if err := s.await(ctx, func() bool { return answers(ctx, "http://"+s.admin+"/readyz") }); err != nil {
		return errors.Join(err, s.stop())
	}
	return nil
}

// answers reports whether a URL answers with a success.
func answers(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// command runs a command of the server's and reads the JSON that it prints.
func (s *site) command(ctx context.Context, binary string, into any, args ...string) error {
	if into != nil {
		args = append(args, "--json", "--config", s.config())
	}
	out, err := exec.CommandContext(ctx, binary, args...).Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return fmt.Errorf("claviger %s: %w\n%s", args[0], err, failed.Stderr)
	}
	if err == nil && into != nil {
		err = json.Unmarshal(out, into)
	}
	if err != nil {
		return fmt.Errorf("claviger %s: %w", args[0], err)
	}
	return nil
}

// enrol makes the tenant, its administrator and the credentials that this one signs with.
func (s *site) enrol(ctx context.Context, binary string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	public := filepath.Join(s.dir, "public.pem")
	if err := os.WriteFile(public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		return err
	}
	var tenant, principal struct{ Names map[string]string }
	var signing struct{ Fingerprint string }
	var access struct{ Name, Secret string }
	var vaults []struct{ URL string }
	for _, step := range []struct {
		into any
		args []string
	}{
		{&tenant, []string{"tenant", "create", "acme"}},
		{&principal, []string{"principal", "create", "ops", "--tenant", "acme", "--role", "admin"}},
		{&signing, []string{"credential", "add", "--principal", "ops", "--public-key", public}},
		{&access, []string{"credential", "add", "--principal", "ops", "--access-key"}},
		{&vaults, []string{"vault", "list"}},
	} {
		if err := s.command(ctx, binary, step.into, step.args...); err != nil {
			return err
		}
	}
	if len(vaults) != 1 {
		return fmt.Errorf("a new tenant has %d vaults", len(vaults))
	}
	s.vault = vaults[0].URL
	var trust *tls.Config
	if s.tls != nil {
		trust = s.tls.trust
	}
	s.oci = bench.Target{
		Dialect: bench.OCI, Endpoint: s.vault, Management: s.vault, TLS: trust, Compartment: tenant.Names["oci"],
		APIKey: bench.APIKey{ID: tenant.Names["oci"] + "/" + principal.Names["oci"] + "/" + signing.Fingerprint, Key: key},
	}
	s.acs3 = bench.Target{Dialect: bench.ACS3, Endpoint: s.region, TLS: trust, AccessKey: bench.AccessKey{ID: access.Name, Secret: access.Secret}}
	return nil
}

// target is the site as a dialect's client sees it.
func (s *site) target(d bench.Dialect) *bench.Target {
	t := s.acs3
	if d == bench.OCI {
		t = s.oci
	}
	t.Dialect = d
	return &t
}

// certificate is one for 127.0.0.1 that signs itself.
type certificate struct {
	certFile, keyFile string
	trust             *tls.Config
}

func newCertificate(dir string) (*certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	c := &certificate{certFile: filepath.Join(dir, "cert.pem"), keyFile: filepath.Join(dir, "key.pem")}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	c.trust = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}
	return c, errors.Join(
		os.WriteFile(c.certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(c.keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600),
	)
}
