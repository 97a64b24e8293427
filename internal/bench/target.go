// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"crypto/fips140"
	"crypto/tls"
	"errors"
	"fmt"
)

// Dialect is an API with the way in which its requests are signed.
type Dialect string

// The dialects: Oracle's API, and Alibaba's with both of its signature schemes.
const (
	OCI  Dialect = "oci"
	ACS3 Dialect = "acs3" // ACS3-HMAC-SHA256
	V1   Dialect = "v1"   // RPC signature version 1.0, HMAC-SHA1

	// Unsigned sends OCI's requests without a signature, to a server that asks for none.
	Unsigned Dialect = "unsigned"
)

// Dialects lists those that clouds speak.
func Dialects() []Dialect { return []Dialect{OCI, ACS3, V1} }

// Target is a server of one of the APIs and who calls it.
type Target struct {
	Dialect    Dialect
	Endpoint   string      // base URL: of OCI the vault's crypto endpoint
	Management string      // OCI: base URL of the vault's management endpoint
	TLS        *tls.Config // for https; nil means the system's authorities

	// OCI
	APIKey      APIKey
	Compartment string // OCID, where keys are created

	// Alibaba
	AccessKey AccessKey

	// Keys that are there already. Those of a kind that is missing are created.
	Keys map[Kind]Key
}

// Key is a key of the target.
type Key struct {
	ID      string `json:"id"`
	Version string `json:"version"` // the primary one
	Public  string `json:"public"`  // PEM; "" of symmetric keys
}

// Kind is what a key of a benchmark is for, and with it what kind of key it is.
type Kind string

// The kinds of keys. Those of versions are apart, so that the others keep one version.
const (
	AES         Kind = "aes"          // AES-256
	EC          Kind = "ec"           // EC P-256
	RSA         Kind = "rsa"          // RSA-2048
	AESVersions Kind = "aes-versions" // AES-256, gets versions
	RSAVersions Kind = "rsa-versions" // RSA-2048, gets versions
)

// Kinds lists all.
func Kinds() []Kind { return []Kind{AES, EC, RSA, AESVersions, RSAVersions} }

func (k Kind) rsa() bool       { return k == RSA || k == RSAVersions }
func (k Kind) symmetric() bool { return k == AES || k == AESVersions }

func (t *Target) oci() bool { return t.Dialect == OCI || t.Dialect == Unsigned }

// check finds what is missing.
func (t *Target) check() error {
	switch t.Dialect {
	case OCI:
		if t.APIKey.ID == "" || t.APIKey.Key == nil {
			return errors.New("the target has no API key")
		}
	case Unsigned:
	case ACS3, V1:
		if t.AccessKey.ID == "" || t.AccessKey.Secret == "" {
			return errors.New("the target has no access key")
		}
		if t.Dialect == V1 && fips140.Enforced() {
			return errors.New("v1 signs with HMAC-SHA1, which is not approved while FIPS 140-3 is enforced: take acs3, or GODEBUG=fips140=on")
		}
	default:
		return fmt.Errorf("unknown dialect %q", t.Dialect)
	}
	return nil
}

// The endpoints of a target.
const (
	data = iota
	management
	endpoints
)

func (t *Target) addresses() (a [endpoints]address, err error) {
	if a[data], err = parseAddress(t.Endpoint, t.TLS); err != nil {
		return a, err
	}
	a[management] = a[data]
	if t.Management != "" {
		a[management], err = parseAddress(t.Management, t.TLS)
	}
	return a, err
}
