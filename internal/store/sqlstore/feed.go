// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"

	"claviger/internal/audit"
	"claviger/internal/store"
)

const (
	readHead    = "SELECT rev, events, event_hash FROM feed_head WHERE one = 1"
	advanceHead = `UPDATE feed_head SET rev = rev + $1, events = $2, event_hash = $3 WHERE one = 1 RETURNING rev`
	few         = 32 // changes up to which searching them is cheaper than a map
)

var errHead = errors.New("the head of the change feed was moved by somebody else: this store must have one writer")

// Head implements [store.Tx].
func (t *tx) Head() (store.Head, error) {
	if t.batch != nil {
		return t.begun, t.usable()
	}
	var h store.Head
	if err := t.one(readHead, nil, &h.Revision, &h.Events, (*hashCol)(&h.Hash)); err != nil {
		return store.Head{}, fmt.Errorf("read head: %w", err)
	}
	return h, nil
}

// announce notes a change for the feed: each record once, where it was changed first.
func (t *tx) announce(r *row, removed bool) {
	if t.batch != nil {
		t.batch.memo.changed(r, removed)
	}
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

// advance writes the change feed and, last of all, moves the head. In a swift batch that is done
// for all of its transactions together.
func (t *tx) advance() error {
	t.head.Revision = t.begun.Revision
	if len(t.changes) > 0 {
		t.head.Revision++
	}
	if t.batch != nil || t.head == t.begun {
		return nil
	}
	changes := make([]changeRow, len(t.changes))
	for i, c := range t.changes {
		changes[i] = changeRow{c, i + 1}
	}
	if err := t.writeChanges(changes); err != nil {
		return err
	}
	return t.moveHead(t.begun, t.head)
}

// Changes implements [store.Tx].
func (t *tx) Changes(after int64, limit int) ([]store.Change, error) {
	if limit < 0 {
		return nil, errNegative
	}
	if err := t.wholly(); err != nil {
		return nil, err
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
	row := eventRow{t.head.Events + 1, e.Hash(t.head.Hash), string(e.AppendJSON(nil))}
	if t.batch != nil {
		t.events = append(t.events, row)
	} else if err := t.writeEvents([]eventRow{row}); err != nil {
		return err
	}
	t.head.Events, t.head.Hash = row.seq, row.hash
	return nil
}

// Events implements [store.Tx].
func (t *tx) Events(after int64, limit int) ([]store.StoredEvent, error) {
	n, err := limitOf(limit)
	if err != nil {
		return nil, err
	}
	if err := t.wholly(); err != nil {
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
