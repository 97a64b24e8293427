// SPDX-License-Identifier: Apache-2.0

// Package oracle builds clients of Oracle's Go SDK for a live server. They are left as the SDK makes
// them, its circuit breaker included: a server that answers with the right codes keeps it shut.
package oracle

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/oracle/oci-go-sdk/v65/common"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/conformance/internal/live"
	"claviger/conformance/internal/sign"
)

// requestTimeout is above the SDK's 60 seconds: making RSA-4096 keys on a busy machine takes longer.
const requestTimeout = 3 * time.Minute

// Clients are the SDK's three clients; Management and Crypto are for one vault.
type Clients struct {
	Vault      keymanagement.KmsVaultClient
	Management keymanagement.KmsManagementClient
	Crypto     keymanagement.KmsCryptoClient

	provider common.ConfigurationProvider
	http     *http.Client
}

// New returns clients configured as a user configures them, with the values of the ready file.
func New(t testing.TB, access live.OCIAccess) Clients {
	t.Helper()
	return WithKey(t, access, privatePEM(t, access))
}

// WithKey returns clients for the endpoints and the user of access that sign with another private
// key than the file that access names, in PEM.
func WithKey(t testing.TB, access live.OCIAccess, privateKey string) Clients {
	t.Helper()
	return with(t, access, common.NewRawConfigurationProvider(
		access.Tenancy, access.User, access.Region, access.Fingerprint, privateKey, nil))
}

// FromFile returns clients that read the configuration file that access names.
func FromFile(t testing.TB, access live.OCIAccess) Clients {
	t.Helper()
	provider, err := common.ConfigurationProviderFromFile(access.ConfigFile, "")
	if err != nil {
		t.Fatal(err)
	}
	return with(t, access, provider)
}

// WithProvider returns clients for the endpoints of access whose caller provider knows.
func WithProvider(t testing.TB, access live.OCIAccess, provider common.ConfigurationProvider) Clients {
	t.Helper()
	return with(t, access, provider)
}

func with(t testing.TB, access live.OCIAccess, provider common.ConfigurationProvider) Clients {
	t.Helper()
	vault, err := keymanagement.NewKmsVaultClientWithConfigurationProvider(provider)
	if err != nil {
		t.Fatal(err)
	}
	vault.Host = access.VaultEndpoint
	client := &http.Client{Timeout: requestTimeout}
	vault.HTTPClient = client
	return Clients{Vault: vault, provider: provider, http: client}.At(t, access.ManagementEndpoint, access.CryptoEndpoint)
}

// Provider is the caller, for clients of other services.
func (c Clients) Provider() common.ConfigurationProvider { return c.provider }

// At returns clients of the same caller for another vault's endpoints.
func (c Clients) At(t testing.TB, managementEndpoint, cryptoEndpoint string) Clients {
	t.Helper()
	management, err := keymanagement.NewKmsManagementClientWithConfigurationProvider(c.provider, managementEndpoint)
	if err != nil {
		t.Fatal(err)
	}
	crypto, err := keymanagement.NewKmsCryptoClientWithConfigurationProvider(c.provider, cryptoEndpoint)
	if err != nil {
		t.Fatal(err)
	}
	management.HTTPClient, crypto.HTTPClient = c.http, c.http
	return Clients{Vault: c.Vault, Management: management, Crypto: crypto, provider: c.provider, http: c.http}
}

// SigningKey is the caller of access for requests that are signed by hand.
func SigningKey(t testing.TB, access live.OCIAccess) sign.OCIKey {
	t.Helper()
	key, err := common.PrivateKeyFromBytes([]byte(privatePEM(t, access)), nil)
	if err != nil {
		t.Fatal(err)
	}
	return sign.OCIKey{ID: access.Tenancy + "/" + access.User + "/" + access.Fingerprint, Key: key}
}

func privatePEM(t testing.TB, access live.OCIAccess) string {
	t.Helper()
	key, err := os.ReadFile(access.PrivateKeyFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(key)
}

// Refusal is what a test compares: HTTP status and code of a refused call, "200" for none.
func Refusal(err error) string {
	if err == nil {
		return "200"
	}
	var refused common.ServiceError
	if !errors.As(err, &refused) {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", refused.GetHTTPStatusCode(), refused.GetCode())
}
