// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// contentFunc is a content made of a function.
type contentFunc func(d *document)

func (f contentFunc) write(d *document) { f(d) }

// render writes c in a format, inside a root.
func render(c content, asXML bool) string {
	d := document{xml: asXML}
	if asXML {
		d.name("Root")
	} else {
		d.buf = append(d.buf, '{')
	}
	c.write(&d)
	d.closing("Root")
	if !asXML {
		d.buf = append(d.buf, '}')
	}
	return string(d.buf)
}

// node is a JSON value or XML element brought to one shape: an object's members in order, an
// array as its elements under one name, everything else as text.
type node struct {
	Name     string
	Text     string
	Children []node
}

// fromJSON reads a JSON object, or reports what is wrong with it.
func fromJSON(t testing.TB, s string) []node {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	out := jsonNodes(t, d, "")
	if d.More() {
		t.Errorf("%s: more than one value", s)
	}
	return out[0].Children
}

func jsonNodes(t testing.TB, d *json.Decoder, name string) []node {
	t.Helper()
	tok, err := d.Token()
	if err != nil {
		t.Fatalf("read JSON: %v", err)
	}
	switch v := tok.(type) {
	case json.Delim:
		var out []node
		if v == '[' {
			for d.More() {
				out = append(out, jsonNodes(t, d, name)...)
			}
			if _, err := d.Token(); err != nil {
				t.Fatalf("read JSON: %v", err)
			}
			return out
		}
		for d.More() {
			member, err := d.Token()
			if err != nil {
				t.Fatalf("read JSON: %v", err)
			}
			out = append(out, jsonNodes(t, d, member.(string))...)
		}
		if _, err := d.Token(); err != nil {
			t.Fatalf("read JSON: %v", err)
		}
		return []node{{Name: name, Children: out}}
	case string:
		return []node{{Name: name, Text: v}}
	case json.Number:
		return []node{{Name: name, Text: v.String()}}
	case bool:
		return []node{{Name: name, Text: map[bool]string{true: "true", false: "false"}[v]}}
	}
	t.Fatalf("unexpected JSON token %v", tok)
	return nil
}

// fromXML reads an XML document: the root's name and its children.
func fromXML(t testing.TB, s string) (string, []node) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(s))
	for {
		tok, err := d.Token()
		if err != nil {
			t.Fatalf("read XML %s: %v", s, err)
		}
		if start, ok := tok.(xml.StartElement); ok {
			n := xmlNode(t, d, start)
			return n.Name, n.Children
		}
	}
}

func xmlNode(t testing.TB, d *xml.Decoder, start xml.StartElement) node {
	t.Helper()
	n := node{Name: start.Name.Local}
	for {
		tok, err := d.Token()
		if err != nil {
			t.Fatalf("read XML: %v", err)
		}
		switch v := tok.(type) {
		case xml.StartElement:
			n.Children = append(n.Children, xmlNode(t, d, v))
		case xml.CharData:
			n.Text += string(v)
		case xml.EndElement:
			if n.Children != nil {
				n.Text = ""
			}
			return n
		}
	}
}

// TestOneContentTwoFormats writes every kind of member in both formats and reads the same.
func TestOneContentTwoFormats(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 999, time.FixedZone("east", 3600))
	c := contentFunc(func(d *document) {
		d.text("Text", "a <b> & \"c\" 'd' \\ \n\r\t é漢😀")
		d.text("Empty", "")
		d.base64("Bytes", []byte{0xfb, 0xff, 0xbf, 0})
		d.time("Time", at)
		d.time("Never", time.Time{})
		d.number("Number", -42)
		d.boolean("Yes", true)
		d.object("Object", func() { d.text("A", "1"); d.text("B", "2") })
		d.object("Nothing", func() {})
		d.list("Things", "Thing", 2, func(i int) { d.number("I", i); d.boolean("Even", i%2 == 0) })
		d.list("None", "One", 0, nil)
		d.text("Last", "x")
	})
	const wantJSON = `{"Text":"a <b> & \"c\" 'd' \\ \n\r\t é漢😀","Empty":"","Bytes":"+/+/AA==","Time":"2026-01-02T02:04:05Z","Never":"",` +
		`"Number":-42,"Yes":true,"Object":{"A":"1","B":"2"},"Nothing":{},"Things":{"Thing":[{"I":0,"Even":true},{"I":1,"Even":false}]},` +
		`"None":{"One":[]},"Last":"x"}`
	inJSON, inXML := render(c, false), render(c, true)
	if diff := cmp.Diff(wantJSON, inJSON); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	root, fromTheXML := fromXML(t, inXML)
	if root != "Root" {
		t.Errorf("root is %s", root)
	}
	if diff := cmp.Diff(fromJSON(t, inJSON), fromTheXML); diff != "" {
		t.Errorf("-JSON +XML\n%s\n%s", diff, inXML)
	}
	if !strings.Contains(inXML, "<Things><Thing><I>0</I><Even>true</Even></Thing><Thing>") || !strings.Contains(inXML, "<None></None>") {
		t.Errorf("lists in %s", inXML)
	}
}

func FuzzText(f *testing.F) {
	f.Add("a <b>&\"'\\\n\r\t\x00\x1f\x7f")
	f.Add("é漢😀\ufffe\u2028")
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return
		}
		c := contentFunc(func(d *document) { d.text("T", s) })
		var got struct{ T string }
		if err := json.Unmarshal([]byte(render(c, false)), &got); err != nil || got.T != s {
			t.Errorf("JSON gives %q for %q (%v)", got.T, s, err)
		}
		got.T = ""
		if err := xml.Unmarshal([]byte(render(c, true)), &got); err != nil || (got.T != s) != !fitsXML([]byte(s)) && got.T != strings.Map(replaceXML, s) {
			t.Errorf("XML gives %q for %q (%v)", got.T, s, err)
		}
	})
}

func replaceXML(r rune) rune {
	if !fitsXML([]byte(string(r))) {
		return utf8.RuneError
	}
	return r
}
