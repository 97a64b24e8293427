// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"claviger/internal/store"
)

// PostgresOptions says which PostgreSQL database to open.
type PostgresOptions struct {
	// URL is the connection string, in either form that libpq takes
	// (https://www.postgresql.org/docs/15/libpq-connect.html#LIBPQ-CONNSTRING). Several hosts
	// are tried in turn until one accepts writing.
	URL string
	// Password, when not empty, stands in for the one that the URL does not have.
	Password string
	// Create makes the tables in a database that has none of them. Without it their absence is
	// an error that wraps [fs.ErrNotExist]; with it their presence is one that wraps [fs.ErrExist].
	Create bool
	// BatchTimeout is how long a batch of transactions may take before its connection is given
	// up; 0: 20 s.
	BatchTimeout time.Duration
	// ReopenTimeout is how long changes wait for a database that is away; 0: 10 s.
	ReopenTimeout time.Duration
	// IdleTimeout is after which silence within a transaction the database ends a connection: a
	// process that is stopped must not keep the others from writing. 0: 5 s.
	IdleTimeout time.Duration
	// StatementTimeout bounds a statement that reads; 0: 30 s.
	StatementTimeout time.Duration
	// Unfinished opens a database too that is only half filled.
	Unfinished bool
	// Schema is as in [Options].
	Schema int64
	// AcceptStale lets a node renew its lease on a database of several hosts whose commits do not
	// wait for a standby. A host that another has taken over from may then keep the lease of a
	// node that reaches no other, while it does not know what is revoked.
	AcceptStale bool
	// Log hears of what no caller is told; nil discards.
	Log *slog.Logger
}

func (o *PostgresOptions) defaults() {
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&o.BatchTimeout, 20 * time.Second},
		{&o.ReopenTimeout, 10 * time.Second},
		{&o.IdleTimeout, 5 * time.Second},
		{&o.StatementTimeout, 30 * time.Second},
	} {
		if *d.value == 0 {
			*d.value = d.fallback
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// OpenPostgres opens a store in PostgreSQL 15 or newer and brings its schema up to date. Any
// number of processes may have it open.
func OpenPostgres(ctx context.Context, o PostgresOptions) (*Store, error) {
	o.defaults()
	config, err := o.config()
	if err != nil {
		return nil, err
	}
	s, err := o.open(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open store in PostgreSQL database %s on %s: %w", config.Database, hosts(config), err)
	}
	return s, nil
}

// config is what every connection has in common.
func (o *PostgresOptions) config() (*pgx.ConnConfig, error) {
	c, err := pgx.ParseConfig(o.URL)
	if err != nil {
		return nil, fmt.Errorf("parse the URL of the PostgreSQL database: %w", err) // its text has no password
	}
	if c.Password == "" {
		c.Password = o.Password
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 5 * time.Second
	}
	if len(c.Fallbacks) > 0 && c.ValidateConnect == nil {
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	for name, value := range map[string]string{
		"application_name": "claviger", "timezone": "UTC", "client_encoding": "UTF8",
		"default_transaction_isolation":       "read committed",
		"idle_in_transaction_session_timeout": milliseconds(o.IdleTimeout),
	} {
		if _, set := c.RuntimeParams[name]; !set {
			c.RuntimeParams[name] = value
		}
	}
	c.OnNotice = func(conn *pgconn.PgConn, n *pgconn.Notice) {
		if unreplicated(n) {
			conn.CustomData()[doubt] = n.Message
		}
	}
	return c, nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// several reports whether a database is at more than one host: fallbacks are also the same host
// with other settings of TLS.
func several(c *pgx.ConnConfig) bool {
	for _, f := range c.Fallbacks {
		if f.Host != c.Host || f.Port != c.Port {
			return true
		}
	}
	return false
}

// hosts names where the database is, for people.
func hosts(c *pgx.ConnConfig) string {
	names := []string{c.Host}
	for _, f := range c.Fallbacks {
		if f.Host != names[len(names)-1] {
			names = append(names, f.Host)
		}
	}
	return strings.Join(names, ", ")
}

func (o *PostgresOptions) open(ctx context.Context, config *pgx.ConnConfig) (_ *Store, err error) {
	reading := config.Copy()
	reading.RuntimeParams["statement_timeout"] = milliseconds(o.StatementTimeout)
	writer, reader := stdlib.OpenDB(*config), stdlib.OpenDB(*reading)
	defer func() {
		if err != nil {
			err = errors.Join(err, reader.Close(), writer.Close())
		}
	}()
	if err := o.prepare(ctx, writer); err != nil {
		return nil, err
	}
	s := &Store{
		engine:  postgresEngine{limits{batch: o.BatchTimeout, reopen: o.ReopenTimeout, read: o.StatementTimeout + readGrace, shared: true}},
		release: func() error { return nil },
	}
	s.fleet = newFleet(s)
	s.fleet.strict = several(config) && !o.AcceptStale
	return s, s.run(ctx, writer, reader, o.Unfinished, o.Log)
}

// readGrace is what a server that ends a statement for its time has to say so.
const readGrace = 5 * time.Second

// prepare makes sure of a schema.
func (o *PostgresOptions) prepare(ctx context.Context, db *sql.DB) error {
	schema, err := postgresSchema()
	if err != nil {
		return err
	}
	there, err := schema.exists(ctx, db)
	switch {
	case err != nil:
		return err
	case there && o.Create:
		return fmt.Errorf("it holds claviger's tables already: %w", fs.ErrExist)
	case !there && !o.Create:
		return fmt.Errorf("it holds none of claviger's tables: %w", fs.ErrNotExist)
	}
	return migrate(ctx, db, schema, !there || o.Schema != 0, o.Schema)
}

// postgresEngine is PostgreSQL. One transaction writes at a time, over all processes: it holds
// the lock of the head's row from its beginning, so that it knows its revision and the end of
// the chain of audit events, and sees all that was committed before.
type postgresEngine struct{ limit limits }

func (e postgresEngine) begin(ctx context.Context, s *session, head *store.Head) error {
	return beginAtHead(ctx, s, head)
}

func (postgresEngine) view() string { return "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" }

// doubt is under which name a connection remembers that a commit may not be on the standby.
const doubt = "claviger: unreplicated"

// unreplicated reports whether a notice says that a commit no longer waits for its standby:
// the server then answers that it is committed, and a failover may lose it.
func unreplicated(n *pgconn.Notice) bool {
	return strings.Contains(n.Message, "canceling wait for synchronous replication") ||
		strings.Contains(n.Message, "canceling the wait for synchronous replication")
}

// commit asks the connection itself: the server answers COMMIT with ROLLBACK, and no error, where
// the transaction had failed before.
func (postgresEngine) commit(ctx context.Context, s *session) error {
	var done []*pgconn.Result
	err := s.conn.Raw(func(conn any) (err error) {
		c := conn.(*stdlib.Conn).Conn().PgConn()
		done, err = c.Exec(ctx, "COMMIT").ReadAll()
		return err
	})
	if err == nil {
		err = replicated(s)
	}
	switch e, answered := errors.AsType[*pgconn.PgError](err); {
	case answered && (strings.HasPrefix(e.Code, transactionRollback) || strings.HasPrefix(e.Code, integrityViolation)):
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", store.ErrUnknown, err)
	case len(done) != 1 || done[0].CommandTag.String() != "COMMIT":
		return errors.New("the transaction had failed before")
	}
	return nil
}

// replicated reports what the server said of a commit that it stopped waiting for.
func replicated(s *session) error {
	return s.conn.Raw(func(conn any) error {
		data := conn.(*stdlib.Conn).Conn().PgConn().CustomData()
		if said, ok := data[doubt]; ok {
			delete(data, doubt)
			return fmt.Errorf("the server says: %v", said)
		}
		return nil
	})
}

// The classes and codes of PostgreSQL's errors that matter here
// (https://www.postgresql.org/docs/15/errcodes-appendix.html).
const (
	uniqueViolation      = "23505"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	readOnlyTransaction  = "25006" // this host is a standby by now
	idleInTransaction    = "25P03"
	transactionRollback  = "40"
	integrityViolation   = "23"
	connectionException  = "08"
	operatorIntervention = "57P"
	noResources          = "53"
	diskFull             = "53100"
	systemError          = "58"
)

func (e postgresEngine) trouble(err error) error {
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case answer.Code == diskFull:
			return store.ErrFull
		case answer.Code == readOnlyTransaction:
			return store.ErrReadOnly
		case strings.HasPrefix(answer.Code, noResources), strings.HasPrefix(answer.Code, systemError):
			return store.ErrAway
		}
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok || errors.Is(err, errSlow) || errors.Is(err, errStale) || e.again(err) {
		return store.ErrAway
	}
	return nil
}

func (postgresEngine) uniqueViolation(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == uniqueViolation
}

func (postgresEngine) abortsOnError() bool { return true }

// ended: a savepoint outlives every error but the connection's end.
func (postgresEngine) ended(error) bool { return false }

// again: what a server refuses for another transaction's sake, or because it is going away, had
// no effect; nor had a batch whose connection broke, since it was not committed yet. A commit
// that gets no answer is in doubt.
func (postgresEngine) again(err error) bool {
	if err == nil || errors.Is(err, store.ErrUnknown) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch e.Code {
		case serializationFailure, deadlockDetected, readOnlyTransaction, idleInTransaction:
			return true
		}
		return strings.HasPrefix(e.Code, connectionException) || strings.HasPrefix(e.Code, operatorIntervention)
	}
	_, network := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return network || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func (e postgresEngine) limits() limits { return e.limit }

func (postgresEngine) catalog() string { return postgresCatalog }

func (postgresEngine) fill(ctx context.Context, s *session, t *catalogued, rows [][]any) error {
	return s.conn.Raw(func(conn any) error {
		_, err := conn.(*stdlib.Conn).Conn().CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, pgx.CopyFromRows(rows))
		return err
	})
}

func (postgresEngine) empty(ctx context.Context, s *session, tables []*catalogued) error {
	names := make([]string, len(tables))
	for i, t := range tables {
		names[i] = t.name
	}
	_, err := s.exec(ctx, "TRUNCATE "+strings.Join(names, ", "))
	return err
}

// scrub has nothing to do: what is left of erased rows in dead tuples, the log and backups
// becomes unreadable when the keys that sealed it are replaced.
func (postgresEngine) scrub(ctx context.Context, s *Store) error {
	r := newRequest(ctx)
	r.alone = func(*session) error { return nil }
	return s.submit(ctx, r).err
}
