// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pair is a certificate with its key, in PEM.
type pair struct{ cert, key []byte }

// newPair makes a certificate that signs itself.
func newPair(t *testing.T, name string) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// replace puts content at path as a tool for certificates does: all at once.
func replace(t *testing.T, path string, content []byte) {
	t.Helper()
	write(t, path+".new", content)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// TestCertificateReload exchanges the files of a running server. Each new connection must get
// the certificate of the files as they are, or, while they do not fit, the one before.
func TestCertificateReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	first, second := newPair(t, "first"), newPair(t, "second")
	write(t, certFile, first.cert)
	write(t, keyFile, first.key)
	var log bytes.Buffer
	cert, err := LoadCertificate(certFile, keyFile, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{Log: quiet(), TLS: cert.Config()})
	e := serve(t, s, text("secure"))
	if e.Scheme() != "https" {
		t.Errorf("scheme is %s", e.Scheme())
	}
	shown := func() string {
		t.Helper()
		c, err := tls.Dial("tcp", e.Address(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	for _, step := range []struct {
		what string
		do   func()
		want string
	}{
		{"at start", func() {}, "first"},
		{"with only the certificate exchanged", func() { replace(t, certFile, second.cert) }, "first"},
		{"with both exchanged", func() { replace(t, keyFile, second.key) }, "second"},
		{"with a broken certificate", func() { replace(t, certFile, []byte("broken")) }, "second"},
		{"with no certificate", func() { _ = os.Remove(certFile) }, "second"},
		{"with the first again", func() { replace(t, keyFile, first.key); replace(t, certFile, first.cert) }, "first"},
	} {
		step.do()
		for range 2 {
			if got := shown(); got != step.want {
				t.Errorf("%s: the server shows %s, want %s", step.what, got, step.want)
			}
		}
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "cannot be used"); n != 2 {
		t.Errorf("what cannot be used is reported %d times, want once for each change:\n%s", n, log.String())
	}
}

// Clients are asked for a certificate: one that the authorities made is taken, one of somebody
// else is refused, and none is taken too.
func TestAskClients(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	own, known, stranger := newPair(t, "server"), newPair(t, "known"), newPair(t, "stranger")
	certFile, keyFile, caFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "ca.pem")
	write(t, certFile, own.cert)
	write(t, keyFile, own.key)
	cert, err := LoadCertificate(certFile, keyFile, quiet())
	if err != nil {
		t.Fatal(err)
	}
	c := cert.Config()
	if err := AskClients(c, caFile); err == nil || !strings.Contains(err.Error(), caFile) {
		t.Errorf("a missing file: %v, want an error that names it", err)
	}
	write(t, caFile, []byte("no certificate"))
	if err := AskClients(c, caFile); err == nil {
		t.Error("a file without a certificate is taken")
	}
	write(t, caFile, known.cert)
	if err := AskClients(c, caFile); err != nil {
		t.Fatal(err)
	}
	s := New(Options{Log: quiet(), TLS: c})
	e := serve(t, s, text("secure"))
	get := func(shown *pair) error {
		config := &tls.Config{InsecureSkipVerify: true}
		if shown != nil {
			of, err := tls.X509KeyPair(shown.cert, shown.key)
			if err != nil {
				t.Fatal(err)
			}
			// Whatever authorities the server names.
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &of, nil }
		}
		transport := &http.Transport{TLSClientConfig: config}
		defer transport.CloseIdleConnections()
		res, err := (&http.Client{Transport: transport}).Get("https://" + e.Address())
		if err == nil {
			res.Body.Close()
		}
		return err
	}
	if err := get(nil); err != nil {
		t.Errorf("a client without a certificate: %v", err)
	}
	if err := get(&known); err != nil {
		t.Errorf("a client with one: %v", err)
	}
	if err := get(&stranger); err == nil {
		t.Error("a client with a stranger's certificate is served")
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestCertificateMissing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := newPair(t, "x")
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if _, err := LoadCertificate(certFile, keyFile, quiet()); err == nil || !strings.Contains(err.Error(), certFile) {
		t.Errorf("missing files: %v, want an error that names one", err)
	}
	write(t, certFile, p.cert)
	write(t, keyFile, newPair(t, "y").key)
	if _, err := LoadCertificate(certFile, keyFile, quiet()); err == nil {
		t.Error("a key that is not the certificate's is accepted")
	}
}

func TestTLSVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := newPair(t, "x")
	write(t, filepath.Join(dir, "c"), p.cert)
	write(t, filepath.Join(dir, "k"), p.key)
	cert, err := LoadCertificate(filepath.Join(dir, "c"), filepath.Join(dir, "k"), quiet())
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, Options{TLS: cert.Config()})
	e := serve(t, s, text("secure"))
	c, err := tls.Dial("tcp", e.Address(), &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	if err == nil {
		c.Close()
		t.Error("TLS 1.1 is spoken")
	}
	c, err = tls.Dial("tcp", e.Address(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.ConnectionState().NegotiatedProtocol; got == "h2" {
		t.Error("HTTP/2 is spoken, in which a connection is many requests at once")
	}
	c.Close()
	plain, err := s.BindPlain("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := plain.Serve(text("plain")); err != nil {
		t.Fatal(err)
	}
	if _, body := get(t, client(), plain.URL()); body != "plain" {
		t.Errorf("the plain listener answers %q", body)
	}
}
