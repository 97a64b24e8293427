// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"sync"

	"claviger/internal/store"
)

// followed is how many revisions are read from the feed at once.
const followed = 1000

// herald tells the observer of commits, in the order of their revisions: of this process's own
// by the committer, and of others' where the database has other writers.
type herald struct {
	observer store.Observer // may be nil; set before the first transaction
	shared   bool           // others write to the same database

	following sync.Mutex // held by Follow: what it answers is in order

	mu    sync.Mutex
	told  int64    // up to which revision, where shared; guarded by mu
	waits []func() // for calls that hold what changes retired, where shared; guarded by mu
	early []func() // those of waits that came while this process commits; guarded by mu
	busy  bool     // this process commits; guarded by mu
}

// committing says that this process commits, until the answered function is called. A view may see
// the commit before the committer hears of it, and is then the one that tells of it.
func (h *herald) committing() (over func()) {
	set := func(busy bool) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.busy, h.early = busy, nil
	}
	set(true)
	return func() { set(false) }
}

// committed tells of a commit of this process, unless a view has.
func (h *herald) committed(changes []store.Change) (wait func()) {
	if len(changes) == 0 {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.shared && changes[0].Revision <= h.told {
		return all(h.early)
	}
	h.told = max(h.told, changes[0].Revision)
	if h.observer == nil {
		return nil
	}
	if wait = h.observer.Committed(changes); wait != nil && h.shared {
		h.waits = append(h.waits, wait) // this process has not followed its own change before
	}
	return wait
}

// unknown tells of changes whose outcome is unknown. If they were made, follow finds them.
func (h *herald) unknown(changes []store.Change) {
	if len(changes) == 0 || h.observer == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.observer.Unknown(changes)
}

// begin says from which revision on there is something to tell: nothing older is remembered by
// anybody.
func (h *herald) begin(revision int64) { h.told = revision }

// follow reads from the feed what others changed up to a revision that s can see, and tells it.
func (h *herald) follow(ctx context.Context, s *session, revision int64) error {
	if !h.shared {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.told < revision {
		changes, err := changesAfter(ctx, s, h.told, min(h.told+followed, revision))
		if err != nil {
			return err
		}
		if len(changes) > 0 && h.observer != nil {
			if wait := h.observer.Committed(changes); wait != nil {
				h.waits = append(h.waits, wait)
				if h.busy {
					h.early = append(h.early, wait)
				}
			}
		}
		h.told = min(h.told+followed, revision)
	}
	return nil
}

// all waits for each; nil where there is nothing to wait for.
func all(waits []func()) func() {
	if len(waits) == 0 {
		return nil
	}
	return func() {
		for _, wait := range waits {
			wait()
		}
	}
}

// since answers up to which revision the observer was told.
func (h *herald) since() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.told
}

// settle answers what is to be waited for until no call holds what changes retired.
func (h *herald) settle() (waits []func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	waits, h.waits = h.waits, nil
	return waits
}

// changesAfter reads the feed after one revision and up to another.
func changesAfter(ctx context.Context, s *session, after, until int64) ([]store.Change, error) {
	const text = "SELECT rev, type, id, name FROM changes WHERE rev > $1 AND rev <= $2 ORDER BY rev, seq"
	var out []store.Change
	err := s.each(ctx, text, []any{after, until}, func(rows *sql.Rows) error {
		var c store.Change
		if err := rows.Scan(&c.Revision, &c.Type, (*idCol)(&c.ID), &c.Name); err != nil {
			return err
		}
		out = append(out, c)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read change feed: %w", err)
	}
	return out, nil
}
