// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"claviger/internal/dialect/oci"
	"claviger/internal/keys"
)

// call runs the command in this process.
func call(t *testing.T, env []string, args ...string) (code int, out, talk string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(context.Background(), args, env, stdio{in: strings.NewReader(""), out: &o, err: &e})
	return code, o.String(), e.String()
}

// TestEveryCommandHasHelp walks the command line: everything says what it is for, and every
// flag its twin in the environment.
func TestEveryCommandHasHelp(t *testing.T) {
	t.Parallel()
	parser, err := kong.New(&commands{}, commandVars())
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	var walk func(n *kong.Node)
	walk = func(n *kong.Node) {
		seen++
		if n.Type == kong.CommandNode && n.Help == "" {
			t.Errorf("%s has no help", n.FullPath())
		}
		for _, p := range n.Positional {
			if p.Help == "" {
				t.Errorf("%s: %s has no help", n.FullPath(), p.Name)
			}
		}
		for _, f := range n.Flags {
			if f.Help == "" {
				t.Errorf("%s: --%s has no help", n.FullPath(), f.Name)
			}
		}
		for _, c := range n.Children {
			walk(c)
		}
	}
	walk(parser.Model.Node)
	if seen < 40 {
		t.Errorf("only %d commands were seen", seen)
	}
	code, out, _ := call(t, nil, "key", "list", "--help")
	if code != exitOK || !strings.Contains(out, "$CLAVIGER_READY_FILE") || !strings.Contains(out, "$CLAVIGER_TENANT") {
		t.Errorf("help ends with %d and says %s", code, out)
	}
}

// TestEnvironment: a flag may come from the environment, and the command line wins.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	env := []string{"CLAVIGER_CONFIG=/nowhere/from-environment.toml"}
	if code, _, talk := call(t, env, "serve"); code != exitUsage || !strings.Contains(talk, "from-environment.toml") {
		t.Errorf("with a variable serve ends with %d and says %s", code, talk)
	}
	if code, _, talk := call(t, env, "serve", "--config", "/nowhere/given.toml"); code != exitUsage || !strings.Contains(talk, "given.toml") {
		t.Errorf("with variable and flag serve ends with %d and says %s", code, talk)
	}
	if code, _, talk := call(t, []string{"CLAVIGER_YES=true", "CLAVIGER_VERSION=true"}, "reset", "--admin-endpoint", "http://127.0.0.1:1"); code != exitUsage {
		t.Errorf("what must be given by hand comes from the environment: %d %s", code, talk)
	}
}

func TestConfirm(t *testing.T) {
	t.Parallel()
	a := &app{stdio: stdio{in: strings.NewReader("acme\n"), err: &bytes.Buffer{}}}
	if err := (confirmFlag{}).confirm(a, "delete", "acme"); err == nil {
		t.Error("a name from a pipe confirms")
	} else if _, ok := errors.AsType[usageError](err); !ok {
		t.Errorf("the refusal is %v", err)
	}
	if err := (confirmFlag{Yes: true}).confirm(a, "delete", "acme"); err != nil {
		t.Errorf("--yes: %v", err)
	}
}

// TestTableIsClean: a name that somebody chose does not reach the terminal as a command.
func TestTableIsClean(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	a := &app{stdio: stdio{out: &out}}
	a.table([]string{"NAME"}, [][]string{{"a\x1b[2Jb\nc"}})
	a.fields("name", "a\x1b]0;x\a", "empty", "")
	if got := out.String(); strings.ContainsAny(got, "\x1b\a") || strings.Count(got, "\n") != 3 {
		t.Errorf("the table is %q", got)
	}
}

func TestAlphanumeric(t *testing.T) {
	t.Parallel()
	// Bytes of 248 and above would favour the first letters, so they are passed over.
	got, err := alphanumeric(bytes.NewReader(append(bytes.Repeat([]byte{255, 248, 0, 61, 62, 247}, 11), 0, 0)), 4)
	if err != nil || got != "A9A9" {
		t.Errorf("the text is %q, %v; want A9A9", got, err)
	}
	if _, err := alphanumeric(bytes.NewReader(nil), 1); err == nil {
		t.Error("no randomness is no error")
	}
	seen := map[string]bool{}
	for range 100 {
		id, secret, err := newAccessKey(rand.Reader)
		if err != nil || len(id) != 24 || len(secret) != 30 || seen[id] || seen[secret] {
			t.Fatalf("access key %q, %q, %v", id, secret, err)
		}
		seen[id], seen[secret] = true, true
	}
}

func TestWriteAtomic(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, content := range []string{"one", "two"} {
		if err := writeAtomic(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("the file holds %q, %v", got, err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, %v", info.Mode(), err)
	}
	if err := writeAtomic(filepath.Join(dir, "none", "file"), nil); err == nil {
		t.Error("a file in no directory is written")
	}
	if err := os.Mkdir(filepath.Join(dir, "taken"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeAtomic(filepath.Join(dir, "taken"), nil); err == nil {
		t.Error("a directory is replaced")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("left over are %v, %v", left, err)
	}
}

func TestAPIKey(t *testing.T) {
	t.Parallel()
	made, err := newAPIKey()
	if err != nil {
		t.Fatal(err)
	}
	read, err := parseAPIKey(made.pem)
	if err != nil || !bytes.Equal(read.spki, made.spki) {
		t.Errorf("the key is not read as it was made: %v", err)
	}
	for name, text := range map[string]string{"nothing": "", "no key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		if _, err := parseAPIKey([]byte(text)); err == nil {
			t.Errorf("%s is read as a key", name)
		}
	}
}

// TestNaming reads every form of a key's name at Alibaba Cloud.
func TestNaming(t *testing.T) {
	t.Parallel()
	n := alibabaNaming{map[keys.Region]string{"home": "cn-hangzhou"}}
	const id = "0b30658a-ed1a-4922-b8f7-a673ca9c0001"
	for name, want := range map[string]string{
		"alias/x":                               "alias/x@ in ",
		"acs:kms:cn-hangzhou:123:key/" + id:     id + "@123 in home",
		"acs:kms:cn-hangzhou:123:alias/x":       "alias/x@123 in home",
		"acs:kms:cn-hangzhou:123:key/key-abc":   "key-abc@123 in home",
		"acs:kms:cn-beijing:123:key/key-abc":    "key-abc@123 in \x00",
		"acs:kms:cn-hangzhou:123:alias/a:b/c":   "alias/a:b/c@123 in home",
		"acs:oss:cn-hangzhou:123:key/" + id:     "",
		"acs:kms:cn-hangzhou:123:secret/x":      "",
		"acs:kms:cn-hangzhou:alias/x":           "",
		"key-abc":                               "",
		id:                                      "",
		oci.NewTenancyName(keys.ID{1}):          "",
		"acs:kms:cn-hangzhou:123:key/a/b":       "",
		"acs:kms::123:key/" + id:                "",
		"acs:kms:cn-hangzhou::key/" + id:        "",
		"acs:kms:cn-hangzhou:123:key/" + id[1:]: id[1:] + "@123 in home",
	} {
		got := ""
		if ref, ok := n.Parse(name); ok {
			got = ref.Alias + ref.External
			if !ref.ID.IsZero() {
				got += ref.ID.String()
			}
			got += "@" + ref.Tenant + " in " + string(ref.Region)
		}
		if got != want {
			t.Errorf("%q is read as %q, want %q", name, got, want)
		}
	}
}
