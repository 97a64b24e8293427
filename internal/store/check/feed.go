// SPDX-License-Identifier: Apache-2.0

package check

import (
	"crypto/sha256"

	"claviger/internal/keys"
	"claviger/internal/store"
)

// ref is a record as the feed names it.
type ref struct {
	kind keys.Type
	id   keys.ID
	name string
}

// mark stands for a ref in a map of many.
type mark [16]byte

func (r ref) mark() mark {
	b := make([]byte, 0, 64)
	b = append(append(b, r.id[:]...), r.kind...)
	sum := sha256.Sum256(append(append(b, ' '), r.name...))
	return mark(sum[:16])
}

func (r ref) String() string {
	switch {
	case r.id.IsZero() && r.kind == "":
		return r.name
	case r.id.IsZero():
		return string(r.kind) + " " + r.name
	}
	return string(r.kind) + " " + r.id.String()
}

func (c *checker) feed() error {
	whole := ref{name: "the change feed"}
	head, err := c.tx.Head()
	if err != nil {
		return err
	}
	c.result.Head = head
	at := int64(0)
	for {
		changes, err := c.tx.Changes(at, page)
		if err != nil {
			return c.unread(whole, err)
		}
		if len(changes) == 0 {
			break
		}
		for _, ch := range changes {
			if err := c.change(ch, &at); err != nil {
				return err
			}
		}
		c.tell(Feed, int(min(at, head.Revision)), int(head.Revision))
		if c.ctx.Err() != nil {
			return c.ctx.Err()
		}
	}
	return c.expect(whole, at == head.Revision, "the change feed ends at revision %d, the head is %d", at, head.Revision)
}

func (c *checker) change(ch store.Change, at *int64) error {
	of := ref{ch.Type, ch.ID, ch.Name}
	c.result.Changes++
	if err := c.expect(of, ch.Revision == *at || ch.Revision == *at+1,
		"the change feed goes from revision %d to %d", *at, ch.Revision); err != nil {
		return err
	}
	*at = ch.Revision
	if err := c.expect(of, c.newest(of) != *at, "revision %d names %s twice", *at, of); err != nil {
		return err
	}
	c.changed(of, *at)
	return nil
}

func (c *checker) events() error {
	whole := ref{name: "the audit events"}
	head := c.result.Head
	var at store.Head
	for {
		events, err := c.tx.Events(at.Events, page)
		if err != nil {
			return c.unread(whole, err)
		}
		if len(events) == 0 {
			break
		}
		for _, e := range events {
			if err := c.expect(whole, e.Sequence == at.Events+1, "audit event %d follows %d", e.Sequence, at.Events); err != nil {
				return err
			}
			if err := c.expect(whole, e.Hash == e.Event.Hash(at.Hash), "audit event %d does not follow from the one before", e.Sequence); err != nil {
				return err
			}
			at.Events, at.Hash = e.Sequence, e.Hash
		}
		c.tell(Events, int(min(at.Events, head.Events)), int(head.Events))
		if c.ctx.Err() != nil {
			return c.ctx.Err()
		}
	}
	return c.expect(whole, at.Events == head.Events && at.Hash == head.Hash,
		"the audit events end at %d, the head is %d, or its hash is another", at.Events, head.Events)
}

// counted checks the counters of one tenant against what was counted in it.
func (c *checker) counted(tenant keys.ID) error {
	for _, kind := range []keys.Type{keys.TypeVault, keys.TypeKey, keys.TypeVersion, keys.TypeAlias} {
		all := 0
		for region := range c.regions {
			here := 0
			for _, spec := range append(keys.Specs(), "") {
				n := c.totals[total{kind, tenant, region, spec}]
				here += n
				if spec == "" {
					continue
				}
				counter := store.Counter{Type: kind, Tenant: tenant, Region: region, Specs: []keys.Spec{spec}}
				if err := c.total(counter, n); err != nil {
					return err
				}
			}
			if err := c.total(store.Counter{Type: kind, Tenant: tenant, Region: region}, here); err != nil {
				return err
			}
			all += here
		}
		if err := c.total(store.Counter{Type: kind, Tenant: tenant}, all); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) total(counter store.Counter, want int) error {
	of := ref{kind: keys.TypeTenant, id: counter.Tenant}
	switch {
	case !counter.Key.IsZero():
		of = ref{kind: keys.TypeKey, id: counter.Key}
	case !counter.Vault.IsZero():
		of = ref{kind: keys.TypeVault, id: counter.Vault}
	}
	got, err := c.tx.Count(counter)
	if err != nil {
		return c.unread(of, err)
	}
	return c.expect(of, got == want, "the total of each %s of %s in region %q with spec %v and protection %q is %d, there are %d",
		counter.Type, of, counter.Region, counter.Specs, counter.Protection, got, want)
}

func (c *checker) count(t total) {
	c.regions[t.region] = true
	c.totals[t]++
}

// countedIn checks the counters of one vault.
func (c *checker) countedIn(vault keys.ID) error {
	for _, kind := range []keys.Type{keys.TypeKey, keys.TypeVersion} {
		for _, protection := range []keys.Protection{keys.Software, keys.HSM} {
			all := 0
			for _, spec := range keys.Specs() {
				n := c.inVaults[vaultTotal{kind, vault, protection, spec}]
				all += n
				err := c.total(store.Counter{Type: kind, Vault: vault, Protection: protection, Specs: []keys.Spec{spec}}, n)
				if err != nil {
					return err
				}
			}
			if err := c.total(store.Counter{Type: kind, Vault: vault, Protection: protection}, all); err != nil {
				return err
			}
		}
	}
	return nil
}
