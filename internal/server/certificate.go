// SPDX-License-Identifier: Apache-2.0

package server

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
)

// Certificate is a certificate in two PEM files that may be exchanged while the server runs.
// Every TLS handshake looks at the files; a full handshake costs hundreds of times more.
type Certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu   sync.Mutex
	seen [2]fs.FileInfo   // guarded by mu; the files that were last read
	cert *tls.Certificate // guarded by mu
}

// LoadCertificate reads the two files.
func LoadCertificate(certFile, keyFile string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, log: log}
	seen, err := c.stat()
	if err != nil {
		return nil, fmt.Errorf("load TLS certificate: %w", err)
	}
	if err := c.load(seen); err != nil {
		return nil, fmt.Errorf("load TLS certificate: %w", err)
	}
	return c, nil
}

// Config is a server's TLS configuration that uses c: TLS 1.2 or newer (RFC 9325 §3.1.1).
func (c *Certificate) Config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current(), nil },
	}
}

// AskClients makes a server's TLS configuration ask clients for a certificate of the authorities
// in a PEM file. One that is shown is verified; none has to be shown.
func AskClients(c *tls.Config, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the authorities of clients' certificates: %w", err)
	}
	c.ClientCAs = x509.NewCertPool()
	if !c.ClientCAs.AppendCertsFromPEM(text) {
		return fmt.Errorf("read the authorities of clients' certificates: %s holds no certificate in PEM", file)
	}
	c.ClientAuth = tls.VerifyClientCertIfGiven
	return nil
}

// current is the certificate of the files as they are now. While they cannot be read, or do
// not fit each other because only one is written yet, it stays the one before.
func (c *Certificate) current() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen, err := c.stat()
	if err != nil {
		c.log.Warn("TLS certificate files are not there; the loaded certificate stays in use", "error", err)
		return c.cert
	}
	if same(seen[0], c.seen[0]) && same(seen[1], c.seen[1]) {
		return c.cert
	}
	if err := c.load(seen); err != nil {
		c.log.Warn("TLS certificate files changed and cannot be used; the loaded certificate stays in use", "error", err)
		return c.cert
	}
	c.log.Info("TLS certificate files changed; the new certificate is in use", "cert_file", c.certFile)
	return c.cert
}

// load reads the files. They are remembered as seen even when they cannot be used, so that a
// broken pair is reported once and not at every handshake.
func (c *Certificate) load(seen [2]fs.FileInfo) error {
	c.seen = seen
	cert, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.cert = &cert
	return nil
}

func (c *Certificate) stat() (seen [2]fs.FileInfo, err error) {
	for i, name := range [2]string{c.certFile, c.keyFile} {
		if seen[i], err = os.Stat(name); err != nil {
			return seen, err
		}
	}
	return seen, nil
}

func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
