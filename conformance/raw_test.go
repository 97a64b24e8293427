// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"claviger/conformance/internal/live"
	"claviger/conformance/internal/sign"
)

// answer is what came back over the wire.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// refusal is the status and the code of the JSON body, "200" for a success.
func (a answer) refusal() string {
	if a.status/100 == 2 {
		return "200"
	}
	var body struct {
		Code string `json:"code"`
	}
	if err := json.Unmarshal(a.body, &body); err != nil {
		return fmt.Sprintf("%d with a body that is not JSON: %s", a.status, a.body)
	}
	return fmt.Sprintf("%d %s", a.status, body.Code)
}

func (a answer) into(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("parse %s: %v", a.body, err)
	}
}

// send may run in a goroutine of the test's; without an answer the status is zero.
func send(t *testing.T, req *http.Request) answer {
	t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Error(err)
		return answer{}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
		return answer{}
	}
	return answer{resp.StatusCode, resp.Header, body}
}

// rawOCI is an OCI request before it is signed. The zero form is the first of sign.Forms.
type rawOCI struct {
	key    sign.OCIKey
	form   sign.Form
	method string
	url    string
	body   string
	header map[string]string
	at     time.Time               // when it is signed; zero for now
	spoil  func(req *http.Request) // changes the signed request; nil for nothing
}

func (r rawOCI) send(t *testing.T) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), r.method, r.url, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	if r.form.Name == "" {
		r.form = sign.Forms()[0]
	}
	if r.at.IsZero() {
		r.at = time.Now()
	}
	if err := r.key.Sign(req, []byte(r.body), r.form, r.at); err != nil {
		t.Fatal(err)
	}
	if r.spoil != nil {
		r.spoil(req)
	}
	return send(t, req)
}

// rawAlibaba is an Alibaba request before it is signed.
type rawAlibaba struct {
	endpoint string
	key      sign.AccessKey
	way      string // one of the ways
	action   string
	params   url.Values
	nonce    string    // empty for a fresh one
	at       time.Time // when it is signed; zero for now
	spoil    func(req *http.Request)
}

// The ways in which clients send the same call.
const (
	wayV1Get   = "V1 GET"
	wayV1Query = "V1 POST, query"
	wayV1Form  = "V1 POST, form"
	wayV1Mixed = "V1 POST, common parameters in the query and the rest in a form" // as Terraform does
	wayACS3    = "ACS3 POST"
	wayACS3Get = "ACS3 GET"
)

func ways() []string {
	return []string{wayV1Get, wayV1Query, wayV1Form, wayV1Mixed, wayACS3, wayACS3Get}
}

// rawCaller is the first principal of p, for requests that are signed by hand.
func rawCaller(p *live.Process) rawAlibaba {
	access := p.Ready.Alibaba
	return rawAlibaba{endpoint: access.Endpoint, key: sign.AccessKey{ID: access.AccessKeyID, Secret: access.AccessKeySecret}, way: wayACS3}
}

func (r rawAlibaba) send(t *testing.T) answer {
	t.Helper()
	req := r.request(t)
	if r.spoil != nil {
		r.spoil(req)
	}
	return send(t, req)
}

func (r rawAlibaba) request(t *testing.T) *http.Request {
	t.Helper()
	if r.nonce == "" {
		r.nonce = freshNonce(t)
	}
	if r.at.IsZero() {
		r.at = time.Now()
	}
	params := url.Values{}
	for name, values := range r.params {
		params[name] = values
	}
	if r.way == wayACS3 || r.way == wayACS3Get {
		req := newRequest(t, strings.Fields(r.way)[1], r.endpoint+"/?"+params.Encode(), "")
		r.key.ACS3(req, r.action, nil, r.nonce, r.at)
		return req
	}
	if r.action != "" {
		params.Set("Action", r.action)
	}
	method := http.MethodPost
	if r.way == wayV1Get {
		method = http.MethodGet
	}
	signed := r.key.V1(method, params, r.nonce, r.at)
	query, form := signed, url.Values{}
	switch r.way {
	case wayV1Form:
		query, form = form, query
	case wayV1Mixed:
		for name, values := range r.params {
			form[name] = values
			signed.Del(name)
		}
	}
	return newRequest(t, method, r.endpoint+"/?"+query.Encode(), form.Encode())
}

func newRequest(t *testing.T, method, target, form string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, strings.TrimSuffix(target, "?"), bytes.NewReader([]byte(form)))
	if err != nil {
		t.Fatal(err)
	}
	if form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return req
}

func freshNonce(t *testing.T) string {
	t.Helper()
	nonce := make([]byte, 16)
	if _, err := rand.Read(nonce); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(nonce)
}
