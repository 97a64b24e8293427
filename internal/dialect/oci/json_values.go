// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strconv"
	"time"
)

// The readers of single values. Each takes a null as an absent value and answers its zero.

// text reads a string.
func (r *reader) text() string {
	if r.null() {
		return ""
	}
	if r.next() != '"' {
		r.mismatch("a string")
		return ""
	}
	return string(r.token())
}

// optionalText reads a string whose absence differs from "".
func (r *reader) optionalText() *string {
	if r.null() {
		return nil
	}
	s := r.text()
	return &s
}

// choice reads one of the names of a table.
func choice[T any](r *reader, table []named[T]) (value T, given bool) {
	if r.null() {
		return value, false
	}
	s := r.text()
	if r.err != nil {
		return value, false
	}
	value, ok := byName(table, s)
	if !ok {
		r.invalid("must be one of " + listNames(table))
	}
	return value, ok
}

// optionalFlag reads true or false.
func (r *reader) optionalFlag() *bool {
	if r.null() {
		return nil
	}
	v := r.next() == 't'
	switch r.next() {
	case 't':
		r.literal("true")
	case 'f':
		r.literal("false")
	default:
		r.mismatch("true or false")
	}
	return &v
}

// integer reads a whole number; quoted allows it as a string of digits too.
func (r *reader) integer(quoted bool) *int {
	if r.null() {
		return nil
	}
	var digits []byte
	switch c := r.next(); {
	case c == '-' || c >= '0' && c <= '9':
		digits = r.digits()
	case c == '"' && quoted:
		digits = r.token()
	default:
		r.mismatch("a whole number")
	}
	if r.err != nil {
		return nil
	}
	n, err := strconv.ParseInt(string(digits), 10, 32)
	if err != nil {
		r.wrong("a whole number")
	}
	v := int(n)
	return &v
}

// moment reads a time in any form that RFC 3339 allows; zero when absent.
func (r *reader) moment() time.Time {
	if r.null() {
		return time.Time{}
	}
	s := r.text()
	if r.err != nil {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		r.invalid("must be a time such as 2026-04-03T21:10:29.600Z (RFC 3339)")
	}
	return at.UTC()
}

// pairs is a flat object of strings.
type pairs map[string]string

func (p pairs) field(r *reader, name []byte) bool {
	if r.next() != '"' {
		r.mismatch("a string")
		return true
	}
	p[string(name)] = string(r.token())
	return true
}

// mapping reads an object of strings; nil when absent.
func (r *reader) mapping() map[string]string {
	if r.null() {
		return nil
	}
	p := pairs{}
	r.object(p)
	return p
}

// scalars is a flat object of strings, numbers and booleans, kept as their texts.
type scalars map[string]string

func (s scalars) field(r *reader, name []byte) bool {
	key := string(name)
	switch c := r.next(); {
	case c == '"':
		s[key] = string(r.token())
	case c == 't', c == 'f', c == '-', c >= '0' && c <= '9':
		at := r.at
		r.skip()
		s[key] = string(r.data[at:r.at])
	default:
		r.mismatch("a string, a number or a boolean")
	}
	return true
}

// groups is an object of objects of scalars.
type groups map[string]map[string]string

func (g groups) field(r *reader, name []byte) bool {
	p := scalars{}
	if r.next() != '{' {
		r.mismatch("an object of strings")
		return true
	}
	key := string(name)
	r.object(p)
	g[key] = p
	return true
}

// nested reads an object of objects of scalars; nil when absent.
func (r *reader) nested() map[string]map[string]string {
	if r.null() {
		return nil
	}
	g := groups{}
	r.object(g)
	return g
}

// base64 reads standard base64 (RFC 4648 §4), as Java's decoder takes it: the padding may be
// left out, and nothing but the alphabet may be in it. given tells "" from an absent value.
func (r *reader) base64() (value []byte, given bool) {
	if r.null() {
		return nil, false
	}
	if r.next() != '"' {
		r.mismatch("a string")
		return nil, false
	}
	at := r.at
	raw, escaped := r.quoted()
	if escaped && r.err == nil {
		r.at = at // the slow way; an escaped slash is the only one to expect
		raw = r.token()
	}
	if r.err != nil {
		return nil, false
	}
	value, ok := decodeBase64(raw)
	if !ok {
		r.invalid("must be base64")
	}
	return value, ok
}

func decodeBase64(text []byte) ([]byte, bool) {
	// Go's decoder skips line breaks.
	if bytes.IndexByte(text, '\n') >= 0 || bytes.IndexByte(text, '\r') >= 0 {
		return nil, false
	}
	encoding := base64.StdEncoding
	if len(text)%4 != 0 {
		encoding = base64.RawStdEncoding
	}
	out := make([]byte, encoding.DecodedLen(len(text)))
	n, err := encoding.Decode(out, text)
	return slices.Clip(out[:n]), err == nil
}

// present skips a value and reports whether it is there.
func (r *reader) present() bool {
	if r.null() {
		return false
	}
	r.skip()
	return true
}
