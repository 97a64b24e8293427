// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"claviger/internal/store/pgtest"
)

// The histories that clients of three nodes record must be linearizable for each key, while the
// nodes are killed and started again, stopped for seconds, cut off from the database, and their
// clocks stepped. Every fault is longer than a lease. CLAVIGER_CHAOS_KILLS is the number of
// faults, CLAVIGER_CHAOS_SEED what chooses them and the calls.

// fault is something that happens to a node while clients call it, and its end.
type fault struct {
	name       string
	begin, end func(*testing.T, *trial, int)
}

func allFaults() []fault {
	return []fault{
		{
			"kill", func(_ *testing.T, tr *trial, i int) { tr.members[i].kill() },
			func(t *testing.T, tr *trial, i int) {
				tr.members[i].launch(t)
				tr.members[i].serving(t)
			},
		},
		{
			"stop", func(_ *testing.T, tr *trial, i int) { tr.members[i].signal(syscall.SIGSTOP) },
			func(_ *testing.T, tr *trial, i int) { tr.members[i].signal(syscall.SIGCONT) },
		},
		{
			"cut", func(_ *testing.T, tr *trial, i int) { tr.links[i].sever() },
			func(_ *testing.T, tr *trial, i int) { tr.links[i].heal() },
		},
		{
			"silence", func(_ *testing.T, tr *trial, i int) { tr.links[i].silence() },
			func(_ *testing.T, tr *trial, i int) { tr.links[i].heal() },
		},
		{
			"step of the time since boot", func(t *testing.T, tr *trial, i int) { tr.step(t, i, 0, 2*testLease+testMargin) },
			func(*testing.T, *trial, int) {},
		},
		{
			"step of the wall clock", func(t *testing.T, tr *trial, i int) {
				tr.step(t, i, time.Minute*time.Duration(1-2*tr.random.IntN(2)), 0)
			},
			func(t *testing.T, tr *trial, i int) { tr.step(t, i, 0, 0) },
		},
	}
}

// trial is a cluster, its links to the database, and what its clients have seen.
type trial struct {
	*cluster
	links   []*link
	history *history
	random  *rand.Rand
	ahead   []time.Duration // by which the nodes' time since boot is stepped; it only goes on

	mu    sync.Mutex
	keys  []*sharedKey   // that clients call; guarded by mu
	codes map[string]int // of refusals, guarded by mu
}

// sharedKey is a key with the ciphertexts that clients have made with it.
type sharedKey struct {
	name, alibaba string
	lost          atomic.Int64 // changes without an answer: the checker's work doubles with each

	mu          sync.Mutex
	ciphertexts []string // guarded by mu
}

const (
	nodesOfTrial  = 3
	clientsOfNode = 3
	mostLost      = 6 // changes without an answer, after which a key is only used
)

func newTrial(t *testing.T, binary string, seed uint64) *trial {
	t.Helper()
	server := pgtest.Start(t, "fsync = off") // nothing crashes but nodes
	tr := &trial{
		history: newHistory(), random: rand.New(rand.NewPCG(seed, 3)), codes: map[string]int{}, ahead: make([]time.Duration, nodesOfTrial),
	}
	var urls []string
	for range nodesOfTrial {
		k := newLink(t, fmt.Sprintf("127.0.0.1:%d", server.Port))
		tr.links = append(tr.links, k)
		urls = append(urls, fmt.Sprintf("postgres://claviger@%s/postgres?sslmode=disable", k.address()))
	}
	tr.cluster = newCluster(t, binary, urls)
	return tr
}

func (tr *trial) step(t *testing.T, i int, wall, boot time.Duration) {
	t.Helper()
	tr.ahead[i] += boot
	tr.members[i].step(t, wall, tr.ahead[i])
}

// renew makes new keys, and lets clients call them: the fewer calls a key has that were not
// answered, the sooner its history is checked.
func (tr *trial) renew(t *testing.T, n int) {
	t.Helper()
	var made []*sharedKey
	c := tr.caller(t, tr.members[0], hang)
	for range n {
		call := tr.history.now()
		a := c.created(t)
		k := &sharedKey{name: a.text("id"), alibaba: recordID(t, a.text("id"))}
		tr.history.add(0, call, attempt{key: k.name, what: createCall}, result{version: recordID(t, a.text("currentKeyVersion"))})
		made = append(made, k)
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.keys = made
}

// created makes a key; a node that is out of step for a moment is asked again.
func (c *caller) created(t *testing.T) (a answer) {
	t.Helper()
	for range ticks(t, poll) {
		if a = c.createKey(t.Context(), "shared", aes256(), ""); a.err != nil || a.status != http.StatusServiceUnavailable {
			break
		}
	}
	return must(t, "create key", a)
}

// client makes random calls to one node until the context ends. The last of a node's clients makes
// only such that a node answers from memory: the others wait for the database where that is away.
func (tr *trial) client(ctx context.Context, t *testing.T, id, node int, random *rand.Rand) {
	c := tr.caller(t, tr.members[node], 4*testLease)
	choose := tr.choose
	if id > (clientsOfNode-1)*nodesOfTrial {
		choose = tr.chooseWarm
	}
	ticker := time.NewTicker(4 * time.Millisecond) // the checker's work grows with the history
	defer ticker.Stop()
	for ctx.Err() == nil {
		<-ticker.C
		tr.mu.Lock()
		k := tr.keys[random.IntN(len(tr.keys))]
		tr.mu.Unlock()
		tr.call(ctx, t, c, id, node, k, choose, random)
	}
}

// call makes one call and notes it.
func (tr *trial) call(ctx context.Context, t *testing.T, c *caller, id, node int, k *sharedKey, choose choice, random *rand.Rand) {
	a, send, read := choose(k, random)
	a.node = node
	call := tr.history.now()
	got := send(context.WithoutCancel(ctx), c)
	r := result{}
	switch {
	case got.ok():
		r = read(t, got)
	case errors.Is(got.err, syscall.ECONNREFUSED):
		return // nobody heard it
	case got.err != nil, got.status >= http.StatusInternalServerError:
		r.unknown = true
		if changes(a.what) {
			k.lost.Add(1)
		}
	default:
		r.refused = true
	}
	tr.history.add(id, call, a, r)
	if got.err == nil && !got.ok() {
		tr.mu.Lock()
		code := got.text("code") + got.text("Code")
		tr.codes[fmt.Sprint(got.status, " ", code)]++
		tr.mu.Unlock()
		if r.refused && !stateCode(code) {
			t.Errorf("%s is answered %s", a.what, got)
		}
	}
}

// stateCode reports whether an error code is one of those by which the clouds refuse what a key's
// state forbids.
func stateCode(code string) bool {
	return code == "IncorrectState" || code == "Conflict" || strings.HasPrefix(code, "Rejected.") || strings.HasPrefix(code, "Forbidden.Key")
}

type (
	choice  func(*sharedKey, *rand.Rand) (attempt, sending, reading)
	sending func(context.Context, *caller) answer
	reading func(*testing.T, answer) result
)

// choose picks a call: mostly one that uses the key, through either API.
func (tr *trial) choose(k *sharedKey, random *rand.Rand) (attempt, sending, reading) {
	act := func(what, path string) (attempt, sending, reading) {
		return attempt{key: k.name, what: what},
			func(ctx context.Context, c *caller) answer { return c.act(ctx, k.name, path) }, nothingRead
	}
	alibaba := func(what, action string, params ...string) (attempt, sending, reading) {
		return attempt{key: k.name, what: what}, func(ctx context.Context, c *caller) answer {
			return c.alibaba(ctx, action, append([]string{"KeyId", k.alibaba}, params...)...)
		}, nothingRead
	}
	const kinds, uses = 200, 61
	n := random.IntN(kinds)
	if k.lost.Load() >= mostLost {
		n = uses + n%(kinds-uses)
	}
	switch {
	case n < 8:
		return act(disableCall, "actions/disable")
	case n < 12:
		return alibaba(forbidCall, "DisableKey")
	case n < 22:
		return act(enableCall, "actions/enable")
	case n < 32:
		return alibaba(ensureCall, "EnableKey")
	case n < 35:
		return act(scheduleCall, "actions/scheduleDeletion")
	case n < 37:
		return alibaba(scheduleCall, "ScheduleKeyDeletion", "PendingWindowInDays", "7")
	case n < 45:
		return act(cancelCall, "actions/cancelDeletion")
	case n < 51:
		return alibaba(restoreCall, "CancelKeyDeletion")
	case n < uses:
		return attempt{key: k.name, what: rotateCall},
			func(ctx context.Context, c *caller) answer { return c.createVersion(ctx, k.name, "") },
			func(t *testing.T, a answer) result { return result{version: recordID(t, a.text("id"))} }
	case n < 75:
		return attempt{key: k.name, what: lookCall},
			func(ctx context.Context, c *caller) answer { return c.oci(ctx, http.MethodGet, c.keyURL(k.name), nil) },
			func(t *testing.T, a answer) result {
				return result{state: a.text("lifecycleState"), version: recordID(t, a.text("currentKeyVersion"))}
			}
	case n < 130:
		if ciphertext := k.some(random); ciphertext != "" {
			return tr.decrypting(k, ciphertext, random.IntN(2) == 0)
		}
	}
	return tr.encrypting(k, random.IntN(2) == 0)
}

// chooseWarm picks a call that uses the key through OCI's API.
func (tr *trial) chooseWarm(k *sharedKey, random *rand.Rand) (attempt, sending, reading) {
	if ciphertext := k.some(random); ciphertext != "" && random.IntN(2) == 0 {
		return tr.decrypting(k, ciphertext, true)
	}
	return tr.encrypting(k, true)
}

func nothingRead(*testing.T, answer) result { return result{} }

// plaintextOfTrial is what clients encrypt: as text for Alibaba's API, as base64 for OCI's.
const plaintextOfTrial = "aGlzdG9yeQ=="

func (tr *trial) encrypting(k *sharedKey, oci bool) (attempt, sending, reading) {
	note := func(field string) reading {
		return func(_ *testing.T, a answer) result {
			text := a.text(field)
			k.mu.Lock()
			defer k.mu.Unlock()
			k.ciphertexts = append(k.ciphertexts, text)
			return result{version: versionOf(text)}
		}
	}
	a := attempt{key: k.name, what: encryptCall}
	if oci {
		return a, func(ctx context.Context, c *caller) answer {
			return c.data(ctx, "encrypt", map[string]any{"keyId": k.name, "plaintext": plaintextOfTrial})
		}, note("ciphertext")
	}
	return a, func(ctx context.Context, c *caller) answer {
		return c.alibaba(ctx, "Encrypt", "KeyId", k.alibaba, "Plaintext", plaintextOfTrial)
	}, note("CiphertextBlob")
}

func (tr *trial) decrypting(k *sharedKey, ciphertext string, oci bool) (attempt, sending, reading) {
	opened := func(field string) reading {
		return func(t *testing.T, a answer) result {
			if got := a.text(field); got != plaintextOfTrial {
				t.Errorf("%s opens as %q", ciphertext, got)
			}
			return result{}
		}
	}
	a := attempt{key: k.name, what: decryptCall}
	if oci {
		return a, func(ctx context.Context, c *caller) answer { return c.decrypt(ctx, k.name, ciphertext) }, opened("plaintext")
	}
	return a, func(ctx context.Context, c *caller) answer {
		return c.alibaba(ctx, "Decrypt", "CiphertextBlob", ciphertext)
	}, opened("Plaintext")
}

// some is one of the key's ciphertexts; "" when there is none.
func (k *sharedKey) some(random *rand.Rand) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.ciphertexts) == 0 {
		return ""
	}
	return k.ciphertexts[random.IntN(len(k.ciphertexts))]
}

// run lets clients call while a fault happens to a node, and until it is ready again.
func (tr *trial) run(t *testing.T, f fault, node int) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for id := range clientsOfNode * nodesOfTrial {
		random := rand.New(rand.NewPCG(tr.random.Uint64(), 0))
		clients.Go(func() { tr.client(ctx, t, id+1, id%nodesOfTrial, random) })
	}
	pause := func(least time.Duration) { <-time.After(least + time.Duration(tr.random.IntN(int(testLease/2)))) }
	pause(testLease / 4)
	f.begin(t, tr, node)
	pause(2*testLease + testMargin) // what others wait for it, and then some
	f.end(t, tr, node)
	tr.members[node].serving(t)
	pause(testLease / 4)
	stop()
	clients.Wait()
}

// settle looks at every key through every node, once nothing is wrong any more.
func (tr *trial) settle(t *testing.T) {
	t.Helper()
	for _, k := range tr.keys {
		for node, m := range tr.members {
			c := tr.caller(t, m, hang)
			for range 4 {
				tr.call(t.Context(), t, c, 10+node, node, k, tr.choose, rand.New(rand.NewPCG(uint64(node), 200)))
			}
		}
	}
}

// picture is where a history that is not linearizable is drawn.
func picture(seed uint64) string {
	return filepath.Join("..", "..", ".cache", fmt.Sprintf("history-%d.html", seed))
}

// TestChaosNodes is about several nodes on one PostgreSQL.
func TestChaosNodes(t *testing.T) {
	needsProcesses(t)
	t.Parallel()
	pgtest.Find(t)
	release, stepped := build(t), buildTagged(t, "faultclock")
	for name, test := range map[string]func(*testing.T){
		"Linearizable": func(t *testing.T) { testLinearizable(t, stepped) },
		"Planted":      testPlanted,
		"FaultClock":   func(t *testing.T) { testFaultClock(t, release, stepped) },
		"Failover":     func(t *testing.T) { testFailover(t, release) },
		"Deposed":      func(t *testing.T) { testDeposed(t, release) },
		"Loose":        func(t *testing.T) { testLoose(t, release) },
		"Upgrade":      func(t *testing.T) { testUpgrade(t, release) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

// testLinearizable is the histories' test.
func testLinearizable(t *testing.T, binary string) {
	seed := chaosSeed(t)
	tr := newTrial(t, binary, seed)
	faults := allFaults()
	for i := range max(len(faults), chaosKills(t)) {
		if i%len(faults) == 0 {
			tr.random.Shuffle(len(faults), func(a, b int) { faults[a], faults[b] = faults[b], faults[a] })
		}
		tr.renew(t, 3)
		f, node := faults[i%len(faults)], tr.random.IntN(nodesOfTrial)
		tr.run(t, f, node)
		tr.settle(t)
		if t.Failed() {
			t.Fatalf("after fault %d, %s of node %d; %s=%d", i+1, f.name, node+1, seedVariable, seed)
		}
		if err := tr.history.check(picture(seed)); err != nil {
			t.Fatalf("after fault %d, %s of node %d: %v; %s=%d", i+1, f.name, node+1, err, seedVariable, seed)
		}
		t.Logf("%s of node %d: %s", f.name, node+1, tr.history.summary())
		tr.history.forget()
	}
	t.Logf("refusals by code: %v", tr.codes)
}

// summary counts a history's calls.
func (h *history) summary() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	refused, unknown := 0, 0
	for _, op := range h.ops {
		switch r := op.Output.(result); {
		case r.unknown:
			unknown++
		case r.refused:
			refused++
		}
	}
	return fmt.Sprintf("%d calls, %d refused, %d changes without an answer", len(h.ops), refused, unknown)
}

// forget begins anew, with keys that are made from now on.
func (h *history) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = nil
}

// The servers that the same clients and checker must find out. One has no check of its lease: while
// it is cut off it goes on to use what others take away. The other does not wait until all nodes
// have heard of what it tells: with nothing wrong at all, a client learns of a change at one node
// and sees another node without it.
func planted() map[string]struct {
	mutant mutant
	fault  fault
} {
	nothing := func(*testing.T, *trial, int) {}
	return map[string]struct {
		mutant mutant
		fault  fault
	}{
		"Lease": {mutant{
			"../../internal/kms/fleet.go",
			"func (f *fleet) holds() bool { return f.Boot() < time.Duration(f.until.Load()) }",
			"func (f *fleet) holds() bool { return true }",
		}, allFaults()[3]},
		"Early": {mutant{
			"../../internal/kms/tell.go",
			"return s.fleet.await(ctx, c.told.revision)", "return nil",
		}, fault{"nothing", nothing, nothing}},
	}
}

// testPlanted looks for the first of them, and in make chaos for the second, too.
func testPlanted(t *testing.T) {
	for name, p := range planted() {
		if name == "Early" && os.Getenv(killsVariable) == "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seed := chaosSeed(t)
			tr := newTrial(t, build(t, p.mutant), seed)
			var err error
			for try := 1; err == nil; try++ {
				if try > 20 {
					t.Fatalf("the server was not found out; %s=%d", seedVariable, seed)
				}
				tr.renew(t, 1)
				tr.run(t, p.fault, tr.random.IntN(nodesOfTrial))
				err = tr.history.check(filepath.Join(t.TempDir(), "history.html"))
				text := ""
				if err != nil {
					text, _, _ = strings.Cut(err.Error(), "\n")
				}
				t.Logf("try %d: %s: %s", try, tr.history.summary(), text)
				tr.history.forget()
			}
		})
	}
}

// testFaultClock looks for the means to step clocks in the server: a release has none.
func testFaultClock(t *testing.T, release, stepped string) {
	for binary, want := range map[string]bool{release: false, stepped: true} {
		content := read(t, binary)
		for _, mark := range []string{"CLAVIGER_FAULTCLOCK", "main.clockFaults"} {
			if got := bytes.Contains(content, []byte(mark)); got != want {
				t.Errorf("the server contains %s: %t, want %t", mark, got, want)
			}
		}
	}
}
