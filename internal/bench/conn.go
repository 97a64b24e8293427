// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"time"
)

// address is where a base URL leads: what to dial and what to call it.
type address struct {
	dial string // host:port
	host string // the Host header
	tls  *tls.Config
}

// parseAddress takes a base URL apart. The configuration is used for https alone; nil means the
// system's authorities.
func parseAddress(base string, config *tls.Config) (address, error) {
	u, err := url.Parse(base)
	if err == nil && (u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" && u.Path != "/" || u.RawQuery != "") {
		err = errors.New("a base URL is http://HOST:PORT or https://HOST:PORT and nothing more")
	}
	if err != nil {
		return address{}, fmt.Errorf("endpoint %q: %w", base, err)
	}
	a := address{dial: u.Host, host: u.Host}
	port := "80"
	if u.Scheme == "https" {
		port = "443"
		if config == nil {
			config = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		a.tls = config.Clone()
		a.tls.ServerName = u.Hostname()
	}
	if u.Port() == "" {
		a.dial = net.JoinHostPort(u.Hostname(), port)
	}
	return a, nil
}

// conn is one kept-alive connection that sends prepared bytes and reads what HTTP/1.1 answers.
type conn struct {
	net.Conn
	in   *bufio.Reader
	body []byte // of the last answer
}

const (
	dialTimeout = 10 * time.Second
	maxAnswer   = 4 << 20
)

func (a address) connect() (*conn, error) {
	raw, err := net.DialTimeout("tcp", a.dial, dialTimeout)
	if err != nil {
		return nil, err
	}
	if a.tls != nil {
		secure := tls.Client(raw, a.tls)
		if err := secure.Handshake(); err != nil {
			return nil, errors.Join(err, raw.Close())
		}
		raw = secure
	}
	return &conn{Conn: raw, in: bufio.NewReaderSize(raw, 16<<10)}, nil
}

// answer is what came back. Its body is the connection's, until the next request.
type answer struct {
	status int
	body   []byte
	last   bool   // the server closes the connection
	next   string // OCI's token of the next page
}

// do sends a request and reads its answer.
func (c *conn) do(request []byte) (answer, error) {
	if _, err := c.Write(request); err != nil {
		return answer{}, err
	}
	return c.read()
}

var errAnswer = errors.New("the answer is not HTTP/1.1 as it should be")

// read reads one answer. What it does not need of the head it passes over.
func (c *conn) read() (a answer, err error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return a, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return a, errAnswer
	}
	if a.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return a, errAnswer
	}
	length, chunked := -1, false
	for {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return a, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		switch name, value, _ := bytes.Cut(line, []byte(":")); {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil || length < 0 || length > maxAnswer {
				return a, errAnswer
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		case bytes.EqualFold(name, []byte("Connection")):
			a.last = bytes.EqualFold(bytes.TrimSpace(value), []byte("close"))
		case bytes.EqualFold(name, []byte("opc-next-page")):
			a.next = string(bytes.TrimSpace(value))
		}
	}
	if c.body = c.body[:0]; chunked {
		err = c.readChunks()
	} else if length > 0 {
		err = c.readBody(length)
	} else if length < 0 && a.status != 204 && a.status != 304 {
		return a, errAnswer
	}
	a.body = c.body
	return a, err
}

func (c *conn) readBody(n int) error {
	start := len(c.body)
	if start+n > maxAnswer {
		return errAnswer
	}
	c.body = append(c.body, make([]byte, n)...)
	_, err := io.ReadFull(c.in, c.body[start:])
	return err
}

func (c *conn) readChunks() error {
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, _, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(";"))
		n, err := strconv.ParseUint(string(size), 16, 31)
		if err != nil {
			return errAnswer
		}
		if n == 0 {
			return c.skipTrailer()
		}
		if err := c.readBody(int(n)); err != nil {
			return err
		}
		if _, err := c.in.ReadSlice('\n'); err != nil {
			return err
		}
	}
}

func (c *conn) skipTrailer() error {
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil || len(bytes.TrimRight(line, "\r\n")) == 0 {
			return err
		}
	}
}
