// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"claviger/internal/store/pgtest"
)

// TestDegraded takes away what a running server needs, and gives it back: what still works goes on,
// everything else is refused as the clouds refuse, nothing hangs, and no restart is needed.
func TestDegraded(t *testing.T) {
	needsProcesses(t)
	t.Parallel()
	binary := build(t)
	t.Run("DatabaseGone", func(t *testing.T) {
		t.Parallel()
		testDatabaseGone(t, binary)
	})
	t.Run("DatabaseFull", func(t *testing.T) {
		t.Parallel()
		testDatabaseFull(t, binary)
	})
	t.Run("AuditFull", func(t *testing.T) {
		t.Parallel()
		testAuditFull(t, binary)
	})
	t.Run("ReadOnly", func(t *testing.T) {
		t.Parallel()
		testReadOnly(t, binary)
	})
	t.Run("RootGone", func(t *testing.T) {
		t.Parallel()
		testRootGone(t, binary)
	})
	t.Run("RecordDamaged", func(t *testing.T) {
		t.Parallel()
		testRecordDamaged(t, binary)
	})
}

// unavailable fails the test unless both clouds' callers were refused as by a service that is away.
func unavailable(t *testing.T, what string, a answer) {
	t.Helper()
	if !a.unavailable() {
		t.Errorf("%s: %s, want the cloud's 503", what, a)
	}
	if strings.Contains(string(a.body), "127.0.0.1") || strings.Contains(string(a.body), "SQL") {
		t.Errorf("%s: the answer tells of the inside: %s", what, a)
	}
}

// unavailable reports whether the answer is the cloud's of a service that is away.
func (a answer) unavailable() bool {
	code := a.text("code") + a.text("Code")
	return a.err == nil && a.status == http.StatusServiceUnavailable && (code == "ServiceUnavailable" || code == "ServiceUnavailableTemporary")
}

// testDatabaseGone has two nodes on a PostgreSQL that stops, that hangs, and that comes back.
func testDatabaseGone(t *testing.T, binary string) {
	database := pgtest.Start(t)
	site, first := newNodeSet(t, binary, database.URL("postgres"), 2,
		`node.lease = "10s"`, `node.margin = "1s"`, `store.reopen_timeout = "1s"`, `store.statement_timeout = "2s"`, `store.batch_timeout = "4s"`)
	second := site.start(t, 1)
	ctx, one, two := t.Context(), site.caller(t, 0), site.caller(t, 1)
	key := must(t, "create key", one.createKey(ctx, "k", aes256(), "")).text("id")
	ciphertext := must(t, "encrypt", one.encrypt(ctx, key, []byte("kept"))).text("ciphertext")
	one.opens(ctx, t, key, ciphertext, []byte("kept"))
	two.opens(ctx, t, key, ciphertext, []byte("kept"))
	testReplay(t, one, two)

	// Within the lease what is in memory serves on; changes and readiness do not.
	database.Stop(syscall.SIGQUIT)
	one.opens(ctx, t, key, ciphertext, []byte("kept"))
	site.awaitStatus(t, first, 0, http.StatusServiceUnavailable)
	unavailable(t, "a change without a database", one.createKey(ctx, "k2", aes256(), ""))
	unavailable(t, "Alibaba's API without a database", one.alibaba(ctx, "ListKeys"))
	if got := site.metric(t, 0, "claviger_ready"); got != "0" {
		t.Errorf("claviger_ready is %q without a database", got)
	}
	// Then nothing is answered from memory any more.
	var a answer
	for range ticks(t, 100*time.Millisecond) {
		if a = one.decrypt(ctx, key, ciphertext); !a.ok() {
			break
		}
	}
	unavailable(t, "a data call after the lease", a)
	database.Start(t)
	site.awaitStatus(t, first, 0, http.StatusOK)
	site.awaitStatus(t, second, 1, http.StatusOK)
	one.opens(ctx, t, key, ciphertext, []byte("kept"))
	must(t, "a change once the database is back", two.createVersion(ctx, key, ""))

	// A server that hangs answers nothing and closes nothing.
	stopped := database.Pause(t)
	site.awaitStatus(t, first, 0, http.StatusServiceUnavailable)
	unavailable(t, "a change while the database hangs", one.createVersion(ctx, key, ""))
	unavailable(t, "Alibaba's API while the database hangs", two.alibaba(ctx, "ListKeys"))
	// Whoever is told to stop meanwhile does.
	second.signal(syscall.SIGTERM)
	second.await(t)
	stopped()
	site.awaitStatus(t, first, 0, http.StatusOK)
	one.opens(ctx, t, key, ciphertext, []byte("kept"))
	must(t, "a change once the database goes on", one.createVersion(ctx, key, ""))

	// A server that is gone keeps nobody from stopping either.
	database.Stop(syscall.SIGQUIT)
	first.signal(syscall.SIGTERM)
	first.await(t)
	database.Start(t)
	site.verify(t)
}

// testReplay sends one signed request of Alibaba's API to two nodes.
func testReplay(t *testing.T, one, two *caller) {
	t.Helper()
	req, err := one.alibabaRequest(t.Context(), "ListKeys")
	if err != nil {
		t.Fatal(err)
	}
	must(t, "a request", one.send(req))
	for where, c := range map[string]*caller{"the same node": one, "another node": two} {
		again := req.Clone(t.Context())
		again.Body = http.NoBody
		if a := c.send(again); a.err != nil || a.text("Code") != "SignatureNonceUsed" {
			t.Errorf("the same request to %s: %s", where, a)
		}
	}
}

// small mounts a file system of so many bytes, for tests of a full one.
func small(t *testing.T, size int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+strconv.Itoa(size))
	if err != nil {
		t.Skipf("a small file system cannot be mounted (%v): what a server does on a full disk is not shown", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill takes all the room of a file system but so many bytes, and answers how to give it back.
func fill(t *testing.T, dir string, but int64) (free func()) {
	t.Helper()
	name := filepath.Join(dir, "ballast")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	_ = syscall.Fallocate(int(f.Fd()), 0, 0, max(1, int64(fs.Bavail)*fs.Bsize-but)) // a server may have taken room meanwhile
	for block := make([]byte, 4096); but == 0; {
		if _, err := f.Write(block); err != nil {
			break
		}
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Error(err)
		}
	}
}

// testDatabaseFull fills the disk of dev's data, audit log included.
func testDatabaseFull(t *testing.T, binary string) {
	dir := small(t, 32<<20)
	data := filepath.Join(dir, "data")
	s := start(t, launch{binary: binary, data: data})
	c, ctx := newCaller(t, s), t.Context()
	key := must(t, "create key", c.createKey(ctx, "k", aes256(), "")).text("id")
	ciphertext := must(t, "encrypt", c.encrypt(ctx, key, []byte("kept"))).text("ciphertext")
	var made []string
	for _, room := range []int64{0, 200 << 10} {
		free := fill(t, dir, room)
		refused := 0
		for range ticks(t, time.Millisecond) {
			a := c.createKey(ctx, "more", aes256(), "")
			if a.ok() {
				made = append(made, a.text("id"))
				continue
			}
			unavailable(t, "a change on a full disk", a)
			if refused++; refused >= 3 {
				break
			}
		}
		var a answer
		for range ticks(t, time.Millisecond) { // the audit log may have had room in its last block
			if a = c.decrypt(ctx, key, ciphertext); !a.ok() {
				break
			}
		}
		unavailable(t, "a data call on a full disk", a)
		free()
		for range ticks(t, 20*time.Millisecond) {
			if a = c.decrypt(ctx, key, ciphertext); a.ok() {
				break
			}
		}
		must(t, "a data call once there is room", a)
		made = append(made, must(t, "a change once there is room", c.createKey(ctx, "again", aes256(), "")).text("id"))
	}
	for _, id := range made {
		c.use(ctx, t, id)
	}
	s.stop(t)
	sound(t, data)
	verifyData(t, binary, data)
	s = start(t, launch{binary: binary, data: data})
	c = newCaller(t, s)
	c.opens(ctx, t, key, ciphertext, []byte("kept"))
	for _, id := range made {
		c.use(ctx, t, id)
	}
	s.stop(t)
}

// testAuditFull fills the disk of the audit log alone: nothing is done that could not be recorded,
// but for changes, which are recorded in the database.
func testAuditFull(t *testing.T, binary string) {
	database := pgtest.Start(t)
	dir := small(t, 4<<20)
	site, s := newNodeSet(t, binary, database.URL("postgres"), 1, "audit.dir = "+strconv.Quote(filepath.Join(dir, "audit")))
	c, ctx := site.caller(t, 0), t.Context()
	key := must(t, "create key", c.createKey(ctx, "k", aes256(), "")).text("id")
	ciphertext := must(t, "encrypt", c.encrypt(ctx, key, []byte("kept"))).text("ciphertext")
	free := fill(t, dir, 0)
	var a answer
	for range ticks(t, time.Millisecond) {
		if a = c.decrypt(ctx, key, ciphertext); !a.ok() {
			break
		}
	}
	unavailable(t, "a data call that cannot be recorded", a)
	if a.text("plaintext") != "" {
		t.Error("it is answered")
	}
	site.awaitStatus(t, s, 0, http.StatusServiceUnavailable)
	if got := site.metric(t, 0, "claviger_audit_writable"); got != "0" {
		t.Errorf("claviger_audit_writable is %q", got)
	}
	must(t, "a change, which is recorded in the database", c.createVersion(ctx, key, ""))
	free()
	site.awaitStatus(t, s, 0, http.StatusOK)
	c.opens(ctx, t, key, ciphertext, []byte("kept"))
	if got := site.metric(t, 0, "claviger_audit_writable"); got != "1" {
		t.Errorf("claviger_audit_writable is %q once there is room", got)
	}
	s.stop(t)
	if out, err := exec.Command(binary, "audit", "verify", filepath.Join(dir, "audit")).CombinedOutput(); err != nil {
		t.Errorf("the audit log: %v\n%s", err, out)
	}
}
