// SPDX-License-Identifier: Apache-2.0

package kms

import "claviger/internal/keys"

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
