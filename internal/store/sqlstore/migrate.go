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
		if err := admit(ctx, db, p); err != nil {
			return err
		}
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	return nil
}

// admit refuses a database that this release cannot run on.
func admit(ctx context.Context, db *sql.DB, p *goose.Provider) error {
	var tables int
	err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM sqlite_master WHERE name = 'feed_head'").Scan(&tables)
	if err != nil {
		return fmt.Errorf("read the schema: %w", err)
	}
	if tables == 0 {
		return errors.New("the database is not one of claviger's")
	}
	has, knows, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	if has <= knows {
		return nil
	}
	var floor int64
	if err := db.QueryRowContext(ctx, "SELECT version FROM schema_floor").Scan(&floor); err != nil {
		return fmt.Errorf("read the schema's floor: %w", err)
	}
	if floor > knows {
		return fmt.Errorf("the database has schema %d, which needs a release that knows at least schema %d; "+
			"this one knows %d: install a newer release", has, floor, knows)
	}
	return nil
}
