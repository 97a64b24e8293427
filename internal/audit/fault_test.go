// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fakeDisk creates segments that are real files, and counts, parks and fails what is done to them.
type fakeDisk struct {
	osDisk
	mu     sync.Mutex
	steps  []string         // what was done: "create", "write", "sync", "close", "sync path", "remove"
	fail   map[string]error // step → its error from now on
	tear   int              // a failing write first writes so many bytes
	short  bool             // writes lack their last byte, with no error
	parked chan struct{}    // if not nil, a sync waits until it can receive
	inSync int              // syncs that have begun
}

func (d *fakeDisk) step(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.steps = append(d.steps, name)
	return d.fail[name]
}

func (d *fakeDisk) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

func (d *fakeDisk) count(name string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, s := range d.steps {
		if s == name {
			n++
		}
	}
	return n
}

func (d *fakeDisk) create(dir, name string, first []byte) (file, error) {
	if err := d.step("create"); err != nil {
		return nil, err
	}
	f, err := d.osDisk.create(dir, name, first)
	return &fakeFile{d, f}, err
}

func (d *fakeDisk) sync(path string) error {
	return errors.Join(d.step("sync path"), d.osDisk.sync(path))
}

func (d *fakeDisk) remove(path string) error {
	return errors.Join(d.step("remove"), d.osDisk.remove(path))
}

type fakeFile struct {
	disk *fakeDisk
	file
}

func (f *fakeFile) Write(b []byte) (int, error) {
	if err := f.disk.step("write"); err != nil {
		n, _ := f.file.Write(b[:min(f.disk.tear, len(b))])
		return n, err
	}
	if f.disk.short {
		return f.file.Write(b[:len(b)-1])
	}
	return f.file.Write(b)
}

func (f *fakeFile) Sync() error {
	f.disk.set(func() { f.disk.inSync++ })
	if f.disk.parked != nil {
		<-f.disk.parked
	}
	if err := f.disk.step("sync"); err != nil {
		return err
	}
	return f.file.Sync()
}

func (f *fakeFile) Close() error { return errors.Join(f.disk.step("close"), f.file.Close()) }

func startOn(t *testing.T, dir string, opts Options, d *fakeDisk) *Log {
	t.Helper()
	l, err := open(dir, opts, d)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

var errDisk = errors.New("no space left on device")

// mustBeStopped fails unless every use of l reports the failure.
func mustBeStopped(t *testing.T, l *Log, what string) {
	t.Helper()
	_, pruneErr := l.Prune(born().Add(time.Hour))
	for use, err := range map[string]error{
		"append": l.Append(full()), "append again": l.Append(Event{}), "healthy": l.Healthy(), "prune": pruneErr,
	} {
		var failure *Failure
		if !errors.As(err, &failure) || !errors.Is(err, failure.Err) {
			t.Errorf("%s: %s: %v, want a Failure", what, use, err)
		}
	}
}

func TestFailedStepStopsTheLog(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		step          string
		durable       bool
		size          int64 // of segments
		tear          int
		acknowledged  bool // the append whose step fails is answered, since its record was written
		recordedLater bool // its record is found after a restart
	}{
		{step: "write"},
		{step: "write", tear: 20},
		{step: "write", tear: 1 << 20, recordedLater: true},
		{step: "write", durable: true},
		{step: "sync", durable: true, recordedLater: true},
		{step: "sync", size: 1, acknowledged: true, recordedLater: true},
		{step: "create", size: 1, acknowledged: true, recordedLater: true},
		{step: "close", size: 1, acknowledged: true, recordedLater: true},
	} {
		t.Run(fmt.Sprintf("%s tear=%d durable=%v", c.step, c.tear, c.durable), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			mustClose(t, mustStart(t, dir, options())) // something to prune
			disk := &fakeDisk{tear: c.tear}
			opts := options()
			opts.Durable = c.durable
			l := startOn(t, dir, opts, disk)
			mustAppend(t, l, "before")
			l.opts.SegmentSize = max(c.size, 1)
			if c.size == 0 {
				l.opts.SegmentSize = DefaultSegmentSize
			}
			disk.set(func() { disk.fail = map[string]error{c.step: errDisk} })
			err := l.Append(Event{Time: born(), Request: "failing", Outcome: OutcomeOK})
			if c.acknowledged != (err == nil) || (err != nil && !errors.Is(err, errDisk)) {
				t.Errorf("append while %s fails: %v", c.step, err)
			}
			disk.set(func() { disk.fail = nil }) // the disk is well again, the log must not be
			writes := disk.count("write")
			mustBeStopped(t, l, c.step)
			if disk.count("write") != writes {
				t.Error("a stopped log writes")
			}
			var failure *Failure
			if err := l.Close(); !errors.As(err, &failure) {
				t.Errorf("close: %v, want the Failure", err)
			}

			mustClose(t, mustStart(t, dir, options()))
			want := []string{"before"}
			if c.recordedLater {
				want = append(want, "failing")
			}
			got, _ := requests(t, dir)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestShortWriteStopsTheLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustClose(t, mustStart(t, dir, options())) // something to prune
	disk := &fakeDisk{}
	l := startOn(t, dir, options(), disk)
	disk.short = true
	if err := l.Append(full()); err == nil {
		t.Error("a short write is acknowledged")
	}
	mustBeStopped(t, l, "short write")
	_ = l.Close()
	mustClose(t, mustStart(t, dir, options()))
	if got, report := requests(t, dir); len(got) != 0 || len(report.Torn) != 1 {
		t.Errorf("recorded %v, torn %v", got, report.Torn)
	}
}

func TestFailedStartLeavesTheDirectoryFree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	disk := &fakeDisk{fail: map[string]error{"create": errDisk}}
	if _, err := open(dir, options(), disk); !errors.Is(err, errDisk) {
		t.Fatalf("open: %v", err)
	}
	mustClose(t, mustStart(t, dir, options()))
	requests(t, dir)
}

// pass lets d of the bubble's time pass, and what is due then happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestBackgroundSyncFailureStopsTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		mustClose(t, mustStart(t, dir, options())) // something to prune
		disk := &fakeDisk{fail: map[string]error{"sync": errDisk}}
		opts := options()
		opts.SyncEvery = 0
		l := startOn(t, dir, opts, disk)
		mustAppend(t, l, "r1") // is answered: the operating system has it
		pass(100 * time.Millisecond)
		mustBeStopped(t, l, "background sync")
		_ = l.Close()
	})
}

func TestSyncedWithin100Milliseconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk := &fakeDisk{}
		opts := options()
		opts.SyncEvery = 0
		l := startOn(t, t.TempDir(), opts, disk)
		pass(time.Minute)
		if n := disk.count("sync"); n != 0 {
			t.Errorf("an idle log was synced %d times", n)
		}
		for round := range 10 {
			mustAppend(t, l, "r")
			pass(100 * time.Millisecond)
			if n := disk.count("sync"); n != round+1 {
				t.Errorf("%d syncs after round %d", n, round)
			}
		}
		// Under steady load each record is synced in time as well, and not each by itself.
		syncs := disk.count("sync")
		for range 100 {
			mustAppend(t, l, "r")
			pass(10 * time.Millisecond)
		}
		if n := disk.count("sync") - syncs; n < 10 || n > 20 {
			t.Errorf("%d syncs in a second, want 10 to 20", n)
		}
		pass(100 * time.Millisecond)
		syncs = disk.count("sync")
		mustClose(t, l)
		if n := disk.count("sync") - syncs; n != 0 {
			t.Errorf("close syncs %d times with nothing to sync", n)
		}
	})
}

func TestCloseSyncs(t *testing.T) {
	t.Parallel()
	disk := &fakeDisk{}
	l := startOn(t, t.TempDir(), options(), disk)
	mustAppend(t, l, "r1")
	mustClose(t, l)
	if diff := cmp.Diff([]string{"create", "write", "sync", "close"}, disk.steps); diff != "" {
		t.Error(diff)
	}
}

// What a header links to must not be younger on disk than the header.
func TestOpenSyncsTheSegmentBefore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustClose(t, mustStart(t, dir, options()))
	disk := &fakeDisk{}
	mustClose(t, startOn(t, dir, options(), disk))
	if diff := cmp.Diff([]string{"sync path", "create", "close"}, disk.steps); diff != "" {
		t.Error(diff)
	}
	failing := &fakeDisk{fail: map[string]error{"sync path": errDisk}}
	if _, err := open(dir, options(), failing); !errors.Is(err, errDisk) || failing.count("create") != 0 {
		t.Errorf("open when the segment before cannot be synced: %v, %v", err, failing.steps)
	}
}

func TestPruneRecordsBeforeItRemoves(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustClose(t, mustStart(t, dir, options()))
	disk := &fakeDisk{}
	l := startOn(t, dir, options(), disk)
	disk.steps = nil
	if n, err := l.Prune(born()); n != 1 || err != nil {
		t.Fatalf("removed %d, %v", n, err)
	}
	if diff := cmp.Diff([]string{"write", "sync", "remove", "sync path"}, disk.steps); diff != "" {
		t.Error(diff)
	}
	mustClose(t, l)
}

// A crash between the record and the removal leaves a log that verifies, and the next Prune
// finishes the work.
func TestPruneCanBeRepeated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustClose(t, mustStart(t, dir, options()))
	path := segmentPaths(t, dir)[0]
	kept := mustRead(t, path)
	l := mustStart(t, dir, options())
	if n, err := l.Prune(born()); n != 1 || err != nil {
		t.Fatalf("removed %d, %v", n, err)
	}
	mustWrite(t, path, kept)
	requests(t, dir)
	if n, err := l.Prune(born()); n != 1 || err != nil {
		t.Fatalf("removed %d again, %v", n, err)
	}
	requests(t, dir)
	mustClose(t, l)
}

func TestDurableAppendReturnsAfterItsSync(t *testing.T) {
	t.Parallel()
	disk := &fakeDisk{}
	opts := options()
	opts.Durable = true
	l := startOn(t, t.TempDir(), opts, disk)
	for i := range 3 {
		mustAppend(t, l, "r")
		want := slices.Concat([]string{"create"}, slices.Repeat([]string{"write", "sync"}, i+1))
		if diff := cmp.Diff(want, disk.steps); diff != "" {
			t.Fatal(diff)
		}
	}
	mustClose(t, l)
}

func TestDurableAppendsShareASync(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk := &fakeDisk{parked: make(chan struct{})}
		opts := options()
		opts.Durable = true
		l := startOn(t, t.TempDir(), opts, disk)
		var mu sync.Mutex
		answered := 0
		start := func(n int) {
			for range n {
				go func() {
					mustAppend(t, l, "r")
					mu.Lock()
					defer mu.Unlock()
					answered++
				}()
			}
			synctest.Wait()
		}
		expect := func(what string, wantAnswered, wantSyncs int) {
			t.Helper()
			mu.Lock()
			defer mu.Unlock()
			if answered != wantAnswered || disk.count("sync") != wantSyncs {
				t.Errorf("%s: %d answered after %d syncs, want %d after %d", what, answered, disk.count("sync"), wantAnswered, wantSyncs)
			}
		}
		start(1) // its sync is parked
		start(20)
		expect("first sync parked", 0, 0)
		disk.parked <- struct{}{}
		synctest.Wait()
		// The 20 came after the first sync had begun: it does not count for them.
		expect("first sync done", 1, 1)
		disk.parked <- struct{}{}
		synctest.Wait()
		expect("second sync done", 21, 2)
		close(disk.parked)
		mustClose(t, l)
	})
}

// A record that was written is answered although the next segment cannot begin yet.
func TestRotationWaitsForTheSync(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		disk := &fakeDisk{parked: make(chan struct{})}
		opts := options()
		l := startOn(t, dir, opts, disk)
		mustAppend(t, l, "r1")
		l.mu.Lock()
		l.opts.SegmentSize = 1
		l.mu.Unlock()
		go l.sync1() // parked
		synctest.Wait()
		go mustAppend(t, l, "r2") // begins the next segment, and waits for the sync
		synctest.Wait()
		if disk.inSync != 1 || disk.count("create") != 1 || disk.count("close") != 0 {
			t.Error("the next segment began while this one was being synced")
		}
		close(disk.parked)
		synctest.Wait()
		mustAppend(t, l, "r3")
		mustClose(t, l)
		got, report := requests(t, dir)
		if diff := cmp.Diff([]string{"r1", "r2", "r3"}, got); diff != "" || report.Segments != 3 {
			t.Errorf("%d segments, %s", report.Segments, diff)
		}
	})
}

// sync1 syncs once, as the background sync does.
func (l *Log) sync1() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.awaitSynced(l.written, l.epoch)
}

func TestCloseWaitsForAppends(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		disk := &fakeDisk{parked: make(chan struct{})}
		opts := options()
		opts.Durable = true
		l := startOn(t, dir, opts, disk)
		for range 5 {
			go mustAppend(t, l, "r")
		}
		synctest.Wait()
		closed := false
		go func() {
			mustClose(t, l)
			closed = true
		}()
		synctest.Wait()
		if closed {
			t.Error("closed while appends were waiting for their sync")
		}
		close(disk.parked)
		synctest.Wait()
		if !closed {
			t.Error("not closed after the appends were answered")
		}
		if got, _ := requests(t, dir); len(got) != 5 {
			t.Errorf("%d events, want 5", len(got))
		}
	})
}
