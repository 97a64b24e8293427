// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"time"

	"claviger/internal/keys"
)

// Fleet is the part of a store in which processes that share it, the nodes, learn of each other
// and of each other's changes.
type Fleet interface {
	// Renew writes me and answers every node, and how far the store had come, as one statement
	// saw them before. When it returns without an error the row is as durable as any commit, so
	// whatever answered was, until then, the database that commits are made in.
	Renew(ctx context.Context, me Node) (head int64, nodes []Node, err error)

	// Leave removes nodes.
	Leave(ctx context.Context, ids ...keys.ID) error

	// Follow tells the observer what others have committed, and answers up to which revision it
	// did, which is not less than atLeast, and what an Update would wait for: calls that hold what
	// that, or a transaction of this process since the last Follow, retired. Whoever calls it from
	// several goroutines puts the answers in order.
	Follow(ctx context.Context, atLeast int64) (revision int64, waits []func(), err error)

	// Claim remembers a nonce and reports whether it was new: of all that claim the same one, on
	// whatever node, one is told so. It is as durable then as any commit. After an error it may
	// be remembered or not.
	Claim(ctx context.Context, n Nonce) (fresh bool, err error)

	// Take asks for one token of a bucket that all nodes share. Its time is the database's.
	Take(ctx context.Context, a Ask) (Grant, error)
}

// Ask is a request for one token of a tenant's bucket for a class of operations, which holds Burst
// at most and gets Rate a second. A bucket that nobody asked of is full, and is so again after a
// crash of the database.
type Ask struct {
	Tenant      keys.ID
	Class       string
	Rate, Burst float64
}

// Grant is the answer: whether the token was there, and when there will be one otherwise.
type Grant struct {
	OK   bool
	Wait time.Duration
}

// Node is one process that serves from memory, as it shows itself to the others.
type Node struct {
	ID        keys.ID // of the process's run
	Name      string  // for people
	StartedAt time.Time
	RenewedAt time.Time     // by its own clock, for people
	Renewals  int64         // how often it has renewed: it lives while this grows
	Watermark int64         // up to which revision it has followed: no call of it goes on by anything older
	Heard     int64         // up to which it has read: no call begins there by anything older
	Lease     time.Duration // how long it serves from memory after it began a renewal
}
