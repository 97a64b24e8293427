// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"claviger/internal/keys"
)

func TestEverySDKsSignatureVerifies(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for name, s := range r.signers(r.Tenant) {
		for _, tc := range []struct{ method, url, body string }{
			{"GET", r.region.URL + "/20180608/vaults?compartmentId=" + r.Tenant.Names[Name], ""},
			{"GET", r.region.URL + "/20180608/vaults?page=a%2Fb+c&compartmentId=x", ""},
			{"GET", r.region.URL + "//20180608/vaults?compartmentId=" + r.Tenant.Names[Name], ""},
			{"POST", r.region.URL + "/20180608/vaults", `{"displayName":"\u003cé"}`},
			{"POST", r.vault(r.Tenant) + "/20180608/keys/x/actions/disable", ""},
			{"PUT", r.vault(r.Tenant) + "/20180608/keys/x", "{}"},
		} {
			got := send(t, s.request(t, r.Clock.Now(), tc.method, tc.url, nil, []byte(tc.body)))
			if got.status == http.StatusUnauthorized {
				t.Errorf("%s: %s %s: %s %s", name, tc.method, tc.url, got.body, got.hint())
			}
		}
	}
}

func TestVariantsOfGoodSignatures(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	url := r.region.URL + "/20180608/vaults"
	for name, change := range map[string]func(*signer, http.Header){
		"no version":  func(s *signer, _ http.Header) { s.params = s.params[1:] },
		"x-date wins": func(s *signer, h http.Header) { s.toXDate(); h.Set("Date", "Thu, 01 Jan 1970 00:00:00 GMT") },
		"date too":    func(s *signer, h http.Header) { s.toXDate(); s.post += " date"; h.Set("Date", "anything") },
		"mixed case": func(s *signer, _ http.Header) {
			s.post = "Date (Request-Target) HOST Content-Length content-TYPE X-Content-SHA256"
		},
		"another order": func(s *signer, _ http.Header) {
			s.post = "x-content-sha256 content-type host content-length (request-target) date"
		},
		"one more header": func(s *signer, h http.Header) { s.post += " x-more"; h.Set("X-More", "a, b") },
		"two values":      func(s *signer, h http.Header) { s.post += " accept"; h["Accept"] = []string{"a, b"} },
		"content type":    func(s *signer, _ http.Header) { s.content = "application/json; charset=utf-8" },
		"4 minutes ahead": func(_ *signer, h http.Header) {
			h.Set("Date", r.Clock.Now().Add(4*time.Minute).Format(http.TimeFormat))
		},
		"5 minutes ago": func(_ *signer, h http.Header) {
			h.Set("Date", r.Clock.Now().Add(-5*time.Minute).Format(http.TimeFormat))
		},
	} {
		s, h := r.signer(r.Tenant), http.Header{}
		change(s, h)
		if got := send(t, s.request(t, r.Clock.Now(), "POST", url, h, []byte("{}"))); got.refusal(t) != "400 MissingParameter" {
			t.Errorf("%s: %d %s %s", name, got.status, got.body, got.hint())
		}
	}
}

func (s *signer) toXDate() {
	s.date = "x-date"
	s.post = strings.Replace(s.post, "date", "x-date", 1)
}

func TestRefusedSignatures(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(old, replacement string) func(*http.Request) {
		return func(q *http.Request) {
			q.Header.Set("Authorization", strings.Replace(q.Header.Get("Authorization"), old, replacement, 1))
		}
	}
	for name, tc := range map[string]struct {
		sign func(*signer)       // before signing
		send func(*http.Request) // after it
		text string              // message
		hint string              // what the hint must say
		at   func(time.Time) time.Time
	}{
		"no signature":       {send: func(q *http.Request) { q.Header.Del("Authorization") }, text: textIncomplete, hint: "0 Authorization headers"},
		"two signatures":     {send: func(q *http.Request) { q.Header["Authorization"] = append(q.Header["Authorization"], "x") }, text: textIncomplete, hint: "2 Authorization headers"},
		"another scheme":     {send: edit("Signature", "Bearer"), text: textIncomplete, hint: "does not begin with Signature"},
		"malformed":          {send: edit(`version="1"`, `version="1`), text: textIncomplete, hint: "malformed at byte"},
		"twice the same":     {send: edit(`version="1"`, `version="1",version="1"`), text: textIncomplete, hint: "version twice"},
		"no keyId":           {send: edit("keyId", "keyid"), text: textIncomplete, hint: "no keyId"},
		"another version":    {send: edit(`version="1"`, `version="2"`), text: textIncomplete, hint: "version must be 1"},
		"another algorithm":  {send: edit("rsa-sha256", "hmac-sha256"), text: textIncomplete, hint: "must be rsa-sha256"},
		"no session token":   {sign: func(s *signer) { s.keyID = "ST$eyJhbGciOi" }, text: textNotVerified, hint: "session token"},
		"on behalf of":       {send: func(q *http.Request) { q.Header.Set("Opc-Obo-Token", "x") }, text: textIncomplete, hint: "opc-obo-token"},
		"target not signed":  {sign: func(s *signer) { s.post = "date host content-length content-type x-content-sha256" }, text: textIncomplete, hint: "does not cover (request-target)"},
		"host not signed":    {sign: func(s *signer) { s.post = "date (request-target) content-length content-type x-content-sha256" }, text: textIncomplete, hint: "does not cover host"},
		"date not signed":    {sign: func(s *signer) { s.post = "(request-target) host content-length content-type x-content-sha256" }, text: textIncomplete, hint: "does not cover date"},
		"x-date not signed":  {send: func(q *http.Request) { q.Header.Set("X-Date", q.Header.Get("Date")) }, text: textIncomplete, hint: "does not cover x-date"},
		"content not signed": {sign: func(s *signer) { s.post = s.get }, text: textIncomplete, hint: "content-length, content-type, x-content-sha256"},
		"header gone":        {sign: func(s *signer) { s.post += " x-more" }, send: func(q *http.Request) { q.Header.Del("X-More") }, text: textNotVerified, hint: "covers x-more"},
		"date is no date":    {send: func(q *http.Request) { q.Header.Set("Date", "today") }, text: textIncomplete, hint: "not a date of HTTP"},
		"unknown key":        {sign: func(s *signer) { s.keyID = strings.Replace(s.keyID, "/20:", "/21:", 1) }, text: textNotVerified, hint: "no credential"},
		"another's key":      {sign: func(s *signer) { s.key = stranger }, text: textNotVerified, hint: "the server has checked"},
		"body changed":       {send: func(q *http.Request) { q.Body, q.ContentLength = body("{ }"), 3 }, text: textNotVerified, hint: "x-content-sha256 is not that of the body"},
		"host changed":       {send: func(q *http.Request) { q.Host = "kms.example.org" }, text: textNotVerified, hint: `host: kms.example.org`},
		"host without port":  {sign: func(s *signer) { s.host = "127.0.0.1" }, text: textNotVerified, hint: `the signature is for host "127.0.0.1" but the request came with "127.0.0.1:`},
		"another host":       {sign: func(s *signer) { s.host = "localhost" }, text: textNotVerified, hint: `the signature is for host "localhost"`},
		"path changed":       {send: func(q *http.Request) { q.URL.Path = "/" + q.URL.Path }, text: textNotVerified, hint: `the signature is for the target "/20180608/vaults"`},
		"query added":        {send: func(q *http.Request) { q.URL.RawQuery = "a=b" }, text: textNotVerified, hint: `the signature is for the target "/20180608/vaults" but`},
		"content type":       {send: func(q *http.Request) { q.Header.Set("Content-Type", "application/json;charset=UTF-8") }, text: textNotVerified, hint: "content-type application/json"},
		"broken base64":      {send: edit(`signature="`, `signature="!`), text: textNotVerified, hint: "base64"},
		"long signature":     {send: edit(`signature="`, `signature="`+strings.Repeat("AAAA", 200)), text: textNotVerified, hint: "base64"},
		"short signature":    {send: edit(`signature="`, `signature="AAAA`), text: textNotVerified, hint: "the server has checked"},
	} {
		s := r.signer(r.Tenant)
		if tc.sign != nil {
			tc.sign(s)
		}
		q := s.request(t, r.Clock.Now(), "POST", r.region.URL+"/20180608/vaults", http.Header{"X-More": {"x"}}, []byte("{}"))
		if tc.send != nil {
			tc.send(q)
		}
		got := send(t, q)
		if got.refusal(t) != "401 NotAuthenticated" || got.message(t) != tc.text || !strings.Contains(got.hint(), tc.hint) {
			t.Errorf("%s: %d %s, hint %q; want %q and %q", name, got.status, got.body, got.hint(), tc.text, tc.hint)
		}
	}
}

func body(s string) *bodyReader { return &bodyReader{strings.NewReader(s)} }

type bodyReader struct{ *strings.Reader }

func (*bodyReader) Close() error { return nil }

func TestClockSkew(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for _, s := range r.signers(r.Tenant) {
		for _, tc := range []struct {
			off  time.Duration
			hint string
		}{{5*time.Minute + time.Second, "5m1s ahead of"}, {-5*time.Minute - time.Second, "5m1s behind"}} {
			got := send(t, s.request(t, r.Clock.Now().Add(tc.off), "GET", r.region.URL+"/20180608/vaults", nil, nil))
			if got.refusal(t) != "401 NotAuthenticated" || !strings.Contains(got.hint(), tc.hint) {
				t.Errorf("off by %v: %s, hint %q", tc.off, got.body, got.hint())
			}
			const want = "is not within allowed clock skew. Current 'Fri, 02 Jan 2026 03:04:05 UTC', valid datetime range: ['Fri, 02 Jan 2026 02:59:05 UTC', 'Fri, 02 Jan 2026 03:09:06 UTC']"
			if m := got.message(t); !strings.HasSuffix(m, want) {
				t.Errorf("off by %v: %s", tc.off, m)
			}
		}
	}
}

// Domain time may be moved; signatures are about the machine's.
func TestMovedDomainTimeDoesNotTouchSignatures(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	if err := r.Advance(t.Context(), 1000*time.Hour); err != nil {
		t.Fatal(err)
	}
	got := r.call(t, r.Tenant, "GET", r.region.URL+"/20180608/vaults?compartmentId="+r.Tenant.Names[Name], nil)
	if got.status != http.StatusOK {
		t.Errorf("%d %s %s", got.status, got.body, got.hint())
	}
}

// A stranger learns nothing from the difference between an unknown key and a wrong signature.
func TestUnknownKeyAnswersAsWrongSignature(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.Hints = false })
	answer := func(change func(*signer)) reply {
		s := r.signer(r.Tenant)
		change(s)
		return send(t, s.request(t, r.Clock.Now(), "GET", r.region.URL+"/20180608/vaults", nil, nil))
	}
	unknown := answer(func(s *signer) { s.keyID += "0" })
	wrong := answer(func(s *signer) { s.key = r.Other.RSAKey })
	for _, got := range []reply{unknown, wrong} {
		if got.hint() != "" {
			t.Errorf("a stranger is told %q", got.hint())
		}
		got.header.Del("Opc-Request-Id")
		got.header.Del("Date")
	}
	if fmt.Sprint(unknown.status, unknown.header, string(unknown.body)) != fmt.Sprint(wrong.status, wrong.header, string(wrong.body)) {
		t.Errorf("an unknown key answers\n%v %s\na wrong signature\n%v %s", unknown.header, unknown.body, wrong.header, wrong.body)
	}
}

func TestRemovedCredentialIsUnknown(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	url := r.region.URL + "/20180608/vaults?compartmentId=" + r.Tenant.Names[Name]
	if got := r.call(t, r.Tenant, "GET", url, nil); got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	c := r.System("test")
	creds, err := r.Credentials(t.Context(), c, r.Tenant.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, cred := range creds {
		if cred.Name == r.Tenant.RSAKeyName {
			if err := r.SetCredentialDisabled(t.Context(), c, cred.ID, true); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := r.call(t, r.Tenant, "GET", url, nil)
	if got.refusal(t) != "401 NotAuthenticated" || !strings.Contains(got.hint(), "disabled") {
		t.Errorf("a disabled API key: %s, hint %q", got.body, got.hint())
	}
}

// After a 401 the CLI asks for the date with an unsigned HEAD to the bare endpoint.
func TestUnsignedHeadAnswersWithDate(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for _, base := range []string{r.region.URL, r.vault(r.Tenant)} {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodHead, base, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := send(t, q)
		if _, err := http.ParseTime(got.header.Get("Date")); err != nil || got.status != http.StatusNotFound {
			t.Errorf("HEAD: %d, %v", got.status, err)
		}
	}
}

// A chunked body has no content-length, which Oracle wants signed.
func TestChunkedBodyIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	q := r.signer(r.Tenant).request(t, r.Clock.Now(), "POST", r.region.URL+"/20180608/vaults", nil, []byte("{}"))
	q.ContentLength, q.Body = -1, body("{}")
	got := send(t, q)
	if got.refusal(t) != "401 NotAuthenticated" || !strings.Contains(got.hint(), "covers content-length") {
		t.Errorf("%s, hint %q", got.body, got.hint())
	}
}

// What no HTTP client would send, byte by byte.
func TestRawRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for _, tc := range []struct{ request, status string }{
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "404"},
		{"GET http://other/20180608/vaults HTTP/1.1\r\nHost: x\r\n\r\n", "401"},
		{"GET /20180608/vaults/%zz HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
		{"BREW /20180608/vaults HTTP/1.1\r\nHost: x\r\n\r\n", "405"},
		{"POST /20180608/vaults HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n", "413"},
		{"GET /20180608/vaults HTTP/1.1\r\nHost: x\r\nAuthorization: Signature \"\r\n\r\n", "401"},
		{"GET /20180608/vaults HTTP/1.1\r\nHost: x\r\nAuthorization: Signature\r\n\r\n", "401"},
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.region.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(tc.request)); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(conn).ReadString('\n')
		conn.Close()
		if err != nil || !strings.HasPrefix(line, "HTTP/1.1 "+tc.status) {
			t.Errorf("%q: %q, %v; want %s", tc.request, line, err, tc.status)
		}
	}
}

func TestHugeBodyIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	got := r.call(t, r.Tenant, "POST", r.region.URL+"/20180608/vaults", string(bytes.Repeat([]byte(" "), maxBody+1)))
	if got.refusal(t) != "413 RequestEntityTooLarge" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func FuzzParseSignature(f *testing.F) {
	f.Add(`Signature version="1",headers="date (request-target) host",keyId="a/b/c",algorithm="rsa-sha256",signature="AA=="`)
	f.Add(`signature algorithm="rsa-sha256", keyId="a", headers=date , signature=AA`)
	f.Add(`Signature keyId="`)
	f.Add(`Signature a=b,c=d,`)
	f.Fuzz(func(t *testing.T, header string) {
		s, err := parseSignature(header)
		if err != nil {
			if !keys.IsKind(err, keys.KindUnauthenticated) || keys.AsError(err).Hint == "" {
				t.Fatalf("%q: %v", header, err)
			}
			return
		}
		// Written out again in another form it reads the same.
		again := fmt.Sprintf("Signature keyId=%q , algorithm=rsa-sha256, x=\"\",signature=\"%s\",  headers=\"%s\"", "", s.value, s.headers)
		again = strings.Replace(again, `keyId=""`, `keyId="`+s.keyID+`"`, 1)
		if got, err := parseSignature(again); err != nil || got != s {
			t.Fatalf("%q reads as %+v, and %q as %+v, %v", header, s, again, got, err)
		}
		for _, v := range []string{s.keyID, s.headers, s.value} {
			if !strings.Contains(header, v) || strings.ContainsAny(v, "\"\\") {
				t.Fatalf("%q is not a part of %q", v, header)
			}
		}
	})
}

func FuzzSigningString(f *testing.F) {
	f.Add("date (request-target) host", "GET", "/20180608/keys?a=b", "127.0.0.1:80")
	f.Add("X-Date (Request-Target)  HOST content-length", "POST", "//20180608/keys", "h")
	f.Fuzz(func(t *testing.T, headers, method, target, host string) {
		q := &http.Request{Method: method, RequestURI: target, Host: host, Header: http.Header{"Date": {"d"}, "X-Date": {"x"}}}
		b, set, err := appendSigningString(nil, q, headers)
		if err != nil {
			return
		}
		if n := strings.Count(headers, " "); bytes.Count(b, []byte("\n")) > n+strings.Count(headers+target+host+method, "\n") {
			t.Fatalf("%q makes %q", headers, b)
		}
		if missing(q, set) == "" && (set&(signedTarget|signedHost|signedXDate)) != signedTarget|signedHost|signedXDate {
			t.Fatalf("%q covers nothing of what must be signed", headers)
		}
	})
}
