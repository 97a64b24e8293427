// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Report tells what [Verify] has seen.
type Report struct {
	Segments int
	Events   uint64
	First    uint64 // number of the oldest line there is; above 1 if segments were pruned
	Head     Head   // the end of the chain; keep it elsewhere to see later that nothing was cut off
	Torn     []Torn // what killed processes left, in the order of the segments
}

// Torn is a line that a process began to write and never acknowledged, because it was killed.
type Torn struct {
	File  string
	Line  int
	Bytes int
}

// Record is one event as it was read.
type Record struct {
	File     string // name of the segment
	Line     int    // in that segment, from 1
	Sequence uint64
	Event    Event
	Hash     [32]byte
}

// BreakError tells where a chain is not as a [Log] writes it.
type BreakError struct {
	File   string // name of the segment
	Line   int    // in that segment, from 1; 0 if it concerns the segment as a whole
	Reason string
}

// Error names file, line and what is wrong.
func (e *BreakError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("audit segment %s: %s", e.File, e.Reason)
	}
	return fmt.Sprintf("audit segment %s, line %d: %s", e.File, e.Line, e.Reason)
}

// Verify checks every line of every segment in dir: form, sequence, hash, and the links between
// the segments. At the first break it returns a [*BreakError] and what it has seen until then.
// A directory without segments is an error that wraps [fs.ErrNotExist]. It needs no lock, and
// may be called while a log writes there: a line that is just being written counts as torn.
func Verify(dir string) (Report, error) { return Walk(dir, nil) }

// Walk is [Verify], and calls visit with each event in order. It stops at the first error that
// visit returns, and returns it as it is.
func Walk(dir string, visit func(Record) error) (Report, error) {
	files, err := segments(dir)
	if err != nil {
		return Report{}, fmt.Errorf("verify audit log: %w", err)
	}
	if len(files) == 0 {
		return Report{}, fmt.Errorf("verify audit log: no segments in %s: %w", dir, fs.ErrNotExist)
	}
	w := walker{visit: visit, pruned: map[string]string{}}
	for _, f := range files {
		r, err := os.Open(filepath.Join(dir, f.name))
		if err != nil {
			return w.report, fmt.Errorf("verify audit log: %w", err)
		}
		err = w.segment(f.name, r)
		_ = r.Close() // only read
		if err != nil {
			return w.report, err
		}
	}
	return w.report, w.finish()
}

// A walker goes through segments in order.
type walker struct {
	visit  func(Record) error
	report Report
	oldest header            // of the first segment
	before header            // of the segment before this one
	pruned map[string]string // removed segment → its last hash, as pruned records say

	file string // the segment at hand
	line int
}

func (w *walker) broken(form string, args ...any) error {
	return &BreakError{File: w.file, Line: w.line, Reason: fmt.Sprintf(form, args...)}
}

// segment goes through one segment.
func (w *walker) segment(name string, r io.Reader) error {
	w.file, w.line = name, 0
	lines := bufio.NewReaderSize(r, 64<<10)
	var long []byte // holds a line that is longer than the reader's buffer
	for {
		text, err := lines.ReadSlice('\n')
		if len(long) > 0 || errors.Is(err, bufio.ErrBufferFull) {
			long = append(long, text...)
			text = long
		}
		if len(text) > maxLine {
			w.line++
			return w.broken("the line is longer than %d bytes", maxLine)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			return w.tail(text)
		case err != nil:
			return fmt.Errorf("read audit segment %s: %w", name, err)
		}
		w.line++
		if err := w.one(text[:len(text)-1]); err != nil {
			return err
		}
		long = long[:0]
	}
}

// tail judges what follows the last line feed of a segment.
func (w *walker) tail(rest []byte) error {
	w.line++
	if w.line == 1 {
		return w.broken("the segment has no whole line")
	}
	if len(rest) == 0 {
		return nil
	}
	if err := checkTorn(rest, w.report.Head); err != nil {
		return w.broken("%v", err)
	}
	w.report.Torn = append(w.report.Torn, Torn{File: w.file, Line: w.line, Bytes: len(rest)})
	return nil
}

// one checks one line against the chain before it.
func (w *walker) one(text []byte) error {
	l, err := parseLine(text)
	if err != nil {
		return w.broken("%v", err)
	}
	if (l.kind == kindHeader) != (w.line == 1) {
		return w.broken("a segment has one header, in its first line")
	}
	if w.line == 1 {
		if err := w.header(l); err != nil {
			return err
		}
	} else if l.seq != w.report.Head.Sequence+1 {
		return w.broken("sequence number %d follows %d", l.seq, w.report.Head.Sequence)
	}
	if !l.follows(w.report.Head.Hash) {
		return w.broken("the hash does not match: this line was changed, or one before it was changed, removed or moved")
	}
	w.report.Head = Head{l.seq, l.hash}
	switch l.kind {
	case kindEvent:
		return w.event(l)
	case kindPruned:
		var p pruned
		if err := strictJSON(l.content, &p); err != nil {
			return w.broken("pruned record: %v", err)
		}
		w.pruned[p.Segment] = p.Hash
	}
	return nil
}

func (w *walker) event(l line) error {
	ev, err := ParseEvent(l.content)
	if err != nil {
		return w.broken("event: %v", err)
	}
	w.report.Events++
	if w.visit == nil {
		return nil
	}
	return w.visit(Record{File: w.file, Line: w.line, Sequence: l.seq, Event: ev, Hash: l.hash})
}

// header checks a segment's first line against the segment before it. The oldest segment's word
// about the one before it is taken until finish finds out whether that one was pruned.
func (w *walker) header(l line) error {
	var h header
	if err := strictJSON(l.content, &h); err != nil {
		return w.broken("header: %v", err)
	}
	if h.Format != format {
		return w.broken("the format is %q, known is %q", h.Format, format)
	}
	if h.name() != w.file {
		return w.broken("the header is that of %s", h.name())
	}
	if (h.Previous == "") != (h.PreviousHash == "") || (h.Previous == "") != (h.Segment == 1) {
		return w.broken("the header must name the segment before, and its hash, unless it is the first")
	}
	var previous [32]byte
	if h.PreviousHash != "" && !decodeHash(previous[:], []byte(h.PreviousHash)) {
		return w.broken("the hash of the segment before is malformed")
	}
	w.report.Segments++
	if w.report.Segments == 1 {
		if h.Segment == 1 && l.seq != 1 {
			return w.broken("the first segment begins with sequence number %d", l.seq)
		}
		w.oldest, w.report.First = h, l.seq
		w.report.Head = Head{l.seq - 1, previous}
	} else if err := w.link(h, l.seq, previous); err != nil {
		return err
	}
	w.before = h
	return nil
}

func (w *walker) link(h header, seq uint64, previous [32]byte) error {
	switch end := w.report.Head; {
	case h.Segment != w.before.Segment+1:
		return w.broken("segment number %d follows %d", h.Segment, w.before.Segment)
	case h.Previous != w.before.name():
		return w.broken("the segment before should be %s, but is %s", h.Previous, w.before.name())
	case seq != end.Sequence+1:
		return w.broken("sequence number %d follows %d: the end of the segment before was cut off or added to", seq, end.Sequence)
	case previous != end.Hash:
		return w.broken("the segment before does not end with the hash that this one names")
	}
	return nil
}

// finish checks that the segment before the oldest was removed by Prune.
func (w *walker) finish() error {
	if h := w.oldest; h.Previous != "" && w.pruned[h.Previous] != h.PreviousHash {
		return &BreakError{
			File: h.name(), Line: 1,
			Reason: fmt.Sprintf("the segment before, %s, is missing, and no record says that it was pruned", h.Previous),
		}
	}
	return nil
}

// inFile makes a BreakError of what is wrong with the end of the segment at path.
func inFile(path string, err error) error {
	if err == nil {
		return nil
	}
	return &BreakError{File: filepath.Base(path), Reason: "its end is damaged: " + err.Error()}
}
