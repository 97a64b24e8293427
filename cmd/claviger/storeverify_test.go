// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"claviger/internal/keys"
	"claviger/internal/store"
	"claviger/internal/store/sqlstore"
)

// initialized makes a database and answers its configuration file and its directory.
func initialized(t *testing.T) (config, data string) {
	t.Helper()
	dir := t.TempDir()
	config, data = filepath.Join(dir, "claviger.toml"), filepath.Join(dir, "data")
	text := fmt.Sprintf("data = %q\nseal.file = %q\nadmin.token_file = %q\nvaults.ports = \"7500-7509\"\n"+
		"[[region]]\nname = \"home\"\noci = \"eu-frankfurt-1\"\nalibaba = \"eu-central-1\"\nlisten = \"127.0.0.1:7443\"\n",
		data, filepath.Join(dir, "root.key"), filepath.Join(dir, "admin.token"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, talk := call(t, nil, "init", "--config", config); code != exitOK {
		t.Fatalf("init ends with %d: %s", code, talk)
	}
	return config, data
}

// TestStoreVerify: the exit code and what is printed say what is wrong, for people and programs.
func TestStoreVerify(t *testing.T) {
	t.Parallel()
	config, data := initialized(t)
	if code, out, talk := call(t, nil, "store", "verify", "--config", config); code != exitOK || strings.Contains(out, "of key") {
		t.Fatalf("of a fresh database: %d %s%s", code, out, talk)
	}
	db, err := sqlstore.OpenSQLite(t.Context(), sqlstore.Options{Dir: data})
	if err != nil {
		t.Fatal(err)
	}
	id := keys.ID{1, 2, 3}
	_, err = db.Update(t.Context(), func(tx store.Tx) error { return tx.Put(&keys.Tenant{ID: id, Name: "nobody", CreatedAt: time.Now()}) })
	if err != nil || db.Close() != nil {
		t.Fatal(err)
	}
	code, out, talk := call(t, nil, "store", "verify", "--config", config)
	if code != exitFailure || !strings.Contains(out, "tenant "+id.String()+" has no KEK") || !strings.Contains(talk, "1 fault") {
		t.Errorf("of a tenant without a KEK: %d %s%s", code, out, talk)
	}
	code, out, _ = call(t, nil, "store", "verify", "--config", config, "--json")
	var report verifyReport
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != exitFailure {
		t.Fatalf("in JSON: %d, %v: %s", code, err, out)
	}
	if len(report.Faults) != 1 || report.Faults[0].ID != id || report.Faults[0].Type != keys.TypeTenant || !report.Complete {
		t.Errorf("in JSON it is %+v", report)
	}
}
