// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"claviger/internal/store"
)

// TestScripts plays the conversations of testdata/scripts. In each, a "request" names an
// operation, after "as other" for the second tenant's, and its parameters, one to a line; the
// "answer" after it is what the server said; "advance" moves the clock; "audit" at the end is
// what was recorded of it all. Ids and ciphertexts stand as <id-1>, <blob-1>, numbered as they
// first come up, and can be used so in requests. With -update the answers are written.
func TestScripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/scripts/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := txtar.Format(play(t, txtar.Parse(want)))
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("-want +got (write with -update)\n%s", diff)
			}
		})
	}
}

func play(t *testing.T, script *txtar.Archive) *txtar.Archive {
	t.Helper()
	c := newCloud(t)
	n := &normalizer{names: map[string]string{}}
	out := &txtar.Archive{Comment: script.Comment}
	keep := func(name, data string) { out.Files = append(out.Files, txtar.File{Name: name, Data: []byte(data)}) }
	for _, f := range script.Files {
		switch data := string(f.Data); f.Name {
		case "advance":
			d, err := time.ParseDuration(strings.TrimSpace(data))
			if err != nil {
				t.Fatal(err)
			}
			c.advance(t, d)
			keep(f.Name, data)
		case "request":
			keep(f.Name, data)
			who, lines := c.Tenant, strings.Split(strings.TrimSuffix(n.concrete(data), "\n"), "\n")
			if rest, ok := strings.CutPrefix(lines[0], "as other "); ok {
				who, lines[0] = c.Other, rest
			}
			r := c.callAs(t, who, lines[0], lines[1:]...)
			c.Clock.Add(time.Second)
			answer := fmt.Sprintf("%d %s\n%s\n", r.status, r.header.Get("Content-Type"), pretty(r.body))
			answer = strings.NewReplacer(r.header.Get("X-Acs-Request-Id"), "<request>", c.host, "<host>").Replace(answer)
			keep("answer", n.abstract(answer))
		case "answer", "audit":
		default:
			t.Fatalf("unknown part %s", f.Name)
		}
	}
	keep("audit", n.audit(t, c))
	return out
}

func pretty(body string) string {
	var b bytes.Buffer
	if json.Indent(&b, []byte(body), "", "  ") == nil {
		return b.String()
	}
	return strings.ReplaceAll(body, "><", ">\n<")
}

// normalizer gives what differs between runs the same names in each.
type normalizer struct {
	names map[string]string // what was seen → its name
	count map[string]int
}

var changing = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[A-Za-z0-9+/]{60,}=*|-----BEGIN PUBLIC KEY-----[^-]*-----END PUBLIC KEY-----`)

func (n *normalizer) abstract(s string) string {
	return changing.ReplaceAllStringFunc(s, func(found string) string {
		kind := "blob"
		if len(found) == 36 {
			kind = "id"
		}
		if n.names[found] == "" {
			if n.count == nil {
				n.count = map[string]int{}
			}
			n.count[kind]++
			n.names[found] = fmt.Sprintf("<%s-%d>", kind, n.count[kind])
		}
		return n.names[found]
	})
}

func (n *normalizer) concrete(s string) string {
	for found, name := range n.names {
		s = strings.ReplaceAll(s, name, found)
	}
	return s
}

// audit lists what was recorded: the log of reads, data calls and refusals, then the changes,
// which the store keeps.
func (n *normalizer) audit(t testing.TB, c *cloud) string {
	t.Helper()
	events := c.Audit.Events()
	err := c.Store.View(context.Background(), func(tx store.Tx) error {
		stored, err := tx.Events(0, 1000)
		for _, e := range stored {
			events = append(events, e.Event)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range events {
		if e.Dialect == Name {
			fmt.Fprintf(&b, "%s %s %s", e.Operation, e.Action, e.Outcome)
			if !e.Key.IsZero() {
				fmt.Fprintf(&b, " key=%s", n.abstract(e.Key.String()))
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}
