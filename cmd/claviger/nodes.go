// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
)

type nodesCmd struct{ adminFlags }

// Run shows the nodes.
func (c *nodesCmd) Run(a *app) error {
	client, err := c.client(a)
	if err != nil {
		return err
	}
	all, err := client.Nodes(a.ctx)
	if err != nil {
		return err
	}
	return show(a, c.JSON, all, func() {
		if len(all) == 0 {
			_, _ = fmt.Fprintln(a.out, "One process has this database alone: it is not shared between nodes.")
			return
		}
		var rows [][]string
		for _, n := range all {
			rows = append(rows, []string{n.Name, stamp(n.StartedAt), stamp(n.RenewedAt), n.Lease, strconv.FormatInt(n.Lag, 10), n.ID})
		}
		a.table([]string{"NAME", "STARTED", "RENEWED", "LEASE", "LAG", "ID"}, rows)
	})
}
