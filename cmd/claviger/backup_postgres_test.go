// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"

	"claviger/internal/store/pgtest"
)

// TestStoreBackupOnPostgres backs up a store that two nodes serve from, through a node and beside
// them, while a client writes; rotates the root key; and restores the backups into SQLite and into
// PostgreSQL, to recipients and under the root key of before.
func TestStoreBackupOnPostgres(t *testing.T) {
	needsProcesses(t)
	t.Parallel()
	database := pgtest.Start(t)
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	recipients := fmt.Sprintf("backup.recipients = [%q]", identity.Recipient())
	site, first := newNodeSet(t, build(t), database.URL("postgres"), 2, recipients, `limits.mode = "off"`)
	second := site.start(t, 1)
	b := &backedUpSite{killing: &killing{nodeSet: site, random: rand.New(rand.NewPCG(chaosSeed(t), 5))}, recipients: recipients}
	c, ctx := site.caller(t, 0), t.Context()
	b.key = must(t, "create key", c.createKey(ctx, "k", aes256(), "")).text("id")
	b.ciphertext = must(t, "encrypt", c.encrypt(ctx, b.key, []byte("kept"))).text("ciphertext")
	secret := secretCopy(t, []byte(identity.String()+"\n"))

	retired := secretCopy(t, read(t, filepath.Join(site.dir, "root.key")))
	through, beside := b.backUp(t)
	// While nodes serve, nobody rotates the root key.
	out, err := exec.Command(site.binary, "root", "rotate", "--config", b.config()).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "node0") || !strings.Contains(string(out), "node1") {
		t.Errorf("the root key is rotated while nodes serve: %v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(site.dir, "root.key.next")); err == nil {
		t.Error("a rotation that is refused leaves a root key")
	}
	first.stop(t)
	second.stop(t)
	within := b.timed(t, "store", "verify", "--config", b.config())
	b.finish(t, within, "", "root", "rotate", "--config", b.config())
	site.verify(t)
	b.serves(t, b.config())

	b.restored(t, through, "", "--identity", secret)
	b.restored(t, through, database.Database(t, "again"), "--identity", secret)
	b.restored(t, beside, "", "--root-key", retired)
	b.restored(t, beside, database.Database(t, "root"), "backup.root_file", retired)
}

// secretCopy writes a file that its owner alone can read.
func secretCopy(t *testing.T, content []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// backedUpSite is a site and what was written to it, in order.
type backedUpSite struct {
	*killing
	recipients string

	mu   sync.Mutex
	made []string // keys, by one client one after the other
}

// wholeBackup is a backup, and how many keys had been made when it began and when it was there.
type wholeBackup struct {
	file          string
	revision      int64
	before, after int
}

// backUp makes two backups while a client writes: through a node, to recipients, and of the database
// itself, under the root key.
func (b *backedUpSite) backUp(t *testing.T) (through, beside wholeBackup) {
	t.Helper()
	config, _ := b.place(t, b.url, "")
	direct := filepath.Join(t.TempDir(), "direct")
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	started, some := context.WithCancel(ctx)
	writing.Go(func() {
		defer some()
		c := b.caller(t, 1)
		for i := 0; ctx.Err() == nil; i++ {
			a := c.createKey(t.Context(), fmt.Sprint("made-", i), aes256(), "")
			if !a.ok() {
				if ctx.Err() == nil {
					t.Errorf("create key while a backup is made: %s", a)
				}
				return
			}
			b.mu.Lock()
			b.made = append(b.made, a.text("id"))
			b.mu.Unlock()
			if i == 5 {
				some()
			}
		}
	})
	defer writing.Wait()
	defer stop()
	<-started.Done()
	through = b.one(t, "backup", "create", "--config", b.config(), "--json")
	beside = b.one(t, "backup", "create", "--config", config, "--direct", "--out", direct, "--json")
	return through, beside
}

func (b *backedUpSite) one(t *testing.T, args ...string) wholeBackup {
	t.Helper()
	count := func() int {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.made)
	}
	out := wholeBackup{before: count()}
	var talk strings.Builder
	cmd := exec.Command(b.binary, args...)
	cmd.Stderr = &talk
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("claviger %v: %v\n%s", args, err, talk.String())
	}
	out.after = count() + 1 // one may be made and not answered
	var said struct {
		File     string
		Revision int64
	}
	if err := json.Unmarshal(text, &said); err != nil {
		t.Fatalf("claviger %v: %v\n%s", args, err, text)
	}
	out.file, out.revision = said.File, said.Revision
	return out
}

// place makes the configuration of a server like the site's, without recipients: on SQLite in a new
// directory, or on a database in PostgreSQL; with a root key of its own where one is named.
func (b *backedUpSite) place(t *testing.T, url, root string) (config, data string) {
	t.Helper()
	dir := t.TempDir()
	config, data = filepath.Join(dir, "claviger.toml"), filepath.Join(dir, "data")
	text := string(read(t, b.config()))
	old := fmt.Sprintf("store.type = \"postgres\"\nstore.url = %q\nnode.name = \"node0\"\n", b.url)
	database := ""
	if url != "" {
		database = strings.Replace(old, b.url, url, 1)
	}
	for old, replaced := range map[string]string{old: database, b.nodes[0].data: data, b.recipients: ""} {
		if !strings.Contains(text, old) {
			t.Fatalf("%s does not hold %q", b.config(), old)
		}
		text = strings.Replace(text, old, replaced, 1)
	}
	if root != "" {
		text = strings.Replace(text, filepath.Join(b.dir, "root.key"), root, 1)
	}
	write(t, config, []byte(text))
	return config, data
}

// restored restores a backup under a new root key, and looks what is there: all that was made before
// the backup began, and of the rest so much as had been made at one moment. opens is a flag, or a
// setting, and its value.
func (b *backedUpSite) restored(t *testing.T, from wholeBackup, url, opens, value string) {
	t.Helper()
	config, data := b.place(t, url, filepath.Join(t.TempDir(), "root.key"))
	args := []string{"backup", "restore", "--config", config}
	if strings.HasPrefix(opens, "--") {
		args = append(args, opens, value)
	} else {
		write(t, config, fmt.Appendf(nil, "%s = %q\n%s", opens, value, read(t, config)))
	}
	if out := b.must(t, append(args, from.file)...); !strings.Contains(out, fmt.Sprintf("Restored revision %d,", from.revision)) || strings.Contains(out, " 1 vaults") {
		t.Errorf("the restore says:\n%s", out)
	}
	b.must(t, "store", "verify", "--config", config)
	site := *b.nodeSet
	site.nodes = []*setNode{{config: config, data: data, admin: b.nodes[0].admin, region: b.nodes[0].region}}
	s := site.start(t, 0)
	c := site.caller(t, 0)
	c.opens(t.Context(), t, b.key, b.ciphertext, []byte("kept"))
	there := map[string]bool{}
	for _, k := range c.list(t) {
		there[k.Names["oci"]] = true
	}
	n := 0
	for n < len(b.made) && there[b.made[n]] {
		n++
	}
	if n < from.before || n > from.after || n+1 != len(there) {
		t.Errorf("the first %d keys are there, and %d in all; %d to %d had been made", n, len(there), from.before, from.after)
	}
	c.use(t.Context(), t, b.made[0])
	must(t, "a new key", c.createKey(t.Context(), "new", aes256(), ""))
	s.stop(t)
}
