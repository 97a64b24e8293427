// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Vaults gives each vault a base URL of its own. What tells one apart, a port or a host label,
// is its endpoint: a short text that is stored with the vault and never changes.
type Vaults interface {
	// Reserve picks an endpoint for a new vault, whose id is vault, and holds it.
	Reserve(vault string) (endpoint string, err error)
	// Claim is Reserve for a vault that comes back: the endpoint that it had where that is free and
	// one that this server would give, else another.
	Claim(vault, had string) (endpoint string, err error)
	// Hold takes the stored endpoint of a vault that exists; name is for the refusal's text.
	Hold(endpoint, name string) error
	// Open begins to answer at an endpoint that is reserved or held.
	Open(endpoint string, h http.Handler) error
	// Close stops answering and gives the endpoint back. An unknown endpoint is no fault.
	Close(endpoint string)
	// URL is the base URL of an endpoint.
	URL(endpoint string) string
	// Held lists the endpoints that are taken, in no order.
	Held() []string
}

// Ports gives each vault a port.
type Ports struct {
	server      *Server
	host        string
	first, last int
	advertise   string // scheme and host

	mu   sync.Mutex
	held map[int]*Endpoint // guarded by mu
	next int               // guarded by mu; where the search begins
}

// NewPorts makes endpoints of ports from first to last, bound to host; next, one of them, is the first
// to be tried. Advertise is scheme and host of their URLs; "" makes it of the bound address.
func NewPorts(s *Server, host string, first, last, next int, advertise string) *Ports {
	return &Ports{server: s, host: host, first: first, last: last, advertise: advertise, held: map[int]*Endpoint{}, next: next}
}

// Reserve binds the next free port. Ports of other processes are passed over.
func (p *Ports) Reserve(string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reserve()
}

// reserve is Reserve with mu held.
func (p *Ports) reserve() (string, error) {
	for range p.last - p.first + 1 {
		port := p.next
		if p.next++; p.next > p.last {
			p.next = p.first
		}
		if p.held[port] != nil {
			continue
		}
		endpoint, err := p.bind(port)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		return endpoint, err
	}
	return "", fmt.Errorf("every port from %d to %d is taken", p.first, p.last)
}

// Claim binds the port that a vault had, or the next free one.
func (p *Ports) Claim(_, had string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	port, err := strconv.Atoi(had)
	if err == nil && port >= p.first && port <= p.last && p.held[port] == nil {
		if endpoint, err := p.bind(port); err == nil {
			return endpoint, nil
		}
	}
	return p.reserve()
}

// bind takes a port; mu is held.
func (p *Ports) bind(port int) (string, error) {
	e, err := p.server.Bind(net.JoinHostPort(p.host, strconv.Itoa(port)))
	if err != nil {
		return "", fmt.Errorf("bind a vault's port: %w", err)
	}
	p.held[e.Port()] = e
	return strconv.Itoa(e.Port()), nil
}

// Hold binds the stored port of a vault. A port that somebody else has taken cannot be
// exchanged: clients and Terraform states know it.
func (p *Ports) Hold(endpoint, name string) error {
	port, err := strconv.Atoi(endpoint)
	if err != nil || port < 1 || port > 65535 {
		return fmt.Errorf("vault %s has the endpoint %q, which is no port: it was made with host names for vaults", name, endpoint)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[port] != nil {
		return nil
	}
	if _, err := p.bind(port); err != nil {
		return fmt.Errorf("port %d of vault %s: %w; a vault keeps its port, so free it and start again", port, name, err)
	}
	return nil
}

// Open begins to answer at a port.
func (p *Ports) Open(endpoint string, h http.Handler) error {
	e := p.endpoint(endpoint, false)
	if e == nil {
		return fmt.Errorf("port %q is not held", endpoint)
	}
	return e.Serve(h)
}

// Close gives a port back.
func (p *Ports) Close(endpoint string) {
	if e := p.endpoint(endpoint, true); e != nil {
		e.Close()
	}
}

func (p *Ports) endpoint(endpoint string, remove bool) *Endpoint {
	port, err := strconv.Atoi(endpoint)
	if err != nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.held[port]
	if remove {
		delete(p.held, port)
	}
	return e
}

// URL is the base URL of a port.
func (p *Ports) URL(endpoint string) string {
	if p.advertise != "" {
		return p.advertise + ":" + endpoint
	}
	scheme := "http"
	if p.server.opts.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(p.host, endpoint)
}

// Held lists the ports that are taken.
func (p *Ports) Held() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]string, 0, len(p.held))
	for port := range p.held {
		out = append(out, strconv.Itoa(port))
	}
	return out
}

// Hosts gives each vault a host name on its region's listener.
type Hosts struct {
	before, after string // of the label in a vault's base URL
	domain        string // what follows the label in a Host header, port included, lower case

	mu   sync.RWMutex
	held map[string]http.Handler // guarded by mu; nil while nobody answers
}

// NewHosts makes endpoints that are labels, from a template such as
// "https://{vault}.kms.example.org"; mark is the text that the label replaces.
func NewHosts(template, mark string) *Hosts {
	before, after, _ := strings.Cut(template, mark)
	return &Hosts{before: before, after: after, domain: hostOf(strings.ToLower(after)), held: map[string]http.Handler{}}
}

// Reserve takes the vault's id as its label: unique, lower case, at most 63 characters.
func (h *Hosts) Reserve(vault string) (string, error) {
	label := strings.ReplaceAll(vault, "-", "")
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, taken := h.held[label]; taken {
		return "", fmt.Errorf("host label %s is taken", label)
	}
	h.held[label] = nil
	return label, nil
}

// Claim takes the vault's id as its label, which it always had.
func (h *Hosts) Claim(vault, _ string) (string, error) { return h.Reserve(vault) }

// Hold takes the stored label of a vault.
func (h *Hosts) Hold(endpoint, name string) error {
	if _, err := strconv.ParseUint(endpoint, 10, 16); err == nil {
		return fmt.Errorf("vault %s has the endpoint %q, a port: it was made with ports for vaults", name, endpoint)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, taken := h.held[endpoint]; !taken {
		h.held[endpoint] = nil
	}
	return nil
}

// Open begins to answer at a label.
func (h *Hosts) Open(endpoint string, handler http.Handler) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, held := h.held[endpoint]; !held {
		return fmt.Errorf("host label %q is not held", endpoint)
	}
	h.held[endpoint] = handler
	return nil
}

// Close gives a label back.
func (h *Hosts) Close(endpoint string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.held, endpoint)
}

// URL is the base URL of a label.
func (h *Hosts) URL(endpoint string) string { return h.before + endpoint + h.after }

// Held lists the labels that are taken.
func (h *Hosts) Held() []string {
	h.mu.RLock()
	defer h.mu.RUnlock()
	out := make([]string, 0, len(h.held))
	for label := range h.held {
		out = append(out, label)
	}
	return out
}

// Handler is the handler of the vault that host, a Host header, names; nil when it names none.
func (h *Hosts) Handler(host string) http.Handler {
	label, domain, ok := strings.Cut(strings.ToLower(host), ".")
	if !ok || hostOf("."+domain) != h.domain {
		return nil
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.held[label]
}

// hostOf is host without a port and a trailing dot. The colons of an IPv6 address, which is in
// brackets, begin no port.
func hostOf(host string) string {
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		host = host[:i]
	}
	return strings.TrimSuffix(host, ".")
}
