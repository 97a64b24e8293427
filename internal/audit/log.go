// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"claviger/internal/keys"
)

// The defaults of [Options].
const (
	// DefaultSyncEvery leaves half of the 100 ms, within which a record must be on disk, to
	// the sync itself.
	DefaultSyncEvery = 50 * time.Millisecond
	// DefaultSegmentSize is 64 MiB, about 150,000 data calls.
	DefaultSegmentSize = 64 << 20
)

// Options configure a [Log].
type Options struct {
	Node  string           // name of this node, written into each segment's header
	Clock func() time.Time // the machine's time; names segments and decides what Prune removes
	Rand  io.Reader        // gives each process its id

	// Durable makes Append return only when its record is on disk. Concurrent calls share a sync.
	Durable bool
	// SyncEvery is how long after a write the background sync begins; 0 is [DefaultSyncEvery].
	SyncEvery time.Duration
	// SegmentSize in bytes is after which a segment is followed by the next; 0 is
	// [DefaultSegmentSize]. A segment exceeds it by at most one write.
	SegmentSize int64
}

// ErrTooLarge says that an event's record is larger than 4 MiB. The log is not harmed.
var ErrTooLarge = errors.New("audit event is too large")

// ErrClosed says that the log was used after Close.
var ErrClosed = errors.New("audit log is closed")

// Failure says that the log could not be written or synced, and so takes no events until it could
// begin again: what is on disk is unknown, and has to be read.
type Failure struct {
	Step string // what was tried
	Err  error
}

// Error tells the first thing that went wrong.
func (f *Failure) Error() string {
	return fmt.Sprintf("audit log has stopped: %s: %v", f.Step, f.Err)
}

// Unwrap gives the cause.
func (f *Failure) Unwrap() error { return f.Err }

// file is what the log needs of an open segment; tests make it fail.
type file interface {
	io.Writer
	Sync() error
	Close() error
}

// disk is what the log does to its directory; tests watch it and make it fail.
type disk interface {
	// create makes a segment that holds only its first line, and is on disk with it.
	create(dir, name string, first []byte) (file, error)
	// sync brings a file or directory to the disk.
	sync(path string) error
	remove(path string) error
}

// Log writes events into hash-chained segment files. See the package comment for its promises
// and the format. It is a [Recorder].
//
// A caller chains its record under the lock, adds it to the pending ones, and gives way once. The first of
// them that goes on writes once nobody else does, for all who have joined by then, and they wait. Syncs are
// shared likewise.
type Log struct {
	dir     string
	opts    Options
	process keys.ID
	lock    *os.File
	disk    disk

	dirty   chan struct{} // holds a token when something waits for the background sync
	stop    chan struct{}
	stopped chan struct{}

	pruneMu sync.Mutex // one Prune at a time

	mu       sync.Mutex
	progress sync.Cond // on mu; signals every change of what follows
	head     Head      // of the chain, pending lines included
	pending  []byte    // chained lines that nobody is writing yet
	next     *turn     // in which they will be written; nil while there are none
	spare    []byte    // the other buffer of pending
	written  uint64    // the line up to which the operating system has everything
	synced   uint64    // the line up to which the disk has everything
	writing  bool      // somebody writes, or changes file
	syncing  bool      // somebody syncs, or closes file
	file     file      // changed only by who set both writing and syncing
	name     string    // of file
	number   uint64    // of file
	size     int64     // of file; owned by who set writing
	closed   bool
	failure  *Failure  // what stopped the log; nil while it takes events
	broke    *Failure  // the last one, cleared by nothing
	epoch    uint64    // how often the log has begun again: lines of before have no number any more
	retry    time.Time // when a log that has stopped may try to begin again
	sum      [32]byte  // of line written
	safe     safe      // the end of what the disk has
}

var _ Recorder = (*Log)(nil)

// Open starts a new segment in dir, which is created if it is missing, and links it to the last
// one there. It refuses a directory that another process writes, and one whose last segment
// does not end as the log leaves it: then the error is a [*BreakError].
func Open(dir string, opts Options) (*Log, error) {
	l, err := open(dir, opts, osDisk{})
	if err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	return l, nil
}

func open(dir string, opts Options, d disk) (*Log, error) {
	if opts.SyncEvery <= 0 {
		opts.SyncEvery = DefaultSyncEvery
	}
	if opts.SegmentSize <= 0 {
		opts.SegmentSize = DefaultSegmentSize
	}
	process, err := keys.NewID(opts.Rand)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	l := &Log{
		dir: dir, opts: opts, process: process, lock: lock, disk: d,
		dirty: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	l.progress.L = &l.mu
	if err := l.begin(); err != nil {
		return nil, errors.Join(err, unlockDir(lock))
	}
	go l.syncer()
	return l, nil
}

// begin links to the last segment of the directory and creates the one after it.
func (l *Log) begin() error {
	if err := removeUnfinished(l.dir); err != nil {
		return err
	}
	before, err := segments(l.dir)
	if err != nil {
		return err
	}
	if len(before) > 0 {
		last := before[len(before)-1]
		path := filepath.Join(l.dir, last.name)
		// What the killed process wrote may not be on disk yet. It must be before a header
		// there refers to it.
		if err := l.disk.sync(path); err != nil {
			return err
		}
		if l.head, err = lastLine(path); err != nil {
			return err
		}
		l.name, l.number = last.name, last.number
	}
	name, first, err := l.nextSegment()
	if err != nil {
		return err
	}
	f, err := l.disk.create(l.dir, name, first)
	if err != nil {
		return err
	}
	l.began(f, name, first)
	return nil
}

// Append records ev. When it returns nil, the operating system has the record, and the disk too
// if the log is durable. Errors: [ErrTooLarge], [ErrClosed], and after a write or sync that went wrong,
// until the log could begin again, a [*Failure].
func (l *Log) Append(ev Event) error {
	var buf [room + 1024]byte // holds the usual record, so that it needs none of the heap
	_, err := l.append(kindEvent, ev.AppendJSON(buf[:room]), l.opts.Durable)
	return err
}

// append chains b, a record's content after room bytes, and waits until it is written or
// durable. It returns the line's number.
func (l *Log) append(kind string, b []byte, durable bool) (uint64, error) {
	if len(b)-room > maxContent {
		return 0, ErrTooLarge
	}
	l.mu.Lock()
	if err := l.takes(); err != nil {
		l.mu.Unlock()
		return 0, err
	}
	epoch := l.epoch
	l.pending = append(l.pending, l.head.seal(kind, b)...)
	seq, t := l.head.Sequence, l.join()
	l.mu.Unlock()
	runtime.Gosched() // calls that are about to add lines do it now, and one write has them all
	if !t.over.Load() {
		l.mu.Lock()
		l.finish(t, seq, epoch)
		l.mu.Unlock()
	}
	if t.err != nil || !durable {
		return seq, t.err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return seq, l.awaitSynced(seq, epoch)
}

// takes is nil while the log takes events. It is called with mu held.
func (l *Log) takes() error {
	switch {
	case l.closed:
		return ErrClosed
	case !l.usable():
		return l.failure
	}
	return nil
}

// Healthy is nil while the log takes events, and otherwise says why it does not. A log that has
// stopped tries to begin again.
func (l *Log) Healthy() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failure != nil && l.closed {
		return l.failure
	}
	if l.closed {
		return ErrClosed
	}
	if !l.usable() {
		return l.failure
	}
	return nil
}

// Head is the end of the chain. It waits for lines that are being written; that of a stopped log
// may count lines that never were.
func (l *Log) Head() Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.failure == nil && l.written < l.head.Sequence {
		l.progress.Wait()
	}
	return l.head
}

// Close waits for the calls of Append that have begun, syncs, and lets another process have the
// directory. The error is the [*Failure] that stopped the log, before or now.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	close(l.stop)
	<-l.stopped

	l.mu.Lock()
	defer l.mu.Unlock()
	for l.writing || l.syncing || (l.failure == nil && l.written < l.head.Sequence) {
		l.progress.Wait()
	}
	err := l.awaitSynced(l.written, l.epoch)
	if l.failure != nil {
		err = l.failure
	}
	return errors.Join(err, l.file.Close(), unlockDir(l.lock))
}
