// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// hang decides when a process that does not do what is waited for is called hung. It is far
// more than a busy machine needs.
const hang = 90 * time.Second

// poll is how often a condition is looked at that announces itself in no other way.
const poll = 2 * time.Millisecond

// needsProcesses skips a test of real processes where only quick tests are wanted.
func needsProcesses(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds the server and runs it as a process: not in short mode")
	}
}

// build compiles the server. A mutant is compiled of a source in which old, which must be there
// once, is replaced by changed: a test that passes with such a server could not fail.
func build(t *testing.T, mutants ...mutant) string {
	t.Helper()
	return buildTagged(t, "", mutants...)
}

// buildTagged is build with a build tag. What is not changed goes to the directory that all tests
// of a run share, where it is linked by the first that asks.
func buildTagged(t *testing.T, tag string, mutants ...mutant) string {
	t.Helper()
	dir := filepath.Join(os.Getenv("CLAVIGER_TEST_BUILDS"), "tagged-"+tag)
	if len(mutants) > 0 {
		dir = t.TempDir()
	} else {
		building.Lock()
		defer building.Unlock()
	}
	binary := filepath.Join(dir, "claviger")
	args := []string{"build", "-o", binary, "-tags", tag}
	if len(mutants) > 0 {
		args = append(args, "-overlay", overlay(t, dir, mutants))
	}
	cmd := exec.Command("go", append(args, ".")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build claviger: %v\n%s", err, out)
	}
	return binary
}

// building is held while the go command writes what tests share; it leaves a binary that is up to
// date as it is.
var building sync.Mutex

// mutant is one change of the source, made in a copy of one file.
type mutant struct{ file, old, changed string }

// overlay writes what `go build -overlay` reads.
func overlay(t *testing.T, dir string, mutants []mutant) string {
	t.Helper()
	replace := map[string]string{}
	for i, m := range mutants {
		file, err := filepath.Abs(m.file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(read(t, file))
		if n := strings.Count(text, m.old); n != 1 {
			t.Fatalf("%s has %q %d times, not once: the mutant must follow the source", m.file, m.old, n)
		}
		replace[file] = filepath.Join(dir, fmt.Sprintf("mutant%d.go", i))
		write(t, replace[file], []byte(strings.Replace(text, m.old, m.changed, 1)))
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "overlay.json")
	write(t, name, list)
	return name
}

// launch says how a server is started.
type launch struct {
	binary string
	data   string   // --data; "" keeps everything in memory
	listen string   // --listen; "" picks ports
	under  []string // a command that runs the server, such as strace with its flags
}

// ready is what the tests need of the ready file.
type ready struct {
	Admin struct{ Endpoint, Token string }
	OCI   struct {
		VaultEndpoint, Tenancy, User, Fingerprint, PrivateKeyFile, Compartment string
		ManagementEndpoint, CryptoEndpoint                                     string
	}
	Alibaba struct{ Endpoint, AccessKeyID, AccessKeySecret string }
}

// server is one process, in a process group of its own.
type server struct {
	ready ready
	dir   string // of this process alone: its working, home and temporary directories, its log
	file  string // the ready file
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process is over; err is set before
	err   error
}

// begin starts a server and does not wait for it. It is killed when the test ends.
func begin(t *testing.T, l launch) *server {
	t.Helper()
	s := newServer(t)
	if l.listen == "" {
		l.listen = "127.0.0.1:0"
	}
	args := append(append([]string{}, l.under...), l.binary, "dev", "--listen", l.listen, "--ready-file", s.file)
	if l.data != "" {
		args = append(args, "--data", l.data)
	}
	s.spawn(t, args)
	return s
}

// newServer makes the directories of a process.
func newServer(t *testing.T) *server {
	t.Helper()
	dir := t.TempDir()
	s := &server{dir: dir, file: filepath.Join(dir, "ready.json"), ended: make(chan struct{})}
	for _, name := range []string{"work", "home", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// spawn starts the process, which is killed when the test ends.
func (s *server) spawn(t *testing.T, args []string, env ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s.cmd = exec.Command(args[0], args[1:]...)
	s.cmd.Dir = filepath.Join(s.dir, "work")
	s.cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(s.dir, "home"), "TMPDIR=" + filepath.Join(s.dir, "tmp"),
	}, env...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("start claviger: %v", err)
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.ended)
	}()
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("what process %d printed:\n%s", s.cmd.Process.Pid, s.output(t))
		}
	})
}

// start starts a server and waits until it is ready.
func start(t *testing.T, l launch) *server {
	t.Helper()
	s := begin(t, l)
	if !s.awaitReady(t) {
		t.Fatalf("claviger ended before it was ready: %v\n%s", s.err, s.output(t))
	}
	return s
}

// awaitReady waits for the ready file, and reports false when the process ends before.
func (s *server) awaitReady(t *testing.T) bool {
	t.Helper()
	for range ticks(t, poll) {
		raw, err := os.ReadFile(s.file)
		if err == nil {
			if err := json.Unmarshal(raw, &s.ready); err != nil {
				t.Fatalf("parse the ready file: %v\n%s", err, raw)
			}
			return true
		}
		if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		select {
		case <-s.ended:
			return false
		default:
		}
	}
	t.Fatalf("claviger was not ready within %v\n%s", hang, s.output(t))
	return false
}

// ticks yields now and then until the loop ends it or it counts as a hang.
func ticks(t *testing.T, every time.Duration) func(yield func(int) bool) {
	t.Helper()
	return func(yield func(int) bool) {
		ticker, end := time.NewTicker(every), time.After(hang)
		defer ticker.Stop()
		for i := 0; yield(i); i++ {
			select {
			case <-ticker.C:
			case <-end:
				return
			}
		}
	}
}

// signal sends a signal to the server, and to what runs it.
func (s *server) signal(sig syscall.Signal) { _ = syscall.Kill(-s.cmd.Process.Pid, sig) }

// kill ends the process as a crash does, if it is not over.
func (s *server) kill() {
	select {
	case <-s.ended:
	default:
		s.signal(syscall.SIGKILL)
		<-s.ended
	}
}

// await waits until the process is over.
func (s *server) await(t *testing.T) {
	t.Helper()
	select {
	case <-s.ended:
	case <-time.After(hang):
		t.Fatalf("claviger did not end within %v\n%s", hang, s.output(t))
	}
}

// stop ends the process as ctrl-C does, and requires that it ends well.
func (s *server) stop(t *testing.T) {
	t.Helper()
	s.signal(syscall.SIGINT)
	s.await(t)
	if s.err != nil {
		t.Fatalf("claviger ended with %v after an interrupt, want status 0\n%s", s.err, s.output(t))
	}
}

// refused starts a server that must end by itself, with status 1, and returns what it printed.
func refused(t *testing.T, l launch) string {
	t.Helper()
	s := begin(t, l)
	if s.awaitReady(t) {
		t.Fatal("the server is ready, and should have refused to start")
	}
	s.await(t)
	out := s.output(t)
	if code := s.cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit code %d, want 1\n%s", code, out)
	}
	if strings.Contains(out, "goroutine ") {
		t.Errorf("a refusal is no crash:\n%s", out)
	}
	return out
}

// output is what the process has printed so far.
func (s *server) output(t *testing.T) string {
	t.Helper()
	return string(bytes.TrimSpace(read(t, filepath.Join(s.dir, "log"))))
}

// logged waits for the log's line of a request, which is written after its answer.
func (s *server) logged(t *testing.T, requestID string) string {
	t.Helper()
	if requestID == "" {
		t.Fatal("an answer has no request id")
	}
	for range ticks(t, poll) {
		for line := range strings.Lines(s.output(t)) {
			if strings.Contains(line, requestID) {
				return line
			}
		}
	}
	t.Fatalf("the log has no line of request %s", requestID)
	return ""
}

// endpoints are the host and port of everything that the server listens on.
func (s *server) endpoints(t *testing.T) []string {
	t.Helper()
	seen := map[string]bool{}
	var hosts []string
	for _, endpoint := range []string{
		s.ready.Admin.Endpoint, s.ready.OCI.VaultEndpoint, s.ready.OCI.ManagementEndpoint, s.ready.OCI.CryptoEndpoint,
		s.ready.Alibaba.Endpoint,
	} {
		u, err := url.Parse(endpoint)
		if err != nil || u.Port() == "" {
			t.Fatalf("the ready file names the endpoint %q", endpoint)
		}
		if !seen[u.Host] {
			seen[u.Host] = true
			hosts = append(hosts, u.Host)
		}
	}
	return hosts
}

// nothingLeft checks that a process that was stopped left no process, file or listener behind.
func (s *server) nothingLeft(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(-s.cmd.Process.Pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("a process of the server's group lives after it (%v)", err)
	}
	for _, name := range []string{"work", "home", "tmp"} {
		left, err := os.ReadDir(filepath.Join(s.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range left {
			t.Errorf("claviger left %s in its %s directory", entry.Name(), name)
		}
	}
	for _, host := range s.endpoints(t) {
		l, err := net.Listen("tcp", host)
		if err != nil {
			t.Errorf("the port is not free after the server ended: %v", err)
			continue
		}
		l.Close()
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
