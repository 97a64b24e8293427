// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"strings"
	"testing"
	"time"

	"claviger/internal/keys"
)

func with(name, value string) *reader {
	return &reader{p: &params{list: []param{{name: name, value: value}}}}
}

func TestInterval(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]time.Duration{
		"":          0,
		"7d":        7 * keys.Day,
		"168h":      7 * keys.Day,
		"10080m":    7 * keys.Day,
		"604800s":   7 * keys.Day,
		"730d":      730 * keys.Day,
		"63072000s": 730 * keys.Day,
		"0000365d":  365 * keys.Day,
	} {
		r := with("RotationInterval", in)
		if got := r.interval("RotationInterval"); got != want || r.err != nil {
			t.Errorf("%q is %v, want %v (%v)", in, got, want, r.err)
		}
	}
	for _, in := range []string{
		"7", "d", "6d", "604799s", "731d", "63072001s", "-7d", "+7d", " 7d", "7 d", "7D", "7w", "1.5d", "7d7d", "99999999999d", "9999999999d",
		"9999999999s", "٧d", "1y",
	} {
		r := with("RotationInterval", in)
		if got := r.interval("RotationInterval"); r.err == nil {
			t.Errorf("%q is accepted as %v", in, got)
		}
	}
}

func TestInteger(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int{"": 10, "1": 1, "100": 100, "050": 50} {
		r := with("PageSize", in)
		if got := r.integer("PageSize", 10, 1, 100); got != want || r.err != nil {
			t.Errorf("%q is %d, want %d (%v)", in, got, want, r.err)
		}
	}
	for _, in := range []string{"0", "101", "-1", "+1", " 1", "1 ", "1.0", "1e1", "0x1", "x", "99999999999999999999", "１"} {
		r := with("PageSize", in)
		if got := r.integer("PageSize", 10, 1, 100); r.err == nil {
			t.Errorf("%q is accepted as %d", in, got)
		}
	}
}

func TestBoolean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{"": false, "true": true, "TRUE": true, "True": true, "false": false, "False": false} {
		r := with("DryRun", in)
		if got := r.dry(); got != want || r.err != nil {
			t.Errorf("%q is %t (%v)", in, got, r.err)
		}
	}
	for _, in := range []string{"1", "0", "yes", " true", "tru", "null"} {
		r := with("DryRun", in)
		if r.dry(); r.err == nil {
			t.Errorf("%q is accepted", in)
		}
	}
}

func TestDecodeBase64(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "", "SGVsbG8=": "Hello", "YQ==": "a", "+/+/": "\xfb\xff\xbf"} {
		if got, ok := decodeBase64(in); !ok || string(got) != want {
			t.Errorf("%q is %q, %t", in, got, ok)
		}
	}
	for _, in := range []string{"plaintext", "YQ", "YQ=", "YR==", "YQ==\n", "Y\nQ==", "-_-_", "SGVs bG8=", "=", "====", "YQ==YQ==", "漢漢漢漢"} {
		if got, ok := decodeBase64(in); ok {
			t.Errorf("%q is accepted as %q", in, got)
		}
	}
}

func TestContext(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		query string
		n     int
		ok    bool
	}{
		"absent":              {"x=1", 0, true},
		"empty":               {"EncryptionContext=", 0, true},
		"null":                {"EncryptionContext=null", 0, true},
		"braces":              {"EncryptionContext={}", 0, true},
		"JSON":                {`EncryptionContext={"a":"b","c":"d"}`, 2, true},
		"flattened":           {"EncryptionContext.a=b&EncryptionContext.c.d=", 2, true},
		"flattened and empty": {"EncryptionContext={}&EncryptionContext.a=b", 1, true},
		"both":                {`EncryptionContext={"a":"b"}&EncryptionContext.c=d`, 0, false},
		"a number":            {`EncryptionContext={"a":1}`, 0, false},
		"at the limit":        {"EncryptionContext.a=" + strings.Repeat("é", maxContext-1), 1, true},
		"over the limit":      {"EncryptionContext.a=" + strings.Repeat("e", maxContext), 0, false},
	} {
		r := reader{p: parsed(t, c.query, "")}
		got := r.context("EncryptionContext")
		if (r.err == nil) != c.ok || (c.ok && len(got) != c.n) {
			t.Errorf("%s: %v, %v", name, got, r.err)
		}
	}
}
