// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"strings"

	"claviger/internal/bench"
)

// benchReport prints results for people.
func (a *app) benchReport(report *bench.Report) {
	for i, r := range report.Runs {
		if i > 0 {
			_, _ = fmt.Fprintln(a.out)
		}
		a.benchRun(r)
	}
}

func (a *app) benchRun(r *bench.Result) {
	loop := "closed loop"
	if r.Rate > 0 {
		loop = fmt.Sprintf("open loop of %g/s", r.Rate)
	}
	_, _ = fmt.Fprintf(a.out, "%s at %s: %s, %d connections, plaintexts of %d bytes, %.1f s\n\n", r.Dialect, r.Endpoint, loop, r.Connections, r.Size, r.Seconds)
	rows := [][]string{}
	line := func(name string, requests, failed uint64, per float64, l bench.Latency) {
		rows = append(rows, []string{
			name, strconv.FormatUint(requests, 10), strconv.FormatUint(failed, 10), fmt.Sprintf("%.0f", per),
			span(l.Mean), span(l.P50), span(l.P90), span(l.P99), span(l.P999), span(l.Max),
		})
	}
	for _, m := range r.Operations {
		line(m.Operation, m.Requests, m.Failed, m.PerSecond, m.Latency)
	}
	if len(r.Operations) > 1 {
		line("all", r.Requests, r.Failed, r.PerSecond, r.Latency)
	}
	a.table([]string{"OPERATION", "ANSWERS", "FAILED", "PER SECOND", "MEAN", "P50", "P90", "P99", "P99.9", "MAX"}, rows)
	_, _ = fmt.Fprintln(a.out)
	shape, from, to := r.Latency.Shape(40)
	server := ""
	if r.Server != nil {
		server = fmt.Sprintf("%.1f µs of CPU per request, %.0f MiB resident", r.Server.CPUPerRequest, float64(r.Server.RSSBytes)/(1<<20))
	}
	unsent := ""
	if r.Unsent > 0 {
		unsent = fmt.Sprintf("%d requests were due and had no free connection until the end", r.Unsent)
	}
	latencies := ""
	if len(shape) > 0 {
		latencies = fmt.Sprintf("%s %s %s", span(from), sparkline(shape), span(to))
	}
	a.fields("latencies", latencies, "per second", sparkline(whole(r)), "server", server, "unsent", unsent)
	if len(r.Errors) == 0 {
		return
	}
	_, _ = fmt.Fprintln(a.out)
	rows = rows[:0]
	for _, f := range r.Errors {
		status := "–"
		if f.Status != 0 {
			status = strconv.Itoa(f.Status)
		}
		rows = append(rows, []string{strconv.FormatUint(f.Count, 10), f.Operation, status, f.Code, f.Message})
	}
	a.table([]string{"ERRORS", "OPERATION", "STATUS", "CODE", "MESSAGE"}, rows)
}

// whole is the timeline without its last second, which is seldom a whole one, at most 60 of it.
func whole(r *bench.Result) []float64 {
	n := min(int(r.Seconds), len(r.Timeline))
	step := max(1, (n+59)/60)
	var out []float64
	for i := 0; i+step <= n; i += step {
		sum := 0.0
		for _, v := range r.Timeline[i : i+step] {
			sum += float64(v)
		}
		out = append(out, sum/float64(step))
	}
	return out
}

// span writes microseconds with three digits.
func span(micros float64) string {
	switch {
	case micros >= 1e6:
		return fmt.Sprintf("%.3g s", micros/1e6)
	case micros >= 1e3:
		return fmt.Sprintf("%.3g ms", micros/1e3)
	}
	return fmt.Sprintf("%.3g µs", micros)
}

// sparkline draws values as bars of text, from nothing to the greatest.
func sparkline(values []float64) string {
	const bars = "▁▂▃▄▅▆▇█"
	most := 0.0
	for _, v := range values {
		most = max(most, v)
	}
	var b strings.Builder
	for _, v := range values {
		i := 0
		if most > 0 {
			i = min(7, int(v/most*8))
		}
		b.WriteRune([]rune(bars)[i])
	}
	return b.String()
}
