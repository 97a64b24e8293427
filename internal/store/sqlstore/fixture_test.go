// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/audit"
	"claviger/internal/keys"
	"claviger/internal/store"
	"claviger/internal/store/storetest"
)

var rewrite = flag.Bool("update", false, "write testdata/schema-*.sql of the newest schema")

// schemas lists the numbers of the migrations, in order. Databases of each are in testdata; once
// released they are not changed any more.
func schemas(t *testing.T) []int {
	t.Helper()
	names, err := filepath.Glob("migrations/sqlite/*.sql")
	if err != nil || len(names) == 0 {
		t.Fatalf("there are no migrations: %v", err)
	}
	out := make([]int, len(names))
	for i, name := range names {
		number, _, _ := strings.Cut(filepath.Base(name), "_")
		if out[i], err = strconv.Atoi(number); err != nil {
			t.Fatalf("%s has no number: %v", name, err)
		}
	}
	return out
}

// populate fills a store with records of all types, and answers what it should hold: by the
// schema that each came with, from 1.
func populate(t *testing.T, s *Store) [][]store.Record {
	t.Helper()
	w := &storetest.World{}
	tenant, partner := w.Tenant(), w.Tenant()
	principal := w.Principal(tenant)
	vault, leaving := w.Vault(tenant), w.Vault(tenant)
	vault.Default, vault.Endpoint = true, "8443"
	leaving.State, leaving.DeleteAt, leaving.Endpoint = keys.PendingDeletion, w.Time(), "8444"
	leaving.Tags = keys.Tags{Plain: map[string]string{"a": "b"}, Namespaced: map[string]map[string]string{"n": {"c": "d"}}}
	k, gone := w.Key(vault), w.Key(leaving)
	k.Rotation = keys.Rotation{Interval: 30 * keys.Day, Start: w.Time(), Next: w.Time(), Status: "SUCCESS"}
	first, second := w.Version(k), w.Version(k)
	first.State, first.DeleteAt, first.Sealed, first.PublicKey = keys.Deleted, w.Time(), nil, nil
	k.Erased = 1
	gone.State, gone.DeleteAt, gone.Tags = keys.Deleted, w.Time(), keys.Tags{}
	binding := w.Binding(principal)
	binding.Vault = vault.ID
	recs := []store.Record{
		tenant, partner, w.Compartment(tenant), principal, binding, w.Credential(principal), vault, leaving, k, gone,
		first, second, w.Alias(k), w.Grant(k, partner),
		&store.KEK{Owner: vault.ID, Generation: 1, Root: "root-1", Sealed: []byte("sealed kek"), CreatedAt: w.Time()},
		&store.Setting{Name: "clock", Value: "0"},
		&store.ExternalID{Dialect: "alibaba", Type: keys.TypeKey, Tenant: tenant.ID, Region: k.Region, Name: "key-1", ID: k.ID},
		&store.Token{Principal: principal.ID, Operation: "CreateKey", Token: "t", Type: keys.TypeKey, Result: []byte("r"), ID: k.ID, ExpiresAt: w.Time()},
		&store.Nonce{Hash: [16]byte{1}, ExpiresAt: w.Time()},
	}
	update(t, s, recs...)
	for i := range 3 {
		_, err := s.Update(context.Background(), func(tx store.Tx) error {
			e := audit.Event{Time: w.Time(), Operation: fmt.Sprint("Operation", i), Key: k.ID, Outcome: audit.OutcomeOK}
			return errors.Join(tx.Put(k), tx.Record(e))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	imported, material := w.Imported(vault, w.Time())
	emptied, version := w.Imported(vault, w.Time())
	emptied.State, version.State, version.Sealed = keys.PendingImport, keys.PendingImport, nil
	hidden := w.Hidden(vault)
	since2 := []store.Record{imported, material, emptied, version, hidden, w.Version(hidden)}
	update(t, s, since2...)
	update(t, s, hidden)
	work := w.WorkRequest(tenant)
	work.Status, work.FinishedAt = keys.WorkFailed, w.Time()
	work.Errors = []keys.WorkNote{{At: w.Time(), Kind: keys.KindUnavailable, Text: "gone"}}
	work.Resources = []keys.WorkResource{{Type: keys.TypeKey, ID: k.ID, Vault: vault.ID, Region: k.Region, Effect: keys.WorkRelated}}
	update(t, s, work)
	replica := w.Replica(w.Vault(tenant))
	replica.Vault, replica.Endpoint = vault.ID, "8445"
	replica.State, replica.DeleteAt = keys.Deleted, w.Time() // one that was taken away
	update(t, s, replica)
	return [][]store.Record{recs, since2, nil, {work}, {replica}}
}

// dump writes a database as the statements that make it.
func dump(t *testing.T, dir string) string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, databaseName)+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var out strings.Builder
	var tables []string
	collect(t, db, "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type DESC, name",
		func(name, text string) {
			fmt.Fprintf(&out, "%s;\n", text)
			if strings.HasPrefix(text, "CREATE TABLE") {
				tables = append(tables, name)
			}
		})
	for _, table := range tables {
		var columns []string
		collect(t, db, "SELECT name, type FROM pragma_table_info('"+table+"')", func(name, _ string) {
			if name == "tstamp" { // when it was migrated, which would never be the same
				columns = append(columns, "'''2026-01-01 00:00:00'''")
				return
			}
			columns = append(columns, "quote("+name+")")
		})
		collect(t, db, fmt.Sprintf("SELECT '', %s FROM %s ORDER BY 2", strings.Join(columns, " || ', ' || "), table), func(_, row string) {
			fmt.Fprintf(&out, "INSERT INTO %s VALUES (%s);\n", table, row)
		})
	}
	return out.String()
}

func collect(t *testing.T, db *sql.DB, query string, visit func(a, b string)) {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		var a, b string
		if err := rows.Scan(&a, &b); err != nil {
			t.Fatal(err)
		}
		visit(a, b)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

// TestReleases opens a database of each schema, as a release left it: it is brought up to
// date, has what it had, breaks no invariant and goes on.
func TestReleases(t *testing.T) {
	t.Parallel()
	fresh := t.TempDir()
	s := openTest(t, Options{Dir: fresh, Create: true})
	recs := populate(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	known := schemas(t)
	newest := filepath.Join("testdata", fmt.Sprintf("schema-%d.sql", known[len(known)-1]))
	now := dump(t, fresh)
	if *rewrite {
		if err := os.WriteFile(newest, []byte(now), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if kept, err := os.ReadFile(newest); err != nil || string(kept) != now {
		t.Errorf("the newest schema is another than in %s (%v): a released migration is never changed; "+
			"for a new one add a file with -update\n%s", newest, err, cmp.Diff(string(kept), now))
	}
	later := &storetest.World{}
	for range 1000 { // past the ids of what is stored
		later.ID()
	}
	for _, schema := range known {
		text, err := os.ReadFile(filepath.Join("testdata", fmt.Sprintf("schema-%d.sql", schema)))
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		edit(t, dir, "BEGIN; "+string(text)+" COMMIT")
		s := openTest(t, Options{Dir: dir})
		holds(t, s, slices.Concat(recs[:min(schema, len(recs))]...))
		update(t, s, later.Vault(recs[0][0].(*keys.Tenant)))
		if err := storetest.Check(t.Context(), s); err != nil {
			t.Errorf("schema %d: %v", schema, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// holds compares records with what a store has.
func holds(t *testing.T, s *Store, recs []store.Record, options ...cmp.Option) {
	t.Helper()
	err := s.View(t.Context(), func(tx store.Tx) error {
		for _, want := range recs {
			r, err := describe(want)
			if err != nil {
				return err
			}
			got := clone(&r)
			if err := tx.Load(got.record); err != nil {
				t.Errorf("%T: %v", want, err)
			}
			if diff := cmp.Diff(want, got.record, options...); diff != "" {
				t.Errorf("%T (-want +got):\n%s", want, diff)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
