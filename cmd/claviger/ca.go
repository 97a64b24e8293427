// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// The files of dev's own certificate authority.
const (
	caCertFile = "ca.pem"
	caKeyFile  = "ca.key"
)

// devCA is the certificate authority of dev --tls. Clients trust its certificate, which stays
// the same as long as the data does.
type devCA struct {
	file string // of the certificate
	cert *x509.Certificate
	key  crypto.Signer
}

// openCA reads the authority in dir, or makes it.
func openCA(dir string, now time.Time) (*devCA, error) {
	ca := &devCA{file: filepath.Join(dir, caCertFile)}
	pair, err := tls.LoadX509KeyPair(ca.file, filepath.Join(dir, caKeyFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = ca.create(dir, now)
	case err == nil:
		var ok bool
		if ca.key, ok = pair.PrivateKey.(crypto.Signer); !ok {
			err = errors.New("its key cannot sign")
		}
		ca.cert = pair.Leaf
	}
	if err != nil {
		return nil, fmt.Errorf("certificate authority of dev: %w", err)
	}
	return ca, nil
}

func (ca *devCA) create(dir string, now time.Time) error {
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "Claviger dev CA", Organization: []string{"Claviger dev, trusted by nobody else"}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	cert, key, err := certify(template, nil, nil)
	if err != nil {
		return err
	}
	ca.cert, ca.key = cert, key
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		writeAtomic(filepath.Join(dir, caKeyFile), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		writeAtomic(ca.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})),
	)
}

// server is a TLS configuration with a fresh certificate for host and for loopback.
func (ca *devCA) server(host string, now time.Time) (*tls.Config, error) {
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "claviger dev"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = append(template.IPAddresses, ip)
	} else if host != "" {
		template.DNSNames = append(template.DNSNames, host)
	}
	cert, key, err := certify(template, ca.cert, ca.key)
	if err != nil {
		return nil, fmt.Errorf("make TLS certificate: %w", err)
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw, ca.cert.Raw}, PrivateKey: key, Leaf: cert}},
	}, nil
}

// certify makes a key and a certificate for it, signed by parent or, with none, by itself.
func certify(template, parent *x509.Certificate, signer crypto.Signer) (*x509.Certificate, crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return nil, nil, err
	}
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return cert, key, err
}

// exists reports whether there is something at path.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
