// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"claviger/internal/keys"
	"claviger/internal/store"
	"claviger/internal/store/storetest"
)

// remains is the raw content of every file of a data directory.
func remains(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, databaseName+"*"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(name)] = b
	}
	if len(out) != 3 {
		t.Fatalf("there are %d files of the database, want it, its log and its index", len(out))
	}
	return out
}

// TestErasure puts material of all sizes, erases a part of it in several rounds, and looks at
// the raw bytes of all files: until it is erased it is there, after a scrub nothing is left.
func TestErasure(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openTest(t, Options{Dir: dir, Create: true})
	w := &storetest.World{}
	tenant := w.Tenant()
	vault := w.Vault(tenant)
	k := w.Key(vault)
	update(t, s, tenant, vault, k)

	rnd := rand.New(rand.NewPCG(1, 2))
	tag := func(v *keys.Version) []byte { return fmt.Appendf(nil, "<material %06d>", v.Ordinal) } // 17 bytes
	holds := func(v *keys.Version) (in string) {
		for name, content := range remains(t, dir) {
			if bytes.Contains(content, tag(v)) {
				in += " " + name
			}
		}
		return in
	}
	var live, erased []*keys.Version
	for range 12 {
		for range 25 {
			v := w.Version(k)
			v.Sealed = bytes.Repeat(tag(v), 3+rnd.IntN(150)) // up to 2.6 KB, as RSA-4096 is
			live = append(live, v)
			update(t, s, v, k)
		}
		rnd.Shuffle(len(live)-1, func(i, j int) { live[i], live[j] = live[j], live[i] }) // the primary stays last
		if in := holds(live[0]); in == "" {
			t.Fatal("material is in no file before it is erased: this test could not fail")
		}
		for range 10 {
			v := live[0]
			live, erased = live[1:], append(erased, v)
			v.State, v.DeleteAt, v.Sealed, v.PublicKey = keys.Deleted, w.Time(), nil, nil
			k.Erased++
			update(t, s, v, k)
		}
	}
	if in := holds(erased[len(erased)-1]); in == "" {
		t.Error("the log does not hold what was just erased: this test could not fail")
	}
	if err := s.Scrub(t.Context()); err != nil {
		t.Fatal(err)
	}
	files := remains(t, dir)
	for _, v := range erased {
		for name, content := range files {
			if at := bytes.Index(content, tag(v)); at >= 0 {
				t.Errorf("%s holds material of erased version %d at byte %d", name, v.Ordinal, at)
			}
		}
	}
	for _, v := range live {
		if !bytes.Contains(files[databaseName], bytes.Repeat(tag(v), 2)) {
			t.Errorf("the database does not hold the material of live version %d", v.Ordinal)
		}
	}
	if err := storetest.Check(t.Context(), s); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestScrubWaits scrubs while a view holds an old snapshot, which keeps the log from being cut.
func TestScrubWaits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openTest(t, Options{Dir: dir, Create: true})
	w := &storetest.World{}
	tenant := w.Tenant()
	update(t, s, tenant)
	inside, leave := make(chan struct{}), make(chan struct{})
	viewed := make(chan error, 1)
	go func() {
		viewed <- s.View(context.Background(), func(tx store.Tx) error {
			if _, err := tx.Tenants(); err != nil {
				return err
			}
			close(inside)
			<-leave
			return nil
		})
	}()
	<-inside
	update(t, s, w.Tenant())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Scrub(ctx); err == nil {
		t.Error("the log was cut under a view")
	}
	update(t, s, w.Tenant()) // a scrub that has to wait keeps nobody else waiting
	scrubbed := make(chan error, 1)
	go func() { scrubbed <- s.Scrub(context.Background()) }()
	close(leave)
	if err := <-viewed; err != nil {
		t.Error(err)
	}
	if err := <-scrubbed; err != nil {
		t.Error(err)
	}
	if log := remains(t, dir)[databaseName+"-wal"]; len(log) != 0 {
		t.Errorf("the log has %d bytes after a scrub", len(log))
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// update puts records in one transaction.
func update(t testing.TB, s *Store, recs ...store.Record) int64 {
	t.Helper()
	rev, err := s.Update(context.Background(), func(tx store.Tx) error {
		for _, rec := range recs {
			if err := tx.Put(rec); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rev
}
