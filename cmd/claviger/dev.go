// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"claviger/internal/audit"
	"claviger/internal/config"
	"claviger/internal/dialect"
	"claviger/internal/dialect/oci"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/seal"
	"claviger/internal/seal/file"
	"claviger/internal/server"
	"claviger/internal/store/sqlstore"
)

type devCmd struct {
	Data         string   `help:"Keep everything in this directory: ids, credentials, the clock. Default: in memory." placeholder:"DIR"`
	Listen       string   `help:"Address of the APIs. Each vault gets one of the ports after it; with port 0 all are picked among free ones." default:"127.0.0.1:7443" placeholder:"ADDR"`
	ReadyFile    string   `help:"Write addresses and credentials here once every listener accepts." placeholder:"FILE"`
	Seed         string   `help:"Begin with the tenants, credentials and keys of this file." placeholder:"FILE"`
	Limits       string   `help:"Throttle as the clouds do, or not: cloud, off." enum:"cloud,off" default:"off" placeholder:"MODE"`
	Region       []string `help:"Serve this region too, beside us-ashburn-1/cn-hangzhou: us-phoenix-1, or us-phoenix-1/cn-beijing to say what each cloud calls it. Repeat for more." sep:"none" placeholder:"REGION"`
	Consistency  string   `help:"Show changes to OCI clients settled, or on their way as Oracle's service does: strict, cloudlike." enum:"strict,cloudlike" default:"strict" placeholder:"MODE"`
	Chance       uint64   `name:"consistency-seed" help:"What is drawn with --consistency cloudlike: the same requests are answered the same." placeholder:"NUMBER"`
	RequestHosts []string `help:"Hosts whose pre-authenticated requests may be carried out, such as http://127.0.0.1:9000." placeholder:"HOST"`
	TLS          bool     `name:"tls" help:"Serve HTTPS, with a certificate of an authority made for this."`
	LogLevel     string   `help:"What to log: debug, info, warn, error. Refused requests are logged at info." enum:"debug,info,warn,error" default:"info" placeholder:"LEVEL"`
}

const (
	devVaultPorts = 1000 // how many ports after the listener's are for vaults
	devGrace      = 10 * time.Second
	devAnswer     = 10 * time.Minute // moving the clock over many events takes its time
	rootKeyFile   = "root.key"
	stateFile     = "dev.json"
	firstFile     = "first-state.db"
	apiKeyFile    = "oci_api_key.pem" //nolint:gosec // a file's name

	// Vaults get these ports where the listener's is any. A vault keeps its port while the server is
	// down, so it must not be one that the system gives to connections: those begin with 32768 on Linux
	// (ip_local_port_range), and later elsewhere.
	devAnyFirst = 20_000
	devAnyLast  = 31_999
)

// devServer is one run of dev.
type devServer struct {
	*devCmd
	app   *app
	start time.Time
	log   *slog.Logger
	dir   string // for files: the data directory, or a temporary one
	host  string // that clients connect to
	seed  *seed
	ca    *devCA // nil without --tls
	front *server.Endpoint
	away  []*server.Endpoint // of the regions after the first
	node  *node
	first firstState
	made  []string // what a first start has put into the data directory
}

// Run serves until it is told to stop.
func (c *devCmd) Run(a *app) (err error) {
	d := &devServer{devCmd: c, app: a, start: time.Now(), log: newLogger(a.err, "text", c.LogLevel)}
	undo := &cleanup{}
	defer func() { err = errors.Join(err, undo.run()) }()
	if err := d.prepare(undo); err != nil {
		return err
	}
	undo.add(d.unmake)
	if err := d.open(a.ctx, undo); err != nil {
		return stopped(a.ctx, err)
	}
	d.made = nil
	if err := d.announce(undo); err != nil {
		return err
	}
	defer paceCollector(a.env)()
	return d.node.run(a.ctx, devGrace)
}

// unmake removes what a first start that did not come to its end has made, so that the next
// one can begin anew.
func (d *devServer) unmake() error {
	var err error
	for _, path := range d.made {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// making notes that a first start makes the named files in the data directory.
func (d *devServer) making(names ...string) {
	if d.Data == "" {
		return // the whole directory goes
	}
	for _, name := range names {
		d.made = append(d.made, filepath.Join(d.dir, name))
	}
}

// stopped is err, except that work which was broken off because the person wants to stop is no failure.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// prepare reads what was asked for, and makes the directory.
func (d *devServer) prepare(undo *cleanup) error {
	host, port, err := net.SplitHostPort(d.Listen)
	if _, errPort := strconv.ParseUint(port, 10, 16); err != nil || errPort != nil {
		return usageError{fmt.Errorf("--listen %q is not an address such as 127.0.0.1:7443", d.Listen)}
	}
	d.host = host
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		d.host = "127.0.0.1"
	}
	if d.Seed != "" {
		if d.seed, err = readSeed(d.Seed); err != nil {
			return usageError{err}
		}
	}
	if d.ReadyFile != "" {
		if err := os.Remove(d.ReadyFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove old ready file: %w", err)
		}
	}
	if d.Data != "" {
		if d.dir, err = filepath.Abs(d.Data); err != nil {
			return fmt.Errorf("data directory: %w", err)
		}
		if err := os.MkdirAll(d.dir, 0o700); err != nil {
			return fmt.Errorf("make data directory: %w", err)
		}
		return nil
	}
	if d.dir, err = os.MkdirTemp("", "claviger-dev-"); err != nil {
		return fmt.Errorf("make temporary directory: %w", err)
	}
	undo.add(func() error { return os.RemoveAll(d.dir) })
	return nil
}

// open makes everything that answers, and answers.
func (d *devServer) open(ctx context.Context, undo *cleanup) error {
	key := inBackground(newAPIKey) // the slowest part of a first start
	tlsConfig, err := d.tls()
	if err != nil {
		return err
	}
	bounds := serverOptions(config.Default(), tlsConfig, d.log)
	bounds.WriteTimeout = devAnswer
	bounds.SourceConnections = 0 // all clients are one source
	srv := server.New(bounds)
	undo.add(func() error { return srv.Shutdown(ended()) })
	if d.front, err = srv.Bind(d.Listen); err != nil {
		return fmt.Errorf("listen for the APIs: %w; --listen 127.0.0.1:0 picks a free port", err)
	}
	fresh, err := d.loadState()
	if err != nil {
		return err
	}
	if err := d.regions(fresh); err != nil {
		return err
	}
	if err := d.bindRegions(srv); err != nil {
		return err
	}
	set := d.settings(srv)
	if set.storage, err = d.openStorage(undo); err != nil {
		return err
	}
	if err := d.openData(ctx, &set, fresh, undo); err != nil {
		return err
	}
	if d.node, err = newNode(ctx, set); err != nil {
		return err
	}
	undo.add(d.node.close)
	if err := d.node.openVaults(ctx); err != nil {
		return err
	}
	if fresh {
		if err := d.bootstrap(ctx, key); err != nil {
			return err
		}
	}
	if err := d.serveRegions(); err != nil {
		return err
	}
	return d.front.Serve(d.routes())
}

// regions adds the regions that are asked for to those of earlier runs, which are remembered.
func (d *devServer) regions(fresh bool) error {
	regions, added, err := addRegions(d.first.Regions, d.Region)
	if err != nil {
		return usageError{err}
	}
	d.first.Regions = regions
	if fresh || !added {
		return nil // the first state is written at the end of its making
	}
	return d.saveState()
}

// ended is a context that is over: what is left is broken off.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func (d *devServer) tls() (*tls.Config, error) {
	if !d.TLS {
		return nil, nil
	}
	var err error
	if d.ca, err = openCA(d.dir, d.start); err != nil {
		return nil, err
	}
	c, err := d.ca.server(d.host, d.start)
	if err != nil {
		return nil, err
	}
	return c, server.AskClients(c, d.ca.file)
}

// loadState reads what an earlier run with the same data told; fresh means that there was none.
func (d *devServer) loadState() (fresh bool, err error) {
	b, err := os.ReadFile(filepath.Join(d.dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		if exists(filepath.Join(d.dir, rootKeyFile)) {
			return false, fmt.Errorf("%s holds data that this command did not finish making: a database of serve, "+
				"or a first start that was broken off; give another --data, or remove it", d.dir)
		}
		return true, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &d.first)
	}
	if err != nil {
		return false, fmt.Errorf("read state of dev in %s: %w", d.dir, err)
	}
	sum := ""
	if d.seed != nil {
		sum = d.seed.sum
	}
	if sum != "" && sum != d.first.Seed {
		return false, fmt.Errorf("%s was made without this seed file, or before it was changed: a seed is for the first start only", d.dir)
	}
	return false, nil
}

func (d *devServer) settings(srv *server.Server) settings {
	rates, quotas := limits(d.Limits, nil)
	var guard dialect.GuardConfig
	if quotas {
		bounds := config.Default().Limits
		guard = dialect.GuardConfig{Failures: bounds.FailedVerifications, Unverified: bounds.UnverifiedMiB << 20}
	}
	host, port, _ := net.SplitHostPort(d.Listen) // it was split before
	first, last := devAnyFirst, devAnyLast
	next := anyVaultPort()
	if n, _ := strconv.Atoi(port); n != 0 {
		first, last, next = n+1, min(n+devVaultPorts, 65535), n+1
	}
	return settings{
		mode:       "dev",
		regions:    d.allRegions(),
		hsm:        kms.SoftwareLabelled,
		tombstones: config.Default().Tombstones.Std(),
		work:       config.Default().WorkRequests.Std(),
		mutualTLS:  d.TLS,
		consistent: oci.Consistency(d.Consistency), chance: d.Chance,
		virtual: true, hints: true, quotas: quotas, rates: rates,
		token: d.first.Token, log: d.log, server: srv,
		guard:  guard,
		pairs:  map[keys.Spec]int{keys.RSA2048: 2, keys.RSA3072: 1, keys.RSA4096: 1}, // a test does not pay for more than it uses
		backup: kms.BackupConfig{Software: version()},
		vaults: server.NewPorts(srv, host, first, last, next, d.front.Scheme()+"://"+bracketed(d.host)),
	}
}

// anyVaultPort draws where to look for the first vault's port, so that servers that are started side
// by side look at different ones.
func anyVaultPort() int {
	var b [2]byte
	_, _ = rand.Read(b[:]) // never fails
	return devAnyFirst + int(binary.BigEndian.Uint16(b[:]))%(devAnyLast-devAnyFirst+1)
}

// openStorage lets backups to any bucket work, in a directory beside the data.
func (d *devServer) openStorage(undo *cleanup) (storage, error) {
	bounds := config.Default().Server
	bounds.SpoolDir = filepath.Join(d.dir, "spool")
	return openStorage(config.Objects{Type: "directory", Dir: filepath.Join(d.dir, "objects"), RequestHosts: d.RequestHosts}, bounds, undo)
}

func bracketed(host string) string {
	if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
		return "[" + host + "]"
	}
	return host
}

// openData opens store, seal and audit log, and makes them on a first start.
func (d *devServer) openData(ctx context.Context, set *settings, fresh bool, undo *cleanup) error {
	var err error
	options := sqlstore.Options{Memory: d.Data == "", Create: fresh && d.Data != "", Log: d.log}
	if d.Data != "" {
		options.Dir = d.dir
	}
	if set.seal, err = d.openSeal(fresh); err != nil {
		return err
	}
	undo.add(set.seal.Close)
	if set.store, err = sqlstore.OpenSQLite(ctx, options); err != nil {
		return err
	}
	undo.add(set.store.Close)
	if fresh {
		d.making("claviger.db", "claviger.db-wal", "claviger.db-shm", "audit", firstFile)
		if !exists(filepath.Join(d.dir, apiKeyFile)) {
			d.making(apiKeyFile)
		}
	}
	set.audit = audit.Discard{}
	if d.Data != "" {
		log, err := audit.Open(filepath.Join(d.dir, "audit"), audit.Options{Node: "dev", Clock: time.Now, Rand: rand.Reader})
		if err != nil {
			return err
		}
		undo.add(log.Close)
		set.audit = log
	}
	if !fresh {
		return nil
	}
	if d.first.Token, err = newToken(); err != nil {
		return err
	}
	set.token = d.first.Token
	return kms.Initialize(ctx, kms.Config{Store: set.store, Seal: set.seal, Rand: rand.Reader, Wall: time.Now})
}

func (d *devServer) openSeal(fresh bool) (seal.Seal, error) {
	if d.Data == "" {
		return seal.NewMemory(rand.Reader)
	}
	path := filepath.Join(d.dir, rootKeyFile)
	if fresh {
		if err := file.Create(path, rand.Reader); err != nil {
			return nil, err
		}
		d.making(rootKeyFile)
	}
	return file.Open(path, rand.Reader)
}

// newToken makes a bearer token of the admin API: 256 random bits.
func newToken() (string, error) {
	var b [32]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("make admin token: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

// bootstrap makes the first state and remembers it.
func (d *devServer) bootstrap(ctx context.Context, key func() (*apiKey, error)) error {
	b := &bootstrap{node: d.node, seed: d.seed, dir: d.dir, key: once(key, newAPIKey), first: &d.first}
	if b.seed == nil {
		var salt [32]byte
		if _, err := rand.Read(salt[:]); err != nil {
			return fmt.Errorf("make ids: %w", err)
		}
		b.seed = defaultSeed(salt)
	} else {
		d.first.Seed = b.seed.sum
	}
	if err := b.run(ctx); err != nil {
		return err
	}
	if err := d.snapshot(ctx); err != nil || d.Data == "" {
		return err
	}
	return d.saveState()
}

func (d *devServer) saveState() error {
	text, err := json.MarshalIndent(d.first, "", "  ")
	if err != nil {
		return fmt.Errorf("encode state of dev: %w", err)
	}
	if err := writeAtomic(filepath.Join(d.dir, stateFile), append(text, '\n')); err != nil {
		return fmt.Errorf("write state of dev: %w", err)
	}
	return nil
}

// inBackground begins make and gives a function that waits for its result.
func inBackground[T any](create func() (T, error)) func() (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := create()
		done <- result{value, err}
	}()
	return func() (T, error) {
		r := <-done
		return r.value, r.err
	}
}

// once is first for the first call and then again for every other.
func once[T any](first, again func() (T, error)) func() (T, error) {
	used := false
	return func() (T, error) {
		if used {
			return again()
		}
		used = true
		return first()
	}
}

func (d *devServer) routes() *server.Front {
	region := keys.Region(d.node.regions[0].Name)
	return &server.Front{
		OCI: d.node.oci.RegionHandler(region), Alibaba: d.node.alibaba.Handler(region),
		Admin: d.node.admin(d.reset), Health: d.node.health, Metrics: d.node.metrics.Handler(),
	}
}

// url is the base URL of the APIs.
func (d *devServer) url() string { return d.urlOf(0) }
