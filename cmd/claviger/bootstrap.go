// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"claviger/internal/dialect/admin"
	"claviger/internal/dialect/alibaba"
	"claviger/internal/dialect/oci"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/secret"
	"claviger/internal/store"
)

// firstState is what a dev server tells of its first tenant: all that a client needs. It is
// kept with the data.
type firstState struct {
	Seed            string  `json:"seed"` // hash of the seed file, "" without one
	Token           string  `json:"token"`
	Tenancy         string  `json:"tenancy"`
	User            string  `json:"user"`
	Fingerprint     string  `json:"fingerprint"`
	PrivateKeyFile  string  `json:"privateKeyFile"`
	Account         string  `json:"account"`
	AccessKeyID     string  `json:"accessKeyId"`
	AccessKeySecret string  `json:"accessKeySecret"`
	Vault           keys.ID `json:"vault"`

	Regions []devRegion `json:"regions,omitempty"` // after the first
}

// bootstrap puts a seed into an empty dev server.
type bootstrap struct {
	node  *node
	seed  *seed
	dir   string // for the files that are made
	key   func() (*apiKey, error)
	first *firstState
}

// defaultSeed is what dev begins with when nobody says otherwise: one tenant whose ids nobody can guess.
func defaultSeed(salt [32]byte) *seed {
	return &seed{Tenants: []seedTenant{{Name: "dev"}}, salt: salt}
}

func (b *bootstrap) run(ctx context.Context) error {
	for i := range b.seed.Tenants {
		t := &b.seed.Tenants[i]
		if err := b.tenant(ctx, t, i == 0); err != nil {
			return fmt.Errorf("seed tenant %s: %w", t.Name, err)
		}
	}
	for i := range b.seed.Tenants {
		t := &b.seed.Tenants[i]
		if err := b.grants(ctx, t); err != nil {
			return fmt.Errorf("seed tenant %s: %w", t.Name, err)
		}
	}
	return nil
}

func (b *bootstrap) call(region keys.Region) *kms.Call {
	c := b.node.service.System("Seed")
	c.Region = region
	return c
}

func (b *bootstrap) tenant(ctx context.Context, t *seedTenant, first bool) error {
	s, id := b.node.service, b.seed.id(t.ID, "tenant", t.Name)
	names := keys.Names{oci.Name: orFresh(t.OCI, ociNaming{}, keys.TypeTenant, id), alibaba.Name: orFresh(t.Alibaba, alibabaNaming{}, keys.TypeTenant, id)}
	wish := kms.NewTenant{ID: id, Name: t.Name, Names: names, Vaults: map[keys.Region]keys.ID{}}
	for _, region := range s.Regions() {
		wish.Vaults[region] = b.seed.id(seedID{}, "tenant", t.Name, "region", string(region))
	}
	for _, v := range t.Vaults {
		if v.Default {
			wish.Vaults[b.region(v.Region)] = b.seed.id(v.ID, "tenant", t.Name, "vault", v.Name)
		}
	}
	tenant, err := s.CreateTenant(ctx, b.call(""), wish)
	if err != nil {
		return err
	}
	if first {
		b.first.Tenancy, b.first.Account = names[oci.Name], names[alibaba.Name]
		b.first.Vault = wish.Vaults[s.Regions()[0]]
	}
	compartments, err := b.compartments(ctx, t, tenant)
	if err != nil {
		return err
	}
	if err := b.principals(ctx, t, tenant, first); err != nil {
		return err
	}
	for i := range t.Vaults {
		v := &t.Vaults[i]
		if err := b.vault(ctx, t, tenant, v, compartments); err != nil {
			return fmt.Errorf("vault %s: %w", v.Name, err)
		}
	}
	return nil
}

func orFresh(name string, n admin.Naming, t keys.Type, id keys.ID) string {
	if name != "" {
		return name
	}
	return n.Fresh(t, id)
}

func (b *bootstrap) region(name string) keys.Region {
	if name == "" {
		return b.node.service.Regions()[0]
	}
	return keys.Region(name)
}

// compartments makes a tenant's compartments and gives their OCIDs by name.
func (b *bootstrap) compartments(ctx context.Context, t *seedTenant, tenant *keys.Tenant) (map[string]string, error) {
	ids, ocids := map[string]keys.ID{"": tenant.ID}, map[string]string{"": ""}
	for _, c := range t.Compartments {
		parent, ok := ids[c.Parent]
		if !ok {
			return nil, fmt.Errorf("compartment %s: there is no compartment %s before it", c.Name, c.Parent)
		}
		id := b.seed.id(c.ID, "tenant", t.Name, "compartment", c.Name)
		ocid := orFresh(c.OCI, ociNaming{}, keys.TypeCompartment, id)
		_, err := b.node.service.CreateCompartment(ctx, b.call(""), kms.NewCompartment{
			ID: id, Tenant: tenant.ID, Parent: parent, Name: c.Name, Names: keys.Names{oci.Name: ocid},
		})
		if err != nil {
			return nil, fmt.Errorf("compartment %s: %w", c.Name, err)
		}
		ids[c.Name], ocids[c.Name] = id, ocid
	}
	return ocids, nil
}

// principals makes a tenant's principals. The first tenant gets an administrator with both
// kinds of credentials, unless the seed has one, and tells them.
func (b *bootstrap) principals(ctx context.Context, t *seedTenant, tenant *keys.Tenant, first bool) error {
	all := t.Principals
	if first && !hasAdmin(all) {
		all = append(all, seedPrincipal{Name: "admin"})
	}
	told := !first
	for i := range all {
		p := &all[i]
		id := b.seed.id(p.ID, "tenant", t.Name, "principal", p.Name)
		user := orFresh(p.OCI, ociNaming{}, keys.TypePrincipal, id)
		row, err := b.node.service.CreatePrincipal(ctx, b.call(""), kms.NewPrincipal{
			ID: id, Tenant: tenant.ID, Name: p.Name, Names: keys.Names{oci.Name: user}, Role: p.role(),
		})
		if err != nil {
			return fmt.Errorf("principal %s: %w", p.Name, err)
		}
		tell := !told && p.role() == identity.Admin
		told = told || tell
		if err := errors.Join(b.apiKeys(ctx, tenant, row, p, tell), b.accessKeys(ctx, row, p, tell)); err != nil {
			return fmt.Errorf("principal %s: %w", p.Name, err)
		}
	}
	return nil
}

func hasAdmin(all []seedPrincipal) bool {
	for i := range all {
		if all[i].role() == identity.Admin {
			return true
		}
	}
	return false
}

func (p *seedPrincipal) role() identity.Role {
	if p.Role == "" {
		return identity.Admin
	}
	return identity.Role(p.Role)
}

// apiKeys gives a principal its API keys; tell means that one must have a private half that a
// client can be shown.
func (b *bootstrap) apiKeys(ctx context.Context, tenant *keys.Tenant, p *identity.Principal, wish *seedPrincipal, tell bool) error {
	for _, k := range wish.APIKeys {
		switch {
		case (k.PublicKeyFile == "") == (k.PrivateKeyFile == ""):
			return errors.New("oci_api_key needs either public_key_file or private_key_file")
		case k.PublicKeyFile != "":
			spki, err := readPublicKey(b.seed.path(k.PublicKeyFile))
			if err != nil {
				return err
			}
			if _, err := b.addAPIKey(ctx, tenant, p, spki); err != nil {
				return err
			}
		default:
			fingerprint, err := b.addKeyFile(ctx, tenant, p, b.seed.path(k.PrivateKeyFile))
			if err != nil {
				return err
			}
			if tell {
				b.tellAPIKey(p, fingerprint, b.seed.path(k.PrivateKeyFile))
				tell = false
			}
		}
	}
	if !tell {
		return nil
	}
	path := filepath.Join(b.dir, apiKeyFile)
	fingerprint, err := b.addKeyFile(ctx, tenant, p, path)
	b.tellAPIKey(p, fingerprint, path)
	return err
}

func (b *bootstrap) tellAPIKey(p *identity.Principal, fingerprint, path string) {
	b.first.User, b.first.Fingerprint, b.first.PrivateKeyFile = p.Names[oci.Name], fingerprint, path
}

// addKeyFile adds the key whose private half is in a file, which is made when it is not there.
func (b *bootstrap) addKeyFile(ctx context.Context, tenant *keys.Tenant, p *identity.Principal, path string) (fingerprint string, err error) {
	text, err := os.ReadFile(path)
	var key *apiKey
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if key, err = b.key(); err == nil {
			err = writeAtomic(path, key.pem)
		}
	case err == nil:
		key, err = parseAPIKey(text)
	}
	if err != nil {
		return "", fmt.Errorf("API key %s: %w", path, err)
	}
	return b.addAPIKey(ctx, tenant, p, key.spki)
}

func (b *bootstrap) addAPIKey(ctx context.Context, tenant *keys.Tenant, p *identity.Principal, spki []byte) (string, error) {
	name, fingerprint := ociNaming{}.RSAKeyName(tenant, p, spki)
	_, err := b.node.service.AddRSAKey(ctx, b.call(""), p.ID, name, spki)
	return fingerprint, err
}

func readPublicKey(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read public key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, fmt.Errorf("read public key %s: no PEM block of type PUBLIC KEY", path)
	}
	return block.Bytes, nil
}

func (b *bootstrap) accessKeys(ctx context.Context, p *identity.Principal, wish *seedPrincipal, tell bool) error {
	for _, k := range wish.AccessKeys {
		if _, err := b.node.service.AddAccessKey(ctx, b.call(""), p.ID, k.ID, secret.Copy([]byte(k.Secret))); err != nil {
			return err
		}
		if tell {
			b.first.AccessKeyID, b.first.AccessKeySecret = k.ID, k.Secret
			tell = false
		}
	}
	if !tell {
		return nil
	}
	row, value, err := addAccessKey(ctx, b.node.service, b.call(""), p.ID, rand.Reader)
	if err != nil {
		return err
	}
	b.first.AccessKeyID, b.first.AccessKeySecret = row.Name, value
	return nil
}

func (b *bootstrap) vault(ctx context.Context, t *seedTenant, tenant *keys.Tenant, v *seedVault, compartments map[string]string) error {
	region := b.region(v.Region)
	if !slices.Contains(b.node.service.Regions(), region) {
		return fmt.Errorf("there is no region %s: give --region", region)
	}
	id := b.seed.id(v.ID, "tenant", t.Name, "vault", v.Name)
	compartment, ok := compartments[v.Compartment]
	if !ok {
		return fmt.Errorf("there is no compartment %s", v.Compartment)
	}
	var err error
	if v.Default { // it is there, under the general name of default vaults
		_, err = b.node.service.UpdateVault(ctx, b.call(region), kms.VaultRef{ID: id}, kms.VaultUpdate{Name: &v.Name})
	} else {
		wish := kms.NewVault{Name: v.Name, Kind: keys.SharedVault, Compartment: compartment}
		if v.Private {
			wish.Kind = keys.PrivateVault
		}
		c := b.call(region)
		c.Dialect = oci.Name // whose names the compartments have
		_, err = b.node.service.SeedVault(ctx, c, id, tenant.ID, region, wish)
	}
	if err != nil {
		return err
	}
	err = errors.Join(b.carryOver(ctx, tenant, region, oci.Name, v.OCI, keys.TypeVault, id),
		b.carryOver(ctx, tenant, region, alibaba.Name, v.Alibaba, keys.TypeVault, id))
	if err != nil {
		return err
	}
	for i := range v.Keys {
		k := &v.Keys[i]
		if err := b.keyOf(ctx, t, tenant, id, region, k, compartments); err != nil {
			return fmt.Errorf("key %s: %w", k.Name, err)
		}
	}
	return nil
}

func (b *bootstrap) keyOf(ctx context.Context, t *seedTenant, tenant *keys.Tenant, vault keys.ID, region keys.Region, k *seedKey, compartments map[string]string) error {
	wish, err := b.seedKey(t, vault, k, compartments)
	if err != nil {
		return err
	}
	c := b.call(region)
	c.Dialect, c.Profile = oci.Name, &keys.Profile{RotationInterval: keys.Window{Min: keys.Day, Max: 3650 * keys.Day}}
	if _, err := b.node.service.SeedKey(ctx, c, *wish); err != nil {
		return err
	}
	for _, alias := range k.Aliases {
		if err := b.node.service.CreateAlias(ctx, b.call(region), alias, kms.KeyRef{ID: wish.ID, Tenant: tenant.ID}); err != nil {
			return fmt.Errorf("alias %s: %w", alias, err)
		}
	}
	other := func(dialect, name string, t keys.Type, id keys.ID) error {
		return b.carryOver(ctx, tenant, region, dialect, name, t, id)
	}
	errs := []error{other(oci.Name, k.OCI, keys.TypeKey, wish.ID), other(alibaba.Name, k.Alibaba, keys.TypeKey, wish.ID)}
	for i, v := range k.Versions {
		errs = append(errs, other(oci.Name, v.OCI, keys.TypeVersion, wish.Versions[i].ID), other(alibaba.Name, v.Alibaba, keys.TypeVersion, wish.Versions[i].ID))
	}
	return errors.Join(errs...)
}

func (b *bootstrap) seedKey(t *seedTenant, vault keys.ID, k *seedKey, compartments map[string]string) (*kms.SeedKey, error) {
	usages, err := k.usages()
	if err != nil {
		return nil, err
	}
	compartment, ok := compartments[k.Compartment]
	if !ok {
		return nil, fmt.Errorf("there is no compartment %s", k.Compartment)
	}
	wish := &kms.SeedKey{
		NewKey: kms.NewKey{
			Vault: vault, Compartment: compartment, Name: k.Name, Description: k.Description, Spec: k.spec(), Usages: usages,
			Origin: keys.Generated, Protection: keys.Software, Tags: keys.Tags{Plain: k.Tags},
		},
		ID: b.seed.id(k.ID, "tenant", t.Name, "key", k.Name), CreatedAt: moment(k.CreatedAt), Disabled: k.Disabled,
	}
	if k.Protection != "" {
		wish.Protection = keys.Protection(k.Protection)
	}
	if k.Rotation > 0 {
		wish.Rotation = &kms.RotationPolicy{Enabled: true, Interval: k.Rotation.Std()}
	}
	versions := k.Versions
	if len(versions) == 0 {
		versions = []seedVersion{{}}
	}
	for i, v := range versions {
		material, err := v.material()
		if err != nil {
			return nil, err
		}
		wish.Versions = append(wish.Versions, kms.SeedVersion{
			ID: b.seed.id(v.ID, "tenant", t.Name, "key", k.Name, "version", fmt.Sprint(i+1)), Material: material, CreatedAt: moment(v.CreatedAt),
		})
	}
	return wish, nil
}

// moment is a time as the store keeps it.
func moment(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Microsecond)
}

func (b *bootstrap) grants(ctx context.Context, t *seedTenant) error {
	for _, g := range t.Grants {
		key, err := b.keyNamed(t, g.Key)
		if err != nil {
			return err
		}
		grantee, err := b.tenantNamed(g.Grantee)
		if err != nil {
			return err
		}
		var actions []keys.Action
		for _, a := range g.Actions {
			actions = append(actions, keys.Action(a))
		}
		if _, err := b.node.service.CreateGrant(ctx, b.call(""), key, grantee, actions); err != nil {
			return fmt.Errorf("grant of key %s: %w", g.Key, err)
		}
	}
	return nil
}

func (b *bootstrap) keyNamed(t *seedTenant, name string) (keys.ID, error) {
	for _, v := range t.Vaults {
		for _, k := range v.Keys {
			if k.Name == name {
				return b.seed.id(k.ID, "tenant", t.Name, "key", k.Name), nil
			}
		}
	}
	return keys.ID{}, fmt.Errorf("grant: there is no key %s", name)
}

func (b *bootstrap) tenantNamed(name string) (keys.ID, error) {
	for _, t := range b.seed.Tenants {
		if t.Name == name {
			return b.seed.id(t.ID, "tenant", t.Name), nil
		}
	}
	return keys.ID{}, fmt.Errorf("grant: there is no tenant %s", name)
}

// carryOver gives a record another name in a dialect; "" gives none.
func (b *bootstrap) carryOver(ctx context.Context, tenant *keys.Tenant, region keys.Region, dialect, name string, t keys.Type, id keys.ID) error {
	if name == "" {
		return nil
	}
	return b.node.service.AddExternalID(ctx, b.call(region), store.ExternalID{Dialect: dialect, Type: t, Tenant: tenant.ID, Region: region, Name: name, ID: id})
}
