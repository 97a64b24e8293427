// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"fmt"

	"claviger/internal/keys"
	"claviger/internal/store"
)

// total names one counter.
type total struct {
	kind       keys.Type
	owner      keys.ID // a tenant; for a key's aliases the key; a vault, where protection is set
	region     keys.Region
	protection keys.Protection // of a vault's keys and versions
	spec       keys.Spec       // of keys and versions
}

// tally is by how much a transaction changes a counter.
type tally struct {
	total
	by int
}

const (
	addTotal = `INSERT INTO counters (type, owner, region, spec, n) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (type, owner, region, spec) DO UPDATE SET n = counters.n + excluded.n`
	subtractTotal = `UPDATE counters SET n = n - $5 WHERE type = $1 AND owner = $2 AND region = $3 AND spec = $4`

	addVaultTotal = `INSERT INTO vault_counters (type, vault, protection, spec, n) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (vault, type, protection, spec) DO UPDATE SET n = vault_counters.n + excluded.n`
	subtractVaultTotal = `UPDATE vault_counters SET n = n - $5 WHERE type = $1 AND vault = $2 AND protection = $3 AND spec = $4`
)

// specMemo is the spec of the last key asked for: a transaction is usually about one key.
type specMemo struct {
	key        keys.ID
	spec       keys.Spec
	protection keys.Protection
	hidden     bool
}

func aliasOf(key keys.ID) total { return total{kind: keys.TypeAlias, owner: key} }

// count adds a record to the counters that it belongs to, or takes it off.
func (t *tx) count(r *row, by int) error {
	switch rec := r.record.(type) {
	case *keys.Vault:
		t.tally(total{kind: keys.TypeVault, owner: rec.Tenant, region: rec.Region}, by)
	case *keys.Key:
		t.meet(rec)
		if !rec.Hidden {
			t.tally(total{kind: keys.TypeKey, owner: rec.Tenant, region: rec.Region, spec: rec.Spec}, by)
			t.tally(total{kind: keys.TypeKey, owner: rec.Vault, protection: rec.Protection, spec: rec.Spec}, by)
		}
	case *keys.Version:
		of, err := t.specOf(rec.Key)
		if err != nil {
			return err
		}
		if !of.hidden {
			t.tally(total{kind: keys.TypeVersion, owner: rec.Tenant, region: rec.Region, spec: of.spec}, by)
			t.tally(total{kind: keys.TypeVersion, owner: rec.Vault, protection: of.protection, spec: of.spec}, by)
		}
	case *keys.Alias:
		t.tally(total{kind: keys.TypeAlias, owner: rec.Tenant, region: rec.Region}, by)
		t.tally(aliasOf(rec.Key), by)
	}
	return nil
}

func (t *tx) tally(c total, by int) { t.tallies = addTally(t.tallies, c, by) }

func addTally(tallies []tally, c total, by int) []tally {
	for i := range tallies {
		if tallies[i].total == c {
			tallies[i].by += by
			return tallies
		}
	}
	return append(tallies, tally{c, by})
}

// specOf finds a key's spec and protection and whether it is hidden, which never change.
func (t *tx) specOf(key keys.ID) (specMemo, error) {
	if t.spec.key == key && t.spec.spec != "" {
		return t.spec, nil
	}
	memo := specMemo{key: key}
	err := t.one("SELECT spec, protection, hidden FROM keys WHERE id = $1", []any{(*idCol)(&key)}, &memo.spec, &memo.protection, &memo.hidden)
	if isNone(err) {
		return memo, fmt.Errorf("the version's key: %w", store.ErrNotFound)
	} else if err != nil {
		return memo, err
	}
	t.spec = memo
	return memo, nil
}

// flushTallies writes the counters for a total that is asked for: those of the transactions
// before it in its batch, which stay whatever becomes of this one, and its own.
func (t *tx) flushTallies() error {
	if t.batch != nil {
		wrote := t.wrote
		if err := t.writeTallies(&t.batch.tallies); err != nil {
			return err
		}
		t.wrote = wrote
	}
	return t.writeTallies(&t.tallies)
}

func (t *tx) writeTallies(tallies *[]tally) error {
	for i := range *tallies {
		c := &(*tallies)[i]
		if c.by == 0 {
			continue
		}
		add, subtract, within := addTotal, subtractTotal, any(&c.region)
		if c.protection != "" {
			add, subtract, within = addVaultTotal, subtractVaultTotal, &c.protection
		}
		text := add
		if c.by < 0 {
			text = subtract
		}
		n, err := t.change(1, text, &c.kind, (*idCol)(&c.owner), within, &c.spec, max(c.by, -c.by))
		if err != nil {
			return fmt.Errorf("count: %w", err)
		}
		if n == 0 {
			return fmt.Errorf("count: no total of the %s that are there", c.kind)
		}
	}
	*tallies = (*tallies)[:0]
	return nil
}

// Count implements [store.Tx].
func (t *tx) Count(c store.Counter) (int, error) {
	if err := t.flushTallies(); err != nil {
		return 0, err
	}
	q, from := newConditions(), "counters"
	q.and("type = ?", &c.Type)
	switch {
	case !c.Vault.IsZero():
		if c.Type != keys.TypeKey && c.Type != keys.TypeVersion {
			return 0, fmt.Errorf("no total of a vault's %s is kept", c.Type)
		}
		from = "vault_counters"
		q.and("vault = ?", (*idCol)(&c.Vault))
		q.and("protection = ?", &c.Protection)
	case !c.Key.IsZero() && c.Type == keys.TypeAlias:
		q.and("owner = ?", (*idCol)(&c.Key))
	case c.Key.IsZero():
		q.and("owner = ?", (*idCol)(&c.Tenant))
		q.region(&c.Region)
	default:
		return 0, fmt.Errorf("no total of a key's %s is kept", c.Type)
	}
	q.in("spec", c.Specs)
	var n int
	if err := t.one("SELECT COALESCE(SUM(n), 0) FROM "+from+q.text(), q.args, &n); err != nil {
		return 0, fmt.Errorf("count: %w", err)
	}
	return n, nil
}
