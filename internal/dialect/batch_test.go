// SPDX-License-Identifier: Apache-2.0

package dialect

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"claviger/internal/keys"
)

func TestParseBatch(t *testing.T) {
	t.Parallel()
	const one = `{"operation":"Encrypt","parameters":{"a":1}}`
	items := func(n int) string { return `{"items":[` + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + `]}` }
	for body, want := range map[string]keys.Kind{
		items(1):                "",
		items(MaxItems):         "",
		"\n" + items(2) + " \n": "",
		`{"items":[{"parameters":{},"operation":"X"}]}`: "",

		"":                                   keys.KindMalformed,
		"null":                               keys.KindMalformed,
		"[]":                                 keys.KindMalformed,
		"{}":                                 keys.KindMissing,
		`{"items":[]}`:                       keys.KindMissing,
		`{"items":null}`:                     keys.KindMalformed,
		`{"Items":[` + one + `]}`:            keys.KindMalformed,
		items(MaxItems + 1):                  keys.KindTooLarge,
		items(1) + "x":                       keys.KindMalformed,
		items(1) + items(1):                  keys.KindMalformed,
		items(1)[:len(items(1))-1]:           keys.KindMalformed,
		`{"items":[` + one + `],}`:           keys.KindMalformed,
		`{"items":[` + one + `,]}`:           keys.KindMalformed,
		`{"items":[{}]}`:                     keys.KindMissing,
		`{"items":[1]}`:                      keys.KindMalformed,
		`{"items":[],"items":[` + one + `]}`: keys.KindMalformed,
		`{"items":[{"operation":1,"parameters":{}}]}`:                       keys.KindMalformed,
		`{"items":[{"operation":"X","parameters":[]}]}`:                     keys.KindMalformed,
		`{"items":[{"operation":"X","parameters":null}]}`:                   keys.KindMalformed,
		`{"items":[{"operation":"X"}]}`:                                     keys.KindMalformed,
		`{"items":[{"operation":"X","operation":"Y","parameters":{}}]}`:     keys.KindMalformed,
		`{"items":[{"Operation":"X","parameters":{}}]}`:                     keys.KindMalformed,
		`{"items":[{"operation":"X","parameters":{},"more":true}]}`:         keys.KindMalformed,
		`{"items":[{"operation":"X","parameters":{"a":"` + "\xff" + `"}}]}`: keys.KindMalformed,
	} {
		got, err := parseBatch([]byte(body))
		if want == "" && (err != nil || len(got) == 0) || want != "" && !keys.IsKind(err, want) {
			t.Errorf("%.80q: %v, want %q", body, err, want)
		}
	}
	got, err := parseBatch([]byte(`{"items":[{"operation":"A","parameters":{ "x" : [1] }},{"operation":"B","parameters":{}}]}`))
	if err != nil || len(got) != 2 || got[0].asked != "A" || string(got[0].given) != `{ "x" : [1] }` || got[1].asked != "B" {
		t.Errorf("%+v, %v", got, err)
	}
}

func FuzzParseBatch(f *testing.F) {
	for _, s := range []string{
		`{"items":[{"operation":"Encrypt","parameters":{"keyId":"k","plaintext":"aGk="}}]}`,
		`{"items":[{"operation":"A","parameters":{}},{"operation":"B","parameters":{"a":{"b":[1,null]}}}]}`,
		`{"items":[]}`, `{}`, `[`, `{"items":[{"operation":"A","parameters":{}}]}{}`, `{"items":[{"operation":"\ud800","parameters":{}}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		items, err := parseBatch(body)
		if err != nil {
			return
		}
		if len(items) == 0 || len(items) > MaxItems || !json.Valid(body) {
			t.Fatalf("%d items of %q", len(items), body)
		}
		for _, it := range items {
			if it.asked == "" || !json.Valid(it.given) || !bytes.Contains(body, it.given) {
				t.Fatalf("item %+v of %q", it, body)
			}
		}
	})
}
