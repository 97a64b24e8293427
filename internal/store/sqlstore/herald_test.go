// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"testing"

	"claviger/internal/keys"
	"claviger/internal/store"
	"claviger/internal/store/pgtest"
	"claviger/internal/store/storetest"
)

// lateEngine runs a function between a commit and the committer's hearing of it.
type lateEngine struct {
	engine
	between func()
}

func (e lateEngine) commit(ctx context.Context, s *session) error {
	err := e.engine.commit(ctx, s)
	e.between()
	return err
}

// testSeenFirst lets a view see commits before the committer hears of them: the observer is told
// by the view, once, and Update waits for what the view's telling retired.
func testSeenFirst(t *testing.T, server *pgtest.Server) {
	s := openPostgres(t, server.Schema(t, "seen"))
	defer s.Close()
	h := &heard{}
	s.Observe(h)
	w := &storetest.World{}
	tenants := []*keys.Tenant{w.Tenant(), w.Tenant(), w.Tenant()}
	update(t, s, tenants[0]) // told by the committer
	var told []int
	s.committer.engine = lateEngine{s.committer.engine, func() {
		if err := s.View(t.Context(), func(tx store.Tx) error { return tx.Load(&keys.Tenant{ID: tenants[len(told)+1].ID}) }); err != nil {
			t.Errorf("a view after the commit: %v", err)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		told = append(told, len(h.revisions))
		if h.waited != len(told) {
			t.Errorf("before the answer of change %d %d were waited for", len(told)+1, h.waited)
		}
	}}
	update(t, s, tenants[1])
	update(t, s, tenants[2])
	if len(told) != 2 || told[0] != 2 || told[1] != 3 {
		t.Errorf("the views told of %v changes, want 2 and then 3", told)
	}
	for i, r := range h.revisions {
		if r != int64(i+1) {
			t.Fatalf("heard of %v, want every revision once and in order", h.revisions)
		}
	}
	if len(h.revisions) != 3 || h.waited != 3 {
		t.Errorf("heard of %d changes and waited for %d, want 3", len(h.revisions), h.waited)
	}
}
