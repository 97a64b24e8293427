// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"bytes"
	"crypto/fips140"
	"net/http"
	"os"
	"os/exec"
	"testing"
)

// TestFIPS runs itself in a process of its own: the mode is set at its start. While FIPS 140-3 is enforced
// signatures of version 1, which are HMAC-SHA1, are refused, and ACS3's serve.
func TestFIPS(t *testing.T) {
	t.Parallel()
	if !fips140.Enforced() {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestFIPS$", "-test.v")
		cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
		out, err := cmd.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("--- PASS: TestFIPS")) {
			t.Errorf("in FIPS-only mode: %v\n%s", err, out)
		}
		return
	}
	c := newCloud(t)
	values := c.common(c.Tenant, "DescribeRegions")
	values.Set("Signature", "x")
	if r := c.send(t, http.MethodGet, "/?"+values.Encode(), nil, ""); r.code() != "400 InvalidSignatureMethod" {
		t.Errorf("version 1 is answered %s", r)
	}
	if r := c.callACS3(t, c.Tenant, "DescribeRegions"); r.code() != "200" {
		t.Errorf("ACS3 is answered %s", r)
	}
}
