// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"claviger/internal/keys"
	"claviger/internal/store"
)

// testWorkRequests lists work requests by what they belong to, page by page, and forgets those
// that were finished long enough ago.
func testWorkRequests(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	others := b.Tenant()
	put(t, s, others)
	var all []*keys.WorkRequest
	for i := range 6 {
		w := b.WorkRequest(b.tenant)
		if i%2 == 1 {
			w.Compartment = b.vault.ID
		}
		if i >= 2 {
			w.Status, w.FinishedAt = keys.WorkSucceeded, epoch.Add(time.Duration(i)*time.Hour)
		}
		put(t, s, w)
		all = append(all, w)
	}
	elsewhere, theirs := b.WorkRequest(b.tenant), b.WorkRequest(others)
	elsewhere.Region = away
	put(t, s, elsewhere, theirs)

	mark := func(i int) *store.Mark { return &store.Mark{Time: all[i].CreatedAt, ID: all[i].ID} }
	own := store.WorkQuery{Tenant: b.tenant.ID, Region: home}
	for name, c := range map[string]struct {
		change func(*store.WorkQuery)
		want   []*keys.WorkRequest
	}{
		"all":           {func(*store.WorkQuery) {}, all},
		"page":          {func(q *store.WorkQuery) { q.Page = store.Page{After: mark(1), Limit: 2} }, all[2:4]},
		"page backward": {func(q *store.WorkQuery) { q.Page = store.Page{After: mark(2), Limit: 1, Desc: true} }, all[1:2]},
		"compartment":   {func(q *store.WorkQuery) { q.Compartment = b.vault.ID }, []*keys.WorkRequest{all[1], all[3], all[5]}},
		"unfinished":    {func(q *store.WorkQuery) { q.Unfinished = true }, all[:2]},
		"region":        {func(q *store.WorkQuery) { q.Region = away }, []*keys.WorkRequest{elsewhere}},
		"another's":     {func(q *store.WorkQuery) { q.Tenant = others.ID }, []*keys.WorkRequest{theirs}},
		"of everybody": {
			func(q *store.WorkQuery) { *q = store.WorkQuery{Unfinished: true} },
			[]*keys.WorkRequest{all[0], all[1], elsewhere, theirs},
		},
	} {
		q := own
		c.change(&q)
		got := read(t, s, func(tx store.Tx) ([]*keys.WorkRequest, error) { return tx.WorkRequests(q) })
		if diff := gocmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	removed := 0
	update(t, s, func(tx store.Tx) (err error) {
		removed, err = tx.Expire(store.Expiry{Work: all[4].FinishedAt}, 100)
		return err
	})
	got := read(t, s, func(tx store.Tx) ([]*keys.WorkRequest, error) { return tx.WorkRequests(own) })
	if want := append(all[:2:2], all[4:]...); removed != 2 || gocmp.Diff(want, got) != "" {
		t.Errorf("%d forgotten, left are (-want +got):\n%s", removed, gocmp.Diff(want, got))
	}
}
