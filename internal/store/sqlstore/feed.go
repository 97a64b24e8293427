// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"claviger/internal/audit"
	"claviger/internal/store"
)

const (
	readHead    = "SELECT rev, events, event_hash FROM feed_head WHERE one = 1"
	advanceHead = `UPDATE feed_head SET rev = rev + $1, events = $2, event_hash = $3 WHERE one = 1 RETURNING rev`
	insertEvent = "INSERT INTO events (seq, hash, event) VALUES ($1, $2, $3)"
	changesRow  = 8  // how many changes are inserted by one statement
	few         = 32 // changes up to which searching them is cheaper than a map
)

var errHead = errors.New("the head of the change feed was moved by somebody else: this store must have one writer")

// Head implements [store.Tx].
func (t *tx) Head() (store.Head, error) {
	var h store.Head
	if err := t.one(readHead, nil, &h.Revision, &h.Events, (*hashCol)(&h.Hash)); err != nil {
		return store.Head{}, fmt.Errorf("read head: %w", err)
	}
	return h, nil
}

// announce notes a change for the feed: each record once, where it was changed first.
func (t *tx) announce(r *row) {
	if r.announced == "" {
		return
	}
	c := r.change(t.revision)
	if len(t.changes) < few {
		if !slices.Contains(t.changes, c) {
			t.changes = append(t.changes, c)
		}
		return
	}
	if t.told == nil {
		t.told = map[store.Change]bool{}
		for _, c := range t.changes {
			t.told[c] = true
		}
	}
	if !t.told[c] {
		t.told[c] = true
		t.changes = append(t.changes, c)
	}
}

// advance writes the change feed and, last of all, moves the head.
func (t *tx) advance() error {
	for i := 0; i < len(t.changes); i += changesRow {
		chunk := t.changes[i:min(i+changesRow, len(t.changes))]
		args := make([]any, 0, 5*len(chunk))
		for j := range chunk {
			c := &chunk[j]
			args = append(args, c.Revision, i+j+1, &c.Type, (*idCol)(&c.ID), &c.Name)
		}
		if _, err := t.exec(insertChanges(len(chunk)), args...); err != nil {
			return fmt.Errorf("write change feed: %w", err)
		}
	}
	by := int64(0)
	if len(t.changes) > 0 {
		by = 1
	} else if t.head.Events == t.begun.Events {
		return nil // neither a change nor an event: the head stays
	}
	var rev int64
	err := t.one(advanceHead, []any{by, t.head.Events, (*hashCol)(&t.head.Hash)}, &rev)
	if err != nil {
		return fmt.Errorf("move head: %w", err)
	}
	if rev != t.begun.Revision+by {
		t.broken = errHead
		return errHead
	}
	t.head.Revision = rev
	return nil
}

// insertChanges is the text that inserts n changes.
func insertChanges(n int) string {
	values := make([]string, n)
	for i := range values {
		values[i] = "(" + placeholders(1+5*i, 5) + ")"
	}
	return "INSERT INTO changes (rev, seq, type, id, name) VALUES " + strings.Join(values, ", ")
}

// Changes implements [store.Tx].
func (t *tx) Changes(after int64, limit int) ([]store.Change, error) {
	if limit < 0 {
		return nil, errNegative
	}
	text := "SELECT rev, type, id, name FROM changes WHERE rev > $1"
	args := []any{after}
	if limit > 0 { // up to the revision of the last one within the limit
		text += " AND rev <= COALESCE((SELECT rev FROM changes WHERE rev > $1 ORDER BY rev, seq LIMIT 1 OFFSET $2), $3)"
		args = append(args, limit-1, int64(math.MaxInt64))
	}
	var out []store.Change
	err := t.each(text+" ORDER BY rev, seq", args, func(rows *sql.Rows) error {
		var c store.Change
		if err := rows.Scan(&c.Revision, &c.Type, (*idCol)(&c.ID), &c.Name); err != nil {
			return err
		}
		out = append(out, c)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read change feed: %w", err)
	}
	return out, nil
}

// Record implements [store.Tx].
func (t *tx) Record(e audit.Event) error {
	if err := t.write(); err != nil {
		return err
	}
	hash, seq := e.Hash(t.head.Hash), t.head.Events+1
	if _, err := t.exec(insertEvent, seq, (*hashCol)(&hash), string(e.AppendJSON(nil))); err != nil {
		return fmt.Errorf("record audit event: %w", err)
	}
	t.head.Events, t.head.Hash = seq, hash
	return nil
}

// Events implements [store.Tx].
func (t *tx) Events(after int64, limit int) ([]store.StoredEvent, error) {
	n, err := limitOf(limit)
	if err != nil {
		return nil, err
	}
	var out []store.StoredEvent
	text := "SELECT seq, hash, event FROM events WHERE seq > $1 ORDER BY seq LIMIT $2"
	err = t.each(text, []any{after, n}, func(rows *sql.Rows) error {
		var e store.StoredEvent
		var text string
		err := rows.Scan(&e.Sequence, (*hashCol)(&e.Hash), &text)
		if err != nil {
			return err
		}
		if e.Event, err = audit.ParseEvent([]byte(text)); err != nil {
			return fmt.Errorf("event %d: %w", e.Sequence, err)
		}
		out = append(out, e)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read audit events: %w", err)
	}
	return out, nil
}
