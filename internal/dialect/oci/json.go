// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bytes"
	"fmt"
	"strings"

	"claviger/internal/keys"
)

// reader reads one JSON object (RFC 8259) strictly and once: field names in their exact case,
// no name twice, no invalid UTF-8, no lone surrogate, nothing after the object. Fields that
// nobody asks for are skipped and remembered in ignored. The first error sticks; after it every
// call answers a zero value.
type reader struct {
	data    []byte
	at      int
	err     error
	prefix  string // path of the object being read, with its last dot
	name    []byte // of the field being read
	depth   int    // of nested values
	quiet   int    // > 0 inside a value that is skipped as a whole
	ignored []string
}

// maxDepth is how deep values may nest, unknown ones included.
const maxDepth = 32

// fields is an object that knows its fields: field reads the value of name and reports true, or
// reads nothing and reports false.
type fields interface {
	field(r *reader, name []byte) bool
}

// readObject reads body, which must be one object, into into. An empty body is an empty object.
func readObject(body []byte, into fields) (ignored []string, err error) {
	if len(body) == 0 {
		return nil, nil
	}
	r := reader{data: body}
	r.object(into)
	if r.space(); r.err == nil && r.at < len(r.data) {
		r.syntax("something follows the object")
	}
	return r.ignored, r.err
}

// path names the field being read, as errors do.
func (r *reader) path() string { return r.prefix + string(r.name) }

func (r *reader) fail(e *keys.Error) {
	if r.err == nil {
		r.err = e
	}
}

func (r *reader) syntax(what string) {
	r.fail(&keys.Error{Kind: keys.KindMalformed, Hint: fmt.Sprintf("the body is not the JSON that it should be: at byte %d %s", r.at, what)})
}

// wrong says that the value has another JSON type than the field.
func (r *reader) wrong(want string) {
	r.fail(&keys.Error{Kind: keys.KindMalformed, Field: r.path(), Hint: r.path() + " must be " + want})
}

// invalid says that the value is not one of those that the field may have.
func (r *reader) invalid(hint string) {
	r.fail(keys.Invalid(r.path(), r.path()+" "+hint))
}

func (r *reader) space() {
	for r.at < len(r.data) {
		switch r.data[r.at] {
		case ' ', '\t', '\n', '\r':
			r.at++
		default:
			return
		}
	}
}

// next skips white space and answers the next byte without taking it; 0 at the end.
func (r *reader) next() byte {
	r.space()
	if r.err != nil || r.at >= len(r.data) {
		return 0
	}
	return r.data[r.at]
}

func (r *reader) take(c byte) bool {
	if r.next() != c {
		return false
	}
	r.at++
	return true
}

// null takes a null, which is the same as no field at all.
func (r *reader) null() bool {
	if r.next() != 'n' {
		return false
	}
	r.literal("null")
	return true
}

func (r *reader) literal(s string) {
	if len(r.data)-r.at < len(s) || string(r.data[r.at:r.at+len(s)]) != s {
		r.syntax("a value is expected")
		return
	}
	r.at += len(s)
}

// object reads an object into into. A null is an object without fields.
func (r *reader) object(into fields) {
	if r.depth > 0 && r.null() {
		return
	}
	if r.next() != '{' {
		r.mismatch("an object")
		return
	}
	prefix, name := r.prefix, r.name
	if r.depth > 0 && r.quiet == 0 {
		r.prefix = r.path() + "."
	}
	r.members(into)
	r.prefix, r.name = prefix, name
}

// mismatch is wrong where a value is there, and a syntax error where none is.
func (r *reader) mismatch(want string) {
	switch r.next() {
	case '"', '{', '[', 't', 'f', 'n', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		if r.depth == 0 {
			r.fail(&keys.Error{Kind: keys.KindMalformed, Hint: "the body must be a JSON object"})
			return
		}
		r.wrong(want)
	default:
		r.syntax(want + " is expected")
	}
}

func (r *reader) members(into fields) {
	if r.depth++; r.depth > maxDepth {
		r.syntax("values nest too deep")
		return
	}
	r.at++ // {
	var seen names
	for first := true; r.err == nil; first = false {
		if first && r.take('}') {
			break
		}
		if r.next() != '"' {
			r.syntax("a field name is expected")
			return
		}
		name := r.token()
		if r.err == nil && !seen.add(name) {
			r.fail(&keys.Error{Kind: keys.KindMalformed, Field: r.prefix + string(name), Hint: "a field is given twice: " + r.prefix + string(name)})
		}
		if !r.take(':') {
			r.syntax("a colon is expected")
			return
		}
		r.name = name
		if !into.field(r, name) {
			if r.quiet == 0 {
				r.ignored = append(r.ignored, r.path())
			}
			r.skip()
		}
		if r.take(',') {
			continue
		}
		if !r.take('}') {
			r.syntax("a comma or the end of the object is expected")
			return
		}
		break
	}
	r.depth--
}

// names remembers the names of one object, in place while they are few.
type names struct {
	few  [16][]byte
	n    int
	many map[string]struct{}
}

// add reports whether name is new.
func (s *names) add(name []byte) bool {
	for _, old := range s.few[:s.n] {
		if bytes.Equal(old, name) {
			return false
		}
	}
	if s.n < len(s.few) {
		s.few[s.n] = name
		s.n++
		return true
	}
	if s.many == nil {
		s.many = map[string]struct{}{}
	}
	if _, old := s.many[string(name)]; old {
		return false
	}
	s.many[string(name)] = struct{}{}
	return true
}

// unknown has no fields: whatever an object holds is skipped.
type unknown struct{}

func (unknown) field(*reader, []byte) bool { return false }

// skip reads a value of any type.
func (r *reader) skip() {
	r.quiet++
	defer func() { r.quiet-- }()
	switch c := r.next(); {
	case c == '{':
		r.object(unknown{})
	case c == '[':
		r.list()
	case c == '"':
		r.token()
	case c == 't':
		r.literal("true")
	case c == 'f':
		r.literal("false")
	case c == 'n':
		r.literal("null")
	case c == '-' || c >= '0' && c <= '9':
		r.digits()
	default:
		r.syntax("a value is expected")
	}
}

func (r *reader) list() {
	if r.depth++; r.depth > maxDepth {
		r.syntax("values nest too deep")
		return
	}
	r.at++ // [
	for first := true; r.err == nil; first = false {
		if first && r.take(']') {
			break
		}
		r.skip()
		if r.take(',') {
			continue
		}
		if !r.take(']') {
			r.syntax("a comma or the end of the list is expected")
			return
		}
		break
	}
	r.depth--
}

// digits takes a number (RFC 8259 §6) and answers its text.
func (r *reader) digits() []byte {
	start := r.at
	r.one("-")
	first := r.at
	n := r.run()
	ok := n == 1 || (n > 1 && r.data[first] != '0')
	if r.one(".") {
		ok = r.run() > 0 && ok
	}
	if r.one("eE") {
		r.one("+-")
		ok = r.run() > 0 && ok
	}
	if !ok {
		r.syntax("a number is malformed")
		return nil
	}
	return r.data[start:r.at]
}

// one takes a byte that is in set.
func (r *reader) one(set string) bool {
	if r.at < len(r.data) && strings.IndexByte(set, r.data[r.at]) >= 0 {
		r.at++
		return true
	}
	return false
}

// run takes decimal digits and answers how many.
func (r *reader) run() int {
	from := r.at
	for r.at < len(r.data) && r.data[r.at] >= '0' && r.data[r.at] <= '9' {
		r.at++
	}
	return r.at - from
}
