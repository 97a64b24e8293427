// SPDX-License-Identifier: Apache-2.0

// Package batch holds the two programs that docs/batch.md shows, and a test that they work.
package batch

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"claviger/conformance/internal/live"
)

// TestBatch starts a server, sets what it prints, and runs both programs.
func TestBatch(t *testing.T) {
	t.Parallel()
	binary, err := live.Build(filepath.Join("..", ".."), t.TempDir())
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
	endpoint, err := url.Parse(server.Ready.Alibaba.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	for name, where := range map[string]string{"oci": server.Ready.OCI.VaultEndpoint, "alibaba": endpoint.Host} {
		cmd := exec.Command("go", "run", "./"+name, where)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		for _, want := range []string{"500 texts encrypted and decrypted in two requests", "item 500 refused: 400 InvalidParameter"} {
			if !strings.Contains(string(out), want) {
				t.Errorf("the %s program does not say %q, but\n%s", name, want, out)
			}
		}
	}
}
