// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"testing"

	"claviger/internal/store"
	"claviger/internal/store/storetest"
)

// openTest opens a new store, in a file or in memory.
func openTest(t testing.TB, o Options) *Store {
	t.Helper()
	if !o.Memory && o.Dir == "" {
		o.Dir, o.Create = t.TempDir(), true
	}
	s, err := OpenSQLite(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSQLiteFile(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t testing.TB) store.Store { return openTest(t, Options{}) })
}

func TestSQLiteMemory(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t testing.TB) store.Store { return openTest(t, Options{Memory: true}) })
}
