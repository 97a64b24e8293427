// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"claviger/internal/dialect"
)

// way is one of the ways in which clients send an operation. more beside its parameters is what
// nobody knows.
type way func(t testing.TB, c *cloud, action string, values url.Values) reply

const more = "NoSuchParameter"

// v1Way signs by version 1; inForm says which parameters travel in the body.
func v1Way(method string, inForm func(name string) bool) way {
	return func(t testing.TB, c *cloud, action string, values url.Values) reply {
		t.Helper()
		all := c.common(c.Tenant, action)
		var form []string
		for name := range values {
			all.Set(name, values.Get(name))
		}
		for name := range all {
			if inForm(name) {
				form = append(form, name)
			}
		}
		if inForm("Signature") {
			form = append(form, "Signature")
		}
		return c.sendV1(t, method, c.Tenant.Secret, all, form)
	}
}

func never(string) bool { return false }

// isCommon reports whether Terraform's provider sends a parameter in the query.
func isCommon(name string) bool {
	return slices.Contains([]string{
		"Action", "Version", "Format", "AccessKeyId", "Signature", "SignatureMethod", "SignatureVersion", "SignatureNonce", "Timestamp",
	}, name)
}

var allWays = map[string]way{
	"version 1, GET":                     v1Way(http.MethodGet, never),
	"version 1, POST, all in the query":  v1Way(http.MethodPost, never),
	"version 1, POST, all in a form":     v1Way(http.MethodPost, func(string) bool { return true }),
	"version 1, POST, own ones in forms": v1Way(http.MethodPost, func(name string) bool { return !isCommon(name) }),
	"version 1, spaces as %20 and raw * ' ( ) !": func(t testing.TB, c *cloud, action string, values url.Values) reply {
		t.Helper()
		all := c.common(c.Tenant, action)
		for name := range values {
			all.Set(name, values.Get(name))
		}
		all.Set("Signature", signV1(http.MethodPost, c.Tenant.Secret, all))
		query := strings.NewReplacer("+", "%20", "%2A", "*", "%27", "'", "%28", "(", "%29", ")", "%21", "!", "%7E", "~").Replace(all.Encode())
		return c.send(t, http.MethodPost, "/?"+query, nil, "")
	},
	"ACS3, POST, query": func(t testing.TB, c *cloud, action string, values url.Values) reply {
		t.Helper()
		return c.sendACS3(t, http.MethodPost, c.Tenant, action, values, "", nil)
	},
	"ACS3, GET": func(t testing.TB, c *cloud, action string, values url.Values) reply {
		t.Helper()
		return c.sendACS3(t, http.MethodGet, c.Tenant, action, values, "", nil)
	},
	"ACS3, POST, form": func(t testing.TB, c *cloud, action string, values url.Values) reply {
		t.Helper()
		return c.sendACS3(t, http.MethodPost, c.Tenant, action, url.Values{}, values.Encode(), nil)
	},
}

// TestEveryOperationInEveryWay sends each operation in each way of each client: it works alike, and
// names what it does not know.
func TestEveryOperationInEveryWay(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	s := newStage(t, c)
	for _, row := range stateTable {
		for name, send := range allWays {
			if testing.Short() && !slices.Contains([]string{"version 1, GET", "version 1, POST, own ones in forms", "ACS3, POST, query"}, name) {
				continue
			}
			values := url.Values{more: {"x"}}
			set(values, s.set(t, c, &row))
			r := send(t, c, row.operation, values)
			if r.code() != row.best() {
				t.Errorf("%s, %s: %s (%s)", row.operation, name, r, r.header.Get(dialect.HintHeader))
			}
			if got := r.header.Get(dialect.IgnoredHeader); row.best() == ok && got != more {
				t.Errorf("%s, %s: ignored are %q", row.operation, name, got)
			}
			s.strike(t, c, &row)
		}
	}
}

// TestFormats asks for either format in any case; the header of ACS3's clients asks for nothing.
func TestFormats(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for format, want := range map[string]string{
		"": "application/json", "JSON": "application/json", "json": "application/json", "Json": "application/json",
		"XML": "application/xml", "xml": "application/xml", "xMl": "application/xml",
	} {
		for name, send := range allWays {
			if r := send(t, c, "DescribeRegions", url.Values{"Format": {format}}); r.header.Get("Content-Type") != want {
				t.Errorf("%s, Format=%s: %s %s", name, format, r.header.Get("Content-Type"), r)
			}
		}
	}
	for _, format := range []string{"YAML", "J", "XML,JSON", " json"} {
		r := c.call(t, "DescribeRegions", "Format="+format)
		if r.code() != "400 InvalidParameter.Format" || r.header.Get("Content-Type") != "application/json" {
			t.Errorf("Format=%s: %s", format, r)
		}
	}
}

// TestMaps sends encryption contexts in the forms that clients have for maps.
func TestMaps(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key := c.newKey(t)
	blob := c.must(t, "Encrypt", "KeyId="+key, "Plaintext=aGk=", `EncryptionContext={"a b":"*'()!~","ключ":""}`).at("CiphertextBlob")
	for name, send := range allWays {
		for _, values := range []url.Values{
			{"EncryptionContext": {` { "ключ" : "" , "a b" : "*'()!~" } `}},
			{"EncryptionContext.a b": {"*'()!~"}, "EncryptionContext.ключ": {""}},
			{"EncryptionContext": {"{}"}, "EncryptionContext.a b": {"*'()!~"}, "EncryptionContext.ключ": {""}},
			{"EncryptionContext": {""}, "EncryptionContext.a b": {"*'()!~"}, "EncryptionContext.ключ": {""}},
		} {
			values.Set("CiphertextBlob", blob)
			if r := send(t, c, "Decrypt", values); r.at("Plaintext") != "aGk=" {
				t.Errorf("%s, %v: %s", name, values, r)
			}
		}
		for _, values := range []url.Values{
			{},
			{"EncryptionContext.a b": {"*'()!~"}},
			{"EncryptionContext.a": {"*'()!~"}, "EncryptionContext.ключ": {""}},
			{"EncryptionContext": {`{"a b":"*'()!~"}`}, "EncryptionContext.ключ": {""}},
		} {
			values.Set("CiphertextBlob", blob)
			if r := send(t, c, "Decrypt", values); r.code() != isInvalid {
				t.Errorf("%s, %v: %s", name, values, r)
			}
		}
	}
}
