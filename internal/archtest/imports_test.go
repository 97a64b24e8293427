// SPDX-License-Identifier: Apache-2.0

// Package archtest holds the rules about the shape of the repository that no linter knows: who
// may import whom, and what every source file must and must not have.
package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// rule says what a package may import beside the standard library, and what it never may.
type rule struct {
	ours   []string // packages of this module below internal/
	theirs []string // modules of others
	never  []string // packages of the standard library; with all that lies below them
}

// rules is the architecture: imports point from a row to rows above it.
func rules() map[string]rule {
	words := []string{"keys", "secret"}
	aboveTheCore := []string{"keys", "identity", "kms"}
	dialect := rule{
		ours:  append([]string{"dialect"}, aboveTheCore...),
		never: []string{"database/sql", "crypto/aes", "crypto/cipher"},
	}
	return map[string]rule{
		"keys":              {never: []string{"net", "os", "database/sql", "encoding/json"}},
		"secret":            {never: []string{"net", "os", "database/sql", "encoding/json"}},
		"identity":          {ours: words, never: []string{"net", "os", "database/sql"}},
		"audit":             {ours: words, never: []string{"net", "database/sql"}},
		"engine":            {ours: words, theirs: []string{"github.com/decred/dcrd/dcrec/secp256k1/v4", "github.com/emmansun/gmsm", "github.com/tink-crypto/tink-go/v2", "golang.org/x/crypto"}, never: []string{"net", "os", "time", "database/sql", "log"}},
		"seal":              {ours: words, theirs: []string{"golang.org/x/crypto"}, never: []string{"net", "os", "time", "database/sql", "log"}},
		"seal/file":         {ours: append([]string{"seal"}, words...), theirs: []string{"golang.org/x/crypto"}, never: []string{"net", "database/sql"}},
		"archive":           {ours: append([]string{"seal"}, words...), theirs: []string{"filippo.io/age"}, never: []string{"net", "os", "database/sql", "log"}},
		"objects":           {never: []string{"net", "os", "database/sql"}},
		"objects/directory": {ours: []string{"objects"}, never: []string{"net", "database/sql"}},
		"objects/spool":     {ours: []string{"objects"}, never: []string{"net", "database/sql"}},
		"objects/transfer":  {never: []string{"os", "database/sql"}},
		"objects/s3":        {ours: []string{"objects", "objects/transfer", "secret"}, never: []string{"os", "database/sql"}},
		"objects/request":   {ours: []string{"objects", "objects/transfer"}, never: []string{"os", "database/sql"}},
		"store":             {ours: []string{"keys", "identity", "audit"}, never: []string{"net", "os", "database/sql"}},
		"store/check":       {ours: []string{"keys", "identity", "store"}, never: []string{"net", "os", "database/sql"}},
		"store/sqlstore":    {ours: []string{"keys", "identity", "audit", "store"}, theirs: []string{"modernc.org/sqlite", "modernc.org/libc", "github.com/jackc/pgx/v5", "github.com/pressly/goose/v3"}, never: []string{"net"}},
		"kms":               {ours: []string{"keys", "secret", "identity", "audit", "engine", "seal", "archive", "store", "store/check", "objects"}, theirs: []string{"golang.org/x/sync"}, never: []string{"net", "os", "database/sql", "encoding/xml"}},
		"dialect":           {ours: aboveTheCore, never: []string{"database/sql"}},
		"dialect/admin":     dialect, "dialect/alibaba": dialect, "dialect/oci": dialect,
		"bench":             {never: []string{"database/sql"}},
		"benchtest/floor":   {},
		"benchtest/measure": {ours: []string{"bench", "porttest"}, theirs: []string{"modernc.org/sqlite"}},
		"config":            {theirs: []string{"github.com/BurntSushi/toml"}, never: []string{"net/http", "database/sql"}},
		"server":            {ours: []string{"dialect", "config"}, theirs: []string{"github.com/prometheus/client_golang", "golang.org/x/sync"}, never: []string{"database/sql"}},
	}
}

// goPackage is what is read of a package in `go list -json`.
type goPackage struct {
	ImportPath string
	GoFiles    []string // without tests
	Imports    []string // of GoFiles
}

func TestImports(t *testing.T) {
	t.Parallel()
	table := rules()
	for _, p := range listPackages(t) {
		name := strings.TrimPrefix(p.ImportPath, "claviger/internal/")
		// Only the command chooses implementations; test helpers stand outside of the server.
		if len(p.GoFiles) == 0 || p.ImportPath == "claviger/cmd/claviger" || strings.HasSuffix(name, "test") {
			continue
		}
		r, ok := table[name]
		if !ok {
			t.Errorf("%s is in no row of the table of imports: say there what it may import", p.ImportPath)
		}
		for _, imported := range p.Imports {
			if why := r.refuses(imported); why != "" {
				t.Errorf("%s imports %s, %s", p.ImportPath, imported, why)
			}
		}
	}
}

// refuses says why a package under r may not import another; "" means that it may.
func (r rule) refuses(imported string) string {
	first, _, _ := strings.Cut(imported, "/")
	switch {
	case first == "claviger":
		if !slices.Contains(r.ours, strings.TrimPrefix(imported, "claviger/internal/")) {
			return "which lies beside or above it"
		}
	case strings.Contains(first, "."):
		if !slices.ContainsFunc(r.theirs, func(m string) bool { return within(imported, m) }) {
			return "which is not among its dependencies"
		}
	case slices.ContainsFunc(r.never, func(n string) bool { return within(imported, n) }):
		return "which it never may"
	}
	return ""
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	r := rule{ours: []string{"keys"}, theirs: []string{"golang.org/x/crypto"}, never: []string{"net"}}
	for imported, refused := range map[string]bool{
		"claviger/internal/keys": false, "claviger/internal/kms": true, "claviger/internal/keys/more": true,
		"golang.org/x/crypto/argon2": false, "golang.org/x/cryptography": true,
		"bytes": false, "net": true, "net/http": true, "netip": false,
	} {
		if got := r.refuses(imported) != ""; got != refused {
			t.Errorf("import of %s refused: %t, want %t", imported, got, refused)
		}
	}
}

// within reports whether package p is the package root or lies below it.
func within(p, root string) bool { return p == root || strings.HasPrefix(p, root+"/") }

// listPackages lists the packages of this module.
func listPackages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,GoFiles,Imports", "claviger/...")
	cmd.Dir = path.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []goPackage
	for in := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := in.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("read go list's answer: %v", err)
		}
		packages = append(packages, p)
	}
	if len(packages) < 10 {
		t.Fatalf("go list found only %d packages", len(packages))
	}
	return packages
}
