// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"context"
	"testing"
	"time"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
)

// rerunStore makes the store run every transaction twice, as it does when another one of the same
// batch fails: the change feed cannot be read in a batch that is run swiftly.
type rerunStore struct{ store.Store }

func (s rerunStore) Update(ctx context.Context, fn func(store.Tx) error) (int64, error) {
	return s.Store.Update(ctx, func(tx store.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		_, err := tx.Changes(0, 1)
		return err
	})
}

func rerun(c *kms.Config) { c.Store = rerunStore{c.Store} }

// TestErasureRunsAgain erases a key in several transactions, and a vault, each of whose
// transactions the store runs twice.
func TestErasureRunsAgain(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.With(rerun))
	k := newAES(t, w)
	const versions = 120
	for range versions - 1 {
		rotate(t, w, k.ID)
	}
	scheduleKey(t, w, k.ID, 10)
	vault := newVault(t, w, "doomed")
	req := wish(keys.AES256)
	req.Vault = vault
	within := newKey(t, w, req)
	scheduleVault(t, w, vault, 10)
	w.Clock.Add(10*keys.Day + time.Hour)
	if done, err := w.Sweep(t.Context()); done != 2 || err != nil {
		t.Errorf("%d events took effect, %v", done, err)
	}
	for _, x := range []struct {
		id keys.ID
		n  int
	}{{k.ID, versions}, {within.ID, 1}} {
		if sealed, live := rows(t, w, x.id); sealed+live != 0 {
			t.Errorf("%d versions of %d still have material, %d are not erased", sealed, x.n, live)
		}
		if got := seen(t, w, x.id); got.State != keys.Deleted || got.Erased != x.n {
			t.Errorf("the key is %s, %d versions of %d are counted as erased", got.State, got.Erased, x.n)
		}
	}
}

// leavingStore has whoever asks for a transaction leave while it runs, and the transaction go on
// once he has, if that is before its end.
type leavingStore struct {
	store.Store
	leave context.CancelFunc // nil: nobody leaves
	left  chan struct{}      // closed when the call has returned
}

func (s *leavingStore) Update(ctx context.Context, fn func(store.Tx) error) (int64, error) {
	return s.Store.Update(ctx, func(tx store.Tx) error {
		if s.leave != nil {
			s.leave()
			if ctx.Err() != nil {
				<-s.left
			}
		}
		return fn(tx)
	})
}

// TestMaterialLastsAsLongAsItsTransaction has a client leave while the material that it brings is
// being stored: what is sealed is that material, whoever waits for it.
func TestMaterialLastsAsLongAsItsTransaction(t *testing.T) {
	t.Parallel()
	st := &leavingStore{left: make(chan struct{})}
	w := kmstest.New(t, kmstest.With(func(c *kms.Config) { st.Store, c.Store = c.Store, st }))
	in := newImport(t, w, keys.ID{}, keys.AES256)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	c := w.Call(t, w.Tenant)
	st.leave = leave
	_, err := w.ImportMaterial(ctx, c, in.request)
	c.End()
	close(st.left)
	if err != nil {
		t.Errorf("import: %v", err)
	}
	st.leave = nil
	want(t, "the same material once more", in.try(t, w, nil), "")
}
