// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"claviger/internal/bench"
)

// figure is one line of the second table.
type figure struct{ name, value, target string }

func reportFigures(figures []figure, out io.Writer) {
	if len(figures) == 0 {
		return
	}
	rows := [][]string{{"figure", "median [least–most]", "target"}}
	for _, f := range figures {
		rows = append(rows, []string{f.name, f.value, f.target})
	}
	fmt.Fprintln(out)
	markdown(out, rows)
}

// judged adds to a target whether it was missed.
func judged(target string, met bool) string {
	if met {
		return target
	}
	return target + ", missed"
}

func parseRSA(der []byte) (*rsa.PrivateKey, error) {
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("the private key is no RSA key")
	}
	return private, nil
}

// tail compares how far the slowest hundredth is from the middle, at half the rate that saturates the
// floor, where neither server's queue grows.
func (l *lab) tail(ctx context.Context, d bench.Dialect) ([]figure, error) {
	p, err := l.pair(ctx, false)
	if err != nil {
		return nil, err
	}
	ours, err := bench.Prepare(ctx, p.target(d), l.load("encrypt", 32), surroundings())
	if err != nil {
		return nil, err
	}
	floor, err := ours.Against(p.floorTarget(d))
	if err != nil {
		return nil, err
	}
	var full, a, b []bench.Result
	if err := inTurn(ctx, l.o, bench.Run{}, []side{{floor, p.floor.pid(), &full}}); err != nil {
		return nil, err
	}
	half := median(each(full, rate)) / 2
	if err := inTurn(ctx, l.o, bench.Run{Rate: half}, []side{{floor, p.floor.pid(), &a}, {ours, p.pid(), &b}}); err != nil {
		return nil, err
	}
	tail := func(r bench.Result) float64 { return r.Latency.P99 / r.Latency.P50 }
	by := ratios(each(b, tail), each(a, tail))
	return []figure{{
		fmt.Sprintf("%s encrypt 32: P99 ÷ P50 at %.0f/s, as a multiple of the floor's (P50 %.0f and %.0f µs, P99 %.0f and %.0f µs)", d, half,
			median(each(b, func(r bench.Result) float64 { return r.Latency.P50 })), median(each(a, func(r bench.Result) float64 { return r.Latency.P50 })),
			median(each(b, func(r bench.Result) float64 { return r.Latency.P99 })), median(each(a, func(r bench.Result) float64 { return r.Latency.P99 }))),
		spread(by), judged("≤ 1.25", median(by) <= 1.25),
	}}, nil
}

// versus measures two servers of our own in turn, and tells the first's throughput and CPU time as
// shares of the second's.
func (l *lab) versus(ctx context.Context, name, target string, least float64, first, second *bench.Target, pids [2]int) ([]figure, error) {
	var got [2][]bench.Result
	var sides []side
	for i, t := range []*bench.Target{first, second} {
		plan, err := bench.Prepare(ctx, t, l.load("encrypt", 32), surroundings())
		if err != nil {
			return nil, err
		}
		sides = append(sides, side{plan, pids[i], &got[i]})
	}
	if err := inTurn(ctx, l.o, bench.Run{}, sides); err != nil {
		return nil, err
	}
	byRate, byCPU := ratios(each(got[0], rate), each(got[1], rate)), ratios(each(got[1], cpu), each(got[0], cpu))
	return []figure{
		{fmt.Sprintf("%s encrypt 32, %s (%.0f and %.0f/s)", first.Dialect, name, median(each(got[0], rate)), median(each(got[1], rate))), spread(byRate), judged(target, median(byRate) >= least)},
		{fmt.Sprintf("%s encrypt 32, %s, by CPU (%.1f and %.1f µs)", first.Dialect, name, median(each(got[0], cpu)), median(each(got[1], cpu))), spread(byCPU), "–"},
	}, nil
}

// audit compares dev with an audit log and dev without: they differ in nothing else that a data call
// meets.
func (l *lab) audit(ctx context.Context) (out []figure, err error) {
	on, err := newDev(ctx, l, true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, on.stop()) }()
	off, err := newDev(ctx, l, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, off.stop()) }()
	for _, t := range [][2]*bench.Target{{&on.oci, &off.oci}, {&on.acs3, &off.acs3}} {
		f, err := l.versus(ctx, "audit log on against off", "≥ 0.90", 0.90, t[0], t[1], [2]int{on.pid(), off.pid()})
		if err != nil {
			return nil, err
		}
		out = append(out, f...)
	}
	return out, nil
}

// durable compares a server that answers when the record is on disk with one whose record is with the
// operating system.
func (l *lab) durable(ctx context.Context) (out []figure, err error) {
	p, err := l.pair(ctx, false)
	if err != nil {
		return nil, err
	}
	s, err := newSite(ctx, l.o.claviger, l.dir, "[audit]\ndurable = true\n", nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	return l.versus(ctx, "audit.durable against not", "reported", 0, s.target(bench.ACS3), p.target(bench.ACS3), [2]int{s.pid(), p.pid()})
}

// The clients of durable version creation, and the writers of the plain group commit that they are held
// against.
const (
	creators = 64
	writers  = 16
)

// versions compares how many versions of a key are created with how many rows the same disk takes in
// a plain group commit.
func (l *lab) versions(ctx context.Context) ([]figure, error) {
	p, err := l.pair(ctx, false)
	if err != nil {
		return nil, err
	}
	load := l.load("create-version", 32)
	load.Connections = creators
	plan, err := bench.Prepare(ctx, p.target(bench.OCI), load, surroundings())
	if err != nil {
		return nil, err
	}
	sync, err := fdatasyncTime(l.dir)
	if err != nil {
		return nil, err
	}
	var got []bench.Result
	var raw, wide []float64 // rows a second of so many writers, and of as many as there are creators
	for range l.o.rounds {
		for n, into := range map[int]*[]float64{writers: &raw, creators: &wide} {
			perSecond, err := groupCommit(ctx, l.dir, n, time.Duration(l.o.seconds*float64(time.Second)))
			if err != nil {
				return nil, err
			}
			*into = append(*into, perSecond)
		}
		once := l.o
		once.rounds = 1
		if err := inTurn(ctx, once, bench.Run{}, []side{{plan, p.pid(), &got}}); err != nil {
			return nil, err
		}
	}
	by, made := ratios(each(got, rate), raw), each(got, rate)
	floor := "–"
	if sync < time.Millisecond/2 {
		floor = judged("≥ 4000", median(made) >= 4000)
	}
	return []figure{
		{fmt.Sprintf("AES-256 versions created with %d clients, SQLite, as a share of rows in a group commit of %d writers (%.0f/s)", creators, writers, median(raw)), spread(by), judged("≥ 0.25", median(by) >= 0.25)},
		{fmt.Sprintf("the same, of %d writers (%.0f/s)", creators, median(wide)), spread(ratios(made, wide)), "–"},
		{fmt.Sprintf("the same, per second (fdatasync of 4 KiB takes %d µs)", sync.Microseconds()), spreadWhole(made), floor},
		{"the same, server's CPU µs per version", spread(each(got, cpu)), "–"},
		{"the same, P99 in ms", spread(each(got, func(r bench.Result) float64 { return r.Latency.P99 / 1000 })), "–"},
	}, nil
}

// spreadWhole is spread without decimals.
func spreadWhole(values []float64) string {
	return fmt.Sprintf("%.0f [%.0f–%.0f]", median(values), slices.Min(values), slices.Max(values))
}

// versionsRSA creates RSA versions at a steady rate, which ready key pairs have to keep up with.
func (l *lab) versionsRSA(ctx context.Context) ([]figure, error) {
	p, err := l.pair(ctx, false)
	if err != nil {
		return nil, err
	}
	plan, err := bench.Prepare(ctx, p.target(bench.OCI), l.load("create-version-rsa", 32), surroundings())
	if err != nil {
		return nil, err
	}
	if l.o.rest {
		if err := rest(ctx, p.pid(), pairsMade); err != nil {
			return nil, err
		}
	}
	const perSecond, answers = 20, 600
	res, err := plan.Do(ctx, bench.Run{Rate: perSecond, WarmUp: 5 * time.Second, Duration: time.Hour, Requests: answers, Server: p.pid()})
	if err := sound(ctx, res, err); err != nil {
		return nil, err
	}
	p99 := res.Latency.P99 / 1000
	return []figure{{
		fmt.Sprintf("RSA-2048 versions created at a steady %d/s: P99 in ms of %d (P50 %.2f, max %.1f)", perSecond, answers, res.Latency.P50/1000, res.Latency.Max/1000),
		fmt.Sprintf("%.2f", p99), judged("≤ 20", p99 <= 20),
	}}, nil
}
