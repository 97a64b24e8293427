// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"sync"

	"claviger/internal/keys"
)

// busy lets one at a time work on a thing.
type busy struct {
	mu  sync.Mutex
	ids map[keys.ID]chan struct{} // guarded by mu; closed when the work on it is over
}

// enter waits for whoever works on id. Who entered calls the answered function in the end.
func (b *busy) enter(ctx context.Context, id keys.ID) (leave func(), err error) {
	for {
		b.mu.Lock()
		over := b.ids[id]
		if over == nil {
			over = make(chan struct{})
			b.ids[id] = over
			b.mu.Unlock()
			return func() {
				b.mu.Lock()
				defer b.mu.Unlock()
				delete(b.ids, id)
				close(over)
			}, nil
		}
		b.mu.Unlock()
		select {
		case <-over:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// has reports whether somebody works on id.
func (b *busy) has(id keys.ID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ids[id] != nil
}
