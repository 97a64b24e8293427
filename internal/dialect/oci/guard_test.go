// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"claviger/internal/dialect"
	"claviger/internal/keys"
	"claviger/internal/kms/kmstest"
)

// from is a client that calls from an address of loopback.
func from(t testing.TB, address string) *http.Client {
	t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	transport := &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 8}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func do(t testing.TB, client *http.Client, req *http.Request) (status int, header http.Header) {
	t.Helper()
	res, err := client.Do(req)
	if err != nil {
		t.Error(err)
		return 0, nil
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode, res.Header
}

// longKey gives a tenant's administrator an RSA-4096 key, and answers who signs with it.
func (r *rig) longKey(t testing.TB, tenant kmstest.Tenant) *signer {
	t.Helper()
	der, err := os.ReadFile("../../kms/kmstest/testdata/rsa4096.der")
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	key := parsed.(*rsa.PrivateKey)
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	s := *r.signer(tenant)
	s.keyID, s.key = strings.Replace(s.keyID, "/20:3b", "/40:96", 1), key
	if _, err := r.AddRSAKey(t.Context(), r.System("test"), tenant.Principal, s.keyID, spki); err != nil {
		t.Fatal(err)
	}
	return &s
}

// broken is a request whose signature is of another one, by whoever signs.
func (s *signer) broken(t testing.TB, now time.Time, url string, body []byte) *http.Request {
	t.Helper()
	req := s.request(t, now, "POST", url, nil, body)
	req.Header.Set("Date", now.Add(time.Second).UTC().Format(http.TimeFormat))
	return req
}

// Attackers at several addresses flood the server with signatures that do not verify, in the name of
// an RSA-4096 key. However many they send, only as many are verified as their address may fail, and
// everybody else is served, also with that very key and from one of those addresses.
func TestFloodOfFailedSignatures(t *testing.T) {
	t.Parallel()
	const failures, burst = 12, 5 // five failures of long keys fit into five seconds' worth of 12 short ones
	var guard *dialect.Guard
	r := newRig(t, func(c *Config) {
		guard = dialect.NewGuard(dialect.GuardConfig{Failures: failures, Now: c.Now, Record: func(n dialect.Refusals) {
			c.Service.RefusedMany(context.Background(), n.Source, n.Requests, n.First, n.Last)
		}})
		c.Guard, c.Hints = guard, false
	})
	long := r.longKey(t, r.Tenant)
	key := r.newKey(t, r.Tenant, "AES", 32)
	url := r.vault(r.Tenant) + "/20180608/encrypt"
	body := bodyBytes(t, map[string]any{"keyId": key["id"], "plaintext": "aGVsbG8="})
	now := r.Clock.Now()

	shared := from(t, "127.0.0.2") // an address that an attacker shares
	if status, _ := do(t, shared, r.signer(r.Tenant).request(t, now, "POST", url, nil, body)); status != http.StatusOK {
		t.Fatalf("before the attack: %d", status)
	}
	before := len(r.Audit.Events())

	const attackers, connections = 3, 4
	var flood sync.WaitGroup
	var end atomic.Bool
	var verified, refused [attackers]atomic.Int64
	for i := range attackers {
		client := from(t, fmt.Sprintf("127.0.0.%d", 2+i))
		req := long.broken(t, now, url, body)
		for range connections {
			flood.Go(func() {
				for n := 0; n < 50 || !end.Load(); n++ {
					again := req.Clone(t.Context())
					again.Body, _ = req.GetBody()
					switch status, header := do(t, client, again); status {
					case http.StatusUnauthorized:
						verified[i].Add(1)
					case http.StatusTooManyRequests:
						refused[i].Add(1)
						if seconds, _ := strconv.Atoi(header.Get("Retry-After")); seconds < 1 {
							t.Errorf("Retry-After is %q", header.Get("Retry-After"))
						}
					default:
						t.Errorf("an attacker is answered %d", status)
					}
				}
			})
		}
	}
	honest := 0
	short := r.signer(r.Tenant).request(t, now, "POST", url, nil, body)
	byLong := long.request(t, now, "POST", url, nil, body)
	for range 30 {
		for _, c := range []struct {
			client *http.Client
			req    *http.Request
		}{{shared, short}, {http.DefaultClient, byLong}, {http.DefaultClient, short}} {
			again := c.req.Clone(t.Context())
			again.Body, _ = c.req.GetBody()
			status, _ := do(t, c.client, again)
			if status != http.StatusOK {
				t.Errorf("an honest request is answered %d", status)
			}
			honest++
		}
	}
	end.Store(true)
	flood.Wait()
	sent := int64(0)
	for i := range attackers {
		n := verified[i].Load()
		sent += n + refused[i].Load()
		if n < burst || n >= burst+connections {
			t.Errorf("attacker %d had %d of %d verified, want %d and at most what was under way at once", i, n, n+refused[i].Load(), burst)
		}
	}
	guard.Flush(true)
	one, told, counted := 0, 0, 0
	for _, ev := range r.Audit.Events()[before:] {
		switch {
		case ev.Outcome == "ok":
		case ev.Context["requests"] != "":
			n, err := strconv.Atoi(ev.Context["requests"])
			if err != nil || ev.Outcome != string(keys.KindThrottled) || !strings.HasPrefix(ev.Source, "127.0.0.") {
				t.Errorf("event %+v: %v", ev, err)
			}
			told, counted = told+1, counted+n
		default:
			one++
		}
	}
	if one > attackers*(burst+connections+1) || told != attackers || int64(one+counted) != sent {
		t.Errorf("%d requests: %d events of their own and %d that tell of %d", sent, one, told, counted)
	}
	if ok := len(r.Audit.Events()) - before - one - told; ok != honest {
		t.Errorf("%d events of %d honest requests", ok, honest)
	}
	r.Clock.Add(20 * time.Second)
	client, again := from(t, "127.0.0.3"), r.signer(r.Other).broken(t, r.Clock.Now(), url, body)
	admitted := 0
	for range 2 * failures * 5 {
		req := again.Clone(t.Context())
		req.Body, _ = again.GetBody()
		if status, _ := do(t, client, req); status == http.StatusUnauthorized {
			admitted++
		}
	}
	if admitted != failures*5 {
		t.Errorf("later %d with a short key were verified, want %d", admitted, failures*5)
	}
}

// Behind a proxy that is trusted each client is a source of its own.
func TestSourcesBehindAProxy(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) {
		c.Guard = dialect.NewGuard(dialect.GuardConfig{Failures: 1, Now: c.Now, Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	})
	url := r.vault(r.Tenant) + "/20180608/keys"
	attempt := func(client string, s *signer) int {
		req := s.request(t, r.Clock.Now(), "GET", url+"?compartmentId="+r.Tenant.Names[Name], nil, nil)
		req.Header.Set("X-Forwarded-For", client)
		status, _ := do(t, http.DefaultClient, req)
		return status
	}
	wrong := *r.signer(r.Tenant)
	wrong.key = r.Other.RSAKey
	for range 20 {
		attempt("203.0.113.1", &wrong)
	}
	if status := attempt("203.0.113.1", r.signer(r.Tenant)); status != http.StatusTooManyRequests {
		t.Errorf("the client that failed is answered %d", status)
	}
	if status := attempt("203.0.113.2", r.signer(r.Tenant)); status != http.StatusOK {
		t.Errorf("another client is answered %d", status)
	}
	events := r.Audit.Events()
	if got := events[len(events)-1].Source; got != "203.0.113.2" {
		t.Errorf("the audit log's source is %s", got)
	}
}
