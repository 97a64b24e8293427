// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// asking is a connection that counts what the poller is asked for.
type asking struct {
	net.Conn
	asked int
}

func (c *asking) SetReadDeadline(t time.Time) error {
	c.asked++
	return c.Conn.SetReadDeadline(t)
}

func (c *asking) SetWriteDeadline(t time.Time) error {
	c.asked++
	return c.Conn.SetWriteDeadline(t)
}

// pipe is a lazy connection in front of an asking one, and its far end.
func pipe(t *testing.T) (near *lazy, poller *asking, far net.Conn) {
	t.Helper()
	server, far := net.Pipe()
	t.Cleanup(func() { _, _ = server.Close(), far.Close() })
	poller = &asking{Conn: server}
	return newLazy(poller, time.Second), poller, far
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// direction is one of the two, from the near end's point of view.
type direction struct {
	name  string
	set   func(*lazy, time.Time) error
	waits func(*lazy) error    // until the far end moves
	moves func(net.Conn) error // lets what waits go on
}

func directions() []direction {
	read := func(c net.Conn) error {
		_, err := c.Read(make([]byte, 1))
		return err
	}
	write := func(c net.Conn) error {
		_, err := c.Write([]byte{0})
		return err
	}
	return []direction{
		{"Read", (*lazy).SetReadDeadline, func(c *lazy) error { return read(c) }, write},
		{"Write", (*lazy).SetWriteDeadline, func(c *lazy) error { return write(c) }, read},
		{"Read of both", (*lazy).SetDeadline, func(c *lazy) error { return read(c) }, write},
		{"Write of both", (*lazy).SetDeadline, func(c *lazy) error { return write(c) }, read},
	}
}

// TestDeadlines waits in each direction, under deadlines in each order that matters.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	const minute = time.Minute
	for _, d := range directions() {
		run := func(name string, f func(t *testing.T, c *lazy, poller *asking, far net.Conn)) {
			t.Run(d.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					c, poller, far := pipe(t)
					f(t, c, poller, far)
				})
			})
		}
		// ends fails unless what waits is ended by the deadline, from first to last from now.
		ends := func(t *testing.T, c *lazy, first, last time.Duration) {
			t.Helper()
			begin := time.Now()
			err := d.waits(c)
			var timeout net.Error
			if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Errorf("it ended with %v", err)
			}
			if after := time.Since(begin); after < first || after > last {
				t.Errorf("it ended after %v, want %v to %v", after, first, last)
			}
		}
		// goesOn fails unless what waits goes on after a long time.
		goesOn := func(t *testing.T, c *lazy, far net.Conn, after time.Duration) {
			t.Helper()
			done := make(chan error, 1)
			go func() { done <- d.waits(c) }()
			time.Sleep(after) //nolint:forbidigo // in the bubble: its clock goes on
			must(t, d.moves(far))
			must(t, <-done)
		}
		run("Passes", func(t *testing.T, c *lazy, _ *asking, _ net.Conn) {
			must(t, d.set(c, time.Now().Add(minute)))
			ends(t, c, minute, minute+time.Second)
			ends(t, c, 0, 0) // it has passed, and stays so
		})
		run("Later", func(t *testing.T, c *lazy, _ *asking, far net.Conn) {
			must(t, d.set(c, time.Now().Add(minute)))
			goesOn(t, c, far, 0)
			must(t, d.set(c, time.Now().Add(time.Hour)))
			goesOn(t, c, far, 59*minute)
			ends(t, c, minute, minute+time.Second)
		})
		run("Sooner", func(t *testing.T, c *lazy, _ *asking, far net.Conn) {
			must(t, d.set(c, time.Now().Add(time.Hour)))
			goesOn(t, c, far, 0)
			must(t, d.set(c, time.Now().Add(minute)))
			ends(t, c, minute, minute+time.Second)
		})
		run("Taken back", func(t *testing.T, c *lazy, _ *asking, far net.Conn) {
			must(t, d.set(c, time.Now().Add(minute)))
			goesOn(t, c, far, 0)
			must(t, d.set(c, time.Time{}))
			goesOn(t, c, far, time.Hour)
		})
		run("Set after it passed", func(t *testing.T, c *lazy, _ *asking, far net.Conn) {
			must(t, d.set(c, time.Now().Add(minute)))
			ends(t, c, minute, minute+time.Second)
			must(t, d.set(c, time.Now().Add(minute)))
			goesOn(t, c, far, minute/2)
		})
		run("Broken off", func(t *testing.T, c *lazy, _ *asking, far net.Conn) {
			go func() {
				time.Sleep(minute) //nolint:forbidigo // in the bubble: its clock goes on
				_ = d.set(c, time.Unix(1, 0))
			}()
			ends(t, c, minute, minute)
			must(t, d.set(c, time.Time{}))
			goesOn(t, c, far, time.Hour)
		})
		run("Broken off before", func(t *testing.T, c *lazy, poller *asking, far net.Conn) {
			must(t, d.set(c, time.Unix(1, 0)))
			ends(t, c, 0, 0)
			if poller.asked != 0 {
				t.Errorf("the poller was asked %d times", poller.asked)
			}
			must(t, d.set(c, time.Time{}))
			goesOn(t, c, far, time.Hour)
		})
		run("Sooner while it waits", func(t *testing.T, c *lazy, _ *asking, _ net.Conn) {
			must(t, d.set(c, time.Now().Add(time.Hour)))
			go func() {
				time.Sleep(minute) //nolint:forbidigo // in the bubble: its clock goes on
				_ = d.set(c, time.Now().Add(minute))
			}()
			ends(t, c, 2*minute, 2*minute)
		})
		run("Asked for once", func(t *testing.T, c *lazy, poller *asking, far net.Conn) {
			for range 100 { // as net/http does for a request
				must(t, d.set(c, time.Now().Add(2*minute)))
				goesOn(t, c, far, time.Millisecond)
				must(t, d.set(c, time.Now().Add(minute)))
				must(t, d.set(c, time.Time{}))
				must(t, d.set(c, time.Unix(1, 0)))
				must(t, d.set(c, time.Time{}))
			}
			if poller.asked != 1 {
				t.Errorf("the poller was asked %d times in a tenth of a second, want 1", poller.asked)
			}
		})
	}
}

// TestSlack takes the shortest of the timeouts that are set.
func TestSlack(t *testing.T) {
	t.Parallel()
	for want, o := range map[time.Duration]Options{
		0:                      {},
		time.Second:            {ReadTimeout: 20 * time.Second, WriteTimeout: 16 * time.Second, IdleTimeout: time.Minute},
		500 * time.Millisecond: {ReadHeaderTimeout: 8 * time.Second, IdleTimeout: time.Minute},
	} {
		if got := o.slack(); got != want {
			t.Errorf("slack of %+v is %v, want %v", o, got, want)
		}
	}
}
