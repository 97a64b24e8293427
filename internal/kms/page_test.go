// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
)

// pages reads a list to its end, n at a time.
func pages[T any](t testing.TB, w *kmstest.World, p kms.Page, list func(*kms.Call, kms.Page) (*kms.List[T], error)) (all []T, count int) {
	t.Helper()
	for {
		var got *kms.List[T]
		must(t, w, func(c *kms.Call) (err error) {
			got, err = list(c, p)
			return err
		})
		all = append(all, got.Items...)
		if count++; count > 100 {
			t.Fatal("the list does not end")
		}
		if got.Next == "" {
			return all, count
		}
		p.Cursor = got.Next
	}
}

// TestPagesAreTheWholeList reads lists of keys, versions and vaults in pages of every size, in
// both orders and directions.
func TestPagesAreTheWholeList(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	const n = 7
	var byAge []string
	for i := range n {
		req := wish(keys.AES128)
		req.Name = string(rune('a' + (i*3)%n))
		byAge = append(byAge, newKey(t, w, req).ID.String())
		newVault(t, w, "v"+string(rune('a'+(i*3)%n)))
		w.Clock.Add(time.Second)
	}
	k := newAES(t, w)
	for range n - 1 {
		rotate(t, w, k.ID)
	}
	for size := 1; size <= n+1; size++ {
		for _, desc := range []bool{false, true} {
			p := kms.Page{Limit: size, Desc: desc}
			got, _ := pages(t, w, p, func(c *kms.Call, p kms.Page) (*kms.List[*kms.Key], error) {
				return w.Keys(t.Context(), c, kms.KeyFilter{Specs: []keys.Spec{keys.AES128}}, p)
			})
			var ids []string
			for _, k := range got {
				ids = append(ids, k.ID.String())
			}
			wanted := slices.Clone(byAge)
			if desc {
				slices.Reverse(wanted)
			}
			if diff := cmp.Diff(wanted, ids); diff != "" {
				t.Errorf("keys by age, pages of %d: -want +got:\n%s", size, diff)
			}
			p.ByName = true
			got, _ = pages(t, w, p, func(c *kms.Call, p kms.Page) (*kms.List[*kms.Key], error) {
				return w.Keys(t.Context(), c, kms.KeyFilter{Specs: []keys.Spec{keys.AES128}}, p)
			})
			names := ""
			for _, k := range got {
				names += k.Name
			}
			if want := map[bool]string{false: "abcdefg", true: "gfedcba"}[desc]; names != want {
				t.Errorf("keys by name, pages of %d: %s, want %s", size, names, want)
			}
			vaults, _ := pages(t, w, p, func(c *kms.Call, p kms.Page) (*kms.List[*kms.Vault], error) {
				return w.Vaults(t.Context(), c, "", p)
			})
			if len(vaults) != n+1 {
				t.Errorf("vaults, pages of %d: %d of %d", size, len(vaults), n+1)
			}
			versions, _ := pages(t, w, kms.Page{Limit: size, Desc: desc}, func(c *kms.Call, p kms.Page) (*kms.List[*kms.Version], error) {
				return w.Versions(t.Context(), c, kms.KeyRef{ID: k.ID}, p, false)
			})
			ordinals := ""
			for _, v := range versions {
				ordinals += strconv.Itoa(v.Ordinal)
			}
			if want := map[bool]string{false: "1234567", true: "7654321"}[desc]; ordinals != want {
				t.Errorf("versions, pages of %d: %s, want %s", size, ordinals, want)
			}
		}
	}
}

// TestAListGoesOnBehindWhatIsDue hides keys that are due and not swept on a page: the page gets
// shorter, the list does not.
func TestAListGoesOnBehindWhatIsDue(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	const n = 9
	var ids []keys.ID
	for range n {
		ids = append(ids, newAES(t, w).ID)
		w.Clock.Add(time.Second)
	}
	for _, i := range []int{0, 1, 2, 4} {
		scheduleKey(t, w, ids[i], 10)
	}
	w.Clock.Add(11 * keys.Day)
	for size := 1; size <= n; size++ {
		got, _ := pages(t, w, kms.Page{Limit: size}, func(c *kms.Call, p kms.Page) (*kms.List[*kms.Key], error) {
			return w.Keys(t.Context(), c, kms.KeyFilter{HideDeleted: true}, p)
		})
		if len(got) != n-4 {
			t.Errorf("pages of %d: %d keys, want %d", size, len(got), n-4)
		}
	}
}

// TestNumberedPagesAndTotals reads pages by their offset, as a dialect that numbers them does,
// with a filter of its own and without.
func TestNumberedPagesAndTotals(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	for i := range 6 {
		newKey(t, w, wish([]keys.Spec{keys.AES128, keys.AES256}[i%2]))
		w.Clock.Add(time.Second)
	}
	for _, f := range []kms.KeyFilter{
		{HideDeleted: true, Specs: []keys.Spec{keys.AES128}},
		{HideDeleted: true, Match: func(k *kms.Key) bool { return k.Spec == keys.AES128 }},
	} {
		for _, tt := range []struct{ limit, offset, want int }{{2, 0, 2}, {2, 2, 1}, {2, 4, 0}, {2, 100, 0}, {0, 0, 3}, {10, 1, 2}} {
			must(t, w, func(c *kms.Call) error {
				list, err := w.Keys(t.Context(), c, f, kms.Page{Limit: tt.limit, Offset: tt.offset})
				if err == nil && (len(list.Items) != tt.want || list.Total != 3) {
					t.Errorf("%d from %d on: %d keys of %d", tt.limit, tt.offset, len(list.Items), list.Total)
				}
				return err
			})
		}
	}
	k := newAES(t, w)
	for range 3 {
		rotate(t, w, k.ID)
	}
	scheduleVersion(t, w, k.ID, k.Primary, 7)
	advance(t, w, 7*keys.Day)
	must(t, w, func(c *kms.Call) error {
		all, err := w.Versions(t.Context(), c, kms.KeyRef{ID: k.ID}, kms.Page{}, false)
		if err != nil {
			return err
		}
		live, err := w.Versions(t.Context(), c, kms.KeyRef{ID: k.ID}, kms.Page{Limit: 2, Offset: 1}, true)
		if err == nil && (all.Total != 4 || len(all.Items) != 4 || live.Total != 3 || len(live.Items) != 2 || live.Items[0].Ordinal != 3) {
			t.Errorf("%d of %d versions, %d of %d live ones", len(all.Items), all.Total, len(live.Items), live.Total)
		}
		return err
	})
}

// TestACursorIsOfItsListOnly gives cursors to other lists, other orders and other tenants.
func TestACursorIsOfItsListOnly(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	for range 3 {
		newAES(t, w)
	}
	var cursor string
	list := func(c *kms.Call, f kms.KeyFilter, p kms.Page) error {
		p.Limit = 1
		got, err := w.Keys(t.Context(), c, f, p)
		if err == nil {
			cursor = got.Next
		}
		return err
	}
	must(t, w, func(c *kms.Call) error { return list(c, kms.KeyFilter{}, kms.Page{}) })
	first := cursor
	if first == "" {
		t.Fatal("no cursor")
	}
	for what, call := range map[string]func(*kms.Call) error{
		"another order":     func(c *kms.Call) error { return list(c, kms.KeyFilter{}, kms.Page{Cursor: first, ByName: true}) },
		"another direction": func(c *kms.Call) error { return list(c, kms.KeyFilter{}, kms.Page{Cursor: first, Desc: true}) },
		"another filter": func(c *kms.Call) error {
			return list(c, kms.KeyFilter{Specs: []keys.Spec{keys.AES256}}, kms.Page{Cursor: first})
		},
		"another list": func(c *kms.Call) error {
			return second(w.Vaults(t.Context(), c, "", kms.Page{Limit: 1, Cursor: first}))
		},
		"a changed one": func(c *kms.Call) error {
			return list(c, kms.KeyFilter{}, kms.Page{Cursor: first[:30] + "A" + first[31:]})
		},
		"one cut off": func(c *kms.Call) error { return list(c, kms.KeyFilter{}, kms.Page{Cursor: first[:len(first)-4]}) },
		"noise":       func(c *kms.Call) error { return list(c, kms.KeyFilter{}, kms.Page{Cursor: "noise"}) },
	} {
		want(t, what, as(t, w, w.Tenant, call), keys.KindInvalid)
	}
	want(t, "another tenant", as(t, w, w.Other, func(c *kms.Call) error { return list(c, kms.KeyFilter{}, kms.Page{Cursor: first}) }), keys.KindInvalid)
	must(t, w, func(c *kms.Call) error { return list(c, kms.KeyFilter{}, kms.Page{Cursor: first}) })
}

func FuzzDecodeCursor(f *testing.F) {
	w := kmstest.New(f)
	mark := store.Mark{Time: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), Name: "name", ID: keys.ID{1, 2}}
	good := w.EncodeCursor("list", mark, 7)
	f.Add("list", good)
	f.Add("other", good)
	f.Add("list", good+"A")
	f.Add("list", "")
	f.Add("", strings.Repeat("A", 80))
	f.Fuzz(func(t *testing.T, list, text string) {
		got, ordinal, err := w.DecodeCursor(list, text)
		switch {
		case text == "":
			if err != nil || ordinal != 0 || got != (store.Mark{}) {
				t.Errorf("no cursor: %v, %d, %v", got, ordinal, err)
			}
		case list == "list" && text == good:
			if err != nil || ordinal != 7 || !cmp.Equal(mark, got) {
				t.Errorf("the cursor: %v, %d, %v", got, ordinal, err)
			}
		case !keys.IsKind(err, keys.KindInvalid):
			t.Errorf("a cursor of nobody's making is taken: %v, %d, %v", got, ordinal, err)
		}
	})
}

func FuzzReadClock(f *testing.F) {
	for _, s := range []string{"0 0", "-5 0", "86400000000 1767323045000000", "", "0", "a b", "1 2 3", "9223372036854775807 0", "0 -9223372036854775808"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out, err := kms.ReadClock(s)
		if err != nil {
			return
		}
		for i, part := range strings.Split(out, " ") {
			number, err := strconv.ParseInt(strings.Split(s, " ")[i], 10, 64)
			if err != nil || part != strconv.FormatInt(number, 10) {
				t.Errorf("%q is read as %q", s, out)
			}
		}
		if again, err := kms.ReadClock(out); err != nil || again != out {
			t.Errorf("%q is rendered as %q, which is read as %q, %v", s, out, again, err)
		}
	})
}
