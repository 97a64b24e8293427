// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main_test

import (
	"net"
	"sync"
	"testing"
)

// link is the network between one server and its database, which a test can take away: cut, so
// that connections break and none can be made, or silent, so that they stay and nothing arrives.
type link struct {
	listener net.Listener

	mu    sync.Mutex
	to    string                // guarded by mu; an address
	cut   bool                  // guarded by mu
	stuck chan struct{}         // guarded by mu; not nil while silent, closed when that ends
	open  map[net.Conn]struct{} // guarded by mu; of both sides
	ended bool                  // guarded by mu
	work  sync.WaitGroup
}

func newLink(t *testing.T, to string) *link {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &link{listener: l, to: to, open: map[net.Conn]struct{}{}}
	k.work.Go(k.accept)
	t.Cleanup(func() {
		l.Close()
		k.mu.Lock()
		k.ended = true
		k.mu.Unlock()
		k.heal()
		k.drop()
		k.work.Wait()
	})
	return k
}

func (k *link) address() string { return k.listener.Addr().String() }

func (k *link) accept() {
	for {
		near, err := k.listener.Accept()
		if err != nil {
			return
		}
		k.mu.Lock()
		to, cut := k.to, k.cut
		k.mu.Unlock()
		far, err := net.Dial("tcp", to)
		if err != nil || cut {
			near.Close()
			if err == nil {
				far.Close()
			}
			continue
		}
		if k.add(near, far) {
			k.work.Go(func() { k.pass(near, far) })
			k.work.Go(func() { k.pass(far, near) })
		}
	}
}

// add notes a connection, unless the link was cut meanwhile.
func (k *link) add(near, far net.Conn) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cut || k.ended {
		near.Close()
		far.Close()
		return false
	}
	k.open[near], k.open[far] = struct{}{}, struct{}{}
	return true
}

// pass carries bytes one way, while there is a way.
func (k *link) pass(from, to net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		k.mu.Lock()
		stuck := k.stuck
		k.mu.Unlock()
		if stuck != nil {
			<-stuck
		}
		if n > 0 {
			if _, failed := to.Write(buffer[:n]); failed != nil {
				err = failed
			}
		}
		if err != nil {
			break
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range []net.Conn{from, to} {
		delete(k.open, c)
		c.Close()
	}
}

// drop breaks every connection.
func (k *link) drop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for c := range k.open {
		c.Close()
	}
}

// sever cuts the link.
func (k *link) sever() {
	k.mu.Lock()
	k.cut = true
	k.mu.Unlock()
	k.drop()
}

// silence lets nothing through any more.
func (k *link) silence() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stuck == nil {
		k.stuck = make(chan struct{})
	}
}

// heal lets through what waits, and whatever comes.
func (k *link) heal() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cut = false
	if k.stuck != nil {
		close(k.stuck)
		k.stuck = nil
	}
}
