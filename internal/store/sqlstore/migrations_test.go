// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSameMigrations compares the numbers and names of the two databases' migrations: each change of
// the schema is made in both. TestPostgres compares what they come to.
func TestSameMigrations(t *testing.T) {
	t.Parallel()
	var names [2][]string
	for i, dir := range []string{"sqlite", "postgres"} {
		files, err := filepath.Glob(filepath.Join("migrations", dir, "*.sql"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no migrations for %s: %v", dir, err)
		}
		for _, f := range files {
			names[i] = append(names[i], filepath.Base(f))
		}
	}
	if diff := cmp.Diff(names[0], names[1]); diff != "" {
		t.Errorf("migrations differ (- SQLite, + PostgreSQL):\n%s", diff)
	}
}
