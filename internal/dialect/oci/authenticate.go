// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"

	"claviger/internal/dialect"
	"claviger/internal/identity"
	"claviger/internal/keys"
)

// maxSkew is how far a request's date may be from the server's clock, either way.
const maxSkew = 5 * time.Minute

// maxSignature is the size in bytes of the largest signature that an API key makes.
const maxSignature = identity.MaxRSABits / 8

// skew is the cause of a refusal for the request's date.
type skew struct{ date, now time.Time }

func (s *skew) Error() string { return fmt.Sprintf("date is off by %v", s.date.Sub(s.now)) }

// authenticate verifies the request's signature and sets who calls. What costs little is
// checked first. An unknown key and a wrong signature answer the same.
func (d *Dialect) authenticate(ctx context.Context, x *dialect.Exchange) error {
	r := x.Request
	header := r.Header["Authorization"]
	if len(header) != 1 {
		return incomplete(fmt.Sprintf("the request has %d Authorization headers, not one: sign it with an API key", len(header)))
	}
	sig, err := parseSignature(header[0])
	if err != nil {
		return err
	}
	if len(r.Header["Opc-Obo-Token"]) > 0 {
		return incomplete("the request acts on behalf of somebody else (opc-obo-token), which this server does not take: sign with an API key")
	}
	var room [640]byte
	signed, set, err := appendSigningString(room[:0], r, sig.headers)
	if err != nil {
		return err
	}
	if names := missing(r, set); names != "" {
		return incomplete("the signature does not cover " + names)
	}
	if err := d.checkDate(r); err != nil {
		return err
	}
	if err := checkContent(x); err != nil {
		return err
	}
	var value [maxSignature]byte
	n, ok := decodeSignature(&value, sig.value)
	if !ok {
		return notVerified("the Authorization header's signature is not base64 of at most 512 bytes")
	}
	if err := x.Admit(sig.keyID); err != nil {
		return err
	}
	cred, err := d.credential(ctx, x, sig.keyID)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(signed)
	if err := x.Turn(ctx, cred.RSABits()); err != nil {
		return err
	}
	verified := cred.VerifyRSA(crypto.SHA256, digest[:], value[:n])
	x.Left()
	if !verified {
		return notVerified(d.explain(r, cred, sig.headers, signed, value[:n]))
	}
	if cred.Disabled {
		return notVerified("the API key " + sig.keyID + " is disabled")
	}
	x.Call.Who = cred.Caller
	return nil
}

// sessionPrefix begins the keyId of a session; its token follows.
const sessionPrefix = "ST$"

// credential finds the API key that a keyId names, or opens the session token that it is.
func (d *Dialect) credential(ctx context.Context, x *dialect.Exchange, keyID string) (*identity.Credential, error) {
	if token, ok := strings.CutPrefix(keyID, sessionPrefix); ok {
		return d.kms.AuthenticateKeySession(ctx, &x.Call, token)
	}
	return d.kms.Authenticate(ctx, &x.Call, identity.RSAKey, keyID)
}

// checkDate compares the request's date with the machine's clock. x-date wins over date.
func (d *Dialect) checkDate(r *http.Request) error {
	name, values := "x-date", r.Header["X-Date"]
	if len(values) == 0 {
		name, values = "date", r.Header["Date"]
	}
	if len(values) != 1 {
		return incomplete("the request must have one " + name + " header")
	}
	date, err := d.parseDate(values[0])
	if err != nil {
		return incomplete(name + " is not a date of HTTP, such as " + http.TimeFormat)
	}
	now := d.cfg.Now()
	off := date.Sub(now)
	if off.Abs() <= maxSkew {
		return nil
	}
	side := "ahead of"
	if off < 0 {
		side = "behind"
	}
	return &keys.Error{
		Kind: keys.KindUnauthenticated, Field: fieldNotVerified, Err: &skew{date: date, now: now},
		Hint: fmt.Sprintf("%s is %v %s the server's clock (%s), more than %v: set the client's clock",
			name, off.Abs().Round(time.Second), side, now.UTC().Format(http.TimeFormat), maxSkew),
	}
}

// dated is a date's text and what it means.
type dated struct {
	text string
	at   time.Time
}

// parseDate reads a date of HTTP. Requests of the same second have the same one.
func (d *Dialect) parseDate(text string) (time.Time, error) {
	if last := d.lastDate.Load(); last != nil && last.text == text {
		return last.at, nil
	}
	at, err := http.ParseTime(text)
	if err == nil {
		d.lastDate.Store(&dated{strings.Clone(text), at})
	}
	return at, err
}

// text is the message that Oracle's service gives for a date too far off.
func (s *skew) text() string {
	const form = "Mon, 02 Jan 2006 15:04:05 UTC"
	at := func(t time.Time) string { return t.UTC().Format(form) }
	return fmt.Sprintf("Date '%s' is not within allowed clock skew. Current '%s', valid datetime range: ['%s', '%s']",
		at(s.date), at(s.now), at(s.now.Add(-maxSkew)), at(s.now.Add(maxSkew+time.Second)))
}

// checkContent compares the body with the digest that was signed with it. That of an upload and of
// a batch is compared once it is there; see checkUpload and CheckBatch.
func checkContent(x *dialect.Exchange) error {
	if x.Uploads() || x.Batched() {
		return nil
	}
	return checkDigest(x.Request, sha256.Sum256(x.Body))
}

func checkDigest(r *http.Request, sum [sha256.Size]byte) error {
	values := r.Header["X-Content-Sha256"]
	if len(values) == 0 && !hasContent(r.Method) {
		return nil
	}
	var want [(sha256.Size + 2) / 3 * 4]byte
	base64.StdEncoding.Encode(want[:], sum[:])
	if len(values) != 1 || values[0] != string(want[:]) {
		return notVerified("x-content-sha256 is not that of the body, which has " + string(want[:]))
	}
	return nil
}

func decodeSignature(into *[maxSignature]byte, text string) (n int, ok bool) {
	const most = (maxSignature + 2) / 3 * 4
	if len(text) > most {
		return 0, false
	}
	// Three bytes more than the largest signature are what the padding of one may decode to.
	var room [most / 4 * 3]byte
	n, err := base64.StdEncoding.Decode(room[:], []byte(text))
	return copy(into[:], room[:n]), err == nil && n <= len(into)
}
