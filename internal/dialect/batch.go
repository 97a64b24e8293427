// SPDX-License-Identifier: Apache-2.0

package dialect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"claviger/internal/keys"
)

// A batch is many data calls in one signed request, an extension of ours. Each item is answered,
// authorized, throttled and recorded as the call of its own that it could have been; what is saved
// is the request around it and the verification of its signature.

// BatchPath is where batches are sent: on a vault's base URL signed as OCI's requests are, on a
// region's as Alibaba Cloud's.
const BatchPath = "/claviger/v1/batch"

// BatchName is the operation's name.
const BatchName = "Batch"

// MaxItems is the most items of a batch.
const MaxItems = 1000

const (
	maxBatch      = 12 << 20 // bytes of a body: a thousand of the longest plaintexts fit
	batchTime     = 10 * time.Second
	batchesAtOnce = 4 // whose bodies and answers are in memory
	batchWorkers  = 4 // of one batch, and never more than there are cores
)

// Batcher is a [Wire] that takes batches.
type Batcher interface {
	// Batches reports whether the request is a batch. Its body is read only once the caller is known.
	Batches(x *Exchange) bool
	// CheckBatch compares the body with the digest that was signed.
	CheckBatch(x *Exchange) error
	// Item makes an item's exchange what Accept makes of a request: operation, profile and throttle,
	// for a caller who is known.
	Item(ctx context.Context, x *Exchange, operation string, parameters []byte) error
	// ReplyBatch writes the answer of a batch, which is JSON.
	ReplyBatch(x *Exchange, body []byte)
}

// BatchOperation is the row of the batch itself. It is in no cloud's table.
func BatchOperation() Operation {
	return Operation{Name: BatchName, Route: "POST " + BatchPath}
}

// Batchable reports whether an operation may be an item: a data call, which changes nothing and holds
// what it used until its answer has left. A change would wait for the calls that hold what it
// retires, its own batch among them.
func (op *Operation) Batchable() bool {
	switch op.Action {
	case keys.Encrypt, keys.Decrypt, keys.ReEncrypt, keys.GenerateDataKey, keys.Sign, keys.Verify, keys.GenerateMAC, keys.VerifyMAC:
		return op.Gap == ""
	default:
		return false
	}
}

// NotBatchable refuses an item whose operation is known and cannot be one.
func NotBatchable(operation string) error {
	return &keys.Error{Kind: keys.KindNotImplemented, Field: "operation", Hint: operation + " cannot be an item of a batch, which takes data calls only: send it by itself"}
}

// Batched reports whether the exchange is a batch, whose body is read only once the caller is known.
func (x *Exchange) Batched() bool { return x.batch != nil }

// batch is what an exchange keeps of its items.
type batch struct {
	items []item
	slot  bool // one of batchesAtOnce is held
}

type item struct {
	Exchange
	answer captured
	asked  string          // the operation's name
	given  json.RawMessage // its parameters
}

// endBatch lets go of what the items used, and forgets their answers: some are plaintexts.
func (p *Pipeline) endBatch(x *Exchange) {
	if x.batch == nil {
		return
	}
	for i := range x.batch.items {
		x.batch.items[i].Call.End()
		clear(x.batch.items[i].answer.body)
	}
	clear(x.Body)
	if x.batch.slot {
		p.Guard.batches.leave(p.Guard.hashID(x.Call.Who.Tenant), 1)
	}
}

// batched answers all items of a batch.
func (p *Pipeline) batched(ctx context.Context, x *Exchange, wire Batcher) error {
	r := x.Request
	if r.URL.RawQuery != "" {
		return keys.Invalid("query", "a batch takes no query")
	}
	if r.ContentLength > maxBatch {
		return tooLarge(maxBatch)
	}
	within := context.WithTimeout
	if p.Guard != nil {
		within = p.Guard.cfg.Within
	}
	ctx, cancel := within(ctx, batchTime)
	defer cancel()
	if err := p.batchSlot(ctx, x); err != nil {
		return err
	}
	var err error
	if x.Body, err = readBody(r, maxBatch); err != nil {
		return err
	}
	if err := wire.CheckBatch(x); err != nil {
		return err
	}
	if x.batch.items, err = parseBatch(x.Body); err != nil {
		return err
	}
	request := &http.Request{
		Method: http.MethodPost, URL: &url.URL{Path: BatchPath}, RequestURI: BatchPath, Host: r.Host, Header: http.Header{},
	}
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(batchWorkers, runtime.GOMAXPROCS(0), len(x.batch.items)) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(x.batch.items)); i = next.Add(1) - 1 {
				p.item(ctx, x, wire, &x.batch.items[i], request)
			}
		})
	}
	workers.Wait()
	return nil
}

// batchSlot waits until the batch may be read: tenants take turns.
func (p *Pipeline) batchSlot(ctx context.Context, x *Exchange) error {
	if p.Guard == nil {
		return nil
	}
	err := p.Guard.batches.enter(ctx, p.Guard.hashID(x.Call.Who.Tenant), 1)
	if err == nil {
		x.batch.slot = true
		return nil
	}
	return &keys.Error{
		Kind: keys.KindThrottled, Field: "batch", Err: errors.Join(&Throttled{RetryAfter: time.Second}, err),
		Hint: "too many batches are under way: send fewer at once",
	}
}

// item is the way of one item: that of a request, from where its caller is known.
func (p *Pipeline) item(ctx context.Context, of *Exchange, wire Batcher, it *item, request *http.Request) {
	start := p.Now()
	x := &it.Exchange
	defer func() {
		if v := recover(); v != nil { // not even the refusal could be written
			p.Log.Error("panic in an item of a batch", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			it.answer = captured{status: http.StatusInternalServerError}
		}
	}()
	x.Request, x.w = request, &it.answer
	it.answer.header = make(http.Header, 4)
	x.Call.Dialect, x.Call.Region, x.Call.Vault, x.Call.Replica = of.Call.Dialect, of.Call.Region, of.Call.Vault, of.Call.Replica
	x.Call.Source, x.Call.Who, x.Call.Batch = of.Call.Source, of.Call.Who, of.Call.RequestID
	x.Call.RequestID = p.Wire.RequestID(x)
	resp, err := p.runItem(ctx, wire, it)
	if early := p.Service.MayTell(ctx, &x.Call); early != nil {
		err = early
	}
	if err == nil {
		err = p.Service.MayAnswer(&x.Call)
	}
	if err == nil {
		err = p.reply(x, resp)
	}
	if err != nil {
		p.refused(ctx, x, err)
		p.fail(x, err)
	}
	p.finish(ctx, x, err, p.Now().Sub(start))
}

func (p *Pipeline) runItem(ctx context.Context, wire Batcher, it *item) (resp any, err error) {
	defer recovered(&err)
	if ctx.Err() != nil {
		return nil, &keys.Error{
			Kind: keys.KindUnavailable, Err: context.Cause(ctx),
			Hint: "the batch took longer than " + batchTime.String() + ", or its client is gone: send this item again, in a smaller batch",
		}
	}
	x := &it.Exchange
	if err := wire.Item(ctx, x, it.asked, it.given); err != nil {
		return nil, err
	}
	x.Call.Operation = x.Op.Name
	return x.Op.call(ctx, &x.Call, func(req any) error { return p.Wire.Decode(x, req) })
}

// mayAnswer asks for the exchange and for all of its items.
func (p *Pipeline) mayAnswer(x *Exchange) error {
	if x.batch != nil {
		for i := range x.batch.items {
			if err := p.Service.MayAnswer(&x.batch.items[i].Call); err != nil {
				return err
			}
		}
	}
	return p.Service.MayAnswer(&x.Call)
}

// replyBatch writes all answers, in the order of the items.
func (p *Pipeline) replyBatch(x *Exchange, wire Batcher) {
	size := 64
	for i := range x.batch.items {
		size += 256 + len(x.batch.items[i].answer.body)
	}
	b := append(make([]byte, 0, size), `{"results":[`...)
	for i := range x.batch.items {
		if i > 0 {
			b = append(b, ',')
		}
		b = x.batch.items[i].answer.append(b, x.batch.items[i].Code)
	}
	b = append(b, `]}`...)
	defer clear(b)
	wire.ReplyBatch(x, b)
}

// captured is the answer of an item.
type captured struct {
	header http.Header
	status int
	body   []byte
}

// Header implements http.ResponseWriter.
func (c *captured) Header() http.Header { return c.header }

// WriteHeader implements http.ResponseWriter.
func (c *captured) WriteHeader(status int) { c.status = status }

// Write implements http.ResponseWriter.
func (c *captured) Write(b []byte) (int, error) {
	c.body = append(c.body, b...)
	return len(b), nil
}

// append appends the answer as an object: status, code, the headers that the call alone would have
// got, but for those of the form, and its body.
func (c *captured) append(b []byte, code string) []byte {
	b = strconv.AppendInt(append(b, `{"status":`...), int64(c.status), 10)
	if code != "" {
		b = appendText(append(b, `,"code":`...), code)
	}
	b = append(b, `,"headers":{`...)
	first := true
	for _, name := range slices.Sorted(maps.Keys(c.header)) {
		if name == "Content-Type" || name == "Content-Length" || len(c.header[name]) == 0 {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = appendText(append(appendText(b, strings.ToLower(name)), ':'), c.header[name][0])
	}
	b = append(b, `},"body":`...)
	if len(c.body) == 0 {
		return append(b, `null}`...)
	}
	return append(append(b, c.body...), '}')
}

func appendText(b []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		return append(b, `""`...)
	}
	return append(b, text...)
}

// parseBatch reads {"items":[{"operation":"Encrypt","parameters":{…}},…]}: exact names, each once, and
// nothing after it. Parameters are left to the dialect.
func parseBatch(body []byte) ([]item, error) {
	if !utf8.Valid(body) {
		return nil, malformedBatch("it is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	var items []item
	err := object(d, func(name string) (err error) {
		if name != "items" {
			return malformedBatch("it has the member " + strconv.Quote(clipped(name)) + ", and only items belong there")
		}
		items, err = parseItems(d)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case trailing(d):
		return nil, malformedBatch("something follows it")
	case len(items) == 0:
		return nil, keys.Missing("items")
	}
	return items, nil
}

func parseItems(d *json.Decoder) ([]item, error) {
	if err := expect(d, '['); err != nil {
		return nil, err
	}
	var items []item
	for d.More() {
		if len(items) == MaxItems {
			return nil, &keys.Error{Kind: keys.KindTooLarge, Field: "items", Hint: fmt.Sprintf("a batch has at most %d items", MaxItems)}
		}
		var asked string
		var given json.RawMessage
		err := object(d, func(name string) error {
			switch name {
			case "operation":
				return member(d, &asked)
			case "parameters":
				return member(d, &given)
			}
			return malformedBatch("an item has the member " + strconv.Quote(clipped(name)) + ", and only operation and parameters belong there")
		})
		switch {
		case err != nil:
			return nil, err
		case asked == "":
			return nil, keys.Missing("operation")
		case len(given) == 0 || given[0] != '{':
			return nil, malformedBatch("the parameters of an item are no object")
		}
		items = append(items, item{asked: asked, given: given})
	}
	return items, expect(d, ']')
}

// object reads an object; each reads the value of a name.
func object(d *json.Decoder, each func(name string) error) error {
	if err := expect(d, '{'); err != nil {
		return err
	}
	var seen []string
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return malformedBatch("it is not JSON")
		}
		if slices.Contains(seen, name) {
			return malformedBatch("it has the member " + strconv.Quote(clipped(name)) + " twice")
		}
		seen = append(seen, name)
		if err := each(name); err != nil {
			return err
		}
	}
	return expect(d, '}')
}

func member(d *json.Decoder, into any) error {
	if d.Decode(into) != nil {
		return malformedBatch("a member of an item is not what it must be")
	}
	return nil
}

func expect(d *json.Decoder, want json.Delim) error {
	if t, err := d.Token(); err != nil || t != want {
		return malformedBatch(fmt.Sprintf("%s was expected at byte %d", want, d.InputOffset()))
	}
	return nil
}

// trailing reports whether anything but white space is left.
func trailing(d *json.Decoder) bool {
	_, err := d.Token()
	return !errors.Is(err, io.EOF)
}

func malformedBatch(why string) error {
	return &keys.Error{Kind: keys.KindMalformed, Hint: `a batch is {"items":[{"operation":"…","parameters":{…}}]}: ` + why}
}

func clipped(s string) string { return s[:min(len(s), 64)] }
