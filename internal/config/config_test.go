// SPDX-License-Identifier: Apache-2.0

package config

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// least is the shortest configuration that is complete.
const least = `
data = "data"
seal.file = "root.key"
admin.token_file = "admin.token"
vaults.ports = "7500-7599"

[[region]]
name = "home"
oci = "us-ashburn-1"
alibaba = "cn-hangzhou"
listen = "0.0.0.0:7443"
`

func read(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Read(strings.NewReader(text), "/etc/claviger")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	want := Default()
	want.Data = "/etc/claviger/data"
	want.Seal.File = "/etc/claviger/root.key"
	want.Admin.TokenFile = "/etc/claviger/admin.token"
	want.Backup.Dir = "/etc/claviger/data/backups"
	want.Alibaba.Nonces = "memory" // with SQLite
	want.Audit.Dir, want.Objects.Dir, want.Server.SpoolDir = "/etc/claviger/data/audit", "/etc/claviger/data/objects", "/etc/claviger/data/spool"
	want.Regions = []Region{{
		Name: "home", OCI: "us-ashburn-1", Alibaba: "cn-hangzhou", Listen: "0.0.0.0:7443", Advertise: "http://127.0.0.1:7443",
	}}
	want.Vaults = Vaults{Mode: "ports", Listen: "0.0.0.0", Ports: "7500-7599", Advertise: "http://127.0.0.1"}
	if diff := cmp.Diff(want, *read(t, least)); diff != "" {
		t.Errorf("the least configuration (-want +got):\n%s", diff)
	}
}

func TestDefaultsWithTLS(t *testing.T) {
	t.Parallel()
	c := read(t, least+"[tls]\ncert_file = \"/c.pem\"\nkey_file = \"k.pem\"\nclient_ca_file = \"ca.pem\"\n")
	if c.TLS.CertFile != "/c.pem" || c.TLS.KeyFile != "/etc/claviger/k.pem" || c.TLS.ClientCAFile != "/etc/claviger/ca.pem" {
		t.Errorf("paths are %+v: an absolute one must stay, a relative one is below the file's directory", c.TLS)
	}
	if c.Regions[0].Advertise != "https://127.0.0.1:7443" || c.Vaults.Advertise != "https://127.0.0.1" {
		t.Errorf("with a certificate %s and %s are advertised, want https", c.Regions[0].Advertise, c.Vaults.Advertise)
	}
}

// TestRefusals changes the least configuration to a wrong one each; the message must name the key.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ old, changed, want string }{
		"unknown key":             {`data = "data"`, `data = "data"` + "\ncolour = 1", "unknown key colour"},
		"unknown key in a table":  {`seal.file`, "seal.path = \"x\"\nseal.file", "unknown key seal.path"},
		"unknown key of a region": {`name = "home"`, `name = "home"` + "\ntls = true", "unknown key region.tls"},
		"no TOML":                 {`data = "data"`, `data = data`, "line 2"},
		"wrong type":              {`data = "data"`, `data = 5`, "data"},
		"no data":                 {`data = "data"`, ``, "data: is required"},
		"no seal":                 {`seal.file = "root.key"`, ``, "seal.file: is required"},
		"no token":                {`admin.token_file = "admin.token"`, ``, "admin.token_file: is required"},
		"another seal":            {`seal.file`, "seal.type = \"pkcs11\"\nseal.file", "seal.type"},
		"another HSM policy":      {`seal.file`, "hsm_keys = \"maybe\"\nseal.file", "hsm_keys"},
		"no ports":                {`vaults.ports = "7500-7599"`, ``, "vaults.ports"},
		"ports the wrong way":     {`7500-7599`, `7599-7500`, "vaults.ports"},
		"ports out of range":      {`7500-7599`, `7500-70000`, "vaults.ports"},
		"one port":                {`7500-7599`, `7500`, "vaults.ports"},
		"another vault mode":      {`vaults.ports`, "vaults.mode = \"paths\"\nvaults.ports", "vaults.mode"},
		"hosts with ports":        {`vaults.ports`, "vaults.mode = \"hosts\"\nvaults.template = \"https://{vault}.k.org\"\nvaults.ports", "vaults"},
		"template with ports":     {`vaults.ports`, "vaults.template = \"https://{vault}.k.org\"\nvaults.ports", "vaults.template"},
		"template without mark":   {`vaults.ports = "7500-7599"`, "vaults.mode = \"hosts\"\nvaults.template = \"https://v.k.org\"", "vaults.template"},
		"template with a path":    {`vaults.ports = "7500-7599"`, "vaults.mode = \"hosts\"\nvaults.template = \"https://{vault}.k.org/x\"", "vaults.template"},
		"advertise with a port":   {`vaults.ports`, "vaults.advertise = \"https://k.org:1\"\nvaults.ports", "vaults.advertise"},
		"advertise with a path":   {`listen = "0.0.0.0:7443"`, "listen = \"0.0.0.0:7443\"\nadvertise = \"https://k.org/kms\"", "region[0].advertise"},
		"advertise with a slash":  {`listen = "0.0.0.0:7443"`, "listen = \"0.0.0.0:7443\"\nadvertise = \"https://k.org/\"", "region[0].advertise"},
		"advertise with no host":  {`listen = "0.0.0.0:7443"`, "listen = \"0.0.0.0:7443\"\nadvertise = \"https://:443\"", "region[0].advertise"},
		"listen without port":     {`0.0.0.0:7443`, `0.0.0.0`, "region[0].listen"},
		"listen by name of port":  {`0.0.0.0:7443`, `0.0.0.0:https`, "region[0].listen"},
		"no region":               {`name = "home"`, ``, "region[0].name: is required"},
		"region with a space":     {`name = "home"`, `name = "my home"`, "region[0].name"},
		"admin in the open":       {`admin.token_file`, "admin.listen = \"0.0.0.0:7440\"\nadmin.token_file", "admin.listen"},
		"clients' without ours":   {`admin.token_file`, "tls.client_ca_file = \"c.pem\"\nadmin.token_file", "tls.client_ca_file: needs cert_file"},
		"half a certificate":      {`admin.token_file`, "tls.cert_file = \"c.pem\"\nadmin.token_file", "tls: needs both"},
		"another limit":           {`admin.token_file`, "limits.mode = \"some\"\nadmin.token_file", "limits.mode"},
		"negative rate":           {`admin.token_file`, "limits.rates = { \"oci/mgmt-write\" = -1 }\nadmin.token_file", "limits.rates.oci/mgmt-write"},
		"no connections":          {`admin.token_file`, "limits.connections = 0\nadmin.token_file", "limits.connections"},
		"negative room":           {`admin.token_file`, "limits.unverified_mib = -1\nadmin.token_file", "limits.unverified_mib"},
		"no end of room":          {`admin.token_file`, "limits.unverified_mib = 1048577\nadmin.token_file", "limits.unverified_mib"},
		"no timeout":              {`admin.token_file`, "server.read_timeout = \"0s\"\nadmin.token_file", "server.read_timeout"},
		"negative time":           {`admin.token_file`, "tombstones = \"-1h\"\nadmin.token_file", "negative"},
		"time without unit":       {`admin.token_file`, "tombstones = \"90\"\nadmin.token_file", "time span"},
		"another FIPS mode":       {`admin.token_file`, "fips140 = \"debug\"\nadmin.token_file", "fips140"},
		"another level":           {`admin.token_file`, "log.level = \"loud\"\nadmin.token_file", "log.level"},
		"another format":          {`admin.token_file`, "log.format = \"xml\"\nadmin.token_file", "log.format"},
		"another XML root":        {`admin.token_file`, "alibaba.xml_root = \"Kms\"\nadmin.token_file", "alibaba.xml_root"},
		"no room for nonces":      {`admin.token_file`, "alibaba.nonce_capacity = 0\nadmin.token_file", "alibaba.nonce_capacity"},
		"no time for work":        {`admin.token_file`, "work_requests = \"0s\"\nadmin.token_file", "work_requests"},
		"another object storage":  {`admin.token_file`, "objects.type = \"tape\"\nadmin.token_file", "objects.type"},
		"S3 without endpoint":     {`admin.token_file`, "objects = { type = \"s3\", credentials_file = \"c\" }\nadmin.token_file", "objects.endpoint"},
		"S3 below a path":         {`admin.token_file`, "objects = { type = \"s3\", endpoint = \"https://h/s3\", credentials_file = \"c\" }\nadmin.token_file", "objects.endpoint"},
		"S3 without credentials":  {`admin.token_file`, "objects = { type = \"s3\", endpoint = \"https://h\" }\nadmin.token_file", "objects.credentials_file"},
		"S3 without region":       {`admin.token_file`, "objects = { type = \"s3\", endpoint = \"https://h\", credentials_file = \"c\", region = \"\" }\nadmin.token_file", "objects.region"},
		"S3 that is not asked":    {`admin.token_file`, "objects.endpoint = \"https://h\"\nadmin.token_file", "objects.type"},
		"no upload":               {`admin.token_file`, "server.upload_mib = 0\nadmin.token_file", "server.upload_mib"},
		"upload over the spool":   {`admin.token_file`, "server.upload_mib = 5000\nadmin.token_file", "server.spool_mib"},
		"upload over S3's limit": {
			`admin.token_file`, "objects = { type = \"s3\", endpoint = \"https://h\", credentials_file = \"c\" }\n" +
				"server = { upload_mib = 5121, spool_mib = 6000 }\nadmin.token_file", "server.upload_mib",
		},
		"no segment": {`admin.token_file`, "audit.segment_mib = 0\nadmin.token_file", "audit.segment_mib"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if strings.Count(least, test.old) != 1 {
				t.Fatalf("%q is not once in the least configuration", test.old)
			}
			_, err := Read(strings.NewReader(strings.Replace(least, test.old, test.changed, 1)), "/etc")
			if err == nil {
				t.Fatal("it is accepted")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("the message does not say %q: %v", test.want, err)
			}
		})
	}
}

func TestRefusesDoubleRegions(t *testing.T) {
	t.Parallel()
	second := least[strings.Index(least, "[[region]]"):]
	_, err := Read(strings.NewReader(least+second), "/etc")
	if err == nil {
		t.Fatal("two regions with the same names and addresses are accepted")
	}
	for _, want := range []string{"region[1].name", "region[1].oci", "region[1].alibaba", "region[1].listen"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the message does not name %s: %v", want, err)
		}
	}
}

func TestAdminOutsideWithTLS(t *testing.T) {
	t.Parallel()
	c := read(t, strings.Replace(least, "seal.file", "admin.listen = \"10.0.0.1:7440\"\ntls.cert_file = \"c\"\ntls.key_file = \"k\"\nseal.file", 1))
	if c.Admin.Listen != "10.0.0.1:7440" {
		t.Errorf("admin.listen is %q", c.Admin.Listen)
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "claviger.toml")
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a missing file: %v, want an error that names it", err)
	}
	if err := os.WriteFile(path, []byte(least), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "data"); c.Data != want {
		t.Errorf("data is %q, want %q: relative to the file", c.Data, want)
	}
}

func TestDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0s": 0, "90s": 90 * time.Second, "1h30m": 90 * time.Minute, "7d": 168 * time.Hour, "0d": 0, "36500d": 36500 * day,
	} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || d.Std() != want {
			t.Errorf("%q is %v, %v; want %v", text, d.Std(), err, want)
		}
		b, err := d.MarshalText()
		var again Duration
		if err != nil || again.UnmarshalText(b) != nil || again != d {
			t.Errorf("%q is written as %q, %v, which is read as %v", text, b, err, again.Std())
		}
	}
	for _, text := range []string{"", "7", "d", "-1d", "1.5d", "36501d", "99999999999d", "week", "-1s"} {
		if d, err := ParseDuration(text); err == nil {
			t.Errorf("%q is read as %v, want an error", text, d)
		}
	}
}

// TestManual holds the operations guide to the configuration: its complete example must be
// read, and must show every key there is.
func TestManual(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```toml\n(# Every key.*?)```").FindSubmatch(text)
	if found == nil {
		t.Fatal(`docs/operations.md has no TOML example that begins with "# Every key"`)
	}
	example := string(found[1])
	if _, err := Read(strings.NewReader(example), "/etc/claviger"); err != nil {
		t.Errorf("the example is refused: %v", err)
	}
	for _, key := range keysOf(reflect.TypeFor[Config]()) {
		if !regexp.MustCompile(`(?m)^\s*(# )?` + regexp.QuoteMeta(key) + `\s*=`).MatchString(example) {
			t.Errorf("the example does not show the key %s", key)
		}
	}
}

// keysOf lists the keys of a struct that hold values, without those of their tables.
func keysOf(t reflect.Type) []string {
	var out []string
	for i := range t.NumField() {
		f := t.Field(i)
		ft := f.Type
		if ft.Kind() == reflect.Slice {
			ft = ft.Elem()
		}
		switch {
		case ft.Kind() == reflect.Struct:
			out = append(out, keysOf(ft)...)
		case ft.Kind() != reflect.Map && f.Tag.Get("toml") != "-":
			out = append(out, f.Tag.Get("toml"))
		}
	}
	return out
}

// FuzzRead reads anything: it is refused, or it is a configuration that says where it listens.
func FuzzRead(f *testing.F) {
	f.Add(least)
	f.Add(strings.Replace(least, `vaults.ports = "7500-7599"`, "vaults.mode = \"hosts\"\nvaults.template = \"https://{vault}.kms.example.org\"", 1))
	f.Add("[[region]]\n")
	f.Add("data = ")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Read(strings.NewReader(text), "/etc")
		if err != nil {
			return
		}
		if len(c.Regions) == 0 || c.Data == "" || c.Seal.File == "" || c.Admin.TokenFile == "" {
			t.Errorf("an incomplete configuration is accepted: %+v", c)
		}
		if !Loopback(c.Admin.Listen) && c.TLS.CertFile == "" {
			t.Errorf("the admin API is in the open at %s", c.Admin.Listen)
		}
	})
}
