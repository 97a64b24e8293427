// SPDX-License-Identifier: Apache-2.0

package dialect

import (
	"context"
	"fmt"
	"hash/maphash"
	"net/http"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"claviger/internal/keys"
)

// GuardConfig says what a [Guard] allows.
type GuardConfig struct {
	// Failures is how many failed verifications a source may have per second; 0 is no limit.
	Failures float64
	// Heavy is how many verifications with long keys run at once; 0 is all cores but one, and at least one.
	Heavy int
	// Proxies are the addresses of proxies whose X-Forwarded-For is believed.
	Proxies []netip.Prefix
	// Unverified is how many bytes of bodies are held at once whose callers are not known yet; 0 is no limit.
	Unverified int64
	// Now is request time.
	Now func() time.Time
	// Within bounds how long a request waits for room or its turn, and how long a batch may take. nil: by
	// the machine's clock, as context.WithTimeout does.
	Within func(context.Context, time.Duration) (context.Context, context.CancelFunc)
	// Record hears of refusals that were counted instead of recorded. It may be nil.
	Record func(Refusals)
}

// Refusals are requests of one source that were refused, counted together.
type Refusals struct {
	Source      string // an address, or the prefix of an IPv6 network
	Requests    uint64
	First, Last time.Time
}

// Guard keeps strangers from making the server work: whoever sends what does not verify is soon
// refused before anything is verified, long keys take turns, and long bodies share a bounded room.
// All that it knows is about a source, which is an IPv4 address or an IPv6 network of 64 bits, so
// nobody can lock out somebody else by naming their credential. A credential that has verified from a source has a
// budget of its own there: others behind the same address cannot use it up without naming it.
//
// It keeps a fixed number of sources and credentials in memory. A nil Guard refuses nothing.
type Guard struct {
	cfg   GuardConfig
	cost  time.Duration // in which the budget of one failure comes back
	burst time.Duration // in which an empty budget is full again
	seed  maphash.Seed

	known   [knownPairs]atomic.Uint64 // hashes of (source, credential) that have verified
	until   atomic.Int64              // when all budgets will be full: before, they are asked; nanoseconds
	shards  [guardShards]shard
	lane    lane
	batches lane
	bodies  lane // bytes

	throttled, unrecorded, crowded atomic.Uint64
}

const (
	knownPairs  = 1 << 14
	guardShards = 16
	shardSize   = 256 // budgets
	ways        = 8   // places that a budget may have

	burstFailures = 5                // seconds' worth of failures that a full budget holds
	summaryEvery  = time.Minute      // how often a source's counted refusals are told
	forgiven      = 10 * time.Second // the longest that a source pays for what was under way at once
)

type shard struct {
	mu      sync.Mutex
	budgets [shardSize]budget // guarded by mu
}

// budget is what a source, or a credential there, may still fail. It is full at a time, and holds
// less the further off that is.
type budget struct {
	key     uint64
	full    int64 // nanoseconds
	source  [16]byte
	refused uint64 // since the first of them was recorded
	first   int64
	last    int64
}

// NewGuard makes a guard that knows nobody.
func NewGuard(cfg GuardConfig) *Guard {
	g := &Guard{cfg: cfg, seed: maphash.MakeSeed()}
	if cfg.Failures > 0 {
		g.cost = time.Duration(float64(time.Second) / cfg.Failures)
		g.burst = max(burstFailures*time.Second, g.cost)
	}
	heavy := cfg.Heavy
	if heavy <= 0 {
		heavy = max(1, runtime.GOMAXPROCS(0)-1)
	}
	g.lane, g.batches, g.bodies = newLane(int64(heavy), false), newLane(batchesAtOnce, false), newLane(cfg.Unverified, true)
	if g.cfg.Within == nil {
		g.cfg.Within = context.WithTimeout
	}
	return g
}

// guarded is what an exchange keeps of the guard.
type guarded struct {
	guard    *Guard
	source   netip.Addr
	pair     uint64 // hash of source and credential; 0 before [Exchange.Admit]
	known    bool   // the pair has verified before
	reserved bool   // the price of one failure is taken already
	weight   int    // how many failures this one counts for; 0 is one
	query    int    // its bytes
	room     int64  // bytes that are held for its body
	turn     bool   // the exchange runs in the lane
	denied   bool   // the guard has refused it
}

// Admit asks whether a credential may be tried, before it is looked up. A dialect calls it once the
// request has passed every check that costs little. The error is KindThrottled.
func (x *Exchange) Admit(credential string) error {
	v := &x.guarded
	g := v.guard
	if g == nil {
		return nil
	}
	v.pair = g.hash(v.source, credential)
	v.known = g.knows(v.pair)
	if g.cost == 0 || v.known && g.idle() {
		return nil
	}
	now := g.cfg.Now().UnixNano()
	wait := g.take(v.key(), v.source, now)
	if wait > 0 {
		v.denied = true
		g.throttled.Add(1)
		return throttledSource(wait, "too many requests of this source did not verify: sign with the right key, and wait; "+
			"clients behind one proxy are told apart once it is among server.trusted_proxies")
	}
	v.reserved = true
	return nil
}

// Turn waits for the exchange's turn to verify with an RSA key of that many bits. Short keys do not wait; long ones
// share what is set for them, source by source. [Exchange.Left] ends it.
func (x *Exchange) Turn(ctx context.Context, bits int) error {
	v := &x.guarded
	if v.weight = rsaWeight(bits); v.guard == nil || v.weight == 1 {
		return nil
	}
	err := v.guard.lane.enter(ctx, v.key(), 1)
	if err == nil {
		v.turn = true
		return nil
	}
	if _, full := err.(laneFull); full { //nolint:errorlint // never wrapped
		v.denied = true
		v.guard.throttled.Add(1)
		return throttledSource(time.Second, "too many requests of this source wait for the verification of a long key: send fewer at once, or sign with an RSA key of 2048 bits")
	}
	return &keys.Error{Kind: keys.KindUnavailable, Err: err}
}

// Left ends the exchange's turn, if it has one.
func (x *Exchange) Left() {
	if v := &x.guarded; v.turn {
		v.turn = false
		v.guard.lane.leave(v.key(), 1)
	}
}

// rsaWeight is what a verification costs, in those with a key of 2048 bits.
func rsaWeight(bits int) int {
	switch {
	case bits <= 2048:
		return 1
	case bits <= 3072:
		return 4
	}
	return 12
}

// SourceField is the field of errors about what one source did, in no tenant's name.
const SourceField = "source"

func throttledSource(wait time.Duration, hint string) error {
	return &keys.Error{Kind: keys.KindThrottled, Field: SourceField, Err: &Throttled{RetryAfter: wait}, Hint: hint}
}

// verified remembers who called from where, and gives back what was taken in advance.
func (x *Exchange) verified() {
	v := &x.guarded
	g := v.guard
	if g == nil || v.pair == 0 {
		return
	}
	if !v.known {
		g.learn(v.pair)
	}
	x.unreserve()
}

func (x *Exchange) unreserve() {
	if v := &x.guarded; v.reserved {
		v.reserved = false
		v.guard.giveBack(v.key())
	}
}

// failed counts a refusal of somebody who could not be established, and reports whether it is to be
// recorded on its own. What comes after the budget is empty is counted, and told once a minute.
func (x *Exchange) failed() (record bool) {
	v := &x.guarded
	g := v.guard
	if g == nil || g.cost == 0 {
		return true
	}
	weight := max(v.weight, 1) + (len(x.Body)+v.query)>>14 // what is long is parsed, sorted and hashed
	if v.reserved {
		weight--
	}
	record, told := g.charge(v, g.cfg.Now().UnixNano(), weight)
	v.reserved = false
	if !record {
		g.unrecorded.Add(1)
	}
	g.tell(told)
	return record
}

// key is whose budget the exchange uses: the credential's at its source, or that of all strangers there.
func (v *guarded) key() uint64 {
	if v.known {
		return v.pair
	}
	return v.stranger()
}

// stranger is what all strangers of the source have together.
func (v *guarded) stranger() uint64 { return v.guard.hash(v.source, "") }

// idle reports whether all budgets are full.
func (g *Guard) idle() bool {
	until := g.until.Load()
	if until == 0 {
		return true
	}
	if g.cfg.Now().UnixNano() < until {
		return false
	}
	g.until.CompareAndSwap(until, 0)
	return true
}

// place is where a known pair may be: two slots side by side.
func (g *Guard) place(pair uint64) (a, b *atomic.Uint64) {
	i := pair >> 1 & (knownPairs - 1)
	return &g.known[i], &g.known[i^1]
}

func (g *Guard) knows(pair uint64) bool {
	a, b := g.place(pair)
	return a.Load() == pair || b.Load() == pair
}

func (g *Guard) learn(pair uint64) {
	a, b := g.place(pair)
	if a.Load() != 0 && (b.Load() == 0 || pair&1 == 1) {
		a = b
	}
	a.Store(pair)
}

// hash is never 0.
func (g *Guard) hash(source netip.Addr, credential string) uint64 {
	var h maphash.Hash
	h.SetSeed(g.seed)
	b := source.As16()
	_, _ = h.Write(b[:])
	_, _ = h.WriteString(credential)
	return max(h.Sum64(), 1)
}

// hashID tells tenants apart.
func (g *Guard) hashID(id keys.ID) uint64 { return max(maphash.Bytes(g.seed, id[:]), 1) }

// find is the budget of key, or one to be taken for it: what is lost then is what comes back soonest.
// The caller holds the shard's lock.
func (s *shard) find(key uint64) (b *budget, found bool) {
	first := int(key>>8) % (shardSize / ways) * ways
	for i := first; i < first+ways; i++ {
		switch e := &s.budgets[i]; {
		case e.key == key:
			return e, true
		case b == nil || e.full < b.full:
			b = e
		}
	}
	return b, false
}

func (g *Guard) shard(key uint64) *shard { return &g.shards[key%guardShards] }

// take takes one failure's price in advance, or says how long until there is one.
func (g *Guard) take(key uint64, source netip.Addr, now int64) (wait time.Duration) {
	s := g.shard(key)
	s.mu.Lock()
	b, told := s.claim(key, source)
	if wait = g.short(b, now); wait == 0 {
		b.full = max(b.full, now) + int64(g.cost)
		g.extend(b.full)
	}
	s.mu.Unlock()
	g.tell(told)
	return wait
}

// claim is find with the place taken; what was counted of its last owner is to be told.
func (s *shard) claim(key uint64, source netip.Addr) (*budget, *Refusals) {
	b, found := s.find(key)
	if found {
		return b, nil
	}
	told := b.summary()
	*b = budget{key: key, source: source.As16()}
	return b, told
}

// short is how long until the budget holds the price of a failure; 0: it does.
func (g *Guard) short(b *budget, now int64) time.Duration {
	return max(0, time.Duration(b.full-now)+g.cost-g.burst)
}

func (g *Guard) giveBack(key uint64) {
	s := g.shard(key)
	s.mu.Lock()
	if b, found := s.find(key); found {
		b.full -= int64(g.cost)
	}
	s.mu.Unlock()
}

// charge takes the price of a failure. Where the budget was empty before, the refusal is counted
// and not recorded, but for the first in a while.
func (g *Guard) charge(v *guarded, now int64, weight int) (record bool, told *Refusals) {
	key := v.key()
	s := g.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	b, told := s.claim(key, v.source)
	over := v.denied || !v.reserved && g.short(b, now) > 0
	if tried := v.pair != 0 && !v.denied; tried || !over {
		b.full = min(max(b.full, now)+int64(weight)*int64(g.cost), now+int64(g.burst+forgiven))
		g.extend(b.full)
	}
	if !over {
		return true, told
	}
	if b.first != 0 && now-b.first >= int64(summaryEvery) {
		told = b.summary()
	}
	b.last = now
	if b.first == 0 {
		b.first = now
		return true, told
	}
	b.refused++
	return false, told
}

// summary tells what was counted, and begins anew. Nothing counted is nil.
func (b *budget) summary() *Refusals {
	n, first, last := b.refused, b.first, b.last
	b.refused, b.first, b.last = 0, 0, 0
	if n == 0 {
		return nil
	}
	return &Refusals{Source: sourceText(b.source), Requests: n, First: time.Unix(0, first), Last: time.Unix(0, last)}
}

func (g *Guard) tell(r *Refusals) {
	if r != nil && g.cfg.Record != nil {
		g.cfg.Record(*r)
	}
}

func (g *Guard) extend(until int64) {
	for {
		old := g.until.Load()
		if old >= until || g.until.CompareAndSwap(old, until) {
			return
		}
	}
}

// Flush tells of the refusals that were counted a while ago, or of all.
func (g *Guard) Flush(all bool) {
	now := g.cfg.Now().UnixNano()
	for i := range g.shards {
		var out []*Refusals
		s := &g.shards[i]
		s.mu.Lock()
		for j := range s.budgets {
			if b := &s.budgets[j]; b.first != 0 && (all || now-b.first >= int64(summaryEvery)) {
				out = append(out, b.summary())
			}
		}
		s.mu.Unlock()
		for _, r := range out {
			g.tell(r)
		}
	}
}

// GuardStats are figures about a guard.
type GuardStats struct {
	Throttled      uint64 // requests refused before they were verified
	Unrecorded     uint64 // refusals that were counted instead of recorded
	Sources        int    // sources, and credentials there, whose budget is not full
	Waiting        int    // requests that wait for the verification of a long key
	Bodies         int64  // bytes that are held for bodies whose callers are not known yet
	BodiesWaiting  int    // requests that wait for room for theirs
	BodiesRefused  uint64 // and those that found none
	BatchesWaiting int    // batches that wait for their turn
}

// Stats tells the guard's figures.
func (g *Guard) Stats() GuardStats {
	out := GuardStats{
		Throttled: g.throttled.Load(), Unrecorded: g.unrecorded.Load(), Waiting: g.lane.length(),
		Bodies: g.bodies.taken(), BodiesWaiting: g.bodies.length(), BodiesRefused: g.crowded.Load(), BatchesWaiting: g.batches.length(),
	}
	if g.idle() {
		return out
	}
	now := g.cfg.Now().UnixNano()
	for i := range g.shards {
		s := &g.shards[i]
		s.mu.Lock()
		for j := range s.budgets {
			if s.budgets[j].full > now {
				out.Sources++
			}
		}
		s.mu.Unlock()
	}
	return out
}

// begin makes the exchange one of the guard's, and gives the address of its client.
func (g *Guard) begin(x *Exchange, r *http.Request) string {
	text := source(r)
	if g == nil {
		return text
	}
	address, err := netip.ParseAddr(text)
	if err == nil {
		if address, text = g.beyondProxies(r, address, text); address.Is6() && !address.Is4In6() {
			prefix, _ := address.WithZone("").Prefix(64) // never fails for 64 bits
			address = prefix.Addr()
		}
	}
	x.guarded = guarded{guard: g, source: address, query: len(r.URL.RawQuery)}
	return text
}

// sourceText is a source as it is told: an address, or a network.
func sourceText(b [16]byte) string {
	a := netip.AddrFrom16(b).Unmap()
	if a.Is4() {
		return a.String()
	}
	return fmt.Sprintf("%s/64", a)
}
