// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestServers measures servers that run as processes.
func TestServers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds servers and runs them as processes: not in short mode")
	}
	o := binaries(t)
	for name, test := range map[string]func(*testing.T, options){
		"Compare": testCompare, "Soak": testSoak, "Start": testStart, "Interrupted": testInterrupted,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := o
			own.scratch = t.TempDir()
			test(t, own)
		})
	}
}

// binaries builds the server and the floor.
func binaries(t *testing.T) options {
	t.Helper()
	dir := t.TempDir()
	o := options{claviger: filepath.Join(dir, "claviger"), floor: filepath.Join(dir, "floor"), rounds: 1, seconds: 0.2, connections: 4, pool: 40}
	for binary, pkg := range map[string]string{o.claviger: "claviger/cmd/claviger", o.floor: "claviger/internal/benchtest/floor"} {
		if out, err := exec.Command("go", "build", "-o", binary, pkg).CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", pkg, err, out)
		}
	}
	return o
}

// nothingLeft checks that a directory is empty.
func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		t.Errorf("%s is left", entry.Name())
	}
}

// testCompare runs one row of each kind once. How they come out on a machine that runs tests says nothing.
func testCompare(t *testing.T, o options) {
	var chosen []row
	for _, r := range rows() {
		switch r.name {
		case "oci encrypt 32", "oci sign-ec 32", "acs3 decrypt 32 tls", "v1 encrypt 4096", "tail acs3", "audit durable", "create-version":
			r.gate = min(r.gate, 0.001)
			chosen = append(chosen, r)
		}
	}
	var out, talk bytes.Buffer
	if err := compare(t.Context(), o, chosen, &out, &talk); err != nil {
		t.Fatalf("%v\n%s", err, talk.String())
	}
	for _, want := range []string{"| oci encrypt 32 ", "| oci sign-ec 32 ", "| acs3 decrypt 32 tls ", "| v1 encrypt 4096 ", "at least 0.00", "| acs3 encrypt 32: P99", "audit.durable", "versions created with 64 clients"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("there is no %q in\n%s", want, out.String())
		}
	}
	nothingLeft(t, o.scratch)
}

// testSoak is the short form of make soak.
func testSoak(t *testing.T, o options) {
	var out, talk bytes.Buffer
	if err := soak(t.Context(), o, 6*time.Second, &out, &talk); err != nil {
		t.Fatalf("%v\n%s%s", err, out.String(), talk.String())
	}
	if !strings.Contains(out.String(), "no errors") || !strings.Contains(out.String(), "resident memory") {
		t.Errorf("it says\n%s", out.String())
	}
	nothingLeft(t, o.scratch)
}

// testStart measures one start of a small database, and the memory of its use.
func testStart(t *testing.T, o options) {
	figures, err := startsWith(t.Context(), o, o.scratch, 3, 20, 100, true, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	// The key that the start is measured with is one more.
	if len(figures) != 4 || !strings.HasPrefix(figures[3].name, "3 keys with 20 versions: 21 versions used once: MiB resident, idle again") {
		t.Errorf("%+v", figures)
	}
}

// TestParseMaps tells files, static variables and the rest apart.
func TestParseMaps(t *testing.T) {
	t.Parallel()
	const text = `00400000-0111b000 r-xp 00000000 fe:00 9986034                            /bin/claviger
Size:              13428 kB
Rss:               10000 kB
01ec8000-01f7e000 rw-p 01ac8000 fe:00 9986034                            /bin/claviger
Rss:                 700 kB
01f7e000-03fcb000 rw-p 00000000 00:00 0 
Rss:               33000 kB
10c895c00000-10c8a4800000 rw-p 00000000 00:00 0 
Rss:               4000 kB
7fffb5c4b000-7fffb5c6c000 rw-p 00000000 00:00 0                          [stack]
Rss:                  16 kB
`
	got, err := parseMaps(text)
	if want := (memory{all: 47716 << 10, file: 10700 << 10, static: 33000 << 10}); err != nil || got != want {
		t.Errorf("got %+v (%v), want %+v", got, err, want)
	}
	if own := got.own(); own != mib((47716-32768)<<10) {
		t.Errorf("without the scratch it is %v MiB", own)
	}
	small, err := parseMaps(strings.Replace(text, "33000 kB", "300 kB", 1))
	if err != nil || small.own() != mib(small.all) {
		t.Errorf("where the scratch is not touched, something is left out: %v of %v MiB (%v)", small.own(), mib(small.all), err)
	}
	if _, err := parseMaps(""); err == nil {
		t.Error("no map at all is read without an error")
	}
}

// testInterrupted ends all servers that were started.
func testInterrupted(t *testing.T, o options) {
	o.seconds = 3600
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(time.Second, cancel)
	if err := compare(ctx, o, rows()[:1], &bytes.Buffer{}, &bytes.Buffer{}); err == nil {
		t.Error("an interrupted comparison went well")
	}
	nothingLeft(t, o.scratch)
}

func TestFlat(t *testing.T) {
	t.Parallel()
	readings := func(heap func(i int) float64) []reading {
		out := make([]reading, 100)
		for i := range out {
			out[i] = reading{heap: heap(i), rss: 100 << 20}
		}
		return out
	}
	for _, c := range []struct {
		name string
		heap func(int) float64
		ok   bool
	}{
		{"as it was", func(int) float64 { return 50 << 20 }, true},
		{"up and down between collections", func(i int) float64 { return float64(50+i%10*20) * (1 << 20) }, true},
		{"filling at first", func(i int) float64 { return float64(min(i, 30)*10) * (1 << 20) }, true},
		{"a leak", func(i int) float64 { return float64(50+2*i) * (1 << 20) }, false},
	} {
		var out bytes.Buffer
		if err := flat(readings(c.heap), &out); (err == nil) != c.ok {
			t.Errorf("%s: %v\n%s", c.name, err, out.String())
		}
	}
	if flat(nil, &bytes.Buffer{}) == nil {
		t.Error("nothing was read and all is well")
	}
}

func TestReadMetrics(t *testing.T) {
	t.Parallel()
	const text = "# HELP go_goroutines Number\ngo_goroutines 12\ngo_memstats_heap_alloc_bytes 3.5e+06\nprocess_open_fds 9\nprocess_resident_memory_bytes 4e+07\n"
	var r reading
	if err := r.parse(strings.NewReader(text)); err != nil || r.goroutines != 12 || r.heap != 3.5e6 || r.files != 9 || r.rss != 4e7 {
		t.Errorf("%+v, %v", r, err)
	}
	if err := r.parse(strings.NewReader("go_goroutines 12\n")); err == nil {
		t.Error("metrics are missing")
	}
}

func TestArithmetic(t *testing.T) {
	t.Parallel()
	if median([]float64{3, 1, 2}) != 2 || median([]float64{4, 1, 2, 3}) != 2.5 {
		t.Error("the median is another")
	}
	if got := spread([]float64{0.9, 1.1, 1}); got != "1.00 [0.90–1.10]" {
		t.Error(got)
	}
	if diff := cmp.Diff([]float64{2, 0.5}, ratios([]float64{4, 1}, []float64{2, 2})); diff != "" {
		t.Error(diff)
	}
}

func TestWanted(t *testing.T) {
	t.Parallel()
	for words, want := range map[string]bool{"": true, " ": true, "oci": true, "v1, encrypt 32": true, "tls": false, ",": false} {
		if wanted("oci encrypt 32", words) != want {
			t.Errorf("%q", words)
		}
	}
	for _, args := range [][]string{{"-rows", "nothing"}, {"-rounds", "0"}, {"-seconds", "0"}} {
		if err := run(t.Context(), args, &bytes.Buffer{}, &bytes.Buffer{}); err == nil {
			t.Errorf("%v went well", args)
		}
	}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-list", "-rows", "oci encrypt"}, &out, &out); err != nil || out.String() != "oci encrypt 32\noci encrypt 4096\noci encrypt 32 tls\n" {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// TestGroupCommit commits rows, and measures something.
func TestGroupCommit(t *testing.T) {
	t.Parallel()
	if n, err := groupCommit(t.Context(), t.TempDir(), 4, 200*time.Millisecond); err != nil || n <= 0 {
		t.Errorf("%v rows, %v", n, err)
	}
	if d, err := fdatasyncTime(t.TempDir()); err != nil || d <= 0 {
		t.Errorf("%v, %v", d, err)
	}
}
