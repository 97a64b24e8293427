// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The corpus kept in testdata runs with every `go test`, so it stays small: for each target so
// many files, and none above this size.
const (
	corpusFiles = 16
	corpusBytes = 2 << 10
)

// goPackage is what is read of a package in `go list -json`.
type goPackage struct {
	ImportPath, Dir           string
	TestGoFiles, XTestGoFiles []string
}

// runFuzz lets each fuzz target of the module in the working directory search for that long.
func runFuzz(ctx context.Context, r *report, search time.Duration, keep bool, stderr io.Writer) error {
	packages, err := listPackages(ctx, stderr)
	if err != nil {
		return err
	}
	for _, p := range packages {
		targets, err := fuzzTargets(p)
		if err != nil {
			return err
		}
		for _, target := range targets {
			r.section("fuzz %s.%s", p.ImportPath, target)
			err := goTest(ctx, r, nil, []string{
				"go", "test", "-json", "-run=^$", "-fuzz=^" + target + "$",
				"-fuzztime=" + search.String(), p.ImportPath,
			}, stderr)
			if err != nil {
				r.broken("fuzz "+p.ImportPath+"."+target, err)
			}
			if keep {
				if err := keepCorpus(ctx, p, target, r); err != nil {
					return err
				}
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	return nil
}

func listPackages(ctx context.Context, stderr io.Writer) ([]goPackage, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-json=ImportPath,Dir,TestGoFiles,XTestGoFiles", "./...")
	cmd.Stderr = stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list packages: %w", err)
	}
	var packages []goPackage
	for in := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := in.Decode(&p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, fmt.Errorf("read the list of packages: %w", err)
		}
		packages = append(packages, p)
	}
}

// fuzzTargets reads the names from the source: `go test -list` would build every package to say them.
func fuzzTargets(p goPackage) ([]string, error) {
	var targets []string
	for _, name := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("look for fuzz targets: %w", err)
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Fuzz") {
				targets = append(targets, f.Name.Name)
			}
		}
	}
	return targets, nil
}

// keepCorpus copies the smallest of the inputs that widened the coverage from go's cache to testdata.
func keepCorpus(ctx context.Context, p goPackage, target string, r *report) error {
	cache, err := exec.CommandContext(ctx, "go", "env", "GOCACHE").Output()
	if err != nil {
		return fmt.Errorf("find go's cache: %w", err)
	}
	from := filepath.Join(strings.TrimSpace(string(cache)), "fuzz", filepath.FromSlash(p.ImportPath), target)
	to := filepath.Join(p.Dir, "testdata", "fuzz", target)
	found, err := inputs(from)
	if err != nil {
		return err
	}
	kept, err := inputs(to)
	if err != nil {
		return err
	}
	added := 0
	for _, in := range found {
		if len(kept)+added >= corpusFiles || in.Size() > corpusBytes {
			break
		}
		if slices.ContainsFunc(kept, func(k os.FileInfo) bool { return k.Name() == in.Name() }) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(from, in.Name()))
		if err != nil {
			return fmt.Errorf("read fuzz input: %w", err)
		}
		if err := os.MkdirAll(to, 0o755); err != nil {
			return fmt.Errorf("keep fuzz input: %w", err)
		}
		if err := os.WriteFile(filepath.Join(to, in.Name()), data, 0o644); err != nil {
			return fmt.Errorf("keep fuzz input: %w", err)
		}
		added++
	}
	if added > 0 {
		r.section("kept %d inputs in %s", added, to)
	}
	return nil
}

// inputs lists the files of dir, the smallest first; no directory means none.
func inputs(dir string) ([]os.FileInfo, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list fuzz inputs: %w", err)
	}
	var files []os.FileInfo
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			return nil, fmt.Errorf("list fuzz inputs: %w", err)
		}
		files = append(files, info)
	}
	slices.SortStableFunc(files, func(a, b os.FileInfo) int { return cmp.Compare(a.Size(), b.Size()) })
	return files, nil
}
