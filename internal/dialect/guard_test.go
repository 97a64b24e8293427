// SPDX-License-Identifier: Apache-2.0

package dialect

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"claviger/internal/keys"
)

// gate is a guard on a clock that stands until it is moved.
type gate struct {
	*Guard
	now time.Time

	mu   sync.Mutex
	told []Refusals // guarded by mu
}

func newGate(cfg GuardConfig) *gate {
	g := &gate{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	cfg.Now = func() time.Time { return g.now }
	cfg.Record = func(r Refusals) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.told = append(g.told, r)
	}
	g.Guard = NewGuard(cfg)
	return g
}

func (g *gate) exchange(remote string) *Exchange { return g.exchangeOf(remote, 0, 0) }

// exchangeOf is an exchange with so many bytes of query and body.
func (g *gate) exchangeOf(remote string, query, body int) *Exchange {
	x := &Exchange{Body: make([]byte, body)}
	x.Call.Source = g.begin(x, &http.Request{RemoteAddr: remote, URL: &url.URL{RawQuery: strings.Repeat("q", query)}})
	return x
}

// fail tries a credential that does not verify with a key of that many bits.
func (g *gate) fail(remote, credential string, bits int) (tried, recorded bool) {
	x := g.exchange(remote)
	if x.Admit(credential) == nil {
		tried = x.Turn(context.Background(), bits) == nil
		x.Left()
	}
	return tried, x.failed()
}

// good calls with a credential that verifies.
func (g *gate) good(remote, credential string) bool {
	x := g.exchange(remote)
	if x.Admit(credential) != nil {
		x.failed()
		return false
	}
	x.verified()
	return true
}

// failMany answers how many of n failures were tried, and how many recorded.
func (g *gate) failMany(n int, remote, credential string, bits int) (tried, recorded int) {
	for range n {
		t, r := g.fail(remote, credential, bits)
		if t {
			tried++
		}
		if r {
			recorded++
		}
	}
	return tried, recorded
}

func TestFailuresOfASource(t *testing.T) {
	t.Parallel()
	g := newGate(GuardConfig{Failures: 2})
	if tried, recorded := g.failMany(1000, "192.0.2.1:1", "key", 2048); tried != 10 || recorded != 11 {
		t.Errorf("%d of 1000 were tried and %d recorded, want 10, and one more to be recorded", tried, recorded)
	}
	if tried, _ := g.failMany(10, "192.0.2.2:1", "key", 2048); tried != 10 {
		t.Errorf("another source: %d of 10 were tried, want all", tried)
	}
	if !g.good("192.0.2.3:1", "key") {
		t.Error("the credential that others named is refused elsewhere")
	}
	g.now = g.now.Add(time.Second)
	if tried, _ := g.failMany(1000, "192.0.2.1:9", "other", 2048); tried != 2 {
		t.Errorf("a second later %d were tried, want 2", tried)
	}
	g.now = g.now.Add(time.Hour)
	if tried, recorded := g.failMany(1000, "192.0.2.1:1", "key", 2048); tried != 10 || recorded != 11 {
		t.Errorf("an hour later %d were tried and %d recorded, want 10 and 11", tried, recorded)
	}
}

func TestFailuresOfLongKeysCostMore(t *testing.T) {
	t.Parallel()
	g := newGate(GuardConfig{Failures: 12})
	short, _ := g.failMany(1000, "192.0.2.1:1", "key", 2048)
	long, _ := g.failMany(1000, "192.0.2.2:1", "key", 4096)
	if short != 60 || long != 5 {
		t.Errorf("%d with short keys and %d with long ones, want 60 and 5", short, long)
	}
}

// TestFailuresOfLongRequestsCostMore: what is long is hashed before it fails, wherever it is.
func TestFailuresOfLongRequestsCostMore(t *testing.T) {
	t.Parallel()
	g := newGate(GuardConfig{Failures: 12})
	for remote, size := range map[string][2]int{"192.0.2.1:1": {176 << 10, 0}, "192.0.2.2:1": {0, 176 << 10}, "192.0.2.3:1": {88 << 10, 88 << 10}} {
		tried := 0
		for range 1000 {
			x := g.exchangeOf(remote, size[0], size[1])
			if x.Admit("key") == nil {
				tried++
			}
			x.failed()
		}
		if tried != 5 {
			t.Errorf("%d requests with a query of %d bytes and a body of %d, want 5", tried, size[0], size[1])
		}
	}
}

func TestSuccessCostsNothing(t *testing.T) {
	t.Parallel()
	g := newGate(GuardConfig{Failures: 1})
	for i := range 1000 {
		if !g.good("192.0.2.1:1", fmt.Sprint("key", i)) {
			t.Fatalf("credential %d is refused", i)
		}
	}
	if tried, _ := g.failMany(100, "192.0.2.1:1", "wrong", 2048); tried != 5 {
		t.Errorf("%d failures after it, want 5", tried)
	}
}

// Whoever has verified goes on behind an address that others abuse, and has a budget there that
// only who names the same credential can use up; and even that comes back.
func TestKnownCredentialBehindAnAbusedAddress(t *testing.T) {
	t.Parallel()
	g := newGate(GuardConfig{Failures: 2})
	if !g.good("192.0.2.1:1", "honest") {
		t.Fatal("refused before anything happened")
	}
	g.failMany(1000, "192.0.2.1:2", "guess", 2048)
	if g.good("192.0.2.1:3", "new") {
		t.Error("an unknown credential was tried although its source has no budget")
	}
	for range 1000 {
		if !g.good("192.0.2.1:1", "honest") {
			t.Fatal("refused because of others behind its address")
		}
	}
	if tried, _ := g.failMany(1000, "192.0.2.1:2", "honest", 2048); tried < 10 || tried > 11 {
		t.Errorf("%d failures in the credential's name were tried, want 10, or one more that was under way", tried)
	}
	if g.good("192.0.2.1:1", "honest") {
		t.Error("the credential's own budget is used up, and it was tried")
	}
	g.now = g.now.Add(2 * time.Second)
	if !g.good("192.0.2.1:1", "honest") {
		t.Error("its budget does not come back")
	}
}

func TestRefusalsAreCountedAndTold(t *testing.T) {
	t.Parallel()
	g := newGate(GuardConfig{Failures: 1})
	g.failMany(100, "192.0.2.1:1", "key", 2048) // 5 tried, 1 refused and recorded, 94 counted
	g.Flush(false)
	if len(g.told) != 0 {
		t.Fatalf("told at once: %v", g.told)
	}
	from := g.now
	g.now = g.now.Add(time.Minute)
	g.Flush(false)
	want := Refusals{Source: "192.0.2.1", Requests: 94, First: from, Last: from}
	if len(g.told) != 1 || g.told[0].Source != want.Source || g.told[0].Requests != want.Requests || !g.told[0].First.Equal(from) || !g.told[0].Last.Equal(from) {
		t.Errorf("told %v, want %v", g.told, want)
	}
	if s := g.Stats(); s.Throttled != 95 || s.Unrecorded != 94 {
		t.Errorf("figures %+v, want 95 throttled and 94 unrecorded", s)
	}
	g.Flush(true)
	if len(g.told) != 1 {
		t.Errorf("told again: %v", g.told)
	}
	g.failMany(1000, "192.0.2.1:1", "key", 2048)
	g.Flush(true)
	if len(g.told) != 2 || g.told[1].Requests != 1000-5-1 {
		t.Errorf("told %v at the end, want 994 more", g.told)
	}
}

// What cannot even be read is not refused by the guard, but does not fill the log either.
func TestUnreadableRequestsAreCounted(t *testing.T) {
	t.Parallel()
	g := newGate(GuardConfig{Failures: 1})
	recorded := 0
	for range 1000 {
		if g.exchange("192.0.2.1:1").failed() {
			recorded++
		}
	}
	if recorded != 6 {
		t.Errorf("%d of 1000 were recorded, want 6", recorded)
	}
	g.now = g.now.Add(time.Second)
	if tried, _ := g.fail("192.0.2.1:1", "key", 2048); !tried {
		t.Error("the budget does not come back while there are such requests")
	}
}

// However many sources there are, each refusal is recorded or told.
func TestManySources(t *testing.T) {
	t.Parallel()
	g := newGate(GuardConfig{Failures: 1})
	const sources, each = 20_000, 10
	recorded := 0
	for i := range sources {
		_, n := g.failMany(each, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 1).String(), "key", 2048)
		recorded += n
	}
	g.Flush(true)
	told := uint64(0)
	for _, r := range g.told {
		told += r.Requests
	}
	if uint64(recorded)+told != sources*each {
		t.Errorf("%d recorded and %d told of %d", recorded, told, sources*each)
	}
	if s := g.Stats(); s.Sources > guardShards*shardSize || s.Sources == 0 {
		t.Errorf("%d sources are remembered", s.Sources)
	}
}

func TestSourceIsANetworkOfIPv6(t *testing.T) {
	t.Parallel()
	g := newGate(GuardConfig{Failures: 1})
	for i := range 100 {
		g.fail(fmt.Sprintf("[2001:db8:1:2::%x]:1", i+1), "key", 2048)
	}
	if tried, _ := g.fail("[2001:db8:1:2:ffff::1]:1", "key", 2048); tried {
		t.Error("another address of the network has a budget of its own")
	}
	if tried, _ := g.fail("[2001:db8:1:3::1]:1", "key", 2048); !tried {
		t.Error("another network has none")
	}
	g.Flush(true)
	if len(g.told) != 1 || g.told[0].Source != "2001:db8:1:2::/64" {
		t.Errorf("told %v, want of the network", g.told)
	}
	g.failMany(100, "192.0.2.1:1", "key", 2048)
	if tried, _ := g.fail("[::ffff:192.0.2.1]:1", "key", 2048); tried {
		t.Error("an IPv4 address mapped into IPv6 is another source")
	}
}

func TestProxies(t *testing.T) {
	t.Parallel()
	g := newGate(GuardConfig{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}})
	for _, c := range []struct {
		remote string
		lines  []string
		want   string
	}{
		{"192.0.2.1:1", []string{"198.51.100.7"}, "192.0.2.1"}, // not a proxy of ours: its claim is worth nothing
		{"10.0.0.1:1", nil, "10.0.0.1"},
		{"10.0.0.1:1", []string{"198.51.100.7"}, "198.51.100.7"},
		{"10.0.0.1:1", []string{"203.0.113.9, 198.51.100.7"}, "198.51.100.7"}, // what the client said before the proxy added
		{"10.0.0.1:1", []string{"203.0.113.9", "198.51.100.7 , 10.0.0.2"}, "198.51.100.7"},
		{"10.0.0.1:1", []string{"nonsense, 10.0.0.2"}, "10.0.0.2"},
		{"10.0.0.1:1", []string{"198.51.100.7,"}, "10.0.0.1"},
		{"10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"[2001:db8::1]:1", []string{"2001:DB9::5"}, "2001:db9::5"},
		{"[::ffff:10.0.0.1]:1", []string{"198.51.100.7"}, "198.51.100.7"},
	} {
		x := &Exchange{}
		if got := g.begin(x, &http.Request{RemoteAddr: c.remote, URL: &url.URL{}, Header: http.Header{forwardedFor: c.lines}}); got != c.want {
			t.Errorf("from %s with %q: %s, want %s", c.remote, c.lines, got, c.want)
		}
	}
}

func FuzzProxies(f *testing.F) {
	for _, s := range []string{"", "198.51.100.7", "a, 10.0.0.2", ",,,", "2001:db8::1%eth0, 10.1.1.1", "10.0.0.1,10.0.0.1"} {
		f.Add(s)
	}
	g := newGate(GuardConfig{Failures: 1, Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	f.Fuzz(func(t *testing.T, line string) {
		x := &Exchange{}
		text := g.begin(x, &http.Request{RemoteAddr: "10.0.0.1:1", URL: &url.URL{}, Header: http.Header{forwardedFor: {line}}})
		if _, err := netip.ParseAddr(text); err != nil {
			t.Errorf("the source is %q", text)
		}
	})
}

func TestNoGuard(t *testing.T) {
	t.Parallel()
	var none *Guard
	x := &Exchange{}
	if got := none.begin(x, &http.Request{RemoteAddr: "192.0.2.1:1"}); got != "192.0.2.1" {
		t.Errorf("source %q", got)
	}
	for range 100 {
		if err := x.Admit("key"); err != nil {
			t.Fatal(err)
		}
		if err := x.Turn(t.Context(), 4096); err != nil {
			t.Fatal(err)
		}
		x.Left()
		if !x.failed() {
			t.Fatal("not recorded")
		}
		x.verified()
	}
}

// Who waits takes turns flow by flow, however many the others are.
func TestTurnsOfLongKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, turnsOfLongKeys)
}

func turnsOfLongKeys(t *testing.T) {
	g := newGate(GuardConfig{Heavy: 1})
	x := g.exchange("192.0.2.9:1")
	if err := x.Turn(t.Context(), 4096); err != nil {
		t.Fatal(err)
	}
	order := make(chan string, 100)
	var all sync.WaitGroup
	wait := func(remote string, n int) {
		for range n {
			all.Go(func() {
				x := g.exchange(remote)
				if err := x.Turn(t.Context(), 4096); err != nil {
					t.Error(err)
				}
				order <- remote
				x.Left()
			})
			synctest.Wait() // until it waits
		}
	}
	wait("192.0.2.1:1", 50)
	wait("192.0.2.2:1", 2)
	short := g.exchange("192.0.2.3:1")
	if err := short.Turn(t.Context(), 2048); err != nil {
		t.Errorf("a short key waits: %v", err)
	}
	x.Left()
	all.Wait()
	close(order)
	place := 0
	for remote := range order {
		place++
		if remote == "192.0.2.2:1" && place > 4 {
			t.Errorf("a flow of 2 has its turn at place %d, behind one of 50", place)
		}
	}
	if place != 52 || g.lane.length() != 0 {
		t.Errorf("%d turns, %d still wait", place, g.lane.length())
	}
}

func TestTurnIsBoundedAndGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, turnIsBoundedAndGivenUp)
}

func turnIsBoundedAndGivenUp(t *testing.T) {
	g := newGate(GuardConfig{Heavy: 1})
	first := g.exchange("192.0.2.9:1")
	if err := first.Turn(t.Context(), 4096); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range flowLength {
		all.Go(func() {
			x := g.exchange("192.0.2.1:1")
			if err := x.Turn(ctx, 4096); !keys.IsKind(err, keys.KindUnavailable) {
				t.Errorf("given up: %v", err)
			}
			x.Left()
		})
	}
	synctest.Wait()
	if n := g.lane.length(); n != flowLength {
		t.Errorf("%d wait", n)
	}
	if err := g.exchange("192.0.2.1:1").Turn(t.Context(), 4096); !keys.IsKind(err, keys.KindThrottled) {
		t.Errorf("one more: %v, want throttled", err)
	}
	cancel()
	all.Wait()
	first.Left()
	if n := g.lane.length(); n != 0 {
		t.Errorf("%d wait", n)
	}
	last := g.exchange("192.0.2.2:1")
	if err := last.Turn(t.Context(), 4096); err != nil {
		t.Errorf("after it: %v", err)
	}
	last.Left()
}

//nolint:paralleltest // allocations are counted
func TestGuardAllocatesNothing(t *testing.T) {
	g := newGate(GuardConfig{Failures: 20})
	r := &http.Request{RemoteAddr: "192.0.2.1:1234", URL: &url.URL{}}
	g.good("192.0.2.1:1234", "ocid1.tenancy/ocid1.user/fingerprint")
	x := &Exchange{}
	if n := testing.AllocsPerRun(1000, func() {
		g.begin(x, r)
		if x.Admit("ocid1.tenancy/ocid1.user/fingerprint") != nil || x.Turn(t.Context(), 2048) != nil {
			t.Error("refused")
		}
		x.Left()
		x.verified()
	}); n > 0 {
		t.Errorf("%v allocations a call", n)
	}
}

func BenchmarkGuard(b *testing.B) {
	g := newGate(GuardConfig{Failures: 20})
	r := &http.Request{RemoteAddr: "192.0.2.1:1234", URL: &url.URL{}}
	x := &Exchange{}
	const name = "ocid1.tenancy.oc1..aaaaaaaaba3pv6wkcr4jqae5f44n2b2m2yt2j6rx32uzr4h25vqstifsfdsq/ocid1.user.oc1..aaaaaaaat5nvwcna5j6aqzjcaty5eqbb6qt2jvpkanghtgdaqedqw3rynjq/20:3b:97:13:55:1c:5b:0d:d3:37:d8:50:4e:c5:3a:34"
	g.good("192.0.2.1:1234", name)
	b.ReportAllocs()
	for b.Loop() {
		g.begin(x, r)
		_ = x.Admit(name)
		x.verified()
	}
}
