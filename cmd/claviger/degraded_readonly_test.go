// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// testReadOnly has the file system of a database in SQLite refuse every write, as one does that the
// system has set read-only after an error, and lets a server start on one.
func testReadOnly(t *testing.T, binary string) {
	site, s := newNodeSet(t, binary, "", 1, "audit.dir = "+strconv.Quote(t.TempDir()))
	c, ctx, data := site.caller(t, 0), t.Context(), site.nodes[0].data
	key := must(t, "create key", c.createKey(ctx, "k", aes256(), "")).text("id")
	cold := must(t, "create key", c.createKey(ctx, "cold", aes256(), "")).text("id")
	ciphertext := must(t, "encrypt", c.encrypt(ctx, key, []byte("kept"))).text("ciphertext")

	writable := readOnly(t, s, data)
	for range 3 {
		unavailable(t, "a change on a read-only file system", c.createVersion(ctx, key, ""))
		unavailable(t, "a change on a read-only file system", c.alibaba(ctx, "CreateKey"))
	}
	c.opens(ctx, t, key, ciphertext, []byte("kept"))
	c.use(ctx, t, cold)
	// What the server does by itself, and changes nothing, may be in between.
	for try := 1; ; try++ {
		unavailable(t, "a change on a read-only file system", c.createVersion(ctx, key, ""))
		text, metric := site.readiness(t)
		if text == "ready, but changes are refused" && metric == "0" {
			break
		}
		if try == 20 {
			t.Fatalf("after a change that was refused /readyz says %q, claviger_store_writable %q", text, metric)
		}
	}
	writable()
	must(t, "a change once it is writable", c.createVersion(ctx, key, ""))
	if text, metric := site.readiness(t); text != "ready" || metric != "1" {
		t.Errorf("after a change that was made /readyz says %q, claviger_store_writable %q", text, metric)
	}
	c.opens(ctx, t, key, ciphertext, []byte("kept"))
	s.stop(t)

	// A start says what is wrong, and changes nothing.
	writable = mountReadOnly(t, data)
	p := site.begin(t, 0)
	p.await(t)
	if text := p.output(t); p.err == nil || !strings.Contains(text, data) || !strings.Contains(text, "read-only file system") {
		t.Errorf("a start on a read-only file system: %v\n%s", p.err, text)
	}
	writable()
	s = site.start(t, 0)
	c.opens(ctx, t, key, ciphertext, []byte("kept"))
	s.stop(t)
	sound(t, data)
	out, err := exec.Command(binary, "store", "verify", "--config", site.nodes[0].config).CombinedOutput()
	if err != nil {
		t.Errorf("the store: %v\n%s", err, out)
	}
}

// readiness is what the first node says of itself.
func (s *nodeSet) readiness(t *testing.T) (text, writable string) {
	t.Helper()
	resp, err := http.Get("http://" + s.nodes[0].admin + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Errorf("/readyz answers %d", resp.StatusCode)
	}
	return strings.TrimSpace(body.String()), s.metric(t, 0, "claviger_store_writable")
}

// readOnly has the system refuse what a running server writes to its database, until the answered
// function is called. No file system can be mounted read-only while files on it are open for writing.
func readOnly(t *testing.T, s *server, data string) (writable func()) {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed: what a server does on a read-only file system is not shown (apt-get install strace)")
	}
	const writes = "pwrite64,ftruncate,fallocate,unlink,unlinkat,rename,renameat"
	pid := s.cmd.Process.Pid
	args := []string{"-f", "-qq", "-p", strconv.Itoa(pid), "-o", "/dev/null", "-e", "trace=" + writes, "-e", "inject=" + writes + ":error=EROFS"}
	for _, name := range []string{"claviger.db", "claviger.db-wal", "claviger.db-shm"} {
		args = append(args, "-P", filepath.Join(data, name))
	}
	var said bytes.Buffer
	cmd := exec.Command("strace", args...)
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	writable = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // it ends by the signal
	}
	for range ticks(t, poll) {
		if followed(t, pid) {
			return writable
		}
	}
	writable()
	t.Fatalf("strace does not follow the server: %s", said.String())
	return nil
}

// followed reports whether all threads of a process are followed.
func followed(t *testing.T, pid int) bool {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(tasks) == 0 {
		t.Fatalf("the threads of process %d: %v", pid, err)
	}
	for _, name := range tasks {
		status, err := os.ReadFile(name)
		if err == nil && strings.Contains(string(status), "TracerPid:\t0\n") {
			return false
		}
	}
	return true
}

// mountReadOnly makes a directory read-only that nobody has open.
func mountReadOnly(t *testing.T, dir string) (writable func()) {
	t.Helper()
	if err := syscall.Mount(dir, dir, "", syscall.MS_BIND, ""); err != nil {
		t.Skipf("nothing can be mounted (%v): what a server says that starts on a read-only file system is not shown", err)
	}
	writable = func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}
	if err := syscall.Mount("", dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		writable()
		t.Fatal(err)
	}
	return writable
}
