// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/keys"
	"claviger/internal/store"
	"claviger/internal/store/storetest"
)

// TestSnapshot goes back to a snapshot, twice, and on from there.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]func(dir string) Options{
		"memory": func(string) Options { return Options{Memory: true} },
		"file":   func(dir string) Options { return Options{Dir: dir, Create: true} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			s, err := OpenSQLite(ctx, options(filepath.Join(t.TempDir(), "data")))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			put := func(id byte, name string) int64 {
				t.Helper()
				rev, err := s.Update(ctx, func(tx store.Tx) error {
					tenant := &keys.Tenant{ID: keys.ID{id}, Name: name, CreatedAt: time.Unix(1, 0).UTC()}
					return errors.Join(tx.Put(tenant), tx.Put(&keys.Compartment{ID: tenant.ID, Tenant: tenant.ID, Name: "root", CreatedAt: tenant.CreatedAt}))
				})
				if err != nil {
					t.Fatal(err)
				}
				return rev
			}
			tenants := func() (names []string) {
				t.Helper()
				err := s.View(ctx, func(tx store.Tx) error {
					all, err := tx.Tenants()
					for _, tenant := range all {
						names = append(names, tenant.Name)
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				return names
			}
			populated := populate(t, s)
			put(1, "first")
			file := filepath.Join(t.TempDir(), "first state ?#%.db")
			if err := s.Snapshot(ctx, file); err != nil {
				t.Fatal(err)
			}
			last := put(2, "later")
			for range 2 {
				if err := s.Restore(ctx, file); err != nil {
					t.Fatal(err)
				}
				if got := tenants(); len(got) != 3 || got[0] != "first" {
					t.Fatalf("after the restore there are %q, want the first and two", got)
				}
				rev := put(2, "again")
				if rev <= last {
					t.Errorf("revision %d is reused after the restore, which came after %d", rev, last)
				}
				last = rev
			}
			// Revisions are those of the restore.
			holds(t, s, slices.Concat(populated...), cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Revision" }, cmp.Ignore()))
			if err := storetest.Check(ctx, s); err != nil {
				t.Error(err)
			}
			if err := s.Restore(ctx, filepath.Join(t.TempDir(), "none.db")); err == nil {
				t.Error("a restore from a file that is not there succeeded")
			}
			if got := tenants(); len(got) != 4 {
				t.Errorf("after a restore that failed there are %q, want what was there before", got)
			}
		})
	}
}
