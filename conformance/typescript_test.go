// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"claviger/conformance/internal/live"
)

// TestTypeScript runs the lives of keys through the clouds' SDKs for TypeScript, which npm installs
// at the versions of typescript/package-lock.json.
func TestTypeScript(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not on this machine: install the packages nodejs and npm", program)
		}
	}
	dir, err := filepath.Abs("typescript")
	if err != nil {
		t.Fatal(err)
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--no-fund", "--no-audit", "--ignore-scripts")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	for name, least := range map[string]int{"oci": 50, "alibaba": 400} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t, live.Options{})
			ready, err := json.Marshal(server.Ready)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "ready.json")
			if err := os.WriteFile(file, ready, 0o600); err != nil {
				t.Fatal(err)
			}
			run := exec.CommandContext(t.Context(), "node", "--test", "--test-reporter=tap", name+".test.mjs")
			run.Dir, run.Env = dir, append(os.Environ(), "CLAVIGER_READY="+file)
			out, err := run.CombinedOutput()
			passed := 0
			if found := regexp.MustCompile(`(?m)^# pass (\d+)$`).FindSubmatch(out); found != nil {
				passed, _ = strconv.Atoi(string(found[1])) // digits
			}
			if err != nil || passed < least {
				t.Fatalf("%d tests passed, want %d at least: %v\n%s", passed, least, err, out)
			}
			t.Logf("%d tests passed", passed)
		})
	}
}
