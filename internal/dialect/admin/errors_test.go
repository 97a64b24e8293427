// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"testing"

	"claviger/internal/keys"
)

// TestProblems holds the error table to the core's kinds: each has a row, and each row its own code.
func TestProblems(t *testing.T) {
	t.Parallel()
	codes := map[string]keys.Kind{}
	for _, k := range keys.Kinds() {
		p, ok := problems[k]
		if !ok {
			t.Errorf("kind %s has no row", k)
			continue
		}
		if p.status < 400 || p.status > 599 {
			t.Errorf("kind %s has the status %d", k, p.status)
		}
		if other, taken := codes[p.code]; taken {
			t.Errorf("kinds %s and %s share the code %s", k, other, p.code)
		}
		codes[p.code] = k
	}
	if len(problems) != len(keys.Kinds()) {
		t.Errorf("the table has %d rows for %d kinds", len(problems), len(keys.Kinds()))
	}
	if status, code := problem("unheard-of"); status != 500 || code != "internal" {
		t.Errorf("an unknown kind is %d %s, want an internal error", status, code)
	}
}
