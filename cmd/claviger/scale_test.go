// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// scaleSize is how much TestScale does: little in a usual run, what the figures in
// docs/performance.md are about with CLAVIGER_SCALE=full.
type scaleSize struct {
	full                   bool
	keys, versions, most   int // of the large store
	usedKeys, usedVersions int // of the store whose versions are all used
	starts, requests       int
}

func sizeOfScale() scaleSize {
	if os.Getenv("CLAVIGER_SCALE") == "full" {
		return scaleSize{true, 100_000, 1_000_000, 200_000, 10_000, 100_000, 7, 2000}
	}
	return scaleSize{false, 60, 900, 500, 10, 100, 1, 5}
}

// TestScale compares a server with many keys and versions with one that has few, as clients
// and the machine see them, and prints a table. It asserts only that everything is answered:
// a table is for people to read. `make scale` runs it at full size; CLAVIGER_SCALE_DIR keeps
// the stores for the next time.
func TestScale(t *testing.T) {
	needsProcesses(t)
	size := sizeOfScale()
	if !size.full {
		t.Parallel()
	}
	s := &scale{size: size, binary: buildStripped(t)}
	s.table.row("binary, stripped", "MiB", fileMiB(t, s.binary))
	small, large := s.site(t, "small", 10, 100, 91), s.site(t, "large", size.keys, size.versions, size.most)
	s.starts(t, small, large)
	s.sizes(t, small, large)
	used := small
	if size.full {
		used = s.site(t, "used", size.usedKeys, size.usedVersions, size.usedVersions/size.usedKeys)
	}
	s.used(t, used)
	t.Logf("%d keys with %d versions, one with %d, against 10 keys with 100 versions; medians\n%s", size.keys, size.versions, size.most, &s.table)
}

type scale struct {
	size   scaleSize
	binary string
	table  figures
}

// figures is a table of what was measured.
type figures struct{ rows [][]string }

func (f *figures) row(what, unit string, values ...float64) {
	row := []string{what, unit}
	for _, v := range values {
		row = append(row, strconv.FormatFloat(v, 'f', 1, 64))
	}
	if len(values) > 1 {
		row = append(row, fmt.Sprintf("ratio %.2f", values[len(values)-1]/max(values[0], 0.001)))
	}
	f.rows = append(f.rows, row)
}

func (f *figures) String() string {
	var b strings.Builder
	for _, r := range f.rows {
		fmt.Fprintf(&b, "%-58s %-8s", r[0], r[1])
		for _, cell := range r[2:] {
			fmt.Fprintf(&b, " %12s", cell)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// starts measures from the start of a process to its first answer, and what it occupies once it is idle.
func (s *scale) starts(t *testing.T, sites ...*site) {
	t.Helper()
	var took, idle []float64
	for _, at := range sites {
		var times []float64
		for i := range s.size.starts {
			p := at.serve(t, s.binary)
			times = append(times, p.firstAnswer.Seconds()*1000)
			if last := i == s.size.starts-1; last {
				s.settle(t, p)
				idle = append(idle, p.rss(t))
			}
			p.stop(t)
		}
		took = append(took, median(times))
	}
	s.table.row("start to the first signed answer, 10 keys | many", "ms", took...)
	s.table.row("resident, idle, 10 keys | many", "MiB", idle...)
}

// settle waits until the process has had next to nothing to do for a while: its pairs are made, and it has
// given back what it does not need.
func (s *scale) settle(t *testing.T, p *serving) {
	t.Helper()
	if !s.size.full {
		return
	}
	calm, before := 0, p.cpu(t)
	for range ticks(t, time.Second) {
		now := p.cpu(t)
		calm++
		if now-before > 50*time.Millisecond {
			calm = 0
		}
		if before = now; calm == 8 {
			return
		}
	}
}

// sizes measures calls about few and many.
func (s *scale) sizes(t *testing.T, small, large *site) {
	t.Helper()
	few, many := small.serve(t, s.binary), large.serve(t, s.binary)
	one := must(t, "create key", many.createKey(t.Context(), "one", aes256(), "")).text("id")
	other := must(t, "create key", few.createKey(t.Context(), "one", aes256(), "")).text("id")
	largest := many.named(t, "fill-000001")
	s.compare(t, "list 10 keys", few.get(few.keys()+"&limit=10"), many.get(many.keys()+"&limit=10"))
	middle := many.middle(t, many.keys(), s.size.keys/2)
	s.compare(t, "list 10 keys, first page of few | in the middle of many", few.get(few.keys()+"&limit=10"), many.get(many.keys()+"&limit=10&page="+middle))
	s.compare(t, "read a key, 10 keys | many", few.get(few.keyURL(other)), many.get(many.keyURL(one)))
	s.compare(t, "encrypt, 10 keys | many", few.encryption(other), many.encryption(one))
	s.compare(t, "create a version, 10 keys | many", few.creation(other), many.creation(one))
	few.stop(t)

	fresh := must(t, "create key", many.createKey(t.Context(), "fresh", aes256(), "")).text("id")
	ofMany := fmt.Sprintf("1 version | %d", s.size.most)
	s.compare(t, "read a key, "+ofMany, many.get(many.keyURL(fresh)), many.get(many.keyURL(largest)))
	versions := func(key string) string { return many.keyURL(key) + "/keyVersions?limit=1" }
	s.compare(t, "list one version, "+ofMany, many.get(versions(fresh)), many.get(versions(largest)))
	mark := many.middle(t, many.keyURL(largest)+"/keyVersions?sortOrder=ASC", s.size.most/2)
	s.compare(t, "list one version by mark, "+ofMany+" (middle)", many.get(versions(fresh)+"&sortOrder=ASC"), many.get(versions(largest)+"&sortOrder=ASC&page="+mark))
	page := func(key string, n int) request {
		return many.alibabaCall("ListKeyVersions", "KeyId", many.uuid(t, key), "PageSize", "1", "PageNumber", strconv.Itoa(n))
	}
	s.compare(t, "list one version by number, "+ofMany+" (middle)", page(fresh, 1), page(largest, s.size.most/2))
	old := many.oldest(t, largest)
	s.compare(t, "decrypt with the first version, "+ofMany, many.decryption(t, fresh, ""), many.decryption(t, largest, old))
	s.compare(t, "create a version, "+ofMany, many.creation(fresh), many.creation(largest))
	after := many.rss(t)
	s.settle(t, many)
	s.table.row("resident after that, many: at once | when idle", "MiB", after, many.rss(t))
	many.stop(t)
}

// compare runs two kinds of requests in turn, many rounds of few, each first as often as the other, and
// adds what they took: for the client one after the other, and of the server's CPU. The ratio is the median
// of the rounds' ratios, with the middle half of them: what else the machine does meets both.
func (s *scale) compare(t *testing.T, what string, a, b request) {
	t.Helper()
	rounds := 20
	if !s.size.full {
		rounds = 2
	}
	var wall, cpu [2][]float64
	for round := range rounds {
		var w, c [2]float64
		for turn := range 2 {
			i := (round + turn) % 2
			w[i], c[i] = [2]request{a, b}[i].measure(t, s.size.requests/rounds+1)
		}
		for i := range 2 {
			wall[i], cpu[i] = append(wall[i], w[i]), append(cpu[i], c[i])
		}
	}
	s.table.pair(what, wall)
	s.table.pair("  of the server's CPU", cpu)
}

// pair adds a row of two times, measured in rounds, with their ratio.
func (f *figures) pair(what string, of [2][]float64) {
	var ratios []float64
	for i := range of[0] {
		if of[0][i] > 0 {
			ratios = append(ratios, of[1][i]/of[0][i])
		}
	}
	f.row(what, "µs", median(of[0]), median(of[1]))
	if n := len(ratios); n > 0 {
		last := &f.rows[len(f.rows)-1]
		ratio := fmt.Sprintf("ratio %.2f", median(ratios)) // sorts them
		(*last)[len(*last)-1] = fmt.Sprintf("%s [%.2f–%.2f]", ratio, ratios[n/4], ratios[n*3/4])
	}
}

// request is a kind of request to a process.
type request struct {
	to   *serving
	make func(context.Context) (*http.Request, error)
}

// measure sends n of them, one after the other, and answers the median time and the CPU of each, in µs.
func (r request) measure(t *testing.T, n int) (wall, cpu float64) {
	t.Helper()
	all := make([]*http.Request, n)
	for i := range all {
		var err error
		if all[i], err = r.make(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	must(t, all[0].URL.Path, r.to.send(all[0])) // warm
	before := r.to.cpu(t)
	times := make([]float64, 0, n)
	for _, req := range all[1:] {
		began := time.Now()
		must(t, req.URL.Path, r.to.send(req))
		times = append(times, float64(time.Since(began).Microseconds()))
	}
	return median(times), float64((r.to.cpu(t) - before).Microseconds()) / float64(len(times))
}

// used uses every version of a store once, and looks at what the server then occupies.
func (s *scale) used(t *testing.T, at *site) {
	t.Helper()
	p := at.serve(t, s.binary)
	for mark := ""; ; {
		a := must(t, "list keys", p.oci(t.Context(), http.MethodGet, p.keys()+"&limit=100"+mark, nil))
		for _, key := range a.ids() {
			versions := must(t, "list versions", p.oci(t.Context(), http.MethodGet, p.keyURL(key)+"/keyVersions?limit=1000", nil))
			for _, v := range versions.ids() {
				must(t, "encrypt", p.data(t.Context(), "encrypt", map[string]any{"keyId": key, "keyVersionId": v, "plaintext": "b25jZQ=="}))
			}
		}
		next := a.header.Get("Opc-Next-Page")
		if next == "" {
			break
		}
		mark = "&page=" + next
	}
	after := p.rss(t)
	s.settle(t, p)
	what := fmt.Sprintf("resident after each of %d keys' %d versions was used: at once | when idle", s.size.usedKeys, s.size.usedVersions)
	s.table.row(what, "MiB", after, p.rss(t))
	p.stop(t)
}
