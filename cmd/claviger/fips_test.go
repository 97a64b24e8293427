// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/fips140"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestModeSuffices compares each mode that a configuration asks for with each that a process has.
func TestModeSuffices(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		mode, module, wanted string
		says                 string // "" when it suffices
	}{
		{"off", "latest", "off", ""},
		{"off", "v1", "off", ""},
		{"on", "latest", "off", ""},
		{"only", "v1", "off", ""},
		{"off", "v1", "on", "mode off: start it with GODEBUG=http2debug=1,fips140=on claviger store verify …, or, in a unit of systemd, with Environment=GODEBUG=http2debug=1,fips140=on"},
		{"off", "v1", "only", "mode off: start it with GODEBUG=http2debug=1,fips140=only claviger store verify …"},
		{"on", "v1", "only", "mode on: start it with GODEBUG=http2debug=1,fips140=only"},
		{"on", "v1", "on", ""},
		{"only", "v1", "on", ""},
		{"only", "v1", "only", ""},
		{"on", "latest", "on", "needs a binary with a frozen version of the FIPS 140-3 module"},
		{"only", "latest", "only", `build it with "make build"`},
		{"off", "latest", "on", `build it with "make build"`},
	} {
		err := fipsState{test.mode, test.module}.suffices(test.wanted, "store verify", "fips140=off,http2debug=1")
		if (err == nil) != (test.says == "") || (err != nil && !strings.Contains(err.Error(), test.says)) {
			t.Errorf("mode %s of module %s where %q is wanted: %v, want %q", test.mode, test.module, test.wanted, err, test.says)
		}
		if err != nil && !strings.Contains(err.Error(), `fips140 = "`+test.wanted+`"`) {
			t.Errorf("the message does not name the setting: %v", err)
		}
	}
}

// TestEveryCommandKeepsTheMode gives a configuration that insists on a mode to each command that opens the
// root key or the database.
func TestEveryCommandKeepsTheMode(t *testing.T) {
	t.Parallel()
	if fips140.Enforced() {
		t.Skip("this process runs in the strictest mode")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "claviger.toml")
	text := `fips140 = "only"
data = "data"
seal.file = "root.key"
admin.token_file = "admin.token"
vaults.ports = "7500-7599"

[[region]]
name = "home"
oci = "us-ashburn-1"
alibaba = "cn-hangzhou"
listen = "127.0.0.1:7443"
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{
		"serve --config FILE", "store verify --config FILE", "store copy --from FILE --to sqlite:OTHER", "store copy --from sqlite:OTHER --to FILE",
		"store fill --config FILE --tenant acme --keys 1 --versions 1", "backup create --direct --config FILE --out OTHER",
		"backup inspect --config FILE FILE", "backup restore --config FILE FILE", "root show --config FILE", "root rotate --config FILE", "init --config FILE",
	} {
		args := strings.Fields(strings.NewReplacer("FILE", file, "OTHER", filepath.Join(dir, "other")).Replace(command))
		code, _, talk := call(t, nil, args...)
		if code != exitUsage || !strings.Contains(talk, `fips140 = "only"`) {
			t.Errorf("%s ends with %d and says %s", command, code, talk)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("something was made: %v (%v)", left, err)
	}
}

func TestWithMode(t *testing.T) {
	t.Parallel()
	for godebug, want := range map[string]string{
		"": "fips140=on", "fips140=off": "fips140=on", "a=1,fips140=off,b=2,fips140=only": "a=1,b=2,fips140=on", "fips140ems=0": "fips140ems=0,fips140=on",
	} {
		if got := withMode(godebug, "on"); got != want {
			t.Errorf("%q with the mode is %q, want %q", godebug, got, want)
		}
	}
}

// condition is what scripts may ask: [frozen] is whether this binary has a frozen version of the module.
func condition(name string) (bool, error) {
	if name != "frozen" {
		return false, fmt.Errorf("there is no condition %q", name)
	}
	return fips140.Version() != unfrozen, nil
}
