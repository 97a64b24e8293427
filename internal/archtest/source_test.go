// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	root     = "../.."
	maxLines = 500 // of a Go file that is neither a test nor generated
)

// sources calls visit with the path below the root and the content of every text file of the repository.
func sources(t *testing.T, visit func(name string, content []byte)) {
	t.Helper()
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.ToSlash(strings.TrimPrefix(file, root+"/"))
		if entry.IsDir() {
			switch entry.Name() {
			case ".git", ".cache", "bin", "node_modules":
				return filepath.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() || name == ".git" || strings.HasSuffix(name, ".sum") || strings.Contains(name, "/testdata/fuzz/") {
			return nil
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if utf8.Valid(content) {
			visit(name, content)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("walk the repository: %v", err)
	}
}

func TestGoFiles(t *testing.T) {
	t.Parallel()
	const licence = "// SPDX-License-Identifier: Apache-2.0\n\n"
	generated := regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)
	seen := 0
	sources(t, func(name string, content []byte) {
		if !strings.HasSuffix(name, ".go") {
			return
		}
		seen++
		if !bytes.HasPrefix(content, []byte(licence)) {
			t.Errorf("%s does not begin with %q and an empty line", name, strings.TrimSpace(licence))
		}
		lines := bytes.Count(content, []byte("\n"))
		if lines > maxLines && !strings.HasSuffix(name, "_test.go") && !generated.Match(content) {
			t.Errorf("%s has %d lines, more than %d: split it by noun", name, lines, maxLines)
		}
	})
	if seen == 0 {
		t.Error("no Go file was seen")
	}
}

// TestNoTags keeps wire and storage forms out of the core: its types carry no struct tags.
func TestNoTags(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, dir := range []string{"keys", "kms", "secret"} {
		files, err := filepath.Glob(filepath.Join(root, "internal", dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			seen++
			set := token.NewFileSet()
			tree, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(tree, func(n ast.Node) bool {
				if field, ok := n.(*ast.Field); ok && field.Tag != nil {
					t.Errorf("%s: the tag %s belongs to a dialect or a store", set.Position(field.Pos()), field.Tag.Value)
				}
				return true
			})
		}
	}
	if seen == 0 {
		t.Error("no Go file was seen")
	}
}

// banned is text that only means something on the machine or in the day that it was written.
// The expressions are split so that they do not find themselves.
func banned() map[string]*regexp.Regexp {
	return map[string]*regexp.Regexp{
		"a path of one machine":           regexp.MustCompile(`/wo` + `rk/`),
		"a package registry's host":       regexp.MustCompile(`(proxy|sum)\.gol` + `ang\.org|deb\.deb` + `ian\.org|registry\.npm` + `js\.org`),
		"a file outside of the repo":      regexp.MustCompile(`\.\./sha` + `red\b`),
		"work left for later":             regexp.MustCompile(`(^|[^.\w])(TO` + `DO|FIX` + `ME)\b`),
		"a trailing mark of a bad merge":  regexp.MustCompile(`(?m)^(<<<<` + `<<<|>>>>` + `>>>)`),
		"a message that begins with fail": regexp.MustCompile(`(Errorf|errors\.New)\("failed ` + `to `),
	}
}

func TestBannedText(t *testing.T) {
	t.Parallel()
	vectors := regexp.MustCompile(`\.\./sha` + `red/vectors\b`)
	sources(t, func(name string, content []byte) {
		if strings.HasSuffix(name, "_test.go") { // tests may read published vectors that lie beside the clone
			content = vectors.ReplaceAll(content, nil)
		}
		for what, pattern := range banned() {
			if at := pattern.FindIndex(content); at != nil {
				line := 1 + bytes.Count(content[:at[0]], []byte("\n"))
				t.Errorf("%s:%d has %s: %q", name, line, what, content[at[0]:at[1]])
			}
		}
	})
}
