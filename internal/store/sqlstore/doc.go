// SPDX-License-Identifier: Apache-2.0

// Package sqlstore is the store of package store in a SQL database: SQLite or PostgreSQL, by one
// set of texts that both can run ($1 placeholders, ON CONFLICT, RETURNING; integers for times,
// text for documents). What differs between the two is an [engine], an opener and a directory
// of migrations, which have the same numbers.
//
// # Group commit
//
// One goroutine, the committer, has the one connection that writes. It takes what is queued,
// begins a transaction, runs each function, writes what all of them end with, and commits once.
// When one fails after it has written, the batch is undone and run again with each function in a
// savepoint: it then undoes its own, and the number it would have had goes to the next. An
// error that leaves the connection's state in doubt ends the whole batch: the connection is
// closed, which undoes everything on it, and a new one reads the head again. Only a failed
// COMMIT has an unknown outcome. A caller's context ends its waiting and never a batch.
//
// The last statement of a batch moves feed_head, the row with the newest revision and
// the end of the chain of audit events. A transaction that announces nothing has no revision;
// one that writes nothing is not even synced.
//
// On PostgreSQL several processes have the database open. Each has a committer; a batch begins by
// locking feed_head, so that one writes at a time, and the herald tells each process's observer
// of the others' commits.
//
// Views read on connections of their own, each in a transaction that sees one snapshot.
//
// # Erasure
//
// SQLite overwrites what it frees (secure_delete), in the database; the write-ahead log keeps
// old pages until Scrub moves it into the database and cuts it to nothing. In PostgreSQL what is
// left of erased rows becomes unreadable when the keys that sealed it are replaced.
//
// # Migrations
//
// A migration has a number and is never changed once released. Schemas expand before they
// contract: release N+1 adds what it needs in a way that release N can run on, and what N
// alone needed is removed by release N+2 at the earliest. Each migration that removes or
// reinterprets something sets schema_floor to the oldest schema whose release still runs on
// the result. A release runs on any newer schema whose floor it knows, and refuses the others.
// Opening a store brings an older schema up to date. A database of each release is kept in
// testdata, and a test opens it.
package sqlstore
