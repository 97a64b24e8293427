// SPDX-License-Identifier: Apache-2.0

// Package settings finds what the provider needs to know where users of Oracle's provider have put
// it: in the provider block, in the environment, in a profile of ~/.oci/config. It reads files and
// makes no request; secrets never get into its errors.
package settings

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"claviger/terraform-provider-oci/internal/cloud"
)

// Arguments are those of the provider block. Empty and nil mean absent.
type Arguments struct {
	Auth                 string
	TenancyOCID          string
	UserOCID             string
	Fingerprint          string
	PrivateKey           string // PEM
	PrivateKeyPath       string
	PrivateKeyPassword   string
	Region               string
	ConfigFileProfile    string
	DisableAutoRetries   *bool
	RetryDurationSeconds *int64
	IgnoreDefinedTags    []string
}

// Surroundings are those of the process.
type Surroundings struct {
	Getenv func(string) string
	Home   string // directory of the user, below which .oci/config lies; empty for none
}

// Problem is an argument that is missing or wrong.
type Problem struct {
	Argument string // of the provider block; empty when the environment is at fault
	Summary  string
	Detail   string
}

func (p *Problem) Error() string { return p.Summary + ": " + p.Detail }

// Resolve turns arguments and surroundings into options. An argument of the block comes first, then
// the environment, then the profile. An error is a *Problem.
func Resolve(a Arguments, s Surroundings) (cloud.Options, error) {
	o := cloud.Options{Retry: cloud.DefaultRetry(), IgnoredTags: a.IgnoreDefinedTags}
	for _, step := range []func(Arguments, Surroundings, *cloud.Options) error{credentials, retries, hosts, transport, switches} {
		if err := step(a, s, &o); err != nil {
			return cloud.Options{}, err
		}
	}
	return o, nil
}

// env looks a name up as Oracle's provider does: TF_VAR_name, OCI_name, name. Arguments of the block
// may also be OCI_NAME.
func (s Surroundings) env(name string) string {
	for _, spelled := range []string{"TF_VAR_" + name, "OCI_" + name, "OCI_" + strings.ToUpper(name), name} {
		if v := s.Getenv(spelled); v != "" {
			return v
		}
	}
	return ""
}

func retries(a Arguments, s Surroundings, o *cloud.Options) error {
	never, err := flag(s, "disable_auto_retries")
	if err != nil {
		return err
	}
	if a.DisableAutoRetries != nil {
		never = *a.DisableAutoRetries
	}
	seconds := a.RetryDurationSeconds
	if v := s.env("retry_duration_seconds"); seconds == nil && v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return invalid("retry_duration_seconds", v, "a number of seconds")
		}
		seconds = &n
	}
	switch {
	case never:
		o.Retry = cloud.Retry{}
	case seconds != nil && *seconds < 0:
		o.Retry.Throttled, o.Retry.Faulty = forever, forever
	case seconds != nil:
		d := time.Duration(min(*seconds, int64(forever/time.Second))) * time.Second
		o.Retry.Throttled, o.Retry.Faulty = d, d
	}
	if o.Retry.StatesAreFinal, err = flag(s, "disable_409_retry"); err != nil {
		return err
	}
	return nil
}

// forever is what a negative retry_duration_seconds stands for; the timeouts of resources still hold.
const forever = 365 * 24 * time.Hour

// hosts reads which addresses take the place of the region's.
func hosts(_ Arguments, s Surroundings, o *cloud.Options) error {
	o.Domain, o.DomainDone = s.env("domain_name_override"), s.env("has_correct_domain_name")
	const name = "CLIENT_HOST_OVERRIDES"
	for _, pair := range strings.Split(s.env(name), ";") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		client, endpoint, ok := strings.Cut(pair, "=")
		if !ok || strings.Contains(endpoint, "=") {
			return &Problem{Summary: "Invalid " + name, Detail: fmt.Sprintf(
				"%q is not of the form client=URL; several are separated by semicolons. For the vault service: "+
					"%s=oci_kms.KmsVaultClient=http://127.0.0.1:7443", pair, name)}
		}
		switch strings.TrimSpace(client) {
		case "oci_kms.KmsVaultClient":
			if err := cloud.CheckEndpoint(strings.TrimSpace(endpoint)); err != nil {
				return &Problem{Summary: "Invalid " + name, Detail: err.Error()}
			}
			o.VaultEndpoint = strings.TrimSpace(endpoint)
		case "oci_kms.KmsManagementClient", "oci_kms.KmsCryptoClient":
			return &Problem{Summary: "Invalid " + name, Detail: fmt.Sprintf(
				"%s cannot be overridden: a vault's own addresses are the arguments management_endpoint and crypto_endpoint of each "+
					"resource.", client)}
		default: // another service's: a configuration may use the whole provider elsewhere
		}
	}
	return nil
}

func transport(_ Arguments, s Surroundings, o *cloud.Options) (err error) {
	o.Transport.CertFile = expand(s.env("custom_cert_location"), s.Home)
	if o.Transport.CertFile != "" {
		if _, err := os.Stat(o.Transport.CertFile); err != nil {
			return &Problem{Summary: "Invalid custom_cert_location", Detail: err.Error()}
		}
	}
	if o.Transport.SkipVerify, err = flag(s, "accept_local_certs"); err != nil {
		return err
	}
	for name, d := range map[string]*time.Duration{
		"HTTP_REQUEST_TIMEOUT":            &o.Transport.RequestTimeout,
		"DIAL_CONTEXT_CONNECTION_TIMEOUT": &o.Transport.DialTimeout,
		"TLS_HANDSHAKE_TIMEOUT":           &o.Transport.HandshakeTimeout,
	} {
		v := s.env(name)
		if v == "" {
			continue
		}
		if *d, err = time.ParseDuration(v); err != nil || *d <= 0 {
			return invalid(name, v, "a duration such as 30s")
		}
	}
	return nil
}

func switches(_ Arguments, s Surroundings, o *cloud.Options) (err error) {
	if o.KeepMissing, err = flag(s, "TF_PRESERVE_STATE_ON_404"); err != nil {
		return err
	}
	if o.KeepVersions, err = flag(s, "disable_kms_version_delete"); err != nil {
		return err
	}
	delegated, err := flag(s, "use_obo_token")
	if err == nil && delegated {
		return &Problem{Summary: "Unsupported use_obo_token", Detail: "This provider signs as itself and does not delegate. Unset use_obo_token."}
	}
	return err
}

func flag(s Surroundings, name string) (bool, error) {
	v := s.env(name)
	if v == "" {
		return false, nil
	}
	on, err := strconv.ParseBool(v)
	if err != nil {
		return false, invalid(name, v, "true or false")
	}
	return on, nil
}

func invalid(name, value, wanted string) error {
	return &Problem{Summary: "Invalid " + name, Detail: fmt.Sprintf("The environment has %s=%q, which is not %s.", name, value, wanted)}
}
