// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"math"
	"time"

	"claviger/internal/keys"
	"claviger/internal/store"
)

// Shared reports whether other processes may serve from the same store.
func (s *Service) Shared() bool { return s.fleet != nil }

// Take takes one token out of the bucket that all nodes share for a tenant's operations of a
// class, which gets rate tokens a second and holds one second's worth. When there is none it
// answers in what time there will be one.
func (s *Service) Take(ctx context.Context, tenant keys.ID, class string, rate float64) (ok bool, wait time.Duration, err error) {
	g, err := s.store.Fleet().Take(ctx, store.Ask{Tenant: tenant, Class: class, Rate: rate, Burst: math.Max(rate, 1)})
	if err != nil {
		return false, 0, translate(err)
	}
	return g.OK, g.Wait, nil
}
