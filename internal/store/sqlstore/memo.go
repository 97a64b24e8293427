// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"maps"
	"slices"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// maxMemo bounds how many records a memo holds.
const maxMemo = 2048

// memo is what the committer remembers of records that most transactions read: keys, vaults,
// credentials, and what callers may. It is as the batch under way sees them. Nobody else writes
// while a batch runs, and what others wrote before it moves the head, which empties the memo; so
// does a batch that fails. Records go in and come out as copies.
type memo struct{ records map[memoKey]any }

type memoKey struct {
	table *table
	id    keys.ID // of the record; for a list of whom it belongs to
}

func (m *memo) clear() { clear(m.records) }

func (m *memo) set(k memoKey, v any) {
	if m.records == nil || len(m.records) >= maxMemo {
		m.records = map[memoKey]any{}
	}
	m.records[k] = v
}

// keyOf is the place of a record; false for those that are not remembered.
func (m *memo) keyOf(r *row) (memoKey, bool) {
	switch r.table {
	case keyTable, vaultTable, principalTable, credentialTable:
		return memoKey{r.table, *r.id}, true
	}
	return memoKey{}, false
}

// load fills r, if it is remembered.
func (m *memo) load(r *row) bool {
	k, ok := m.keyOf(r)
	if !ok {
		return false
	}
	have, ok := m.records[k]
	if ok {
		copyRecord(r.record, have)
	}
	return ok
}

// overtaken reports whether it is known that r is no longer of the stored revision.
func (m *memo) overtaken(r *row) bool {
	k, ok := m.keyOf(r)
	if !ok {
		return false
	}
	switch have := m.records[k].(type) {
	case *keys.Key:
		return have.Revision != *r.revision
	case *keys.Vault:
		return have.Revision != *r.revision
	}
	return false
}

// keep remembers r as it is.
func (m *memo) keep(r *row) {
	k, ok := m.keyOf(r)
	if !ok {
		return
	}
	var c store.Record
	switch r.record.(type) {
	case *keys.Key:
		c = new(keys.Key)
	case *keys.Vault:
		c = new(keys.Vault)
	case *identity.Principal:
		c = new(identity.Principal)
	case *identity.CredentialRow:
		c = new(identity.CredentialRow)
	}
	copyRecord(c, r.record)
	m.set(k, c)
}

// changed follows a change that the batch made.
func (m *memo) changed(r *row, removed bool) {
	switch r.table {
	case versionTable, aliasTable, workTable:
	case keyTable:
		if !removed {
			m.keep(r)
			return
		}
		delete(m.records, memoKey{r.table, *r.id})
	default: // rare, and lists depend on it
		m.clear()
	}
}

// copyRecord copies a record with all that it refers to.
func copyRecord(to, from store.Record) {
	switch to := to.(type) {
	case *keys.Key:
		*to = *from.(*keys.Key)
		to.Tags = copyTags(to.Tags)
	case *keys.Vault:
		*to = *from.(*keys.Vault)
		to.Tags = copyTags(to.Tags)
	case *identity.Principal:
		*to = *from.(*identity.Principal)
		to.Names, to.AssumableBy = maps.Clone(to.Names), slices.Clone(to.AssumableBy)
	case *identity.CredentialRow:
		*to = *from.(*identity.CredentialRow)
		to.PublicKey, to.Sealed, to.MAC = slices.Clone(to.PublicKey), slices.Clone(to.Sealed), slices.Clone(to.MAC)
	}
}

func copyTags(t keys.Tags) keys.Tags {
	t.Plain, t.Namespaced = maps.Clone(t.Plain), maps.Clone(t.Namespaced)
	for name, tags := range t.Namespaced {
		t.Namespaced[name] = maps.Clone(tags)
	}
	return t
}

// remembered answers a list from t's memo, or reads it and remembers it. copied copies what a
// copy of a record's own fields shares with it.
func remembered[T any](t *tx, k memoKey, copied func(*T), read func() ([]*T, error)) ([]*T, error) {
	if t.batch == nil {
		return read()
	}
	if err := t.usable(); err != nil {
		return nil, err
	}
	rows, ok := t.batch.memo.records[k].([]*T)
	if !ok {
		var err error
		if rows, err = read(); err != nil {
			return nil, err
		}
		t.batch.memo.set(k, rows)
	}
	out := make([]*T, len(rows))
	for i, r := range rows {
		c := *r
		if copied != nil {
			copied(&c)
		}
		out[i] = &c
	}
	return out, nil
}
