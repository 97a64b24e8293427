// SPDX-License-Identifier: Apache-2.0

// Command measure compares Claviger with the floor: the smallest honest server that does the same
// work. It starts both, puts the same load on them in turn, A B A B, and prints the median of the
// rounds' ratios with their spread, since only ratios within one run mean something: a machine's
// absolute figures move by a quarter from minute to minute. See docs/performance.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	claviger, floor string // binaries
	rows            string
	rounds          int
	seconds         float64
	warmUp          time.Duration
	rest            bool
	connections     int
	pool            int
	plain           bool // the floor encrypts under its key itself, instead of one for each message
	list            bool
	soak            time.Duration
	start           bool
	calm            int    // seconds with next to nothing to do, after which memory is looked at
	stripped        string // binary without symbols, whose size is told
	scratch         string // directory for everything that servers store
	profiles        string // directory for what each Claviger's processor is busy with; "": none
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "measure:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, talk io.Writer) error {
	var o options
	f := flag.NewFlagSet("measure", flag.ContinueOnError)
	f.SetOutput(talk)
	f.StringVar(&o.claviger, "claviger", "bin/claviger", "the server's binary")
	f.StringVar(&o.floor, "floor", ".cache/bin/floor", "the floor's binary")
	f.StringVar(&o.rows, "rows", "", "only rows whose names contain one of these words, separated by commas; all by default")
	f.IntVar(&o.rounds, "rounds", 7, "how often each row is measured")
	f.Float64Var(&o.seconds, "seconds", 2, "how long each measurement takes")
	f.DurationVar(&o.warmUp, "warm-up", 300*time.Millisecond, "load before each measurement")
	f.BoolVar(&o.rest, "rest", true, "wait before each row until the servers have nothing to do by themselves, such as making key pairs ready")
	f.IntVar(&o.connections, "connections", 16, "connections that are kept alive")
	f.IntVar(&o.pool, "pool", 20000, "OCI: how many requests are signed ahead")
	f.DurationVar(&o.soak, "soak", 0, "instead of comparing, put load on Claviger for so long, and check that it ends as it began")
	f.BoolVar(&o.start, "start", false, "instead of comparing, measure the start, memory and size of Claviger")
	f.IntVar(&o.calm, "calm", 8, "with -start: memory is looked at when the server has had next to nothing to do for so many seconds")
	f.StringVar(&o.stripped, "stripped", "", "the server's binary without symbols, whose size is told")
	f.StringVar(&o.scratch, "scratch", "", "make data directories below this one; the system's for temporary files by default")
	f.StringVar(&o.profiles, "profiles", "", "have each Claviger write a profile of its processor time into this directory")
	f.BoolVar(&o.plain, "plain", false, "have the floor encrypt under its key itself, instead of deriving one for each message as Claviger's envelope does")
	f.BoolVar(&o.list, "list", false, "list the rows")
	if err := f.Parse(args); err != nil {
		return err
	}
	if o.rounds < 1 || o.seconds <= 0 || o.connections < 1 || o.pool < 1 {
		return errors.New("-rounds, -seconds, -connections and -pool must be more than nothing")
	}
	if o.soak > 0 {
		return soak(ctx, o, o.soak, out, talk)
	}
	if o.start {
		return starts(ctx, o, out, talk)
	}
	var chosen []row
	for _, r := range rows() {
		if wanted(r.name, o.rows) {
			chosen = append(chosen, r)
		}
	}
	if o.list {
		for _, r := range chosen {
			fmt.Fprintln(out, r.name)
		}
		return nil
	}
	if len(chosen) == 0 {
		return fmt.Errorf("no row's name contains any of %q; -list shows them", o.rows)
	}
	return compare(ctx, o, chosen, out, talk)
}

// wanted reports whether a name contains one of the words; none at all mean every name.
func wanted(name, words string) bool {
	if strings.TrimSpace(words) == "" {
		return true
	}
	for word := range strings.SplitSeq(words, ",") {
		if word = strings.TrimSpace(word); word != "" && strings.Contains(name, word) {
			return true
		}
	}
	return false
}
