// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"claviger/internal/keys"
)

// router finds operations by method and path. It is immutable.
type router struct {
	literal map[string][]*operation // path → operations without parameters
	pattern map[int][]*operation    // number of segments → operations with parameters
	named   map[string]*operation
}

func newRouter(table []operation) *router {
	rt := &router{literal: map[string][]*operation{}, pattern: map[int][]*operation{}, named: map[string]*operation{}}
	for i := range table {
		op := &table[i]
		op.method, op.path, _ = strings.Cut(op.Route, " ")
		rt.named[op.Name] = op
		op.segments = strings.Split(op.path[1:], "/")
		if strings.Contains(op.path, "{") {
			rt.pattern[len(op.segments)] = append(rt.pattern[len(op.segments)], op)
		} else {
			rt.literal[op.path] = append(rt.literal[op.path], op)
		}
	}
	return rt
}

// match is an operation with the values of its path.
type match struct {
	op     *operation
	params [2]string // in the order of the path
}

// find answers the operation of a request. A path without parameters wins over one with; a path
// that exists for another method only is MethodNotAllowed.
func (rt *router) find(r *http.Request) (match, error) {
	path := rawPath(r)
	found := false
	for _, op := range rt.literal[path] {
		if op.method == r.Method {
			return match{op: op}, nil
		}
		found = true
	}
	for _, op := range rt.pattern[strings.Count(path, "/")] {
		m := match{op: op}
		if !m.fill(path) {
			continue
		}
		if op.method == r.Method {
			return m, nil
		}
		found = true
	}
	if found {
		return match{}, &keys.Error{Kind: keys.KindNotImplemented, Field: fieldMethod, Hint: path + " has no " + r.Method}
	}
	return match{}, &keys.Error{Kind: keys.KindNotFound, Field: fieldPath, Hint: "no operation has the path " + path}
}

// Fields of the router's errors.
const (
	fieldPath   = "path"
	fieldMethod = "method"
)

// rawPath is the path as sent. A client whose endpoint ends in a slash sends two at the start.
func rawPath(r *http.Request) string {
	path := r.RequestURI
	if !strings.HasPrefix(path, "/") { // a proxy's absolute form
		path = r.URL.EscapedPath()
	}
	path, _, _ = strings.Cut(path, "?")
	if strings.HasPrefix(path, "//") {
		path = path[1:]
	}
	return path
}

// fill compares path with the operation's and takes its parameters, which are never empty.
func (m *match) fill(path string) bool {
	n := 0
	rest := path[1:]
	for _, want := range m.op.segments {
		var got string
		got, rest, _ = strings.Cut(rest, "/")
		if !strings.HasPrefix(want, "{") {
			if got != want {
				return false
			}
			continue
		}
		value, err := url.PathUnescape(got)
		if err != nil || value == "" {
			return false
		}
		m.params[n] = value
		n++
	}
	return true
}

// service is one of the API's services, by the endpoint that it answers on.
type service int

const (
	onRegion     service = iota // the vault service and its kin, on a region's base URL
	onManagement                // on a vault's base URL
	onCrypto                    // on a vault's base URL
)

// inVault reports whether the service answers on vaults' base URLs.
func (s service) inVault() bool { return s == onManagement || s == onCrypto }

func (op *operation) knows(query string) bool { return slices.Contains(op.query, query) }
