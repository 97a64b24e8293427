// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"database/sql"
	"fmt"
	"slices"
	"time"

	"claviger/internal/keys"
	"claviger/internal/store"
)

// schedule is one kind of event and the query for it, which a partial index answers.
type schedule struct {
	kind store.DueKind
	text string
}

// schedules lists what can be due, in the order in which events of one moment come: what is
// erased at that moment is not rotated at it.
func schedules() []schedule {
	const (
		pending   = " WHERE state = 'PENDING_DELETION' AND delete_at <= $1 ORDER BY delete_at, id LIMIT $2"
		restoring = " WHERE state = 'RESTORING' AND delete_at <= $1 ORDER BY delete_at, id LIMIT $2"
	)
	return []schedule{
		{store.EraseVault, "SELECT delete_at, id, revision FROM vaults" + pending},
		{store.EraseKey, "SELECT delete_at, id, revision FROM keys" + pending},
		{store.EraseVersion, "SELECT delete_at, id, revision FROM versions" + pending},
		{store.DropVault, "SELECT delete_at, id, revision FROM vaults" + restoring},
		{store.DropKey, "SELECT delete_at, id, revision FROM keys" + restoring},
		{store.ExpireMaterial, `SELECT material_expires_at, id, revision FROM keys
			WHERE (state = 'ENABLED' OR state = 'DISABLED' OR state = 'PENDING_DELETION') AND state_before <> 'PENDING_IMPORT'
			AND material_expires_at IS NOT NULL AND material_expires_at <= $1 ORDER BY material_expires_at, id LIMIT $2`},
		{store.RotateKey, `SELECT k.rotation_next, k.id, k.revision FROM keys k JOIN vaults v ON v.id = k.vault
			WHERE k.state = 'ENABLED' AND k.rotation_next IS NOT NULL AND k.rotation_next <= $1 AND v.state = 'ACTIVE'
			ORDER BY k.rotation_next, k.id LIMIT $2`},
	}
}

// Due implements [store.Tx].
func (t *tx) Due(before time.Time, limit int) ([]store.Due, error) {
	n, err := limitOf(limit)
	if err != nil {
		return nil, err
	}
	var out []store.Due
	for _, s := range schedules() {
		err := t.each(s.text, []any{(*timeCol)(&before), n}, func(rows *sql.Rows) error {
			d := store.Due{Kind: s.kind}
			if err := rows.Scan((*timeCol)(&d.At), (*idCol)(&d.ID), &d.Revision); err != nil {
				return err
			}
			out = append(out, d)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("list what is due: %w", err)
		}
	}
	slices.SortStableFunc(out, func(a, b store.Due) int { return a.At.Compare(b.At) })
	if limit > 0 && len(out) > limit {
		out = out[:limit]
	}
	return out, nil
}

const (
	expireTokens = `DELETE FROM tokens WHERE (principal, operation, token) IN
		(SELECT principal, operation, token FROM tokens WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)`
	expireNonces = `DELETE FROM nonces WHERE hash IN
		(SELECT hash FROM nonces WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)`
	oldTombstones = "SELECT id FROM %s x WHERE state = 'DELETED' AND delete_at < $1 %s ORDER BY delete_at LIMIT $2"
)

// Expire implements [store.Tx].
func (t *tx) Expire(until store.Expiry, limit int) (int, error) {
	if limit <= 0 {
		return 0, errNegative
	}
	if err := t.write(); err != nil {
		return 0, err
	}
	removed := 0
	for _, e := range []struct {
		at   *time.Time
		text string
	}{{&until.Domain, expireTokens}, {&until.Request, expireNonces}} {
		if e.at.IsZero() || removed >= limit {
			continue
		}
		n, err := t.exec(e.text, (*timeCol)(e.at), limit-removed)
		if err != nil {
			return 0, fmt.Errorf("expire: %w", err)
		}
		removed += int(n)
	}
	for _, kind := range []struct {
		before time.Time
		forget func(time.Time, int) (int, error)
	}{
		{until.Work, t.forgetWork},
		{until.Tombstones, t.forgetVersions},
		{until.Tombstones, t.forgetKeys},
		{until.Tombstones, t.forgetReplicas},
		{until.Tombstones, t.forgetVaults},
	} {
		if kind.before.IsZero() || removed >= limit {
			continue
		}
		n, err := kind.forget(kind.before, limit-removed)
		if err != nil {
			return 0, fmt.Errorf("forget what is over: %w", err)
		}
		removed += n
	}
	return removed, nil
}

func (t *tx) forgetWork(before time.Time, limit int) (int, error) {
	const over = "SELECT id FROM work_requests WHERE finished_at < $1 ORDER BY finished_at LIMIT $2"
	return t.forget(over, before, limit, func(id keys.ID) error {
		_, err := t.remove(&keys.WorkRequest{ID: id})
		return err
	})
}

func (t *tx) forgetVersions(before time.Time, limit int) (int, error) {
	return t.forget(fmt.Sprintf(oldTombstones, "versions", ""), before, limit, func(id keys.ID) error {
		_, err := t.remove(&keys.Version{ID: id})
		return err
	})
}

func (t *tx) forgetKeys(before time.Time, limit int) (int, error) {
	const childless = "AND NOT EXISTS (SELECT 1 FROM versions WHERE key = x.id)"
	return t.forget(fmt.Sprintf(oldTombstones, "keys", childless), before, limit, func(id keys.ID) error {
		named, err := t.Aliases(store.AliasQuery{Key: id})
		if err != nil {
			return err
		}
		granted, err := t.Grants(id)
		if err != nil {
			return err
		}
		for _, a := range named {
			if _, err := t.remove(a); err != nil {
				return err
			}
		}
		for _, g := range granted {
			if _, err := t.remove(g); err != nil {
				return err
			}
		}
		_, err = t.remove(&keys.Key{ID: id})
		return err
	})
}

func (t *tx) forgetReplicas(before time.Time, limit int) (int, error) {
	return t.forget(fmt.Sprintf(oldTombstones, "replicas", ""), before, limit, func(id keys.ID) error {
		_, err := t.remove(&keys.Replica{ID: id})
		return err
	})
}

func (t *tx) forgetVaults(before time.Time, limit int) (int, error) {
	const childless = `AND NOT EXISTS (SELECT 1 FROM keys WHERE vault = x.id)
		AND NOT EXISTS (SELECT 1 FROM replicas WHERE vault = x.id)`
	return t.forget(fmt.Sprintf(oldTombstones, "vaults", childless), before, limit, func(id keys.ID) error {
		for _, text := range []string{"DELETE FROM keks WHERE owner = $1", "DELETE FROM vault_counters WHERE vault = $1"} {
			if _, err := t.exec(text, (*idCol)(&id)); err != nil {
				return err
			}
		}
		_, err := t.remove(&keys.Vault{ID: id})
		return err
	})
}

// forget removes the records that a query finds, with their external ids.
func (t *tx) forget(text string, before time.Time, limit int, remove func(keys.ID) error) (int, error) {
	var found []keys.ID
	err := t.each(text, []any{(*timeCol)(&before), limit}, func(rows *sql.Rows) error {
		var id keys.ID
		if err := rows.Scan((*idCol)(&id)); err != nil {
			return err
		}
		found = append(found, id)
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, id := range found {
		if _, err := t.exec("DELETE FROM external_ids WHERE id = $1", (*idCol)(&id)); err != nil {
			return 0, err
		}
		if err := remove(id); err != nil {
			return 0, err
		}
	}
	return len(found), nil
}
