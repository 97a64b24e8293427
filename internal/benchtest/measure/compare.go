// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"claviger/internal/bench"
)

// outcome is what one row came to, round by round.
type outcome struct {
	row
	fixed, floor, claviger []bench.Result
}

// compare measures the rows and prints the table.
func compare(ctx context.Context, o options, chosen []row, out, talk io.Writer) (err error) {
	dir, err := os.MkdirTemp(o.scratch, "claviger-measure-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cert, err := newCertificate(dir)
	if err != nil {
		return err
	}
	l := &lab{o: o, dir: dir, cert: cert, pairs: map[bool]*pair{}}
	defer func() { err = errors.Join(err, l.close()) }()
	var outcomes []outcome
	var figures []figure
	begin := time.Now()
	for i, r := range chosen {
		left := ""
		if i > 0 {
			left = fmt.Sprintf(", about %s left", (time.Since(begin) / time.Duration(i) * time.Duration(len(chosen)-i)).Round(time.Second))
		}
		fmt.Fprintf(talk, "[%d/%d] %s%s\n", i+1, len(chosen), r.name, left)
		if r.special != nil {
			f, err := r.special(l, ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			for _, f := range f {
				fmt.Fprintf(talk, "        %s: %s\n", f.name, f.value)
			}
			figures = append(figures, f...)
			continue
		}
		p, err := l.pair(ctx, r.tls)
		if err != nil {
			return err
		}
		got, err := p.measure(ctx, o, r)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		fmt.Fprintf(talk, "        %s\n", got.summary())
		outcomes = append(outcomes, got)
	}
	defer reportFigures(figures, out)
	if len(outcomes) == 0 {
		return nil
	}
	return report(outcomes, out)
}

// measure runs one row in rounds. The order within a round is turned round each time.
func (p *pair) measure(ctx context.Context, o options, r row) (outcome, error) {
	got := outcome{row: r}
	load := bench.Workload{Mix: []bench.Share{{Operation: r.operation, Weight: 1}}, Size: r.size, Connections: o.connections, Pool: o.pool}
	ours, err := bench.Prepare(ctx, p.target(r.dialect), load, surroundings())
	if err != nil {
		return got, err
	}
	var floor *bench.Plan
	if r.operation == "encrypt" || r.operation == "generate-data-key" {
		floor, err = ours.Against(p.floorTarget(r.dialect)) // the very same requests
	} else {
		floor, err = bench.Prepare(ctx, p.floorTarget(r.dialect), load, surroundings())
	}
	if err != nil {
		return got, err
	}
	sides := []side{{floor, p.floor.pid(), &got.floor}, {ours, p.pid(), &got.claviger}}
	if r.gate > 0 {
		plan, err := bench.Prepare(ctx, &bench.Target{Dialect: bench.Unsigned, Endpoint: p.fixed, Keys: p.oci.Keys}, load, surroundings())
		if err != nil {
			return got, err
		}
		sides = append(sides, side{plan, p.floor.pid(), &got.fixed})
	}
	return got, inTurn(ctx, o, bench.Run{}, sides)
}

func rate(r bench.Result) float64 { return r.PerSecond }
func cpu(r bench.Result) float64  { return r.Server.CPUPerRequest }

func each(results []bench.Result, f func(bench.Result) float64) []float64 {
	out := make([]float64, len(results))
	for i, r := range results {
		out[i] = f(r)
	}
	return out
}

// ratios divides round by round.
func ratios(a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] / b[i]
	}
	return out
}

func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// spread is a median with the least and the most.
func spread(values []float64) string {
	return fmt.Sprintf("%.2f [%.2f–%.2f]", median(values), slices.Min(values), slices.Max(values))
}

// byRate is Claviger's throughput as a share of the floor's; byCPU is how much CPU the floor takes
// for a request as a share of what Claviger takes. Of both more is better.
func (g *outcome) byRate() []float64 { return ratios(each(g.claviger, rate), each(g.floor, rate)) }
func (g *outcome) byCPU() []float64  { return ratios(each(g.floor, cpu), each(g.claviger, cpu)) }
func (g *outcome) gateBy() []float64 { return ratios(each(g.floor, rate), each(g.fixed, rate)) }

func (g *outcome) summary() string {
	return fmt.Sprintf("floor %.0f/s, claviger %.0f/s, ratio %s, by CPU %s",
		median(each(g.floor, rate)), median(each(g.claviger, rate)), spread(g.byRate()), spread(g.byCPU()))
}

// report prints the table, in Markdown, and fails if the floor is too low to count.
func report(outcomes []outcome, out io.Writer) error {
	rows := [][]string{{"work", "floor /s", "Claviger /s", "ratio", "target", "floor µs CPU", "Claviger µs CPU", "ratio by CPU", "floor ÷ fixed answer"}}
	var low []string
	for _, g := range outcomes {
		target := fmt.Sprintf("≥ %.2f", g.target)
		if median(g.byRate()) < g.target {
			target += ", missed"
		}
		gate := "–"
		if g.gate > 0 {
			gate = fmt.Sprintf("%s, at least %.2f", spread(g.gateBy()), g.gate)
			if median(g.gateBy()) < g.gate {
				low = append(low, g.name)
				gate += ": too low"
			}
		}
		rows = append(rows, []string{
			g.name, fmt.Sprintf("%.0f", median(each(g.floor, rate))), fmt.Sprintf("%.0f", median(each(g.claviger, rate))), spread(g.byRate()), target,
			fmt.Sprintf("%.1f", median(each(g.floor, cpu))), fmt.Sprintf("%.1f", median(each(g.claviger, cpu))), spread(g.byCPU()), gate,
		})
	}
	markdown(out, rows)
	if len(low) > 0 {
		return fmt.Errorf("the floor is slower than it should be, and its ratios do not count: %s", strings.Join(low, ", "))
	}
	return nil
}

// markdown prints a table with its columns aligned, so that it reads well as it is.
func markdown(out io.Writer, rows [][]string) {
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	for n, row := range rows {
		for i, cell := range row {
			fmt.Fprintf(out, "| %s%s ", cell, strings.Repeat(" ", width[i]-len([]rune(cell))))
		}
		fmt.Fprintln(out, "|")
		if n == 0 {
			for _, w := range width {
				fmt.Fprintf(out, "|%s", strings.Repeat("-", w+2))
			}
			fmt.Fprintln(out, "|")
		}
	}
}
