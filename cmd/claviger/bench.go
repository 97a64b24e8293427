// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"claviger/internal/bench"
)

type benchCmd struct {
	API []string `name:"api" help:"APIs to speak, one after the other: oci, acs3 and v1 (Alibaba's API with its two signature schemes). Default: oci." default:"oci" placeholder:"API" group:"Load"`
	Op  []string `help:"What to ask for, with weights: encrypt=3,decrypt=1. There are ${operations}. Default: encrypt." default:"encrypt" placeholder:"NAME=N" group:"Load"`

	Size        int           `help:"Bytes of a plaintext. Default: 32." default:"32" placeholder:"BYTES" group:"Load"`
	Connections int           `help:"Connections, all kept alive. Default: 16." default:"16" placeholder:"N" group:"Load"`
	Rate        float64       `help:"Open loop: so many requests are due each second, whether or not earlier ones are answered. Default: closed loop, each connection sends when it has its answer." placeholder:"N" group:"Load"`
	Duration    time.Duration `help:"How long to measure. Default: 10s." default:"10s" placeholder:"TIME" group:"Load"`
	Requests    int64         `help:"Measure so many requests, and not for a time." placeholder:"N" group:"Load"`
	WarmUp      time.Duration `help:"How long to run before measuring. Default: 2s." default:"2s" placeholder:"TIME" group:"Load"`
	Pool        int           `help:"OCI: how many requests to sign ahead; they are sent again and again, and signed anew in time. Default: 20000." default:"20000" placeholder:"N" group:"Load"`

	ReadyFile          string   `help:"Ready file of a dev server: says all that is needed." placeholder:"FILE" group:"Server"`
	Endpoint           string   `help:"Base URL of the server: for OCI the vault's crypto endpoint, for Alibaba the region's. Default: a server of its own, which ends with the benchmark." placeholder:"URL" group:"Server"`
	ManagementEndpoint string   `help:"OCI: base URL of the vault's management endpoint. Default: that of --endpoint." placeholder:"URL" group:"Server"`
	Compartment        string   `help:"OCI: where to create keys. Default: the tenancy's root." placeholder:"OCID" group:"Server"`
	OCIConfig          string   `name:"oci-config" help:"OCI: configuration file of the SDKs, with who calls. Default: $$OCI_CLI_CONFIG_FILE, then ~/.oci/config." placeholder:"FILE" group:"Server"`
	Profile            string   `help:"OCI: profile in that file. Default: DEFAULT." default:"DEFAULT" placeholder:"NAME" group:"Server"`
	AccessKeyID        string   `name:"access-key-id" help:"Alibaba: who calls. Default: $$ALIBABA_CLOUD_ACCESS_KEY_ID. The secret is in $$ALIBABA_CLOUD_ACCESS_KEY_SECRET." placeholder:"ID" group:"Server"`
	CAFile             string   `name:"ca-file" help:"CA certificate (PEM) of the server." placeholder:"FILE" group:"Server"`
	Key                []string `help:"Use a key that is there, by kind: aes=ID, ec=ID, rsa=ID, aes-versions=ID, rsa-versions=ID. Default: keys are created, and their deletion is scheduled at the end." placeholder:"KIND=ID" group:"Server"`
	TLS                bool     `name:"tls" help:"The server of its own serves HTTPS." group:"Server"`
	ServerPID          int      `name:"server-pid" help:"Process id of the server, if it runs on this machine: says what CPU time and memory it takes." placeholder:"PID" group:"Server"`

	JSON bool   `name:"json" help:"Print JSON, for programs."`
	Plot string `help:"Draw latencies and throughput into this file (SVG)." placeholder:"FILE"`
}

// mostTime ends a benchmark of a number of requests that does not come to its end.
const mostTime = 24 * time.Hour

// cleanUpTime is how long cleaning up may take, also after an interrupt.
const cleanUpTime = 30 * time.Second

// Run puts load on a server and prints how it answered.
func (c *benchCmd) Run(a *app) (err error) {
	load, err := c.workload()
	if err != nil {
		return usageError{err}
	}
	undo := &cleanup{}
	defer func() { err = errors.Join(err, undo.run()) }()
	targets, pid, err := c.targets(a, undo)
	if err != nil {
		return stopped(a.ctx, err)
	}
	report := bench.Report{Format: bench.ReportFormat, Version: version(), Runs: []*bench.Result{}}
	for _, t := range targets {
		res, err := c.measure(a, t, load, pid)
		if err != nil {
			return stopped(a.ctx, err)
		}
		report.Runs = append(report.Runs, res)
		if a.ctx.Err() != nil {
			break
		}
	}
	if c.Plot != "" {
		if err := os.WriteFile(c.Plot, bench.Plot(report.Runs), 0o600); err != nil {
			return fmt.Errorf("write plot: %w", err)
		}
	}
	if err := show(a, c.JSON, report, func() { a.benchReport(&report) }); err != nil {
		return err
	}
	return failures(&report)
}

// failures makes an error of requests that failed.
func failures(report *bench.Report) error {
	failed := uint64(0)
	for _, r := range report.Runs {
		failed += r.Failed
	}
	if failed > 0 {
		return fmt.Errorf("%d requests failed", failed)
	}
	return nil
}

// workload reads the flags that say what is asked for.
func (c *benchCmd) workload() (bench.Workload, error) {
	load := bench.Workload{Size: c.Size, Connections: c.Connections, Pool: c.Pool}
	if c.Size < 1 || c.Connections < 1 || c.Pool < 1 || c.Duration <= 0 || c.WarmUp < 0 || c.Rate < 0 {
		return load, errors.New("--size, --connections, --pool and --duration must be more than nothing, --warm-up and --rate not negative")
	}
	for _, api := range c.API {
		if !slices.Contains(bench.Dialects(), bench.Dialect(api)) {
			return load, fmt.Errorf("--api %q: there are oci, acs3 and v1", api)
		}
	}
	if c.Requests < 0 {
		return load, errors.New("--requests must not be negative")
	}
	if c.Requests > 0 {
		c.Duration = mostTime
	}
	seen := map[string]bool{}
	for _, share := range c.Op {
		name, weight, weighed := strings.Cut(share, "=")
		n := 1
		if weighed {
			var err error
			if n, err = strconv.Atoi(weight); err != nil || n < 1 || n > 1000 {
				return load, fmt.Errorf("--op %q: a weight is a number from 1 to 1000", share)
			}
		}
		if _, ok := bench.Find(name); !ok {
			return load, fmt.Errorf("--op %q: there are %s", share, operationNames())
		}
		if seen[name] {
			return load, fmt.Errorf("--op names %s twice", name)
		}
		seen[name] = true
		load.Mix = append(load.Mix, bench.Share{Operation: name, Weight: n})
	}
	return load, nil
}

func operationNames() string {
	var names []string
	for _, op := range bench.Operations() {
		names = append(names, op.Name)
	}
	return strings.Join(names, ", ")
}

// measure runs the load against one target and cleans up after it.
func (c *benchCmd) measure(a *app, t *bench.Target, load bench.Workload, pid int) (res *bench.Result, err error) {
	around := bench.Surroundings{Now: time.Now, Random: rand.Reader, Progress: a.benchProgress(string(t.Dialect))}
	plan, err := bench.Prepare(a.ctx, t, load, around)
	defer func() { err = errors.Join(err, c.tidy(a, plan)) }()
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	res, err = plan.Do(a.ctx, bench.Run{Rate: c.Rate, WarmUp: c.WarmUp, Duration: c.Duration, Requests: c.Requests, Server: pid})
	a.endProgress()
	return res, err
}

// tidy schedules the deletion of keys that were created, unless their server ends anyway.
func (c *benchCmd) tidy(a *app, plan *bench.Plan) error {
	created := plan.Created()
	if len(created) == 0 || c.private() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), cleanUpTime)
	defer cancel()
	if err := plan.Close(ctx); err != nil {
		return fmt.Errorf("clean up: %w", err)
	}
	_, _ = fmt.Fprintf(a.err, "created %s for this, and scheduled the deletion\n", strings.Join(created, ", "))
	return nil
}

// talkative reports whether err is a terminal, on which a line can be written over.
func (s stdio) talkative() bool {
	f, ok := s.err.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// benchProgress tells how far a run is: on one line of a terminal, else a line for each phase.
func (a *app) benchProgress(what string) func(bench.Progress) {
	terminal, phase := a.talkative(), ""
	lines := make(chan struct{}, 1) // one at a time: signers tell concurrently
	return func(p bench.Progress) {
		lines <- struct{}{}
		defer func() { <-lines }()
		done := 0.0
		if p.Total > 0 {
			done = min(1, p.Done/p.Total)
		}
		if terminal {
			_, _ = fmt.Fprintf(a.err, "\r\x1b[K%s: %s %3.0f %%", what, p.Phase, 100*done)
			if p.Requests+p.Errors > 0 {
				_, _ = fmt.Fprintf(a.err, ", %d answers, %d errors", p.Requests, p.Errors)
			}
		} else if p.Phase != phase {
			_, _ = fmt.Fprintf(a.err, "%s: %s\n", what, p.Phase)
		}
		phase = p.Phase
	}
}

func (a *app) endProgress() {
	if a.talkative() {
		_, _ = fmt.Fprint(a.err, "\r\x1b[K")
	}
}
