// SPDX-License-Identifier: Apache-2.0

package keys_test

import (
	"strings"
	"testing"

	"claviger/internal/keys"
)

func TestParseIDRefusesEveryOtherSpelling(t *testing.T) {
	t.Parallel()
	good := "0b30658a-ed1a-4922-b8f7-a673ca9c0123"
	id, err := keys.ParseID(good)
	if err != nil || id.String() != good {
		t.Fatalf("ParseID(%q) = %v, %v", good, id, err)
	}
	for _, bad := range []string{
		"", strings.ToUpper(good), good + "0", good[:35], strings.ReplaceAll(good, "-", ""),
		"00000000-0000-0000-0000-00000000-000", "0b30658aed-1a-4922-b8f7-a673ca9c0123", "{" + good[1:35] + "}",
		strings.Replace(good, "a", "g", 1), strings.Replace(good, "-", "_", 1),
	} {
		if id, err := keys.ParseID(bad); err == nil {
			t.Errorf("ParseID(%q) = %v, want an error", bad, id)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("0b30658a-ed1a-4922-b8f7-a673ca9c0123")
	f.Add("00000000-0000-0000-0000-00000000-000")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := keys.ParseID(s)
		if err == nil && id.String() != s {
			t.Errorf("ParseID(%q) renders as %q", s, id)
		}
	})
}
