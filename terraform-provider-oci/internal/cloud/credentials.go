// SPDX-License-Identifier: Apache-2.0

package cloud

import (
	"crypto/md5" //nolint:gosec // the API's fingerprints are MD5; nothing is protected by it
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/oracle/oci-go-sdk/v65/common"
)

// Credentials say who signs, and are the SDK's configuration provider. They are complete when they
// are made: the SDK looks into no file and no environment for them.
type Credentials struct {
	Tenancy    string // OCID
	User       string // OCID; empty with a session token
	HomeRegion string // where the vault service is asked

	// FingerprintOfKey is of the public half of Key, 16 pairs of hexadecimal digits joined by colons.
	FingerprintOfKey string
	Key              *rsa.PrivateKey

	// TokenFile holds the session token, and is read at each use, since others renew it there. It is
	// empty for an API key.
	TokenFile string
}

var _ common.ConfigurationProvider = Credentials{}

// KeyID is how requests name the signing key: tenancy/user/fingerprint, or ST$ and the session token.
func (c Credentials) KeyID() (string, error) {
	if c.TokenFile == "" {
		return c.Tenancy + "/" + c.User + "/" + c.FingerprintOfKey, nil
	}
	token, err := os.ReadFile(c.TokenFile)
	if err != nil {
		return "", fmt.Errorf("read session token: %w", err)
	}
	return "ST$" + strings.TrimSpace(string(token)), nil
}

// PrivateRSAKey is the signing key.
func (c Credentials) PrivateRSAKey() (*rsa.PrivateKey, error) {
	if c.Key == nil {
		return nil, errors.New("no private key")
	}
	return c.Key, nil
}

// Region is where the vault service is asked.
func (c Credentials) Region() (string, error) { return c.HomeRegion, nil }

// TenancyOCID is the tenancy.
func (c Credentials) TenancyOCID() (string, error) { return c.Tenancy, nil }

// UserOCID is the user, empty with a session token.
func (c Credentials) UserOCID() (string, error) { return c.User, nil }

// KeyFingerprint is the configured fingerprint.
func (c Credentials) KeyFingerprint() (string, error) { return c.FingerprintOfKey, nil }

// AuthType says that nothing beside these values is needed.
func (c Credentials) AuthType() (common.AuthConfig, error) {
	return common.AuthConfig{AuthType: common.UnknownAuthenticationType}, nil
}

// Fingerprint is how the API names a public key: the MD5 of its DER SubjectPublicKeyInfo, in pairs of
// hexadecimal digits joined by colons.
func Fingerprint(key *rsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("encode public key: %w", err)
	}
	sum := md5.Sum(der) //nolint:gosec // as above
	pairs := make([]string, len(sum))
	for i, b := range sum {
		pairs[i] = hex.EncodeToString([]byte{b})
	}
	return strings.Join(pairs, ":"), nil
}
