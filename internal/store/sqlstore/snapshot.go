// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"runtime"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// Snapshot copies the store, as it is between two transactions, into a new file that its owner
// alone may read. It is for dev, which goes back to it: a backup for other purposes needs more
// care than this.
func (s *Store) Snapshot(ctx context.Context, file string) error {
	// SQLite would make the file readable by everybody; it takes one that is there and empty.
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
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

// Restore makes the records those of a snapshot of this store, all or none, in one transaction
// that the change feed tells of: every record that there was or is has changed in it. No observer
// is told: the caller makes whoever remembers something forget it.
func (s *Store) Restore(ctx context.Context, file string) error {
	r := newRequest(ctx)
	r.alone = func(session *session) error {
		release := s.committer.exclude()
		defer release()
		// The connection is dropped either way: with it the attached file, a transaction that
		// did not end, and what the committer knows of the head.
		defer s.committer.abandon()
		head := s.committer.head
		t := &tx{
			ctx: context.Background(), session: session, engine: s.engine,
			writer: true, dirty: true, begun: head, head: head, revision: head.Revision + 1,
		}
		return t.restore(s.beside(file))
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

// restore runs the whole transaction.
func (t *tx) restore(file string) error {
	if _, err := t.exec("ATTACH DATABASE $1 AS snapshot", file); err != nil {
		return err
	}
	tables, err := t.snapshotTables()
	if err != nil {
		return err
	}
	// The tables' order is not that of their references, which are checked at the end.
	if err := t.engine.begin(t.ctx, t.session, &t.head); err != nil {
		return err
	}
	if _, err := t.exec("PRAGMA defer_foreign_keys = ON"); err != nil {
		return err
	}
	if err := t.announceAll(); err != nil {
		return err
	}
	for _, name := range tables {
		// WHERE true keeps SQLite from copying whole pages, by which it would lose count of references.
		for _, text := range []string{"DELETE FROM main." + name, "INSERT INTO main." + name + " SELECT * FROM snapshot." + name + " WHERE true"} {
			if _, err := t.exec(text); err != nil {
				return err
			}
		}
	}
	for _, table := range announcedTables() {
		if _, err := t.exec("UPDATE "+table.name+" SET revision = $1", t.revision); err != nil {
			return err
		}
	}
	if err := t.announceAll(); err != nil {
		return err
	}
	err = t.one("SELECT events, event_hash FROM snapshot.feed_head", nil, &t.head.Events, (*hashCol)(&t.head.Hash))
	if err != nil {
		return err
	}
	if err := t.advance(); err != nil {
		return err
	}
	_, err = t.exec("COMMIT")
	return err
}

// snapshotTables lists the tables that go back to what they were: all but those of the feed,
// which goes on, and of the schema.
func (t *tx) snapshotTables() ([]string, error) {
	var out []string
	err := t.each("SELECT name FROM snapshot.sqlite_schema WHERE type = 'table'", nil, func(rows *sql.Rows) error {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		switch name {
		case "feed_head", "changes", "schema_floor", "goose_db_version", "sqlite_sequence":
		default:
			out = append(out, name)
		}
		return nil
	})
	if err == nil && len(out) == 0 {
		err = errors.New("the file holds no table")
	}
	return out, err
}

func announcedTables() []*table {
	return []*table{
		tenantTable, compartmentTable, vaultTable, replicaTable, keyTable, versionTable, aliasTable, grantTable, principalTable,
		bindingTable, credentialTable, workTable,
	}
}

// announceAll announces every record that there is.
func (t *tx) announceAll() error {
	return errors.Join(
		announceEach[keys.Tenant](t), announceEach[keys.Compartment](t), announceEach[keys.Vault](t), announceEach[keys.Replica](t),
		announceEach[keys.Key](t), announceEach[keys.Version](t), announceEach[keys.Alias](t), announceEach[keys.Grant](t),
		announceEach[identity.Principal](t), announceEach[identity.Binding](t), announceEach[identity.CredentialRow](t),
		announceEach[keys.WorkRequest](t),
	)
}

func announceEach[T any](t *tx) error {
	all, err := list[T](t, "")
	for _, rec := range all {
		r, err := describe(store.Record(rec))
		if err != nil {
			return err
		}
		t.announce(&r, false)
	}
	return err
}
