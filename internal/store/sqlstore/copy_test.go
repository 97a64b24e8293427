// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/keys"
	"claviger/internal/store"
	"claviger/internal/store/pgtest"
	"claviger/internal/store/storetest"
)

// place is where a database can be, and opened again.
type place struct {
	dir, url string
}

func (p place) open(t testing.TB, unfinished bool) (*Store, error) {
	t.Helper()
	for _, create := range []bool{false, true} {
		var s *Store
		var err error
		if p.url != "" {
			s, err = OpenPostgres(t.Context(), PostgresOptions{URL: p.url, Create: create, Unfinished: unfinished})
		} else {
			s, err = OpenSQLite(t.Context(), Options{Dir: p.dir, Create: create, Unfinished: unfinished})
		}
		if !errors.Is(err, fs.ErrNotExist) || create {
			return s, err
		}
	}
	panic("unreachable")
}

func (p place) mustOpen(t testing.TB, unfinished bool) *Store {
	t.Helper()
	s, err := p.open(t, unfinished)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closed(t testing.TB, stores ...*Store) {
	t.Helper()
	for _, s := range stores {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// contents is all that a store tells of its tables, its head included.
func contents(t testing.TB, s *Store) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	err := s.View(t.Context(), func(v store.Tx) error {
		in := v.(*tx)
		all, err := catalog(t.Context(), in.session, s.engine.catalog())
		if err != nil {
			return err
		}
		tables, err := moved(all)
		if err != nil {
			return err
		}
		for _, table := range tables {
			rows, err := table.query(t.Context(), in.session, "SELECT "+strings.Join(table.columns, ", ")+" FROM "+table.name+" ORDER BY "+strings.Join(table.order, ", "), nil)
			if err != nil {
				return err
			}
			for _, row := range rows {
				out[table.name] = append(out[table.name], fmt.Sprintf("%x", encodeRow(row)))
			}
		}
		head, err := in.Head()
		out["head"] = []string{fmt.Sprintf("%+v", head)}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// filled makes a store with records of all kinds, and the system's KEK.
func filled(t *testing.T, p place) {
	t.Helper()
	s := p.mustOpen(t, false)
	populate(t, s)
	update(t, s, &store.KEK{Generation: 1, Root: "root-1", Sealed: []byte("system"), CreatedAt: (&storetest.World{}).Time()})
	closed(t, s)
}

func TestCopy(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("copies to PostgreSQL and back take a while")
	}
	server := pgtest.Start(t)
	n := 0
	schema := func(t *testing.T) place { n++; return place{url: server.Schema(t, fmt.Sprint("copy", n))} }
	dir := func(t *testing.T) place { return place{dir: t.TempDir()} }
	for name, kinds := range map[string][2]func(*testing.T) place{
		"SQLiteToPostgres": {dir, schema}, "PostgresToSQLite": {schema, dir}, "SQLiteToSQLite": {dir, dir}, "PostgresToPostgres": {schema, schema},
	} {
		from, to, restarted := kinds[0](t), kinds[1](t), kinds[1](t)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testCopy(t, from, to, restarted)
		})
	}
}

// errStop is what ends a copy in the middle.
var errStop = errors.New("stopped on purpose")

// testCopy copies a store and stops after a transaction, one after the other: each time the half of it is refused, and
// the next run goes on. What changes in the source between two runs begins it anew.
func testCopy(t *testing.T, from, to, restarted place) {
	filled(t, from)
	source := from.mustOpen(t, false)
	defer func() { closed(t, source) }()
	want := contents(t, source)
	o := CopyOptions{By: "claviger store copy", From: "the test", pageRows: 3}

	runs := 0
	for before := 0; ; runs++ {
		target := to.mustOpen(t, true)
		steps := 0
		o.step = func() error {
			if steps++; steps > 2*runs { // a little later each time: some tables are begun anew
				return errStop
			}
			return nil
		}
		report, err := Copy(t.Context(), source, target, o)
		closed(t, target)
		if err == nil {
			if report.Now != report.Head || report.Rows == 0 || report.Before < before {
				t.Errorf("the report is %+v", report)
			}
			break
		}
		if !errors.Is(err, errStop) {
			t.Fatalf("run %d: %v", runs, err)
		}
		if report.Before < before {
			t.Errorf("run %d found %d rows, the one before %d", runs, report.Before, before)
		}
		before = report.Before
		if _, err := to.open(t, false); !errors.Is(err, ErrUnfinished) || !strings.Contains(err.Error(), "claviger store copy") {
			t.Fatalf("half a copy opens: %v", err)
		}
	}
	if runs < 5 {
		t.Errorf("the copy was stopped %d times only", runs)
	}
	target := to.mustOpen(t, false)
	if diff := cmp.Diff(want, contents(t, target)); diff != "" {
		t.Errorf("the copy is another (-want +got):\n%s", diff)
	}
	if err := storetest.Check(t.Context(), target); err != nil {
		t.Errorf("the copy breaks invariants: %v", err)
	}
	// It can be written, and is not copied to again.
	update(t, target, &keys.Tenant{ID: keys.ID{9}, Name: "later", CreatedAt: (&storetest.World{}).Time()})
	o.step = nil
	if _, err := Copy(t.Context(), source, target, o); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("a copy over a store: %v", err)
	}
	closed(t, target)
	testMoved(t, source, restarted, o)
}

// testMoved changes the source after a copy was stopped.
func testMoved(t *testing.T, source *Store, to place, o CopyOptions) {
	t.Helper()
	run := func() error {
		target := to.mustOpen(t, true)
		defer closed(t, target)
		_, err := Copy(t.Context(), source, target, o)
		return err
	}
	stops := 0
	o.step = func() error {
		if stops++; stops == 6 {
			return errStop
		}
		return nil
	}
	if err := run(); !errors.Is(err, errStop) {
		t.Fatal(err)
	}
	o.step = nil
	update(t, source, &keys.Tenant{ID: keys.ID{8}, Name: "meanwhile", CreatedAt: (&storetest.World{}).Time()})
	if err := run(); err == nil || !strings.Contains(err.Error(), "--restart") {
		t.Errorf("of a source that has gone on: %v", err)
	}
	other := o
	other.By = "claviger backup restore"
	o = other
	if err := run(); !errors.Is(err, ErrUnfinished) {
		t.Errorf("over what something else fills: %v", err)
	}
	o.By, o.Restart = "claviger store copy", true
	if err := run(); err != nil {
		t.Errorf("begun again: %v", err)
	}
	target := to.mustOpen(t, false)
	defer closed(t, target)
	if diff := cmp.Diff(contents(t, source), contents(t, target)); diff != "" {
		t.Errorf("the copy that was begun again is another (-want +got):\n%s", diff)
	}
}

// TestCopyCompares changes a row of the copy before it is compared.
func TestCopyCompares(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"UPDATE versions SET sealed = x'01' WHERE sealed IS NOT NULL", "DELETE FROM aliases",
		"INSERT INTO settings VALUES ('a', 'b')", "UPDATE counters SET n = n + 1", "UPDATE events SET event = 'x' WHERE seq = 2",
	} {
		from, to := place{dir: t.TempDir()}, place{dir: t.TempDir()}
		filled(t, from)
		source, target := from.mustOpen(t, false), to.mustOpen(t, true)
		o := CopyOptions{By: "copy", From: "the test", pageRows: 2}
		o.Progress = func(stage string, done, total int) {
			if stage != StageCopy || done != total {
				return
			}
			r := newRequest(context.Background())
			r.alone = func(s *session) error { _, err := s.exec(context.Background(), text); return err }
			if err := target.submit(context.Background(), r).err; err != nil {
				t.Error(err)
			}
		}
		if _, err := Copy(t.Context(), source, target, o); err == nil || !strings.Contains(err.Error(), "is not the same") {
			t.Errorf("%s: %v", text, err)
		}
		closed(t, source, target)
		if _, err := to.open(t, false); !errors.Is(err, ErrUnfinished) {
			t.Errorf("%s: a wrong copy opens: %v", text, err)
		}
	}
}
