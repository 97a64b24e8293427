// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"claviger/internal/audit"
	"claviger/internal/keys"
	"claviger/internal/store"
	"claviger/internal/store/storetest"
)

// observed remembers what an observer hears.
type observed struct {
	mu                 sync.Mutex
	committed, unknown []store.Change
}

func (o *observed) Committed(changes []store.Change) func() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.committed = append(o.committed, changes...)
	return nil
}

func (o *observed) Unknown(changes []store.Change) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.unknown = append(o.unknown, changes...)
}

// hold keeps the committer in a function until the returned one is called, so that whatever is
// queued meanwhile is one batch.
func hold(t testing.TB, s *Store) (release func()) {
	t.Helper()
	inside, leave, left := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(left)
		_, _ = s.Update(context.Background(), func(store.Tx) error { // its own end may be what fails
			close(inside)
			<-leave
			return nil
		})
	}()
	<-inside
	return func() {
		close(leave)
		<-left
	}
}

// queued waits until the committer's queue holds n requests.
func queued(s *Store, n int) {
	for {
		s.committer.queue.mu.Lock()
		have := len(s.committer.queue.items)
		s.committer.queue.mu.Unlock()
		if have >= n {
			return
		}
		runtime.Gosched()
	}
}

// member is one transaction of the batch that faults are tried on.
type member struct {
	name string
	fn   func(store.Tx) error
	// shows reports whether its effect is there.
	shows func(store.Tx) (bool, error)
	fails bool // by itself

	revision int64
	err      error
}

var errOwn = errors.New("its own error")

func exists(tx store.Tx, rec store.Record) (bool, error) {
	err := tx.Load(rec)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// faultBasis is what every store of the fault tests begins with.
type faultBasis struct {
	world  *storetest.World
	tenant *keys.Tenant
	vault  *keys.Vault
	key    *keys.Key
	first  *keys.Version
	alias  *keys.Alias
}

func newFaultBasis() *faultBasis { return newFaultBasisOf(&storetest.World{}) }

func newFaultBasisOf(w *storetest.World) *faultBasis {
	b := &faultBasis{world: w, tenant: w.Tenant()}
	b.vault = w.Vault(b.tenant)
	b.key = w.Key(b.vault)
	b.first = w.Version(b.key)
	b.alias = w.Alias(b.key)
	return b
}

// members is a batch of all that a transaction can do. Functions copy what they change: they
// may be run on any of the stores.
func (b *faultBasis) members() []*member {
	w := b.world
	grown := *b.key
	rotated := w.Version(&grown)
	created, undone := w.Key(b.vault), w.Key(b.vault)
	token := &store.Token{Principal: w.ID(), Operation: "CreateKeyVersion", Token: "t", ExpiresAt: w.Time()}
	nonce := &store.Nonce{Hash: [16]byte(w.ID()), ExpiresAt: w.Time()}
	event := audit.Event{Time: w.Time(), Operation: "CreateKeyVersion", Outcome: audit.OutcomeOK}
	put := func(tx store.Tx, recs ...store.Record) (err error) {
		for _, rec := range recs {
			if err = tx.Put(rec); err != nil {
				return err
			}
		}
		return nil
	}
	return []*member{
		{name: "rotate", fn: func(tx store.Tx) error {
			k, err := store.LoadKey(tx, b.key.ID)
			if err != nil {
				return err
			}
			v := *rotated
			k.Versions, k.Primary, k.LastVersionAt = grown.Versions, grown.Primary, grown.LastVersionAt
			t, n := *token, *nonce
			return errors.Join(put(tx, &t, &n, &v, k), tx.Record(event))
		}, shows: func(tx store.Tx) (bool, error) { return exists(tx, &keys.Version{ID: rotated.ID}) }},
		{name: "fail", fails: true, fn: func(tx store.Tx) error {
			k := *undone
			return errors.Join(put(tx, &k), tx.Record(event), errOwn)
		}, shows: func(tx store.Tx) (bool, error) { return exists(tx, &keys.Key{ID: undone.ID}) }},
		{name: "read", fn: func(tx store.Tx) error { _, err := store.LoadKey(tx, b.key.ID); return err }},
		{name: "create", fn: func(tx store.Tx) error {
			k := *created
			return errors.Join(put(tx, &k), tx.Record(event))
		}, shows: func(tx store.Tx) (bool, error) { return exists(tx, &keys.Key{ID: created.ID}) }},
		{name: "erase", fn: func(tx store.Tx) error {
			v, err := store.LoadVersion(tx, b.first.ID)
			if err != nil {
				return err
			}
			k, err := store.LoadKey(tx, b.key.ID)
			if err != nil {
				return err
			}
			v.State, v.DeleteAt, v.Sealed, v.PublicKey = keys.Deleted, b.alias.CreatedAt, nil, nil
			k.Erased, k.Primary = 1, keys.ID{}
			if k.Versions > 1 {
				k.Primary = rotated.ID
			}
			return errors.Join(put(tx, v, k), tx.Delete(b.alias))
		}, shows: func(tx store.Tx) (bool, error) {
			v, err := store.LoadVersion(tx, b.first.ID)
			if err != nil {
				return false, err
			}
			there, err := exists(tx, &keys.Alias{Tenant: b.alias.Tenant, Region: b.alias.Region, Name: b.alias.Name})
			if there == (v.State == keys.Deleted) {
				return false, fmt.Errorf("version is %s and its key's alias is there: %t", v.State, there)
			}
			return !there, err
		}},
	}
}

// faultCase is one way in which steps of a batch fail.
type faultCase struct {
	from, width int
	after       bool
}

func (c faultCase) String() string {
	when := "before"
	if c.after {
		when = "after"
	}
	return fmt.Sprintf("%03d+%d %s", c.from, c.width, when)
}

// TestFaults fails each step of a batch before it had its effect, and after. In a second round
// the next step fails as well, which is how undoing fails, and in a third all that follow, as
// when the disk is gone; there, steps that begin or end nothing fail either before or after. Every time each caller is told the truth, the store goes on, and no
// invariant is broken, now or after it was opened again.
func TestFaults(t *testing.T) {
	t.Parallel()
	basis := newFaultBasis()
	template := t.TempDir()
	s := openTest(t, Options{Dir: template, Create: true})
	update(t, s, basis.tenant, basis.vault, basis.key, basis.first, basis.alias)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	steps := tryFault(t, template, faultCase{})
	if len(steps) < 40 || !strings.HasPrefix(steps[len(steps)-1], "COMMIT") {
		t.Fatalf("a batch has the steps %q: not those that this test is about", steps)
	}
	stride := 1
	if testing.Short() {
		stride = 3
	}
	for _, width := range []int{1, 2, 1 << 20} {
		for from := 1; from <= len(steps); from++ {
			// Steps that begin and end something are always tried.
			structural := !strings.Contains(steps[from-1], "(") && !strings.Contains(steps[from-1], "SELECT")
			if from%stride != 0 && !(structural && width == 1) {
				continue
			}
			for _, after := range []bool{false, true} {
				if width > 1 && !structural && after == (from%2 == 0) {
					continue
				}
				c := faultCase{from, width, after}
				t.Run(c.String(), func(t *testing.T) {
					t.Parallel()
					tryFault(t, template, c)
				})
			}
		}
	}
}

// tryFault runs the batch on a copy of a store with one fault, and answers its steps.
func tryFault(t *testing.T, template string, c faultCase) []string {
	t.Helper()
	basis := newFaultBasis() // the same as the template's
	dir := t.TempDir()
	copyFile(t, filepath.Join(template, databaseName), filepath.Join(dir, databaseName))
	f := &faults{}
	s := openTest(t, Options{Dir: dir, connect: f.connect})
	heard := &observed{}
	s.Observe(heard)
	members := basis.members()
	var group sync.WaitGroup
	release := hold(t, s)
	for i, m := range members {
		group.Go(func() { m.revision, m.err = s.Update(context.Background(), m.fn) })
		queued(s, i+1)
	}
	f.arm(c.from, c.width, c.after)
	release()
	group.Wait()
	steps, fired := f.disarm()
	if c.from > 0 && len(fired) == 0 {
		t.Fatalf("no step failed, there were %d", len(steps))
	}
	judge(t, s, members, heard, fired)

	// The store goes on without being opened again, from where it is.
	head := headOf(t, s)
	if rev := update(t, s, basis.world.Tenant()); rev != head.Revision+1 {
		t.Errorf("after the fault at %q revision %d follows %d", fired, rev, head.Revision)
	}
	if err := errors.Join(storetest.Check(t.Context(), s), s.Close()); err != nil {
		t.Errorf("after the fault at %q: %v", fired, err)
	}
	s = openTest(t, Options{Dir: dir})
	judge(t, s, members, nil, fired)
	if err := errors.Join(storetest.Check(t.Context(), s), s.Close()); err != nil {
		t.Errorf("opened again after the fault at %q: %v", fired, err)
	}
	return steps
}

// judge compares what the callers were told with what is there, and with what was heard.
func judge(t *testing.T, s *Store, members []*member, heard *observed, fired []string) {
	t.Helper()
	unknown, lost := 0, 0
	there := map[bool]int{} // of those of unknown outcome: is it there → how many
	for _, m := range members {
		shows := false
		if m.shows != nil {
			err := s.View(t.Context(), func(tx store.Tx) (err error) {
				shows, err = m.shows(tx)
				return err
			})
			if err != nil {
				t.Errorf("%s: %v", m.name, err)
			}
		}
		switch {
		case m.err == nil:
			if m.fails || shows != (m.shows != nil) {
				t.Errorf("%s was told that it succeeded; its effect is there: %t (fault at %q)", m.name, shows, fired)
			}
		case errors.Is(m.err, store.ErrUnknown):
			unknown++
			if m.shows != nil && !m.fails {
				there[shows]++
			}
		default:
			lost++
			if shows {
				t.Errorf("%s was told %v, and its effect is there (fault at %q)", m.name, m.err, fired)
			}
		}
		if m.fails && shows {
			t.Errorf("%s: the effect of what failed is there (fault at %q)", m.name, fired)
		}
	}
	switch {
	case unknown > 0 && (unknown < len(members) || len(there) > 1 && fired[0] == "COMMIT"):
		t.Errorf("%d of %d are of unknown outcome, %v of them there: a commit is one (fault at %q)", unknown, len(members), there, fired)
	case unknown > 0 && !slices.Contains(fired, "COMMIT"):
		t.Errorf("the outcome is unknown, and not the commit failed but %q", fired)
	case lost > 1+len(fired) && lost < len(members):
		t.Errorf("%d of %d failed: a fault fails one transaction or the batch (fault at %q)", lost, len(members), fired)
	case lost == 0 && unknown == 0:
		t.Errorf("nobody was told of the error of a function, or of the fault at %q", fired)
	}
	if heard != nil {
		judgeHeard(t, members, heard, fired)
	}
}

// judgeHeard compares what the observer heard with what the callers were told.
func judgeHeard(t *testing.T, members []*member, heard *observed, fired []string) {
	t.Helper()
	want, doubt := map[int64]bool{}, false
	for _, m := range members {
		if m.err == nil && m.revision > 0 {
			want[m.revision] = true
		}
		doubt = doubt || errors.Is(m.err, store.ErrUnknown)
	}
	got := map[int64]bool{}
	for i, c := range heard.committed {
		got[c.Revision] = true
		if i > 0 && c.Revision < heard.committed[i-1].Revision {
			t.Errorf("the observer heard of revision %d after %d", c.Revision, heard.committed[i-1].Revision)
		}
	}
	if fmt.Sprint(want) != fmt.Sprint(got) {
		t.Errorf("the observer heard of revisions %v, answered were %v (fault at %q)", got, want, fired)
	}
	if doubt != (len(heard.unknown) > 0) {
		t.Errorf("callers were in doubt: %t; the observer was told of %v (fault at %q)", doubt, heard.unknown, fired)
	}
}

func headOf(t testing.TB, s *Store) (h store.Head) {
	t.Helper()
	err := s.View(context.Background(), func(tx store.Tx) (err error) {
		h, err = tx.Head()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestIgnoredFault lets functions overlook an error of the database: what they wrote is undone
// all the same, since the database may have undone a part of it already.
func TestIgnoredFault(t *testing.T) {
	t.Parallel()
	f := &faults{}
	s := openTest(t, Options{Dir: t.TempDir(), Create: true, connect: f.connect})
	basis := newFaultBasis()
	update(t, s, basis.tenant, basis.vault)
	for _, after := range []bool{false, true} {
		other := basis.world.Tenant()
		_, err := s.Update(t.Context(), func(tx store.Tx) error {
			if err := tx.Put(basis.world.Tenant()); err != nil {
				return err
			}
			f.arm(1, 1, after)
			_ = tx.Put(basis.key)
			f.disarm()
			if err := tx.Put(other); !errors.Is(err, errInjected) {
				t.Errorf("a put after a fault: %v, want the fault", err)
			}
			return nil
		})
		if !errors.Is(err, errInjected) {
			t.Errorf("an update whose function overlooked a fault: %v", err)
		}
	}
	if head := headOf(t, s); head.Revision != 1 {
		t.Errorf("the head is at %d, want 1", head.Revision)
	}
	if err := errors.Join(storetest.Check(t.Context(), s), s.Close()); err != nil {
		t.Error(err)
	}
}

// TestForeignWriter moves the head from another connection, as nothing but a stranger does.
// The store refuses to number over it, and then goes on from there.
func TestForeignWriter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openTest(t, Options{Dir: dir, Create: true})
	w := &storetest.World{}
	update(t, s, w.Tenant())
	edit(t, dir, "UPDATE feed_head SET rev = 7")
	if _, err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Put(w.Tenant()) }); !errors.Is(err, errHead) {
		t.Errorf("update over a moved head: %v", err)
	}
	if rev := update(t, s, w.Tenant()); rev != 8 {
		t.Errorf("the next revision is %d, want 8", rev)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
