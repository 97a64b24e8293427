// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxParams is the most parameters of one request. A flattened encryption context of the
// longest kind (8192 characters in total) stays below it in any sensible use.
const maxParams = 1024

// param is one parameter, decoded.
type param struct {
	name, value string
	form        bool // it came in the body: its signature is the body's hash in ACS3
	used        bool // somebody asked for it; the others are named in the answer as ignored
}

// params are the parameters of the query and of the form body, merged, sorted by the bytes
// of their names, each name once.
type params struct {
	list   []param
	inline [24]param // list's first home: few requests have more
	size   int       // bytes of all names and values

	scratch []byte // room for what is signed, and then for the answer
}

var (
	errUTF8      = errors.New("a parameter is not valid UTF-8")
	errTooMany   = fmt.Errorf("more than %d parameters", maxParams)
	errNameless  = errors.New("a parameter has no name")
	errDuplicate = errors.New("is given more than once")
)

// parse reads a query string and a form body into p. A parameter given twice is refused: the
// signature does not say which one was meant.
func (p *params) parse(query, form string) error {
	p.list = p.inline[:0]
	var text strings.Builder
	text.Grow(len(query) + len(form))
	// The builder never moves once it has grown, so substrings of it can be kept.
	for _, part := range [2]struct {
		text string
		form bool
	}{{query, false}, {form, true}} {
		if err := p.split(&text, part.text, part.form); err != nil {
			return err
		}
	}
	slices.SortFunc(p.list, func(a, b param) int { return cmp.Compare(a.name, b.name) })
	for i := 1; i < len(p.list); i++ {
		if p.list[i].name == p.list[i-1].name {
			return fmt.Errorf("parameter %q %w", clip(p.list[i].name), errDuplicate)
		}
	}
	p.size = text.Len()
	return nil
}

func (p *params) split(text *strings.Builder, part string, form bool) error {
	for part != "" {
		var pair string
		pair, part, _ = strings.Cut(part, "&")
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		if name == "" {
			return errNameless
		}
		if len(p.list) == maxParams {
			return errTooMany
		}
		start := text.Len()
		if err := decodeInto(text, name); err != nil {
			return err
		}
		middle := text.Len()
		if err := decodeInto(text, value); err != nil {
			return err
		}
		all := text.String()
		q := param{name: all[start:middle], value: all[middle:], form: form}
		if !utf8.ValidString(q.name) || !utf8.ValidString(q.value) {
			return errUTF8
		}
		p.list = append(p.list, q)
	}
	return nil
}

// get is the value of a parameter and whether it was sent; an empty value is a value.
func (p *params) get(name string) (string, bool) {
	for i := range p.list {
		if p.list[i].name == name {
			p.list[i].used = true
			return p.list[i].value, true
		}
	}
	return "", false
}

// room is the scratch space, empty and with room for n bytes.
func (p *params) room(n int) []byte {
	if cap(p.scratch) < n {
		p.scratch = make([]byte, 0, n)
	}
	return p.scratch[:0]
}

// roomEncoded is a fair guess of how long the parameters are in a string to sign.
func (p *params) roomEncoded() int { return 256 + p.size + p.size/2 }

// disregard takes back that a parameter was used.
func (p *params) disregard(name string) {
	for i := range p.list {
		if p.list[i].name == name {
			p.list[i].used = false
		}
	}
}

// value is get where empty and absent are the same.
func (p *params) value(name string) string {
	v, _ := p.get(name)
	return v
}

// below calls each for every parameter named prefix + "." + rest.
func (p *params) below(prefix string, each func(rest, value string)) {
	for i := range p.list {
		rest, ok := strings.CutPrefix(p.list[i].name, prefix)
		if ok && rest != "" && rest[0] == '.' {
			p.list[i].used = true
			each(rest[1:], p.list[i].value)
		}
	}
}

// ignored names the parameters that nobody asked for, fit for a header.
func (p *params) ignored() string {
	const most = 512
	var b strings.Builder
	for i := range p.list {
		if p.list[i].used {
			continue
		}
		if b.Len() > most {
			b.WriteString(", ...")
			break
		}
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		b.WriteString(clip(p.list[i].name))
	}
	return b.String()
}

// clip makes a name that a client chose fit for a header or an error: printable ASCII
// without separators, of bounded length.
func clip(name string) string {
	const most = 64
	b := make([]byte, 0, min(len(name), most))
	for i := range min(len(name), most) {
		c := name[i]
		if c <= ' ' || c >= 0x7f || c == ',' || c == '"' {
			c = '?'
		}
		b = append(b, c)
	}
	return string(b)
}
