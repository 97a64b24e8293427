// SPDX-License-Identifier: Apache-2.0

// Package admin is the server's own small API, JSON over HTTP under /admin/v1, for what no
// cloud's key API has: tenants, principals, credentials, grants, what a key is called in each
// cloud, what is scheduled, the audit log, and in dev the clock. It is opened by one bearer
// token, which has every right, so it listens on loopback by default.
//
// docs/admin-api.md describes it. [Client] speaks it.
package admin

import (
	"encoding/json"
	"time"
)

// Names are the names of one thing by dialect: "oci", "alibaba". A cloud that does not show
// the thing has none.
type Names map[string]string

// Key is a key in all its clouds. State is the effective one.
type Key struct {
	ID          string     `json:"id"`
	Names       Names      `json:"names"`
	Tenant      string     `json:"tenant"`
	Region      string     `json:"region"`
	Vault       string     `json:"vault"`
	Compartment string     `json:"compartment"`
	Name        string     `json:"name,omitempty"`
	Description string     `json:"description,omitempty"`
	Spec        string     `json:"spec"`
	Usage       string     `json:"usage"`
	Origin      string     `json:"origin"`
	Protection  string     `json:"protection"`
	State       string     `json:"state"`
	CreatedAt   time.Time  `json:"createdAt"`
	DeleteAt    *time.Time `json:"deleteAt,omitempty"`
	MaterialEnd *time.Time `json:"materialExpiresAt,omitempty"` // when imported material is, or was, over
	Rotation    *Rotation  `json:"rotation,omitempty"`
	Primary     string     `json:"primary,omitempty"`  // id of the primary version
	Count       int        `json:"versionCount"`       // versions made so far, erased ones included
	Aliases     []string   `json:"aliases,omitempty"`  // only when one key is shown
	Versions    []Version  `json:"versions,omitempty"` // only when one key is shown; oldest first
}

// Rotation is a key's policy of automatic rotation.
type Rotation struct {
	Interval  string     `json:"interval"` // as Go writes it: "720h0m0s"
	Next      *time.Time `json:"next,omitempty"`
	Last      *time.Time `json:"last,omitempty"`
	Suspended bool       `json:"suspended,omitempty"`
	Status    string     `json:"status,omitempty"` // of the last run
}

// Version is one version of a key.
type Version struct {
	ID          string     `json:"id"`
	Names       Names      `json:"names"`
	Ordinal     int        `json:"ordinal"`
	State       string     `json:"state"`
	Primary     bool       `json:"primary,omitempty"`
	Origin      string     `json:"origin"`
	AutoRotated bool       `json:"autoRotated,omitempty"`
	CreatedAt   time.Time  `json:"createdAt"`
	DeleteAt    *time.Time `json:"deleteAt,omitempty"`
	PublicKey   string     `json:"publicKey,omitempty"` // PEM
}

// Vault is a vault in all its clouds.
type Vault struct {
	ID          string     `json:"id"`
	Names       Names      `json:"names"`
	Tenant      string     `json:"tenant"`
	Region      string     `json:"region"`
	Compartment string     `json:"compartment"`
	Name        string     `json:"name"`
	Kind        string     `json:"kind"`
	Default     bool       `json:"default,omitempty"`
	URL         string     `json:"url,omitempty"` // management and crypto endpoint
	Replica     *Replica   `json:"replica,omitempty"`
	State       string     `json:"state"`
	CreatedAt   time.Time  `json:"createdAt"`
	DeleteAt    *time.Time `json:"deleteAt,omitempty"`
}

// Replica is a vault's endpoint in another region, at which it can be read and used.
type Replica struct {
	ID        string    `json:"id"`
	Region    string    `json:"region"`
	URL       string    `json:"url,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
}

// Alias is a second name of a key.
type Alias struct {
	Name      string    `json:"name"`
	Key       string    `json:"key"`
	Tenant    string    `json:"tenant"`
	Region    string    `json:"region"`
	CreatedAt time.Time `json:"createdAt"`
}

// Tenant owns everything below it.
type Tenant struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Names     Names     `json:"names"` // tenancy OCID, account number
	CreatedAt time.Time `json:"createdAt"`
}

// NewTenant asks for a tenant. Names that are absent are made up, as the clouds' look.
type NewTenant struct {
	Name  string `json:"name"`
	Names Names  `json:"names,omitempty"`
}

// Compartment is a folder of a tenant's vaults and keys.
type Compartment struct {
	ID        string    `json:"id"`
	Tenant    string    `json:"tenant"`
	Parent    string    `json:"parent,omitempty"`
	Name      string    `json:"name"`
	Names     Names     `json:"names"`
	CreatedAt time.Time `json:"createdAt"`
}

// NewCompartment asks for a compartment. Without a parent it is below the root.
type NewCompartment struct {
	Tenant string `json:"tenant"`
	Parent string `json:"parent,omitempty"`
	Name   string `json:"name"`
	Names  Names  `json:"names,omitempty"`
}

// Principal is somebody or something that calls, with its roles.
type Principal struct {
	ID        string    `json:"id"`
	Tenant    string    `json:"tenant"`
	Name      string    `json:"name"`
	Names     Names     `json:"names"`
	Roles     []Role    `json:"roles"`
	Assumers  []string  `json:"assumers,omitempty"` // ids of principals that may have sessions as this one
	CreatedAt time.Time `json:"createdAt"`
}

// Assumer allows a principal to have sessions as another.
type Assumer struct {
	Principal string `json:"principal"`
}

// NewSession asks for a session: with PublicKey, a PEM SubjectPublicKeyInfo, for one whose
// holder signs with the private half; without for one with a secret that the server makes.
type NewSession struct {
	Principal string `json:"principal"`
	Name      string `json:"name"`               // for the logs: 2 to 64 letters, digits and . @ - _
	Duration  string `json:"duration,omitempty"` // "90s", "12h"; absent: an hour
	PublicKey string `json:"publicKey,omitempty"`
}

// Session is a short-lived credential. It is answered once: the server keeps nothing of it.
type Session struct {
	ID          string    `json:"id"`
	Tenant      string    `json:"tenant"`
	Principal   string    `json:"principal"`
	Name        string    `json:"name"`
	ExpiresAt   time.Time `json:"expiresAt"` // by the machine's clock
	Token       string    `json:"token"`
	AccessKeyID string    `json:"accessKeyId,omitempty"`
	Secret      string    `json:"secret,omitempty"`
	TenantNames Names     `json:"tenantNames"`           // tenancy OCID, account number
	Fingerprint string    `json:"fingerprint,omitempty"` // of the public key
}

// Role is a role on a whole tenant, or on one vault.
type Role struct {
	Role  string `json:"role"` // admin, operator, user, auditor
	Vault string `json:"vault,omitempty"`
}

// NewPrincipal asks for a principal with a first role.
type NewPrincipal struct {
	Tenant string `json:"tenant"`
	Name   string `json:"name"`
	Names  Names  `json:"names,omitempty"`
	Role   string `json:"role"`
	Vault  string `json:"vault,omitempty"`
}

// Credential is how a principal proves itself. A secret is answered once, when it is made.
type Credential struct {
	ID          string    `json:"id"`
	Tenant      string    `json:"tenant"`
	Principal   string    `json:"principal"`
	Kind        string    `json:"kind"` // rsa-key, access-key
	Name        string    `json:"name"` // what a request names it by
	Fingerprint string    `json:"fingerprint,omitempty"`
	Secret      string    `json:"secret,omitempty"`
	Disabled    bool      `json:"disabled,omitempty"`
	CreatedAt   time.Time `json:"createdAt"`
}

// NewCredential asks for a credential: with PublicKey, a PEM SubjectPublicKeyInfo, for an API
// signing key; without for an access key that the server makes.
type NewCredential struct {
	Principal string `json:"principal"`
	PublicKey string `json:"publicKey,omitempty"`
}

// CredentialUpdate turns a credential off or on.
type CredentialUpdate struct {
	Disabled bool `json:"disabled"`
}

// Grant opens a key to another tenant.
type Grant struct {
	ID        string    `json:"id"`
	Key       string    `json:"key"`
	Tenant    string    `json:"tenant"`  // the key's
	Grantee   string    `json:"grantee"` // tenant
	Actions   []string  `json:"actions"`
	CreatedAt time.Time `json:"createdAt"`
}

// NewGrant asks for a grant.
type NewGrant struct {
	Key     string   `json:"key"`
	Grantee string   `json:"grantee"`
	Actions []string `json:"actions"`
}

// Clock is the position of domain time.
type Clock struct {
	Now     time.Time `json:"now"`     // domain time
	Machine time.Time `json:"machine"` // the machine's
	Offset  string    `json:"offset"`  // domain time less the machine's
	Frozen  bool      `json:"frozen"`
	Virtual bool      `json:"virtual"` // whether it may be moved: in dev
}

// ClockChange moves the clock; exactly one field is set.
type ClockChange struct {
	Freeze      *bool  `json:"freeze,omitempty"`
	Advance     string `json:"advance,omitempty"` // "168h" or "7d"
	ToNextEvent bool   `json:"toNextEvent,omitempty"`
}

// Event is something scheduled.
type Event struct {
	At   time.Time `json:"at"`
	Kind string    `json:"kind"` // rotate-key, expire-material, erase-version, erase-key, erase-vault
	ID   string    `json:"id"`
}

// AuditEvent is one change in the audit log of the database.
type AuditEvent struct {
	Sequence int64           `json:"sequence"`
	Hash     string          `json:"hash"` // of the chain up to here, hexadecimal
	Event    json.RawMessage `json:"event"`
}

// Info tells what server this is.
type Info struct {
	Version string   `json:"version"`
	Mode    string   `json:"mode"` // dev, serve
	Regions []string `json:"regions"`
	// RegionNames are the regions' names in each cloud.
	RegionNames map[string]Names `json:"regionNames"`
	FIPS        FIPS             `json:"fips140"`
}

// FIPS tells how the process stands to FIPS 140-3.
type FIPS struct {
	Mode   string `json:"mode"`   // off, on, only
	Module string `json:"module"` // the version of the cryptographic module; "latest" for one that is not frozen
}

// List is one page. Next is the cursor of the page after it, absent on the last one.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

// Problem is the body of every refusal.
type Problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Node is a process that serves from a database which several share.
type Node struct {
	ID        string    `json:"id"` // of this run of the process
	Name      string    `json:"name"`
	StartedAt time.Time `json:"startedAt"`
	RenewedAt time.Time `json:"renewedAt"` // by its own clock
	Lease     string    `json:"lease"`     // how long it serves from memory without hearing from the database
	Lag       int64     `json:"lag"`       // changes that it has not followed yet
}
