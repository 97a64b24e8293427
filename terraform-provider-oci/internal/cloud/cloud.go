// SPDX-License-Identifier: Apache-2.0

package cloud

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/oracle/oci-go-sdk/v65/common"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"
)

// Options are what a provider's configuration and environment come down to.
type Options struct {
	Credentials Credentials
	UserAgent   string

	// VaultEndpoint is the address of the vault service; empty means the region's own.
	VaultEndpoint string
	// Domain takes the place of the realm's domain at the end of every host; empty changes none.
	Domain string
	// DomainDone exempts hosts that end with it from Domain.
	DomainDone string

	Transport Transport
	Retry     Retry

	// KeepMissing makes a resource that is answered with 404 an error instead of one that is gone.
	KeepMissing bool
	// KeepVersions makes the destruction of a key version do nothing to it.
	KeepVersions bool
	// IgnoredTags are defined tags ("namespace.key") that others manage.
	IgnoredTags []string

	// Now is the machine's clock and Pause waits for a duration or until the context ends, with its
	// error then.
	Now   func() time.Time
	Pause func(context.Context, time.Duration) error
}

// Cloud makes clients that share credentials, connections and retry rules. It is safe for concurrent use.
type Cloud struct {
	Options
	http      *http.Client
	rotations locks
}

// New makes no request; it reads the certificate file that the options name.
func New(o Options) (*Cloud, error) {
	client, err := o.Transport.client()
	if err != nil {
		return nil, err
	}
	return &Cloud{Options: o, http: client}, nil
}

// Vaults is the vault service of the region.
func (c *Cloud) Vaults() (keymanagement.KmsVaultClient, error) {
	client, err := keymanagement.NewKmsVaultClientWithConfigurationProvider(c.Credentials)
	if err != nil {
		return client, fmt.Errorf("make vault client: %w", err)
	}
	c.prepare(&client.BaseClient)
	if c.VaultEndpoint != "" {
		client.Host = c.VaultEndpoint
	}
	return client, nil
}

// Management is the management endpoint of one vault, an address without a path.
func (c *Cloud) Management(endpoint string) (keymanagement.KmsManagementClient, error) {
	client, err := keymanagement.NewKmsManagementClientWithConfigurationProvider(c.Credentials, endpoint)
	if err != nil {
		return client, fmt.Errorf("make management client: %w", err)
	}
	c.prepare(&client.BaseClient)
	return client, nil
}

// Crypto is the crypto endpoint of one vault, an address without a path.
func (c *Cloud) Crypto(endpoint string) (keymanagement.KmsCryptoClient, error) {
	client, err := keymanagement.NewKmsCryptoClientWithConfigurationProvider(c.Credentials, endpoint)
	if err != nil {
		return client, fmt.Errorf("make crypto client: %w", err)
	}
	c.prepare(&client.BaseClient)
	return client, nil
}

// prepare replaces what the SDK takes from its own environment. Its circuit breaker goes: Call ends
// by itself, and a breaker would turn the end of one resource's retries into failures of others.
func (c *Cloud) prepare(client *common.BaseClient) {
	never := common.NoRetryPolicy()
	client.Configuration.RetryPolicy = &never
	client.Configuration.CircuitBreaker = nil
	client.HTTPClient = c.http
	client.Interceptor = repeatable
	client.UserAgent = c.UserAgent + " " + client.UserAgent
	client.Host = c.host(client.Host)
}

// host puts Domain in the place of the realm's domain.
func (c *Cloud) host(host string) string {
	if c.Domain == "" || c.DomainDone != "" && strings.HasSuffix(host, c.DomainDone) {
		return host
	}
	region := common.StringToRegion(c.Credentials.HomeRegion)
	if rest, ok := strings.CutSuffix(host, "."+region.SecondLevelDomain()); ok {
		return rest + "." + c.Domain
	}
	return host
}

// IsVaultService says whether an endpoint is the address of the vault service, which knows no keys.
func (c *Cloud) IsVaultService(endpoint string) bool {
	vaults, err := c.Vaults()
	return err == nil && strings.EqualFold(authority(vaults.Endpoint()), authority(endpoint))
}

// authority is the host and port of an endpoint, with or without a scheme.
func authority(endpoint string) string {
	if u, err := url.Parse(endpoint); err == nil && u.Host != "" {
		return u.Host
	}
	return strings.TrimSuffix(endpoint, "/")
}

// Pause waits for d, or until ctx ends, with its error then.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
