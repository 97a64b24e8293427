// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/audit"
	"claviger/internal/keys"
	"claviger/internal/store"
)

func testFeed(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	start := read(t, s, store.Tx.Head).Revision
	k, p := b.Key(b.vault), b.Principal(b.tenant)
	v, a, g := b.Version(k), b.Alias(k), b.Grant(k, b.tenant)
	binding, credential, compartment := b.Binding(p), b.Credential(p), b.Compartment(b.tenant)
	first := put(t, s, k, v, k, v) // each is named once
	second := put(t, s, a, g, compartment, p, binding, credential)
	_ = refused(t, s, "an undone transaction", func(tx store.Tx) error {
		return errors.Join(tx.Put(b.Key(b.vault)), errors.New("undo"))
	})
	third := update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.Delete(a), tx.Delete(a), tx.Delete(b.Key(b.vault)),
			tx.Delete(credential), tx.Put(k))
	})
	want := []store.Change{
		{Revision: first, Type: keys.TypeKey, ID: k.ID},
		{Revision: first, Type: keys.TypeVersion, ID: v.ID},
		{Revision: second, Type: keys.TypeAlias, Name: store.AliasName(a.Tenant, a.Region, a.Name)},
		{Revision: second, Type: keys.TypeGrant, ID: g.ID},
		{Revision: second, Type: keys.TypeCompartment, ID: compartment.ID},
		{Revision: second, Type: keys.TypePrincipal, ID: p.ID},
		{Revision: second, Type: keys.TypeBinding, ID: binding.ID},
		{Revision: second, Type: keys.TypeCredential, ID: credential.ID, Name: credential.Name},
		{Revision: third, Type: keys.TypeAlias, Name: store.AliasName(a.Tenant, a.Region, a.Name)},
		{Revision: third, Type: keys.TypeCredential, ID: credential.ID, Name: credential.Name},
		{Revision: third, Type: keys.TypeKey, ID: k.ID},
	}
	got := read(t, s, func(tx store.Tx) ([]store.Change, error) { return tx.Changes(start, 0) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("change feed (-want +got):\n%s", diff)
	}
	if first != start+1 || second != first+1 || third != second+1 {
		t.Errorf("revisions %d, %d, %d, %d are not dense", start, first, second, third)
	}
}

// testFeedPages reads the feed in pieces, which never cut a transaction.
func testFeedPages(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	for size := range 20 {
		update(t, s, func(tx store.Tx) error {
			for range size % 5 * size {
				if err := tx.Put(b.Key(b.vault)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	all := read(t, s, func(tx store.Tx) ([]store.Change, error) { return tx.Changes(0, 0) })
	for _, limit := range []int{1, 2, 7, 40, 1000} {
		var got []store.Change
		for {
			after := int64(0)
			if len(got) > 0 {
				after = got[len(got)-1].Revision
			}
			page := read(t, s, func(tx store.Tx) ([]store.Change, error) { return tx.Changes(after, limit) })
			if len(page) == 0 {
				break
			}
			last := page[len(page)-1].Revision
			if len(page) > limit && page[limit-1].Revision != last {
				t.Errorf("a page of %d has %d changes, more than the last transaction needs", limit, len(page))
			}
			got = append(got, page...)
		}
		if !slices.Equal(all, got) {
			t.Errorf("the feed by %d has %d changes, want %d", limit, len(got), len(all))
		}
	}
}

// testUnannounced writes records that are in no feed: they are stored and take no revision.
func testUnannounced(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	seen := &listener{}
	s.Observe(seen)
	before := read(t, s, store.Tx.Head)
	nonce := &store.Nonce{Hash: [16]byte{1}, ExpiresAt: b.Time()}
	rev := put(t, s, nonce, &store.Setting{Name: "a", Value: "b"})
	after := read(t, s, store.Tx.Head)
	if rev != 0 || before != after {
		t.Errorf("unannounced records took revision %d, the head went from %+v to %+v", rev, before, after)
	}
	if err := s.View(context.Background(), func(tx store.Tx) error { return tx.Load(&store.Nonce{Hash: nonce.Hash}) }); err != nil {
		t.Errorf("load: %v", err)
	}
	if rev := update(t, s, func(tx store.Tx) error { return tx.Load(&store.Nonce{Hash: nonce.Hash}) }); rev != 0 {
		t.Errorf("a transaction that only reads took revision %d", rev)
	}
	if len(seen.committed()) != 0 {
		t.Errorf("the observer heard of %v", seen.committed())
	}
}

func testAudit(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	event := func(i int) audit.Event {
		return audit.Event{
			Time: b.Time(), Request: fmt.Sprint("r", i), Dialect: "oci", Operation: "CreateKey", Action: keys.CreateKey,
			Principal: b.ID(), Key: b.ID(), Outcome: audit.OutcomeOK, Context: map[string]string{"a": "\u2028<&>\"", "b": ""},
		}
	}
	var want []audit.Event
	record := func(tx store.Tx, e audit.Event) error {
		want = append(want, e)
		return tx.Record(e)
	}
	put(t, s, b.Key(b.vault))
	update(t, s, func(tx store.Tx) error { return record(tx, event(1)) }) // alone
	update(t, s, func(tx store.Tx) error {
		return errors.Join(record(tx, event(2)), tx.Put(b.Key(b.vault)), record(tx, event(3)))
	})
	_ = refused(t, s, "an undone event", func(tx store.Tx) error {
		return errors.Join(tx.Record(event(0)), errors.New("undo"))
	})
	update(t, s, func(tx store.Tx) error { return record(tx, event(4)) })
	stored := read(t, s, func(tx store.Tx) ([]store.StoredEvent, error) { return tx.Events(0, 0) })
	got, hash := []audit.Event{}, [32]byte{}
	for i, e := range stored {
		if e.Sequence != int64(i+1) {
			t.Errorf("event %d has sequence number %d", i+1, e.Sequence)
		}
		if hash = e.Event.Hash(hash); e.Hash != hash {
			t.Errorf("event %d has another hash than its chain", i+1)
		}
		got = append(got, e.Event)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if head := read(t, s, store.Tx.Head); head.Events != 4 || head.Hash != hash {
		t.Errorf("the head is %+v, want 4 events with hash %x", head, hash)
	}
	page := read(t, s, func(tx store.Tx) ([]store.StoredEvent, error) { return tx.Events(1, 2) })
	if diff := cmp.Diff(stored[1:3], page); diff != "" {
		t.Errorf("events after 1, at most 2 (-want +got):\n%s", diff)
	}
}
