// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// report turns events into lines for people and counts. It is not safe for concurrent use.
type report struct {
	out                     io.Writer
	passed, failed, skipped int
	explained               int                         // packages that ended in a failure which was shown, or excused
	packages                map[string]*packageState    // import path → what is known while it runs
	builds                  map[string]*strings.Builder // import path → what its failed build printed
	skips                   []*skip                     // in order of appearance
}

// packageState is what is known of a package until its last event.
type packageState struct {
	output                 map[string]*strings.Builder // test → its output; "" is the package's own
	order                  []string                    // the keys of output in order of appearance
	tests, failed, excused int                         // how many tests ended, failed, failed by isFuzzDeadline
}

// skip is one line at the end: a top-level test, and how many of its parts were skipped for one reason.
type skip struct {
	name, reason string
	count        int
}

func newReport(out io.Writer) *report {
	return &report{out: out, packages: map[string]*packageState{}, builds: map[string]*strings.Builder{}}
}

func (r *report) printf(format string, args ...any) { fmt.Fprintf(r.out, format, args...) }

func (r *report) section(format string, args ...any) { r.printf("== "+format+"\n", args...) }

// add takes the next event.
func (r *report) add(e event) {
	if strings.HasPrefix(e.Action, "build-") {
		if r.builds[e.ImportPath] == nil {
			r.builds[e.ImportPath] = new(strings.Builder)
		}
		r.builds[e.ImportPath].WriteString(e.Output)
		return
	}
	p := r.packages[e.Package]
	if p == nil {
		p = &packageState{output: map[string]*strings.Builder{}}
		r.packages[e.Package] = p
	}
	switch e.Action {
	case "output":
		p.write(e.Test, e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.endPackage(p, e)
		} else {
			r.endTest(p, e)
		}
	}
}

func (p *packageState) write(test, text string) {
	if p.output[test] == nil {
		p.output[test] = new(strings.Builder)
		p.order = append(p.order, test)
	}
	p.output[test].WriteString(text)
}

// take removes and returns the output of a test, without the lines that only frame it.
func (p *packageState) take(test string) string {
	if p.output[test] == nil {
		return ""
	}
	text := p.output[test].String()
	delete(p.output, test)
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if !isFrame(line) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// isFrame reports whether line says only what the events say too.
func isFrame(line string) bool {
	line = strings.TrimSpace(line)
	for _, prefix := range []string{"=== RUN ", "=== PAUSE ", "=== CONT ", "=== NAME ", "--- FAIL: ", "--- SKIP: ", "--- PASS: ", "ok  \t", "FAIL\t"} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return line == "FAIL" || line == "PASS"
}

func (r *report) endTest(p *packageState, e event) {
	p.tests++
	output := p.take(e.Test)
	switch {
	case e.Action == "pass", e.Action == "skip" && isFuzzInput(e.Test):
		r.passed++
	case e.Action == "fail":
		if isFuzzDeadline(output) {
			r.passed++
			p.excused++
			return
		}
		r.failed++
		p.failed++
		r.printf("FAIL %s.%s (%.1fs)\n%s", e.Package, e.Test, e.Elapsed, indent(output))
	default:
		r.skipped++
		r.addSkip(e, skipReason(output))
	}
}

// isFuzzInput reports whether test is one input of a fuzz target. The target may skip an input
// that is none of its business.
func isFuzzInput(test string) bool {
	return strings.HasPrefix(test, "Fuzz") && strings.Contains(test, "/")
}

// isFuzzDeadline recognizes the end of a search that go test (before Go 1.27) takes for a
// failure when a worker was busy at the deadline (go.dev/issue/75804). A real finding names the
// file with the failing input.
func isFuzzDeadline(output string) bool {
	var rest []string
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "fuzz: elapsed: ") && !strings.HasPrefix(line, "warning: the test binary was not built with coverage instrumentation") {
			rest = append(rest, line)
		}
	}
	return len(rest) == 1 && rest[0] == "context deadline exceeded"
}

// skipReason is what a test said when it skipped, on one line and without the place in the source.
func skipReason(output string) string {
	words := strings.Fields(output)
	if len(words) > 0 && strings.Contains(words[0], ".go:") {
		words = words[1:]
	}
	if len(words) == 0 {
		return "no reason given"
	}
	return join(words)
}

func (r *report) addSkip(e event, reason string) {
	top, _, _ := strings.Cut(e.Test, "/")
	name := e.Package + "." + top
	for _, s := range r.skips {
		if s.name == name && s.reason == reason {
			s.count++
			return
		}
	}
	r.skips = append(r.skips, &skip{name: name, reason: reason, count: 1})
}

func (r *report) endPackage(p *packageState, e event) {
	delete(r.packages, e.Package)
	if e.Action == "fail" {
		r.explained++
	}
	failed := e.Action == "fail" && (p.failed > 0 || p.excused == 0)
	switch {
	case e.Action == "skip", !failed && p.tests == 0: // nothing in it to run
		return
	case !failed:
		r.printf("ok   %6.1fs %s (%d tests)\n", e.Elapsed, e.Package, p.tests)
		return
	case p.failed == 0:
		r.failed++ // it did not build, or it ended outside of a test
	}
	r.printf("FAIL %6.1fs %s\n", e.Elapsed, e.Package)
	if build := r.builds[e.FailedBuild]; build != nil {
		r.printf("%s", indent(build.String()))
	}
	for _, test := range p.order { // the package's own words, and those of tests that never ended
		r.printf("%s", indent(p.take(test)))
	}
}

// broken counts a suite that could not be run to its end.
func (r *report) broken(suite string, err error) {
	r.failed++
	r.printf("FAIL %s: %v\n", suite, err)
}

// finish prints what was skipped and the total, and says whether all is well.
func (r *report) finish(noskip bool) error {
	for _, s := range r.skips {
		r.printf("skip %s (%d): %s\n", s.name, s.count, s.reason)
	}
	var errs []error
	if r.failed > 0 {
		errs = append(errs, errors.New("tests failed"))
	}
	if noskip && r.skipped > 0 {
		errs = append(errs, errors.New("tests were skipped, and with -noskip each must run: the lines that begin with skip say why"))
	}
	if r.passed+r.failed+r.skipped == 0 {
		errs = append(errs, errors.New("no test ran"))
	}
	r.printf("%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
	return errors.Join(errs...)
}

// indent sets text apart from the lines of the report itself.
func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("    " + strings.TrimSuffix(line, "\n") + "\n")
	}
	return b.String()
}
