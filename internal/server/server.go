// SPDX-License-Identifier: Apache-2.0

// Package server puts handlers onto the network: listeners with bounds on what a connection
// may take, TLS whose certificate is renewed in place, a base URL for each vault, health,
// metrics, background work, and an end that lets requests in flight finish.
//
// It knows nothing of keys: what it serves is given to it as handlers and functions.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// MaxHeaderBytes is the largest request header: one full query of the largest parameter that a
// cloud's API knows, percent-encoded, fits, and more than any dialect reads (256 KiB of query).
// It bounds what a connection can make the server hold before anybody is authenticated.
const MaxHeaderBytes = 384 << 10

// drain is how long an endpoint that is closed while the server goes on waits for its requests.
const drain = 10 * time.Second

// Options bound every listener of a server.
type Options struct {
	ReadHeaderTimeout time.Duration // 0: none
	ReadTimeout       time.Duration // of a whole request; 0: none
	WriteTimeout      time.Duration // 0: none
	IdleTimeout       time.Duration // 0: none
	Connections       int           // open at once, each listener for itself; 0: no bound
	SourceConnections int           // of these, how many one source may have; 0: no bound
	// Trusted are proxies, whose connections are many clients' and count for no source.
	Trusted []netip.Prefix
	TLS     *tls.Config  // nil: plain HTTP
	Log     *slog.Logger // required
}

// Server owns listeners and background work. It is safe for concurrent use.
type Server struct {
	opts    Options
	refused atomic.Int64 // connections of sources that had too many

	work    sync.WaitGroup     // accepting, draining and background goroutines
	ctx     context.Context    // of background work
	cancel  context.CancelFunc // ends it
	stopped chan struct{}      // closed when Shutdown begins

	mu        sync.Mutex
	endpoints map[*Endpoint]struct{} // guarded by mu; those that hold an address
	closed    bool                   // guarded by mu
}

// ErrClosed says that the server is shutting down.
var ErrClosed = errors.New("the server is shutting down")

// New makes a server with no listener.
func New(o Options) *Server {
	ctx, cancel := context.WithCancel(context.Background())
	return &Server{opts: o, ctx: ctx, cancel: cancel, stopped: make(chan struct{}), endpoints: map[*Endpoint]struct{}{}}
}

// Refused is how many connections were closed as they came, because their source had as many as it
// may have.
func (s *Server) Refused() int64 { return s.refused.Load() }

// Endpoint is one bound address. It accepts connections from Bind on, and answers from Serve on.
type Endpoint struct {
	server *Server
	ln     net.Listener
	http   *http.Server // set once by Serve, under the server's lock
	plain  bool
}

// Bind takes an address, "host:port" with port 0 for any, and holds it.
func (s *Server) Bind(address string) (*Endpoint, error) { return s.bind(address, false) }

// BindPlain is Bind for a listener that speaks HTTP although the server has a certificate.
func (s *Server) BindPlain(address string) (*Endpoint, error) { return s.bind(address, true) }

func (s *Server) bind(address string, plain bool) (*Endpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	ln, err := new(net.ListenConfig).Listen(s.ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if s.opts.Connections > 0 {
		ln = limit(ln, s.opts, &s.refused)
	}
	ln = lazyListener{Listener: ln, slack: s.opts.slack()}
	e := &Endpoint{server: s, ln: ln, plain: plain || s.opts.TLS == nil}
	s.endpoints[e] = struct{}{}
	return e, nil
}

// Address is the bound address, with the port that was picked.
func (e *Endpoint) Address() string { return e.ln.Addr().String() }

// Port is the bound port.
func (e *Endpoint) Port() int {
	if a, ok := e.ln.Addr().(*net.TCPAddr); ok {
		return a.Port
	}
	return 0
}

// Scheme is "https" or "http".
func (e *Endpoint) Scheme() string {
	if e.plain {
		return "http"
	}
	return "https"
}

// URL is the base URL of the bound address.
func (e *Endpoint) URL() string { return e.Scheme() + "://" + e.Address() }

// Serve begins to answer with h, in the background. It is called once.
func (e *Endpoint) Serve(h http.Handler) error {
	s := e.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, held := s.endpoints[e]; !held {
		return ErrClosed
	}
	if e.http != nil {
		return fmt.Errorf("%s is served already", e.Address())
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true) // with HTTP/2 a connection is many requests at once, and what bounds connections bounds nothing
	e.http = &http.Server{
		Protocols:         protocols,
		Handler:           framed(resting(recovering(h, s.opts.Log))),
		ConnContext:       withConn,
		ReadHeaderTimeout: s.opts.ReadHeaderTimeout,
		ReadTimeout:       s.opts.ReadTimeout,
		WriteTimeout:      s.opts.WriteTimeout,
		IdleTimeout:       s.opts.IdleTimeout,
		MaxHeaderBytes:    MaxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.opts.Log.Handler(), slog.LevelDebug),
	}
	run := func() error { return e.http.Serve(e.ln) }
	if !e.plain {
		e.http.TLSConfig = s.opts.TLS.Clone()
		run = func() error { return e.http.ServeTLS(e.ln, "", "") }
	}
	s.work.Go(func() {
		if err := run(); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			s.opts.Log.Error("listener ended", "address", e.Address(), "error", err)
		}
	})
	return nil
}

// Close stops answering and gives the address back. Requests in flight are given a moment to
// finish, in the background. Calling it twice is harmless.
func (e *Endpoint) Close() {
	s := e.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, held := s.endpoints[e]; !held {
		return
	}
	delete(s.endpoints, e)
	_ = e.ln.Close() // at once, so that the address is free on return
	if e.http == nil {
		return
	}
	s.work.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, drain)
		defer cancel()
		_ = e.end(ctx) // logged by nobody: the listener's vault is gone
	})
}

// end finishes the endpoint's requests, or breaks them off when ctx ends.
func (e *Endpoint) end(ctx context.Context) error {
	if e.http == nil {
		return e.ln.Close()
	}
	if err := e.http.Shutdown(ctx); err != nil && ctx.Err() != nil {
		return errors.Join(err, e.http.Close())
	}
	return nil // an address that was closed before is no fault
}

// Every calls work again and again, with the interval between the end of one call and the
// start of the next, until Shutdown. Calls never overlap.
func (s *Server) Every(interval time.Duration, work func(context.Context)) {
	s.work.Go(func() {
		timer := time.NewTimer(interval)
		defer timer.Stop()
		for {
			select {
			case <-s.stopped:
				return
			case <-timer.C:
				work(s.ctx)
				timer.Reset(interval)
			}
		}
	})
}

// Shutdown stops accepting, lets requests in flight and background work finish, and returns
// when all is over. When ctx ends first, what is left is broken off, and the error says so.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		s.work.Wait()
		return nil
	}
	s.closed = true
	close(s.stopped)
	var endpoints []*Endpoint
	for e := range s.endpoints {
		endpoints = append(endpoints, e)
	}
	clear(s.endpoints)
	s.mu.Unlock()

	errs := make([]error, len(endpoints))
	var ending sync.WaitGroup
	for i, e := range endpoints {
		ending.Go(func() { errs[i] = e.end(ctx) })
	}
	ending.Wait()
	unhook := context.AfterFunc(ctx, s.cancel)
	s.work.Wait()
	unhook()
	s.cancel()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("break off requests in flight: %w", err)
	}
	return nil
}
