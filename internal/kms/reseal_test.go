// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
	"claviger/internal/store/pgtest"
)

// reseal reseals a vault and waits for the end of it.
func reseal(t testing.TB, w *kmstest.World, vault keys.ID) error {
	t.Helper()
	c := w.System("ResealVault")
	out, err := w.ResealVault(t.Context(), c, kms.VaultRef{ID: vault})
	c.End()
	if err != nil {
		return err
	}
	return finished(t, w, out.Work.ID)
}

// finished waits until a work request is over, and answers why it failed.
func finished(t testing.TB, w *kmstest.World, id keys.ID) error {
	t.Helper()
	for {
		work, err := w.WorkRequest(context.Background(), w.System("test"), kms.WorkRef{ID: id})
		switch {
		case err != nil:
			return err
		case work.Status == keys.WorkFailed:
			return errors.New(work.Errors[0].Text)
		case work.Status == keys.WorkSucceeded:
			return nil
		}
		time.Sleep(time.Millisecond) //nolint:forbidigo // until the job is over
	}
}

// sealedUnder counts what is sealed in a vault under each generation of its KEK, and which
// generations there are.
func sealedUnder(t testing.TB, w *kmstest.World, vault keys.ID) (rows map[int]int, generations []int) {
	t.Helper()
	rows = map[int]int{}
	for _, v := range contentOf(t, w, vault).Versions {
		if v.Sealed != nil || v.Fingerprint != nil {
			rows[v.KEKGeneration]++
		}
	}
	stored(t, w, func(tx store.Tx) error {
		for g := 1; g < 20; g++ {
			switch err := tx.Load(&store.KEK{Owner: vault, Generation: g}); {
			case err == nil:
				generations = append(generations, g)
			case !errors.Is(err, store.ErrNotFound):
				return err
			}
		}
		return nil
	})
	return rows, generations
}

// TestResealVault reseals a vault that has keys in each state: what callers see is as before,
// ciphertexts open, and of the KEK before nothing is left.
func TestResealVault(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	life := newLife(t, w)
	w.ResealRows(3)
	waiting := newImport(t, w, life.vault, keys.AES256)
	waiting.bring(t, w, time.Time{})
	want(t, "delete material", waiting.drop(t, w), "")
	before := contentOf(t, w, life.vault)
	for generation := 2; generation <= 3; generation++ {
		if err := reseal(t, w, life.vault); err != nil {
			t.Fatal(err)
		}
		rows, generations := sealedUnder(t, w, life.vault)
		if len(rows) != 1 || rows[generation] == 0 || !cmp.Equal(generations, []int{generation}) {
			t.Errorf("sealed under: %v; there are %v", rows, generations)
		}
	}
	after := contentOf(t, w, life.vault)
	unseen := cmp.FilterPath(func(p cmp.Path) bool {
		name := p.Last().String()
		return name == ".Sealed" || name == ".Fingerprint" || name == ".KEKGeneration"
	}, cmp.Ignore())
	if diff := cmp.Diff(before, after, unseen); diff != "" {
		t.Errorf("a reseal shows (-before +after):\n%s", diff)
	}
	for i := range after.Versions {
		if old := before.Versions[i].Sealed; old != nil && cmp.Equal(old, after.Versions[i].Sealed) {
			t.Errorf("version %d of %s is sealed as it was", after.Versions[i].Ordinal, after.Versions[i].Key)
		}
	}
	life.opens(t, w)
	waiting.renew(t, w)
	waiting.bring(t, w, time.Time{}) // only the same material is taken: the fingerprint opens
	checked(t, w)
	again, err := kms.Open(t.Context(), w.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	there := *w
	there.Service = again
	life.opens(t, &there)
	life.seal(t, &there)
	rotate(t, &there, life.aes)
	if rows, _ := sealedUnder(t, w, life.vault); len(rows) != 1 {
		t.Errorf("new versions are sealed under %v", rows)
	}
	restored := anew(t, w)
	if err := restoreVault(t, restored, backupVault(t, w, life.vault)); err != nil {
		t.Fatalf("a backup of what was resealed: %v", err)
	}
	life.opens(t, restored)
}

// TestAReseal refuses what it cannot do, and shows itself to nobody but the administrator.
func TestAReseal(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	k := newAES(t, w)
	want(t, "by a tenant's administrator", as(t, w, w.Tenant, func(c *kms.Call) error {
		return second(w.ResealVault(t.Context(), c, kms.VaultRef{ID: w.Tenant.Vault}))
	}), keys.KindDenied)
	if err := reseal(t, w, w.Tenant.Vault); err != nil {
		t.Fatal(err)
	}
	must(t, w, func(c *kms.Call) error {
		list, err := w.WorkRequests(t.Context(), c, kms.WorkFilter{}, kms.Page{Limit: 10})
		if err == nil && len(list.Items) != 0 {
			t.Errorf("a tenant sees the work %v", list.Items)
		}
		return err
	})
	gone := newVault(t, w, "gone")
	scheduleVault(t, w, gone, 10)
	if err := reseal(t, w, gone); err != nil {
		t.Errorf("a vault that is to be deleted: %v", err)
	}
	advance(t, w, 11*keys.Day)
	c := w.System("test")
	_, err := w.ResealVault(t.Context(), c, kms.VaultRef{ID: gone})
	want(t, "a vault that is deleted", err, keys.KindState)

	// Material that does not open keeps the KEK that it may open with.
	bad := newAES(t, w)
	update(t, w, func(tx store.Tx) error {
		v, err := store.LoadVersion(tx, bad.Primary)
		if err != nil {
			return err
		}
		v.Sealed[len(v.Sealed)-1] ^= 1
		return tx.Put(v)
	})
	if err := reseal(t, w, w.Tenant.Vault); err == nil || !strings.Contains(err.Error(), "do not open") {
		t.Errorf("a vault with damaged material: %v", err)
	}
	if rows, generations := sealedUnder(t, w, w.Tenant.Vault); rows[2] != 1 || rows[3] != 1 || !cmp.Equal(generations, []int{2, 3}) {
		t.Errorf("after damaged material: rows %v, KEKs %v", rows, generations)
	}
	if _, err := encrypt(t, w, k.ID); err != nil {
		t.Errorf("another key of it: %v", err)
	}
}

func update(t testing.TB, w *kmstest.World, fn func(store.Tx) error) {
	t.Helper()
	if _, err := w.Store.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// crashStore ends a process at a commit: before it is made, or after it and before anybody hears.
type crashStore struct {
	store.Store
	left  atomic.Int64
	after bool
}

func (s *crashStore) Update(ctx context.Context, fn func(store.Tx) error) (int64, error) {
	switch left := s.left.Add(-1); {
	case left == 0 && s.after:
		_, err := s.Store.Update(ctx, fn)
		return 0, errors.Join(err, store.ErrUnknown)
	case left <= 0:
		return 0, store.ErrClosed
	}
	return s.Store.Update(ctx, fn)
}

// TestAResealThatIsCutOff ends the process at every commit of a reseal. Everything can be used
// at any point, by that process and by the next, which makes an end of it.
func TestAResealThatIsCutOff(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	for _, after := range []bool{false, true} {
		completed := false
		for commits := int64(1); !completed; commits++ {
			w := kmstest.New(t)
			k := newAES(t, w)
			for range 3 {
				rotate(t, w, k.ID)
			}
			box, err := encrypt(t, w, k.ID)
			if err != nil {
				t.Fatal(err)
			}
			cut := &crashStore{Store: w.Store, after: after}
			cut.left.Store(1 << 40)
			cfg := w.Config
			cfg.Store = cut
			first := *w
			if first.Service, err = kms.Open(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			first.ResealRows(2)
			out, err := first.ResealVault(t.Context(), first.System("ResealVault"), kms.VaultRef{ID: w.Tenant.Vault})
			if err != nil {
				t.Fatal(err)
			}
			cut.left.Store(commits)
			for first.Working() {
				time.Sleep(time.Millisecond) //nolint:forbidigo // until the job is over, one way or the other
			}
			stored(t, w, func(tx store.Tx) error {
				work, err := store.LoadWorkRequest(tx, out.Work.ID)
				completed = err == nil && work.Status == keys.WorkSucceeded
				return err
			})
			opensBox(t, &first, box, "the process")
			first.Close()

			second := *w
			if second.Service, err = kms.Open(t.Context(), w.Config); err != nil {
				t.Fatal(err)
			}
			opensBox(t, &second, box, "the next process")
			rotate(t, &second, k.ID)
			if err := reseal(t, &second, w.Tenant.Vault); err != nil {
				t.Fatalf("commit %d, after %v: %v", commits, after, err)
			}
			rows, generations := sealedUnder(t, w, w.Tenant.Vault)
			if len(rows) != 1 || len(generations) != 1 || rows[generations[0]] != 5 {
				t.Errorf("commit %d, after %v: rows %v, KEKs %v", commits, after, rows, generations)
			}
			opensBox(t, &second, box, "after the end")
			checked(t, w)
			second.Close()
			if commits > 50 {
				t.Fatal("there is no end")
			}
		}
	}
}

func opensBox(t testing.TB, w *kmstest.World, box []byte, when string) {
	t.Helper()
	if _, err := open(t, w, kms.DecryptRequest{Ciphertext: box}); err != nil {
		t.Errorf("%s: %v", when, err)
	}
}

// TestResealUnderLoad reseals a vault again and again while keys are made, rotated, used, imported
// and backed up in it: nothing fails, and everything opens afterwards.
func TestResealUnderLoad(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	w := kmstest.New(t)
	resealUnderLoad(t, w, w, 4)
}

// resealUnderLoad works at one node and reseals at another.
func resealUnderLoad(t *testing.T, w, at *kmstest.World, times int) {
	t.Helper()
	at.ResealRows(20)
	vault := w.Tenant.Vault
	k := newAES(t, w)
	in := newImport(t, w, vault, keys.AES256)
	in.bring(t, w, time.Time{})
	var stop atomic.Bool
	var calls atomic.Int64
	var mu sync.Mutex
	var boxes [][]byte
	var work sync.WaitGroup
	loop := func(name string, f func() error) {
		work.Go(func() {
			for !stop.Load() {
				if err := f(); err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				calls.Add(1)
			}
		})
	}
	call := func(f func(*kms.Call) error) func() error { return func() error { return as(t, w, w.Tenant, f) } }
	loop("encrypt", func() error {
		box, err := encrypt(t, w, k.ID)
		mu.Lock()
		defer mu.Unlock()
		if boxes = append(boxes, box); len(boxes) > 500 {
			boxes = boxes[1:]
		}
		return err
	})
	loop("decrypt", func() error {
		mu.Lock()
		var box []byte
		if len(boxes) > 0 {
			var b [1]byte
			_, _ = rand.Read(b[:])
			box = boxes[int(b[0])%len(boxes)]
		}
		mu.Unlock()
		if box == nil {
			return nil
		}
		_, err := open(t, w, kms.DecryptRequest{Ciphertext: box})
		return err
	})
	loop("rotate", call(func(c *kms.Call) error { return second(w.Rotate(context.Background(), c, kms.KeyRef{ID: k.ID})) }))
	loop("create", call(func(c *kms.Call) error {
		made, err := w.CreateKey(context.Background(), c, wish(keys.AES128))
		if err != nil {
			return err
		}
		return second(w.ScheduleKeyDeletion(context.Background(), c, kms.KeyRef{ID: made.ID}, w.Now().Add(8*keys.Day)))
	}))
	loop("back up", call(func(c *kms.Call) error {
		return second(w.WriteKeyBackup(context.Background(), c, kms.KeyRef{ID: k.ID}, discard{}, nil))
	}))
	loop("delete material", func() error {
		err := in.drop(t, w)
		for try := 0; err == nil && try < 10; try++ {
			in.renew(t, w)
			if err := in.try(t, w, nil); !keys.IsKind(err, keys.KindImportToken) {
				return err
			}
			// The vault was resealed since the token was made.
		}
		return err
	})
	for range times {
		before := calls.Load()
		if err := reseal(t, at, vault); err != nil {
			t.Error(err)
		}
		for calls.Load() < before+10 && !t.Failed() {
			time.Sleep(time.Millisecond) //nolint:forbidigo // until the others have done something
		}
	}
	stop.Store(true)
	work.Wait()
	if err := reseal(t, at, vault); err != nil {
		t.Error(err)
	}
	again, err := kms.Open(t.Context(), w.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	there := *w
	there.Service = again
	for _, v := range contentOf(t, w, vault).Versions {
		if v.Sealed != nil {
			if err := again.OpensVersion(t.Context(), v.ID); err != nil {
				t.Errorf("version %d: %v", v.Ordinal, err)
			}
		}
	}
	for _, box := range boxes {
		opensBox(t, &there, box, "afterwards")
	}
	if rows, generations := sealedUnder(t, w, vault); len(rows) != 1 || len(generations) != 1 {
		t.Errorf("rows %v, KEKs %v", rows, generations)
	}
	checked(t, w)
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// testFleetReseal reseals at one node what another uses.
func testFleetReseal(t *testing.T, server *pgtest.Server) {
	n := newNodes(t, server)
	resealUnderLoad(t, n.World, n.other, 2)
}
