// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/dialect/admin"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	var made []string
	for _, name := range []string{"a", "b", "c"} {
		r.Clock.Add(time.Second)
		made = append(made, r.newKey(t, r.Tenant, name, keys.AES256).ID.String())
	}
	r.Clock.Add(time.Second)
	foreign := r.newKey(t, r.Other, "theirs", keys.ECP384).ID.String()
	list := func(tenant, vault string) (ids []string) {
		t.Helper()
		all, err := r.client.Keys(ctx, tenant, vault)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range all {
			ids = append(ids, k.ID)
		}
		return ids
	}
	for _, test := range []struct {
		tenant, vault string
		want          []string
	}{
		{"", "", append(made[:3:3], foreign)},
		{"acme", "", made},
		{"rival", "", []string{foreign}},
		{"", r.Tenant.Vault.String(), made},
		{r.Other.Names["alibaba"], "one:vault:" + r.Other.Vault.String(), []string{foreign}},
		{"rival", r.Tenant.Vault.String(), nil},
	} {
		if diff := cmp.Diff(test.want, list(test.tenant, test.vault)); diff != "" {
			t.Errorf("keys of tenant %q, vault %q (-want +got):\n%s", test.tenant, test.vault, diff)
		}
	}
	// Page by page.
	var page admin.List[admin.Key]
	var ids []string
	for cursor := ""; ; cursor = page.Next {
		page = admin.List[admin.Key]{}
		if err := r.client.Do(ctx, http.MethodGet, "/keys?limit=3&cursor="+cursor, nil, &page); err != nil {
			t.Fatal(err)
		}
		for _, k := range page.Items {
			ids = append(ids, k.ID)
		}
		if page.Next == "" {
			break
		}
	}
	if diff := cmp.Diff(append(made[:3:3], foreign), ids); diff != "" {
		t.Errorf("keys page by page (-want +got):\n%s", diff)
	}
}

// TestKeyNames asks for one key in every form of its name, and by names that only look like it.
func TestKeyNames(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	k := r.newKey(t, r.Tenant, "orders", keys.ECP256)
	hidden := r.newKey(t, r.Other, "hidden", keys.ECP384)
	c := r.System("test")
	c.Region = kmstest.Region
	for _, err := range []error{
		r.CreateAlias(ctx, c, "alias/orders", kms.KeyRef{ID: k.ID}),
		r.CreateAlias(ctx, c, "alias/both", kms.KeyRef{ID: k.ID}),
		r.CreateAlias(ctx, c, "alias/both", kms.KeyRef{ID: hidden.ID}),
		r.AddExternalID(ctx, c, store.ExternalID{
			Dialect: "one", Type: keys.TypeKey, Tenant: r.Tenant.ID, Region: kmstest.Region, Name: "key-carried/over", ID: k.ID,
		}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	id := k.ID.String()
	for _, name := range []string{
		id, "one:home:" + id, "alias/orders", "one:acme:alias/orders", "one:acme:alias/both", "key-carried/over",
	} {
		got, err := r.client.Key(ctx, name, "")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.ID != id || got.Names["one"] != "one:home:"+id || got.Name != "orders" || got.Spec != "EC_P256" || got.State != "ENABLED" ||
			got.Usage != "sign" || len(got.Versions) != 1 || got.Tenant != r.Tenant.ID.String() {
			t.Errorf("%s is %+v", name, got)
		}
		v := got.Versions[0]
		if !v.Primary || v.Ordinal != 1 || v.ID != got.Primary || v.Names["one"] != "one:"+v.ID || !strings.HasPrefix(v.PublicKey, "-----BEGIN PUBLIC KEY") {
			t.Errorf("the version of %s is %+v", name, v)
		}
		if diff := cmp.Diff([]string{"alias/both", "alias/orders"}, got.Aliases); diff != "" {
			t.Errorf("aliases of %s (-want +got):\n%s", name, diff)
		}
	}
	got, err := r.client.Key(ctx, "alias/both", "rival")
	if err != nil || got.ID != hidden.ID.String() || len(got.Names) != 0 {
		t.Errorf("the other tenant's key is %+v, %v; no cloud shows it", got, err)
	}
	for tenant, want := range map[string][]string{
		"": {"alias/both", "alias/both", "alias/orders"}, "acme": {"alias/both", "alias/orders"}, "rival": {"alias/both"},
	} {
		all, err := r.client.Aliases(ctx, tenant)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, alias := range all {
			names = append(names, alias.Name)
			if owner := map[string]string{r.Tenant.ID.String(): id, r.Other.ID.String(): hidden.ID.String()}[alias.Tenant]; alias.Key != owner {
				t.Errorf("alias %+v is not of %s", alias, owner)
			}
		}
		slices.Sort(names)
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("aliases of %q (-want +got):\n%s", tenant, diff)
		}
	}
	_, err = r.client.Key(ctx, "alias/both", "")
	want(t, "an alias of two tenants", err, 400, "invalid")
	for _, name := range []string{
		"one:elsewhere:" + id, "one:rival:alias/orders", "alias/none", "one:vault:" + r.Tenant.Vault.String(), "one:home:" + hidden.ID.String(),
		r.Tenant.Vault.String(), "key-nobody", strings.ToUpper(id),
	} {
		_, err := r.client.Key(ctx, name, "")
		want(t, name, err, 404, "not-found")
	}
}
