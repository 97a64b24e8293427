// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"time"
)

// Caller makes single calls of OCI's API over one connection that is kept alive. It belongs to one
// goroutine.
type Caller struct {
	target  *Target
	address address
	conn    *conn
	now     func() time.Time
}

// NewCaller makes a caller of the target's data calls. It connects with its first call.
func NewCaller(t *Target, now func() time.Time) (*Caller, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	a, err := t.addresses()
	return &Caller{target: t, address: a[data], now: now}, err
}

// Call sends one request and returns the body of its answer and the token of the next page. An answer
// that is no success is a *Refusal. After an error the next call connects anew.
func (c *Caller) Call(method, path string, body []byte) (answer []byte, next string, err error) {
	if c.conn == nil {
		if c.conn, err = c.address.connect(); err != nil {
			return nil, "", err
		}
	}
	request, err := c.target.APIKey.sign(nil, method, path, c.address.host, body, c.now())
	if err != nil {
		return nil, "", err
	}
	a, err := c.conn.do(request)
	if err != nil || a.last {
		c.Close()
	}
	if err == nil && a.status/100 != 2 {
		err = refusal(a)
	}
	return a.body, a.next, err
}

// Close ends the connection.
func (c *Caller) Close() {
	if c.conn != nil {
		_ = c.conn.Close() // nothing is on its way
		c.conn = nil
	}
}
