// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"claviger/internal/config"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/store/check"
	"claviger/internal/store/sqlstore"
)

type storeVerifyCmd struct {
	Config string `required:"" help:"Configuration of the server." placeholder:"FILE"`
	Limit  int    `default:"1000" help:"Faults after which it ends."`
	JSON   bool   `name:"json" help:"Print JSON, for programs."`
}

// Help says what there is to know before.
func (storeVerifyCmd) Help() string {
	return "It opens every key version and credential under the root key, compares public with private keys, follows the chain " +
		"of audited changes, and counts what the totals say. It changes no record. A server on SQLite must be stopped " +
		"meanwhile; nodes on PostgreSQL may run, and what is read is one moment. The exit code is 1 if something is wrong."
}

// verifyReport is what a verification found, for programs.
type verifyReport struct {
	Revision int64             `json:"revision"`
	Events   int64             `json:"events"`
	Changes  int               `json:"changes"`
	Records  map[keys.Type]int `json:"records"`
	Opened   int               `json:"opened"`
	Faults   []verifyFault     `json:"faults"`
	Complete bool              `json:"complete"` // false: it ended at the limit of faults
}

type verifyFault struct {
	Type keys.Type `json:"type,omitempty"`
	ID   keys.ID   `json:"id,omitzero"`
	Name string    `json:"name,omitempty"`
	Text string    `json:"text"`
}

// Run verifies a database.
func (c *storeVerifyCmd) Run(a *app) (err error) {
	if c.Limit < 1 {
		return usageError{errors.New("--limit must be at least 1")}
	}
	cfg, err := a.serverConfig(c.Config)
	if err != nil {
		return err
	}
	root, err := openSeal(cfg)
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
	shown := &stages{a: a}
	report, err := kms.VerifyStore(a.ctx, kms.VerifyConfig{Store: db, Seal: root, Limit: c.Limit, Progress: func(stage check.Stage, done, total int) {
		if stage == check.Files && done == 0 && cfg.Store.Type == "sqlite" {
			shown.end()
			_, _ = fmt.Fprintln(a.err, "database files: SQLite checks them, which takes about as long as all before") // nobody to tell
			return
		}
		shown.show(string(stage), done, total)
	}})
	shown.end()
	if err != nil {
		return fmt.Errorf("verify the store: %w", err)
	}
	if err := c.tell(a, report); err != nil {
		return err
	}
	if n := len(report.Faults); n > 0 {
		return fmt.Errorf("the store is not as it must be: %s", plural(n, "fault"))
	}
	return nil
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// suggestStop says what to do about a database that a server has open.
func suggestStop(err error) error {
	if errors.Is(err, sqlstore.ErrOwned) {
		return fmt.Errorf("%w; stop the server first", err)
	}
	return err
}

// patient lets a tool read for as long as it takes.
func patient(cfg *config.Config) {
	cfg.Store.IdleTimeout = max(cfg.Store.IdleTimeout, config.Duration(time.Hour))
	cfg.Store.StatementTimeout = max(cfg.Store.StatementTimeout, config.Duration(time.Hour))
}

func (c *storeVerifyCmd) tell(a *app, r *kms.StoreReport) error {
	out := verifyReport{
		Revision: r.Head.Revision, Events: r.Head.Events, Changes: r.Changes, Records: r.Records, Opened: r.Opened,
		Faults: []verifyFault{}, Complete: !r.Ended,
	}
	for _, f := range r.Faults {
		out.Faults = append(out.Faults, verifyFault(f))
	}
	return show(a, c.JSON, out, func() {
		for _, f := range out.Faults {
			_, _ = fmt.Fprintln(a.out, clean(f.Text)) // nobody to tell
		}
		if !out.Complete {
			_, _ = fmt.Fprintf(a.out, "... and more: it ended at --limit %d\n", c.Limit)
			return
		}
		kinds := make([]keys.Type, 0, len(out.Records))
		for kind := range out.Records {
			kinds = append(kinds, kind)
		}
		slices.Sort(kinds)
		pairs := []string{"revision", fmt.Sprint(out.Revision), "changes", fmt.Sprint(out.Changes), "audit events", fmt.Sprint(out.Events)}
		for _, kind := range kinds {
			pairs = append(pairs, string(kind)+" records", fmt.Sprint(out.Records[kind]))
		}
		a.fields(append(pairs, "secrets opened", fmt.Sprint(out.Opened), "faults", fmt.Sprint(len(out.Faults)))...)
	})
}
