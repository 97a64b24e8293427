// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"encoding/base64"
	"encoding/xml"
	"strconv"
	"time"
	"unicode/utf8"

	"claviger/internal/keys"
)

// content is the answer of an operation: it writes its members, in order, into a document.
// One description gives both formats.
type content interface{ write(d *document) }

// timeLayout is how every time is written, in UTC.
const timeLayout = "2006-01-02T15:04:05Z"

// document is an answer being written, as JSON or as XML. Strings are valid UTF-8 by the time
// they get here; what XML cannot hold becomes U+FFFD there.
type document struct {
	buf   []byte
	xml   bool
	comma bool // JSON: a member was written at this level
}

func (d *document) name(name string) {
	if d.xml {
		d.buf = append(append(append(d.buf, '<'), name...), '>')
		return
	}
	if d.comma {
		d.buf = append(d.buf, ',')
	}
	d.comma = true
	d.buf = append(append(append(d.buf, '"'), name...), '"', ':')
}

func (d *document) closing(name string) {
	if d.xml {
		d.buf = append(append(append(d.buf, '<', '/'), name...), '>')
	}
}

func (d *document) quote() {
	if !d.xml {
		d.buf = append(d.buf, '"')
	}
}

// text writes a string.
func (d *document) text(name, value string) {
	d.name(name)
	if d.xml {
		d.buf = appendXMLText(d.buf, value)
	} else {
		d.buf = appendJSONText(d.buf, value)
	}
	d.closing(name)
}

// base64 writes bytes in standard base64.
func (d *document) base64(name string, value []byte) {
	d.name(name)
	d.quote()
	d.buf = base64.StdEncoding.AppendEncode(d.buf, value)
	d.quote()
	d.closing(name)
}

// id writes an id in its canonical text.
func (d *document) id(name string, id keys.ID) {
	d.name(name)
	d.quote()
	d.buf, _ = id.AppendText(d.buf) // never fails
	d.quote()
	d.closing(name)
}

// time writes a time; the zero time is the empty string.
func (d *document) time(name string, t time.Time) {
	d.name(name)
	d.quote()
	if !t.IsZero() {
		d.buf = t.UTC().AppendFormat(d.buf, timeLayout)
	}
	d.quote()
	d.closing(name)
}

// number writes an integer.
func (d *document) number(name string, n int) {
	d.name(name)
	d.buf = strconv.AppendInt(d.buf, int64(n), 10)
	d.closing(name)
}

// boolean writes true or false.
func (d *document) boolean(name string, v bool) {
	d.name(name)
	d.buf = strconv.AppendBool(d.buf, v)
	d.closing(name)
}

// object writes a member that has members.
func (d *document) object(name string, members func()) {
	d.name(name)
	d.braces(members)
	d.closing(name)
}

func (d *document) braces(members func()) {
	if d.xml {
		members()
		return
	}
	d.buf = append(d.buf, '{')
	d.comma = false
	members()
	d.comma = true
	d.buf = append(d.buf, '}')
}

// list writes n objects as the array item inside the object wrapper, which is there even when
// the list is empty. In XML the objects are repeated elements.
func (d *document) list(wrapper, item string, n int, members func(i int)) {
	d.object(wrapper, func() {
		if d.xml {
			for i := range n {
				d.name(item)
				members(i)
				d.closing(item)
			}
			return
		}
		d.name(item)
		d.buf = append(d.buf, '[')
		for i := range n {
			if i > 0 {
				d.buf = append(d.buf, ',')
			}
			d.braces(func() { members(i) })
		}
		d.buf = append(d.buf, ']')
	})
}

// appendJSONText appends s as a JSON string (RFC 8259 §7).
func appendJSONText(b []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	b = append(b, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(b, s[from:]...), '"')
}

type byteWriter struct{ b []byte }

func (w *byteWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

// appendXMLText appends s as character data.
func appendXMLText(b []byte, s string) []byte {
	if plainXML(s) {
		return append(b, s...)
	}
	w := byteWriter{b: b}
	_ = xml.EscapeText(&w, []byte(s)) // fails only if the writer does
	return w.b
}

func plainXML(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ', c >= 0x7f, c == '<', c == '>', c == '&', c == '"', c == '\'':
			return false
		}
	}
	return true
}

// fitsXML reports whether XML 1.0 can hold every character of s (§2.2).
func fitsXML(s []byte) bool {
	for len(s) > 0 {
		r, n := utf8.DecodeRune(s)
		switch {
		case r == utf8.RuneError && n == 1:
			return false
		case r == '\t', r == '\n', r == '\r':
		case r < ' ', r == 0xfffe, r == 0xffff:
			return false
		}
		s = s[n:]
	}
	return true
}
