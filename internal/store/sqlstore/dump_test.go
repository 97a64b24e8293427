// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"claviger/internal/store"
	"claviger/internal/store/pgtest"
	"claviger/internal/store/storetest"
)

// dumped is a dump in memory.
type dumped struct {
	*store.Dump
	rows []store.Rows
}

// TestDumpsLeaveBucketsOut dumps a store whose nodes throttle, and takes a dump of before that was so.
func TestDumpsLeaveBucketsOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openTest(t, Options{Dir: dir, Create: true})
	recs := populate(t, s)
	update(t, s, &store.KEK{Generation: 1, Root: "root", Sealed: []byte("sealed"), CreatedAt: (&storetest.World{}).Time()})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	edit(t, dir, "INSERT INTO throttles (tenant, class, tokens, granted, at) VALUES (randomblob(16), 'write', 0.5, 1.5, 1)")
	s = openTest(t, Options{Dir: dir})
	d := dumpOf(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, table := range d.Tables {
		if table.Name == bucketTable {
			t.Error("the dump has the buckets")
		}
	}
	d.rows = append(d.rows, store.Rows{Table: len(d.Tables)})
	d.Tables = append(d.Tables, store.DumpTable{Name: bucketTable})
	into := t.TempDir()
	d.load(t, openTest(t, Options{Dir: into, Create: true, Unfinished: true}))
	s = openTest(t, Options{Dir: into})
	holds(t, s, slices.Concat(recs...))
	if err := errors.Join(storetest.Check(t.Context(), s), s.Close()); err != nil {
		t.Error(err)
	}
}

func dumpOf(t *testing.T, s *Store) *dumped {
	t.Helper()
	d := &dumped{}
	err := s.Dump(t.Context(), func(of *store.Dump) error {
		d.Dump = of
		return nil
	}, func(rows store.Rows) error {
		d.rows = append(d.rows, rows)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// load fills an empty store of the dump's own schema.
func (d *dumped) load(t *testing.T, s *Store) {
	t.Helper()
	rows := d.rows
	err := s.Load(t.Context(), "the test", "", d.Dump, func() (store.Rows, error) {
		if len(rows) == 0 {
			return store.Rows{}, io.EOF
		}
		next := rows[0]
		rows = rows[1:]
		return next, nil
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatalf("fill a store of schema %d: %v", d.Schema, err)
	}
}

// fixtureRows is the text that puts the rows of a schema's fixture into its tables. The fixture makes
// the tables in another order than the migrations do, which is what dumps go by.
func fixtureRows(t *testing.T, schema int) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", fmt.Sprintf("schema-%d.sql", schema)))
	if err != nil {
		t.Fatal(err)
	}
	var remove, insert strings.Builder
	for statement := range strings.SplitSeq(string(text), ";\n") {
		rest, ok := strings.CutPrefix(statement, "INSERT INTO ")
		if table, _, _ := strings.Cut(rest, " "); ok {
			fmt.Fprintf(&remove, "DELETE FROM %s;\n", table)
			fmt.Fprintf(&insert, "%s;\n", statement)
		}
	}
	return "BEGIN;\n" + remove.String() + insert.String() + "COMMIT"
}

// TestOldDumps dumps a database of each schema, as a release that knew no later one did, and fills
// another one with it, in either database: when that is opened next it is brought up to date and has
// what the first one had.
func TestOldDumps(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("makes databases of every schema")
	}
	recs := populate(t, openTest(t, Options{Memory: true}))
	server := pgtest.Start(t, "fsync = off")
	known := schemas(t)
	for i, schema := range known {
		dir := t.TempDir()
		if err := openTest(t, Options{Dir: dir, Create: true, Schema: int64(schema)}).Close(); err != nil {
			t.Fatal(err)
		}
		edit(t, dir, fixtureRows(t, schema),
			"INSERT INTO keks (owner, generation, root, sealed, created_at) VALUES (zeroblob(16), 1, 'root', x'00', 0)")
		old := openTest(t, Options{Dir: dir, Schema: int64(schema)})
		d := dumpOf(t, old)
		if err := old.Close(); err != nil || d.Schema != int64(schema) {
			t.Fatalf("the dump of schema %d is of schema %d: %v", schema, d.Schema, err)
		}
		has := func(s *Store) {
			t.Helper()
			holds(t, s, slices.Concat(recs[:min(schema, len(recs))]...))
			if err := errors.Join(storetest.Check(t.Context(), s), s.Close()); err != nil {
				t.Errorf("schema %d: %v", schema, err)
			}
		}
		into := t.TempDir()
		d.load(t, openTest(t, Options{Dir: into, Create: true, Unfinished: true, Schema: d.Schema}))
		has(openTest(t, Options{Dir: into}))
		if i != 0 && i != len(known)/2 {
			continue
		}
		url := server.Schema(t, fmt.Sprint("old", schema))
		for _, o := range []PostgresOptions{{URL: url, Create: true, Unfinished: true, Schema: d.Schema}, {URL: url}} {
			s, err := OpenPostgres(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if o.Create {
				d.load(t, s)
			} else {
				has(s)
			}
		}
	}
}
