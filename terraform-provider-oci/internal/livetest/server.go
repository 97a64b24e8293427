// SPDX-License-Identifier: Apache-2.0

// Package livetest gives tests the real things: a server as a process of its own, and a Terraform or
// OpenTofu binary. It knows of the server what a user knows: its command line, its ready file and its
// admin API.
package livetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience is when a hang is called a hang.
const patience = time.Minute

// Server is one running "claviger dev".
type Server struct {
	Ready

	process *exec.Cmd
	ended   chan struct{} // closed when the process has ended; err is set before
	err     error
	log     string
}

// Ready is the part of the ready file that these tests use.
type Ready struct {
	Admin struct {
		Endpoint string `json:"endpoint"`
		Token    string `json:"token"`
	} `json:"admin"`
	OCI struct {
		VaultEndpoint      string `json:"vaultEndpoint"`
		Region             string `json:"region"`
		Tenancy            string `json:"tenancy"`
		User               string `json:"user"`
		Fingerprint        string `json:"fingerprint"`
		PrivateKeyFile     string `json:"privateKeyFile"`
		ConfigFile         string `json:"configFile"`
		Compartment        string `json:"compartment"`
		VaultID            string `json:"vaultId"`
		ManagementEndpoint string `json:"managementEndpoint"`
		CryptoEndpoint     string `json:"cryptoEndpoint"`
	} `json:"oci"`
	CA struct {
		File string `json:"file"`
	} `json:"ca"`
}

// Build compiles a command of a module into dir, as the Makefile does, and returns the binary's path.
func Build(module, pkg, dir, name string) (string, error) {
	binary := filepath.Join(dir, name)
	cmd := exec.Command("go", "build", "-C", module, "-trimpath", "-o", binary, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return binary, nil
}

// Start runs a server with everything in memory, until the test ends. Flags are added to its own.
func Start(t testing.TB, binary string, flags ...string) *Server {
	t.Helper()
	dir := t.TempDir()
	ready := filepath.Join(dir, "ready.json")
	s := &Server{ended: make(chan struct{}), log: filepath.Join(dir, "log")}
	log, err := os.Create(s.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s.process = exec.Command(binary, append([]string{"dev", "--listen", "127.0.0.1:0", "--ready-file", ready}, flags...)...)
	s.process.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir}
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		t.Fatalf("start claviger: %v", err)
	}
	go func() {
		s.err = s.process.Wait()
		close(s.ended)
	}()
	t.Cleanup(func() { s.Stop(t) })
	s.awaitReady(t, ready)
	return s
}

func (s *Server) awaitReady(t testing.TB, file string) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		raw, err := os.ReadFile(file)
		if err == nil {
			if err := json.Unmarshal(raw, &s.Ready); err != nil {
				t.Fatalf("parse ready file: %v\n%s", err, raw)
			}
			return
		}
		if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		select {
		case <-tick.C:
		case <-s.ended:
			t.Fatalf("claviger ended before it was ready: %v\n%s", s.err, s.output())
		case <-deadline:
			t.Fatalf("claviger was not ready within %s\n%s", patience, s.output())
		}
	}
}

// Stop ends the server as ctrl-C does. Later calls do nothing.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	select {
	case <-s.ended:
		return
	default:
	}
	if err := s.process.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("interrupt claviger: %v", err)
	}
	select {
	case <-s.ended:
	case <-time.After(patience):
		t.Errorf("claviger did not end within %s of an interrupt", patience)
		_ = s.process.Process.Kill() // it may end now by itself
		<-s.ended
	}
	if s.err != nil {
		t.Errorf("claviger ended with %v\n%s", s.err, s.output())
	}
}

func (s *Server) output() string {
	raw, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(raw))
}

// Env is what a user exports to use this server, by name.
func (s *Server) Env() map[string]string {
	env := map[string]string{
		"CLIENT_HOST_OVERRIDES":   "oci_kms.KmsVaultClient=" + s.OCI.VaultEndpoint,
		"TF_VAR_tenancy_ocid":     s.OCI.Tenancy,
		"TF_VAR_user_ocid":        s.OCI.User,
		"TF_VAR_fingerprint":      s.OCI.Fingerprint,
		"TF_VAR_private_key_path": s.OCI.PrivateKeyFile,
		"TF_VAR_region":           s.OCI.Region,
	}
	if s.CA.File != "" {
		env["custom_cert_location"] = s.CA.File
	}
	return env
}

// Now is the server's domain time.
func (s *Server) Now(t testing.TB) time.Time {
	t.Helper()
	var clock struct {
		Now time.Time `json:"now"`
	}
	s.Do(t, http.MethodGet, "clock", nil, &clock)
	return clock.Now
}

// Advance moves the server's domain time forward; what falls due has happened when it returns.
func (s *Server) Advance(t testing.TB, d time.Duration) {
	t.Helper()
	s.Do(t, http.MethodPost, "clock", map[string]string{"advance": d.String()}, nil)
}

// Do sends one request to the admin API, with in as its JSON body unless nil, and decodes the answer
// into out unless nil.
func (s *Server) Do(t testing.TB, method, path string, in, out any) {
	t.Helper()
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			t.Fatal(err)
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), method, s.Admin.Endpoint+"/admin/v1/"+path, &body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+s.Admin.Token)
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		t.Fatalf("%s %s: status %d", method, path, answer.StatusCode)
	}
	if out == nil {
		return
	}
	if err := json.NewDecoder(answer.Body).Decode(out); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
}
