// SPDX-License-Identifier: Apache-2.0

package keys_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"claviger/internal/keys"
)

func TestReasonsAreBounded(t *testing.T) {
	t.Parallel()
	const most = 1024
	for _, tc := range []struct {
		hint string
		cut  bool
	}{
		{"", false},
		{"short", false},
		{strings.Repeat("x", most), false},
		{strings.Repeat("x", most+1), true},
		{strings.Repeat("é", most), true},
		{"x" + strings.Repeat("é", most), true},
		{strings.Repeat("😀", most), true},
		{strings.Repeat("\x80", 2*most), true},
	} {
		e := &keys.Error{Kind: keys.KindInvalid, Field: tc.hint, Hint: tc.hint}
		got := e.Reason()
		start, cut := strings.CutSuffix(got, "...")
		switch {
		case !tc.cut && got != tc.hint:
			t.Errorf("%d bytes became %d", len(tc.hint), len(got))
		case tc.cut && (!cut || len(got) > most || !strings.HasPrefix(tc.hint, start)):
			t.Errorf("%d bytes became %d: %q", len(tc.hint), len(got), got[max(0, len(got)-8):])
		case utf8.ValidString(tc.hint) && !utf8.ValidString(got):
			t.Errorf("%q is cut within a character", got[max(0, len(got)-8):])
		}
		if text := e.Error(); len(text) > 2*most+32 || !strings.Contains(text, got) {
			t.Errorf("the error's text has %d bytes", len(text))
		}
	}
}
