// SPDX-License-Identifier: Apache-2.0

// Package check reads a whole store and says which invariants of it do not hold. It knows the
// records and how they belong together; what is sealed in them is its [Visitor]'s to open.
package check

import (
	"context"
	"errors"
	"fmt"
	"time"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// page is how many records are read at a time.
const page = 1000

// Fault is one invariant that does not hold.
type Fault struct {
	Type keys.Type // of the record; "" where it is of the whole store
	ID   keys.ID   // of the record; zero for those that have none
	Name string    // of an alias or credential
	Text string    // what is wrong, with the record's name in it and never a secret
}

// Visitor looks further into records than the check does. Each method answers what is wrong.
type Visitor interface {
	// Begin is told what tenants there are, before anything in them.
	Begin(store.Tx, []*keys.Tenant) ([]Fault, error)
	// Vault sees a vault before its keys.
	Vault(store.Tx, *keys.Vault) ([]Fault, error)
	// Versions sees versions of one key.
	Versions(*keys.Vault, *keys.Key, []*keys.Version) []Fault
	// Credentials sees the credentials of a tenant.
	Credentials(*keys.Tenant, []*identity.CredentialRow) []Fault
}

// Stage is a part of the work.
type Stage string

// The stages, in their order.
const (
	Feed    Stage = "change feed"
	Events  Stage = "audit events"
	Records Stage = "records"
	Files   Stage = "database files" // by the database itself, after the check
)

// Progress hears how far a stage has come. It is called on the goroutine of the check.
type Progress func(stage Stage, done, total int)

// Options says how to check. The zero value looks at the records alone and gives up after twenty faults.
type Options struct {
	Visitor  Visitor  // may be nil
	Progress Progress // may be nil
	Limit    int      // faults after which the check ends; 0: 20
}

// Result is what a check found.
type Result struct {
	Head    store.Head        // what the store had come to
	Records map[keys.Type]int // how many records were read, tombstones included
	Changes int
	Faults  []Fault
	Ended   bool // there were so many faults that the check ended early
}

// Run checks a whole store in the view tx:
//
//   - The change feed has every revision from 1 to the head, names each record once per
//     revision, and names every record last at the record's own revision.
//   - The audit events are dense from 1, each hash follows from the one before, and the last
//     is the head's.
//   - No two records share an ID, no two vaults or replicas an endpoint, and every record's
//     parents exist in its tenant and region; what an alias, a binding, a grant or an external id
//     leads to is there.
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
//
// It keeps 40 to 90 bytes for each key and version in memory, garbage included, and some more for other records. A record that cannot be read is a fault; the
// error is of a database that does not answer, or of ctx.
func Run(ctx context.Context, tx store.Tx, o Options) (*Result, error) {
	if o.Limit == 0 {
		o.Limit = 20
	}
	c := checker{
		ctx: ctx, tx: tx, o: o, result: &Result{Records: map[keys.Type]int{}},
		last: map[mark]int64{}, ids: map[keys.ID]keys.Type{}, many: map[keys.ID]seen{}, regions: map[keys.Region]bool{}, endpoints: map[string]bool{},
		totals: map[total]int{}, inVaults: map[vaultTotal]int{}, due: map[store.Due]bool{}, replicated: map[keys.ID]keys.ID{},
	}
	for _, step := range []func() error{c.feed, c.events, c.tenants, c.schedule} {
		err := step()
		if errors.Is(err, errEnough) {
			c.result.Ended = true
			break
		}
		if err != nil {
			return c.result, err
		}
	}
	return c.result, nil
}

var errEnough = errors.New("too many faults")

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
	ctx    context.Context
	tx     store.Tx
	o      Options
	result *Result

	last map[mark]int64        // record → revision of its newest change; of all but keys and versions
	ids  map[keys.ID]keys.Type // that were read; of all but keys and versions
	many map[keys.ID]seen      // keys and versions, which may be millions

	regions   map[keys.Region]bool
	endpoints map[string]bool
	totals    map[total]int      // what the counters should be
	inVaults  map[vaultTotal]int // and those of vaults
	due       map[store.Due]bool

	replicated map[keys.ID]keys.ID // replica → its vault

	// Of the tenant whose records are read.
	compartments map[keys.ID]bool

	read, expected int // records, for the progress
}

// faultf notes a broken invariant of a record; the error tells the check to stop.
func (c *checker) faultf(of ref, form string, args ...any) error {
	return c.found(Fault{Type: of.kind, ID: of.id, Name: of.name, Text: fmt.Sprintf(form, args...)})
}

func (c *checker) found(faults ...Fault) error {
	for _, f := range faults {
		if len(c.result.Faults) >= c.o.Limit {
			return errEnough
		}
		c.result.Faults = append(c.result.Faults, f)
	}
	return nil
}

// expect notes a broken invariant unless it holds.
func (c *checker) expect(of ref, holds bool, form string, args ...any) error {
	if holds {
		return nil
	}
	return c.faultf(of, form, args...)
}

// unread notes records that cannot be read. The check goes on, unless the whole view is over.
func (c *checker) unread(of ref, err error) error {
	if err == nil {
		return nil
	}
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	if _, headErr := c.tx.Head(); headErr != nil {
		return err
	}
	return c.faultf(of, "read %s: %v", of, err)
}

func (c *checker) tell(stage Stage, done, total int) {
	if c.o.Progress != nil {
		c.o.Progress(stage, done, total)
	}
}

// record checks what holds for every announced record.
func (c *checker) record(of ref, revision int64) error {
	c.result.Records[of.kind]++
	c.read++
	if c.read%page == 0 {
		if c.ctx.Err() != nil {
			return context.Cause(c.ctx)
		}
		c.tell(Records, c.read, max(c.read+1, c.expected))
	}
	last := c.newest(of)
	if err := c.expect(of, revision > 0 && last == revision, "%s has revision %d, its last change is %d", of, revision, last); err != nil {
		return err
	}
	if of.id.IsZero() {
		return c.expect(of, of.name != "", "a %s has neither id nor name", of.kind)
	}
	other, taken := c.take(of)
	return c.expect(of, !taken, "%s has the id of another record, a %s", of, other)
}

// endpoint checks that nothing else has a vault's or replica's endpoint.
func (c *checker) endpoint(of ref, endpoint string) error {
	taken := c.endpoints[endpoint]
	c.endpoints[endpoint] = endpoint != ""
	return c.expect(of, !taken, "%s has the endpoint %s, which is another's too", of, endpoint)
}

// farFuture is later than anything is scheduled, and still a time that stores can keep.
var farFuture = time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)

// schedule compares what is due with what the rows said.
func (c *checker) schedule() error {
	c.tell(Records, max(c.read, c.expected), max(c.read, c.expected))
	listed, err := c.tx.Due(farFuture, 0)
	if err != nil {
		return c.unread(ref{name: "what is due"}, err)
	}
	for i, d := range listed {
		of := ref{kind: typeOf(d.Kind), id: d.ID}
		if i > 0 {
			if err := c.expect(of, !d.At.Before(listed[i-1].At), "what is due is not in order: %s after %s", d.At, listed[i-1].At); err != nil {
				return err
			}
		}
		if err := c.expect(of, c.due[d], "%s of %s is due at %s, which no record says", d.Kind, d.ID, d.At); err != nil {
			return err
		}
		delete(c.due, d)
	}
	for d := range c.due {
		of := ref{kind: typeOf(d.Kind), id: d.ID}
		if err := c.faultf(of, "%s of %s at %s is not among what is due", d.Kind, d.ID, d.At); err != nil {
			return err
		}
	}
	return nil
}

func typeOf(k store.DueKind) keys.Type {
	switch k {
	case store.EraseVault, store.DropVault:
		return keys.TypeVault
	case store.EraseVersion:
		return keys.TypeVersion
	case store.EraseKey, store.ExpireMaterial, store.RotateKey, store.DropKey:
		return keys.TypeKey
	}
	return ""
}
