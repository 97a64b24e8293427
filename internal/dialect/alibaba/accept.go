// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"

	"claviger/internal/dialect"
	"claviger/internal/identity"
	"claviger/internal/keys"
)

// Accept checks in this order: method and syntax, format, common parameters, version and
// action, time, access key, signature, nonce.
func (w *wire) Accept(ctx context.Context, x *dialect.Exchange) error {
	in := w.begin(x)
	x.Call.Profile = w.d.profile
	in.batch = x.Batched()
	if err := in.read(x); err != nil {
		in.xml = in.xml || asksXML(x.Request)
		return err
	}
	c, err := in.claim(x.Request)
	if err != nil {
		return err
	}
	if err := w.route(x, &c); err != nil {
		return err
	}
	now := w.d.cfg.Now()
	at, err := checkTime(c.timestamp, now)
	if err != nil {
		return err
	}
	cred, err := w.credential(ctx, x, &c)
	if err != nil {
		return err
	}
	if err := c.verify(cred, &in.params, x.Request, x.Body); err != nil {
		return err
	}
	x.Call.Who = cred.Caller
	x.Call.Nonce, x.Call.NonceExpires = nonceOf(&c), latest(at, now).Add(maxSkew)
	if err := w.d.service.Seen(ctx, &x.Call, at); err != nil {
		return err
	}
	w.throttle(ctx, x)
	return nil
}

// throttle sets what a call of a caller who is known asks before it acts.
func (w *wire) throttle(ctx context.Context, x *dialect.Exchange) {
	if limiter, class := w.d.cfg.Limiter, x.Op.Class; limiter != nil && class != "" {
		tenant := x.Call.Who.Tenant
		x.Call.Admit = func() error { return limiter.Admit(ctx, tenant, class) }
	}
}

// read takes the request apart and finds the format of the answer.
func (in *exchange) read(x *dialect.Exchange) error {
	r := x.Request
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		return refuse(keys.KindInvalid, codeMethod, "method", "send GET or POST")
	}
	if len(r.URL.RawQuery) > maxRequest {
		return &keys.Error{Kind: keys.KindTooLarge, Field: fieldBody, Hint: fmt.Sprintf("the query may have at most %d bytes", maxRequest)}
	}
	form := ""
	if len(x.Body) > 0 {
		media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil || media != "application/x-www-form-urlencoded" {
			return malformed(errors.New("the body is not application/x-www-form-urlencoded"))
		}
		form = string(x.Body)
	}
	if err := in.params.parse(r.URL.RawQuery, form); err != nil {
		return malformed(fmt.Errorf("read parameters: %w", err))
	}
	switch format := in.params.value("Format"); {
	case strings.EqualFold(format, "XML"):
		in.xml = true
	case strings.EqualFold(format, "JSON"):
	case format != "":
		return refuse(keys.KindInvalid, codeFormat, "Format", "Format takes JSON or XML")
	}
	if in.batch {
		return in.readBatch(r)
	}
	if r.URL.Path != "/" && r.URL.Path != "" {
		return refuse(keys.KindInvalid, codeNoAction, "path", "every operation is at the path /")
	}
	return nil
}

// malformed refuses a request that cannot be read. The cause names parameters, not values.
func malformed(err error) error {
	return &keys.Error{Kind: keys.KindMalformed, Hint: err.Error()}
}

// first is a header's first value. name is as http.Header has it; it is not made so once more.
func first(h http.Header, name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// claim finds the scheme and reads its claim.
func (in *exchange) claim(r *http.Request) (claim, error) {
	if strings.HasPrefix(first(r.Header, "Authorization"), "ACS") {
		return claimACS3(r.Header)
	}
	if first(r.Header, "X-Acs-Bearer-Token") != "" || first(r.Header, "X-Acs-Zero-Trust-Idtoken") != "" {
		return claim{}, unsupportedScheme("bearer tokens")
	}
	return claimV1(&in.params)
}

// route finds the operation.
func (w *wire) route(x *dialect.Exchange, c *claim) error {
	if x.Batched() {
		return w.routeBatch(x, c)
	}
	table, known := w.d.byName[c.version]
	if !known {
		x.Op = w.d.byName[apiVersion][c.action]
		return refuse(keys.KindInvalid, codeVersion, "Version", "Version is "+apiVersion+" for KMS and "+stsVersion+" for STS")
	}
	x.Op = table[c.action]
	if x.Op == nil {
		return refuse(keys.KindNotImplemented, codeNoAction, "Action", "there is no operation "+clip(c.action))
	}
	return nil
}

// checkTime reads the time of signing and compares it with ours.
func checkTime(s string, now time.Time) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, s) // quicker than with a layout of one's own
	if err != nil || len(s) != len(timeLayout) || s[len(s)-1] != 'Z' {
		return at, unauthenticated(codeTimeFormat, "Timestamp", "the time of signing has the form yyyy-MM-ddTHH:mm:ssZ, in UTC")
	}
	if off := now.Sub(at); off.Abs() > maxSkew {
		return at, unauthenticated(codeTimeExpired, "Timestamp", fmt.Sprintf(
			"the request was signed at %s, this server's clock shows %s: %v apart, at most %v are accepted",
			s, now.UTC().Format(timeLayout), off.Abs().Round(time.Second), maxSkew))
	}
	return at, nil
}

// credential finds the access key, or opens the session token that came with it.
func (w *wire) credential(ctx context.Context, x *dialect.Exchange, c *claim) (*identity.Credential, error) {
	if !validName(c.accessKey) {
		return nil, &keys.Error{Kind: keys.KindUnauthenticated, Noun: keys.TypeCredential, Hint: "no AccessKeyId looks like that"}
	}
	if err := x.Admit(c.accessKey); err != nil {
		return nil, err
	}
	if c.token != "" {
		return w.d.service.AuthenticateSession(ctx, &x.Call, c.accessKey, c.token)
	}
	if strings.HasPrefix(c.accessKey, identity.SessionPrefix) {
		return nil, mandatory("SecurityToken")
	}
	cred, err := w.d.service.Authenticate(ctx, &x.Call, identity.AccessKey, c.accessKey)
	if err != nil {
		return nil, err
	}
	if cred.Disabled {
		return nil, unauthenticated(codeAccessKeyDisabled, "AccessKeyId", "the AccessKey "+c.accessKey+" is disabled")
	}
	return cred, nil
}

// nonceOf is what must not come twice. A request without a nonce is its own: the same signed
// bytes are served once.
func nonceOf(c *claim) [16]byte {
	nonce, kind := c.nonce, "n"
	if nonce == "" {
		nonce, kind = c.signature, "s"
	}
	b := make([]byte, 0, 128)
	b = append(append(append(b, kind...), c.accessKey...), 0)
	sum := sha256.Sum256(append(b, nonce...))
	return [16]byte(sum[:16])
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
