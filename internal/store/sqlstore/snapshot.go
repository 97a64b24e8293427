// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
)

// Snapshot copies the store, as it is between two transactions, into a new file. It is for dev,
// which goes back to it: a backup for other purposes needs more care than this.
func (s *Store) Snapshot(ctx context.Context, file string) error {
	r := newRequest(ctx)
	r.alone = func(session *session) error {
		_, err := session.exec(context.Background(), "VACUUM INTO $1", s.beside(file))
		return err
	}
	if a := s.submit(ctx, r); a.err != nil {
		return fmt.Errorf("snapshot: %w", a.err)
	}
	return nil
}

// Restore makes the records those of a snapshot of this store, all or none. No observer is told:
// the caller makes whoever remembers something forget it. Revisions go on and are not reused.
func (s *Store) Restore(ctx context.Context, file string) error {
	r := newRequest(ctx)
	r.alone = func(session *session) error {
		release := s.committer.exclude()
		defer release()
		// The connection is dropped either way: with it the attached file, a transaction that
		// did not end, and what the committer knows of the head.
		defer s.committer.abandon()
		return restore(context.Background(), session, s.beside(file))
	}
	if a := s.submit(ctx, r); a.err != nil {
		return fmt.Errorf("restore snapshot: %w", a.err)
	}
	return nil
}

// beside is the URI of a file on disk, seen from a database that may itself be in memory.
func (s *Store) beside(file string) string {
	switch {
	case s.shared == nil:
		return location(file)
	case runtime.GOOS == "windows":
		return location(file) + "?vfs=win32"
	}
	return location(file) + "?vfs=unix"
}

func restore(ctx context.Context, session *session, file string) error {
	if _, err := session.exec(ctx, "ATTACH DATABASE $1 AS snapshot", file); err != nil {
		return err
	}
	var tables []string
	list := "SELECT name FROM snapshot.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name <> 'feed_head'"
	err := session.each(ctx, list, nil, func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		tables = append(tables, name)
		return err
	})
	if err != nil {
		return err
	}
	if len(tables) == 0 {
		return errors.New("the file holds no table")
	}
	// The tables' order is not that of their references, which are checked at the end. WHERE
	// true keeps SQLite from copying whole pages, by which it would lose count of references.
	script := []string{"BEGIN IMMEDIATE", "PRAGMA defer_foreign_keys = ON"}
	for _, t := range tables {
		script = append(script, "DELETE FROM main."+t, "INSERT INTO main."+t+" SELECT * FROM snapshot."+t+" WHERE true")
	}
	script = append(script,
		"UPDATE main.feed_head SET rev = rev + 1, (events, event_hash) = (SELECT events, event_hash FROM snapshot.feed_head)",
		"COMMIT")
	for _, text := range script {
		if _, err := session.exec(ctx, text); err != nil {
			return err
		}
	}
	return nil
}
