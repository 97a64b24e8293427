// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"

	"claviger/internal/dialect"
	"claviger/internal/keys"
)

// maxBody is the largest body accepted: the longest tags fit in it several times.
const maxBody = 256 << 10

// maxRequestID is the most characters of a client's request id that are given back: three
// segments of 32, which is what the clients themselves allow.
const maxRequestID = 3*32 + 2

// maxRetryToken is the most characters of an opc-retry-token. Clients send 30 to 36.
const maxRetryToken = 255

// wire is one endpoint's way of reading and writing.
type wire struct {
	d     *Dialect
	vault bool // of a vault rather than of a region
}

func (*wire) Dialect() string { return Name }

func (*wire) MaxBody() int64 { return maxBody }

// RequestID puts two segments of 32 hexadecimal digits after the client's own id, as Oracle's
// gateways do. A client's id that is too long or could be mistaken for something else is replaced.
func (w *wire) RequestID(x *dialect.Exchange) string {
	var raw [32]byte
	if _, err := w.d.cfg.Rand.Read(raw[:]); err != nil {
		return "" // an answer without an id is better than none; the cause shows in what fails next
	}
	b := make([]byte, 0, maxRequestID+2+4*len(raw))
	if own := x.Request.Header["Opc-Request-Id"]; len(own) == 1 && plainID(own[0]) {
		b = append(append(b, own[0]...), '/')
	}
	b = append(appendUpperHex(b, raw[:16]), '/')
	return string(appendUpperHex(b, raw[16:]))
}

func plainID(s string) bool {
	return s != "" && len(s) <= maxRequestID && strings.IndexFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || r == '"' || r == '\\' || r == '<' || r == '>'
	}) < 0
}

func appendUpperHex(b, raw []byte) []byte {
	n := len(b)
	b = hex.AppendEncode(b, raw)
	for i := n; i < len(b); i++ {
		if b[i] >= 'a' {
			b[i] -= 'a' - 'A'
		}
	}
	return b
}

// Uploads implements [dialect.Uploader]. What it finds Accept goes on with.
func (w *wire) Uploads(x *dialect.Exchange) bool {
	m, err := w.d.router.find(x.Request)
	if err != nil {
		return false // Accept says so
	}
	x.Params = &m
	return m.op.upload
}

// Accept finds the operation, authenticates, and then looks whether the endpoint is the
// operation's: what is where is nothing for strangers.
func (w *wire) Accept(ctx context.Context, x *dialect.Exchange) error {
	m, ok := x.Params.(*match)
	if !ok {
		_, err := w.d.router.find(x.Request)
		return err
	}
	x.Op, x.Call.Profile = &m.op.Operation, w.d.profile
	if err := w.d.authenticate(ctx, x); err != nil {
		return err
	}
	if m.op.on.inVault() != w.vault {
		hint := x.Op.Name + " is for a vault's own endpoint: use the vault's managementEndpoint or cryptoEndpoint"
		if w.vault {
			hint = x.Op.Name + " is for the region's endpoint, and this is a vault's"
		}
		return &keys.Error{Kind: keys.KindNotFound, Hint: hint}
	}
	w.prepare(ctx, x)
	return m.op.acceptHeaders(x)
}

// prepare sets what a call of a caller who is known goes on with.
func (w *wire) prepare(ctx context.Context, x *dialect.Exchange) {
	w.d.settling.watch(&x.Call)
	if l := w.d.cfg.Limiter; l != nil && x.Op.Class != unlimited {
		tenant, class := x.Call.Who.Tenant, x.Op.Class
		x.Call.Admit = func() error { return l.Admit(ctx, tenant, class) }
	}
}

// acceptHeaders takes the optional headers that the operation documents.
func (op *operation) acceptHeaders(x *dialect.Exchange) error {
	h := x.Request.Header
	if op.headers&ifMatch != 0 {
		// An etag with this suffix is one that went through a compressing proxy.
		x.Call.IfMatch = strings.TrimSuffix(h.Get("If-Match"), "--gzip")
	}
	if token := h.Get("Opc-Retry-Token"); op.headers&retryToken != 0 && token != "" {
		if len(token) > maxRetryToken {
			return keys.Invalid("opc-retry-token", "opc-retry-token has more than 255 characters")
		}
		x.Call.Token, x.Call.Fingerprint = token, fingerprint(x)
	}
	return nil
}

// fingerprint tells whether a repeated retry token comes with the same request. The vault is in
// it because the body does not name it.
func fingerprint(x *dialect.Exchange) [32]byte {
	h := sha256.New()
	h.Write(x.Call.Vault[:])
	if !x.Call.Replica.IsZero() {
		h.Write(x.Call.Replica[:])
	}
	for _, part := range []string{x.Request.Method, x.Request.RequestURI} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	if x.Uploads() { // its digest was signed, and is compared before it is of any use
		h.Write([]byte(x.Request.Header.Get("X-Content-Sha256")))
	}
	h.Write(x.Body)
	return [32]byte(h.Sum(nil))
}

// Reply writes the answer of a handler.
func (w *wire) Reply(x *dialect.Exchange, resp any) {
	a, ok := resp.(answer)
	if !ok {
		panic(fmt.Errorf("answer %T: none of this dialect", resp))
	}
	w.head(x)
	a.write(x)
}

// Fail writes an error by the error table.
func (w *wire) Fail(x *dialect.Exchange, e *keys.Error) {
	w.head(x)
	m, _ := x.Params.(*match)
	row := find(e, m)
	if seconds := retryAfter(e); seconds != "" {
		x.Header().Set("Retry-After", seconds)
	}
	x.Write(row.status, row.code, errorBody(row.code, row.message(e, m)))
}

func (*wire) head(x *dialect.Exchange) {
	h := x.Header()
	h["Opc-Request-Id"] = []string{x.Call.RequestID}
	h["Content-Type"] = jsonType
}

// jsonType is shared by all answers and never written to.
var jsonType = []string{"application/json"}

// answer is what a handler gives: a body and the headers that go with it.
type answer interface{ write(x *dialect.Exchange) }

// one answers a resource.
type one struct {
	etag     string // "": the answer has none
	body     any    // nil: no body
	software bool   // label an HSM key that is kept in software
}

func (o one) write(x *dialect.Exchange) {
	h := x.Header()
	if o.etag != "" {
		h.Set("Etag", o.etag)
	}
	if o.software {
		h.Set(dialect.ProtectionHeader, "software")
	}
	if o.body == nil {
		h.Del("Content-Type")
		x.Write(http.StatusOK, "", nil)
		return
	}
	x.Write(http.StatusOK, "", marshal(o.body))
}

// page answers a bare array.
type page[T any] struct {
	items []T
	next  string
	etag  string // "": the list has none
}

func (p page[T]) write(x *dialect.Exchange) {
	if p.next != "" {
		x.Header().Set("Opc-Next-Page", p.next)
	}
	if p.etag != "" {
		x.Header().Set("Etag", p.etag)
	}
	if p.items == nil {
		p.items = []T{}
	}
	x.Write(http.StatusOK, "", marshal(p.items))
}

// appender is an answer of the data path, which writes its own JSON.
type appender interface {
	appendJSON(b []byte) []byte
	payload() int // bytes that go in as base64
}

type data struct{ body appender }

// aroundPayload is room for the names, identifiers and enums of an answer.
const aroundPayload = 640

func (d data) write(x *dialect.Exchange) {
	room := aroundPayload + base64.StdEncoding.EncodedLen(d.body.payload())
	x.Write(http.StatusOK, "", d.body.appendJSON(make([]byte, 0, room)))
}
