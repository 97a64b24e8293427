// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAppendIsWrittenBeforeItReturns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustStart(t, dir, options())
	path := segmentPaths(t, dir)[0]
	for i := range 20 {
		r := fmt.Sprintf("request-%d", i)
		mustAppend(t, l, r)
		if !bytes.Contains(mustRead(t, path), []byte(`"`+r+`"`)) {
			t.Fatalf("%s is not in the file", r)
		}
	}
	if _, report := requests(t, dir); report.Head != l.Head() {
		t.Errorf("head is %+v, verified up to %+v", l.Head(), report.Head)
	}
	mustClose(t, l)
}

func TestLogFilesArePrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	mustClose(t, mustStart(t, dir, options()))
	for path, want := range map[string]os.FileMode{dir: 0o700 | os.ModeDir, segmentPaths(t, dir)[0]: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: mode %v, %v, want %v", path, info.Mode(), err, want)
		}
	}
}

func TestEachProcessBeginsALinkedSegment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 3 {
		l := mustStart(t, dir, options())
		mustAppend(t, l, fmt.Sprint(i))
		mustClose(t, l)
	}
	got, report := requests(t, dir)
	if diff := cmp.Diff([]string{"0", "1", "2"}, got); diff != "" {
		t.Error(diff)
	}
	if report.Segments != 3 || report.Head.Sequence != 6 {
		t.Errorf("report is %+v", report)
	}
	first := filepath.Base(segmentPaths(t, dir)[0])
	if !strings.HasPrefix(first, "0000000001-20261121T183012.345678Z-") {
		t.Errorf("the first segment is called %s", first)
	}
}

func TestRotationUnderLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	opts := options()
	opts.SegmentSize = 8 << 10
	opts.SyncEvery = time.Millisecond
	l := mustStart(t, dir, opts)
	const workers, each = 8, 100
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				if err := l.Append(Event{Time: born(), Request: fmt.Sprintf("%d/%d", w, i), Outcome: OutcomeOK}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	mustClose(t, l)
	got, report := requests(t, dir)
	next := [workers]int{}
	for _, r := range got {
		var w, i int
		if _, err := fmt.Sscanf(r, "%d/%d", &w, &i); err != nil || next[w] != i {
			t.Fatalf("request %s, want %d of that worker; %v", r, next[w], err)
		}
		next[w]++
	}
	if len(got) != workers*each || report.Segments < 5 {
		t.Errorf("%d events in %d segments", len(got), report.Segments)
	}
}

func TestDurableLogOnFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	opts := options()
	opts.Durable, opts.SegmentSize = true, 2<<10
	l := mustStart(t, dir, opts)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 10 {
				mustAppend(t, l, "r")
			}
		})
	}
	wg.Wait()
	mustClose(t, l)
	if got, _ := requests(t, dir); len(got) != 40 {
		t.Errorf("%d events, want 40", len(got))
	}
}

func TestOneWriterPerDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustStart(t, dir, options())
	if _, err := Open(dir, options()); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second writer: %v", err)
	}
	mustClose(t, l)
	mustClose(t, mustStart(t, dir, options()))
	if _, report := requests(t, dir); report.Segments != 2 {
		t.Errorf("%d segments, want 2: the refused writer must leave none", report.Segments)
	}
}

func TestTornLineIsPassedOver(t *testing.T) {
	t.Parallel()
	for what, tear := range map[string]func([]byte) []byte{
		"within the event": func(b []byte) []byte { return b[:len(b)-100] },
		"before the end":   func(b []byte) []byte { return b[:len(b)-1] },
		"zeros after it":   func(b []byte) []byte { return append(b[:len(b)-100], make([]byte, 5000)...) },
		"only zeros": func(b []byte) []byte {
			return append(b[:bytes.LastIndexByte(b[:len(b)-1], '\n')+1], make([]byte, 5000)...)
		},
	} {
		dir := t.TempDir()
		l := mustStart(t, dir, options())
		mustAppend(t, l, "r1", "r2")
		mustClose(t, l)
		path := segmentPaths(t, dir)[0]
		mustWrite(t, path, tear(mustRead(t, path)))
		got, report := requests(t, dir)
		if diff := cmp.Diff([]string{"r1"}, got); diff != "" || len(report.Torn) != 1 {
			t.Errorf("%s: torn %v, %s", what, report.Torn, diff)
		}
		l = mustStart(t, dir, options())
		mustAppend(t, l, "r3")
		mustClose(t, l)
		got, report = requests(t, dir)
		if diff := cmp.Diff([]string{"r1", "r3"}, got); diff != "" || len(report.Torn) != 1 || report.Torn[0].Line != 3 {
			t.Errorf("%s: restarted: torn %v, %s", what, report.Torn, diff)
		}
	}
}

func TestOpenRefusesDamagedEnd(t *testing.T) {
	t.Parallel()
	for what, damage := range map[string]func([]byte) []byte{
		"empty":          func([]byte) []byte { return nil },
		"no whole line":  func(b []byte) []byte { return b[:50] },
		"garbage":        func(b []byte) []byte { return append(b, "garbage"...) },
		"garbage line":   func(b []byte) []byte { return append(b, "garbage\n"...) },
		"zeros and more": func(b []byte) []byte { return append(append(b, 0, 0), b...) },
		"long line":      func(b []byte) []byte { return append(b, bytes.Repeat([]byte{'a'}, 3*maxLine)...) },
	} {
		dir := t.TempDir()
		mustClose(t, mustStart(t, dir, options()))
		path := segmentPaths(t, dir)[0]
		mustWrite(t, path, damage(mustRead(t, path)))
		var broken *BreakError
		if _, err := Open(dir, options()); !errors.As(err, &broken) || broken.File != filepath.Base(path) {
			t.Errorf("%s: %v, want a BreakError", what, err)
		}
		if n := len(segmentPaths(t, dir)); n != 1 {
			t.Errorf("%s: %d segments after the refusal", what, n)
		}
		if _, err := Verify(dir); !errors.As(err, &broken) {
			t.Errorf("%s: verify: %v, want a BreakError", what, err)
		}
	}
}

func TestOpenRemovesUnfinishedSegments(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	left := filepath.Join(dir, "0000000001-20261121T183012.345678Z-00000000.jsonl.tmp")
	mustWrite(t, left, []byte(`{"seq":1,"hea`))
	mustClose(t, mustStart(t, dir, options()))
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("the unfinished segment is still there: %v", err)
	}
	requests(t, dir)
}

func TestOpenNeedsRandomness(t *testing.T) {
	t.Parallel()
	noRand := errors.New("no randomness")
	opts := options()
	opts.Rand = iotest.ErrReader(noRand)
	if _, err := Open(t.TempDir(), opts); !errors.Is(err, noRand) {
		t.Errorf("open without randomness: %v", err)
	}
}

func TestTooLargeEventDoesNoHarm(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustStart(t, dir, options())
	big := func(n int) Event { return Event{Time: born(), Outcome: OutcomeOK, Reason: strings.Repeat("x", n)} }
	rest := len(big(1).AppendJSON(nil)) - 1
	if err := l.Append(big(maxContent - rest + 1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	if err := l.Append(big(maxContent - rest)); err != nil {
		t.Errorf("as large as allowed: %v", err)
	}
	mustAppend(t, l, "small")
	mustClose(t, l)
	if _, report := requests(t, dir); report.Events != 2 {
		t.Errorf("%d events, want 2", report.Events)
	}
	mustClose(t, mustStart(t, dir, options()))
	requests(t, dir)
}

func TestClosedLogRefuses(t *testing.T) {
	t.Parallel()
	l := mustStart(t, t.TempDir(), options())
	if err := l.Healthy(); err != nil {
		t.Errorf("healthy: %v", err)
	}
	mustClose(t, l)
	mustClose(t, l)
	if err := l.Append(full()); !errors.Is(err, ErrClosed) {
		t.Errorf("append: %v", err)
	}
	if err := l.Healthy(); !errors.Is(err, ErrClosed) {
		t.Errorf("healthy: %v", err)
	}
}

func TestPrune(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	clock := &testClock{now: born()}
	opts := options()
	opts.Clock = clock.Now
	for i := range 4 { // segments of hours 0 to 3
		l := mustStart(t, dir, opts)
		mustAppend(t, l, fmt.Sprint(i))
		mustClose(t, l)
		clock.now = clock.now.Add(time.Hour)
	}
	l := mustStart(t, dir, opts)
	hour := func(h int) time.Time { return born().Add(time.Duration(h) * time.Hour) }
	for _, c := range []struct {
		before  time.Time
		removed int
		left    []string
	}{
		{hour(0), 0, []string{"0", "1", "2", "3"}},
		{hour(1).Add(-1), 0, []string{"0", "1", "2", "3"}}, // its last record may be younger
		{hour(1), 1, []string{"1", "2", "3"}},
		{hour(1), 0, []string{"1", "2", "3"}},
		{hour(3), 2, []string{"3"}},
		{hour(100), 1, nil}, // the current one stays
		{hour(100), 0, nil},
	} {
		n, err := l.Prune(c.before)
		if err != nil || n != c.removed {
			t.Errorf("before %v: removed %d, %v, want %d", c.before, n, err, c.removed)
		}
		got, _ := requests(t, dir)
		if diff := cmp.Diff(c.left, got); diff != "" {
			t.Errorf("before %v: %s", c.before, diff)
		}
	}
	mustAppend(t, l, "4")
	mustClose(t, l)
	if got, _ := requests(t, dir); len(got) != 1 {
		t.Errorf("left %v", got)
	}
	if _, err := l.Prune(hour(100)); err != nil {
		t.Errorf("nothing to prune in a closed log: %v", err)
	}
}

// A segment is removed only after it is on record, durably.
func TestPruneOfStoppedLogRemovesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustClose(t, mustStart(t, dir, options()))
	l := mustStart(t, dir, options())
	mustClose(t, l)
	if n, err := l.Prune(born().Add(time.Hour)); n != 0 || !errors.Is(err, ErrClosed) {
		t.Errorf("removed %d, %v", n, err)
	}
	if _, report := requests(t, dir); report.Segments != 2 {
		t.Errorf("%d segments are left", report.Segments)
	}
}

var (
	_ Recorder = Discard{}
	_ Recorder = (*Memory)(nil)
	_ Recorder = (*Log)(nil)
)

func TestRecorders(t *testing.T) {
	t.Parallel()
	if err := (Discard{}).Append(full()); err != nil {
		t.Error(err)
	}
	m := NewMemory()
	ev := full()
	if err := m.Append(ev); err != nil {
		t.Fatal(err)
	}
	ev.Context["a"] = "changed later"
	if diff := cmp.Diff([]Event{full()}, m.Events()); diff != "" {
		t.Error(diff)
	}
	m.Fail(io.ErrClosedPipe)
	if err := m.Append(ev); !errors.Is(err, io.ErrClosedPipe) || len(m.Events()) != 1 {
		t.Errorf("append to a failing memory: %v, %d events", err, len(m.Events()))
	}
	m.Fail(nil)
	if err := m.Append(ev); err != nil {
		t.Error(err)
	}
}

func BenchmarkAppend(b *testing.B) {
	ev := full()
	ev.Context = nil
	for _, durable := range []bool{false, true} {
		b.Run(fmt.Sprintf("durable=%v", durable), func(b *testing.B) {
			l := mustStart(b, b.TempDir(), Options{Clock: time.Now, Rand: rand.Reader, Durable: durable})
			b.SetParallelism(16)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := l.Append(ev); err != nil {
						b.Error(err)
					}
				}
			})
			b.StopTimer()
			mustClose(b, l)
		})
	}
}
