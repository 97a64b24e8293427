// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"

	"claviger/internal/store"
)

// ErrNotEmpty says that records would be put where records are.
var ErrNotEmpty = errors.New("the database that is to be filled holds keys already")

// Vacant looks whether the database may be filled from somewhere else: there is none, it is empty, or it
// was left half filled. One that holds keys is an error that wraps [ErrNotEmpty]. Unlike opening it, this
// changes nothing, its schema neither.
func (o Options) Vacant(ctx context.Context) (err error) {
	name := filepath.Join(o.Dir, databaseName)
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	unlock, err := lockDir(o.Dir)
	if err != nil {
		return fmt.Errorf("look into the database in %s: %w", o.Dir, err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if o.connect == nil {
		o.connect = sqlite.NewConnector
	}
	db, err := o.open(dsn(location(name)+"?mode=rw", "query_only(ON)")) // rw: a log that a crash left is read through
	if err != nil {
		return err
	}
	s := sqliteSchema()
	there, err := vacant(ctx, db, &s)
	if err == nil && !there {
		err = errForeign
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("look into the database in %s: %w", o.Dir, err)
	}
	return nil
}

// Vacant is as of [Options]; what else than claviger's tables is in the database does not matter.
func (o PostgresOptions) Vacant(ctx context.Context) error {
	o.defaults()
	config, err := o.config()
	if err != nil {
		return err
	}
	s, err := postgresSchema()
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*config)
	_, err = vacant(ctx, db, &s)
	if err := errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("look into PostgreSQL database %s on %s: %w", config.Database, hosts(config), err)
	}
	return nil
}

// vacant refuses a database that holds keys and is not half filled, and reports whether it has tables at all.
func vacant(ctx context.Context, db *sql.DB, of *schema) (there bool, err error) {
	if there, err := of.exists(ctx, db); err != nil || !there {
		return there, err
	}
	s, err := newSession(ctx, db)
	if err != nil {
		return true, err
	}
	defer s.discard()
	if left, err := loadUnfinished(ctx, s); err != nil || left != nil {
		return true, err
	}
	return true, s.vacant(ctx)
}

// vacant refuses a database in which something has been made.
func (s *session) vacant(ctx context.Context) error {
	var keks int
	if err := s.one(ctx, "SELECT COUNT(*) FROM keks", nil, []any{&keks}); err != nil {
		return err
	}
	head, err := loadHead(ctx, s)
	if err == nil && (keks > 0 || head != (store.Head{})) {
		err = ErrNotEmpty
	}
	return err
}
