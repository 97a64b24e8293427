// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"claviger/internal/audit"
	"claviger/internal/config"
	"claviger/internal/dialect"
	"claviger/internal/dialect/alibaba"
	"claviger/internal/dialect/oci"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/server"
)

type serveCmd struct {
	Config string `required:"" help:"Configuration of the server." placeholder:"FILE"`

	CPUProfile string `name:"cpu-profile" help:"Until the server ends, write to this file what the processor is busy with, as go tool pprof reads it." placeholder:"FILE"`

	AcceptStaleRevocation bool `help:"Serve from several database hosts though commits do not wait for a standby: after a failover, what was revoked may be used, and answered changes may be lost."`
}

// Run serves until it is told to stop.
func (c *serveCmd) Run(a *app) (err error) {
	cfg, err := a.serverConfig(c.Config)
	if err != nil {
		return err
	}
	cfg.Store.AcceptStale = c.AcceptStaleRevocation
	log := newLogger(a.err, cfg.Log.Format, cfg.Log.Level)
	undo := &cleanup{}
	defer func() { err = errors.Join(err, undo.run()) }()
	if c.CPUProfile != "" {
		if err := profile(c.CPUProfile, undo); err != nil {
			return err
		}
	}

	n, err := a.openServe(c.Config, cfg, log, undo)
	if err != nil {
		return stopped(a.ctx, err)
	}
	hosts, _ := n.settings.vaults.(*server.Hosts)
	if err := n.listen(cfg, hosts); err != nil {
		return err
	}
	log.Info("serving", "version", version(), "data", cfg.Data, "regions", len(cfg.Regions), "admin", cfg.Admin.Listen,
		"fips140", a.fips.mode, "fips140_module", a.fips.module)
	if cfg.TLS.CertFile == "" {
		log.Warn("serving plain HTTP: put a TLS proxy in front, or set [tls]")
	}
	if c.AcceptStaleRevocation {
		log.Warn("serving though a failover of the database may forget what was revoked", "flag", "--accept-stale-revocation")
	}
	if n.settings.hsm == kms.SoftwareLabelled {
		log.Warn("keys of protection level HSM are kept in software, and only labelled HSM", "hsm_keys", cfg.HSMKeys)
	}
	defer time.AfterFunc(settling, n.pool.Start).Stop()
	if events, ok := n.audit.(*audit.Log); ok && cfg.Audit.Retention > 0 {
		prune := func(context.Context) { n.prune(events, cfg.Audit.Retention.Std()) }
		prune(a.ctx)
		n.server.Every(time.Hour, prune)
	}
	defer paceCollector(a.env)()
	err = n.run(a.ctx, cfg.Server.ShutdownTimeout.Std())
	log.Info("stopped")
	return err
}

// settling is how long a server that has just started leaves the processor to its first requests, before it
// makes RSA key pairs ready.
const settling = time.Second

// profile samples what the processor is busy with, into a file that is complete once undo has run.
func profile(path string, undo *cleanup) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	undo.add(f.Close)
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	undo.add(func() error { pprof.StopCPUProfile(); return nil })
	return nil
}

// prune removes the audit log's segments that are older than their retention.
func (n *node) prune(events *audit.Log, retention time.Duration) {
	removed, err := events.Prune(wallNow().Add(-retention))
	if err != nil {
		n.log.Error("remove old audit segments", "error", err)
	}
	if removed > 0 {
		n.log.Info("removed old audit segments", "count", removed)
	}
}

// openServe opens all that cfg names and creates none of it.
func (a *app) openServe(path string, cfg *config.Config, log *slog.Logger, undo *cleanup) (*node, error) {
	token, err := readToken(cfg.Admin.TokenFile)
	if err == nil && token == "" {
		err = fmt.Errorf("%s is empty", cfg.Admin.TokenFile)
	}
	if err != nil {
		return nil, suggestInit(path, err)
	}
	known := cloudRates()
	for class := range cfg.Limits.Rates {
		if _, ok := known[class]; !ok {
			return nil, usageError{fmt.Errorf("limits.rates: there is no class %q; there are %s", class, strings.Join(slices.Sorted(maps.Keys(known)), ", "))}
		}
	}
	rates, quotas := limits(cfg.Limits.Mode, cfg.Limits.Rates)
	set := settings{
		mode: "serve", fleet: fleetOf(cfg), regions: cfg.Regions, hsm: kms.HSMPolicy(cfg.HSMKeys), tombstones: cfg.Tombstones.Std(), work: cfg.WorkRequests.Std(),
		patience: patience(cfg.Server), pairs: map[keys.Spec]int{keys.RSA2048: 48, keys.RSA3072: 2, keys.RSA4096: 2}, lend: processorLender(a.env),
		quotas: quotas, rates: rates, guard: guardOf(cfg), consistent: oci.Consistency(cfg.OCI.Consistency), chance: cfg.OCI.ConsistencySeed,
		xmlRoot: xmlRoot(cfg.Alibaba.XMLRoot), nonces: cfg.Alibaba.NonceCapacity, strict: cfg.Alibaba.Nonces == "strict", token: token, log: log,
	}
	tlsConfig, err := serveTLS(cfg, log)
	if err != nil {
		return nil, err
	}
	set.mutualTLS = cfg.TLS.ClientCAFile != ""
	set.server = server.New(serverOptions(*cfg, tlsConfig, log))
	undo.add(func() error { return set.server.Shutdown(ended()) })
	if set.vaults, err = serveVaults(cfg, set.server); err != nil {
		return nil, err
	}
	if set.seal, err = openSeal(cfg); err != nil {
		return nil, err
	}
	undo.add(set.seal.Close)
	if set.store, err = openStore(a.ctx, cfg, false, log); err != nil {
		return nil, suggestInit(path, err)
	}
	undo.add(set.store.Close)
	events, err := audit.Open(cfg.Audit.Dir, audit.Options{
		Node: hostname(), Clock: wallNow, Rand: rand.Reader, Durable: cfg.Audit.Durable, SegmentSize: cfg.Audit.SegmentMiB << 20,
	})
	if err != nil {
		return nil, err
	}
	undo.add(events.Close)
	set.audit = events
	if set.storage, err = openStorage(cfg.Objects, cfg.Server, undo); err != nil {
		return nil, err
	}
	if set.backup, err = backupOf(cfg.Backup); err != nil {
		return nil, err
	}
	set.backup.Store = storeFiles(cfg.Backup.Dir)
	n, err := newNode(a.ctx, set)
	if err != nil {
		return nil, err
	}
	undo.add(n.close)
	return n, n.openVaults(a.ctx)
}

// patience is how long a request waits for the work that it asks for: well within the time that
// its answer may take.
func patience(bounds config.Server) time.Duration {
	return min(20*time.Second, bounds.WriteTimeout.Std()/2)
}

// guardOf is what cfg says of strangers.
func guardOf(cfg *config.Config) dialect.GuardConfig {
	proxies, _ := cfg.Server.Proxies() // checked when it was read
	return dialect.GuardConfig{
		Failures: cfg.Limits.FailedVerifications, Heavy: cfg.Limits.HeavyVerifications, Unverified: cfg.Limits.UnverifiedMiB << 20, Proxies: proxies,
	}
}

// suggestInit says what makes a missing thing.
func suggestInit(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; run \"claviger init --config %s\" once to create database, root key and admin token", err, path)
	}
	return err
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "node" // only a label in the audit log
	}
	return name
}

func xmlRoot(s string) alibaba.XMLRoot {
	if s == "operation" {
		return alibaba.RootByOperation
	}
	return alibaba.XMLRoot(s)
}

// serveTLS is the certificate of cfg; nil without one.
func serveTLS(cfg *config.Config, log *slog.Logger) (*tls.Config, error) {
	if cfg.TLS.CertFile == "" {
		return nil, nil
	}
	cert, err := server.LoadCertificate(cfg.TLS.CertFile, cfg.TLS.KeyFile, log)
	if err != nil {
		return nil, err
	}
	c := cert.Config()
	if cfg.TLS.ClientCAFile != "" {
		err = server.AskClients(c, cfg.TLS.ClientCAFile)
	}
	return c, err
}

func serveVaults(cfg *config.Config, srv *server.Server) (server.Vaults, error) {
	switch cfg.Vaults.Mode {
	case "ports":
		first, last, err := cfg.Vaults.PortRange()
		if err != nil {
			return nil, err
		}
		return server.NewPorts(srv, cfg.Vaults.Listen, first, last, first, cfg.Vaults.Advertise), nil
	case "hosts":
		return server.NewHosts(cfg.Vaults.Template, config.HostMark), nil
	}
	return nil, fmt.Errorf("unknown vaults.mode %q", cfg.Vaults.Mode)
}

// listen binds the regions' listeners and the admin API's, and begins to answer on all of them.
func (n *node) listen(cfg *config.Config, hosts *server.Hosts) error {
	handlers := map[*server.Endpoint]http.Handler{}
	for _, r := range cfg.Regions {
		e, err := n.server.Bind(r.Listen)
		if err != nil {
			return fmt.Errorf("listen for region %s: %w", r.Name, err)
		}
		handlers[e] = &server.Front{
			OCI: n.oci.RegionHandler(keys.Region(r.Name)), Alibaba: n.alibaba.Handler(keys.Region(r.Name)),
			Health: n.health, Hosts: hosts, Advertise: r.Advertise,
		}
	}
	bind := n.server.Bind
	if config.Loopback(cfg.Admin.Listen) {
		bind = n.server.BindPlain
	}
	e, err := bind(cfg.Admin.Listen)
	if err != nil {
		return fmt.Errorf("listen for the admin API: %w", err)
	}
	handlers[e] = &server.Front{
		OCI: http.NotFoundHandler(), Alibaba: http.NotFoundHandler(),
		Admin: n.admin(nil), Health: n.health, Metrics: n.metrics.Handler(),
	}
	for e, h := range handlers {
		if err := e.Serve(h); err != nil {
			return err
		}
	}
	return nil
}

// adminURL is the base URL of the admin API of a server on this machine.
func adminURL(cfg *config.Config) string {
	host, port, _ := net.SplitHostPort(cfg.Admin.Listen) // the configuration was checked
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	scheme := "http"
	if cfg.TLS.CertFile != "" && !config.Loopback(cfg.Admin.Listen) {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
