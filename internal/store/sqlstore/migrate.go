// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/sqlite/*.sql
var migrations embed.FS

// migrate brings a schema up to date. A database without one is refused, unless it is fresh.
func migrate(ctx context.Context, db *sql.DB, fresh bool) error {
	texts, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, texts, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if !fresh {
		known := p.ListSources() // in the order of their numbers
		if done, err := admit(ctx, db, known[len(known)-1].Version); done || err != nil {
			return err
		}
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	return nil
}

// admit refuses a database that this release cannot run on, and reports whether it needs nothing done.
func admit(ctx context.Context, db *sql.DB, knows int64) (done bool, err error) {
	var tables int
	err = db.QueryRowContext(ctx, "SELECT COUNT(*) FROM sqlite_schema WHERE name = 'schema_floor'").Scan(&tables)
	if err != nil {
		return false, fmt.Errorf("read the schema: %w", err)
	}
	if tables == 0 {
		return false, errors.New("the database is not one of claviger's")
	}
	var has, floor int64
	err = db.QueryRowContext(ctx, `SELECT (SELECT MAX(version_id) FROM goose_db_version WHERE is_applied), version
		FROM schema_floor`).Scan(&has, &floor)
	if err != nil {
		return false, fmt.Errorf("read the schema's version: %w", err)
	}
	if has > knows && floor > knows {
		return false, fmt.Errorf("the database has schema %d, which needs a release that knows at least schema %d; "+
			"this one knows %d: install a newer release", has, floor, knows)
	}
	return has >= knows, nil
}
