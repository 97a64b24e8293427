// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"claviger/internal/store"
	"claviger/internal/store/pgtest"
	"claviger/internal/store/storetest"
)

// TestPostgresFaults breaks the connection at each step of a batch, before the server has it and
// after it has done it, once and from there on; and lets the server refuse the step for want of room.
// Every time each caller is told the truth, the store goes on, and no invariant is broken, now or
// for a store that is opened again. Without CLAVIGER_CHAOS_KILLS it tries one step of some.
func TestPostgresFaults(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("breaks connections to a PostgreSQL server at many steps")
	}
	server := pgtest.Start(t)
	p := &faultProxy{server: net.JoinHostPort("127.0.0.1", fmt.Sprint(server.Port))}
	f := &postgresFaults{server: server, proxy: p, address: p.start(t), world: &storetest.World{}}
	f.open(t)
	steps, _ := f.try(t, faultCase{}, "")
	if len(steps) < 30 || steps[len(steps)-1] != "COMMIT" {
		t.Fatalf("a batch has the steps %q: not those that this test is about", steps)
	}
	stride := 17
	if os.Getenv("CLAVIGER_CHAOS_KILLS") != "" {
		stride = 1
	}
	tried := 0
	for from := 1; from <= len(steps); from++ {
		if from%stride != 0 && from != 1 && from < len(steps)-1 {
			continue
		}
		f.open(t) // afresh: all that is there is checked after each fault
		for _, width := range []int{1, 1 << 20} {
			for _, after := range []bool{false, true} {
				_, _ = f.try(t, faultCase{from, width, after}, "")
				tried++
			}
		}
		_, err := f.try(t, faultCase{from, 1, false}, diskFull)
		if err != nil && !errors.Is(err, store.ErrFull) && !errors.Is(err, store.ErrUnknown) && !strings.Contains(err.Error(), diskFull) {
			t.Errorf("step %d of a server without room: %v", from, err)
		}
		tried++
		if t.Failed() {
			t.FailNow()
		}
		t.Logf("step %d of %d: %.60q", from, len(steps), steps[from-1])
	}
	f.close(t)
	if f.fired < tried/2 {
		t.Errorf("%d of %d faults had a step", f.fired, tried)
	}
	t.Logf("%d faults at %d steps", f.fired, len(steps))
}

type postgresFaults struct {
	server          *pgtest.Server
	proxy           *faultProxy
	address         string // of the proxy
	world           *storetest.World
	direct, through string // connection strings
	store           *Store
	heard           *observed
	opened          int
	fired           int // faults that there was a step for: a connection that is not new prepares less
}

// open makes a store and opens it through the proxy, in place of the one before.
func (f *postgresFaults) open(t *testing.T) {
	t.Helper()
	f.close(t)
	f.opened++
	f.direct = f.server.Schema(t, fmt.Sprintf("faults%d", f.opened))
	f.through = strings.Replace(f.direct, f.proxy.server, f.address, 1)
	if err := openPostgres(t, f.direct).Close(); err != nil {
		t.Fatal(err)
	}
	var err error
	if f.store, err = OpenPostgres(t.Context(), PostgresOptions{URL: f.through, ReopenTimeout: 50 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	f.heard = &observed{}
	f.store.Observe(f.heard)
}

func (f *postgresFaults) close(t *testing.T) {
	t.Helper()
	if f.store == nil {
		return
	}
	if err := f.store.Close(); err != nil {
		t.Error(err)
	}
}

// try runs the batch with one fault and judges it. It answers the steps, and what the first
// member that is not to fail by itself was told.
func (f *postgresFaults) try(t *testing.T, c faultCase, refuse string) ([]string, error) {
	t.Helper()
	s, basis := f.store, newFaultBasisOf(f.world)
	update(t, s, basis.tenant, basis.vault, basis.key, basis.first, basis.alias)
	members := basis.members()
	var group sync.WaitGroup
	release := hold(t, s)
	for i, m := range members {
		group.Go(func() { m.revision, m.err = s.Update(context.Background(), m.fn) })
		queued(s, i+1)
	}
	f.proxy.refuse = refuse
	f.proxy.arm(c.from, c.width, c.after)
	release()
	group.Wait()
	steps, fired := f.proxy.disarm()
	what := fmt.Sprintf("%s %s at %.60q", c, refuse, fired)
	if len(fired) > 0 {
		f.fired++
	}
	judgePostgres(t, s, members, what)
	update(t, s, f.world.Tenant()) // it goes on
	again, err := OpenPostgres(t.Context(), PostgresOptions{URL: f.direct})
	if err != nil {
		t.Fatal(err)
	}
	judgePostgres(t, again, members, what+", opened again")
	if err := errors.Join(storetest.Check(t.Context(), again), again.Close()); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	f.judgeHeard(t, members, what)
	return steps, members[0].err
}

// judgePostgres compares what callers were told with what is there. A batch that had no effect is
// run again, so that a fault need not be told of.
func judgePostgres(t *testing.T, s *Store, members []*member, what string) {
	t.Helper()
	doubts := map[bool]int{}
	for _, m := range members {
		shows := false
		if m.shows != nil {
			err := s.View(t.Context(), func(tx store.Tx) (err error) {
				shows, err = m.shows(tx)
				return err
			})
			if err != nil {
				t.Errorf("%s: %s: %v", what, m.name, err)
			}
		}
		switch {
		case m.fails && (m.err == nil || shows):
			t.Errorf("%s: %s fails by itself, was told %v, and its effect is there: %t", what, m.name, m.err, shows)
		case m.err == nil && shows != (m.shows != nil):
			t.Errorf("%s: %s was told that it succeeded; its effect is there: %t", what, m.name, shows)
		case errors.Is(m.err, store.ErrUnknown):
			if m.shows != nil && !m.fails {
				doubts[shows]++
			}
		case m.err != nil && shows:
			t.Errorf("%s: %s was told %v, and its effect is there", what, m.name, m.err)
		}
	}
	if len(doubts) > 1 {
		t.Errorf("%s: of a commit whose outcome is unknown a part is there: %v", what, doubts)
	}
}

// judgeHeard looks for every answered revision among those that the observer heard of, once and in order.
func (f *postgresFaults) judgeHeard(t *testing.T, members []*member, what string) {
	t.Helper()
	f.heard.mu.Lock()
	defer f.heard.mu.Unlock()
	heard := map[int64]bool{}
	last := int64(0)
	for _, c := range f.heard.committed {
		if c.Revision < last {
			t.Errorf("%s: the observer heard of revision %d after %d", what, c.Revision, last)
		}
		last, heard[c.Revision] = c.Revision, true
	}
	for _, m := range members {
		if m.err == nil && m.revision > 0 && !heard[m.revision] {
			t.Errorf("%s: the observer did not hear of revision %d", what, m.revision)
		}
		if errors.Is(m.err, store.ErrUnknown) && len(f.heard.unknown) == 0 {
			t.Errorf("%s: the observer was not told of a commit whose outcome is unknown", what)
		}
	}
	f.heard.committed, f.heard.unknown = nil, nil
}
