// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"claviger/internal/keys"
	"claviger/internal/store"
)

// ParkLoads runs f between the read and the insert of every load of a key of this id.
func (s *Service) ParkLoads(id keys.ID, f func()) { s.ParkLoadsOf(keys.TypeKey, id, f) }

// ParkLoadsOf is ParkLoads for records of any type; the zero id is every record of the type.
func (s *Service) ParkLoadsOf(t keys.Type, id keys.ID, f func()) {
	s.ring.beforeInsert = func(k ringKey) {
		if k.kind == t && (k.id == id || id.IsZero()) {
			f()
		}
	}
}

// Remembers reports whether the keyring has a snapshot of a record; of its opened material, if
// t is "material".
func (s *Service) Remembers(t keys.Type, id keys.ID) bool {
	s.ring.mu.RLock()
	defer s.ring.mu.RUnlock()
	return s.ring.entries[ringKey{kind: t, id: id}] != nil
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
