// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"claviger/internal/audit"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// TagChange says what is to become of a key's plain tags.
type TagChange struct {
	Set    map[string]string // added, or given another value
	Remove []string          // names; one that the key does not have is no error
	Clear  bool              // remove all that are not in Set
}

// apply makes the tags after the change.
func (t TagChange) apply(tags map[string]string) map[string]string {
	out := map[string]string{}
	if !t.Clear {
		maps.Copy(out, tags)
	}
	for _, name := range t.Remove {
		delete(out, name)
	}
	maps.Copy(out, t.Set)
	return out
}

// TagKeys changes the plain tags of several keys: of all of them, or of none. The profile's
// number of tags holds for what is added, not for what is there.
func (s *Service) TagKeys(ctx context.Context, c *Call, refs []KeyRef, change TagChange) error {
	_, err := do(ctx, s, c, keys.TagKey, nil, func(m *mutation) (nothing, error) {
		return nothing{}, m.tagKeys(refs, change)
	})
	return err
}

func (m *mutation) tagKeys(refs []KeyRef, change TagChange) error {
	done := map[keys.ID]bool{}
	for _, ref := range refs {
		before := *m.ev
		at, _, err := m.locate(ref, keys.TagKey)
		if err != nil {
			return err
		}
		k := at.key
		if done[k.ID] {
			*m.ev = before
			continue
		}
		if len(done) > 0 { // each key has its event; the last one's is recorded with the call
			before.Outcome, before.Revision = audit.OutcomeOK, m.tx.Revision()
			if err := m.tx.Record(before); err != nil {
				return err
			}
		}
		done[k.ID] = true
		if err := m.match(viewKey(k, at.vault, m.now).ETag); err != nil {
			return err
		}
		had := len(k.Tags.Plain)
		k.Tags.Plain = change.apply(k.Tags.Plain)
		if len(k.Tags.Plain) > had {
			if err := tagsFit(k.Tags, m.c.Profile); err != nil {
				return err
			}
		}
		if err := m.tx.Put(k); err != nil {
			return err
		}
	}
	return nil
}

// KeyTag is one plain tag of a key.
type KeyTag struct {
	Key         *Key
	Name, Value string
}

// TagFilter selects tags: those of Keys or, where there are none, of every key of the caller's
// tenant in the call's region that Accept and HideDeleted let through.
type TagFilter struct {
	Keys        []KeyRef
	With        map[string]*string // tags that a key must have, whose value nil leaves open; all of its tags are listed
	Accept      func(*keys.Key) bool
	HideDeleted bool
}

// tagScan is how many keys are read at once for a page of tags.
const tagScan = 100

// Tags lists plain tags, by the creation of their keys, then by name.
func (s *Service) Tags(ctx context.Context, c *Call, f TagFilter, p Page) (*List[KeyTag], error) {
	act := keys.ListKeys
	if len(f.Keys) > 0 {
		act = keys.ReadKey
	}
	return read(ctx, s, c, act, func(m *mutation) (*List[KeyTag], error) {
		of, err := m.namedKeys(f.Keys)
		if err != nil {
			return nil, err
		}
		list := f.list(callerTenant(c), c.Region, of)
		mark, err := s.decodeCursor(list, p.Cursor)
		if err != nil {
			return nil, err
		}
		rows := &tagRows{with: f.With, limit: p.Limit}
		if mark != nil {
			rows.after = &mark.mark
		}
		if len(f.Keys) > 0 {
			rows.add(of)
		} else if err := m.scanTags(f, rows); err != nil {
			return nil, err
		}
		out := &List[KeyTag]{Total: -1}
		var more bool
		if out.Items, more = cut(rows.found, p.Limit); more {
			last := out.Items[len(out.Items)-1]
			out.Next = s.encodeCursor(list, cursor{mark: store.Mark{Time: last.Key.CreatedAt, Name: last.Name, ID: last.Key.ID}})
		}
		return out, nil
	})
}

// list names what a cursor belongs to.
func (f TagFilter) list(tenant keys.ID, region keys.Region, of []*Key) string {
	parts := []string{"tags", tenant.String(), string(region), fmt.Sprint(f.HideDeleted)}
	for _, k := range of {
		parts = append(parts, k.ID.String())
	}
	for _, name := range slices.Sorted(maps.Keys(f.With)) {
		value := "any"
		if v := f.With[name]; v != nil {
			value = fmt.Sprintf("%q", *v)
		}
		parts = append(parts, fmt.Sprintf("%q=%s", name, value))
	}
	return listName(parts...)
}

// namedKeys finds the keys that a filter names, each once, in the order of the list.
func (m *mutation) namedKeys(refs []KeyRef) ([]*Key, error) {
	var out []*Key
	for _, ref := range refs {
		at, _, err := m.locate(ref, keys.ReadKey)
		if err != nil {
			return nil, err
		}
		out = append(out, viewKey(at.key, at.vault, m.now))
	}
	slices.SortFunc(out, func(a, b *Key) int { return compareMarks(keyMark(a), keyMark(b)) })
	return slices.CompactFunc(out, func(a, b *Key) bool { return a.ID == b.ID }), nil
}

func keyMark(k *Key) store.Mark { return store.Mark{Time: k.CreatedAt, ID: k.ID} }

func compareMarks(a, b store.Mark) int {
	return cmp.Or(a.Time.Compare(b.Time), strings.Compare(string(a.ID[:]), string(b.ID[:])))
}

// scanTags reads keys until the page is full.
func (m *mutation) scanTags(f TagFilter, rows *tagRows) error {
	tenant := callerTenant(m.c)
	if err := m.may(keys.ListKeys, identity.Resource{Tenant: tenant}); err != nil {
		return err
	}
	q := store.KeyQuery{Tenant: tenant, Region: m.c.Region, HideDeleted: f.HideDeleted, Page: store.Page{Sort: store.ByCreation, Limit: tagScan}}
	if rows.after != nil { // the key that the page before ended with may have more
		q.Page.After = &store.Mark{Time: rows.after.Time}
	}
	shown := KeyFilter{HideDeleted: f.HideDeleted, Match: func(k *Key) bool { return f.Accept == nil || f.Accept(&k.Key) }}
	for {
		read, err := m.tx.Keys(q)
		if err != nil {
			return err
		}
		views, err := m.viewKeys(read, shown)
		if err != nil {
			return err
		}
		if rows.add(views) || len(read) < tagScan {
			return nil
		}
		last := read[len(read)-1]
		q.Page.After = &store.Mark{Time: last.CreatedAt, ID: last.ID}
	}
}

// tagRows collects a page of tags, and one more.
type tagRows struct {
	with  map[string]*string
	after *store.Mark // the tag that the page before ended with
	limit int         // 0: none
	found []KeyTag
}

// add adds the tags of keys, which come in the order of the list, and reports whether the page is full.
func (r *tagRows) add(of []*Key) (full bool) {
	for _, k := range of {
		place := 1
		if r.after != nil {
			place = compareMarks(keyMark(k), *r.after)
		}
		if place < 0 || !hasTags(k, r.with) {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(k.Tags.Plain)) {
			if place == 0 && name <= r.after.Name {
				continue
			}
			if r.found = append(r.found, KeyTag{k, name, k.Tags.Plain[name]}); r.limit > 0 && len(r.found) > r.limit {
				return true
			}
		}
	}
	return false
}

// hasTags reports whether a key has all the tags that are asked for.
func hasTags(k *Key, with map[string]*string) bool {
	for name, want := range with {
		if value, ok := k.Tags.Plain[name]; !ok || (want != nil && *want != value) {
			return false
		}
	}
	return true
}
