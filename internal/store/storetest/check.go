// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"errors"
	"fmt"

	"claviger/internal/keys"
	"claviger/internal/store"
)

const (
	checkPage = 1000 // records read at a time
	maxFaults = 20   // after which a check gives up
)

// Check reads a whole store in one view and reports every broken invariant, up to twenty:
//
//   - The change feed has every revision from 1 to the head, names each record once per
//     revision, and names every record last at the record's own revision.
//   - The audit events are dense from 1, each hash follows from the one before, and the last
//     is the head's.
//   - No two records share an ID, and every record's parents exist in its tenant and region.
//   - Tombstones have a time and neither sealed material nor its fingerprint nor tags; whatever
//     is pending deletion has a time; live versions have sealed material, unless they wait for
//     it to be imported again, and then its fingerprint.
//   - A live key's versions have ordinals up to its number of versions, dense but for those
//     erased, and its primary version is its own and enabled; or waiting for its material with
//     its key; or erased, where the key or its vault is pending deletion: an erasure may be half
//     done.
//   - A vault's replica is one of its own, in another region; a replica that its vault does not
//     name, or whose vault is erased, is a tombstone.
//   - Every counter equals the counted rows without hidden keys, and what is due is what the
//     rows say.
func Check(ctx context.Context, s store.Store) error {
	c := checker{
		last: map[change]int64{}, ids: map[keys.ID]string{}, regions: map[keys.Region]bool{},
		totals: map[total]int{}, inVaults: map[vaultTotal]int{}, due: map[store.Due]bool{}, replicated: map[keys.ID]keys.ID{},
	}
	err := s.View(ctx, func(tx store.Tx) error {
		c.tx = tx
		for _, step := range []func() error{c.feed, c.events, c.tenants, c.schedule} {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		c.faults = append(c.faults, fmt.Errorf("check the store: %w", err))
	}
	return errors.Join(c.faults...)
}

var errEnough = errors.New("too many faults")

// change is a record as the feed names it.
type change struct {
	kind keys.Type
	id   keys.ID
	name string
}

// total is what a counter counts.
type total struct {
	kind   keys.Type
	tenant keys.ID
	region keys.Region
	spec   keys.Spec // of keys and versions
}

// vaultTotal is what a counter of a vault counts.
type vaultTotal struct {
	kind       keys.Type
	vault      keys.ID
	protection keys.Protection
	spec       keys.Spec
}

type checker struct {
	tx       store.Tx
	faults   []error
	last     map[change]int64   // record → revision of its newest change
	ids      map[keys.ID]string // id → what has it
	regions  map[keys.Region]bool
	totals   map[total]int      // what the counters should be
	inVaults map[vaultTotal]int // and those of vaults
	due      map[store.Due]bool

	replicated map[keys.ID]keys.ID // replica → its vault
}

// faultf notes a broken invariant; the error tells the check to stop.
func (c *checker) faultf(form string, args ...any) error {
	c.faults = append(c.faults, fmt.Errorf(form, args...))
	if len(c.faults) >= maxFaults {
		return errEnough
	}
	return nil
}

// expect notes a broken invariant unless it holds.
func (c *checker) expect(holds bool, form string, args ...any) error {
	if holds {
		return nil
	}
	return c.faultf(form, args...)
}

func (c *checker) feed() error {
	head, err := c.tx.Head()
	if err != nil {
		return err
	}
	at := int64(0)
	for {
		changes, err := c.tx.Changes(at, checkPage)
		if err != nil {
			return err
		}
		if len(changes) == 0 {
			break
		}
		for _, ch := range changes {
			if ch.Revision != at && ch.Revision != at+1 {
				if err := c.faultf("the change feed goes from revision %d to %d", at, ch.Revision); err != nil {
					return err
				}
			}
			at = ch.Revision
			ref := change{ch.Type, ch.ID, ch.Name}
			if c.last[ref] == at {
				if err := c.faultf("revision %d names %s twice", at, ref); err != nil {
					return err
				}
			}
			c.last[ref] = at
		}
	}
	return c.expect(at == head.Revision, "the change feed ends at revision %d, the head is %d", at, head.Revision)
}

func (r change) String() string {
	if r.id.IsZero() {
		return string(r.kind) + " " + r.name
	}
	return string(r.kind) + " " + r.id.String()
}

func (c *checker) events() error {
	head, err := c.tx.Head()
	if err != nil {
		return err
	}
	var at store.Head
	for {
		events, err := c.tx.Events(at.Events, checkPage)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			break
		}
		for _, e := range events {
			if err := c.expect(e.Sequence == at.Events+1, "audit event %d follows %d", e.Sequence, at.Events); err != nil {
				return err
			}
			if err := c.expect(e.Hash == e.Event.Hash(at.Hash), "audit event %d does not follow from the one before", e.Sequence); err != nil {
				return err
			}
			at.Events, at.Hash = e.Sequence, e.Hash
		}
	}
	return c.expect(at.Events == head.Events && at.Hash == head.Hash,
		"the audit events end at %d, the head is %d, or its hash is another", at.Events, head.Events)
}

// record checks what holds for every announced record.
func (c *checker) record(ref change, revision int64) error {
	if err := c.expect(revision > 0 && c.last[ref] == revision,
		"%s has revision %d, its last change is %d", ref, revision, c.last[ref]); err != nil {
		return err
	}
	if ref.id.IsZero() {
		return c.expect(ref.name != "", "a %s has neither id nor name", ref.kind)
	}
	other, taken := c.ids[ref.id]
	c.ids[ref.id] = ref.String()
	return c.expect(!taken, "%s has the id of %s", ref, other)
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
	got, err := c.tx.Count(counter)
	if err != nil {
		return err
	}
	return c.expect(got == want, "the total of %+v is %d, there are %d", counter, got, want)
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

// schedule compares what is due with what the rows said.
func (c *checker) schedule() error {
	listed, err := c.tx.Due(farFuture, 0)
	if err != nil {
		return err
	}
	for i, d := range listed {
		if i > 0 && d.At.Before(listed[i-1].At) {
			if err := c.faultf("what is due is not in order: %s after %s", d.At, listed[i-1].At); err != nil {
				return err
			}
		}
		if err := c.expect(c.due[d], "%s of %s is due at %s, which no record says", d.Kind, d.ID, d.At); err != nil {
			return err
		}
		delete(c.due, d)
	}
	for d := range c.due {
		if err := c.faultf("%s of %s at %s is not among what is due", d.Kind, d.ID, d.At); err != nil {
			return err
		}
	}
	return nil
}
