// SPDX-License-Identifier: Apache-2.0

// Package fipstest runs tests while FIPS 140-3 is enforced.
package fipstest

import (
	"bytes"
	"crypto/fips140"
	"os"
	"os/exec"
	"testing"
)

// Enforced reports whether FIPS 140-3 is enforced in this process. Where it is not, it runs the same test
// in a process of its own where it is, since the mode is set when a process starts, and fails t if that fails.
func Enforced(t *testing.T) bool {
	t.Helper()
	if fips140.Enforced() {
		return true
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name()+" ")) {
		t.Errorf("in FIPS-only mode: %v\n%s", err, out)
	}
	return false
}
