// SPDX-License-Identifier: Apache-2.0

package dialect

import (
	"context"
	"time"
)

const (
	// smallBody is a body for which no room is taken: the connections bound how many there are.
	smallBody = 16 << 10
	// bodyWait is how long a request waits for room for its body.
	bodyWait = 5 * time.Second
)

// takeRoom waits for room for a body, which is about to be read before its caller is known. No source
// holds more than it leaves to all others. [Exchange.giveRoom] gives it back.
func (x *Exchange) takeRoom(ctx context.Context, most int64) error {
	n := x.Request.ContentLength
	if n < 0 {
		n = most // in chunks, it does not say how much comes
	}
	v := &x.guarded
	g := v.guard
	if n <= smallBody || n > most || g == nil || g.bodies.size == 0 { // what is too large is not read at all
		return nil
	}
	ctx, cancel := g.cfg.Within(ctx, bodyWait)
	defer cancel()
	if err := g.bodies.enter(ctx, v.stranger(), n); err != nil {
		x.unread, v.denied = true, true
		g.crowded.Add(1)
		return throttledSource(time.Second, "the bodies of too many requests are on their way whose callers are not known yet: send this one again; "+
			"what has at most 16 KiB and says so in Content-Length does not wait")
	}
	v.room = n
	return nil
}

// giveRoom gives back what the exchange holds, if anything.
func (x *Exchange) giveRoom() {
	if v := &x.guarded; v.room > 0 {
		v.guard.bodies.leave(v.stranger(), v.room)
		v.room = 0
	}
}
