// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"claviger/internal/keys"
	"claviger/internal/store"
	"claviger/internal/store/pgtest"
	"claviger/internal/store/storetest"
)

// openPostgres opens a new store in a schema of its own.
func openPostgres(t testing.TB, url string) *Store {
	t.Helper()
	s, err := OpenPostgres(t.Context(), PostgresOptions{URL: url, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("the suite of stores on PostgreSQL takes a while")
	}
	server := pgtest.Start(t)
	var n atomic.Int64
	t.Run("Suite", func(t *testing.T) {
		t.Parallel()
		storetest.Run(t, func(t testing.TB) store.Store {
			return openPostgres(t, server.Schema(t, fmt.Sprint("suite", n.Add(1))))
		})
	})
	for name, test := range map[string]func(*testing.T, *pgtest.Server){
		"SameSchema": testSameSchema, "Open": testOpen, "Follow": testFollow, "SeenFirst": testSeenFirst, "Stopped": testStopped, "RunAgain": testRunAgain,
		"Restart": func(t *testing.T, _ *pgtest.Server) { testRestart(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, server)
		})
	}
}

// columnsOf lists the columns of every table of ours.
func columnsOf(t *testing.T, db *sql.DB, text string) map[string][]string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	out := map[string][]string{}
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			t.Fatal(err)
		}
		out[table] = append(out[table], column)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	delete(out, "goose_db_version")
	return out
}

// testSameSchema compares what the two directories of migrations come to: tables, columns and
// indexes.
func testSameSchema(t *testing.T, server *pgtest.Server) {
	postgres := openPostgres(t, server.Schema(t, "same"))
	defer postgres.Close()
	sqlite := openTest(t, Options{})
	defer sqlite.Close()
	for what, texts := range map[string][2]string{
		"columns": {
			`SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c
				WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' ORDER BY 1, 2`,
			`SELECT table_name, column_name FROM information_schema.columns
				WHERE table_schema = current_schema() ORDER BY table_name, column_name COLLATE "C"`,
		},
		"indexes": {
			"SELECT tbl_name, name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY 1, 2",
			`SELECT tablename, indexname FROM pg_indexes WHERE schemaname = current_schema()
				AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conname = indexname) ORDER BY tablename, indexname COLLATE "C"`,
		},
	} {
		want := columnsOf(t, sqlite.committer.db, texts[0])
		if diff := cmp.Diff(want, columnsOf(t, postgres.committer.db, texts[1])); diff != "" {
			t.Errorf("%s differ (- SQLite, + PostgreSQL):\n%s", what, diff)
		}
	}
}

// testOpen opens databases that are not as they are said to be, and one by many at once.
func testOpen(t *testing.T, server *pgtest.Server) {
	url := server.Schema(t, "opened")
	if _, err := OpenPostgres(t.Context(), PostgresOptions{URL: url}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a database without tables was opened: %v", err)
	}
	var made atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			s, err := OpenPostgres(t.Context(), PostgresOptions{URL: url, Create: true})
			switch {
			case err == nil:
				made.Add(1)
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			case !errors.Is(err, fs.ErrExist):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if made.Load() == 0 {
		t.Error("nobody could make the tables")
	}
	if _, err := OpenPostgres(t.Context(), PostgresOptions{URL: url, Create: true}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("tables were made over those that are there: %v", err)
	}
}

// testFollow lets two processes' stores, which here share one, hear of each other's changes.
func testFollow(t *testing.T, server *pgtest.Server) {
	url := server.Schema(t, "follow")
	first := openPostgres(t, url)
	defer first.Close()
	second, err := OpenPostgres(t.Context(), PostgresOptions{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	heard := map[*Store]*heard{first: {}, second: {}}
	w := &storetest.World{}
	for s, h := range heard {
		s.Observe(h)
	}
	want := 0
	for i := range 20 {
		s := first
		if i%2 == 1 {
			s = second
		}
		update(t, s, w.Tenant())
		want++
	}
	for s, h := range heard {
		revision, waits, err := s.Fleet().Follow(t.Context(), 0)
		for _, wait := range waits {
			wait()
		}
		if err != nil || revision != int64(want) {
			t.Errorf("followed up to %d: %v, want %d", revision, err, want)
		}
		for i, r := range h.revisions {
			if r != int64(i+1) {
				t.Fatalf("heard of %v, want every revision once and in order", h.revisions)
			}
		}
		if len(h.revisions) != want || h.waited != len(h.revisions) {
			t.Errorf("heard of %d changes and waited for %d, want %d", len(h.revisions), h.waited, want)
		}
		if err := storetest.Check(t.Context(), s); err != nil {
			t.Error(err)
		}
	}
}

// heard is an observer that counts.
type heard struct {
	mu        sync.Mutex
	revisions []int64
	waited    int
}

func (h *heard) Committed(changes []store.Change) func() {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := len(changes)
	for _, c := range changes {
		h.revisions = append(h.revisions, c.Revision)
	}
	return sync.OnceFunc(func() { // of its own changes a process hears twice: from Update and from Follow
		h.mu.Lock()
		defer h.mu.Unlock()
		h.waited += n
	})
}

func (h *heard) Unknown([]store.Change) {}

// testRestart restarts the server, gently and not, under a store that goes on without help.
func testRestart(t *testing.T) {
	server := pgtest.Start(t)
	s := openPostgres(t, server.URL("postgres"))
	defer s.Close()
	w := &storetest.World{}
	update(t, s, w.Tenant())
	for _, stop := range []func(){
		func() { server.Stop(syscall.SIGINT) }, func() { server.Stop(syscall.SIGQUIT) }, server.Kill,
	} {
		stop()
		done := make(chan error, 1)
		tenant := w.Tenant()
		go func() {
			_, err := s.Update(context.Background(), func(tx store.Tx) error { return tx.Put(tenant) })
			done <- err
		}()
		server.Start(t)
		if err := <-done; err != nil {
			t.Errorf("a change that waited for the server: %v", err)
		}
		if err := s.View(t.Context(), func(tx store.Tx) error { return tx.Load(&keys.Tenant{ID: tenant.ID}) }); err != nil {
			t.Errorf("a view after the server came back: %v", err)
		}
	}
	if err := storetest.Check(t.Context(), s); err != nil {
		t.Error(err)
	}
}

// testStopped holds the right to write in a process that does not go on: others get it.
func testStopped(t *testing.T, server *pgtest.Server) {
	url := server.Schema(t, "stopped")
	closed(t, openPostgres(t, url)) // making the tables may pause for longer than is allowed from here on
	stopped, err := OpenPostgres(t.Context(), PostgresOptions{URL: url, IdleTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer stopped.Close()
	other, err := OpenPostgres(t.Context(), PostgresOptions{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	w := &storetest.World{}
	tenant, first := w.Tenant(), make(chan struct{})
	var runs atomic.Int64
	resume, done := make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := stopped.Update(context.Background(), func(tx store.Tx) error {
			fresh := *tenant
			if runs.Add(1) == 1 {
				defer close(first)
				if err := tx.Put(&fresh); err != nil {
					return err
				}
				first <- struct{}{}
				<-resume
				return nil
			}
			return tx.Put(&fresh)
		})
		done <- err
	}()
	<-first
	update(t, other, w.Tenant()) // would wait for ever
	close(resume)
	if err := <-done; err != nil || runs.Load() < 2 {
		t.Errorf("the transaction that lost its connection was run %d times: %v", runs.Load(), err)
	}
	if err := storetest.Check(t.Context(), other); err != nil {
		t.Error(err)
	}
}

// TestUnreplicated is about what a server says of a commit whose standby does not answer.
func TestUnreplicated(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"canceling wait for synchronous replication due to user request":            true,
		"canceling the wait for synchronous replication and terminating connection": true,
		"there is no transaction in progress":                                       false,
	} {
		if got := unreplicated(&pgconn.Notice{Message: text}); got != want {
			t.Errorf("%q: %t, want %t", text, got, want)
		}
	}
}

// testRunAgain ends the connection of a batch after it has written, when it is run swiftly and when
// it is run carefully: whoever puts the same records once more finds them as they were.
func testRunAgain(t *testing.T, server *pgtest.Server) {
	url := server.Schema(t, "again")
	for _, way := range []bool{swiftly, carefully} {
		o := PostgresOptions{URL: url, Create: way == swiftly}
		s, err := OpenPostgres(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		w := &storetest.World{}
		if way == carefully {
			for range 100 { // past what was stored
				w.ID()
			}
		}
		made := w.Tenant()
		update(t, s, made)
		changed := *made
		fresh := w.Tenant()
		runs := 0
		_, err = s.Update(t.Context(), func(tx store.Tx) error {
			runs++
			if way == carefully {
				if _, err := tx.Changes(0, 1); err != nil { // not in a swift batch
					return err
				}
			}
			if err := errors.Join(tx.Put(fresh), tx.Put(&changed)); err != nil {
				return err
			}
			if runs == 1 || way == carefully && runs == 2 {
				var pid int
				err := s.committer.session.one(t.Context(), "SELECT pg_backend_pid()", nil, []any{&pid})
				if err == nil {
					_, err = server.Query(t.Context(), "postgres", fmt.Sprintf("SELECT pg_terminate_backend(%d)", pid))
				}
				return err
			}
			return nil
		})
		if err != nil {
			t.Errorf("swiftly %t: %v", way, err)
		}
		if want := map[bool]int{swiftly: 2, carefully: 3}[way]; runs < want {
			t.Errorf("swiftly %t: the function ran %d times, want %d at least", way, runs, want)
		}
		holds(t, s, []store.Record{fresh, &changed})
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
