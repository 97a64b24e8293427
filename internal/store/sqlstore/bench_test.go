// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"claviger/internal/audit"
	"claviger/internal/keys"
	"claviger/internal/store"
	"claviger/internal/store/storetest"
)

// clients runs b.N calls from n goroutines.
func clients(b *testing.B, n int, call func(client int) error) {
	b.Helper()
	b.ReportAllocs()
	b.ResetTimer()
	var left atomic.Int64
	left.Store(int64(b.N))
	var group sync.WaitGroup
	for client := range n {
		group.Go(func() {
			for left.Add(-1) >= 0 {
				if err := call(client); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
}

// benchBasis stores a tenant with a vault.
func benchBasis(b *testing.B, s *Store) (*storetest.World, *keys.Vault) {
	b.Helper()
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	w := &storetest.World{}
	tenant := w.Tenant()
	vault := w.Vault(tenant)
	update(b, s, tenant, vault)
	return w, vault
}

// BenchmarkUpdate replaces one row per transaction, each client its own.
func BenchmarkUpdate(b *testing.B) {
	for _, n := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("clients=%d", n), func(b *testing.B) {
			s := openTest(b, Options{})
			w, vault := benchBasis(b, s)
			rows := make([]*keys.Key, n)
			for i := range rows {
				rows[i] = w.Key(vault)
				update(b, s, rows[i])
			}
			clients(b, n, func(client int) error {
				_, err := s.Update(context.Background(), func(tx store.Tx) error { return tx.Put(rows[client]) })
				return err
			})
		})
	}
}

// BenchmarkRotate makes key versions with all that goes with one: the lookups of the service,
// the version with material of RSA-2048, the key, a token, an audit event.
func BenchmarkRotate(b *testing.B) {
	for _, n := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("clients=%d", n), func(b *testing.B) {
			s := openTest(b, Options{})
			w, vault := benchBasis(b, s)
			rows := make([]*keys.Key, n)
			makers := make([]*storetest.World, n)
			for i := range rows {
				rows[i] = w.Key(vault)
				update(b, s, rows[i])
				makers[i] = &storetest.World{}
				for range 50 + i { // ids apart from the others'
					makers[i].ID()
				}
			}
			sealed, public := make([]byte, 1250), make([]byte, 294)
			var serial atomic.Uint64
			clients(b, n, func(client int) error {
				_, err := s.Update(context.Background(), func(tx store.Tx) error {
					return rotate(tx, rows[client].ID, &serial, sealed, public)
				})
				return err
			})
		})
	}
}

func rotate(tx store.Tx, id keys.ID, serial *atomic.Uint64, sealed, public []byte) error {
	k, err := store.LoadKey(tx, id)
	if err != nil {
		return err
	}
	if _, err := store.LoadVault(tx, k.Vault); err != nil {
		return err
	}
	n := serial.Add(1)
	unique := func(kind byte) (id keys.ID) {
		id[0], id[1], id[2] = byte(n*0x9e), byte(n*0x9e37>>8), byte(n*0x9e3779>>16)
		for i := range 8 {
			id[15-i] = byte(n >> (8 * i))
		}
		id[7] = kind
		return id
	}
	k.Versions++
	v := &keys.Version{
		ID: unique(1), Tenant: k.Tenant, Vault: k.Vault, Key: k.ID, Region: k.Region, Ordinal: k.Versions,
		State: keys.Enabled, Origin: keys.Generated, PublicKey: public, Sealed: sealed, KEKGeneration: 1, CreatedAt: k.CreatedAt,
	}
	k.Primary, k.LastVersionAt = v.ID, v.CreatedAt
	token := &store.Token{Principal: unique(2), Operation: "CreateKeyVersion", Token: "token", Type: keys.TypeVersion, Result: sealed[:64], ID: v.ID, ExpiresAt: k.CreatedAt}
	for _, rec := range []store.Record{token, v, k} {
		if err := tx.Put(rec); err != nil {
			return err
		}
	}
	return tx.Record(audit.Event{Time: k.CreatedAt, Operation: "CreateKeyVersion", Key: k.ID, Version: v.ID, Outcome: audit.OutcomeOK})
}

// BenchmarkLoad loads a key in a view of its own.
func BenchmarkLoad(b *testing.B) {
	for _, memory := range []bool{false, true} {
		for _, n := range []int{1, 16} {
			b.Run(fmt.Sprintf("memory=%t/clients=%d", memory, n), func(b *testing.B) {
				s := openTest(b, Options{Memory: memory})
				w, vault := benchBasis(b, s)
				k := w.Key(vault)
				update(b, s, k)
				clients(b, n, func(int) error {
					return s.View(context.Background(), func(tx store.Tx) error {
						_, err := store.LoadKey(tx, k.ID)
						return err
					})
				})
			})
		}
	}
}

// BenchmarkVersionsPage lists ten versions after the middle of few and of many.
func BenchmarkVersionsPage(b *testing.B) {
	for _, n := range []int{20, 200_000} {
		s := openTest(b, Options{})
		w, vault := benchBasis(b, s)
		k := w.Key(vault)
		update(b, s, k)
		for k.Versions < n {
			_, err := s.Update(context.Background(), func(tx store.Tx) error {
				for range min(10_000, n-k.Versions) {
					if err := tx.Put(w.Version(k)); err != nil {
						return err
					}
				}
				return tx.Put(k)
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		for name, q := range map[string]store.VersionQuery{
			"mark":   {Key: k.ID, AfterOrdinal: n / 2, Limit: 10},
			"offset": {Key: k.ID, Offset: n / 2, Limit: 10},
			"desc":   {Key: k.ID, Offset: n / 2, Limit: 10, Desc: true, HideDeleted: true},
		} {
			b.Run(fmt.Sprintf("of=%d/%s", n, name), func(b *testing.B) {
				clients(b, 1, func(int) error {
					return s.View(context.Background(), func(tx store.Tx) error {
						_, err := tx.Versions(q)
						return err
					})
				})
			})
		}
	}
}
