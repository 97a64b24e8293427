// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"claviger/internal/audit"
	"claviger/internal/keys"
	"claviger/internal/store"
)

// Filling is the wish for a store of a size, on which a server can be tried.
type Filling struct {
	Vault    keys.ID
	Prefix   string // of the keys' names; a number follows
	Spec     keys.Spec
	Keys     int
	Versions int // of all keys together
	Largest  int // of these, the first key's; the others share the rest evenly
}

// counts is how many versions each key gets.
func (f *Filling) counts() ([]int, error) {
	others := f.Keys - 1
	switch {
	case f.Keys < 1 || f.Largest < 1:
		return nil, keys.Invalid("keys", "there must be a key, and a version of it")
	case others == 0 && f.Largest != f.Versions:
		return nil, keys.Invalid("largest", "the only key has all the versions")
	case f.Versions-f.Largest < others:
		return nil, keys.Invalid("versions", fmt.Sprintf("%d keys, of which the first has %d versions, need %d versions", f.Keys, f.Largest, f.Largest+others))
	case f.Versions > f.Keys && !f.Spec.Rotates():
		return nil, keys.Invalid("versions", "a "+string(f.Spec)+" key has one version only")
	}
	out := make([]int, f.Keys)
	out[0] = f.Largest
	for i := range others {
		rest := f.Versions - f.Largest
		out[i+1] = rest / others
		if i < rest%others {
			out[i+1]++
		}
	}
	return out, nil
}

// fillChunk is about how many versions one transaction of Fill makes.
const fillChunk = 500

// Fill makes many keys for the server's administrator. Each row is what CreateKey and Rotate would
// have made: material of its own, sealed, counted, announced, audited. Only that many share a
// transaction, and so a revision and a time; nothing is throttled, no quota holds. What was
// made before an error stays. progress counts versions; its calls come one at a time, from any goroutine.
func (s *Service) Fill(ctx context.Context, c *Call, f Filling, progress Progress) error {
	counts, err := f.counts()
	if err == nil {
		err = newKeyFits(f.newKey(0))
	}
	x := &filler{s: s, c: c, Filling: f, progress: progress}
	if err == nil {
		x.vault, err = x.vaultNow(ctx)
	}
	if err != nil {
		return translate(err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(1 + runtime.GOMAXPROCS(0))
	group.Go(func() error { return x.grow(ctx, counts[0]) })
	var parts []fillPart
	n := 0
	for i, count := range counts[1:] {
		parts = append(parts, fillPart{number: i + 1, versions: count})
		if n += count; n >= fillChunk || i == f.Keys-2 {
			chunk := parts
			group.Go(func() error { return x.make(ctx, chunk) })
			parts, n = nil, 0
		}
	}
	return group.Wait()
}

// fillPart is a number of versions of one key, made by one transaction.
type fillPart struct {
	number   int     // of the key, in its name
	key      keys.ID // zero for one that is to be made
	versions int
}

// filler is a Fill under way.
type filler struct {
	Filling
	s     *Service
	c     *Call       // copied for each transaction
	vault *keys.Vault // as it was at the beginning

	mu       sync.Mutex
	progress Progress // guarded by mu
	done     int      // versions, guarded by mu
}

func (f *Filling) newKey(number int) NewKey {
	return NewKey{
		Vault: f.Vault, Name: fmt.Sprintf("%s%06d", f.Prefix, number+1), Spec: f.Spec, Usages: f.Spec.Usages(),
		Origin: keys.Generated, Protection: keys.Software,
	}
}

// grow makes the first key, whose versions may be more than one transaction should make.
func (x *filler) grow(ctx context.Context, versions int) error {
	part := fillPart{}
	for left := versions; left > 0; left -= part.versions {
		part.versions = min(left, fillChunk)
		chunk := []fillPart{part}
		if err := x.make(ctx, chunk); err != nil {
			return err
		}
		part.key = chunk[0].key
	}
	return nil
}

// make makes parts in one transaction, and sets the keys' ids in them.
func (x *filler) make(ctx context.Context, parts []fillPart) error {
	c := *x.c
	rows := make([][]keys.Version, len(parts))
	fresh := make([]bool, len(parts))
	prepare := func(*audit.Event) error {
		vault, err := x.vaultNow(ctx) // whose KEK may be another by now
		if err != nil {
			return err
		}
		for i := range parts {
			if fresh[i] = fresh[i] || parts[i].key.IsZero(); fresh[i] {
				if parts[i].key, err = keys.NewID(x.s.rand); err != nil {
					return err
				}
			}
			if rows[i], err = x.material(ctx, vault, parts[i]); err != nil {
				return err
			}
		}
		return nil
	}
	_, err := do(ctx, x.s, &c, keys.CreateKey, prepare, func(m *mutation) (nothing, error) {
		begun := *m.ev
		for i, part := range parts {
			if i > 0 { // each row has its event; the last one's is recorded with the call
				if err := m.recordMade(); err != nil {
					return nothing{}, err
				}
				*m.ev = begun
			}
			if err := m.fill(x, part, fresh[i], rows[i]); err != nil {
				return nothing{}, err
			}
		}
		return nothing{}, nil
	})
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, part := range parts {
		x.done += part.versions
	}
	if x.progress != nil {
		x.progress(x.done, x.Versions)
	}
	return nil
}

// vaultNow loads the vault.
func (x *filler) vaultNow(ctx context.Context) (vault *keys.Vault, err error) {
	err = x.s.store.View(ctx, func(tx store.Tx) (err error) {
		vault, err = store.LoadVault(tx, x.Vault)
		return notFound(err, keys.TypeVault)
	})
	return vault, err
}

// material makes the versions of a part, but for what the transaction gives them, all sealed under
// the vault's KEK of now.
func (x *filler) material(ctx context.Context, vault *keys.Vault, part fillPart) ([]keys.Version, error) {
	rows := make([]keys.Version, part.versions)
	for i := range rows {
		v := &rows[i]
		var err error
		if v.ID, err = keys.NewID(x.s.rand); err != nil {
			return nil, err
		}
		if err := x.s.newVersion(ctx, part.key, vault, x.Spec, v); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// fill makes a part. The event of its last row is left to the caller.
func (m *mutation) fill(x *filler, part fillPart, fresh bool, rows []keys.Version) error {
	at := &located{vault: x.vault}
	if fresh {
		first := rows[0]
		made, err := x.s.insertKey(m, x.newKey(part.number), keys.Key{ID: part.key, Tenant: x.vault.Tenant, Vault: x.vault.ID, Region: x.vault.Region}, first)
		if err != nil {
			return err
		}
		at.key, rows = &made.Key, rows[1:]
	} else {
		var err error
		if at, _, err = m.locate(KeyRef{ID: part.key, Tenant: x.vault.Tenant}, keys.Rotate); err != nil {
			return err
		}
		if err = inForce(rows[0].KEKGeneration, at.vault.KEKGeneration); err != nil {
			return err
		}
	}
	if len(rows) == 0 {
		return nil
	}
	for i := range rows {
		if i > 0 || fresh {
			if err := m.recordMade(); err != nil {
				return err
			}
		}
		v := rows[i]
		at.key.Versions++
		v.Ordinal, v.CreatedAt = at.key.Versions, m.now
		m.ev.Action, m.ev.Version = keys.Rotate, v.ID
		if err := m.tx.Put(&v); err != nil {
			return err
		}
	}
	at.key.Primary, at.key.LastVersionAt = rows[len(rows)-1].ID, m.now
	return m.tx.Put(at.key)
}

// recordMade records the event of one of the many things that a mutation makes.
func (m *mutation) recordMade() error {
	ev := *m.ev
	ev.Outcome, ev.Revision = audit.OutcomeOK, m.tx.Revision()
	return m.tx.Record(ev)
}
