// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net"
	"sync"
)

// limited is a listener with a bound on the connections that are open at once. Above it,
// connections wait in the kernel's queue.
type limited struct {
	net.Listener
	free  chan struct{} // a token for each connection that may be open
	close func() error
	done  chan struct{} // closed by Close
}

func limit(ln net.Listener, connections int) net.Listener {
	l := &limited{Listener: ln, free: make(chan struct{}, connections), done: make(chan struct{})}
	l.close = sync.OnceValue(func() error {
		close(l.done)
		return ln.Close()
	})
	return l
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.free <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.free
		return nil, err
	}
	return &counted{Conn: c, release: sync.OnceFunc(func() { <-l.free })}, nil
}

func (l *limited) Close() error { return l.close() }

// counted is a connection that gives its place back when it is closed.
type counted struct {
	net.Conn
	release func()
}

func (c *counted) Close() error {
	defer c.release()
	return c.Conn.Close()
}
