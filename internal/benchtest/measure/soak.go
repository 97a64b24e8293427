// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"claviger/internal/bench"
)

// soakMix is what a soak asks for of each API. New versions are among it, few, for what they leave behind.
func soakMix(d bench.Dialect) []bench.Share {
	mix := []bench.Share{
		{Operation: "encrypt", Weight: 40},
		{Operation: "decrypt", Weight: 30},
		{Operation: "generate-data-key", Weight: 10},
		{Operation: "sign-ec", Weight: 5},
		{Operation: "verify-ec", Weight: 5},
		{Operation: "describe-key", Weight: 5},
		{Operation: "list-keys", Weight: 4},
	}
	if d == bench.OCI {
		mix = append(mix, bench.Share{Operation: "create-version", Weight: 1})
	}
	return mix
}

// What a soak tolerates. Memory is what it is at its least within a window, in which the collector runs
// many times; a leak shows in it, and how busy the machine is does not.
const (
	soakGrowth   = 1.25     // times the first window
	soakRoom     = 24 << 20 // and bytes, for what is bounded and still fills
	soakSpare    = 16       // goroutines and files more than before the load
	soakPatience = 30 * time.Second

	// Signature nonces are kept for 15 minutes. Their memory grows until then, as it should.
	soakNonces = 300 // a second
)

// reading is what the server says of itself.
type reading struct {
	at                           time.Time
	heap, rss, goroutines, files float64
}

// soak puts load on a server for a time and checks that it ends as it began: memory, goroutines and
// files as before, and not one error.
func soak(ctx context.Context, o options, d time.Duration, out, talk io.Writer) (err error) {
	dir, err := os.MkdirTemp(o.scratch, "claviger-soak-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := newSite(ctx, o.claviger, dir, "", nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	oci, err := bench.Prepare(ctx, s.target(bench.OCI), bench.Workload{Mix: soakMix(bench.OCI), Size: 1024, Connections: o.connections, Pool: o.pool}, surroundings())
	if err != nil {
		return err
	}
	acs3, err := bench.Prepare(ctx, s.target(bench.ACS3), bench.Workload{Mix: soakMix(bench.ACS3), Size: 1024, Connections: o.connections, Pool: 1}, surroundings())
	if err != nil {
		return err
	}
	before, err := s.settled(ctx, reading{goroutines: 1e9, files: 1e9})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type end struct {
		res *bench.Result
		err error
	}
	ended := make(chan end, 2)
	go func() {
		res, err := oci.Do(ctx, bench.Run{Duration: d, Server: s.pid()})
		ended <- end{res, err}
	}()
	go func() {
		res, err := acs3.Do(ctx, bench.Run{Duration: d, Rate: soakNonces, Server: s.pid()})
		ended <- end{res, err}
	}()
	readings := s.watch(ctx, d, talk)
	for range 2 {
		e := <-ended
		if err := sound(ctx, e.res, e.err); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s: %d answers, no errors, P50 %.0f µs, P99 %.0f µs\n", e.res.Dialect, e.res.Requests, e.res.Latency.P50, e.res.Latency.P99)
	}
	after, err := s.settled(ctx, reading{goroutines: before.goroutines + soakSpare, files: before.files + soakSpare})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "goroutines %.0f before, %.0f after; files %.0f before, %.0f after\n", before.goroutines, after.goroutines, before.files, after.files)
	return flat(readings, out)
}

// watch reads what the server says of itself until the time is over.
func (s *site) watch(ctx context.Context, d time.Duration, talk io.Writer) (out []reading) {
	every := min(d/200, time.Second)
	tick := time.NewTicker(every)
	defer tick.Stop()
	begin, told := time.Now(), time.Now()
	for time.Since(begin) < d {
		select {
		case <-tick.C:
		case <-s.done:
			return out
		case <-ctx.Done():
			return out
		}
		r, err := s.read(ctx)
		if err != nil {
			continue // the end of the load says what is wrong
		}
		out = append(out, r)
		if time.Since(told) > max(d/20, 5*time.Second) {
			told = time.Now()
			fmt.Fprintf(talk, "%3.0f %%: heap %.1f MiB, resident %.1f MiB, %.0f goroutines, %.0f files\n",
				100*float64(time.Since(begin))/float64(d), r.heap/(1<<20), r.rss/(1<<20), r.goroutines, r.files)
		}
	}
	return out
}

// flat compares the window after the warm-up, which is the first third, with the last one.
func flat(readings []reading, out io.Writer) error {
	n := len(readings)
	if n < 20 {
		return fmt.Errorf("only %d readings", n)
	}
	window := func(from, to float64, of func(reading) float64) float64 {
		part := readings[int(from*float64(n)):int(to*float64(n))]
		least := of(part[0])
		for _, r := range part {
			least = min(least, of(r))
		}
		return least
	}
	var failed error
	for _, m := range []struct {
		name string
		of   func(reading) float64
	}{
		{"heap", func(r reading) float64 { return r.heap }},
		{"resident", func(r reading) float64 { return r.rss }},
	} {
		first, last := window(0.35, 0.6, m.of), window(0.75, 1, m.of)
		fmt.Fprintf(out, "%s memory, at its least: %.1f MiB after the warm-up, %.1f MiB at the end\n", m.name, first/(1<<20), last/(1<<20))
		if last > soakGrowth*first+soakRoom {
			failed = errors.Join(failed, fmt.Errorf("%s memory grows", m.name))
		}
	}
	return failed
}

// settled waits until goroutines and files are no more than most.
func (s *site) settled(ctx context.Context, most reading) (reading, error) {
	deadline, tick := time.After(soakPatience), time.NewTicker(100*time.Millisecond)
	defer tick.Stop()
	for {
		r, err := s.read(ctx)
		if err == nil && r.goroutines <= most.goroutines && r.files <= most.files {
			return r, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return r, ctx.Err()
		case <-deadline:
			return r, errors.Join(err, fmt.Errorf("%.0f goroutines and %.0f files are left, of at most %.0f and %.0f", r.goroutines, r.files, most.goroutines, most.files))
		}
	}
}

// read reads the server's metrics.
func (s *site) read(ctx context.Context) (reading, error) {
	r := reading{at: time.Now()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.admin+"/metrics", nil)
	if err != nil {
		return r, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return r, err
	}
	defer res.Body.Close()
	return r, r.parse(res.Body)
}

// parse finds what is looked at among metrics in Prometheus' text format.
func (r *reading) parse(in io.Reader) error {
	into := map[string]*float64{
		"go_memstats_heap_alloc_bytes": &r.heap, "process_resident_memory_bytes": &r.rss, "go_goroutines": &r.goroutines, "process_open_fds": &r.files,
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if to := into[name]; to != nil {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return fmt.Errorf("metric %s: %w", name, err)
			}
			*to = v
			delete(into, name)
		}
	}
	if len(into) > 0 {
		return fmt.Errorf("the metrics lack %s", strings.Join(slices.Sorted(maps.Keys(into)), ", "))
	}
	return nil
}
