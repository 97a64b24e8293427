// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestParams(t *testing.T) {
	t.Parallel()
	p := parsed(t, "b=2&a=1+2%20%2b%2B&&%65mpty=&bare&raw=*'()!~&eq=x=y", "form=%e6%bc%a2")
	want := map[string]string{"a": "1 2 ++", "b": "2", "bare": "", "empty": "", "eq": "x=y", "form": "漢", "raw": "*'()!~"}
	got := map[string]string{}
	for _, q := range p.list {
		got[q.name] = q.value
		if q.form != (q.name == "form") {
			t.Errorf("%s: form is %t", q.name, q.form)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if !slices.IsSortedFunc(p.list, func(a, b param) int { return strings.Compare(a.name, b.name) }) {
		t.Error("not sorted")
	}
	if _, ok := p.get("absent"); ok {
		t.Error("absent is there")
	}
	if v, ok := p.get("empty"); !ok || v != "" {
		t.Errorf("empty is %q, %t", v, ok)
	}
	if got, want := p.ignored(), "a, b, bare, eq, form, raw"; got != want {
		t.Errorf("ignored %q, want %q", got, want)
	}
}

func TestParamsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ query, form string }{
		"twice in the query":  {"a=1&a=2", ""},
		"in query and form":   {"a=1", "a=1"},
		"twice when decoded":  {"a=1&%61=2", ""},
		"cut short":           {"a=%4", ""},
		"percent at the end":  {"", "a=%"},
		"not hex":             {"a=%zz", ""},
		"invalid UTF-8 value": {"a=%ff", ""},
		"invalid UTF-8 name":  {"%c3=1", ""},
		"split character":     {"a=%e6%bc&%a2=1", ""},
		"no name":             {"=1", ""},
		"too many":            {strings.Repeat("a&", maxParams+1), ""},
	} {
		if err := new(params).parse(c.query, c.form); err == nil {
			t.Errorf("%s: %q and %q are accepted", name, c.query, c.form)
		}
	}
}

func TestIgnoredFitsAHeader(t *testing.T) {
	t.Parallel()
	var query []string
	for i := range 500 {
		query = append(query, url.QueryEscape(fmt.Sprintf("é\r\n, %d %s", i, strings.Repeat("x", 100))))
	}
	got := parsed(t, strings.Join(query, "&"), "").ignored()
	if len(got) > 1024 || strings.Trim(got, " !\"#$%&'()*+,-./0123456789?x") != "" || !strings.HasSuffix(got, ", ...") {
		t.Errorf("ignored %q", got)
	}
}

func FuzzParams(f *testing.F) {
	f.Add("a=1&b=2", "c=%20+")
	f.Add("EncryptionContext.k=v&EncryptionContext={}", "")
	f.Add("%", "&&=")
	f.Fuzz(func(t *testing.T, query, form string) {
		p := &params{}
		if p.parse(query, form) != nil {
			return
		}
		// What is accepted is what the standard library reads, where it reads it at all.
		got, want := map[string]string{}, map[string]string{}
		for _, q := range p.list {
			if !utf8.ValidString(q.name) || !utf8.ValidString(q.value) {
				t.Errorf("invalid UTF-8 in %+v", q)
			}
			got[q.name] = q.value
		}
		for _, part := range []string{query, form} {
			values, err := url.ParseQuery(part)
			if err != nil {
				return // a semicolon
			}
			for name := range values {
				want[name] = values.Get(name)
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%q, %q read as %v, want %v", query, form, got, want)
		}
	})
}

func BenchmarkParams(b *testing.B) {
	query := "AccessKeyId=LTAI5tExample&Action=Encrypt&Format=JSON&KeyId=0b30658a-ed1a-4922-b8f7-a673ca9c0000&" +
		"Plaintext=SGVsbG8gd29ybGQgaG93IGFyZSB5b3U%2FIQ%3D%3D&RegionId=cn-hangzhou&Signature=41wk2SSX1GJh7fwnc5eqOfiJPFg%3D&" +
		"SignatureMethod=HMAC-SHA1&SignatureNonce=0123456789abcdef0123456789abcdef&SignatureType=&SignatureVersion=1.0&" +
		"Timestamp=2026-01-02T03%3A04%3A05Z&Version=2016-01-20"
	b.ReportAllocs()
	for b.Loop() {
		var p params
		if err := p.parse(query, ""); err != nil {
			b.Fatal(err)
		}
		if len(stringToSignV1("POST", &p)) == 0 {
			b.Fatal("nothing to sign")
		}
	}
}
