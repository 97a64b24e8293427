// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"claviger/internal/keys"
	"claviger/internal/store"
	"claviger/internal/store/sqlstore"
	"claviger/internal/store/storetest"
)

// TestDurability shows on the real binary that what was answered stays, that what was deleted
// goes, and that a server which cannot trust its data says so.
func TestDurability(t *testing.T) {
	needsProcesses(t)
	t.Parallel()
	binary := build(t)
	t.Run("SyncBeforeAnswer", func(t *testing.T) { testSync(t, binary) })
	for _, synchronous := range []string{"OFF", "NORMAL"} {
		t.Run("SyncBeforeAnswer/mutant "+synchronous, func(t *testing.T) { testSyncMutant(t, synchronous) })
	}
	t.Run("Erasure", func(t *testing.T) { testErasure(t, binary) })
	t.Run("WrongRoot", func(t *testing.T) { testWrongRoot(t, binary) })
	t.Run("SecondOwner", func(t *testing.T) { testSecondOwner(t, binary) })
	t.Run("DamagedMaterial", func(t *testing.T) { testDamagedMaterial(t, binary) })
	t.Run("FirstAnswer", func(t *testing.T) { testFirstAnswer(t, binary) })
	t.Run("Interrupt", func(t *testing.T) { testInterrupt(t, binary) })
}

// edit runs SQL on the database of a server that is stopped.
func edit(t *testing.T, data, text string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(data, "claviger.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	result, err := db.ExecContext(t.Context(), text, args...)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		t.Fatalf("%s: %d rows changed, %v", text, n, err)
	}
}

// inStore opens the store of a server that is not running.
func inStore(ctx context.Context, data string, f func(store.Store) error) error {
	s, err := sqlstore.OpenSQLite(ctx, sqlstore.Options{Dir: data})
	if err != nil {
		return err
	}
	err = errors.Join(f(s), s.Close())
	// A child that another test is just starting holds the directory's lock, too, until it is a
	// program of its own; until then the fork lock is held.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return err
}

// sealed reads the sealed material of versions from the database of a server that is stopped.
func sealed(t *testing.T, data string, versions ...keys.ID) [][]byte {
	t.Helper()
	var out [][]byte
	err := inStore(t.Context(), data, func(s store.Store) error {
		return s.View(t.Context(), func(tx store.Tx) error {
			for _, id := range versions {
				v, err := store.LoadVersion(tx, id)
				if err != nil {
					return err
				}
				out = append(out, bytes.Clone(v.Sealed))
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// testWrongRoot exchanges the root keys of two data directories.
func testWrongRoot(t *testing.T, binary string) {
	t.Parallel()
	a, b := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	for _, data := range []string{a, b} {
		start(t, launch{binary: binary, data: data}).stop(t)
	}
	name := filepath.Join(a, "root.key")
	own, other := read(t, name), read(t, filepath.Join(b, "root.key"))
	for what, root := range map[string]struct {
		content []byte
		says    []string
	}{
		"another":  {other, []string{"root key"}},
		"damaged":  {bytes.Replace(own, []byte("key "), []byte("kez "), 1), []string{"root key", name}},
		"missing":  {nil, []string{"root key", "restore it from its backup"}},
		"of nulls": {make([]byte, len(own)), []string{"root key", name}},
	} {
		if root.content == nil {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		} else {
			write(t, name, root.content)
		}
		out := refused(t, launch{binary: binary, data: a})
		for _, part := range root.says {
			if !strings.Contains(out, part) {
				t.Errorf("%s root key: the server says %q, without %q", what, out, part)
			}
		}
		for _, line := range strings.Split(string(own)+string(other), "\n") {
			if secret, ok := strings.CutPrefix(line, "key "); ok && strings.Contains(out, secret) {
				t.Errorf("%s root key: the server shows a key", what)
			}
		}
	}
	write(t, name, own)
	start(t, launch{binary: binary, data: a}).stop(t)
}

// testSecondOwner starts a second process on the data directory of a running one.
func testSecondOwner(t *testing.T, binary string) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	s := start(t, launch{binary: binary, data: data})
	out := refused(t, launch{binary: binary, data: data})
	for _, part := range []string{data, "another process", fmt.Sprint(s.cmd.Process.Pid)} {
		if !strings.Contains(out, part) {
			t.Errorf("the second process says %q, without %q", out, part)
		}
	}
	// The first is none the worse for it.
	c := newCaller(t, s)
	c.use(t.Context(), t, must(t, "create key", c.createKey(t.Context(), "k", aes256(), "")).text("id"))
	s.kill()
	start(t, launch{binary: binary, data: data}).stop(t) // and a killed one owns nothing
}

// testDamagedMaterial changes sealed material behind the server's back.
func testDamagedMaterial(t *testing.T, binary string) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	ctx := t.Context()
	s := start(t, launch{binary: binary, data: data})
	c := newCaller(t, s)
	type victim struct {
		key, ciphertext string
		id, version     keys.ID
	}
	victims := make([]victim, 5)
	for i := range victims {
		v := &victims[i]
		v.key = must(t, "create key", c.createKey(ctx, "victim", aes256(), "")).text("id")
		v.ciphertext = must(t, "encrypt", c.encrypt(ctx, v.key, []byte("plain text"))).text("ciphertext")
		k := c.show(ctx, t, v.key)
		v.id, v.version = k.ID, k.Versions[0].ID
	}
	s.stop(t)
	bytesOf := sealed(t, data, victims[0].version, victims[1].version, victims[2].version, victims[3].version)
	const set = "UPDATE versions SET sealed = ? WHERE id = ?"
	// Two rows are exchanged; one byte of a third is flipped; a fourth is cut off.
	edit(t, data, set, bytesOf[1], victims[0].version[:])
	edit(t, data, set, bytesOf[0], victims[1].version[:])
	bytesOf[2][len(bytesOf[2])/2] ^= 0x10
	edit(t, data, set, bytesOf[2], victims[2].version[:])
	edit(t, data, set, bytesOf[3][:len(bytesOf[3])-1], victims[3].version[:])

	s = start(t, launch{binary: binary, data: data})
	c = newCaller(t, s)
	for i, v := range victims[:4] {
		for cloud, a := range map[string]answer{
			"oci":     c.decrypt(ctx, v.key, v.ciphertext),
			"alibaba": c.alibaba(ctx, "Decrypt", "CiphertextBlob", v.ciphertext),
			"encrypt": c.encrypt(ctx, v.key, []byte("plain text")),
		} {
			if a.err != nil || a.status != http.StatusInternalServerError {
				t.Errorf("victim %d, %s: answered %s, want status 500", i, cloud, a)
			}
			if code := a.text("code") + a.text("Code"); code != map[string]string{
				"oci": "InternalServerError", "encrypt": "InternalServerError", "alibaba": "InternalFailure",
			}[cloud] {
				t.Errorf("victim %d, %s: the code is %q", i, cloud, code)
			}
			if bytes.Contains(a.body, []byte(base64.StdEncoding.EncodeToString([]byte("plain text")))) {
				t.Errorf("victim %d, %s: the plaintext is answered", i, cloud)
			}
			if strings.Contains(a.String(), v.version.String()) {
				t.Errorf("victim %d, %s: the caller is told what only the log should say: %s", i, cloud, a)
			}
			line := s.logged(t, a.requestID())
			if !strings.Contains(line, "key version "+v.version.String()) {
				t.Errorf("victim %d, %s: the log does not name the key version %s:\n%s", i, cloud, v.version, line)
			}
		}
	}
	c.opens(ctx, t, victims[4].key, victims[4].ciphertext, []byte("plain text"))
	s.stop(t)

	edit(t, data, set, bytesOf[0], victims[0].version[:])
	s = start(t, launch{binary: binary, data: data})
	c = newCaller(t, s)
	c.opens(ctx, t, victims[0].key, victims[0].ciphertext, []byte("plain text"))
}

// testFirstAnswer tells how long a start takes. It judges nothing: that is the reader's, who
// knows the machine.
func testFirstAnswer(t *testing.T, binary string) {
	data := filepath.Join(t.TempDir(), "data")
	for _, l := range []struct {
		what string
		launch
	}{
		{"in memory", launch{binary: binary}},
		{"a new data directory", launch{binary: binary, data: data}},
		{"the same data directory again", launch{binary: binary, data: data}},
	} {
		began := time.Now()
		s := start(t, l.launch)
		ready := time.Since(began)
		c := newCaller(t, s)
		must(t, "create key", c.createKey(t.Context(), "first", aes256(), ""))
		t.Logf("%s: ready after %v, the first signed request answered after %v", l.what, ready.Round(time.Millisecond),
			time.Since(began).Round(time.Millisecond))
		s.stop(t)
	}
}

// testInterrupt stops a server as ctrl-C does while requests are under way: they are answered,
// others are not accepted, and nothing is left behind.
func testInterrupt(t *testing.T, binary string) {
	t.Parallel()
	for _, data := range []string{"", filepath.Join(t.TempDir(), "data")} {
		name := "in memory"
		if data != "" {
			name = "with data"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, launch{binary: binary, data: data})
			c := newCaller(t, s)
			var flights []*flight
			for i := range 8 {
				flights = append(flights, takeOff(t, c, fmt.Sprint("in flight ", i)))
			}
			s.signal(syscall.SIGINT)
			s.refusesConnections(t)
			select {
			case <-s.ended:
				t.Fatal("the server ended with requests in flight")
			default:
			}
			ids := make([]string, len(flights))
			var wg sync.WaitGroup
			for i, f := range flights {
				wg.Go(func() { ids[i] = f.land(t) })
			}
			wg.Wait()
			s.await(t)
			if s.err != nil {
				t.Errorf("the server ended with %v, want status 0\n%s", s.err, s.output(t))
			}
			s.nothingLeft(t)
			if data == "" {
				return
			}
			onlyTheOwners(t, data)
			sound(t, data)
			s = start(t, launch{binary: binary, data: data})
			c = newCaller(t, s)
			for _, id := range ids {
				c.use(t.Context(), t, id)
			}
			s.stop(t)
			s.nothingLeft(t)
		})
	}
}

// onlyTheOwners checks that nobody but their owner may read the files below dir.
func onlyTheOwners(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// sound checks the store of a server that is not running.
func sound(t *testing.T, data string) {
	t.Helper()
	check := func(s store.Store) error { return storetest.Check(t.Context(), s) }
	if err := inStore(t.Context(), data, check); err != nil {
		t.Errorf("the store is broken: %v", err)
	}
}

// refusesConnections waits until the server accepts no connections any more.
func (s *server) refusesConnections(t *testing.T) {
	t.Helper()
	for _, host := range s.endpoints(t) {
		refused := false
		for range ticks(t, poll) {
			conn, err := net.Dial("tcp", host)
			if refused = err != nil; refused {
				break
			}
			conn.Close()
		}
		if !refused {
			t.Fatalf("%s accepts connections %v after an interrupt", host, hang)
		}
	}
}

// flight is a request of which the server has the beginning.
type flight struct {
	conn net.Conn
	rest []byte
	req  *http.Request
}

// takeOff sends all but the last byte of a request that creates a key, and waits until the
// server has begun to answer it: it asks for the body.
func takeOff(t *testing.T, c *caller, name string) *flight {
	t.Helper()
	req, err := c.ociRequest(context.Background(), http.MethodPost, c.ready.OCI.ManagementEndpoint+"/20180608/keys", map[string]any{
		"compartmentId": c.ready.OCI.Compartment, "displayName": name, "keyShape": aes256(), "protectionMode": "SOFTWARE",
	}, "Expect", "100-continue")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	var raw bytes.Buffer
	if err := req.Write(&raw); err != nil {
		t.Fatal(err)
	}
	head := raw.Len() - len(body)
	conn, err := net.Dial("tcp", req.URL.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(hang)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(raw.Bytes()[:head]); err != nil {
		t.Fatal(err)
	}
	const proceed = "HTTP/1.1 100 Continue\r\n\r\n"
	got := make([]byte, len(proceed))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != proceed {
		t.Fatalf("the server says %q (%v) to a request that waits", got, err)
	}
	return &flight{conn, raw.Bytes()[head:], req}
}

// land sends the rest and returns the id of the key that the answer names.
func (f *flight) land(t *testing.T) string {
	t.Helper()
	if _, err := f.conn.Write(f.rest); err != nil {
		t.Errorf("finish a request in flight: %v", err)
		return ""
	}
	resp, err := http.ReadResponse(bufio.NewReader(f.conn), f.req)
	if err != nil {
		t.Errorf("a request in flight has no answer: %v", err)
		return ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	a := answer{resp.StatusCode, resp.Header, body, err}
	if !a.ok() {
		t.Errorf("a request in flight is answered %s", a)
	}
	return a.text("id")
}
