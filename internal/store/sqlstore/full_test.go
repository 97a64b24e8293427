// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"claviger/internal/audit"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/store"
	"claviger/internal/store/storetest"
)

// fullCase is one way in which a disk is full.
type fullCase struct {
	from, width int
	torn        bool
}

func (c fullCase) String() string { return fmt.Sprintf("%03d+%d torn=%t", c.from, c.width, c.torn) }

// TestDiskFull refuses each write, cut and sync of a batch and of the scrub after it, for want of room:
// once, and from there on until somebody makes room, with nothing of the write on the disk and with a
// half of it. With a small cache the writes come while statements run. Every time each caller is told
// the truth in the words of the contract, reads go on, what a killed process would leave is sound, and
// the store goes on by itself once there is room. Without CLAVIGER_CHAOS_KILLS it tries one step of some.
func TestChaosDiskFull(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		members func(*faultBasis) []*member
		cache   string
		steps   []string // among others
	}{
		"AtCommit":     {(*faultBasis).members, "", []string{"write log", "sync log", "write database", "cut database", "sync database", "cut log"}},
		"InStatements": {(*faultBasis).members, "1", []string{"write log", "sync log"}},
		"EveryRecord":  {(*faultBasis).everyRecord, "1", []string{"write log", "sync log"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fullTrial{template: t.TempDir(), members: c.members, cache: c.cache}
			basis := newFaultBasis()
			s := openTest(t, Options{Dir: f.template, Create: true})
			update(t, s, basis.tenant, basis.vault, basis.key, basis.first, basis.alias)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			steps := f.try(t, fullCase{})
			for _, step := range c.steps {
				if !slices.Contains(steps, step) {
					t.Fatalf("%q is not among the steps %q", step, steps)
				}
			}
			every, stride := os.Getenv("CLAVIGER_CHAOS_KILLS") != "", 23
			if testing.Short() {
				stride = 101
			}
			for from := 1; from <= len(steps); from++ {
				write := strings.HasPrefix(steps[from-1], "write")
				for i, full := range []fullCase{{from, 1, false}, {from, 1 << 20, false}, {from, 1, true}, {from, 1 << 20, true}} {
					if full.torn && !write || !every && write && (from+i)%stride != 0 {
						continue
					}
					t.Run(full.String(), func(t *testing.T) {
						t.Parallel()
						f.try(t, full)
					})
				}
			}
		})
	}
}

// fullTrial tries a batch on copies of a store, each on a disk that is full at another moment.
type fullTrial struct {
	template string
	members  func(*faultBasis) []*member
	cache    string
}

func (f *fullTrial) try(t *testing.T, c fullCase) (steps []string) {
	t.Helper()
	basis := newFaultBasis() // the same as the template's
	dir := t.TempDir()
	copyFile(t, filepath.Join(f.template, databaseName), filepath.Join(dir, databaseName))
	disk := newDiskFaults(t)
	disk.cache = f.cache
	s := openTest(t, Options{Dir: dir, connect: disk.connect})
	heard := &observed{}
	s.Observe(heard)
	members := f.members(basis)
	var group sync.WaitGroup
	headOf(t, s) // a server has read before: its connections keep the log's index
	release := hold(t, s)
	for i, m := range members {
		group.Go(func() { m.revision, m.err = s.Update(context.Background(), m.fn) })
		queued(s, i+1)
	}
	disk.arm(c.from, c.width, c.torn)
	release()
	group.Wait()
	head := headOf(t, s) // reads need no room
	scrubbed := s.Scrub(t.Context())
	if disk.refused() {
		f.judge(t, s, members, heard, disk)
	}
	if c.width > 1 {
		_, err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Put(basis.world.Tenant()) })
		if err == nil && disk.refused() {
			t.Error("a change succeeded on a full disk")
		}
		spaceless(t, "a change on a full disk", err)
		head = headOf(t, s)
	}
	left := t.TempDir() // as a killed process would leave it
	for _, suffix := range []string{"", "-wal"} {
		copyFile(t, filepath.Join(dir, databaseName+suffix), filepath.Join(left, databaseName+suffix))
	}
	steps, fired := disk.disarm()
	if c.from > 0 && c.from <= len(steps) && len(fired) == 0 { // SQLite may need a step less
		t.Fatalf("no step was refused, there were %d", len(steps))
	}
	for _, m := range members {
		if !errors.Is(m.err, errOwn) {
			spaceless(t, m.name, m.err)
		}
	}
	if spaceless(t, "scrub", scrubbed); scrubbed == nil && slices.Contains(fired, "cut log") {
		t.Error("the log was not cut, and the scrub succeeded")
	}

	// Once there is room the store goes on, from where it is.
	if rev := update(t, s, basis.world.Tenant()); rev != head.Revision+1 {
		t.Errorf("after %q was refused revision %d follows %d", fired, rev, head.Revision)
	}
	if err := s.Scrub(t.Context()); err != nil {
		t.Errorf("scrub once there is room: %v", err)
	}
	if err := errors.Join(f.sound(t, s), s.Close()); err != nil {
		t.Errorf("after %q was refused: %v", fired, err)
	}
	for what, dir := range map[string]string{"opened again": dir, "killed": left} {
		s = openTest(t, Options{Dir: dir})
		if len(fired) > 0 {
			f.judge(t, s, members, nil, disk)
		}
		if err := errors.Join(f.sound(t, s), s.Close()); err != nil {
			t.Errorf("%s after %q was refused: %v", what, fired, err)
		}
	}
	return steps
}

// judge is [judge], where the batch may have ended before the disk was full.
func (f *fullTrial) judge(t *testing.T, s *Store, members []*member, heard *observed, disk *diskFaults) {
	t.Helper()
	disk.mu.Lock()
	fired := append([]string{"COMMIT"}, disk.fired...)
	disk.mu.Unlock()
	judge(t, s, members, heard, fired)
}

// sound reports what is wrong with records or files.
func (f *fullTrial) sound(t *testing.T, s *Store) error {
	t.Helper()
	faults, err := s.Integrity(t.Context())
	for _, fault := range faults {
		err = errors.Join(err, errors.New(fault))
	}
	return errors.Join(err, storetest.Check(t.Context(), s))
}

// spaceless fails the test if an error is none that a full disk may lead to.
func spaceless(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, store.ErrFull) && !errors.Is(err, store.ErrAway) && !errors.Is(err, store.ErrUnknown) {
		t.Errorf("%s: %v, which the contract does not know", what, err)
	}
}

// copied is a copy of a record, which a put changes.
func copied(rec store.Record) store.Record {
	out := reflect.New(reflect.TypeOf(rec).Elem())
	out.Elem().Set(reflect.ValueOf(rec).Elem())
	return out.Interface()
}

// everyRecord is a batch that writes a record of every kind, and seals anew, deletes and expires.
func (b *faultBasis) everyRecord() []*member {
	w := b.world
	tenant := w.Tenant()
	principal := w.Principal(tenant)
	vault := w.Vault(tenant)
	replica := w.Replica(vault)
	imported, material := w.Imported(vault, w.Time())
	token := &store.Token{Principal: w.ID(), Operation: "CreateKey", Token: "t", ExpiresAt: w.Time()}
	event := audit.Event{Time: w.Time(), Operation: "CreateKey", Outcome: audit.OutcomeOK}
	records := []store.Record{
		tenant, w.Compartment(tenant), principal, w.Binding(principal), w.Credential(principal), vault, replica,
		imported, material, w.Alias(imported), w.Grant(imported, b.tenant), w.WorkRequest(tenant),
		&store.KEK{Owner: tenant.ID, Generation: 1, Sealed: []byte("sealed KEK"), CreatedAt: w.Time()},
		&store.Setting{Name: "setting", Value: "1"},
		&store.ExternalID{Dialect: "oci", Type: keys.TypeKey, Tenant: tenant.ID, Region: vault.Region, Name: "external", ID: imported.ID},
		token, &store.Nonce{Hash: [16]byte(w.ID()), ExpiresAt: w.Time()},
	}
	late := w.Time()
	own := w.Principal(b.tenant)
	return []*member{
		{name: "insert", fn: func(tx store.Tx) error {
			for _, rec := range records {
				if err := tx.Put(copied(rec)); err != nil {
					return err
				}
			}
			return tx.Record(event)
		}, shows: func(tx store.Tx) (bool, error) { return exists(tx, &keys.Key{ID: imported.ID}) }},
		{name: "fail", fails: true, fn: func(tx store.Tx) error {
			return errors.Join(tx.Put(copied(own)), tx.Record(event), errOwn)
		}, shows: func(tx store.Tx) (bool, error) { return exists(tx, &identity.Principal{ID: own.ID}) }},
		{name: "reseal", fn: func(tx store.Tx) error {
			v, err := store.LoadVersion(tx, b.first.ID)
			if err != nil {
				return err
			}
			vault, err := store.LoadVault(tx, b.vault.ID)
			if err != nil {
				return err
			}
			vault.KEKGeneration, v.KEKGeneration, v.Sealed = 2, 2, []byte("sealed anew")
			kek := &store.KEK{Owner: vault.ID, Generation: 2, Sealed: []byte("sealed KEK"), CreatedAt: late}
			return errors.Join(tx.Put(kek), tx.Reseal(vault), tx.Reseal(v))
		}, shows: func(tx store.Tx) (bool, error) {
			v, err := store.LoadVersion(tx, b.first.ID)
			if err != nil {
				return false, err
			}
			there, err := exists(tx, &store.KEK{Owner: b.vault.ID, Generation: 2})
			if there != (v.KEKGeneration == 2) {
				return false, fmt.Errorf("the version is under generation %d, and the KEK is there: %t", v.KEKGeneration, there)
			}
			return there, err
		}},
		{name: "delete", fn: func(tx store.Tx) error {
			_, err := tx.Expire(store.Expiry{}, 10)
			return errors.Join(err, tx.Delete(b.alias), tx.Record(event))
		}, shows: func(tx store.Tx) (bool, error) {
			there, err := exists(tx, &keys.Alias{Tenant: b.alias.Tenant, Region: b.alias.Region, Name: b.alias.Name})
			return !there, err
		}},
	}
}
