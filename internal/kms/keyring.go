// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// keyring remembers what data calls need, so that a warm call asks no database. An entry is
// an immutable snapshot. It guarantees that
//
//   - a committed change retires the snapshots of what it changed before its Update returns,
//     and the Update waits until no call holds them, nor any that was retired before
//     (Committed);
//   - where a commit's outcome is unknown they are retired as well, and read anew (Unknown);
//   - a load enters only if nothing newer about that object was committed since it began.
type keyring struct {
	limit int // entries; over it some other entry is dropped

	mu      sync.RWMutex
	entries map[ringKey]*entry   // guarded by mu
	leaving map[ringKey][]*entry // retired and still held by calls, guarded by mu
	loads   map[*loading]ringKey // under way, guarded by mu

	vaults atomic.Bool // a vault was changed since somebody looked

	// changed, set before the first use, hears of whose KEKs may be others, whichever node made them.
	changed func(owner keys.ID)

	// beforeInsert, set by tests, runs between a load's read and its insert.
	beforeInsert func(ringKey)
}

// ringKey names an entry: by ID, or by name for what requests name by text. There are many of them,
// each twice in memory.
type ringKey struct {
	kind ringKind
	id   keys.ID
	name string
}

// ringKind is what an entry is a snapshot of.
type ringKind uint8

const (
	ofVault ringKind = iota
	ofKey
	ofLasting // what of a key never changes: no change retires it
	ofVersion
	ofAlias
	ofExternal
	ofAccessKey // a credential, whose name is unique in its kind
	ofRSAKey
	ofSession    // of an access key
	ofKeySession // whose holder signs with a private key
)

// recordKind is the kind of a record that is named by its ID.
func recordKind(t keys.Type) (ringKind, bool) {
	switch t {
	case keys.TypeVault:
		return ofVault, true
	case keys.TypeKey:
		return ofKey, true
	case keys.TypeVersion:
		return ofVersion, true
	default:
		return 0, false
	}
}

func credentialKind(kind identity.CredentialKind) ringKind {
	if kind == identity.RSAKey {
		return ofRSAKey
	}
	return ofAccessKey
}

func sessionKind(kind identity.CredentialKind) ringKind {
	if kind == identity.RSAKey {
		return ofKeySession
	}
	return ofSession
}

func (k ringKind) session() bool    { return k == ofSession || k == ofKeySession }
func (k ringKind) credential() bool { return k == ofAccessKey || k == ofRSAKey }

// entry is one snapshot with the number of calls that hold it.
type entry struct {
	ring  *keyring
	key   ringKey
	value any           // immutable but for what it opens when that is first asked for; wiped, if it is a [wiper]
	holds atomic.Int64  // negative once retired
	gone  chan struct{} // closed when retired and held by nobody; made when it is about to retire
}

// wiper is a snapshot that has secrets to forget.
type wiper interface{ Wipe() }

func wipe(value any) {
	if w, ok := value.(wiper); ok {
		w.Wipe()
	}
}

const retired = math.MinInt64 / 2

func (e *entry) acquire() bool {
	for {
		n := e.holds.Load()
		if n < 0 {
			return false
		}
		if e.holds.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (e *entry) release() {
	if e.holds.Add(-1) == retired {
		e.finish()
		e.ring.left(e)
	}
}

// retire is called once, when the entry has left the map. It reports whether a call still
// holds the entry.
func (e *entry) retire() (held bool) {
	e.gone = make(chan struct{})
	if e.holds.Add(retired) != retired {
		return true
	}
	e.finish()
	return false
}

func (e *entry) finish() {
	wipe(e.value)
	close(e.gone)
}

// loading is one read of the database on its way into the keyring.
type loading struct{ stale bool } // guarded by the keyring's mu

func newKeyring(limit int) *keyring {
	return &keyring{
		changed: func(keys.ID) {},
		limit:   limit, entries: map[ringKey]*entry{}, leaving: map[ringKey][]*entry{}, loads: map[*loading]ringKey{},
	}
}

// loader reads a snapshot from the database.
type loader func(ctx context.Context) (value any, err error)

// hit returns the snapshot named k if it is remembered, held by c until its End. Who asks it before get
// needs no loader for that.
func (r *keyring) hit(c *Call, k *ringKey) (any, bool) {
	r.mu.RLock()
	e := r.entries[*k]
	r.mu.RUnlock()
	if e == nil || !e.acquire() {
		return nil, false
	}
	c.hold(e)
	return e.value, true
}

// get returns the snapshot named k, held by c until its End.
func (r *keyring) get(ctx context.Context, c *Call, k ringKey, load loader) (any, error) {
	for {
		if value, ok := r.hit(c, &k); ok {
			return value, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		e, err := r.load(ctx, k, load)
		if err != nil {
			return nil, err
		}
		if e != nil {
			c.hold(e)
			return e.value, nil
		}
	}
}

// load reads k and inserts it, held once. It returns nil when the read was overtaken by a
// change or by another load.
func (r *keyring) load(ctx context.Context, k ringKey, load loader) (*entry, error) {
	l := &loading{}
	r.mu.Lock()
	r.loads[l] = k
	r.mu.Unlock()
	value, err := load(ctx)
	if r.beforeInsert != nil {
		r.beforeInsert(k)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.loads, l)
	if err != nil {
		return nil, err
	}
	if l.stale || r.entries[k] != nil {
		wipe(value)
		return nil, nil
	}
	e := &entry{ring: r, key: k, value: value}
	e.holds.Store(1)
	r.entries[k] = e
	if len(r.entries) > r.limit {
		r.evict(k)
	}
	return e, nil
}

// evict drops one entry that is not keep; map order makes it an arbitrary one.
func (r *keyring) evict(keep ringKey) {
	for k, e := range r.entries {
		if k != keep {
			r.drop(e)
			return
		}
	}
}

// dropOver drops the sessions whose time is over.
func (r *keyring) dropOver(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.entries {
		if s, ok := e.value.(*sessionEntry); ok && s.session.Over(now) {
			r.drop(e)
		}
	}
}

// drop takes an entry out of the map. One that calls still hold is remembered until they
// end, so that whoever revokes what it is about can wait for them. r.mu is held.
func (r *keyring) drop(e *entry) {
	delete(r.entries, e.key)
	if e.retire() {
		r.leaving[e.key] = append(r.leaving[e.key], e)
	}
}

// left forgets a dropped entry that no call holds any more.
func (r *keyring) left(e *entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rest := slices.DeleteFunc(r.leaving[e.key], func(other *entry) bool { return other == e })
	if len(rest) == 0 {
		delete(r.leaving, e.key)
		return
	}
	r.leaving[e.key] = rest
}

// Committed retires what the changes are about. The wait it returns ends when no call holds
// a retired snapshot of that any more.
func (r *keyring) Committed(changes []store.Change) func() {
	held := r.retire(changes)
	if len(held) == 0 {
		return nil
	}
	return func() { wait(held) }
}

// Unknown retires what the changes may be about.
func (r *keyring) Unknown(changes []store.Change) { r.retire(changes) }

// settle waits until no call holds a retired snapshot of a record.
func (r *keyring) settle(t keys.Type, id keys.ID) {
	kind, ok := recordKind(t)
	if !ok {
		return
	}
	r.mu.RLock()
	held := slices.Clone(r.leaving[ringKey{kind: kind, id: id}])
	r.mu.RUnlock()
	wait(held)
}

// forget retires everything, and waits until nothing of it is held.
func (r *keyring) forget() {
	r.mu.Lock()
	held := r.retireIf(func(ringKey) bool { return true }, nil)
	r.mu.Unlock()
	wait(held)
}

func wait(held []*entry) {
	for _, e := range held {
		<-e.gone
	}
}

func (r *keyring) size() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.entries)
}

// retire answers every retired snapshot of what changed that is still held, whichever change
// retired it.
func (r *keyring) retire(changes []store.Change) (held []*entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, ch := range changes {
		if ch.Type == keys.TypeVault || ch.Type == keys.TypeReplica {
			r.vaults.Store(true)
			r.changed(ch.ID)
		}
		switch ch.Type {
		case keys.TypeKEK:
			r.changed(ch.ID)
			held = r.retireOne(ringKey{kind: ofVault, id: ch.ID}, held)
			if ch.ID.IsZero() { // sessions are the system KEK's
				held = r.retireIf(func(k ringKey) bool { return k.kind.session() }, held)
			}
		case keys.TypeVault, keys.TypeKey, keys.TypeVersion:
			kind, _ := recordKind(ch.Type)
			held = r.retireOne(ringKey{kind: kind, id: ch.ID}, held)
		case keys.TypeAlias:
			held = r.retireOne(ringKey{kind: ofAlias, name: ch.Name}, held)
		case keys.TypeCredential:
			for _, kind := range []ringKind{ofRSAKey, ofAccessKey} {
				held = r.retireOne(ringKey{kind: kind, name: ch.Name}, held)
			}
			// A session rests on the credential that asked for it.
			held = r.retireIf(func(k ringKey) bool { return k.kind.session() }, held)
		case keys.TypePrincipal, keys.TypeBinding:
			// A snapshot of a credential or session holds its principal's roles. Changes of these are rare.
			held = r.retireIf(func(k ringKey) bool { return k.kind.credential() || k.kind.session() }, held)
		case keys.TypeGrant:
			held = r.retireIf(func(k ringKey) bool { return k.kind == ofKey }, held)
		case keys.TypeTenant, keys.TypeCompartment, keys.TypeWork, keys.TypeReplica, keys.TypeSession:
			// Nothing of the former is remembered (which replica a vault has, the vault says), and
			// sessions are no records.
		}
	}
	return held
}

func (r *keyring) retireOne(k ringKey, held []*entry) []*entry {
	for l, lk := range r.loads {
		if lk == k {
			l.stale = true
		}
	}
	if e := r.entries[k]; e != nil {
		r.drop(e)
	}
	return append(held, r.leaving[k]...)
}

func (r *keyring) retireIf(match func(ringKey) bool, held []*entry) []*entry {
	for l, k := range r.loads {
		if match(k) {
			l.stale = true
		}
	}
	for k, e := range r.entries {
		if match(k) {
			r.drop(e)
		}
	}
	for k, entries := range r.leaving {
		if match(k) {
			held = append(held, entries...)
		}
	}
	return held
}
