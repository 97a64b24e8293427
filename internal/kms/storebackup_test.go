// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"claviger/internal/archive"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/seal"
	"claviger/internal/store"
	"claviger/internal/store/sqlstore"
)

func backedUp(t testing.TB, w *kmstest.World) []byte {
	t.Helper()
	var b bytes.Buffer
	_, err := kms.WriteStoreBackup(t.Context(), kms.StoreBackup{
		Store: w.Store, Seal: w.Config.Seal, Rand: rand.Reader, Now: w.Now(), Software: "test",
	}, &b)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestAStoreComesBackUnderAnotherRootKey loses a store with something of everything in it, and restores
// it into an empty one with a root key of its own.
func TestAStoreComesBackUnderAnotherRootKey(t *testing.T) {
	t.Parallel()
	f := furnish(t, kmstest.InDir(kmstest.Dir(t)))
	ciphertext, err := encrypt(t, f.World, f.aes.ID)
	if err != nil {
		t.Fatal(err)
	}
	backup := backedUp(t, f.World)
	var head store.Head
	if err := f.Store.View(t.Context(), func(tx store.Tx) (err error) { head, err = tx.Head(); return err }); err != nil {
		t.Fatal(err)
	}
	root, err := seal.NewMemory(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	opener := archive.Opener{Root: f.Config.Seal}
	header, begin, err := kms.CheckStoreBackup(t.Context(), bytes.NewReader(backup), opener, nil)
	if err != nil || header.Counts != (archive.Counts{Vaults: 6, Keys: 7, Versions: 8}) {
		t.Fatalf("the backup is of %+v, %v", header, err)
	}
	into, err := sqlstore.OpenSQLite(t.Context(), sqlstore.Options{Dir: kmstest.Dir(t), Create: true, Unfinished: true, Schema: begin.Schema})
	if err != nil {
		t.Fatal(err)
	}
	defer into.Close()
	// One that is cut short leaves what can be begun anew.
	x := kms.StoreRestore{Opener: opener, Store: into, Seal: root, From: "the test"}
	x.Archive = bytes.NewReader(backup[:len(backup)-200])
	if err := kms.RestoreStore(t.Context(), x); !archive.IsRefusal(err) {
		t.Fatalf("of half a backup: %v", err)
	}
	x.Archive = bytes.NewReader(backup)
	if err := kms.RestoreStore(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	x.Archive = bytes.NewReader(backup)
	if err := kms.RestoreStore(t.Context(), x); !errors.Is(err, sqlstore.ErrNotEmpty) {
		t.Errorf("over a store: %v", err)
	}
	report, err := kms.VerifyStore(t.Context(), kms.VerifyConfig{Store: into, Seal: root})
	if err != nil || len(report.Faults) > 0 || report.Head != head || report.Opened != 10 {
		t.Errorf("restored: %v, %v, head %+v, want %+v; opened %d", report.Faults, err, report.Head, head, report.Opened)
	}
	if _, err := kms.VerifyStore(t.Context(), kms.VerifyConfig{Store: into, Seal: f.Config.Seal}); err == nil {
		t.Error("the root key of before opens it too")
	}
	cfg := f.Config
	cfg.Store, cfg.Seal = into, root
	service, err := kms.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	again := &kmstest.World{Service: service, Store: into, Clock: f.Clock, Tenant: f.Tenant, Other: f.Other}
	if err := opens(t, again, f.aes.ID, ciphertext); err != nil {
		t.Errorf("a ciphertext of before: %v", err)
	}
	rotate(t, again, f.aes.ID)
	newKey(t, again, wish(keys.AES256))
}

// TestEveryStoreBackupIsRefusedThatIsNotWhole changes a byte here and there.
func TestEveryStoreBackupIsRefusedThatIsNotWhole(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	newKey(t, w, wish(keys.AES256))
	backup, opener := backedUp(t, w), archive.Opener{Root: w.Config.Seal}
	for i := 0; i < len(backup); i += 97 {
		bad := bytes.Clone(backup)
		bad[i] ^= 0x10
		if _, _, err := kms.CheckStoreBackup(t.Context(), bytes.NewReader(bad), opener, nil); !archive.IsRefusal(err) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
		if _, _, err := kms.CheckStoreBackup(t.Context(), bytes.NewReader(backup[:i]), opener, nil); !archive.IsRefusal(err) {
			t.Fatalf("cut to %d: %v", i, err)
		}
	}
	other, err := seal.NewMemory(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := kms.CheckStoreBackup(t.Context(), bytes.NewReader(backup), archive.Opener{Root: other}, nil); !errors.Is(err, archive.ErrKey) {
		t.Errorf("with another root key: %v", err)
	}
}

// heldFile is a file of a backup that waits before it takes anything.
type heldFile struct {
	bytes.Buffer
	begun, gate chan struct{}
	committed   bool
}

func (f *heldFile) Write(p []byte) (int, error) {
	select {
	case f.begun <- struct{}{}:
	default:
	}
	<-f.gate
	return f.Buffer.Write(p)
}
func (f *heldFile) Commit() (string, error) { f.committed = true; return "held", nil }
func (f *heldFile) Abort() error            { return nil }

// TestABackupHoldsNobodyUp writes to a store in files while a backup of all of it is under way and does
// not go on; one backup is made at a time, and only the administrator of the server may ask for it.
func TestABackupHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	file := &heldFile{begun: make(chan struct{}, 1), gate: make(chan struct{})}
	w := kmstest.New(t, kmstest.InDir(kmstest.Dir(t)), kmstest.With(func(c *kms.Config) {
		c.Backup.Store = func(time.Time) (kms.StoreFile, error) { return file, nil }
	}))
	before := newKey(t, w, wish(keys.AES256))
	want(t, "asked by a tenant's administrator", as(t, w, w.Tenant, func(c *kms.Call) error { return w.StartStoreBackup(t.Context(), c) }), keys.KindDenied)
	if err := w.StartStoreBackup(t.Context(), w.System("test")); err != nil {
		t.Fatal(err)
	}
	<-file.begun
	after := newKey(t, w, wish(keys.AES256))
	want(t, "a second one", w.StartStoreBackup(t.Context(), w.System("test")), keys.KindTransient)
	state, err := w.StoreBackup(t.Context(), w.System("test"))
	if err != nil || !state.Running {
		t.Errorf("under way it is %+v, %v", state, err)
	}
	close(file.gate)
	for state.Running {
		<-time.After(time.Millisecond)
		if state, err = w.StoreBackup(t.Context(), w.System("test")); err != nil {
			t.Fatal(err)
		}
	}
	if state.Err != nil || !file.committed || state.File != "held" || state.Done != state.Total {
		t.Fatalf("it ended as %+v", state)
	}
	// It is of one revision: the one when it began.
	r, err := archive.NewStoreReader(t.Context(), bytes.NewReader(file.Bytes()), archive.Opener{Root: w.Config.Seal})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Wipe()
	var all strings.Builder
	for {
		_, row, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range row {
			if b, ok := v.([]byte); ok {
				all.Write(b)
			}
		}
	}
	if !strings.Contains(all.String(), string(before.ID[:])) || strings.Contains(all.String(), string(after.ID[:])) {
		t.Error("the backup lacks what was there when it began, or has what was not")
	}
}
