// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParseStrings(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]map[string]string{
		"":                       nil,
		" \n":                    nil,
		"null":                   nil,
		" null ":                 nil,
		"{}":                     nil,
		" { } ":                  nil,
		`{"a":"b"}`:              {"a": "b"},
		` { "a" : "b" , "":"" }`: {"a": "b", "": ""},
		`{"\u0061\n\"\\\/\b\f\r\t":"\ud83d\ude00é漢"}`: {"a\n\"\\/\b\f\r\t": "😀é漢"},
	} {
		got, err := parseStrings(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: -want +got\n%s", in, diff)
		}
	}
	for _, in := range []string{
		`{"a":1}`, `{"a":true}`, `{"a":null}`, `{"a":["b"]}`, `{"a":{}}`, `[]`, `"a"`, `{"a":"b","a":"c"}`, `{"a":"b"}x`, `{"a":"b"}{}`,
		`{"a":"b",}`, `{"a"}`, `{a:"b"}`, `{"a":"b"`, `{"a":"b`, `{"a":"\x"}`, `{"a":"\u12"}`, `{"a":"\ud800"}`, `{"a":"\ude00\ud83d"}`,
		`{"a":"\ud83dx"}`, "{\"a\":\"\n\"}", `{'a':'b'}`, `nullx`, `null null`, `{"a":"b" "c":"d"}`, `{"\u0061":"1","a":"2"}`, `\`,
	} {
		if got, err := parseStrings(in); err == nil {
			t.Errorf("%s is accepted as %v", in, got)
		}
	}
}

// FuzzStrings holds the reader against the standard library's, which is laxer in two ways:
// it takes the last of two equal names and replaces what is not Unicode.
func FuzzStrings(f *testing.F) {
	f.Add(`{"a":"b","c":"\u00e9\ud83d\ude00"}`)
	f.Add(`{"a":"b","a":"c"}`)
	f.Add("null")
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return // refused before
		}
		got, err := parseStrings(s)
		var want map[string]*string
		theirs := json.Unmarshal([]byte(s), &want)
		if strings.Trim(s, " \t\r\n") == "" {
			theirs = nil
		}
		if err != nil {
			if theirs == nil && !hasNull(want) && !strings.Contains(s, `\u`) && !twice(s) {
				t.Errorf("%q is refused: %v", s, err)
			}
			return
		}
		if theirs != nil {
			t.Fatalf("%q is accepted: %v", s, theirs)
		}
		plain := map[string]string{}
		for name, v := range want {
			plain[name] = *v
		}
		if !maps.Equal(got, plain) {
			t.Errorf("%q reads as %v, want %v", s, got, plain)
		}
	})
}

func hasNull(m map[string]*string) bool {
	for _, v := range m {
		if v == nil {
			return true
		}
	}
	return false
}

// twice reports whether a name stands twice in a flat object.
func twice(s string) bool {
	d := json.NewDecoder(strings.NewReader(s))
	seen, isName := map[string]bool{}, true
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) || err != nil {
			return false
		}
		name, ok := tok.(string)
		if !ok {
			continue
		}
		if isName && seen[name] {
			return true
		}
		seen[name] = seen[name] || isName
		isName = !isName
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	many := func(n int) string {
		var b bytes.Buffer
		for i := range n {
			b.WriteString(`,{"TagKey":"k` + strings.Repeat("x", i) + `","TagValue":"v"}`)
		}
		return "[" + strings.TrimPrefix(b.String(), ",") + "]"
	}
	for in, want := range map[string]map[string]string{
		"[]": nil,
		`[{"TagKey":"a/\\_-.+=:@9","TagValue":""},{"TagValue":"2","TagKey":"b"}]`: {`a/\_-.+=:@9`: "", "b": "2"},
	} {
		r := reader{p: parsed(t, "", "Tags="+strings.NewReplacer("+", "%2B").Replace(in))}
		if got := r.tags("Tags", maxTags); r.err != nil || !maps.Equal(got, want) {
			t.Errorf("%s: %v, %v", in, got, r.err)
		}
	}
	r := reader{p: &params{list: []param{{name: "Tags", value: many(20)}}}}
	if got := r.tags("Tags", maxTags); r.err != nil || len(got) != 20 {
		t.Errorf("20 tags: %v, %v", got, r.err)
	}
	for _, in := range []string{
		many(21), `{"TagKey":"a","TagValue":"b"}`, `[{"TagKey":"a"},{"TagKey":"a"}]`, `[{"TagKey":"","TagValue":"b"}]`, `[{}]`,
		`[{"tagKey":"a","TagValue":"b"}]`, `[{"TagKey":"a","TagValue":"b","More":"c"}]`, `[{"TagKey":"aliyunX","TagValue":"b"}]`,
		`[{"TagKey":"acs:x","TagValue":"b"}]`, `[{"TagKey":"a b","TagValue":"b"}]`, `[{"TagKey":"é","TagValue":"b"}]`, `[1]`, `[`, `x`, `[]x`,
		`[{"TagKey":"` + strings.Repeat("k", 129) + `","TagValue":"b"}]`, `[{"TagKey":"a","TagKey":"b"}]`, `null`,
	} {
		r := reader{p: &params{list: []param{{name: "Tags", value: in}}}}
		if got := r.tags("Tags", maxTags); r.err == nil {
			t.Errorf("%s is accepted as %v", in, got)
		}
	}
}

func FuzzFilters(f *testing.F) {
	f.Add(`[{"Key":"KeyState","Values":["Enabled","Disabled"]},{"Values":["x"],"Key":"keyId"}]`)
	f.Add(`[{"TagKey":"a","TagValue":"b"}]`)
	f.Fuzz(func(t *testing.T, s string) {
		p := &params{list: []param{{name: "Filters", value: s}, {name: "Tags", value: s}}}
		for _, read := range []func(*reader) bool{
			func(r *reader) bool { return len(r.filters("Filters")) > 0 },
			func(r *reader) bool { return len(r.tags("Tags", maxTags)) > 0 },
		} {
			r := reader{p: p}
			if some := read(&r); r.err != nil && some {
				t.Errorf("%q is refused and read all the same", s)
			} else if r.err == nil && some && utf8.ValidString(s) && !json.Valid([]byte(s)) {
				t.Errorf("%q is accepted and no JSON", s)
			}
		}
	})
}
