// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"time"
)

// TestProgress shows work of a hundred seconds, asked for a hundred times a second.
func TestProgress(t *testing.T) {
	t.Parallel()
	for _, terminal := range []bool{false, true} {
		var out strings.Builder
		now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		p := &progress{out: &out, what: "rows", terminal: terminal, now: func() time.Time { return now }, began: now, shown: now}
		for i := range 10_000 {
			now = now.Add(10 * time.Millisecond)
			p.show(i+1, 10_000)
		}
		p.end()
		got := out.String()
		lines, wantLines, end := strings.Count(got, "\n"), 10, "rows 100%  10000 of 10000, took 1m40s\n"
		if terminal {
			wantLines, end = 1, "rows 100%  10000 of 10000, took 1m40s\x1b[K\n"
			if n := strings.Count(got, "\r"); n != 1000 {
				t.Errorf("the bar was drawn %d times", n)
			}
		}
		if lines != wantLines || !strings.HasSuffix(got, end) {
			t.Errorf("terminal %t: %d lines:\n%s", terminal, lines, got[max(0, len(got)-300):])
		}
		if half := "rows  50%  5000 of 10000, 50s left"; !strings.Contains(got, half) {
			t.Errorf("terminal %t: no %q", terminal, half)
		}
	}
}

// TestProgressOfShortWork says once that it is done.
func TestProgressOfShortWork(t *testing.T) {
	t.Parallel()
	for _, terminal := range []bool{false, true} {
		var out strings.Builder
		now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		p := &progress{out: &out, what: "rows", terminal: terminal, now: func() time.Time { return now }, began: now, shown: now}
		p.show(1, 2)
		p.show(2, 2)
		p.end()
		if got := out.String(); strings.Count(got, "rows") != 1 || !strings.HasSuffix(got, "\n") {
			t.Errorf("terminal %t: %q", terminal, got)
		}
	}
}

// TestProgressInPercent counts nothing.
func TestProgressInPercent(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	p := &progress{out: &out, what: "work", share: true, now: func() time.Time { return now }, began: now, shown: now}
	now = now.Add(30 * time.Second)
	p.show(50, 100)
	p.show(100, 100)
	p.end()
	if got, want := out.String(), "work  50%, 30s left\nwork 100%, took 30s\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
