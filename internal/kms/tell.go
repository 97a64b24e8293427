// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"time"

	"claviger/internal/keys"
	"claviger/internal/store"
)

// An answer that tells of a change of a key, to whomever, leaves once every node has heard of the
// change: else a client could learn of it here and then see another node answer by what was before.
// It does not matter whether the call uses the key, is refused or only looks at it.
//
// A node that has heard of a change begins no call with anything older. Calls that began before
// may still be under way there; whoever made the change waits for these as well (settle), readers
// need not. So hearing waits for no call, and a call may hold what it uses while it waits here.

// told is what the answer of a call tells, as far as another node may not have heard of it.
type told struct {
	fleet    *fleet // nil where the process alone has the store
	revision int64  // the newest change; 0: none
}

// news reports whether another node may not have heard of a change.
func (t *told) news(revision int64) bool {
	return t != nil && t.fleet != nil && revision > t.fleet.common.Load()
}

func (t *told) tell(revision int64) {
	if t.news(revision) {
		t.revision = max(t.revision, revision)
	}
}

// tellKey notes what is told by the state of a key in its vault.
func tellKey(l lookup, k *keys.Key, v *keys.Vault) {
	t := l.tells()
	t.tell(v.Revision)
	if !t.news(k.Revision) {
		return
	}
	if k.Versions == 1 {
		if first, err := l.version(k.Primary); err == nil && asMade(k, first) {
			return
		}
	}
	t.tell(k.Revision)
}

// tellVersion notes what is told by the state of a version.
func tellVersion(l lookup, k *keys.Key, v *keys.Version) {
	if t := l.tells(); t.news(v.Revision) && !asMade(k, v) {
		t.tell(v.Revision)
	}
}

// asMade reports whether a key with its first version has not changed since both were made in one
// transaction: nobody remembers anything older of it.
func asMade(k *keys.Key, first *keys.Version) bool {
	return k.Origin == keys.Generated && k.Restored == nil && k.Versions == 1 && first.ID == k.Primary && first.Revision == k.Revision
}

// MayTell waits until every node has heard of what the call's answer tells. Whoever serves a request
// asks before any answer, that of a refusal too.
func (s *Service) MayTell(ctx context.Context, c *Call) error {
	if s.fleet == nil || c.told.revision <= s.fleet.common.Load() {
		return nil
	}
	return s.fleet.await(ctx, c.told.revision)
}

// await waits until every other node has heard of the changes up to a revision or is gone.
func (f *fleet) await(ctx context.Context, revision int64) error {
	if f.waiting.Add(1) == 1 {
		f.nudge()
	}
	defer f.waiting.Add(-1)
	for {
		f.rounds.Lock()
		renewed := f.renewed
		f.rounds.Unlock()
		switch {
		case f.common.Load() >= revision:
			return nil
		case !f.holds(): // and it may be this call that the next lease waits for
			return errLease()
		}
		select {
		case <-renewed:
		case <-time.After(f.Poll):
		case <-f.stopped:
			return errLease()
		case <-ctx.Done():
			return translate(context.Cause(ctx))
		}
	}
}

// compare notes up to where every node has heard, by what a renewal answered.
func (f *fleet) compare(head int64, nodes []store.Node) {
	common := head
	for i := range nodes {
		// One of a release that does not say what it heard has heard what it followed.
		if n := &nodes[i]; n.ID != f.me.ID && !f.gone(n) {
			common = min(common, max(n.Heard, n.Watermark))
		}
	}
	if common > f.common.Load() { // renewals come one at a time
		f.common.Store(common)
	}
}
