// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// testChildren lists what belongs to one thing, and nothing of another.
func testChildren(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	mine, others := b.tenant, b.Tenant()
	put(t, s, others)
	p, stranger := b.Principal(mine), b.Principal(others)
	k, otherKey := b.Key(b.vault), b.Key(b.vault)
	put(t, s, p, stranger, k, otherKey)
	late := b.Time()
	var want struct {
		compartments []*keys.Compartment
		grants       []*keys.Grant
	}
	for range 3 { // of equal times, so that the id decides
		c, g := b.Compartment(mine), b.Grant(k, others)
		c.CreatedAt, g.CreatedAt = late, late
		put(t, s, g, c, b.Compartment(others), b.Grant(otherKey, others), b.Binding(p), b.Binding(stranger), b.Credential(stranger))
		want.compartments, want.grants = append(want.compartments, c), append(want.grants, g)
	}
	slices.SortFunc(want.compartments, func(x, y *keys.Compartment) int { return slices.Compare(x.ID[:], y.ID[:]) })
	slices.SortFunc(want.grants, func(x, y *keys.Grant) int { return slices.Compare(x.ID[:], y.ID[:]) })
	names := []*store.ExternalID{
		{Dialect: "alibaba", Type: keys.TypeKey, Tenant: mine.ID, Region: home, Name: "key-a", ID: k.ID},
		{Dialect: "oci", Type: keys.TypeKey, Name: "ocid1.old", ID: k.ID},
	}
	put(t, s, names[1], names[0], &store.ExternalID{Dialect: "oci", Type: keys.TypeKey, Name: "ocid1.other", ID: otherKey.ID})
	view(t, s, func(tx store.Tx) error {
		compartments, err := tx.Compartments(mine.ID)
		if diff := gocmp.Diff(want.compartments, compartments); err != nil || diff != "" {
			t.Errorf("compartments: %v\n%s", err, diff)
		}
		grants, err := tx.Grants(k.ID)
		if diff := gocmp.Diff(want.grants, grants); err != nil || diff != "" {
			t.Errorf("grants: %v\n%s", err, diff)
		}
		external, err := tx.ExternalIDs(k.ID)
		if diff := gocmp.Diff(names, external); err != nil || diff != "" {
			t.Errorf("external ids: %v\n%s", err, diff)
		}
		tenants, err := tx.Tenants()
		if err != nil || len(tenants) != 2 || tenants[0].ID != mine.ID || tenants[1].ID != others.ID {
			t.Errorf("tenants: %v, %v", tenants, err)
		}
		principals, err := tx.Principals(mine.ID)
		if err != nil || len(principals) != 1 || principals[0].ID != p.ID {
			t.Errorf("principals: %v, %v", principals, err)
		}
		bindings, err := tx.Bindings(p.ID)
		if err != nil || len(bindings) != 3 || !slices.IsSortedFunc(bindings, byCreation) {
			t.Errorf("bindings: %v, %v", bindings, err)
		}
		credentials, err := tx.Credentials(mine.ID)
		if err != nil || len(credentials) != 0 {
			t.Errorf("credentials: %v, %v", credentials, err)
		}
		return nil
	})
}

func byCreation(x, y *identity.Binding) int { return x.CreatedAt.Compare(y.CreatedAt) }

// keyZoo stores keys in two vaults with equal names and times among them.
func keyZoo(t *testing.T, s store.Store, b *basis) []*keys.Key {
	t.Helper()
	second := b.Vault(b.tenant)
	second.Region = away
	put(t, s, second)
	at, compartment := b.Time(), b.ID()
	var out []*keys.Key
	for i := range 60 {
		v := b.vault
		if i%3 == 0 {
			v = second
		}
		k := b.Key(v)
		k.Name, k.CreatedAt = fmt.Sprintf("name %02d", i*7%20), at.Add(keys.Day*time.Duration(i*5%12))
		k.Spec = []keys.Spec{keys.RSA2048, keys.AES256, keys.ECP256}[i%3]
		if i%4 == 0 {
			k.Compartment = compartment
		}
		if i%5 == 0 {
			k.Protection = keys.HSM
		}
		k.DeletionProtected = i%7 == 0
		if i%6 == 0 {
			k.State, k.DeleteAt = keys.Deleted, at
		}
		out = append(out, k)
		put(t, s, k)
	}
	return out
}

// markOf is a record's place in the lists.
func markOf(rec any) store.Mark {
	switch r := rec.(type) {
	case *keys.Vault:
		return store.Mark{Time: r.CreatedAt, Name: r.Name, ID: r.ID}
	case *keys.Key:
		return store.Mark{Time: r.CreatedAt, Name: r.Name, ID: r.ID}
	}
	panic(fmt.Sprintf("%T is not listed by pages", rec))
}

// ordered sorts a copy as a page would.
func ordered[T any](all []*T, p store.Page) []*T {
	out := slices.Clone(all)
	slices.SortFunc(out, func(x, y *T) int {
		a, b := markOf(x), markOf(y)
		c := a.Time.Compare(b.Time)
		if p.Sort == store.ByName {
			c = cmp.Compare(a.Name, b.Name)
		}
		c = cmp.Or(c, slices.Compare(a.ID[:], b.ID[:]))
		if p.Desc {
			return -c
		}
		return c
	})
	return out
}

// testPages walks lists in each order and direction, by mark and by offset, with pages that
// do and do not divide the list evenly.
func testPages(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	all := keyZoo(t, s, b)
	vaults := []*keys.Vault{}
	for i := range 12 {
		v := b.Vault(b.tenant)
		v.Name, v.CreatedAt = fmt.Sprintf("vault %d", i*5%4), epoch.Add(keys.Day*time.Duration(i*7%5))
		vaults = append(vaults, v)
		put(t, s, v)
	}
	vaults = append(vaults, b.vault)
	for _, page := range []store.Page{
		{}, {Desc: true}, {Sort: store.ByCreation}, {Sort: store.ByName}, {Sort: store.ByName, Desc: true},
	} {
		for _, limit := range []int{3, 7, 61} {
			page.Limit = limit
			walk(t, s, page, ordered(all, page), func(tx store.Tx, p store.Page) ([]*keys.Key, error) {
				return tx.Keys(store.KeyQuery{Tenant: b.tenant.ID, Page: p})
			})
			walk(t, s, page, ordered(vaults, page), func(tx store.Tx, p store.Page) ([]*keys.Vault, error) {
				return tx.Vaults(store.VaultQuery{Tenant: b.tenant.ID, Region: home, Page: p})
			})
		}
	}
}

func walk[T any](t *testing.T, s store.Store, page store.Page, want []*T, list func(store.Tx, store.Page) ([]*T, error)) {
	t.Helper()
	for _, byOffset := range []bool{false, true} {
		var got []*T
		p := page
		for pages := 0; ; pages++ {
			rows := read(t, s, func(tx store.Tx) ([]*T, error) { return list(tx, p) })
			if len(rows) == 0 {
				break
			}
			if len(rows) > page.Limit || pages > len(want) {
				t.Fatalf("%+v: page %d has %d rows", p, pages, len(rows))
			}
			got = append(got, rows...)
			if byOffset {
				p.Offset += page.Limit
			} else {
				mark := markOf(rows[len(rows)-1])
				p.After = &mark
			}
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("%+v, by offset %t (-want +got):\n%s", page, byOffset, diff)
		}
	}
}

func testFilters(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	all := keyZoo(t, s, b)
	second := all[0].Vault
	for _, c := range []struct {
		q    store.KeyQuery
		pick func(*keys.Key) bool
	}{
		{store.KeyQuery{}, func(*keys.Key) bool { return true }},
		{store.KeyQuery{Tenant: b.ID()}, func(*keys.Key) bool { return false }},
		{store.KeyQuery{Tenant: b.tenant.ID, Region: away}, func(k *keys.Key) bool { return k.Region == away }},
		{store.KeyQuery{Vault: second}, func(k *keys.Key) bool { return k.Vault == second }},
		{store.KeyQuery{Vault: b.vault.ID, Compartment: all[0].Compartment}, func(k *keys.Key) bool {
			return k.Vault == b.vault.ID && k.Compartment == all[0].Compartment
		}},
		{store.KeyQuery{Specs: []keys.Spec{keys.AES256}}, func(k *keys.Key) bool { return k.Spec == keys.AES256 }},
		{store.KeyQuery{Region: home, Specs: []keys.Spec{keys.ECP256, keys.AES256, keys.SM2}}, func(k *keys.Key) bool {
			return k.Region == home && k.Spec != keys.RSA2048
		}},
		{store.KeyQuery{Protection: keys.HSM}, func(k *keys.Key) bool { return k.Protection == keys.HSM }},
		{store.KeyQuery{Vault: second, Protected: true}, func(k *keys.Key) bool { return k.Vault == second && k.DeletionProtected }},
		{store.KeyQuery{HideDeleted: true}, func(k *keys.Key) bool { return k.State != keys.Deleted }},
		{store.KeyQuery{Vault: second, Specs: []keys.Spec{keys.RSA2048}, Protection: keys.Software, HideDeleted: true}, func(k *keys.Key) bool {
			return k.Vault == second && k.Protection == keys.Software && k.State != keys.Deleted
		}},
	} {
		var want []*keys.Key
		for _, k := range all {
			if c.pick(k) {
				want = append(want, k)
			}
		}
		c.q.Page = store.Page{Sort: store.ByName, Limit: 4}
		walk(t, s, c.q.Page, ordered(want, c.q.Page), func(tx store.Tx, p store.Page) ([]*keys.Key, error) {
			q := c.q
			q.Page = p
			return tx.Keys(q)
		})
	}
	gone := b.Vault(b.tenant)
	gone.State, gone.DeleteAt, gone.Compartment = keys.Deleted, b.Time(), b.ID()
	chosen := b.Vault(b.tenant)
	chosen.Default = true
	put(t, s, gone, chosen)
	for want, q := range map[*keys.Vault]store.VaultQuery{
		gone:   {Compartment: gone.Compartment},
		chosen: {Tenant: b.tenant.ID, OnlyDefault: true},
	} {
		got := read(t, s, func(tx store.Tx) ([]*keys.Vault, error) { return tx.Vaults(q) })
		if diff := gocmp.Diff([]*keys.Vault{want}, got); diff != "" {
			t.Errorf("vaults %+v (-want +got):\n%s", q, diff)
		}
		q.HideDeleted = true
		got = read(t, s, func(tx store.Tx) ([]*keys.Vault, error) { return tx.Vaults(q) })
		if visible := want.State != keys.Deleted; visible != (len(got) == 1) {
			t.Errorf("vaults %+v: %d", q, len(got))
		}
	}
}

func testBadPages(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	for what, call := range map[string]func(store.Tx) error{
		"order": func(tx store.Tx) error { _, err := tx.Keys(store.KeyQuery{Page: store.Page{Sort: "x"}}); return err },
		"limit": func(tx store.Tx) error {
			_, err := tx.Vaults(store.VaultQuery{Page: store.Page{Limit: -1}})
			return err
		},
		"offset":         func(tx store.Tx) error { _, err := tx.Keys(store.KeyQuery{Page: store.Page{Offset: -1}}); return err },
		"version offset": func(tx store.Tx) error { _, err := tx.Versions(store.VersionQuery{Offset: -1}); return err },
		"ordinal":        func(tx store.Tx) error { _, err := tx.Versions(store.VersionQuery{AfterOrdinal: -1}); return err },
		"alias limit":    func(tx store.Tx) error { _, err := tx.Aliases(store.AliasQuery{Limit: -1}); return err },
		"order of work": func(tx store.Tx) error {
			_, err := tx.WorkRequests(store.WorkQuery{Page: store.Page{Sort: store.ByName}})
			return err
		},
		"due limit":    func(tx store.Tx) error { _, err := tx.Due(b.Time(), -1); return err },
		"change limit": func(tx store.Tx) error { _, err := tx.Changes(0, -1); return err },
		"event limit":  func(tx store.Tx) error { _, err := tx.Events(0, -1); return err },
		"counter": func(tx store.Tx) error {
			_, err := tx.Count(store.Counter{Type: keys.TypeVersion, Key: b.ID()})
			return err
		},
	} {
		view(t, s, func(tx store.Tx) error {
			if err := call(tx); err == nil {
				t.Errorf("a bad %s is accepted", what)
			}
			return nil
		})
	}
}

func testAliases(t *testing.T, open func(testing.TB) store.Store) {
	s, b := fixture(t, open)
	k, other := b.Key(b.vault), b.Key(b.vault)
	put(t, s, k, other)
	at := b.Time()
	var want []*keys.Alias
	for i := range 10 {
		a := b.Alias(k)
		a.Name, a.CreatedAt = fmt.Sprintf("alias/%d", i*3%10), at.Add(keys.Day*time.Duration(i%3))
		want = append(want, a)
		put(t, s, a, b.Alias(other))
	}
	slices.SortFunc(want, func(x, y *keys.Alias) int {
		return cmp.Or(x.CreatedAt.Compare(y.CreatedAt), cmp.Compare(x.Name, y.Name))
	})
	for _, limit := range []int{0, 1, 4, 10, 20} {
		var got []*keys.Alias
		for offset := 0; offset <= len(want); offset += max(limit, 1) {
			q := store.AliasQuery{Key: k.ID, Offset: offset, Limit: limit}
			got = append(got, read(t, s, func(tx store.Tx) ([]*keys.Alias, error) { return tx.Aliases(q) })...)
			if limit == 0 {
				break
			}
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("aliases by %d (-want +got):\n%s", limit, diff)
		}
	}
	here := read(t, s, func(tx store.Tx) ([]*keys.Alias, error) {
		return tx.Aliases(store.AliasQuery{Tenant: b.tenant.ID, Region: home})
	})
	nowhere := read(t, s, func(tx store.Tx) ([]*keys.Alias, error) {
		return tx.Aliases(store.AliasQuery{Tenant: b.tenant.ID, Region: away})
	})
	if len(here) != 20 || len(nowhere) != 0 {
		t.Errorf("aliases at home: %d, away: %d; want 20 and 0", len(here), len(nowhere))
	}
}
