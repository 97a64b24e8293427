// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"time"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// farFuture is later than anything is scheduled, and still a time that stores can keep.
var farFuture = time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)

func (c *checker) tenants() error {
	tenants, err := c.tx.Tenants()
	if err != nil {
		return err
	}
	for _, t := range tenants {
		if err := c.record(change{keys.TypeTenant, t.ID, ""}, t.Revision); err != nil {
			return err
		}
		for _, step := range []func(*keys.Tenant) error{c.compartments, c.replicas, c.vaults, c.principals, c.aliases, c.work} {
			if err := step(t); err != nil {
				return err
			}
		}
		if err := c.counted(t.ID); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) compartments(t *keys.Tenant) error {
	rows, err := c.tx.Compartments(t.ID)
	if err != nil {
		return err
	}
	known := map[keys.ID]bool{t.ID: true}
	for _, r := range rows {
		known[r.ID] = true
	}
	for _, r := range rows {
		if r.ID != t.ID { // the root, where it is stored, shares its tenant's id
			if err := c.record(change{keys.TypeCompartment, r.ID, ""}, r.Revision); err != nil {
				return err
			}
		}
		if err := c.expect(r.Parent.IsZero() || known[r.Parent],
			"compartment %s lies in %s, which is not of its tenant", r.ID, r.Parent); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) principals(t *keys.Tenant) error {
	rows, err := c.tx.Principals(t.ID)
	if err != nil {
		return err
	}
	known := map[keys.ID]bool{}
	for _, p := range rows {
		known[p.ID] = true
		if err := c.record(change{keys.TypePrincipal, p.ID, ""}, p.Revision); err != nil {
			return err
		}
		if err := c.bindings(p); err != nil {
			return err
		}
	}
	credentials, err := c.tx.Credentials(t.ID)
	if err != nil {
		return err
	}
	for _, r := range credentials {
		if err := c.record(change{keys.TypeCredential, r.ID, r.Name}, r.Revision); err != nil {
			return err
		}
		if err := c.expect(known[r.Principal], "credential %s is of principal %s, who is not of its tenant", r.ID, r.Principal); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) bindings(p *identity.Principal) error {
	rows, err := c.tx.Bindings(p.ID)
	if err != nil {
		return err
	}
	for _, b := range rows {
		if err := c.record(change{keys.TypeBinding, b.ID, ""}, b.Revision); err != nil {
			return err
		}
		if err := c.expect(b.Tenant == p.Tenant, "binding %s is of another tenant than its principal", b.ID); err != nil {
			return err
		}
	}
	return nil
}

// erasable checks what vaults, keys and versions have in common.
func (c *checker) erasable(ref change, revision int64, state keys.State, deleteAt time.Time, kind store.DueKind) error {
	if err := c.record(ref, revision); err != nil {
		return err
	}
	switch {
	case state == keys.PendingDeletion:
		c.due[store.Due{At: deleteAt, Kind: kind, ID: ref.id, Revision: revision}] = true
	case state == keys.Restoring && kind == store.EraseVault:
		c.due[store.Due{At: deleteAt, Kind: store.DropVault, ID: ref.id, Revision: revision}] = true
	case state == keys.Restoring && kind == store.EraseKey:
		c.due[store.Due{At: deleteAt, Kind: store.DropKey, ID: ref.id, Revision: revision}] = true
	}
	timed := state == keys.PendingDeletion || state == keys.Deleted || state == keys.Restoring
	return c.expect(!timed || !deleteAt.IsZero(), "%s is %s at no time", ref, state)
}

func (c *checker) vaults(t *keys.Tenant) error {
	defaults := map[keys.Region]keys.ID{}
	var after *store.Mark
	for {
		rows, err := c.tx.Vaults(store.VaultQuery{Tenant: t.ID, Page: store.Page{After: after, Limit: checkPage}})
		if err != nil {
			return err
		}
		for _, v := range rows {
			if err := c.vault(v); err != nil {
				return err
			}
			if v.Default && v.State != keys.Deleted {
				if err := c.expect(defaults[v.Region].IsZero(), "tenant %s has two default vaults in %s", t.ID, v.Region); err != nil {
					return err
				}
				defaults[v.Region] = v.ID
			}
			after = &store.Mark{Time: v.CreatedAt, ID: v.ID}
		}
		if len(rows) < checkPage {
			return nil
		}
	}
}

func (c *checker) vault(v *keys.Vault) error {
	ref := change{keys.TypeVault, v.ID, ""}
	if err := c.expect(v.Region != "", "%s is in no region", ref); err != nil {
		return err
	}
	if err := c.erasable(ref, v.Revision, v.State, v.DeleteAt, store.EraseVault); err != nil {
		return err
	}
	if err := c.expect(v.Replica.IsZero() || v.State == keys.Deleted || c.replicated[v.Replica] == v.ID,
		"%s names the replica %s, which is not its own", ref, v.Replica); err != nil {
		return err
	}
	if v.State == keys.Deleted {
		if err := c.expect(v.Tags.Plain == nil && v.Tags.Namespaced == nil, "%s is deleted and has tags", ref); err != nil {
			return err
		}
	} else {
		c.count(total{keys.TypeVault, v.Tenant, v.Region, ""})
	}
	var after *store.Mark
	for {
		rows, err := c.tx.Keys(store.KeyQuery{Vault: v.ID, WithHidden: true, Page: store.Page{After: after, Limit: checkPage}})
		if err != nil {
			return err
		}
		for _, k := range rows {
			if err := c.key(v, k); err != nil {
				return err
			}
			after = &store.Mark{Time: k.CreatedAt, ID: k.ID}
		}
		if len(rows) < checkPage {
			return c.countedIn(v.ID)
		}
	}
}

func (c *checker) key(v *keys.Vault, k *keys.Key) error {
	ref := change{keys.TypeKey, k.ID, ""}
	if err := c.erasable(ref, k.Revision, k.State, k.DeleteAt, store.EraseKey); err != nil {
		return err
	}
	if k.State == keys.Deleted {
		if err := c.expect(k.Tags.Plain == nil && k.Tags.Namespaced == nil, "%s is deleted and has tags", ref); err != nil {
			return err
		}
	} else if !k.Hidden {
		c.count(total{keys.TypeKey, k.Tenant, k.Region, k.Spec})
		c.inVaults[vaultTotal{keys.TypeKey, k.Vault, k.Protection, k.Spec}]++
	}
	holding := k.State == keys.Enabled || k.State == keys.Disabled || k.State == keys.PendingDeletion && k.Before != keys.PendingImport
	if holding && !k.MaterialExpiresAt.IsZero() {
		c.due[store.Due{At: k.MaterialExpiresAt, Kind: store.ExpireMaterial, ID: k.ID, Revision: k.Revision}] = true
	}
	if k.State == keys.Enabled && v.State == keys.Active && !k.Rotation.Next.IsZero() {
		c.due[store.Due{At: k.Rotation.Next, Kind: store.RotateKey, ID: k.ID, Revision: k.Revision}] = true
	}
	if err := c.expect(k.Tenant == v.Tenant && k.Region == v.Region, "%s is in another tenant or region than its vault", ref); err != nil {
		return err
	}
	if err := c.versions(v, k); err != nil {
		return err
	}
	return c.ofKey(k)
}

// versions checks the versions of a key.
func (c *checker) versions(in *keys.Vault, k *keys.Key) error {
	// The versions of a key are erased before its own row is.
	erasing := k.State == keys.PendingDeletion || in.State != keys.Active
	waiting := k.State == keys.PendingImport || k.Before == keys.PendingImport
	seen, live, at, primary := 0, 0, 0, false
	for {
		rows, err := c.tx.Versions(store.VersionQuery{Key: k.ID, AfterOrdinal: at, Limit: checkPage})
		if err != nil {
			return err
		}
		for _, v := range rows {
			if err := c.version(k, v, at); err != nil {
				return err
			}
			at = v.Ordinal
			seen++
			if v.State != keys.Deleted {
				live++
			}
			primary = primary || v.ID == k.Primary && (v.State == keys.Enabled || waiting && v.State == keys.PendingImport || erasing && v.State == keys.Deleted)
		}
		if len(rows) < checkPage {
			break
		}
	}
	if k.State == keys.Deleted {
		return nil // its versions are erased one after the other
	}
	if err := c.expect(at <= k.Versions && live == k.Versions-k.Erased && (k.Erased > 0 || seen == k.Versions),
		"key %s says %d versions and %d erased; there are %d, %d of them live, up to ordinal %d",
		k.ID, k.Versions, k.Erased, seen, live, at); err != nil {
		return err
	}
	return c.expect(primary || k.Primary.IsZero(), "the primary version %s of key %s is not an enabled version of it", k.Primary, k.ID)
}

func (c *checker) version(k *keys.Key, v *keys.Version, before int) error {
	ref := change{keys.TypeVersion, v.ID, ""}
	if err := c.erasable(ref, v.Revision, v.State, v.DeleteAt, store.EraseVersion); err != nil {
		return err
	}
	if v.State != keys.Deleted && !k.Hidden {
		c.count(total{keys.TypeVersion, v.Tenant, v.Region, k.Spec})
		c.inVaults[vaultTotal{keys.TypeVersion, k.Vault, k.Protection, k.Spec}]++
	}
	if err := c.material(ref, v); err != nil {
		return err
	}
	if err := c.expect(v.Ordinal > before, "%s has ordinal %d after %d", ref, v.Ordinal, before); err != nil {
		return err
	}
	return c.expect(v.Key == k.ID && v.Vault == k.Vault && v.Tenant == k.Tenant && v.Region == k.Region,
		"%s is in another place than its key", ref)
}

func (c *checker) material(ref change, v *keys.Version) error {
	sealed, marked := len(v.Sealed) > 0, len(v.Fingerprint) > 0
	switch {
	case v.State == keys.Deleted && sealed:
		return c.faultf("%s is deleted and has sealed material", ref)
	case v.State == keys.Deleted && marked:
		return c.faultf("%s is deleted and has the fingerprint of its material", ref)
	case v.State == keys.PendingImport && sealed:
		return c.faultf("%s waits for its material and has it", ref)
	case v.State == keys.PendingImport && !marked:
		return c.faultf("%s waits for its material and would take any", ref)
	case v.State != keys.Deleted && v.State != keys.PendingImport && !sealed:
		return c.faultf("%s is live and has no sealed material", ref)
	}
	return nil
}

// ofKey checks a key's grants, external ids and count of aliases.
func (c *checker) ofKey(k *keys.Key) error {
	grants, err := c.tx.Grants(k.ID)
	if err != nil {
		return err
	}
	for _, g := range grants {
		if err := c.record(change{keys.TypeGrant, g.ID, ""}, g.Revision); err != nil {
			return err
		}
		if err := c.expect(g.Tenant == k.Tenant, "grant %s is of another tenant than its key", g.ID); err != nil {
			return err
		}
	}
	external, err := c.tx.ExternalIDs(k.ID)
	if err != nil {
		return err
	}
	for _, e := range external {
		found := store.ExternalID{Dialect: e.Dialect, Type: e.Type, Tenant: e.Tenant, Region: e.Region, Name: e.Name}
		if err := c.tx.Load(&found); err != nil {
			return err
		}
		if err := c.expect(found.ID == k.ID, "the external id %q of key %s leads to %s", e.Name, k.ID, found.ID); err != nil {
			return err
		}
	}
	named, err := c.tx.Aliases(store.AliasQuery{Key: k.ID})
	if err != nil {
		return err
	}
	return c.total(store.Counter{Type: keys.TypeAlias, Key: k.ID}, len(named))
}

func (c *checker) aliases(t *keys.Tenant) error {
	rows, err := c.tx.Aliases(store.AliasQuery{Tenant: t.ID})
	if err != nil {
		return err
	}
	for _, a := range rows {
		ref := change{kind: keys.TypeAlias, name: store.AliasName(a.Tenant, a.Region, a.Name)}
		if err := c.record(ref, a.Revision); err != nil {
			return err
		}
		c.count(total{keys.TypeAlias, a.Tenant, a.Region, ""})
		k, err := store.LoadKey(c.tx, a.Key)
		if err != nil {
			return err
		}
		if err := c.expect(k.Tenant == a.Tenant && k.Region == a.Region, "%s leads to a key elsewhere", ref); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) work(t *keys.Tenant) error {
	rows, err := c.tx.WorkRequests(store.WorkQuery{Tenant: t.ID})
	if err != nil {
		return err
	}
	for _, w := range rows {
		if err := c.record(change{keys.TypeWork, w.ID, ""}, w.Revision); err != nil {
			return err
		}
		final := w.Status == keys.WorkSucceeded || w.Status == keys.WorkFailed
		if err := c.expect(final == w.Finished() && (w.Status == keys.WorkFailed) == (len(w.Errors) > 0),
			"work request %s is %s, has %d errors, and is finished: %t", w.ID, w.Status, len(w.Errors), w.Finished()); err != nil {
			return err
		}
	}
	return nil
}
