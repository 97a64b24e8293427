// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// workshop is a directory in which openssl works on files.
type workshop struct{ path string }

// newWorkshop skips the test where there is no openssl command.
func newWorkshop(t *testing.T) workshop {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("no openssl command to check against")
	}
	return workshop{t.TempDir()}
}

func (w workshop) write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.path, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (w workshop) read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(w.path, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// openssl fails the test if the command does; each word of line is an argument.
func (w workshop) openssl(t *testing.T, line string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "openssl", strings.Fields(line)...)
	cmd.Dir = w.path
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("openssl %s: %v\n%s", line, err, out)
	}
}

// publicDER is the DER in a PEM of a public key.
func publicDER(t *testing.T, text string) []byte {
	t.Helper()
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "PUBLIC KEY" || len(rest) > 0 {
		t.Fatalf("not one PEM of a public key: %q", text)
	}
	return block.Bytes
}
