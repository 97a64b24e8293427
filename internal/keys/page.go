// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"fmt"
	"strings"
)

// LifecyclePage renders the three lifecycle tables as Markdown: what docs/lifecycle.md holds.
func LifecyclePage() string {
	var b strings.Builder
	b.WriteString(`# Lifecycles

Rendered from the tables in ` + "`internal/keys/lifecycle.go`" + `; do not edit. A cell is the state after the
action, "·" where the action leaves the state as it is, and empty where it is refused.

The state that counts is the effective one. A key in a vault that is pending deletion is pending
deletion itself; a version is usable only if its key is. At its due time a thing is deleted for
every caller, whether or not it has been swept away yet. PREVIOUS is the state before the deletion
was scheduled, or the one that a backup was made in. In a vault that is being restored every key
is, and is not shown.
`)
	for _, t := range []struct {
		title  string
		table  Table
		states []State
	}{
		{"Vaults", VaultLifecycle, []State{Active, PendingDeletion, Deleted, Restoring}},
		{"Keys", KeyLifecycle, []State{PendingImport, Enabled, Disabled, PendingDeletion, Deleted, Restoring}},
		{"Key versions", VersionLifecycle, []State{Enabled, PendingDeletion, Deleted}},
	} {
		t.table.render(&b, t.title, t.states)
	}
	return b.String()
}

func (t Table) render(b *strings.Builder, title string, states []State) {
	fmt.Fprintf(b, "\n## %s\n\n| action | (none) |", title)
	for _, s := range states {
		fmt.Fprintf(b, " %s |", s)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(states)) + "\n")
	for _, r := range t.Rules {
		made := ""
		if len(r.From) == 0 {
			made = string(r.To)
		}
		fmt.Fprintf(b, "| %s | %s |", r.Action, made)
		for _, s := range states {
			fmt.Fprintf(b, " %s |", r.cell(s))
		}
		b.WriteString("\n")
	}
}

func (r Rule) cell(s State) string {
	for _, from := range r.From {
		if from != s {
			continue
		}
		if r.To == "" || r.To == s {
			return "·"
		}
		return string(r.To)
	}
	return ""
}
