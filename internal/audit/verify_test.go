// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sample writes a log of two processes and four segments, of which the oldest was pruned.
func sample(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	clock := &testClock{now: born()}
	opts := options()
	opts.Clock = clock.Now
	l := mustStart(t, dir, opts)
	mustAppend(t, l, "gone")
	mustClose(t, l)

	clock.now = clock.now.Add(time.Hour)
	opts.SegmentSize = 800
	l = mustStart(t, dir, opts)
	if n, err := l.Prune(clock.now); n != 1 || err != nil {
		t.Fatalf("pruned %d, %v", n, err)
	}
	if err := l.Append(full()); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, "r2", "r3", "r4")
	mustClose(t, l)
	if n := len(segmentPaths(t, dir)); n != 3 {
		t.Fatalf("%d segments, want 3", n)
	}
	return dir
}

// breaks fails if dir verifies, or if the error is not a BreakError.
func breaks(t *testing.T, dir, what string) *BreakError {
	t.Helper()
	_, err := Verify(dir)
	var broken *BreakError
	if !errors.As(err, &broken) {
		t.Errorf("%s: %v, want a BreakError", what, err)
		return &BreakError{}
	}
	return broken
}

func TestVerifyReports(t *testing.T) {
	t.Parallel()
	dir := sample(t)
	got, report := requests(t, dir)
	if diff := cmp.Diff([]string{"r1", "r2", "r3", "r4"}, got); diff != "" {
		t.Error(diff)
	}
	// Lines 1 and 2 are the pruned segment; then a header, the pruned record and r1, a header,
	// r2 to r4, a header.
	want := Report{Segments: 3, Events: 4, First: 3, Head: report.Head}
	if diff := cmp.Diff(want, report); diff != "" {
		t.Error(diff)
	}
	if report.Head.Sequence != 10 || report.Head.Hash == [32]byte{} {
		t.Errorf("head is %+v", report.Head)
	}
}

func TestVerifyFindsEveryFlippedByte(t *testing.T) {
	t.Parallel()
	t.Run("several segments", func(t *testing.T) {
		t.Parallel()
		flipEveryByte(t, sample(t))
	})
	t.Run("one segment", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		l := mustStart(t, dir, options())
		mustAppend(t, l, "r1", "r2")
		mustClose(t, l)
		flipEveryByte(t, dir)
	})
}

func flipEveryByte(t *testing.T, dir string) {
	for _, path := range segmentPaths(t, dir) {
		good := mustRead(t, path)
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		put := func(i int, c byte) {
			if _, err := f.WriteAt([]byte{c}, int64(i)); err != nil {
				t.Fatal(err)
			}
		}
		for i, c := range good {
			for _, bad := range []byte{c ^ 0x01, c ^ 0x20, c ^ 0x80, '\n', 0} {
				if bad == c {
					continue
				}
				put(i, bad)
				b := breaks(t, dir, fmt.Sprintf("%s: byte %d from %q to %q", filepath.Base(path), i, c, bad))
				line := 1 + bytes.Count(good[:i], []byte{'\n'})
				// A change is seen in its own line, unless it moves the end of the line before.
				if b.File == filepath.Base(path) && b.Line != line {
					t.Errorf("byte %d is in line %d, found in %v", i, line, b)
				}
			}
			put(i, c)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Verify(dir); err != nil {
		t.Errorf("put back as it was: %v", err)
	}
}

func TestVerifyFindsMovedLines(t *testing.T) {
	t.Parallel()
	dir := sample(t)
	for _, path := range segmentPaths(t, dir) {
		good := mustRead(t, path)
		lines := bytes.SplitAfter(good, []byte{'\n'})
		lines = lines[:len(lines)-1]
		newest := strings.HasPrefix(filepath.Base(path), "0000000004")
		try := func(what string, lines [][]byte) {
			mustWrite(t, path, slices.Concat(lines...))
			_ = breaks(t, dir, filepath.Base(path)+": "+what)
		}
		for i := range lines {
			if !newest || i < len(lines)-1 || i == 0 {
				try(fmt.Sprintf("line %d removed", i+1), slices.Delete(slices.Clone(lines), i, i+1))
			}
			for j := range lines {
				if i != j {
					moved := slices.Delete(slices.Clone(lines), i, i+1)
					try(fmt.Sprintf("line %d moved to %d", i+1, j+1), slices.Insert(moved, j, lines[i]))
				}
				try(fmt.Sprintf("line %d repeated at %d", i+1, j+1), slices.Insert(slices.Clone(lines), j+1, lines[i]))
			}
		}
		mustWrite(t, path, good)
	}
}

// The newest segment may end anywhere, since a process may be killed anywhere; an older one only
// where the next one says.
func TestVerifyFindsCutSegments(t *testing.T) {
	t.Parallel()
	dir := sample(t)
	_, whole := requests(t, dir)
	paths := segmentPaths(t, dir)
	for k, path := range paths {
		good := mustRead(t, path)
		for n := len(good) - 1; n >= 0; n-- {
			if err := os.Truncate(path, int64(n)); err != nil {
				t.Fatal(err)
			}
			first := bytes.IndexByte(good, '\n') + 1
			if k < len(paths)-1 || n < first {
				b := breaks(t, dir, fmt.Sprintf("%s cut to %d bytes", filepath.Base(path), n))
				if n >= first && !strings.Contains(b.Reason, "cut off") {
					t.Errorf("%s cut to %d bytes: found as %v", filepath.Base(path), n, b)
				}
				continue
			}
			report, err := Verify(dir)
			if err != nil {
				t.Errorf("newest cut to %d bytes: %v", n, err)
			}
			if report.Head == whole.Head {
				t.Errorf("newest cut to %d bytes: the head is the same", n)
			}
			if wantTorn := good[n-1] != '\n'; wantTorn != (len(report.Torn) == 1) {
				t.Errorf("newest cut to %d bytes: torn %v", n, report.Torn)
			}
		}
		mustWrite(t, path, good)
	}
}

func TestVerifyFindsMissingAndStrangeSegments(t *testing.T) {
	t.Parallel()
	dir := sample(t)
	paths := segmentPaths(t, dir)
	for i, path := range paths[:2] {
		away := filepath.Join(t.TempDir(), "away")
		if err := os.Rename(path, away); err != nil {
			t.Fatal(err)
		}
		_ = breaks(t, dir, fmt.Sprintf("segment %d missing", i))
		if err := os.Rename(away, path); err != nil {
			t.Fatal(err)
		}
	}
	copied := filepath.Join(dir, "0000000005"+filepath.Base(paths[2])[10:])
	mustWrite(t, copied, mustRead(t, paths[2]))
	_ = breaks(t, dir, "segment copied to the next number")
	if err := os.Remove(copied); err != nil {
		t.Fatal(err)
	}
	twin := strings.Replace(paths[2], ".jsonl", "0.jsonl", 1)
	mustWrite(t, twin, mustRead(t, paths[2]))
	_ = breaks(t, dir, "segment twice")
	if err := os.Remove(twin); err != nil {
		t.Fatal(err)
	}
	renamed := strings.Replace(paths[2], ".jsonl", "x.jsonl", 1)
	if err := os.Rename(paths[2], renamed); err != nil {
		t.Fatal(err)
	}
	_ = breaks(t, dir, "segment renamed")
	if err := os.Rename(renamed, paths[2]); err != nil {
		t.Fatal(err)
	}
	a, b := mustRead(t, paths[0]), mustRead(t, paths[1])
	mustWrite(t, paths[0], b)
	mustWrite(t, paths[1], a)
	_ = breaks(t, dir, "segments exchanged")
}

// Somebody who writes an old segment anew, with all hashes right, is betrayed by the next one.
func TestVerifyFindsRewrittenSegment(t *testing.T) {
	t.Parallel()
	dir := sample(t)
	path := segmentPaths(t, dir)[1]
	lines := bytes.SplitAfter(mustRead(t, path), []byte{'\n'})
	first, err := parseLine(bytes.TrimSuffix(lines[0], []byte{'\n'}))
	if err != nil {
		t.Fatal(err)
	}
	head, out := Head{first.seq, first.hash}, bytes.Clone(lines[0])
	for _, r := range []string{"r2", "forged", "r4"} {
		b := Event{Time: born(), Request: r, Outcome: OutcomeOK}.AppendJSON(make([]byte, room))
		out = append(out, head.seal(kindEvent, b)...)
	}
	mustWrite(t, path, out)
	b := breaks(t, dir, "segment rewritten")
	want := filepath.Base(segmentPaths(t, dir)[2])
	if b.File != want || b.Line != 1 || !strings.Contains(b.Reason, "does not end with the hash") {
		t.Errorf("found as %v, want line 1 of %s", b, want)
	}
}

func TestVerifyFindsUnrecordedPruning(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 3 {
		mustClose(t, mustStart(t, dir, options()))
	}
	if err := os.Remove(segmentPaths(t, dir)[0]); err != nil {
		t.Fatal(err)
	}
	if b := breaks(t, dir, "oldest removed"); !strings.Contains(b.Reason, "pruned") {
		t.Errorf("found as %v", b)
	}
}

func TestVerifyNamesTheLine(t *testing.T) {
	t.Parallel()
	dir := sample(t)
	path := segmentPaths(t, dir)[1]
	text := mustRead(t, path)
	mustWrite(t, path, bytes.Replace(text, []byte(`"r3"`), []byte(`"r9"`), 1))
	report, err := Verify(dir)
	want := fmt.Sprintf("audit segment %s, line 3: the hash does not match", filepath.Base(path))
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error is %v, want %s…", err, want)
	}
	if report.Events != 2 {
		t.Errorf("%d events were right before the break, want 2", report.Events)
	}
}

func TestVerifyWithoutSegments(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustWrite(t, filepath.Join(dir, "notes.txt"), []byte("not ours"))
	if _, err := Verify(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("empty directory: %v, want fs.ErrNotExist", err)
	}
	if _, err := Verify(filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing directory: %v, want fs.ErrNotExist", err)
	}
}

func TestWalkStops(t *testing.T) {
	t.Parallel()
	stop := errors.New("enough")
	n := 0
	_, err := Walk(sample(t), func(r Record) error {
		n++
		return stop
	})
	if err != stop || n != 1 { //nolint:errorlint // the very error is promised
		t.Errorf("after %d events: %v", n, err)
	}
}

func FuzzLine(f *testing.F) {
	var h Head
	for _, kind := range []string{kindHeader, kindEvent, kindPruned} {
		line := h.seal(kind, append(make([]byte, room), `{"a":1}`...))
		f.Add(bytes.TrimSuffix(line, []byte{'\n'}))
	}
	f.Add([]byte(`{"seq":01,"event":{},"hash":""}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := parseLine(text)
		if err != nil {
			return
		}
		// Only one text gives these parts.
		again := fmt.Appendf(nil, `{"seq":%d,"%s":%s,"hash":"%x"}`, l.seq, l.kind, l.content, l.hash)
		if !bytes.Equal(text, again) {
			t.Fatalf("%q parses, but is written as %q", text, again)
		}
	})
}

func FuzzSegment(f *testing.F) {
	dir := sample(f)
	for _, path := range segmentPaths(f, dir) {
		text := mustRead(f, path)
		f.Add(filepath.Base(path), text)
		f.Add(filepath.Base(path), text[:len(text)-100])
	}
	f.Add("0000000001-20261121T183012.345678Z-00000000.jsonl", []byte{})
	f.Fuzz(func(t *testing.T, name string, text []byte) {
		w := walker{pruned: map[string]string{}}
		if err := w.segment(name, bytes.NewReader(text)); err != nil {
			var broken *BreakError
			if !errors.As(err, &broken) {
				t.Fatalf("refused with %v, want a BreakError", err)
			}
			return
		}
		// What a new process links to is where the whole chain ends.
		end, err := lastOf(text, true)
		if err != nil || end != w.report.Head {
			t.Fatalf("verified up to %+v, but the end is read as %+v, %v", w.report.Head, end, err)
		}
	})
}
