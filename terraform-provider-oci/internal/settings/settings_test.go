// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"claviger/terraform-provider-oci/internal/cloud"
)

// keyPEM is a private key, made once for all tests of the package.
var keyPEM = sync.OnceValue(func() string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
})

// home is a user's home with a configuration of the OCI CLI.
func home(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".oci"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		".oci/config": `# as the CLI writes it
[DEFAULT]
user = file-user
fingerprint=file-fingerprint
tenancy=file-tenancy
region=file-region
key_file=~/.oci/key.pem
[SESSION]
fingerprint=session-fingerprint
tenancy=session-tenancy
region=session-region
key_file=~/.oci/key.pem
security_token_file=~/.oci/token
[HALF]
user=half-user
`,
		".oci/key.pem": keyPEM(),
		".oci/token":   "a.b.c\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func env(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

// given are the arguments of a provider block that is complete.
func given() Arguments {
	return Arguments{TenancyOCID: "t", UserOCID: "u", Fingerprint: "f", PrivateKey: keyPEM(), Region: "r"}
}

// who are the credentials as far as they can be compared.
type who struct{ Tenancy, User, Fingerprint, Region, KeyID string }

func whoIs(t *testing.T, c cloud.Credentials) who {
	t.Helper()
	id, err := c.KeyID()
	if err != nil {
		t.Fatal(err)
	}
	if c.Key == nil {
		t.Error("no private key")
	}
	return who{c.Tenancy, c.User, c.FingerprintOfKey, c.HomeRegion, id}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	dir := home(t)
	for name, test := range map[string]struct {
		arguments Arguments
		env       map[string]string
		want      who
	}{
		"block": {given(), nil, who{"t", "u", "f", "r", "t/u/f"}},
		"file":  {Arguments{}, nil, who{"file-tenancy", "file-user", "file-fingerprint", "file-region", "file-tenancy/file-user/file-fingerprint"}},
		"environment before file": {
			Arguments{},
			map[string]string{"TF_VAR_tenancy_ocid": "et", "OCI_user_ocid": "eu", "OCI_FINGERPRINT": "ef", "region": "er"},
			who{"et", "eu", "ef", "er", "et/eu/ef"},
		},
		"block before environment": {given(), map[string]string{"TF_VAR_tenancy_ocid": "et", "TF_VAR_region": "er"}, who{"t", "u", "f", "r", "t/u/f"}},
		"TF_VAR before OCI": {
			Arguments{},
			map[string]string{"TF_VAR_region": "first", "OCI_region": "second", "region": "third"},
			who{"file-tenancy", "file-user", "file-fingerprint", "first", "file-tenancy/file-user/file-fingerprint"},
		},
		"session": {
			Arguments{Auth: "securitytoken", ConfigFileProfile: "SESSION", UserOCID: "not used"},
			nil,
			who{"session-tenancy", "", "session-fingerprint", "session-region", "ST$a.b.c"},
		},
		"session of the environment": {
			Arguments{Region: "elsewhere"},
			map[string]string{"OCI_AUTH": "SecurityToken", "TF_VAR_config_file_profile": "SESSION"},
			who{"session-tenancy", "", "session-fingerprint", "elsewhere", "ST$a.b.c"},
		},
		"another file": {
			Arguments{},
			map[string]string{"OCI_CONFIG_FILE": "~/.oci/config"},
			who{"file-tenancy", "file-user", "file-fingerprint", "file-region", "file-tenancy/file-user/file-fingerprint"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, err := Resolve(test.arguments, Surroundings{Getenv: env(test.env), Home: dir})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, whoIs(t, o.Credentials)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestResolve_Refuses(t *testing.T) {
	t.Parallel()
	dir := home(t)
	with := func(change func(*Arguments)) Arguments {
		a := given()
		change(&a)
		return a
	}
	for name, test := range map[string]struct {
		arguments Arguments
		env       map[string]string
		home      string
		argument  string
		says      string
	}{
		"nothing":             {Arguments{}, nil, "", "tenancy_ocid", "no home directory"},
		"no tenancy":          {with(func(a *Arguments) { a.TenancyOCID = "" }), nil, "", "tenancy_ocid", "TF_VAR_tenancy_ocid"},
		"no user":             {with(func(a *Arguments) { a.UserOCID = "" }), nil, "", "user_ocid", "as user in a profile"},
		"no fingerprint":      {with(func(a *Arguments) { a.Fingerprint = "" }), nil, "", "fingerprint", "OCI_fingerprint"},
		"no region":           {with(func(a *Arguments) { a.Region = "" }), nil, "", "region", "argument region"},
		"no key":              {with(func(a *Arguments) { a.PrivateKey = "" }), nil, "", "private_key_path", "key_file"},
		"half a profile":      {Arguments{ConfigFileProfile: "HALF"}, nil, dir, "tenancy_ocid", "the profile HALF of"},
		"key file missing":    {with(func(a *Arguments) { a.PrivateKey, a.PrivateKeyPath = "", filepath.Join(dir, "none") }), nil, "", "private_key_path", "no such file"},
		"key that is none":    {with(func(a *Arguments) { a.PrivateKey = "secret words" }), nil, "", "private_key", "RSA key in PEM"},
		"unknown profile":     {Arguments{ConfigFileProfile: "OTHER"}, nil, dir, "config_file_profile", "it has: DEFAULT, HALF, SESSION"},
		"profile, no file":    {Arguments{ConfigFileProfile: "OTHER"}, nil, t.TempDir(), "config_file_profile", "no such file"},
		"no session":          {Arguments{Auth: "SecurityToken"}, nil, dir, "config_file_profile", "oci session authenticate"},
		"instance principal":  {Arguments{Auth: "InstancePrincipal"}, nil, dir, "auth", `auth = "ApiKey"`},
		"overrides unclear":   {given(), map[string]string{"CLIENT_HOST_OVERRIDES": "http://127.0.0.1"}, "", "", "client=URL"},
		"override with =":     {given(), map[string]string{"CLIENT_HOST_OVERRIDES": "oci_kms.KmsVaultClient=http://a?b=c"}, "", "", "client=URL"},
		"override no address": {given(), map[string]string{"CLIENT_HOST_OVERRIDES": "oci_kms.KmsVaultClient=http://a/b"}, "", "", "leave the rest away"},
		"override management": {given(), map[string]string{"CLIENT_HOST_OVERRIDES": "oci_kms.KmsManagementClient=http://a"}, "", "", "management_endpoint"},
		"no certificates":     {given(), map[string]string{"custom_cert_location": filepath.Join(dir, "none")}, "", "", "no such file"},
		"unclear switch":      {given(), map[string]string{"OCI_accept_local_certs": "perhaps"}, "", "", "true or false"},
		"unclear timeout":     {given(), map[string]string{"HTTP_REQUEST_TIMEOUT": "60"}, "", "", "a duration such as 30s"},
		"unclear retries":     {given(), map[string]string{"retry_duration_seconds": "long"}, "", "", "a number of seconds"},
		"delegation":          {given(), map[string]string{"use_obo_token": "true"}, "", "", "does not delegate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Resolve(test.arguments, Surroundings{Getenv: env(test.env), Home: test.home})
			var p *Problem
			if !errors.As(err, &p) || p.Argument != test.argument || !strings.Contains(err.Error(), test.says) {
				t.Fatalf("%+v, want %s: %q", err, test.argument, test.says)
			}
			if strings.Contains(err.Error(), "secret words") {
				t.Errorf("a secret is in %q", err)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	yes, no, ten, ever := true, false, int64(10), int64(-1)
	for name, test := range map[string]struct {
		change func(*Arguments)
		env    map[string]string
		want   func(*cloud.Options)
	}{
		"nothing": {nil, nil, nil},
		"override": {
			nil,
			map[string]string{"TF_VAR_CLIENT_HOST_OVERRIDES": "oci_core.ComputeClient=http://b; oci_kms.KmsVaultClient=http://127.0.0.1:1 ;"},
			func(o *cloud.Options) { o.VaultEndpoint = "http://127.0.0.1:1" },
		},
		"domains": {
			nil,
			map[string]string{"domain_name_override": "a", "has_correct_domain_name": "b"},
			func(o *cloud.Options) { o.Domain, o.DomainDone = "a", "b" },
		},
		"transport": {
			nil,
			map[string]string{
				"custom_cert_location": "~/.oci/key.pem", "accept_local_certs": "true", "HTTP_REQUEST_TIMEOUT": "1s",
				"DIAL_CONTEXT_CONNECTION_TIMEOUT": "2s", "TLS_HANDSHAKE_TIMEOUT": "3s",
			},
			func(o *cloud.Options) {
				o.Transport = cloud.Transport{SkipVerify: true, RequestTimeout: time.Second, DialTimeout: 2 * time.Second, HandshakeTimeout: 3 * time.Second}
			},
		},
		"no retries":        {func(a *Arguments) { a.DisableAutoRetries = &yes }, nil, func(o *cloud.Options) { o.Retry = cloud.Retry{} }},
		"no retries in env": {nil, map[string]string{"OCI_DISABLE_AUTO_RETRIES": "true"}, func(o *cloud.Options) { o.Retry = cloud.Retry{} }},
		"retries after all": {func(a *Arguments) { a.DisableAutoRetries = &no }, map[string]string{"OCI_DISABLE_AUTO_RETRIES": "true"}, nil},
		"ten seconds": {func(a *Arguments) { a.RetryDurationSeconds = &ten }, nil, func(o *cloud.Options) {
			o.Retry.Throttled, o.Retry.Faulty = 10*time.Second, 10*time.Second
		}},
		"ten seconds in env": {nil, map[string]string{"TF_VAR_retry_duration_seconds": "10"}, func(o *cloud.Options) {
			o.Retry.Throttled, o.Retry.Faulty = 10*time.Second, 10*time.Second
		}},
		"for ever":      {func(a *Arguments) { a.RetryDurationSeconds = &ever }, nil, func(o *cloud.Options) { o.Retry.Throttled, o.Retry.Faulty = forever, forever }},
		"states":        {nil, map[string]string{"disable_409_retry": "true"}, func(o *cloud.Options) { o.Retry.StatesAreFinal = true }},
		"keep":          {nil, map[string]string{"TF_PRESERVE_STATE_ON_404": "true"}, func(o *cloud.Options) { o.KeepMissing = true }},
		"versions":      {nil, map[string]string{"disable_kms_version_delete": "true"}, func(o *cloud.Options) { o.KeepVersions = true }},
		"tags":          {func(a *Arguments) { a.IgnoreDefinedTags = []string{"a.b"} }, nil, func(o *cloud.Options) { o.IgnoredTags = []string{"a.b"} }},
		"no delegation": {nil, map[string]string{"use_obo_token": "false"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := given()
			if test.change != nil {
				test.change(&a)
			}
			dir := home(t)
			got, err := Resolve(a, Surroundings{Getenv: env(test.env), Home: dir})
			if err != nil {
				t.Fatal(err)
			}
			want := cloud.Options{Retry: cloud.DefaultRetry()}
			if test.want != nil {
				test.want(&want)
			}
			if test.env["custom_cert_location"] != "" {
				want.Transport.CertFile = filepath.Join(dir, ".oci", "key.pem")
			}
			if diff := cmp.Diff(want, got, cmp.FilterPath(func(p cmp.Path) bool {
				return slices.Contains([]string{".Credentials", ".Now", ".Pause"}, p.Last().String())
			}, cmp.Ignore())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// FuzzProfiles: what the CLI could have written comes back as it was, and nothing else does harm.
func FuzzProfiles(f *testing.F) {
	f.Add("[DEFAULT]\nuser=a\n", "key", "value")
	f.Add("user=a\n[X\n[]\n=\n[A]\n=b\n", "k", "a=b")
	f.Add("# c\r\n[A]\r\nk = v\r\n", "K", " ")
	f.Fuzz(func(t *testing.T, text, key, value string) {
		before := parseProfiles(text)
		key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
		if key == "" || strings.ContainsAny(key, "=\n\r") || strings.ContainsAny(key[:1], "#;[") || strings.ContainsAny(value, "\n\r") {
			return
		}
		after := parseProfiles(text + "\n[one more]\n" + key + " = " + value + "\n")
		if got := after["one more"][key]; got != value {
			t.Errorf("%q = %q reads %q", key, value, got)
		}
		delete(after, "one more")
		delete(before, "one more")
		if !maps.EqualFunc(before, after, maps.Equal[map[string]string, map[string]string]) {
			t.Errorf("another profile changed what was there:\n%v\n%v", before, after)
		}
	})
}
