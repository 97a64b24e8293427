// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"

	"claviger/internal/config"
	"claviger/internal/keys"
	"claviger/internal/server"
)

// homeRegion is the first region of every dev server.
func homeRegion() config.Region {
	return config.Region{Name: "home", OCI: "us-ashburn-1", Alibaba: "cn-hangzhou"}
}

// devRegion is a region of dev as its state keeps it.
type devRegion struct {
	OCI     string `json:"oci"`
	Alibaba string `json:"alibaba"`
}

// config is the region as the server wants it. Its own name is OCI's.
func (r devRegion) config() config.Region {
	return config.Region{Name: r.OCI, OCI: r.OCI, Alibaba: r.Alibaba}
}

var regionWord = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// parseRegion reads a further region of dev: what OCI calls it, which is also its own name, and
// after a slash what Alibaba Cloud calls it, which is the same unless it is said.
func parseRegion(text string) (devRegion, error) {
	oci, alibaba, given := strings.Cut(text, "/")
	if !given {
		alibaba = oci
	}
	if !regionWord.MatchString(oci) || !regionWord.MatchString(alibaba) {
		return devRegion{}, fmt.Errorf("--region %q is neither a region such as us-phoenix-1, nor one in both clouds such as us-phoenix-1/cn-beijing", text)
	}
	return devRegion{OCI: oci, Alibaba: alibaba}, nil
}

// addRegions adds the regions that were asked for to those of earlier runs with the same data, and
// reports whether there were new ones. A region keeps its names and its place.
func addRegions(have []devRegion, asked []string) ([]devRegion, bool, error) {
	first := homeRegion()
	home := devRegion{first.OCI, first.Alibaba}
	taken := map[string]devRegion{"oci " + first.Name: home}
	for _, r := range append([]devRegion{home}, have...) {
		taken["oci "+r.OCI], taken["alibaba "+r.Alibaba] = r, r
	}
	added := false
	for _, text := range asked {
		r, err := parseRegion(text)
		if err != nil {
			return nil, false, err
		}
		if taken["oci "+r.OCI] == r {
			continue
		}
		for _, key := range []string{"oci " + r.OCI, "alibaba " + r.Alibaba} {
			if other, ok := taken[key]; ok {
				return nil, false, fmt.Errorf("--region %q: there is the region %s/%s already", text, other.OCI, other.Alibaba)
			}
			taken[key] = r
		}
		have, added = append(have, r), true
	}
	return have, added, nil
}

func (d *devServer) allRegions() []config.Region {
	out := []config.Region{homeRegion()}
	for _, r := range d.first.Regions {
		out = append(out, r.config())
	}
	return out
}

// bindRegions takes the addresses of the regions after the first: the ports after those of vaults,
// or whatever the system picks where the main address leaves that to it.
func (d *devServer) bindRegions(srv *server.Server) error {
	host, port, _ := net.SplitHostPort(d.Listen) // it was split before
	first, _ := strconv.Atoi(port)
	for i, r := range d.first.Regions {
		port := 0
		if first != 0 {
			port = first + devVaultPorts + 1 + i
		}
		if port > 65535 {
			port = 0
		}
		e, err := srv.Bind(net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			return fmt.Errorf("listen for region %s: %w", r.OCI, err)
		}
		d.away = append(d.away, e)
	}
	return nil
}

// serveRegions begins to answer in the regions after the first.
func (d *devServer) serveRegions() error {
	for i, r := range d.first.Regions {
		region := keys.Region(r.config().Name)
		front := &server.Front{
			OCI: d.node.oci.RegionHandler(region), Alibaba: d.node.alibaba.Handler(region), Health: d.node.health,
		}
		if err := d.away[i].Serve(front); err != nil {
			return err
		}
	}
	return nil
}

// urlOf is the base URL of the APIs of a region, by its place.
func (d *devServer) urlOf(i int) string {
	e := d.front
	if i > 0 {
		e = d.away[i-1]
	}
	return e.Scheme() + "://" + net.JoinHostPort(d.host, strconv.Itoa(e.Port()))
}
