// SPDX-License-Identifier: Apache-2.0

// Package identity says who calls and what they may do. A [Principal] belongs to one
// tenant, proves itself with a [Credential], and holds roles on its tenant or on single
// vaults; a grant opens a key to another tenant. Every action, reads included, passes
// through one door, [Caller.May]. Dialects never see a secret: they hand what was signed
// to the credential, which answers yes or no.
package identity

import (
	"time"

	"claviger/internal/keys"
)

// Principal is somebody or something that calls.
type Principal struct {
	ID, Tenant keys.ID
	Name       string // for people, unique in the tenant
	Names      keys.Names
	// SessionEpoch counts how often all sessions of the principal were ended: one that began
	// in an earlier epoch is over.
	SessionEpoch int64
	// AssumableBy are principals of the tenant that may act as this one, beside its administrators.
	AssumableBy []keys.ID
	CreatedAt   time.Time
	Revision    int64
}

// Binding gives a principal a role on its whole tenant, or on one vault.
type Binding struct {
	ID, Tenant, Principal keys.ID
	Role                  Role
	Vault                 keys.ID // zero: the whole tenant
	CreatedAt             time.Time
	Revision              int64
}

// CredentialKind tells how a credential proves its principal.
type CredentialKind string

// The credential kinds.
const (
	RSAKey    CredentialKind = "rsa-key"    // an API signing key: we hold the public half
	AccessKey CredentialKind = "access-key" // a shared secret for HMAC
)

// CredentialRow is a credential as stored: the secret sealed, the row authenticated so that
// a public key or principal exchanged in the database is noticed.
type CredentialRow struct {
	ID, Tenant, Principal keys.ID
	Kind                  CredentialKind
	Name                  string // what a request names it by; unique per kind
	PublicKey             []byte // RSAKey: DER SubjectPublicKeyInfo
	Sealed                []byte // AccessKey: the secret under the tenant's KEK
	KEKGeneration         int
	MAC                   []byte // over all of the above, by the tenant's KEK
	Disabled              bool
	CreatedAt             time.Time
	Revision              int64
}
