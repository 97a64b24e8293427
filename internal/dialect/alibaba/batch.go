// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"

	"claviger/internal/dialect"
	"claviger/internal/keys"
)

// Batches implements [dialect.Batcher].
func (*wire) Batches(x *dialect.Exchange) bool { return x.Request.URL.Path == dialect.BatchPath }

// readBatch looks at the head of a batch.
func (*exchange) readBatch(r *http.Request) error {
	if r.Method != http.MethodPost {
		return refuse(keys.KindInvalid, codeMethod, "method", "send a batch with POST")
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return malformed(errors.New("the body of a batch is application/json"))
	}
	return nil
}

// routeBatch takes the batch's own action, under any version of the API. Version 1 of the signature
// does not cover a body that is no form.
func (w *wire) routeBatch(x *dialect.Exchange, c *claim) error {
	x.Op = &w.d.batch
	if c.headers == "" {
		return unsupportedScheme("a batch under RPC signature version 1")
	}
	if c.batch = true; c.version != apiVersion {
		return refuse(keys.KindInvalid, codeVersion, "Version", "Version is "+apiVersion+" for KMS")
	}
	if c.action != dialect.BatchName {
		return refuse(keys.KindNotImplemented, codeNoAction, "Action", "the action of this path is "+dialect.BatchName)
	}
	return nil
}

// CheckBatch implements [dialect.Batcher].
func (*wire) CheckBatch(x *dialect.Exchange) error {
	return checkDigest(strings.TrimSpace(first(x.Request.Header, "X-Acs-Content-Sha256")), x.Body)
}

// Item implements [dialect.Batcher]. Parameters are an object: strings stand for themselves, and
// everything else for its text, as clients send it.
func (w *wire) Item(ctx context.Context, x *dialect.Exchange, operation string, parameters []byte) error {
	in := w.begin(x)
	x.Call.Profile = w.d.profile
	x.Op = w.d.byName[apiVersion][operation]
	if x.Op == nil {
		return refuse(keys.KindNotImplemented, codeNoAction, "operation", "there is no operation "+clip(operation))
	}
	if !x.Op.Batchable() {
		return dialect.NotBatchable(operation)
	}
	if err := in.params.parseObject(string(parameters)); err != nil {
		return malformed(fmt.Errorf("read parameters: %w", err))
	}
	for _, name := range requestWide {
		if _, given := in.params.get(name); given {
			return refuse(keys.KindInvalid, codeInvalid, name, name+" is the batch's, and not an item's")
		}
	}
	w.throttle(ctx, x)
	return nil
}

// requestWide are the common parameters: an item has none of them.
var requestWide = [...]string{
	"AccessKeyId", "Action", "Format", "SecurityToken", "Signature", "SignatureMethod", "SignatureNonce",
	"SignatureType", "SignatureVersion", "Timestamp", "Version",
}

// ReplyBatch implements [dialect.Batcher].
func (*wire) ReplyBatch(x *dialect.Exchange, body []byte) {
	x.Header()["Content-Type"] = mediaJSON
	x.Write(http.StatusOK, "", body)
}

// parseObject reads parameters from the text of a JSON object, each name once.
func (p *params) parseObject(text string) error {
	p.list = p.inline[:0]
	j := jsonText{s: text}
	err := j.object(func(name string) error {
		switch {
		case name == "":
			return errNameless
		case len(p.list) == maxParams:
			return errTooMany
		}
		value, given, err := j.parameter()
		if err == nil && given {
			p.list = append(p.list, param{name: name, value: value})
			p.size += len(name) + len(value)
		}
		return err
	})
	if err != nil {
		return err
	}
	if !j.end() {
		return errJSON
	}
	slices.SortFunc(p.list, func(a, b param) int { return cmp.Compare(a.name, b.name) })
	for i := 1; i < len(p.list); i++ {
		if p.list[i].name == p.list[i-1].name {
			return fmt.Errorf("parameter %q %w", clip(p.list[i].name), errDuplicate)
		}
	}
	return nil
}

// parameter reads the value of a parameter; null is one that is not given.
func (j *jsonText) parameter() (value string, given bool, err error) {
	if j.null() {
		return "", false, nil
	}
	if j.at < len(j.s) && j.s[j.at] == '"' {
		value, err = j.text()
		return value, true, err
	}
	start := j.at
	if err := j.skip(0); err != nil {
		return "", false, err
	}
	return j.s[start:j.at], true, nil
}

// skip passes over a value. What is in it is left to whoever reads the parameter.
func (j *jsonText) skip(depth int) error {
	const deepest = 16
	j.space()
	if depth > deepest || j.at == len(j.s) {
		return errJSON
	}
	inner := func() error { return j.skip(depth + 1) }
	switch j.s[j.at] {
	case '{':
		return j.object(func(string) error { return inner() })
	case '[':
		return j.array(inner)
	case '"':
		_, err := j.text()
		return err
	}
	start := j.at
	for j.at < len(j.s) && !strings.ContainsRune(",]} \t\r\n", rune(j.s[j.at])) {
		j.at++
	}
	if j.at == start {
		return errJSON
	}
	return nil
}
