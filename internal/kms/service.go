// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"claviger/internal/audit"
	"claviger/internal/engine"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/objects"
	"claviger/internal/seal"
	"claviger/internal/store"
)

// HSMPolicy decides what happens to keys of protection level HSM while no HSM is configured.
type HSMPolicy string

// The policies. RefuseHSM is the default.
const (
	RefuseHSM        HSMPolicy = "refuse"
	SoftwareLabelled HSMPolicy = "software-labelled" // kept in software, labelled as asked
)

// Endpoints gives each vault a base URL of its own; the server implements it.
type Endpoints interface {
	// Reserve picks and holds the endpoint of a vault that is about to be made: what
	// keys.Vault.Endpoint will say.
	Reserve(ctx context.Context, vault keys.ID) (endpoint string, err error)
	// Claim is Reserve for a vault that comes back from a backup: the endpoint that it had where
	// that is free, else another.
	Claim(ctx context.Context, vault keys.ID, had string) (endpoint string, err error)
	// Release gives back a reserved endpoint whose vault was not made.
	Release(endpoint string)
	// Open begins to answer at the vault's endpoint.
	Open(v *keys.Vault) error
	// Close stops answering and frees the endpoint; the vault's tombstone is gone.
	Close(v *keys.Vault)
	// OpenReplica begins to answer at the endpoint of a vault's replica, reserved with the
	// replica's id. It goes on when the replica is taken away: every call is then refused.
	OpenReplica(r *keys.Replica) error
	// CloseReplica is Close for a replica.
	CloseReplica(r *keys.Replica)
}

// Config is what a service is made of. Store, Seal, Audit, Pool, Rand, Wall, Log and Regions
// are required.
type Config struct {
	Store      store.Store
	Seal       seal.Seal
	Audit      audit.Recorder // of data calls and refusals; mutations are recorded in their transaction
	Pool       *engine.Pool
	Rand       io.Reader
	Wall       func() time.Time // the machine's time
	Log        *slog.Logger
	Regions    []keys.Region
	HSM        HSMPolicy     // "": RefuseHSM
	Tombstones time.Duration // how long erased records answer as deleted; 0: 90 days
	Work       time.Duration // how long finished work requests are remembered; 0: 7 days
	// Patience is how long a request waits for the work that it asks for, before it answers that
	// the work is under way; 0: 20 seconds, less than 0: not at all.
	Patience  time.Duration
	Virtual   bool      // whether the domain clock may be moved (dev)
	Endpoints Endpoints // nil: vaults have no endpoint of their own
	Backup    BackupConfig
	// Fleet is how this process keeps step with others, where the store is shared.
	Fleet FleetConfig
	// VaultsChanged, when set, is called after others may have made or erased vaults.
	VaultsChanged func(context.Context)
	// Objects is where backups go and come from; nil: they are refused.
	Objects *objects.Storage
	// Spool is where uploads and backups wait, and where backups are gathered unless Backup says
	// otherwise; nil: what needs it is refused.
	Spool objects.Spool
	// MaxBackup is the most bytes of a backup; 0: 1 GiB.
	MaxBackup int64
	// KeyringLimit is the most snapshots kept in memory; 0: 200,000.
	KeyringLimit int
	// NonceLimit is the most nonces kept in memory; 0: 4,000,000 (up to 160 MB when full).
	NonceLimit int
	// StrictNonces keeps every nonce in the store instead, where all nodes and later runs know it.
	StrictNonces bool
}

// Service is the key management service. It is safe for concurrent use.
type Service struct {
	store      store.Store
	audit      audit.Recorder
	pool       *engine.Pool
	rand       io.Reader
	log        *slog.Logger
	regions    []keys.Region
	hsm        HSMPolicy
	tombs      time.Duration
	keepWork   time.Duration
	patience   time.Duration
	node       string // this run's name, where others share the store; otherwise ""
	endpoints  Endpoints
	root       seal.Seal // of backups; the hierarchy has its own way to it
	backup     BackupConfig
	storeJob   storeJob
	restores   busy             // vaults and keys whose restore is under way here
	stageRows  int              // stageRows, but in tests
	resealRows int              // resealRows, but in tests
	objects    *objects.Storage // nil where there is none
	spool      objects.Spool    // nil where there is none
	maxBackup  int64

	clock     *clock
	hierarchy *hierarchy
	ring      *keyring
	nonces    *nonces

	strictNonces bool // in the store, not in nonces

	tenants  sync.Map // tenantName → keys.ID; names are given for good, and read by data calls
	names    sync.Map // nameIn → the name; given for good as well
	guard    *clockGuard
	held     atomic.Int64 // erasures that the clock guard holds back
	remains  atomic.Bool  // something was erased since the last scrub
	wrapping sync.Map     // vault → *sync.Mutex, held while its wrapping key is made

	fleet *fleet // nil where the store is this process's alone

	jobs *jobs
	work struct {
		mu     sync.Mutex
		closed bool           // guarded by mu
		left   sync.WaitGroup // what seals or changes anything; begun under mu, never after closed
	}

	sweeping sync.Mutex // one sweep or clock move at a time
	expired  struct {
		wall, domain time.Time // when expire last ran, guarded by sweeping
	}
}

// Initialize creates the system KEK in an empty store, once.
func Initialize(ctx context.Context, cfg Config) error {
	return createSystemKEK(ctx, cfg.Store, cfg.Seal, cfg.Rand, cfg.Wall().UTC().Truncate(time.Microsecond))
}

// Open makes the service of an initialized store. It refuses, in a sentence, a store that is
// not initialized, one sealed by another root key, and one whose clock dev has moved.
func Open(ctx context.Context, cfg Config) (*Service, error) {
	if len(cfg.Regions) == 0 {
		return nil, errors.New("no region is configured")
	}
	h, err := openHierarchy(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s := &Service{
		store: cfg.Store, audit: cfg.Audit, pool: cfg.Pool, rand: cfg.Rand, log: cfg.Log,
		regions: cfg.Regions, hsm: orElse(cfg.HSM, RefuseHSM), tombs: orElse(cfg.Tombstones, 90*keys.Day),
		keepWork: orElse(cfg.Work, 7*keys.Day), patience: orElse(cfg.Patience, 20*time.Second),
		endpoints: cfg.Endpoints, root: cfg.Seal, backup: cfg.Backup, restores: busy{ids: map[keys.ID]chan struct{}{}},
		stageRows: stageRows, resealRows: resealRows,
		jobs:    newJobs(),
		objects: cfg.Objects, spool: cfg.Spool, maxBackup: orElse(cfg.MaxBackup, 1<<30),
		clock:     newClock(cfg.Wall, cfg.Virtual),
		hierarchy: h,
		ring:      newKeyring(orElse(cfg.KeyringLimit, 200_000)),
		guard:     newClockGuard(cfg.Wall),

		strictNonces: cfg.StrictNonces,
	}
	if s.nonces, err = newNonces(cfg.Rand, cfg.Wall, orElse(cfg.NonceLimit, 4_000_000)); err != nil {
		return nil, err
	}
	err = cfg.Store.View(ctx, func(tx store.Tx) error {
		if err := s.loadClock(tx); err != nil {
			return err
		}
		return s.guard.load(tx)
	})
	if err != nil {
		return nil, err
	}
	if cfg.Spool != nil && cfg.Backup.Spool == nil {
		s.backup.Spool = func() (Spool, error) { return cfg.Spool.New(s.maxBackup) }
	}
	// A vault that comes back from a backup has another KEK by the same name.
	s.ring.changed = h.drop
	cfg.Store.Observe(s.ring)
	s.remains.Store(true) // the process before may have been killed between an erasure and its scrub
	if err := s.join(ctx, cfg); err != nil {
		return nil, err
	}
	// What is not finished was left by an earlier run, unless others share the store: see expire.
	if s.fleet != nil {
		s.node = s.fleet.me.ID.String()
	} else if err := s.failLost(ctx, func(string) bool { return true }); err != nil {
		return nil, err
	}
	return s, nil
}

// join registers the process with the others that share the store.
func (s *Service) join(ctx context.Context, cfg Config) error {
	shared := cfg.Store.Fleet()
	if shared == nil {
		return nil
	}
	id, err := keys.NewID(cfg.Rand)
	if err != nil {
		return err
	}
	moved := func(context.Context) {}
	if cfg.VaultsChanged != nil {
		moved = func(ctx context.Context) {
			if !s.ring.vaults.Swap(false) {
				return
			}
			if cfg.VaultsChanged(ctx); ctx.Err() != nil {
				s.ring.vaults.Store(true) // once more
			}
		}
	}
	s.fleet, err = joinFleet(ctx, cfg.Fleet, id, shared, cfg.Wall, cfg.Log, moved)
	return err
}

func orElse[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

// Close refuses what comes from now on, gives up the work of work requests, waits for everything
// else that is under way, and forgets every secret.
// The store, the audit log and the pool are their owners' to close.
func (s *Service) Close() {
	s.work.mu.Lock()
	s.work.closed = true
	s.work.mu.Unlock()
	s.jobs.cancel()
	s.work.left.Wait()
	if s.fleet != nil {
		s.fleet.leave()
	}
	s.ring.forget()
	s.hierarchy.close()
}

// begin announces work that may seal something: a KEK must not be wiped under it, or it would
// seal under zeros. Who began calls the answered function at its end.
func (s *Service) begin() (end func(), err error) {
	s.work.mu.Lock()
	defer s.work.mu.Unlock()
	if s.work.closed {
		return nil, &keys.Error{Kind: keys.KindUnavailable, Hint: "the server is shutting down"}
	}
	s.work.left.Add(1)
	return s.work.left.Done, nil
}

// Forget drops everything remembered of the store, which somebody else has changed, or change
// changes: until the clock that came with the records is loaded nothing scheduled is performed.
func (s *Service) Forget(ctx context.Context, change func(context.Context) error) error {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	if change != nil {
		if err := change(ctx); err != nil {
			return err
		}
	}
	s.ring.forget()
	s.hierarchy.forget()
	s.tenants.Clear()
	s.names.Clear()
	return s.store.View(ctx, s.loadClock)
}

// healthy is what an audit log may have beyond recording.
type healthy interface{ Healthy() error }

// Ready reports whether requests can be served: the store answers and the audit log can be written.
func (s *Service) Ready(ctx context.Context) error {
	if err := s.store.Ping(ctx); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if s.fleet != nil && !s.fleet.holds() {
		return errors.New("store: the node is out of step with the others")
	}
	if h, ok := s.audit.(healthy); ok {
		if err := h.Healthy(); err != nil {
			return fmt.Errorf("audit log: %w", err)
		}
	}
	return nil
}

// writable is what a store may have beyond its contract.
type writable interface{ Writable() error }

// Writable is nil unless the store refused the last change that it was asked for. Data calls need
// none: the service may be ready all the same.
func (s *Service) Writable() error {
	if w, ok := s.store.(writable); ok {
		return w.Writable()
	}
	return nil
}

// Stats are figures for the metrics page.
type Stats struct {
	Keyring       int // snapshots in memory
	Nonces        int // nonces in memory
	ErasuresHeld  int // erasures held back because the clocks disagree
	ClockMismatch time.Duration
	ClockHeld     time.Duration // for how long domain time stands still
	AuditStopped  bool          // the audit log cannot be written
	Lease         time.Duration // what is left of the node's lease; 0 where the store is not shared
}

// Stats tells the service's own figures.
func (s *Service) Stats() Stats {
	lease := time.Duration(0)
	if s.fleet != nil {
		lease = max(0, time.Duration(s.fleet.until.Load())-s.fleet.Boot())
	}
	h, ok := s.audit.(healthy)
	return Stats{
		AuditStopped: ok && h.Healthy() != nil, Lease: lease,

		Keyring: s.ring.size(), Nonces: s.nonces.size(),
		ErasuresHeld: int(s.held.Load()), ClockMismatch: s.guard.mismatch(),
		ClockHeld: s.clock.ahead(),
	}
}

// System is a call with every right: the admin API's, the bootstrap's, the sweeper's.
func (s *Service) System(operation string) *Call {
	return &Call{Dialect: "admin", Operation: operation, Who: identity.NewSystem("system"), Profile: &keys.Profile{}}
}

// IsAdmin reports whether who, which may be nil, may administer its tenant.
func (s *Service) IsAdmin(who *identity.Caller) bool { return who != nil && who.IsAdmin() }

// Regions lists the regions that are served.
func (s *Service) Regions() []keys.Region { return slices.Clone(s.regions) }
