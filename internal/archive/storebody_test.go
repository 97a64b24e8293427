// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/keys"
	"claviger/internal/secret"
)

func storeManifest() *Manifest {
	return &Manifest{
		ID: keys.ID{7}, Kind: KindStore, CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Revision: 5,
		Tenants: []Named{}, WithKeys: true, Counts: Counts{Vaults: 1, Keys: 1, Versions: 2}, Software: "test",
	}
}

func storeBegin() *StoreBegin {
	return &StoreBegin{
		Schema: 3, Revision: 5, Events: 2, Hash: bytes.Repeat([]byte{1}, 32),
		Tables: []StoreTable{{"none", []string{"a"}, 0}, {"some", []string{"a", "b", "c", "d"}, 2}, {"last", []string{"a"}, 1}, {"empty", []string{"a"}, 0}},
		System: []StoreKEK{
			{2, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), secret.New(bytes.Repeat([]byte{2}, 32))},
			{1, time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), secret.New(bytes.Repeat([]byte{3}, 32))},
		},
	}
}

type storeRow struct {
	Table int
	Row   []any
}

func storeRows() []storeRow {
	return []storeRow{
		{1, []any{int64(-5), "text \x00 ü", []byte{0, 1, 2}, nil}},
		{1, []any{int64(1 << 62), "", []byte{}, []byte("x")}},
		{2, []any{nil}},
	}
}

func writeStore(t testing.TB, l Lock) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewStoreWriter(t.Context(), &b, storeManifest(), l, steady(), storeBegin())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Wipe()
	for _, r := range storeRows() {
		if err := w.Row(r.Table, r.Row); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func readStore(t testing.TB, o Opener, b []byte) (begin *StoreBegin, rows []storeRow, err error) {
	t.Helper()
	r, err := NewStoreReader(t.Context(), bytes.NewReader(b), o)
	if err != nil {
		return nil, nil, err
	}
	for {
		table, row, err := r.Next()
		if errors.Is(err, io.EOF) && !errors.Is(err, ErrDamaged) {
			return r.Begin(), rows, nil
		}
		if err != nil {
			return r.Begin(), rows, err
		}
		rows = append(rows, storeRow{table, row})
	}
}

func TestStoreArchive(t *testing.T) {
	t.Parallel()
	root := rootKey(t, 0)
	good := writeStore(t, Lock{Root: root})
	begin, rows, err := readStore(t, Opener{Root: root}, good)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(storeRows(), rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	for i, k := range begin.System {
		if !k.Key.Equal(storeBegin().System[i].Key) {
			t.Errorf("KEK %d is another", i)
		}
	}
	if bytes.Contains(good, []byte("text")) || bytes.Contains(good, bytes.Repeat([]byte{2}, 32)) {
		t.Error("what is sealed stands in the clear")
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if _, _, err := readStore(t, Opener{Root: root}, bad); !IsRefusal(err) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
		if _, _, err := readStore(t, Opener{Root: root}, good[:i]); !IsRefusal(err) {
			t.Fatalf("cut to %d bytes: %v", i, err)
		}
	}
	if _, _, err := readStore(t, Opener{Root: root}, append(bytes.Clone(good), 0)); !IsRefusal(err) {
		t.Errorf("a byte more: %v", err)
	}
	if _, _, err := readStore(t, Opener{Root: rootKey(t, 1)}, good); !errors.Is(err, ErrKey) {
		t.Errorf("with another root key: %v", err)
	}
	if _, _, err := readStore(t, Opener{}, good); !errors.Is(err, ErrKey) {
		t.Errorf("with no key: %v", err)
	}
}

// TestStoreRowsAreThoseAnnounced: no writer ends with other rows than the beginning tells of.
func TestStoreRowsAreThoseAnnounced(t *testing.T) {
	t.Parallel()
	good := storeRows()
	for what, rows := range map[string][]storeRow{
		"one less": good[:2], "one more": append(good[:3:3], good[2]), "another order": {good[2], good[0], good[1]},
		"of no table": {{9, []any{nil}}}, "of a table before": {good[0], good[1], good[2], good[0]}, "too few values": {{1, []any{nil}}},
		"of an empty table": {{0, []any{nil}}}, "a strange value": {{1, []any{1.5, nil, nil, nil}}},
	} {
		w, err := NewStoreWriter(t.Context(), io.Discard, storeManifest(), Lock{Root: rootKey(t, 0)}, steady(), storeBegin())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if err == nil {
				err = w.Row(r.Table, r.Row)
			}
		}
		if err == nil {
			err = w.Finish()
		}
		if err == nil {
			t.Errorf("%s: the archive is finished", what)
		}
		w.Wipe()
	}
}

func FuzzStoreRow(f *testing.F) {
	f.Add([]byte{1, valueNull, valueInt, 2, valueText, 1, 'a', valueBlob, 0})
	f.Add([]byte{0, valueBlob, 255, 255, 255, 255, 15})
	f.Fuzz(func(t *testing.T, b []byte) {
		table, row, ok := parseRow(b)
		if ok && (table < 0 || len(row) > len(b)) {
			t.Fatalf("%x is a row of table %d with %s", b, table, fmt.Sprint(len(row)))
		}
	})
}
