// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"bytes"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"claviger/internal/keys"
)

// Limits of a session.
const (
	// MaxSessionLife is how long a session may last.
	MaxSessionLife = 12 * time.Hour
	// MaxChain is how many principals a session may have been handed through.
	MaxChain = 4
	// MaxToken is the size in bytes of the longest token that is looked at. One with a key of
	// 4096 bits and every name at its longest stays below it.
	MaxToken = 4096
)

// Session is a short-lived right to act as a principal. Nothing of it is stored: its holder
// brings a token along that the server has made. Times are request time in whole seconds, UTC.
type Session struct {
	ID     keys.ID
	Tenant keys.ID
	// Credential is the one that asked for the session, or for the session that asked. Without
	// it there is no session any more. Zero: the server's administrator asked.
	Credential keys.ID
	// Chain says who acts as whom: first the principal of Credential, last the one whose
	// rights the session has. It has one to [MaxChain] links.
	Chain []Link
	Name  string // chosen by who asked, for the logs; see [ValidSessionName]

	IssuedAt, ExpiresAt time.Time
}

// Link is one principal of a session's chain. All of its sessions of earlier epochs are over.
type Link struct {
	Principal keys.ID `json:"principal"`
	Epoch     int64   `json:"epoch"`
}

// Principal is whose rights the session has.
func (s *Session) Principal() keys.ID { return s.Chain[len(s.Chain)-1].Principal }

// Over reports whether the session's time is over at now, request time.
func (s *Session) Over(now time.Time) bool { return !now.Before(s.ExpiresAt) }

// ValidSessionName reports whether a session may be called s: 2 to 64 letters, digits and
// ". @ - _", which is what Alibaba Cloud's RoleSessionName allows.
func ValidSessionName(s string) bool {
	if len(s) < 2 || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '@', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// AccessKeyOf names a session that signs with a secret, as requests do: the prefix that tells
// such names from lasting ones, and the session's id in 26 letters and digits.
func AccessKeyOf(session keys.ID) string {
	return SessionPrefix + base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(session[:])
}

// SessionPrefix begins the name of every session that signs with a secret.
const SessionPrefix = "STS."

// claims is how a session stands in its token.
type claims struct {
	ID         keys.ID `json:"jti"`
	IssuedAt   int64   `json:"iat"`
	ExpiresAt  int64   `json:"exp"`
	Name       string  `json:"session"`
	TenantID   keys.ID `json:"tenant_id"`
	Credential keys.ID `json:"credential,omitzero"`
	Chain      []Link  `json:"chain"`
}

func (s *Session) claims() claims {
	return claims{
		ID: s.ID, IssuedAt: s.IssuedAt.Unix(), ExpiresAt: s.ExpiresAt.Unix(), Name: s.Name,
		TenantID: s.Tenant, Credential: s.Credential, Chain: s.Chain,
	}
}

var errClaims = errors.New("the token's claims are not those of a session")

func (c *claims) session() (*Session, error) {
	life := c.ExpiresAt - c.IssuedAt
	switch {
	case c.ID.IsZero(), c.TenantID.IsZero(), !ValidSessionName(c.Name):
		return nil, errClaims
	case c.IssuedAt <= 0, life <= 0, life > int64(MaxSessionLife/time.Second)+1:
		return nil, errClaims
	case len(c.Chain) == 0, len(c.Chain) > MaxChain:
		return nil, errClaims
	}
	for _, link := range c.Chain {
		if link.Principal.IsZero() || link.Epoch < 0 {
			return nil, errClaims
		}
	}
	return &Session{
		ID: c.ID, Tenant: c.TenantID, Credential: c.Credential, Chain: c.Chain, Name: c.Name,
		IssuedAt: time.Unix(c.IssuedAt, 0).UTC(), ExpiresAt: time.Unix(c.ExpiresAt, 0).UTC(),
	}, nil
}

// Encode writes the session as [ParseSession] reads it.
func (s *Session) Encode() ([]byte, error) { return encodeClaims(s.claims()) }

// ParseSession reads exactly what [Session.Encode] writes. The bytes must have been
// authenticated before: they are the server's own.
func ParseSession(b []byte) (*Session, error) {
	var c claims
	if err := parseClaims(b, &c); err != nil {
		return nil, err
	}
	return c.session()
}

func encodeClaims(c any) ([]byte, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode session: %w", err)
	}
	return b, nil
}

// parseClaims reads the one encoding of a session and refuses every other.
func parseClaims(b []byte, into any) error {
	if len(b) > MaxToken {
		return errClaims
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return errClaims
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errClaims
	}
	again, err := encodeClaims(into)
	if err != nil || !bytes.Equal(again, b) {
		return errClaims
	}
	return nil
}
