// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"modernc.org/sqlite"

	"claviger/internal/store"
	"claviger/internal/store/storetest"
)

// edit runs statements on the database of a closed store.
func edit(t *testing.T, dir string, statements ...string) {
	t.Helper()
	c, err := sqlite.NewConnector("file:" + filepath.Join(dir, databaseName))
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(c)
	for _, text := range statements {
		if _, err := db.Exec(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// newDir makes a data directory with a closed store in it.
func newDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := openTest(t, Options{Dir: dir, Create: true}).Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// refuses expects that a store cannot be opened, for a reason that holds all of the words.
func refuses(t *testing.T, o Options, target error, words ...string) {
	t.Helper()
	s, err := OpenSQLite(t.Context(), o)
	if err == nil {
		t.Errorf("%+v was opened", o)
		_ = s.Close()
		return
	}
	if target != nil && !errors.Is(err, target) {
		t.Errorf("%+v: %v, which is not %v", o, err, target)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%+v: %q does not say %q", o, err, word)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	empty, full := t.TempDir(), newDir(t)
	refuses(t, Options{}, nil)
	refuses(t, Options{Dir: empty, Memory: true}, nil)
	refuses(t, Options{Dir: empty}, fs.ErrNotExist, empty)
	refuses(t, Options{Dir: filepath.Join(empty, "none")}, fs.ErrNotExist, "none")
	refuses(t, Options{Dir: full, Create: true}, fs.ErrExist, full)
	for _, name := range []string{databaseName, databaseName + "-wal"} {
		if _, err := os.Stat(filepath.Join(empty, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a refused open left %s: %v", name, err)
		}
	}

	foreign := t.TempDir()
	edit(t, foreign, "CREATE TABLE recipes (title TEXT)")
	refuses(t, Options{Dir: foreign}, nil, "not one of claviger's")
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, databaseName), []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	refuses(t, Options{Dir: broken}, nil, broken)
}

// TestOwner opens a directory that is open already.
func TestOwner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openTest(t, Options{Dir: dir, Create: true})
	refuses(t, Options{Dir: dir}, nil, dir, fmt.Sprintf("pid %d", os.Getpid()), "one owner")
	refuses(t, Options{Dir: dir, Create: true}, nil, "one owner")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, Options{Dir: dir})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestCreate makes databases where the name is awkward and where a creation was cut short.
func TestCreate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "50% of #1?mode=memory&x", "sub dir")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{".new", ".new-wal"} {
		if err := os.WriteFile(filepath.Join(dir, databaseName+suffix), []byte("rest of a crash"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := &storetest.World{}
	s := openTest(t, Options{Dir: dir, Create: true})
	tenant := w.Tenant()
	update(t, s, tenant)
	names, err := filepath.Glob(filepath.Join(filepath.Dir(dir), "sub dir", "*"))
	if err != nil || len(names) != 4 {
		t.Errorf("files: %v, %v; want database, log, index and lock", names, err)
	}
	for _, name := range names {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", name, info.Mode(), err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, Options{Dir: dir})
	if err := s.View(t.Context(), func(tx store.Tx) error { _, err := store.LoadTenant(tx, tenant.ID); return err }); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, databaseName+"-wal")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a closed store has a log: %v", err)
	}
}

// TestPragmas asks the connections that are in use for what they were opened with.
func TestPragmas(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{})
	reader, err := s.views.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(session *session, pragma string) (value string) {
		if err := session.one(t.Context(), "PRAGMA "+pragma, nil, []any{&value}); err != nil {
			t.Errorf("%s: %v", pragma, err)
		}
		return value
	}
	writer := s.committer.session // idle
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "secure_delete": "1", "foreign_keys": "1",
		"temp_store": "2", "trusted_schema": "0", "busy_timeout": "5000", "query_only": "0",
	} {
		if got := ask(writer, pragma); got != want {
			t.Errorf("%s of the connection that writes is %s, want %s", pragma, got, want)
		}
	}
	if got := ask(reader, "query_only"); got != "1" {
		t.Errorf("query_only of a connection that reads is %s", got)
	}
	if _, err := reader.exec(t.Context(), "DELETE FROM settings"); err == nil {
		t.Error("a connection that reads can write")
	}
	s.views.put(reader, true)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestNewerSchema opens databases that newer releases have migrated.
func TestNewerSchema(t *testing.T) {
	t.Parallel()
	const newer = "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)"
	expanded := newDir(t)
	edit(t, expanded, newer, "CREATE TABLE additions (x TEXT)", "ALTER TABLE tenants ADD COLUMN more TEXT NOT NULL DEFAULT ''")
	s := openTest(t, Options{Dir: expanded})
	update(t, s, (&storetest.World{}).Tenant())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	contracted := newDir(t)
	edit(t, contracted, newer, "UPDATE schema_floor SET version = 98")
	refuses(t, Options{Dir: contracted}, nil, "schema 99", "98", "newer release")
}

// TestMigrations holds their names to one form: a number each, none twice.
func TestMigrations(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(migrations, "migrations/sqlite/*")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	form, seen := regexp.MustCompile(`^[0-9]{5}_[a-z_]+\.sql$`), map[string]bool{}
	for _, name := range names {
		base := filepath.Base(name)
		if !form.MatchString(base) || seen[base[:5]] {
			t.Errorf("a migration is called %s", name)
			continue
		}
		seen[base[:5]] = true
	}
}
