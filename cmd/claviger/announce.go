// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"claviger/internal/config"
	"claviger/internal/keys"
)

// announce tells programs, in the ready file, and people, on standard error, how to reach the server.
func (d *devServer) announce(undo *cleanup) error {
	r, err := d.ready()
	if err != nil {
		return err
	}
	if err := writeAtomic(r.OCI.ConfigFile, ociConfig(&r.OCI)); err != nil {
		return fmt.Errorf("write OCI configuration: %w", err)
	}
	if d.ReadyFile != "" {
		if err := r.write(d.ReadyFile); err != nil {
			return err
		}
		undo.add(func() error {
			if err := os.Remove(d.ReadyFile); !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return nil
		})
	}
	d.welcome(d.app.err, r)
	return nil
}

// ready is the content of the ready file.
func (d *devServer) ready() (*readyFile, error) {
	vaults, err := d.node.service.AllVaults(d.app.ctx)
	if err != nil {
		return nil, err
	}
	var vault *keys.Vault
	for _, v := range vaults {
		if v.ID == d.first.Vault {
			vault = v
		}
	}
	if vault == nil {
		return nil, fmt.Errorf("the first vault, %s, is not there any more: give another --data", d.first.Vault)
	}
	region, f := d.node.regions[0], &d.first
	r := &readyFile{
		Admin: readyAdmin{Endpoint: d.url(), Token: f.Token},
		OCI: readyOCI{
			VaultEndpoint: d.url(), Region: region.OCI, Tenancy: f.Tenancy, User: f.User, Fingerprint: f.Fingerprint,
			PrivateKeyFile: f.PrivateKeyFile, ConfigFile: filepath.Join(d.dir, "oci_config"), Compartment: f.Tenancy,
			VaultID: d.node.oci.Namer().VaultName(vault), ManagementEndpoint: d.node.vaults.vaultURL(vault),
			CryptoEndpoint: d.node.vaults.vaultURL(vault),
		},
		Alibaba: readyAlibaba{
			Endpoint: d.url(), RegionID: region.Alibaba, AccountID: f.Account,
			AccessKeyID: f.AccessKeyID, AccessKeySecret: f.AccessKeySecret,
		},
	}
	r.Regions = map[string]readyRegion{}
	for i, region := range d.node.regions {
		r.Regions[region.OCI] = readyRegion{VaultEndpoint: d.urlOf(i), RegionID: region.Alibaba, Endpoint: d.urlOf(i)}
	}
	if d.ca != nil {
		r.CA = &readyCA{File: d.ca.file}
	}
	return r, nil
}

// ociConfig is a configuration file of the OCI CLI and SDKs.
func ociConfig(r *readyOCI) []byte {
	return fmt.Appendf(nil, "[DEFAULT]\nuser=%s\nfingerprint=%s\ntenancy=%s\nregion=%s\nkey_file=%s\n",
		r.User, r.Fingerprint, r.Tenancy, r.Region, r.PrivateKeyFile)
}

// welcome is the start-up text: settings to paste, in 80 columns as far as ids allow.
func (d *devServer) welcome(w io.Writer, r *readyFile) {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	host := strings.TrimPrefix(strings.TrimPrefix(r.Alibaba.Endpoint, "http://"), "https://")
	p("")
	p("claviger dev %s, ready in %v", version(), time.Since(d.start).Round(10*time.Millisecond))
	p("%s", strings.Repeat("─", 78))
	p("  OCI vault service  %s   %s", r.OCI.VaultEndpoint, r.OCI.Region)
	p("  its first vault    %s   management and crypto", r.OCI.ManagementEndpoint)
	p("  Alibaba KMS        %s   %s", r.Alibaba.Endpoint, r.Alibaba.RegionID)
	for i, other := range d.node.regions[1:] {
		p("  both, elsewhere    %s   %s, %s", d.urlOf(i+1), other.OCI, other.Alibaba)
	}
	p("  admin API          %s   also /healthz, /readyz, /metrics", r.Admin.Endpoint)
	p("")
	if d.Data == "" {
		p("  Everything is in memory and gone when this ends (--data DIR keeps it).")
	} else {
		p("  Everything is kept in %s", d.dir)
	}
	p("  Keys of protection level HSM are kept in software here, and only labelled HSM.")
	if !config.Loopback(d.Listen) {
		p("  It listens beyond this machine, and is made for tests: keep nothing real in it.")
	}
	if d.ca != nil {
		p("  HTTPS; clients need the CA certificate %s", d.ca.file)
	}
	p("")
	d.welcomeOCI(p, r)
	d.welcomeAlibaba(p, r, host)
	d.welcomeTerraform(p, r, host)
	p("claviger itself, in another terminal")
	p("  export CLAVIGER_ADMIN_ENDPOINT=%s", r.Admin.Endpoint)
	p("  export CLAVIGER_ADMIN_TOKEN=%s", r.Admin.Token)
	if d.ca != nil {
		p("  export CLAVIGER_CA_FILE=%s", d.ca.file)
	}
	p("  claviger key list; claviger clock advance 7d; claviger events")
	p("%s", strings.Repeat("─", 78))
	p("Ctrl-C ends it.")
	_, _ = io.WriteString(w, b.String()) // nobody to tell
}

func (d *devServer) welcomeOCI(p func(string, ...any), r *readyFile) {
	p("OCI CLI and SDKs (this file is their configuration; the tenancy is its root")
	p("compartment)")
	p("  export OCI_CLI_CONFIG_FILE=%s", r.OCI.ConfigFile)
	if d.ca != nil {
		p("  export OCI_CLI_CERT_BUNDLE=%s OCI_DEFAULT_CERTS_PATH=%s", d.ca.file, d.ca.file)
	}
	p("  oci kms management key list --endpoint %s -c \\", r.OCI.ManagementEndpoint)
	p("%s", r.OCI.Tenancy)
	p("")
}

func (d *devServer) welcomeAlibaba(p func(string, ...any), r *readyFile, host string) {
	p("aliyun CLI and SDKs")
	p("  export ALIBABA_CLOUD_ACCESS_KEY_ID=%s", r.Alibaba.AccessKeyID)
	p("  export ALIBABA_CLOUD_ACCESS_KEY_SECRET=%s", r.Alibaba.AccessKeySecret)
	transport := "--insecure"
	if d.ca != nil {
		p("  export SSL_CERT_FILE=%s", d.ca.file)
		transport = "--secure"
	}
	p("  aliyun kms ListKeys --version 2016-01-20 --force %s \\", transport)
	p("    --region %s --endpoint %s", r.Alibaba.RegionID, host)
	p("")
}

func (d *devServer) welcomeTerraform(p func(string, ...any), r *readyFile, host string) {
	p("Terraform")
	p("  export CLIENT_HOST_OVERRIDES=oci_kms.KmsVaultClient=%s", r.OCI.VaultEndpoint)
	if d.ca != nil {
		p("  export custom_cert_location=%s SSL_CERT_FILE=%s", d.ca.file, d.ca.file)
	}
	p(`  provider "oci" {`)
	p(`    tenancy_ocid     = "%s"`, r.OCI.Tenancy)
	p(`    user_ocid        = "%s"`, r.OCI.User)
	p(`    fingerprint      = "%s"`, r.OCI.Fingerprint)
	p(`    private_key_path = "%s"`, r.OCI.PrivateKeyFile)
	p(`    region           = "%s"`, r.OCI.Region)
	p(`  }`)
	p(`  provider "alicloud" {`)
	p(`    region                 = "%s"`, r.Alibaba.RegionID)
	p(`    access_key             = "%s"`, r.Alibaba.AccessKeyID)
	p(`    secret_key             = "%s"`, r.Alibaba.AccessKeySecret)
	p(`    protocol               = "%s"`, strings.ToUpper(schemeOf(r.Alibaba.Endpoint)))
	p(`    skip_region_validation = true`)
	p(`    account_type           = "Domestic"`)
	p(`    endpoints { kms = "%s" }`, host)
	p(`  }`)
	p("")
}

func schemeOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	return u.Scheme
}

// snapshotter is a store that can go back.
type snapshotter interface {
	Snapshot(ctx context.Context, file string) error
	Restore(ctx context.Context, file string) error
}

// snapshot keeps the first state, for reset.
func (d *devServer) snapshot(ctx context.Context) error {
	s, ok := d.node.store.(snapshotter)
	if !ok {
		return fmt.Errorf("a %T has no snapshots", d.node.store)
	}
	return s.Snapshot(ctx, filepath.Join(d.dir, firstFile))
}

// reset goes back to the first state: its records, its endpoints, and real time.
func (d *devServer) reset(ctx context.Context) error {
	s, ok := d.node.store.(snapshotter)
	if !ok {
		return fmt.Errorf("a %T has no snapshots", d.node.store)
	}
	err := d.node.service.Forget(ctx, func(ctx context.Context) error {
		return s.Restore(ctx, filepath.Join(d.dir, firstFile))
	})
	if err != nil {
		return err
	}
	d.node.oci.Forget()
	return d.node.openVaults(ctx)
}
