// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/oracle/oci-go-sdk/v65/common"

	"claviger/terraform-provider-oci/internal/cloud"
)

// Values of the argument auth that this provider has. They are compared without regard to case.
const (
	authAPIKey        = "ApiKey"
	authSecurityToken = "SecurityToken"
)

// credentials finds out who signs.
func credentials(a Arguments, s Surroundings, o *cloud.Options) error {
	auth := or(a.Auth, s.env("auth"), authAPIKey)
	token := strings.EqualFold(auth, authSecurityToken)
	if !token && !strings.EqualFold(auth, authAPIKey) {
		return &Problem{"auth", "Unsupported auth", fmt.Sprintf(
			"auth is %q. This provider signs with an API key (auth = %q, the default) or with a session token of the OCI CLI (auth = %q). "+
				"Principals of instances and resources are Oracle's provider's alone.", auth, authAPIKey, authSecurityToken)}
	}
	p, err := loadProfile(or(a.ConfigFileProfile, s.env("config_file_profile")), s)
	if err != nil {
		return err
	}
	find := func(argument, given, key string) (string, error) {
		if token {
			given = "" // a session belongs to a profile as a whole, except for the region
		} else {
			given = or(given, s.env(argument))
		}
		if v := or(given, p.values[key]); v != "" {
			return v, nil
		}
		return "", missing(argument, key, p)
	}
	c := &o.Credentials
	if c.Tenancy, err = find("tenancy_ocid", a.TenancyOCID, "tenancy"); err != nil {
		return err
	}
	if c.FingerprintOfKey, err = find("fingerprint", a.Fingerprint, "fingerprint"); err != nil {
		return err
	}
	if c.HomeRegion = or(a.Region, s.env("region"), p.values["region"]); c.HomeRegion == "" {
		return missing("region", "region", p)
	}
	if token {
		if c.TokenFile = expand(p.values["security_token_file"], s.Home); c.TokenFile == "" {
			return &Problem{"config_file_profile", "No session token", fmt.Sprintf(
				"auth is %q, but %s has no security_token_file. Make a session with: oci session authenticate, and name its profile.",
				authSecurityToken, p)}
		}
		if _, err := c.KeyID(); err != nil {
			return &Problem{"config_file_profile", "No session token", err.Error()}
		}
		return privateKey(Arguments{PrivateKeyPassword: a.PrivateKeyPassword}, s, p, token, c)
	}
	if c.User, err = find("user_ocid", a.UserOCID, "user"); err != nil {
		return err
	}
	return privateKey(a, s, p, token, c)
}

// privateKey reads the signing key. A key in the block wins over one in the environment, and PEM over
// a path of the same place.
func privateKey(a Arguments, s Surroundings, p profile, token bool, c *cloud.Credentials) error {
	pem, path, argument := a.PrivateKey, a.PrivateKeyPath, "private_key"
	if pem == "" && path == "" && !token {
		pem, path = s.env("private_key"), s.env("private_key_path")
	}
	if pem == "" {
		argument = "private_key_path"
		if path = or(path, p.values["key_file"]); path == "" {
			return missing(argument, "key_file", p)
		}
		raw, err := os.ReadFile(expand(path, s.Home))
		if err != nil {
			return &Problem{argument, "Private key not readable", err.Error()}
		}
		pem = string(raw)
	}
	var password *string
	if v := or(a.PrivateKeyPassword, s.env("private_key_password"), p.values["pass_phrase"], p.values["passphrase"]); v != "" {
		password = &v
	}
	key, err := common.PrivateKeyFromBytes([]byte(pem), password)
	if err != nil || key == nil {
		return &Problem{
			argument, "Private key not usable",
			"It must be an RSA key in PEM; if it is encrypted, private_key_password must be its password.",
		}
	}
	c.Key = key
	return nil
}

func missing(argument, key string, p profile) error {
	return &Problem{argument, "Missing " + argument, fmt.Sprintf(
		"Give it as the argument %s of the provider, in the environment as TF_VAR_%[1]s or OCI_%[1]s, or as %[2]s in a profile of the "+
			"OCI CLI's configuration (looked at: %[3]s).", argument, key, p)}
}

func or(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// expand resolves a leading ~ as the OCI CLI does in its configuration.
func expand(path, home string) string {
	if rest, ok := strings.CutPrefix(path, "~"); ok && home != "" && (rest == "" || rest[0] == '/' || rest[0] == filepath.Separator) {
		return filepath.Join(home, rest)
	}
	return path
}
