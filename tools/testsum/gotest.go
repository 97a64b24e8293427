// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// event is one line of `go test -json` (`go doc test2json`, `go help buildjson`).
type event struct {
	Action      string
	Package     string
	Test        string  // "" when the event is the package's own
	Elapsed     float64 // seconds
	Output      string
	ImportPath  string // what was built, in build-output and build-fail
	FailedBuild string // in a package's fail: the ImportPath whose build failed
}

// goTest runs command, a `go test -json`, with env added to the environment, and feeds its
// events to r. That tests failed is no error here, the events tell it; an error means that the
// command itself went wrong.
func goTest(ctx context.Context, r *report, env, command []string, stderr io.Writer) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	// On an interrupt go test ends its own tests, which may have processes and files to clear away.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("connect to %s: %w", command[0], err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", command[0], err)
	}
	before := r.explained
	readErr := readEvents(out, r)
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() && r.explained > before {
		err = nil
	}
	return errors.Join(readErr, err)
}

// readEvents reads to the end of in, so that the writer never blocks. A line that is no event
// is shown as it is.
func readEvents(in io.Reader, r *report) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			var e event
			if strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), &e) == nil {
				r.add(e)
			} else {
				r.printf("%s", line)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read test events: %w", err)
		}
	}
}

func join(words []string) string { return strings.Join(words, " ") }
