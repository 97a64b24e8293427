// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"errors"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonText reads JSON (RFC 8259) that a parameter carries. No such parameter has anything but
// objects, arrays and strings, so nothing else is read: a number, a boolean or a null where a
// string belongs is an error. Names are exact, a name given twice is refused, and so is what
// follows the value. Text that has no UTF-8 (a lone surrogate) is refused rather than replaced.
type jsonText struct {
	s  string
	at int
}

var (
	errJSON      = errors.New("not the JSON that this parameter takes")
	errJSONTwice = errors.New("a JSON name is given twice")
)

func (j *jsonText) space() {
	for j.at < len(j.s) {
		switch j.s[j.at] {
		case ' ', '\t', '\n', '\r':
			j.at++
		default:
			return
		}
	}
}

// take consumes c if it is next, after white space.
func (j *jsonText) take(c byte) bool {
	j.space()
	if j.at < len(j.s) && j.s[j.at] == c {
		j.at++
		return true
	}
	return false
}

// null consumes a null if it is next.
func (j *jsonText) null() bool {
	j.space()
	if strings.HasPrefix(j.s[j.at:], "null") {
		j.at += 4
		return true
	}
	return false
}

// end reports whether nothing but white space is left.
func (j *jsonText) end() bool {
	j.space()
	return j.at == len(j.s)
}

// object reads an object; member reads the value of one name. Finding a name twice is left to
// member, which knows what it has seen.
func (j *jsonText) object(member func(name string) error) error {
	return j.sequence('{', '}', func() error {
		name, err := j.text()
		if err != nil {
			return err
		}
		if !j.take(':') {
			return errJSON
		}
		return member(name)
	})
}

// array reads an array; element reads one element.
func (j *jsonText) array(element func() error) error { return j.sequence('[', ']', element) }

func (j *jsonText) sequence(open, closing byte, item func() error) error {
	if !j.take(open) {
		return errJSON
	}
	if j.take(closing) {
		return nil
	}
	for {
		if err := item(); err != nil {
			return err
		}
		if j.take(closing) {
			return nil
		}
		if !j.take(',') {
			return errJSON
		}
	}
}

// text reads a string.
func (j *jsonText) text() (string, error) {
	if !j.take('"') {
		return "", errJSON
	}
	start := j.at
	for ; j.at < len(j.s); j.at++ {
		switch c := j.s[j.at]; {
		case c == '"':
			s := j.s[start:j.at]
			j.at++
			return s, nil
		case c == '\\':
			return j.escaped(start)
		case c < 0x20:
			return "", errJSON
		}
	}
	return "", errJSON
}

// escaped goes on with a string that has an escape at j.at.
func (j *jsonText) escaped(start int) (string, error) {
	b := append(make([]byte, 0, 2*(j.at-start)+16), j.s[start:j.at]...)
	for j.at < len(j.s) {
		c := j.s[j.at]
		j.at++
		switch {
		case c == '"':
			return string(b), nil
		case c == '\\':
			r, ok := j.escape()
			if !ok {
				return "", errJSON
			}
			b = utf8.AppendRune(b, r)
		case c < 0x20:
			return "", errJSON
		default:
			b = append(b, c)
		}
	}
	return "", errJSON
}

// escape reads what follows a backslash.
func (j *jsonText) escape() (rune, bool) {
	if j.at == len(j.s) {
		return 0, false
	}
	c := j.s[j.at]
	j.at++
	switch c {
	case '"', '\\', '/':
		return rune(c), true
	case 'b':
		return '\b', true
	case 'f':
		return '\f', true
	case 'n':
		return '\n', true
	case 'r':
		return '\r', true
	case 't':
		return '\t', true
	case 'u':
		return j.unicode()
	}
	return 0, false
}

// unicode reads the digits of \uXXXX, and of the second half where it is a surrogate.
func (j *jsonText) unicode() (rune, bool) {
	r, ok := j.hex4()
	if !ok || !utf16.IsSurrogate(r) {
		return r, ok
	}
	if !strings.HasPrefix(j.s[j.at:], `\u`) {
		return 0, false
	}
	j.at += 2
	low, ok := j.hex4()
	if !ok {
		return 0, false
	}
	pair := utf16.DecodeRune(r, low)
	return pair, pair != utf8.RuneError
}

func (j *jsonText) hex4() (rune, bool) {
	if j.at+4 > len(j.s) {
		return 0, false
	}
	var r rune
	for i := range 4 {
		d := hexDigit(j.s[j.at+i])
		if d > 15 {
			return 0, false
		}
		r = r<<4 | rune(d)
	}
	j.at += 4
	return r, true
}

// parseStrings reads an object of strings. An empty text, null and {} give no pairs.
func parseStrings(s string) (map[string]string, error) {
	j := jsonText{s: s}
	if j.end() {
		return nil, nil
	}
	if j.null() {
		if !j.end() {
			return nil, errJSON
		}
		return nil, nil
	}
	var out map[string]string
	err := j.object(func(name string) error {
		value, err := j.text()
		if err != nil {
			return err
		}
		if _, twice := out[name]; twice {
			return errJSONTwice
		}
		if out == nil {
			out = map[string]string{}
		}
		out[name] = value
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !j.end() {
		return nil, errJSON
	}
	return out, nil
}
