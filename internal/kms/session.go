// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/seal"
	"claviger/internal/secret"
	"claviger/internal/store"
)

// Why a session is refused: the Field of the KindUnauthenticated error, whose noun is keys.TypeSession.
const (
	SessionMalformed = "malformed" // the token is none that this server made
	SessionMismatch  = "mismatch"  // the token belongs to another access key
	SessionExpired   = "expired"   // its time is over
	SessionEnded     = "ended"     // its principal, its credential or the right to assume is gone, or all sessions were ended
)

func sessionRefused(why, hint string) *keys.Error {
	return &keys.Error{Kind: keys.KindUnauthenticated, Noun: keys.TypeSession, Field: why, Hint: hint}
}

func malformedSession() error {
	return sessionRefused(SessionMalformed, "the session token is not one that this server made: copy it whole, or get a new session")
}

// sessions makes and opens session tokens. Its keys come from the system KEK, so every node of
// an installation opens what another one made, and nothing is stored.
type sessions struct {
	rand   io.Reader
	wall   func() time.Time
	system secret.Bytes // the hierarchy's
	key    *ecdsa.PrivateKey
}

func newSessions(rand io.Reader, wall func() time.Time, system secret.Bytes) (*sessions, error) {
	// A number of 32 bytes is no private key of P-256 once in 2^32 times; then the next is taken.
	for i := 0; ; i++ {
		raw := seal.DeriveKey(system, fmt.Sprintf("session-signing %d", i))
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw.Reveal())
		raw.Wipe()
		if err == nil {
			return &sessions{rand: rand, wall: wall, system: system, key: key}, nil
		}
		if i == 8 {
			return nil, fmt.Errorf("derive session signing key: %w", err)
		}
	}
}

// tokenKey is a key for one session alone, so that no number of tokens wears it out.
func (s *sessions) tokenKey(id keys.ID) secret.Bytes {
	return seal.DeriveKey(s.system, "session-token "+id.String())
}

func tokenAAD(id keys.ID) []byte {
	return seal.AAD{Purpose: seal.PurposeSessionToken, Row: id, Generation: firstGeneration}.Bytes()
}

// accessSecret is the secret that the holder of a session signs with: 52 letters and digits.
func accessSecret(tokenKey secret.Bytes) secret.Bytes {
	raw := seal.DeriveKey(tokenKey, "session-secret")
	defer raw.Wipe()
	enc := base32.HexEncoding.WithPadding(base32.NoPadding)
	out := make([]byte, enc.EncodedLen(raw.Len()))
	enc.Encode(out, raw.Reveal())
	return secret.New(out)
}

// seal makes the token of a session that signs with a secret: base64 of its id and of its
// claims, sealed. docs/formats.md has the layout.
func (s *sessions) seal(sess *identity.Session) (token string, value secret.Bytes, err error) {
	encoded, err := sess.Encode()
	if err != nil {
		return "", secret.Bytes{}, err
	}
	key := s.tokenKey(sess.ID)
	defer key.Wipe()
	box, err := seal.SealBox(s.rand, key, tokenAAD(sess.ID), secret.New(encoded))
	if err != nil {
		return "", secret.Bytes{}, fmt.Errorf("seal session: %w", err)
	}
	return base64.StdEncoding.EncodeToString(append(sess.ID[:], box...)), accessSecret(key), nil
}

// open reads a sealed token.
func (s *sessions) open(token string) (*identity.Session, secret.Bytes, error) {
	if len(token) > identity.MaxToken || strings.ContainsAny(token, "\r\n") {
		return nil, secret.Bytes{}, malformedSession()
	}
	b, err := base64.StdEncoding.Strict().DecodeString(token)
	if err != nil || len(b) < len(keys.ID{})+seal.BoxOverhead {
		return nil, secret.Bytes{}, malformedSession()
	}
	id := keys.ID(b[:len(keys.ID{})])
	key := s.tokenKey(id)
	defer key.Wipe()
	encoded, err := seal.OpenBox(key, tokenAAD(id), b[len(id):])
	if err != nil {
		return nil, secret.Bytes{}, malformedSession()
	}
	sess, err := identity.ParseSession(encoded.Reveal())
	if err != nil || sess.ID != id {
		return nil, secret.Bytes{}, malformedSession()
	}
	return sess, accessSecret(key), nil
}

// sessionEntry is a session's snapshot.
type sessionEntry struct {
	session *identity.Session
	cred    *identity.Credential
}

// Wipe forgets the secret that the holder signs with.
func (e *sessionEntry) Wipe() { e.cred.Wipe() }

// AuthenticateSession opens the token of a session that a request names by accessKey, held
// until the call's End, as [Service.Authenticate] does for lasting credentials. Whether the
// session's time is over is asked anew by every call. Errors are KindUnauthenticated, their
// Field one of the reasons above.
func (s *Service) AuthenticateSession(ctx context.Context, c *Call, accessKey, token string) (*identity.Credential, error) {
	cred, err := s.session(ctx, c, identity.AccessKey, token, func() (*identity.Session, opener, error) {
		sess, value, err := s.sessions().open(token)
		if err != nil {
			return nil, nil, err
		}
		return sess, func(who *identity.Caller) *identity.Credential { return identity.OpenSession(sess.ID, value, who) }, nil
	})
	if err != nil {
		return nil, err
	}
	if cred.Name != accessKey {
		return nil, sessionRefused(SessionMismatch, "the session token belongs to the access key "+cred.Name)
	}
	return cred, nil
}

// AuthenticateKeySession is [Service.AuthenticateSession] for a session whose holder signs with
// a private key: the token has the public half.
func (s *Service) AuthenticateKeySession(ctx context.Context, c *Call, token string) (*identity.Credential, error) {
	return s.session(ctx, c, identity.RSAKey, token, func() (*identity.Session, opener, error) {
		sess, err := identity.OpenToken(token, &s.sessions().key.PublicKey)
		if err != nil {
			return nil, nil, malformedSession()
		}
		return &sess.Session, func(who *identity.Caller) *identity.Credential { return identity.OpenKeySession(sess, who) }, nil
	})
}

// opener makes a credential of a session whose caller is known.
type opener func(*identity.Caller) *identity.Credential

func (s *Service) session(ctx context.Context, c *Call, kind identity.CredentialKind, token string,
	open func() (*identity.Session, opener, error),
) (*identity.Credential, error) {
	name := sha256.Sum256([]byte(token))
	k := ringKey{kind: sessionKind(kind), name: string(name[:])}
	value, err := s.ring.get(ctx, c, k, func(ctx context.Context) (any, error) {
		if err := s.refreshSystem(ctx); err != nil {
			return nil, err
		}
		sess, credential, err := open()
		if err != nil {
			return nil, err
		}
		if err := s.inTime(sess); err != nil {
			return nil, err
		}
		var who *identity.Caller
		err = s.store.View(ctx, func(tx store.Tx) (err error) {
			who, err = sessionCaller(tx, sess)
			return err
		})
		if err != nil {
			return nil, err
		}
		cred := credential(who)
		return &sessionEntry{sess, cred}, nil
	})
	if err != nil {
		return nil, translate(err)
	}
	e := value.(*sessionEntry)
	return e.cred, s.inTime(e.session)
}

// inTime refuses a session whose time is over.
func (s *Service) inTime(sess *identity.Session) error {
	if now := s.guard.wall(); sess.Over(now) {
		return sessionRefused(SessionExpired, fmt.Sprintf("the session %s ended at %s, and it is %s: get a new one",
			sess.Name, sess.ExpiresAt.Format(time.RFC3339), now.UTC().Format(time.RFC3339)))
	}
	return nil
}

// sessionCaller establishes who calls in a session, link by link: everything that the session
// rests on must still be there, and with the rights of now.
func sessionCaller(tx store.Tx, sess *identity.Session) (*identity.Caller, error) {
	ended := func(why string) error {
		return sessionRefused(SessionEnded, "the session "+sess.Name+" was ended: "+why)
	}
	if !sess.Credential.IsZero() {
		row := identity.CredentialRow{ID: sess.Credential}
		switch err := tx.Load(&row); {
		case errors.Is(err, store.ErrNotFound):
			return nil, ended("the credential that asked for it was removed")
		case err != nil:
			return nil, err
		case row.Disabled:
			return nil, ended("the credential that asked for it is disabled")
		case row.Principal != sess.Chain[0].Principal:
			return nil, ended("the credential that asked for it is another's")
		}
	}
	var who *identity.Caller
	for _, link := range sess.Chain {
		p, err := store.LoadPrincipal(tx, link.Principal)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return nil, ended("a principal that it rests on was removed")
		case err != nil:
			return nil, err
		case p.Tenant != sess.Tenant, p.SessionEpoch != link.Epoch:
			return nil, ended("all sessions of " + p.Name + " were ended")
		case who != nil && !who.MayAssume(p):
			return nil, ended(who.Name + " may not assume " + p.Name + " any more")
		}
		bindings, err := tx.Bindings(p.ID)
		if err != nil {
			return nil, err
		}
		who = identity.NewSessionCaller(p, sess, bindings)
	}
	return who, nil
}
