// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"encoding/binary"
	"time"

	"claviger/internal/dialect"
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
	batch  bool // it is one: the body is JSON, read only once the caller is known
	xml    bool // the answer's format
	dryRun bool
}

// most that an exchange keeps of its scratch space for the next one.
const maxScratch = 16 << 10

// begin makes the exchange of a request, from one that is over where there is one.
func (w *wire) begin(x *dialect.Exchange) *exchange {
	in, _ := w.d.exchanges.Get().(*exchange)
	if in == nil {
		in = &exchange{}
	}
	x.Params = in
	return in
}

// over lets the exchange of a request that is answered be used again. Its scratch space has held the
// request's parameters, its fields point to them.
func (w *wire) over(x *dialect.Exchange, in *exchange) {
	scratch := in.params.scratch
	if cap(scratch) > maxScratch {
		scratch = nil
	}
	clear(scratch[:cap(scratch)])
	*in = exchange{}
	in.params.scratch = scratch
	x.Params = nil
	w.d.exchanges.Put(in)
}

func (w *wire) Dialect() string { return Name }

func (w *wire) MaxBody() int64 { return maxRequest }

// RequestID is a random UUID (RFC 9562 §5.4): clients send none.
func (w *wire) RequestID(x *dialect.Exchange) string {
	id, err := keys.NewID(w.d.cfg.Rand)
	if err != nil { // without randomness nothing can be served, but this request can be told apart
		binary.BigEndian.PutUint64(id[:], uint64(w.d.cfg.Now().UnixNano()))
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	s := id.String()
	x.Header()["X-Acs-Request-Id"] = []string{s}
	return s
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
