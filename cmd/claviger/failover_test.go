// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main_test

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"claviger/internal/store/pgtest"
)

// replicas are PostgreSQL servers of which one takes writes, and answers them once one of the
// others has them.
type replicas struct {
	servers []*pgtest.Server
	primary int
}

func newReplicas(t *testing.T) *replicas {
	t.Helper()
	first := pgtest.Start(t, "cluster_name = 's0'", "synchronous_standby_names = 'ANY 1 (s0, s1, s2)'",
		"wal_retrieve_retry_interval = '50ms'")
	r := &replicas{servers: []*pgtest.Server{first, first.Standby(t, "s1"), first.Standby(t, "s2")}}
	first.Streams(t, 2)
	return r
}

// url names the servers in order, each by its address or by another that leads to it.
func (r *replicas) url(addresses ...string) string {
	if len(addresses) == 0 {
		for _, s := range r.servers {
			addresses = append(addresses, fmt.Sprintf("127.0.0.1:%d", s.Port))
		}
	}
	return fmt.Sprintf("postgres://claviger@%s/postgres?sslmode=disable&target_session_attrs=read-write", strings.Join(addresses, ","))
}

// promote lets the standby take over that has received most, and the other one follow it. The
// primary must be dead, or without standbys: one that follows it would let it go on.
func (r *replicas) promote(t *testing.T) {
	t.Helper()
	next, other := -1, -1
	for i, s := range r.servers {
		switch {
		case i == r.primary:
		case next < 0 || s.Received(t) > r.servers[next].Received(t):
			next, other = i, next
		default:
			other = i
		}
	}
	r.servers[other].Follow(t, r.servers[next])
	r.servers[next].Promote(t)
	r.primary = next
}

// failOver kills the primary and lets another take over.
func (r *replicas) failOver(t *testing.T) {
	t.Helper()
	r.servers[r.primary].Kill()
	r.promote(t)
}

// rebuild makes a standby again of a server that was killed.
func (r *replicas) rebuild(t *testing.T, i int) {
	t.Helper()
	r.servers[i].Rebuild(t, r.servers[r.primary], fmt.Sprintf("s%d", i))
	r.servers[r.primary].Streams(t, 2)
}

// testFailover kills the primary under load. No answered write may be lost, and the nodes go on
// without a restart. Once in CLAVIGER_CHAOS_KILLS' twenties; once without it.
func testFailover(t *testing.T, binary string) {
	r := newReplicas(t)
	c := newCluster(t, binary, []string{r.url(), r.url()})
	w := &writers{cluster: c, answered: map[string]string{}}
	var took []time.Duration
	for round := range max(1, chaosKills(t)/20) {
		took = append(took, w.through(t, r, round)...)
		w.check(t)
		if t.Failed() {
			t.Fatalf("stopped after failover %d", round+1)
		}
	}
	slices.Sort(took)
	t.Logf("%d answered writes, none lost; from the kill to the first answered write on each node: median %v, most %v",
		len(w.answered), took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
}

// writers make keys and versions on every node, and remember what was answered.
type writers struct {
	*cluster

	mu       sync.Mutex
	answered map[string]string // path of a thing → its OCID; guarded by mu
}

// through writes while the primary is killed, until every node has answered a write since. It
// answers how long that took on each.
func (w *writers) through(t *testing.T, r *replicas, round int) []time.Duration {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var killed atomic.Int64 // when
	began := time.Now()
	first := make([]chan time.Duration, len(w.members))
	var before, all sync.WaitGroup
	for i := range w.members {
		first[i] = make(chan time.Duration, 1)
		for range 2 {
			before.Add(1)
			all.Go(func() {
				w.write(ctx, t, i, func(call time.Time, n int) {
					if n == 5 {
						before.Done()
					}
					at := time.Duration(killed.Load())
					if at == 0 || call.Sub(began) < at {
						return
					}
					select {
					case first[i] <- time.Since(began) - at:
					default:
					}
				})
			})
		}
	}
	before.Wait()
	old := r.primary
	killed.Store(int64(time.Since(began)))
	r.failOver(t)
	var took []time.Duration
	for i := range w.members {
		select {
		case d := <-first[i]:
			took = append(took, d)
		case <-time.After(hang):
			t.Errorf("node %d answered no write within %v of failover %d\n%s", i+1, hang, round+1, w.members[i].output(t))
		}
	}
	stop()
	all.Wait()
	r.rebuild(t, old)
	for _, m := range w.members {
		m.serving(t)
	}
	t.Logf("failover %d: answered again after %v", round+1, took)
	return took
}

// write makes keys and rotates them until the context ends. done hears of each answer.
func (w *writers) write(ctx context.Context, t *testing.T, node int, done func(call time.Time, n int)) {
	c := w.caller(t, w.members[node], hang)
	key, n := "", 0
	for ctx.Err() == nil {
		call := time.Now()
		var a answer
		if key == "" || n%8 == 0 {
			a = c.createKey(context.WithoutCancel(ctx), "written", aes256(), "")
		} else {
			a = c.createVersion(context.WithoutCancel(ctx), key, "")
		}
		switch {
		case a.ok():
			path := "keys/" + a.text("id")
			if a.text("keyId") != "" {
				path = "keys/" + key + "/keyVersions/" + a.text("id")
			} else {
				key = a.text("id")
			}
			w.mu.Lock()
			w.answered[path] = a.text("id")
			w.mu.Unlock()
			n++
			done(call, n)
		case a.err == nil && a.status/100 == 4:
			t.Errorf("a write is answered %s", a)
			return
		}
	}
}

// check looks for all that was answered.
func (w *writers) check(t *testing.T) {
	t.Helper()
	c := w.caller(t, w.members[0], hang)
	for path, id := range w.answered {
		a := c.oci(t.Context(), http.MethodGet, c.ready.OCI.ManagementEndpoint+"/20180608/"+path, nil)
		if !a.ok() || a.text("id") != id {
			t.Errorf("%s was answered, and after a failover: %s", path, a)
		}
	}
}

// testDeposed leaves a node with a primary that another has taken over from and that is still
// alive: it answers nothing that another node has revoked.
func testDeposed(t *testing.T, binary string) {
	r := newReplicas(t)
	var urls []string
	var links [2][3]*link
	for node := range links {
		var addresses []string
		for i, s := range r.servers {
			links[node][i] = newLink(t, fmt.Sprintf("127.0.0.1:%d", s.Port))
			addresses = append(addresses, links[node][i].address())
		}
		urls = append(urls, r.url(addresses...))
	}
	c := newCluster(t, binary, urls)
	left, right := c.caller(t, c.members[0], hang), c.caller(t, c.members[1], hang)
	ctx := t.Context()
	key := must(t, "create key", left.createKey(ctx, "k", aes256(), "")).text("id")
	for _, caller := range []*caller{left, right} {
		must(t, "encrypt", caller.encrypt(ctx, key, []byte("before")))
	}

	// The network splits: the first node is with the primary, all others are without.
	deposed := r.servers[0]
	for i := range r.servers {
		if i == 0 {
			links[1][i].sever()
		} else {
			links[0][i].sever()
		}
	}
	r.promote(t)
	r.servers[r.primary].Streams(t, 1)
	for range ticks(t, 5*poll) {
		if right.act(ctx, key, "actions/disable").ok() {
			break
		}
	}
	if a := right.encrypt(ctx, key, nil); a.ok() {
		t.Fatalf("encrypt with a key that was disabled: %s", a)
	}
	for range 50 {
		if a := left.encrypt(ctx, key, []byte("after")); a.ok() {
			t.Fatal("a node with a deposed primary used a key that another node had disabled")
		} else if a.err == nil && a.status != http.StatusServiceUnavailable {
			t.Errorf("a node with a deposed primary answers %s", a)
		}
	}
	if out, err := deposed.Query(ctx, "postgres", "SELECT count(*) FROM keys WHERE state = 'ENABLED'"); err != nil || out != "1" {
		t.Errorf("the deposed primary should be alive and know nothing: %s, %v", out, err)
	}
	// Whoever looks after the database turns it off, and the network is whole again.
	deposed.Kill()
	for i := range r.servers {
		links[0][i].heal()
	}
	c.members[0].serving(t)
	if a := left.encrypt(ctx, key, nil); a.ok() || a.status != http.StatusConflict {
		t.Errorf("once the node has found the new primary: %s", a)
	}
	c.loosen(t, r, key)
}

// loosen lets the primary answer without a standby, behind the back of nodes that count on one.
func (c *cluster) loosen(t *testing.T, r *replicas, key string) {
	t.Helper()
	left := c.caller(t, c.members[0], hang)
	for range ticks(t, 5*poll) { // a busy machine's nodes may be out of step for a moment
		if a := left.act(t.Context(), key, "actions/enable"); a.ok() || a.status == http.StatusConflict {
			break
		}
	}
	must(t, "encrypt", left.encrypt(t.Context(), key, nil))
	primary := r.servers[r.primary]
	set := func(names string) {
		t.Helper()
		primary.Configure(t, fmt.Sprintf("synchronous_standby_names = '%s'", names))
		primary.Reload(t)
	}
	set("")
	for range ticks(t, 5*poll) {
		if !left.encrypt(t.Context(), key, nil).ok() {
			break
		}
	}
	if c.members[0].isReady() {
		t.Error("a node whose database no longer waits for a standby is ready")
	}
	set("ANY 1 (s0, s1, s2)")
	c.members[0].serving(t)
	must(t, "encrypt", left.encrypt(t.Context(), key, nil))
	if out := c.members[0].output(t); !strings.Contains(out, "does not wait for a standby") {
		t.Errorf("the log does not say why:\n%s", out)
	}
}

// testLoose starts nodes on several hosts that do not replicate synchronously.
func testLoose(t *testing.T, binary string) {
	server := pgtest.Start(t)
	url := fmt.Sprintf("postgres://claviger@127.0.0.1:%d,localhost:%d/postgres?sslmode=disable", server.Port, server.Port)
	c := newCluster(t, binary, []string{url}, "--accept-stale-revocation")
	if out := c.members[0].output(t); !strings.Contains(out, "--accept-stale-revocation") {
		t.Errorf("the log does not warn of the flag:\n%s", out)
	}
	m := c.member(t, c.members[0].binary, "strict", url, nil)
	out, err := exec.CommandContext(t.Context(), m.binary, "serve", "--config", m.config).CombinedOutput()
	for _, want := range []string{"synchronous_standby_names = ''", "--accept-stale-revocation"} {
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("several hosts without synchronous replication: %v, and no word of %s:\n%s", err, want, out)
		}
	}
}
