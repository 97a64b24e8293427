// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"claviger/internal/dialect"
)

// A source whose signatures do not verify is told to wait, as the cloud's gateway does, and whoever
// has verified there before is not held back by it.
func TestFailedSignaturesOfASource(t *testing.T) {
	t.Parallel()
	c := newCloud(t, func(cfg *Config) {
		cfg.Guard = dialect.NewGuard(dialect.GuardConfig{Failures: 2, Now: cfg.Now})
	})
	key := c.newKey(t)
	stranger := c.Other
	stranger.Secret = "wrong"
	seen := map[string]int{}
	var last reply
	for i := range 40 {
		if i%2 == 0 {
			last = c.callAs(t, stranger, "ListKeys")
		} else {
			last = c.callACS3(t, stranger, "ListKeys")
		}
		seen[last.code()]++
	}
	if seen["400 SignatureDoesNotMatch"] != 10 || seen["400 Throttling"] != 30 {
		t.Errorf("answers %v, want 10 that do not verify and 30 throttled", seen)
	}
	if last.header.Get("X-Acs-Retry-After") == "" || last.header.Get(dialect.HintHeader) == "" {
		t.Errorf("refused with the headers %v", last.header)
	}
	if r := c.call(t, "Encrypt", "KeyId="+key, "Plaintext=aGVsbG8="); r.status != http.StatusOK {
		t.Errorf("who has verified before is answered %s", r)
	}
	if r := c.callAs(t, c.Other, "ListKeys"); r.code() != "400 Throttling" {
		t.Errorf("who has not is answered %s", r)
	}
	c.Clock.Add(time.Second)
	if r := c.callAs(t, c.Other, "ListKeys"); r.status != http.StatusOK {
		t.Errorf("a second later: %s", r)
	}
	unknown := c.Other
	unknown.AccessKey = "LTAIunknown"
	for range 40 {
		last = c.callAs(t, unknown, "ListKeys")
	}
	if last.code() != "400 Throttling" {
		t.Errorf("unknown access keys are looked up without end: %s", last)
	}
}

// Whose body finds no room is told to wait as a source that is throttled is, before any of it is read, and
// what is small or in the query goes on.
func TestNoRoomForABody(t *testing.T) {
	t.Parallel()
	var guard *dialect.Guard
	c := newCloud(t, func(cfg *Config) {
		guard = dialect.NewGuard(dialect.GuardConfig{Unverified: 2 * maxRequest, Now: cfg.Now, Within: func(ctx context.Context, _ time.Duration) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			cancel() // nobody waits
			return ctx, cancel
		}})
		cfg.Guard = guard
	})
	key := c.newKey(t)
	stranger, err := net.Dial("tcp", c.host)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if _, err := fmt.Fprintf(stranger, "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\nAction=", maxRequest); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(2 * time.Minute); guard.Stats().Bodies != maxRequest; <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the stranger takes no room")
		}
	}
	describe := func(length int) reply {
		values := c.common(c.Tenant, "UpdateKeyDescription")
		set(values, []string{"KeyId=" + key, "Description=" + strings.Repeat("x", 8000), "Padding=" + strings.Repeat("x", length)})
		return c.sendV1(t, http.MethodPost, c.Tenant.Secret, values, []string{"Description", "Padding"})
	}
	if r := describe(maxRequest - 10_000); r.code() != "400 Throttling" || r.header.Get("X-Acs-Retry-After") == "" || r.header.Get(dialect.HintHeader) == "" {
		t.Errorf("a long form is answered %s %v", r, r.header)
	}
	if r := describe(0); r.status != http.StatusOK {
		t.Errorf("a short one is answered %s", r)
	}
	_ = stranger.Close()
	for end := time.Now().Add(2 * time.Minute); guard.Stats().Bodies != 0; <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the stranger's room is not given back")
		}
	}
	if r := describe(maxRequest - 10_000); r.status != http.StatusOK {
		t.Errorf("after the stranger a long form is answered %s", r)
	}
}
