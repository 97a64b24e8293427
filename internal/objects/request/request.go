// SPDX-License-Identifier: Apache-2.0

// Package request carries out pre-authenticated requests: a plain PUT or GET of a URI that a client
// of the server names. So that no client can make the server reach into its operator's network, a
// URI is used only if its host is in the configuration, redirects and proxies are not followed,
// and a host that is not an address itself must not resolve to an address that is not public.
//
// The URI carries the right to the object: it is in no error and no log.
package request

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"

	"claviger/internal/objects"
	"claviger/internal/objects/transfer"
)

// Config says what may be asked.
type Config struct {
	// Hosts are the hosts that may be asked, each as "host", "host:port", or either with "https://"
	// or "http://" before it; without a scheme it is https. Nothing is taken for granted: another
	// port or scheme is another host.
	Hosts []string
	// Roots are the authorities of the hosts' certificates; nil: the system's.
	Roots *x509.CertPool
}

// Requests implements [objects.Requests].
type Requests struct {
	allowed map[string]bool // origin → true
	outside *transfer.Client
	literal *transfer.Client // for hosts that the configuration names by their address
}

// New reads the hosts.
func New(cfg Config) (*Requests, error) {
	r := &Requests{
		allowed: map[string]bool{},
		outside: transfer.New(transfer.Options{Roots: cfg.Roots, Control: publicOnly}),
		literal: transfer.New(transfer.Options{Roots: cfg.Roots}),
	}
	for _, host := range cfg.Hosts {
		text := host
		if !strings.Contains(text, "://") {
			text = "https://" + text
		}
		u, err := url.Parse(text)
		if err != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
			return nil, badHost(host)
		}
		origin, ok := originOf(u)
		if !ok {
			return nil, badHost(host)
		}
		r.allowed[origin] = true
	}
	return r, nil
}

func badHost(host string) error {
	return fmt.Errorf("%q is not a host such as objectstorage.eu-frankfurt-1.oraclecloud.com or https://10.0.0.5:9000", host)
}

// Close closes the connections that nobody uses.
func (r *Requests) Close() {
	r.outside.Close()
	r.literal.Close()
}

// originOf is the scheme, host and port of a URL, in one spelling.
func originOf(u *url.URL) (origin string, ok bool) {
	port := u.Port()
	switch {
	case u.Opaque != "" || u.User != nil || u.Hostname() == "" || strings.ContainsAny(u.Hostname(), "%* "):
		return "", false
	case u.Scheme == "https" && port == "":
		port = "443"
	case u.Scheme == "http" && port == "":
		port = "80"
	case u.Scheme != "https" && u.Scheme != "http":
		return "", false
	}
	return u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port), true
}

// refused says no, without a word of the URI.
func refused(why string) error { return fmt.Errorf("%s: %w", why, objects.ErrRefused) }

// admit reads a URI and picks the client for it.
func (r *Requests) admit(uri objects.URI) (*url.URL, *transfer.Client, error) {
	u, err := url.Parse(string(uri))
	if err != nil {
		return nil, nil, refused("the request URI is malformed")
	}
	origin, ok := originOf(u)
	if !ok || u.Fragment != "" {
		return nil, nil, refused("the request URI is not one of http or https with a host alone")
	}
	if !r.allowed[origin] {
		return nil, nil, refused("the request URI's host is not in objects.request_hosts")
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return u, r.literal, nil
	}
	return u, r.outside, nil
}

// Put implements [objects.Requests].
func (r *Requests) Put(ctx context.Context, to objects.URI, body io.ReadSeeker, size int64) error {
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read what is to be sent: %w", err)
	}
	res, err := r.do(ctx, http.MethodPut, to, body, size)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusOK, http.StatusCreated, http.StatusNoContent:
		return nil
	}
	return answered(res)
}

// Get implements [objects.Requests].
func (r *Requests) Get(ctx context.Context, from objects.URI) (io.ReadCloser, int64, error) {
	res, err := r.do(ctx, http.MethodGet, from, nil, 0)
	if err != nil {
		return nil, 0, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, 0, errors.Join(answered(res), res.Body.Close())
	}
	return res.Body, res.ContentLength, nil
}

func (r *Requests) do(ctx context.Context, method string, uri objects.URI, body io.Reader, size int64) (*http.Response, error) {
	u, client, err := r.admit(uri)
	if err != nil {
		return nil, err
	}
	var content io.Reader = http.NoBody
	if size > 0 {
		content = io.LimitReader(body, size)
	}
	q, err := http.NewRequestWithContext(ctx, method, "", content)
	if err != nil {
		return nil, err
	}
	q.URL, q.Host, q.ContentLength = u, u.Host, size
	q.Header.Set("User-Agent", "claviger")
	if method == http.MethodPut {
		q.Header.Set("Content-Type", "application/octet-stream")
	}
	res, err := client.Do(q)
	if err != nil {
		return nil, fmt.Errorf("carry out the request URI: %w", err)
	}
	return res, nil
}

func answered(res *http.Response) error {
	text := fmt.Sprintf("the request URI was answered %d", res.StatusCode)
	switch res.StatusCode {
	case http.StatusNotFound, http.StatusGone:
		return fmt.Errorf("%s: %w", text, objects.ErrNotFound)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%s: %w", text, objects.ErrDenied)
	}
	return errors.New(text)
}

// publicOnly refuses to connect to what is not a public address. It sees the address that is
// really connected to, after the name was resolved.
func publicOnly(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !public(at.Addr()) {
		return refused("the request URI's host leads to an address that is not public; name the host by its address to allow it")
	}
	return nil
}

// special lists what [netip.Addr] has no question for: the blocks of the IANA special-purpose
// registries (RFC 6890) that are not public, and those that carry IPv4 addresses within.
func special() []netip.Prefix {
	var out []netip.Prefix
	for _, text := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "240.0.0.0/4",
		"64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10",
	} {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

// public reports whether an address is one of the open Internet.
func public(a netip.Addr) bool {
	a = a.Unmap()
	if a.Zone() != "" || !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range special() {
		if p.Contains(a) {
			return false
		}
	}
	return true
}
