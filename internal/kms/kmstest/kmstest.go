// SPDX-License-Identifier: Apache-2.0

// Package kmstest makes a whole service for tests: an in-memory store, a seal in memory, a
// clock that stands until it is told to move, one tenant with an administrator and its
// credentials, and a second tenant to be kept apart from the first.
package kmstest

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	_ "embed"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"claviger/internal/audit"
	"claviger/internal/engine"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/objects"
	"claviger/internal/objects/directory"
	"claviger/internal/objects/spool"
	"claviger/internal/seal"
	"claviger/internal/secret"
	"claviger/internal/store"
	"claviger/internal/store/sqlstore"
)

// Region is the region of a test's service, the only one unless the test asks for [TwoRegions].
const Region keys.Region = "home"

// Away is the other region of a service with [TwoRegions].
const Away keys.Region = "away"

// Clock is the machine's clock of a test. It stands still between calls of Add.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now is the machine's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Add moves the machine's time.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Tenant is a tenant with one administrator.
type Tenant struct {
	ID        keys.ID
	Vault     keys.ID // the default vault
	Principal keys.ID
	Names     keys.Names // of the tenant

	RSAKey     *rsa.PrivateKey // the administrator's API signing key
	RSAKeyName string          // tenancy/user/fingerprint
	AccessKey  string
	Secret     string
}

// World is a service with everything around it.
type World struct {
	*kms.Service
	Store  store.Store
	Audit  *audit.Memory
	Clock  *Clock
	Config kms.Config

	Tenant Tenant // the one that most tests use
	Other  Tenant // another one

	storeOptions sqlstore.Options
}

// Restart closes the service and its store and opens them again. The World must be in a
// directory, and nothing may be under way.
func (w *World) Restart(t testing.TB) {
	t.Helper()
	w.Close()
	if err := w.Store.Close(); err != nil {
		t.Fatalf("close store: %v", err)
	}
	w.storeOptions.Create = false
	var err error
	if w.Store, err = sqlstore.OpenSQLite(context.Background(), w.storeOptions); err != nil {
		t.Fatalf("open store again: %v", err)
	}
	w.Config.Store = w.Store
	if w.Service, err = kms.Open(context.Background(), w.Config); err != nil {
		t.Fatalf("open service again: %v", err)
	}
}

// Option changes how a World is made.
type Option func(*options)

type options struct {
	dir    string
	store  store.Store
	change []func(*kms.Config)
}

// InDir keeps the store in a directory instead of in memory.
func InDir(dir string) Option { return func(o *options) { o.dir = dir } }

// On keeps the records in a store that the test has opened, and that is closed with the World.
func On(s store.Store) Option { return func(o *options) { o.store = s } }

// With changes the service's configuration.
func With(change func(*kms.Config)) Option {
	return func(o *options) { o.change = append(o.change, change) }
}

// TwoRegions gives the service [Away] beside [Region].
func TwoRegions() Option {
	return With(func(c *kms.Config) { c.Regions = []keys.Region{Region, Away} })
}

// New makes a World that ends with the test.
func New(t testing.TB, opts ...Option) *World {
	t.Helper()
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	w := &World{Audit: audit.NewMemory(), Clock: &Clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}}
	ctx := context.Background()
	w.storeOptions = sqlstore.Options{Memory: o.dir == "", Dir: o.dir, Create: true, Log: slog.New(slog.DiscardHandler)}
	var err error
	if w.Store = o.store; w.Store == nil {
		if w.Store, err = sqlstore.OpenSQLite(ctx, w.storeOptions); err != nil {
			t.Fatalf("open store: %v", err)
		}
	}
	root, err := seal.NewMemory(rand.Reader)
	if err != nil {
		t.Fatalf("make seal: %v", err)
	}
	pool := engine.NewPool(rand.Reader, nil, nil)
	pool.Add(keys.RSA4096, engine.Material{Private: secret.Copy(rsa4096), Public: rsa4096Public()})
	w.Config = kms.Config{
		Store: w.Store, Seal: root, Audit: w.Audit, Pool: pool, Rand: rand.Reader, Wall: w.Clock.Now,
		Log: slog.New(slog.DiscardHandler), Regions: []keys.Region{Region}, HSM: kms.SoftwareLabelled, Virtual: true,
	}
	w.openObjects(t)
	for _, change := range o.change {
		change(&w.Config)
	}
	if err := kms.Initialize(ctx, w.Config); err != nil {
		t.Fatalf("initialize: %v", err)
	}
	if w.Service, err = kms.Open(ctx, w.Config); err != nil {
		t.Fatalf("open service: %v", err)
	}
	t.Cleanup(func() {
		w.Close()
		pool.Close()
		if err := w.Store.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	w.Tenant = w.newTenant(t, "acme", "1234567890123456", testKey(0))
	w.Other = w.newTenant(t, "rival", "6543210987654321", testKey(1))
	return w
}

// openObjects gives backups a directory each to go to and to wait in.
func (w *World) openObjects(t testing.TB) {
	t.Helper()
	dir := t.TempDir()
	buckets, err := directory.Open(filepath.Join(dir, "objects"))
	if err != nil {
		t.Fatalf("open objects: %v", err)
	}
	t.Cleanup(func() {
		if err := buckets.Close(); err != nil {
			t.Errorf("close objects: %v", err)
		}
	})
	waiting, err := spool.Open(filepath.Join(dir, "spool"), 1<<30)
	if err != nil {
		t.Fatalf("open spool: %v", err)
	}
	w.Config.Objects, w.Config.Spool = &objects.Storage{Buckets: buckets}, waiting
}

func (w *World) newTenant(t testing.TB, name, account string, key *rsa.PrivateKey) Tenant {
	t.Helper()
	ctx, c := context.Background(), w.System("test")
	tenancy := "ocid1.tenancy.oc1.." + pad(name+"tenancy")
	out := Tenant{
		Names: keys.Names{"oci": tenancy, "alibaba": account}, RSAKey: key,
		RSAKeyName: tenancy + "/ocid1.user.oc1.." + pad(name+"user") + "/20:3b:97:13:55:1c:5b:0d:d3:37:d8:50:4e:c5:3a:34",
		AccessKey:  "LTAItest" + name, Secret: "secret-of-" + name,
	}
	tenant, err := w.CreateTenant(ctx, c, kms.NewTenant{Name: name, Names: out.Names})
	if err != nil {
		t.Fatalf("create tenant: %v", err)
	}
	out.ID = tenant.ID
	p, err := w.CreatePrincipal(ctx, c, kms.NewPrincipal{Tenant: tenant.ID, Name: name + "-admin", Role: identity.Admin})
	if err != nil {
		t.Fatalf("create principal: %v", err)
	}
	out.Principal = p.ID
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatalf("marshal public key: %v", err)
	}
	if _, err := w.AddRSAKey(ctx, c, p.ID, out.RSAKeyName, spki); err != nil {
		t.Fatalf("add API key: %v", err)
	}
	if _, err := w.AddAccessKey(ctx, c, p.ID, out.AccessKey, secret.New([]byte(out.Secret))); err != nil {
		t.Fatalf("add access key: %v", err)
	}
	vaults, err := w.AllVaults(ctx)
	if err != nil {
		t.Fatalf("list vaults: %v", err)
	}
	for _, v := range vaults {
		if v.Tenant == tenant.ID && v.Default && v.Region == Region {
			out.Vault = v.ID
		}
	}
	return out
}

// rsa4096 is the first RSA-4096 key that a World makes, always the same: such keys take seconds
// to make, and every vault whose wrapping key is asked for needs one.
//
//go:embed testdata/rsa4096.der
var rsa4096 []byte

var rsa4096Public = sync.OnceValue(func() []byte {
	k, err := engine.Open(keys.RSA4096, secret.New(rsa4096))
	if err != nil {
		panic(err)
	}
	return k.Public().DER()
})

// pad makes the unique part of an OCID: 60 characters of its alphabet.
func pad(s string) string {
	for len(s) < 60 {
		s += "a"
	}
	return s
}

// testKeys makes the API signing keys once for all tests of a process; making them is slow.
var testKeys = sync.OnceValue(func() []*rsa.PrivateKey {
	out := make([]*rsa.PrivateKey, 2)
	for i := range out {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		out[i] = key
	}
	return out
})

func testKey(i int) *rsa.PrivateKey { return testKeys()[i] }

// Profile is a generous profile for tests that are about no cloud.
var Profile = keys.Profile{
	Dialect:          "test",
	KeyRetention:     keys.Window{Min: 7 * keys.Day, Max: 30 * keys.Day, Default: 30 * keys.Day},
	VersionRetention: keys.Window{Min: 7 * keys.Day, Max: 30 * keys.Day, Default: 30 * keys.Day},
	VaultRetention:   keys.Window{Min: 7 * keys.Day, Max: 30 * keys.Day, Default: 30 * keys.Day},
	RotationInterval: keys.Window{Min: 7 * keys.Day, Max: 730 * keys.Day},
	RotateImported:   true,
	Replicas:         true,
	TokenLife:        keys.Day,
	ImportTokenLife:  keys.Day,
	MaxTags:          10,
}

// Call is a call of the tenant's administrator. The caller ends it.
func (w *World) Call(t testing.TB, tenant Tenant) *kms.Call {
	t.Helper()
	c := &kms.Call{Dialect: "test", Operation: t.Name(), RequestID: "test", Region: Region, Profile: &Profile}
	cred, err := w.Authenticate(context.Background(), c, identity.AccessKey, tenant.AccessKey)
	if err != nil {
		t.Fatalf("authenticate: %v", err)
	}
	c.Who = cred.Caller
	return c
}

// Dir is a directory for a World that is opened twice.
func Dir(t testing.TB) string { return filepath.Join(t.TempDir(), "data") }
