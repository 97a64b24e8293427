// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"claviger/internal/dialect"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
)

// Prefix begins the path of every operation.
const Prefix = "/admin/v1"

// Naming is what this API must know of another dialect's names. It is given to it, because
// dialects do not know of each other.
type Naming interface {
	// Dialect is the key of the names: "oci".
	Dialect() string
	// Key, Version and Vault are the names of these; "" where the cloud does not show them.
	Key(*keys.Key) string
	Version(*keys.Key, *keys.Version) string
	Vault(*keys.Vault) string
	// Fresh makes up the name of a new tenant, principal or compartment; "" when the cloud
	// has none for it.
	Fresh(t keys.Type, id keys.ID) string
	// Parse reads a name of this cloud, without looking anything up.
	Parse(name string) (Ref, bool)
	// RSAKeyName is the name under which a client of this cloud presents an API signing key,
	// with the key's fingerprint; "" when the cloud has no such credential.
	RSAKeyName(t *keys.Tenant, p *identity.Principal, spki []byte) (name, fingerprint string)
	// Fingerprint is how this cloud tells public keys apart; "" when it has no such credential.
	Fingerprint(spki []byte) string
	// Region is this cloud's name of a region; "" when it does not have it.
	Region(keys.Region) string
}

// Ref is what a name says before anything is looked up. One of ID, Alias and External is set.
type Ref struct {
	Type     keys.Type
	ID       keys.ID
	Alias    string
	External string      // a name carried over from the cloud
	Tenant   string      // its tenant's name in this cloud; "" when the name does not say
	Region   keys.Region // "" when the name does not say
	Exact    bool        // the name must be the rendered one: it also says where the thing lies
}

// Config is what the API is made of. Functions that are nil belong to operations that this
// server does not have.
type Config struct {
	Service *kms.Service
	Token   string   // bearer token; required
	Naming  []Naming // in the order in which names are read
	Mode    string   // dev, serve
	Version string   // of the server
	FIPS    FIPS     // of the process
	Now     func() time.Time
	Rand    io.Reader
	Log     *slog.Logger
	Metrics dialect.Metrics

	// VaultURL is a vault's base URL.
	VaultURL func(*keys.Vault) string
	// ReplicaURL is the base URL of a vault's replica.
	ReplicaURL func(*keys.Replica) string
	// AddAccessKey makes an access key and answers its secret, which is stored nowhere in the clear.
	AddAccessKey func(ctx context.Context, c *kms.Call, principal keys.ID) (row *identity.CredentialRow, secret string, err error)
	// Reset takes everything back to the first state; nil outside of dev.
	Reset func(ctx context.Context) error
}

// API is the admin API.
type API struct {
	cfg     Config
	service *kms.Service
}

// New makes the API's handler, for every path below [Prefix].
func New(cfg Config) http.Handler {
	a := &API{cfg: cfg, service: cfg.Service}
	mux := http.NewServeMux()
	for _, op := range a.Operations() {
		mux.Handle(op.Route, a.pipeline(&op))
	}
	mux.Handle("/", a.pipeline(nil))
	return mux
}

func (a *API) pipeline(op *dialect.Operation) *dialect.Pipeline {
	return &dialect.Pipeline{
		Wire: &wire{api: a, op: op}, Service: a.service, Now: a.cfg.Now, Log: a.cfg.Log,
		Metrics: a.cfg.Metrics, Hints: true, HeaderFirst: true,
	}
}

// Operations is the table of the API.
func (a *API) Operations() []dialect.Operation {
	const p = Prefix
	return []dialect.Operation{
		dialect.Op("GetInfo", "GET "+p+"/info", "", keys.ReadIdentity, a.info),
		dialect.Op("GetClock", "GET "+p+"/clock", "", keys.ReadIdentity, a.clock),
		dialect.Op("MoveClock", "POST "+p+"/clock", "", keys.ManageIdentity, a.moveClock),
		dialect.Op("ListNodes", "GET "+p+"/nodes", "", keys.ReadIdentity, a.nodes),
		dialect.Op("ListEvents", "GET "+p+"/events", "", keys.ReadIdentity, a.events),
		dialect.Op("Reset", "POST "+p+"/reset", "", keys.ManageIdentity, a.reset),

		dialect.Op("ListKeys", "GET "+p+"/keys", "", keys.ListKeys, a.keys),
		dialect.Op("GetKey", "GET "+p+"/keys/{id...}", "", keys.ReadKey, a.key),
		dialect.Op("ListAliases", "GET "+p+"/aliases", "", keys.ListAliases, a.aliases),
		dialect.Op("ListVaults", "GET "+p+"/vaults", "", keys.ListVaults, a.vaults),
		dialect.Op("GetVault", "GET "+p+"/vaults/{id}", "", keys.ReadVault, a.vault),
		dialect.Op("ResealVault", "POST "+p+"/vaults/{id}/reseal", "", keys.ResealVault, a.resealVault),
		dialect.Op("GetWork", "GET "+p+"/work-requests/{id}", "", keys.ReadWork, a.work),

		dialect.Op("ListTenants", "GET "+p+"/tenants", "", keys.ReadIdentity, a.tenants),
		dialect.Op("CreateTenant", "POST "+p+"/tenants", "", keys.ManageIdentity, a.createTenant),
		dialect.Op("ListCompartments", "GET "+p+"/compartments", "", keys.ReadIdentity, a.compartments),
		dialect.Op("CreateCompartment", "POST "+p+"/compartments", "", keys.ManageIdentity, a.createCompartment),
		dialect.Op("ListPrincipals", "GET "+p+"/principals", "", keys.ReadIdentity, a.principals),
		dialect.Op("CreatePrincipal", "POST "+p+"/principals", "", keys.ManageIdentity, a.createPrincipal),
		dialect.Op("DeletePrincipal", "DELETE "+p+"/principals/{id}", "", keys.ManageIdentity, a.deletePrincipal),
		dialect.Op("SetRole", "POST "+p+"/principals/{id}/roles", "", keys.ManageIdentity, a.setRole),
		dialect.Op("ListCredentials", "GET "+p+"/credentials", "", keys.ReadIdentity, a.credentials),
		dialect.Op("AddCredential", "POST "+p+"/credentials", "", keys.ManageIdentity, a.addCredential),
		dialect.Op("UpdateCredential", "POST "+p+"/credentials/{id}", "", keys.ManageIdentity, a.updateCredential),
		dialect.Op("RemoveCredential", "DELETE "+p+"/credentials/{id}", "", keys.ManageIdentity, a.removeCredential),
		dialect.Op("CreateSession", "POST "+p+"/sessions", "", keys.Assume, a.createSession),
		dialect.Op("EndSessions", "DELETE "+p+"/principals/{id}/sessions", "", keys.ManageIdentity, a.endSessions),
		dialect.Op("AllowAssuming", "POST "+p+"/principals/{id}/assumers", "", keys.ManageIdentity, a.allowAssuming),
		dialect.Op("ForbidAssuming", "DELETE "+p+"/principals/{id}/assumers/{by}", "", keys.ManageIdentity, a.forbidAssuming),
		dialect.Op("ListGrants", "GET "+p+"/grants", "", keys.ReadIdentity, a.grants),
		dialect.Op("CreateGrant", "POST "+p+"/grants", "", keys.ManageIdentity, a.createGrant),
		dialect.Op("RemoveGrant", "DELETE "+p+"/grants/{id}", "", keys.ManageIdentity, a.removeGrant),
		dialect.Op("BackUpStore", "POST "+p+"/store/backup", "", keys.BackupVault, a.backUpStore),
		dialect.Op("GetStoreBackup", "GET "+p+"/store/backup", "", keys.ReadIdentity, a.storeBackup),
		dialect.Op("ListAudit", "GET "+p+"/audit", "", keys.ReadAudit, a.audit),
	}
}
