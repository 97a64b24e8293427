// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// catalogued is a table as the database itself describes it. Both databases describe the same
// schema with the same names.
type catalogued struct {
	name    string
	columns []string
	order   []string // the columns of the primary key
}

func (c *catalogued) has(column string) bool { return slices.Contains(c.columns, column) }

const sqliteCatalog = `SELECT t.name, c.name, c.pk FROM sqlite_schema t JOIN pragma_table_info(t.name) c
	WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' ORDER BY t.rowid, c.cid`

// A primary key has its columns in the order in which they stand in conkey.
const postgresCatalog = `SELECT t.relname::text, c.attname::text, COALESCE(array_position(k.conkey, c.attnum), 0)::bigint
	FROM pg_class t JOIN pg_attribute c ON c.attrelid = t.oid AND c.attnum > 0 AND NOT c.attisdropped
	LEFT JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype = 'p'
	WHERE t.relkind = 'r' AND t.relnamespace = current_schema()::regnamespace ORDER BY t.oid, c.attnum`

// catalog lists the tables in the order in which they were made: what a table refers to comes before it.
func catalog(ctx context.Context, s *session, text string) ([]*catalogued, error) {
	var out []*catalogued
	places := map[string]map[int]string{}
	err := s.each(ctx, text, nil, func(rows *sql.Rows) error {
		var table, column string
		var place int
		if err := rows.Scan(&table, &column, &place); err != nil {
			return err
		}
		if len(out) == 0 || out[len(out)-1].name != table {
			out = append(out, &catalogued{name: table})
			places[table] = map[int]string{}
		}
		t := out[len(out)-1]
		t.columns = append(t.columns, column)
		if place > 0 {
			places[table][place] = column
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	for _, t := range out {
		for i := 1; i <= len(places[t.name]); i++ {
			t.order = append(t.order, places[t.name][i])
		}
	}
	return out, nil
}

// bucketTable holds what throttling allows at the moment. There are dumps that have it, without rows.
const bucketTable = "throttles"

// moved picks what a copy takes along: all but the schema's own tables, the nodes that serve from
// the database and the buckets that they share, and the head, which comes last.
func moved(all []*catalogued) ([]*catalogued, error) {
	var out []*catalogued
	for _, t := range all {
		switch t.name {
		case "goose_db_version", "schema_floor", "nodes", bucketTable, "feed_head":
			continue
		case "versions": // a key's versions are read together
			t.order = []string{"key", "ordinal"}
		}
		if len(t.order) == 0 {
			return nil, fmt.Errorf("table %s has no primary key", t.name)
		}
		slices.Sort(t.columns) // where columns were added, they stand in the order of that
		out = append(out, t)
	}
	return out, nil
}

// held is which rows a copy leaves out until the end, and the arguments: without the system's KEK no
// release serves a database, nor initializes it.
func (c *catalogued) held() (condition string, args []any) {
	switch c.name {
	case "keks":
		return "owner <> $1", []any{make([]byte, 16)}
	case "settings":
		return "name <> $1", []any{settingUnfinished}
	}
	return "", nil
}

// where joins conditions.
func where(conditions ...string) string {
	conditions = slices.DeleteFunc(conditions, func(c string) bool { return c == "" })
	if len(conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(conditions, " AND ")
}

// page is the query for the rows after a position, in order, and its arguments.
func (c *catalogued) page(after []any, limit int) (text string, args []any) {
	held, args := c.held()
	beyond := ""
	if after != nil {
		beyond = fmt.Sprintf("(%s) > (%s)", strings.Join(c.order, ", "), placeholders(len(args)+1, len(after)))
		args = append(args, after...)
	}
	args = append(args, limit)
	text = fmt.Sprintf("SELECT %s FROM %s%s ORDER BY %s LIMIT $%d",
		strings.Join(c.columns, ", "), c.name, where(held, beyond), strings.Join(c.order, ", "), len(args))
	return text, args
}

// position is the place of a row in the order.
func (c *catalogued) position(row []any) []any {
	out := make([]any, len(c.order))
	for i, column := range c.order {
		out[i] = row[slices.Index(c.columns, column)]
	}
	return out
}

// rows reads one page.
func (c *catalogued) rows(ctx context.Context, s *session, after []any, limit int) ([][]any, error) {
	text, args := c.page(after, limit)
	return c.query(ctx, s, text, args)
}

// rowsHeld reads the system's KEKs, where c is the table of KEKs.
func (c *catalogued) rowsHeld(ctx context.Context, s *session) ([][]any, error) {
	text := fmt.Sprintf("SELECT %s FROM %s WHERE owner = $1 ORDER BY generation", strings.Join(c.columns, ", "), c.name)
	return c.query(ctx, s, text, []any{make([]byte, 16)})
}

func (c *catalogued) query(ctx context.Context, s *session, text string, args []any) ([][]any, error) {
	var out [][]any
	err := s.each(ctx, text, args, func(rows *sql.Rows) error {
		row := make([]any, len(c.columns))
		into := make([]any, len(row))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		out = append(out, row)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read table %s: %w", c.name, err)
	}
	return out, nil
}

// count counts the rows, and finds the position of the last one; nil where there is none.
func (c *catalogued) count(ctx context.Context, s *session) (n int, last []any, err error) {
	held, args := c.held()
	if err := s.one(ctx, "SELECT COUNT(*) FROM "+c.name+where(held), args, []any{&n}); err != nil || n == 0 {
		return n, nil, err
	}
	last = make([]any, len(c.order))
	into := make([]any, len(last))
	for i := range last {
		into[i] = &last[i]
	}
	text := fmt.Sprintf("SELECT %s FROM %s%s ORDER BY %s DESC LIMIT 1",
		strings.Join(c.order, ", "), c.name, where(held), strings.Join(c.order, " DESC, "))
	return n, last, s.one(ctx, text, args, into)
}
