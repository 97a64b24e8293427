// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"claviger/internal/store"
)

// CopyOptions says how a store is copied.
type CopyOptions struct {
	// By and From are what a half copied database is told to be filled by, and from where; for people.
	By, From string
	// Restart empties what an earlier copy left, instead of going on with it.
	Restart bool
	// Progress hears how many rows of all are copied, and then compared; it may be nil.
	Progress func(stage string, done, total int)

	pageRows int          // rows of one transaction, but in tests 2000
	step     func() error // in tests: called after every transaction
}

// The stages of a copy.
const (
	StageCopy    = "copy rows"
	StageCompare = "compare rows"
)

// CopyReport is what was copied.
type CopyReport struct {
	Head   store.Head
	Now    store.Head // of the source at the end: a later one was changed meanwhile
	Tables []CopiedTable
	Rows   int
	Before int // rows that an earlier run had copied
}

// CopiedTable is one table, which has the same rows in both databases.
type CopiedTable struct {
	Name   string
	Rows   int
	Digest [32]byte // of all rows in their order
}

// copying is one run of Copy.
type copying struct {
	o        CopyOptions
	from, to *Store
	reading  *session // of the source, in its one view
	head     store.Head
	tables   []*catalogued
	after    map[string][]any // table → the last row that is there already
	done     int
	total    int
	report   *CopyReport
}

// Copy copies everything in one store, as one moment saw it, into another, which was opened as
// Unfinished and is empty or was left half copied by an earlier run: then it goes on. Until it has
// ended, nothing can be served from the other. In the end the rows of both are compared, one by one.
//
// The rows are copied as they are: no key is needed, and none changes. What belongs to the processes
// that serve (the nodes) is left out. It keeps some thousand rows in memory.
func Copy(ctx context.Context, from, to *Store, o CopyOptions) (*CopyReport, error) {
	if o.pageRows == 0 {
		o.pageRows = 2000
	}
	c := &copying{o: o, from: from, to: to, after: map[string][]any{}, report: &CopyReport{}}
	err := from.View(ctx, func(t store.Tx) (err error) {
		c.reading = t.(*tx).session
		if c.head, err = t.Head(); err != nil {
			return err
		}
		c.report.Head = c.head
		for _, step := range []func(context.Context) error{c.survey, c.admit, c.clear, c.resume, c.copyAll, c.compareAll, c.finish} {
			if err := step(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = from.View(ctx, func(t store.Tx) (err error) { c.report.Now, err = t.Head(); return err })
	}
	return c.report, err
}

// survey learns what tables there are. Both databases have the schema of this release.
func (c *copying) survey(ctx context.Context) error {
	here, err := catalog(ctx, c.reading, c.from.engine.catalog())
	if err != nil {
		return err
	}
	var there []*catalogued
	err = c.to.transactionally(ctx, func(s *session) (err error) {
		there, err = catalog(ctx, s, c.to.engine.catalog())
		return err
	})
	if err != nil {
		return err
	}
	if c.tables, err = moved(here); err != nil {
		return err
	}
	if there, err = moved(there); err != nil {
		return err
	}
	for _, t := range c.tables {
		if !slices.ContainsFunc(there, func(o *catalogued) bool { return o.name == t.name && slices.Equal(o.columns, t.columns) }) {
			return fmt.Errorf("table %s is another in the two databases", t.name)
		}
	}
	if len(there) != len(c.tables) {
		return errors.New("the two databases have different tables")
	}
	return nil
}

// admit looks whether the other database may be filled, and marks it.
func (c *copying) admit(ctx context.Context) error {
	mine := unfinished{By: c.o.By, From: c.o.From, Rev: c.head.Revision, Events: c.head.Events, Hash: hex.EncodeToString(c.head.Hash[:])}
	return c.to.transactionally(ctx, func(s *session) error {
		left, err := loadUnfinished(ctx, s)
		if err != nil {
			return err
		}
		if left == nil {
			if err := s.vacant(ctx); err != nil {
				return fmt.Errorf("%w: copy into a new place, which is made", err)
			}
			return mine.store(ctx, s)
		}
		if left.By != mine.By {
			return fmt.Errorf("%w: %q from %s fills it", ErrUnfinished, left.By, left.From)
		}
		if c.o.Restart {
			if err := c.to.engine.empty(ctx, s, c.tables); err != nil {
				return err
			}
			return mine.store(ctx, s)
		}
		if left.Rev != mine.Rev || left.Events != mine.Events || left.Hash != mine.Hash {
			return fmt.Errorf("a copy was begun at revision %d of %s, which now is at revision %d: begin again with --restart, which empties what was copied",
				left.Rev, left.From, mine.Rev)
		}
		return nil
	})
}

// kept reports whether rows of a table stay what they are while the head does.
func (c *catalogued) kept() bool {
	return c.has("revision") || c.name == "changes" || c.name == "events"
}

// clear empties the tables that change without the head: they are copied anew in every run.
func (c *copying) clear(ctx context.Context) error {
	return c.to.transactionally(ctx, func(s *session) error {
		for _, t := range c.tables {
			if t.kept() {
				continue
			}
			held, args := t.held()
			if _, err := s.exec(ctx, "DELETE FROM "+t.name+where(held), args...); err != nil {
				return fmt.Errorf("empty table %s: %w", t.name, err)
			}
		}
		return nil
	})
}

// resume finds how far an earlier run came.
func (c *copying) resume(ctx context.Context) error {
	for _, t := range c.tables {
		n, _, err := t.count(ctx, c.reading)
		if err != nil {
			return fmt.Errorf("count the rows of table %s: %w", t.name, err)
		}
		c.total += n
	}
	return c.to.transactionally(ctx, func(s *session) error {
		for _, t := range c.tables {
			n, last, err := t.count(ctx, s)
			if err != nil {
				return fmt.Errorf("count the rows of table %s: %w", t.name, err)
			}
			c.done += n
			c.after[t.name] = last
		}
		c.report.Before = c.done
		return nil
	})
}

func (c *copying) tell(stage string, done int) {
	if c.o.Progress != nil {
		c.o.Progress(stage, done, c.total)
	}
}

func (c *copying) copyAll(ctx context.Context) error {
	c.tell(StageCopy, c.done)
	for _, t := range c.tables {
		if err := c.copyTable(ctx, t); err != nil {
			return fmt.Errorf("copy table %s: %w", t.name, err)
		}
	}
	return nil
}

// copyTable copies a table in transactions of bounded size, reading ahead of what it writes.
func (c *copying) copyTable(ctx context.Context, t *catalogued) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	pages, written := make(chan [][]any, 1), make(chan error, 1)
	go func() {
		var failed error
		for rows := range pages {
			if failed == nil {
				if failed = c.write(ctx, t, rows); failed != nil {
					cancel(failed)
				}
			}
		}
		written <- failed
	}()
	err := c.readTable(ctx, t, func(rows [][]any) error {
		select {
		case pages <- rows:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	close(pages)
	if failed := <-written; failed != nil {
		return failed
	}
	return err
}

func (c *copying) write(ctx context.Context, t *catalogued, rows [][]any) error {
	err := c.to.transactionally(ctx, func(s *session) error { return c.to.engine.fill(ctx, s, t, rows) })
	if err != nil {
		return err
	}
	c.done += len(rows)
	c.tell(StageCopy, c.done)
	if c.o.step != nil {
		return c.o.step()
	}
	return nil
}

func (c *copying) readTable(ctx context.Context, t *catalogued, take func([][]any) error) error {
	after := c.after[t.name]
	for {
		rows, err := t.rows(ctx, c.reading, after, c.o.pageRows)
		if err != nil || len(rows) == 0 {
			return err
		}
		after = t.position(rows[len(rows)-1])
		if err := take(rows); err != nil {
			return err
		}
		if len(rows) < c.o.pageRows {
			return nil
		}
	}
}

// compareAll reads both databases from the beginning and compares every row.
func (c *copying) compareAll(ctx context.Context) error {
	c.done = 0
	return c.to.View(ctx, func(t store.Tx) error {
		theirs := t.(*tx).session
		for _, t := range c.tables {
			copied, err := c.compare(ctx, t, theirs)
			if err != nil {
				return err
			}
			c.report.Tables = append(c.report.Tables, copied)
			c.report.Rows += copied.Rows
		}
		return nil
	})
}

func (c *copying) compare(ctx context.Context, t *catalogued, theirs *session) (out CopiedTable, err error) {
	out.Name = t.name
	here, there := sha256.New(), sha256.New()
	var after []any
	for {
		rows, err := t.rows(ctx, c.reading, after, c.o.pageRows)
		if err != nil {
			return out, err
		}
		other, err := t.rows(ctx, theirs, after, c.o.pageRows)
		if err != nil {
			return out, err
		}
		for _, row := range rows {
			here.Write(encodeRow(row))
		}
		for _, row := range other {
			there.Write(encodeRow(row))
		}
		if len(rows) != len(other) || string(here.Sum(nil)) != string(there.Sum(nil)) {
			return out, fmt.Errorf("table %s is not the same in the two databases, from row %d to %d: begin again with --restart", t.name, out.Rows+1, out.Rows+c.o.pageRows)
		}
		out.Rows += len(rows)
		c.done += len(rows)
		c.tell(StageCompare, c.done)
		if len(rows) < c.o.pageRows {
			here.Sum(out.Digest[:0])
			return out, nil
		}
		after = t.position(rows[len(rows)-1])
	}
}

// encodeRow writes a row so that two different ones never give the same bytes.
func encodeRow(row []any) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(row))) //nolint:gosec // the columns of a table
	part := func(tag byte, p []byte) {
		b = append(b, tag)
		b = append(binary.BigEndian.AppendUint64(b, uint64(len(p))), p...)
	}
	for _, v := range row {
		switch v := v.(type) {
		case nil:
			part(0, nil)
		case int64:
			part(1, binary.BigEndian.AppendUint64(nil, uint64(v))) //nolint:gosec // its bits, whatever the sign
		case string:
			part(2, []byte(v))
		case []byte:
			part(3, v)
		default:
			part(4, fmt.Appendf(nil, "%T %v", v, v))
		}
	}
	return b
}

// finish brings what was held back, in the transaction that ends the copy.
func (c *copying) finish(ctx context.Context) error {
	keks := c.tables[slices.IndexFunc(c.tables, func(t *catalogued) bool { return t.name == "keks" })]
	held, err := keks.rowsHeld(ctx, c.reading)
	if err != nil {
		return err
	}
	err = c.to.transactionally(ctx, func(s *session) error {
		if err := c.to.engine.fill(ctx, s, keks, held); err != nil {
			return err
		}
		return endUnfinished(ctx, s, c.head)
	})
	if err != nil {
		return fmt.Errorf("finish the copy: %w", err)
	}
	for i := range c.report.Tables {
		if c.report.Tables[i].Name == keks.name {
			c.report.Tables[i].Rows += len(held)
		}
	}
	c.report.Rows += len(held)
	return c.to.headMoved(ctx)
}
