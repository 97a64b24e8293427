// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	"testing"

	"claviger/internal/archive"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/secret"
	"claviger/internal/store"
	"claviger/internal/store/storetest"
)

// TestTenThousandVersions backs up and restores a key with many versions, in transactions of
// bounded size and in bounded memory. It runs alone, for its own memory's sake.
func TestTenThousandVersions(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const versions = 10_000
	w := kmstest.New(t)
	vault := newVault(t, w, "large")
	large := largeKey(t, w, vault, versions)

	to := kmstest.New(t, kmstest.InDir(kmstest.Dir(t)), kmstest.With(func(cfg *kms.Config) {
		cfg.Seal = w.Config.Seal
		cfg.Store = &watched{Store: cfg.Store, t: t}
	}))
	vaultOnly(t, w, to, vault)
	base, most := uint64(0), uint64(0)
	progress := func(done, total int) {
		if done%2000 != 1 {
			return
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		if base == 0 {
			base = m.HeapAlloc
		}
		most = max(most, m.HeapAlloc)
	}
	must(t, to, func(c *kms.Call) error {
		return second(to.RestoreKeyBackup(t.Context(), c, bytes.NewReader(large), progress))
	})
	if most > base+8<<20 {
		t.Errorf("the restore of %d bytes takes %d bytes of memory", len(large), most-base)
	}
	if err := storetest.Check(t.Context(), to.Store); err != nil {
		t.Error(err)
	}
	var again bytes.Buffer
	must(t, to, func(c *kms.Call) error {
		m, err := to.WriteKeyBackup(t.Context(), c, kms.KeyRef{ID: keys.ID{77}}, &again, nil)
		if err == nil && m.Counts.Versions != versions {
			t.Errorf("%d versions were restored", m.Counts.Versions)
		}
		return err
	})
}

// watched is a store that counts what its transactions put.
type watched struct {
	store.Store
	t testing.TB
}

func (w *watched) Update(ctx context.Context, fn func(store.Tx) error) (int64, error) {
	return w.Store.Update(ctx, func(tx store.Tx) error {
		counting := &countingTx{Tx: tx}
		err := fn(counting)
		if counting.puts > 300 {
			w.t.Errorf("one transaction puts %d records", counting.puts)
		}
		return err
	})
}

type countingTx struct {
	store.Tx
	puts int
}

func (c *countingTx) Put(rec store.Record) error {
	c.puts++
	return c.Tx.Put(rec)
}

// largeKey is the backup of a key with many versions, which no world ever had.
func largeKey(t testing.TB, w *kmstest.World, vault keys.ID, versions int) []byte {
	t.Helper()
	small := wish(keys.AES256)
	small.Vault = vault
	from := newKey(t, w, small)
	r, err := archive.NewReader(t.Context(), bytes.NewReader(backupKey(t, w, from.ID)), archive.Opener{Root: w.Config.Seal})
	if err != nil {
		t.Fatal(err)
	}
	tenant, err1 := r.Next()
	k, err2 := r.Next()
	v, err3 := r.Next()
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	m := &r.Header().Manifest
	m.Key.ID, m.Counts.Versions = keys.ID{77}, versions
	k.Key.ID, k.Key.Versions = keys.ID{77}, versions
	idOf := func(i int) (id keys.ID) {
		binary.BigEndian.PutUint64(id[8:], uint64(i+1))
		return id
	}
	k.Key.Primary = idOf(versions - 1)
	to, err := archive.NewWriter(t.Context(), &out, m, archive.Lock{Root: w.Config.Seal}, w.Config.Rand)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(to.Write(tenant), to.Write(k))
	for i := 0; i < versions && err == nil; i++ {
		one := *v.Version
		one.ID, one.Ordinal = idOf(i), i+1
		material := make([]byte, 32)
		binary.BigEndian.PutUint64(material, uint64(i))
		err = to.Write(&archive.Record{Version: &one, Material: secret.New(material)})
	}
	if err = errors.Join(err, to.Finish()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
