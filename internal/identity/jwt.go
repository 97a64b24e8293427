// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"

	"claviger/internal/keys"
)

// KeySession is a session whose holder signs with a private key of its own. Its token is a
// JSON Web Token (RFC 7519) that carries the public half: three parts, signed with ES256
// (RFC 7518 §3.4) by the server, which alone reads it. Clients look at exp and jwk at most.
type KeySession struct {
	Session
	Subject string         // the principal's name in the cloud
	Account string         // the tenant's
	Key     *rsa.PublicKey // the holder's
}

// tokenClaims is the payload. The names that are not [claims] are those of OCI's own tokens.
type tokenClaims struct {
	Issuer  string `json:"iss"`
	Subject string `json:"sub"`
	Account string `json:"tenant"`
	Again   string `json:"res_tenant"` // Account, where code that runs as a resource looks for it
	Type    string `json:"ptype"`
	JWK     string `json:"jwk"` // JSON within a string, as OCI has it
	claims
}

// jwk is an RSA public key (RFC 7517, RFC 7518 §6.3.1).
type jwk struct {
	ID        string `json:"kid"`
	N         string `json:"n"`
	E         string `json:"e"`
	Type      string `json:"kty"`
	Algorithm string `json:"alg"`
	Use       string `json:"use"`
}

const (
	tokenIssuer = "claviger"
	tokenType   = "user"
	// tokenHeader is the one header that a token may have: no other algorithm is looked for,
	// least of all "none".
	tokenHeader = `{"alg":"ES256","typ":"JWT"}` //nolint:gosec // every token begins with it
	halfES256   = 32                            // bytes of each half of a signature
)

var errToken = errors.New("not a session token of this server")

// Sign makes the session's token with the server's key, a P-256 key.
func (s *KeySession) Sign(key *ecdsa.PrivateKey, rand io.Reader) (string, error) {
	public, err := encodeJWK(s.ID, s.Key)
	if err != nil {
		return "", err
	}
	payload, err := encodeClaims(tokenClaims{
		Issuer: tokenIssuer, Subject: s.Subject, Account: s.Account, Again: s.Account, Type: tokenType, JWK: public, claims: s.claims(),
	})
	if err != nil {
		return "", err
	}
	signed := encodedHeader() + "." + base64.RawURLEncoding.EncodeToString(payload)
	digest := sha256.Sum256([]byte(signed))
	r, t, err := ecdsa.Sign(rand, key, digest[:])
	if err != nil {
		return "", fmt.Errorf("sign session token: %w", err)
	}
	var signature [2 * halfES256]byte
	r.FillBytes(signature[:halfES256])
	t.FillBytes(signature[halfES256:])
	token := signed + "." + base64.RawURLEncoding.EncodeToString(signature[:])
	if len(token) > MaxToken {
		return "", keys.Invalid("names", "the names of the principal and its tenant make the session token too long")
	}
	return token, nil
}

func encodedHeader() string { return base64.RawURLEncoding.EncodeToString([]byte(tokenHeader)) }

// OpenToken reads a token that [KeySession.Sign] made with key. Nothing of it is looked at
// before its signature verified. Whether its time is over is not asked here.
func OpenToken(token string, key *ecdsa.PublicKey) (*KeySession, error) {
	if len(token) > MaxToken {
		return nil, errToken
	}
	header, rest, _ := strings.Cut(token, ".")
	body, tail, ok := strings.Cut(rest, ".")
	if !ok || header != encodedHeader() {
		return nil, errToken
	}
	var signature [2*halfES256 + 1]byte
	n, err := base64.RawURLEncoding.Strict().Decode(signature[:], []byte(tail[:min(len(tail), base64.RawURLEncoding.EncodedLen(2*halfES256))]))
	if err != nil || n != 2*halfES256 || len(tail) != base64.RawURLEncoding.EncodedLen(2*halfES256) {
		return nil, errToken
	}
	digest := sha256.Sum256([]byte(token[:len(header)+1+len(body)]))
	r, t := new(big.Int).SetBytes(signature[:halfES256]), new(big.Int).SetBytes(signature[halfES256:n])
	if !ecdsa.Verify(key, digest[:], r, t) {
		return nil, errToken
	}
	return parseToken(body)
}

// parseToken reads a payload whose signature verified.
func parseToken(body string) (*KeySession, error) {
	payload, err := base64.RawURLEncoding.Strict().DecodeString(body)
	if err != nil {
		return nil, errToken
	}
	var c tokenClaims
	if err := parseClaims(payload, &c); err != nil {
		return nil, err
	}
	if c.Issuer != tokenIssuer || c.Type != tokenType || c.Again != c.Account {
		return nil, errClaims
	}
	session, err := c.session()
	if err != nil {
		return nil, err
	}
	public, err := parseJWK(session.ID, c.JWK)
	if err != nil {
		return nil, err
	}
	return &KeySession{Session: *session, Subject: c.Subject, Account: c.Account, Key: public}, nil
}

func encodeJWK(session keys.ID, pub *rsa.PublicKey) (string, error) {
	b, err := json.Marshal(jwk{
		ID: session.String(),
		N:  base64.RawURLEncoding.EncodeToString(pub.N.Bytes()), E: base64.RawURLEncoding.EncodeToString(big.NewInt(int64(pub.E)).Bytes()),
		Type: "RSA", Algorithm: "RS256", Use: "sig",
	})
	if err != nil {
		return "", fmt.Errorf("encode public key: %w", err)
	}
	return string(b), nil
}

func parseJWK(session keys.ID, text string) (*rsa.PublicKey, error) {
	var k jwk
	if err := parseClaims([]byte(text), &k); err != nil {
		return nil, err
	}
	n, err := base64.RawURLEncoding.Strict().DecodeString(k.N)
	if err != nil {
		return nil, errClaims
	}
	e, err := base64.RawURLEncoding.Strict().DecodeString(k.E)
	if err != nil || len(e) > 4 {
		return nil, errClaims
	}
	pub := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	again, err := encodeJWK(session, pub)
	if err != nil || again != text {
		return nil, errClaims
	}
	return pub, checkRSA(pub)
}
