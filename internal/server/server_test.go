// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestServe(t *testing.T) {
	t.Parallel()
	e := serve(t, newServer(t, Options{}), text("hello"))
	if e.Scheme() != "http" || !strings.HasPrefix(e.URL(), "http://127.0.0.1:") || e.Port() == 0 {
		t.Errorf("URL is %s, port %d", e.URL(), e.Port())
	}
	if status, body := get(t, client(), e.URL()); status != 200 || body != "hello" {
		t.Errorf("answer is %d %q", status, body)
	}
	if err := e.Serve(text("again")); err == nil {
		t.Error("an endpoint can be served twice")
	}
}

func TestBindTaken(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	e := serve(t, s, text(""))
	if _, err := s.Bind(e.Address()); err == nil {
		t.Error("an address can be bound twice")
	}
}

// TestShutdownWaits stops a server while a request is in flight: it gets its answer, and no
// new connection is accepted.
func TestShutdownWaits(t *testing.T) {
	t.Parallel()
	s := New(Options{Log: quiet()})
	inside, release := make(chan struct{}), make(chan struct{})
	e := serve(t, s, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(inside)
		<-release
		_, _ = io.WriteString(w, "finished")
	}))
	held, err := s.Bind("127.0.0.1:0") // bound and not served
	if err != nil {
		t.Fatal(err)
	}
	type answer struct {
		body string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		resp, err := client().Get(e.URL())
		if err != nil {
			answers <- answer{err: err}
			return
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		answers <- answer{string(b), err}
	}()
	<-inside
	over := make(chan error, 1)
	go func() { over <- s.Shutdown(context.Background()) }()
	<-s.stopped
	for taken(e.Address()) { // the listener is closed soon after
		select {
		case err := <-over:
			t.Fatalf("shutdown is over, with %v, while a request is in flight", err)
		default:
		}
	}
	close(release)
	if a := <-answers; a.err != nil || a.body != "finished" {
		t.Errorf("the request in flight got %q, %v", a.body, a.err)
	}
	if err := <-over; err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if taken(held.Address()) {
		t.Error("an endpoint that was only bound is still there")
	}
	if _, err := s.Bind("127.0.0.1:0"); !errors.Is(err, ErrClosed) {
		t.Errorf("bind after shutdown: %v, want %v", err, ErrClosed)
	}
	if err := held.Serve(text("")); !errors.Is(err, ErrClosed) {
		t.Errorf("serve after shutdown: %v, want %v", err, ErrClosed)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Errorf("second shutdown: %v", err)
	}
}

// TestShutdownBounded stops a server whose request does not end.
func TestShutdownBounded(t *testing.T) {
	t.Parallel()
	s := New(Options{Log: quiet()})
	inside := make(chan struct{})
	e := serve(t, s, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(inside)
		<-r.Context().Done()
	}))
	failed := make(chan error, 1)
	go func() {
		resp, err := client().Get(e.URL())
		if err == nil {
			err = resp.Body.Close()
		}
		failed <- err
	}()
	<-inside
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); err == nil || !errors.Is(err, context.Canceled) {
		t.Errorf("shutdown: %v, want an error that says why the request was broken off", err)
	}
	if err := <-failed; err == nil {
		t.Error("the request that was broken off has an answer")
	}
}

func TestEndpointClose(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	e := serve(t, s, text("hello"))
	e.Close()
	e.Close()
	if taken(e.Address()) {
		t.Error("a closed endpoint still accepts connections")
	}
	again, err := s.Bind(e.Address())
	if err != nil {
		t.Fatalf("the address is not free after close: %v", err)
	}
	if err := again.Serve(text("again")); err != nil {
		t.Fatal(err)
	}
	if _, body := get(t, client(), again.URL()); body != "again" {
		t.Errorf("answer is %q", body)
	}
}

// TestPanic lets a handler panic: the client gets an answer without the reason, the log the
// reason, and the next request is served.
func TestPanic(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := New(Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	e := serve(t, s, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/panic":
			panic("the reason")
		case "/abort":
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, "fine")
	}))
	if status, body := get(t, client(), e.URL()+"/panic"); status != 500 || strings.Contains(body, "reason") {
		t.Errorf("the answer to a panic is %d %q", status, body)
	}
	if resp, err := client().Get(e.URL() + "/abort"); err == nil {
		resp.Body.Close()
		t.Error("an aborted request has an answer")
	}
	if status, body := get(t, client(), e.URL()+"/"); status != 200 || body != "fine" {
		t.Errorf("after a panic the answer is %d %q", status, body)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if got := log.String(); strings.Count(got, "panic in a handler") != 1 || !strings.Contains(got, "the reason") {
		t.Errorf("the log is %q", got)
	}
}

func TestHeaderLimit(t *testing.T) {
	t.Parallel()
	e := serve(t, newServer(t, Options{}), text("fine"))
	ask := func(size int) int {
		req, err := http.NewRequest(http.MethodGet, e.URL()+"/?q="+strings.Repeat("a", size), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	if status := ask(MaxHeaderBytes - 1<<10); status != 200 {
		t.Errorf("a query just below the limit is answered %d", status)
	}
	if status := ask(MaxHeaderBytes + 8<<10); status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a query above the limit is answered %d", status)
	}
}

// ready is a listener whose connections are there already.
type ready struct {
	net.Listener
	closed chan struct{}
}

func (r ready) Accept() (net.Conn, error) {
	select {
	case <-r.closed:
		return nil, net.ErrClosed
	default:
		c, _ := net.Pipe()
		return c, nil
	}
}

func (r ready) Close() error {
	close(r.closed)
	return nil
}

// TestConnectionLimit holds all connections that a listener may have: the next one is accepted
// when one is closed, and not before; and closing the listener ends the waiting.
func TestConnectionLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit(ready{closed: make(chan struct{})}, Options{Connections: 2, SourceConnections: 1}, nil) // pipes have no source
		accepted := make(chan net.Conn, 10)
		over := make(chan error, 1)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					over <- err
					return
				}
				accepted <- c
			}
		}()
		synctest.Wait()
		if n := len(accepted); n != 2 {
			t.Fatalf("%d connections are accepted at once, want 2", n)
		}
		first := <-accepted
		for range 2 { // closing twice must not make room for two
			if err := first.Close(); err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		if n := len(accepted); n != 2 {
			t.Errorf("%d connections are open after one of two was closed and followed, want 2", n)
		}
		for range 2 {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := <-over; !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept of a closed listener: %v", err)
		}
	})
}

// TestConnectionLimitServes goes through more connections than may be open at once.
func TestConnectionLimitServes(t *testing.T) {
	t.Parallel()
	e := serve(t, newServer(t, Options{Connections: 1}), text("served"))
	for range 5 {
		if _, body := get(t, client(), e.URL()); body != "served" {
			t.Errorf("a client got %q", body)
		}
	}
}

func TestEvery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Log: quiet()})
		start := time.Now()
		var at []time.Duration
		s.Every(time.Second, func(context.Context) {
			at = append(at, time.Since(start))
			time.Sleep(time.Second / 2) //nolint:forbidigo // in the bubble: the work takes its time
		})
		time.Sleep(3700 * time.Millisecond) //nolint:forbidigo // in the bubble: its clock goes on
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if len(at) != 2 || at[0] != time.Second || at[1] != 2500*time.Millisecond {
			t.Errorf("work began at %v, want 1s and 2.5s", at)
		}
		time.Sleep(time.Hour) //nolint:forbidigo // in the bubble: its clock goes on
		if len(at) != 2 {
			t.Error("work goes on after shutdown")
		}
	})
}

// TestEveryBrokenOff shuts down with no time left: work under way is told so.
func TestEveryBrokenOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Log: quiet()})
		var err error
		s.Every(time.Second, func(ctx context.Context) {
			<-ctx.Done()
			err = ctx.Err()
		})
		time.Sleep(2 * time.Second) //nolint:forbidigo // in the bubble: its clock goes on
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		start := time.Now()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != time.Minute || !errors.Is(err, context.Canceled) {
			t.Errorf("shutdown took %v and the work ended with %v", took, err)
		}
	})
}
