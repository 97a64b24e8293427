// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// check refuses what cannot work, with every problem at once, each with its key.
func (c *Config) check() error {
	var p problems
	p.need("data", c.Data)
	p.oneOf("hsm_keys", c.HSMKeys, "refuse", "software-labelled")
	p.oneOf("fips140", c.FIPS140, "off", "on", "only")
	c.checkStore(&p)
	p.oneOf("seal.type", c.Seal.Type, "file")
	p.need("seal.file", c.Seal.File)
	p.need("admin.token_file", c.Admin.TokenFile)
	p.oneOf("limits.mode", c.Limits.Mode, "management", "cloud", "off")
	p.oneOf("oci.consistency", c.OCI.Consistency, "strict", "cloudlike")
	p.oneOf("alibaba.xml_root", c.Alibaba.XMLRoot, "operation", "kms", "action")
	p.oneOf("alibaba.nonces", c.Alibaba.Nonces, "memory", "strict")
	p.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	p.oneOf("log.format", c.Log.Format, "json", "text")
	p.positive("work_requests", int64(c.WorkRequests))
	p.positive("limits.connections", int64(c.Limits.Connections))
	p.positive("alibaba.nonce_capacity", int64(c.Alibaba.NonceCapacity))
	p.positive("audit.segment_mib", c.Audit.SegmentMiB)
	if !(c.Limits.FailedVerifications >= 0 && c.Limits.FailedVerifications <= 1e6) {
		p.add("limits.failed_verifications", "must be from 0, which is no limit, to 1000000")
	}
	if c.Limits.SourceConnections < 0 {
		p.add("limits.source_connections", "is negative")
	}
	if c.Limits.HeavyVerifications < 0 {
		p.add("limits.heavy_verifications", "is negative")
	}
	if c.Limits.UnverifiedMiB < 0 || c.Limits.UnverifiedMiB > 1<<20 {
		p.add("limits.unverified_mib", "must be from 0, which is no limit, to 1048576")
	}
	if _, err := c.Server.Proxies(); err != nil {
		p.add("server.trusted_proxies", err.Error())
	}
	for class, rate := range c.Limits.Rates {
		if rate < 0 {
			p.add("limits.rates."+class, "is negative")
		}
	}
	for _, t := range []struct {
		key string
		d   Duration
	}{
		{"server.read_header_timeout", c.Server.ReadHeaderTimeout},
		{"server.read_timeout", c.Server.ReadTimeout},
		{"server.write_timeout", c.Server.WriteTimeout},
		{"server.idle_timeout", c.Server.IdleTimeout},
		{"server.shutdown_timeout", c.Server.ShutdownTimeout},
	} {
		p.positive(t.key, int64(t.d))
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		p.add("tls", "needs both cert_file and key_file, or neither")
	}
	if c.TLS.ClientCAFile != "" && c.TLS.CertFile == "" {
		p.add("tls.client_ca_file", "needs cert_file: only over TLS can clients show certificates")
	}
	p.positive("server.upload_mib", c.Server.UploadMiB)
	if c.Server.SpoolMiB < c.Server.UploadMiB {
		p.add("server.spool_mib", "is less than server.upload_mib: no upload of that size could be taken")
	}
	c.checkObjects(&p)
	c.checkAdmin(&p)
	c.checkRegions(&p)
	c.checkVaults(&p)
	return p.err()
}

func (c *Config) checkStore(p *problems) {
	p.oneOf("store.type", c.Store.Type, "sqlite", "postgres")
	for _, t := range []struct {
		key string
		d   Duration
	}{
		{"store.batch_timeout", c.Store.BatchTimeout},
		{"store.reopen_timeout", c.Store.ReopenTimeout},
		{"store.idle_timeout", c.Store.IdleTimeout},
		{"store.statement_timeout", c.Store.StatementTimeout},
		{"node.lease", c.Node.Lease},
		{"node.margin", c.Node.Margin},
		{"node.poll", c.Node.Poll},
	} {
		p.positive(t.key, int64(t.d))
	}
	switch {
	case c.Store.Type == "postgres":
		p.need("store.url", c.Store.URL)
	case c.Store.URL != "":
		p.add("store.url", "goes with store.type = \"postgres\" only")
	case c.Store.PasswordFile != "":
		p.add("store.password_file", "goes with store.type = \"postgres\" only")
	}
	if u, err := url.Parse(c.Store.URL); err == nil && u.User != nil {
		if _, set := u.User.Password(); set {
			p.add("store.url", "holds a password: put it into a file, mode 0600, and name that in store.password_file")
		}
	}
	if c.Node.Poll > c.Node.Lease/4 {
		p.add("node.poll", "must be at most a quarter of node.lease")
	}
}

// s3MiB is the largest object that S3 takes in one request.
const s3MiB = 5 << 10

func (c *Config) checkObjects(p *problems) {
	o := &c.Objects
	p.oneOf("objects.type", o.Type, "", "directory", "s3")
	if o.Type == "s3" {
		p.baseURL("objects.endpoint", o.Endpoint)
		p.need("objects.credentials_file", o.CredentialsFile)
		p.need("objects.region", o.Region)
		if c.Server.UploadMiB > s3MiB {
			p.add("server.upload_mib", fmt.Sprintf("is more than %d, the largest object that S3 takes in one piece", s3MiB))
		}
	} else if o.Endpoint != "" || o.CredentialsFile != "" {
		p.add("objects.type", `endpoint and credentials_file go with "s3" only`)
	}
}

func (c *Config) checkAdmin(p *problems) {
	if !p.address("admin.listen", c.Admin.Listen) {
		return
	}
	if !Loopback(c.Admin.Listen) && c.TLS.CertFile == "" {
		p.add("admin.listen", c.Admin.Listen+" is not a loopback address: the admin token would cross the network "+
			"in the clear; set [tls] or listen on 127.0.0.1")
	}
}

var word = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$`)

func (c *Config) checkRegions(p *problems) {
	if len(c.Regions) == 0 {
		p.add("region", "at least one [[region]] is needed")
	}
	seen := map[string]bool{}
	for i, r := range c.Regions {
		key := fmt.Sprintf("region[%d].", i)
		for _, f := range []struct{ name, value string }{{"name", r.Name}, {"oci", r.OCI}, {"alibaba", r.Alibaba}} {
			switch {
			case f.value == "":
				p.add(key+f.name, "is required")
			case !word.MatchString(f.value):
				p.add(key+f.name, "has other characters than lower-case letters, digits and inner hyphens")
			case seen[f.name+" "+f.value]:
				p.add(key+f.name, f.value+" is the name of another region too")
			}
			seen[f.name+" "+f.value] = true
		}
		if p.address(key+"listen", r.Listen) {
			if _, port, _ := net.SplitHostPort(r.Listen); port != "0" && seen["listen "+r.Listen] {
				p.add(key+"listen", r.Listen+" is another region's too")
			}
			seen["listen "+r.Listen] = true
			p.baseURL(key+"advertise", r.Advertise)
		}
	}
}

func (c *Config) checkVaults(p *problems) {
	v := &c.Vaults
	p.oneOf("vaults.mode", v.Mode, "ports", "hosts")
	switch v.Mode {
	case "ports":
		if v.Template != "" {
			p.add("vaults.template", `is used in mode "hosts" only`)
		}
		if _, _, err := v.PortRange(); err != nil {
			p.add("vaults.ports", err.Error())
		}
		if len(c.Regions) > 0 {
			p.baseURL("vaults.advertise", v.Advertise)
			if u, err := url.Parse(v.Advertise); err == nil && u.Port() != "" {
				p.add("vaults.advertise", "has a port; each vault's own is added")
			}
		}
	case "hosts":
		if v.Listen != "" || v.Ports != "" || v.Advertise != "" {
			p.add("vaults", `listen, ports and advertise are used in mode "ports" only`)
		}
		if n := strings.Count(v.Template, HostMark); n != 1 || !strings.Contains(v.Template, "//"+HostMark+".") {
			p.add("vaults.template", `must look like "https://{vault}.kms.example.org", with {vault} as its first label`)
			return
		}
		p.baseURL("vaults.template", strings.Replace(v.Template, HostMark, "x", 1))
	}
}

// HostMark stands for the vault in [Vaults.Template].
const HostMark = "{vault}"

// PortRange is the first and last port of [Vaults.Ports].
func (v *Vaults) PortRange() (first, last int, err error) {
	a, b, ok := strings.Cut(v.Ports, "-")
	if !ok {
		return 0, 0, errors.New(`must be a range such as "7500-7999"`)
	}
	first, err1 := strconv.Atoi(a)
	last, err2 := strconv.Atoi(b)
	if err1 != nil || err2 != nil || first < 1 || last > 65535 || first > last {
		return 0, 0, fmt.Errorf("%q is not a range of ports", v.Ports)
	}
	return first, last, nil
}

// Proxies are [Server.TrustedProxies] as networks.
func (s *Server) Proxies() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range s.TrustedProxies {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			a, errAddr := netip.ParseAddr(text)
			if errAddr != nil || a.Zone() != "" {
				return nil, fmt.Errorf("%q is neither an address such as 10.0.0.7 nor a network such as 10.1.0.0/16", text)
			}
			p = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// Loopback reports whether the host of address is a loopback address; "localhost" counts as one.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// problems gathers what is wrong with a configuration.
type problems []error

func (p *problems) add(key, what string) { *p = append(*p, fmt.Errorf("%s: %s", key, what)) }

func (p *problems) need(key, value string) {
	if value == "" {
		p.add(key, "is required")
	}
}

func (p *problems) positive(key string, n int64) {
	if n <= 0 {
		p.add(key, "must be more than zero")
	}
}

func (p *problems) oneOf(key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		p.add(key, fmt.Sprintf("%q is not one of %s", value, strings.Join(allowed, ", ")))
	}
}

func (p *problems) address(key, value string) bool {
	_, port, err := net.SplitHostPort(value)
	if value == "" {
		p.add(key, "is required")
		return false
	}
	if n, errPort := strconv.Atoi(port); err != nil || errPort != nil || n < 0 || n > 65535 {
		p.add(key, fmt.Sprintf("%q is not an address such as 127.0.0.1:7443", value))
		return false
	}
	return true
}

// baseURL wants scheme and host and nothing else: SDKs refuse endpoints with a path.
func (p *problems) baseURL(key, value string) {
	u, err := url.Parse(value)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" ||
		u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || u.Opaque != "" {
		p.add(key, fmt.Sprintf("%q is not a base URL of scheme and host, such as https://kms.example.org:7443", value))
	}
}

func (p problems) err() error { return errors.Join(p...) }
