// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/objects"
	"claviger/internal/objects/spool"
	"claviger/internal/store"
)

// there is where the tests' backups go.
func there() kms.Location {
	return kms.Location{Name: kms.ObjectName{Namespace: "acme", Bucket: "backups", Object: "it"}}
}

// upload is a client's file.
func upload(t testing.TB, w *kmstest.World, content []byte) kms.Source {
	t.Helper()
	f, err := w.NewUpload()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	return kms.Source{Upload: f}
}

// spooled is how many bytes wait in temporary files.
func spooled(w *kmstest.World) int64 { return w.Config.Spool.(*spool.Dir).Used() }

// storage is object storage whose every request waits to be let, or fails.
type storage struct {
	objects.Store
	asked chan string
	let   chan error
}

func newStorage(w *kms.Config) *storage {
	s := &storage{Store: w.Objects.Buckets, asked: make(chan string, 10), let: make(chan error, 10)}
	w.Objects = &objects.Storage{Buckets: s}
	return s
}

func (s *storage) wait(ctx context.Context, what string) error {
	s.asked <- what
	select {
	case err := <-s.let:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *storage) Put(ctx context.Context, n objects.Name, body io.ReadSeeker, size int64) error {
	if err := s.wait(ctx, "put "+n.Owner+" "+n.Object); err != nil {
		return err
	}
	return s.Store.Put(ctx, n, body, size)
}

func (s *storage) Get(ctx context.Context, n objects.Name) (io.ReadCloser, int64, error) {
	if err := s.wait(ctx, "get "+n.Owner+" "+n.Object); err != nil {
		return nil, 0, err
	}
	return s.Store.Get(ctx, n)
}

// TestBackupsComeAndGo stores backups and restores them on another machine: from the objects, and
// from uploads.
func TestBackupsComeAndGo(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	s := newScene(t, w, w.Tenant.Vault)
	other := anew(t, w, func(c *kms.Config) { c.Objects = w.Config.Objects })
	var out *kms.Working
	must(t, w, func(c *kms.Call) (err error) {
		c.Dialect = "oci"
		out, err = w.StoreVaultBackup(t.Context(), c, kms.VaultRef{ID: w.Tenant.Vault}, true, there())
		return err
	})
	if out.Vault == nil || out.Vault.Busy != "" || out.Work.Status != keys.WorkSucceeded || out.Work.Percent != 100 || len(out.Work.Logs) != 1 {
		t.Errorf("the backup: %+v", out)
	}
	must(t, other, func(c *kms.Call) (err error) {
		c.Dialect = "oci"
		out, err = other.RestoreVault(t.Context(), c, "", kms.Source{From: there()})
		return err
	})
	want := []keys.WorkResource{{Type: keys.TypeVault, ID: w.Tenant.Vault, Vault: w.Tenant.Vault, Region: kmstest.Region, Effect: keys.WorkCreated}}
	if diff := cmp.Diff(want, out.Work.Resources); diff != "" || out.Vault == nil || out.Vault.State != keys.Active || out.Vault.Restored.From != w.Tenant.Vault {
		t.Errorf("the restored vault: %+v\n%s", out, diff)
	}
	must(t, other, func(c *kms.Call) error {
		return second(other.Decrypt(t.Context(), c, kms.DecryptRequest{Ciphertext: s.sealed}))
	})
	lose(t, other, s.key.ID)
	must(t, other, func(c *kms.Call) (err error) {
		c.Vault = w.Tenant.Vault
		out, err = other.RestoreKey(t.Context(), c, upload(t, other, backupKey(t, w, s.key.ID)))
		return err
	})
	if out.Key == nil || out.Key.ID != s.key.ID || out.Key.State != keys.Enabled || out.Work.Resources[0].ID != s.key.ID {
		t.Errorf("the restored key: %+v", out)
	}
	if n := spooled(w) + spooled(other); n != 0 {
		t.Errorf("%d bytes are left in temporary files", n)
	}
}

// TestABackupBlocksNothing looks at a key whose backup is held, and goes on with it.
func TestABackupBlocksNothing(t *testing.T) {
	t.Parallel()
	var held *storage
	w := kmstest.New(t, kmstest.With(impatient), kmstest.With(func(c *kms.Config) { held = newStorage(c) }))
	k := newKey(t, w, wish(keys.AES256))
	back := func() (out *kms.Working, err error) {
		err = as(t, w, w.Tenant, func(c *kms.Call) error {
			c.Token = "token"
			out, err = w.StoreKeyBackup(t.Context(), c, kms.KeyRef{ID: k.ID}, there())
			return err
		})
		return out, err
	}
	out, err := back()
	if err != nil || out.Key.State != keys.Enabled || out.Key.Busy != keys.BackingUp {
		t.Fatalf("under way: %+v %v", out, err)
	}
	if asked := <-held.asked; asked != "put "+w.Tenant.ID.String()+" it" {
		t.Errorf("the storage is asked to %q", asked)
	}
	must(t, w, func(c *kms.Call) error {
		read, err := w.Key(t.Context(), c, kms.KeyRef{ID: k.ID})
		list, errList := w.Keys(t.Context(), c, kms.KeyFilter{}, kms.Page{})
		if err == nil && errList == nil && (read.Busy != keys.BackingUp || list.Items[0].Busy != keys.BackingUp) {
			t.Errorf("shown as %+v and %+v", read, list.Items[0])
		}
		return errors.Join(err, errList)
	})
	again, err := back()
	if err != nil || again.Work.ID != out.Work.ID {
		t.Errorf("the repeat: %+v %v", again, err)
	}
	err = as(t, w, w.Tenant, func(c *kms.Call) error {
		return second(w.StoreKeyBackup(t.Context(), c, kms.KeyRef{ID: k.ID}, there()))
	})
	want(t, "a second backup", err, keys.KindTransient)
	if keys.AsError(err).State != keys.BackingUp {
		t.Errorf("a second backup: %+v", keys.AsError(err))
	}
	for name, call := range map[string]func(*kms.Call) error{
		"backup of its vault": func(c *kms.Call) error {
			return second(w.StoreVaultBackup(t.Context(), c, kms.VaultRef{ID: w.Tenant.Vault}, false, there()))
		},
		"disable": func(c *kms.Call) error {
			return second(w.ChangeKeyState(t.Context(), c, kms.KeyRef{ID: k.ID}, keys.DisableKey))
		},
	} {
		want(t, name+" during a backup", as(t, w, w.Tenant, call), "")
	}
	must(t, w, func(c *kms.Call) error {
		v, err := w.Vault(t.Context(), c, kms.VaultRef{ID: w.Tenant.Vault})
		list, errList := w.Vaults(t.Context(), c, "", kms.Page{})
		if err == nil && errList == nil && (v.State != keys.Active || v.Busy != keys.BackingUp || list.Items[0].Busy != keys.BackingUp) {
			t.Errorf("the vault is shown as %+v and %+v", v, list.Items[0])
		}
		return errors.Join(err, errList)
	})
	held.let <- nil
	held.let <- nil
}

// TestWhatMayGoWrongWithObjects fails backups and restores in every way that storage has, and leaves
// nothing behind.
func TestWhatMayGoWrongWithObjects(t *testing.T) {
	t.Parallel()
	var held *storage
	w := kmstest.New(t, kmstest.With(patient), kmstest.With(func(c *kms.Config) {
		held = newStorage(c)
		c.MaxBackup = 1 << 16
	}))
	k := newKey(t, w, wish(keys.AES256))
	store1 := func(c *kms.Call) error {
		return second(w.StoreKeyBackup(t.Context(), c, kms.KeyRef{ID: k.ID}, there()))
	}
	fetch := func(c *kms.Call) error {
		c.Vault = w.Tenant.Vault
		return second(w.RestoreKey(t.Context(), c, kms.Source{From: there()}))
	}
	for name, cause := range map[string]error{
		"": nil, "unavailable": errors.New("connection refused to 10.0.0.7"), "related-not-found": objects.ErrDenied, "invalid": objects.ErrRefused,
	} {
		held.let <- cause
		err := as(t, w, w.Tenant, store1)
		want(t, "put fails with "+name, err, keys.Kind(name))
		if err != nil && (keys.AsError(err).Field != "backupLocation" || bytes.Contains([]byte(keys.AsError(err).Hint), []byte("10.0.0.7"))) {
			t.Errorf("%s: %+v", name, keys.AsError(err))
		}
	}
	for name, cause := range map[string]error{
		"exists": nil, "unavailable": io.ErrUnexpectedEOF, "related-not-found": objects.ErrNotFound, "invalid": objects.ErrRefused,
	} {
		held.let <- cause
		want(t, "get fails with "+name, as(t, w, w.Tenant, fetch), keys.Kind(name))
	}
	broken := &objects.Storage{Buckets: brokenStore{}}
	w.SetObjects(broken)
	want(t, "an object that ends early", as(t, w, w.Tenant, fetch), keys.KindUnavailable)
	broken.Buckets = brokenStore{size: 1 << 20}
	want(t, "an object that says it is too large", as(t, w, w.Tenant, fetch), keys.KindTooLarge)
	broken.Buckets = brokenStore{size: -1}
	want(t, "an object that is too large", as(t, w, w.Tenant, fetch), keys.KindTooLarge)
	w.SetObjects(nil)
	want(t, "without storage", as(t, w, w.Tenant, fetch), keys.KindInvalid)
	if n := spooled(w); n != 0 {
		t.Errorf("%d bytes are left in temporary files", n)
	}
}

// brokenStore has an object of zeros without end that says it has size bytes; 0 is one that ends
// after less than it said.
type brokenStore struct {
	objects.Store
	size int64
}

func (b brokenStore) Get(context.Context, objects.Name) (io.ReadCloser, int64, error) {
	if b.size == 0 {
		return io.NopCloser(bytes.NewReader(make([]byte, 10))), 100, nil
	}
	return io.NopCloser(zeros{}), b.size, nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestRestoresThatAreRefused restores what is none, or what may not be.
func TestRestoresThatAreRefused(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.With(patient))
	k := newKey(t, w, wish(keys.AES256))
	backup := backupKey(t, w, k.ID)
	flipped := bytes.Clone(backup)
	flipped[len(flipped)/2] ^= 1
	vault := backupVault(t, w, w.Tenant.Vault)
	lose(t, w, k.ID)
	for name, c := range map[string]struct {
		content []byte
		change  func(*kms.Call)
		want    keys.Kind
	}{
		"a flipped byte":     {flipped, nil, keys.KindInvalid},
		"cut short":          {backup[:len(backup)-1], nil, keys.KindInvalid},
		"something behind":   {append(bytes.Clone(backup), 'x'), nil, keys.KindInvalid},
		"nothing":            {nil, nil, keys.KindInvalid},
		"a vault's":          {vault, nil, keys.KindInvalid},
		"with if-match":      {backup, func(c *kms.Call) { c.IfMatch = "x" }, keys.KindRevision},
		"at another's vault": {backup, func(c *kms.Call) { c.Vault = w.Other.Vault }, keys.KindNotFound},
		"at no vault":        {backup, func(c *kms.Call) { c.Vault = keys.ID{1} }, keys.KindNotFound},
		"in another region":  {backup, func(c *kms.Call) { c.Region = "away" }, keys.KindNotFound},
	} {
		want(t, name, as(t, w, w.Tenant, func(call *kms.Call) error {
			call.Vault = w.Tenant.Vault
			if c.change != nil {
				c.change(call)
			}
			return second(w.RestoreKey(t.Context(), call, upload(t, w, c.content)))
		}), c.want)
	}
	if n := spooled(w); n != 0 {
		t.Errorf("%d bytes are left in temporary files", n)
	}
	must(t, w, func(c *kms.Call) error {
		if err := second(w.Key(t.Context(), c, kms.KeyRef{ID: k.ID})); !keys.IsKind(err, keys.KindNotFound) {
			t.Errorf("after refused restores there is a key: %v", err)
		}
		c.Vault = w.Tenant.Vault
		return second(w.RestoreKey(t.Context(), c, upload(t, w, backup)))
	})
}

// TestARestoreThatTakesLong answers what there is to show of a restore: nothing yet, then what it
// brings; never what its backup only claims to be of.
func TestARestoreThatTakesLong(t *testing.T) {
	t.Parallel()
	var held *storage
	w := kmstest.New(t, kmstest.With(impatient), kmstest.With(func(c *kms.Config) { held = newStorage(c) }))
	k := newKey(t, w, wish(keys.AES256))
	restore := func() (out *kms.Working, err error) {
		err = as(t, w, w.Tenant, func(c *kms.Call) error {
			c.Vault, c.Token = w.Tenant.Vault, "token"
			out, err = w.RestoreKey(t.Context(), c, kms.Source{From: there()})
			return err
		})
		return out, err
	}
	want(t, "while it is fetched", second(restore()), keys.KindUnavailable)
	<-held.asked
	var work keys.ID
	must(t, w, func(c *kms.Call) error {
		list, err := w.WorkRequests(t.Context(), c, kms.WorkFilter{}, kms.Page{})
		work = list.Items[0].ID
		return err
	})
	for _, state := range []keys.State{keys.Enabled, keys.Restoring} {
		tamper(t, w, func(tx store.Tx) error {
			row, err := store.LoadWorkRequest(tx, work)
			if err != nil {
				return err
			}
			row.Resources = []keys.WorkResource{{Type: keys.TypeKey, ID: k.ID}}
			stored, err := store.LoadKey(tx, k.ID)
			if err != nil {
				return err
			}
			if stored.State = state; state == keys.Restoring {
				stored.DeleteAt = w.Clock.Now().Add(keys.Day)
			}
			return errors.Join(tx.Put(row), tx.Put(stored))
		})
		out, err := restore()
		if state == keys.Enabled {
			want(t, "a backup that claims to be of a key that is there", err, keys.KindUnavailable)
			continue
		}
		if err != nil || out.Key == nil || out.Key.State != keys.Restoring || !out.Key.DeleteAt.IsZero() {
			t.Errorf("what it brings: %+v %v", out, err)
		}
	}
	tamper(t, w, func(tx store.Tx) error { // as it was, for the store's invariants
		stored, err := store.LoadKey(tx, k.ID)
		if err != nil {
			return err
		}
		stored.State, stored.DeleteAt = keys.Enabled, k.Key.DeleteAt
		return tx.Put(stored)
	})
	held.let <- objects.ErrNotFound
}
