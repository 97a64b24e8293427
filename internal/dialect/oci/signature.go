// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"fmt"
	"net/textproto"
	"strings"

	"claviger/internal/keys"
)

// signature is an Authorization header of Oracle's request signing, version 1: the scheme of
// draft-cavage-http-signatures-08 with RSASSA-PKCS1-v1_5 and SHA-256. Its strings are parts of
// the header.
type signature struct {
	keyID   string
	headers string // names of what was signed, as sent: in any case, one space or more between them
	value   string // base64
}

// Texts of 401 answers, as Oracle's service writes them.
const (
	textIncomplete   = "The required information to complete authentication was not provided or was incorrect."
	textNotVerified  = "Failed to verify the HTTP(S) Signature"
	fieldIncomplete  = "authorization" // keys.Error.Field of the first text
	fieldNotVerified = "signature"     // and of the second
)

func incomplete(hint string) error {
	return &keys.Error{Kind: keys.KindUnauthenticated, Field: fieldIncomplete, Hint: hint}
}

func notVerified(hint string) error {
	return &keys.Error{Kind: keys.KindUnauthenticated, Field: fieldNotVerified, Hint: hint}
}

// parseSignature reads an Authorization header. Parameters come in any order, unknown ones are
// passed over, none may come twice.
func parseSignature(header string) (signature, error) {
	scheme, rest, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Signature") {
		return signature{}, incomplete("the Authorization header does not begin with Signature")
	}
	var s signature
	var algorithm, version, other string
	for rest = trim(rest); rest != ""; {
		name, value, after, ok := parseParameter(rest)
		if !ok {
			return signature{}, incomplete(fmt.Sprintf("the Authorization header is malformed at byte %d", len(header)-len(rest)))
		}
		rest = after
		into := &other
		switch name {
		case "keyId":
			into = &s.keyID
		case "headers":
			into = &s.headers
		case "signature":
			into = &s.value
		case "algorithm":
			into = &algorithm
		case "version":
			into = &version
		}
		if *into != "" && into != &other {
			return signature{}, incomplete("the Authorization header gives " + name + " twice")
		}
		*into = value
	}
	return s, s.check(algorithm, version)
}

func (s *signature) check(algorithm, version string) error {
	for _, p := range [...]struct{ name, value string }{
		{"keyId", s.keyID}, {"headers", s.headers}, {"signature", s.value}, {"algorithm", algorithm},
	} {
		if p.value == "" {
			return incomplete("the Authorization header has no " + p.name)
		}
	}
	if algorithm != "rsa-sha256" {
		return incomplete("the Authorization header's algorithm must be rsa-sha256")
	}
	if version != "" && version != "1" {
		return incomplete("the Authorization header's version must be 1")
	}
	return nil
}

// parseParameter takes name="value" or name=value and the comma after it.
func parseParameter(s string) (name, value, rest string, ok bool) {
	name, rest, ok = strings.Cut(s, "=")
	name = trim(name)
	if !ok || name == "" || strings.ContainsAny(name, `", `) {
		return "", "", "", false
	}
	if rest = trim(rest); strings.HasPrefix(rest, `"`) {
		if value, rest, ok = strings.Cut(rest[1:], `"`); !ok || strings.IndexByte(value, '\\') >= 0 {
			return "", "", "", false
		}
		rest = trim(rest)
	} else {
		end := strings.IndexByte(rest, ',')
		if end < 0 {
			end = len(rest)
		}
		value, rest = trim(rest[:end]), rest[end:]
		if strings.ContainsAny(value, `"\ `) {
			return "", "", "", false
		}
	}
	if rest == "" {
		return name, value, "", true
	}
	after, ok := strings.CutPrefix(rest, ",")
	after = trim(after)
	return name, value, after, ok && after != ""
}

// trim takes the white space around s away; a header has no line breaks.
func trim(s string) string { return textproto.TrimString(s) }
