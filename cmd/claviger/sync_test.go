// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"claviger/internal/keys"
	"claviger/internal/store"
	"claviger/internal/store/storetest"
)

// These tests run the server under strace and cut its power at the moment of each answer: what
// the disk model kept until then must hold every write answered so far. They show that syncing
// is real on the way from a request to its answer; that the device keeps what was synced is
// the device's promise.

// fact is a write that was answered: a record that must be there from then on.
type fact struct {
	name     string // in its cloud
	request  string // request id: it is in the bytes of the answer
	serial   bool   // nothing else was under way
	key      keys.ID
	version  keys.ID // zero for a key
	deleting bool    // its deletion is scheduled
}

// traced is a run of the server: what was answered, and what the process did.
type traced struct {
	caller *caller
	data   string
	log    string
	facts  []fact // in the order in which the client had the answers
}

// traceWrites runs a load of writes on a new data directory under strace, first one by one and
// then from many sides at once, with an erasure in between, which moves the log into the database.
func traceWrites(t *testing.T, binary string) *traced {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir()) // strace names files as the kernel does
	if err != nil {
		t.Fatal(err)
	}
	tr := &traced{data: filepath.Join(dir, "data"), log: filepath.Join(dir, "trace")}
	if err := os.Mkdir(tr.data, 0o700); err != nil {
		t.Fatal(err)
	}
	s := start(t, launch{binary: binary, data: tr.data, under: tracer(t, tr.log)})
	c := newCaller(t, s)
	tr.caller = c
	ctx := t.Context()
	note := func(f fact, a answer) string {
		must(t, "write "+f.name, a)
		f.request = a.requestID()
		if f.name == "" {
			f.name = a.text("id")
		}
		tr.facts = append(tr.facts, f)
		return f.name
	}
	key := note(fact{serial: true}, c.createKey(ctx, "aes", aes256(), ""))
	first := c.currentVersion(ctx, t, key)
	for range 3 {
		note(fact{serial: true}, c.createVersion(ctx, key, ""))
	}
	note(fact{name: first, serial: true, deleting: true}, c.act(ctx, key, "keyVersions/"+first+"/actions/scheduleDeletion"))
	a := c.alibaba(ctx, "CreateKey", "KeySpec", "EC_P256", "KeyUsage", "SIGN/VERIFY")
	signing := note(fact{name: a.text("KeyMetadata", "KeyId"), serial: true}, a)
	must(t, "move the clock", c.admin(ctx, http.MethodPost, "clock", map[string]any{"advance": "960h"})) // 40 days
	a = c.alibaba(ctx, "CreateKeyVersion", "KeyId", signing)
	note(fact{name: signing + "/" + a.text("KeyVersion", "KeyVersionId"), serial: true}, a)
	note(fact{serial: true}, c.createKey(ctx, "after the erasure", p256(), ""))

	const sides, each = 6, 5
	var mu sync.Mutex
	var wg sync.WaitGroup
	for side := range sides {
		wg.Go(func() {
			a := c.createKey(ctx, fmt.Sprint("side ", side), aes256(), "")
			for i := 0; ; i++ {
				mu.Lock()
				if !a.ok() {
					t.Errorf("write of side %d: %s", side, a)
				}
				tr.facts = append(tr.facts, fact{name: a.text("id"), request: a.requestID()})
				mu.Unlock()
				if i == each || !a.ok() {
					return
				}
				a = c.createVersion(ctx, key, "")
			}
		})
	}
	wg.Wait()
	tr.resolve(t)
	s.stop(t)
	return tr
}

// currentVersion is the OCID of a key's primary version.
func (c *caller) currentVersion(ctx context.Context, t *testing.T, key string) string {
	t.Helper()
	return must(t, "get key", c.oci(ctx, http.MethodGet, c.keyURL(key), nil)).text("currentKeyVersion")
}

// shown is a key as the admin API shows it.
type shown struct {
	ID       keys.ID
	Names    map[string]string
	Spec     string
	State    string
	Primary  keys.ID
	DeleteAt string
	Versions []struct {
		ID       keys.ID
		Names    map[string]string
		Ordinal  int
		State    string
		DeleteAt string
	}
}

// show asks for a key by any name.
func (c *caller) show(ctx context.Context, t *testing.T, name string) shown {
	t.Helper()
	a := must(t, "show key "+name, c.admin(ctx, http.MethodGet, "keys/"+name, nil))
	var out shown
	if err := json.Unmarshal(a.body, &out); err != nil {
		t.Fatalf("parse %s: %v", a.body, err)
	}
	return out
}

// resolve finds the records behind the names.
func (tr *traced) resolve(t *testing.T) {
	t.Helper()
	ids := map[string]fact{}
	seen := map[string]bool{}
	for i := range tr.facts {
		name := tr.facts[i].name
		if strings.HasPrefix(name, "ocid1.keyversion.") || strings.Contains(name, "/") {
			continue
		}
		k := tr.caller.show(t.Context(), t, name)
		if seen[k.ID.String()] {
			continue
		}
		seen[k.ID.String()] = true
		for _, cloud := range []string{"oci", "alibaba"} {
			ids[k.Names[cloud]] = fact{key: k.ID}
			for _, v := range k.Versions {
				ids[v.Names[cloud]] = fact{key: k.ID, version: v.ID}
				ids[k.Names[cloud]+"/"+v.Names[cloud]] = fact{key: k.ID, version: v.ID}
			}
		}
	}
	for i := range tr.facts {
		f := &tr.facts[i]
		id, ok := ids[f.name]
		if !ok || f.name == "" {
			t.Fatalf("%q was answered and no key has it", f.name)
		}
		f.key, f.version = id.key, id.version
	}
}

// replay goes through the trace and calls answered for each write at the moment when its answer
// is handed to the socket, with what the disk would hold then. problem says why the order of
// calls up to there does not prove that it was synced; it is judged where nothing else was under
// way. scrubbing, which may be nil, is called before each truncation of the log.
func (tr *traced) replay(t *testing.T, answered func(i int, d *disk, problem string), scrubbing func(*disk)) {
	t.Helper()
	f, err := os.Open(tr.log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := newDisk(tr.data)
	var order writeOrder
	left := map[string]int{}
	for i, f := range tr.facts {
		left[f.request] = i
	}
	begin := func(s *sysCall) error {
		if s.name == "write" && strings.HasPrefix(s.path(0), "TCP") {
			text, err := s.text(1)
			if err != nil {
				return err
			}
			for request, i := range left {
				if strings.Contains(text, request) {
					problem := ""
					if tr.facts[i].serial {
						problem = order.judge(s.begin)
					}
					delete(left, request)
					answered(i, d, problem)
					break
				}
			}
		}
		if s.name == "ftruncate" && strings.HasSuffix(s.path(0), walName) && scrubbing != nil {
			scrubbing(d)
		}
		return d.begin(s)
	}
	end := func(s *sysCall) error {
		order.note(s)
		return d.end(s)
	}
	if err := parseTrace(f, begin, end); err != nil {
		t.Fatalf("read the trace: %v", err)
	}
	if len(left) > 0 {
		t.Fatalf("%d of %d answers are not in the trace", len(left), len(tr.facts))
	}
}

// walName is the log of the database.
const walName = "claviger.db-wal"

// writeOrder looks at the calls on the log of the database between two answers.
type writeOrder struct {
	wrote  int // line in which the first write after the last answer ended
	synced int // line in which a sync ended that began after it
	answer int // line of the last answer
}

func (o *writeOrder) note(s *sysCall) {
	if s.result < 0 || len(s.args) == 0 || !strings.HasSuffix(s.path(0), walName) {
		return
	}
	switch {
	case s.name == "pwrite64" && o.wrote == 0 && s.begin > o.answer:
		o.wrote = s.end
	case (s.name == "fsync" || s.name == "fdatasync") && o.wrote > 0 && s.begin > o.wrote && o.synced == 0:
		o.synced = s.end
	}
}

// judge says what is missing before an answer, and begins anew.
func (o *writeOrder) judge(answer int) (problem string) {
	switch {
	case o.wrote == 0:
		problem = "nothing was written to the log before the answer"
	case o.synced == 0:
		problem = "the log was written and not synced before the answer"
	}
	*o = writeOrder{answer: answer}
	return problem
}

// lost opens what a power cut left and says which of the answered writes are not there, and
// whether the store is sound.
func lost(ctx context.Context, dir string, facts []fact) error {
	return inStore(ctx, dir, func(s store.Store) error {
		err := s.View(ctx, func(tx store.Tx) error {
			for _, f := range facts {
				if err := f.in(tx); err != nil {
					return err
				}
			}
			return nil
		})
		return errors.Join(err, storetest.Check(ctx, s))
	})
}

// in says whether a write is lost.
func (f fact) in(tx store.Tx) error {
	if _, err := store.LoadKey(tx, f.key); err != nil {
		return fmt.Errorf("%s was answered and is lost: %w", f.name, err)
	}
	if f.version.IsZero() {
		return nil
	}
	v, err := store.LoadVersion(tx, f.version)
	if err != nil {
		return fmt.Errorf("%s was answered and is lost: %w", f.name, err)
	}
	if f.deleting && v.DeleteAt.IsZero() {
		return fmt.Errorf("the scheduled deletion of %s was answered and is lost", f.name)
	}
	return nil
}

// testSync is the proof, and its proof: with a server that does not sync it finds lost writes.
func testSync(t *testing.T, binary string) {
	t.Parallel()
	random := sometimes(rand.New(rand.NewPCG(chaosSeed(t), 1)))
	tr := traceWrites(t, binary)
	middle, last := len(tr.facts)/2, len(tr.facts)-1
	var done []fact
	e := erasure{traced: tr, binary: binary}
	tr.replay(t, func(i int, d *disk, problem string) {
		done = append(done, tr.facts[i])
		if problem != "" {
			t.Errorf("answer %d, %s: %s", i, tr.facts[i].name, problem)
		}
		dir := t.TempDir()
		for n, survives := range []chance{never, random} {
			image := filepath.Join(dir, fmt.Sprint(n))
			d.image(t, image, survives)
			if err := lost(t.Context(), image, done); err != nil {
				t.Errorf("power cut %d at answer %d: %v", n, i, err)
			}
			if at := len(done) - 1; at == 0 || at == middle || at == last {
				image += " served"
				d.image(t, image, survives)
				tr.serves(t, binary, image, done)
			}
		}
		e.note(t, d, tr.facts[i])
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	}, func(d *disk) { e.killed(t, d) })
	if !e.seen {
		t.Error("the log was never truncated with erased material in it: the test of an interrupted erasure has shown nothing")
	}
	t.Logf("%d writes were answered, and none was lost by a power cut at any answer", len(done))
}

// erasure follows the material of a version that is erased while the server is traced.
type erasure struct {
	*traced
	binary  string
	version keys.ID
	secret  []byte // sealed
	seen    bool   // the log was about to be truncated with the secret in it
}

// note remembers the material of a version that is scheduled for deletion.
func (e *erasure) note(t *testing.T, d *disk, f fact) {
	t.Helper()
	if f.deleting {
		image := t.TempDir()
		d.image(t, image, always)
		e.version, e.secret = f.version, sealed(t, image, f.version)[0]
	}
}

// killed is called when the log is about to be truncated. A server that is killed now has erased
// the material from its tables and left it in a file; the next one must see to that.
func (e *erasure) killed(t *testing.T, d *disk) {
	t.Helper()
	if e.secret == nil || e.seen {
		return
	}
	look, image := t.TempDir(), t.TempDir()
	d.image(t, look, always)
	d.image(t, image, always)
	if len(filesHolding(t, image, e.secret)) == 0 || len(sealed(t, look, e.version)[0]) > 0 {
		return // gone by now, or not erased yet
	}
	e.seen = true
	s := start(t, launch{binary: e.binary, data: image})
	var files []string
	for range ticks(t, poll) {
		if files = filesHolding(t, image, e.secret); len(files) == 0 {
			break
		}
	}
	if len(files) > 0 {
		t.Errorf("after an erasure that was interrupted by a kill, the next server leaves the material in %v", files)
	}
	s.stop(t)
}

// serves starts a server on what a power cut left, and asks it for every answered write.
func (tr *traced) serves(t *testing.T, binary, image string, done []fact) {
	t.Helper()
	s := start(t, launch{binary: binary, data: image})
	c := newCaller(t, s)
	for _, f := range done {
		k := c.show(t.Context(), t, f.key.String())
		found := f.version.IsZero()
		for _, v := range k.Versions {
			found = found || v.ID == f.version
		}
		if !found {
			t.Errorf("a server on what the power cut left does not show %s", f.name)
		}
		if f.version.IsZero() && k.State == "ENABLED" && k.Names["oci"] != "" {
			c.use(t.Context(), t, k.Names["oci"])
		}
	}
	// The first state, which is kept beside the database, has not suffered either.
	must(t, "reset", c.admin(t.Context(), http.MethodPost, "reset", nil))
	c.use(t.Context(), t, must(t, "create key", c.createKey(t.Context(), "k", aes256(), "")).text("id"))
	s.stop(t)
}

// testSyncMutant shows that testSync finds a server that is lax about syncing.
func testSyncMutant(t *testing.T, synchronous string) {
	t.Parallel()
	tr := traceWrites(t, build(t, mutant{
		file: "../../internal/store/sqlstore/sqlite.go", old: `"synchronous(FULL)"`, changed: `"synchronous(` + synchronous + `)"`,
	}))
	var done []fact
	order, missing := 0, 0
	tr.replay(t, func(i int, d *disk, problem string) {
		done = append(done, tr.facts[i])
		if problem != "" {
			order++
		}
		image := t.TempDir()
		d.image(t, image, never)
		if err := lost(t.Context(), image, done); err != nil {
			if missing++; missing == 1 {
				t.Logf("as it should be: %v", err)
			}
		}
	}, nil)
	if order == 0 {
		t.Errorf("with synchronous=%s no answer before its sync is found: the test of the order cannot fail", synchronous)
	}
	if missing == 0 {
		t.Errorf("with synchronous=%s no lost write is found: the test of the files cannot fail", synchronous)
	}
}
