// SPDX-License-Identifier: Apache-2.0

// Package transfer moves objects over HTTP. Its client follows no redirect, asks no proxy, gives
// up what stands still, and never puts a URL into an error: URLs may be secrets.
package transfer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"
)

// Idle is how long a transfer may stand still.
const Idle = time.Minute

// connect is how long connecting, and the TLS handshake after it, may take.
const connect = 15 * time.Second

// Options says how a client connects.
type Options struct {
	// Roots are the authorities that servers' certificates come from; nil: the system's.
	Roots *x509.CertPool
	// Control, when set, may refuse the address that a connection is about to be made to, as
	// [net.Dialer.Control] may.
	Control func(network, address string, c syscall.RawConn) error
	// Idle is how long a transfer may stand still; 0: [Idle].
	Idle time.Duration
}

// Client carries out requests. It is safe for concurrent use.
type Client struct {
	http *http.Client
	idle time.Duration
}

// New makes a client.
func New(o Options) *Client {
	dialer := &net.Dialer{Timeout: connect, Control: o.Control}
	c := &Client{idle: o.Idle, http: &http.Client{
		Transport: &http.Transport{
			DialContext:         dialer.DialContext,
			TLSClientConfig:     &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: connect,
			DisableCompression:  true, // objects are what they are, and compress no further
			ForceAttemptHTTP2:   true,
			MaxIdleConns:        4,
			IdleConnTimeout:     time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if c.idle == 0 {
		c.idle = Idle
	}
	return c
}

// Close closes the connections that nobody uses.
func (c *Client) Close() { c.http.CloseIdleConnections() }

var errIdle = errors.New("the transfer stood still for too long")

// Do sends a request and answers once the head of the response is there. The caller closes its
// body.
func (c *Client) Do(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	w := &watch{cancel: cancel, idle: c.idle}
	w.timer = time.AfterFunc(c.idle, func() { cancel(errIdle) })
	r = r.WithContext(ctx)
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &watched{ReadCloser: r.Body, watch: w}
	}
	res, err := c.http.Do(r)
	if err != nil {
		w.end()
		if cause := context.Cause(ctx); errors.Is(cause, errIdle) {
			return nil, errIdle
		}
		return nil, bare(err)
	}
	res.Body = &watched{ReadCloser: res.Body, watch: w, last: true}
	return res, nil
}

// bare is err without the URL that net/http puts around it.
func bare(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// watch ends a transfer that stands still.
type watch struct {
	timer  *time.Timer
	cancel context.CancelCauseFunc
	idle   time.Duration
}

func (w *watch) moved() { w.timer.Reset(w.idle) }

func (w *watch) end() {
	w.timer.Stop()
	w.cancel(nil)
}

// watched is a body whose reading is progress.
type watched struct {
	io.ReadCloser
	watch *watch
	last  bool // the transfer ends with it
}

func (b *watched) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.watch.moved()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = bare(err)
	}
	return n, err
}

func (b *watched) Close() error {
	if b.last {
		b.watch.end()
	}
	return b.ReadCloser.Close()
}
