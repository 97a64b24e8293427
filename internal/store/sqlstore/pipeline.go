// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"claviger/internal/store"
)

// On PostgreSQL each statement that is waited for costs a round trip. What a swift batch changes
// it puts off, and sends all of it at once: before it reads something that it does not remember,
// and before it commits. Each change says how many rows it must make. One that makes others, or is
// refused, has the batch run carefully, where every outcome is seen at once.

// pipeline is what a session has put off.
type pipeline struct {
	statements pgx.Batch
	rows       []int64 // that each must change
}

// putOff adds a statement that must change n rows.
func (s *session) putOff(n int64, text string, args []any) error {
	args, err := s.plain(args)
	if err != nil {
		return err
	}
	if s.pipeline == nil {
		s.pipeline = &pipeline{}
	}
	s.pipeline.statements.Queue(text, args...)
	s.pipeline.rows = append(s.pipeline.rows, n)
	return nil
}

// flush sends what was put off.
func (s *session) flush(ctx context.Context) error {
	p := s.pipeline
	if p == nil {
		return nil
	}
	s.pipeline = nil
	return s.conn.Raw(func(conn any) (err error) {
		results := conn.(*stdlib.Conn).Conn().SendBatch(ctx, &p.statements)
		defer func() { err = errors.Join(err, results.Close()) }()
		for _, want := range p.rows {
			tag, err := results.Exec()
			if err != nil {
				return err
			}
			if tag.RowsAffected() != want {
				return errCareful
			}
		}
		return nil
	})
}

// flush sends what t's session has put off.
func (t *tx) flush() error {
	err := t.session.flush(t.ctx)
	if err != nil && t.broken == nil {
		if t.broken = err; !t.engine.again(err) && t.ctx.Err() == nil {
			t.broken = errCareful
		}
	}
	return err
}

// change runs a statement that must change n rows, now or, where it can be put off, later, and
// answers how many it did change.
func (t *tx) change(n int64, text string, args ...any) (int64, error) {
	if !t.putsOff() {
		return t.exec(text, args...)
	}
	if err := t.usable(); err != nil {
		return 0, err
	}
	t.wrote = true
	return n, t.check(t.session.putOff(n, text, args))
}

// putsOff reports whether changes are put off.
func (t *tx) putsOff() bool { return t.batch != nil && t.session.convert }

const placeHead = "UPDATE feed_head SET rev = $1, events = $2, event_hash = $3 WHERE one = 1 AND rev = $4"

// beginAtHead begins a transaction that holds the lock of the head's row, in one round trip.
func beginAtHead(ctx context.Context, s *session, head *store.Head) error {
	return s.conn.Raw(func(conn any) (err error) {
		var b pgx.Batch
		b.Queue("BEGIN")
		b.Queue(readHead + " FOR UPDATE")
		results := conn.(*stdlib.Conn).Conn().SendBatch(ctx, &b)
		defer func() { err = errors.Join(err, results.Close()) }()
		if _, err := results.Exec(); err != nil {
			return err
		}
		return results.QueryRow().Scan(&head.Revision, &head.Events, (*hashCol)(&head.Hash))
	})
}
