// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"claviger/internal/keys"
)

const (
	format        = "claviger-audit/1"
	segmentExt    = ".jsonl"
	unfinishedExt = ".tmp"
	nameTime      = "20060102T150405.000000Z"
)

// A header is the first line of a segment.
type header struct {
	Format       string    `json:"format"`
	Segment      uint64    `json:"segment"`
	Node         string    `json:"node"`
	Process      keys.ID   `json:"process"`
	Created      time.Time `json:"created"`
	Previous     string    `json:"previous,omitempty"`
	PreviousHash string    `json:"previous_hash,omitempty"`
}

// pruned tells of a removed segment and the hash of its last line.
type pruned struct {
	Segment string `json:"segment"`
	Hash    string `json:"hash"`
}

// name is the file name that belongs to the header.
func (h header) name() string {
	return fmt.Sprintf("%010d-%s-%s%s", h.Segment, h.Created.UTC().Format(nameTime), h.Process.String()[:8], segmentExt)
}

// content gives v as JSON after room free bytes.
func content(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return append(make([]byte, room), text...), nil
}

// segmentFile is what a segment's name tells.
type segmentFile struct {
	name    string
	number  uint64
	created time.Time
}

func parseName(name string) (segmentFile, bool) {
	base, ok := strings.CutSuffix(name, segmentExt)
	parts := strings.Split(base, "-")
	if !ok || len(parts) != 3 {
		return segmentFile{}, false
	}
	var f segmentFile
	if n, err := fmt.Sscanf(parts[0], "%d", &f.number); n != 1 || err != nil {
		return segmentFile{}, false
	}
	created, err := time.Parse(nameTime, parts[1])
	if err != nil || fmt.Sprintf("%010d", f.number) != parts[0] || created.Format(nameTime) != parts[1] {
		return segmentFile{}, false
	}
	f.name, f.created = name, created
	return f, true
}

// segments lists the segments of dir by their numbers. Files with other names are not ours.
func segments(dir string) ([]segmentFile, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []segmentFile
	for _, e := range entries {
		if f, ok := parseName(e.Name()); ok {
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b segmentFile) int {
		switch {
		case a.number < b.number:
			return -1
		case a.number > b.number:
			return 1
		}
		return 0
	})
	return out, nil
}

// lastLine reads the head of the chain at the end of a segment, without checking the chain
// before it. A torn line after it is passed over; anything else is a [*BreakError].
func lastLine(path string) (Head, error) {
	f, err := os.Open(path)
	if err != nil {
		return Head{}, err
	}
	defer f.Close() //nolint:errcheck // only read
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return Head{}, err
	}
	// The last whole line and a torn one after it are each at most maxLine long.
	for window := int64(64 << 10); ; window *= 8 {
		window = min(window, size)
		tail := make([]byte, window)
		if _, err := f.ReadAt(tail, size-window); err != nil {
			return Head{}, err
		}
		head, err := lastOf(tail, window == size)
		if !errors.Is(err, errShort) {
			return head, inFile(path, err)
		}
		if window > 2*int64(maxLine) {
			return Head{}, inFile(path, errors.New("the last line is too long"))
		}
	}
}

var errShort = errors.New("the line begins before the text")

// lastOf is lastLine of the end of a segment; whole says that it is all of it.
func lastOf(tail []byte, whole bool) (Head, error) {
	end := bytes.LastIndexByte(tail, '\n')
	start := 0
	if end > 0 {
		start = bytes.LastIndexByte(tail[:end], '\n') + 1
	}
	if end < 0 || start == 0 {
		if !whole {
			return Head{}, errShort
		}
		if end < 0 {
			return Head{}, errors.New("the segment has no whole line")
		}
	}
	l, err := parseLine(tail[start:end])
	if err != nil {
		return Head{}, err
	}
	if rest := tail[end+1:]; len(rest) > 0 {
		if err := checkTorn(rest, Head{l.seq, l.hash}); err != nil {
			return Head{}, err
		}
	}
	return Head{l.seq, l.hash}, nil
}

// checkTorn tells whether rest, what follows the last line feed of a segment, can be the
// beginning of the line after head, left by a process that was killed within a write. Zero bytes
// after it are what a file system may leave after a power loss.
func checkTorn(rest []byte, head Head) error {
	begun := bytes.TrimRight(rest, "\x00")
	want := fmt.Appendf(nil, `%s%d,"`, lineStart, head.Sequence+1)
	n := min(len(begun), len(want))
	if len(begun) > maxLine || !bytes.Equal(begun[:n], want[:n]) || bytes.ContainsFunc(begun, isControl) {
		return errors.New("what follows the last line is not the beginning of the next")
	}
	// A whole line that lacks only its line feed is torn as well, but then it must be right, and
	// nothing may stand where its line feed belongs.
	d := json.NewDecoder(bytes.NewReader(rest))
	var value json.RawMessage
	if d.Decode(&value) != nil {
		return nil
	}
	if l, err := parseLine(rest); err != nil || !l.follows(head.Hash) {
		return errors.New("the last line is whole but not right")
	}
	return nil
}

func isControl(r rune) bool { return r < 0x20 }

// osDisk is the real [disk].
type osDisk struct{}

// create lets the segment appear under its name once it is on disk, so that every segment has a
// whole header.
func (osDisk) create(dir, name string, first []byte) (file, error) {
	temp := filepath.Join(dir, name+unfinishedExt)
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(first)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(temp, filepath.Join(dir, name))
	}
	if err == nil {
		err = osDisk{}.sync(dir)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// removeUnfinished removes what a process left that was killed while it created a segment.
func removeUnfinished(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), segmentExt+unfinishedExt) {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

func (osDisk) remove(path string) error { return os.Remove(path) }

func (osDisk) sync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func hexHash(h [32]byte) string { return hex.EncodeToString(h[:]) }
