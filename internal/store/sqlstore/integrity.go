// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"fmt"

	"claviger/internal/store"
)

// maxIntegrity bounds what SQLite tells of a damaged file.
const maxIntegrity = 100

// Integrity asks the database whether its own files are sound and every reference leads to a row,
// and answers what is not. PostgreSQL keeps its references by itself, and checks its files in ways
// of its own (data checksums, amcheck).
func (s *Store) Integrity(ctx context.Context) ([]string, error) {
	if _, ok := s.engine.(sqliteEngine); !ok {
		return nil, nil
	}
	var faults []string
	err := s.View(ctx, func(t store.Tx) error {
		in := t.(*tx)
		err := in.each(fmt.Sprintf("PRAGMA integrity_check(%d)", maxIntegrity), nil, func(rows *sql.Rows) error {
			var text string
			if err := rows.Scan(&text); err != nil {
				return err
			}
			if text != "ok" {
				faults = append(faults, "the database is damaged: "+text)
			}
			return nil
		})
		if err != nil {
			return err
		}
		return in.each("PRAGMA foreign_key_check", nil, func(rows *sql.Rows) error {
			var table, parent string
			var row sql.NullInt64
			var key int
			if err := rows.Scan(&table, &row, &parent, &key); err != nil {
				return err
			}
			if len(faults) < maxIntegrity {
				faults = append(faults, fmt.Sprintf("row %d of table %s refers to a row of table %s that is not there", row.Int64, table, parent))
			}
			return nil
		})
	})
	if err != nil {
		return faults, fmt.Errorf("check the database's files: %w", err)
	}
	return faults, nil
}
