// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// limited is a listener with a bound on the connections that are open at once. Above it,
// connections wait in the kernel's queue. A source has a bound of its own, so that nobody holds
// them all: above that a connection is closed as it comes, since those behind it must not wait.
type limited struct {
	net.Listener
	free    chan struct{} // a token for each connection that may be open
	most    int           // of one source; 0: no bound
	trusted []netip.Prefix
	refused *atomic.Int64 // connections above most
	close   func() error
	done    chan struct{} // closed by Close

	mu   sync.Mutex
	open map[netip.Addr]int // source → how many it has; guarded by mu
}

func limit(ln net.Listener, o Options, refused *atomic.Int64) net.Listener {
	l := &limited{
		Listener: ln, free: make(chan struct{}, o.Connections), most: o.SourceConnections, trusted: o.Trusted,
		refused: refused, done: make(chan struct{}), open: map[netip.Addr]int{},
	}
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
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.free
			return nil, err
		}
		from, counts := l.source(c)
		if counts && !l.enter(from) {
			l.refused.Add(1)
			refuse(c)
			continue
		}
		return &counted{Conn: c, release: sync.OnceFunc(func() {
			if counts {
				l.leave(from)
			}
			<-l.free
		})}, nil
	}
}

// source is whose connection it is: an IPv4 address, or a network of 64 bits of IPv6. Those of
// trusted proxies do not count.
func (l *limited) source(c net.Conn) (from netip.Addr, counts bool) {
	address, ok := c.RemoteAddr().(*net.TCPAddr)
	if l.most <= 0 || !ok {
		return netip.Addr{}, false
	}
	from = address.AddrPort().Addr().Unmap().WithZone("")
	if slices.ContainsFunc(l.trusted, func(p netip.Prefix) bool { return p.Contains(from) }) {
		return netip.Addr{}, false
	}
	if from.Is6() {
		network, _ := from.Prefix(64) // never fails for 64 bits
		from = network.Addr()
	}
	return from, true
}

func (l *limited) enter(from netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[from] >= l.most {
		return false
	}
	l.open[from]++
	return true
}

func (l *limited) leave(from netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[from]--; l.open[from] == 0 {
		delete(l.open, from)
	}
}

// refuse closes a connection without leaving anything of it to the kernel.
func refuse(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
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
