// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"

	"claviger/internal/dialect"
	"claviger/internal/keys"
)

// maxBody is the largest request body: a public key in PEM is under 1 KiB.
const maxBody = 64 << 10

// requestIDHeader is in every answer: under this id the log tells of the request.
const requestIDHeader = "X-Claviger-Request-Id"

// wire is one operation's way through the pipeline; op is nil for paths that are none.
type wire struct {
	api *API
	op  *dialect.Operation
}

var _ dialect.Wire = (*wire)(nil)

func (w *wire) Dialect() string { return "admin" }

func (w *wire) MaxBody() int64 { return maxBody }

func (w *wire) RequestID(*dialect.Exchange) string {
	id, err := keys.NewID(w.api.cfg.Rand)
	if err != nil {
		return "" // the answer goes without; whatever needs randomness next says why it is missing
	}
	return id.String()
}

// Accept lets nobody in who does not hold the token. What does not exist is told only to who does.
func (w *wire) Accept(_ context.Context, x *dialect.Exchange) error {
	given, ok := strings.CutPrefix(x.Request.Header.Get("Authorization"), "Bearer ")
	// Hashed first, so that the comparison's time does not tell the token's length.
	have, want := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(w.api.cfg.Token))
	if !ok || w.api.cfg.Token == "" || subtle.ConstantTimeCompare(have[:], want[:]) != 1 {
		return &keys.Error{
			Kind: keys.KindUnauthenticated,
			Hint: "send the admin token as \"Authorization: Bearer TOKEN\"; it is in the ready file of dev, and in admin.token_file of serve",
		}
	}
	if w.op == nil {
		return &keys.Error{Kind: keys.KindNotFound, Hint: "there is no operation " + x.Request.Method + " " + x.Request.URL.Path}
	}
	x.Op = w.op
	system := w.api.service.System(w.op.Name)
	x.Call.Who, x.Call.Profile, x.Call.Operation = system.Who, system.Profile, system.Operation
	return nil
}

// Decode fills req from the path and query (fields tagged path and query) and from the body
// (the field or struct tagged json). What the operation does not know is refused.
func (w *wire) Decode(x *dialect.Exchange, req any) error {
	v := reflect.ValueOf(req).Elem()
	q, err := url.ParseQuery(x.Request.URL.RawQuery)
	if err != nil {
		return keys.Malformed(fmt.Errorf("read query: %w", err))
	}
	wantsBody := false
	for i := range v.NumField() {
		f := v.Type().Field(i)
		switch {
		case f.Tag.Get("path") != "":
			v.Field(i).SetString(x.Request.PathValue(f.Tag.Get("path")))
		case f.Tag.Get("query") != "":
			name := f.Tag.Get("query")
			if err := setQuery(v.Field(i), name, q[name]); err != nil {
				return err
			}
			q.Del(name)
		case f.Name == "Body":
			wantsBody = true
			if err := strictJSON(x.Body, v.Field(i).Addr().Interface()); err != nil {
				return err
			}
		}
	}
	for name := range q {
		return keys.Invalid(name, "the query parameter "+strconv.Quote(name)+" is not known here")
	}
	if !wantsBody && len(x.Body) > 0 {
		return keys.Invalid("body", "this operation takes no body")
	}
	return nil
}

func setQuery(field reflect.Value, name string, values []string) error {
	switch {
	case len(values) == 0:
		return nil
	case len(values) > 1:
		return keys.Invalid(name, "is given twice")
	}
	switch field.Kind() {
	case reflect.String:
		field.SetString(values[0])
	default:
		n, err := strconv.ParseInt(values[0], 10, 64)
		if err != nil || n < 0 {
			return keys.Invalid(name, strconv.Quote(values[0])+" is not a number")
		}
		field.SetInt(n)
	}
	return nil
}

// strictJSON reads exactly one JSON value and refuses fields that into does not have.
func strictJSON(body []byte, into any) error {
	if len(body) == 0 {
		return keys.Missing("body")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return &keys.Error{Kind: keys.KindMalformed, Field: "body", Err: err, Hint: "the body is not what this operation takes: " + err.Error()}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return &keys.Error{Kind: keys.KindMalformed, Field: "body", Hint: "the body holds more than one JSON value"}
	}
	return nil
}

// Reply writes the answer as JSON; nothing as 204.
func (w *wire) Reply(x *dialect.Exchange, resp any) {
	w.headers(x)
	if _, nothing := resp.(none); nothing {
		x.Write(http.StatusNoContent, "", nil)
		return
	}
	body, err := json.MarshalIndent(resp, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("encode answer of %s: %v", x.Op.Name, err)) // the pipeline answers an internal error
	}
	x.Write(http.StatusOK, "", append(body, '\n'))
}

// none is the answer of operations that answer nothing.
type none struct{}

// Fail writes a refusal. Its reader administers the server, so it says all that is known,
// except of faults of the server itself, whose cause is in the log.
func (w *wire) Fail(x *dialect.Exchange, e *keys.Error) {
	w.headers(x)
	status, code := problem(e.Kind)
	message := e.Hint
	switch {
	case status == http.StatusInternalServerError:
		message = "the server could not do this; its log says why, under request " + x.Call.RequestID
	case message == "" && e.Kind == keys.KindNotFound:
		message = "there is no such " + noun(e.Noun)
	case message == "" && e.Kind == keys.KindExists:
		message = "there is such a " + noun(e.Noun) + " already"
	case message == "":
		message = e.Error()
	case e.Field != "" && !strings.Contains(message, e.Field):
		message = e.Field + ": " + message
	}
	if e.Kind == keys.KindUnauthenticated {
		x.Header().Set("WWW-Authenticate", `Bearer realm="claviger admin"`)
	}
	body, err := json.MarshalIndent(Problem{Code: code, Message: message}, "", "  ")
	if err != nil {
		body = nil // two strings always encode
	}
	x.Write(status, code, append(body, '\n'))
}

func noun(t keys.Type) string {
	if t == "" {
		return "thing"
	}
	return string(t)
}

func (w *wire) headers(x *dialect.Exchange) {
	h := x.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store") // an answer may hold a secret
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set(requestIDHeader, x.Call.RequestID)
}

// problem is the error table: kind → status and code. A kind that is not in it is a fault of
// the server.
func problem(k keys.Kind) (status int, code string) {
	if p, ok := problems[k]; ok {
		return p.status, p.code
	}
	return http.StatusInternalServerError, "internal"
}
