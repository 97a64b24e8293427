// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// The functions of this file are called with mu held, and hold it again when they return.

// turn is one write of pending lines, for the calls whose lines they are.
type turn struct {
	led  bool          // one of the calls writes, or waits to
	done chan struct{} // closed when it is over; nil until somebody waits for it
	over atomic.Bool
	err  error // fixed before over is set
}

// end lets those who wait go. The first call counts.
func (t *turn) end(err error) {
	if t.over.Load() {
		return
	}
	t.err = err
	t.over.Store(true)
	if t.done != nil {
		close(t.done)
	}
}

// join is the turn in which what is pending will be written.
func (l *Log) join() *turn {
	if l.next == nil {
		l.next = &turn{}
	}
	return l.next
}

// finish returns when the turn of line seq is over. The first call of a turn writes it, and all lines that
// join it until the write begins; the others wait.
func (l *Log) finish(t *turn, seq, epoch uint64) {
	switch {
	case t.over.Load():
	case t.led:
		if t.done == nil {
			t.done = make(chan struct{})
		}
		l.mu.Unlock()
		<-t.done
		l.mu.Lock()
	default:
		t.led = true
		err := l.awaitWritten(seq, epoch)
		if l.next == t {
			l.next = nil
		}
		t.end(err)
	}
}

// awaitWritten waits until the operating system has line seq, and writes it if nobody else does.
// epoch is what it was when the line got its number.
func (l *Log) awaitWritten(seq, epoch uint64) error {
	for l.epoch != epoch || l.written < seq {
		switch {
		case l.epoch != epoch:
			return l.broke
		case l.failure != nil:
			return l.failure
		case l.writing:
			l.progress.Wait()
		default:
			l.write()
		}
	}
	return nil
}

// awaitSynced waits until the disk has line seq, and syncs if nobody else does. Line seq must
// have been written.
func (l *Log) awaitSynced(seq, epoch uint64) error {
	for l.epoch != epoch || l.synced < seq {
		switch {
		case l.epoch != epoch:
			return l.broke
		case l.failure != nil:
			return l.failure
		case l.syncing:
			l.progress.Wait()
		default:
			l.sync()
		}
	}
	return nil
}

// write hands all pending lines to the operating system, and begins the next segment after
// them when this one is full.
func (l *Log) write() {
	l.writing = true
	batch, last, sum, t := l.pending, l.head.Sequence, l.head.Hash, l.next
	l.pending, l.next = l.spare[:0], nil
	var name string
	var first []byte
	full := l.size+int64(len(batch)) >= l.opts.SegmentSize
	if full {
		// The header takes its place in the chain now: lines chained from here on go into
		// the next segment.
		var err error
		if name, first, err = l.nextSegment(); err != nil {
			l.fail("begin segment", err)
		}
	}
	if l.failure == nil {
		l.mu.Unlock()
		n, err := l.file.Write(batch)
		if err == nil && n < len(batch) {
			err = io.ErrShortWrite
		}
		l.mu.Lock()
		if err != nil {
			l.fail("write segment", err)
		} else {
			l.written, l.sum = last, sum
			l.size += int64(n)
		}
	}
	if cap(batch) <= 1<<20 {
		l.spare = batch[:0]
	} else {
		l.spare = nil
	}
	if full && l.failure == nil {
		l.progress.Broadcast()
		t.end(nil) // the others need not wait for the next segment
		l.rotate(name, first)
	}
	l.writing = false
	l.progress.Broadcast()
	select {
	case l.dirty <- struct{}{}:
	default:
	}
}

// sync brings everything that is written to the disk.
func (l *Log) sync() {
	l.syncing = true
	f, upTo := l.file, safe{l.size, Head{l.written, l.sum}}
	l.mu.Unlock()
	err := f.Sync()
	l.mu.Lock()
	l.syncing = false
	if err != nil {
		l.fail("sync segment", err)
	} else {
		l.synced, l.safe = upTo.head.Sequence, upTo
	}
	l.progress.Broadcast()
}

// rotate closes the segment and begins the next, called name with the line first. The caller
// has set writing.
func (l *Log) rotate(name string, first []byte) {
	for l.syncing {
		l.progress.Wait()
	}
	if l.failure != nil {
		return
	}
	l.syncing = true
	old := l.file
	l.mu.Unlock()
	err := old.Sync()
	var next file
	if err == nil {
		next, err = l.disk.create(l.dir, name, first)
	}
	l.mu.Lock()
	l.syncing = false
	if err != nil {
		l.fail("begin segment", err)
		return
	}
	l.began(next, name, first)
	if err := old.Close(); err != nil {
		l.fail("close segment", err)
	}
}

// nextSegment chains the header of the segment after the current one.
func (l *Log) nextSegment() (name string, first []byte, err error) {
	h := header{
		Format: format, Segment: l.number + 1, Node: l.opts.Node, Process: l.process,
		Created:  l.opts.Clock().UTC().Truncate(time.Microsecond),
		Previous: l.name,
	}
	if l.name != "" {
		h.PreviousHash = hexHash(l.head.Hash)
	}
	b, err := content(h)
	if err != nil {
		return "", nil, fmt.Errorf("write header: %w", err)
	}
	first = l.head.seal(kindHeader, b)
	return h.name(), first, nil
}

// began makes f, which holds the line first and is on disk, the current segment.
func (l *Log) began(f file, name string, first []byte) {
	l.file, l.name, l.size = f, name, int64(len(first))
	l.number++
	// Nothing but this header was written since the last line of the segment before.
	header, _ := parseLine(first[:len(first)-1])
	l.written, l.synced, l.sum = header.seq, header.seq, header.hash
	l.safe = safe{l.size, Head{header.seq, header.hash}}
}

// fail stops the log, for the reason of the first failure.
func (l *Log) fail(step string, err error) {
	if l.failure == nil {
		l.failure = &Failure{Step: step, Err: err}
		l.broke = l.failure
		l.retry = l.opts.Clock().Add(retryEvery)
	}
	l.progress.Broadcast()
}

// syncer syncs SyncEvery after something was written, until Close; an idle log does not wake it.
func (l *Log) syncer() {
	defer close(l.stopped)
	timer := time.NewTimer(l.opts.SyncEvery)
	defer timer.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-l.dirty:
		}
		timer.Reset(l.opts.SyncEvery)
		select {
		case <-l.stop:
			return
		case <-timer.C:
		}
		l.mu.Lock()
		_ = l.awaitSynced(l.written, l.epoch) // a failure is kept, and every Append reports it
		l.mu.Unlock()
	}
}
