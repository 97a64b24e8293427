// SPDX-License-Identifier: Apache-2.0

package kms

import "claviger/internal/keys"

// ParkLoads runs f between the read and the insert of every load of a key of this id.
func (s *Service) ParkLoads(id keys.ID, f func()) {
	s.ring.beforeInsert = func(k ringKey) {
		if k.kind == keys.TypeKey && k.id == id {
			f()
		}
	}
}
