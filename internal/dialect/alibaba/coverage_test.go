// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"flag"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

//go:generate go test -run TestCoveragePage$ -update .

var update = flag.Bool("update", false, "write the golden files and pages")

const coveragePage = "../../../docs/coverage-alibaba.md"

func TestCoveragePage(t *testing.T) {
	t.Parallel()
	want := Coverage()
	if *update {
		if err := os.WriteFile(coveragePage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(coveragePage)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is not the table's; write it with -update\n%s", coveragePage, diff)
	}
}

// TestGaps asks for every operation that is not supported: each is known, and refused as the
// cloud refuses what a region or edition does not have.
func TestGaps(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	seen := map[string]bool{}
	d := &Dialect{}
	for _, g := range append(d.operations(), d.stsOperations()...) {
		version := apiVersion
		if strings.HasPrefix(g.Name, "STS") {
			version = stsVersion
		}
		for _, op := range g.Operations {
			if seen[op.Name] {
				t.Errorf("%s is in the table twice", op.Name)
			}
			seen[op.Name] = true
			if op.Gap == "" {
				continue
			}
			if op.Name == "SetKeyPolicy" {
				continue // it has a refusal of its own: see TestKeyPolicy
			}
			r := c.call(t, op.Name, "Version="+version)
			if r.code() != "400 UnsupportedOperation" || r.at("Message") != "This action is not supported." {
				t.Errorf("%s: %s", op.Name, r)
			}
		}
	}
	if r := c.call(t, "NoSuchOperation"); r.code() != "404 InvalidAction.NotFound" || r.status != http.StatusNotFound ||
		r.at("Message") != "Specified api is not found, please check your url and method." {
		t.Errorf("unknown: %s", r)
	}
}
