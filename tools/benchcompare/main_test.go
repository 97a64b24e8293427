// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// repository makes one with two commits, the second of which does twice as much, and a change that is not
// committed. The comparison itself is benchstat's, of which a stand-in shows what it was given.
func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.org"}, args...)...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	benchmark := func(metric string) {
		write("p/p_test.go", "package p\n\nimport \"testing\"\n\nfunc BenchmarkP(b *testing.B) {\n\tfor b.Loop() {\n\t}\n\tb.ReportMetric("+metric+", \"things\")\n}\n")
	}
	write("go.mod", "module m\n\ngo 1.26.0\n")
	write("tools/go.mod", "module m/tools\n\ngo 1.26.0\n\ntool m/tools/benchstat\n")
	write("benchstat/main.go", `package main

import (
	"fmt"
	"os"
	"strings"
)

func main() {
	for _, arg := range os.Args[1:] {
		name, file, _ := strings.Cut(arg, "=")
		text, _ := os.ReadFile(file)
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "BenchmarkP") {
				f := strings.Fields(line)
				fmt.Println(name, f[4], f[5])
			}
		}
	}
}
`)
	benchmark("11")
	git("init", "--quiet", "--initial-branch=main")
	git("add", ".")
	git("commit", "--quiet", "-m", "one")
	benchmark("22")
	git("commit", "--quiet", "-am", "two")
	benchmark("33")
	return dir
}

// TestCompare compares two commits, and a commit with the tree as it is, and leaves no worktree behind.
func TestCompare(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs benchmarks: not in short mode")
	}
	t.Chdir(repository(t))
	for _, c := range []struct{ head, want string }{{"main", "base 11.00 things\nbase 11.00 things\nhead 22.00 things\nhead 22.00 things\n"}, {"", "base 11.00 things\nbase 11.00 things\nhead 33.00 things\nhead 33.00 things\n"}} {
		var out, talk bytes.Buffer
		args := []string{"-base", "main~1", "-head", c.head, "-count", "2", "-time", "1x", "p", "absent"}
		if err := run(t.Context(), args, &out, &talk); err != nil {
			t.Fatalf("%v\n%s", err, talk.String())
		}
		if out.String() != c.want {
			t.Errorf("with head %q: %q, want %q\n%s", c.head, out.String(), c.want, talk.String())
		}
		if !strings.Contains(talk.String(), "absent: passed over") {
			t.Errorf("the package that is not there is not mentioned:\n%s", talk.String())
		}
	}
	left, err := exec.Command("git", "worktree", "list").Output()
	if err != nil || bytes.Count(left, []byte("\n")) != 1 {
		t.Errorf("worktrees: %v\n%s", err, left)
	}
	if err := run(t.Context(), []string{"-base", "nothing"}, &bytes.Buffer{}, &bytes.Buffer{}); err == nil {
		t.Error("a commit that is not there was compared")
	}
	err = run(t.Context(), []string{"-base", "main", "-bench", "Other", "-count", "1", "-time", "1x", "p"}, &bytes.Buffer{}, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), `no benchmark of base is called like "Other"`) {
		t.Errorf("where no benchmark is called so: %v", err)
	}
}
