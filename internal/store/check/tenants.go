// SPDX-License-Identifier: Apache-2.0

package check

import (
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
)

func (c *checker) tenants() error {
	tenants, err := c.tx.Tenants()
	if err != nil {
		return c.unread(ref{name: "the tenants"}, err)
	}
	if err := c.begin(tenants); err != nil {
		return err
	}
	for _, t := range tenants {
		if err := c.record(ref{keys.TypeTenant, t.ID, ""}, t.Revision); err != nil {
			return err
		}
		if err := c.externals(ref{keys.TypeTenant, t.ID, ""}); err != nil {
			return err
		}
		for _, step := range []func(*keys.Tenant) error{c.inCompartments, c.replicas, c.vaults, c.principals, c.aliases, c.work} {
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

// begin learns how much there is to read, and lets the visitor begin.
func (c *checker) begin(tenants []*keys.Tenant) error {
	for _, t := range tenants {
		c.expected++
		for _, kind := range []keys.Type{keys.TypeVault, keys.TypeKey, keys.TypeVersion, keys.TypeAlias} {
			n, err := c.tx.Count(store.Counter{Type: kind, Tenant: t.ID})
			if err != nil {
				return c.unread(ref{keys.TypeTenant, t.ID, ""}, err)
			}
			c.expected += n
		}
	}
	if c.o.Visitor == nil {
		return nil
	}
	faults, err := c.o.Visitor.Begin(c.tx, tenants)
	if err != nil {
		return err
	}
	return c.found(faults...)
}

func (c *checker) inCompartments(t *keys.Tenant) error {
	rows, err := c.tx.Compartments(t.ID)
	if err != nil {
		return c.unread(ref{keys.TypeTenant, t.ID, ""}, err)
	}
	c.compartments = map[keys.ID]bool{t.ID: true}
	for _, r := range rows {
		c.compartments[r.ID] = true
	}
	for _, r := range rows {
		of := ref{keys.TypeCompartment, r.ID, ""}
		if r.ID != t.ID { // the root, where it is stored, shares its tenant's id
			if err := c.record(of, r.Revision); err != nil {
				return err
			}
		}
		if err := c.expect(of, r.Parent.IsZero() || c.compartments[r.Parent],
			"compartment %s lies in %s, which is not of its tenant", r.ID, r.Parent); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) principals(t *keys.Tenant) error {
	rows, err := c.tx.Principals(t.ID)
	if err != nil {
		return c.unread(ref{keys.TypeTenant, t.ID, ""}, err)
	}
	known := map[keys.ID]bool{}
	for _, p := range rows {
		known[p.ID] = true
		of := ref{keys.TypePrincipal, p.ID, ""}
		if err := c.record(of, p.Revision); err != nil {
			return err
		}
		if err := c.externals(of); err != nil {
			return err
		}
		if err := c.bindings(p); err != nil {
			return err
		}
	}
	credentials, err := c.tx.Credentials(t.ID)
	if err != nil {
		return c.unread(ref{keys.TypeTenant, t.ID, ""}, err)
	}
	for _, r := range credentials {
		of := ref{keys.TypeCredential, r.ID, r.Name}
		if err := c.record(of, r.Revision); err != nil {
			return err
		}
		if err := c.expect(of, known[r.Principal], "credential %s is of principal %s, who is not of its tenant", r.ID, r.Principal); err != nil {
			return err
		}
	}
	if c.o.Visitor == nil {
		return nil
	}
	return c.found(c.o.Visitor.Credentials(t, credentials)...)
}

func (c *checker) bindings(p *identity.Principal) error {
	rows, err := c.tx.Bindings(p.ID)
	if err != nil {
		return c.unread(ref{keys.TypePrincipal, p.ID, ""}, err)
	}
	for _, b := range rows {
		of := ref{keys.TypeBinding, b.ID, ""}
		if err := c.record(of, b.Revision); err != nil {
			return err
		}
		if err := c.expect(of, b.Tenant == p.Tenant, "binding %s is of another tenant than its principal", b.ID); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) aliases(t *keys.Tenant) error {
	var offset int
	for {
		rows, err := c.tx.Aliases(store.AliasQuery{Tenant: t.ID, Offset: offset, Limit: page})
		if err != nil {
			return c.unread(ref{keys.TypeTenant, t.ID, ""}, err)
		}
		for _, a := range rows {
			if err := c.alias(a); err != nil {
				return err
			}
		}
		if offset += len(rows); len(rows) < page {
			return nil
		}
	}
}

func (c *checker) alias(a *keys.Alias) error {
	of := ref{kind: keys.TypeAlias, name: store.AliasName(a.Tenant, a.Region, a.Name)}
	if err := c.record(of, a.Revision); err != nil {
		return err
	}
	c.count(total{keys.TypeAlias, a.Tenant, a.Region, ""})
	k, err := store.LoadKey(c.tx, a.Key)
	if err != nil {
		return c.faultf(of, "%s leads to key %s: %v", of, a.Key, err)
	}
	return c.expect(of, k.Tenant == a.Tenant && k.Region == a.Region, "%s leads to a key elsewhere", of)
}

func (c *checker) work(t *keys.Tenant) error {
	rows, err := c.tx.WorkRequests(store.WorkQuery{Tenant: t.ID})
	if err != nil {
		return c.unread(ref{keys.TypeTenant, t.ID, ""}, err)
	}
	for _, w := range rows {
		of := ref{keys.TypeWork, w.ID, ""}
		if err := c.record(of, w.Revision); err != nil {
			return err
		}
		final := w.Status == keys.WorkSucceeded || w.Status == keys.WorkFailed
		if err := c.expect(of, final == w.Finished() && (w.Status == keys.WorkFailed) == (len(w.Errors) > 0),
			"work request %s is %s, has %d errors, and is finished: %t", w.ID, w.Status, len(w.Errors), w.Finished()); err != nil {
			return err
		}
	}
	return nil
}

// externals checks that the other names of a record lead to it.
func (c *checker) externals(of ref) error {
	external, err := c.tx.ExternalIDs(of.id)
	if err != nil {
		return c.unread(of, err)
	}
	for _, e := range external {
		found := store.ExternalID{Dialect: e.Dialect, Type: e.Type, Tenant: e.Tenant, Region: e.Region, Name: e.Name}
		if err := c.tx.Load(&found); err != nil {
			return c.unread(of, err)
		}
		if err := c.expect(of, found.ID == of.id, "the external id %q of %s leads to %s", e.Name, of, found.ID); err != nil {
			return err
		}
	}
	return nil
}

// replicas checks a tenant's replicas.
func (c *checker) replicas(t *keys.Tenant) error {
	rows, err := c.tx.Replicas(t.ID)
	if err != nil {
		return c.unread(ref{keys.TypeTenant, t.ID, ""}, err)
	}
	for _, r := range rows {
		if err := c.replica(r); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) replica(r *keys.Replica) error {
	c.replicated[r.ID] = r.Vault
	of := ref{keys.TypeReplica, r.ID, ""}
	if err := c.record(of, r.Revision); err != nil {
		return err
	}
	if err := c.endpoint(of, r.Endpoint); err != nil {
		return err
	}
	v, err := store.LoadVault(c.tx, r.Vault)
	if err != nil {
		return c.faultf(of, "%s is of vault %s: %v", of, r.Vault, err)
	}
	if err := c.expect(of, v.Tenant == r.Tenant && v.Region != r.Region, "%s is of another tenant than its vault, or in its region", of); err != nil {
		return err
	}
	if err := c.expect(of, r.State != keys.Deleted || !r.DeleteAt.IsZero(), "%s is deleted at no time", of); err != nil {
		return err
	}
	gone := v.State == keys.Deleted
	return c.expect(of, (r.State == keys.Deleted) == (gone || v.Replica != r.ID), "%s is %s, its vault is %s and says %s", of, r.State, v.State, v.Replica)
}
