// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"

	"claviger/internal/store"
	"claviger/internal/store/pgtest"
	"claviger/internal/store/storetest"
)

// aKEK is what a store that has been initialized holds.
func aKEK() *store.KEK {
	return &store.KEK{Generation: 1, Root: "root", Sealed: []byte("sealed"), CreatedAt: (&storetest.World{}).Time()}
}

// half marks a store as half filled.
func half(t *testing.T, s *Store) {
	t.Helper()
	err := s.transactionally(t.Context(), func(in *session) error { return (&unfinished{By: "the test"}).store(t.Context(), in) })
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
}

// schemaIn is the schema of a database, looked at from outside.
func schemaIn(t *testing.T, db *sql.DB) (n int64) {
	t.Helper()
	err := db.QueryRowContext(t.Context(), "SELECT MAX(version_id) FROM goose_db_version").Scan(&n)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestVacantSQLite(t *testing.T) {
	t.Parallel()
	old := func(t *testing.T, recs ...store.Record) string {
		dir := t.TempDir()
		s := openTest(t, Options{Dir: dir, Create: true, Schema: 2})
		if len(recs) > 0 {
			update(t, s, recs...)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	for name, c := range map[string]struct {
		make func(*testing.T) string
		want error
	}{
		"none":               {func(t *testing.T) string { return filepath.Join(t.TempDir(), "none") }, nil},
		"an empty directory": {func(t *testing.T) string { return t.TempDir() }, nil},
		"one just made":      {func(t *testing.T) string { return old(t) }, nil},
		"one with keys":      {func(t *testing.T) string { return old(t, aKEK()) }, ErrNotEmpty},
		"half filled": {func(t *testing.T) string {
			dir := old(t, aKEK())
			half(t, openTest(t, Options{Dir: dir, Schema: 2}))
			return dir
		}, nil},
		"somebody else's": {func(t *testing.T) string {
			dir := t.TempDir()
			edit(t, dir, "CREATE TABLE recipes (title TEXT)")
			return dir
		}, errForeign},
		"in use": {func(t *testing.T) string {
			dir := old(t)
			s := openTest(t, Options{Dir: dir, Schema: 2})
			t.Cleanup(func() { _ = s.Close() })
			return dir
		}, ErrOwned},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := c.make(t)
			if err := (Options{Dir: dir}).Vacant(t.Context()); !errors.Is(err, c.want) || (c.want == nil && err != nil) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			if _, err := os.Stat(filepath.Join(dir, databaseName)); err != nil || errors.Is(c.want, errForeign) {
				return
			}
			connector, err := sqlite.NewConnector("file:" + filepath.Join(dir, databaseName))
			if err != nil {
				t.Fatal(err)
			}
			if got := schemaIn(t, sql.OpenDB(connector)); got != 2 {
				t.Errorf("looking brought its schema to %d", got)
			}
		})
	}
}

func TestVacantPostgres(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a PostgreSQL server")
	}
	url := pgtest.Start(t).Database(t, "vacant")
	o := PostgresOptions{URL: url}
	wants := func(want error, of string) {
		t.Helper()
		if err := o.Vacant(t.Context()); !errors.Is(err, want) || (want == nil && err != nil) {
			t.Errorf("%s: %v, want %v", of, err, want)
		}
	}
	wants(nil, "without tables")
	s, err := OpenPostgres(t.Context(), PostgresOptions{URL: url, Create: true, Schema: 2})
	if err != nil {
		t.Fatal(err)
	}
	wants(nil, "just made")
	update(t, s, aKEK())
	wants(ErrNotEmpty, "with keys")
	half(t, s)
	wants(nil, "half filled")
	connector, err := (&stdlib.Driver{}).OpenConnector(url)
	if err != nil {
		t.Fatal(err)
	}
	if got := schemaIn(t, sql.OpenDB(connector)); got != 2 {
		t.Errorf("looking brought its schema to %d", got)
	}
}
