// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"time"

	"claviger/internal/store"
)

// engine is in what the databases differ, beside opening and the texts of migrations.
type engine interface {
	// begin starts a batch and takes the right to write, which is held until the batch ends.
	// It sets head to the store's, where others than this process move it.
	begin(ctx context.Context, s *session, head *store.Head) error
	// view is the text that starts a view: every statement of it sees the same moment.
	view() string
	// commit ends a batch. An error that wraps [store.ErrUnknown] leaves its outcome unknown;
	// after any other the batch had no effect.
	commit(ctx context.Context, s *session) error
	// uniqueViolation reports whether a statement failed, and did nothing, because a unique
	// value is taken.
	uniqueViolation(err error) bool
	// abortsOnError reports whether a statement that fails, for a unique value too, ends its
	// transaction unless it is undone to a savepoint.
	abortsOnError() bool
	// ended reports whether a statement that failed with err, be it one that reads, may have
	// ended the whole transaction, savepoints and all.
	ended(err error) bool
	// again reports whether a batch that ended with err had no effect, and may succeed if it
	// is run again at once.
	again(err error) bool
	// trouble is the error of the store's contract for what is wrong with the database itself, if
	// err tells of that; nil otherwise.
	trouble(err error) error
	// limits bounds what is waited for.
	limits() limits
	// catalog is the query for the tables and their columns.
	catalog() string
	// fill inserts rows into a table, within a transaction.
	fill(ctx context.Context, s *session, t *catalogued, rows [][]any) error
	// empty deletes all rows of tables, the last of which refer to the first.
	empty(ctx context.Context, s *session, tables []*catalogued) error
	// scrub makes what was erased unreadable in the files.
	scrub(ctx context.Context, s *Store) error
}

// limits bounds the waiting for a database that does not answer; zero values are no limits.
type limits struct {
	batch  time.Duration // from the beginning of a batch to its end
	reopen time.Duration // how long a batch waits for a database that is away before it is refused
	read   time.Duration // of a statement that reads
	shared bool          // others write to the same database
}
