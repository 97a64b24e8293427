// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"fmt"
	"slices"
	"strings"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// table is how records of one type are stored, with the texts that every type needs.
type table struct {
	name      string
	announced keys.Type // in the change feed; "" is not announced
	key       []string  // the columns of the identity
	fixed     []string  // the columns that never change
	mutable   []string
	stateful  bool     // has a lifecycle: a column state among the mutable ones
	revised   bool     // has a column revision, after all others
	sealed    bool     // has a column kek_generation among the mutable ones, which does not go back
	renamed   bool     // has unique values among the mutable columns
	lasting   []string // mutable columns of indexes that every record is in, which hardly ever change

	list   string // SELECT every column, to which conditions are added
	load   string // by identity
	insert string // does nothing when a unique value is taken
	update string // mutable, revision; key, fixed, old revision, state where there is one
	steady string // update for records whose lasting columns are as before: SQLite writes an index anew if a column of it is set, to whatever
	upsert string // for records that may be replaced and have no revision
	remove string // by identity, returning every column
}

// columns are the names of one kind of column, separated by blanks.
func columns(s string) []string { return strings.Fields(s) }

// define completes t.
func define(t table) *table {
	all := append(append(append([]string{}, t.key...), t.fixed...), t.mutable...)
	if t.revised {
		all = append(all, "revision")
	}
	list := strings.Join(all, ", ")
	t.list = fmt.Sprintf("SELECT %s FROM %s", list, t.name)
	t.load = t.list + " WHERE " + equal(t.key, 1, " AND ")
	t.remove = fmt.Sprintf("DELETE FROM %s WHERE %s RETURNING %s", t.name, equal(t.key, 1, " AND "), list)
	insert := fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s) ON CONFLICT ", t.name, list, placeholders(1, len(all)))
	t.insert = insert + "DO NOTHING"
	if !t.revised {
		sets := make([]string, len(t.mutable))
		for i, c := range t.mutable {
			sets[i] = c + " = excluded." + c
		}
		t.upsert = fmt.Sprintf("%s(%s) DO UPDATE SET %s", insert, strings.Join(t.key, ", "), strings.Join(sets, ", "))
		return &t
	}
	set := append(append([]string{}, t.mutable...), "revision")
	where := append(append(append([]string{}, t.key...), t.fixed...), "revision")
	condition := equal(where, 1+len(set), " AND ")
	if t.sealed {
		condition += fmt.Sprintf(" AND kek_generation <= $%d", 1+slices.Index(set, "kek_generation"))
	}
	if t.stateful { // what is erased stays erased
		condition += fmt.Sprintf(" AND (state <> 'DELETED' OR $%d = 'DELETED')", 1+len(set)+len(where))
	}
	t.update = fmt.Sprintf("UPDATE %s SET %s WHERE %s", t.name, equal(set, 1, ", "), condition)
	if len(t.lasting) > 0 {
		var moved []string
		for i, c := range set {
			if term := equal([]string{c}, 1+i, ""); slices.Contains(t.lasting, c) {
				condition += " AND " + term
			} else {
				moved = append(moved, term)
			}
		}
		t.steady = fmt.Sprintf("UPDATE %s SET %s WHERE %s", t.name, strings.Join(moved, ", "), condition)
	}
	return &t
}

// equal is "a = $from" for each column, numbered and joined.
func equal(columns []string, from int, separator string) string {
	terms := make([]string, len(columns))
	for i, c := range columns {
		terms[i] = fmt.Sprintf("%s = $%d", c, from+i)
	}
	return strings.Join(terms, separator)
}

// placeholders is n numbered placeholders.
func placeholders(from, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", from+i)
	}
	return b.String()
}

// row is one record taken apart for its table.
type row struct {
	*table
	record   store.Record
	fields   []any       // pointers to the fields, in the order of the table's columns
	revision *int64      // nil where the table has none
	id       *keys.ID    // nil where the identity is something else
	state    *keys.State // nil where there is no lifecycle
}

func (r *row) keyFields() []any   { return r.fields[:len(r.key)] }
func (r *row) fixedFields() []any { return r.fields[len(r.key):][:len(r.fixed)] }
func (r *row) mutableFields() []any {
	return r.fields[len(r.key)+len(r.fixed):][:len(r.mutable)]
}

// deleted reports whether the record is a tombstone.
func (r *row) deleted() bool { return r.state != nil && *r.state == keys.Deleted }

// change is what the change feed says of the record.
func (r *row) change(revision int64) store.Change {
	c := store.Change{Revision: revision, Type: r.announced}
	if r.id != nil {
		c.ID = *r.id
	}
	switch rec := r.record.(type) {
	case *keys.Alias:
		c.Name = store.AliasName(rec.Tenant, rec.Region, rec.Name)
	case *identity.CredentialRow:
		c.Name = rec.Name
	}
	return c
}
