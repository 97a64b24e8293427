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
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
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

// runFuzz lets each fuzz target of the module in the working directory search for that long: as
// many at once as there are processors, each on one of them.
func runFuzz(ctx context.Context, r *report, search time.Duration, keep bool, stderr io.Writer) (err error) {
	packages, err := listPackages(ctx, stderr)
	if err != nil {
		return err
	}
	f := &fuzzing{search: search, guided: keep}
	if f.cache, err = goSays(ctx, "env", "GOCACHE"); err != nil {
		return err
	}
	if f.test2json, err = goSays(ctx, "tool", "-n", "test2json"); err != nil {
		return err
	}
	if f.dir, err = os.MkdirTemp("", "testsum"); err != nil {
		return fmt.Errorf("make a directory for fuzz targets: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(f.dir)) }()
	for _, p := range packages {
		targets, err := fuzzTargets(p)
		if err != nil {
			return err
		}
		if len(targets) == 0 {
			continue
		}
		if err := f.runPackage(ctx, r, p, targets); err != nil {
			return err
		}
		for _, target := range targets {
			if !keep {
				break
			}
			if err := keepCorpus(f.corpus(p, target), p, target, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// fuzzing is what all targets have in common.
type fuzzing struct {
	search    time.Duration
	guided    bool   // by coverage, for which every package is built anew
	dir       string // for what is built
	cache     string // go's
	test2json string // go's program
}

// goSays is the one line that a go command prints.
func goSays(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", args...).Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w", join(args), err)
	}
	return strings.TrimSpace(string(out)), nil
}

// corpus is where go test keeps what a target's searches found interesting.
func (f *fuzzing) corpus(p goPackage, target string) string {
	return filepath.Join(f.cache, "fuzz", filepath.FromSlash(p.ImportPath), target)
}

// runPackage builds a package's tests once, where `go test` would link them for each target, and
// runs its targets.
func (f *fuzzing) runPackage(ctx context.Context, r *report, p goPackage, targets []string) error {
	binary := filepath.Join(f.dir, "fuzz.test")
	args := []string{"test", "-c", "-o", binary}
	if f.guided {
		args = append(args, "-fuzz=.")
	}
	build := exec.CommandContext(ctx, "go", append(args, p.ImportPath)...)
	if out, err := build.CombinedOutput(); err != nil {
		r.broken("build fuzz targets of "+p.ImportPath, fmt.Errorf("%w\n%s", err, indent(string(out))))
		return ctx.Err()
	}
	type result struct {
		events bytes.Buffer
		err    error
	}
	results := make([]*result, len(targets))
	var all sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, target := range targets {
		slots <- struct{}{}
		results[i] = &result{}
		all.Go(func() {
			defer func() { <-slots }()
			results[i].err = f.runTarget(ctx, p, target, binary, &results[i].events)
		})
	}
	all.Wait()
	for i, target := range targets {
		r.section("fuzz %s.%s", p.ImportPath, target)
		before := r.explained
		err := readEvents(&results[i].events, r)
		if exit, ok := errors.AsType[*exec.ExitError](results[i].err); !ok || !exit.Exited() || r.explained == before {
			err = errors.Join(err, results[i].err)
		}
		if err != nil {
			r.broken("fuzz "+p.ImportPath+"."+target, err)
		}
	}
	return ctx.Err()
}

// runTarget runs one target as `go test -fuzz` does, and writes its events to out.
func (f *fuzzing) runTarget(ctx context.Context, p goPackage, target, binary string, out io.Writer) error {
	cmd := exec.CommandContext(ctx, f.test2json, "-t", "-p", p.ImportPath,
		binary, "-test.v=test2json", "-test.paniconexit0", "-test.parallel=1", "-test.run=^$", "-test.fuzz=^"+target+"$",
		"-test.fuzztime="+f.search.String(), "-test.fuzzcachedir="+filepath.Dir(f.corpus(p, target)))
	cmd.Dir = p.Dir
	cmd.Stdout, cmd.Stderr = out, out
	// An interrupt is for the target, whose converter ignores it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	return cmd.Run()
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
func keepCorpus(from string, p goPackage, target string, r *report) error {
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
