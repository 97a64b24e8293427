// SPDX-License-Identifier: Apache-2.0

package dialect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// HintHeader is our own debug header: a sentence that says why a request was refused and
// what to do next. It is sent where hints are shown: always in dev, in serve to admins.
const HintHeader = "X-Claviger-Hint"

// IgnoredHeader names the inputs that the cloud's API does not know and that were ignored.
const IgnoredHeader = "X-Claviger-Ignored"

// ProtectionHeader is "software" on answers about a key of protection HSM that is kept in
// software, which only the setting that allows it makes possible.
const ProtectionHeader = "X-Claviger-Protection"

// Metrics hears of every answer.
type Metrics interface {
	Answered(dialect, operation, code string, status int, took time.Duration)
}

// Pipeline is the one way of a request: read, accept, decode, use case, answer, log. Uploads and batches
// are read after they are accepted. It is made once per endpoint and is safe for concurrent use.
type Pipeline struct {
	Wire    Wire
	Service *kms.Service
	Region  keys.Region
	Vault   keys.ID          // zero on a region's endpoint
	Replica keys.ID          // of Vault, in Region; zero elsewhere than on a replica's endpoint
	Now     func() time.Time // request time
	Log     *slog.Logger
	Metrics Metrics
	Guard   *Guard // nil: strangers are not held back
	Hints   bool   // show hints to every caller, not only to admins
	// HeaderFirst tells that Accept needs no body: that is read only once the caller is known.
	HeaderFirst bool
}

// ServeHTTP answers one request. A panic below answers the cloud's internal error and leaves
// the server running; it never reaches the client.
func (p *Pipeline) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := p.Now()
	x := &Exchange{Request: r, w: w}
	x.Call.Dialect, x.Call.Region, x.Call.Vault = p.Wire.Dialect(), p.Region, p.Vault
	x.Call.Replica = p.Replica
	x.Call.Source = p.Guard.begin(x, r)
	defer x.Left()
	defer x.giveRoom()
	defer x.Call.End()
	defer p.endBatch(x)
	defer x.dropUpload()
	x.Call.RequestID = p.Wire.RequestID(x)
	resp, err := p.run(r.Context(), x)
	if early := p.Service.MayTell(r.Context(), &x.Call); early != nil {
		err = early
	}
	if err == nil {
		err = p.mayAnswer(x)
	}
	if err == nil {
		err = p.reply(x, resp)
	}
	if err != nil {
		p.refused(r.Context(), x, err)
		p.fail(x, err)
	}
	p.finish(r.Context(), x, err, p.Now().Sub(start))
}

func (p *Pipeline) run(ctx context.Context, x *Exchange) (resp any, err error) {
	defer recovered(&err)
	if u, ok := p.Wire.(Uploader); ok {
		x.uploads = u.Uploads(x)
	}
	batcher, _ := p.Wire.(Batcher)
	if batcher != nil && batcher.Batches(x) {
		x.batch = &batch{}
	}
	if !x.uploads && x.batch == nil && !p.HeaderFirst {
		if err = x.takeRoom(ctx, p.Wire.MaxBody()); err != nil {
			return nil, err
		}
		if x.Body, err = readBody(x.Request, p.Wire.MaxBody()); err != nil {
			return nil, err
		}
	}
	if err = p.Service.Attend(ctx); err != nil {
		return nil, err
	}
	if err = p.Wire.Accept(ctx, x); err != nil {
		return nil, err
	}
	x.verified()
	x.giveRoom()
	x.Call.Operation = x.Op.Name
	if p.HeaderFirst {
		if x.Body, err = readBody(x.Request, p.Wire.MaxBody()); err != nil {
			return nil, err
		}
	}
	if x.uploads {
		if err = p.upload(x); err != nil {
			return nil, err
		}
	}
	if x.batch != nil {
		return batcher, p.batched(ctx, x, batcher)
	}
	return x.Op.call(ctx, &x.Call, func(req any) error { return p.Wire.Decode(x, req) })
}

func (p *Pipeline) reply(x *Exchange, resp any) (err error) {
	defer recovered(&err)
	if x.batch != nil {
		p.replyBatch(x, resp.(Batcher))
		return nil
	}
	p.Wire.Reply(x, resp)
	return nil
}

// refused records what no use case has: they record their own. What comes from strangers is recorded
// as far as their budget goes, and counted from then on: nobody fills the log who has no credential.
func (p *Pipeline) refused(ctx context.Context, x *Exchange, err error) {
	switch kind := keys.AsError(err).Kind; {
	case kind == keys.KindUnavailable, kind == keys.KindInternal:
		x.unreserve()
	case x.Call.Who == nil, kind == keys.KindReplay:
		if x.unrecorded = !x.failed(); x.unrecorded {
			return
		}
	default:
		x.verified()
	}
	action := keys.Action("")
	if x.Op != nil {
		action, x.Call.Operation = x.Op.Action, x.Op.Name
	}
	p.Service.Refused(ctx, &x.Call, action, err)
}

func (p *Pipeline) fail(x *Exchange, err error) {
	if x.Status != 0 {
		return // the answer was under way when it failed; the connection is closed by net/http
	}
	e := keys.AsError(err)
	if text := hint(e); text != "" && (p.Hints || p.Service.IsAdmin(x.Call.Who)) {
		x.Header().Set(HintHeader, headerText(text))
	}
	if x.uploads && x.Upload == nil || x.batch != nil && x.Body == nil || x.unread {
		x.Header().Set("Connection", "close") // otherwise net/http waits for a part of what nobody wants
	}
	p.Wire.Fail(x, e)
}

func (p *Pipeline) finish(ctx context.Context, x *Exchange, err error, took time.Duration) {
	name := "none"
	if x.Op != nil {
		name = x.Op.Name
	}
	if p.Metrics != nil {
		p.Metrics.Answered(x.Call.Dialect, name, x.Code, x.Status, took)
	}
	level := slog.LevelDebug
	if err != nil {
		level = slog.LevelInfo
	}
	if x.Status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	if x.unrecorded {
		level = slog.LevelDebug
	}
	if !p.Log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("dialect", x.Call.Dialect), slog.String("operation", name), slog.Int("status", x.Status),
		slog.String("request_id", x.Call.RequestID), slog.String("source", x.Call.Source), slog.Duration("took", took),
	}
	if x.Code != "" {
		attrs = append(attrs, slog.String("code", x.Code))
	}
	if x.Call.Who != nil {
		attrs = append(attrs, slog.String("principal", x.Call.Who.Name))
	}
	if protection := x.Header().Get(ProtectionHeader); protection != "" {
		attrs = append(attrs, slog.String("protection", protection))
	}
	if err != nil {
		attrs = append(attrs, slog.String("reason", err.Error()))
	}
	p.Log.LogAttrs(ctx, level, "request", attrs...)
}

func recovered(err *error) {
	if v := recover(); v != nil {
		if v == http.ErrAbortHandler { //nolint:errorlint // net/http compares it this way itself
			panic(v)
		}
		*err = &keys.Error{Kind: keys.KindInternal, Err: fmt.Errorf("panic: %v\n%s", v, debug.Stack())}
	}
}

func readBody(r *http.Request, limit int64) ([]byte, error) {
	if r.Body == nil || r.ContentLength == 0 {
		return nil, nil
	}
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	var body []byte
	var err error
	if r.ContentLength > 0 {
		body = make([]byte, r.ContentLength)
		_, err = io.ReadFull(r.Body, body)
	} else {
		body, err = io.ReadAll(io.LimitReader(r.Body, limit+1))
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return nil, keys.Malformed(fmt.Errorf("read body: %w", err))
	case err != nil:
		return nil, keys.Malformed(fmt.Errorf("read body: %w", err))
	case int64(len(body)) > limit:
		return nil, tooLarge(limit)
	}
	return body, nil
}

func tooLarge(limit int64) error {
	return &keys.Error{Kind: keys.KindTooLarge, Field: "body", Hint: fmt.Sprintf("the body may have at most %d bytes", limit)}
}

func source(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// headerText makes s fit for a header: one line of printable ASCII, of bounded length.
func headerText(s string) string {
	const most = 1024
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s) && len(b) < most; i++ {
		switch c := s[i]; {
		case c >= ' ' && c < 0x7f:
			b = append(b, c)
		case c == '\n', c == '\r', c == '\t':
			b = append(b, ' ')
		default:
			b = append(b, '?')
		}
	}
	return string(b)
}
