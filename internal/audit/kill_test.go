// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
)

// killEnv makes the test binary the process that is killed, writing to its working directory.
const killEnv = "CLAVIGER_AUDIT_KILLED"

func TestMain(m *testing.M) {
	if os.Getenv(killEnv) != "" {
		appendUntilKilled()
	}
	os.Exit(m.Run())
}

// appendUntilKilled appends from many goroutines and prints each request once it is acknowledged.
func appendUntilKilled() {
	opts := options()
	opts.SegmentSize = 16 << 10
	l, err := Open(".", opts)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				request := fmt.Sprintf("%d-%d-%d", os.Getpid(), w, i)
				if err := l.Append(Event{Time: born(), Request: request, Outcome: OutcomeOK}); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				fmt.Fprintln(os.Stdout, request) // one write(2) for each line
			}
		})
	}
	wg.Wait()
}

func TestKilledProcessLosesNothing(t *testing.T) {
	t.Parallel()
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	acknowledged := map[string]bool{}
	for round := range rounds {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), killEnv+"=1")
		cmd.Dir = dir
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		killAfter := 1 + rand.New(rand.NewPCG(1, uint64(round))).IntN(500)
		lines := bufio.NewReader(out)
		for n := 1; ; n++ {
			line, err := lines.ReadString('\n')
			if err != nil {
				break // the pipe is empty and its writer dead; a line cut short was not printed
			}
			acknowledged[line[:len(line)-1]] = true
			if n == killAfter {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
			t.Fatalf("round %d: the process was not killed but ended: %v", round, err)
		}

		got, report := requests(t, dir)
		found := map[string]bool{}
		for _, r := range got {
			if found[r] {
				t.Errorf("round %d: %s is recorded twice", round, r)
			}
			found[r] = true
		}
		for r := range acknowledged {
			if !found[r] {
				t.Errorf("round %d: %s was acknowledged and is lost", round, r)
			}
		}
		if len(got) < killAfter {
			t.Errorf("round %d: only %d records after %d acknowledgements", round, len(got), killAfter)
		}
		if report.Segments < round+1 {
			t.Errorf("round %d: %d segments", round, report.Segments)
		}
	}
}
