// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"claviger/internal/store/pgtest"
)

// testUpgrade lets nodes run while a later release brings the schema on: it adds tables and columns,
// and says which releases may still be used.
func testUpgrade(t *testing.T, binary string) {
	server := pgtest.Start(t, "fsync = off")
	c := newCluster(t, binary, []string{server.URL("postgres"), server.URL("postgres")})
	ctx := t.Context()
	first, second := c.caller(t, c.members[0], hang), c.caller(t, c.members[1], hang)
	query := func(text string) string {
		t.Helper()
		out, err := server.Query(ctx, "postgres", text)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	work := func(when string) {
		t.Helper()
		key := must(t, when+": create key", first.createKey(ctx, "k", aes256(), "")).text("id")
		must(t, when+": rotate", second.createVersion(ctx, key, ""))
		for _, caller := range []*caller{first, second} {
			must(t, when+": encrypt", caller.encrypt(ctx, key, []byte("x")))
		}
		must(t, when+": disable", first.act(ctx, key, "actions/disable"))
		if a := second.encrypt(ctx, key, nil); a.ok() {
			t.Errorf("%s: a key that the other node disabled was used", when)
		}
	}
	work("before")

	tables := strings.Fields(query("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('goose_db_version', 'schema_floor')"))
	if len(tables) < 10 {
		t.Fatalf("there are only the tables %v", tables)
	}
	var next strings.Builder
	next.WriteString("BEGIN; CREATE TABLE later (id bytea PRIMARY KEY);")
	for _, table := range tables {
		fmt.Fprintf(&next, "ALTER TABLE %s ADD COLUMN later text NOT NULL DEFAULT '';", table)
	}
	next.WriteString("INSERT INTO goose_db_version (version_id, is_applied) SELECT max(version_id) + 1, true FROM goose_db_version; COMMIT")
	query(next.String())
	work("after the schema of a later release was made, on nodes that run")
	for _, m := range c.members {
		m.stop(t)
		m.launch(t)
		m.serving(t)
	}
	work("after a restart on the schema of a later release")

	// The release after that one contracts: what knows less is refused.
	query("UPDATE schema_floor SET version = (SELECT max(version_id) FROM goose_db_version)")
	m := c.members[1]
	m.stop(t)
	out, err := exec.CommandContext(ctx, m.binary, "serve", "--config", m.config).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "install a newer release") {
		t.Errorf("on a schema that it cannot use the server starts, or does not say what to do: %v\n%s", err, out)
	}
}
