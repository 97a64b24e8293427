// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net/http"
	"net/url"
	"strings"

	"claviger/internal/dialect"
)

// Front routes the requests of one region's listener. It looks at the path as it was sent and
// never redirects: clients sign the path.
type Front struct {
	OCI     http.Handler // the vault service, and every path that nobody else has
	Alibaba http.Handler // the path "/", and batches
	Admin   http.Handler // paths below /admin/; nil: not here
	Health  *Health      // /healthz and /readyz; nil: not here
	Metrics http.Handler // /metrics; nil: not here

	// Hosts, when set, routes by the Host header: to a vault, or, for the host of Advertise, to
	// the region. Any other host is answered 404, except that health is answered at all.
	Hosts     *Hosts
	Advertise string // base URL of the region
}

// ServeHTTP passes the request on.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) { f.route(r).ServeHTTP(w, r) }

func (f *Front) route(r *http.Request) http.Handler {
	p := r.URL.Path
	switch {
	case p == "/healthz" && f.Health != nil:
		return http.HandlerFunc(f.Health.Alive)
	case p == "/readyz" && f.Health != nil:
		return http.HandlerFunc(f.Health.Ready)
	}
	if f.Hosts != nil {
		if h := f.Hosts.Handler(r.Host); h != nil {
			return h
		}
		if !f.own(r.Host) {
			return http.NotFoundHandler()
		}
	}
	switch {
	case p == "/metrics" && f.Metrics != nil:
		return f.Metrics
	case strings.HasPrefix(p, "/admin/") && f.Admin != nil:
		return f.Admin
	case p == "/" || p == "" || p == dialect.BatchPath:
		return f.Alibaba
	}
	return f.OCI
}

// own reports whether host is the region's own.
func (f *Front) own(host string) bool {
	u, err := url.Parse(f.Advertise)
	return err == nil && strings.EqualFold(hostOf(u.Host), hostOf(host))
}
