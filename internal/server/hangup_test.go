// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestRest reads at every moment of a request: held back is only what looks for a hangup.
func TestRest(t *testing.T) {
	t.Parallel()
	read := func(c net.Conn) error {
		_, err := c.Read(make([]byte, 1))
		return err
	}
	for name, run := range map[string]func(t *testing.T, c *lazy, far net.Conn){
		"before": func(t *testing.T, c *lazy, far net.Conn) {
			go func() { _, _ = far.Write([]byte{0}) }()
			must(t, read(c))
			elapsed(t, 0)
		},
		"at work": func(t *testing.T, c *lazy, far net.Conn) {
			c.rest.atWork.Store(true)
			go func() { _, _ = far.Write([]byte{0}) }()
			must(t, read(c))
			elapsed(t, restFor)
		},
		"hung up": func(t *testing.T, c *lazy, far net.Conn) {
			c.rest.atWork.Store(true)
			_ = far.Close()
			if err := read(c); !errors.Is(err, io.EOF) {
				t.Errorf("it ended with %v", err)
			}
			elapsed(t, restFor)
		},
		"broken off": func(t *testing.T, c *lazy, _ net.Conn) {
			for range 3 {
				c.rest.atWork.Store(true)
				go func() {
					time.Sleep(time.Millisecond) //nolint:forbidigo // in the bubble: the read waits by then
					_ = c.SetReadDeadline(time.Unix(1, 0))
				}()
				if err := read(c); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("it ended with %v", err)
				}
				must(t, c.SetReadDeadline(time.Time{}))
			}
			elapsed(t, 3*time.Millisecond)
		},
		"broken off before": func(t *testing.T, c *lazy, _ net.Conn) {
			c.rest.atWork.Store(true)
			must(t, c.SetReadDeadline(time.Unix(1, 0)))
			if err := read(c); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("it ended with %v", err)
			}
			elapsed(t, 0)
		},
		"answered": func(t *testing.T, c *lazy, far net.Conn) {
			c.rest.atWork.Store(true)
			go func() { _, _ = io.CopyN(far, far, 1) }()
			_, err := c.Write([]byte{0})
			must(t, err)
			must(t, read(c))
			elapsed(t, 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, _, far := pipe(t)
				run(t, c, far)
			})
		})
	}
}

// elapsed fails unless so much of a bubble's time is over.
func elapsed(t *testing.T, want time.Duration) {
	t.Helper()
	if got := time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)); got != want {
		t.Errorf("it took %v, want %v", got, want)
	}
}

// single is a listener of one connection.
type single struct {
	net.Listener
	conn chan net.Conn
}

func (l single) Accept() (net.Conn, error) {
	if c, ok := <-l.conn; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (l single) Addr() net.Addr { return &net.TCPAddr{} }
func (l single) Close() error   { return nil }

// TestResting sends requests of every form over one connection: none waits for the look for a hangup, even
// where the handler gives way to it.
func TestResting(t *testing.T) {
	t.Parallel()
	const get, post = "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n"
	for name, tc := range map[string]struct {
		sends   []string // a millisecond apart
		unread  bool     // the handler leaves the body
		answers int
	}{
		"without a body":    {sends: []string{get}, answers: 1},
		"with a body":       {sends: []string{post + "body"}, answers: 1},
		"a body in pieces":  {sends: []string{post, "b", "ody"}, answers: 1},
		"a body unread":     {sends: []string{post + "body"}, answers: 1, unread: true},
		"its body comes on": {sends: []string{post, "b", "ody"}, answers: 1, unread: true},
		"one after another": {sends: []string{get, post + "body", get}, answers: 3},
		"all at once":       {sends: []string{get + post + "body" + get}, answers: 3},
		"a chunked body":    {sends: []string{"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", "4\r\nbody\r\n", "0\r\n\r\n"}, answers: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, _, far := pipe(t)
				listener := single{conn: make(chan net.Conn, 1)}
				listener.conn <- c
				s := &http.Server{ReadHeaderTimeout: time.Minute, ConnContext: withConn, Handler: resting(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if !tc.unread {
						_, _ = io.Copy(io.Discard, r.Body)
						synctest.Wait() // the look for a hangup has begun
					}
					_, _ = io.WriteString(w, "served")
				}))}
				go func() { _ = s.Serve(listener) }()
				go func() {
					for i, text := range tc.sends {
						if i > 0 {
							time.Sleep(time.Millisecond) //nolint:forbidigo // in the bubble: its clock goes on
						}
						_, _ = io.WriteString(far, text)
					}
				}()
				in := bufio.NewReader(far)
				for range tc.answers {
					response, err := http.ReadResponse(in, nil)
					must(t, err)
					body, err := io.ReadAll(response.Body)
					must(t, err)
					if string(body) != "served" {
						t.Errorf("the answer is %q", body)
					}
				}
				elapsed(t, time.Duration(len(tc.sends)-1)*time.Millisecond)
				_ = far.Close()
				close(listener.conn)
			})
		})
	}
}

// TestHangup hangs up on a handler that waits for nothing else.
func TestHangup(t *testing.T) {
	t.Parallel()
	p := newPair(t, "x")
	pair, err := tls.X509KeyPair(p.cert, p.key)
	must(t, err)
	for name, side := range map[string]struct {
		config *tls.Config
		dial   func(addr string) (net.Conn, error)
	}{
		"plain": {dial: func(addr string) (net.Conn, error) { return net.Dial("tcp", addr) }},
		"TLS": {
			config: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
			dial: func(addr string) (net.Conn, error) {
				return tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
			},
		},
	} {
		for form, request := range map[string]string{
			"without a body": "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
			"with a body":    "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody",
		} {
			t.Run(name+" "+form, func(t *testing.T) {
				t.Parallel()
				s := newServer(t, Options{TLS: side.config})
				at, over := make(chan struct{}), make(chan struct{})
				e := serve(t, s, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					close(at)
					<-r.Context().Done()
					close(over)
				}))
				c, err := side.dial(e.Address())
				must(t, err)
				_, err = io.Copy(c, strings.NewReader(request))
				must(t, err)
				<-at
				must(t, c.Close())
				<-over
			})
		}
	}
}

// TestWithConn finds the connection below TLS.
func TestWithConn(t *testing.T) {
	t.Parallel()
	c, _, _ := pipe(t)
	for name, conn := range map[string]net.Conn{"plain": c, "TLS": tls.Server(c, &tls.Config{MinVersion: tls.VersionTLS12})} {
		if got := withConn(t.Context(), conn).Value(connKey{}); got != c {
			t.Errorf("%s: %v", name, got)
		}
	}
}
