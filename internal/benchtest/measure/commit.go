// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	_ "modernc.org/sqlite" // the driver that is measured
)

// fdatasyncTime is the median time that overwriting 4 KiB in place and syncing it takes.
func fdatasyncTime(dir string) (d time.Duration, err error) {
	f, err := os.CreateTemp(dir, "fdatasync-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	block := make([]byte, 4096)
	var times []float64
	for range 101 {
		begin := time.Now()
		if _, err := f.WriteAt(block, 0); err != nil {
			return 0, err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return 0, err
		}
		times = append(times, float64(time.Since(begin)))
	}
	return time.Duration(median(times)), nil
}

// groupCommit is how many rows a second the same database takes in the plainest group commit: so many
// clients wait for their row, one goroutine inserts what has come meanwhile and commits it durably.
func groupCommit(ctx context.Context, dir string, clients int, d time.Duration) (perSecond float64, err error) {
	if dir, err = os.MkdirTemp(dir, "commit-"); err != nil {
		return 0, err
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "rows.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return 0, err
	}
	db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, db.Close(), os.RemoveAll(dir)) }()
	if _, err := db.ExecContext(ctx, "CREATE TABLE rows (id INTEGER PRIMARY KEY, value BLOB NOT NULL)"); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	waiting := make(chan chan struct{}, clients)
	var rows atomic.Int64
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			done := make(chan struct{}, 1)
			for ctx.Err() == nil {
				select {
				case waiting <- done:
				case <-ctx.Done():
					return
				}
				select {
				case <-done:
					rows.Add(1)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	begin := time.Now()
	for ctx.Err() == nil && err == nil {
		err = commitBatch(ctx, db, waiting)
	}
	took := time.Since(begin)
	cancel()
	group.Wait()
	if err != nil && ctx.Err() == nil {
		return 0, err
	}
	return float64(rows.Load()) / took.Seconds(), nil
}

// commitBatch commits a row for each client that waits.
func commitBatch(ctx context.Context, db *sql.DB, waiting chan chan struct{}) error {
	var batch []chan struct{}
	select {
	case c := <-waiting:
		batch = append(batch, c)
	case <-ctx.Done():
		return nil
	}
	for more := true; more; {
		select {
		case c := <-waiting:
			batch = append(batch, c)
		default:
			more = false
		}
	}
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback() // of no effect after the commit
	insert, err := tx.Prepare("INSERT INTO rows (value) VALUES ($1)")
	if err != nil {
		return err
	}
	defer insert.Close()
	value := make([]byte, 200)
	for range batch {
		if _, err := insert.Exec(value); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	for _, c := range batch {
		c <- struct{}{}
	}
	return nil
}
