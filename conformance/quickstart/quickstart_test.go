// SPDX-License-Identifier: Apache-2.0

// Package quickstart holds the two programs that the README runs, and a test that they work.
package quickstart

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"claviger/conformance/internal/live"
)

// TestQuickstart does what the README says: it starts a server, sets what the server prints,
// and runs both programs, the second on the output of the first.
func TestQuickstart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	binary, err := live.Build(filepath.Join("..", ".."), dir)
	if err != nil {
		t.Fatal(err)
	}
	server := live.Start(t, binary, live.Options{})
	env := os.Environ()
	for _, line := range strings.Split(server.AwaitOutput(t, "Ctrl-C ends it."), "\n") {
		if setting, ok := strings.CutPrefix(strings.TrimSpace(line), "export "); ok {
			env = append(env, strings.Fields(setting)...)
		}
	}
	program := func(name string, args ...string) (out, talk string) {
		t.Helper()
		cmd := exec.Command("go", append([]string{"run", "./" + name}, args...)...)
		cmd.Env = env
		var stderr strings.Builder
		cmd.Stderr = &stderr
		stdout, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, stderr.String())
		}
		return strings.TrimSpace(string(stdout)), stderr.String()
	}
	ciphertext, talk := program("oci", server.Ready.OCI.VaultEndpoint)
	if !strings.Contains(talk, `decrypted   "made through OCI", with the version before`) {
		t.Errorf("the OCI program says\n%s", talk)
	}
	endpoint, err := url.Parse(server.Ready.Alibaba.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	_, talk = program("alibaba", endpoint.Host, ciphertext)
	for _, want := range []string{`decrypted   "made through OCI"`, "signing key", "its version", "signature"} {
		if !strings.Contains(talk, want) {
			t.Errorf("the Alibaba program does not say %q, but\n%s", want, talk)
		}
	}
}
