// SPDX-License-Identifier: Apache-2.0

package store

import (
	"time"

	"claviger/internal/audit"
	"claviger/internal/keys"
)

// KEK is a key-encryption key, sealed by the level above it in the hierarchy. Generations
// count from 1.
type KEK struct {
	Owner      keys.ID // a tenant or vault; the zero ID is the system's
	Generation int
	Root       string // what sealed it: the ID of a root key, or the generation of the KEK above; "" is the first
	Sealed     []byte
	CreatedAt  time.Time
}

// Setting is one named value that belongs to the whole store.
type Setting struct{ Name, Value string }

// ExternalID is another name of a record, carried over from a cloud or given by a dialect.
type ExternalID struct {
	Dialect string
	Type    keys.Type
	Tenant  keys.ID     // zero for names that are unique everywhere, such as a tenant's own
	Region  keys.Region // "" for names that are not regional
	Name    string
	ID      keys.ID
}

// Token is what is remembered of a mutation that carried an idempotency token.
type Token struct {
	Principal   keys.ID
	Operation   string
	Token       string
	Fingerprint [32]byte
	Type        keys.Type // of the result
	Result      []byte    // the result without any secret, as the service encodes it
	ID          keys.ID   // of the result
	ExpiresAt   time.Time // domain time
}

// Nonce is a keyed hash of a signature nonce that a mutation used.
type Nonce struct {
	Hash      [16]byte
	ExpiresAt time.Time // request time
}

// Sort orders a list.
type Sort string

// The orders. Ties are broken by ID.
const (
	ByCreation Sort = "created"
	ByName     Sort = "name"
)

// Page cuts a list. After is a keyset mark (exclusive) and costs the same on every page;
// Offset skips rows, counted after the filters. A zero Limit means no limit.
type Page struct {
	Sort   Sort // "" is ByCreation
	Desc   bool
	After  *Mark
	Offset int
	Limit  int
}

// Mark is the position of the last record of a page in its order.
type Mark struct {
	Time time.Time
	Name string
	ID   keys.ID
}

// VaultQuery selects vaults; zero fields select everything.
type VaultQuery struct {
	Tenant      keys.ID
	Region      keys.Region
	ReplicaIn   keys.Region // vaults whose replica is there
	Compartment keys.ID
	OnlyDefault bool
	HideDeleted bool
	Page        Page
}

// KeyQuery selects keys; zero fields select everything.
type KeyQuery struct {
	Tenant      keys.ID
	Region      keys.Region
	Vault       keys.ID
	Compartment keys.ID
	Specs       []keys.Spec
	Protection  keys.Protection
	State       keys.State // as stored
	Protected   bool       // only those with deletion protection
	HideDeleted bool
	WithHidden  bool // hidden keys too
	Page        Page
}

// VersionQuery selects the versions of one key, in the order of their ordinals. The first page
// costs what any other does, by AfterOrdinal always and by Offset while the key has no erased version.
type VersionQuery struct {
	Key          keys.ID
	HideDeleted  bool
	Desc         bool
	AfterOrdinal int // exclusive; 0 starts at the end that Desc tells
	Offset       int // rows to skip; by ordinal, at no cost, while the key's Erased is 0
	Limit        int
}

// AliasQuery selects aliases in the order of their creation, then name; zero fields select everything.
type AliasQuery struct {
	Tenant keys.ID
	Region keys.Region
	Key    keys.ID
	Offset int
	Limit  int
}

// WorkQuery selects work requests in the order of their creation; zero fields select everything.
type WorkQuery struct {
	Tenant      keys.ID
	Region      keys.Region
	Compartment keys.ID
	Unfinished  bool
	Page        Page // always by creation
}

// Counter names a total: of live (not deleted) vaults, keys, versions or aliases in a tenant
// and region ("": all regions), for keys and versions only those of the listed specs (none
// listed: all); of a key's aliases when Key is set; of a vault's keys or versions of one protection
// when Vault is set. What is due but not yet erased is live. Hidden keys and their versions are
// not counted.
type Counter struct {
	Type       keys.Type
	Tenant     keys.ID
	Region     keys.Region
	Specs      []keys.Spec
	Key        keys.ID
	Vault      keys.ID
	Protection keys.Protection
}

// DueKind tells what is scheduled.
type DueKind string

// What can be scheduled.
const (
	EraseVault   DueKind = "erase-vault"
	EraseKey     DueKind = "erase-key"
	EraseVersion DueKind = "erase-version"
	// ExpireMaterial is imported material whose time is over: of a key that is not erased and
	// still has it.
	ExpireMaterial DueKind = "expire-material"
	RotateKey      DueKind = "rotate-key"
	// What a restore left behind that made no progress until its time: it is removed.
	DropVault DueKind = "drop-vault"
	DropKey   DueKind = "drop-key"
)

// Due is one scheduled event.
type Due struct {
	At       time.Time
	Kind     DueKind
	ID       keys.ID
	Revision int64 // of the row, for compare-and-swap
}

// Expiry tells Expire how far time has come. A zero time leaves its kind alone.
type Expiry struct {
	Domain     time.Time // tokens that end at or before it are over
	Request    time.Time // nonces that end at or before it are over
	Work       time.Time // work requests that were finished before it are forgotten
	Tombstones time.Time // what was erased before it is forgotten
}

// Head is how far a store has come.
type Head struct {
	Revision int64    // of the newest change
	Events   int64    // sequence number of the newest audit event
	Hash     [32]byte // of that event; zero when there is none
}

// StoredEvent is an audit event as the store chained it.
type StoredEvent struct {
	Sequence int64
	Event    audit.Event
	Hash     [32]byte
}
