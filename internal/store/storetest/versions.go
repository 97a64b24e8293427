// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"slices"
	"testing"

	"claviger/internal/keys"
	"claviger/internal/store"
)

// manyVersions stores a key with n versions, a few hundred per transaction.
func manyVersions(t testing.TB, s store.Store, b *basis, n int) (*keys.Key, []*keys.Version) {
	t.Helper()
	k := b.Key(b.vault)
	put(t, s, k)
	out := make([]*keys.Version, 0, n)
	for len(out) < n {
		update(t, s, func(tx store.Tx) error {
			for range min(500, n-len(out)) {
				v := b.Version(k)
				if err := tx.Put(v); err != nil {
					return err
				}
				out = append(out, v)
			}
			return tx.Put(k)
		})
	}
	return k, out
}

// testVersions pages through a key with many versions in both directions, by ordinal and by
// offset: dense first, then with versions erased at both ends and in the middle, then with
// some of those forgotten.
func testVersions(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	n := 10_000
	if testing.Short() {
		n = 1000
	}
	k, all := manyVersions(t, s, b, n)
	stranger, _ := manyVersions(t, s, b, 3)
	walkVersions(t, s, k.ID, all, 1)

	gone := func(i int) bool { return i < 3 || i == n/2 || i > n/2+20 && i < n/2+50 || i%97 == 0 || i == n-2 }
	at := b.Time()
	update(t, s, func(tx store.Tx) error {
		for i, v := range all {
			if !gone(i) || v.ID == k.Primary {
				continue
			}
			erase(k, v, at)
			if err := tx.Put(v); err != nil {
				return err
			}
		}
		return tx.Put(k)
	})
	walkVersions(t, s, k.ID, all, 2)

	update(t, s, func(tx store.Tx) error {
		removed, err := tx.Expire(store.Expiry{Tombstones: b.Time()}, 10)
		if removed != 10 {
			t.Errorf("forgot %d tombstones, want 10", removed)
		}
		return err
	})
	left := read(t, s, func(tx store.Tx) ([]*keys.Version, error) { return tx.Versions(store.VersionQuery{Key: k.ID}) })
	if len(left) != n-10 {
		t.Errorf("%d versions are left, want %d", len(left), n-10)
	}
	walkVersions(t, s, k.ID, left, 4)
	walkVersions(t, s, b.ID(), nil, 1)
	walkVersions(t, s, stranger.ID, read(t, s, func(tx store.Tx) ([]*keys.Version, error) {
		return tx.Versions(store.VersionQuery{Key: stranger.ID})
	}), 1)
}

// walkVersions compares pages with the same cuts of a list in memory: every page or each second
// or fourth, and those that offsets lead to.
func walkVersions(t *testing.T, s store.Store, key keys.ID, all []*keys.Version, every int) {
	t.Helper()
	ordinals := func(vs []*keys.Version) []int {
		out := make([]int, 0, len(vs))
		for _, v := range vs {
			out = append(out, v.Ordinal)
		}
		return out
	}
	view(t, s, func(tx store.Tx) error {
		for _, q := range []store.VersionQuery{{}, {Desc: true}, {HideDeleted: true}, {Desc: true, HideDeleted: true}} {
			q.Key = key
			var want []*keys.Version
			for _, v := range all {
				if v.State != keys.Deleted || !q.HideDeleted {
					want = append(want, v)
				}
			}
			if q.Desc {
				slices.Reverse(want)
			}
			check := func(q store.VersionQuery, want []*keys.Version) error {
				got, err := tx.Versions(q)
				if err != nil {
					return err
				}
				if !slices.Equal(ordinals(got), ordinals(want)) {
					t.Errorf("%+v: ordinals %v, want %v", q, ordinals(got), ordinals(want))
				}
				return nil
			}
			if err := byOrdinal(q, want, every, check); err != nil {
				return err
			}
			if err := byOffset(q, want, check); err != nil {
				return err
			}
		}
		return nil
	})
}

// byOrdinal walks a list from mark to mark.
func byOrdinal(q store.VersionQuery, want []*keys.Version, every int, check func(store.VersionQuery, []*keys.Version) error) error {
	q.Limit = 700
	for at := 0; at <= len(want); at += q.Limit * every {
		if at > 0 {
			q.AfterOrdinal = want[at-1].Ordinal
		}
		if err := check(q, want[at:min(at+q.Limit, len(want))]); err != nil {
			return err
		}
	}
	return nil
}

// byOffset jumps to pages at the ends, in the middle and behind the end, from the start and
// from a mark.
func byOffset(q store.VersionQuery, want []*keys.Version, check func(store.VersionQuery, []*keys.Version) error) error {
	n := len(want)
	for _, offset := range []int{1, 2, 10, n/2 - 1, n / 2, n/2 + 30, n - 10, n - 1, n, n + 1, n + 1000} {
		if offset < 1 {
			continue
		}
		q.Offset, q.Limit, q.AfterOrdinal = offset, 10, 0
		from := min(offset, n)
		if err := check(q, want[from:min(from+10, n)]); err != nil {
			return err
		}
		if n < 8 {
			continue
		}
		q.AfterOrdinal = want[4].Ordinal
		from = min(5+offset, n)
		if err := check(q, want[from:min(from+10, n)]); err != nil {
			return err
		}
	}
	return nil
}
