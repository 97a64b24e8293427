// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
)

func keyWithTags(t testing.TB, w *kmstest.World, plain map[string]string) *kms.Key {
	t.Helper()
	req := wish(keys.AES128)
	req.Tags.Plain = plain
	return newKey(t, w, req)
}

// tagsOf lists tags as "name=value", in pages of a size.
func tagsOf(t testing.TB, w *kmstest.World, f kms.TagFilter, size int) []string {
	t.Helper()
	var out []string
	p := kms.Page{Limit: size}
	for {
		var list *kms.List[kms.KeyTag]
		must(t, w, func(c *kms.Call) (err error) {
			list, err = w.Tags(t.Context(), c, f, p)
			return err
		})
		if size > 0 && (len(list.Items) > size || (list.Next != "" && len(list.Items) != size)) {
			t.Fatalf("a page of %d has %d tags, next %q", size, len(list.Items), list.Next)
		}
		for _, tag := range list.Items {
			out = append(out, tag.Name+"="+tag.Value)
		}
		if p.Cursor = list.Next; p.Cursor == "" {
			return out
		}
	}
}

// TestTagsInPages lists the tags of keys that were made at the same moment and at others, in
// pages of every size: each tag once, the older key's first.
func TestTagsInPages(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	var want []string
	var refs []kms.KeyRef
	for i := range 5 {
		if i != 2 {
			w.Clock.Add(1000)
		}
		plain := map[string]string{}
		for j := range i {
			plain[fmt.Sprintf("t%d-%d", i, j)] = fmt.Sprint(j)
		}
		k := keyWithTags(t, w, plain)
		refs = append(refs, kms.KeyRef{ID: k.ID})
		for _, name := range slices.Sorted(maps.Keys(plain)) {
			want = append(want, name+"="+plain[name])
		}
	}
	slices.Reverse(refs)
	inOrder := tagsOf(t, w, kms.TagFilter{}, 0)
	if diff := cmp.Diff(slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(inOrder))); diff != "" {
		t.Fatalf("-want +got\n%s", diff)
	}
	for size := range len(want) + 1 {
		for _, f := range []kms.TagFilter{{}, {Keys: append(refs, refs...)}} {
			if diff := cmp.Diff(inOrder, tagsOf(t, w, f, size)); diff != "" {
				t.Errorf("pages of %d of %d keys: -want +got\n%s", size, len(f.Keys), diff)
			}
		}
	}
}

// TestTagsOfManyKeys goes on over the bounds of what is read at once, past keys without tags
// and keys that the dialect does not show.
func TestTagsOfManyKeys(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	var want []string
	for i := range 230 {
		var plain map[string]string
		if i%2 == 0 {
			plain = map[string]string{fmt.Sprintf("n%03d", i): "x"}
		}
		k := keyWithTags(t, w, plain)
		if i%10 == 4 {
			scheduleKey(t, w, k.ID, 7)
			continue
		}
		for name := range plain {
			want = append(want, name+"=x")
		}
	}
	got := tagsOf(t, w, kms.TagFilter{Accept: func(k *keys.Key) bool { return k.State != keys.PendingDeletion }}, 50)
	slices.Sort(got) // the keys are of one moment
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestTagCursors changes what is listed between two pages, and offers a page's cursor to others.
func TestTagCursors(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	first := keyWithTags(t, w, map[string]string{"a": "1", "b": "2", "d": "4"})
	w.Clock.Add(1000)
	keyWithTags(t, w, map[string]string{"e": "5"})
	var list *kms.List[kms.KeyTag]
	must(t, w, func(c *kms.Call) (err error) {
		list, err = w.Tags(t.Context(), c, kms.TagFilter{}, kms.Page{Limit: 2})
		return err
	})
	must(t, w, func(c *kms.Call) error {
		return w.TagKeys(t.Context(), c, []kms.KeyRef{{ID: first.ID}}, kms.TagChange{Set: map[string]string{"c": "3"}, Remove: []string{"b"}})
	})
	next := kms.Page{Limit: 9, Cursor: list.Next}
	must(t, w, func(c *kms.Call) error {
		list, err := w.Tags(t.Context(), c, kms.TagFilter{}, next)
		if err == nil && (len(list.Items) != 3 || list.Items[0].Name != "c" || list.Items[2].Name != "e") {
			t.Errorf("after the change: %+v", list.Items)
		}
		return err
	})
	value := "1"
	for what, f := range map[string]kms.TagFilter{
		"keys":      {Keys: []kms.KeyRef{{ID: first.ID}}},
		"a tag":     {With: map[string]*string{"a": nil}},
		"a value":   {With: map[string]*string{"a": &value}},
		"the quick": {HideDeleted: true},
	} {
		err := as(t, w, w.Tenant, func(c *kms.Call) error { return second(w.Tags(t.Context(), c, f, next)) })
		want(t, "the cursor of another list, by "+what, err, keys.KindInvalid)
	}
	err := as(t, w, w.Other, func(c *kms.Call) error { return second(w.Tags(t.Context(), c, kms.TagFilter{}, next)) })
	want(t, "the cursor of another tenant", err, keys.KindInvalid)
}

// TestTagKeys changes several keys at once: all, each with its audit event, or none.
func TestTagKeys(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	a, b := keyWithTags(t, w, map[string]string{"old": "1"}), keyWithTags(t, w, nil)
	change := func(refs []kms.KeyRef, ch kms.TagChange) error {
		return as(t, w, w.Tenant, func(c *kms.Call) error { return w.TagKeys(t.Context(), c, refs, ch) })
	}
	both := []kms.KeyRef{{ID: a.ID}, {ID: b.ID}, {ID: a.ID}}
	want(t, "two keys", change(both, kms.TagChange{Set: map[string]string{"x": "1", "old": "2"}}), "")
	all := []string{"old=2", "x=1", "old=2", "x=1"}
	if diff := cmp.Diff(all, tagsOf(t, w, kms.TagFilter{}, 0)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	events := map[keys.ID]int{}
	err := w.Store.View(t.Context(), func(tx store.Tx) error {
		stored, err := tx.Events(0, 0)
		for _, e := range stored {
			if e.Event.Action == keys.TagKey && e.Event.Outcome == "ok" && e.Event.Revision != 0 {
				events[e.Event.Key]++
			}
		}
		return err
	})
	if diff := cmp.Diff(map[keys.ID]int{a.ID: 1, b.ID: 1}, events); err != nil || diff != "" {
		t.Errorf("events: %v, -want +got\n%s", err, diff)
	}
	set := map[string]string{"y": "1"}
	want(t, "one that is not there", change([]kms.KeyRef{{ID: a.ID}, {ID: keys.ID{9}}}, kms.TagChange{Set: set}), keys.KindNotFound)
	scheduleKey(t, w, b.ID, 10)
	want(t, "one that is pending", change(both, kms.TagChange{Set: set}), keys.KindState)
	if diff := cmp.Diff(all, tagsOf(t, w, kms.TagFilter{}, 0)); diff != "" {
		t.Errorf("after a refusal: -want +got\n%s", diff)
	}
	only := []kms.KeyRef{{ID: a.ID}}
	many := map[string]string{}
	for i := range kmstest.Profile.MaxTags {
		many[fmt.Sprint("n", i)] = ""
	}
	want(t, "too many", change(only, kms.TagChange{Set: many}), keys.KindInvalid)
	want(t, "as many as there may be", change(only, kms.TagChange{Set: many, Clear: true}), "")
	want(t, "one more", change(only, kms.TagChange{Set: set}), keys.KindInvalid)
	want(t, "one for one", change(only, kms.TagChange{Set: set, Remove: []string{"n1", "none"}}), "")
	want(t, "none", change(only, kms.TagChange{Clear: true}), "")
	if got := tagsOf(t, w, kms.TagFilter{Keys: only}, 0); got != nil {
		t.Errorf("cleared: %v", got)
	}
}
