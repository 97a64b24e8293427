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
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/sqlite/*.sql migrations/postgres/*.sql
var migrations embed.FS

// schema is the tables of one database and how they came to be.
type schema struct {
	dialect goose.Dialect
	dir     string // of the migrations
	has     string // counts the tables named schema_floor
	options []goose.ProviderOption
}

func sqliteSchema() schema {
	return schema{
		dialect: goose.DialectSQLite3, dir: "migrations/sqlite",
		has: "SELECT COUNT(*) FROM sqlite_schema WHERE name = 'schema_floor'",
	}
}

// postgresSchema is migrated under a lock of the session, since several processes may start at once.
func postgresSchema() (schema, error) {
	locker, err := lock.NewPostgresSessionLocker()
	return schema{
		dialect: goose.DialectPostgres, dir: "migrations/postgres",
		has:     "SELECT COUNT(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'schema_floor'",
		options: []goose.ProviderOption{goose.WithSessionLocker(locker)},
	}, err
}

var errForeign = errors.New("the database is not one of claviger's")

// exists reports whether a database holds the tables.
func (s *schema) exists(ctx context.Context, db *sql.DB) (bool, error) {
	var tables int
	if err := db.QueryRowContext(ctx, s.has).Scan(&tables); err != nil {
		return false, fmt.Errorf("read the schema: %w", err)
	}
	return tables > 0, nil
}

// sources reads the migrations. The database takes a file's statements apart: goose's own reader of SQL
// takes a buffer of 4 MiB for each line.
func (s *schema) sources() ([]*goose.Migration, error) {
	files, err := fs.Glob(migrations, s.dir+"/*.sql")
	if err != nil {
		return nil, err
	}
	out := make([]*goose.Migration, len(files))
	for i, name := range files {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return nil, fmt.Errorf("read migrations: %w", err)
		}
		text, err := migrations.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read migrations: %w", err)
		}
		out[i] = goose.NewGoMigration(version, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, string(text)); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		}}, nil)
	}
	return out, nil
}

// migrate brings a schema up to date, or only to the number upTo where that is not 0. A database
// without one is refused, unless it is fresh.
func migrate(ctx context.Context, db *sql.DB, s schema, fresh bool, upTo int64) error {
	sources, err := s.sources()
	if err != nil {
		return err
	}
	options := append([]goose.ProviderOption{goose.WithDisableGlobalRegistry(true), goose.WithGoMigrations(sources...)}, s.options...)
	p, err := goose.NewProvider(s.dialect, db, nil, options...)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if !fresh {
		known := p.ListSources() // in the order of their numbers
		if done, err := admit(ctx, db, &s, known[len(known)-1].Version); done || err != nil {
			return err
		}
	}
	if upTo != 0 {
		known := p.ListSources()
		if newest := known[len(known)-1].Version; upTo > newest {
			return fmt.Errorf("it is to have schema %d, and this release knows %d: install a newer release", upTo, newest)
		}
		if _, err := p.UpTo(ctx, upTo); err != nil {
			return fmt.Errorf("migrate the database: %w", err)
		}
		return nil
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	return nil
}

// admit refuses a database that this release cannot run on, and reports whether it needs nothing done.
func admit(ctx context.Context, db *sql.DB, s *schema, knows int64) (done bool, err error) {
	there, err := s.exists(ctx, db)
	if err != nil {
		return false, err
	}
	if !there {
		return false, errForeign
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
