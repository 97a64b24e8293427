// SPDX-License-Identifier: Apache-2.0

// Package dialect is what every wire API shares: the table of operations, the one pipeline
// that a request passes, request ids, throttling and the page of coverage. A cloud is a
// directory below with its own table, its own error table and a [Wire].
//
// Nobody but the pipeline's wire writes to a ResponseWriter. Handlers take a typed request
// and return a typed answer or an error. No dialect holds a secret or sees the store.
package dialect

import (
	"context"
	"net/http"
	"strconv"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// Operation is one row of a cloud's table, its types erased.
type Operation struct {
	Name   string      // wire name, also the metric label and the audit event's operation
	Route  string      // REST pattern "METHOD /path/{param}", or the RPC action
	Class  string      // throttling class; "" is never throttled
	Action keys.Action // what a refusal before the use case is recorded as
	Gap    string      // why the operation is not supported; "" means that it is

	call func(ctx context.Context, c *kms.Call, decode func(any) error) (any, error)
}

// Op builds a row of an operation that is supported; Req and Resp are inferred, so that a
// handler of the wrong shape does not compile.
func Op[Req, Resp any](name, route, class string, action keys.Action, fn func(context.Context, *kms.Call, *Req) (Resp, error)) Operation {
	return Operation{
		Name: name, Route: route, Class: class, Action: action,
		call: func(ctx context.Context, c *kms.Call, decode func(any) error) (any, error) {
			req := new(Req)
			if err := decode(req); err != nil {
				return nil, err
			}
			return fn(ctx, c, req)
		},
	}
}

// Unsupported builds a row of an operation that the cloud documents and this server does not
// have. It answers KindNotImplemented, and stands on the coverage page with its reason.
func Unsupported(name, route, gap string) Operation {
	return Operation{
		Name: name, Route: route, Gap: gap,
		call: func(context.Context, *kms.Call, func(any) error) (any, error) {
			return nil, &keys.Error{Kind: keys.KindNotImplemented, Field: name, Hint: name + " is not supported: " + gap}
		},
	}
}

// Wire is the part of the pipeline in which clouds differ.
type Wire interface {
	// Dialect is the key of names and metrics: "oci", "alibaba".
	Dialect() string
	// MaxBody is the largest request body accepted, in bytes.
	MaxBody() int64
	// RequestID makes the id that the answer will carry, from the client's own where there is one.
	RequestID(x *Exchange) string
	// Accept finds the operation and authenticates the caller, in the cloud's order of checks,
	// and fills x.Call. On an error x.Op may be set or not.
	Accept(ctx context.Context, x *Exchange) error
	// Decode reads the operation's parameters into a request of its type.
	Decode(x *Exchange, req any) error
	// Reply writes the answer of a success.
	Reply(x *Exchange, resp any)
	// Fail writes the answer of a refusal, by the cloud's error table.
	Fail(x *Exchange, e *keys.Error)
}

// Exchange is one request and its answer on the way through the pipeline. It belongs to one goroutine.
type Exchange struct {
	Request *http.Request
	Body    []byte  // the whole body, read before anything else where Accept needs it; nil for uploads
	Upload  *Upload // the body of an [Uploader]'s upload, once the caller is known
	Call    kms.Call
	Op      *Operation
	Params  any    // the wire's own: path parameters, merged query and form
	Status  int    // of the answer, once written
	Code    string // the cloud's error code of the answer; "" on success

	w          http.ResponseWriter
	uploads    bool
	unread     bool // there was no room for the body
	guarded    guarded
	unrecorded bool   // the refusal was counted instead
	batch      *batch // nil: the request is one call
}

// Uploads reports whether the body is a file, which is read only once the caller is known.
func (x *Exchange) Uploads() bool { return x.uploads }

// Header is the answer's header.
func (x *Exchange) Header() http.Header { return x.w.Header() }

// Write sends the answer with its status; code is the cloud's error code or "". When it returns,
// the answer has left for the network: the call may end, and a revocation that waits for it may
// be answered.
func (x *Exchange) Write(status int, code string, body []byte) {
	x.Status, x.Code = status, code
	x.w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	x.w.WriteHeader(status)
	if x.Request.Method != http.MethodHead {
		_, _ = x.w.Write(body) // the client is gone: nobody to tell
	}
	if f, ok := x.w.(http.Flusher); ok { // a writer that cannot flush does not hold back either
		f.Flush()
	}
}
