// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"claviger/internal/store"
)

var (
	_ store.Dumper = (*Store)(nil)
	_ store.Loader = (*Store)(nil)
)

// schemaOf reads the number of the newest migration.
func schemaOf(ctx context.Context, s *session) (n int64, err error) {
	err = s.one(ctx, "SELECT MAX(version_id) FROM goose_db_version", nil, []any{&n})
	return n, err
}

// dumpRows is how many rows are taken at once.
const dumpRows = 1000

// Dump implements [store.Dumper].
func (s *Store) Dump(ctx context.Context, begin func(*store.Dump) error, take func(store.Rows) error) error {
	return s.View(ctx, func(t store.Tx) error {
		in := t.(*tx).session
		d, tables, err := s.describeAll(ctx, t, in)
		if err != nil {
			return err
		}
		if err := begin(d); err != nil {
			return err
		}
		for i, table := range tables {
			var after []any
			for {
				rows, err := table.rows(ctx, in, after, dumpRows)
				if err != nil {
					return err
				}
				if len(rows) > 0 {
					if err := take(store.Rows{Table: i, Rows: rows}); err != nil {
						return err
					}
					after = table.position(rows[len(rows)-1])
				}
				if len(rows) < dumpRows {
					break
				}
			}
		}
		return nil
	})
}

// describeAll reads what a dump begins with.
func (s *Store) describeAll(ctx context.Context, t store.Tx, in *session) (*store.Dump, []*catalogued, error) {
	d := &store.Dump{}
	var err error
	if d.Head, err = t.Head(); err != nil {
		return nil, nil, err
	}
	if d.Schema, err = schemaOf(ctx, in); err != nil {
		return nil, nil, err
	}
	all, err := catalog(ctx, in, s.engine.catalog())
	if err != nil {
		return nil, nil, err
	}
	tables, err := moved(all)
	if err != nil {
		return nil, nil, err
	}
	for _, table := range tables {
		n, _, err := table.count(ctx, in)
		if err != nil {
			return nil, nil, err
		}
		d.Tables = append(d.Tables, store.DumpTable{Name: table.name, Columns: table.columns, Rows: n})
	}
	newest := &store.KEK{}
	if err := t.Load(newest); err != nil {
		return nil, nil, fmt.Errorf("load system KEK: %w", err)
	}
	d.System = []*store.KEK{newest}
	for g := newest.Generation - 1; g > 0; g-- {
		kek := &store.KEK{Generation: g}
		switch err := t.Load(kek); {
		case err == nil:
			d.System = append(d.System, kek)
		case !errors.Is(err, store.ErrNotFound):
			return nil, nil, err
		}
	}
	return d, tables, nil
}

// Load implements [store.Loader]. The names of tables and columns are compared with the schema's own
// before they become part of a statement.
func (s *Store) Load(ctx context.Context, by, from string, d *store.Dump, next func() (store.Rows, error)) error {
	l := &loading{s: s, d: d}
	if err := l.begin(ctx, by, from); err != nil {
		return err
	}
	for {
		rows, err := next()
		if errors.Is(err, io.EOF) {
			return l.finish(ctx)
		}
		if err != nil {
			return err
		}
		t := l.tables[rows.Table]
		if t == nil {
			continue
		}
		if err := s.transactionally(ctx, func(in *session) error { return s.engine.fill(ctx, in, t, rows.Rows) }); err != nil {
			return fmt.Errorf("fill table %s: %w", t.name, err)
		}
	}
}

// loading is one run of Load.
type loading struct {
	s      *Store
	d      *store.Dump
	tables []*catalogued // as the dump has them; nil for one that is left out
}

func (l *loading) begin(ctx context.Context, by, from string) error {
	return l.s.transactionally(ctx, func(s *session) error {
		has, err := schemaOf(ctx, s)
		if err != nil {
			return err
		}
		if has != l.d.Schema {
			return fmt.Errorf("the backup is of schema %d, the database has schema %d: remove the database, it is made again as the backup needs it", l.d.Schema, has)
		}
		all, err := catalog(ctx, s, l.s.engine.catalog())
		if err != nil {
			return err
		}
		known, err := moved(all)
		if err != nil {
			return err
		}
		filled := 0
		for _, t := range l.d.Tables {
			if t.Name == bucketTable {
				l.tables = append(l.tables, nil)
				continue
			}
			i := slices.IndexFunc(known, func(k *catalogued) bool { return k.name == t.Name && slices.Equal(k.columns, t.Columns) })
			if i < 0 {
				return fmt.Errorf("the backup has a table %q that is not of schema %d", t.Name, has)
			}
			l.tables = append(l.tables, known[i])
			filled++
		}
		if len(known) != filled {
			return errors.New("the backup lacks a table of its schema")
		}
		return l.mark(ctx, s, known, &unfinished{By: by, From: from, Rev: l.d.Head.Revision, Events: l.d.Head.Events})
	})
}

// mark makes sure of an empty database and marks it as unfinished.
func (l *loading) mark(ctx context.Context, s *session, tables []*catalogued, mine *unfinished) error {
	left, err := loadUnfinished(ctx, s)
	if err != nil {
		return err
	}
	if left == nil {
		if err := s.vacant(ctx); err != nil {
			return fmt.Errorf("%w: restore into a new place, which is made", err)
		}
	} else if left.By != mine.By {
		return fmt.Errorf("%w: %q from %s fills it", ErrUnfinished, left.By, left.From)
	}
	if err := l.s.engine.empty(ctx, s, tables); err != nil {
		return err
	}
	return mine.store(ctx, s)
}

func (l *loading) finish(ctx context.Context) error {
	err := l.s.transactionally(ctx, func(s *session) error {
		for _, kek := range l.d.System {
			r, err := describe(kek)
			if err != nil {
				return err
			}
			if _, err := s.exec(ctx, r.table.insert, r.fields...); err != nil {
				return err
			}
		}
		return endUnfinished(ctx, s, l.d.Head)
	})
	if err != nil {
		return fmt.Errorf("finish what was filled: %w", err)
	}
	return l.s.headMoved(ctx)
}
