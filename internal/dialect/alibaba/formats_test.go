// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"encoding/xml"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFormatsAgree sends every operation in both formats: the XML has the members of the JSON,
// with the same values wherever these are not made anew, under the root that its page shows.
func TestFormatsAgree(t *testing.T) {
	t.Parallel()
	for _, form := range []XMLRoot{RootByOperation, RootKMS, RootAction} {
		if testing.Short() && form == RootAction {
			continue
		}
		c := newCloud(t, func(cfg *Config) { cfg.XMLRoot = form })
		s := newStage(t, c, "Description=a <b> & \"c\"\n漢")
		exact := 0
		for _, row := range stateTable {
			if row.best() != ok {
				continue // TestBadInput compares refusals
			}
			var answers [3]reply
			for i, format := range []string{"JSON", "XML", "JSON"} {
				params := s.set(t, c, &row)
				answers[i] = c.must(t, row.operation, append(params, "Format="+format)...)
				s.strike(t, c, &row)
			}
			compareFormats(t, form, row.operation, answers[0], answers[1])
			if sameBut(answers[0], answers[2]) {
				exact++
				want := asXML(t, form, row.operation, answers[0])
				if got := strings.ReplaceAll(answers[1].body, answers[1].header.Get("X-Acs-Request-Id"), "(id)"); got != want {
					t.Errorf("%q %s: the XML is\n%s\nand by the JSON it would be\n%s", form, row.operation, got, want)
				}
			}
		}
		if exact < 15 {
			t.Errorf("%q: only %d operations answered the same twice", form, exact)
		}
	}
}

// sameBut reports whether two answers differ by their request ids only: then the one in between
// can be derived from either.
func sameBut(a, b reply) bool {
	return strings.ReplaceAll(a.body, a.header.Get("X-Acs-Request-Id"), "(id)") == strings.ReplaceAll(b.body, b.header.Get("X-Acs-Request-Id"), "(id)")
}

// asXML makes the XML that an answer in JSON stands for.
func asXML(t testing.TB, form XMLRoot, operation string, inJSON reply) string {
	t.Helper()
	root := rootOf(form, operation)
	var b strings.Builder
	if operation != "CreateKeyVersion" && operation != "DescribeKeyVersion" {
		b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>`)
	}
	var write func(node)
	write = func(n node) {
		b.WriteString("<" + n.Name + ">")
		if err := xml.EscapeText(&b, []byte(n.Text)); err != nil {
			t.Fatal(err)
		}
		for _, child := range n.Children {
			write(child)
		}
		b.WriteString("</" + n.Name + ">")
	}
	write(node{Name: root, Children: fromJSON(t, strings.ReplaceAll(inJSON.body, inJSON.header.Get("X-Acs-Request-Id"), "(id)"))})
	return b.String()
}

// rootOf is the root of an operation's answer in XML.
func rootOf(form XMLRoot, operation string) string {
	if form == RootKMS || (form == RootByOperation && operation == "CreateKeyVersion") {
		return "KMS"
	}
	return operation + "Response"
}

func compareFormats(t testing.TB, form XMLRoot, operation string, inJSON, inXML reply) {
	t.Helper()
	want := rootOf(form, operation)
	root, got := fromXML(t, inXML.body)
	if root != want || inXML.header.Get("Content-Type") != "application/xml" || inJSON.header.Get("Content-Type") != "application/json" {
		t.Errorf("%q %s: root %s, want %s; %s %s", form, operation, root, want, inXML.header.Get("Content-Type"), inJSON.header.Get("Content-Type"))
	}
	byPage := operation == "CreateKeyVersion" || operation == "DescribeKeyVersion"
	if declared := strings.HasPrefix(inXML.body, xmlDeclaration+"<"); declared == byPage {
		t.Errorf("%q %s: declaration %t", form, operation, declared)
	}
	for i, r := range []reply{inJSON, inXML} {
		if !strings.Contains(r.body, r.header.Get("X-Acs-Request-Id")) || len(r.header.Get("X-Acs-Request-Id")) != 36 || r.status != http.StatusOK {
			t.Errorf("%q %s, format %d: request id of %s", form, operation, i, r)
		}
	}
	fresh := regexp.MustCompile(`^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|acs:kms:.*|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|[A-Za-z0-9+/]{40,}=*|alias/.*|\d+)$`)
	mask := cmp.Transformer("mask", func(s string) string { return fresh.ReplaceAllString(s, "(fresh)") })
	if diff := cmp.Diff(grown(fromJSON(t, inJSON.body)), grown(got), mask); diff != "" {
		t.Errorf("%q %s: -JSON +XML\n%s", form, operation, diff)
	}
}

// grown drops what a list has gained between the two requests: all of its items but one.
func grown(nodes []node) []node {
	var out []node
	for i, n := range nodes {
		if i > 0 && n.Name == nodes[i-1].Name {
			continue
		}
		n.Children = grown(n.Children)
		out = append(out, n)
	}
	return out
}
