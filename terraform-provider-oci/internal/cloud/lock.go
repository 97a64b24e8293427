// SPDX-License-Identifier: Apache-2.0

package cloud

import (
	"context"
	"sync"
)

// locks are mutexes by name whose waiters can be cancelled.
type locks struct {
	mu   sync.Mutex
	held map[string]chan struct{} // name → closed when it is let go; mu
}

// Rotating waits until nothing else of this process rotates the key, and returns what lets the next
// one in. Terraform creates many versions of one key at once, and the service answers a rotation
// during a rotation with a conflict.
func (c *Cloud) Rotating(ctx context.Context, key string) (done func(), err error) {
	return c.rotations.acquire(ctx, key)
}

func (l *locks) acquire(ctx context.Context, name string) (func(), error) {
	for {
		l.mu.Lock()
		busy, held := l.held[name]
		if !held {
			if l.held == nil {
				l.held = map[string]chan struct{}{}
			}
			free := make(chan struct{})
			l.held[name] = free
			l.mu.Unlock()
			return func() {
				l.mu.Lock()
				delete(l.held, name)
				l.mu.Unlock()
				close(free)
			}, nil
		}
		l.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
