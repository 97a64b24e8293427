// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"crypto"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // G505: HMAC-SHA1, which needs no collision resistance, is what a cloud's older signatures are
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"fmt"
	"hash"
	"sync"
	"sync/atomic"

	"claviger/internal/keys"
	"claviger/internal/secret"
)

// MinRSABits is the smallest API signing key accepted.
const MinRSABits = 2048

// MaxRSABits is the largest: verification cost grows with the square, and every request pays it.
const MaxRSABits = 4096

// Credential is an opened credential: it can verify and cannot be made to tell. That of a
// session has the caller's session, no ID of its own, and ends with it.
type Credential struct {
	ID       keys.ID
	Kind     CredentialKind
	Name     string // what a request names it by; of a session with a key: its name and its principal's
	Disabled bool
	Caller   *Caller
	rsa      *rsa.PublicKey
	secret   secret.Bytes
	wiped    atomic.Bool
	macs     [macSchemes]sync.Pool // hash.Hash: HMACs that are keyed already
}

// MACScheme says how an access key's secret makes an HMAC (RFC 2104).
type MACScheme uint8

// The schemes.
const (
	HMACSHA256        MACScheme = iota // under the secret
	HMACSHA1Ampersand                  // under the secret and a "&" after it

	macSchemes = iota
)

// OpenRSAKey makes a verifying credential of a row with a public key.
func OpenRSAKey(row *CredentialRow, caller *Caller) (*Credential, error) {
	pub, err := ParseRSAPublicKey(row.PublicKey)
	if err != nil {
		return nil, err
	}
	return &Credential{ID: row.ID, Kind: RSAKey, Name: row.Name, Disabled: row.Disabled, Caller: caller, rsa: pub}, nil
}

// OpenAccessKey makes a verifying credential of a row and its opened secret, which it keeps.
func OpenAccessKey(row *CredentialRow, s secret.Bytes, caller *Caller) *Credential {
	return &Credential{ID: row.ID, Kind: AccessKey, Name: row.Name, Disabled: row.Disabled, Caller: caller, secret: s}
}

// OpenKeySession makes a verifying credential of a session whose holder has a private key.
func OpenKeySession(s *KeySession, caller *Caller) *Credential {
	return &Credential{Kind: RSAKey, Name: caller.Name, Caller: caller, rsa: s.Key}
}

// OpenSession makes a verifying credential of a session whose holder has a secret, which the
// credential keeps.
func OpenSession(id keys.ID, s secret.Bytes, caller *Caller) *Credential {
	return &Credential{Kind: AccessKey, Name: AccessKeyOf(id), Caller: caller, secret: s}
}

// ParseRSAPublicKey reads a DER SubjectPublicKeyInfo holding an RSA key of acceptable size.
func ParseRSAPublicKey(der []byte) (*rsa.PublicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("parse public key: %w", err)
	}
	pub, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("public key is %T, want RSA", parsed)
	}
	return pub, checkRSA(pub)
}

func checkRSA(pub *rsa.PublicKey) error {
	if n := pub.N.BitLen(); n < MinRSABits || n > MaxRSABits {
		return fmt.Errorf("RSA key has %d bits, want %d to %d", n, MinRSABits, MaxRSABits)
	}
	return nil
}

// VerifyRSA checks an RSASSA-PKCS1-v1_5 signature (RFC 8017 §8.2) over digest. A credential
// of another kind verifies nothing.
func (c *Credential) VerifyRSA(h crypto.Hash, digest, signature []byte) bool {
	return c.rsa != nil && rsa.VerifyPKCS1v15(c.rsa, h, digest, signature) == nil
}

// RSABits is the length of the key that VerifyRSA verifies with; 0 where there is none.
func (c *Credential) RSABits() int {
	if c.rsa == nil {
		return 0
	}
	return c.rsa.N.BitLen()
}

// VerifyMAC checks, in constant time, that mac is the HMAC of message. A credential of another
// kind, and one that was wiped, verifies nothing.
func (c *Credential) VerifyMAC(scheme MACScheme, message, mac []byte) bool {
	if c.Kind != AccessKey || c.secret.Len() == 0 || c.wiped.Load() {
		return false
	}
	// Keying an HMAC costs more than making it.
	m, _ := c.macs[scheme].Get().(hash.Hash)
	if m == nil {
		m = c.keyed(scheme)
	}
	m.Reset()
	m.Write(message)
	var sum [sha256.Size]byte
	equal := subtle.ConstantTimeCompare(m.Sum(sum[:0]), mac) == 1
	c.macs[scheme].Put(m)
	return equal
}

func (c *Credential) keyed(scheme MACScheme) hash.Hash {
	key := c.secret.Reveal()
	if scheme == HMACSHA256 {
		return hmac.New(sha256.New, key)
	}
	key = append(append(make([]byte, 0, len(key)+1), key...), '&')
	defer clear(key)
	return hmac.New(sha1.New, key)
}

// Wipe forgets the secret. The HMACs that were keyed with it are left to the garbage collector;
// none is used any more. No other call may be running.
func (c *Credential) Wipe() {
	c.wiped.Store(true)
	c.secret.Wipe()
	clear(c.macs[:])
}
