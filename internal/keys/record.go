// SPDX-License-Identifier: Apache-2.0

package keys

import "time"

// Every time in a record is UTC with microsecond precision; the zero time means none.
// Revision is the store's number of the change that last wrote the record, strictly
// increasing over the whole store: it is what clients see as an etag. A record with
// revision 0 was never stored.

// Names are a record's names in the dialects that gave it one of its own, such as a
// tenancy OCID or an account number: dialect → name.
type Names map[string]string

// Tags are a resource's labels. Plain holds flat pairs; Namespaced holds pairs by namespace
// (OCI's defined tags), which other clouds do not show.
type Tags struct {
	Plain      map[string]string
	Namespaced map[string]map[string]string
}

// Region is the core's name of a place where keys live. A dialect has its own name for it.
type Region string

// Tenant owns everything below it: an OCI tenancy and an Alibaba account are two names of one.
type Tenant struct {
	ID    ID
	Name  string // for people, unique
	Names Names
	// KEKGeneration is that of the tenant's KEK under which new things are sealed.
	KEKGeneration int
	CreatedAt     time.Time
	Revision      int64
}

// Compartment is a folder of a tenant's resources. The root compartment has its tenant's ID.
type Compartment struct {
	ID, Tenant, Parent ID
	Name               string
	Names              Names
	CreatedAt          time.Time
	Revision           int64
}

// VaultKind tells how a vault is set apart from others.
type VaultKind string

// The vault kinds.
const (
	SharedVault  VaultKind = "SHARED"
	PrivateVault VaultKind = "PRIVATE"
)

// Vault is a named set of keys of one tenant in one region.
type Vault struct {
	ID, Tenant, Compartment ID
	Region                  Region
	Name                    string
	Kind                    VaultKind
	Default                 bool      // keys created with no vault go here; one per tenant and region
	Endpoint                string    // what tells this vault's base URL apart: a port number or a host label; see the server
	State                   State     // as stored; see Effective
	DeleteAt                time.Time // while RESTORING: when the restore counts as given up
	Replica                 ID        // the vault's replica; zero while it has none
	Fleet                   string    // whose clients reach the vault by mutual TLS; "" for nobody's
	KEKGeneration           int       // of the vault's KEK, under which new material is sealed
	Tags                    Tags
	Restored                *Restoration // nil if it was never restored
	CreatedAt               time.Time
	Revision                int64
}

// Effective is the state at now: a vault whose retention is over is deleted, swept or not.
func (v *Vault) Effective(now time.Time) State {
	if v.State == PendingDeletion && due(v.DeleteAt, now) {
		return Deleted
	}
	return v.State
}

// Rotation is a key's policy of making new versions by the clock. The zero value is off.
type Rotation struct {
	Interval time.Duration // 0: off
	Start    time.Time     // the grid's first point; the zero time is the last version's creation
	Next     time.Time     // when the next version is made, suspended or not; zero when off
	Last     time.Time     // when the schedule last ran
	Status   string        // of the last run: "", "SUCCESS", "FAILED"
	Message  string        // of the last run
}

// Key is a named thing whose versions hold the key material.
type Key struct {
	ID, Tenant, Compartment, Vault ID
	Region                         Region
	Name                           string // display name; may be empty
	Description                    string
	Spec                           Spec
	Usages                         Usage
	Origin                         Origin
	Protection                     Protection
	State                          State     // as stored; see Effective
	Before                         State     // the state before the deletion was scheduled; "" otherwise
	DeleteAt                       time.Time // while RESTORING: when the restore counts as given up
	Primary                        ID        // the version that new work uses; zero while there is none
	Versions                       int       // the highest ordinal given out; ordinals are dense from 1
	Erased                         int       // how many of the versions are erased
	LastVersionAt                  time.Time // when the newest version was made
	Rotation                       Rotation
	DeletionProtected              bool
	DeletionProtection             string    // the description given with the protection
	MaterialExpiresAt              time.Time // when the imported material is over, or was; zero: never
	Hidden                         bool      // the server's own: neither listed nor counted, see WrappingKeyID
	Tags                           Tags
	Creator                        ID           // principal
	Restored                       *Restoration // nil if it was never restored
	CreatedAt                      time.Time
	Revision                       int64
}

// Effective is the key's state at now inside vault v: the gate of key and vault, derived and
// never stored. A key scheduled on its own keeps its own state; in a vault pending deletion
// every other key is pending too; after the retention it is deleted, swept or not. In a vault
// that is being restored every key is. One whose material is over waits for it to be imported again.
func (k *Key) Effective(v *Vault, now time.Time) State {
	switch {
	case k.State == Restoring, v.State == Restoring:
		return Restoring
	case k.State == Deleted, k.State == PendingDeletion && due(k.DeleteAt, now):
		return Deleted
	case v.Effective(now) == Deleted:
		return Deleted
	case k.State == PendingDeletion, v.State == PendingDeletion:
		return PendingDeletion
	case k.MaterialOver(now):
		return PendingImport
	}
	return k.State
}

// MaterialOver reports whether the key's imported material has come to its time.
func (k *Key) MaterialOver(now time.Time) bool { return due(k.MaterialExpiresAt, now) }

// EffectiveDeleteAt is when the key will be erased, by its own schedule or its vault's; zero
// when it is not scheduled. The earlier of the two acts.
func (k *Key) EffectiveDeleteAt(v *Vault) time.Time {
	own, vaults := time.Time{}, time.Time{}
	if k.State == PendingDeletion || k.State == Deleted {
		own = k.DeleteAt
	}
	if v.State == PendingDeletion || v.State == Deleted {
		vaults = v.DeleteAt
	}
	if own.IsZero() || (!vaults.IsZero() && vaults.Before(own)) {
		return vaults
	}
	return own
}

// Version is one generation of a key's material. Ordinals count from 1 in order of creation.
type Version struct {
	ID, Tenant, Vault, Key ID
	Region                 Region
	Ordinal                int
	State                  State // as stored; see Effective
	DeleteAt               time.Time
	Origin                 Origin
	AutoRotated            bool
	PublicKey              []byte // DER SubjectPublicKeyInfo (RFC 5280 §4.1.2.7); nil for symmetric specs
	Sealed                 []byte // the material under the vault's KEK; nil after erasure, and while it waits for import
	Fingerprint            []byte // of imported material, under the vault's KEK: only the same may be imported again; else nil
	KEKGeneration          int
	Restored               *Restoration // nil if it was never restored
	CreatedAt              time.Time
	Revision               int64
}

// Effective is the version's own state at now. Its key's and vault's gates come on top.
func (v *Version) Effective(now time.Time) State {
	if v.State == PendingDeletion && due(v.DeleteAt, now) {
		return Deleted
	}
	return v.State
}

// Restoration says that a record came from a backup.
type Restoration struct {
	From ID // the record that the backup was made of
	At   time.Time
}

// Alias is a second name of a key, unique in its tenant and region.
type Alias struct {
	Tenant    ID
	Region    Region
	Name      string // with the dialect's prefix, such as "alias/app"
	Key       ID
	CreatedAt time.Time
	Revision  int64
}

// Grant opens a key to another tenant.
type Grant struct {
	ID, Tenant, Key ID
	Grantee         ID // tenant
	Actions         []Action
	CreatedAt       time.Time
	Revision        int64
}

func due(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }
