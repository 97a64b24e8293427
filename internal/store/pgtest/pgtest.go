// SPDX-License-Identifier: Apache-2.0

// Package pgtest runs PostgreSQL servers for tests: real ones, of the machine's own package,
// each in a directory of its own and gone at the test's end.
package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"claviger/internal/porttest"
)

// Server is a running PostgreSQL server.
type Server struct {
	Dir  string // of the cluster's data
	Port int

	bin     string
	account *user.User // who runs the server; nil: who runs the test
	process *os.Process
	output  *bytes.Buffer
	ended   chan struct{} // closed when the process has ended
}

// Find answers the directory of PostgreSQL's programs, or skips the test where there are none.
func Find(t testing.TB) string {
	t.Helper()
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres") // Debian keeps them out of PATH
	slices.Sort(dirs)
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, path)
		}
	}
	if len(dirs) == 0 {
		t.Skip("no PostgreSQL server on this machine: install the package postgresql")
	}
	return filepath.Dir(dirs[len(dirs)-1])
}

// New makes a cluster with settings added to its configuration, without starting it. It leaves
// writing to the disk to the system: servers are killed here, machines are not.
func New(t testing.TB, settings ...string) *Server {
	t.Helper()
	s := fresh(t)
	s.run(t, "initdb", "--pgdata", s.Dir, "--username", "claviger", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions")
	s.Configure(t, append([]string{
		"listen_addresses = '127.0.0.1'", fmt.Sprintf("port = %d", s.Port), "unix_socket_directories = ''",
		"fsync = off", "shared_buffers = 32MB", "max_connections = 200", "logging_collector = off", "log_min_messages = warning",
	}, settings...)...)
	return s
}

// fresh is a server without a cluster, and with a port of its own.
func fresh(t testing.TB) *Server {
	t.Helper()
	s := &Server{bin: Find(t), Port: freePort(t)}
	s.account = account(t)
	s.Dir = filepath.Join(s.home(t), "data")
	return s
}

// Start makes a cluster and starts it; it is stopped at the test's end.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	s := New(t, settings...)
	s.Start(t)
	return s
}

// home is a directory that the server's account may use.
func (s *Server) home(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgtest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove the cluster: %v", err)
		}
	})
	if s.account != nil {
		uid, gid := ids(t, s.account)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// account is who runs the server, which refuses to be run by root.
func account(t testing.TB) *user.User {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			return u
		}
	}
	t.Skip("PostgreSQL cannot be run as root, and there is neither an account postgres nor nobody")
	return nil
}

func ids(t testing.TB, u *user.User) (uid, gid int) {
	t.Helper()
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return uid, gid
}

func freePort(t testing.TB) int {
	t.Helper()
	port, err := porttest.Row(1)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// command is one of PostgreSQL's programs, run by the server's account.
func (s *Server) command(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.Command(filepath.Join(s.bin, name), args...)
	c.Dir = "/"
	c.Env = append(os.Environ(), "LC_ALL=C")
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}
	if s.account != nil {
		uid, gid := ids(t, s.account)
		c.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	return c
}

// run runs a program to its end.
func (s *Server) run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := s.command(t, name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// Configure adds settings, which the next start reads.
func (s *Server) Configure(t testing.TB, settings ...string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(s.Dir, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, line := range settings {
		if _, err := fmt.Fprintln(f, line); err != nil {
			t.Fatal(err)
		}
	}
}

// Start starts the server and waits until it answers.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	c := s.command(t, "postgres", "-D", s.Dir)
	s.output = new(bytes.Buffer)
	c.Stdout, c.Stderr = s.output, s.output
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	s.process, s.ended = c.Process, ended
	go func() {
		_ = c.Wait()
		close(ended)
	}()
	t.Cleanup(func() { s.Stop(syscall.SIGQUIT) })
	for {
		err := s.command(t, "pg_isready", "-q", "-h", "127.0.0.1", "-p", strconv.Itoa(s.Port)).Run()
		if err == nil {
			return
		}
		if _, answered := errors.AsType[*exec.ExitError](err); !answered {
			t.Fatal(err)
		}
		select {
		case <-ended:
			t.Fatalf("PostgreSQL ended: %s", s.output)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stop ends the server by a signal and waits: SIGINT disconnects everybody and writes a
// checkpoint, SIGQUIT leaves recovery to the next start.
func (s *Server) Stop(sig os.Signal) {
	select {
	case <-s.ended:
		return
	default:
	}
	_ = s.process.Signal(sig)
	<-s.ended
}

// Kill ends every process of the server at once, as a crash of the machine would.
func (s *Server) Kill() {
	for _, pid := range append(children(s.process.Pid), s.process.Pid) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-s.ended
}

// Pause stops every process of the server where it is, as a machine that is cut off looks, until
// the answered function is called or the test ends.
func (s *Server) Pause(t testing.TB) (goOn func()) {
	t.Helper()
	pids := append(children(s.process.Pid), s.process.Pid)
	goOn = sync.OnceFunc(func() {
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	})
	t.Cleanup(goOn)
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatal(err)
		}
	}
	return goOn
}

func children(parent int) []int {
	out, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", parent, parent))
	if err != nil {
		return nil
	}
	var pids []int
	for _, f := range bytes.Fields(out) {
		if pid, err := strconv.Atoi(string(f)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// URL is the connection string of a database.
func (s *Server) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User("claviger"), Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)), Path: "/" + database}
	u.RawQuery = "sslmode=disable"
	return u.String()
}

// Query runs SQL in a database and answers its rows as text, fields divided by "|".
func (s *Server) Query(ctx context.Context, database, text string) (string, error) {
	out, err := exec.CommandContext(ctx, filepath.Join(s.bin, "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", s.URL(database), "-c", text).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return string(bytes.TrimSpace(out)), nil
}

// Database makes an empty database and answers its connection string.
func (s *Server) Database(t testing.TB, name string) string {
	t.Helper()
	if _, err := s.Query(context.Background(), "postgres", "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	return s.URL(name)
}

// Schema makes an empty schema in the first database, which takes less than a database, and
// answers a connection string that leads into it.
func (s *Server) Schema(t testing.TB, name string) string {
	t.Helper()
	if _, err := s.Query(context.Background(), "postgres", "CREATE SCHEMA "+name); err != nil {
		t.Fatal(err)
	}
	return s.URL("postgres") + "&search_path=" + name
}
