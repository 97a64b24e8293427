// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"errors"
	"strings"
)

const upperHex = "0123456789ABCDEF"

// unreserved reports whether c stays as it is in a canonical query (RFC 3986 §2.3).
func unreserved(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	}
	return c == '-' || c == '_' || c == '.' || c == '~'
}

// appendEncoded appends s in the encoding of canonical queries: all but unreserved bytes
// become %XY with upper-case digits, a space becomes %20.
func appendEncoded(b []byte, s string) []byte {
	from := 0
	for i := range len(s) {
		c := s[i]
		if unreserved(c) {
			continue
		}
		b = append(b, s[from:i]...)
		from = i + 1
		b = append(b, '%', upperHex[c>>4], upperHex[c&15])
	}
	return append(b, s[from:]...)
}

// appendTwice appends s encoded by appendEncoded and the result encoded once more.
func appendTwice(b []byte, s string) []byte {
	from := 0
	for i := range len(s) {
		c := s[i]
		if unreserved(c) {
			continue
		}
		b = append(b, s[from:i]...)
		from = i + 1
		b = append(b, '%', '2', '5', upperHex[c>>4], upperHex[c&15])
	}
	return append(b, s[from:]...)
}

var errPercent = errors.New("incomplete percent-encoding")

// decodeInto appends s to b with "+" read as a space and %XY as a byte. Any other byte is
// taken as it is: clients leave some of * ' ( ) ! ~ raw.
func decodeInto(b *strings.Builder, s string) error {
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '%' && c != '+' {
			continue
		}
		b.WriteString(s[from:i])
		if c == '+' {
			b.WriteByte(' ')
			from = i + 1
			continue
		}
		if len(s) < i+3 {
			return errPercent
		}
		hi, lo := hexDigit(s[i+1]), hexDigit(s[i+2])
		if hi > 15 || lo > 15 {
			return errPercent
		}
		b.WriteByte(hi<<4 | lo)
		i += 2
		from = i + 1
	}
	b.WriteString(s[from:])
	return nil
}

func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}

// decodeLowerHex fills b with what s, in lower case, is the hex of, and reports whether it is.
func decodeLowerHex(b []byte, s string) bool {
	if len(s) != 2*len(b) {
		return false
	}
	wrong := byte(0)
	for i := range b {
		hi, lo := lowerHexDigit(s[2*i]), lowerHexDigit(s[2*i+1])
		wrong |= hi | lo
		b[i] = hi<<4 | lo&15
	}
	return wrong <= 15
}

// lowerHexDigit is above 15 for what is none.
func lowerHexDigit(c byte) byte {
	if d := c - '0'; d <= 9 {
		return d
	}
	if d := c - 'a'; d <= 5 {
		return d + 10
	}
	return 0xff
}
