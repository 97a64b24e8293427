// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"log/slog"
	"time"

	"claviger/internal/audit"
	"claviger/internal/config"
	"claviger/internal/engine"
	"claviger/internal/keys"
	"claviger/internal/kms"
)

type storeCmd struct {
	Verify storeVerifyCmd `cmd:"" help:"Read a whole database, open every secret in it, and say what is not as it must be."`
	Copy   storeCopyCmd   `cmd:"" help:"Copy a whole database into a new one, between SQLite and PostgreSQL too."`
	Fill   storeFillCmd   `cmd:"" help:"Fill a database with keys, to try a server at a size."`
}

// openService opens the service of a server that is not running, or runs on other machines too.
// Vaults cannot be made with it: it has no endpoints to give.
func openService(ctx context.Context, path string, cfg *config.Config, log *slog.Logger, undo *cleanup) (*kms.Service, error) {
	root, err := openSeal(cfg)
	if err != nil {
		return nil, err
	}
	undo.add(root.Close)
	db, err := openStore(ctx, cfg, false, log)
	if err != nil {
		return nil, suggestInit(path, err)
	}
	undo.add(db.Close)
	events, err := audit.Open(cfg.Audit.Dir, audit.Options{
		Node: hostname(), Clock: time.Now, Rand: rand.Reader, Durable: cfg.Audit.Durable, SegmentSize: cfg.Audit.SegmentMiB << 20,
	})
	if err != nil {
		return nil, err
	}
	undo.add(events.Close)
	pool := engine.NewPool(rand.Reader, nil, nil)
	undo.add(func() error { pool.Close(); return nil })
	var regions []keys.Region
	for _, r := range cfg.Regions {
		regions = append(regions, keys.Region(r.Name))
	}
	service, err := kms.Open(ctx, kms.Config{
		Store: db, Seal: root, Audit: events, Pool: pool, Rand: rand.Reader, Wall: time.Now, Log: log,
		Regions: regions, HSM: kms.HSMPolicy(cfg.HSMKeys), Tombstones: cfg.Tombstones.Std(), Fleet: fleetOf(cfg),
	})
	if err != nil {
		return nil, err
	}
	undo.add(func() error { service.Close(); return nil })
	return service, nil
}
