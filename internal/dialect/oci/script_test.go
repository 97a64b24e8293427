// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestScripts runs testdata/*.txtar against the dialect on real sockets. Each file of a script
// is a step:
//
//	-- request --   method, endpoint (region, vault, or a variable) and target; headers; a blank
//	                line; the body. It is signed as the Go SDK does it. A first line "as other"
//	                signs it as the other tenant's administrator.
//	-- reply --     status; the headers to compare ("name: *" must be there, "name: -" must not);
//	                a blank line; the body, compared as JSON
//	-- wait --      a duration that passes, and what is due in it happens
//	-- audit --     what was recorded of data calls and refusals since the last such step:
//	                "operation outcome" for each, as far as the store does not keep it itself
//
// $name in a request is a variable's value. In a reply, the string "$name" is compared with the
// variable, which it sets when it has none yet; "*" is any string, and "/re/" one that matches.
// $tenancy, $vault, $now and $now+DURATION are there from the start.
func TestScripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d scripts, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := &script{rig: newRig(t, nil), vars: map[string]string{}}
			s.vars["tenancy"], s.vars["othertenancy"] = s.Tenant.Names[Name], s.Other.Names[Name]
			s.vars["region"], s.vars["vault"], s.vars["othervault"] = s.region.URL, s.vault(s.Tenant), s.vault(s.Other)
			s.newCompartment(t)
			for i, f := range txtar.Parse(text).Files {
				s.at = fmt.Sprintf("%s, step %d (%s)", file, i+1, f.Name)
				s.step(t, f.Name, string(f.Data))
			}
		})
	}
}

type script struct {
	*rig
	at      string
	vars    map[string]string
	last    reply
	audited int
}

func (s *script) step(t *testing.T, name, text string) {
	t.Helper()
	verb, _, _ := strings.Cut(name, " ")
	switch verb {
	case "request":
		s.last = s.send(t, text)
	case "reply":
		s.compare(t, text)
	case "wait":
		d, err := time.ParseDuration(strings.TrimSpace(text))
		if err != nil {
			t.Fatalf("%s: %v", s.at, err)
		}
		s.Clock.Add(d)
		if _, err := s.Sweep(t.Context()); err != nil {
			t.Fatalf("%s: %v", s.at, err)
		}
	case "audit":
		s.audit(t, text)
	default:
		t.Fatalf("%s: no such step", s.at)
	}
}

var variable = regexp.MustCompile(`\$([a-zA-Z]+)([+-][0-9a-z]+)?`)

func (s *script) expand(t *testing.T, text string) string {
	t.Helper()
	return variable.ReplaceAllStringFunc(text, func(m string) string {
		parts := variable.FindStringSubmatch(m)
		if parts[1] == "now" {
			at := s.Clock.Now()
			if parts[2] != "" {
				d, err := time.ParseDuration(parts[2])
				if err != nil {
					t.Fatalf("%s: %v", s.at, err)
				}
				at = at.Add(d)
			}
			return at.UTC().Format("2006-01-02T15:04:05.000Z")
		}
		value, ok := s.vars[parts[1]]
		if !ok {
			t.Fatalf("%s: $%s has no value", s.at, parts[1])
		}
		return value + parts[2]
	})
}

func (s *script) send(t *testing.T, text string) reply {
	t.Helper()
	tenant := s.Tenant
	if rest, ok := strings.CutPrefix(text, "as other\n"); ok {
		tenant, text = s.Other, rest
	}
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimSpace(s.expand(t, head)), "\n")
	first := strings.SplitN(lines[0], " ", 3)
	if len(first) != 3 {
		t.Fatalf("%s: %q is not method, endpoint, target", s.at, lines[0])
	}
	base := first[1]
	if value, ok := s.vars[base]; ok {
		base = value
	}
	header := http.Header{}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		header.Set(name, value)
	}
	body = strings.TrimSuffix(s.expand(t, body), "\n")
	return send(t, s.signer(tenant).request(t, s.Clock.Now(), first[0], base+first[2], header, []byte(body)))
}

func (s *script) compare(t *testing.T, text string) {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimSpace(head), "\n")
	if got := fmt.Sprint(s.last.status); got != lines[0] {
		t.Fatalf("%s: status %s, want %s: %s %s", s.at, got, lines[0], s.last.body, s.last.hint())
	}
	for _, line := range lines[1:] {
		name, want, _ := strings.Cut(line, ": ")
		got := s.last.header.Get(name)
		if want == "-" {
			if got != "" {
				t.Errorf("%s: header %s is %q, want none", s.at, name, got)
			}
		} else if err := s.match(want, got); err != nil {
			t.Errorf("%s: header %s: %v", s.at, name, err)
		}
	}
	if s.last.header.Get("Opc-Request-Id") == "" {
		t.Errorf("%s: no opc-request-id", s.at)
	}
	if body = strings.TrimSpace(body); body == "" {
		if len(s.last.body) > 0 {
			t.Errorf("%s: body %s, want none", s.at, s.last.body)
		}
		return
	}
	var want, got any
	if err := json.Unmarshal([]byte(body), &want); err != nil {
		t.Fatalf("%s: %v", s.at, err)
	}
	if err := json.Unmarshal(s.last.body, &got); err != nil {
		t.Fatalf("%s: %v in %s", s.at, err, s.last.body)
	}
	if err := s.matchJSON("", want, got); err != nil {
		t.Fatalf("%s: %v\nin %s", s.at, err, indent(s.last.body))
	}
}

func indent(b []byte) string {
	var out bytes.Buffer
	if json.Indent(&out, b, "", "  ") != nil {
		return string(b)
	}
	return out.String()
}

func (s *script) matchJSON(path string, want, got any) error {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is %v, want an object", path, got)
		}
		for name := range g {
			if _, ok := w[name]; !ok && w["..."] == nil {
				return fmt.Errorf("%s.%s is there, want none", path, name)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(w)) {
			value, ok := g[name]
			if !ok && name != "..." {
				return fmt.Errorf("%s.%s is not there", path, name)
			}
			if name == "..." {
				continue
			}
			if err := s.matchJSON(path+"."+name, w[name], value); err != nil {
				return err
			}
		}
		return nil
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return fmt.Errorf("%s is %v, want a list of %d", path, got, len(w))
		}
		for i := range w {
			if err := s.matchJSON(fmt.Sprintf("%s[%d]", path, i), w[i], g[i]); err != nil {
				return err
			}
		}
		return nil
	case string:
		g, ok := got.(string)
		if !ok {
			return fmt.Errorf("%s is %v, want text", path, got)
		}
		if err := s.match(w, g); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	}
	if want != got {
		return fmt.Errorf("%s is %v, want %v", path, got, want)
	}
	return nil
}

func (s *script) match(want, got string) error {
	switch {
	case want == "*":
		if got == "" {
			return fmt.Errorf("empty")
		}
		return nil
	case len(want) > 1 && want[0] == '/' && want[len(want)-1] == '/':
		if !regexp.MustCompile(want[1 : len(want)-1]).MatchString(got) {
			return fmt.Errorf("%q does not match %s", got, want)
		}
		return nil
	case strings.HasPrefix(want, "$") && !strings.HasPrefix(want, "$now"):
		value, known := s.vars[want[1:]]
		if !known {
			s.vars[want[1:]] = got
			return nil
		}
		want = value
	case strings.HasPrefix(want, "$now"):
		at := s.Clock.Now()
		if d, err := time.ParseDuration(strings.TrimPrefix(want, "$now")); err == nil {
			at = at.Add(d)
		}
		want = at.UTC().Format("2006-01-02T15:04:05.000Z")
	default:
		for name, value := range s.vars {
			want = strings.ReplaceAll(want, "${"+name+"}", value)
		}
	}
	if got != want {
		return fmt.Errorf("%q, want %q", got, want)
	}
	return nil
}

func (s *script) audit(t *testing.T, text string) {
	t.Helper()
	events := s.Audit.Events()
	var got []string
	for _, e := range events[s.audited:] {
		line := e.Operation + " " + e.Outcome
		for _, k := range slices.Sorted(maps.Keys(e.Context)) {
			line += " " + k + "=" + e.Context[k]
		}
		got = append(got, strings.TrimSpace(line))
	}
	s.audited = len(events)
	want := strings.TrimSpace(text)
	if strings.Join(got, "\n") != want {
		t.Errorf("%s: recorded\n%s\nwant\n%s", s.at, strings.Join(got, "\n"), want)
	}
}

// newCompartment makes the compartment $compartment in the first tenant.
func (s *script) newCompartment(t *testing.T) {
	t.Helper()
	s.vars["compartment"] = s.compartment(t, s.Tenant)
}
