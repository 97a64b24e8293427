// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bytes"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// token takes a string and answers its bytes: a slice of the body where nothing is escaped.
func (r *reader) token() []byte {
	raw, escaped := r.quoted()
	if r.err != nil {
		return nil
	}
	for _, c := range raw {
		if c < ' ' {
			r.syntax("a string holds a control character")
			return nil
		}
	}
	if escaped {
		raw = r.unescape(raw)
	}
	if !utf8.Valid(raw) {
		r.syntax("a string is not UTF-8")
		return nil
	}
	return raw
}

// quoted takes a string and answers what is between the quotes, unchecked.
func (r *reader) quoted() (raw []byte, escaped bool) {
	start := r.at + 1
	end := start
	for {
		i := bytes.IndexByte(r.data[end:], '"')
		if i < 0 {
			r.syntax("a string does not end")
			return nil, false
		}
		end += i
		slashes := 0
		for end-slashes > start && r.data[end-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			break
		}
		end++
	}
	r.at = end + 1
	raw = r.data[start:end]
	return raw, bytes.IndexByte(raw, '\\') >= 0
}

// unescape resolves the escapes of a string (RFC 8259 §7).
func (r *reader) unescape(raw []byte) []byte {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			i++
			continue
		}
		c := raw[i+1] // a string never ends on an odd backslash
		if plain := strings.IndexByte(`"\/bfnrt`, c); plain >= 0 {
			out = append(out, "\"\\/\b\f\n\r\t"[plain])
			i += 2
			continue
		}
		u, n := escapedRune(raw[i:])
		if n == 0 {
			r.syntax("a string holds an escape that is none")
			return nil
		}
		out = utf8.AppendRune(out, u)
		i += n
	}
	return out
}

// escapedRune reads \uXXXX, or the two that make a surrogate pair, at the start of b. n is 0
// where there is neither.
func escapedRune(b []byte) (u rune, n int) {
	u, ok := unit(b)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(u) {
		return u, 6
	}
	low, ok := unit(b[6:])
	if u = utf16.DecodeRune(u, low); !ok || u == utf8.RuneError {
		return 0, 0
	}
	return u, 12
}

// unit reads one \uXXXX.
func unit(b []byte) (u rune, ok bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	for _, c := range b[2:6] {
		u <<= 4
		switch {
		case c >= '0' && c <= '9':
			u |= rune(c - '0')
		case c >= 'a' && c <= 'f':
			u |= rune(c-'a') + 10
		case c >= 'A' && c <= 'F':
			u |= rune(c-'A') + 10
		default:
			return 0, false
		}
	}
	return u, true
}
