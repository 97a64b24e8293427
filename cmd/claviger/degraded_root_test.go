// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main_test

import (
	"database/sql"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"

	"claviger/internal/store/pgtest"
)

// testRootGone takes the root key's file away from a running server: it is needed at the start alone.
func testRootGone(t *testing.T, binary string) {
	database := pgtest.Start(t)
	site, s := newNodeSet(t, binary, database.URL("postgres"), 1)
	c, ctx := site.caller(t, 0), t.Context()
	key := must(t, "create key", c.createKey(ctx, "k", aes256(), "")).text("id")
	ciphertext := must(t, "encrypt", c.encrypt(ctx, key, []byte("kept"))).text("ciphertext")
	root := filepath.Join(site.dir, "root.key")
	if err := os.Rename(root, root+".away"); err != nil {
		t.Fatal(err)
	}
	c.opens(ctx, t, key, ciphertext, []byte("kept"))
	made := must(t, "create key without the file", c.createKey(ctx, "more", aes256(), "")).text("id")
	s.stop(t)
	p := site.begin(t, 0)
	<-p.ended
	if text := p.output(t); p.err == nil || !strings.Contains(text, "root key") || !strings.Contains(text, root) {
		t.Errorf("a start without the root key: %v\n%s", p.err, text)
	}
	if err := os.Rename(root+".away", root); err != nil {
		t.Fatal(err)
	}
	s = site.start(t, 0)
	c.opens(ctx, t, key, ciphertext, []byte("kept"))
	c.use(ctx, t, made)
	s.stop(t)
	site.verify(t)
}

// testRecordDamaged flips a bit in one version's sealed material: that version is of no use any
// more, everything else is, and the log and the verification name it.
func testRecordDamaged(t *testing.T, binary string) {
	database := pgtest.Start(t)
	site, s := newNodeSet(t, binary, database.URL("postgres"), 1)
	c, ctx := site.caller(t, 0), t.Context()
	whole := must(t, "create key", c.createKey(ctx, "whole", aes256(), "")).text("id")
	damaged := must(t, "create key", c.createKey(ctx, "damaged", aes256(), "")).text("id")
	ciphertext := must(t, "encrypt", c.encrypt(ctx, damaged, []byte("lost"))).text("ciphertext")
	kept := must(t, "encrypt", c.encrypt(ctx, whole, []byte("kept"))).text("ciphertext")
	s.stop(t)
	db, err := sql.Open("pgx", database.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	res, err := db.ExecContext(ctx, `UPDATE versions SET sealed = set_byte(sealed, length(sealed) / 2, get_byte(sealed, length(sealed) / 2) # 1)
		WHERE key = (SELECT id FROM keys WHERE name = 'damaged')`)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		t.Fatalf("%d versions were damaged: %v", n, err)
	}
	s = site.start(t, 0)
	if a := c.decrypt(ctx, damaged, ciphertext); a.status != http.StatusInternalServerError || a.text("code") != "InternalServerError" || strings.Contains(string(a.body), "material") {
		t.Errorf("decrypting with the damaged version: %s", a)
	}
	c.opens(ctx, t, whole, kept, []byte("kept"))
	if text := s.output(t); !strings.Contains(text, "open material of key version") {
		t.Errorf("the log does not name the version:\n%s", text)
	}
	// A new version of the key is as good as any.
	must(t, "rotate the key", c.createVersion(ctx, damaged, ""))
	c.use(ctx, t, damaged)
	s.stop(t)
	out, err := exec.Command(binary, "store", "verify", "--config", site.nodes[0].config).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "version") {
		t.Errorf("the verification of a damaged store: %v\n%s", err, out)
	}
}
