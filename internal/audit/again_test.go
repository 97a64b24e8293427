// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// movingClock stands still until it is moved on.
type movingClock struct{ ahead atomic.Int64 }

func (c *movingClock) now() time.Time { return born().Add(time.Duration(c.ahead.Load())) }

// TestBeginAgain fails one step after another, as a full disk does, and then lets it succeed: the
// log takes events again, and nothing that was acknowledged is missing.
func TestBeginAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		step    string
		durable bool
		size    int64
		tear    int
	}{
		{step: "write"},
		{step: "write", tear: 20},
		{step: "write", tear: 1 << 20},
		{step: "write", durable: true},
		{step: "sync", durable: true},
		{step: "sync", size: 1},
		{step: "create", size: 1},
		{step: "close", size: 1},
		{step: "sync path"},
	} {
		name := c.step
		if c.tear > 0 {
			name += ", torn"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, clock, d := t.TempDir(), &movingClock{}, &fakeDisk{fail: map[string]error{}, tear: c.tear}
			opts := Options{Node: "n", Clock: clock.now, Rand: rand.Reader, Durable: c.durable, SegmentSize: c.size, SyncEvery: time.Hour}
			l := startOn(t, dir, opts, d)
			acknowledged := map[string]bool{}
			append1 := func(id string) error {
				err := l.Append(Event{Request: id, Outcome: OutcomeOK})
				if err == nil {
					acknowledged[id] = true
				}
				return err
			}
			if err := append1("before"); err != nil {
				t.Fatal(err)
			}
			d.set(func() { d.fail[c.step] = errDisk })
			if c.step == "sync path" {
				d.set(func() { d.fail["write"] = errDisk })
			}
			var all sync.WaitGroup
			var mu sync.Mutex
			for _, id := range []string{"a", "b", "c"} {
				all.Go(func() {
					if l.Append(Event{Request: id, Outcome: OutcomeOK}) == nil {
						mu.Lock()
						defer mu.Unlock()
						acknowledged[id] = true
					}
				})
			}
			all.Wait()
			if l.Healthy() == nil {
				t.Fatal("the log has not stopped")
			}
			clock.ahead.Add(int64(retryEvery))                              // the disk is still full
			if c.step != "write" && c.step != "sync" && c.step != "close" { // what a new segment needs
				if err := append1("while it is full"); !errors.Is(err, errDisk) {
					t.Errorf("while the disk is full: %v", err)
				}
			}
			d.set(func() { clear(d.fail) })
			clock.ahead.Add(int64(retryEvery))
			if err := l.Healthy(); err != nil {
				t.Errorf("once there is room: %v", err)
			}
			for _, id := range []string{"after", "and on"} {
				if err := append1(id); err != nil {
					t.Errorf("once there is room: %v", err)
				}
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			report, err := Walk(dir, func(r Record) error { delete(acknowledged, r.Event.Request); return nil })
			if err != nil || len(report.Torn) > 1 {
				t.Errorf("the chain: %v, %d torn lines", err, len(report.Torn))
			}
			if len(acknowledged) > 0 {
				t.Errorf("acknowledged and not there: %v", acknowledged)
			}
			again := startOn(t, dir, opts, &fakeDisk{})
			if err := errors.Join(again.Append(Event{}), again.Close()); err != nil {
				t.Errorf("opened again: %v", err)
			}
		})
	}
}

// TestBeginAgainNeedsWhatWasAcknowledged takes a line away that was acknowledged: the log does not
// go on over the gap.
func TestBeginAgainNeedsWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	dir, clock, d := t.TempDir(), &movingClock{}, &fakeDisk{fail: map[string]error{}}
	l := startOn(t, dir, Options{Node: "n", Clock: clock.now, Rand: rand.Reader, SyncEvery: time.Hour}, d)
	if err := l.Append(Event{Request: "acknowledged"}); err != nil {
		t.Fatal(err)
	}
	d.set(func() { d.fail["write"] = errDisk })
	if l.Append(Event{}) == nil {
		t.Fatal("the log has not stopped")
	}
	d.set(func() { clear(d.fail) })
	path := filepath.Join(dir, l.name)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for what, content := range map[string][]byte{
		"cut off": whole[:l.safe.size], "changed": append(append([]byte{}, whole[:l.safe.size]...), `{"seq":2,"event":{},"hash":"00"}`+"\n"...),
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		clock.ahead.Add(int64(retryEvery))
		var broken *BreakError
		if err := l.Healthy(); !errors.As(err, &broken) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	clock.ahead.Add(int64(retryEvery))
	if err := errors.Join(l.Healthy(), l.Append(Event{}), l.Close()); err != nil {
		t.Errorf("once it is there again: %v", err)
	}
}
