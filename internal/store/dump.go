// SPDX-License-Identifier: Apache-2.0

package store

import "context"

// A dump is a store's rows as they lie, at one revision: whoever reads one needs no key, and what
// is made of one is the same store, with its revisions and its chain of audited changes.

// Dump is what all of the rows have in common. The system's KEKs are apart: they alone are sealed by
// the root key.
type Dump struct {
	Schema int64 // the number of the newest migration
	Head   Head
	Tables []DumpTable // what a table refers to comes before it
	System []*KEK
}

// DumpTable is one table.
type DumpTable struct {
	Name    string
	Columns []string
	Rows    int
}

// Rows are some rows of a dump's table, in its order; the values are nil, int64, string or []byte, in
// the order of its columns.
type Rows struct {
	Table int
	Rows  [][]any
}

// Dumper is a store that can be dumped. begin is called once, then take for all rows, in the order
// of the tables, from one view.
type Dumper interface {
	Dump(ctx context.Context, begin func(*Dump) error, take func(Rows) error) error
}

// Loader is an empty store that can be filled from a dump. next answers [io.EOF] after the last rows;
// until it has, and all is in place, nothing is served from the store. by and from are what a person
// is told of one that was left in the middle. An interrupted load is begun anew.
type Loader interface {
	Load(ctx context.Context, by, from string, d *Dump, next func() (Rows, error)) error
}
