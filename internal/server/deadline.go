// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net"
	"os"
	"sync"
	"time"
)

// lazyListener makes connections lazy.
type lazyListener struct {
	net.Listener
	slack time.Duration
}

func (l lazyListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return newLazy(c, l.slack), nil
}

// lazy is a connection that asks the poller for a deadline only when something is about to wait for
// it, and looks for a hangup only after a while. net/http sets seven deadlines for each request, of
// which most are replaced before anything waits.
//
// What waits is ended up to slack later than asked, so that one deadline of the poller does for many
// requests. A deadline that is set while something waits, or that is long ago, works at once.
type lazy struct {
	net.Conn
	reads, writes deadline
	rest          rest
}

// longAgo is when nothing waits any more: a deadline before it is there to break something off.
var longAgo = time.Unix(1<<20, 0)

// deadline is the deadline of one direction.
type deadline struct {
	slack time.Duration
	ask   func(time.Time) error // the poller

	mu      sync.Mutex
	wanted  time.Time // guarded by mu
	asked   time.Time // guarded by mu; what the poller knows
	waiting int       // guarded by mu; calls that may wait
}

func newLazy(c net.Conn, slack time.Duration) *lazy {
	return &lazy{
		Conn: c, reads: deadline{slack: slack, ask: c.SetReadDeadline}, writes: deadline{slack: slack, ask: c.SetWriteDeadline},
	}
}

// slack is a sixteenth of the shortest of the timeouts: how much later than asked for they may be.
func (o Options) slack() time.Duration {
	var shortest time.Duration
	for _, t := range []time.Duration{o.ReadHeaderTimeout, o.ReadTimeout, o.WriteTimeout, o.IdleTimeout} {
		if t > 0 && (shortest == 0 || t < shortest) {
			shortest = t
		}
	}
	return shortest / 16
}

func (c *lazy) Read(p []byte) (int, error) {
	c.rest.wait()
	if err := c.reads.begin(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	c.reads.end()
	return n, err
}

func (c *lazy) Write(p []byte) (int, error) {
	c.rest.atWork.Store(false)
	if err := c.writes.begin(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	c.writes.end()
	return n, err
}

func (c *lazy) SetReadDeadline(t time.Time) error {
	err := c.reads.want(t)
	c.rest.end()
	return err
}

func (c *lazy) SetWriteDeadline(t time.Time) error { return c.writes.want(t) }

func (c *lazy) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.writes.want(t)
}

// want takes a new deadline, which what waits already has at once.
func (d *deadline) want(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wanted = t
	if d.waiting == 0 {
		return nil
	}
	d.asked = t
	return d.ask(t)
}

// begin is called before what may wait, and end after it.
func (d *deadline) begin() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.holds() {
		if !d.wanted.IsZero() && d.wanted.Before(longAgo) {
			return os.ErrDeadlineExceeded
		}
		asked := d.wanted
		if !asked.IsZero() {
			asked = asked.Add(d.slack)
		}
		if err := d.ask(asked); err != nil {
			return err
		}
		d.asked = asked
	}
	d.waiting++
	return nil
}

// holds reports whether the poller's deadline does for the one that is wanted.
func (d *deadline) holds() bool {
	if d.wanted.IsZero() || d.asked.IsZero() {
		return d.wanted.IsZero() && d.asked.IsZero()
	}
	return !d.asked.Before(d.wanted) && d.asked.Sub(d.wanted) <= d.slack
}

func (d *deadline) end() {
	d.mu.Lock()
	d.waiting--
	d.mu.Unlock()
}
