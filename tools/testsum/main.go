// SPDX-License-Identifier: Apache-2.0

// Command testsum runs test suites with `go test -json` and tells in few lines how they went:
// one line for each package, every failure in full, one line for each skipped test with its
// reason, and the total alone on the last line.
//
//	testsum [-noskip] [-fuzz 3s [-keep]] [-- [VAR=VALUE...] go test [-C DIR] ARGS...]...
//
// With -fuzz, each fuzz target of the module in the working directory then searches for that
// long, on one processor; with -keep it is guided by coverage, for which all is built anew, and what
// it found worth keeping goes into testdata/fuzz.
//
// It exits with 1 if a test failed, if a suite could not be run, if no test ran at all, or,
// with -noskip, if any test was skipped.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
		os.Exit(1)
	}
}

// run is main with its surroundings passed in. The total is the last thing that it writes to stdout.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	own, suites := split(args)
	flags := flag.NewFlagSet("testsum", flag.ContinueOnError)
	flags.SetOutput(stderr)
	noskip := flags.Bool("noskip", false, "fail if any test is skipped")
	search := flags.Duration("fuzz", 0, "let each fuzz target search for so `long`")
	keep := flags.Bool("keep", false, "with -fuzz: add the inputs found to testdata/fuzz")
	if err := flags.Parse(own); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected %q: suites follow --", flags.Arg(0))
	}

	r := newReport(stdout)
	for _, suite := range suites {
		if err := runSuite(ctx, r, suite, stderr); err != nil {
			return err
		}
	}
	if *search > 0 {
		if err := runFuzz(ctx, r, *search, *keep, stderr); err != nil {
			return err
		}
	}
	return r.finish(*noskip)
}

// split parts testsum's own arguments from the suites, each of which follows a "--".
func split(args []string) (own []string, suites [][]string) {
	for {
		i := slices.Index(args, "--")
		head := args
		if i >= 0 {
			head = args[:i]
		}
		if own == nil {
			own = append([]string{}, head...)
		} else if len(head) > 0 {
			suites = append(suites, head)
		}
		if i < 0 {
			return own, suites
		}
		args = args[i+1:]
	}
}

// runSuite runs one `go test` command and reports its events as they come.
func runSuite(ctx context.Context, r *report, suite []string, stderr io.Writer) error {
	env, command, err := jsonCommand(suite)
	if err != nil {
		return err
	}
	r.section("%s", join(suite))
	start := time.Now()
	if err := goTest(ctx, r, env, command, stderr); err != nil {
		r.broken(join(suite), err)
	}
	r.section("%s took %s", join(suite), time.Since(start).Round(time.Second))
	return ctx.Err()
}

// jsonCommand parts the variables in front of a `go test` command from it, and adds -json
// behind -C, which must come first.
func jsonCommand(suite []string) (env, command []string, err error) {
	n := max(slices.IndexFunc(suite, func(word string) bool { return !strings.Contains(word, "=") }), 0)
	env, command = suite[:n], suite[n:]
	if len(command) < 2 || command[0] != "go" || command[1] != "test" {
		return nil, nil, fmt.Errorf("%q is not a go test command", join(suite))
	}
	at := 2
	if len(command) > 3 && command[2] == "-C" {
		at = 4
	}
	return env, slices.Insert(slices.Clone(command), at, "-json"), nil
}
