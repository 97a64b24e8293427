// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Standby makes a standby of s, named name, and starts it. It has the settings of s, streams from it,
// and is stopped at the test's end.
func (s *Server) Standby(t testing.TB, name string) *Server {
	t.Helper()
	b := fresh(t)
	b.copyOf(t, s, name)
	return b
}

// Rebuild makes a server that has ended a standby of primary, with nothing left of what it held.
func (s *Server) Rebuild(t testing.TB, primary *Server, name string) {
	t.Helper()
	if err := os.RemoveAll(s.Dir); err != nil {
		t.Fatal(err)
	}
	s.copyOf(t, primary, name)
}

func (s *Server) copyOf(t testing.TB, primary *Server, name string) {
	t.Helper()
	s.run(t, "pg_basebackup", "--pgdata", s.Dir, "--host", "127.0.0.1", "--port", strconv.Itoa(primary.Port),
		"--username", "claviger", "--checkpoint", "fast", "--wal-method", "stream", "--no-sync")
	signal := filepath.Join(s.Dir, "standby.signal")
	if err := os.WriteFile(signal, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if s.account != nil {
		uid, gid := ids(t, s.account)
		if err := os.Chown(signal, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	s.Configure(t, fmt.Sprintf("port = %d", s.Port), fmt.Sprintf("cluster_name = '%s'", name))
	s.Follow(t, primary)
	s.Start(t)
}

// Follow makes a standby stream from primary from now on.
func (s *Server) Follow(t testing.TB, primary *Server) {
	t.Helper()
	s.Configure(t, fmt.Sprintf("primary_conninfo = 'host=127.0.0.1 port=%d user=claviger'", primary.Port))
	s.Reload(t)
}

// Reload lets the server read its configuration again, if it runs.
func (s *Server) Reload(t testing.TB) {
	t.Helper()
	if s.process == nil {
		return
	}
	select {
	case <-s.ended:
	default:
		s.run(t, "pg_ctl", "reload", "--pgdata", s.Dir, "--silent")
	}
}

// Promote makes a standby the primary.
func (s *Server) Promote(t testing.TB) {
	t.Helper()
	s.run(t, "pg_ctl", "promote", "--pgdata", s.Dir, "--silent", "--timeout", "300")
}

// Streams waits until n standbys stream from s and commits wait for one of them.
func (s *Server) Streams(t testing.TB, n int) {
	t.Helper()
	const text = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND sync_state IN ('sync', 'quorum')"
	for hung := time.After(5 * time.Minute); ; {
		out, err := s.Query(context.Background(), "postgres", text)
		if count, _ := strconv.Atoi(out); err == nil && count >= n {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-hung:
			t.Fatalf("%d standbys should stream from the server on port %d: %s, %v", n, s.Port, out, err)
		}
	}
}

// Received is how much of the log a standby has, in bytes.
func (s *Server) Received(t testing.TB) int64 {
	t.Helper()
	out, err := s.Query(context.Background(), "postgres", "SELECT pg_wal_lsn_diff(coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), '0/0')")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(out), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
