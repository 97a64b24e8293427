// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	"claviger/internal/porttest"
)

// ports finds n free ports in a row and gives the first.
func ports(t *testing.T, n int) int {
	t.Helper()
	first, err := porttest.Row(n)
	if err != nil {
		t.Fatal(err)
	}
	return first
}

func TestPorts(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	first := ports(t, 3)
	foreign, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(first+1)))
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	p := NewPorts(s, "127.0.0.1", first, first+2, first, "")

	a, err := p.Reserve("a")
	if err != nil || a != strconv.Itoa(first) {
		t.Fatalf("the first port is %q, %v; want %d", a, err, first)
	}
	if err := p.Open(a, text("a")); err != nil {
		t.Fatal(err)
	}
	if _, body := get(t, client(), p.URL(a)); body != "a" {
		t.Errorf("vault a answers %q", body)
	}
	b, err := p.Reserve("b")
	if err != nil || b != strconv.Itoa(first+2) {
		t.Fatalf("the next port is %q, %v; want %d, since %d is somebody else's", b, err, first+2, first+1)
	}
	if c, err := p.Reserve("c"); err == nil {
		t.Errorf("there is a port %s although all are taken", c)
	}
	if held := p.Held(); len(held) != 2 || !slices.Contains(held, a) || !slices.Contains(held, b) {
		t.Errorf("held are %q", held)
	}
	p.Close(a)
	p.Close(a)
	if taken(net.JoinHostPort("127.0.0.1", a)) {
		t.Error("a closed port still accepts connections")
	}
	if c, err := p.Reserve("c"); err != nil || c != a {
		t.Errorf("the port given back is not given out again: %q, %v", c, err)
	}
	if err := p.Open("1", text("")); err == nil {
		t.Error("a port that is not held can be opened")
	}
}

// TestPortsBeginAnywhere looks for free ports from a given one on, and then from the first.
func TestPortsBeginAnywhere(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	first := ports(t, 3)
	p := NewPorts(s, "127.0.0.1", first, first+2, first+1, "https://kms.example.org")
	for _, want := range []int{first + 1, first + 2, first} {
		if got, err := p.Reserve("a"); err != nil || got != strconv.Itoa(want) {
			t.Errorf("the port is %q, %v; want %d", got, err, want)
		}
	}
	if got, err := p.Reserve("b"); err == nil {
		t.Errorf("there is a port %s although all are taken", got)
	}
	if want := "https://kms.example.org:7500"; p.URL("7500") != want {
		t.Errorf("URL is %s, want %s", p.URL("7500"), want)
	}
}

// TestPortsClaim takes ports that vaults had before: where they are free and ours to give.
func TestPortsClaim(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	first := ports(t, 3)
	foreign, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(first+1)))
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	p := NewPorts(s, "127.0.0.1", first, first+2, first, "")
	last := strconv.Itoa(first + 2)
	if got, err := p.Claim("a", last); err != nil || got != last {
		t.Fatalf("a free port: %q, %v, want %s", got, err, last)
	}
	if err := p.Open(last, text("a")); err != nil {
		t.Fatal(err)
	}
	if _, body := get(t, client(), p.URL(last)); body != "a" {
		t.Errorf("vault a answers %q", body)
	}
	for name, had := range map[string]string{
		"of another vault": last, "of another process": strconv.Itoa(first + 1), "below the range": "22", "beyond it": strconv.Itoa(first + 3),
		"no port": "99999", "a host label": "0123abcd", "none": "",
	} {
		got, err := p.Claim("b", had)
		if err != nil || got != strconv.Itoa(first) {
			t.Errorf("a port %s: %q, %v, want the first that is free, %d", name, got, err, first)
		}
		p.Close(got)
	}
	if _, err := p.Reserve("b"); err != nil {
		t.Fatal(err)
	}
	if got, err := p.Claim("c", last); err == nil {
		t.Errorf("there is a port %s although all are taken", got)
	}
}

// TestPortsHold takes stored ports at start. One that is taken must stop the start, and the
// message must say whose it is.
func TestPortsHold(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	first := ports(t, 1)
	port := strconv.Itoa(first)
	foreign, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	p := NewPorts(s, "127.0.0.1", first, first, first, "")
	err = p.Hold(port, "payments")
	if err == nil || !strings.Contains(err.Error(), "payments") || !strings.Contains(err.Error(), port) {
		t.Errorf("a taken port: %v, want an error that names vault and port", err)
	}
	if err := p.Hold("abcdef", "payments"); err == nil || !strings.Contains(err.Error(), "payments") {
		t.Errorf("a host label: %v, want an error that names the vault", err)
	}
	_ = foreign.Close()
	for range 2 { // a second time is no fault
		if err := p.Hold(port, "payments"); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Open(port, text("payments")); err != nil {
		t.Fatal(err)
	}
	if _, body := get(t, client(), p.URL(port)); body != "payments" {
		t.Errorf("the vault answers %q", body)
	}
}

func TestHosts(t *testing.T) {
	t.Parallel()
	h := NewHosts("https://{vault}.kms.example.org:8443", "{vault}")
	a, err := h.Reserve("01234567-89ab-cdef-0123-456789abcdef")
	if err != nil || a != "0123456789abcdef0123456789abcdef" {
		t.Fatalf("the label is %q, %v", a, err)
	}
	if want := "https://" + a + ".kms.example.org:8443"; h.URL(a) != want {
		t.Errorf("URL is %s, want %s", h.URL(a), want)
	}
	if h.Handler(a+".kms.example.org:8443") != nil {
		t.Error("a reserved label answers before it is opened")
	}
	if _, err := h.Claim("01234567-89ab-cdef-0123-456789abcdef", "7500"); err == nil {
		t.Error("a label that is taken can be claimed")
	}
	if _, err := h.Reserve("01234567-89ab-cdef-0123-456789abcdef"); err == nil {
		t.Error("a label can be reserved twice")
	}
	if err := h.Open(a, text("a")); err != nil {
		t.Fatal(err)
	}
	for host, found := range map[string]bool{
		a + ".kms.example.org:8443":                  true,
		a + ".kms.example.org":                       true, // a proxy's
		strings.ToUpper(a) + ".KMS.example.org:8443": true,
		a + ".kms.example.org.:8443":                 true,
		a + ".example.org:8443":                      false,
		a + ".kms.example.org.evil.com":              false,
		"x" + a + ".kms.example.org:8443":            false,
		"kms.example.org:8443":                       false,
		".kms.example.org:8443":                      false,
		a:                                            false,
		"":                                           false,
	} {
		if got := h.Handler(host) != nil; got != found {
			t.Errorf("host %q leads to a vault: %t, want %t", host, got, found)
		}
	}
	if err := h.Open("other", text("")); err == nil {
		t.Error("a label that is not held can be opened")
	}
	h.Close(a)
	h.Close(a)
	if h.Handler(a+".kms.example.org:8443") != nil || len(h.Held()) != 0 {
		t.Error("a closed label still answers")
	}
	if err := h.Hold("7444", "payments"); err == nil || !strings.Contains(err.Error(), "payments") {
		t.Errorf("a port: %v, want an error that names the vault", err)
	}
	if err := h.Hold(a, "payments"); err != nil || !slices.Contains(h.Held(), a) {
		t.Errorf("a stored label: %v, held %q", err, h.Held())
	}
}
