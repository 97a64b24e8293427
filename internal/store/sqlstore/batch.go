// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"errors"
	"fmt"
	"strings"

	"claviger/internal/store"
)

// A batch is run swiftly at first: without savepoints, with what the committer remembers, and
// with what every transaction ends with, counters, audit events, the change feed and the head,
// written once for all of them. When a transaction fails after it has written something, or the
// database refuses anything, the batch is undone and run again carefully, each transaction in a
// savepoint and complete by itself: that tells whose failure it was.

// errCareful says that a batch must be undone and run carefully.
var errCareful = errors.New("the batch is to be run carefully")

// batch is what a swift batch has still to write.
type batch struct {
	memo    *memo
	tallies []tally
	events  []eventRow
	changes []changeRow
	begun   store.Head
	head    store.Head // after what was added
}

// eventRow is an audit event as it is stored.
type eventRow struct {
	seq  int64
	hash [32]byte
	text string
}

// changeRow is an entry of the change feed with its place in its revision.
type changeRow struct {
	store.Change
	place int
}

// add takes over what a transaction that succeeded ends with.
func (b *batch) add(t *tx) {
	for _, c := range t.tallies {
		b.tallies = addTally(b.tallies, c.total, c.by)
	}
	b.events = append(b.events, t.events...)
	for i, c := range t.changes {
		b.changes = append(b.changes, changeRow{c, i + 1})
	}
	b.head = t.head
}

// finish writes all of it, the head last.
func (b *batch) finish(t *tx) error {
	if err := t.writeTallies(&b.tallies); err != nil {
		return err
	}
	if b.head == b.begun {
		return t.flush()
	}
	if err := t.writeEvents(b.events); err != nil {
		return err
	}
	if err := t.writeChanges(b.changes); err != nil {
		return err
	}
	if err := t.moveHead(b.begun, b.head); err != nil {
		return err
	}
	return t.flush()
}

// most is how many rows one statement inserts at most.
const most = 32

// chunk is how many of n rows the next statement inserts: powers of two, so that there are few texts.
func chunk(n int) int {
	size := most
	for size > n {
		size /= 2
	}
	return size
}

// insertRows is the text that inserts n rows of as many columns as head names.
func insertRows(head string, columns, n int) string {
	var b strings.Builder
	b.WriteString(head)
	b.WriteString(" VALUES ")
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("(" + placeholders(1+columns*i, columns) + ")")
	}
	return b.String()
}

func (t *tx) writeEvents(events []eventRow) error {
	for len(events) > 0 {
		n := chunk(len(events))
		args := make([]any, 0, 3*n)
		for i := range events[:n] {
			e := &events[i]
			args = append(args, e.seq, (*hashCol)(&e.hash), e.text)
		}
		if _, err := t.change(int64(n), t.session.inserting("INSERT INTO events (seq, hash, event)", 3, n), args...); err != nil {
			return fmt.Errorf("record audit event: %w", err)
		}
		events = events[n:]
	}
	return nil
}

func (t *tx) writeChanges(changes []changeRow) error {
	for len(changes) > 0 {
		n := chunk(len(changes))
		args := make([]any, 0, 5*n)
		for i := range changes[:n] {
			c := &changes[i]
			args = append(args, c.Revision, c.place, &c.Type, (*idCol)(&c.ID), &c.Name)
		}
		if _, err := t.change(int64(n), t.session.inserting("INSERT INTO changes (rev, seq, type, id, name)", 5, n), args...); err != nil {
			return fmt.Errorf("write change feed: %w", err)
		}
		changes = changes[n:]
	}
	return nil
}

// moveHead moves the head from one place, where it must be, to another.
func (t *tx) moveHead(from, to store.Head) error {
	if t.putsOff() {
		if _, err := t.change(1, placeHead, to.Revision, to.Events, (*hashCol)(&to.Hash), from.Revision); err != nil {
			return fmt.Errorf("move head: %w", err)
		}
		return nil
	}
	var rev int64
	err := t.one(advanceHead, []any{to.Revision - from.Revision, to.Events, (*hashCol)(&to.Hash)}, &rev)
	if err != nil {
		return fmt.Errorf("move head: %w", err)
	}
	if rev != to.Revision {
		t.broken = errHead
		return errHead
	}
	return nil
}
