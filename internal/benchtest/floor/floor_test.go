// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"claviger/internal/bench"
	"claviger/internal/engine"
	kinds "claviger/internal/keys"
	"claviger/internal/secret"
)

// world is a floor with a client of each of its dialects.
type world struct {
	oci, alibaba http.Handler
	targets      map[bench.Dialect]*bench.Target
	mu           sync.Mutex
	sent         []byte // the last request, guarded by mu
}

func newWorld(t *testing.T) *world {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	s := &settings{
		KeyID: "t/u/f", PublicKey: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), AccessKey: "id", Secret: "secret",
		Names: map[string]names{"aes": {"a", "av", "aa", "aav"}, "ec": {"e", "ev", "ae", "aev"}, "rsa": {"r", "rv", "ar", "arv"}},
	}
	k, err := newKeys(s.Plain)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{targets: map[bench.Dialect]*bench.Target{}}
	if w.oci, err = newOCI(s, k); err != nil {
		t.Fatal(err)
	}
	w.alibaba = newAlibaba(s, k)
	for _, d := range bench.Dialects() {
		handler, keys := w.alibaba, map[bench.Kind]bench.Key{bench.AES: {ID: "aa", Version: "aav"}, bench.EC: {ID: "ae", Version: "aev"}, bench.RSA: {ID: "ar", Version: "arv"}}
		if d == bench.OCI {
			handler, keys = w.oci, map[bench.Kind]bench.Key{bench.AES: {ID: "a", Version: "av"}, bench.EC: {ID: "e", Version: "ev"}, bench.RSA: {ID: "r", Version: "rv"}}
		}
		w.targets[d] = &bench.Target{
			Dialect: d, Endpoint: "http://" + w.listen(t, handler), Keys: keys,
			APIKey: bench.APIKey{ID: s.KeyID, Key: private}, AccessKey: bench.AccessKey{ID: s.AccessKey, Secret: s.Secret},
		}
	}
	return w
}

// recorder keeps what a connection receives.
type recorder struct {
	net.Conn
	w *world
}

func (r *recorder) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	r.w.sent = append(r.w.sent, b[:n]...)
	return n, err
}

type recording struct {
	net.Listener
	w *world
}

func (l *recording) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &recorder{c, l.w}, nil
}

// listen serves h and records the bytes that arrive.
func (w *world) listen(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { h.ServeHTTP(rw, r) }))
	s.Listener = &recording{s.Listener, w}
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// TestEveryCall asks for everything that is compared, and has the generator check the answers.
func TestEveryCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for d, target := range w.targets {
		for _, op := range []string{"encrypt", "decrypt", "generate-data-key", "sign-ec", "sign-rsa"} {
			res := load(t, target, op, 20, time.Now)
			if len(res.Errors) > 0 || res.Requests != 20 {
				t.Errorf("%s %s: %d answers, errors %+v", d, op, res.Requests, res.Errors)
			}
		}
	}
}

// TestEnvelope opens what the floor encrypts as Claviger's own envelope, and the other way.
func TestEnvelope(t *testing.T) {
	t.Parallel()
	k, err := newKeys(false)
	if err != nil {
		t.Fatal(err)
	}
	key, err := engine.Open(kinds.AES256, secret.New(k.material))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := k.seal([]byte("floor"))
	if err != nil {
		t.Fatal(err)
	}
	if plaintext, _, err := key.Unseal(k.key, sealed, nil); string(plaintext) != "floor" {
		t.Errorf("Claviger opens what the floor sealed as %q, %v", plaintext, err)
	}
	if sealed, err = key.Seal(rand.Reader, k.key, engine.Header{Version: k.version}, nil, []byte("claviger")); err != nil {
		t.Fatal(err)
	}
	if plaintext, err := k.open(sealed); string(plaintext) != "claviger" {
		t.Errorf("the floor opens what Claviger sealed as %q, %v", plaintext, err)
	}
}

// load puts n requests of one operation on a target.
func load(t *testing.T, target *bench.Target, op string, n int64, now func() time.Time) *bench.Result {
	t.Helper()
	p, err := bench.Prepare(t.Context(), target, bench.Workload{Mix: []bench.Share{{Operation: op, Weight: 1}}, Size: 100, Connections: 1, Pool: 4},
		bench.Surroundings{Now: now, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	res, err := p.Do(t.Context(), bench.Run{Duration: time.Hour, Requests: n})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// TestEveryByte changes each byte of what is signed, and of the signature: none of the changed requests
// may be answered with a success.
func TestEveryByte(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, d := range bench.Dialects() {
		w.mu.Lock()
		w.sent = nil
		w.mu.Unlock()
		if res := load(t, w.targets[d], "encrypt", 1, time.Now); len(res.Errors) > 0 {
			t.Fatalf("%s: %+v", d, res.Errors)
		}
		w.mu.Lock()
		raw := bytes.Clone(w.sent)
		w.mu.Unlock()
		handler, id := w.alibaba, "X-Acs-Request-Id"
		if d == bench.OCI {
			handler, id = w.oci, "Opc-Request-Id"
		}
		answer := replay(handler, raw)
		if answer.Code != http.StatusOK {
			t.Fatalf("%s: the request itself is answered %d", d, answer.Code)
		}
		if len(answer.Header()[id]) != 1 || len(answer.Header()) != 2 { // and Content-Type
			t.Errorf("%s: the answer's header is %v, without what Claviger's has", d, answer.Header())
		}
		changed := 0
		for _, part := range signedParts(t, d, raw) {
			for i := part[0]; i < part[1]; i++ {
				other := bytes.Clone(raw)
				if other[i] ^= 1; other[i] < ' ' || other[i] == 0x7f {
					continue // net/http refuses it before
				}
				if replay(handler, other).Code == http.StatusOK {
					t.Errorf("%s: with byte %d changed from %q to %q the request is still answered", d, i, raw[i], other[i])
				}
				changed++
			}
		}
		if changed < 300 {
			t.Errorf("%s: only %d bytes were changed", d, changed)
		}
	}
}

// replay gives a handler a request, and its answer; status 0 if it is no request any more.
func replay(h http.Handler, raw []byte) *httptest.ResponseRecorder {
	none := &httptest.ResponseRecorder{}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return none
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return none
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// signedParts are the ranges of a request that its signature covers, and the signature itself but for
// the last character of base64 before its padding, of which not every bit counts.
func signedParts(t *testing.T, d bench.Dialect, raw []byte) (out [][2]int) {
	t.Helper()
	text := string(raw)
	add := func(before, after string, less int) {
		t.Helper()
		start := strings.Index(text, before)
		if start < 0 {
			t.Fatalf("%s: %q is not in %q", d, before, text)
		}
		start += len(before)
		end := strings.Index(text[start:], after)
		if end < 0 {
			t.Fatalf("%s: %q does not end in %q", d, before, text)
		}
		out = append(out, [2]int{start, start + end - less})
	}
	switch d {
	case bench.OCI:
		add("POST ", " HTTP", 0)
		add("Host: ", "\r\n", 0)
		add("Date: ", "\r\n", 0)
		add("X-Content-Sha256: ", "\r\n", 0)
		add(`keyId="`, `"`, 0)
		add(`,signature="`, `="`, len("A="))
		out = append(out, [2]int{strings.Index(text, "\r\n\r\n") + 4, len(text)})
	case bench.V1:
		add("POST /?", "&Signature=", 0)
		add("&Signature=", " HTTP", len("A%3D"))
	default:
		add("POST /?", " HTTP", 0)
		add("host: ", "\r\n", 0)
		for _, name := range []string{"x-acs-action: ", "x-acs-content-sha256: ", "x-acs-date: ", "x-acs-signature-nonce: ", "x-acs-version: "} {
			add(name, "\r\n", 0)
		}
		add("Credential=", ",", 0)
		add(",Signature=", "\r\n", 0)
	}
	return out
}

// TestOldRequest checks that time is looked at.
func TestOldRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, d := range bench.Dialects() {
		for _, off := range []time.Duration{-time.Hour, time.Hour} {
			res := load(t, w.targets[d], "encrypt", 2, func() time.Time { return time.Now().Add(off) })
			if res.Failed != 2 {
				t.Errorf("%s: requests of %v from now: %+v", d, off, res)
			}
		}
	}
}
