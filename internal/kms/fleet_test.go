// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store/pgtest"
	"claviger/internal/store/sqlstore"
)

// bootClock is a machine's time since boot, which a test may move on.
type bootClock struct {
	began time.Time
	ahead atomic.Int64
}

func newBootClock() *bootClock { return &bootClock{began: time.Now()} }

func (b *bootClock) now() time.Duration { return time.Since(b.began) + time.Duration(b.ahead.Load()) }

func (b *bootClock) add(d time.Duration) { b.ahead.Add(int64(d)) }

// The node that a test's clocks are moved on by in tests.
const (
	lease  = 30 * time.Second
	margin = 5 * time.Second
)

func nodeConfig(name string, boot *bootClock) kms.FleetConfig {
	return kms.FleetConfig{Name: name, Lease: lease, Margin: margin, Poll: 5 * time.Millisecond, Boot: boot.now}
}

// openShared opens a store that others may have open as well.
func openShared(t testing.TB, url string) *sqlstore.Store {
	t.Helper()
	o := sqlstore.PostgresOptions{URL: url, Create: true, ReopenTimeout: 100 * time.Millisecond}
	s, err := sqlstore.OpenPostgres(context.Background(), o)
	if errors.Is(err, fs.ErrExist) {
		o.Create = false
		s, err = sqlstore.OpenPostgres(context.Background(), o)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// nodes are two services on one database.
type nodes struct {
	*kmstest.World // the first
	other          *kmstest.World
	boot           [2]*bootClock
	url            string
}

func newNodes(t *testing.T, server *pgtest.Server, change ...func(*kms.Config)) *nodes {
	t.Helper()
	schema := strings.ToLower(strings.NewReplacer("/", "_", " ", "_").Replace(t.Name()))
	n := &nodes{boot: [2]*bootClock{newBootClock(), newBootClock()}, url: server.Schema(t, schema)}
	n.World = kmstest.New(t, kmstest.On(openShared(t, n.url)), kmstest.With(func(c *kms.Config) {
		c.Fleet = nodeConfig("first", n.boot[0])
		for _, f := range change {
			f(c)
		}
	}))
	second := *n.World
	second.Config.Patience = -1
	second.Store = openShared(t, n.url)
	second.Config.Store, second.Config.Fleet = second.Store, nodeConfig("second", n.boot[1])
	for _, f := range change {
		f(&second.Config)
	}
	var err error
	if second.Service, err = kms.Open(t.Context(), second.Config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		second.Service.Close()
		if err := second.Store.Close(); err != nil {
			t.Error(err)
		}
	})
	n.other = &second
	return n
}

// at is the scene as the other node sees it.
func (n *nodes) at(s *scene) *scene {
	there := *s
	there.World = n.other
	return &there
}

func TestFleet(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("several nodes need a PostgreSQL server")
	}
	server := pgtest.Start(t)
	for name, test := range map[string]func(*testing.T, *pgtest.Server){
		"Revocations": testFleetRevocations, "UnderLoad": testFleetUnderLoad, "Silent": testFleetSilent,
		"Reseal": testFleetReseal, "InFlight": testFleetInFlight, "Lapse": testFleetLapse, "Leave": testFleetLeave, "Abandoned": testFleetAbandoned,
		"Endpoints": testFleetEndpoints, "Tells": testFleetTells, "TellsNews": testFleetTellsNews, "TellsAtEnd": testFleetTellsAtEnd,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, server)
		})
	}
	t.Run("Away", func(t *testing.T) {
		t.Parallel()
		testFleetAway(t)
	})
}

// testFleetRevocations takes everything away on one node that another has in memory.
func testFleetRevocations(t *testing.T, server *pgtest.Server) {
	n := newNodes(t, server)
	for _, r := range revocations() {
		s := r.revocable(t, n.World)
		for range 2 { // the second time from memory
			c, err := useByAlias(n.at(s))
			c.End()
			want(t, r.name+": before it, on the other node", err, "")
		}
		if err := r.revoke(s); err != nil {
			t.Errorf("%s: %v", r.name, err)
		}
		c, err := useByAlias(n.at(s))
		c.End()
		want(t, r.name+": on the other node, once it was answered", err, r.kind)
	}
}

// testFleetInFlight holds a call open on one node while another takes away what it uses.
func testFleetInFlight(t *testing.T, server *pgtest.Server) {
	n := newNodes(t, server)
	k := newAES(t, n.World)
	inFlight := n.other.Call(t, n.Tenant)
	if _, err := n.other.Encrypt(t.Context(), inFlight, kms.EncryptRequest{Key: kms.KeyRef{ID: k.ID}}); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() { answered <- change(t, n.World, k.ID, keys.DisableKey) }()
	n.looked(t, 5)
	select {
	case err := <-answered:
		t.Errorf("Disable answered (%v) while a call on another node that used the key had not ended", err)
		answered <- err
	default:
	}
	// However long the call takes, its node goes on to serve.
	for range 6 {
		n.boot[1].add(lease / 2)
		n.renewed(t, "second")
		if err := n.other.MayAnswer(inFlight); err != nil {
			t.Fatalf("while one call takes long: %v", err)
		}
	}
	n.looked(t, 5)
	select {
	case err := <-answered:
		t.Errorf("Disable answered (%v) while a call that used the key had not ended, on a node with a lease", err)
		answered <- err
	default:
	}
	inFlight.End()
	want(t, "Disable", <-answered, "")
}

// looked waits until the first node has looked at the others so many times more.
func (n *nodes) looked(t *testing.T, times int64) {
	t.Helper()
	first := n.renewals(t)
	for n.renewals(t) < first+times {
		time.Sleep(time.Millisecond) //nolint:forbidigo // what another goroutine does in the database tells nobody
	}
}

func (n *nodes) renewals(t *testing.T) int64 {
	t.Helper()
	return n.renewalsOf(t, "first")
}

// renewed waits until a node has renewed once more, and that began after the call.
func (n *nodes) renewed(t *testing.T, name string) {
	t.Helper()
	for first := n.renewalsOf(t, name); n.renewalsOf(t, name) < first+2; {
		time.Sleep(time.Millisecond) //nolint:forbidigo // what another goroutine does in the database tells nobody
	}
}

func (n *nodes) renewalsOf(t *testing.T, name string) int64 {
	t.Helper()
	_, all, err := n.other.Nodes(t.Context(), n.System("nodes"))
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range all {
		if node.Name == name {
			return node.Renewals
		}
	}
	t.Fatalf("the %s node is not among the nodes", name)
	return 0
}

// testFleetUnderLoad disables and enables a key on one node while another uses it all the time:
// what begins after an answer sees what was answered.
func testFleetUnderLoad(t *testing.T, server *pgtest.Server) {
	n := newNodes(t, server)
	k := newAES(t, n.World)
	var state atomic.Int64 // even: enabled since this round; odd: disabled
	var stop atomic.Bool
	var work sync.WaitGroup
	var used atomic.Int64
	for range 4 {
		work.Go(func() {
			for !stop.Load() {
				before := state.Load()
				_, err := encrypt(t, n.other, k.ID)
				if state.Load() != before { // somebody was changing it meanwhile
					continue
				}
				if before%4 == 2 && !keys.IsKind(err, keys.KindState) || before%4 == 0 && err != nil {
					t.Errorf("round %d: %v", before, err)
					return
				}
				used.Add(1)
			}
		})
	}
	for range 8 {
		for _, act := range []keys.Action{keys.DisableKey, keys.EnableKey} {
			state.Add(1)
			if err := change(t, n.World, k.ID, act); err != nil {
				t.Error(err)
			}
			seen := used.Load()
			state.Add(1)
			for used.Load() < seen+4 && !t.Failed() {
				time.Sleep(time.Millisecond) //nolint:forbidigo // until the other goroutines have used the key
			}
		}
	}
	stop.Store(true)
	work.Wait()
}

// testFleetSilent has a node that registered and was never heard of again: a change waits until
// its lease is over and the margin as well, by the clock of who waits.
func testFleetSilent(t *testing.T, server *pgtest.Server) {
	n := newNodes(t, server)
	k := newAES(t, n.World)
	silent := keys.ID{1, 2, 3}
	third := openShared(t, n.url)
	defer third.Close()
	if _, _, err := third.Fleet().Renew(t.Context(), kms.SilentNode(silent, lease)); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() { answered <- change(t, n.World, k.ID, keys.DisableKey) }()
	n.looked(t, 5)
	n.boot[0].add(lease + margin/2)
	n.looked(t, 5)
	select {
	case err := <-answered:
		t.Fatalf("Disable answered (%v) while another node may serve from memory", err)
	default:
	}
	n.boot[0].add(margin)
	want(t, "Disable", <-answered, "")
	// It is known to be gone by now: nobody waits for it again.
	for _, act := range []keys.Action{keys.EnableKey, keys.DisableKey} {
		want(t, string(act), change(t, n.World, k.ID, act), "")
	}
	n.boot[0].add(100 * (lease + margin))
	for n.knows(t, "silent") {
		time.Sleep(time.Millisecond) //nolint:forbidigo // until the first node has removed it
	}
}

// inStep waits until the second node has followed all that is committed.
func (n *nodes) inStep(t *testing.T) {
	t.Helper()
	for {
		head, all, err := n.Nodes(t.Context(), n.System("nodes"))
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(all, func(node kms.Node) bool { return node.Name == "second" && node.Watermark >= head }) {
			return
		}
		time.Sleep(time.Millisecond) //nolint:forbidigo // what another goroutine does in the database tells nobody
	}
}

// knows reports whether a node of that name is registered.
func (n *nodes) knows(t *testing.T, name string) bool {
	t.Helper()
	_, all, err := n.Nodes(t.Context(), n.System("nodes"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(all, func(node kms.Node) bool { return node.Name == name })
}

// testFleetLapse moves a node's clock past its lease in the middle of a call: the answer must
// not leave, and the next call waits until the node is in step again.
func testFleetLapse(t *testing.T, server *pgtest.Server) {
	n := newNodes(t, server)
	k := newAES(t, n.World)
	c := n.other.Call(t, n.Tenant)
	defer c.End()
	if _, err := n.other.Encrypt(t.Context(), c, kms.EncryptRequest{Key: kms.KeyRef{ID: k.ID}}); err != nil {
		t.Fatal(err)
	}
	if err := n.other.MayAnswer(c); err != nil {
		t.Errorf("within the lease: %v", err)
	}
	n.other.HoldRenewals(func() {
		n.boot[1].add(2 * lease)
		want(t, "an answer after the lease", n.other.MayAnswer(c), keys.KindUnavailable)
		_, err := n.other.Encrypt(t.Context(), c, kms.EncryptRequest{Key: kms.KeyRef{ID: k.ID}})
		want(t, "a call from memory after the lease", err, keys.KindUnavailable)
	})
	c.End()
	if err := n.other.Attend(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := encrypt(t, n.other, k.ID); err != nil {
		t.Errorf("once the lease runs again: %v", err)
	}
}

// testFleetLeave closes a node: nobody waits for it.
func testFleetLeave(t *testing.T, server *pgtest.Server) {
	n := newNodes(t, server)
	k := newAES(t, n.World)
	n.other.Service.Close()
	if err := change(t, n.World, k.ID, keys.DisableKey); err != nil {
		t.Error(err)
	}
	_, all, err := n.Nodes(t.Context(), n.System("nodes"))
	if err != nil || len(all) != 1 || all[0].Name != "first" {
		t.Errorf("nodes after one left: %v, %v", all, err)
	}
}

// testFleetAbandoned has a node that works for a work request and is not heard of any more: the
// request fails once the node is gone, and not before; what the node comes to later has no effect.
func testFleetAbandoned(t *testing.T, server *pgtest.Server) {
	n := newNodes(t, server)
	h := newHeld()
	there := *n.other
	var work *kms.Working
	must(t, &there, func(c *kms.Call) (err error) {
		work, err = there.DoWork(t.Context(), c, n.Tenant.Vault, h.run, nil)
		return err
	})
	<-h.begun
	sweep := func() keys.WorkStatus {
		n.Clock.Add(2 * time.Minute) // the sweeper looks once a minute
		if _, err := n.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		return readWork(t, n.World, work.Work.ID).Status
	}
	n.other.HoldRenewals(func() {
		if status := sweep(); status != keys.WorkInProgress {
			t.Errorf("the work of a node with a lease is %s", status)
		}
		n.boot[0].add(lease + margin/2)
		if status := sweep(); status != keys.WorkInProgress {
			t.Errorf("the work of a silent node is %s, before it is certainly gone", status)
		}
		n.boot[0].add(margin)
		if status := sweep(); status != keys.WorkFailed {
			t.Errorf("the work of a node that is gone is %s", status)
		}
	})
	h.let <- nil
	n.other.Service.Close() // waits for the work to end
	if w := readWork(t, n.World, work.Work.ID); w.Status != keys.WorkFailed || len(w.Errors) != 1 {
		t.Errorf("work that was given up ended once more: %s, %v", w.Status, w.Errors)
	}
}

// testFleetEndpoints lets two nodes give away the same endpoints, which neither knows of from the
// other: every vault and every replica gets one of its own.
func testFleetEndpoints(t *testing.T, server *pgtest.Server) {
	n := newNodes(t, server, func(c *kms.Config) {
		c.Endpoints, c.Regions = &endpoints{held: map[string]bool{}, next: 10}, []keys.Region{kmstest.Region, kmstest.Away}
	})
	seen := map[string]bool{}
	taken := func(endpoint string) {
		t.Helper()
		if seen[endpoint] {
			t.Errorf("the endpoint %s was given away twice", endpoint)
		}
		seen[endpoint] = true
	}
	var vaults []keys.ID
	for i := range 6 {
		w := n.World
		if i >= 3 {
			w = n.other
		}
		must(t, w, func(c *kms.Call) error {
			v, err := w.CreateVault(t.Context(), c, kms.NewVault{Name: "v", Kind: keys.SharedVault})
			if err == nil {
				vaults = append(vaults, v.ID)
				taken(v.Endpoint)
			}
			return err
		})
	}
	for i, vault := range vaults {
		w := n.World
		if i%2 == 0 {
			w = n.other
		}
		must(t, w, func(c *kms.Call) error {
			r, err := w.CreateReplica(t.Context(), c, kms.VaultRef{ID: vault}, kmstest.Away)
			if err == nil {
				taken(r.Replica.Endpoint)
			}
			return err
		})
	}
}

// testFleetAway takes the database away: what is remembered serves for the rest of the lease, and
// then every call is refused, with nothing hanging, until the database is back.
func testFleetAway(t *testing.T) {
	server := pgtest.Start(t)
	n := newNodes(t, server)
	k := newAES(t, n.World)
	n.inStep(t) // else the change that made the key may still take it from the other's memory
	if _, err := encrypt(t, n.other, k.ID); err != nil {
		t.Fatal(err)
	}
	server.Stop(syscall.SIGQUIT)
	if _, err := encrypt(t, n.other, k.ID); err != nil {
		t.Errorf("within the lease: %v", err)
	}
	if n.other.Ready(t.Context()) == nil {
		t.Error("a node without a database is ready")
	}
	n.boot[1].add(lease)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	want(t, "after the lease", n.other.Attend(ended), keys.KindUnavailable)
	server.Start(t)
	if err := n.other.Attend(t.Context()); err != nil {
		t.Errorf("once the database is back: %v", err)
	}
	if _, err := encrypt(t, n.other, k.ID); err != nil {
		t.Errorf("once the database is back: %v", err)
	}
	if err := change(t, n.World, k.ID, keys.DisableKey); err != nil {
		t.Error(err)
	}
	_, err := encrypt(t, n.other, k.ID)
	want(t, "after Disable", err, keys.KindState)
}
