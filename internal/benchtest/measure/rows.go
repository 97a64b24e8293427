// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"claviger/internal/bench"
)

// row is one line of the comparison.
type row struct {
	name      string
	dialect   bench.Dialect
	operation string
	size      int
	tls       bool
	target    float64 // that the ratio to the floor should reach
	gate      float64 // that the floor's ratio to the fixed answer must reach; 0: it is not measured

	// special measures what is no comparison with the floor's throughput. The above is not used then.
	special func(*lab, context.Context) ([]figure, error)
}

// rows is the whole table.
func rows() []row {
	type work struct {
		operation    string
		size         int
		oci, alibaba float64
	}
	var out []row
	add := func(d bench.Dialect, w work, tls bool) {
		r := row{name: fmt.Sprintf("%s %s %d", d, w.operation, w.size), dialect: d, operation: w.operation, size: w.size, tls: tls, target: w.alibaba}
		if d == bench.OCI {
			r.target = w.oci
		}
		if tls {
			r.name += " tls"
			r.target = min(r.target, 0.90)
		} else if w.operation == "encrypt" && w.size == 32 {
			r.gate = map[bench.Dialect]float64{bench.OCI: 0.20, bench.ACS3: 0.47, bench.V1: 0.41}[d]
		}
		out = append(out, r)
	}
	data := []work{
		{"encrypt", 32, 0.90, 0.90},
		{"decrypt", 32, 0.90, 0.90},
		{"encrypt", 4096, 1.1, 1.3},
		{"decrypt", 4096, 1.1, 1.3},
		{"generate-data-key", 32, 0.90, 0.90},
		{"sign-ec", 32, 0.95, 0.95},
		{"sign-rsa", 32, 0.95, 0.95},
	}
	for _, d := range bench.Dialects() {
		for _, w := range data {
			add(d, w, false)
		}
	}
	for _, d := range bench.Dialects() {
		for _, w := range data[:2] {
			add(d, w, true)
		}
	}
	for _, d := range bench.Dialects() {
		out = append(out, row{name: "tail " + string(d), special: func(l *lab, ctx context.Context) ([]figure, error) { return l.tail(ctx, d) }})
	}
	return append(
		out,
		row{name: "audit on off", special: (*lab).audit},
		row{name: "audit durable", special: (*lab).durable},
		row{name: "create-version", special: (*lab).versions},
		row{name: "create-version-rsa", special: (*lab).versionsRSA},
	)
}
