// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"fmt"
	"slices"
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
every caller, whether or not it has been swept away yet, and at the time at which imported material
is over its key is pending import. In a vault that is being restored every key is, and is not shown.
PREVIOUS is the state before the deletion was scheduled, or the one that a backup was made in; READY
is ENABLED, or PENDING_IMPORT for a key that has no material.

A key whose material is to be imported begins in PENDING_IMPORT. Hidden keys, which are the vaults'
wrapping keys, are only ever read.
`)
	for _, t := range []struct {
		title  string
		table  Table
		states []State
	}{
		{"Vaults", VaultLifecycle, []State{Active, PendingDeletion, Deleted, Restoring}},
		{"Keys", KeyLifecycle, []State{PendingImport, Enabled, Disabled, PendingDeletion, Deleted, Restoring}},
		{"Key versions", VersionLifecycle, []State{PendingImport, Enabled, PendingDeletion, Deleted}},
	} {
		t.table.render(&b, t.title, t.states)
	}
	b.WriteString(`
## Through a replica

A replica is a vault's second endpoint, in another region. It has no state of its own: vault, keys
and versions are what they are at home. These actions can be asked for through it, and no others:

`)
	for _, a := range throughReplica {
		fmt.Fprintf(&b, "- %s\n", a)
	}
	return b.String()
}

func (t Table) render(b *strings.Builder, title string, states []State) {
	fmt.Fprintf(b, "\n## %s\n\n| action | (none) |", title)
	for _, s := range states {
		fmt.Fprintf(b, " %s |", s)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(states)) + "\n")
	seen := map[Action]bool{}
	for _, r := range t.Rules {
		if seen[r.Action] {
			continue // in the row of the action's first rule
		}
		seen[r.Action] = true
		fmt.Fprintf(b, "| %s | %s |", r.Action, t.made(r.Action))
		for _, s := range states {
			fmt.Fprintf(b, " %s |", t.cell(r.Action, s))
		}
		b.WriteString("\n")
	}
}

// made is the state of what an action makes, "" where it makes nothing.
func (t Table) made(a Action) State {
	for _, r := range t.Rules {
		if r.Action == a && len(r.From) == 0 {
			return r.To
		}
	}
	return ""
}

func (t Table) cell(a Action, s State) string {
	for _, r := range t.Rules {
		if r.Action != a || !slices.Contains(r.From, s) {
			continue
		}
		if r.To == "" || r.To == s {
			return "·"
		}
		return string(r.To)
	}
	return ""
}
