// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
)

// errSlow says that a server gave no answer in time.
var errSlow = errors.New("a statement got no answer in time")

// maxStatements bounds the prepared statements of a session. Lists have one text per
// combination of filters; whatever is beyond is prepared each time.
const maxStatements = 256

// session is one connection with its prepared statements. It belongs to one goroutine at a time.
type session struct {
	conn       *sql.Conn
	convert    bool                  // arguments into the basic types, which the driver leaves to itself
	used       bool                  // was given back to a pool before
	most       time.Duration         // how long one statement is waited for; 0: as long as its context lasts
	statements map[string]*statement // by text
	inserts    map[insertion]string  // the texts of inserts of many rows
	pipeline   *pipeline             // what was put off; nil when nothing was
}

type insertion struct {
	head string
	rows int
}

// inserting is the text that inserts n rows of as many columns as head names.
func (s *session) inserting(head string, columns, n int) string {
	k := insertion{head, n}
	text := s.inserts[k]
	if text == "" {
		text = insertRows(head, columns, n)
		if s.inserts == nil {
			s.inserts = map[insertion]string{}
		}
		s.inserts[k] = text
	}
	return text
}

// statement is a prepared statement, which its session may keep.
type statement struct {
	*sql.Stmt
	kept bool
}

// release ends one use of the statement.
func (s *statement) release() {
	if !s.kept {
		s.Close()
	}
}

func newSession(ctx context.Context, db *sql.DB) (*session, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	_, pgx := db.Driver().(*stdlib.Driver)
	return &session{conn: conn, convert: pgx, statements: map[string]*statement{}}, nil
}

// bounded limits how long a statement is waited for: a server that is cut off does not even end a
// connection.
func (s *session) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.most == 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, s.most, errSlow)
}

// prepare finds or makes a statement.
func (s *session) prepare(ctx context.Context, text string) (*statement, error) {
	if st := s.statements[text]; st != nil {
		return st, nil
	}
	made, err := s.conn.PrepareContext(ctx, text)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	st := &statement{Stmt: made, kept: len(s.statements) < maxStatements}
	if st.kept {
		s.statements[text] = st
	}
	return st, nil
}

// plain converts arguments as [database/sql] does by itself for other drivers: pgx would look
// through a column type at what it is made of, and store a duration's nanoseconds.
func (s *session) plain(args []any) ([]any, error) {
	if !s.convert {
		return args, nil
	}
	out := make([]any, len(args))
	for i, arg := range args {
		v, err := driver.DefaultParameterConverter.ConvertValue(arg)
		if err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
		out[i] = v
	}
	return out, nil
}

// exec runs a statement and tells how many rows it changed.
func (s *session) exec(ctx context.Context, text string, args ...any) (int64, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	st, err := s.prepare(ctx, text)
	if err != nil {
		return 0, err
	}
	defer st.release()
	if args, err = s.plain(args); err != nil {
		return 0, err
	}
	result, err := st.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// one scans the first row of a query; [sql.ErrNoRows] when there is none.
func (s *session) one(ctx context.Context, text string, args, into []any) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	st, err := s.prepare(ctx, text)
	if err != nil {
		return err
	}
	defer st.release()
	if args, err = s.plain(args); err != nil {
		return err
	}
	return st.QueryRowContext(ctx, args...).Scan(into...)
}

// each calls scan for each row of a query.
func (s *session) each(ctx context.Context, text string, args []any, scan func(*sql.Rows) error) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	st, err := s.prepare(ctx, text)
	if err != nil {
		return err
	}
	defer st.release()
	if args, err = s.plain(args); err != nil {
		return err
	}
	rows, err := st.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// discard closes the connection for good, and with it whatever transaction is open on it.
func (s *session) discard() {
	// SQLite keeps a connection, and its locks, for as long as it has statements; those of a
	// [sql.Conn] are ours to close. Errors here are about a connection that is not used again.
	for _, st := range s.statements {
		st.Close()
	}
	_ = s.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = s.conn.Close()
}

// pool keeps sessions for reading.
type pool struct {
	db    *sql.DB
	slots chan struct{} // holds one token per session in use
	most  time.Duration // of a session's statement

	mu   sync.Mutex
	idle []*session // most recently used last
}

func newPool(db *sql.DB, size int, most time.Duration) *pool {
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	return &pool{db: db, slots: make(chan struct{}, size), most: most}
}

// take waits for a session.
func (p *pool) take(ctx context.Context) (*session, error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	p.mu.Lock()
	var s *session
	if n := len(p.idle); n > 0 {
		s, p.idle = p.idle[n-1], p.idle[:n-1]
	}
	p.mu.Unlock()
	if s != nil {
		return s, nil
	}
	s, err := newSession(ctx, p.db)
	if err != nil {
		<-p.slots
		return nil, err
	}
	s.most = p.most
	return s, nil
}

// put gives a session back; one that is not fit for use is discarded.
func (p *pool) put(s *session, fit bool) {
	if fit {
		s.used = true
		p.mu.Lock()
		p.idle = append(p.idle, s)
		p.mu.Unlock()
	} else {
		s.discard()
	}
	<-p.slots
}

// rest closes the sessions that nobody uses.
func (p *pool) rest() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, s := range idle {
		s.discard()
	}
}

// close waits for the sessions in use and closes all.
func (p *pool) close() error {
	for range cap(p.slots) {
		p.slots <- struct{}{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var all sync.WaitGroup
	for _, s := range p.idle {
		all.Go(s.discard) // takes seconds where the server is cut off
	}
	all.Wait()
	p.idle = nil
	return p.db.Close()
}
