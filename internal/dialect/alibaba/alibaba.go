// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"claviger/internal/dialect"
	"claviger/internal/keys"
	"claviger/internal/kms"
)

// Config is what the dialect is made of.
type Config struct {
	Service *kms.Service
	Regions map[keys.Region]string // the core's regions → the cloud's ids of them, each once
	Now     func() time.Time       // request time: the machine's
	Rand    io.Reader              // of request ids; safe for concurrent use
	Log     *slog.Logger
	Metrics dialect.Metrics  // nil: nobody listens
	Limiter *dialect.Limiter // nil: no request is throttled; see [CloudLimits]
	Guard   *dialect.Guard   // nil: strangers are not held back
	// Quotas enforces the cloud's numbers of keys and aliases per region, which the cloud
	// itself raises on demand. The seven-day rule and the 50 versions are always enforced.
	Quotas bool
	Hints  bool // show hints to every caller, not only to admins
	// SoftwareHSM tells that keys of protection HSM are kept in software: answers about them
	// then carry [dialect.ProtectionHeader].
	SoftwareHSM bool
	XMLRoot     XMLRoot // "": the form of each operation's page
}

// XMLRoot tells how the root element of an XML answer is called.
type XMLRoot string

// The forms. By default CreateKeyVersion answers <KMS>, as its page shows, and every other
// operation <{Action}Response>.
const (
	RootByOperation XMLRoot = ""
	RootKMS         XMLRoot = "kms"    // <KMS> for all
	RootAction      XMLRoot = "action" // <{Action}Response> for all
)

// Valid reports whether r is one of the forms.
func (r XMLRoot) Valid() bool { return r == RootByOperation || r == RootKMS || r == RootAction }

// Dialect serves the cloud's API. It is safe for concurrent use.
type Dialect struct {
	cfg     Config
	service *kms.Service
	profile *keys.Profile
	byName  map[string]map[string]*dialect.Operation // version → name, immutable
	batch   dialect.Operation
	regions []string // the cloud's ids, sorted

	exchanges sync.Pool // *exchange
}

// New makes the dialect.
func New(cfg Config) *Dialect {
	d := &Dialect{cfg: cfg, service: cfg.Service, profile: Profile(cfg.Quotas), byName: map[string]map[string]*dialect.Operation{}, batch: dialect.BatchOperation()}
	d.regions = slices.Sorted(maps.Values(cfg.Regions))
	for version, groups := range map[string][]dialect.Group{apiVersion: d.operations(), stsVersion: d.stsOperations()} {
		table := map[string]*dialect.Operation{}
		for _, g := range groups {
			for i := range g.Operations {
				table[g.Operations[i].Name] = &g.Operations[i]
			}
		}
		d.byName[version] = table
	}
	return d
}

// Handler answers the requests of one region's endpoint.
func (d *Dialect) Handler(region keys.Region) http.Handler {
	return &dialect.Pipeline{
		Wire:    &wire{d: d, region: d.cfg.Regions[region]},
		Service: d.service,
		Region:  region,
		Now:     d.cfg.Now,
		Log:     d.cfg.Log,
		Metrics: d.cfg.Metrics,
		Guard:   d.cfg.Guard,
		Hints:   d.cfg.Hints,
	}
}

// Coverage is the page of what is supported.
func Coverage() string {
	d := &Dialect{}
	return dialect.Coverage("Alibaba Cloud KMS (2016-01-20): coverage", append(d.operations(), d.stsOperations()...))
}

// rotationWindow is the range of RotationInterval, deletionWindow of PendingWindowInDays.
var (
	rotationWindow = keys.Window{Min: 7 * keys.Day, Max: 730 * keys.Day, Default: 365 * keys.Day}
	deletionWindow = keys.Window{Min: 7 * keys.Day, Max: 366 * keys.Day, Default: 30 * keys.Day}
)

// Profile is the cloud's numbers. quotas adds those of keys and aliases per region.
func Profile(quotas bool) *keys.Profile {
	p := &keys.Profile{
		Dialect:                Name,
		KeyRetention:           deletionWindow,
		VersionRetention:       deletionWindow,
		VaultRetention:         deletionWindow,
		RotationInterval:       rotationWindow,
		VersionSpacing:         7 * keys.Day,
		AsymmetricRotationOnly: true,
		AsymmetricVersions:     50,
		ImportTokenLife:        keys.Day,
		SessionLife:            keys.Window{Min: minSession * time.Second, Max: maxSession * time.Second, Default: maxSession * time.Second},
		MaxTags:                maxTags,
	}
	if quotas {
		p.KeysPerRegion, p.AliasesPerRegion = 200, 300
	}
	return p
}

// The throttling classes.
const (
	classManage     = "manage"     // no rate of the cloud's is documented
	classCrypto     = "crypto"     // Encrypt, Decrypt, GenerateDataKey...
	classAsymmetric = "asymmetric" // AsymmetricSign, AsymmetricDecrypt...
	classReEncrypt  = "re-encrypt" // ReEncrypt
	classSTS        = "sts"        // 6000 a minute, says the page of AssumeRole
)

// CloudLimits are the cloud's requests per second and account, by throttling class.
func CloudLimits() map[string]float64 {
	return map[string]float64{classCrypto: 1000, classReEncrypt: 750, classAsymmetric: 200, classSTS: 100}
}
