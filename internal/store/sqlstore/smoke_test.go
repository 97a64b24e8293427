// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"errors"
	"testing"
	"time"

	"claviger/internal/audit"
	"claviger/internal/keys"
	"claviger/internal/store"
)

func TestSmoke(t *testing.T) {
	for _, mem := range []bool{true, false} {
		o := Options{Memory: mem}
		if !mem {
			o.Dir = t.TempDir()
			o.Create = true
		}
		begin := time.Now()
		s, err := OpenSQLite(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Log("open", mem, time.Since(begin))
		ctx := context.Background()
		now := time.Now().UTC().Truncate(time.Microsecond)
		tn := &keys.Tenant{ID: keys.ID{1}, Name: "a", CreatedAt: now, Names: keys.Names{"oci": "x"}}
		rev, err := s.Update(ctx, func(tx store.Tx) error {
			if err := tx.Put(tn); err != nil {
				return err
			}
			if err := tx.Put(&keys.Vault{ID: keys.ID{2}, Tenant: tn.ID, Region: "r", Name: "v", State: keys.Active, CreatedAt: now}); err != nil {
				return err
			}
			return tx.Record(audit.Event{Time: now, Outcome: "ok"})
		})
		if err != nil || rev != 1 || tn.Revision != 1 {
			t.Fatal(rev, err)
		}
		if err := s.View(ctx, func(tx store.Tx) error {
			v, err := store.LoadVault(tx, keys.ID{2})
			t.Log(v, err)
			h, err := tx.Head()
			t.Log(h, err)
			n, err := tx.Count(store.Counter{Type: keys.TypeVault, Tenant: tn.ID, Region: "r"})
			t.Log(n, err)
			ch, err := tx.Changes(0, 1)
			t.Log(ch, err)
			return tx.Put(tn)
		}); !errors.Is(err, errReadOnly) {
			t.Fatal(err)
		}
		if err := s.Scrub(ctx); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
