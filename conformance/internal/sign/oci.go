// SPDX-License-Identifier: Apache-2.0

package sign

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Form is how one of Oracle's SDKs writes the Authorization header. All forms are signature
// version 1 (draft-cavage-http-signatures-08 with RSA PKCS#1 v1.5 and SHA-256).
type Form struct {
	Name   string
	params []string // order in the Authorization header
	date   string   // the header that carries the signed time
	get    []string // signed headers without a body, as the client spells them
	post   []string // signed headers with a body
}

// Forms lists the header forms of the Go, Python (and CLI) and TypeScript SDKs.
func Forms() []Form {
	return []Form{
		{
			Name:   "Go",
			params: []string{"version", "headers", "keyId", "algorithm", "signature"},
			date:   "date",
			get:    []string{"date", "(request-target)", "host"},
			post:   []string{"date", "(request-target)", "host", "content-length", "content-type", "x-content-sha256"},
		},
		{
			Name:   "Python",
			params: []string{"algorithm", "headers", "keyId", "signature", "version"},
			date:   "date",
			get:    []string{"date", "(request-target)", "host"},
			post:   []string{"date", "(request-target)", "host", "content-length", "content-type", "x-content-sha256"},
		},
		{
			Name:   "TypeScript",
			params: []string{"version", "keyId", "algorithm", "headers", "signature"},
			date:   "x-date",
			get:    []string{"x-date", "(request-target)", "host"},
			post:   []string{"x-date", "(request-target)", "host", "Content-Type", "Content-Length", "x-content-sha256"},
		},
	}
}

// OCIKey is an API key: its name "tenancy/user/fingerprint" and the private half.
type OCIKey struct {
	ID  string
	Key *rsa.PrivateKey
}

// Sign adds the date, content and Authorization headers to req, whose body is body. A request with
// a method that may carry a body signs the content headers even when the body is empty.
func (k OCIKey) Sign(req *http.Request, body []byte, form Form, now time.Time) error {
	date := now.UTC().Format(http.TimeFormat)
	req.Header.Set("Date", date)
	if form.date != "date" {
		req.Header.Set(form.date, date)
	}
	names := form.get
	if req.Method == http.MethodPost || req.Method == http.MethodPut || req.Method == http.MethodPatch {
		names = form.post
		digest := sha256.Sum256(body)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Content-Sha256", base64.StdEncoding.EncodeToString(digest[:]))
	}
	digest := sha256.Sum256([]byte(signingString(req, len(body), names)))
	signature, err := rsa.SignPKCS1v15(nil, k.Key, crypto.SHA256, digest[:])
	if err != nil {
		return fmt.Errorf("sign request: %w", err)
	}
	values := map[string]string{
		"version":   "1",
		"headers":   strings.Join(names, " "),
		"keyId":     k.ID,
		"algorithm": "rsa-sha256",
		"signature": base64.StdEncoding.EncodeToString(signature),
	}
	fields := make([]string, len(form.params))
	for i, name := range form.params {
		fields[i] = fmt.Sprintf("%s=%q", name, values[name])
	}
	req.Header.Set("Authorization", "Signature "+strings.Join(fields, ","))
	return nil
}

// signingString joins one line per signed header. Names are written in lower case whatever their
// spelling in the headers parameter: that is what the TypeScript SDK signs.
func signingString(req *http.Request, bodyLen int, names []string) string {
	lines := make([]string, len(names))
	for i, name := range names {
		name = strings.ToLower(name)
		var value string
		switch name {
		case "(request-target)":
			value = strings.ToLower(req.Method) + " " + req.URL.RequestURI()
		case "host":
			value = req.URL.Host
		case "content-length":
			value = strconv.Itoa(bodyLen)
		default:
			value = req.Header.Get(name)
		}
		lines[i] = name + ": " + value
	}
	return strings.Join(lines, "\n")
}
