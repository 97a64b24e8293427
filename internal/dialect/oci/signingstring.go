// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// signedSet is which of the parts that Oracle asks for were signed.
type signedSet uint8

const (
	signedTarget signedSet = 1 << iota
	signedHost
	signedDate
	signedXDate
	signedLength
	signedType
	signedDigest
)

// maxSigned is the most names in a signature's list of headers.
const maxSigned = 64

const requestTarget = "(request-target)"

// appendSigningString appends what the client is to have signed: one line per name, in the
// client's order and in lower case whatever the list's case, without a line break at the end.
func appendSigningString(b []byte, r *http.Request, headers string) (_ []byte, set signedSet, err error) {
	start := len(b)
	for count := 0; ; count++ {
		headers = strings.TrimLeft(headers, " ")
		if headers == "" {
			return b, set, nil
		}
		name, rest, _ := strings.Cut(headers, " ")
		headers = rest
		if count == maxSigned {
			return nil, 0, incomplete("the Authorization header lists too many headers")
		}
		if len(b) > start {
			b = append(b, '\n')
		}
		line := len(b)
		b = appendLower(b, name)
		lower := b[line:]
		b = append(b, ": "...)
		var ok bool
		switch string(lower) {
		case requestTarget:
			set |= signedTarget
			b = append(appendLower(b, r.Method), ' ')
			b, ok = append(b, r.RequestURI...), true
		case "host":
			set |= signedHost
			b, ok = append(b, r.Host...), r.Host != ""
		case "content-length":
			set |= signedLength
			b, ok = appendContentLength(b, r)
		case "date":
			set |= signedDate
			b, ok = appendHeader(b, r.Header["Date"])
		case "x-date":
			set |= signedXDate
			b, ok = appendHeader(b, r.Header["X-Date"])
		case "content-type":
			set |= signedType
			b, ok = appendHeader(b, r.Header["Content-Type"])
		case "x-content-sha256":
			set |= signedDigest
			b, ok = appendHeader(b, r.Header["X-Content-Sha256"])
		default:
			b, ok = appendHeader(b, r.Header[textproto.CanonicalMIMEHeaderKey(string(lower))])
		}
		if !ok {
			return nil, 0, notVerified("the signature covers " + strings.ToLower(name) + ", which the request does not have")
		}
	}
}

// appendHeader appends a header's value; several are joined as RFC 9110 §5.3 does.
func appendHeader(b []byte, values []string) ([]byte, bool) {
	for i, v := range values {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(b, trim(v)...)
	}
	return b, len(values) > 0
}

// appendContentLength appends the length as sent. A request without a body and without the
// header has length 0, which is what clients sign then.
func appendContentLength(b []byte, r *http.Request) ([]byte, bool) {
	if v := r.Header["Content-Length"]; len(v) > 0 {
		return appendHeader(b, v)
	}
	return strconv.AppendInt(b, r.ContentLength, 10), r.ContentLength >= 0
}

func appendLower(b []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
}

// missing lists what must be signed with the request's method and was not.
func missing(r *http.Request, set signedSet) string {
	var out []string
	need := func(part signedSet, name string) {
		if set&part == 0 {
			out = append(out, name)
		}
	}
	if set&(signedTarget|signedHost) != signedTarget|signedHost {
		need(signedTarget, requestTarget)
		need(signedHost, "host")
	}
	// x-date wins over date where both are there, so it is the one that must be signed.
	if _, both := r.Header["X-Date"]; both {
		need(signedXDate, "x-date")
	} else {
		need(signedDate, "date")
	}
	if hasContent(r.Method) {
		need(signedLength, "content-length")
		need(signedType, "content-type")
		need(signedDigest, "x-content-sha256")
	}
	return strings.Join(out, ", ")
}

// hasContent reports whether requests of method must sign their content, even an empty one.
func hasContent(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}
