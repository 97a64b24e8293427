// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"claviger/internal/config"
	"claviger/internal/kms"
	"claviger/internal/seal/file"
)

type initCmd struct {
	Config string `required:"" help:"Configuration of the server." placeholder:"FILE"`
}

// Run creates the root key, the admin token and the database. It refuses if one of them
// exists, and leaves nothing behind if it fails.
func (c *initCmd) Run(a *app) (err error) {
	cfg, err := config.Load(c.Config)
	if err != nil {
		return usageError{err}
	}
	for what, path := range map[string]string{"root key": cfg.Seal.File, "admin token": cfg.Admin.TokenFile} {
		if exists(path) {
			return fmt.Errorf("there is a %s already: %s; nothing was changed", what, path)
		}
	}
	undo := &cleanup{}
	defer func() {
		if err != nil {
			err = errors.Join(err, undo.run())
		}
	}()
	for _, path := range []string{cfg.Seal.File, cfg.Admin.TokenFile} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("make directory: %w", err)
		}
	}
	if err := file.Create(cfg.Seal.File, rand.Reader); err != nil {
		return err
	}
	undo.add(func() error { return os.Remove(cfg.Seal.File) })
	token, err := newToken()
	if err != nil {
		return err
	}
	if err := writeAtomic(cfg.Admin.TokenFile, []byte(token+"\n")); err != nil {
		return fmt.Errorf("write admin token: %w", err)
	}
	undo.add(func() error { return os.Remove(cfg.Admin.TokenFile) })
	if err := createDatabase(a, cfg); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.err, `Created
  database     %s
  root key     %s
  admin token  %s

Back up the root key now, apart from the database: without it nothing in the
database can ever be opened again, and whoever has both has every key.

Next:
  claviger serve --config %[4]s
and, while it runs, a tenant with somebody who may use it:
  export CLAVIGER_CONFIG=%[4]s
  claviger tenant create acme
  claviger principal create ops --tenant acme --role admin
  claviger credential add --principal ops --access-key
  claviger credential add --principal ops --public-key oci_api_key_public.pem
`, database(cfg), cfg.Seal.File, cfg.Admin.TokenFile, c.Config)
	return err
}

func createDatabase(a *app, cfg *config.Config) (err error) {
	root, err := file.Open(cfg.Seal.File, rand.Reader)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	db, err := openStore(a.ctx, cfg, true, nil)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w; nothing was changed", err)
	}
	if err != nil {
		return err
	}
	err = kms.Initialize(a.ctx, kms.Config{Store: db, Seal: root, Rand: rand.Reader, Wall: time.Now})
	return errors.Join(err, db.Close())
}
