// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"claviger/internal/config"
	"claviger/internal/kms"
	"claviger/internal/store/sqlstore"
)

// openStore opens the database that cfg names, or makes it.
func openStore(ctx context.Context, cfg *config.Config, create bool, log *slog.Logger) (*sqlstore.Store, error) {
	return openDatabase(ctx, cfg, opening{create: create}, log)
}

// opening says which databases are opened.
type opening struct {
	create     bool  // make it; else it is there
	unfinished bool  // also one that is only half filled
	schema     int64 // up to which migration it is brought; 0: the newest
}

func openDatabase(ctx context.Context, cfg *config.Config, how opening, log *slog.Logger) (*sqlstore.Store, error) {
	if cfg.Store.Type == "sqlite" {
		return sqlstore.OpenSQLite(ctx, sqlstore.Options{Dir: cfg.Data, Create: how.create, Unfinished: how.unfinished, Schema: how.schema, Log: log})
	}
	o, err := postgresOptions(cfg)
	if err != nil {
		return nil, err
	}
	o.Create, o.Unfinished, o.Schema, o.Log = how.create, how.unfinished, how.schema, log
	return sqlstore.OpenPostgres(ctx, o)
}

func postgresOptions(cfg *config.Config) (sqlstore.PostgresOptions, error) {
	o := sqlstore.PostgresOptions{
		URL: cfg.Store.URL, AcceptStale: cfg.Store.AcceptStale,
		BatchTimeout: cfg.Store.BatchTimeout.Std(), ReopenTimeout: cfg.Store.ReopenTimeout.Std(),
		IdleTimeout: cfg.Store.IdleTimeout.Std(), StatementTimeout: cfg.Store.StatementTimeout.Std(),
	}
	if cfg.Store.PasswordFile == "" {
		return o, nil
	}
	password, err := os.ReadFile(cfg.Store.PasswordFile)
	if err != nil {
		return o, fmt.Errorf("read the database's password: %w", err)
	}
	o.Password = strings.TrimRight(string(password), "\r\n")
	return o, nil
}

// vacant refuses a database that holds keys, with an error that wraps [sqlstore.ErrNotEmpty], and leaves
// every database as it is.
func vacant(ctx context.Context, cfg *config.Config) error {
	if cfg.Store.Type == "sqlite" {
		return sqlstore.Options{Dir: cfg.Data}.Vacant(ctx)
	}
	o, err := postgresOptions(cfg)
	if err != nil {
		return err
	}
	return o.Vacant(ctx)
}

// database names where the records are, for people.
func database(cfg *config.Config) string {
	if cfg.Store.Type == "sqlite" {
		return cfg.Data
	}
	return cfg.Store.URL
}

// fleetOf is how a node with this configuration keeps step with others.
func fleetOf(cfg *config.Config) kms.FleetConfig {
	name := cfg.Node.Name
	if name == "" {
		name = hostname()
	}
	began := time.Now()
	return kms.FleetConfig{
		Name: name, Lease: cfg.Node.Lease.Std(), Margin: cfg.Node.Margin.Std(), Poll: cfg.Node.Poll.Std(), Boot: bootNow,
		Steady: func() time.Duration { return time.Since(began) },
	}
}
