// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"claviger/internal/bench"
)

// private reports whether the benchmark starts a server of its own.
func (c *benchCmd) private() bool { return c.ReadyFile == "" && c.Endpoint == "" }

// targets finds out whom to ask, and the server's process id where it is known.
func (c *benchCmd) targets(a *app, undo *cleanup) (out []*bench.Target, pid int, err error) {
	keys, err := c.keys()
	if err != nil {
		return nil, 0, usageError{err}
	}
	if c.Endpoint != "" && len(c.API) > 1 {
		return nil, 0, usageError{errors.New("--endpoint is that of one API: give one --api, or a --ready-file")}
	}
	ready, pid := &readyFile{}, c.ServerPID
	switch {
	case c.private():
		if ready, pid, err = c.ownServer(a, undo); err != nil {
			return nil, 0, err
		}
	case c.ReadyFile != "":
		if ready, err = readReadyFile(c.ReadyFile); err != nil {
			return nil, 0, err
		}
	}
	trust, err := c.trust(ready)
	if err != nil {
		return nil, 0, err
	}
	for _, api := range c.API {
		t := &bench.Target{Dialect: bench.Dialect(api), TLS: trust, Keys: keys}
		if t.Dialect == bench.OCI {
			err = c.ociTarget(a, ready, t)
		} else {
			err = c.alibabaTarget(a, ready, t)
		}
		if err != nil {
			return nil, 0, err
		}
		out = append(out, t)
	}
	return out, pid, nil
}

func (c *benchCmd) keys() (map[bench.Kind]bench.Key, error) {
	keys := map[bench.Kind]bench.Key{}
	for _, given := range c.Key {
		kind, id, ok := strings.Cut(given, "=")
		if !ok || id == "" || !slices.Contains(bench.Kinds(), bench.Kind(kind)) {
			return nil, fmt.Errorf("--key %q is not KIND=ID with one of the kinds %v", given, bench.Kinds())
		}
		keys[bench.Kind(kind)] = bench.Key{ID: id}
	}
	return keys, nil
}

func (c *benchCmd) trust(ready *readyFile) (*tls.Config, error) {
	file := c.CAFile
	if file == "" && ready.CA != nil {
		file = ready.CA.File
	}
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read CA certificate: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read CA certificate: no certificate in %s", file)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, nil
}

// ociTarget fills in what an OCI client needs: flags first, then the ready file, then the SDKs' own
// configuration.
func (c *benchCmd) ociTarget(a *app, ready *readyFile, t *bench.Target) error {
	t.Endpoint, t.Management, t.Compartment = ready.OCI.CryptoEndpoint, ready.OCI.ManagementEndpoint, ready.OCI.Compartment
	if c.Endpoint != "" {
		t.Endpoint, t.Management = c.Endpoint, c.Endpoint
	}
	if c.ManagementEndpoint != "" {
		t.Management = c.ManagementEndpoint
	}
	profile := &ociProfile{tenancy: ready.OCI.Tenancy, user: ready.OCI.User, fingerprint: ready.OCI.Fingerprint, keyFile: ready.OCI.PrivateKeyFile}
	if ready.OCI.Tenancy == "" || c.OCIConfig != "" {
		file := c.OCIConfig
		if file == "" {
			file = a.env["OCI_CLI_CONFIG_FILE"]
		}
		if file == "" {
			file = filepath.Join(a.env["HOME"], ".oci", "config")
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read who calls: %w; name the SDKs' configuration file with --oci-config", err)
		}
		if profile, err = parseOCIConfig(string(text), c.Profile); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	if rest, ok := strings.CutPrefix(profile.keyFile, "~/"); ok {
		profile.keyFile = filepath.Join(a.env["HOME"], rest)
	}
	key, err := readRSAKey(profile.keyFile)
	if err != nil {
		return fmt.Errorf("read API key: %w", err)
	}
	t.APIKey = bench.APIKey{ID: profile.tenancy + "/" + profile.user + "/" + profile.fingerprint, Key: key}
	if t.Compartment == "" {
		t.Compartment = profile.tenancy
	}
	if c.Compartment != "" {
		t.Compartment = c.Compartment
	}
	return nil
}

func (c *benchCmd) alibabaTarget(a *app, ready *readyFile, t *bench.Target) error {
	t.Endpoint = ready.Alibaba.Endpoint
	if c.Endpoint != "" {
		t.Endpoint = c.Endpoint
	}
	t.AccessKey = bench.AccessKey{ID: ready.Alibaba.AccessKeyID, Secret: ready.Alibaba.AccessKeySecret}
	if c.AccessKeyID != "" || t.AccessKey.ID == "" {
		t.AccessKey = bench.AccessKey{ID: a.env["ALIBABA_CLOUD_ACCESS_KEY_ID"], Secret: a.env["ALIBABA_CLOUD_ACCESS_KEY_SECRET"]}
		if c.AccessKeyID != "" {
			t.AccessKey.ID = c.AccessKeyID
		}
	}
	if t.AccessKey.ID == "" || t.AccessKey.Secret == "" {
		return usageError{errors.New("who calls is missing: set $ALIBABA_CLOUD_ACCESS_KEY_ID and $ALIBABA_CLOUD_ACCESS_KEY_SECRET, or give --ready-file")}
	}
	return nil
}

// readRSAKey reads a private key in one of the forms that OCI's tools write.
func readRSAKey(file string) (*rsa.PrivateKey, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM", file)
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s holds no RSA private key without a passphrase", file)
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds a key of another kind than RSA", file)
	}
	return private, nil
}

// ociProfile is one profile of the SDKs' configuration file.
type ociProfile struct{ tenancy, user, fingerprint, keyFile string }

// parseOCIConfig reads a profile. What a profile does not have is taken from DEFAULT, as the SDKs do.
func parseOCIConfig(text, profile string) (*ociProfile, error) {
	const fallback = "DEFAULT"
	values, section, found := map[string]map[string]string{}, "", false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if line[0] == '[' && strings.HasSuffix(line, "]") {
			section = strings.TrimSpace(line[1 : len(line)-1])
			found = found || section == profile
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, errors.New("a line is neither a [profile] nor name=value")
		}
		if values[section] == nil {
			values[section] = map[string]string{}
		}
		values[section][strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	if !found {
		return nil, fmt.Errorf("there is no profile %q", profile)
	}
	get := func(name string) string {
		if v := values[profile][name]; v != "" {
			return v
		}
		return values[fallback][name]
	}
	p := &ociProfile{get("tenancy"), get("user"), get("fingerprint"), get("key_file")}
	if p.tenancy == "" || p.user == "" || p.fingerprint == "" || p.keyFile == "" {
		return nil, fmt.Errorf("profile %q lacks one of tenancy, user, fingerprint and key_file", profile)
	}
	return p, nil
}

// ownServer starts a server that ends with the benchmark: dev with its data, and so its audit log, in
// a temporary directory.
func (c *benchCmd) ownServer(a *app, undo *cleanup) (*readyFile, int, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, 0, fmt.Errorf("start a server: %w", err)
	}
	dir, err := os.MkdirTemp("", "claviger-bench-")
	if err != nil {
		return nil, 0, fmt.Errorf("make temporary directory: %w", err)
	}
	undo.add(func() error { return os.RemoveAll(dir) })
	file := filepath.Join(dir, "ready.json")
	args := []string{"claviger", "dev", "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data"), "--ready-file", file, "--log-level", "warn"}
	if c.TLS {
		args = append(args, "--tls")
	}
	var said strings.Builder
	cmd := &exec.Cmd{Path: self, Args: args, Stderr: &said, SysProcAttr: ownGroup(), Env: []string{}}
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} { // and no twin of a flag of dev's
		cmd.Env = append(cmd.Env, name+"="+a.env[name])
	}
	if err := cmd.Start(); err != nil {
		return nil, 0, fmt.Errorf("start a server: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	undo.add(func() error {
		_ = cmd.Process.Signal(os.Interrupt) // it may have ended
		if err := <-ended; err != nil {
			return fmt.Errorf("the server ended with %w\n%s", err, said.String())
		}
		return nil
	})
	if err := awaitReady(a.ctx, file, ended); err != nil {
		return nil, 0, fmt.Errorf("start a server: %w\n%s", err, said.String())
	}
	_, _ = fmt.Fprintf(a.err, "started a server for this, with its data in %s\n", dir)
	ready, err := readReadyFile(file)
	return ready, cmd.Process.Pid, err
}

// awaitReady waits for the ready file of a server that may end before.
func awaitReady(ctx context.Context, file string, ended chan error) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !exists(file) {
		select {
		case <-tick.C:
		case err := <-ended:
			ended <- err // for who waits for the end
			return errors.Join(errors.New("it ended at once"), err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
