// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"claviger/internal/config"
	"claviger/internal/kms"
	"claviger/internal/seal"
	"claviger/internal/seal/file"
)

type rootCmd struct {
	Show   rootShowCmd   `cmd:"" help:"Show which root keys a server's files hold."`
	Rotate rootRotateCmd `cmd:"" help:"Replace the root key and every key between it and the vaults, while no server runs."`
}

// nextRoot is where the root key lies that takes over from the one in seal.file.
func nextRoot(cfg *config.Config) string { return cfg.Seal.File + ".next" }

// openSeal opens the root key of a server, and beside it the one that takes over from it, where
// that was begun, and a retired one that the configuration names for a restore.
func openSeal(cfg *config.Config) (seal.Seal, error) {
	first, err := file.Open(cfg.Seal.File, rand.Reader)
	if err != nil {
		return nil, err
	}
	var more []seal.Seal
	for _, path := range []string{nextRoot(cfg), cfg.Backup.RootFile} {
		if path == "" || (path == nextRoot(cfg) && !exists(path)) {
			continue
		}
		s, err := file.Open(path, rand.Reader)
		if err != nil {
			return nil, errors.Join(err, seal.NewRing(first, more...).Close())
		}
		more = append(more, s)
	}
	if len(more) == 0 {
		return first, nil
	}
	return seal.NewRing(first, more...), nil
}

type rootShowCmd struct {
	Config string `required:"" help:"Configuration of the server." placeholder:"FILE"`
}

// Run shows the ids of root keys, which are no secrets.
func (c *rootShowCmd) Run(a *app) error {
	cfg, err := a.serverConfig(c.Config)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, path := range []string{cfg.Seal.File, nextRoot(cfg)} {
		if path == nextRoot(cfg) && !exists(path) {
			continue
		}
		s, err := file.Open(path, rand.Reader)
		if err != nil {
			return err
		}
		rows = append(rows, []string{s.ID(), path})
		if err := s.Close(); err != nil {
			return err
		}
	}
	a.table([]string{"ROOT KEY", "FILE"}, rows)
	return nil
}

type rootRotateCmd struct {
	Config string `required:"" help:"Configuration of the server." placeholder:"FILE"`
}

// Run rotates the root key. Whatever stops it, the server runs with the files as they are then, and
// the same command goes on.
func (c *rootRotateCmd) Run(a *app) (err error) {
	cfg, err := a.serverConfig(c.Config)
	if err != nil {
		return err
	}
	db, err := openStore(a.ctx, cfg, false, nil)
	if err != nil {
		return suggestInit(c.Config, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	alive, err := db.Serving(a.ctx, cfg.Node.Margin.Std())
	if err == nil && len(alive) > 0 {
		err = fmt.Errorf("nodes are serving from the database (%s): stop them all", strings.Join(alive, ", "))
	}
	if err != nil {
		return err
	}
	if !exists(nextRoot(cfg)) {
		if err := file.Create(nextRoot(cfg), rand.Reader); err != nil {
			return err
		}
	}
	old, err := file.Open(cfg.Seal.File, rand.Reader)
	if err != nil {
		return err
	}
	next, err := file.Open(nextRoot(cfg), rand.Reader)
	if err != nil {
		return errors.Join(err, old.Close())
	}
	both := seal.NewRing(old, next)
	defer func() { err = errors.Join(err, both.Close()) }()
	retired := cfg.Seal.File + ".retired-" + old.ID()
	p := a.progress("rotating")
	err = kms.RotateRoot(a.ctx, kms.Config{Store: db, Seal: both, Rand: rand.Reader, Wall: time.Now}, next, p.show)
	p.end()
	if err != nil {
		return fmt.Errorf("rotate the root key: %w; both root keys are needed now, and are where they were: give the command again to go on", err)
	}
	if err := retireRoot(cfg, retired); err != nil {
		return fmt.Errorf("the database is sealed by %s, but its file is not in its place yet: %w; give the command again", next.ID(), err)
	}
	_, err = fmt.Fprintf(a.err, `The database is sealed by root key %s.

  %s
      is the new root key. Back it up, and copy it to every node before it starts.
  %s
      is the one before. It opens nothing in this database any more, but backups
      that were made under it. Keep it offline as long as those, then destroy it.

Sessions have ended; access keys and API keys have not.
`, next.ID(), cfg.Seal.File, retired)
	return err
}

// retireRoot puts the next root key in the place of the one before, which is kept under another name.
// At every moment each of them is in a file.
func retireRoot(cfg *config.Config, retired string) error {
	if !exists(retired) {
		if err := copyKeyFile(cfg.Seal.File, retired); err != nil {
			return err
		}
	}
	if err := os.Rename(nextRoot(cfg), cfg.Seal.File); err != nil {
		return err
	}
	return syncDir(filepath.Dir(cfg.Seal.File))
}

// copyKeyFile copies a root key file; the copy is whole and on disk, or not there.
func copyKeyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(in, 1<<12))
	if err != nil {
		return err
	}
	defer clear(text)
	return writeAtomic(to, text)
}
