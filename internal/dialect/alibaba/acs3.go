// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"

	"claviger/internal/dialect"
	"claviger/internal/identity"
	"claviger/internal/keys"
)

const acs3 = "ACS3-HMAC-SHA256"

// mustSign are the headers that ACS3 has to cover, sorted.
var mustSign = [...]string{"host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"}

// mandatoryACS3 are the headers that are read, as they are asked for, and the names of the
// common parameters that they stand for.
var mandatoryACS3 = [...]struct{ header, name string }{
	{"X-Acs-Action", "Action"}, {"X-Acs-Version", "Version"}, {"X-Acs-Date", "Timestamp"}, {"X-Acs-Signature-Nonce", "SignatureNonce"},
}

// claimACS3 reads the Authorization header and the headers that it covers.
func claimACS3(h http.Header) (claim, error) {
	a, err := parseAuthorization(first(h, "Authorization"))
	if err != nil {
		return claim{}, err
	}
	c := claim{
		accessKey: a.credential, headers: a.headers, signature: a.signature,
		token: first(h, "X-Acs-Security-Token"),
	}
	var have [len(mandatoryACS3)]string
	for i, m := range mandatoryACS3 {
		v := h[m.header]
		if len(v) > 1 {
			return c, incomplete("header " + m.header + " is given more than once")
		}
		if len(v) == 1 {
			have[i] = strings.TrimSpace(v[0])
		}
		if have[i] == "" {
			return c, mandatory(m.name)
		}
	}
	c.action, c.version, c.timestamp, c.nonce = have[0], have[1], have[2], have[3]
	for _, name := range mustSign {
		if !lists(a.headers, name) {
			return c, incomplete("SignedHeaders lacks " + name)
		}
	}
	if len(h["X-Acs-Security-Token"]) > 1 {
		return c, incomplete("header x-acs-security-token is given more than once")
	}
	if c.token != "" && !lists(a.headers, "x-acs-security-token") {
		return c, incomplete("SignedHeaders lacks x-acs-security-token")
	}
	if id := first(h, "X-Acs-Accesskey-Id"); id != "" && id != c.accessKey {
		return c, incomplete("x-acs-accesskey-id differs from Credential")
	}
	return c, nil
}

func incomplete(hint string) error { return unauthenticated(codeIncomplete, "Authorization", hint) }

func lists(headers, name string) bool {
	for headers != "" {
		var h string
		if h, headers, _ = strings.Cut(headers, ";"); h == name {
			return true
		}
	}
	return false
}

// authorization is an Authorization header taken apart.
type authorization struct{ credential, headers, signature string }

// parseAuthorization reads ACS3-HMAC-SHA256 Credential=..,SignedHeaders=..,Signature=.. with
// its three parts in any order, each once.
func parseAuthorization(s string) (authorization, error) {
	var a authorization
	scheme, rest, _ := strings.Cut(s, " ")
	if scheme != acs3 {
		return a, unsupportedScheme(clip(scheme))
	}
	for rest != "" {
		var part string
		part, rest, _ = strings.Cut(rest, ",")
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		var to *string
		switch name {
		case "Credential":
			to = &a.credential
		case "SignedHeaders":
			to = &a.headers
		case "Signature":
			to = &a.signature
		default:
			return a, incomplete("Authorization has an unknown part")
		}
		if *to != "" || value == "" {
			return a, incomplete("Authorization has an empty or repeated part")
		}
		*to = value
	}
	if a.credential == "" || a.headers == "" || a.signature == "" {
		return a, incomplete("Authorization needs Credential, SignedHeaders and Signature")
	}
	if !headerList(a.headers) {
		return a, incomplete("SignedHeaders is a list of lower-case header names, sorted, each once, joined with ;")
	}
	return a, nil
}

// headerList reports whether s is a list of header names as SignedHeaders has to be.
func headerList(s string) bool {
	before := ""
	for more := true; more; {
		var name string
		name, s, more = strings.Cut(s, ";")
		if name <= before || !lowerName(name) {
			return false
		}
		before = name
	}
	return true
}

// lowerName reports whether a header's name is in lower case.
func lowerName(name string) bool {
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// canonicalACS3 is the canonical request: method, path, query rebuilt from the decoded
// parameters, the signed headers as received, their list, the body's hash. plainNames leaves
// the names of parameters as they are but for asterisks, which is what the cloud's clients do. It lies
// in p's scratch space.
func canonicalACS3(r *http.Request, p *params, headers, bodyHash string, plainNames bool) []byte {
	b := p.room(512 + p.roomEncoded())
	path := "/"
	if r.URL.Path == dialect.BatchPath {
		path = dialect.BatchPath
	}
	b = append(append(append(append(b, r.Method...), '\n'), path...), '\n')
	first := true
	for i := range p.list {
		q := &p.list[i]
		if q.form {
			continue
		}
		if !first {
			b = append(b, '&')
		}
		first = false
		if plainNames {
			b = append(b, strings.ReplaceAll(q.name, "*", "%2A")...)
		} else {
			b = appendEncoded(b, q.name)
		}
		b = append(b, '=')
		b = appendEncoded(b, q.value)
	}
	b = append(b, '\n')
	for rest, more := headers, true; more; {
		var name string
		name, rest, more = strings.Cut(rest, ";")
		b = append(append(b, name...), ':')
		if name == "host" {
			b = append(b, r.Host...)
		} else {
			for i, v := range r.Header[headerKey(name)] {
				if i > 0 {
					b = append(b, ',')
				}
				b = append(b, strings.TrimSpace(v)...)
			}
		}
		b = append(b, '\n')
	}
	b = append(b, '\n')
	b = append(append(b, headers...), '\n')
	b = append(b, bodyHash...)
	p.scratch = b
	return b
}

// headerKey is how a header that is signed in lower case is called in http.Header. Those of every request
// are known.
func headerKey(name string) string {
	switch name {
	case "content-type":
		return "Content-Type"
	case "x-acs-action":
		return "X-Acs-Action"
	case "x-acs-content-sha256":
		return "X-Acs-Content-Sha256"
	case "x-acs-date":
		return "X-Acs-Date"
	case "x-acs-signature-nonce":
		return "X-Acs-Signature-Nonce"
	case "x-acs-version":
		return "X-Acs-Version"
	}
	return http.CanonicalHeaderKey(name)
}

func stringToSignACS3(r *http.Request, p *params, headers, bodyHash string, plainNames bool) []byte {
	sum := sha256.Sum256(canonicalACS3(r, p, headers, bodyHash, plainNames))
	b := make([]byte, 0, len(acs3)+1+2*sha256.Size)
	return hex.AppendEncode(append(append(b, acs3...), '\n'), sum[:])
}

// namesCanStayPlain reports whether a canonical query with plain names differs from one with
// encoded names and still says where each name ends: then no other parameters have it. The
// names of every documented parameter are the same in both; those of a flattened map may not be.
func (p *params) namesCanStayPlain() bool {
	differs := false
	for i := range p.list {
		q := &p.list[i]
		if q.form {
			continue
		}
		for j := range len(q.name) {
			switch c := q.name[j]; {
			case c <= ' ', c == '&', c == '=', c == '%', c == '+', c == 0x7f:
				return false
			case !unreserved(c) && c != '*':
				differs = true
			}
		}
	}
	return differs
}

func checkDigest(given string, body []byte) error {
	sum := sha256.Sum256(body)
	var want [2 * sha256.Size]byte
	if hex.Encode(want[:], sum[:]); given != string(want[:]) {
		return unauthenticated(codeMismatch, "x-acs-content-sha256", "x-acs-content-sha256 is not the SHA-256 of the body that arrived")
	}
	return nil
}

func (c *claim) verifyACS3(cred *identity.Credential, p *params, r *http.Request, body []byte) error {
	bodyHash := strings.TrimSpace(first(r.Header, "X-Acs-Content-Sha256"))
	if !c.batch { // whose body is compared once it is there
		if err := checkDigest(bodyHash, body); err != nil {
			return err
		}
	}
	var mac [sha256.Size]byte
	if !decodeLowerHex(mac[:], c.signature) {
		return incomplete("Signature is not the lower-case hex of 32 bytes")
	}
	toSign := stringToSignACS3(r, p, c.headers, bodyHash, false)
	if cred.VerifyMAC(identity.HMACSHA256, toSign, mac[:]) ||
		(p.namesCanStayPlain() && cred.VerifyMAC(identity.HMACSHA256, stringToSignACS3(r, p, c.headers, bodyHash, true), mac[:])) {
		return nil
	}
	return &keys.Error{
		Kind: keys.KindUnauthenticated, Field: "Signature",
		Hint: "the signature is not by the AccessKey " + c.accessKey + ": its secret is wrong, or the request was changed on its way; the host header arrived as " +
			clip(r.Host) + ", which a proxy may have rewritten",
		Err: &mismatch{codeMismatch, string(toSign)},
	}
}
