// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"claviger/internal/keys"
	"claviger/internal/store"
	"claviger/internal/store/pgtest"
	"claviger/internal/store/storetest"
)

// turns counts how often connections begin to write after they have read: round trips.
type turns struct{ n atomic.Int64 }

type turningConn struct {
	net.Conn
	turns   *turns
	mu      sync.Mutex
	writing bool // guarded by mu
}

func (c *turningConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	if !c.writing {
		c.writing = true
		c.turns.n.Add(1)
	}
	c.mu.Unlock()
	return c.Conn.Write(b)
}

func (c *turningConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	c.writing = false
	c.mu.Unlock()
	return n, err
}

// TestRoundTrips counts what a mutation costs on PostgreSQL: a batch takes three round trips,
// its beginning, what it changed, and its commit, however many transactions are in it.
func TestRoundTrips(t *testing.T) {
	if testing.Short() {
		t.Skip("starts PostgreSQL: not in short mode")
	}
	t.Parallel()
	o := PostgresOptions{URL: pgtest.Start(t).Database(t, "turns"), Create: true}
	o.defaults()
	config, err := o.config()
	if err != nil {
		t.Fatal(err)
	}
	counted := &turns{}
	dial := config.DialFunc
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		return &turningConn{Conn: conn, turns: counted}, err
	}
	s, err := o.open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	w := &storetest.World{}
	tenant := w.Tenant()
	vault := w.Vault(tenant)
	update(t, s, tenant, vault)
	const many = 20
	rows := make([]*keys.Key, many)
	for i := range rows {
		rows[i] = w.Key(vault)
		update(t, s, rows[i])
	}
	var serial atomic.Uint64
	rotateOne := func(k *keys.Key) error {
		_, err := s.Update(context.Background(), func(tx store.Tx) error {
			return rotate(tx, k.ID, &serial, make([]byte, 64), nil)
		})
		return err
	}
	batchOf := func(rows []*keys.Key) int64 {
		release := hold(t, s)
		var group sync.WaitGroup
		for i, k := range rows {
			group.Go(func() {
				if err := rotateOne(k); err != nil {
					t.Error(err)
				}
			})
			queued(s, i+1)
		}
		before := counted.n.Load()
		release()
		group.Wait()
		return counted.n.Load() - before
	}
	for range 2 { // statements are prepared, and the committer remembers
		batchOf(rows)
		batchOf(rows[:1])
	}
	const held = 2 // the batch that is held reads nothing and ends
	if n := batchOf(rows[:1]); n > 3+held {
		t.Errorf("a transaction took %d round trips", n)
	}
	if n := batchOf(rows); n > 3+held {
		t.Errorf("%d transactions took %d round trips", many, n)
	}
	if err := storetest.Check(t.Context(), s); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
