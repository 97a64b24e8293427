// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"io"

	"claviger/internal/archive"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// gatherPage is how many rows are read at once.
const gatherPage = 500

// gathering writes the records of a backup into its spool, inside one view. Material stays sealed.
type gathering struct {
	m            *mutation
	w            io.Writer
	manifest     *Manifest
	tenant       keys.ID
	compartments map[keys.ID]bool
}

func (g *gathering) put(rec *archive.Record) error { return archive.WriteRecord(g.w, rec) }

// keyAlone gathers the backup of a key.
func (g *gathering) keyAlone(at *located) error {
	g.manifest.Kind, g.manifest.WithKeys = archive.KindKey, true
	g.manifest.Key = &archive.Named{ID: at.key.ID, Name: at.key.Name}
	if err := g.begin(at.vault); err != nil {
		return err
	}
	return g.key(at.key)
}

// wholeVault gathers the backup of a vault.
func (g *gathering) wholeVault(v *keys.Vault, withKeys bool) error {
	g.manifest.Kind, g.manifest.WithKeys = archive.KindVault, withKeys
	if err := g.begin(v); err != nil {
		return err
	}
	if err := g.compartment(v.Compartment); err != nil {
		return err
	}
	g.manifest.Counts.Vaults++
	if err := g.put(&archive.Record{Vault: v}); err != nil {
		return err
	}
	if err := g.externals(keys.TypeVault, v.ID); err != nil {
		return err
	}
	if !withKeys {
		k, err := store.LoadKey(g.m.tx, keys.WrappingKeyID(v.ID))
		if err := notFound(err, keys.TypeKey); keys.IsKind(err, keys.KindNotFound) {
			return nil
		} else if err != nil {
			return err
		}
		return g.key(k)
	}
	return g.keys(v)
}

// begin gathers what stands at the beginning of the backup of something in a vault.
func (g *gathering) begin(v *keys.Vault) error {
	t, err := store.LoadTenant(g.m.tx, v.Tenant)
	if err != nil {
		return err
	}
	g.tenant, g.compartments = t.ID, map[keys.ID]bool{t.ID: true}
	g.manifest.Region, g.manifest.Vault = v.Region, &archive.Named{ID: v.ID, Name: v.Name}
	g.manifest.Tenants = []archive.Named{{ID: t.ID, Name: t.Name}}
	return g.put(&archive.Record{Tenant: t})
}

// compartment gathers a compartment when it is named for the first time. The root is the tenant's.
func (g *gathering) compartment(id keys.ID) error {
	if g.compartments[id] {
		return nil
	}
	g.compartments[id] = true
	c := &keys.Compartment{ID: id}
	if err := g.m.tx.Load(c); err != nil {
		return err
	}
	return g.put(&archive.Record{Compartment: c})
}

// keys gathers every key of a vault, page by page. A key that is being restored is not there yet.
func (g *gathering) keys(v *keys.Vault) error {
	q := store.KeyQuery{Vault: v.ID, WithHidden: true, Page: store.Page{Limit: gatherPage}}
	for {
		rows, err := g.m.tx.Keys(q)
		if err != nil {
			return err
		}
		for _, k := range rows {
			q.Page.After = &store.Mark{Time: k.CreatedAt, ID: k.ID}
			if k.State == keys.Restoring {
				continue
			}
			if err := g.key(k); err != nil {
				return err
			}
		}
		if len(rows) < gatherPage {
			return nil
		}
	}
}

// key gathers one key as it is now, with its names and versions.
func (g *gathering) key(k *keys.Key) error {
	settleKey(k, g.m.now)
	if err := g.compartment(k.Compartment); err != nil {
		return err
	}
	g.manifest.Counts.Keys++
	if err := g.put(&archive.Record{Key: k}); err != nil {
		return err
	}
	if k.State != keys.Deleted {
		aliases, err := g.m.tx.Aliases(store.AliasQuery{Key: k.ID})
		if err != nil {
			return err
		}
		for _, a := range aliases {
			if err := g.put(&archive.Record{Alias: a}); err != nil {
				return err
			}
		}
	}
	if err := g.externals(keys.TypeKey, k.ID); err != nil {
		return err
	}
	return g.versions(k)
}

func (g *gathering) versions(k *keys.Key) error {
	q := store.VersionQuery{Key: k.ID, Limit: gatherPage}
	for {
		rows, err := g.m.tx.Versions(q)
		if err != nil {
			return err
		}
		for _, v := range rows {
			q.AfterOrdinal = v.Ordinal
			if err := g.version(k, v); err != nil {
				return err
			}
		}
		if len(rows) < gatherPage {
			return nil
		}
	}
}

func (g *gathering) version(k *keys.Key, v *keys.Version) error {
	material := settleVersion(k, v, g.m.now)
	rec := &archive.Record{Version: v, Fingerprint: sealedUnder(v, v.Fingerprint)}
	if material {
		rec.Material = sealedUnder(v, v.Sealed)
	}
	g.manifest.Counts.Versions++
	if err := g.put(rec); err != nil {
		return err
	}
	return g.externals(keys.TypeVersion, v.ID)
}

// externals gathers the external ids of a record.
func (g *gathering) externals(t keys.Type, id keys.ID) error {
	rows, err := g.m.tx.ExternalIDs(id)
	if err != nil {
		return err
	}
	for _, x := range rows {
		if err := g.put(&archive.Record{External: &archive.External{Dialect: x.Dialect, Type: t, Name: x.Name, ID: id}}); err != nil {
			return err
		}
	}
	return nil
}
