// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"path/filepath"
	"strings"
	"testing"

	"claviger/internal/store/storetest"
)

// TestCheckFinds breaks each invariant behind the store's back: the checker must say so.
func TestCheckFinds(t *testing.T) {
	t.Parallel()
	template := t.TempDir()
	s := openTest(t, Options{Dir: template, Create: true})
	populate(t, s)
	if err := storetest.Check(t.Context(), s); err != nil {
		t.Fatalf("before anything is broken: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct{ statement, says string }{
		"a change lost":           {"DELETE FROM changes WHERE rev = 2", "change feed"},
		"changes after the head":  {"UPDATE feed_head SET rev = rev - 1", "the head is"},
		"a record's change lost":  {"DELETE FROM changes WHERE type = 'grant'", "its last change"},
		"a row changed unseen":    {"UPDATE keys SET revision = revision - 1 WHERE state = 'ENABLED'", "its last change"},
		"a change told twice":     {"INSERT INTO changes SELECT rev, seq + 100, type, id, name FROM changes WHERE rev = 2", "twice"},
		"an event changed":        {"UPDATE events SET event = replace(event, 'Operation1', 'Operation7')", "does not follow"},
		"an event lost":           {"DELETE FROM events WHERE seq = 2", "audit event"},
		"the last event lost":     {"DELETE FROM events WHERE seq = 3", "audit events end"},
		"the last hash changed":   {"UPDATE feed_head SET event_hash = zeroblob(32)", "audit events end"},
		"a total too high":        {"UPDATE counters SET n = n + 1 WHERE type = 'keyversion'", "total"},
		"a total of a spec":       {"UPDATE counters SET spec = 'SM4' WHERE type = 'key' AND spec = 'AES_256'", "total"},
		"a total elsewhere":       {"INSERT INTO counters SELECT type, owner, 'x', spec, 3 FROM counters WHERE type = 'vault'", "total"},
		"a total of a vault":      {"UPDATE vault_counters SET n = n + 1 WHERE type = 'key'", "total"},
		"a key's aliases":         {"UPDATE counters SET n = 0 WHERE type = 'alias' AND owner IN (SELECT id FROM keys)", "total"},
		"an ordinal skipped":      {"UPDATE versions SET ordinal = 3 WHERE ordinal = 2", "versions"},
		"a live version lost":     {"DELETE FROM versions WHERE ordinal = 2", "versions"},
		"live material lost":      {"UPDATE versions SET sealed = NULL WHERE state = 'ENABLED'", "has no sealed material"},
		"material while waiting":  {"UPDATE versions SET sealed = x'00' WHERE state = 'PENDING_IMPORT'", "waits"},
		"a fingerprint lost":      {"UPDATE versions SET fingerprint = NULL WHERE state = 'PENDING_IMPORT'", "would take any"},
		"a fingerprint erased":    {"UPDATE versions SET fingerprint = x'00' WHERE state = 'DELETED'", "fingerprint"},
		"a hidden key counted":    {"UPDATE keys SET hidden = 1 WHERE origin = 'IMPORTED'", "total"},
		"a key no longer hidden":  {"UPDATE keys SET hidden = 0", "total"},
		"material of the erased":  {"UPDATE versions SET sealed = x'00' WHERE state = 'DELETED'", "sealed material"},
		"a primary that is gone":  {"UPDATE keys SET primary_version = (SELECT id FROM versions WHERE ordinal = 1)", "primary"},
		"a foreign primary":       {"UPDATE keys SET primary_version = id", "primary"},
		"a version in a vault":    {"UPDATE versions SET vault = key", "another place"},
		"a key in a region":       {"UPDATE keys SET region = 'x' WHERE state = 'ENABLED'", "another tenant or region"},
		"no time of deletion":     {"UPDATE vaults SET delete_at = NULL", "at no time"},
		"tags of the erased":      {"UPDATE keys SET tags = '{\"plain\":{\"a\":\"b\"}}' WHERE state = 'DELETED'", "tags"},
		"two with one id":         {"UPDATE versions SET id = key WHERE ordinal = 1", "has the id"},
		"an alias elsewhere":      {"UPDATE aliases SET region = 'x'", ""},
		"an alias of no key":      {"UPDATE aliases SET key = zeroblob(16)", ""},
		"a grant of another":      {"UPDATE grants SET tenant = grantee", "another tenant"},
		"a binding of another":    {"UPDATE bindings SET tenant = (SELECT grantee FROM grants)", "another tenant"},
		"a credential of nobody":  {"UPDATE credentials SET principal = id", "not of its tenant"},
		"a compartment in a void": {"UPDATE compartments SET parent = (SELECT id FROM keys LIMIT 1)", "compartment"},
		"a replica not named":     {"UPDATE replicas SET state = 'ACTIVE', delete_at = NULL", "its vault is ACTIVE"},
		"a replica of nothing":    {"UPDATE vaults SET replica = id WHERE state = 'ACTIVE'", "not its own"},
		"a replica at home":       {"UPDATE replicas SET region = 'home'", "in its region"},
		"an endpoint twice":       {"UPDATE replicas SET endpoint = (SELECT endpoint FROM vaults WHERE endpoint <> '' LIMIT 1)", "another's too"},
		"a document unreadable":   {"UPDATE keys SET tags = '{' WHERE state = 'ENABLED'", "read vault"},
		"two default vaults":      {"DROP INDEX vaults_default; UPDATE vaults SET is_default = 1", "two default"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			copyFile(t, filepath.Join(template, databaseName), filepath.Join(dir, databaseName))
			edit(t, dir, "PRAGMA ignore_check_constraints = ON; "+c.statement)
			s := openTest(t, Options{Dir: dir})
			if err := storetest.Check(t.Context(), s); err == nil {
				t.Error("the checker finds nothing")
			} else if !strings.Contains(err.Error(), c.says) {
				t.Errorf("the checker says %v, and nothing of %q", err, c.says)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestIntegrityFinds breaks what only the database itself sees: rows that belong to nothing, which no
// list shows, and the file.
func TestIntegrityFinds(t *testing.T) {
	t.Parallel()
	template := t.TempDir()
	s := openTest(t, Options{Dir: template, Create: true})
	populate(t, s)
	if faults, err := s.Integrity(t.Context()); err != nil || len(faults) > 0 {
		t.Fatalf("before anything is broken: %v, %v", faults, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct{ statement, says string }{
		"a key of no vault": {"UPDATE keys SET vault = zeroblob(16)", "of table keys refers to a row of table vaults"},
		"a tenant lost":     {"DELETE FROM tenants", "refers to a row of table tenants"},
		"a row in no index": {"PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'RESTORING', 'ENABLED') WHERE name = 'keys_restoring'", "the database is damaged"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			copyFile(t, filepath.Join(template, databaseName), filepath.Join(dir, databaseName))
			edit(t, dir, "PRAGMA ignore_check_constraints = ON; "+c.statement)
			s := openTest(t, Options{Dir: dir})
			faults, err := s.Integrity(t.Context())
			if err != nil || !strings.Contains(strings.Join(faults, "\n"), c.says) {
				t.Errorf("found %q, %v; want something of %q", faults, err, c.says)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
