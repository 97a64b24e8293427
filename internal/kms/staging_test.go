// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
)

// failing is a store whose Updates end after so many: a process that is killed makes no more.
type failing struct {
	store.Store
	left int
}

func (f *failing) Update(ctx context.Context, fn func(store.Tx) error) (int64, error) {
	if f.left == 0 {
		return 0, store.ErrClosed
	}
	f.left--
	return f.Store.Update(ctx, fn)
}

// TestARestoreThatIsCutShort kills the service after each of a restore's transactions. What is
// there then is of no use to anybody. It is removed when its time is over, or the restore is
// repeated; either way nothing is left of the first.
func TestARestoreThatIsCutShort(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	life := newLife(t, w)
	whole, backup := backupVault(t, w, life.vault), backupKey(t, w, life.aes)
	original := contentOf(t, w, life.vault)
	for name, what := range map[string]struct {
		prepare func(*kmstest.World)
		restore func(*kmstest.World) error
	}{
		"vault": {func(*kmstest.World) {}, func(to *kmstest.World) error { return restoreVault(t, to, whole) }},
		"key": {func(to *kmstest.World) {
			if err := restoreVault(t, to, whole); err != nil {
				t.Fatal(err)
			}
			lose(t, to, life.aes)
		}, func(to *kmstest.World) error { return restoreKey(t, to, backup) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := anew(t, w)
			what.prepare(to)
			if _, err := to.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			killed := &failing{Store: to.Store}
			for n, done := 0, false; !done; n++ {
				if n > 30 {
					t.Fatal("the restore takes no end")
				}
				before := listed(t, to)
				killed.left = n
				first := to.Service
				reopen(t, to, killed)
				err := what.restore(to)
				if done = err == nil; done {
					break
				}
				want(t, fmt.Sprintf("killed after %d transactions", n), err, keys.KindUnavailable)
				reopen(t, to, to.Store)
				checked(t, to)
				if diff := cmp.Diff(before, listed(t, to)); diff != "" {
					t.Errorf("killed after %d transactions, something is listed (-before +after):\n%s", n, diff)
				}
				life.closed(t, to)
				if n%2 == 0 { // the other half is taken over by the next restore
					to.Clock.Add(11 * time.Minute)
					if _, err := to.Sweep(t.Context()); err != nil {
						t.Fatal(err)
					}
					checked(t, to)
					if name == "vault" {
						gone(t, to, life.vault)
					}
				}
				first.Close()
			}
			reopen(t, to, to.Store)
			checked(t, to)
			life.opens(t, to)
			if name == "vault" {
				asBefore(t, original, contentOf(t, to, life.vault))
			}
		})
	}
}

// doubting is a store one of whose Updates is made, and not known to be.
type doubting struct {
	store.Store
	at int
}

func (d *doubting) Update(ctx context.Context, fn func(store.Tx) error) (int64, error) {
	revision, err := d.Store.Update(ctx, fn)
	if d.at--; d.at == 0 && err == nil {
		return 0, store.ErrUnknown
	}
	return revision, err
}

// TestARestoreOfUnknownOutcome makes each of a restore's transactions, and reports that nobody
// knows. If it was the last one the vault is there; otherwise what is there is removed in time,
// and until then keeps its endpoint.
func TestARestoreOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.With(func(cfg *kms.Config) { cfg.Endpoints = &endpoints{held: map[string]bool{}, next: 10} }))
	life := newLifeOf(t, w)
	whole := backupVault(t, w, life.vault)
	for n, shown := 1, false; !shown; n++ {
		here := &endpoints{held: map[string]bool{}, next: 20}
		to := anew(t, w, func(cfg *kms.Config) { cfg.Endpoints = here })
		before := len(here.held)
		reopen(t, to, &doubting{Store: to.Store, at: n})
		want(t, fmt.Sprintf("not known of transaction %d", n), restoreVault(t, to, whole), keys.KindUnavailable)
		if len(here.held) != before+1 {
			t.Errorf("not known of transaction %d: the endpoints held are %v", n, here.held)
		}
		reopen(t, to, to.Store)
		checked(t, to)
		if shown = contentOf(t, to, life.vault).Vault.State == keys.Active; shown {
			life.opens(t, to)
			break
		}
		if n > 20 {
			t.Fatal("the restore takes no end")
		}
		life.closed(t, to)
		to.Clock.Add(11 * time.Minute)
		if _, err := to.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		checked(t, to)
		gone(t, to, life.vault)
		if len(here.held) != before {
			t.Errorf("what was left of transaction %d is removed, and the endpoints held are %v", n, here.held)
		}
		if err := restoreVault(t, to, whole); err != nil {
			t.Errorf("again after transaction %d: %v", n, err)
		}
		life.opens(t, to)
	}
}

// reopen opens the world's service on a store, with small transactions for restores.
func reopen(t testing.TB, w *kmstest.World, st store.Store) {
	t.Helper()
	cfg := w.Config
	cfg.Store = st
	var err error
	if w.Service, err = kms.Open(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	w.StageRows(3)
	t.Cleanup(w.Close)
}

// listed is what lists show, of the tenant's vaults in use and keys.
func listed(t testing.TB, w *kmstest.World) (out []string) {
	t.Helper()
	must(t, w, func(c *kms.Call) error {
		vaults, err := w.Vaults(t.Context(), c, "", kms.Page{})
		if err != nil {
			return err
		}
		for _, v := range vaults.Items {
			if v.State != keys.Restoring {
				out = append(out, v.Name)
			}
		}
		list, err := w.Keys(t.Context(), c, kms.KeyFilter{}, kms.Page{})
		if err != nil {
			return err
		}
		for _, k := range list.Items {
			if k.State != keys.Restoring {
				out = append(out, k.ID.String()+" "+string(k.State))
			}
		}
		return nil
	})
	return out
}

// closed checks that nothing opens what the AES key encrypted, and that nothing uses it.
func (l *life) closed(t testing.TB, w *kmstest.World) {
	t.Helper()
	err := as(t, w, w.Tenant, func(c *kms.Call) error {
		return second(w.Decrypt(t.Context(), c, kms.DecryptRequest{Ciphertext: l.ciphertexts[0]}))
	})
	if !keys.IsKind(err, keys.KindCiphertext) && !keys.IsKind(err, keys.KindState) && !keys.IsKind(err, keys.KindNotFound) {
		t.Errorf("a ciphertext is opened by what is not restored yet: %v", err)
	}
	for name, call := range map[string]func(*kms.Call) error{
		"encrypt": func(c *kms.Call) error {
			return second(w.Encrypt(t.Context(), c, kms.EncryptRequest{Key: kms.KeyRef{ID: l.aes}, Plaintext: []byte("x")}))
		},
		"rotate": func(c *kms.Call) error { return second(w.Rotate(t.Context(), c, kms.KeyRef{ID: l.aes})) },
		"backup": func(c *kms.Call) error {
			return second(w.WriteKeyBackup(t.Context(), c, kms.KeyRef{ID: l.aes}, &bytes.Buffer{}, nil))
		},
	} {
		err := as(t, w, w.Tenant, call)
		if !keys.IsKind(err, keys.KindNotFound) && !keys.IsKind(err, keys.KindState) {
			t.Errorf("%s with what is not restored yet: %v", name, err)
		}
	}
}

// TestWhatIsBeingRestored looks at a vault and a key from within their restores: they are seen to
// be restored, and nothing else of them is seen.
func TestWhatIsBeingRestored(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	life := newLife(t, w)
	whole, backup := backupVault(t, w, life.vault), backupKey(t, w, life.aes)
	to := anew(t, w)
	to.StageRows(1)
	looked := 0
	looking := func(look func()) kms.Progress {
		return func(done, total int) {
			if done > total/2+3 {
				looked++
				look()
			}
		}
	}
	must(t, to, func(c *kms.Call) error {
		return second(to.RestoreVaultBackup(t.Context(), c, "", bytes.NewReader(whole), looking(func() {
			must(t, to, func(c *kms.Call) error {
				v, err := to.Vault(t.Context(), c, kms.VaultRef{ID: life.vault})
				if err == nil && (v.State != keys.Restoring || !v.DeleteAt.IsZero()) {
					t.Errorf("the vault is %s, to be deleted at %s", v.State, v.DeleteAt)
				}
				return err
			})
			if _, _, err := to.FindKey(t.Context(), to.System("test"), life.aes); !keys.IsKind(err, keys.KindNotFound) {
				t.Errorf("a key in it is found: %v", err)
			}
			if got := listed(t, to); len(got) != 1 {
				t.Errorf("%v are listed", got)
			}
			life.closed(t, to)
			if _, err := to.Sweep(t.Context()); err != nil {
				t.Error(err)
			}
			checked(t, to)
		})))
	})
	lose(t, to, life.aes)
	must(t, to, func(c *kms.Call) error {
		return second(to.RestoreKeyBackup(t.Context(), c, bytes.NewReader(backup), looking(func() {
			if got := seen(t, to, life.aes); got.State != keys.Restoring || !got.DeleteAt.IsZero() {
				t.Errorf("the key is %s, to be deleted at %s", got.State, got.DeleteAt)
			}
			want(t, "the key, where the cloud has no such state", as(t, to, to.Tenant, func(c *kms.Call) error {
				return second(to.Key(t.Context(), c, kms.KeyRef{ID: life.aes, HideDeleted: true}))
			}), keys.KindNotFound)
			must(t, to, func(c *kms.Call) error {
				list, err := to.Keys(t.Context(), c, kms.KeyFilter{HideDeleted: true, Vault: life.vault}, kms.Page{})
				if err == nil && slices.ContainsFunc(list.Items, func(k *kms.Key) bool { return k.ID == life.aes }) {
					t.Error("the key is listed where the cloud has no such state")
				}
				return err
			})
			var b bytes.Buffer
			must(t, to, func(c *kms.Call) error {
				m, err := to.WriteVaultBackup(t.Context(), c, kms.VaultRef{ID: life.vault}, true, &b, nil)
				if err == nil && m.Counts.Keys != 5 {
					t.Errorf("a backup of the vault has %d keys", m.Counts.Keys)
				}
				return err
			})
			life.closed(t, to)
			if _, err := to.Sweep(t.Context()); err != nil {
				t.Error(err)
			}
			checked(t, to)
		})))
	})
	if looked < 5 {
		t.Errorf("looked %d times only", looked)
	}
	life.opens(t, to)
}

// TestDueWhileRestored lets a version become due, and the restore's own time be over, in the
// middle of it: the sweeper leaves both to the restore.
func TestDueWhileRestored(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	life := newLife(t, w)
	whole := backupVault(t, w, life.vault)
	to := anew(t, w)
	to.StageRows(1)
	begin := sync.OnceFunc(func() { to.Clock.Add(30 * keys.Day) })
	must(t, to, func(c *kms.Call) error {
		return second(to.RestoreVaultBackup(t.Context(), c, "", bytes.NewReader(whole), func(done, total int) {
			if done < total/2+5 {
				return
			}
			begin() // once a version that is scheduled is there, and more of its key is to come
			if _, err := to.Sweep(t.Context()); err != nil {
				t.Error(err)
			}
		}))
	})
	checked(t, to)
	for _, v := range contentOf(t, to, life.vault).Versions {
		if v.State == keys.PendingDeletion && v.Sealed == nil {
			t.Errorf("version %d of %s was erased by the sweeper", v.Ordinal, v.Key)
		}
	}
	if _, err := to.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	checked(t, to)
	for _, v := range contentOf(t, to, life.vault).Versions {
		if v.State == keys.PendingDeletion {
			t.Errorf("version %d of %s is still pending", v.Ordinal, v.Key)
		}
	}
}

// endpoints are ports in name.
type endpoints struct {
	mu   sync.Mutex
	held map[string]bool // guarded by mu; true while open
	next int             // guarded by mu
}

func (e *endpoints) Reserve(context.Context, keys.ID) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.next++
	name := fmt.Sprint(e.next)
	e.held[name] = false
	return name, nil
}

func (e *endpoints) Claim(ctx context.Context, vault keys.ID, had string) (string, error) {
	e.mu.Lock()
	_, taken := e.held[had]
	if !taken && had != "" {
		e.held[had] = false
	}
	e.mu.Unlock()
	if taken || had == "" {
		return e.Reserve(ctx, vault)
	}
	return had, nil
}

func (e *endpoints) Release(endpoint string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.held, endpoint)
}

func (e *endpoints) Open(v *keys.Vault) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held[v.Endpoint] = true
	return nil
}

func (e *endpoints) OpenReplica(r *keys.Replica) error {
	return e.Open(&keys.Vault{Endpoint: r.Endpoint})
}

func (e *endpoints) CloseReplica(r *keys.Replica) { e.Release(r.Endpoint) }

func (e *endpoints) Close(v *keys.Vault) { e.Release(v.Endpoint) }

// TestEndpointComesBack restores a vault where its endpoint is free, where it is taken, and where
// the restore comes to nothing.
func TestEndpointComesBack(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.With(func(cfg *kms.Config) { cfg.Endpoints = &endpoints{held: map[string]bool{}, next: 10} }))
	life := newLifeOf(t, w)
	whole := backupVault(t, w, life.vault)
	had := contentOf(t, w, life.vault).Vault.Endpoint
	for name, taken := range map[string]bool{"free": false, "taken": true} {
		here := &endpoints{held: map[string]bool{}, next: 20}
		if taken {
			here.held[had] = true
		}
		to := anew(t, w, func(cfg *kms.Config) { cfg.Endpoints = here })
		held := len(here.held)
		want(t, name+", and no room", as(t, to, to.Tenant, func(c *kms.Call) error {
			p := kmstest.Profile
			p.VaultsPerRegion, c.Profile = 1, &p
			return second(to.RestoreVaultBackup(t.Context(), c, "", bytes.NewReader(whole), nil))
		}), keys.KindLimit)
		if len(here.held) != held {
			t.Errorf("%s: a refused restore holds an endpoint: %v", name, here.held)
		}
		if err := restoreVault(t, to, whole); err != nil {
			t.Fatal(err)
		}
		got := contentOf(t, to, life.vault).Vault.Endpoint
		if (got == had) == taken || !here.held[got] {
			t.Errorf("%s: the vault had %s and has %s; held are %v", name, had, got, here.held)
		}
	}
}
