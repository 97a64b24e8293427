// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"claviger/internal/config"
	"claviger/internal/store/sqlstore"
)

// What opens the archives in internal/archive/testdata.
const (
	vectorRoot = "claviger-root-key/1\n" +
		"# Secret. Back it up apart from the database: without this file nothing in it can be opened.\n" +
		"key 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\ncheck 54d81d1727553419\n"
	vectorIdentity  = "# public key: " + vectorRecipient + "\nAGE-SECRET-KEY-1L46PTVS7FZCC6YEJ2KSC8EGLWYYT6TUYZWF7ZUNU83YAQNRU0LJQLKCC2K\n"
	vectorRecipient = "age1gnjzl65hu9xuvfk5pt28eumssfua5hx944fdcv8ce6xslrstsqsq5ge9lw"
)

func vector(name string) string {
	return filepath.Join("..", "..", "internal", "archive", "testdata", name)
}

// secretFile writes a file that is its owner's alone.
func secretFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBackupInspect(t *testing.T) {
	t.Parallel()
	root, identity := secretFile(t, vectorRoot), secretFile(t, vectorIdentity)
	rooted, sent := vector("vault-root-1.archive"), vector("vault-recipients-1.archive")
	whole, err := os.ReadFile(rooted)
	if err != nil {
		t.Fatal(err)
	}
	cut, changed := filepath.Join(t.TempDir(), "cut"), filepath.Join(t.TempDir(), "changed")
	other := bytes.Replace(whole, []byte(`"precious"`), []byte(`"precisou"`), 1)
	for path, b := range map[string][]byte{cut: whole[:len(whole)-1], changed: other} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says []string // in what is printed, or in the talk where it fails
	}{
		"the manifest alone": {[]string{rooted}, exitOK, []string{"precious", "acme", "v1.2.3", "root key 425574e02fa7ae61", "2026-01-20T02:03:04Z", "no: give"}},
		"with the root key":  {[]string{"--root-key", root, rooted}, exitOK, []string{"precious", "yes"}},
		"for programs":       {[]string{"--json", "--root-key", root, rooted}, exitOK, []string{`"verified": true`, `"withKeys": true`, `"root": "425574e02fa7ae61"`}},
		"to recipients":      {[]string{sent}, exitOK, []string{vectorRecipient, "no: give"}},
		"with an identity":   {[]string{"--identity", identity, sent}, exitOK, []string{vectorRecipient, "yes"}},
		"with another key":   {[]string{"--root-key", root, sent}, exitFailure, []string{"encrypted to somebody else", vectorRecipient}},
		"cut, unread":        {[]string{cut}, exitOK, []string{"precious"}},
		"cut":                {[]string{"--root-key", root, cut}, exitFailure, []string{"damaged"}},
		"changed, unread":    {[]string{changed}, exitOK, []string{"precisou"}},
		"changed":            {[]string{"--root-key", root, changed}, exitFailure, []string{"header was changed"}},
		"no backup":          {[]string{root}, exitFailure, []string{"not an archive of claviger"}},
		"no file":            {[]string{"nowhere"}, exitFailure, []string{"nowhere"}},
		"no identity":        {[]string{"--identity", root, sent}, exitFailure, []string{"read identities"}},
		"no configuration":   {[]string{"--config", "nowhere", sent}, exitUsage, []string{"nowhere"}},
		"nothing":            {nil, exitUsage, []string{"<file>"}},
	} {
		code, out, talk := call(t, nil, append([]string{"backup", "inspect"}, c.args...)...)
		if code != c.code {
			t.Errorf("%s: exit %d, want %d: %s", name, code, c.code, talk)
		}
		if code != exitOK {
			out = talk
		}
		for _, s := range c.says {
			if !strings.Contains(out, s) {
				t.Errorf("%s: nothing of %q in\n%s", name, s, out)
			}
		}
	}
	var out bytes.Buffer
	code := run(context.Background(), []string{"backup", "inspect", "--root-key", root, "-"}, nil, stdio{in: bytes.NewReader(whole), out: &out, err: &out})
	if code != exitOK || !strings.Contains(out.String(), "yes") {
		t.Errorf("from standard input: exit %d\n%s", code, out.String())
	}
}

// TestBackupInspectWithAConfiguration takes the keys from where the server has them.
func TestBackupInspectWithAConfiguration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"root.key": vectorRoot, "identity": vectorIdentity,
		"claviger.toml": `data = "data"
seal.file = "root.key"
admin.token_file = "token"
vaults.ports = "7500-7599"
backup.identity_file = "identity"

[[region]]
name = "home"
oci = "us-ashburn-1"
alibaba = "cn-hangzhou"
listen = "127.0.0.1:7443"
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"vault-root-1.archive", "vault-recipients-1.archive"} {
		code, out, talk := call(t, []string{"CLAVIGER_CONFIG=" + filepath.Join(dir, "claviger.toml")}, "backup", "inspect", vector(file))
		if code != exitOK || !strings.Contains(out, "yes") {
			t.Errorf("%s: exit %d\n%s%s", file, code, out, talk)
		}
	}
}

func TestBackupOf(t *testing.T) {
	t.Parallel()
	identity := secretFile(t, vectorIdentity)
	got, err := backupOf(config.Backup{Recipients: []string{vectorRecipient}, IdentityFile: identity})
	if err != nil || len(got.Recipients.Names()) != 1 || got.Software == "" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := backupOf(config.Backup{}); err != nil {
		t.Errorf("nothing: %v", err)
	}
	if err := os.Chmod(identity, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]config.Backup{
		"a private key as recipient":  {Recipients: []string{strings.Split(vectorIdentity, "\n")[1]}},
		"no recipient":                {Recipients: []string{"somebody"}},
		"an identity that all read":   {IdentityFile: identity},
		"an identity that is nowhere": {IdentityFile: "nowhere"},
	} {
		if _, err := backupOf(cfg); err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// another makes the configuration of a server like another's, whose database has been made and holds
// nothing, as a command leaves it that was killed just then.
func another(t *testing.T, like string) (config string) {
	t.Helper()
	text, err := os.ReadFile(like)
	if err != nil {
		t.Fatal(err)
	}
	config, data := filepath.Join(t.TempDir(), "claviger.toml"), t.TempDir()
	_, rest, _ := bytes.Cut(text, []byte("\n")) // the first line is data
	if err := os.WriteFile(config, fmt.Appendf(nil, "data = %q\n%s", data, rest), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sqlstore.OpenSQLite(t.Context(), sqlstore.Options{Dir: data, Create: true})
	if err != nil || db.Close() != nil {
		t.Fatal(err)
	}
	return config
}

// TestDatabaseOfNothing restores and initializes where an earlier try had made the database and nothing
// more.
func TestDatabaseOfNothing(t *testing.T) {
	t.Parallel()
	from, _ := initialized(t)
	backup := filepath.Join(t.TempDir(), "backup")
	if code, _, talk := call(t, nil, "backup", "create", "--direct", "--config", from, "--out", backup); code != exitOK {
		t.Fatalf("the backup ends with %d: %s", code, talk)
	}
	for name, c := range map[string]struct {
		args         []string // before and after --config and the configuration
		rest         []string
		again, words string // what is said when all is there
	}{
		"restore": {[]string{"backup", "restore"}, []string{backup}, "into a new one only", "Restored revision"},
		"init":    {[]string{"init", "--existing-root"}, nil, "already", "Created"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := another(t, from)
			args := append(append(c.args, "--config", config), c.rest...)
			if code, out, talk := call(t, nil, args...); code != exitOK || !strings.Contains(out+talk, c.words) {
				t.Fatalf("it ends with %d: %s%s", code, out, talk)
			}
			if code, _, talk := call(t, nil, "store", "verify", "--config", config); code != exitOK {
				t.Errorf("verifying ends with %d: %s", code, talk)
			}
			if code, _, talk := call(t, nil, args...); code != exitFailure || !strings.Contains(talk, c.again) {
				t.Errorf("once more it ends with %d: %s", code, talk)
			}
		})
	}
}
