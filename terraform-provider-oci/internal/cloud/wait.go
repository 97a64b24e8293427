// SPDX-License-Identifier: Apache-2.0

package cloud

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Pauses between looks at a state: they double from the first to the longest, so that a local server
// is waited for in milliseconds and a far one is not bothered.
const (
	firstLook   = 50 * time.Millisecond
	longestLook = 5 * time.Second
	// How long what was just made may be unknown to a service that spreads its changes.
	unknownFor = time.Minute
)

// Wait says what is waited for.
type Wait struct {
	Until []string // states that end it
	While []string // states on the way; any other is an error
	New   bool     // it was just made: for a while the service may not know it yet
}

// Await looks at a thing until its state is one of w.Until, and returns the last look. What was known
// before, if it is not nil, saves the first look. The context bounds the wait.
func Await[T any](ctx context.Context, c *Cloud, w Wait, known *T, look func(context.Context) (T, error), state func(T) string) (T, error) {
	began, pause := c.Now(), firstLook
	var seen T
	for first := true; ; first = false {
		var err error
		if first && known != nil {
			seen = *known
		} else {
			seen, err = look(ctx)
		}
		switch {
		case err == nil && slices.Contains(w.Until, state(seen)):
			return seen, nil
		case err == nil && !slices.Contains(w.While, state(seen)):
			return seen, fmt.Errorf("its state became %s instead of %s: something else changes it", state(seen), w.Until[0])
		case err != nil && !(w.New && Missing(err) && c.Now().Sub(began) < unknownFor):
			return seen, err
		}
		if c.Pause(ctx, pause) != nil {
			return seen, fmt.Errorf("its state is still %s, not %s: apply again, or raise its timeouts", state(seen), w.Until[0])
		}
		pause = min(2*pause, longestLook)
	}
}
