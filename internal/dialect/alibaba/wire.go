// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"claviger/internal/dialect"
	"claviger/internal/identity"
	"claviger/internal/keys"
)

const (
	apiVersion = "2016-01-20"
	// maxRequest is the most bytes of a query, and of a body. The largest documented value is
	// an encryption context or description of 8192 characters, some 100,000 bytes encoded.
	maxRequest = 256 << 10
	// maxSkew is how far a request's time may be from ours, either way, and how long a nonce
	// cannot be used again.
	maxSkew   = 15 * time.Minute
	fieldBody = "body" // as the pipeline names it
)

// wire is the dialect at one region's endpoint.
type wire struct {
	d      *Dialect
	region string // the cloud's id of it
}

// exchange is what one request brought, kept in the pipeline's Exchange.
type exchange struct {
	params params
	xml    bool // the answer's format
	dryRun bool
}

func (w *wire) Dialect() string { return Name }

func (w *wire) MaxBody() int64 { return maxRequest }

// RequestID is a random UUID (RFC 9562 §5.4): clients send none.
func (w *wire) RequestID(x *dialect.Exchange) string {
	id, err := keys.NewID(w.d.cfg.Rand)
	if err != nil { // without randomness nothing can be served, but this request can be told apart
		binary.BigEndian.PutUint64(id[:], uint64(w.d.cfg.Now().UnixNano())) //nolint:gosec // G115: bits, not a number
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	s := id.String()
	x.Header()["X-Acs-Request-Id"] = []string{s}
	return s
}

// Accept checks in this order: method and syntax, format, common parameters, version and
// action, time, access key, signature, nonce.
func (w *wire) Accept(ctx context.Context, x *dialect.Exchange) error {
	in := &exchange{}
	x.Params = in
	x.Call.Profile = w.d.profile
	if err := in.read(x); err != nil {
		return err
	}
	c, err := in.claim(x.Request)
	if err != nil {
		return err
	}
	if err := w.route(x, c); err != nil {
		return err
	}
	at, err := w.checkTime(c.timestamp)
	if err != nil {
		return err
	}
	cred, err := w.credential(ctx, x, c)
	if err != nil {
		return err
	}
	if err := c.verify(cred, &in.params, x.Request, x.Body); err != nil {
		return err
	}
	x.Call.Who = cred.Caller
	x.Call.Nonce, x.Call.NonceExpires = nonceOf(c), latest(at, w.d.cfg.Now()).Add(maxSkew)
	if err := w.d.service.Seen(&x.Call, at); err != nil {
		return err
	}
	if limiter, class := w.d.cfg.Limiter, x.Op.Class; limiter != nil && class != "" {
		tenant := cred.Caller.Tenant
		x.Call.Admit = func() error { return limiter.Admit(tenant, class) }
	}
	return nil
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
			return keys.Malformed(errors.New("the body is not application/x-www-form-urlencoded"))
		}
		form = string(x.Body)
	}
	if err := in.params.parse(r.URL.RawQuery, form); err != nil {
		return keys.Malformed(fmt.Errorf("read parameters: %w", err))
	}
	switch format := in.params.value("Format"); {
	case strings.EqualFold(format, "XML"):
		in.xml = true
	case strings.EqualFold(format, "JSON"):
	case format != "":
		return refuse(keys.KindInvalid, codeFormat, "Format", "Format takes JSON or XML")
	}
	if r.URL.Path != "/" && r.URL.Path != "" {
		return refuse(keys.KindInvalid, codeNoAction, "path", "every operation is at the path /")
	}
	return nil
}

// claim finds the scheme and reads its claim.
func (in *exchange) claim(r *http.Request) (*claim, error) {
	if a := r.Header.Get("Authorization"); strings.HasPrefix(a, "ACS") {
		return claimACS3(r.Header)
	}
	if r.Header.Get("X-Acs-Bearer-Token") != "" || r.Header.Get("X-Acs-Zero-Trust-Idtoken") != "" {
		return nil, unsupportedScheme("bearer tokens")
	}
	return claimV1(&in.params)
}

// route finds the operation.
func (w *wire) route(x *dialect.Exchange, c *claim) error {
	x.Op = w.d.byName[c.action]
	if c.version != apiVersion {
		return refuse(keys.KindInvalid, codeVersion, "Version", "Version is "+apiVersion)
	}
	if x.Op == nil {
		return refuse(keys.KindNotImplemented, codeNoAction, "Action", "there is no operation "+clip(c.action))
	}
	return nil
}

// checkTime reads the time of signing and compares it with ours.
func (w *wire) checkTime(s string) (time.Time, error) {
	at, err := time.Parse(timeLayout, s)
	if err != nil || len(s) != len(timeLayout) {
		return at, unauthenticated(codeTimeFormat, "Timestamp", "the time of signing has the form yyyy-MM-ddTHH:mm:ssZ, in UTC")
	}
	now := w.d.cfg.Now()
	if off := now.Sub(at); off.Abs() > maxSkew {
		return at, unauthenticated(codeTimeExpired, "Timestamp", fmt.Sprintf(
			"the request was signed at %s, this server's clock shows %s: %v apart, at most %v are accepted",
			s, now.UTC().Format(timeLayout), off.Abs().Round(time.Second), maxSkew))
	}
	return at, nil
}

// credential finds the access key.
func (w *wire) credential(ctx context.Context, x *dialect.Exchange, c *claim) (*identity.Credential, error) {
	if c.token != "" {
		return nil, unauthenticated(codeToken, "SecurityToken", "this server issues no session tokens: use an AccessKey of its own")
	}
	if !validName(c.accessKey) {
		return nil, &keys.Error{Kind: keys.KindUnauthenticated, Noun: keys.TypeCredential, Hint: "no AccessKeyId looks like that"}
	}
	cred, err := w.d.service.Authenticate(ctx, &x.Call, identity.AccessKey, c.accessKey)
	if err != nil {
		return nil, err
	}
	if cred.Disabled {
		return nil, unauthenticated(codeAccessKeyDisabled, "AccessKeyId", "the AccessKey is disabled")
	}
	return cred, nil
}

// nonceOf is what must not come twice. A request without a nonce is its own: the same signed
// bytes are served once.
func nonceOf(c *claim) [16]byte {
	h := sha256.New()
	nonce, kind := c.nonce, "n"
	if nonce == "" {
		nonce, kind = c.signature, "s"
	}
	b := make([]byte, 0, 128)
	b = append(append(append(b, kind...), c.accessKey...), 0)
	h.Write(append(b, nonce...))
	var sum [sha256.Size]byte
	return [16]byte(h.Sum(sum[:0]))
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Decode reads the operation's own parameters.
func (w *wire) Decode(x *dialect.Exchange, req any) error {
	in := x.Params.(*exchange)
	r := reader{p: &in.params, xml: in.xml}
	if region, ok := in.params.get("RegionId"); ok && region != "" && region != w.region {
		r.invalid("RegionId", "this is the endpoint of "+w.region)
	}
	if d, ok := req.(decodable); ok {
		d.read(&r)
	}
	in.dryRun = r.dryRun
	if names := in.params.ignored(); names != "" {
		x.Header()[dialect.IgnoredHeader] = []string{names}
	}
	return r.err
}

// Reply writes the answer of a success.
func (w *wire) Reply(x *dialect.Exchange, resp any) {
	in := x.Params.(*exchange)
	form := w.formOf(x.Op.Name)
	d := document{buf: make([]byte, 0, 1024), xml: in.xml}
	if in.xml && form.declared {
		d.buf = append(d.buf, xmlDeclaration...)
	}
	root := form.root
	if in.xml {
		d.name(root)
	} else {
		d.buf = append(d.buf, '{')
	}
	if form.idFirst {
		d.text("RequestId", x.Call.RequestID)
	}
	resp.(content).write(&d)
	if !form.idFirst {
		d.text("RequestId", x.Call.RequestID)
	}
	if in.xml {
		d.closing(root)
	} else {
		d.buf = append(d.buf, '}')
	}
	media := "application/json"
	if in.xml {
		media = "application/xml"
	}
	send(x, http.StatusOK, "", media, d.buf)
}

const xmlDeclaration = `<?xml version="1.0" encoding="UTF-8"?>`

// form is how an operation's answer is laid out around its content.
type form struct {
	root     string // XML only
	idFirst  bool   // RequestId stands before the content
	declared bool   // XML begins with a declaration
}

// formOf is the form of an operation's page. The pages of CreateKeyVersion and
// DescribeKeyVersion show theirs in full: root, order, and no declaration.
func (w *wire) formOf(operation string) form {
	f := form{root: operation + "Response", declared: true}
	switch operation {
	case "CreateKeyVersion":
		f = form{root: "KMS"}
	case "DescribeKeyVersion":
		f = form{root: f.root, idFirst: true}
	}
	switch w.d.cfg.XMLRoot {
	case RootKMS:
		f.root = "KMS"
	case RootAction:
		f.root = operation + "Response"
	case RootByOperation:
	}
	return f
}

// Fail writes the answer of a refusal: every member that any of the cloud's pages or clients
// names.
func (w *wire) Fail(x *dialect.Exchange, e *keys.Error) {
	operation := ""
	if x.Op != nil {
		operation = x.Op.Name
	}
	f := failureOf(e, operation)
	in, ok := x.Params.(*exchange)
	switch {
	case !ok:
		in = &exchange{xml: asksXML(x.Request)}
	case in.dryRun:
		f = dryRunFailure(f)
	}
	if t, ok := errors.AsType[*dialect.Throttled](e); ok {
		x.Header()["X-Acs-Retry-After"] = []string{strconv.FormatInt(max(1, t.RetryAfter.Milliseconds()), 10)}
	}
	d := document{buf: make([]byte, 0, 512), xml: in.xml}
	if in.xml {
		d.buf = append(d.buf, xmlDeclaration...)
		d.name("Error")
	} else {
		d.buf = append(d.buf, '{')
	}
	d.number("HttpStatus", f.status)
	d.text("RequestId", x.Call.RequestID)
	d.text("HostId", strings.ToValidUTF8(x.Request.Host, "?"))
	d.text("Code", string(f.code))
	d.text("Message", f.message)
	d.text("Recommend", "https://api.aliyun.com/troubleshoot?q="+string(f.code)+"&product=Kms")
	media := "application/json"
	if in.xml {
		d.closing("Error")
		media = "text/xml;charset=utf-8" // exactly this, or the Go SDK does not read it
	} else {
		d.buf = append(d.buf, '}')
	}
	send(x, f.status, string(f.code), media, d.buf)
}

// asksXML looks for the format in a request that could not be read.
func asksXML(r *http.Request) bool {
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		if name, value, _ := strings.Cut(pair, "="); name == "Format" {
			return strings.EqualFold(value, "XML")
		}
	}
	return false
}

// send writes an answer and forgets it: it may hold a plaintext.
func send(x *dialect.Exchange, status int, c, media string, body []byte) {
	h := x.Header()
	h["Content-Type"] = []string{media}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	x.Write(status, c, body)
	clear(body)
}
