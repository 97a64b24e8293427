// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"
)

// restFor is how long a request is at work before the server looks whether its client hangs up.
const restFor = 50 * time.Millisecond

// rest holds back the read with which net/http looks for a hangup from the end of a request on. Most requests
// are answered long before one comes, and the read is a system call that finds nothing.
type rest struct {
	atWork  atomic.Bool   // the request is read and its answer not begun: who reads looks for a hangup
	waiting atomic.Bool   // somebody receives from wake; who clears it sends
	wake    chan struct{} // made by the first wait
	timer   *time.Timer   // likewise
}

// wait is called before a read. It returns at once, or when end was called, or after a while. It is not called
// twice at the same time while a request is at work.
func (r *rest) wait() {
	if !r.atWork.Load() {
		return
	}
	runtime.Gosched() // the request may be answered by the time it comes back
	if !r.atWork.Load() {
		return
	}
	if r.wake == nil {
		r.wake = make(chan struct{}, 1)
	}
	r.waiting.Store(true)
	if r.timer == nil {
		r.timer = time.AfterFunc(restFor, r.over)
	} else {
		r.timer.Reset(restFor)
	}
	if !r.atWork.Load() { // end may not have seen who waits
		r.over()
	}
	<-r.wake
	r.timer.Stop()
}

// over lets the read that waits go on.
func (r *rest) over() {
	if r.waiting.Load() && r.waiting.CompareAndSwap(true, false) {
		r.wake <- struct{}{}
	}
}

// end is called with each deadline for reads: net/http sets one to break the read off.
func (r *rest) end() {
	r.atWork.Store(false)
	r.over()
}

// requestBody tells its connection when the request is read.
type requestBody struct {
	io.ReadCloser
	of *rest
}

func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) { // any other error leaves something to read
		b.of.atWork.Store(true)
	}
	return n, err
}

// connKey is the key of a connection in the contexts of its requests.
type connKey struct{}

// withConn is for [http.Server.ConnContext].
func withConn(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	return context.WithValue(ctx, connKey{}, c)
}

// resting has the connection know when a request is read.
func resting(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*lazy); ok {
			if r.Body == http.NoBody {
				c.rest.atWork.Store(true)
			} else {
				r.Body = &requestBody{r.Body, &c.rest}
			}
		}
		h.ServeHTTP(w, r)
	})
}
