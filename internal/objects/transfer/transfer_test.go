// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A transfer that stands still is given up, before the answer and within it, and so is one whose
// context ends.
func TestStandingStill(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("begun"))
			_ = http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	get := func(ctx context.Context, idle time.Duration, path string) (*http.Response, error) {
		c := New(Options{Idle: idle})
		t.Cleanup(c.Close)
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		return c.Do(r)
	}
	res, err := get(t.Context(), 20*time.Millisecond, "/head")
	if !errors.Is(err, errIdle) {
		t.Errorf("no answer: %v %v", res, err)
	}
	if res, err = get(t.Context(), 500*time.Millisecond, "/body"); err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(res.Body)
	if err == nil || string(content) != "begun" || strings.Contains(err.Error(), "://") {
		t.Errorf("an answer that stops: %q %v", content, err)
	}
	_ = res.Body.Close()
	ctx, cancel := context.WithCancel(t.Context())
	if res, err = get(ctx, 0, "/body"); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.ReadAll(res.Body); !errors.Is(err, context.Canceled) {
		t.Errorf("when the context ends: %v", err)
	}
	_ = res.Body.Close()
}

// No proxy of the environment, no redirect.
func TestNothingInBetween(t *testing.T) {
	t.Parallel()
	c := New(Options{})
	if c.http.Transport.(*http.Transport).Proxy != nil {
		t.Error("there is a proxy")
	}
	server := httptest.NewServer(http.RedirectHandler("/elsewhere", http.StatusFound))
	t.Cleanup(server.Close)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(r)
	if err != nil || res.StatusCode != http.StatusFound {
		t.Fatalf("a redirect: %v %v", res, err)
	}
	_ = res.Body.Close()
}
