// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"time"

	"claviger/internal/identity"
	"claviger/internal/keys"
)

// Call is what a use case knows of the request that asks for it. A dialect makes one with
// [Service.Begin], fills it while it authenticates and decodes, and ends it after the answer
// was written. It belongs to one goroutine.
type Call struct {
	Dialect   string        // also the key of names, as in keys.Profile
	Operation string        // the wire name, for audit, metrics and idempotency
	RequestID string        // as answered to the client
	Batch     string        // the request id of the batch that the call is an item of; "" where it is none
	Source    string        // the client's address
	Region    keys.Region   // the region whose endpoint was called
	Vault     keys.ID       // the vault whose endpoint was called; zero on a region's endpoint
	Replica   keys.ID       // the replica whose endpoint was called: of Vault, in Region; zero elsewhere
	Profile   *keys.Profile // the dialect's numbers

	// Who calls. A dialect sets it to the credential's caller once the signature verified.
	Who *identity.Caller

	// IfMatch, when not empty, is the etag that the thing must still have.
	IfMatch string
	// Token is the idempotency token with the fingerprint of the request; empty means none.
	Token       string
	Fingerprint [32]byte
	// Nonce, when not zero, is recorded by mutations in their transaction, until NonceExpires (request time).
	Nonce        [16]byte
	NonceExpires time.Time
	// Admit, when set, is asked after the idempotency check and before everything else: the
	// dialect's throttle.
	Admit func() error
	// Gate, when set, is asked about each thing that an action reads, uses or changes, once the
	// caller is known to be allowed it and before the lifecycle is looked at: a dialect refuses
	// there what its cloud would refuse at that moment. It may be asked more than once about the
	// same thing, on a goroutine of the store, and must not call the service.
	Gate func(keys.Action, Thing) error
	// Changed, when set, hears what a mutation did, once it is committed and before it is
	// answered; not of a repeat that gets the first answer again.
	Changed func(keys.Action, Thing)
	// Context is free text for the audit log, with no other effect (OCI loggingContext).
	Context map[string]string

	work keys.ID // the work request whose work this is; a mutation then ends it

	recorded bool // a use case or Refused has recorded the call
	told     told // what its answer tells

	held  [8]*entry
	nheld int
	more  []*entry
}

// End releases what the call used. It must come after the answer was written; calling it
// twice is harmless.
func (c *Call) End() {
	for i := range c.nheld {
		c.held[i].release()
		c.held[i] = nil
	}
	c.nheld = 0
	for _, e := range c.more {
		e.release()
	}
	c.more = nil
}

func (c *Call) hold(e *entry) {
	if c.nheld < len(c.held) {
		c.held[c.nheld] = e
		c.nheld++
		return
	}
	c.more = append(c.more, e)
}

// Thing is what an action is about: a vault, a key in it, a version of that; or a vault and its
// replica. What it is not about is nil. The records belong to the service.
type Thing struct {
	Vault   *keys.Vault
	Replica *keys.Replica
	Key     *keys.Key
	Version *keys.Version
}

func (c *Call) gate(act keys.Action, on Thing) error {
	if c.Gate == nil {
		return nil
	}
	return c.Gate(act, on)
}

func (c *Call) changed(act keys.Action, out result) {
	if u, ok := out.(interface{ unchanged() bool }); c.Changed == nil || ok && u.unchanged() {
		return
	}
	if r := out.records(); r.Vault != nil {
		c.Changed(act, Thing{Vault: r.Vault, Replica: r.Replica, Key: r.Key, Version: r.Version})
	}
}

// KeyRef says which key a request means. Exactly one of ID, Alias and External is set.
type KeyRef struct {
	ID       keys.ID
	Alias    string // an alias in Tenant and the call's region
	External string // a name that does not parse as an id of the dialect: tried among external ids
	Tenant   keys.ID
	// Foreign allows a key of another tenant, with a grant; Tenant then names that tenant.
	// Without it only the caller's own keys are found. Tenant zero is the caller's.
	Foreign bool
	// Accept, when set, is asked once the key is loaded; false answers not found. A dialect
	// checks there that the canonical name equals the one sent and that its cloud shows the key.
	Accept func(*keys.Key) bool
	// HideDeleted answers not found for a key that is erased, due to be, or not restored yet.
	HideDeleted bool
}

// VersionRef says which version of a key a request means; the zero value is the primary.
type VersionRef struct {
	ID       keys.ID
	External string
	Accept   func(*keys.Version) bool
	// HideDeleted answers not found for a version that is erased or due to be.
	HideDeleted bool
}

// IsZero reports whether r names no version.
func (r VersionRef) IsZero() bool { return r.ID.IsZero() && r.External == "" }

// VaultRef says which vault a request means: ID, or External as in [KeyRef].
type VaultRef struct {
	ID       keys.ID
	External string
	Accept   func(*keys.Vault) bool
	// HideDeleted answers not found for a vault that is erased or due to be.
	HideDeleted bool
}

// Vault is a vault as seen at one moment. State is the effective one. Busy is BACKUP_IN_PROGRESS
// while a backup of it is made, otherwise ""; it forbids nothing but a second one.
type Vault struct {
	keys.Vault
	State keys.State
	Busy  keys.State
	ETag  string
	// Through is the replica by which the vault is seen: it lies in another region. Nil at home.
	Through *keys.Replica
}

// Key is a key as seen at one moment, in its vault. State and DeleteAt are the effective ones, Busy
// is as in [Vault].
type Key struct {
	keys.Key
	InVault  keys.Vault
	State    keys.State
	Busy     keys.State
	DeleteAt time.Time
	ETag     string
	Through  bool // seen through its vault's replica
}

// RotationSuspended reports whether the key has a rotation policy that the key's or vault's
// state keeps from running.
func (k *Key) RotationSuspended() bool {
	return k.Rotation.Interval != 0 && k.State != keys.Enabled
}

// Version is a key version as seen at one moment, with its key. State is the version's own
// effective state; the key's gate comes on top. Sealed is always nil.
type Version struct {
	keys.Version
	OfKey Key
	State keys.State
	ETag  string
}

// Page asks for one page of a list: by cursor, or by offset where the dialect numbers pages.
type Page struct {
	Limit  int
	Cursor string // from the page before, opaque; "" is the first
	Offset int
	ByName bool // order by name instead of creation
	Desc   bool
}

// List is one page. Next is the cursor of the page after it, "" on the last one. Total is
// the number of all matches and -1 where filters make it unknown without counting.
type List[T any] struct {
	Items []T
	Next  string
	Total int
}
