// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// retryEvery is how often a log that has stopped tries to begin again: a disk that is full stays
// so for a while.
const retryEvery = 250 * time.Millisecond

// safe is the end of what is on the disk of a segment.
type safe struct {
	size int64
	head Head
}

// usable reports whether the log takes events. One that has stopped tries to begin again. It is
// called with mu held, which it keeps: nobody has anything to do meanwhile.
func (l *Log) usable() bool {
	if l.failure == nil {
		return true
	}
	if l.writing || l.syncing || l.opts.Clock().Before(l.retry) {
		return false
	}
	if err := l.again(); err != nil {
		l.failure = &Failure{Step: l.broke.Step, Err: fmt.Errorf("%w; begin again: %w", l.broke.Err, err)}
		l.retry = l.opts.Clock().Add(retryEvery)
		return false
	}
	l.failure = nil
	l.epoch++
	return true
}

// again does what a start does, once every line that was acknowledged is found and on the disk.
// Lines that were written and not acknowledged stay: their calls were refused, and are recorded.
func (l *Log) again() error {
	if err := l.secure(filepath.Join(l.dir, l.name)); err != nil {
		return err
	}
	old, name, number, head := l.file, l.name, l.number, l.head
	if err := l.begin(); err != nil {
		l.name, l.number, l.head = name, number, head
		return err
	}
	l.pending, l.next = l.pending[:0], nil
	_ = old.Close() // what it holds is on the disk by now
	return nil
}

// secure writes what may not be on the disk yet once more where it is, and syncs: after a sync
// that failed the system may take it for written. It must be what was acknowledged.
func (l *Log) secure(path string) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	text, err := io.ReadAll(io.NewSectionReader(f, l.safe.size, 1<<62))
	if err != nil {
		return err
	}
	at := l.safe.head
	found := at.Sequence == l.written && at.Hash == l.sum
	for rest := text; ; {
		line, after, whole := bytes.Cut(rest, []byte{'\n'})
		if !whole {
			break
		}
		got, err := parseLine(line)
		if err != nil || got.seq != at.Sequence+1 || !got.follows(at.Hash) {
			return inFile(path, fmt.Errorf("line %d is not what was written", at.Sequence+1))
		}
		at, rest = Head{got.seq, got.hash}, after
		found = found || at.Sequence == l.written && at.Hash == l.sum
	}
	if !found {
		return inFile(path, fmt.Errorf("line %d, which was acknowledged, is not there", l.written))
	}
	if _, err := f.WriteAt(text, l.safe.size); err != nil {
		return err
	}
	return f.Sync()
}
