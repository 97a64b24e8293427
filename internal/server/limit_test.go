// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

// knock connects to an endpoint from an address of this machine and sends a request. It answers the
// connection, which is kept alive, or nil when the server closed it.
func knock(t *testing.T, e *Endpoint, from string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: time.Minute}
	c, err := d.Dial("tcp", e.Address())
	if err != nil {
		return nil // it was closed before the dialler looked
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	first := make([]byte, 1)
	if err == nil {
		_, err = io.ReadFull(c, first)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("a connection is neither answered nor closed")
	}
	if err != nil {
		return nil
	}
	return c
}

// TestSourceConnections has one source take all that it may have: the next connection is closed,
// other sources are served, and what is given back can be had again.
func TestSourceConnections(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{Connections: 100, SourceConnections: 2})
	e := serve(t, s, text("served"))
	first, second := knock(t, e, "127.0.0.1"), knock(t, e, "127.0.0.1")
	if first == nil || second == nil {
		t.Fatal("a source did not get what it may have")
	}
	for i := range 5 {
		if knock(t, e, "127.0.0.1") != nil {
			t.Fatal("a source has more than it may have")
		}
		if got := s.Refused(); got != int64(i+1) {
			t.Errorf("%d connections were refused, want %d", got, i+1)
		}
	}
	if knock(t, e, "127.0.0.2") == nil {
		t.Error("another source is not served")
	}
	other := serve(t, s, text("served"))
	if knock(t, other, "127.0.0.1") == nil {
		t.Error("what a source has of one listener counts at another")
	}
	_ = first.Close()
	for end := time.Now().Add(time.Minute); knock(t, e, "127.0.0.1") == nil; { // the server sees the end soon after
		if time.Now().After(end) {
			t.Fatal("what a source gave back it cannot have again")
		}
	}
}

// TestTrustedConnections lets a trusted proxy have as many as the listener has.
func TestTrustedConnections(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{Connections: 100, SourceConnections: 1, Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}})
	e := serve(t, s, text("served"))
	for range 5 {
		if knock(t, e, "127.0.0.2") == nil {
			t.Fatal("a trusted proxy was refused")
		}
	}
	if knock(t, e, "127.0.0.1") == nil {
		t.Error("a source was refused its first")
	}
	if knock(t, e, "127.0.0.1") != nil {
		t.Error("a source that is no proxy has more than it may have")
	}
}

// from is a connection from an address.
type from struct {
	net.Conn
	address net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.address }

// TestSources says which addresses are one source.
func TestSources(t *testing.T) {
	t.Parallel()
	l := limit(nil, Options{Connections: 1, SourceConnections: 1, Trusted: []netip.Prefix{netip.MustParsePrefix("2001:db8:9::/48")}}, nil).(*limited)
	for address, want := range map[string]string{
		"192.0.2.1":              "192.0.2.1",
		"::ffff:192.0.2.1":       "192.0.2.1",
		"2001:db8:1:2:3:4:5:6":   "2001:db8:1:2::",
		"2001:db8:1:2:ffff::":    "2001:db8:1:2::",
		"2001:db8:1:3::1":        "2001:db8:1:3::",
		"2001:db8:9:1:2:3:4:5":   "",
		"fe80::1:2:3:4%ethernet": "fe80::",
	} {
		a := netip.MustParseAddr(address)
		got, counts := l.source(from{address: &net.TCPAddr{IP: a.AsSlice(), Zone: a.Zone()}})
		if counts != (want != "") || counts && got.String() != want {
			t.Errorf("%s is of %s (counts: %t), want %q", address, got, counts, want)
		}
	}
}
