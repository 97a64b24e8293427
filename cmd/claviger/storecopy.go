// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"claviger/internal/config"
	"claviger/internal/store/sqlstore"
)

type storeCopyCmd struct {
	From             string `required:"" help:"What is copied: a server's configuration file, sqlite:DIRECTORY, or postgres://USER@HOST/DATABASE." placeholder:"STORE"`
	To               string `required:"" help:"Where it goes, in the same forms. The database is made, and must not hold keys." placeholder:"STORE"`
	FromPasswordFile string `help:"Password of the PostgreSQL database that is copied." placeholder:"FILE"`
	ToPasswordFile   string `help:"Password of the PostgreSQL database that it goes to." placeholder:"FILE"`
	Restart          bool   `help:"Empty what an earlier copy left, instead of going on with it."`
	Live             bool   `help:"Copy one moment of a PostgreSQL database that nodes are serving from. What they change later is not in the copy."`
	JSON             bool   `name:"json" help:"Print JSON, for programs."`
}

// Help says what there is to know before.
func (storeCopyCmd) Help() string {
	return "Everything is copied as it is at one revision: keys, credentials, audited changes, idempotency tokens, the clock. No root key is " +
		"needed, and the same one opens the copy. A server on SQLite must be stopped. If the copy is interrupted, run it " +
		"again: it goes on, and nothing can be served from the half of it. In the end all rows of both are compared."
}

// copyReport is what was copied, for programs.
type copyReport struct {
	Revision int64         `json:"revision"`
	Events   int64         `json:"events"`
	Rows     int           `json:"rows"`
	Before   int           `json:"copiedBefore"` // by an earlier run
	Tables   []copiedTable `json:"tables"`
}

type copiedTable struct {
	Name   string `json:"name"`
	Rows   int    `json:"rows"`
	Digest string `json:"sha256"` // of all rows, the same on both sides
}

// Run copies a store.
func (c *storeCopyCmd) Run(a *app) (err error) {
	from, err := storeNamed(a, c.From, c.FromPasswordFile, "--from-password-file")
	if err != nil {
		return err
	}
	to, err := storeNamed(a, c.To, c.ToPasswordFile, "--to-password-file")
	if err != nil {
		return err
	}
	if from.same(to) {
		return usageError{errors.New("--from and --to are the same database")}
	}
	undo := &cleanup{}
	defer func() { err = errors.Join(err, undo.run()) }()
	source, err := openStore(a.ctx, from.cfg, false, newLogger(a.err, "text", "warn"))
	if err != nil {
		return suggestStop(err)
	}
	undo.add(source.Close)
	if err := c.alone(a, source, from.cfg); err != nil {
		return err
	}
	target, err := openToFill(a.ctx, to.cfg, a)
	if err != nil {
		return suggestStop(err)
	}
	undo.add(target.Close)
	shown := &stages{a: a}
	report, err := sqlstore.Copy(a.ctx, source, target, sqlstore.CopyOptions{
		By: "claviger store copy", From: from.name, Restart: c.Restart, Progress: shown.show,
	})
	shown.end()
	if err != nil {
		return fmt.Errorf("copy the store: %w", err)
	}
	return c.tell(a, from, to, report)
}

// alone refuses a source that nodes change while it is copied, unless that is wanted.
func (c *storeCopyCmd) alone(a *app, source *sqlstore.Store, cfg *config.Config) error {
	if c.Live {
		return nil
	}
	alive, err := source.Serving(a.ctx, cfg.Node.Margin.Std())
	if err == nil && len(alive) > 0 {
		err = fmt.Errorf("nodes are serving from the database that is to be copied (%s): stop them, or give --live to copy one moment of it", strings.Join(alive, ", "))
	}
	return err
}

func (c *storeCopyCmd) tell(a *app, from, to *namedStore, r *sqlstore.CopyReport) error {
	out := copyReport{Revision: r.Head.Revision, Events: r.Head.Events, Rows: r.Rows, Before: r.Before}
	rows := make([][]string, len(r.Tables))
	for i, t := range r.Tables {
		digest := hex.EncodeToString(t.Digest[:])
		out.Tables = append(out.Tables, copiedTable{t.Name, t.Rows, digest})
		rows[i] = []string{t.Name, fmt.Sprint(t.Rows), digest[:16]}
	}
	if r.Now != r.Head {
		_, _ = fmt.Fprintf(a.err, "%s went on to revision %d meanwhile: the copy is of revision %d.\n", from.name, r.Now.Revision, r.Head.Revision) // nobody to tell
	}
	return show(a, c.JSON, out, func() {
		a.table([]string{"TABLE", "ROWS", "SHA-256"}, rows)
		_, _ = fmt.Fprintf(a.out, "%d rows at revision %d are the same in %s and %s\n", out.Rows, out.Revision, from.name, to.name)
	})
}

// namedStore is a database that a flag names.
type namedStore struct {
	name string // for people
	cfg  *config.Config
}

// storeNamed reads what --from or --to says.
func storeNamed(a *app, text, passwordFile, flag string) (*namedStore, error) {
	kind, rest, _ := strings.Cut(text, ":")
	switch kind {
	case "sqlite":
		if rest == "" {
			return nil, usageError{errors.New("sqlite: needs a directory after it")}
		}
		cfg := config.Default()
		cfg.Data = rest
		return named(&cfg, passwordFile, flag)
	case "postgres", "postgresql":
		u, err := url.Parse(text)
		if err != nil {
			return nil, usageError{errors.New("the URL of a PostgreSQL database cannot be read")} // its error would repeat it
		}
		if _, set := u.User.Password(); set || u.Query().Has("password") {
			return nil, usageError{fmt.Errorf("the URL holds a password: put it into a file, mode 0600, and give %s", flag)}
		}
		cfg := config.Default()
		cfg.Store.Type, cfg.Store.URL, cfg.Store.PasswordFile = "postgres", text, passwordFile
		return named(&cfg, "", flag)
	}
	cfg, err := a.serverConfig(text)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usageError{fmt.Errorf("%w; it is a configuration file, sqlite:DIRECTORY or postgres://…", err)}
	}
	if err != nil {
		return nil, err
	}
	return named(cfg, passwordFile, flag)
}

func named(cfg *config.Config, passwordFile, flag string) (*namedStore, error) {
	if passwordFile != "" {
		return nil, usageError{fmt.Errorf("%s goes with postgres:// only", flag)}
	}
	patient(cfg)
	cfg.Store.BatchTimeout = max(cfg.Store.BatchTimeout, config.Duration(time.Hour))
	name := "sqlite:" + cfg.Data
	if cfg.Store.Type == "postgres" {
		name = cfg.Store.URL
	}
	return &namedStore{name: name, cfg: cfg}, nil
}

func (s *namedStore) same(o *namedStore) bool {
	if s.cfg.Store.Type != o.cfg.Store.Type {
		return false
	}
	if s.cfg.Store.Type == "postgres" {
		return s.cfg.Store.URL == o.cfg.Store.URL
	}
	a, err := filepath.Abs(s.cfg.Data)
	b, err2 := filepath.Abs(o.cfg.Data)
	if err != nil || err2 != nil {
		return s.cfg.Data == o.cfg.Data
	}
	return a == b
}

// openToFill opens a database that is to be filled from somewhere else, and makes it where there is none.
func openToFill(ctx context.Context, cfg *config.Config, a *app) (*sqlstore.Store, error) {
	err := vacant(ctx, cfg)
	if errors.Is(err, sqlstore.ErrNotEmpty) {
		err = fmt.Errorf("%w: copy into a new place, which is made", err)
	}
	if err != nil {
		return nil, err
	}
	log := newLogger(a.err, "text", "warn")
	db, err := openDatabase(ctx, cfg, opening{unfinished: true}, log)
	if errors.Is(err, fs.ErrNotExist) {
		db, err = openDatabase(ctx, cfg, opening{create: true, unfinished: true}, log)
	}
	return db, err
}

// stages shows the progress of work that has stages, one after the other.
type stages struct {
	a     *app
	stage string
	now   *progress
}

func (s *stages) show(stage string, done, total int) {
	if s.now == nil || s.stage != stage {
		s.end()
		s.stage, s.now = stage, s.a.progress(stage)
	}
	s.now.show(done, total)
}

func (s *stages) end() {
	if s.now != nil {
		s.now.end()
		s.now = nil
	}
}
