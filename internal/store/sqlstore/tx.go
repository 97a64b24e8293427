// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"claviger/internal/store"
)

var (
	errReadOnly = errors.New("a view cannot write")
	errOver     = errors.New("the transaction is over")
)

// tx is one transaction. It belongs to the goroutine that runs its function.
type tx struct {
	ctx     context.Context
	session *session
	engine  engine
	over    bool

	// broken is the first unexpected error of the database. The transaction can only be
	// undone after it: the database may already have done so, and what is written next
	// would stand outside of it.
	broken error

	// Of Update only.
	writer   bool
	batch    *batch     // under way, when it is run swiftly
	numbers  *numbers   // of the run
	dirty    bool       // has begun to write: in a careful batch there is a savepoint
	wrote    bool       // has changed rows of the database
	begun    store.Head // before this transaction
	head     store.Head // begun with what this transaction added
	revision int64
	changes  []store.Change
	events   []eventRow            // of a swift batch: not written yet
	told     map[store.Change]bool // the same, once they are many
	tallies  []tally
	spec     specMemo
}

// Revision implements [store.Tx].
func (t *tx) Revision() int64 { return t.revision }

// write prepares t for its first change.
func (t *tx) write() error {
	switch {
	case t.over:
		return errOver
	case !t.writer:
		return errReadOnly
	case t.broken != nil:
		return t.broken
	case t.dirty:
		return nil
	}
	t.dirty = true
	if t.batch != nil {
		return nil
	}
	_, err := t.exec("SAVEPOINT tx")
	return err
}

// wholly refuses to go on swiftly for what must see all that the batch did so far in the database.
func (t *tx) wholly() error {
	if t.batch != nil && t.broken == nil {
		t.broken = errCareful
	}
	return t.usable()
}

func isNone(err error) bool { return errors.Is(err, sql.ErrNoRows) }

func (t *tx) usable() error {
	if t.over {
		return errOver
	}
	return t.broken
}

// check remembers an unexpected error.
func (t *tx) check(err error) error {
	if err == nil || errors.Is(err, sql.ErrNoRows) || t.engine.uniqueViolation(err) {
		return err
	}
	if t.writer && t.broken == nil {
		t.broken = err
	}
	return err
}

func (t *tx) exec(text string, args ...any) (int64, error) {
	if err := t.flush(); err != nil {
		return 0, err
	}
	n, err := t.session.exec(t.ctx, text, args...)
	t.wrote = t.wrote || n > 0
	return n, t.check(err)
}

func (t *tx) one(text string, args []any, into ...any) error {
	if err := t.usable(); err != nil {
		return err
	}
	if err := t.flush(); err != nil {
		return err
	}
	return t.check(t.session.one(t.ctx, text, args, into))
}

func (t *tx) each(text string, args []any, scan func(*sql.Rows) error) error {
	if err := t.usable(); err != nil {
		return err
	}
	if err := t.flush(); err != nil {
		return err
	}
	return t.check(t.session.each(t.ctx, text, args, scan))
}

// list scans every row of a query into a new record. The conditions follow the table's own
// SELECT.
func list[T any](t *tx, conditions string, args ...any) ([]*T, error) {
	shape, err := describe(store.Record(new(T)))
	if err != nil {
		return nil, err
	}
	var out []*T
	err = t.each(shape.list+conditions, args, func(rows *sql.Rows) error {
		rec := new(T)
		r, err := describe(store.Record(rec))
		if err != nil {
			return err
		}
		if err := rows.Scan(r.fields...); err != nil {
			return err
		}
		out = append(out, rec)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", shape.name, err)
	}
	return out, nil
}

// finish writes what belongs to the end of a transaction: counters, the change feed and the
// head. It is the last thing before the savepoint's release.
func (t *tx) finish() error {
	if t.broken != nil {
		return t.broken
	}
	if !t.dirty {
		return nil
	}
	if t.batch == nil {
		if err := t.writeTallies(&t.tallies); err != nil {
			return err
		}
	}
	return t.advance()
}
