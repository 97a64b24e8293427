// SPDX-License-Identifier: Apache-2.0

// Package store is the contract between the service and its database. A store sees sealed
// bytes only. It has no behaviour of its own beyond what is said here, and every
// implementation passes the suite in storetest.
//
// A mutation is one function run inside one transaction. It may be run again after a
// conflict, so it touches nothing but its [Tx]. What it wrote is either all there or not at
// all, has one revision, and is announced to the [Observer] in the order of revisions.
package store

import (
	"context"
	"errors"
	"time"

	"claviger/internal/audit"
	"claviger/internal/identity"
	"claviger/internal/keys"
)

// The errors of every store. The service translates them once.
var (
	ErrNotFound = errors.New("no such record")
	ErrExists   = errors.New("record exists")
	ErrConflict = errors.New("record was changed by another transaction")
	// ErrUnknown says that a commit was sent and its outcome could not be learned: the
	// change may or may not be there.
	ErrUnknown = errors.New("outcome of the commit is unknown")
	ErrClosed  = errors.New("store is closed")
	// ErrAway says that the database cannot be reached or does not answer in time, ErrFull that
	// it has no room for the change, ErrReadOnly that it takes none. The change was not made.
	ErrAway     = errors.New("the database does not answer")
	ErrFull     = errors.New("the database has no room")
	ErrReadOnly = errors.New("the database is read-only")
)

// Store is a database of records.
type Store interface {
	// View runs fn on a consistent snapshot. Writing in it is an error. While fn runs it
	// must not wait for an Update or another View: some stores let no transaction commit
	// until the view is over.
	View(ctx context.Context, fn func(Tx) error) error

	// Update runs fn in a transaction that may be committed together with others (group
	// commit). When it returns nil the change is durable, the observer has been told and
	// its wait is over. An error of fn undoes fn's writes only and is returned as it is; a
	// panic of fn is such an error, and logged. fn may be run more than once, also because
	// another of its group failed: only its last run counts, and an error of Put may show in
	// that alone. A failed commit fails every transaction of its group with ErrUnknown. A ctx that ends before fn was started withdraws it, with
	// the context's error; after that the transaction goes on and ctx ends only the
	// waiting, with ErrUnknown: what fn touches is then still the store's. A transaction that is
	// undone, to be run again or for good, gives the records that it put the revisions back that they had. fn runs on a goroutine of the store and must not call
	// the store. The revision is 0 when fn wrote no record that is announced.
	Update(ctx context.Context, fn func(Tx) error) (revision int64, err error)

	// Observe sets the one observer. It is called before the first Update.
	Observe(Observer)

	// Fleet is what processes that share the database know of each other; nil where this
	// process alone has it.
	Fleet() Fleet

	// Scrub makes the remains of records erased so far unreadable in the store's files.
	Scrub(ctx context.Context) error

	// Rest gives back the memory that connections keep which nobody uses at the moment. The
	// next that need one wait for it to be opened.
	Rest()

	// Ping reports whether the store answers.
	Ping(ctx context.Context) error

	// Close finishes the transactions under way and releases the store.
	Close() error
}

// Change says that a record was written or deleted by the transaction with this revision.
type Change struct {
	Revision int64
	Type     keys.Type
	ID       keys.ID // for aliases the zero ID, for a KEK its owner's
	Name     string  // for aliases AliasName, for credentials their name; otherwise ""
}

// Observer hears of commits.
type Observer interface {
	// Committed is called in the order of revisions, for each once, after the commit and before its
	// Update returns, within the store's own work: it must be quick and must not call the store. A
	// panic in it ends the process, since what is remembered could no longer be trusted. The
	// store calls wait, when it is not nil, on the goroutine of the Update, which returns
	// after it.
	Committed(changes []Change) (wait func())
	// Unknown is called when a commit's outcome is unknown: what is remembered of these
	// records must be read again before use.
	Unknown(changes []Change)
}

// Record is a pointer to one of the stored types: *keys.Tenant, *keys.Compartment,
// *keys.Vault, *keys.Replica, *keys.Key, *keys.Version, *keys.Alias, *keys.Grant,
// *keys.WorkRequest, *identity.Principal, *identity.Binding, *identity.CredentialRow, *KEK,
// *Setting, *ExternalID, *Token, *Nonce.
type Record any

// Tx is one transaction.
type Tx interface {
	// Revision is what this transaction's changes will be numbered; 0 in View.
	Revision() int64
	// Head is how far the store has come, without this transaction's own part.
	Head() (Head, error)

	// Load fills rec from the record with the same identity: its ID; for an alias tenant,
	// region and name; for a credential its ID or, when that is zero, kind and name; for a
	// principal its ID or, when that is zero, tenant and name; for a KEK owner and generation (0: the newest); for a setting its name; for a token
	// principal, operation and token; for an external id dialect, type, tenant, region and name.
	Load(rec Record) error
	// Put inserts a record whose revision is 0 (ErrExists when its identity or unique name is
	// taken) or replaces the one with rec's revision (ErrConflict when that is no longer the
	// stored one). It sets rec's revision. Records without a revision are inserted, or
	// replaced where they are settings.
	//
	// What says whose and what kind a record is stays as it was inserted, as do its creation
	// time, an ordinal and a credential's name: changing them is an error. A vault, key or
	// version that is PENDING_DELETION or DELETED, and a replica that is DELETED, has a DeleteAt,
	// which for a tombstone is when it was erased. A DELETED one stays so; a version then has neither Sealed nor Fingerprint,
	// a vault or key no Tags. A version that is PENDING_IMPORT has no Sealed. A vault or key that is
	// RESTORING has a DeleteAt too: from then on what is there of it is due to be removed.
	// An endpoint is unique among vaults and replicas together.
	// A record's parents (tenant, vault, key, principal) are put before it.
	Put(rec Record) error
	// Reseal changes how a record is sealed and nothing that callers see of it, so that its revision
	// stays: of a *keys.Version Sealed and Fingerprint, of a *identity.CredentialRow Sealed and MAC, both with their
	// KEKGeneration; of a *keys.Vault or *keys.Tenant the KEKGeneration under which new things
	// are sealed, which is announced as [keys.TypeKEK]; of a *KEK Root and Sealed. ErrConflict when rec's revision is
	// not the stored one, or rec's KEKGeneration not newer than the stored one. From the first
	// change of a vault's or tenant's on, releases that do not know of it are refused.
	Reseal(rec Record) error
	// Delete removes the record with rec's identity, and is not an error when there is none.
	// Its children are deleted before it.
	Delete(rec Record) error

	Tenants() ([]*keys.Tenant, error)
	Compartments(tenant keys.ID) ([]*keys.Compartment, error)
	Principals(tenant keys.ID) ([]*identity.Principal, error)
	Credentials(tenant keys.ID) ([]*identity.CredentialRow, error)
	Bindings(principal keys.ID) ([]*identity.Binding, error)
	Grants(key keys.ID) ([]*keys.Grant, error)
	ExternalIDs(id keys.ID) ([]*ExternalID, error)
	Vaults(VaultQuery) ([]*keys.Vault, error)
	// Replicas lists a tenant's replicas of vaults, or everybody's for the zero ID, tombstones
	// included, in the order of their creation.
	Replicas(tenant keys.ID) ([]*keys.Replica, error)
	Keys(KeyQuery) ([]*keys.Key, error)
	Versions(VersionQuery) ([]*keys.Version, error)
	Aliases(AliasQuery) ([]*keys.Alias, error)
	WorkRequests(WorkQuery) ([]*keys.WorkRequest, error)

	// Count is a total kept by the mutations, not by counting rows.
	Count(Counter) (int, error)
	// Due lists what is scheduled at or before the given time, earliest first.
	Due(before time.Time, limit int) ([]Due, error)
	// Expire deletes up to limit tokens, nonces, work requests and tombstones whose time is
	// over, and tells how many. A tombstone takes its external ids, grants, aliases and KEKs with it, and
	// stays while it has children.
	Expire(until Expiry, limit int) (int, error)
	// Changes lists the change feed after a revision, in order. It ends with the transaction
	// that reaches limit, which is never cut; a zero limit means none.
	Changes(after int64, limit int) ([]Change, error)

	// Record adds an audit event to the transaction, chained to the one before.
	Record(audit.Event) error
	// Events lists audit events after a sequence number, in order; a zero limit means none.
	Events(after int64, limit int) ([]StoredEvent, error)
}

// AliasName is the Name of an alias's [Change].
func AliasName(tenant keys.ID, region keys.Region, name string) string {
	return tenant.String() + " " + string(region) + " " + name
}
