// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"claviger/internal/keys"
	"claviger/internal/store"
	"claviger/internal/store/pgtest"
)

// TestShare has three nodes ask for the same things at once.
func TestShare(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("several nodes need a PostgreSQL server")
	}
	server := pgtest.Start(t)
	url := server.URL("postgres")
	nodes := []*Store{openPostgres(t, url)}
	for range 2 {
		s, err := OpenPostgres(t.Context(), PostgresOptions{URL: url, ReopenTimeout: 100 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, s)
	}
	testClaims(t, nodes)
	testTokens(t, nodes)
	if got, err := server.Query(t.Context(), "postgres", "SELECT relpersistence FROM pg_class WHERE relname = 'throttles'"); got != "u" {
		t.Errorf("the table of tokens is logged: %q, %v", got, err)
	}

	server.Stop(syscall.SIGQUIT)
	n := store.Nonce{Hash: [16]byte{99}, ExpiresAt: time.Now()}
	if _, err := nodes[0].Fleet().Claim(t.Context(), n); !errors.Is(err, store.ErrAway) {
		t.Errorf("a nonce without a database: %v", err)
	}
	if _, err := nodes[0].Fleet().Take(t.Context(), store.Ask{Class: "c", Rate: 1, Burst: 1}); !errors.Is(err, store.ErrAway) {
		t.Errorf("a token without a database: %v", err)
	}
	server.Start(t)
	if fresh, err := nodes[0].Fleet().Claim(t.Context(), n); err != nil || !fresh {
		t.Errorf("a nonce once the database is back: %t, %v", fresh, err)
	}
	n.Hash = [16]byte{1}
	fresh, err := nodes[1].Fleet().Claim(t.Context(), n)
	if errors.Is(err, store.ErrAway) { // the connection broke: it could be this very call that was first
		fresh, err = nodes[1].Fleet().Claim(t.Context(), n)
	}
	if err != nil || fresh {
		t.Errorf("a nonce that was used before the database crashed: %t, %v", fresh, err)
	}
	for _, s := range nodes {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := s.Fleet().Claim(t.Context(), n); !errors.Is(err, store.ErrClosed) {
			t.Errorf("a nonce for a store that is closed: %v", err)
		}
	}
}

// testClaims claims each nonce by six callers at once.
func testClaims(t *testing.T, nodes []*Store) {
	t.Helper()
	const nonces = 60
	var won [nonces]atomic.Int64
	var all sync.WaitGroup
	for i := range nonces {
		for j := range 2 * len(nodes) {
			all.Go(func() {
				fresh, err := nodes[j%len(nodes)].Fleet().Claim(t.Context(), store.Nonce{Hash: [16]byte{byte(i + 1)}, ExpiresAt: time.Now()})
				if err != nil {
					t.Error(err)
				} else if fresh {
					won[i].Add(1)
				}
			})
		}
	}
	all.Wait()
	for i := range won {
		if n := won[i].Load(); n != 1 {
			t.Errorf("nonce %d was new to %d of %d callers, want 1", i, n, 2*len(nodes))
		}
	}
}

// testTokens empties buckets that get almost nothing: what all nodes get together is what one
// bucket holds.
func testTokens(t *testing.T, nodes []*Store) {
	t.Helper()
	const burst = 10
	var all sync.WaitGroup
	var granted [3]atomic.Int64 // two tenants, and another class of the second
	for i := range 20 * len(nodes) {
		for b := range granted {
			all.Go(func() {
				a := store.Ask{Tenant: keys.ID{byte(1 + b/2)}, Class: fmt.Sprint("class", b), Rate: 1e-6, Burst: burst}
				g, err := nodes[i%len(nodes)].Fleet().Take(t.Context(), a)
				switch {
				case err != nil:
					t.Error(err)
				case g.OK:
					granted[b].Add(1)
				case g.Wait < time.Hour:
					t.Errorf("the next token is in %v", g.Wait)
				}
			})
		}
	}
	all.Wait()
	for b := range granted {
		if n := granted[b].Load(); n != burst {
			t.Errorf("bucket %d gave %d tokens, and held %d", b, n, burst)
		}
	}
	// By the database's clock, and never more than it holds.
	fast := store.Ask{Tenant: keys.ID{1}, Class: "class0", Rate: 1e6, Burst: 2}
	for range 2 {
		if g, err := nodes[0].Fleet().Take(t.Context(), fast); err != nil || !g.OK {
			t.Errorf("a token that has had its time: %+v, %v", g, err)
		}
	}
	slow := fast
	slow.Rate = 1e-6
	got := 0
	for range 5 {
		if g, err := nodes[1].Fleet().Take(t.Context(), slow); err == nil && g.OK {
			got++
		}
	}
	if got > 2 {
		t.Errorf("a bucket that holds 2 gave %d", got)
	}
}

// TestShareWaits ends the waiting of a call, and not that of the others.
func TestShareWaits(t *testing.T) {
	t.Parallel()
	begun, goOn := make(chan struct{}), make(chan struct{})
	s := &share[int, int]{}
	s.run = func(_ context.Context, asks []int) ([]int, error) {
		begun <- struct{}{}
		<-goOn
		return asks, nil
	}
	first := make(chan int)
	go func() {
		out, _ := s.do(context.Background(), 1)
		first <- out
	}()
	<-begun
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.do(ended, 2); !errors.Is(err, context.Canceled) {
		t.Errorf("a call whose context has ended: %v", err)
	}
	close(goOn)
	if got := <-first; got != 1 {
		t.Errorf("the first call was answered %d", got)
	}
	s.close()
	if _, err := s.do(context.Background(), 3); !errors.Is(err, store.ErrClosed) {
		t.Errorf("a call after the end: %v", err)
	}
}
