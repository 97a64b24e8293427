// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
)

var errNegative = errors.New("a limit or offset is negative")

// conditions builds what follows a SELECT's FROM, with numbered placeholders.
type conditions struct {
	b    strings.Builder
	args []any
	any  bool
}

func newConditions() *conditions { return &conditions{} }

// and adds a condition in which each ? stands for an argument.
func (c *conditions) and(condition string, args ...any) {
	if c.any {
		c.b.WriteString(" AND ")
	} else {
		c.b.WriteString(" WHERE ")
	}
	c.any = true
	c.add(condition, args...)
}

// add adds anything else in which each ? stands for an argument.
func (c *conditions) add(text string, args ...any) {
	for _, arg := range args {
		before, after, _ := strings.Cut(text, "?")
		c.args = append(c.args, arg)
		fmt.Fprintf(&c.b, "%s$%d", before, len(c.args))
		text = after
	}
	c.b.WriteString(text)
}

func (c *conditions) owned(column string, id *keys.ID) {
	if !id.IsZero() {
		c.and(column+" = ?", (*idCol)(id))
	}
}

func (c *conditions) region(r *keys.Region) {
	if *r != "" {
		c.and("region = ?", r)
	}
}

func (c *conditions) in(column string, specs []keys.Spec) {
	if len(specs) == 0 {
		return
	}
	args := make([]any, len(specs))
	for i := range specs {
		args[i] = &specs[i]
	}
	c.and(column+" IN (?"+strings.Repeat(", ?", len(specs)-1)+")", args...)
}

func (c *conditions) text() string { return c.b.String() }

// page orders and cuts a list.
func (c *conditions) page(p store.Page) error {
	column := "created_at"
	switch p.Sort {
	case "", store.ByCreation:
	case store.ByName:
		column = "name"
	default:
		return fmt.Errorf("unknown order %q", p.Sort)
	}
	direction, beyond := "", ">"
	if p.Desc {
		direction, beyond = " DESC", "<"
	}
	if m := p.After; m != nil {
		var at any = &m.Name
		if column == "created_at" {
			at = (*timeCol)(&m.Time)
		}
		c.and(fmt.Sprintf("(%s, id) %s (?, ?)", column, beyond), at, (*idCol)(&m.ID))
	}
	c.add(fmt.Sprintf(" ORDER BY %s%s, id%s", column, direction, direction))
	return c.cut(p.Limit, p.Offset)
}

// cut adds a limit and an offset.
func (c *conditions) cut(limit, offset int) error {
	n, err := limitOf(limit)
	if err != nil || offset < 0 {
		return errNegative
	}
	if n != math.MaxInt64 || offset > 0 {
		c.add(" LIMIT ?", n)
	}
	if offset > 0 {
		c.add(" OFFSET ?", offset)
	}
	return nil
}

// limitOf is a limit where zero means none.
func limitOf(n int) (int64, error) {
	switch {
	case n < 0:
		return 0, errNegative
	case n == 0:
		return math.MaxInt64, nil
	}
	return int64(n), nil
}

// Tenants implements [store.Tx].
func (t *tx) Tenants() ([]*keys.Tenant, error) {
	return list[keys.Tenant](t, " ORDER BY created_at, id")
}

const (
	ofTenant    = " WHERE tenant = $1 ORDER BY created_at, id"
	ofPrincipal = " WHERE principal = $1 ORDER BY created_at, id"
	ofKey       = " WHERE key = $1 ORDER BY created_at, id"
)

// Compartments implements [store.Tx].
func (t *tx) Compartments(tenant keys.ID) ([]*keys.Compartment, error) {
	return list[keys.Compartment](t, ofTenant, (*idCol)(&tenant))
}

// Principals implements [store.Tx].
func (t *tx) Principals(tenant keys.ID) ([]*identity.Principal, error) {
	return list[identity.Principal](t, ofTenant, (*idCol)(&tenant))
}

// Credentials implements [store.Tx].
func (t *tx) Credentials(tenant keys.ID) ([]*identity.CredentialRow, error) {
	return list[identity.CredentialRow](t, ofTenant, (*idCol)(&tenant))
}

// Bindings implements [store.Tx].
func (t *tx) Bindings(principal keys.ID) ([]*identity.Binding, error) {
	return remembered(t, memoKey{bindingTable, principal}, nil, func() ([]*identity.Binding, error) {
		return list[identity.Binding](t, ofPrincipal, (*idCol)(&principal))
	})
}

// Grants implements [store.Tx].
func (t *tx) Grants(key keys.ID) ([]*keys.Grant, error) {
	return remembered(t, memoKey{grantTable, key}, func(g *keys.Grant) { g.Actions = slices.Clone(g.Actions) }, func() ([]*keys.Grant, error) {
		return list[keys.Grant](t, ofKey, (*idCol)(&key))
	})
}

// ExternalIDs implements [store.Tx].
func (t *tx) ExternalIDs(of keys.ID) ([]*store.ExternalID, error) {
	return list[store.ExternalID](t, " WHERE id = $1 ORDER BY dialect, type, tenant, region, name", (*idCol)(&of))
}

// Vaults implements [store.Tx].
func (t *tx) Vaults(q store.VaultQuery) ([]*keys.Vault, error) {
	c := newConditions()
	c.owned("tenant", &q.Tenant)
	c.region(&q.Region)
	if q.ReplicaIn != "" {
		c.and("id IN (SELECT vault FROM replicas WHERE region = ?)", &q.ReplicaIn)
		c.and("replica IN (SELECT id FROM replicas WHERE region = ?)", &q.ReplicaIn)
	}
	c.owned("compartment", &q.Compartment)
	if q.OnlyDefault {
		c.and("is_default = 1")
	}
	if q.HideDeleted {
		c.and(live)
	}
	if err := c.page(q.Page); err != nil {
		return nil, fmt.Errorf("list vaults: %w", err)
	}
	return list[keys.Vault](t, c.text(), c.args...)
}

// Replicas implements [store.Tx].
func (t *tx) Replicas(tenant keys.ID) ([]*keys.Replica, error) {
	if tenant.IsZero() {
		return list[keys.Replica](t, " ORDER BY created_at, id")
	}
	return list[keys.Replica](t, ofTenant, (*idCol)(&tenant))
}

// live is the condition that hides tombstones, in the words of the partial indexes.
const live = "state <> 'DELETED'"

// Keys implements [store.Tx].
func (t *tx) Keys(q store.KeyQuery) ([]*keys.Key, error) {
	c := newConditions()
	c.owned("tenant", &q.Tenant)
	c.region(&q.Region)
	c.owned("vault", &q.Vault)
	c.owned("compartment", &q.Compartment)
	c.in("spec", q.Specs)
	if q.Protection != "" {
		c.and("protection = ?", &q.Protection)
	}
	if q.State != "" {
		c.and("state = ?", &q.State)
	}
	if q.Protected {
		c.and("deletion_protected = 1")
	}
	if q.HideDeleted {
		c.and(live)
	}
	if !q.WithHidden {
		c.and("hidden = 0")
	}
	if err := c.page(q.Page); err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	return list[keys.Key](t, c.text(), c.args...)
}

// Versions implements [store.Tx]. While no version of the key was erased the ordinals are
// dense, and an offset is a difference of ordinals.
func (t *tx) Versions(q store.VersionQuery) ([]*keys.Version, error) {
	if q.Limit < 0 || q.Offset < 0 || q.AfterOrdinal < 0 {
		return nil, fmt.Errorf("list versions: %w", errNegative)
	}
	if q.Offset > 0 {
		if err := t.skip(&q); err != nil {
			return nil, fmt.Errorf("list versions: %w", err)
		}
	}
	c := newConditions()
	c.and("key = ?", (*idCol)(&q.Key))
	if q.HideDeleted {
		c.and(live)
	}
	switch {
	case q.AfterOrdinal > 0 && q.Desc:
		c.and("ordinal < ?", q.AfterOrdinal)
	case q.AfterOrdinal > 0:
		c.and("ordinal > ?", q.AfterOrdinal)
	}
	if q.Desc {
		c.add(" ORDER BY ordinal DESC")
	} else {
		c.add(" ORDER BY ordinal")
	}
	if err := c.cut(q.Limit, q.Offset); err != nil {
		return nil, fmt.Errorf("list versions: %w", err)
	}
	return list[keys.Version](t, c.text(), c.args...)
}

// skip turns the query's offset into ordinals, if it can.
func (t *tx) skip(q *store.VersionQuery) error {
	var erased, highest int
	err := t.one(`SELECT erased, COALESCE((SELECT MAX(ordinal) FROM versions WHERE key = $1), 0)
		FROM keys WHERE id = $1`, []any{(*idCol)(&q.Key)}, &erased, &highest)
	switch {
	case isNone(err), err == nil && erased > 0:
		return nil
	case err != nil:
		return err
	case !q.Desc:
		q.AfterOrdinal += q.Offset
	case q.AfterOrdinal == 0:
		q.AfterOrdinal = highest + 1 - q.Offset
	default:
		q.AfterOrdinal = min(q.AfterOrdinal, highest+1) - q.Offset
	}
	if q.Desc && q.AfterOrdinal <= 1 {
		q.AfterOrdinal = 1 // nothing lies before the first
	}
	q.Offset = 0
	return nil
}

// Aliases implements [store.Tx].
func (t *tx) Aliases(q store.AliasQuery) ([]*keys.Alias, error) {
	c := newConditions()
	c.owned("tenant", &q.Tenant)
	c.region(&q.Region)
	c.owned("key", &q.Key)
	c.add(" ORDER BY created_at, name, tenant, region")
	if err := c.cut(q.Limit, q.Offset); err != nil {
		return nil, fmt.Errorf("list aliases: %w", err)
	}
	return list[keys.Alias](t, c.text(), c.args...)
}

// WorkRequests implements [store.Tx].
func (t *tx) WorkRequests(q store.WorkQuery) ([]*keys.WorkRequest, error) {
	c := newConditions()
	c.owned("tenant", &q.Tenant)
	c.region(&q.Region)
	c.owned("compartment", &q.Compartment)
	if q.Unfinished {
		c.and("finished_at IS NULL")
	}
	if q.Page.Sort == store.ByName {
		return nil, errors.New("list work requests: they have no name")
	}
	if err := c.page(q.Page); err != nil {
		return nil, fmt.Errorf("list work requests: %w", err)
	}
	return list[keys.WorkRequest](t, c.text(), c.args...)
}
