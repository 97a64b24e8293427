// SPDX-License-Identifier: Apache-2.0

// Package config reads the configuration of `claviger serve`: one TOML file into one
// [Config]. A key that it does not know is an error, because a setting that is silently
// ignored is a setting that somebody relies on. Secrets are never in the file, only paths to
// them. The comments of the fields are the manual; docs/operations.md shows them in use.
package config

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// Config is everything that `claviger serve` and `claviger init` are told. Relative paths are
// relative to the directory of the file.
type Config struct {
	// Data is the directory that holds the database, unless [Store] says otherwise, and the
	// audit log, unless [Audit.Dir] does. One process owns it at a time. Required.
	Data string `toml:"data"`

	// HSMKeys decides about keys of protection level HSM, which this release cannot keep in
	// hardware: "refuse" (default) refuses to create them; "software-labelled" keeps them in
	// software and shows them as HSM keys, which clients whose default is HSM need.
	HSMKeys string `toml:"hsm_keys"`

	// FIPS140 is the mode of FIPS 140-3 that the process must run in, or a stricter one: "off"
	// (default); "on": approved algorithms and random bytes come from the module as it is validated;
	// "only": what is not approved is refused. It only insists: the mode itself is set where the
	// process is started, by GODEBUG=fips140=on in its environment. With "on" and "only" a binary without
	// a frozen version of the module is refused too.
	FIPS140 string `toml:"fips140"`

	// Tombstones is how long ids and times of what was erased stay known. Default "90d".
	Tombstones Duration `toml:"tombstones"`

	// WorkRequests is how long finished work requests can be looked at. Default "7d".
	WorkRequests Duration `toml:"work_requests"`

	Store   Store    `toml:"store"`
	Node    Node     `toml:"node"`
	Seal    Seal     `toml:"seal"`
	Regions []Region `toml:"region"` // at least one
	Vaults  Vaults   `toml:"vaults"`
	TLS     TLS      `toml:"tls"`
	Admin   Admin    `toml:"admin"`
	Limits  Limits   `toml:"limits"`
	OCI     OCI      `toml:"oci"`
	Alibaba Alibaba  `toml:"alibaba"`
	Objects Objects  `toml:"objects"`
	Audit   Audit    `toml:"audit"`
	Backup  Backup   `toml:"backup"`
	Log     Log      `toml:"log"`
	Server  Server   `toml:"server"`
}

// Store says where the records are.
type Store struct {
	// Type is "sqlite" (default), a database in [Config.Data] for one process, or "postgres",
	// one that many processes share: the nodes. All nodes have the same configuration but for
	// [Config.Data], addresses to bind and names.
	Type string `toml:"type"`
	// URL is the connection string of PostgreSQL, without the password:
	// "postgres://claviger@db1,db2/claviger?sslmode=verify-full". Of several hosts the first that
	// takes writes is used. Only with "postgres", and required there.
	URL string `toml:"url"`
	// PasswordFile holds the password, where one is needed.
	PasswordFile string `toml:"password_file"`
	// BatchTimeout is how long the database may take for a batch of changes before it is given
	// up. Default "20s".
	BatchTimeout Duration `toml:"batch_timeout"`
	// ReopenTimeout is how long changes wait while no host takes writes, as during a failover.
	// Default "10s".
	ReopenTimeout Duration `toml:"reopen_timeout"`
	// IdleTimeout is after which silence in the middle of a change the database takes the right to
	// write from a node that has stopped. Default "5s".
	IdleTimeout Duration `toml:"idle_timeout"`
	// StatementTimeout bounds each reading statement. Default "30s".
	StatementTimeout Duration `toml:"statement_timeout"`
	// AcceptStale is not in the file: it is the flag --accept-stale-revocation of `claviger serve`.
	AcceptStale bool `toml:"-"`
}

// Node is how a process keeps step with others that share its database. A change that takes
// something away is answered once every node knows of it: after about [Node.Poll], or, while a
// node is silent, after [Node.Lease] and [Node.Margin]. So is every answer that shows, uses or
// refuses what was changed a moment ago.
type Node struct {
	// Name is for people. Default: the machine's name.
	Name string `toml:"name"`
	// Lease is how long the node serves from memory without hearing from the database. Default "5s".
	Lease Duration `toml:"lease"`
	// Margin is how much longer others wait for a node that is silent: more than the machines'
	// clocks can differ within a lease. Default "1s".
	Margin Duration `toml:"margin"`
	// Poll is how often the node asks what others changed. Default "25ms".
	Poll Duration `toml:"poll"`
}

// Seal says where the root key is.
type Seal struct {
	// Type is the kind of seal. This release has "file" (default).
	Type string `toml:"type"`
	// File is the root key file, mode 0600, made by `claviger init`. Keep it, and its backup,
	// apart from the database: whoever has both has every key. Required.
	File string `toml:"file"`
}

// Region is one place where keys live, with its name in each cloud. Its own URL decides the
// region of a request: OCI's vault service and the Alibaba API of the region are both there.
type Region struct {
	// Name is the server's own name of the region, stored with every key. It must never be
	// changed once keys are there. Required.
	Name string `toml:"name"`
	// OCI is the region identifier that OCI clients use, such as "us-ashburn-1". It is part of
	// every OCID, so it must never be changed once keys are there. Required.
	OCI string `toml:"oci"`
	// Alibaba is the region id that Alibaba clients use, such as "cn-hangzhou". Required.
	Alibaba string `toml:"alibaba"`
	// Listen is the address that the region's listener binds, "host:port". Required.
	Listen string `toml:"listen"`
	// Advertise is the base URL under which clients reach Listen, when that is another
	// address: "https://kms.example.org". Default: made from Listen.
	Advertise string `toml:"advertise"`
}

// Vaults says what the base URLs of vaults look like. An OCI request names its vault by the
// host and port that it is sent to and by nothing else, so each vault needs its own.
type Vaults struct {
	// Mode is "ports" (default), a port of its own for each vault, or "hosts", a host name of
	// its own for each vault on its region's listener.
	Mode string `toml:"mode"`
	// Listen is the address that vault ports bind to. Only with "ports". Default: the host of
	// the region's Listen.
	Listen string `toml:"listen"`
	// Ports is the range for vaults, "first-last". A vault keeps its port for life, and the
	// port is not given out again before the vault's tombstone is gone. Only with "ports",
	// and required there.
	Ports string `toml:"ports"`
	// Advertise is the scheme and host under which clients reach vault ports:
	// "https://kms.example.org"; the port is added. Only with "ports". Default: made from Listen.
	Advertise string `toml:"advertise"`
	// Template is the base URL of a vault: "https://{vault}.kms.example.org", with a port if
	// it is not the scheme's. Only with "hosts", and required there.
	Template string `toml:"template"`
}

// TLS names the server's certificate. Both files are read again when they change, without a
// restart; while they do not fit each other the certificate before stays in use.
type TLS struct {
	// CertFile is a PEM file with the certificate and its intermediates. It must be valid for
	// every advertised host name; in "hosts" mode that is a wildcard. Empty: plain HTTP, for a
	// proxy in front.
	CertFile string `toml:"cert_file"`
	// KeyFile is the certificate's private key in PEM.
	KeyFile string `toml:"key_file"`
	// ClientCAFile is a PEM file with the authorities of clients' certificates, read at start. With
	// it every listener asks clients for a certificate: one that is shown must be of these
	// authorities, and one that shows none is served too. Requests are signed all the same. OCI
	// vaults can be registered for mutual TLS only with it. Default: clients are not asked.
	ClientCAFile string `toml:"client_ca_file"`
}

// Admin is the listener of the admin API and of /metrics. It uses the certificate of [TLS] if
// there is one and the address is not loopback.
type Admin struct {
	// Listen is its address. An address that is not loopback needs [TLS]. Default "127.0.0.1:7440".
	Listen string `toml:"listen"`
	// TokenFile holds the bearer token that opens the admin API, mode 0600, made by
	// `claviger init`. Required.
	TokenFile string `toml:"token_file"`
}

// Limits throttles. The limits of the clouds that are rules of the API (a version every seven
// days, fifty versions) are always on.
type Limits struct {
	// Mode is "management" (default): as many management writes per second and tenant as the
	// cloud allows, and everything else unlimited; "cloud": reads, data calls and the number of
	// keys and aliases are limited too, as in the cloud; or "off".
	Mode string `toml:"mode"`
	// Rates are requests per second and tenant by class, in place of the mode's; 0 is no
	// limit. A class is the API and its class, such as "oci/mgmt-write" or "alibaba/crypto";
	// docs/operations.md lists them.
	Rates map[string]float64 `toml:"rates"`
	// Connections is how many client connections are open at once, each listener for itself;
	// more wait. Default 4096.
	Connections int `toml:"connections"`
	// SourceConnections is how many of these one source may have, which is an IPv4 address or a
	// network of 64 bits of IPv6; more are closed as they come. Those of trusted proxies do not
	// count. 0 is no limit. Default 1024.
	SourceConnections int `toml:"source_connections"`
	// FailedVerifications is how many requests per second a source, which is an IPv4 address or a
	// network of 64 bits of IPv6, may send whose signature does not verify or that cannot be read.
	// Five seconds' worth may come at once; one with an RSA-4096 key counts for twelve. Beyond, its
	// requests are refused before they are verified, except with credentials that have verified
	// from there, each of which has as much for itself. 0 is no limit. Default 20.
	FailedVerifications float64 `toml:"failed_verifications"`
	// HeavyVerifications is how many signatures by RSA keys of more than 2048 bits are verified at
	// once; sources take turns. Default 0: all cores but one, and at least one.
	HeavyVerifications int `toml:"heavy_verifications"`
	// UnverifiedMiB bounds what is held of bodies of more than 16 KiB, or of unknown length, before it is
	// known whose they are, on all connections together. No source holds more than it leaves to all
	// others; more wait for at most five seconds, sources taking turns, and are then refused. 0 is no
	// limit. Default 64.
	UnverifiedMiB int64 `toml:"unverified_mib"`
}

// OCI is what only the OCI dialect can be told.
type OCI struct {
	// Consistency says when changes show to OCI clients: "strict" (default), settled in the answer
	// that says so; or "cloudlike", as in Oracle's service: for a few looks in a state on the way
	// such as CREATING, in which most operations are refused, and what is new not to everybody at
	// once. It is for testing clients. What is revoked is revoked at once either way.
	Consistency string `toml:"consistency"`
	// ConsistencySeed decides what is drawn with "cloudlike": the same requests in the same order
	// are answered the same. Default 0.
	ConsistencySeed uint64 `toml:"consistency_seed"`
}

// Alibaba is what only the Alibaba dialect can be told.
type Alibaba struct {
	// XMLRoot is the root element of XML answers: "operation" (default) is the form that the
	// document of each operation shows, which is <KMS> for CreateKeyVersion and
	// <DescribeKeyVersionResponse> and the like for the others; "kms" is <KMS> for all;
	// "action" is the other form for all.
	XMLRoot string `toml:"xml_root"`
	// Nonces is where the signature nonces of data calls are remembered, each of which is good for
	// one request: "memory" is the process's own, costs nothing, and lets a request that was
	// recorded be sent once more to another node; "strict" is the database, which every call of
	// this API then writes to. Those of changes are in the database in any case. Default: "strict"
	// with store.type = "postgres", else "memory".
	Nonces string `toml:"nonces"`
	// NonceCapacity is how many signature nonces are kept in memory, each for 15 minutes. When
	// it is full, calls are throttled. A million takes 20 to 40 MB. Default 4000000.
	NonceCapacity int `toml:"nonce_capacity"`
}

// Objects says where backups go that clients make through OCI's API, and come from. Every tenant has
// its objects for itself, whatever it calls its namespaces.
type Objects struct {
	// Type is where a backup goes whose location is a bucket: "directory", below [Objects.Dir]; "s3",
	// a store that speaks S3; or "" (default), nowhere: such backups are refused.
	Type string `toml:"type"`
	// Dir holds the objects of "directory", as {tenancy OCID}/{namespace}/{bucket}/{object}, the
	// names encoded. Default: "objects" below [Config.Data].
	Dir string `toml:"dir"`
	// Endpoint is the base URL of "s3", such as "https://s3.eu-central-1.amazonaws.com". Buckets are
	// addressed by path, and must be there. An object's key is {tenancy OCID}/{namespace}/{object}.
	Endpoint string `toml:"endpoint"`
	// Region is the region of "s3" as requests are signed for it. Default "us-east-1".
	Region string `toml:"region"`
	// CredentialsFile holds the access key of "s3" in its first line and the secret key in its
	// second, mode 0600. It is read at start.
	CredentialsFile string `toml:"credentials_file"`
	// RequestHosts are the hosts of pre-authenticated requests that the server may carry out, each
	// exactly as in the URI: "objectstorage.eu-frankfurt-1.oraclecloud.com", with its port where it
	// has one, and with "http://" before it where it is not https. A host that resolves to an
	// address of a private network is refused all the same; name it by its address to allow it.
	// Default: none.
	RequestHosts []string `toml:"request_hosts"`
	// CAFile is a PEM file with the authorities of the certificates of Endpoint and RequestHosts.
	// Default: the system's.
	CAFile string `toml:"ca_file"`
}

// Audit is the log of data calls and refusals. Changes are audited in the database.
type Audit struct {
	// Dir is its directory. Default: "audit" below [Config.Data].
	Dir string `toml:"dir"`
	// Durable makes every call wait until its record is on disk. Otherwise the record is with
	// the operating system before the answer, and on disk within 100 ms: a killed process
	// loses nothing, a power cut at most that.
	Durable bool `toml:"durable"`
	// Retention is how long segments are kept; 0 (default) keeps them for ever.
	Retention Duration `toml:"retention"`
	// SegmentMiB is the size after which a segment ends. Default 64.
	SegmentMiB int64 `toml:"segment_mib"`
}

// Backup says who can open backups of keys and vaults.
type Backup struct {
	// Recipients are public keys of age, "age1…", as `age-keygen` makes them: backups are encrypted
	// to the holders of their private keys, and to nobody else. Keep those away from this server.
	// None (default): backups are encrypted under the root key, and can be restored wherever that is.
	Recipients []string `toml:"recipients"`
	// IdentityFile is a file of age's private keys, mode 0600, with which a restore opens backups
	// to their recipients. Name one for as long as a restore needs it. Default: none.
	IdentityFile string `toml:"identity_file"`
	// Dir is the directory that a running server puts backups of the whole store into. Default:
	// "backups" below [Config.Data].
	Dir string `toml:"dir"`
	// RootFile is a retired root key, mode 0600, with which a restore opens backups that were made
	// under it. Name one for as long as a restore needs it. Default: none.
	RootFile string `toml:"root_file"`
}

// Log is what the server writes to standard error.
type Log struct {
	// Level is "debug", "info" (default), "warn" or "error". Requests that succeed are logged
	// at debug, refused ones at info.
	Level string `toml:"level"`
	// Format is "json" (default) or "text".
	Format string `toml:"format"`
}

// Server bounds what a connection may take. The first four timeouts end up to a sixteenth of the
// shortest of them late.
type Server struct {
	ReadHeaderTimeout Duration `toml:"read_header_timeout"` // default "10s"
	ReadTimeout       Duration `toml:"read_timeout"`        // of a whole request; default "30s"
	WriteTimeout      Duration `toml:"write_timeout"`       // from the end of the header to the end of the answer; default "60s"
	IdleTimeout       Duration `toml:"idle_timeout"`        // between requests; default "120s"
	ShutdownTimeout   Duration `toml:"shutdown_timeout"`    // for requests in flight when the server is told to stop; default "20s"
	// UploadMiB is the largest backup that is taken from a client or an object storage, and made.
	// An upload has as long as it needs, as long as it does not stand still. Default 1024.
	UploadMiB int64 `toml:"upload_mib"`
	// SpoolMiB bounds all the temporary files that uploads and backups wait in. Default 4096.
	SpoolMiB int64 `toml:"spool_mib"`
	// SpoolDir is the directory of these. Default: "spool" below [Config.Data].
	SpoolDir string `toml:"spool_dir"`
	// TrustedProxies are addresses and networks, such as "10.0.0.7" and "10.1.0.0/16", of proxies
	// that name the client at the end of X-Forwarded-For. Audit log, log and limits then tell
	// clients apart by what they say. Default: none, a client is who the connection is from.
	TrustedProxies []string `toml:"trusted_proxies"`
}

// Default is the configuration that a file starts from.
func Default() Config {
	return Config{
		HSMKeys:    "refuse",
		FIPS140:    "off",
		Tombstones: Duration(90 * day), WorkRequests: Duration(7 * day),
		Store: Store{
			Type: "sqlite", BatchTimeout: Duration(20 * time.Second), ReopenTimeout: Duration(10 * time.Second),
			IdleTimeout: Duration(5 * time.Second), StatementTimeout: Duration(30 * time.Second),
		},
		Node:    Node{Lease: Duration(5 * time.Second), Margin: Duration(time.Second), Poll: Duration(25 * time.Millisecond)},
		Seal:    Seal{Type: "file"},
		Vaults:  Vaults{Mode: "ports"},
		Admin:   Admin{Listen: "127.0.0.1:7440"},
		Limits:  Limits{Mode: "management", Connections: 4096, SourceConnections: 1024, FailedVerifications: 20, UnverifiedMiB: 64},
		OCI:     OCI{Consistency: "strict"},
		Alibaba: Alibaba{XMLRoot: "operation", NonceCapacity: 4_000_000},
		Audit:   Audit{SegmentMiB: 64},
		Log:     Log{Level: "info", Format: "json"},
		Server: Server{
			ReadHeaderTimeout: Duration(10 * time.Second),
			ReadTimeout:       Duration(30 * time.Second),
			WriteTimeout:      Duration(60 * time.Second),
			IdleTimeout:       Duration(120 * time.Second),
			ShutdownTimeout:   Duration(20 * time.Second),
			UploadMiB:         1024,
			SpoolMiB:          4096,
		},
	}
}

// Load reads and checks the file at path.
func Load(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	c, err := Read(f, filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("read configuration %s: %w", path, err)
	}
	return c, nil
}

// Read reads and checks a configuration whose relative paths are relative to dir.
func Read(r io.Reader, dir string) (*Config, error) {
	c := Default()
	if err := Decode(r, &c); err != nil {
		return nil, err
	}
	c.resolve(dir)
	if err := c.check(); err != nil {
		return nil, err
	}
	return &c, nil
}

// Decode reads TOML into v and refuses keys that v has no field for.
func Decode(r io.Reader, v any) error {
	meta, err := toml.NewDecoder(r).Decode(v)
	if err != nil {
		if p, ok := errors.AsType[toml.ParseError](err); ok {
			return fmt.Errorf("line %d: %s", p.Position.Line, p.Message)
		}
		return err
	}
	unknown := meta.Undecoded()
	if len(unknown) == 0 {
		return nil
	}
	names := make([]string, len(unknown))
	for i, k := range unknown {
		names[i] = k.String()
	}
	return fmt.Errorf("unknown key %s", strings.Join(names, ", "))
}

// resolve makes paths absolute and fills the defaults that depend on other fields.
func (c *Config) resolve(dir string) {
	for _, p := range []*string{
		&c.Data, &c.Store.PasswordFile, &c.Seal.File, &c.TLS.CertFile, &c.TLS.KeyFile, &c.TLS.ClientCAFile, &c.Admin.TokenFile, &c.Audit.Dir,
		&c.Objects.Dir, &c.Objects.CredentialsFile, &c.Objects.CAFile, &c.Server.SpoolDir, &c.Backup.IdentityFile, &c.Backup.Dir, &c.Backup.RootFile,
	} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	if c.Data != "" {
		for name, dir := range map[string]*string{"audit": &c.Audit.Dir, "objects": &c.Objects.Dir, "spool": &c.Server.SpoolDir, "backups": &c.Backup.Dir} {
			if *dir == "" {
				*dir = filepath.Join(c.Data, name)
			}
		}
	}
	if c.Alibaba.Nonces == "" {
		c.Alibaba.Nonces = "memory"
		if c.Store.Type == "postgres" {
			c.Alibaba.Nonces = "strict"
		}
	}
	for i := range c.Regions {
		r := &c.Regions[i]
		if r.Advertise == "" {
			r.Advertise = c.scheme() + "://" + reachable(r.Listen)
		}
	}
	if c.Vaults.Mode == "ports" && len(c.Regions) > 0 {
		if c.Vaults.Listen == "" {
			c.Vaults.Listen, _, _ = net.SplitHostPort(c.Regions[0].Listen)
		}
		if c.Vaults.Advertise == "" {
			host, _, _ := net.SplitHostPort(reachable(net.JoinHostPort(c.Vaults.Listen, "0")))
			c.Vaults.Advertise = c.scheme() + "://" + bracket(host)
		}
	}
}

func (c *Config) scheme() string {
	if c.TLS.CertFile != "" {
		return "https"
	}
	return "http"
}

// reachable turns an address to bind into one to connect to: an unspecified host becomes loopback.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

func bracket(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}
