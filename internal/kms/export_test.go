// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"time"

	"claviger/internal/keys"
	"claviger/internal/objects"
	"claviger/internal/store"
)

// ParkLoads runs f between the read and the insert of every load of a key of this id.
func (s *Service) ParkLoads(id keys.ID, f func()) { s.ParkLoadsOf(keys.TypeKey, id, f) }

// ParkLoadsOf is ParkLoads for records of any type; the zero id is every record of the type.
func (s *Service) ParkLoadsOf(t keys.Type, id keys.ID, f func()) {
	s.ring.beforeInsert = func(k ringKey) {
		if typeOf(k.kind) == t && (k.id == id || id.IsZero()) {
			f()
		}
	}
}

func typeOf(k ringKind) keys.Type {
	switch k {
	case ofVault:
		return keys.TypeVault
	case ofKey:
		return keys.TypeKey
	case ofVersion:
		return keys.TypeVersion
	case ofAlias:
		return keys.TypeAlias
	case ofAccessKey, ofRSAKey:
		return keys.TypeCredential
	case ofSession, ofKeySession:
		return keys.TypeSession
	case ofExternal, ofLasting:
	}
	return "no record"
}

// Remembers reports whether the keyring has a snapshot of a record.
func (s *Service) Remembers(t keys.Type, id keys.ID) bool { return s.remembered(t, id) != nil }

// RemembersMaterial reports whether the keyring has a version's material opened.
func (s *Service) RemembersMaterial(version keys.ID) bool {
	e := s.remembered(keys.TypeVersion, version)
	return e != nil && e.value.(*versionSnapshot).material.Load() != nil
}

func (s *Service) remembered(t keys.Type, id keys.ID) *entry {
	kind, _ := recordKind(t)
	s.ring.mu.RLock()
	defer s.ring.mu.RUnlock()
	return s.ring.entries[ringKey{kind: kind, id: id}]
}

// ReadImportToken parses the content of an import token and renders it again.
func ReadImportToken(b []byte) ([]byte, error) {
	t, err := parseImportToken(b)
	if err != nil {
		return nil, err
	}
	return t.append(nil), nil
}

// EncodeCursor makes the cursor of a list.
func (s *Service) EncodeCursor(list string, mark store.Mark, ordinal int) string {
	return s.encodeCursor(list, cursor{mark, ordinal})
}

// DecodeCursor reads a cursor; "" is none.
func (s *Service) DecodeCursor(list, text string) (mark store.Mark, ordinal int, err error) {
	c, err := s.decodeCursor(list, text)
	if c == nil {
		return store.Mark{}, 0, err
	}
	return c.mark, c.ordinal, err
}

// ReadClock parses a stored clock and renders it again.
func ReadClock(text string) (string, error) {
	p, err := parseClockPoint(text)
	if err != nil {
		return "", err
	}
	return p.String(), nil
}

// Run is the work of DoWork, which tells the progress of its parts.
type Run func(ctx context.Context, part func(from, to int) Progress) error

// DoWork is an operation on a vault whose work goes on after its answer: run, and done with the
// end of the work request.
func (s *Service) DoWork(ctx context.Context, c *Call, vault keys.ID, run Run, done func() error) (*Working, error) {
	t := task{run: func(ctx context.Context, _ *Call, j *job) error { return run(ctx, j.part) }}
	if done != nil {
		t.done = func(*mutation, *keys.WorkRequest) error { return done() }
	}
	return s.doWork(ctx, c, keys.UpdateVault, nil, func(m *mutation, w *keys.WorkRequest) (*Working, error) {
		v, _, err := m.vault(VaultRef{ID: vault}, keys.UpdateVault)
		if err != nil {
			return nil, err
		}
		affected := keys.WorkResource{Type: keys.TypeVault, ID: v.ID, Vault: v.ID, Region: v.Region, Effect: keys.WorkUpdated}
		w, err = m.acceptWork(w, v, v.Compartment, affected)
		return &Working{Vault: viewVault(v, m.now), Work: w}, err
	}, t)
}

// FinishedWork is an operation on a vault whose work is done with its answer.
func (s *Service) FinishedWork(ctx context.Context, c *Call, vault keys.ID) (*Working, error) {
	w, err := s.newWork(keys.UpdateVault)
	if err != nil {
		return nil, err
	}
	return do(ctx, s, c, keys.UpdateVault, nil, func(m *mutation) (*Working, error) {
		v, _, err := m.vault(VaultRef{ID: vault}, keys.UpdateVault)
		if err != nil {
			return nil, err
		}
		done, err := m.finishedWork(w, v, v.Compartment)
		return &Working{Vault: viewVault(v, m.now), Work: done}, err
	})
}

// StageRows makes the transactions of restores so large.
func (s *Service) StageRows(n int) { s.stageRows = n }

// SetObjects exchanges the object storage.
func (s *Service) SetObjects(o *objects.Storage) { s.objects = o }

// HoldRenewals runs f while the node renews nothing.
func (s *Service) HoldRenewals(f func()) {
	s.fleet.mu.Lock()
	defer s.fleet.mu.Unlock()
	f()
}

// SilentNode is a node that has followed nothing yet.
func SilentNode(id keys.ID, lease time.Duration) store.Node {
	return store.Node{ID: id, Name: "silent", StartedAt: time.Unix(1, 0), RenewedAt: time.Unix(1, 0), Renewals: 1, Lease: lease}
}

// Sweeping reports whether a sweep is kept from beginning.
func (s *Service) Sweeping() bool {
	if s.sweeping.TryLock() {
		s.sweeping.Unlock()
		return false
	}
	return true
}

// ResealRows sets how many rows one transaction of a reseal seals anew.
func (s *Service) ResealRows(n int) { s.resealRows = n }

// Working reports whether a job is under way.
func (s *Service) Working() bool {
	s.jobs.mu.Lock()
	defer s.jobs.mu.Unlock()
	return len(s.jobs.running) > 0
}

// OpensVersion opens a version's material.
func (s *Service) OpensVersion(ctx context.Context, version keys.ID) error {
	k, err := s.loadMaterial(ctx, version)
	if err == nil {
		k.Wipe()
	}
	return err
}

// OpensRow opens the material in a version's row.
func (s *Service) OpensRow(ctx context.Context, v *keys.Version) error {
	opened, err := s.openMaterial(ctx, v)
	opened.Wipe()
	return err
}

// HoldReading runs f while the node reads no changes of others, unless a call reads the store.
func (s *Service) HoldReading(f func()) {
	s.fleet.trail.reading.Lock()
	defer s.fleet.trail.reading.Unlock()
	f()
}
