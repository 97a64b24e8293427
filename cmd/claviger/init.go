// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"claviger/internal/config"
	"claviger/internal/kms"
	"claviger/internal/seal/file"
)

type initCmd struct {
	Config       string `required:"" help:"Configuration of the server." placeholder:"FILE"`
	ExistingRoot bool   `help:"Make the database under the root key that is there, and keep the admin token if there is one. For another database of the same root key: to move a store, or to restore backups into."`
}

// Run creates the root key, the admin token and the database. It refuses if one of them
// exists, unless it is told to use them, and leaves nothing behind if it fails.
func (c *initCmd) Run(a *app) (err error) {
	cfg, err := a.serverConfig(c.Config)
	if err != nil {
		return err
	}
	undo := &cleanup{}
	defer func() {
		if err != nil {
			err = errors.Join(err, undo.run())
		}
	}()
	var made []string
	if c.ExistingRoot {
		made, err = useFiles(cfg, undo)
	} else {
		made, err = makeFiles(cfg, undo)
	}
	if err != nil {
		return err
	}
	root, err := createDatabase(a, cfg)
	if err != nil {
		return err
	}
	advice := `Back up the root key now, apart from the database: without it nothing in the
database can ever be opened again, and whoever has both has every key.`
	if c.ExistingRoot {
		advice = fmt.Sprintf(`The database is sealed by the root key that was there, %s in
%s. Nothing else was changed: other databases of this root key
stay as they are.`, root, cfg.Seal.File)
	}
	_, err = fmt.Fprintf(a.err, `Created
  database     %s
%s
%s

Next:
  claviger serve --config %[4]s
and, while it runs, a tenant with somebody who may use it:
  export CLAVIGER_CONFIG=%[4]s
  claviger tenant create acme
  claviger principal create ops --tenant acme --role admin
  claviger credential add --principal ops --access-key
  claviger credential add --principal ops --public-key oci_api_key_public.pem
`, database(cfg), strings.Join(made, ""), advice, c.Config)
	return err
}

// makeFiles makes the root key and the admin token, and answers a line for each.
func makeFiles(cfg *config.Config, undo *cleanup) ([]string, error) {
	for what, path := range map[string]string{"root key": cfg.Seal.File, "admin token": cfg.Admin.TokenFile} {
		if exists(path) {
			return nil, fmt.Errorf("there is a %s already: %s; nothing was changed. "+
				"For a further database under a root key that is there, say --existing-root", what, path)
		}
	}
	if err := os.MkdirAll(filepath.Dir(cfg.Seal.File), 0o700); err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	if err := file.Create(cfg.Seal.File, rand.Reader); err != nil {
		return nil, err
	}
	undo.add(func() error { return os.Remove(cfg.Seal.File) })
	token, err := makeToken(cfg, undo)
	return []string{"  root key     " + cfg.Seal.File + "\n", token}, err
}

// useFiles checks that there is a root key, and makes an admin token if there is none.
func useFiles(cfg *config.Config, undo *cleanup) ([]string, error) {
	if !exists(cfg.Seal.File) {
		return nil, fmt.Errorf("there is no root key %s; nothing was changed. "+
			"Restore it from its backup, or leave out --existing-root to make a new one", cfg.Seal.File)
	}
	if exists(cfg.Admin.TokenFile) {
		token, err := readToken(cfg.Admin.TokenFile)
		if err == nil && token == "" {
			err = fmt.Errorf("%s is empty", cfg.Admin.TokenFile)
		}
		return nil, err
	}
	token, err := makeToken(cfg, undo)
	return []string{token}, err
}

func makeToken(cfg *config.Config, undo *cleanup) (string, error) {
	if err := os.MkdirAll(filepath.Dir(cfg.Admin.TokenFile), 0o700); err != nil {
		return "", fmt.Errorf("make directory: %w", err)
	}
	token, err := newToken()
	if err != nil {
		return "", err
	}
	if err := writeAtomic(cfg.Admin.TokenFile, []byte(token+"\n")); err != nil {
		return "", fmt.Errorf("write admin token: %w", err)
	}
	undo.add(func() error { return os.Remove(cfg.Admin.TokenFile) })
	return "  admin token  " + cfg.Admin.TokenFile + "\n", nil
}

// createDatabase makes the database and answers the id of the root key that seals it.
func createDatabase(a *app, cfg *config.Config) (id string, err error) {
	root, err := file.Open(cfg.Seal.File, rand.Reader)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	db, err := openStore(a.ctx, cfg, true, nil)
	if errors.Is(err, fs.ErrExist) && vacant(a.ctx, cfg) == nil {
		db, err = openStore(a.ctx, cfg, false, nil) // an init that was killed had come so far
	}
	if errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("%w; nothing was changed", err)
	}
	if err != nil {
		return "", err
	}
	err = kms.Initialize(a.ctx, kms.Config{Store: db, Seal: root, Rand: rand.Reader, Wall: wallNow})
	return root.ID(), errors.Join(err, db.Close())
}
