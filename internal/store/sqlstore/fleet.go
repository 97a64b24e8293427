// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"claviger/internal/keys"
	"claviger/internal/store"
)

// fleet is [store.Fleet] in PostgreSQL. It has connections of its own, which wait for no batch.
type fleet struct {
	line
	strict    bool // renewals count only where commits wait for a standby
	nonces    *share[store.Nonce, bool]
	throttles *share[store.Ask, store.Grant]
}

// line is one connection outside of batches and views, opened when it is needed.
type line struct {
	store *Store

	mu      sync.Mutex
	session *session // guarded by mu; nil when the next call must open one
}

// Fleet implements [store.Store].
func (s *Store) Fleet() store.Fleet {
	if s.fleet == nil {
		return nil
	}
	return s.fleet
}

// renewNode answers the head and every node as they were before it changed one: a statement sees
// nothing of what its own parts write.
const renewNode = `WITH renewed AS (
		INSERT INTO nodes (id, name, started_at, renewed_at, renewals, watermark, heard, lease) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (id) DO UPDATE SET renewed_at = excluded.renewed_at, renewals = excluded.renewals,
			watermark = excluded.watermark, heard = excluded.heard, lease = excluded.lease)
	SELECT h.rev, n.id, n.name, n.started_at, n.renewed_at, n.renewals, n.watermark, n.heard, n.lease
		FROM feed_head h LEFT JOIN nodes n ON true ORDER BY n.started_at, n.id`

// Renew implements [store.Fleet].
func (f *fleet) Renew(ctx context.Context, me store.Node) (head int64, nodes []store.Node, err error) {
	args := []any{
		(*idCol)(&me.ID), me.Name, (*timeCol)(&me.StartedAt), (*timeCol)(&me.RenewedAt), me.Renewals, me.Watermark, me.Heard, (*durationCol)(&me.Lease),
	}
	err = f.with(ctx, func(s *session) error {
		nodes = nil
		err := s.each(ctx, renewNode, args, func(rows *sql.Rows) error {
			var n store.Node
			var name sql.NullString
			var renewals, watermark, heard, lease sql.NullInt64
			id := optionalID{&n.ID}
			err := rows.Scan(&head, id, &name, (*timeCol)(&n.StartedAt), (*timeCol)(&n.RenewedAt), &renewals, &watermark, &heard, &lease)
			if err != nil || n.ID.IsZero() {
				return err // no node is registered yet
			}
			n.Name, n.Renewals, n.Watermark, n.Heard = name.String, renewals.Int64, watermark.Int64, heard.Int64
			n.Lease = time.Duration(lease.Int64) * time.Microsecond
			nodes = append(nodes, n)
			return nil
		})
		if err != nil || !f.strict {
			return err
		}
		return synchronous(ctx, s)
	})
	if err != nil {
		return 0, nil, fmt.Errorf("renew the node's lease: %w", err)
	}
	return head, nodes, nil
}

// synchronous refuses a database whose commits do not wait for a standby. It is asked after the
// commit that must have waited: a server that is told to wait no longer lets those go that do, and
// says nothing of it.
func synchronous(ctx context.Context, s *session) error {
	var names, commit string
	const text = "SELECT current_setting('synchronous_standby_names'), current_setting('synchronous_commit')"
	if err := s.one(ctx, text, nil, []any{&names, &commit}); err != nil {
		return fmt.Errorf("read the settings of replication: %w", err)
	}
	if strings.TrimSpace(names) != "" && (commit == "on" || commit == "remote_apply") {
		return nil
	}
	return fmt.Errorf("store.url names several hosts, and the one that takes writes does not wait for a standby "+
		"(synchronous_standby_names = '%s', synchronous_commit = %s): after a failover answered changes would be lost, and a node that "+
		"still talks to the old host would not know what is revoked; set synchronous_standby_names on every host and "+
		"synchronous_commit to on or remote_apply, or start with --accept-stale-revocation", names, commit)
}

// optionalID scans an id that may be NULL.
type optionalID struct{ id *keys.ID }

// Scan implements [sql.Scanner].
func (o optionalID) Scan(src any) error {
	if src == nil {
		*o.id = keys.ID{}
		return nil
	}
	return (*idCol)(o.id).Scan(src)
}

// Leave implements [store.Fleet].
func (f *fleet) Leave(ctx context.Context, ids ...keys.ID) error {
	return f.with(ctx, func(s *session) error {
		for i := range ids {
			if _, err := s.exec(ctx, "DELETE FROM nodes WHERE id = $1", (*idCol)(&ids[i])); err != nil {
				return fmt.Errorf("leave: %w", err)
			}
		}
		return nil
	})
}

// with runs fn on the connection, which a failure ends. One that broke while nobody used it
// is replaced.
func (f *line) with(ctx context.Context, fn func(*session) error) (err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		used := f.session != nil
		if !used {
			if f.session, err = newSession(ctx, f.store.committer.db); err != nil {
				f.session = nil
				return err
			}
		}
		if err = fn(f.session); err == nil {
			err = replicated(f.session)
		}
		if err == nil {
			return nil
		}
		f.session.discard()
		f.session = nil
		if !used || !f.store.engine.again(err) || ctx.Err() != nil {
			return err
		}
	}
}

func (f *fleet) close() {
	f.nonces.close()
	f.throttles.close()
	f.line.close()
}

func (f *line) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.session != nil {
		f.session.discard()
		f.session = nil
	}
}

// errStale says that a connection leads to a database that is behind what was seen before: the
// one that commits are made in has moved.
var errStale = errors.New("the connection leads to a database that others have taken over from")

// Follow implements [store.Fleet].
func (f *fleet) Follow(ctx context.Context, atLeast int64) (int64, []func(), error) {
	h := f.store.committer.herald
	h.following.Lock()
	defer h.following.Unlock()
	var head store.Head
	for {
		err := f.store.View(ctx, func(t store.Tx) (err error) {
			if head, err = t.Head(); err != nil {
				return err
			}
			if head.Revision < atLeast {
				return errStale
			}
			return nil // the view has told of it
		})
		if errors.Is(err, errStale) && ctx.Err() == nil {
			select {
			case <-time.After(firstPause):
			case <-ctx.Done():
			}
			continue
		}
		if err != nil {
			return 0, nil, fmt.Errorf("follow: %w", err)
		}
		return head.Revision, h.settle(), nil
	}
}

// Serving watches the nodes that are registered until each has renewed its lease or been silent for
// longer than that and margin, and names those that renewed. Nothing is registered by it.
func (s *Store) Serving(ctx context.Context, margin time.Duration) ([]string, error) {
	if s.fleet == nil {
		return nil, nil
	}
	first := map[keys.ID]int64{}
	silent := map[keys.ID]time.Duration{}
	var waited time.Duration
	var alive []string
	for {
		waits := false
		err := s.View(ctx, func(t store.Tx) error {
			return t.(*tx).each("SELECT id, name, renewals, lease FROM nodes", nil, func(rows *sql.Rows) error {
				var n store.Node
				if err := rows.Scan((*idCol)(&n.ID), &n.Name, &n.Renewals, (*durationCol)(&n.Lease)); err != nil {
					return err
				}
				had, seen := first[n.ID]
				if !seen {
					first[n.ID], silent[n.ID] = n.Renewals, n.Lease+margin
					had = n.Renewals
				}
				if had >= 0 && n.Renewals != had {
					alive, first[n.ID] = append(alive, n.Name), -1
				} else if had >= 0 && waited < silent[n.ID] {
					waits = true
				}
				return nil
			})
		})
		if err != nil || !waits {
			return alive, err
		}
		select {
		case <-time.After(lastPause / 4):
			waited += lastPause / 4
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
