// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"
	"time"

	"claviger/internal/keys"
)

// born is when the tests' machine clock starts.
func born() time.Time { return time.Date(2026, 11, 21, 18, 30, 12, 345_678_000, time.UTC) }

// testClock is a machine clock that moves when told.
type testClock struct{ now time.Time }

func (c *testClock) Now() time.Time { return c.now }

func options() Options {
	return Options{Node: "n1", Clock: born, Rand: rand.Reader, SyncEvery: time.Hour}
}

func mustStart(t testing.TB, dir string, opts Options) *Log {
	t.Helper()
	l, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func mustClose(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func mustAppend(t testing.TB, l *Log, requests ...string) {
	t.Helper()
	for _, r := range requests {
		if err := l.Append(Event{Time: born(), Request: r, Outcome: OutcomeOK}); err != nil {
			t.Errorf("append %s: %v", r, err) // not fatal: other goroutines call it too
			return
		}
	}
}

// full has every field.
func full() Event {
	id := func(fill byte) keys.ID { return keys.ID(bytes.Repeat([]byte{fill}, 16)) }
	return Event{
		Time: born(), Request: "r1", Dialect: "oci", Operation: "Encrypt", Action: "Encrypt",
		Principal: id(1), Credential: id(2), Session: id(7), SessionName: "ci", Tenant: id(3), Vault: id(4), Key: id(5), Version: id(6),
		Outcome: "denied", Reason: "the principal has no role on \"v\"", Source: "127.0.0.1:5000",
		Context: map[string]string{"b": "2", "a": "1\n"}, Revision: 7,
	}
}

// requests lists the request ids in dir, in order, and fails if the chain is broken.
func requests(t testing.TB, dir string) ([]string, Report) {
	t.Helper()
	var out []string
	report, err := Walk(dir, func(r Record) error {
		out = append(out, r.Event.Request)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out, report
}

// segmentPaths lists the segments of dir in order.
func segmentPaths(t testing.TB, dir string) []string {
	t.Helper()
	files, err := segments(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range files {
		out = append(out, filepath.Join(dir, f.name))
	}
	return out
}

func mustRead(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustWrite(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
