// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"testing"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
)

// FuzzCursor asks for a page with any cursor: it is the one that was handed out, or refused.
func FuzzCursor(f *testing.F) {
	w := kmstest.New(f)
	newAES(f, w)
	newAES(f, w)
	page := func(t testing.TB, tenant kmstest.Tenant, cursor string, byName bool) (*kms.List[*kms.Key], error) {
		c := w.Call(t, tenant)
		defer c.End()
		return w.Keys(t.Context(), c, kms.KeyFilter{}, kms.Page{Limit: 1, Cursor: cursor, ByName: byName})
	}
	first, err := page(f, w.Tenant, "", false)
	if err != nil || first.Next == "" {
		f.Fatalf("the first page: %+v, %v", first, err)
	}
	second, err := page(f, w.Tenant, first.Next, false)
	if err != nil || len(second.Items) != 1 || second.Items[0].ID == first.Items[0].ID {
		f.Fatalf("the second page: %+v, %v", second, err)
	}
	// Neither another list nor another tenant takes it.
	_, err = page(f, w.Tenant, first.Next, true)
	want(f, "in another order", err, keys.KindInvalid)
	_, err = page(f, w.Other, first.Next, false)
	want(f, "of another tenant", err, keys.KindInvalid)

	f.Add(first.Next)
	f.Add(first.Next + "AAAA")
	f.Add(first.Next[:len(first.Next)-4])
	f.Add("AAAA")
	f.Add("=")
	f.Fuzz(func(t *testing.T, cursor string) {
		if cursor == "" {
			return
		}
		got, err := page(t, w.Tenant, cursor, false)
		if err != nil {
			want(t, "a made-up cursor", err, keys.KindInvalid)
			return
		}
		if len(got.Items) != 1 || got.Items[0].ID != second.Items[0].ID {
			t.Errorf("%q leads to %+v", cursor, got.Items)
		}
	})
}
