// SPDX-License-Identifier: Apache-2.0

package live

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Admin is a client of the server's own admin API.
type Admin struct {
	access AdminAccess
	http   *http.Client
}

func newAdmin(access AdminAccess) *Admin {
	return &Admin{access: access, http: &http.Client{Timeout: 2 * time.Minute}}
}

// Through sends what follows by another transport: one that knows the authority of a server with TLS.
func (a *Admin) Through(t http.RoundTripper) { a.http.Transport = t }

// Key is one key as the admin API shows it: the same thing with its name in each cloud.
type Key struct {
	ID       string       `json:"id"`
	Names    Names        `json:"names"`
	State    string       `json:"state"`
	Versions []KeyVersion `json:"versions"`
}

// KeyVersion is one version of a Key.
type KeyVersion struct {
	ID    string `json:"id"`
	Names Names  `json:"names"`
	State string `json:"state"`
}

// Names are the identifiers of one thing by cloud; empty where a cloud does not show it.
type Names struct {
	OCI     string `json:"oci"`
	Alibaba string `json:"alibaba"`
}

// StatusError is a refusal of the admin API.
type StatusError struct {
	Method, Path string
	Status       int
	Body         string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s %s: status %d: %s", e.Method, e.Path, e.Status, e.Body)
}

// Do sends one request under /admin/v1, with in as its JSON body unless nil, and decodes the answer
// into out unless nil. A status that is not 2xx is a *StatusError.
func (a *Admin) Do(method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequest(method, a.access.Endpoint+"/admin/v1/"+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+a.access.Token)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return &StatusError{Method: method, Path: path, Status: resp.StatusCode, Body: strings.TrimSpace(string(raw))}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("%s %s: parse answer: %w\n%s", method, path, err, raw)
	}
	return nil
}

func (a *Admin) must(t testing.TB, method, path string, in, out any) {
	t.Helper()
	if err := a.Do(method, path, in, out); err != nil {
		t.Fatalf("admin API: %v", err)
	}
}

// Now is the server's domain time.
func (a *Admin) Now(t testing.TB) time.Time {
	t.Helper()
	var clock struct {
		Now time.Time `json:"now"`
	}
	a.must(t, http.MethodGet, "clock", nil, &clock)
	return clock.Now
}

// Advance moves the server's domain time forward by d; events that fall due run before it returns.
func (a *Admin) Advance(t testing.TB, d time.Duration) {
	t.Helper()
	a.must(t, http.MethodPost, "clock", map[string]string{"advance": d.String()}, nil)
}

// Freeze stops the server's domain time, so that "exactly seven days" can be exact.
func (a *Admin) Freeze(t testing.TB) {
	t.Helper()
	a.must(t, http.MethodPost, "clock", map[string]bool{"freeze": true}, nil)
}

// ToNextEvent moves the server's domain time to the next scheduled event.
func (a *Admin) ToNextEvent(t testing.TB) {
	t.Helper()
	a.must(t, http.MethodPost, "clock", map[string]bool{"toNextEvent": true}, nil)
}

// Reset takes the server back to its first state and to real time.
func (a *Admin) Reset(t testing.TB) {
	t.Helper()
	a.must(t, http.MethodPost, "reset", nil, nil)
}

// Key finds a key by its id in any cloud's form.
func (a *Admin) Key(t testing.TB, id string) Key {
	t.Helper()
	var key Key
	a.must(t, http.MethodGet, "keys/"+url.PathEscape(id), nil, &key)
	return key
}
