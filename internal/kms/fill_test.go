// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"crypto/rand"
	"io"
	"sync/atomic"
	"testing"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
	"claviger/internal/store/storetest"
)

// TestFill fills a store and takes what was made for what requests would have made.
func TestFill(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	before := counted(t, w, keys.TypeVersion)
	f := kms.Filling{Vault: w.Tenant.Vault, Prefix: "many-", Spec: keys.AES256, Keys: 40, Versions: 1300, Largest: 1201}
	last, calls := 0, 0
	err := w.Fill(t.Context(), w.System("FillStore"), f, func(done, total int) {
		if done <= last || total != 1300 {
			t.Errorf("%d of %d are done, after %d", done, total, last)
		}
		last, calls = done, calls+1
	})
	if err != nil {
		t.Fatal(err)
	}
	if last != 1300 || calls < 3 {
		t.Errorf("progress ended at %d after %d calls", last, calls)
	}
	if keysThere, versions := counted(t, w, keys.TypeKey), counted(t, w, keys.TypeVersion)-before; keysThere != 40 || versions != 1300 {
		t.Errorf("%d keys and %d versions are counted", keysThere, versions)
	}
	if err := storetest.Check(t.Context(), w.Store); err != nil {
		t.Error(err)
	}
	rows := filled(t, w)
	if len(rows) != 40 || rows[0].Name != "many-000001" || rows[0].Versions != 1201 || rows[1].Versions != 3 || rows[39].Versions != 2 {
		t.Fatalf("%d keys, the first %q with %d versions, the second with %d, the last with %d", len(rows), rows[0].Name, rows[0].Versions, rows[1].Versions, rows[39].Versions)
	}
	events := filledEvents(t, w)
	for _, k := range rows {
		versions := filledVersions(t, w, k.ID)
		if len(versions) != k.Versions || versions[len(versions)-1].ID != k.Primary {
			t.Fatalf("%s has %d versions, want %d, and the newest is not its primary", k.Name, len(versions), k.Versions)
		}
		for i, v := range versions {
			want := keys.Rotate
			if i == 0 {
				want = keys.CreateKey
			}
			if v.Ordinal != i+1 || events[v.ID] != want {
				t.Fatalf("version %d of %s has ordinal %d and is audited as %q, want %q", i+1, k.Name, v.Ordinal, events[v.ID], want)
			}
			if i%100 > 0 && i < len(versions)-1 {
				continue
			}
			ref := kms.KeyRef{ID: k.ID}
			ct, err := sealed(t, w, kms.EncryptRequest{Key: ref, Version: kms.VersionRef{ID: v.ID}, Plaintext: []byte("text")})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := open(t, w, kms.DecryptRequest{Ciphertext: ct}); err != nil || string(got.Plaintext) != "text" || got.Version.ID != v.ID {
				t.Fatalf("version %d of %s opens %v, %v", i+1, k.Name, got, err)
			}
		}
	}
}

// interrupted is a source of randomness that runs f before the read at which left comes to zero.
type interrupted struct {
	io.Reader
	left atomic.Int64
	f    func()
}

func (r *interrupted) Read(b []byte) (int, error) {
	if r.left.Add(-1) == 0 {
		r.f()
	}
	return r.Reader.Read(b)
}

// TestFillDuringAReseal exchanges the vault's KEK in the middle of a Fill, which goes on under the new
// one: between two of its transactions, and while the material of one is made.
func TestFillDuringAReseal(t *testing.T) {
	t.Parallel()
	random := &interrupted{Reader: rand.Reader}
	w := kmstest.New(t, kmstest.With(func(c *kms.Config) { c.Rand = random }))
	resealed, parts := 0, 0
	random.f = func() {
		resealed++
		if err := reseal(t, w, w.Tenant.Vault); err != nil {
			t.Error(err)
		}
	}
	f := kms.Filling{Vault: w.Tenant.Vault, Prefix: "many-", Spec: keys.AES256, Keys: 1, Versions: 1600, Largest: 1600}
	err := w.Fill(t.Context(), w.System("FillStore"), f, func(int, int) {
		switch parts++; parts {
		case 1:
			random.f()
		case 2:
			random.left.Store(50)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if resealed != 2 {
		t.Errorf("the vault was resealed %d times", resealed)
	}
	rows := filled(t, w)
	if len(rows) != 1 {
		t.Fatalf("%d keys", len(rows))
	}
	versions := filledVersions(t, w, rows[0].ID)
	if len(versions) != 1600 {
		t.Errorf("%d versions", len(versions))
	}
	for _, v := range versions {
		if err := w.OpensVersion(t.Context(), v.ID); err != nil {
			t.Fatalf("version %d: %v", v.Ordinal, err)
		}
	}
	if err := storetest.Check(t.Context(), w.Store); err != nil {
		t.Error(err)
	}
}

func TestFillRefuses(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	good := kms.Filling{Vault: w.Tenant.Vault, Prefix: "x-", Spec: keys.AES256, Keys: 3, Versions: 9, Largest: 4}
	for what, change := range map[string]func(*kms.Filling){
		"no key":               func(f *kms.Filling) { f.Keys = 0 },
		"no version":           func(f *kms.Filling) { f.Largest = 0 },
		"too few versions":     func(f *kms.Filling) { f.Versions = 5 },
		"one key, more places": func(f *kms.Filling) { f.Keys = 1 },
		"unknown spec":         func(f *kms.Filling) { f.Spec = "DES" },
		"spec of one version":  func(f *kms.Filling) { f.Spec = keys.HMACSHA256 },
		"unknown vault":        func(f *kms.Filling) { f.Vault = keys.ID{1} },
	} {
		f := good
		change(&f)
		if err := w.Fill(t.Context(), w.System("FillStore"), f, nil); err == nil {
			t.Errorf("%s: filled", what)
		}
	}
	if n := counted(t, w, keys.TypeKey); n != 0 {
		t.Errorf("%d keys were made", n)
	}
	if err := w.Fill(t.Context(), w.System("FillStore"), good, nil); err != nil {
		t.Error(err)
	}
}

func counted(t *testing.T, w *kmstest.World, what keys.Type) (n int) {
	t.Helper()
	err := w.Store.View(t.Context(), func(tx store.Tx) (err error) {
		n, err = tx.Count(store.Counter{Type: what, Tenant: w.Tenant.ID, Region: kmstest.Region})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func filled(t *testing.T, w *kmstest.World) (rows []*keys.Key) {
	t.Helper()
	err := w.Store.View(t.Context(), func(tx store.Tx) (err error) {
		rows, err = tx.Keys(store.KeyQuery{Vault: w.Tenant.Vault, Page: store.Page{Sort: store.ByName}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// filledEvents are the audited actions by version.
func filledEvents(t *testing.T, w *kmstest.World) map[keys.ID]keys.Action {
	t.Helper()
	events, err := w.AuditEvents(t.Context(), w.System("test"), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := map[keys.ID]keys.Action{}
	for _, e := range events {
		if e.Event.Operation == "FillStore" {
			out[e.Event.Version] = e.Event.Action
		}
	}
	return out
}

func filledVersions(t *testing.T, w *kmstest.World, key keys.ID) (rows []*keys.Version) {
	t.Helper()
	err := w.Store.View(t.Context(), func(tx store.Tx) (err error) {
		rows, err = tx.Versions(store.VersionQuery{Key: key})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}
