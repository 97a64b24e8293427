// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func fine(context.Context) error { return nil }

// ask sends a request line and a Host header as they are.
func ask(t *testing.T, e *Endpoint, line, host string) (status int, body string) {
	t.Helper()
	c, err := net.Dial("tcp", e.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", line, host); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(b))
}

func TestFront(t *testing.T) {
	t.Parallel()
	target := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "oci "+r.RequestURI) })
	e := serve(t, newServer(t, Options{}), &Front{
		OCI: target, Alibaba: text("alibaba"), Admin: text("admin"), Metrics: text("metrics"), Health: NewHealth(fine, writable, quiet()),
	})
	for line, want := range map[string]string{
		"GET /20180608/vaults?x=%2F": "oci /20180608/vaults?x=%2F",
		"GET //20180608/vaults":      "oci //20180608/vaults", // signed like this by clients with a slash at the end of their endpoint
		"GET /20180608/../vaults":    "oci /20180608/../vaults",
		"GET /unknown":               "oci /unknown",
		"GET /":                      "alibaba",
		"POST /?Action=Encrypt":      "alibaba",
		"POST /claviger/v1/batch":    "alibaba",
		"GET /admin/v1/keys":         "admin",
		"GET /admin":                 "oci /admin",
		"GET /metrics":               "metrics",
		"GET /healthz":               "ok",
		"GET /readyz":                "ready",
	} {
		if status, body := ask(t, e, line, "any.host"); status != 200 || body != want {
			t.Errorf("%s is answered %d %q, want %q", line, status, body, want)
		}
	}
}

func TestFrontWithoutAdmin(t *testing.T) {
	t.Parallel()
	e := serve(t, newServer(t, Options{}), &Front{OCI: text("oci"), Alibaba: text("alibaba")})
	for _, path := range []string{"/admin/v1/keys", "/metrics", "/healthz", "/readyz"} {
		if _, body := ask(t, e, "GET "+path, "h"); body != "oci" {
			t.Errorf("%s is answered %q on a listener that does not have it", path, body)
		}
	}
}

func TestFrontHosts(t *testing.T) {
	t.Parallel()
	hosts := NewHosts("https://{vault}.kms.example.org", "{vault}")
	label, err := hosts.Reserve("01234567-89ab-cdef-0123-456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	if err := hosts.Open(label, text("vault")); err != nil {
		t.Fatal(err)
	}
	e := serve(t, newServer(t, Options{}), &Front{
		OCI: text("oci"), Alibaba: text("alibaba"), Health: NewHealth(fine, writable, quiet()),
		Hosts: hosts, Advertise: "https://kms.example.org",
	})
	for _, test := range []struct {
		host, path string
		status     int
		body       string
	}{
		{"kms.example.org", "/", 200, "alibaba"},
		{"KMS.example.org:443", "/20180608/vaults", 200, "oci"},
		{label + ".kms.example.org", "/20180608/keys", 200, "vault"},
		{label + ".kms.example.org", "/", 200, "vault"},
		{"other.kms.example.org", "/", 404, "404 page not found"},
		{"127.0.0.1", "/20180608/vaults", 404, "404 page not found"},
		{"127.0.0.1", "/healthz", 200, "ok"}, // asked by address
	} {
		if status, body := ask(t, e, "GET "+test.path, test.host); status != test.status || body != test.body {
			t.Errorf("%s%s is answered %d %q, want %d %q", test.host, test.path, status, body, test.status, test.body)
		}
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	var broken, refused error
	h := NewHealth(func(ctx context.Context) error {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("the check has all the time in the world")
		}
		return broken
	}, func() error { return refused }, quiet())
	e := serve(t, newServer(t, Options{}), &Front{OCI: text("oci"), Alibaba: text("alibaba"), Health: h})
	look := func(path string, wantStatus int, want string) {
		t.Helper()
		if status, body := ask(t, e, "GET "+path, "h"); status != wantStatus || body != want {
			t.Errorf("%s is answered %d %q, want %d %q", path, status, body, wantStatus, want)
		}
	}
	look("/readyz", 200, "ready")
	broken = errors.New("the store is at /secret/place")
	look("/readyz", 503, "not ready")
	look("/healthz", 200, "ok")
	broken, refused = nil, broken
	look("/readyz", 200, "ready, but changes are refused")
	refused = nil
	look("/readyz", 200, "ready")
	h.Stopping()
	look("/readyz", 503, "stopping")
	look("/healthz", 200, "ok")
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	m := NewMetrics("v1.2.3")
	m.Gauge("claviger_test_entries", "Entries.", func() float64 { return 42 })
	m.Answered("oci", "Encrypt", "", 200, 3*time.Millisecond)
	m.Answered("oci", "Encrypt", "", 200, 3*time.Millisecond)
	m.Answered("alibaba", "Encrypt", "Throttling", 400, time.Second)
	e := serve(t, newServer(t, Options{}), m.Handler())
	_, page := get(t, client(), e.URL())
	for _, want := range []string{
		`claviger_requests_total{code="OK",dialect="oci",operation="Encrypt",status="200"} 2`,
		`claviger_requests_total{code="Throttling",dialect="alibaba",operation="Encrypt",status="400"} 1`,
		`claviger_request_duration_seconds_bucket{dialect="oci",operation="Encrypt",le="0.0025"} 0`,
		`claviger_request_duration_seconds_bucket{dialect="oci",operation="Encrypt",le="0.005"} 2`,
		`claviger_build_info{goversion="go`,
		`version="v1.2.3"} 1`,
		"claviger_test_entries 42",
		"go_goroutines ",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not have %s", want)
		}
	}
}
