// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// clientsOfScale is how many clients create versions at once.
const clientsOfScale = 64

// creation compares the rate of durable version creation with that of rows of a few bytes, one in
// each transaction, that the same machine makes durable in groups. The two run in turn.
func (s *scale) creation(t *testing.T, at *site) {
	t.Helper()
	p := at.serve(t, s.binary)
	var pool []*http.Request
	for i := range clientsOfScale {
		key := must(t, "create key", p.createKey(t.Context(), fmt.Sprintf("load-%d", i), aes256(), "")).text("id")
		for range 4 {
			req, err := p.creation(key).make(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			pool = append(pool, req)
		}
	}
	p.http.Transport.(*http.Transport).MaxIdleConnsPerHost = clientsOfScale
	var raw, made, cpu, slow []float64
	rounds := 1
	if s.size.full {
		rounds = 3
	}
	for range rounds {
		raw = append(raw, groupCommits(t, t.TempDir(), s.size.load))
		before := p.cpu(t)
		times := p.load(t, pool, s.size.load)
		cpu = append(cpu, float64((p.cpu(t)-before).Microseconds())/float64(len(times)))
		made = append(made, float64(len(times))/s.size.load.Seconds())
		slices.Sort(times)
		slow = append(slow, float64(times[len(times)*99/100].Microseconds()))
	}
	s.table.row("fdatasync of 4 KiB", "µs", syncTime(t, at.dir))
	s.table.row(fmt.Sprintf("%d clients: rows in group commits | versions created", clientsOfScale), "/s", median(raw), median(made))
	s.table.row("  p99 of a creation", "µs", median(slow))
	s.table.row("  of the server's CPU", "µs", median(cpu))
	p.stop(t)
}

// load sends requests from many clients until the time is over, and answers what each took.
func (p *serving) load(t *testing.T, pool []*http.Request, d time.Duration) []time.Duration {
	t.Helper()
	var next atomic.Int64
	var mu sync.Mutex
	var all []time.Duration
	var group sync.WaitGroup
	end := time.Now().Add(d)
	for range clientsOfScale {
		group.Go(func() {
			var own []time.Duration
			for began := time.Now(); began.Before(end); began = time.Now() {
				req := pool[int(next.Add(1))%len(pool)]
				if a := p.send(req.Clone(context.Background())); !a.ok() {
					t.Errorf("under load: %s", a)
					return
				}
				own = append(own, time.Since(began))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, own...)
		})
	}
	group.Wait()
	if t.Failed() || len(all) == 0 {
		t.FailNow()
	}
	return all
}

// groupCommits inserts rows into a database of its own, as many at once as there are clients, and
// answers how many a second became durable.
func groupCommits(t *testing.T, dir string, d time.Duration) float64 {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "rows.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE r (id INTEGER PRIMARY KEY, v BLOB)"); err != nil {
		t.Fatal(err)
	}
	waiting := make(chan chan error, clientsOfScale)
	var group sync.WaitGroup
	var rows atomic.Int64
	end := time.Now().Add(d)
	for range clientsOfScale {
		group.Go(func() {
			done := make(chan error, 1)
			for time.Now().Before(end) {
				waiting <- done
				if err := <-done; err != nil {
					t.Error(err)
					return
				}
				rows.Add(1)
			}
		})
	}
	go func() {
		group.Wait()
		close(waiting)
	}()
	for first := range waiting {
		batch := []chan error{first}
		for len(waiting) > 0 {
			batch = append(batch, <-waiting)
		}
		err := insertRows(t.Context(), db, len(batch))
		for _, done := range batch {
			done <- err
		}
	}
	return float64(rows.Load()) / d.Seconds()
}

func insertRows(ctx context.Context, db *sql.DB, n int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	insert, err := tx.PrepareContext(ctx, "INSERT INTO r (v) VALUES (?)")
	if err != nil {
		return err
	}
	defer insert.Close()
	for range n {
		if _, err := insert.ExecContext(ctx, make([]byte, 100)); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// syncTime is the median time of making 4 KiB durable in place, in µs.
func syncTime(t *testing.T, dir string) float64 {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "sync"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var times []float64
	for range 200 {
		if _, err := f.WriteAt(make([]byte, 4096), 0); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			t.Fatal(err)
		}
		times = append(times, float64(time.Since(began).Microseconds()))
	}
	return median(times)
}

// pool creates versions of an RSA-2048 key twenty times a second, each at its moment whether or
// not the one before was answered.
func (s *scale) pool(t *testing.T, at *site) {
	t.Helper()
	p := at.serve(t, s.binary)
	key := must(t, "create key", p.createKey(t.Context(), "rsa", rsa2048(), "")).text("id")
	const rate = 20
	n := 3
	if s.size.full {
		n = 60 * rate
		time.Sleep(5 * time.Second) //nolint:forbidigo // the server is idle before, as one that has pairs ready
	}
	times := make([]float64, n)
	var group sync.WaitGroup
	ticker := time.NewTicker(time.Second / rate)
	defer ticker.Stop()
	for i := range n {
		at := <-ticker.C
		req, err := p.creation(key).make(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		group.Go(func() {
			if a := p.send(req); !a.ok() {
				t.Errorf("create version: %s", a)
			}
			times[i] = float64(time.Since(at).Microseconds())
		})
	}
	group.Wait()
	slices.Sort(times)
	s.table.row("RSA-2048 version creation at 20/s: p50, p99", "µs", times[n/2], times[n*99/100])
	p.stop(t)
}
