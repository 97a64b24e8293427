// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/keys"
)

// everything has a field of each type.
type everything struct {
	Text     string
	Optional *string
	Flag     *bool
	Number   *int
	Length   *int
	At       time.Time
	Map      map[string]string
	Nested   map[string]map[string]string
	Bytes    []byte
	Given    bool
	Choice   keys.VaultKind
	Inner    inner
}

type inner struct{ Text string }

func (e *inner) field(r *reader, name []byte) bool {
	if string(name) != "text" {
		return false
	}
	e.Text = r.text()
	return true
}

func (e *everything) field(r *reader, name []byte) bool {
	switch string(name) {
	case "text":
		e.Text = r.text()
	case "optional":
		e.Optional = r.optionalText()
	case "flag":
		e.Flag = r.optionalFlag()
	case "number":
		e.Number = r.integer(false)
	case "length":
		e.Length = r.integer(true)
	case "at":
		e.At = r.moment()
	case "map":
		e.Map = r.mapping()
	case "nested":
		e.Nested = r.nested()
	case "bytes":
		e.Bytes, e.Given = r.base64()
	case "choice":
		e.Choice, _ = choice(r, vaultTypes)
	case "inner":
		r.object(&e.Inner)
	default:
		return false
	}
	return true
}

func TestReadObject(t *testing.T) {
	t.Parallel()
	p := func(n int) *int { return &n }
	str := func(s string) *string { return &s }
	yes := true
	at := time.Date(2026, 12, 1, 1, 3, 4, 500e6, time.UTC)
	for _, tc := range []struct {
		body    string
		want    everything
		ignored []string
	}{
		{body: ``},
		{body: "{}"},
		{body: " \r\n\t{ } \n"},
		{body: `{"text":"a","optional":"","flag":true,"number":-7,"length":32}`, want: everything{Text: "a", Optional: str(""), Flag: &yes, Number: p(-7), Length: p(32)}},
		{body: `{"length":"16"}`, want: everything{Length: p(16)}},
		{body: `{"text":null,"optional":null,"flag":null,"number":null,"length":null,"at":null,"map":null,"nested":null,"bytes":null,"choice":null,"inner":null}`},
		{body: `{"at":"2026-12-01T02:03:04.5+01:00"}`, want: everything{At: at}},
		{body: `{"at":"2026-12-01T01:03:04.500000Z"}`, want: everything{At: at}},
		{body: `{"map":{},"nested":{}}`, want: everything{Map: map[string]string{}, Nested: map[string]map[string]string{}}},
		{body: `{"map":{"b":"2","a":"1"}}`, want: everything{Map: map[string]string{"a": "1", "b": "2"}}},
		{body: `{"nested":{"n":{"k":"v"},"m":{}}}`, want: everything{Nested: map[string]map[string]string{"n": {"k": "v"}, "m": {}}}},
		{body: `{"bytes":"SEVMTE8gV09STEQ="}`, want: everything{Bytes: []byte("HELLO WORLD"), Given: true}},
		{body: `{"bytes":"message"}`, want: everything{Bytes: []byte{0x99, 0xeb, 0x2c, 0x6a, 0x07}, Given: true}},
		{body: `{"bytes":"\/\/8="}`, want: everything{Bytes: []byte{0xff, 0xff}, Given: true}},
		{body: `{"bytes":""}`, want: everything{Bytes: []byte{}, Given: true}},
		{body: `{"choice":"DEFAULT"}`, want: everything{Choice: keys.SharedVault}},
		{body: `{"text":"\u00e9\ud83d\ude00\n\"\\\/\ufffd<"}`, want: everything{Text: "é😀\n\"\\/\ufffd<"}},
		{body: `{"te\u0078t":"x"}`, want: everything{Text: "x"}},
		{body: `{"Text":"x","TEXT":"y"}`, ignored: []string{"Text", "TEXT"}},
		{body: `{"inner":{"text":"x","other":[1,{"a":[]}]},"more":{"deep":null}}`, want: everything{Inner: inner{"x"}}, ignored: []string{"inner.other", "more"}},
		{body: `{"x":-1.5e+3,"y":[true,false,null,"s",0]}`, ignored: []string{"x", "y"}},
	} {
		var got everything
		ignored, err := readObject([]byte(tc.body), &got)
		if err != nil {
			t.Errorf("%s: %v", tc.body, err)
			continue
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: %s", tc.body, diff)
		}
		if diff := cmp.Diff(tc.ignored, ignored); diff != "" {
			t.Errorf("%s: ignored %s", tc.body, diff)
		}
	}
}

func TestReadObjectRefuses(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"a":`, maxDepth+1) + "1" + strings.Repeat("}", maxDepth+1)
	for _, tc := range []struct {
		body  string
		kind  keys.Kind
		field string
	}{
		{body: " ", kind: keys.KindMalformed},
		{body: "{", kind: keys.KindMalformed},
		{body: "[]", kind: keys.KindMalformed},
		{body: "null", kind: keys.KindMalformed},
		{body: `"x"`, kind: keys.KindMalformed},
		{body: "{}{}", kind: keys.KindMalformed},
		{body: "{} x", kind: keys.KindMalformed},
		{body: `{"text":"a",}`, kind: keys.KindMalformed},
		{body: `{"text" "a"}`, kind: keys.KindMalformed},
		{body: `{text:"a"}`, kind: keys.KindMalformed},
		{body: `{"text":"a" "flag":true}`, kind: keys.KindMalformed},
		{body: `{"text":"a","text":"a"}`, kind: keys.KindMalformed, field: "text"},
		{body: `{"text":"a","te\u0078t":"b"}`, kind: keys.KindMalformed, field: "text"},
		{body: `{"x":1,"x":2}`, kind: keys.KindMalformed, field: "x"},
		{body: `{"x":{"y":1,"y":2}}`, kind: keys.KindMalformed, field: "y"},
		{body: `{"map":{"a":"1","a":"2"}}`, kind: keys.KindMalformed, field: "map.a"},
		{body: `{"inner":{"text":"1","text":"2"}}`, kind: keys.KindMalformed, field: "inner.text"},
		{body: `{"text":1}`, kind: keys.KindMalformed, field: "text"},
		{body: `{"text":}`, kind: keys.KindMalformed},
		{body: `{"flag":"true"}`, kind: keys.KindMalformed, field: "flag"},
		{body: `{"flag":truth}`, kind: keys.KindMalformed},
		{body: `{"number":"1"}`, kind: keys.KindMalformed, field: "number"},
		{body: `{"number":1.5}`, kind: keys.KindMalformed, field: "number"},
		{body: `{"number":01}`, kind: keys.KindMalformed},
		{body: `{"number":-}`, kind: keys.KindMalformed},
		{body: `{"number":99999999999}`, kind: keys.KindMalformed, field: "number"},
		{body: `{"length":"x"}`, kind: keys.KindMalformed, field: "length"},
		{body: `{"at":"tomorrow"}`, kind: keys.KindInvalid, field: "at"},
		{body: `{"at":""}`, kind: keys.KindInvalid, field: "at"},
		{body: `{"at":7}`, kind: keys.KindMalformed, field: "at"},
		{body: `{"map":{"a":1}}`, kind: keys.KindMalformed, field: "map.a"},
		{body: `{"map":{"a":null}}`, kind: keys.KindMalformed, field: "map.a"},
		{body: `{"map":[]}`, kind: keys.KindMalformed, field: "map"},
		{body: `{"nested":{"a":"b"}}`, kind: keys.KindMalformed, field: "nested.a"},
		{body: `{"nested":{"a":{"b":[]}}}`, kind: keys.KindMalformed, field: "nested.a.b"},
		{body: `{"bytes":"a"}`, kind: keys.KindInvalid, field: "bytes"},
		{body: `{"bytes":"YQ=a"}`, kind: keys.KindInvalid, field: "bytes"},
		{body: `{"bytes":"YQ="}`, kind: keys.KindInvalid, field: "bytes"},
		{body: `{"bytes":"Y-_="}`, kind: keys.KindInvalid, field: "bytes"},
		{body: `{"bytes":"YWJj\nZGVm"}`, kind: keys.KindInvalid, field: "bytes"},
		{body: "{\"bytes\":\"YWJj\nZGVm\"}", kind: keys.KindInvalid, field: "bytes"},
		{body: `{"bytes":7}`, kind: keys.KindMalformed, field: "bytes"},
		{body: `{"choice":"default"}`, kind: keys.KindInvalid, field: "choice"},
		{body: `{"choice":""}`, kind: keys.KindInvalid, field: "choice"},
		{body: `{"inner":"x"}`, kind: keys.KindMalformed, field: "inner"},
		{body: `{"text":"\ud800"}`, kind: keys.KindMalformed},
		{body: `{"text":"\ud800\u0041"}`, kind: keys.KindMalformed},
		{body: `{"text":"\udc00\ud800"}`, kind: keys.KindMalformed},
		{body: `{"text":"\x"}`, kind: keys.KindMalformed},
		{body: `{"text":"\u12g4"}`, kind: keys.KindMalformed},
		{body: `{"text":"a`, kind: keys.KindMalformed},
		{body: `{"text":"a\"}`, kind: keys.KindMalformed},
		{body: "{\"text\":\"\xff\"}", kind: keys.KindMalformed},
		{body: "{\"text\":\"a\nb\"}", kind: keys.KindMalformed},
		{body: "{\"\x01\":1}", kind: keys.KindMalformed},
		{body: `{"x":[1,]}`, kind: keys.KindMalformed},
		{body: `{"x":[1 2]}`, kind: keys.KindMalformed},
		{body: deep, kind: keys.KindMalformed},
		{body: strings.Repeat(`{"a":[`, 100_000), kind: keys.KindMalformed},
	} {
		var got everything
		_, err := readObject([]byte(tc.body), &got)
		e := keys.AsError(err)
		if err == nil || e.Kind != tc.kind || (tc.field != "" && e.Field != tc.field) {
			t.Errorf("%.60s: got %v, want %s %s", tc.body, err, tc.kind, tc.field)
		}
		if e.Hint == "" && err != nil {
			t.Errorf("%.60s: no hint", tc.body)
		}
	}
}

func TestManyFieldsAreStillCheckedForTwins(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 100 {
		b.WriteString(`"k` + strings.Repeat("x", i) + `":"v",`)
	}
	body := `{"map":{` + b.String() + `"last":"v"}}`
	var got everything
	if _, err := readObject([]byte(body), &got); err != nil || len(got.Map) != 101 {
		t.Fatalf("%d pairs, %v", len(got.Map), err)
	}
	body = `{"map":{` + b.String() + `"kxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx":"v"}}`
	if _, err := readObject([]byte(body), &got); !keys.IsKind(err, keys.KindMalformed) {
		t.Errorf("a twin among many: %v, want malformed", err)
	}
}

// FuzzReadObject holds the reader to the standard library's: it accepts nothing that
// encoding/json refuses, and of what that accepts it refuses only what it says it refuses.
func FuzzReadObject(f *testing.F) {
	for _, s := range []string{
		``, `{}`, `{"text":"a","map":{"a":"b"},"bytes":"YQ==","at":"2026-12-01T02:03:04Z","length":"3","inner":{"text":"x"}}`,
		`{"x":[1,2.5e3,{"y":null}],"text":"\ud83d\ude00"}`, `{"text":"\ud800"}`, `{"a":1,"a":2}`, `{"nested":{"a":{"b":"c"}}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var got everything
		_, err := readObject(body, &got)
		if err == nil && len(body) > 0 && !json.Valid(body) {
			t.Fatalf("accepted what is not JSON: %q", body)
		}
		if err != nil && keys.AsError(err).Kind == keys.KindInternal {
			t.Fatalf("%q: %v", body, err)
		}
		_, err = readObject(body, unknown{})
		if err != nil && plainObject(body) {
			t.Fatalf("refused %q: %v", body, err)
		}
	})
}

// plainObject reports whether body is one JSON object without anything that the reader refuses
// on purpose.
func plainObject(body []byte) bool {
	if !json.Valid(body) || !utf8.Valid(body) || bytes.Contains(body, []byte(`\u`)) {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var open []map[string]bool // nil for lists
	name := false              // the next token of the innermost object is a name
	for first := true; ; first = false {
		tok, err := d.Token()
		if err != nil {
			return errors.Is(err, io.EOF)
		}
		if first && tok != json.Delim('{') {
			return false
		}
		top := len(open) - 1
		if s, ok := tok.(string); ok && top >= 0 && open[top] != nil && name {
			if open[top][s] {
				return false
			}
			open[top][s], name = true, false
			continue
		}
		switch tok {
		case json.Delim('{'):
			open = append(open, map[string]bool{})
		case json.Delim('['):
			open = append(open, nil)
		case json.Delim('}'), json.Delim(']'):
			open = open[:top]
		}
		if len(open) > maxDepth {
			return false
		}
		name = len(open) > 0 && open[len(open)-1] != nil
	}
}
