// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quiet logs nothing.
func writable() error { return nil }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// newServer makes a server that is shut down when the test ends.
func newServer(t *testing.T, o Options) *Server {
	t.Helper()
	if o.Log == nil {
		o.Log = quiet()
	}
	s := New(o)
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Errorf("shut down: %v", err)
		}
	})
	return s
}

// serve binds a free port and answers there with h.
func serve(t *testing.T, s *Server, h http.Handler) *Endpoint {
	t.Helper()
	e, err := s.Bind("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Serve(h); err != nil {
		t.Fatal(err)
	}
	return e
}

// client makes each request on a connection of its own, so that none is left over.
func client() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
}

// text answers with a text.
func text(s string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) })
}

// get reads an answer.
func get(t *testing.T, c *http.Client, url string) (status int, body string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// taken reports whether somebody listens at address.
func taken(address string) bool {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}
