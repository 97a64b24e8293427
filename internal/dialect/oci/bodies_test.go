// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"claviger/internal/dialect"
	"claviger/internal/kms"
)

// patience ends the time of whoever waits in a guard when the test says so.
type patience struct {
	mu   sync.Mutex
	ends []context.CancelCauseFunc // guarded by mu
}

func (p *patience) within(ctx context.Context, _ time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ends = append(p.ends, cancel)
	return ctx, func() { cancel(nil) }
}

// endLast ends the time of who came last.
func (p *patience) endLast() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ends[len(p.ends)-1](context.DeadlineExceeded)
	p.ends = p.ends[:len(p.ends)-1]
}

func (p *patience) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, cancel := range p.ends {
		cancel(context.DeadlineExceeded)
	}
	p.ends = nil
}

// until waits for a condition that comes true by itself.
func until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !condition(); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in two minutes it did not come to this: %s", what)
		}
	}
}

// raw is a connection from an address of loopback on which a test writes what it likes.
type raw struct {
	net.Conn
	in *bufio.Reader
}

func dialRaw(t testing.TB, address, url string) *raw {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	c, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	return &raw{c, bufio.NewReader(c)}
}

func (c *raw) write(t testing.TB, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Error(err)
	}
}

// answer reads one answer.
func (c *raw) answer() (reply, error) {
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if res.Close {
		res.Header.Set("Connection", "close") // which reading has taken away
	}
	return reply{res.StatusCode, res.Header, body}, err
}

// Strangers at one address open many connections and send the header and all but the last byte of long
// bodies. What the server holds of them stays below the bound; small requests are answered meanwhile, from
// that address too, and long ones from another; and when the strangers end, all of it is given back.
func TestFloodOfLongBodies(t *testing.T) {
	t.Parallel()
	const (
		room, connections = 2 << 20, 40
		share             = room / 2 / maxBody // bodies that an address may have
	)
	var guard *dialect.Guard
	var patient patience
	r := newRig(t, func(c *Config) {
		guard = dialect.NewGuard(dialect.GuardConfig{Unverified: room, Now: c.Now, Within: patient.within})
		c.Guard = guard
	})
	key, vault := r.newKey(t, r.Tenant, "AES", 32), r.vault(r.Tenant)
	encrypt := func(padding int) *http.Request {
		body := map[string]any{"keyId": key["id"], "plaintext": "aGVsbG8=", "padding": strings.Repeat("x", padding)}
		return r.signer(r.Tenant).request(t, r.Clock.Now(), "POST", vault+"/20180608/encrypt", nil, bodyBytes(t, body))
	}
	var strangers []*stranger
	for i := range connections {
		c := &stranger{raw: dialRaw(t, "127.0.0.2", vault), answered: make(chan reply, 1)}
		head, last := fmt.Sprintf("Content-Length: %d\r\n\r\n", maxBody), "x"
		if i%2 == 1 {
			head, last = fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n", maxBody-1), "\r\n0\r\n\r\n"
		}
		c.last = last
		c.begin(t, "POST /20180608/encrypt HTTP/1.1\r\nHost: h\r\n"+head+strings.Repeat("x", maxBody-1))
		strangers = append(strangers, c)
	}
	until(t, "an address has its share, and the others wait", func() bool {
		s := guard.Stats()
		return s.Bodies == share*maxBody && s.BodiesWaiting == connections-share
	})
	for range 10 {
		for _, address := range []string{"127.0.0.1", "127.0.0.2"} {
			if status, _ := do(t, from(t, address), encrypt(0)); status != http.StatusOK {
				t.Errorf("a small request from %s is answered %d", address, status)
			}
		}
		if p := send(t, encrypt(maxBody/2)); p.status != http.StatusOK {
			t.Errorf("a long request from another address: %d %s", p.status, p.body)
		}
		if s := guard.Stats(); s.Bodies != share*maxBody || s.BodiesWaiting != connections-share {
			t.Errorf("meanwhile: %+v", s)
		}
	}
	patient.end()
	until(t, "who waited is refused", func() bool { return guard.Stats().BodiesRefused == connections-share })
	var holding []*stranger
	until(t, "all but those who have room are answered", func() bool {
		holding = nil
		for _, c := range strangers {
			if len(c.answered) == 0 {
				holding = append(holding, c)
			}
		}
		return len(holding) == share
	})
	for i, c := range holding {
		if i%2 == 0 {
			_ = c.Close()
			<-c.answered
			continue
		}
		c.write(t, c.last)
		if got := (<-c.answered).refusal(t); got != "401 NotAuthenticated" {
			t.Errorf("a stranger's long request: %s", got)
		}
	}
	for _, c := range strangers {
		if len(c.answered) == 0 {
			continue // it was one of those
		}
		p := <-c.answered
		if got := p.refusal(t); got != "429 TooManyRequests" || p.header.Get("Retry-After") != "1" || p.header.Get("Connection") != "close" {
			t.Errorf("who found no room: %s with %v", got, p.header)
		}
	}
	until(t, "all is given back", func() bool { return guard.Stats().Bodies == 0 })
	if p := send(t, encrypt(maxBody/2)); p.status != http.StatusOK {
		t.Errorf("after all of it: %d %s", p.status, p.body)
	}
}

// stranger is a connection whose answer is awaited while it sends.
type stranger struct {
	*raw
	last     string // of its request
	answered chan reply
}

// begin sends, as far as the server takes it.
func (c *stranger) begin(t testing.TB, request string) {
	go func() { _, _ = io.WriteString(c, request) }()
	go func() {
		p, err := c.answer()
		if err != nil {
			p = reply{}
		}
		c.answered <- p
	}()
}

// A caller who is known holds none of the room, however long the call takes.
func TestKnownCallersHoldNoRoom(t *testing.T) {
	t.Parallel()
	var guard *dialect.Guard
	r := newRig(t, func(c *Config) {
		guard = dialect.NewGuard(dialect.GuardConfig{Unverified: 1 << 20, Now: c.Now})
		c.Guard = guard
	})
	held := int64(-1)
	key := r.newKey(t, r.Tenant, "AES", 32)
	item := r.hold(t, key, func(context.Context, *kms.Call) { held = guard.Stats().Bodies })
	body := item.Parameters.(map[string]any)
	body["padding"] = strings.Repeat("x", maxBody/2)
	if p := r.call(t, r.Tenant, "POST", r.vault(r.Tenant)+"/20180608/generateDataEncryptionKey", body); p.status != http.StatusOK || held != 0 {
		t.Errorf("answered %d %s, and %d bytes were held meanwhile", p.status, p.body, held)
	}
}
