// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"claviger/internal/store"
	"claviger/internal/store/storetest"
)

// openTest opens a new store, in a file or in memory.
func openTest(t testing.TB, o Options) *Store {
	t.Helper()
	if !o.Memory && o.Dir == "" {
		o.Dir, o.Create = t.TempDir(), true
	}
	// A child that another test is just starting holds the lock of a store that was closed, until it
	// runs its own program.
	own := fmt.Sprintf("(pid %d)", os.Getpid())
	s, err := OpenSQLite(t.Context(), o)
	for end := time.Now().Add(time.Minute); err != nil && strings.Contains(err.Error(), own) && time.Now().Before(end); {
		<-time.After(time.Millisecond)
		s, err = OpenSQLite(t.Context(), o)
	}
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
