// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"testing"

	"claviger/internal/store"
)

// Run runs the suite. open makes an empty store, which the suite closes. With -short the
// larger cases are smaller.
func Run(t *testing.T, open func(t testing.TB) store.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, func(testing.TB) store.Store)
	}{
		{"Records", testRecords},
		{"RecordsAreEmpty", testEmptyRecords},
		{"Conflicts", testConflicts},
		{"UniqueNames", testUnique},
		{"FixedFields", testFixed},
		{"Tombstones", testTombstones},
		{"LookUps", testLookUps},
		{"Children", testChildren},
		{"Pages", testPages},
		{"Filters", testFilters},
		{"Hidden", testHidden},
		{"Material", testMaterial},
		{"Reseal", testReseal},
		{"Replicas", testReplicas},
		{"Restoring", testRestoring},
		{"Versions", testVersions},
		{"Aliases", testAliases},
		{"WorkRequests", testWorkRequests},
		{"BadPages", testBadPages},
		{"Counters", testCounters},
		{"VaultCounters", testVaultCounters},
		{"Due", testDue},
		{"Expire", testExpire},
		{"Feed", testFeed},
		{"FeedPages", testFeedPages},
		{"Unannounced", testUnannounced},
		{"Audit", testAudit},
		{"Undo", testUndo},
		{"Panic", testPanic},
		{"ReadOnly", testReadOnly},
		{"OverTx", testOver},
		{"Observer", testObserver},
		{"ObserverWait", testObserverWait},
		{"Snapshot", testSnapshot},
		{"Contention", testContention},
		{"Batch", testBatch},
		{"Cancel", testCancel},
		{"CancelView", testCancelView},
		{"Close", testClose},
		{"Scrub", testScrub},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open)
		})
	}
}

func isClosed(err error) bool { return errors.Is(err, store.ErrClosed) }
