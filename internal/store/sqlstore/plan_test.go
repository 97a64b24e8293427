// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"regexp"
	"strings"
	"sync"
	"testing"

	"modernc.org/sqlite"

	"claviger/internal/keys"
	"claviger/internal/store"
	"claviger/internal/store/storetest"
)

// TestPlans asks SQLite how it would answer the queries of lists, schedules and expiry: from an
// index, in the index's order. A list that is sorted or searched through would cost what is
// in the store rather than what is on the page.
func TestPlans(t *testing.T) {
	t.Parallel()
	seen := &texts{}
	s := openTest(t, Options{connect: seen.connect})
	w := &storetest.World{}
	tenant := w.Tenant()
	vault := w.Vault(tenant)
	k := w.Key(vault)
	k.Erased = 1
	update(t, s, tenant, vault, k)
	mark := &store.Mark{Time: k.CreatedAt, Name: "n", ID: k.ID}
	err := s.View(t.Context(), func(tx store.Tx) error {
		for _, page := range []store.Page{
			{Limit: 5},
			{After: mark, Limit: 5},
			{After: mark, Desc: true, Limit: 5},
			{Offset: 5, Limit: 5},
			{Sort: store.ByName, After: mark, Limit: 5},
			{Sort: store.ByName, Desc: true, After: mark, Limit: 5},
		} {
			try(t, tx.Keys, store.KeyQuery{Tenant: tenant.ID, Region: k.Region, Page: page})
			try(t, tx.Keys, store.KeyQuery{Vault: vault.ID, HideDeleted: true, Specs: []keys.Spec{keys.AES256}, Page: page})
			try(t, tx.Keys, store.KeyQuery{Tenant: tenant.ID, Region: k.Region, Vault: vault.ID, Compartment: k.ID, Page: page})
			try(t, tx.Vaults, store.VaultQuery{Tenant: tenant.ID, Region: k.Region, Page: page})
		}
		for _, q := range []store.WorkQuery{
			{Tenant: tenant.ID, Region: k.Region, Page: store.Page{After: mark, Limit: 5}},
			{Tenant: tenant.ID, Region: k.Region, Compartment: k.ID, Page: store.Page{Desc: true, Limit: 5}},
			{Unfinished: true},
		} {
			try(t, tx.WorkRequests, q)
		}
		for _, q := range []store.VersionQuery{
			{}, {AfterOrdinal: 3}, {AfterOrdinal: 3, Desc: true}, {Offset: 3, HideDeleted: true}, {Offset: 3, HideDeleted: true, Desc: true},
		} {
			q.Key, q.Limit = k.ID, 5
			try(t, tx.Versions, q)
		}
		try(t, tx.Aliases, store.AliasQuery{Tenant: tenant.ID, Region: k.Region, Offset: 5, Limit: 5})
		try(t, tx.Aliases, store.AliasQuery{Key: k.ID, Limit: 5})
		try(t, tx.Compartments, tenant.ID)
		try(t, tx.Principals, tenant.ID)
		try(t, tx.Credentials, tenant.ID)
		try(t, tx.Bindings, k.ID)
		try(t, tx.Grants, k.ID)
		try(t, tx.ExternalIDs, k.ID)
		try(t, tx.Count, store.Counter{Type: keys.TypeVersion, Tenant: tenant.ID, Region: k.Region, Specs: keys.Specs()})
		if _, err := tx.Due(k.CreatedAt, 5); err != nil {
			return err
		}
		if _, err := tx.Changes(3, 5); err != nil {
			return err
		}
		_, err := tx.Events(3, 5)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Update(context.Background(), func(tx store.Tx) error {
		_, err := tx.Expire(store.Expiry{Domain: k.CreatedAt, Request: k.CreatedAt, Work: k.CreatedAt, Tombstones: k.CreatedAt}, 5)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	explain(t, seen.all())
}

// try calls a list; what it answers does not matter.
func try[Q, T any](t *testing.T, list func(Q) (T, error), q Q) {
	t.Helper()
	if _, err := list(q); err != nil {
		t.Errorf("%+v: %v", q, err)
	}
}

// explain checks the plan of each text.
func explain(t *testing.T, all []string) {
	t.Helper()
	s := openTest(t, Options{Memory: true})
	asked := 0
	for _, text := range all {
		if !regexp.MustCompile(`^(SELECT|DELETE)`).MatchString(text) {
			continue
		}
		asked++
		args := make([]any, strings.Count(text, "$"))
		for i := range args {
			args[i] = 1
		}
		plan := planOf(t, s, text, args)
		if regexp.MustCompile(`TEMP B-TREE|(?m)^SCAN [a-z]+$`).MatchString(plan) {
			t.Errorf("%s\nis answered by\n%s", text, plan)
		}
	}
	if asked < 40 {
		t.Errorf("only %d queries were looked at", asked)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestWritesMakeNoTables looks at the program of each statement that writes a record: a list of three
// values or more in a constraint or in an index's condition is a table that SQLite makes for each row.
func TestWritesMakeNoTables(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{Memory: true})
	asked := 0
	for _, table := range []*table{
		tenantTable, compartmentTable, vaultTable, replicaTable, keyTable, versionTable, aliasTable, grantTable, principalTable,
		bindingTable, credentialTable, workTable, kekTable, settingTable, externalIDTable, tokenTable, nonceTable,
	} {
		for _, text := range []string{table.insert, table.update, table.steady, table.upsert} {
			if text == "" {
				continue
			}
			asked++
			args := make([]any, strings.Count(text, "$"))
			if program := explained(t, s, "EXPLAIN "+text, args); strings.Contains(program, " OpenEphemeral ") {
				t.Errorf("%s\nmakes a table\n%s", text, program)
			}
			plan := planOf(t, s, text, args)
			if strings.HasPrefix(text, "UPDATE") && !regexp.MustCompile(`USING (PRIMARY KEY|INDEX sqlite_autoindex_)`).MatchString(plan) {
				t.Errorf("%s\nfinds its record by\n%s", text, plan)
			}
		}
	}
	writes := func(text string) int {
		return strings.Count(explained(t, s, "EXPLAIN "+text, make([]any, strings.Count(text, "$"))), " OpenWrite ")
	}
	if all, steady := writes(keyTable.update), writes(keyTable.steady); steady != all-2 {
		t.Errorf("a key's update opens %d tables and indexes to write, and %d where its name stays: want two less", all, steady)
	}
	if asked < 25 {
		t.Errorf("only %d statements were looked at", asked)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func planOf(t *testing.T, s *Store, text string, args []any) string {
	t.Helper()
	return explained(t, s, "EXPLAIN QUERY PLAN "+text, args)
}

// explained is what SQLite tells of a statement, a line for each step.
func explained(t *testing.T, s *Store, text string, args []any) string {
	t.Helper()
	session, err := s.views.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.views.put(session, true)
	rows, err := session.conn.QueryContext(t.Context(), text, args...)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var steps strings.Builder
	for rows.Next() {
		row := make([]sql.NullString, len(columns))
		into := make([]any, len(row))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		if columns[len(columns)-1] == "detail" { // a plan's step; the columns before tell where it stands
			steps.WriteString(row[len(row)-1].String + "\n")
			continue
		}
		for _, value := range row {
			steps.WriteString(value.String + " ")
		}
		steps.WriteString("\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return steps.String()
}

// texts remembers the statements that connections prepare, each once.
type texts struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (x *texts) connect(dsn string) (driver.Connector, error) {
	c, err := sqlite.NewConnector(dsn)
	return textConnector{c, x}, err
}

func (x *texts) all() (out []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for text := range x.seen {
		out = append(out, text)
	}
	return out
}

type textConnector struct {
	driver.Connector
	texts *texts
}

func (c textConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return textConn{conn.(sqliteConn), c.texts}, nil
}

type textConn struct {
	sqliteConn
	texts *texts
}

func (c textConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	c.texts.mu.Lock()
	if c.texts.seen == nil {
		c.texts.seen = map[string]bool{}
	}
	c.texts.seen[query] = true
	c.texts.mu.Unlock()
	return c.sqliteConn.PrepareContext(ctx, query)
}
