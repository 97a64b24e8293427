// SPDX-License-Identifier: Apache-2.0

package live

import (
	"encoding/json"
	"os"
	"os/exec"
	"testing"
)

// Command runs a command of the server's command line against the process, as a person does, and
// decodes what it prints with --json into out unless nil.
func (p *Process) Command(t testing.TB, out any, args ...string) {
	t.Helper()
	if out != nil {
		args = append(args, "--json")
	}
	cmd := exec.Command(p.cmd.Path, args...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), mode(), "CLAVIGER_ADMIN_ENDPOINT=" + p.Ready.Admin.Endpoint, "CLAVIGER_ADMIN_TOKEN=" + p.Ready.Admin.Token,
		"CLAVIGER_CA_FILE=" + p.Ready.CA.File,
	}
	cmd.Stderr = os.Stderr
	printed, err := cmd.Output()
	if err != nil {
		t.Fatalf("claviger %q: %v", args, err)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(printed, out); err != nil {
		t.Fatalf("claviger %q prints %s: %v", args, printed, err)
	}
}
