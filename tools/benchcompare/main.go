// SPDX-License-Identifier: Apache-2.0

// Command benchcompare runs the benchmarks of two commits in turn and compares them with benchstat. What a
// machine does meanwhile then meets both alike.
//
//	benchcompare -base COMMIT [-head COMMIT] [-bench REGEXP] [-count 10] [-time 300ms] [PACKAGE...]
//
// Packages are directories of the server's module. Both commits are checked out into temporary worktrees;
// without -head the tree is compared as it is. It needs git and runs in the repository's root.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchcompare:", err)
		os.Exit(1)
	}
}

// dataPath are the packages that a data call goes through, and the one that a mutation does.
func dataPath() []string {
	return []string{
		"internal/dialect/oci", "internal/dialect/alibaba", "internal/engine", "internal/audit", "internal/kms", "internal/server",
		"internal/store/sqlstore",
	}
}

// settings are the flags.
type settings struct {
	base, head, bench, time string
	count                   int
	packages                []string
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	var s settings
	flags := flag.NewFlagSet("benchcompare", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.base, "base", "", "compare with this `commit`")
	flags.StringVar(&s.head, "head", "", "this `commit`; without it the tree as it is")
	flags.StringVar(&s.bench, "bench", ".", "which benchmarks")
	flags.StringVar(&s.time, "time", "300ms", "how long each runs, each time")
	flags.IntVar(&s.count, "count", 10, "how often each runs")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if s.base == "" || s.count < 1 {
		return errors.New("-base COMMIT is missing, or -count is not at least 1")
	}
	if s.packages = flags.Args(); len(s.packages) == 0 {
		s.packages = dataPath()
	}
	dir, err := os.MkdirTemp("", "claviger-benchcompare-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	base := &side{name: "base", dir: filepath.Join(dir, "base")}
	head := &side{name: "head", dir: "."}
	if err := checkOut(ctx, base.dir, s.base); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, drop(base.dir)) }()
	if s.head != "" {
		head.dir = filepath.Join(dir, "head")
		if err := checkOut(ctx, head.dir, s.head); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, drop(head.dir)) }()
	}
	for _, side := range []*side{base, head} {
		side.out = filepath.Join(dir, side.name+".txt")
		if err := side.build(ctx, s.packages, dir, stderr); err != nil {
			return err
		}
	}
	if err := inTurn(ctx, s, base, head, stderr); err != nil {
		return err
	}
	return benchstat(ctx, base, head, stdout, stderr)
}

// side is one of the two commits.
type side struct {
	name, dir string
	out       string            // file of what the benchmarks print
	binaries  map[string]string // by package: of its tests
}

func checkOut(ctx context.Context, dir, commit string) error {
	if out, err := exec.CommandContext(ctx, "git", "worktree", "add", "--quiet", "--detach", dir, commit).CombinedOutput(); err != nil {
		return fmt.Errorf("check out %s: %w\n%s", commit, err, out)
	}
	return nil
}

// drop removes a worktree, also after an interrupt.
func drop(dir string) error {
	if out, err := exec.Command("git", "worktree", "remove", "--force", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("remove worktree: %w\n%s", err, out)
	}
	return nil
}

// build compiles the tests of the packages that are there.
func (s *side) build(ctx context.Context, packages []string, into string, talk io.Writer) error {
	s.binaries = map[string]string{}
	for _, p := range packages {
		found, err := filepath.Glob(filepath.Join(s.dir, p, "*_test.go"))
		if err != nil {
			return err
		}
		if len(found) == 0 {
			continue
		}
		fmt.Fprintf(talk, "== build %s %s\n", s.name, p)
		binary := filepath.Join(into, s.name+"-"+strings.ReplaceAll(p, "/", "-"))
		cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, "./"+p)
		cmd.Dir = s.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build the tests of %s at %s: %w\n%s", p, s.name, err, out)
		}
		s.binaries[p] = binary
	}
	return nil
}

// inTurn runs the benchmarks of packages that both have, base and head, head and base.
func inTurn(ctx context.Context, s settings, base, head *side, talk io.Writer) error {
	order, ran := []*side{base, head}, 0
	for i := range s.count {
		for _, p := range s.packages {
			if base.binaries[p] == "" || head.binaries[p] == "" {
				if i == 0 {
					fmt.Fprintf(talk, "== %s: passed over, it has no tests on both sides\n", p)
				}
				continue
			}
			ran++
			fmt.Fprintf(talk, "== [%d/%d] %s\n", i+1, s.count, p)
			for _, side := range order {
				if err := side.run(ctx, s, p); err != nil {
					return err
				}
			}
		}
		order[0], order[1] = order[1], order[0]
	}
	if ran == 0 {
		return errors.New("there is no package that both have")
	}
	for _, side := range []*side{base, head} {
		if out, err := os.ReadFile(side.out); err != nil || !bytes.Contains(out, []byte("Benchmark")) {
			return errors.Join(fmt.Errorf("no benchmark of %s is called like %q", side.name, s.bench), err)
		}
	}
	return nil
}

// run runs one package's benchmarks once and adds what they print.
func (s *side) run(ctx context.Context, set settings, p string) (err error) {
	out, err := os.OpenFile(s.out, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	var failed strings.Builder
	cmd := exec.CommandContext(ctx, s.binaries[p], "-test.run=^$", "-test.bench="+set.bench, "-test.benchmem", "-test.benchtime="+set.time)
	cmd.Dir = filepath.Join(s.dir, p)
	cmd.Stdout, cmd.Stderr = io.MultiWriter(out, &failed), &failed
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("benchmarks of %s at %s: %w\n%s", p, s.name, err, failed.String())
	}
	return nil
}

// benchstat compares what was written.
func benchstat(ctx context.Context, base, head *side, stdout, stderr io.Writer) error {
	cmd := exec.CommandContext(ctx, "go", "tool", "-modfile=tools/go.mod", "benchstat", "base="+base.out, "head="+head.out)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("benchstat: %w", err)
	}
	return nil
}
