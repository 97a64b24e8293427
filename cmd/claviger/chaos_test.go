// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main_test

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"claviger/internal/audit"
	"claviger/internal/store"
	"claviger/internal/store/storetest"
)

// The chaos tests kill a server with SIGKILL at random moments, again and again on the same
// data, while clients write. `make chaos` (KILLS=200) runs them alone; `go test` runs a short
// version; -short skips them. The environment decides:
//
//	CLAVIGER_CHAOS_KILLS  how often the server is killed under load; 5 if not set
//	CLAVIGER_CHAOS_SEED   makes a run choose as another one did, whose log names its seed. When
//	                      calls meet within the server is still the scheduler's choice.
//
// After each kill it must hold that
//
//   - the files alone are sound: storetest.Check finds nothing on a copy of them, the chain of
//     audit segments verifies, with torn lines only where a process was killed, and every call
//     that was answered is audited;
//   - the server starts, and every answered write is there: keys, versions, states, times. A
//     write that was not answered is there or not. Repeated with its token it happens once;
//   - every ciphertext opens and every signature verifies, of every version that is not
//     scheduled for deletion, through either API; and none of those that are.
const (
	killsVariable = "CLAVIGER_CHAOS_KILLS"
	seedVariable  = "CLAVIGER_CHAOS_SEED"
)

// chaosSeed is the seed of this run, and tells it.
func chaosSeed(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv(seedVariable); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 0, 64); err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
	}
	t.Logf("to make the same choices again: %s=%d", seedVariable, seed)
	return seed
}

func chaosKills(t *testing.T) int {
	t.Helper()
	text := os.Getenv(killsVariable)
	if text == "" {
		return 5
	}
	kills, err := strconv.Atoi(text)
	if err != nil || kills < 1 {
		t.Fatalf("%s is %q, and should be how often to kill the server", killsVariable, text)
	}
	return kills
}

func TestChaos(t *testing.T) {
	needsProcesses(t)
	t.Parallel()
	binary := build(t)
	t.Run("UnderLoad", func(t *testing.T) {
		t.Parallel()
		seed := chaosSeed(t)
		l := launch{binary: binary, data: filepath.Join(t.TempDir(), "data")}
		c := &chaos{
			place:  place{audit: filepath.Join(l.data, "audit"), virtual: true, caller: newCaller},
			random: rand.New(rand.NewPCG(seed, 0)),
			ledger: &ledger{},
		}
		c.start, c.launch = func(t *testing.T) *server { return start(t, l) }, func(t *testing.T) *server { return begin(t, l) }
		c.kill = func(_ *testing.T, s *server) { s.kill() }
		c.inStore = func(t *testing.T, f func(store.Store) error) error { return inCopy(t, l.data, f) }
		c.verify = func(t *testing.T) { verifyData(t, binary, l.data) }
		c.all(t, chaosKills(t))
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		chaosOnPostgres(t, binary)
	})
	if os.Getenv(killsVariable) != "" { // TestDegraded/DatabaseFull is the short form
		t.Run("DiskFull", func(t *testing.T) {
			t.Parallel()
			fillUnderLoad(t, binary)
		})
	}
	t.Run("FirstStart", func(t *testing.T) {
		t.Parallel()
		random := rand.New(rand.NewPCG(chaosSeed(t), 1))
		for range max(3, chaosKills(t)/5) {
			killFirstStart(t, binary, random)
		}
	})
	t.Run("Reset", func(t *testing.T) {
		t.Parallel()
		killReset(t, launch{binary: binary, data: filepath.Join(t.TempDir(), "data")}, rand.New(rand.NewPCG(chaosSeed(t), 2)))
	})
}

// place is where a server runs, and its data.
type place struct {
	start, launch func(*testing.T) *server // until it is ready, or not
	caller        func(*testing.T, *server) *caller
	kill          func(*testing.T, *server)
	// inStore looks at what a killed server left.
	inStore func(*testing.T, func(store.Store) error) error
	// verify is claviger store verify.
	verify  func(*testing.T)
	audit   string // directory
	virtual bool   // the clock can be moved
	full    bool   // for a while: then the audit log begins again by itself, and may tear a line each time
}

// verifyEvery is after how many kills the whole store is verified by the command, which opens every
// secret. The records are checked after each.
const verifyEvery = 20

// chaos is one database and what is known of it.
type chaos struct {
	*ledger
	place
	random  *rand.Rand
	kills   int
	answers int
	events  int64         // audit events of mutations that were looked at
	moving  bool          // the clock moved in this run
	workers [][]*knownKey // their own keys
}

const workers = 4

// all kills a server so many times.
func (c *chaos) all(t *testing.T, kills int) {
	t.Helper()
	c.begin(t)
	for run := range kills {
		c.run(t, run)
		if (run+1)%verifyEvery == 0 {
			c.verify(t)
		}
		if t.Failed() {
			t.Fatalf("stopped after kill %d", run+1)
		}
	}
	c.end(t)
}

// begin makes the key that all workers share.
func (c *chaos) begin(t *testing.T) {
	t.Helper()
	s := c.start(t)
	caller := c.caller(t, s)
	a := must(t, "create key", caller.createKey(t.Context(), "hub", aes256(), ""))
	c.hub = &knownKey{name: a.text("id"), algorithm: "AES", state: enabled, touched: true}
	c.hub.versions = []*knownVersion{{name: a.text("currentKeyVersion"), state: enabled}}
	c.keys = []*knownKey{c.hub}
	c.workers = make([][]*knownKey, workers)
	s.stop(t)
}

// run starts the server, looks whether everything is there, writes, and kills it.
func (c *chaos) run(t *testing.T, run int) {
	t.Helper()
	if c.random.IntN(4) == 0 {
		c.killStart(t)
	}
	s := c.start(t)
	caller := c.caller(t, s)
	c.look(t, caller, 10)
	c.mutations, c.calls = map[string]string{}, map[string]string{}
	c.moving = c.virtual && c.random.IntN(4) == 0 // the clock moves meanwhile, and what is due is erased

	ctx := t.Context()
	after := int64(1 + c.random.IntN(80)) // answers
	var answered atomic.Int64
	var killed atomic.Bool
	enough := make(chan struct{})
	var wg sync.WaitGroup
	all := make([]*worker, workers)
	for i := range all {
		w := &worker{ledger: c.ledger, random: rand.New(rand.NewPCG(c.random.Uint64(), 0)), own: c.workers[i], rsa: run%8 == 0, moving: c.moving}
		all[i] = w
		wg.Go(func() {
			w.run(ctx, caller, func() {
				if answered.Add(1) == after {
					close(enough)
				}
			}, func(what string, a answer) {
				lapsed := !c.virtual && a.status == http.StatusServiceUnavailable // out of its lease, on a busy machine
				if !killed.Load() || a.err == nil && a.status < http.StatusInternalServerError {
					if !lapsed {
						t.Errorf("%s, which must be granted: %s", what, a)
					}
					killed.Store(true)
					s.signal(syscall.SIGKILL)
				}
			})
		})
	}
	if c.moving {
		span := time.Duration(1+c.random.IntN(longestJump)) * 24 * time.Hour
		wg.Go(func() { c.advance(t, caller, span, killed.Load) })
	}
	more := time.Duration(c.random.IntN(3000)) * time.Microsecond
	select {
	case <-enough:
		<-time.After(more)
	case <-s.ended:
	}
	killed.Store(true)
	c.kill(t, s)
	wg.Wait()
	c.kills++
	c.answers += int(answered.Load())
	for i, w := range all {
		c.workers[i] = w.own
	}
	c.judgeFiles(t)
}

// killStart kills a server while it starts.
func (c *chaos) killStart(t *testing.T) {
	t.Helper()
	s := c.launch(t)
	select {
	case <-time.After(time.Duration(c.random.IntN(250)) * time.Millisecond):
	case <-s.ended:
		t.Errorf("the server ended by itself: %v\n%s", s.err, s.output(t))
	}
	s.kill()
	c.kills++
}

// advance moves the clock by days.
func (c *chaos) advance(t *testing.T, caller *caller, span time.Duration, dying func() bool) {
	t.Helper()
	a := caller.admin(t.Context(), http.MethodPost, "clock", map[string]any{"advance": span.String()})
	if a.ok() {
		c.mu.Lock()
		c.clock = clockOf(t, a)
		c.mu.Unlock()
	} else if a.err == nil || !dying() {
		t.Errorf("move the clock: %s", a)
	}
}

// timeOf is a time of the admin API; the zero time when there is none.
func timeOf(text string) time.Time {
	at, _ := time.Parse(time.RFC3339, text)
	return at
}

func clockOf(t *testing.T, a answer) time.Time {
	t.Helper()
	now, err := time.Parse(time.RFC3339, a.text("now"))
	if err != nil {
		t.Errorf("read the clock: %v: %s", err, a)
	}
	return now
}

// inCopy opens what a killed server left in a copy: opening it tidies up, and the next server must
// be able to do that itself.
func inCopy(t *testing.T, data string, f func(store.Store) error) error {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "copy")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"claviger.db", "claviger.db-wal"} {
		content, err := os.ReadFile(filepath.Join(data, name))
		if err == nil {
			write(t, filepath.Join(dir, name), content)
		} else if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	return errors.Join(inStore(t.Context(), dir, f), os.RemoveAll(dir))
}

// judgeFiles looks at what a killed server left, without starting one.
func (c *chaos) judgeFiles(t *testing.T) {
	t.Helper()
	missing := c.mutations
	err := c.inStore(t, func(s store.Store) error {
		return errors.Join(storetest.Check(t.Context(), s), s.View(t.Context(), func(tx store.Tx) error {
			events, err := tx.Events(c.events, 0)
			for _, e := range events {
				c.events = e.Sequence
				delete(missing, e.Event.Request)
			}
			return err
		}))
	})
	if err != nil {
		t.Errorf("the store of a killed server is broken: %v", err)
	}
	for _, what := range missing {
		t.Errorf("%s was answered, and is not audited", what)
	}
	c.judgeAudit(t)
}

// judgeAudit verifies the audit segments.
func (c *chaos) judgeAudit(t *testing.T) {
	t.Helper()
	report, err := audit.Walk(c.audit, func(r audit.Record) error {
		delete(c.calls, r.Event.Request)
		return nil
	})
	if err != nil {
		t.Errorf("the audit segments do not verify: %v", err)
	}
	for _, what := range c.calls {
		t.Errorf("%s was answered, and is not in the audit segments", what)
	}
	if len(report.Torn) > c.kills && !c.full {
		t.Errorf("%d torn lines after %d kills", len(report.Torn), c.kills)
	}
	seen := map[string]bool{}
	for _, torn := range report.Torn {
		if seen[torn.File] {
			t.Errorf("%s is torn twice", torn.File)
		}
		seen[torn.File] = true
	}
}

// end brings every key back that can be, opens everything, and stops the server in order.
func (c *chaos) end(t *testing.T) {
	t.Helper()
	s := c.start(t)
	caller := c.caller(t, s)
	c.look(t, caller, 0)
	for _, k := range c.keys {
		c.restore(t, caller, k)
	}
	c.look(t, caller, -1)
	s.stop(t)
	c.judgeFiles(t)
	c.verify(t)
	uses := 0
	for _, k := range c.keys {
		uses += len(k.used)
	}
	t.Logf("%d kills, %d answers, %d keys, %d ciphertexts and signatures, %d audit events of changes", c.kills, c.answers, len(c.keys), uses, c.events)
}

// restore makes a key and its versions usable, unless they are erased.
func (c *chaos) restore(t *testing.T, caller *caller, k *knownKey) {
	t.Helper()
	ctx := t.Context()
	is := caller.show(ctx, t, k.name)
	switch {
	case is.State == pending:
		must(t, "restore", caller.act(ctx, k.name, "actions/cancelDeletion"))
		if is = caller.show(ctx, t, k.name); is.State != disabled {
			break
		}
		fallthrough
	case is.State == disabled:
		must(t, "enable", caller.act(ctx, k.name, "actions/enable"))
	}
	if is.State == deleted {
		return
	}
	k.state = enabled
	states := map[string]string{}
	for _, v := range is.Versions {
		if states[v.Names["oci"]] = v.State; v.State == pending {
			must(t, "restore version", caller.act(ctx, k.name, "keyVersions/"+v.Names["oci"]+"/actions/cancelDeletion"))
			states[v.Names["oci"]] = enabled
		}
	}
	for _, v := range k.versions {
		if state := states[v.name]; state != "" {
			v.state = state
		}
	}
}

// killFirstStart kills a server during the first start on a new data directory. Nothing was
// answered, so nothing can be lost; but the next start either works or says what to do.
func killFirstStart(t *testing.T, binary string, random *rand.Rand) {
	t.Helper()
	l := launch{binary: binary, data: filepath.Join(t.TempDir(), "data")}
	s := begin(t, l)
	select {
	case <-time.After(time.Duration(random.IntN(250)) * time.Millisecond):
	case <-s.ended:
		t.Fatalf("the server ended by itself: %v\n%s", s.err, s.output(t))
	}
	s.kill()
	_, err := os.Stat(s.file)
	again := begin(t, l)
	if again.awaitReady(t) {
		c := newCaller(t, again)
		c.use(t.Context(), t, must(t, "create key", c.createKey(t.Context(), "k", aes256(), "")).text("id"))
		again.stop(t)
		sound(t, l.data)
		return
	}
	if err == nil {
		t.Errorf("the first start was ready before it was killed, and the next one refuses:\n%s", again.output(t))
	}
	if out := again.output(t); !strings.Contains(out, "first start that was broken off") || !strings.Contains(out, l.data) {
		t.Errorf("the start after one that was broken off says:\n%s", out)
	}
}

// killReset kills a server while it goes back to its first state. It is there, or all is as it was.
func killReset(t *testing.T, l launch, random *rand.Rand) {
	t.Helper()
	ctx := t.Context()
	before := 0 // keys that were there before the last reset began
	var answered atomic.Bool
	done, undone := 0, 0
	for round := range max(3, chaosKills(t)/5) {
		s := start(t, l)
		c := newCaller(t, s)
		var keys []shown
		for _, k := range c.list(t) {
			keys = append(keys, k)
			c.use(ctx, t, k.Names["oci"])
		}
		switch {
		case len(keys) == 0:
			done++
		case len(keys) == before && !answered.Load():
			undone++
		default:
			t.Errorf("round %d: %d keys of %d after a reset that was killed (answered: %t)", round, len(keys), before, answered.Load())
		}
		for range 5 {
			must(t, "create key", c.createKey(ctx, "k", aes256(), ""))
		}
		before = len(keys) + 5
		var wg sync.WaitGroup
		wg.Go(func() {
			a := c.admin(ctx, http.MethodPost, "reset", nil)
			if a.err == nil && !a.ok() {
				t.Errorf("reset: %s", a)
			}
			answered.Store(a.ok())
		})
		<-time.After(time.Duration(random.IntN(30_000)) * time.Microsecond)
		s.kill()
		wg.Wait()
		sound(t, l.data)
	}
	t.Logf("%d resets were done and %d were not", done, undone)
}
