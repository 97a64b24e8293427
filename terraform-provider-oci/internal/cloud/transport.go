// SPDX-License-Identifier: Apache-2.0

package cloud

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// Times that a request's stages may take unless Transport says otherwise.
const (
	requestTimeout   = 2 * time.Minute // making an RSA-4096 key on a busy machine takes long
	dialTimeout      = 10 * time.Second
	handshakeTimeout = 10 * time.Second
)

// Transport is how connections are made. Proxies come from the environment, as net/http has it.
type Transport struct {
	CertFile   string // PEM, becomes the only authorities; empty means the machine's own
	SkipVerify bool   // take any certificate

	// Zero means the defaults: two minutes, ten seconds, ten seconds.
	RequestTimeout, DialTimeout, HandshakeTimeout time.Duration
}

func (t Transport) client() (*http.Client, error) {
	settings := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: t.SkipVerify, //nolint:gosec // the user says so by accept_local_certs
	}
	if t.CertFile != "" {
		raw, err := os.ReadFile(t.CertFile)
		if err != nil {
			return nil, fmt.Errorf("read authorities' certificates: %w", err)
		}
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(raw) {
			return nil, fmt.Errorf("read authorities' certificates: %s holds none in PEM", t.CertFile)
		}
	}
	dialer := &net.Dialer{Timeout: or(t.DialTimeout, dialTimeout)}
	return &http.Client{
		Timeout: or(t.RequestTimeout, requestTimeout),
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         dialer.DialContext,
			TLSClientConfig:     settings,
			TLSHandshakeTimeout: or(t.HandshakeTimeout, handshakeTimeout),
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 16, // Terraform works on ten resources at a time
			IdleConnTimeout:     time.Minute,
		},
	}, nil
}

func or(d, fallback time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return fallback
}
