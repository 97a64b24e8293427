// SPDX-License-Identifier: Apache-2.0

// Package live builds the server, runs it as a process of its own, and speaks its admin API. It
// imports nothing of the server: what it needs is the command line and the ready file.
package live

import (
	"bytes"
	"crypto/fips140"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// How long a process may take. A machine that runs several suites at once is slow; these bounds
// only decide when a hang is called a hang.
const (
	readyDeadline = 60 * time.Second
	stopDeadline  = 60 * time.Second
	pollInterval  = 5 * time.Millisecond
	logTail       = 16 << 10
)

// Build compiles the server of the module in root into dir and returns the binary's path.
func Build(root, dir string) (string, error) {
	binary := filepath.Join(dir, "claviger")
	cmd := exec.Command("go", "build", "-C", root, "-o", binary, "./cmd/claviger")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build claviger: %w\n%s", err, out)
	}
	return binary, nil
}

// mode is the environment in which the server runs in the mode of FIPS 140-3 that it is to have.
func (o Options) mode() string {
	if o.FIPSOnly {
		return "GODEBUG=fips140=only"
	}
	return mode()
}

// mode is the environment in which the server runs in the test's own mode of FIPS 140-3. That is on where
// the test is built with GOFIPS140, as by make; the server's own default is off.
func mode() string {
	if fips140.Enabled() {
		return "GODEBUG=fips140=on"
	}
	return "GODEBUG="
}

// Options are the flags of "claviger dev". The zero value keeps everything in memory.
type Options struct {
	Data   string // directory that outlives the process; empty for none
	Limits string // "cloud" or "off"; empty for the server's own default
	Seed   string // path of a seed file; empty for none
	TLS    bool

	Regions []string // further ones, as --region takes them
	Chance  string   // seed of --consistency cloudlike; empty for strict

	FIPSOnly bool // refuse what FIPS 140-3 does not approve
}

func (o Options) args(ready string) []string {
	args := []string{"dev", "--listen", "127.0.0.1:0", "--ready-file", ready}
	if o.Data != "" {
		args = append(args, "--data", o.Data)
	}
	if o.Limits != "" {
		args = append(args, "--limits", o.Limits)
	}
	if o.Seed != "" {
		args = append(args, "--seed", o.Seed)
	}
	if o.TLS {
		args = append(args, "--tls")
	}
	if o.Chance != "" {
		args = append(args, "--consistency", "cloudlike", "--consistency-seed", o.Chance)
	}
	for _, r := range o.Regions {
		args = append(args, "--region", r)
	}
	return args
}

// Process is one running server.
type Process struct {
	Ready Ready
	Admin *Admin

	// ReadyJSON is the ready file as it was written.
	ReadyJSON []byte

	cmd  *exec.Cmd
	tmp  string // TMPDIR of the process, which must be empty after it ended
	log  string
	done chan struct{} // closed when the process has ended; err is set before
	err  error
	stop sync.Once
}

// Start runs the server and waits until its ready file exists. The process is stopped when the test
// ends, and the test fails if it did not end cleanly or left files or listeners behind.
func Start(t testing.TB, binary string, o Options) *Process {
	t.Helper()
	dir := t.TempDir()
	p := &Process{tmp: filepath.Join(dir, "tmp"), log: filepath.Join(dir, "log"), done: make(chan struct{})}
	if err := os.Mkdir(p.tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	ready := filepath.Join(dir, "ready.json")
	p.cmd = exec.Command(binary, o.args(ready)...)
	p.cmd.Env = []string{o.mode(), "PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + p.tmp}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start claviger: %v", err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.Stop(t)
		if t.Failed() {
			t.Logf("the server's own output (its end):\n%s", p.tail())
		}
	})
	p.awaitReady(t, ready)
	p.Admin = newAdmin(p.Ready.Admin)
	return p
}

// awaitReady waits for the ready file, which is written atomically when every listener accepts.
func (p *Process) awaitReady(t testing.TB, path string) {
	t.Helper()
	p.await(t, "wrote no ready file", func() bool {
		raw, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return false
		}
		if err != nil {
			t.Fatalf("read ready file: %v", err)
		}
		if err := json.Unmarshal(raw, &p.Ready); err != nil {
			t.Fatalf("parse ready file: %v\n%s", err, raw)
		}
		p.ReadyJSON = raw
		return true
	})
}

// AwaitOutput waits until the process has printed text, and returns all that it has printed.
func (p *Process) AwaitOutput(t testing.TB, text string) string {
	t.Helper()
	p.await(t, "did not print "+strconv.Quote(text), func() bool { return strings.Contains(p.Output(t), text) })
	return p.Output(t)
}

// await asks again and again whether something has happened in the process; missing says what is
// wrong when it does not happen in time.
func (p *Process) await(t testing.TB, missing string, happened func() bool) {
	t.Helper()
	deadline := time.After(readyDeadline)
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for !happened() {
		select {
		case <-tick.C:
		case <-p.done:
			t.Fatalf("claviger ended and %s: %v\n%s", missing, p.err, p.tail())
		case <-deadline:
			t.Fatalf("claviger %s within %s\n%s", missing, readyDeadline, p.tail())
		}
	}
}

// Stop interrupts the process as ctrl-C does, waits for its end, and checks that it ended with
// status 0, left nothing in its temporary directory and closed its listeners. Later calls do nothing.
func (p *Process) Stop(t testing.TB) {
	t.Helper()
	p.stop.Do(func() {
		if err := p.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("interrupt claviger: %v", err)
		}
		select {
		case <-p.done:
		case <-time.After(stopDeadline):
			t.Errorf("claviger did not end within %s of an interrupt", stopDeadline)
			p.kill()
			return
		}
		if p.err != nil {
			t.Errorf("claviger ended with %v after an interrupt, want status 0", p.err)
		}
		p.checkNothingLeft(t)
	})
}

// Kill ends the process as a crash does (SIGKILL), so nothing of an orderly end is checked.
func (p *Process) Kill() {
	p.stop.Do(p.kill)
}

func (p *Process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL) // it may have ended by itself
	<-p.done
}

func (p *Process) checkNothingLeft(t testing.TB) {
	t.Helper()
	left, err := os.ReadDir(p.tmp)
	if err != nil {
		t.Errorf("read temporary directory: %v", err)
	}
	for _, entry := range left {
		t.Errorf("claviger left %s in its temporary directory", entry.Name())
	}
	for _, endpoint := range []string{
		p.Ready.Admin.Endpoint, p.Ready.OCI.VaultEndpoint, p.Ready.OCI.ManagementEndpoint,
		p.Ready.OCI.CryptoEndpoint, p.Ready.Alibaba.Endpoint,
	} {
		u, err := url.Parse(endpoint)
		if err != nil || u.Host == "" {
			continue // never became ready
		}
		if conn, err := net.Dial("tcp", u.Host); err == nil {
			conn.Close()
			t.Errorf("something still listens on %s after claviger ended", endpoint)
		}
	}
}

func (p *Process) tail() []byte {
	raw, err := os.ReadFile(p.log)
	if err != nil {
		return []byte(err.Error())
	}
	if len(raw) > logTail {
		raw = raw[len(raw)-logTail:]
	}
	return bytes.TrimSpace(raw)
}

// Output is what the process has printed so far.
func (p *Process) Output(t testing.TB) string {
	t.Helper()
	raw, err := os.ReadFile(p.log)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
