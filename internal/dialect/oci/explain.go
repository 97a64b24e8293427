// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"crypto"
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"claviger/internal/identity"
)

// explain says why a signature does not verify. A signature does not tell what was signed, but
// it tells whether it was this or that: where hints are shown to everybody, the mistakes that
// clients and proxies make are tried one by one.
func (d *Dialect) explain(r *http.Request, cred *identity.Credential, headers string, signed, value []byte) string {
	if d.cfg.Hints {
		for _, g := range guesses(r) {
			other := r.Clone(r.Context())
			g.change(other)
			b, _, err := appendSigningString(nil, other, headers)
			if err != nil || string(b) == string(signed) {
				continue
			}
			digest := sha256.Sum256(b)
			if cred.VerifyRSA(crypto.SHA256, digest[:], value) {
				return g.what
			}
		}
	}
	return fmt.Sprintf("the signature is not of this request by the key %s: the server has checked %q, in that order; "+
		"look for a header changed on the way, or for another private key", cred.Name, signed)
}

// guess is a mistake and the request as it would have been with it.
type guess struct {
	what   string
	change func(*http.Request)
}

func guesses(r *http.Request) []guess {
	var out []guess
	host := func(h string) {
		out = append(out, guess{
			fmt.Sprintf("the signature is for host %q but the request came with %q", h, r.Host),
			func(o *http.Request) { o.Host = h },
		})
	}
	target := func(t string) {
		out = append(out, guess{
			fmt.Sprintf("the signature is for the target %q but the request came with %q", t, r.RequestURI),
			func(o *http.Request) { o.RequestURI = t },
		})
	}
	name, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		name, port = r.Host, ""
	}
	for _, n := range []string{name, "localhost", "127.0.0.1", "[::1]"} {
		for _, p := range []string{"", port, "80", "443"} {
			host(strings.TrimSuffix(n+":"+p, ":"))
		}
	}
	host(strings.ToLower(r.Host))
	path, query, hasQuery := strings.Cut(r.RequestURI, "?")
	target(path)
	target("/" + strings.TrimLeft(path, "/"))
	target("/" + r.RequestURI)
	if decoded, err := url.PathUnescape(r.RequestURI); err == nil {
		target(decoded)
	}
	if hasQuery {
		target(path + "?" + strings.ReplaceAll(query, "+", "%20"))
		target(path + "?" + strings.ReplaceAll(query, "%2F", "/"))
	}
	out = append(out, guess{
		"the signature is for content-type application/json but the request came with another",
		func(o *http.Request) { o.Header.Set("Content-Type", "application/json") },
	})
	for _, h := range []string{"http", "https"} {
		target(h + "://" + r.Host + r.RequestURI)
	}
	return out
}
