// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"claviger/internal/store"
)

// fillUnderLoad takes all the room of the file system that a server keeps its data on, at random moments
// while clients call it through both APIs, and gives it back: every call that is refused is refused as
// by a service that is away, and then they go on. Now and then the server is killed while there is
// none. What the clients were answered is looked at as the other tests of chaos do.
func fillUnderLoad(t *testing.T, binary string) {
	runs := max(3, chaosKills(t)/5)
	dir := small(t, 64<<20+runs<<20) // each run leaves its audit log
	l := launch{binary: binary, data: filepath.Join(dir, "data")}
	c := &chaos{
		place:  place{audit: filepath.Join(l.data, "audit"), virtual: true, full: true, caller: newCaller},
		random: rand.New(rand.NewPCG(chaosSeed(t), 6)), ledger: &ledger{},
	}
	c.start = func(t *testing.T) *server { return start(t, l) }
	c.inStore = func(t *testing.T, f func(store.Store) error) error { return inCopy(t, l.data, f) }
	c.verify = func(t *testing.T) { verifyData(t, binary, l.data) }
	c.begin(t)
	refused := 0
	for run := range runs {
		refused += c.fillAndFree(t, dir, run)
		if t.Failed() {
			t.Fatalf("stopped in run %d", run+1)
		}
	}
	c.end(t)
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d calls were refused; in the end %d MiB are taken", refused, int64(fs.Blocks-fs.Bfree)*fs.Bsize>>20)
}

// leave gives back a little of what fill took: what then finds no room is anything.
func (c *chaos) leave(t *testing.T, ballast string) {
	t.Helper()
	info, err := os.Stat(ballast)
	if err == nil {
		err = os.Truncate(ballast, max(0, info.Size()-int64(c.random.IntN(16))<<12))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// fillAndFree is one run of a server, on a disk that is full for a while.
func (c *chaos) fillAndFree(t *testing.T, dir string, run int) (refused int) {
	t.Helper()
	s := c.start(t)
	caller := c.caller(t, s)
	c.look(t, caller, 10)
	c.mutations, c.calls = map[string]string{}, map[string]string{}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var answered, refusals atomic.Int64
	var dying atomic.Bool
	var wg sync.WaitGroup
	all := make([]*worker, workers)
	for i := range all {
		w := &worker{ledger: c.ledger, random: rand.New(rand.NewPCG(c.random.Uint64(), 0)), own: c.workers[i], rsa: run%8 == 0}
		all[i] = w
		wg.Go(func() {
			for ctx.Err() == nil {
				w.run(ctx, caller, func() { answered.Add(1) }, func(what string, a answer) {
					if refusals.Add(1); !a.unavailable() && !dying.Load() && ctx.Err() == nil {
						t.Errorf("%s on a full disk: %s, want the cloud's 503", what, a)
					}
				})
			}
		})
	}
	more := func(of *atomic.Int64, n int) {
		t.Helper()
		for until := of.Load() + int64(n); of.Load() < until; {
			select {
			case <-time.After(poll):
			case <-s.ended:
				t.Fatalf("the server ended by itself: %v\n%s", s.err, s.output(t))
			}
		}
	}
	more(&answered, 1+c.random.IntN(60))
	free := fill(t, dir, 0)
	c.leave(t, filepath.Join(dir, "ballast"))
	more(&refusals, 1+c.random.IntN(20))
	if run%2 == 1 {
		dying.Store(true)
		s.signal(syscall.SIGKILL)
		<-s.ended
		stop()
		free()
		c.kills++
	} else {
		free()
		more(&answered, 20)
		stop()
	}
	wg.Wait()
	s.kill()
	for i, w := range all {
		c.workers[i] = w.own
	}
	for _, step := range c.repeats { // its key has gone on since
		step.lost()
	}
	c.repeats = nil
	c.answers += int(answered.Load())
	c.judgeFiles(t)
	return int(refusals.Load())
}
