// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/secret"
)

// apiKeyBits is the size of the API signing keys that are made here; OCI's own console makes the same.
const apiKeyBits = 2048

// apiKey is an OCI API signing key.
type apiKey struct {
	spki []byte // the public half, DER
	pem  []byte // the private half, PEM
}

func newAPIKey() (*apiKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, apiKeyBits)
	if err != nil {
		return nil, fmt.Errorf("generate API key: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode API key: %w", err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("encode API key: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	// The OCI CLI warns of key files that do not end in this label.
	return &apiKey{spki: spki, pem: append(text, "OCI_API_KEY\n"...)}, nil
}

// parseAPIKey reads a private key file as newAPIKey or OCI's console writes it.
func parseAPIKey(text []byte) (*apiKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("no PEM block")
	}
	var key any
	var err error
	if block.Type == "RSA PRIVATE KEY" {
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	} else {
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, fmt.Errorf("parse private key: %w", err)
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the private key is %T, want RSA", key)
	}
	spki, err := x509.MarshalPKIXPublicKey(private.Public())
	return &apiKey{spki: spki, pem: text}, err
}

// newAccessKey makes the id and the secret of an access key, of the clouds' usual form.
func newAccessKey(random io.Reader) (id, value string, err error) {
	a, err := alphanumeric(random, 18)
	if err != nil {
		return "", "", fmt.Errorf("make access key: %w", err)
	}
	b, err := alphanumeric(random, 30)
	if err != nil {
		return "", "", fmt.Errorf("make access key: %w", err)
	}
	return "LTAI5t" + a, b, nil
}

// alphanumeric reads n random letters and digits, each as likely as any other.
func alphanumeric(random io.Reader, n int) (string, error) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	const fair = 256 - 256%len(alphabet) // bytes from here on would favour the first letters
	out := make([]byte, 0, n)
	var b [64]byte
	for len(out) < n {
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return "", err
		}
		for _, c := range b {
			if int(c) < fair && len(out) < n {
				out = append(out, alphabet[int(c)%len(alphabet)])
			}
		}
	}
	return string(out), nil
}

// addAccessKey makes an access key for a principal.
func addAccessKey(ctx context.Context, s *kms.Service, c *kms.Call, principal keys.ID, random io.Reader) (*identity.CredentialRow, string, error) {
	id, value, err := newAccessKey(random)
	if err != nil {
		return nil, "", err
	}
	row, err := s.AddAccessKey(ctx, c, principal, id, secret.Copy([]byte(value)))
	return row, value, err
}
