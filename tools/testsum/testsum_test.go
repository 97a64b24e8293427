// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// module writes files, path → content, as a Go module and returns its directory.
func module(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	files["go.mod"] = "module example\n\ngo 1.26\n"
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// testsum runs the command and returns what it printed, with every time as 0.
func testsum(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	err = run(context.Background(), args, &out, &errs)
	times := regexp.MustCompile(` +\d+\.\d+s`)
	return times.ReplaceAllString(out.String(), " 0s"), errs.String(), err
}

func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains("\n"+text, "\n"+line+"\n") {
			t.Errorf("no line %q in:\n%s", line, text)
		}
	}
}

const header = "package p\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nvar _ = os.Exit\n\n"

func TestEveryKindOfEnd(t *testing.T) {
	t.Parallel()
	dir := module(t, map[string]string{
		"good/p_test.go": header + `func TestFine(t *testing.T) { t.Log("quiet") }
func TestHalf(t *testing.T) {
	t.Run("a", func(t *testing.T) { t.Skip("no vectors") })
	t.Run("b", func(t *testing.T) { t.Skip("no vectors") })
	t.Run("c", func(t *testing.T) {})
}
`,
		"bad/p_test.go": header + `func TestFine(t *testing.T) { t.Log("quiet") }
func TestWrong(t *testing.T) { t.Run("deep", func(t *testing.T) { t.Error("two is not three") }) }
`,
		"panics/p_test.go": header + `func TestPanics(t *testing.T) { panic("out of cheese") }
`,
		"exits/p_test.go": header + `func TestFine(t *testing.T) {}
func TestMain(m *testing.M) { m.Run(); println("port still open"); os.Exit(3) }
`,
		"stops/p_test.go": header + `func TestStops(t *testing.T) { println("gone in between"); os.Exit(4) }
`,
		"nobuild/p_test.go": header + "func TestFine(t *testing.T) { undefined() }\n",
		"vetted/p_test.go":  header + "func TestVetted(t *testing.T) { t.Errorf(\"%d\", \"text\") }\n",
		"none/p.go":         "package p\n",
		"empty/p_test.go":   "package p\n",
	})
	out, stderr, err := testsum(t, "--", "go", "test", "-C", dir, "./...")
	if err == nil {
		t.Error("no error although tests failed")
	}
	if stderr != "" {
		t.Errorf("stderr: %q", stderr)
	}
	wantLines(t, out,
		"ok 0s example/good (5 tests)",
		"FAIL example/bad.TestWrong/deep (0.0s)",
		"        p_test.go:11: two is not three",
		"FAIL 0s example/bad",
		"FAIL 0s example/panics",
		"FAIL 0s example/exits",
		"    port still open",
		"FAIL 0s example/stops",
		"    gone in between",
		"FAIL 0s example/nobuild",
		"    nobuild/p_test.go:10:31: undefined: undefined",
		"FAIL 0s example/vetted",
		"skip example/good.TestHalf (2): no vectors",
	)
	for _, text := range []string{"out of cheese", "wrong type string"} {
		if !strings.Contains(out, text) {
			t.Errorf("%q is missing in:\n%s", text, out)
		}
	}
	for _, text := range []string{"quiet", "example/none", "example/empty", "=== RUN"} {
		if strings.Contains(out, text) {
			t.Errorf("%q should not be in:\n%s", text, out)
		}
	}
	// Passed: good 3, bad 1, exits 1. Failed: TestWrong and its part, TestPanics, TestStops, and
	// the packages exits, nobuild and vetted.
	if !strings.HasSuffix(out, "\n5 passed, 7 failed, 2 skipped\n") {
		t.Errorf("the last line is not the total:\n%s", out)
	}
}

func TestSkippedIsFailedWhenAsked(t *testing.T) {
	t.Parallel()
	dir := module(t, map[string]string{"p_test.go": header + "func TestFine(t *testing.T) {}\nfunc TestMore(t *testing.T) { t.SkipNow() }\n"})
	if _, _, err := testsum(t, "--", "go", "test", "-C", dir, "./..."); err != nil {
		t.Errorf("without -noskip: %v", err)
	}
	out, _, err := testsum(t, "-noskip", "--", "go", "test", "-C", dir, "./...")
	if err == nil || !strings.Contains(err.Error(), "skipped") {
		t.Errorf("with -noskip: %v", err)
	}
	wantLines(t, out, "skip example.TestMore (1): no reason given", "1 passed, 0 failed, 1 skipped")
}

func TestVariablesOfASuite(t *testing.T) {
	t.Parallel()
	dir := module(t, map[string]string{"p_test.go": header + `func TestSet(t *testing.T) {
	if got := os.Getenv("TESTSUM_TEST"); got != "a=b" {
		t.Errorf("got %q", got)
	}
}
`})
	if out, _, err := testsum(t, "--", "TESTSUM_TEST=a=b", "go", "test", "-C", dir, "./..."); err != nil {
		t.Errorf("%v, output:\n%s", err, out)
	}
	if out, _, err := testsum(t, "--", "go", "test", "-C", dir, "./..."); err == nil {
		t.Errorf("the variable is set without being asked for, output:\n%s", out)
	}
	if _, _, err := testsum(t, "--", "TESTSUM_TEST=a"); err == nil {
		t.Error("a suite of variables alone was accepted")
	}
}

func TestNothingRan(t *testing.T) {
	t.Parallel()
	dir := module(t, map[string]string{"p.go": "package p\n"})
	const none = "0 passed, 0 failed, 0 skipped\n"
	for _, args := range [][]string{{}, {"--", "go", "test", "-C", dir, "./..."}} {
		if out, _, err := testsum(t, args...); err == nil || !strings.HasSuffix("\n"+out, "\n"+none) {
			t.Errorf("%q: error %v, output:\n%s", args, err, out)
		}
	}
}

func TestSuiteThatCannotRun(t *testing.T) {
	t.Parallel()
	good := module(t, map[string]string{"p_test.go": header + "func TestFine(t *testing.T) {}\n"})
	out, _, err := testsum(t, "--", "go", "test", "-C", filepath.Join(good, "missing"), "./...", "--", "go", "test", "-C", good, "./...")
	if err == nil {
		t.Error("no error although a suite could not run")
	}
	wantLines(t, out, "1 passed, 1 failed, 0 skipped")
	if _, _, err := testsum(t, "--", "go", "vet", "./..."); err == nil {
		t.Error("go vet was taken for a suite")
	}
	if _, _, err := testsum(t, "./..."); err == nil {
		t.Error("a stray argument was ignored")
	}
}

func TestFuzzDeadlineIsNoFinding(t *testing.T) {
	t.Parallel()
	const framed = "=== RUN   FuzzID\nfuzz: elapsed: 3s, execs: 40 (13/sec), new interesting: 1 (total: 8)\n--- FAIL: FuzzID (3.20s)\n"
	for output, passes := range map[string]bool{
		"warning: the test binary was not built with coverage instrumentation, so fuzzing will run without coverage guidance\n" +
			framed + "    context deadline exceeded\n": true,
		framed + "    context deadline exceeded\n":                                                                   true,
		framed + "    --- FAIL: FuzzID (0.00s)\n        id_test.go:9: got 1\n":                                       false,
		framed + "    id_test.go:9: context deadline exceeded\n":                                                     false,
		framed + "    context deadline exceeded\n    Failing input written to testdata/fuzz/FuzzID/582528ddfad69e\n": false,
	} {
		var out bytes.Buffer
		r := newReport(&out)
		r.add(event{Action: "output", Package: "p", Test: "FuzzID", Output: output})
		r.add(event{Action: "fail", Package: "p", Test: "FuzzID"})
		r.add(event{Action: "fail", Package: "p"})
		if got := r.finish(false) == nil; got != passes {
			t.Errorf("passes is %t for %q; report:\n%s", got, output, out.String())
		}
	}
}

// TestFuzz changes the working directory, so it is not parallel.
func TestFuzz(t *testing.T) {
	dir := module(t, map[string]string{
		"p_test.go": header + `func FuzzFine(f *testing.F) {
	f.Add([]byte("seed"))
	f.Add([]byte("not this one"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if string(in) == "not this one" {
			t.Skip()
		}
		if len(in) > 2 && in[0] == 'a' && in[1] == 'b' {
			t.Log(in)
		}
	})
}
`,
		"q/p_test.go": header + `func FuzzBad(f *testing.F) {
	f.Add([]byte("seed"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) == 4 {
			t.Error("four bytes")
		}
	})
}
`,
	})
	t.Chdir(dir)
	if out, _, err := testsum(t, "-noskip", "--", "go", "test", "."); err != nil {
		t.Errorf("an input that its target skips is a skipped test: %v\n%s", err, out)
	}
	out := ""
	for _, args := range [][]string{{"-fuzz", "500ms"}, {"-fuzz", "500ms", "-keep"}} {
		var err error
		if out, _, err = testsum(t, args...); err == nil {
			t.Errorf("%q: no error although a fuzz target failed", args)
		}
		wantLines(t, out, "== fuzz example.FuzzFine", "== fuzz example/q.FuzzBad", "FAIL 0s example/q")
		if !strings.Contains(out, "four bytes") {
			t.Errorf("%q: the finding is not shown:\n%s", args, out)
		}
	}
	kept, err := filepath.Glob(filepath.Join("testdata", "fuzz", "FuzzFine", "*"))
	if err != nil || len(kept) == 0 || len(kept) > corpusFiles {
		t.Errorf("kept %d inputs, error %v; report:\n%s", len(kept), err, out)
	}
}
