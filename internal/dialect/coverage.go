// SPDX-License-Identifier: Apache-2.0

package dialect

import (
	"fmt"
	"strings"
)

// Coverage renders a cloud's table of operations as the Markdown page of what is supported.
func Coverage(title string, groups []Group) string {
	var b strings.Builder
	total, supported := 0, 0
	for _, g := range groups {
		for _, op := range g.Operations {
			total++
			if op.Gap == "" {
				supported++
			}
		}
	}
	fmt.Fprintf(&b, "# %s\n\nGenerated from the table of operations; do not edit. %d of %d operations are supported.\n", title, supported, total)
	for _, g := range groups {
		fmt.Fprintf(&b, "\n## %s\n\n| operation | route | supported |\n|---|---|---|\n", g.Name)
		for _, op := range g.Operations {
			state := "yes"
			if op.Gap != "" {
				state = "no: " + op.Gap
			}
			fmt.Fprintf(&b, "| `%s` | `%s` | %s |\n", op.Name, op.Route, state)
		}
	}
	var items []string
	for _, g := range groups {
		for i := range g.Operations {
			if op := &g.Operations[i]; op.Batchable() {
				items = append(items, "`"+op.Name+"`")
			}
		}
	}
	fmt.Fprintf(&b, "\n## Extension\n\nNot of the cloud: `POST %s` takes up to %d calls in one signed request ([batch](batch.md)). "+
		"Its items may be %s.\n", BatchPath, MaxItems, strings.Join(items, ", "))
	return b.String()
}

// Group is a part of a cloud's table, as its documentation divides it.
type Group struct {
	Name       string
	Operations []Operation
}
