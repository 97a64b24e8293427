// SPDX-License-Identifier: Apache-2.0

package keys_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"claviger/internal/keys"
)

//go:generate go test -run TestLifecyclePageIsRenderedFromTheTables -update .

var update = flag.Bool("update", false, "write docs/lifecycle.md from the tables")

func TestLifecyclePageIsRenderedFromTheTables(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "docs", "lifecycle.md")
	want := keys.LifecyclePage()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/lifecycle.md is not what the tables say; run make generate (-tables +page):\n%s", diff)
	}
}

func TestEveryRuleStepsToAStateOfItsNoun(t *testing.T) {
	t.Parallel()
	states := map[keys.Type][]keys.State{
		keys.TypeVault:   {keys.Active, keys.PendingDeletion, keys.Deleted, keys.Restoring},
		keys.TypeKey:     {keys.PendingImport, keys.Enabled, keys.Disabled, keys.PendingDeletion, keys.Deleted, keys.Restoring},
		keys.TypeVersion: {keys.PendingImport, keys.Enabled, keys.PendingDeletion, keys.Deleted},
	}
	for _, table := range []keys.Table{keys.VaultLifecycle, keys.KeyLifecycle, keys.VersionLifecycle} {
		type cell struct {
			keys.Action
			keys.State
		}
		seen := map[cell]bool{}
		for _, r := range table.Rules {
			from := r.From
			if len(from) == 0 {
				from = []keys.State{""}
			}
			for _, state := range from {
				if at := (cell{r.Action, state}); seen[at] {
					t.Errorf("%s: %s has two rules for %q", table.Noun, r.Action, state)
				} else {
					seen[at] = true
				}
			}
			for _, from := range r.From {
				next, err := table.Step(r.Action, from, keys.Disabled)
				if err != nil {
					t.Errorf("%s: %s from %s: %v", table.Noun, r.Action, from, err)
				}
				if !slices.Contains(states[table.Noun], next) {
					t.Errorf("%s: %s from %s leads to %q", table.Noun, r.Action, from, next)
				}
			}
		}
	}
}

// TestNothingLeavesDeleted walks the key table at random: erased stays erased, and cancelling
// returns to the state that scheduling left.
func TestNothingLeavesDeleted(t *testing.T) {
	t.Parallel()
	actions := make([]keys.Action, 0, len(keys.KeyLifecycle.Rules))
	for _, r := range keys.KeyLifecycle.Rules {
		actions = append(actions, r.Action)
	}
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.SampledFrom([]keys.State{keys.PendingImport, keys.Enabled, keys.Disabled}).Draw(t, "start")
		state, before := start, keys.State("")
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			act := rapid.SampledFrom(actions).Draw(t, "action")
			next, err := keys.KeyLifecycle.Step(act, state, before)
			if err != nil {
				if !keys.IsKind(err, keys.KindState) || next != state {
					t.Fatalf("%s from %s: %v, %s", act, state, err, next)
				}
				continue
			}
			if act == keys.CancelKeyDeletion && next != before {
				t.Fatalf("cancel led to %s, want %s", next, before)
			}
			if next == keys.PendingDeletion && state != next {
				before = state
			}
			state = next
		}
		for _, act := range actions {
			if next, err := keys.KeyLifecycle.Step(act, keys.Deleted, before); err == nil && next != keys.Deleted {
				t.Fatalf("%s leads from DELETED to %s", act, next)
			}
		}
	})
}

func TestDueTimesGateAtOnce(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	v := &keys.Vault{State: keys.Active}
	k := &keys.Key{State: keys.PendingDeletion, Before: keys.Enabled, DeleteAt: at}
	ver := &keys.Version{State: keys.PendingDeletion, DeleteAt: at}
	for _, tt := range []struct {
		now  time.Time
		want keys.State
	}{{at.Add(-time.Microsecond), keys.PendingDeletion}, {at, keys.Deleted}, {at.Add(time.Hour), keys.Deleted}} {
		if got := k.Effective(v, tt.now); got != tt.want {
			t.Errorf("key at %v: %s, want %s", tt.now, got, tt.want)
		}
		if got := ver.Effective(tt.now); got != tt.want {
			t.Errorf("version at %v: %s, want %s", tt.now, got, tt.want)
		}
	}
}

func TestAVaultGatesItsKeys(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	now := at.Add(-keys.Day)
	v := &keys.Vault{State: keys.PendingDeletion, DeleteAt: at}
	own := &keys.Key{State: keys.PendingDeletion, DeleteAt: at.Add(-time.Hour)}
	plain := &keys.Key{State: keys.Enabled}
	if got := plain.Effective(v, now); got != keys.PendingDeletion {
		t.Errorf("key in a pending vault is %s", got)
	}
	if got := plain.EffectiveDeleteAt(v); !got.Equal(at) {
		t.Errorf("it is erased at %v, want the vault's %v", got, at)
	}
	if got := own.EffectiveDeleteAt(v); !got.Equal(own.DeleteAt) {
		t.Errorf("a key with its own schedule is erased at %v, want %v", got, own.DeleteAt)
	}
	if got := plain.Effective(v, at); got != keys.Deleted {
		t.Errorf("key of an erased vault is %s", got)
	}
}
