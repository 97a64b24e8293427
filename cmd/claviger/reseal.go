// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"claviger/internal/dialect/admin"
)

// workPoll is how often the server is asked how far its work is.
const workPoll = 200 * time.Millisecond

type vaultResealCmd struct {
	adminFlags
	Vault string `arg:"" help:"The vault: its id, OCID or name."`
}

// Run reseals a vault and waits for the end of it. The server goes on when the command is stopped.
func (c *vaultResealCmd) Run(a *app) error {
	client, err := c.client(a)
	if err != nil {
		return err
	}
	w, err := client.ResealVault(a.ctx, c.Vault)
	if err != nil {
		return err
	}
	w, err = awaitWork(a, client, "resealing", w)
	if err != nil {
		return fmt.Errorf("reseal vault %s: %w", c.Vault, err)
	}
	return show(a, c.JSON, w, func() {
		for _, n := range w.Notes {
			_, _ = fmt.Fprintln(a.out, n)
		}
	})
}

// awaitWork shows how far some work of the server is until it is over. A server that does not answer
// for a moment is asked again.
func awaitWork(a *app, client *admin.Client, what string, w *admin.Work) (*admin.Work, error) {
	p := a.percents(what)
	defer p.end()
	failing := time.Time{}
	for !w.Finished() {
		p.show(w.Percent, 100)
		select {
		case <-a.ctx.Done():
			return nil, fmt.Errorf("%w; the server goes on: give the command again to see how far it is", context.Cause(a.ctx))
		case <-time.After(workPoll):
		}
		now, err := client.Work(a.ctx, w.ID)
		if _, refused := errors.AsType[*admin.Refusal](err); err != nil && !refused && a.ctx.Err() == nil {
			if failing.IsZero() {
				failing = time.Now()
			}
			if time.Since(failing) < workPatience {
				continue
			}
		}
		if a.ctx.Err() != nil {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%w; when the server is there again, give the command again: it goes on where it was", err)
		}
		w, failing = now, time.Time{}
	}
	if w.Error != "" {
		return nil, errors.New(w.Error)
	}
	p.show(100, 100)
	return w, nil
}

// workPatience is for how long a server may be out of reach while its work is waited for.
const workPatience = 30 * time.Second
