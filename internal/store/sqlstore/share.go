// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"claviger/internal/keys"
	"claviger/internal/store"
)

// What calls on all nodes share beside the records: nonces that were used, and tokens of
// throttling. Neither goes through the head of the change feed, so no batch waits for them.
// Calls that come while a statement is under way share the next one.

const (
	shareMost    = 128             // how many calls share a statement
	shareTimeout = 5 * time.Second // of a statement; who waits for the next one waits twice as long at most
)

// share lets calls share statements on a connection of its own.
type share[A, R any] struct {
	line
	run func(ctx context.Context, asks []A) ([]R, error) // answers each

	mu      sync.Mutex
	waiting []*sharer[A, R] // guarded by mu
	busy    bool            // a goroutine is serving them; guarded by mu
	closed  bool            // guarded by mu
	served  sync.WaitGroup
}

// sharer is one call that waits.
type sharer[A, R any] struct {
	ctx  context.Context
	ask  A
	done chan struct{} // closed once out and err are set
	out  R
	err  error
}

func (s *share[A, R]) do(ctx context.Context, ask A) (out R, err error) {
	w := &sharer[A, R]{ctx: ctx, ask: ask, done: make(chan struct{})}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return out, store.ErrClosed
	}
	s.waiting = append(s.waiting, w)
	if !s.busy {
		s.busy = true
		s.served.Go(s.serve)
	}
	s.mu.Unlock()
	select {
	case <-w.done:
		return w.out, w.err
	case <-ctx.Done():
		return out, context.Cause(ctx)
	}
}

// serve answers until nobody waits.
func (s *share[A, R]) serve() {
	for {
		var batch []*sharer[A, R]
		s.mu.Lock()
		n := min(len(s.waiting), shareMost)
		for _, w := range s.waiting[:n] {
			if w.ctx.Err() == nil { // otherwise nobody waits for it any more
				batch = append(batch, w)
			}
		}
		s.waiting = slices.Delete(s.waiting, 0, n)
		if n == 0 {
			s.busy = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		if len(batch) > 0 {
			s.answer(batch)
		}
	}
}

func (s *share[A, R]) answer(batch []*sharer[A, R]) {
	asks := make([]A, len(batch))
	for i, w := range batch {
		asks[i] = w.ask
	}
	ctx, cancel := context.WithTimeout(context.Background(), shareTimeout)
	defer cancel()
	out, err := s.run(ctx, asks)
	for i, w := range batch {
		if w.err = err; err == nil {
			w.out = out[i]
		}
		close(w.done)
	}
}

// close lets those who wait be answered, and then ends the connection.
func (s *share[A, R]) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.served.Wait()
	s.line.close()
}

func newFleet(s *Store) *fleet {
	f := &fleet{line: line{store: s}}
	f.nonces = &share[store.Nonce, bool]{line: line{store: s}}
	f.nonces.run = f.claim
	f.throttles = &share[store.Ask, store.Grant]{line: line{store: s}}
	f.throttles.run = f.take
	return f
}

// Claim implements [store.Fleet].
func (f *fleet) Claim(ctx context.Context, n store.Nonce) (bool, error) {
	fresh, err := f.nonces.do(ctx, n)
	if err != nil {
		return false, f.store.named(fmt.Errorf("remember a nonce: %w", err))
	}
	return fresh, nil
}

// claim inserts nonces by one statement. Where another has one that is not committed yet it waits
// for that; they are sorted, so that two statements cannot wait for each other.
func (f *fleet) claim(ctx context.Context, nonces []store.Nonce) ([]bool, error) {
	order := make([]int, len(nonces))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return bytes.Compare(nonces[a].Hash[:], nonces[b].Hash[:]) })
	values, args := make([]string, len(nonces)), make([]any, 0, 2*len(nonces))
	for i, at := range order {
		values[i] = "(" + placeholders(1+2*i, 2) + ")"
		args = append(args, nonces[at].Hash[:], (*timeCol)(&nonces[at].ExpiresAt))
	}
	text := "INSERT INTO nonces (hash, expires_at) VALUES " + strings.Join(values, ", ") + " ON CONFLICT (hash) DO NOTHING RETURNING hash"
	var inserted map[[16]byte]bool
	attempts := 0
	err := f.nonces.with(ctx, func(s *session) error {
		inserted = map[[16]byte]bool{}
		attempts++
		return s.each(ctx, text, args, func(rows *sql.Rows) error {
			var hash []byte
			if err := rows.Scan(&hash); err != nil {
				return err
			}
			inserted[[16]byte(hash)] = true
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	if attempts > 1 && len(inserted) < len(nonces) {
		// The first attempt may have inserted what is there now.
		return nil, fmt.Errorf("%w: the connection broke", store.ErrAway)
	}
	out := make([]bool, len(nonces))
	for _, at := range order {
		hash := nonces[at].Hash
		out[at] = inserted[hash]
		delete(inserted, hash) // two that came together are not both new
	}
	return out, nil
}

// Take implements [store.Fleet].
func (f *fleet) Take(ctx context.Context, a store.Ask) (store.Grant, error) {
	g, err := f.throttles.do(ctx, a)
	if err != nil {
		return store.Grant{}, f.store.named(fmt.Errorf("ask for a token: %w", err))
	}
	return g, nil
}

// takeShare takes whole tokens, as many as are asked for ($5) or there. A clock of the database
// that went back by more than two statements can differ starts again from where it is.
const takeShare = `INSERT INTO throttles AS t (tenant, class, tokens, granted, at)
		VALUES ($1, $2, $4::float8 - LEAST($5::float8, FLOOR($4::float8)), LEAST($5::float8, FLOOR($4::float8)),
			(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint)
	ON CONFLICT (tenant, class) DO UPDATE SET (tokens, granted, at) = (
		SELECT b.has - LEAST($5::float8, FLOOR(b.has)), LEAST($5::float8, FLOOR(b.has)),
			CASE WHEN t.at > excluded.at + 1000000 THEN excluded.at ELSE GREATEST(t.at, excluded.at) END
		FROM (SELECT LEAST($4::float8, t.tokens + GREATEST(0, excluded.at - t.at) * $3::float8 / 1000000) AS has) b)
	RETURNING granted, tokens`

// bucket is whose tokens are asked for.
type bucket struct {
	tenant keys.ID
	class  string
}

// take asks once for all that want tokens of the same bucket. No node keeps a token that it has
// no use for, so that what all of them let pass is what one bucket allows.
func (f *fleet) take(ctx context.Context, asks []store.Ask) ([]store.Grant, error) {
	wanting := map[bucket][]int{}
	for i := range asks {
		b := bucket{asks[i].Tenant, asks[i].Class}
		wanting[b] = append(wanting[b], i)
	}
	out := make([]store.Grant, len(asks))
	for b, who := range wanting {
		ask := asks[who[0]]
		var granted, left float64
		err := f.throttles.with(ctx, func(s *session) error {
			args := []any{(*idCol)(&b.tenant), b.class, ask.Rate, ask.Burst, float64(len(who))}
			return s.one(ctx, takeShare, args, []any{&granted, &left})
		})
		if err != nil {
			return nil, err
		}
		for n, i := range who {
			if out[i].OK = float64(n) < granted; !out[i].OK {
				out[i].Wait = time.Duration(math.Max(0, 1-left) / ask.Rate * float64(time.Second))
			}
		}
	}
	return out, nil
}
