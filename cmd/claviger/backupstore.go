// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"claviger/internal/archive"
	"claviger/internal/config"
	"claviger/internal/dialect/admin"
	"claviger/internal/kms"
	"claviger/internal/seal/file"
	"claviger/internal/store/check"
	"claviger/internal/store/sqlstore"
)

type backupCreateCmd struct {
	adminFlags
	Direct bool   `help:"Read the database without a server: one on SQLite must be stopped, nodes on PostgreSQL may run. Needs --config."`
	Out    string `help:"The file that --direct makes. Without --direct the server makes one in its backup.dir, and says which." placeholder:"FILE"`
}

// Help says what there is to know before.
func (backupCreateCmd) Help() string {
	return "The backup holds everything in the store at one revision, and is encrypted to backup.recipients or, without any, " +
		"under the root key. The server goes on serving meanwhile."
}

// Run backs up a store.
func (c *backupCreateCmd) Run(a *app) error {
	switch {
	case c.Direct && (c.Config == "" || c.Out == ""):
		return usageError{errors.New("--direct needs --config and --out")}
	case !c.Direct && c.Out != "":
		return usageError{errors.New("--out goes with --direct: the server makes the file in its backup.dir")}
	case c.Direct:
		return c.direct(a)
	}
	client, err := c.client(a)
	if err != nil {
		return err
	}
	state, err := client.BackUpStore(a.ctx)
	if err != nil {
		return err
	}
	shown := a.progress("rows")
	for state.Running {
		if state.Total > 0 {
			shown.show(min(state.Done, state.Total-1), state.Total)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-a.ctx.Done():
			return fmt.Errorf("%w; the server goes on with the backup", context.Cause(a.ctx))
		}
		if state, err = client.StoreBackup(a.ctx); err != nil {
			return err
		}
	}
	if state.Error == "" {
		shown.show(state.Total, state.Total)
	}
	shown.end()
	if state.Error != "" {
		return fmt.Errorf("back up the store: %s", state.Error)
	}
	return c.tell(a, state)
}

func (c *backupCreateCmd) tell(a *app, state admin.StoreBackup) error {
	return show(a, c.JSON, state, func() {
		a.fields("file", state.File, "backup", state.ID.String(), "revision", fmt.Sprint(state.Revision), "rows", fmt.Sprint(state.Total))
	})
}

// direct reads the database itself.
func (c *backupCreateCmd) direct(a *app) (err error) {
	cfg, err := a.serverConfig(c.Config)
	if err != nil {
		return err
	}
	how, err := backupOf(cfg.Backup)
	if err != nil {
		return err
	}
	root, err := file.Open(cfg.Seal.File, rand.Reader)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	patient(cfg)
	db, err := openStore(a.ctx, cfg, false, newLogger(a.err, "text", "warn"))
	if err != nil {
		return suggestStop(suggestInit(c.Config, err))
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	out, err := newStoreFile(c.Out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Abort()) }()
	shown, rows := a.progress("rows"), 0
	m, err := kms.WriteStoreBackup(a.ctx, kms.StoreBackup{
		Store: db, Seal: root, Recipients: how.Recipients, Rand: rand.Reader, Now: time.Now(), Software: how.Software,
		Progress: func(done, total int) { rows = total; shown.show(done, total) },
	}, out)
	shown.end()
	if err != nil {
		return fmt.Errorf("back up the store: %w", err)
	}
	name, err := out.Commit()
	if err != nil {
		return err
	}
	return c.tell(a, admin.StoreBackup{Done: rows, Total: rows, File: name, ID: m.ID, Revision: m.Revision})
}

type backupRestoreCmd struct {
	Config   string `required:"" help:"Configuration of the server that the store is for. Its database is made, and must not hold keys; so are its root key and admin token, where they are not there." placeholder:"FILE"`
	RootKey  string `help:"Root key that opens the backup, where it is another than the server's. Default: the server's, and backup.root_file." placeholder:"FILE"`
	Identity string `help:"Private keys of age, one of which opens the backup. Default: backup.identity_file." placeholder:"FILE"`
	File     string `arg:"" help:"The backup."`
}

// Help says what there is to know before.
func (backupRestoreCmd) Help() string {
	return "The whole backup is read before anything is changed. Then the database is made and filled, put under the root key " +
		"of the configuration, and verified. A store that holds keys is never restored into: what it has and the backup " +
		"has not would be lost. Deletions whose time has come take effect before the command ends."
}

// Run restores a store.
func (c *backupRestoreCmd) Run(a *app) (err error) {
	cfg, err := a.serverConfig(c.Config)
	if err != nil {
		return err
	}
	in, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // only read
	if err := c.vacant(a, cfg); err != nil {
		return err
	}
	opener, _, err := (&backupInspectCmd{RootKey: c.RootKey, Identity: c.Identity, Config: c.Config}).opener(a)
	if err != nil {
		return err
	}
	if opener.Root != nil {
		defer func() { err = errors.Join(err, opener.Root.Close()) }()
	}
	shown := a.progress("check the backup: rows")
	header, begin, err := kms.CheckStoreBackup(a.ctx, in, opener, shown.show)
	shown.end()
	if err != nil {
		return fmt.Errorf("the backup is refused, and nothing was changed: %w", err)
	}
	if _, err := in.Seek(0, 0); err != nil {
		return err
	}
	if err := c.fill(a, cfg, in, opener, begin.Schema); err != nil {
		return err
	}
	if err := c.settle(a, cfg); err != nil {
		return fmt.Errorf("the store is restored, but: %w", err)
	}
	n := header.Counts
	_, err = fmt.Fprintf(a.out, "Restored revision %d, of %s: %s, %s, %s\n", header.Revision, header.CreatedAt.Format(time.RFC3339),
		plural(n.Vaults, "vault"), plural(n.Keys, "key"), plural(n.Versions, "key version"))
	return err
}

// vacant refuses a database that holds keys, before the backup is read.
func (*backupRestoreCmd) vacant(a *app, cfg *config.Config) error {
	err := vacant(a.ctx, cfg)
	if errors.Is(err, sqlstore.ErrNotEmpty) {
		return fmt.Errorf("there are keys already in %s; a backup of the whole store is restored into a new one only. "+
			"Move it away first, and keep it: it knows what was erased since the backup", database(cfg))
	}
	return suggestStop(err)
}

// fill makes root key, token and database where they are missing, and fills the database.
func (c *backupRestoreCmd) fill(a *app, cfg *config.Config, in *os.File, opener archive.Opener, schema int64) (err error) {
	if err := c.makeFiles(cfg); err != nil {
		return err
	}
	root, err := file.Open(cfg.Seal.File, rand.Reader)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	patient(cfg)
	cfg.Store.BatchTimeout = max(cfg.Store.BatchTimeout, config.Duration(time.Hour))
	how := opening{unfinished: true, schema: schema}
	log := newLogger(a.err, "text", "warn")
	db, err := openDatabase(a.ctx, cfg, how, log)
	if errors.Is(err, fs.ErrNotExist) {
		how.create = true
		db, err = openDatabase(a.ctx, cfg, how, log)
	}
	if err != nil {
		return suggestStop(err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	shown := a.progress("restore rows")
	err = kms.RestoreStore(a.ctx, kms.StoreRestore{Archive: in, Opener: opener, From: c.File, Store: db, Seal: root, Progress: shown.show})
	shown.end()
	if err != nil {
		return fmt.Errorf("restore the store: %w", err)
	}
	return nil
}

// makeFiles makes the root key and the admin token, each where it is missing.
func (c *backupRestoreCmd) makeFiles(cfg *config.Config) error {
	if !exists(cfg.Seal.File) {
		if err := file.Create(cfg.Seal.File, rand.Reader); err != nil {
			return err
		}
	}
	if exists(cfg.Admin.TokenFile) {
		return nil
	}
	token, err := newToken()
	if err != nil {
		return err
	}
	return writeAtomic(cfg.Admin.TokenFile, []byte(token+"\n"))
}

// settle lets what is due take effect, and verifies what came of it.
func (c *backupRestoreCmd) settle(a *app, cfg *config.Config) (err error) {
	if err := c.sweep(a, cfg); err != nil {
		return err
	}
	root, err := file.Open(cfg.Seal.File, rand.Reader)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	db, err := openStore(a.ctx, cfg, false, newLogger(a.err, "text", "warn"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	shown := &stages{a: a}
	report, err := kms.VerifyStore(a.ctx, kms.VerifyConfig{Store: db, Seal: root, Progress: func(stage check.Stage, done, total int) {
		shown.show("verify "+string(stage), done, total)
	}})
	shown.end()
	if err == nil && len(report.Faults) > 0 {
		err = fmt.Errorf("%s, the first: %s; see \"claviger store verify\"", plural(len(report.Faults), "fault"), report.Faults[0].Text)
	}
	return err
}

// sweep performs what is due.
func (c *backupRestoreCmd) sweep(a *app, cfg *config.Config) (err error) {
	undo := &cleanup{}
	defer func() { err = errors.Join(err, undo.run()) }()
	service, err := openService(a.ctx, c.Config, cfg, newLogger(a.err, "text", "warn"), undo)
	if err != nil {
		return err
	}
	_, err = service.Sweep(a.ctx)
	return err
}
