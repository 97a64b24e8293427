// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"

	"claviger/internal/keys"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
)

// TestRestoresAtOnce restores one backup several times at once. One does it; the others are told
// that it is there, and those with the first one's retry token are answered as it was.
func TestRestoresAtOnce(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	life := newLifeOf(t, w)
	whole := backupVault(t, w, life.vault)
	for _, token := range []string{"", "again"} {
		to := anew(t, w)
		to.StageRows(1)
		var wait sync.WaitGroup
		errs := make([]error, 4)
		for i := range errs {
			c := to.Call(t, to.Tenant)
			c.Token = token
			wait.Go(func() {
				defer c.End()
				_, errs[i] = to.RestoreVaultBackup(t.Context(), c, "", bytes.NewReader(whole), nil)
			})
		}
		wait.Wait()
		done := 0
		for _, err := range errs {
			switch {
			case err == nil:
				done++
			case !keys.IsKind(err, keys.KindExists):
				t.Errorf("token %q: %v", token, err)
			}
		}
		if token == "" && done != 1 || token != "" && done != len(errs) {
			t.Errorf("token %q: %d of %d restores succeed", token, done, len(errs))
		}
		checked(t, to)
		life.opens(t, to)
	}
}

// TestARepeatWaitsForTheFirst repeats a restore, with its retry token and without, while the first
// one is under way: both wait, and are answered as they would be later.
func TestARepeatWaitsForTheFirst(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	life := newLifeOf(t, w)
	whole := backupVault(t, w, life.vault)
	to := anew(t, w)
	to.StageRows(1)
	var wait sync.WaitGroup
	again := map[string]error{"again": nil, "": nil}
	first := to.Call(t, to.Tenant)
	defer first.End()
	first.Token = "again"
	repeat := sync.OnceFunc(func() {
		var begun sync.WaitGroup
		var mu sync.Mutex
		for token := range again {
			c := to.Call(t, to.Tenant)
			c.Token = token
			begun.Add(1)
			verified := sync.OnceFunc(begun.Done)
			wait.Go(func() {
				defer c.End()
				v, err := to.RestoreVaultBackup(t.Context(), c, "", bytes.NewReader(whole), func(done, total int) {
					if done == total/2 {
						verified()
					}
				})
				if err == nil && v.State != keys.Active {
					t.Errorf("token %q: the vault is %s", token, v.State)
				}
				mu.Lock()
				defer mu.Unlock()
				again[token] = err
			})
		}
		begun.Wait()
	})
	_, err := to.RestoreVaultBackup(t.Context(), first, "", bytes.NewReader(whole), func(done, total int) {
		if done == total {
			repeat()
		}
	})
	wait.Wait()
	want(t, "the first", err, "")
	want(t, "with its token", again["again"], "")
	want(t, "without", again[""], keys.KindExists)
	checked(t, to)
}

// hooked is a store that calls something before one of its Updates.
type hooked struct {
	store.Store
	at   int
	hook func()
}

func (h *hooked) Update(ctx context.Context, fn func(store.Tx) error) (int64, error) {
	if h.at--; h.at == 0 {
		h.hook()
	}
	return h.Store.Update(ctx, fn)
}

// TestTwoNodesRestore lets a second service on the same store take a restore over, before each of
// its transactions: the first one notices, and leaves what is the second one's alone.
func TestTwoNodesRestore(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	life := newLifeOf(t, w)
	whole := backupVault(t, w, life.vault)
	for n := 1; ; n++ {
		to := anew(t, w)
		overtaken := false
		reopen(t, to, &hooked{Store: to.Store, at: n, hook: func() {
			first := to.Service
			reopen(t, to, to.Store)
			if err := restoreVault(t, to, whole); err != nil {
				t.Errorf("before transaction %d: the second: %v", n, err)
			}
			overtaken = true
			to.Service = first
		}})
		err := restoreVault(t, to, whole)
		if !overtaken {
			want(t, "the one that was not overtaken", err, "")
			if n < 4 {
				t.Errorf("a restore has %d transactions only", n)
			}
			return
		}
		if !keys.IsKind(err, keys.KindUnavailable) && !keys.IsKind(err, keys.KindExists) {
			t.Errorf("overtaken before transaction %d: %v", n, err)
		}
		reopen(t, to, to.Store)
		checked(t, to)
		life.opens(t, to)
	}
}

// TestAVaultComesBackWithAnotherKEK loses a vault whose KEK the service has in use, and restores
// it: what is sealed then can be opened by whoever opens the store anew.
func TestAVaultComesBackWithAnotherKEK(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	life := newLifeOf(t, w)
	whole := backupVault(t, w, life.vault)
	for _, k := range contentOf(t, w, life.vault).Keys {
		lose(t, w, k.ID)
	}
	tamper(t, w, func(tx store.Tx) error {
		return errors.Join(tx.Delete(&store.KEK{Owner: life.vault, Generation: 1}), tx.Delete(&keys.Vault{ID: life.vault}))
	})
	if err := restoreVault(t, w, whole); err != nil {
		t.Fatal(err)
	}
	reopen(t, w, w.Store)
	life.opens(t, w)
}
