// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"claviger/internal/dialect"
	"claviger/internal/keys"
	"claviger/internal/kms"
)

// Config is what the dialect is made of. All but Metrics, Limiter and Guard is required.
type Config struct {
	Service  *kms.Service
	Regions  map[keys.Region]string   // the core's regions → OCI's names of them
	VaultURL func(*keys.Vault) string // base URL of a vault, without a slash at the end
	// ReplicaURL is the base URL of a vault's replica, without a slash at the end.
	ReplicaURL func(*keys.Replica) string
	Now        func() time.Time // request time: the machine's
	Rand       io.Reader        // of request ids; safe for concurrent use
	Log        *slog.Logger
	Metrics    dialect.Metrics  // nil: nobody listens
	Limiter    *dialect.Limiter // nil: no request is throttled; see [CloudRates]
	Guard      *dialect.Guard   // nil: strangers are not held back
	Hints      bool             // show hints to every caller, not only to admins
	// Consistency says when changes show, and Seed what is drawn where that takes chance; the same
	// requests in the same order are answered the same. "" is [Strict].
	Consistency Consistency
	Seed        uint64
	// SoftwareHSM tells that keys of protection HSM are kept in software: answers about them
	// then carry [dialect.ProtectionHeader].
	SoftwareHSM bool
	// MutualTLS tells that the vaults' endpoints ask clients for certificates.
	MutualTLS bool
}

// Dialect serves the API on the base URLs of regions and vaults. It is safe for concurrent use.
type Dialect struct {
	cfg     Config
	kms     *kms.Service
	namer   *Namer
	profile *keys.Profile
	router  *router

	settling *settling             // nil: every change is settled when it is answered
	lastDate atomic.Pointer[dated] // see parseDate
}

// New makes the dialect.
func New(cfg Config) *Dialect {
	d := &Dialect{cfg: cfg, kms: cfg.Service, namer: NewNamer(cfg.Regions), profile: Profile()}
	var table []operation
	for _, s := range d.sections() {
		table = append(table, s.operations...)
	}
	d.router = newRouter(append(table, batchOperation()))
	if cfg.Consistency == Cloudlike {
		d.settling = newSettling(cfg.Service.Now, cfg.Seed)
	}
	return d
}

// RegionHandler answers on a region's base URL: the vault service. It looks at the request's
// target as it was sent, so nothing may clean paths or redirect before it.
func (d *Dialect) RegionHandler(region keys.Region) http.Handler {
	return d.handler(region, keys.ID{}, keys.ID{})
}

// VaultHandler answers on a vault's base URL: management and crypto. Like [Dialect.RegionHandler]
// it must see the target as it was sent.
func (d *Dialect) VaultHandler(region keys.Region, vault keys.ID) http.Handler {
	return d.handler(region, vault, keys.ID{})
}

// ReplicaHandler answers on a replica's base URL, as [Dialect.VaultHandler] does on a vault's.
func (d *Dialect) ReplicaHandler(r *keys.Replica) http.Handler {
	return d.handler(r.Region, r.Vault, r.ID)
}

func (d *Dialect) handler(region keys.Region, vault, replica keys.ID) http.Handler {
	return &dialect.Pipeline{
		Wire:    &wire{d: d, vault: !vault.IsZero()},
		Service: d.kms,
		Region:  region,
		Vault:   vault,
		Replica: replica,
		Now:     d.cfg.Now,
		Log:     d.cfg.Log,
		Metrics: d.cfg.Metrics,
		Guard:   d.cfg.Guard,
		Hints:   d.cfg.Hints,
	}
}

// Forget settles every change that is shown on its way, and begins the sequence of the seed anew:
// the records are others now.
func (d *Dialect) Forget() {
	if d.settling != nil {
		d.settling.forget()
	}
}

// Namer renders the OCIDs that this dialect answers with.
func (d *Dialect) Namer() *Namer { return d.namer }

// Coverage is the page of what is supported.
func Coverage() string {
	var groups []dialect.Group
	for _, s := range (&Dialect{}).sections() {
		g := dialect.Group{Name: s.name}
		for _, op := range s.operations {
			g.Operations = append(g.Operations, op.Operation)
		}
		groups = append(groups, g)
	}
	return dialect.Coverage("OCI Vault key management (20180608): coverage", groups)
}
