// SPDX-License-Identifier: Apache-2.0

package check

import (
	"time"

	"claviger/internal/keys"
	"claviger/internal/store"
)

// erasable checks what vaults, keys and versions have in common.
func (c *checker) erasable(of ref, revision int64, state keys.State, deleteAt time.Time, kind store.DueKind) error {
	if err := c.record(of, revision); err != nil {
		return err
	}
	switch {
	case state == keys.PendingDeletion:
		c.due[store.Due{At: deleteAt, Kind: kind, ID: of.id, Revision: revision}] = true
	case state == keys.Restoring && kind == store.EraseVault:
		c.due[store.Due{At: deleteAt, Kind: store.DropVault, ID: of.id, Revision: revision}] = true
	case state == keys.Restoring && kind == store.EraseKey:
		c.due[store.Due{At: deleteAt, Kind: store.DropKey, ID: of.id, Revision: revision}] = true
	}
	timed := state == keys.PendingDeletion || state == keys.Deleted || state == keys.Restoring
	return c.expect(of, !timed || !deleteAt.IsZero(), "%s is %s at no time", of, state)
}

func (c *checker) vaults(t *keys.Tenant) error {
	defaults := map[keys.Region]keys.ID{}
	var after *store.Mark
	for {
		rows, err := c.tx.Vaults(store.VaultQuery{Tenant: t.ID, Page: store.Page{After: after, Limit: page}})
		if err != nil {
			return c.unread(ref{keys.TypeTenant, t.ID, ""}, err)
		}
		for _, v := range rows {
			after = &store.Mark{Time: v.CreatedAt, ID: v.ID}
			if v.Default && v.State != keys.Deleted {
				of := ref{keys.TypeVault, v.ID, ""}
				if err := c.expect(of, defaults[v.Region].IsZero(), "tenant %s has two default vaults in %s", t.ID, v.Region); err != nil {
					return err
				}
				defaults[v.Region] = v.ID
			}
			if err := c.vault(v); err != nil {
				return err
			}
		}
		if len(rows) < page {
			return nil
		}
	}
}

func (c *checker) vault(v *keys.Vault) error {
	of := ref{keys.TypeVault, v.ID, ""}
	for _, step := range []func() error{
		func() error { return c.expect(of, v.Region != "", "%s is in no region", of) },
		func() error { return c.erasable(of, v.Revision, v.State, v.DeleteAt, store.EraseVault) },
		func() error { return c.endpoint(of, v.Endpoint) },
		func() error {
			return c.expect(of, v.Replica.IsZero() || v.State == keys.Deleted || c.replicated[v.Replica] == v.ID,
				"%s names the replica %s, which is not its own", of, v.Replica)
		},
		func() error {
			return c.place(of, v.State, v.Compartment)
		},
		func() error {
			return c.expect(of, v.State != keys.Deleted || noTags(v.Tags), "%s is deleted and has tags", of)
		},
		func() error { return c.externals(of) },
		func() error { return c.visitVault(v) },
		func() error { return c.keys(v) },
		func() error { return c.countedIn(v.ID) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	if v.State != keys.Deleted {
		c.count(total{keys.TypeVault, v.Tenant, v.Region, ""})
	}
	return nil
}

// place checks that a compartment is its tenant's. The store itself does not mind.
func (c *checker) place(of ref, state keys.State, compartment keys.ID) error {
	return c.expect(of, c.o.Visitor == nil || state == keys.Deleted || c.compartments[compartment],
		"%s lies in compartment %s, which is not of its tenant", of, compartment)
}

func noTags(t keys.Tags) bool { return t.Plain == nil && t.Namespaced == nil }

func (c *checker) visitVault(v *keys.Vault) error {
	if c.o.Visitor == nil {
		return nil
	}
	faults, err := c.o.Visitor.Vault(c.tx, v)
	if err != nil {
		return err
	}
	return c.found(faults...)
}

func (c *checker) keys(v *keys.Vault) error {
	var after *store.Mark
	for {
		rows, err := c.tx.Keys(store.KeyQuery{Vault: v.ID, WithHidden: true, Page: store.Page{After: after, Limit: page}})
		if err != nil {
			return c.unread(ref{keys.TypeVault, v.ID, ""}, err)
		}
		for _, k := range rows {
			if err := c.key(v, k); err != nil {
				return err
			}
			after = &store.Mark{Time: k.CreatedAt, ID: k.ID}
		}
		if len(rows) < page {
			return nil
		}
	}
}

func (c *checker) key(v *keys.Vault, k *keys.Key) error {
	of := ref{keys.TypeKey, k.ID, ""}
	if err := c.erasable(of, k.Revision, k.State, k.DeleteAt, store.EraseKey); err != nil {
		return err
	}
	if k.State == keys.Deleted {
		if err := c.expect(of, noTags(k.Tags), "%s is deleted and has tags", of); err != nil {
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
	if err := c.expect(of, k.Tenant == v.Tenant && k.Region == v.Region, "%s is in another tenant or region than its vault", of); err != nil {
		return err
	}
	if err := c.place(of, k.State, k.Compartment); err != nil {
		return err
	}
	if err := c.versions(v, k); err != nil {
		return err
	}
	return c.ofKey(k)
}

// versions checks the versions of a key.
func (c *checker) versions(in *keys.Vault, k *keys.Key) error {
	of := ref{keys.TypeKey, k.ID, ""}
	// The versions of a key are erased before its own row is.
	erasing := k.State == keys.PendingDeletion || in.State != keys.Active
	waiting := k.State == keys.PendingImport || k.Before == keys.PendingImport
	seen, live, at, primary := 0, 0, 0, false
	for {
		rows, err := c.tx.Versions(store.VersionQuery{Key: k.ID, AfterOrdinal: at, Limit: page})
		if err != nil {
			return c.unread(of, err)
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
		if c.o.Visitor != nil {
			if err := c.found(c.o.Visitor.Versions(in, k, rows)...); err != nil {
				return err
			}
		}
		if len(rows) < page {
			break
		}
	}
	if k.State == keys.Deleted {
		return nil // its versions are erased one after the other
	}
	if err := c.expect(of, at <= k.Versions && live == k.Versions-k.Erased && (k.Erased > 0 || seen == k.Versions),
		"key %s says %d versions and %d erased; there are %d, %d of them live, up to ordinal %d",
		k.ID, k.Versions, k.Erased, seen, live, at); err != nil {
		return err
	}
	return c.expect(of, primary || k.Primary.IsZero(), "the primary version %s of key %s is not an enabled version of it", k.Primary, k.ID)
}

func (c *checker) version(k *keys.Key, v *keys.Version, before int) error {
	of := ref{keys.TypeVersion, v.ID, ""}
	if err := c.erasable(of, v.Revision, v.State, v.DeleteAt, store.EraseVersion); err != nil {
		return err
	}
	if v.State != keys.Deleted && !k.Hidden {
		c.count(total{keys.TypeVersion, v.Tenant, v.Region, k.Spec})
		c.inVaults[vaultTotal{keys.TypeVersion, k.Vault, k.Protection, k.Spec}]++
	}
	if err := c.material(of, v); err != nil {
		return err
	}
	if err := c.expect(of, v.Ordinal > before, "%s has ordinal %d after %d", of, v.Ordinal, before); err != nil {
		return err
	}
	return c.expect(of, v.Key == k.ID && v.Vault == k.Vault && v.Tenant == k.Tenant && v.Region == k.Region,
		"%s is in another place than its key", of)
}

func (c *checker) material(of ref, v *keys.Version) error {
	sealed, marked := len(v.Sealed) > 0, len(v.Fingerprint) > 0
	switch {
	case v.State == keys.Deleted && sealed:
		return c.faultf(of, "%s is deleted and has sealed material", of)
	case v.State == keys.Deleted && marked:
		return c.faultf(of, "%s is deleted and has the fingerprint of its material", of)
	case v.State == keys.PendingImport && sealed:
		return c.faultf(of, "%s waits for its material and has it", of)
	case v.State == keys.PendingImport && !marked:
		return c.faultf(of, "%s waits for its material and would take any", of)
	case v.State != keys.Deleted && v.State != keys.PendingImport && !sealed:
		return c.faultf(of, "%s is live and has no sealed material", of)
	}
	return nil
}

// ofKey checks a key's grants, external ids and count of aliases.
func (c *checker) ofKey(k *keys.Key) error {
	of := ref{keys.TypeKey, k.ID, ""}
	grants, err := c.tx.Grants(k.ID)
	if err != nil {
		return c.unread(of, err)
	}
	for _, g := range grants {
		gof := ref{keys.TypeGrant, g.ID, ""}
		if err := c.record(gof, g.Revision); err != nil {
			return err
		}
		if err := c.expect(gof, g.Tenant == k.Tenant, "grant %s is of another tenant than its key", g.ID); err != nil {
			return err
		}
	}
	if err := c.externals(of); err != nil {
		return err
	}
	named, err := c.tx.Aliases(store.AliasQuery{Key: k.ID})
	if err != nil {
		return c.unread(of, err)
	}
	return c.total(store.Counter{Type: keys.TypeAlias, Key: k.ID}, len(named))
}
