// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"claviger/internal/config"
	"claviger/internal/dialect/alibaba"
	"claviger/internal/dialect/oci"
	"claviger/internal/keys"
	"claviger/internal/secret"
)

// seed is what a dev server begins with, read from a seed file. docs/seed.md describes it. An id
// that the file does not give is derived from the names above it, so that the same file gives
// the same ids.
type seed struct {
	Tenants []seedTenant `toml:"tenant"`

	dir  string   // relative paths are relative to it
	salt [32]byte // of derived ids
	sum  string   // of the file
}

type seedTenant struct {
	Name         string            `toml:"name"`
	ID           seedID            `toml:"id"`
	OCI          string            `toml:"oci"`     // tenancy OCID; "": made of the id
	Alibaba      string            `toml:"alibaba"` // account id; "": made of the id
	Compartments []seedCompartment `toml:"compartment"`
	Principals   []seedPrincipal   `toml:"principal"`
	Vaults       []seedVault       `toml:"vault"`
	Grants       []seedGrant       `toml:"grant"`
}

type seedCompartment struct {
	Name   string `toml:"name"`
	ID     seedID `toml:"id"`
	OCI    string `toml:"oci"`
	Parent string `toml:"parent"` // a compartment before it; "": the root
}

type seedPrincipal struct {
	Name       string          `toml:"name"`
	ID         seedID          `toml:"id"`
	OCI        string          `toml:"oci"`  // user OCID; "": made of the id
	Role       string          `toml:"role"` // "": admin
	APIKeys    []seedAPIKey    `toml:"oci_api_key"`
	AccessKeys []seedAccessKey `toml:"alibaba_access_key"`
}

// seedAPIKey is one of: a public key, or a private key file that is made when it is not there.
type seedAPIKey struct {
	PublicKeyFile  string `toml:"public_key_file"`
	PrivateKeyFile string `toml:"private_key_file"`
}

type seedAccessKey struct {
	ID     string `toml:"id"`
	Secret string `toml:"secret"`
}

type seedVault struct {
	Name        string    `toml:"name"`
	ID          seedID    `toml:"id"`
	OCI         string    `toml:"oci"`     // another OCID, carried over
	Alibaba     string    `toml:"alibaba"` // another instance id, carried over: "kst-bjj…"
	Region      string    `toml:"region"`  // "": the first
	Default     bool      `toml:"default"` // the tenant's default vault in the region
	Private     bool      `toml:"private"`
	Compartment string    `toml:"compartment"`
	Keys        []seedKey `toml:"key"`
}

type seedKey struct {
	Name        string            `toml:"name"`
	ID          seedID            `toml:"id"`
	OCI         string            `toml:"oci"`     // another OCID, carried over
	Alibaba     string            `toml:"alibaba"` // another id, carried over: "key-hzz…"
	Description string            `toml:"description"`
	Compartment string            `toml:"compartment"`
	Spec        string            `toml:"spec"`       // "": AES_256
	Usage       []string          `toml:"usage"`      // encrypt, sign; none: all that the spec can do
	Protection  string            `toml:"protection"` // "": SOFTWARE
	Disabled    bool              `toml:"disabled"`
	CreatedAt   time.Time         `toml:"created_at"`
	Rotation    config.Duration   `toml:"rotation"` // 0: none
	Aliases     []string          `toml:"aliases"`
	Tags        map[string]string `toml:"tags"`
	Versions    []seedVersion     `toml:"version"` // oldest first; none: one
}

type seedVersion struct {
	ID        seedID    `toml:"id"`
	OCI       string    `toml:"oci"`
	Alibaba   string    `toml:"alibaba"`
	CreatedAt time.Time `toml:"created_at"`
	Material  string    `toml:"material"` // base64: the raw key of AES, PKCS#8 DER of RSA and EC; "": generated
}

type seedGrant struct {
	Key     string   `toml:"key"`     // the name of a key of this tenant
	Grantee string   `toml:"grantee"` // the name of another tenant
	Actions []string `toml:"actions"`
}

// seedID is an id in a seed file: UUID text, or an OCID that this server would give.
type seedID keys.ID

// UnmarshalText reads either form.
func (id *seedID) UnmarshalText(b []byte) error {
	if _, parsed, ok := oci.ParseName(string(b)); ok {
		*id = seedID(parsed)
		return nil
	}
	parsed, err := keys.ParseID(string(b))
	if err != nil {
		return fmt.Errorf("%q is neither a UUID in lower case nor an OCID of this server", b)
	}
	*id = seedID(parsed)
	return nil
}

// readSeed reads a seed file.
func readSeed(path string) (*seed, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read seed: %w", err)
	}
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("read seed: %w", err)
	}
	s, err := parseSeed(text, filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("read seed %s: %w", path, err)
	}
	return s, nil
}

func parseSeed(text []byte, dir string) (*seed, error) {
	s := &seed{dir: dir, salt: sha256.Sum256([]byte("claviger/seed/1"))}
	sum := sha256.Sum256(text)
	s.sum = hex.EncodeToString(sum[:])
	if err := config.Decode(bytes.NewReader(text), s); err != nil {
		return nil, err
	}
	return s, s.check()
}

// check refuses what would only fail halfway through, or give two things one derived id.
func (s *seed) check() error {
	if len(s.Tenants) == 0 {
		return errors.New("there is no [[tenant]]")
	}
	seen := map[string]bool{}
	once := func(path ...string) error {
		last := path[len(path)-1]
		key := fmt.Sprintf("%q", path)
		switch {
		case last == "":
			return fmt.Errorf("a %s has no name", path[len(path)-2])
		case seen[key]:
			return fmt.Errorf("there are two %ss named %s", path[len(path)-2], last)
		}
		seen[key] = true
		return nil
	}
	for _, t := range s.Tenants {
		errs := []error{once("tenant", t.Name)}
		for _, c := range t.Compartments {
			errs = append(errs, once(t.Name, "compartment", c.Name))
		}
		for _, p := range t.Principals {
			errs = append(errs, once(t.Name, "principal", p.Name))
		}
		for _, v := range t.Vaults {
			errs = append(errs, once(t.Name, "vault", v.Name), carriedOver(v.OCI, v.Alibaba))
			for _, k := range v.Keys {
				errs = append(errs, once(t.Name, "key", k.Name), k.check())
			}
		}
		if err := errors.Join(errs...); err != nil {
			return fmt.Errorf("tenant %s: %w", t.Name, err)
		}
	}
	return nil
}

func (k *seedKey) check() error {
	if spec := k.spec(); !spec.Valid() {
		return fmt.Errorf("key %s: spec %q is not one of %v", k.Name, k.Spec, keys.Specs())
	}
	if _, err := k.usages(); err != nil {
		return fmt.Errorf("key %s: %w", k.Name, err)
	}
	if err := carriedOver(k.OCI, k.Alibaba); err != nil {
		return fmt.Errorf("key %s: %w", k.Name, err)
	}
	last := k.CreatedAt
	for i, v := range k.Versions {
		if err := carriedOver(v.OCI, v.Alibaba); err != nil {
			return fmt.Errorf("key %s: version %d: %w", k.Name, i+1, err)
		}
		if !v.CreatedAt.IsZero() && v.CreatedAt.Before(last) {
			return fmt.Errorf("key %s: version %d is older than what comes before it", k.Name, i+1)
		}
		if !v.CreatedAt.IsZero() {
			last = v.CreatedAt
		}
		m, err := v.material()
		if err != nil {
			return fmt.Errorf("key %s: version %d: %w", k.Name, i+1, err)
		}
		m.Wipe()
	}
	return nil
}

// carriedOver refuses names that would never be found: one that has the form of this server's own
// is read as that, and must be the id itself.
func carriedOver(ociName, alibabaName string) error {
	if _, _, ok := oci.ParseName(ociName); ok {
		return fmt.Errorf("oci = %q is an OCID of this server: give it as id", ociName)
	}
	if _, err := keys.ParseID(alibabaName); err == nil {
		return fmt.Errorf("alibaba = %q is a UUID: give it as id", alibabaName)
	}
	if id, ok := alibaba.ParseInstance(alibabaName); ok {
		return fmt.Errorf("alibaba = %q is an instance's id of this server: give %s as id", alibabaName, id)
	}
	return nil
}

func (k *seedKey) spec() keys.Spec {
	if k.Spec == "" {
		return keys.AES256
	}
	return keys.Spec(k.Spec)
}

func (k *seedKey) usages() (keys.Usage, error) {
	var out keys.Usage
	for _, name := range k.Usage {
		switch name {
		case "encrypt":
			out |= keys.UsageEncrypt
		case "sign":
			out |= keys.UsageSign
		case "mac":
			out |= keys.UsageMAC
		default:
			return 0, fmt.Errorf("usage %q is none of encrypt, sign and mac", name)
		}
	}
	if out == 0 {
		out = k.spec().Usages()
	}
	if !k.spec().Usages().Has(out) {
		return 0, fmt.Errorf("%s keys cannot be used for %v", k.spec(), out)
	}
	return out, nil
}

func (v *seedVersion) material() (secret.Bytes, error) {
	if v.Material == "" {
		return secret.Bytes{}, nil
	}
	b, err := base64.StdEncoding.DecodeString(v.Material)
	if err != nil {
		return secret.Bytes{}, errors.New("material is not base64") // the cause would quote it
	}
	return secret.New(b), nil
}

// id is the given id, or the one that the names give.
func (s *seed) id(given seedID, path ...string) keys.ID {
	if id := keys.ID(given); !id.IsZero() {
		return id
	}
	sum := sha256.Sum256(fmt.Appendf(s.salt[:], "%q", path))
	return keys.ID(sum[:16])
}

// path resolves a path of the file.
func (s *seed) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(s.dir, name)
}
