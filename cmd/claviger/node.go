// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"time"

	"claviger/internal/audit"
	"claviger/internal/config"
	"claviger/internal/dialect"
	"claviger/internal/dialect/admin"
	"claviger/internal/dialect/alibaba"
	"claviger/internal/dialect/oci"
	"claviger/internal/engine"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/seal"
	"claviger/internal/server"
	"claviger/internal/store"
)

// sweepInterval is how often what became due is performed. Everybody who asks sees it from its
// due time on, performed or not.
const sweepInterval = time.Second

// settings are what a server is made of, as dev or serve decides.
type settings struct {
	mode       string // dev, serve
	regions    []config.Region
	hsm        kms.HSMPolicy
	tombstones time.Duration
	patience   time.Duration // how long a request waits for the work that it asks for
	work       time.Duration // how long finished work requests are remembered
	fleet      kms.FleetConfig
	virtual    bool // the clock may be moved
	hints      bool // refusals are explained to every caller
	quotas     bool // the cloud's numbers of keys and aliases hold
	rates      map[string]float64
	guard      dialect.GuardConfig
	pairs      map[keys.Spec]int // RSA key pairs that are kept ready
	lend       func() func()     // a processor, while two make pairs; nil: none
	consistent oci.Consistency   // what OCI clients see of changes
	chance     uint64            // what is drawn for it
	xmlRoot    alibaba.XMLRoot
	nonces     int    // how many are kept in memory; 0: the service's default
	strict     bool   // they are kept in the store instead
	token      string // of the admin API
	mutualTLS  bool   // clients are asked for certificates
	log        *slog.Logger

	store store.Store
	seal  seal.Seal
	audit audit.Recorder
	storage
	backup kms.BackupConfig
	server *server.Server
	vaults server.Vaults
}

// node is a server, ready to be opened.
type node struct {
	settings
	service *kms.Service
	pool    *engine.Pool
	vaults  *vaultEndpoints
	metrics *server.Metrics
	guard   *dialect.Guard
	health  *server.Health
	oci     *oci.Dialect
	alibaba *alibaba.Dialect
}

// newNode opens the service and puts the dialects in front of it. No vault is answering yet.
func newNode(ctx context.Context, set settings) (*node, error) {
	n := &node{settings: set, vaults: newVaultEndpoints(set.vaults)}
	n.metrics = server.NewMetrics(version())
	n.pool = engine.NewPool(rand.Reader, set.pairs, set.lend)
	regions, ociNames, alibabaNames := n.regionNames()
	var err error
	n.service, err = kms.Open(ctx, kms.Config{
		Store: set.store, Seal: set.seal, Audit: set.audit, Pool: n.pool, Rand: rand.Reader, Wall: wallNow, Log: set.log,
		Regions: regions, HSM: set.hsm, Tombstones: set.tombstones, Work: set.work, Virtual: set.virtual, Endpoints: endpointsOf{n.vaults},
		NonceLimit: set.nonces, StrictNonces: set.strict, Fleet: set.fleet, VaultsChanged: n.matchVaults,
		Objects: set.objects, Spool: set.spool, MaxBackup: set.maxBackup, Patience: set.patience, Backup: set.backup,
	})
	if err != nil {
		n.pool.Close()
		return nil, err
	}
	n.health = server.NewHealth(n.service.Ready, n.service.Writable, set.log)
	n.guard = dialect.NewGuard(n.guarding())
	n.oci = oci.New(oci.Config{
		Service: n.service, Regions: ociNames, VaultURL: n.vaults.vaultURL, ReplicaURL: n.vaults.replicaURL,
		Now: wallNow, Rand: requestIDs{}, Log: set.log, Metrics: n.metrics, Limiter: n.limiter(""), Guard: n.guard, Hints: set.hints,
		Consistency: set.consistent, Seed: set.chance, SoftwareHSM: set.hsm == kms.SoftwareLabelled, MutualTLS: set.mutualTLS,
	})
	n.alibaba = alibaba.New(alibaba.Config{
		Service: n.service, Regions: alibabaNames, Now: wallNow, Rand: requestIDs{}, Log: set.log, Metrics: n.metrics,
		Limiter: n.limiter("alibaba/"), Guard: n.guard, Quotas: set.quotas, Hints: set.hints, XMLRoot: set.xmlRoot, SoftwareHSM: set.hsm == kms.SoftwareLabelled,
	})
	n.vaults.handler = func(v *keys.Vault) http.Handler { return n.oci.VaultHandler(v.Region, v.ID) }
	n.vaults.replicaHandler = n.oci.ReplicaHandler
	n.gauges()
	return n, nil
}

func (n *node) regionNames() (regions []keys.Region, ociNames, alibabaNames map[keys.Region]string) {
	ociNames, alibabaNames = map[keys.Region]string{}, map[keys.Region]string{}
	for _, r := range n.regions {
		region := keys.Region(r.Name)
		regions = append(regions, region)
		ociNames[region], alibabaNames[region] = r.OCI, r.Alibaba
	}
	return regions, ociNames, alibabaNames
}

// limiter throttles by the rates whose class begins with prefix, which the dialect leaves out.
func (n *node) limiter(prefix string) *dialect.Limiter {
	rates := map[string]float64{}
	for class, rate := range n.rates {
		if own, ok := strings.CutPrefix(class, prefix); ok {
			rates[own] = rate
		}
	}
	if n.service.Shared() {
		return dialect.NewSharedLimiter(n.service.Take, rates)
	}
	return dialect.NewLimiter(wallNow, rates)
}

// flushInterval is how often counted refusals are looked through for those to be recorded.
const flushInterval = 10 * time.Second

// guarding is what the node's guard is made of.
func (n *node) guarding() dialect.GuardConfig {
	cfg := n.settings.guard
	cfg.Now = wallNow
	cfg.Record = func(r dialect.Refusals) {
		n.service.RefusedMany(context.Background(), r.Source, r.Requests, r.First, r.Last)
		n.log.Warn("requests of one source were refused and not recorded one by one", "source", r.Source, "requests", r.Requests)
	}
	return cfg
}

// cloudRates are the clouds' requests per second, by API and class.
func cloudRates() map[string]float64 {
	rates := oci.CloudRates()
	rates["alibaba/manage"] = 0 // none is documented; configurations may set one
	for class, rate := range alibaba.CloudLimits() {
		rates["alibaba/"+class] = rate
	}
	return rates
}

// limits are the rates and quotas of a mode of config.Limits.
func limits(mode string, own map[string]float64) (rates map[string]float64, quotas bool) {
	switch mode {
	case "cloud":
		rates, quotas = cloudRates(), true
	case "management":
		rates = oci.WriteRates()
	default:
		rates = map[string]float64{}
	}
	maps.Copy(rates, own)
	return rates, quotas
}

func (n *node) gauges() {
	gauge := func(name, help string, value func(kms.Stats) float64) {
		n.metrics.Gauge(name, help, func() float64 { return value(n.service.Stats()) })
	}
	gauge("claviger_keyring_entries", "Snapshots of keys, versions, vaults and credentials in memory.",
		func(s kms.Stats) float64 { return float64(s.Keyring) })
	gauge("claviger_nonces", "Signature nonces remembered in memory.",
		func(s kms.Stats) float64 { return float64(s.Nonces) })
	gauge("claviger_erasures_held", "Erasures that are due and held back because the clocks disagree.",
		func(s kms.Stats) float64 { return float64(s.ErasuresHeld) })
	gauge("claviger_clock_mismatch_seconds", "By how much the machine's clock disagrees with its own past.",
		func(s kms.Stats) float64 { return s.ClockMismatch.Seconds() })
	guard := func(add func(string, string, func() float64), name, help string, value func(dialect.GuardStats) float64) {
		add(name, help, func() float64 { return value(n.guard.Stats()) })
	}
	guard(n.metrics.Counter, "claviger_sources_throttled_total", "Requests refused before anything was verified, because of what their source sent before.",
		func(s dialect.GuardStats) float64 { return float64(s.Throttled) })
	guard(n.metrics.Counter, "claviger_refusals_unrecorded_total", "Refusals of strangers that were recorded together with others.",
		func(s dialect.GuardStats) float64 { return float64(s.Unrecorded) })
	guard(n.metrics.Gauge, "claviger_sources_failing", "Sources, and credentials there, of which something did not verify a moment ago.",
		func(s dialect.GuardStats) float64 { return float64(s.Sources) })
	n.metrics.Counter("claviger_connections_refused_total", "Connections closed as they came, because their source had as many as it may have.",
		func() float64 { return float64(n.server.Refused()) })
	guard(n.metrics.Gauge, "claviger_verifications_waiting", "Requests that wait for the verification of a long key.",
		func(s dialect.GuardStats) float64 { return float64(s.Waiting) })
	guard(n.metrics.Gauge, "claviger_unverified_bytes", "Bytes held for bodies of more than 16 KiB whose callers are not known yet.",
		func(s dialect.GuardStats) float64 { return float64(s.Bodies) })
	guard(n.metrics.Gauge, "claviger_unverified_waiting", "Requests that wait for room for such a body.",
		func(s dialect.GuardStats) float64 { return float64(s.BodiesWaiting) })
	guard(n.metrics.Counter, "claviger_unverified_refused_total", "Requests refused because there was no room for their body.",
		func(s dialect.GuardStats) float64 { return float64(s.BodiesRefused) })
	guard(n.metrics.Gauge, "claviger_batches_waiting", "Batches that wait because as many as may be are under way.",
		func(s dialect.GuardStats) float64 { return float64(s.BatchesWaiting) })
	gauge("claviger_clock_held_seconds", "For how long the time of keys stands still because the machine's clock went back.",
		func(s kms.Stats) float64 { return s.ClockHeld.Seconds() })
	gauge("claviger_audit_writable", "0 while the audit log cannot be written: data calls are refused.",
		func(s kms.Stats) float64 {
			if s.AuditStopped {
				return 0
			}
			return 1
		})
	n.metrics.Gauge("claviger_store_writable", "0 when the database refused the last change, for want of room or because it takes none.",
		func() float64 {
			if n.service.Writable() != nil {
				return 0
			}
			return 1
		})
	if n.service.Shared() {
		gauge("claviger_lease_seconds", "What is left of the time for which this node may answer from memory.",
			func(s kms.Stats) float64 { return s.Lease.Seconds() })
	}
	n.metrics.Gauge("claviger_ready", "1 while requests can be served: the store answers and the audit log can be written.",
		func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			if n.service.Ready(ctx) != nil {
				return 0
			}
			return 1
		})
}

// admin is the admin API; reset is nil where there is none.
func (n *node) admin(reset func(context.Context) error) http.Handler {
	_, _, alibabaNames := n.regionNames()
	is := fipsOfProcess()
	return admin.New(admin.Config{
		Service: n.service, Token: n.token, Mode: n.mode, Version: version(), FIPS: admin.FIPS{Mode: is.mode, Module: is.module},
		Naming: []admin.Naming{ociNaming{n.oci.Namer()}, alibabaNaming{alibabaNames}},
		Now:    wallNow, Rand: rand.Reader, Log: n.log, Metrics: n.metrics, VaultURL: n.vaults.vaultURL, ReplicaURL: n.vaults.replicaURL, Reset: reset,
		AddAccessKey: func(ctx context.Context, c *kms.Call, principal keys.ID) (*identity.CredentialRow, string, error) {
			return addAccessKey(ctx, n.service, c, principal, rand.Reader)
		},
	})
}

// openVaults makes every vault and every replica answer, and makes the default vaults that are missing.
func (n *node) openVaults(ctx context.Context) error {
	sites, err := n.sites(ctx)
	if err != nil {
		return err
	}
	if err := n.vaults.match(sites); err != nil {
		return err
	}
	return n.service.CompleteVaults(ctx, n.service.System("CompleteVaults"))
}

// sites are the places of all vaults and replicas.
func (n *node) sites(ctx context.Context) ([]site, error) {
	vaults, err := n.service.AllVaults(ctx)
	if err != nil {
		return nil, err
	}
	replicas, err := n.service.AllReplicas(ctx)
	return n.vaults.sites(vaults, replicas), err
}

// matchVaults makes the vaults and replicas answer that other nodes made, and frees the endpoints of those that
// they forgot.
func (n *node) matchVaults(ctx context.Context) {
	sites, err := n.sites(ctx)
	if err == nil {
		err = n.vaults.follow(sites)
	}
	if err != nil {
		n.log.ErrorContext(ctx, "answer for the vaults of other nodes", "error", err)
	}
}

// sweep performs what is due, once.
func (n *node) sweep(ctx context.Context) {
	if _, err := n.service.Sweep(ctx); err != nil {
		n.log.Error("perform what is due", "error", err)
	}
}

// run serves until ctx ends, and then lets what is under way finish for at most grace.
func (n *node) run(ctx context.Context, grace time.Duration) error {
	n.server.Every(sweepInterval, n.sweep)
	n.server.Every(time.Second, newSpare(n.store.Rest).look)
	n.server.Every(flushInterval, func(context.Context) { n.guard.Flush(false) })
	<-ctx.Done()
	n.health.Stopping()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	return n.server.Shutdown(end)
}

// close ends a node; the parts that it was given are their owner's to close. The pool is not
// waited for: it may be in the middle of seconds of work that nobody needs any more.
func (n *node) close() error {
	err := n.server.Shutdown(ended())
	n.guard.Flush(true)
	n.service.Close()
	go n.pool.Close()
	return err
}
