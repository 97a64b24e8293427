// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"modernc.org/sqlite"

	"claviger/internal/store"
)

// Options says which SQLite database to open. Exactly one of Dir and Memory is set.
type Options struct {
	// Dir is the data directory, which this process owns until the store is closed.
	Dir string
	// Memory keeps everything in memory, for as long as the store is open.
	Memory bool
	// Create makes a new database in Dir, and Dir itself if need be. Without it a missing
	// database is an error that wraps [fs.ErrNotExist]: one that is silently created in the
	// wrong place is how keys get lost. With it an existing one is an error that wraps
	// [fs.ErrExist].
	Create bool
	// Log hears of what no caller is told; nil discards.
	Log *slog.Logger

	// Unfinished opens a database too that is only half filled.
	Unfinished bool
	// Schema, when not 0, is up to which migration the database is brought, and no further: to fill
	// it with what an older release wrote. Opened again, it is brought up to date.
	Schema int64

	connect func(dsn string) (driver.Connector, error) // for tests of faults; nil is the driver's own
}

// ErrOwned says that another process has the database open.
var ErrOwned = errors.New("a data directory has one owner")

// The files in a data directory. SQLite adds -wal and -shm to the database's name.
const (
	databaseName = "claviger.db"
	lockName     = "claviger.lock"
)

// OpenSQLite opens a store in SQLite and brings its schema up to date.
func OpenSQLite(ctx context.Context, o Options) (*Store, error) {
	if o.Memory == (o.Dir != "") {
		return nil, errors.New("open store: say either a directory or memory")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.connect == nil {
		o.connect = sqlite.NewConnector
	}
	if o.Memory {
		return openMemory(ctx, &o)
	}
	s, err := openFile(ctx, &o)
	if err != nil {
		return nil, fmt.Errorf("open store in %s: %w", o.Dir, err)
	}
	return s, nil
}

func openMemory(ctx context.Context, o *Options) (*Store, error) {
	s := &Store{engine: sqliteEngine{}, shared: new(sync.RWMutex)}
	// The name is this process's alone, and free again once the store is.
	location := fmt.Sprintf("file:/claviger-%p?vfs=memdb", s)
	err := s.start(ctx, o, dsn(location, "journal_mode(MEMORY)", "foreign_keys(ON)"), dsn(location, "query_only(ON)"))
	if err != nil {
		return nil, fmt.Errorf("open store in memory: %w", err)
	}
	return s, nil
}

func openFile(ctx context.Context, o *Options) (_ *Store, err error) {
	if o.Create {
		if err := errors.Join(os.MkdirAll(o.Dir, 0o700), syncDir(filepath.Dir(filepath.Clean(o.Dir)))); err != nil {
			return nil, err
		}
	}
	unlock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, unlock())
		}
	}()
	name := filepath.Join(o.Dir, databaseName)
	switch _, err := os.Stat(name); {
	case err == nil && o.Create:
		return nil, fmt.Errorf("there is a database already: %w", fs.ErrExist)
	case errors.Is(err, fs.ErrNotExist) && o.Create:
		if err := create(ctx, o, name); err != nil {
			return nil, err
		}
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no database: %w", fs.ErrNotExist)
	case err != nil:
		return nil, err
	}
	s := &Store{engine: sqliteEngine{files: true}, release: unlock}
	if err := s.start(ctx, o, writeDSN(name), dsn(location(name)+"?mode=ro", "query_only(ON)")); err != nil {
		return nil, err
	}
	return s, nil
}

// create makes a database under another name first, so that a crash leaves either none or a
// whole one.
func create(ctx context.Context, o *Options, name string) error {
	unfinished := name + ".new"
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(unfinished + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	f, err := os.OpenFile(unfinished, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	db, err := o.open(writeDSN(unfinished))
	if err != nil {
		return err
	}
	// Closing the last connection writes the log into the database and removes it.
	if err := errors.Join(migrate(ctx, db, sqliteSchema(), true, o.Schema), db.Close()); err != nil {
		return err
	}
	if err := os.Rename(unfinished, name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

// syncDir makes durable what was made or renamed in a directory.
func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// start connects, migrates and starts the committer.
func (s *Store) start(ctx context.Context, o *Options, write, read string) (err error) {
	writer, err := o.open(write)
	if err != nil {
		return err
	}
	reader, err := o.open(read)
	if err != nil {
		return errors.Join(err, writer.Close())
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, reader.Close(), writer.Close())
		}
	}()
	if s.shared != nil { // a database in memory lives as long as a connection to it
		anchor, err := writer.Conn(ctx)
		if err != nil {
			return err
		}
		s.release = anchor.Close
	}
	if err := migrate(ctx, writer, sqliteSchema(), s.shared != nil || o.Schema != 0, o.Schema); err != nil {
		return err
	}
	return s.run(ctx, writer, reader, o.Unfinished, o.Log)
}

// run starts the committer of a store whose schema is up to date.
func (s *Store) run(ctx context.Context, writer, reader *sql.DB, halves bool, log *slog.Logger) error {
	s.views = newPool(reader, max(4, 2*runtime.GOMAXPROCS(0)), s.engine.limits().read)
	s.committer = &committer{
		db: writer, engine: s.engine, log: log, queue: newQueue(), stopped: make(chan struct{}),
		herald: &herald{shared: s.engine.limits().shared}, exclude: func() func() { return func() {} },
	}
	if s.shared != nil {
		s.committer.exclude = func() func() { s.shared.Lock(); return s.shared.Unlock }
	}
	if err := s.committer.open(ctx); err != nil {
		return err
	}
	if !halves {
		if err := whole(ctx, s.committer.session); err != nil {
			s.committer.abandon()
			return err
		}
	}
	s.committer.herald.begin(s.committer.head.Revision)
	go s.committer.run()
	return nil
}

func (o *Options) open(dsn string) (*sql.DB, error) {
	c, err := o.connect(dsn)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(c), nil
}

// writeDSN is for connections that write. A commit returns once its part of the log is on the
// disk, and freed pages are overwritten. Temporary files would hold sealed bytes: there are none.
func writeDSN(name string) string {
	return dsn(location(name)+"?mode=rw", "journal_mode(WAL)", "synchronous(FULL)", "secure_delete(ON)",
		"foreign_keys(ON)", "cache_size(-16000)", "wal_autocheckpoint(4000)")
}

// dsn adds what every connection has. Pragmas are part of it, so that none can be forgotten.
func dsn(location string, pragmas ...string) string {
	var b strings.Builder
	b.WriteString(location)
	for _, p := range append(pragmas, "busy_timeout(5000)", "temp_store(MEMORY)", "trusted_schema(OFF)") {
		b.WriteString("&_pragma=" + p)
	}
	b.WriteString("&_dqs=0&_defensive=1&_error_rc=1")
	return b.String()
}

// location is a file's name as SQLite's URI.
func location(name string) string {
	return "file:" + strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(filepath.ToSlash(name))
}

type sqliteEngine struct{ files bool }

// begin takes the write lock at once, so that a batch cannot fail halfway for want of it. Nobody
// else moves the head.
func (sqliteEngine) begin(ctx context.Context, s *session, _ *store.Head) error {
	_, err := s.exec(ctx, "BEGIN IMMEDIATE")
	return err
}

func (sqliteEngine) view() string { return "BEGIN" }

func (sqliteEngine) commit(ctx context.Context, s *session) error {
	if _, err := s.exec(ctx, "COMMIT"); err != nil {
		// Nothing tells whether it reached the disk before it failed.
		return fmt.Errorf("%w: %w", store.ErrUnknown, err)
	}
	return nil
}

func (sqliteEngine) abortsOnError() bool { return false }

// ended: SQLite may undo the whole transaction by itself
// (https://sqlite.org/lang_transaction.html#response_to_errors_within_a_transaction), and what comes
// next would stand outside of it.
func (sqliteEngine) ended(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && slices.Contains([]int{noMemory, interrupted, inputOutput, full}, e.Code()&0xff)
}

// again: the write lock is held from the beginning on, so nothing fails for another's sake.
func (sqliteEngine) again(error) bool { return false }

func (sqliteEngine) limits() limits { return limits{} }

func (sqliteEngine) catalog() string { return sqliteCatalog }

// maxParameters is how many arguments a statement has at most.
const maxParameters = 900

func (sqliteEngine) fill(ctx context.Context, s *session, t *catalogued, rows [][]any) error {
	most := max(1, maxParameters/len(t.columns))
	for len(rows) > 0 {
		n := min(most, len(rows))
		values, args := make([]string, n), make([]any, 0, n*len(t.columns))
		for i, row := range rows[:n] {
			values[i] = "(" + placeholders(len(args)+1, len(row)) + ")"
			args = append(args, row...)
		}
		text := fmt.Sprintf("INSERT INTO %s (%s) VALUES %s", t.name, strings.Join(t.columns, ", "), strings.Join(values, ", "))
		if _, err := s.exec(ctx, text, args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

func (sqliteEngine) empty(ctx context.Context, s *session, tables []*catalogued) error {
	for _, t := range slices.Backward(tables) {
		if _, err := s.exec(ctx, "DELETE FROM "+t.name); err != nil {
			return err
		}
	}
	return nil
}

// The result codes of SQLite (https://sqlite.org/rescode.html): extended ones for unique values,
// primary ones, which are the low byte, for what the system refuses.
const (
	constraintPrimaryKey = 1555
	constraintUnique     = 2067
	noMemory             = 7
	readOnly             = 8
	interrupted          = 9
	inputOutput          = 10
	full                 = 13
	cannotOpen           = 14
)

func (sqliteEngine) trouble(err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return nil
	}
	switch e.Code() & 0xff {
	case full:
		return store.ErrFull
	case readOnly:
		return store.ErrReadOnly
	case inputOutput, cannotOpen:
		return store.ErrAway
	}
	return nil
}

func (sqliteEngine) uniqueViolation(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code() == constraintUnique || e.Code() == constraintPrimaryKey)
}

// scrub moves the log into the database and truncates it. secure_delete has overwritten what
// was freed there; only a view that still reads the old log can stand in the way, so it is
// asked again until none does.
func (e sqliteEngine) scrub(ctx context.Context, s *Store) error {
	for {
		busy := 1
		r := newRequest(ctx)
		r.alone = func(session *session) error {
			if !e.files {
				busy = 0
				return nil
			}
			var pages, moved int
			return errors.Join(
				session.one(context.Background(), "PRAGMA busy_timeout(0)", nil, []any{new(int)}),
				session.one(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)", nil, []any{&busy, &pages, &moved}),
				session.one(context.Background(), "PRAGMA busy_timeout(5000)", nil, []any{new(int)}),
			)
		}
		if a := s.submit(ctx, r); a.err != nil {
			return fmt.Errorf("scrub: %w", a.err)
		}
		if busy == 0 {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("scrub: views hold the old log: %w", context.Cause(ctx))
		}
	}
}
