// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"claviger/internal/store"
)

// settingUnfinished is there while a database is being filled from somewhere else. Nothing is to be
// served from it until then.
const settingUnfinished = "unfinished"

// ErrUnfinished says that a database is only half filled.
var ErrUnfinished = errors.New("the database is not whole")

// unfinished is what fills a database, and from where.
type unfinished struct {
	By     string `json:"by"`   // the command
	From   string `json:"from"` // for people
	Rev    int64  `json:"revision"`
	Events int64  `json:"events"`
	Hash   string `json:"hash"`
}

// loadUnfinished reads the mark; nil where there is none.
func loadUnfinished(ctx context.Context, s *session) (*unfinished, error) {
	var text string
	err := s.one(ctx, "SELECT value FROM settings WHERE name = $1", []any{settingUnfinished}, []any{&text})
	if isNone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read whether the database is whole: %w", err)
	}
	var u unfinished
	if err := json.Unmarshal([]byte(text), &u); err != nil {
		return nil, fmt.Errorf("read whether the database is whole: %w", err)
	}
	return &u, nil
}

func (u *unfinished) store(ctx context.Context, s *session) error {
	text, err := json.Marshal(u)
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
		settingUnfinished, string(text))
	return err
}

// whole refuses a database that is only half filled.
func whole(ctx context.Context, s *session) error {
	u, err := loadUnfinished(ctx, s)
	if err != nil || u == nil {
		return err
	}
	return fmt.Errorf("%w: %q from %s did not come to its end; run it again, which finishes it", ErrUnfinished, u.By, u.From)
}

// transactionally runs fn in a transaction of the database's own, which nothing is announced of. The
// head that is known stays what it is.
func (s *Store) transactionally(ctx context.Context, fn func(*session) error) error {
	r := newRequest(ctx)
	r.alone = func(session *session) error {
		var head store.Head
		if err := s.engine.begin(ctx, session, &head); err != nil {
			return err
		}
		if err := fn(session); err != nil {
			return err // the connection is dropped, which undoes it
		}
		return s.engine.commit(ctx, session)
	}
	return s.submit(ctx, r).err
}

// endUnfinished sets the head of a database that was filled, and takes the mark away.
func endUnfinished(ctx context.Context, s *session, head store.Head) error {
	n, err := s.exec(ctx, "UPDATE feed_head SET rev = $1, events = $2, event_hash = $3 WHERE one = 1 AND rev = 0 AND events = 0",
		head.Revision, head.Events, (*hashCol)(&head.Hash))
	if err == nil && n != 1 {
		err = errHead
	}
	if err == nil {
		_, err = s.exec(ctx, "DELETE FROM settings WHERE name = $1", settingUnfinished)
	}
	return err
}

// headMoved makes the committer read the head again.
func (s *Store) headMoved(ctx context.Context) error {
	r := newRequest(ctx)
	r.alone = func(*session) error { s.committer.abandon(); return nil }
	return s.submit(ctx, r).err
}
