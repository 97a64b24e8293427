// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"strings"
	"sync"

	"modernc.org/sqlite"
)

var errInjected = errors.New("injected fault")

// faults fails statements of the connections that write, or of those that read. Each execution
// of a prepared statement is a step, counted from 1 while it is armed.
type faults struct {
	readers bool

	mu    sync.Mutex
	armed bool
	from  int      // the first step that fails; 0: none
	width int      // how many steps fail from there
	after bool     // they are executed, and then reported as failed
	steps []string // what was executed or failed while armed
	fired []string
}

// arm fails width steps from the given one on.
func (f *faults) arm(from, width int, after bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed, f.from, f.width, f.after, f.steps, f.fired = true, from, width, after, nil, nil
}

// disarm lets everything succeed, and answers the steps since it was armed and those that failed.
func (f *faults) disarm() (steps, fired []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = false
	return f.steps, f.fired
}

// step decides about one execution.
func (f *faults) step(text string) (fail, execute bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.armed {
		return false, true
	}
	f.steps = append(f.steps, text)
	if n := len(f.steps); f.from == 0 || n < f.from || n >= f.from+f.width {
		return false, true
	}
	f.fired = append(f.fired, text)
	return true, f.after
}

// connect is for Options.
func (f *faults) connect(dsn string) (driver.Connector, error) {
	c, err := sqlite.NewConnector(dsn)
	if err != nil || strings.Contains(dsn, "query_only") != f.readers {
		return c, err
	}
	return faultConnector{c, f}, nil
}

type faultConnector struct {
	driver.Connector
	faults *faults
}

func (c faultConnector) Connect(ctx context.Context) (driver.Conn, error) {
	fail, _ := c.faults.step("connect")
	if fail {
		return nil, errInjected
	}
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return faultConn{conn.(sqliteConn), c.faults}, nil
}

// sqliteConn is what database/sql uses of the driver's connection.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
	driver.Pinger
}

// faultConn passes everything on, and its prepared statements through the faults.
type faultConn struct {
	sqliteConn
	faults *faults
}

func (c faultConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	st, err := c.sqliteConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return faultStmt{st.(sqliteStmt), c.faults, query}, nil
}

type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type faultStmt struct {
	sqliteStmt
	faults *faults
	text   string
}

func (s faultStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	fail, execute := s.faults.step(s.text)
	if !execute {
		return nil, errInjected
	}
	r, err := s.sqliteStmt.ExecContext(ctx, args)
	if fail {
		return nil, errors.Join(errInjected, err)
	}
	return r, err
}

func (s faultStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	fail, execute := s.faults.step(s.text)
	if !execute {
		return nil, errInjected
	}
	rows, err := s.sqliteStmt.QueryContext(ctx, args)
	if !fail || err != nil {
		return rows, err
	}
	for values := make([]driver.Value, len(rows.Columns())); err == nil; { // to its effect's end
		err = rows.Next(values)
	}
	if err == io.EOF { //nolint:errorlint // a driver's contract
		err = nil
	}
	return nil, errors.Join(errInjected, err, rows.Close())
}
