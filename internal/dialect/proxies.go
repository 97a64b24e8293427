// SPDX-License-Identifier: Apache-2.0

package dialect

import (
	"net/http"
	"net/netip"
	"strings"
)

// forwardedFor is the header in which proxies name whom they speak for: each adds the address that
// it was called from at the end.
const forwardedFor = "X-Forwarded-For"

// beyondProxies is the address of the client behind trusted proxies. The list is read from its end,
// as far as it was written by those who are trusted: what comes before is the client's own claim.
func (g *Guard) beyondProxies(r *http.Request, peer netip.Addr, text string) (netip.Addr, string) {
	if len(g.cfg.Proxies) == 0 || !g.trusts(peer) {
		return peer, text
	}
	lines := r.Header[forwardedFor]
	for i := len(lines) - 1; i >= 0; i-- {
		for rest := lines[i]; rest != ""; {
			part := rest
			if at := strings.LastIndexByte(rest, ','); at >= 0 {
				part, rest = rest[at+1:], rest[:at]
			} else {
				rest = ""
			}
			address, err := netip.ParseAddr(strings.TrimSpace(part))
			if err != nil {
				return peer, text // not what a proxy writes: the last one that is known stands for it
			}
			peer, text = address, address.WithZone("").String()
			if !g.trusts(peer) {
				return peer, text
			}
		}
	}
	return peer, text
}

func (g *Guard) trusts(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range g.cfg.Proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
