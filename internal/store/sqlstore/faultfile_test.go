// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"database/sql/driver"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"modernc.org/libc"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// diskFaults is a file layer for SQLite over its own one, that refuses as a full disk does. Each call
// that takes room, or makes sure of it, is a step, counted from 1 while it is armed: a new file, a
// write, a cut, a sync, more shared memory. It refuses to write over what is there as well: file
// systems that copy on write do.
type diskFaults struct {
	name string // as the parameter vfs of a DSN has it
	// cache replaces the size of the cache of connections that write: with a small one SQLite
	// writes while statements run, and not at the commit alone.
	cache string

	tls          *libc.TLS
	inner, outer uintptr // SQLite's own layer, and this one
	held         []any   // functions that SQLite has as numbers

	mu      sync.Mutex
	methods map[uintptr]*methods // of the inner layer's files, which are of several kinds
	files   map[uintptr]*file    // open ones
	armed   bool
	from    int  // the first step that is refused; 0: none
	width   int  // how many steps are refused from there
	torn    bool // of a write that is refused the first half is written
	steps   []string
	fired   []string
}

// methods are those of a kind of files.
type methods struct {
	own  sqlite3.Tsqlite3_io_methods
	ours uintptr // the same but for what is a step
}

// file is one that SQLite has open.
type file struct {
	*methods
	path, what string
}

type (
	openFunc     = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32
	writeFunc    = func(tls *libc.TLS, file, data uintptr, size int32, offset int64) int32
	truncateFunc = func(tls *libc.TLS, file uintptr, size int64) int32
	syncFunc     = func(tls *libc.TLS, file uintptr, flags int32) int32
	shareFunc    = func(tls *libc.TLS, file uintptr, region, length, extend int32, to uintptr) int32
)

// at is what lies at an address of SQLite's memory.
func at[T any](p uintptr) *T { return *(**T)(unsafe.Pointer(&p)) }

// number is a function as SQLite has it, which keeps nobody from collecting it.
func (f *diskFaults) number(function any) uintptr {
	f.held = append(f.held, function)
	return (*[2]uintptr)(unsafe.Pointer(&function))[1]
}

// function is what such a number stands for.
func function[F any](p uintptr) F {
	held := &struct{ uintptr }{p}
	return *(*F)(unsafe.Pointer(held))
}

// newDiskFaults registers a layer until the end of the test. What is opened on it is closed by then.
func newDiskFaults(t *testing.T) *diskFaults {
	t.Helper()
	tls := libc.NewTLS()
	f := &diskFaults{tls: tls, methods: map[uintptr]*methods{}, files: map[uintptr]*file{}}
	f.name = fmt.Sprintf("full-%p", f)
	name, err := libc.CString(f.name)
	if err != nil {
		t.Fatal(err)
	}
	f.inner = sqlite3.Xsqlite3_vfs_find(tls, 0)
	layer := *at[sqlite3.Tsqlite3_vfs](f.inner)
	layer.FzName, layer.FpNext, layer.FxOpen = name, 0, f.number(openFunc(f.open))
	f.outer = libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(layer)))
	*at[sqlite3.Tsqlite3_vfs](f.outer) = layer
	if rc := sqlite3.Xsqlite3_vfs_register(tls, f.outer, 0); rc != sqlite3.SQLITE_OK {
		t.Fatalf("register a file layer: %d", rc)
	}
	t.Cleanup(func() {
		sqlite3.Xsqlite3_vfs_unregister(tls, f.outer)
		for _, m := range f.methods {
			libc.Xfree(tls, m.ours)
		}
		libc.Xfree(tls, f.outer)
		libc.Xfree(tls, name)
		tls.Close()
	})
	return f
}

// connect is for Options.
func (f *diskFaults) connect(dsn string) (driver.Connector, error) {
	if f.cache != "" {
		dsn = strings.Replace(dsn, "cache_size(-16000)", "cache_size("+f.cache+")", 1)
	}
	return sqlite.NewConnector(dsn + "&vfs=" + f.name)
}

// arm refuses width steps from the given one on.
func (f *diskFaults) arm(from, width int, torn bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed, f.from, f.width, f.torn, f.steps, f.fired = true, from, width, torn, nil, nil
}

// disarm gives room again, and answers the steps since it was armed and those that were refused.
func (f *diskFaults) disarm() (steps, fired []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = false
	return f.steps, f.fired
}

// refused reports whether a step was.
func (f *diskFaults) refused() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.fired) > 0
}

// file is what SQLite calls by its address.
func (f *diskFaults) file(address uintptr) *file {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.files[address]
}

// refuses counts a step, and decides about it.
func (f *diskFaults) refuses(what, file string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.armed {
		return false
	}
	what += " " + file
	f.steps = append(f.steps, what)
	if n := len(f.steps); f.from == 0 || n < f.from || n >= f.from+f.width {
		return false
	}
	f.fired = append(f.fired, what)
	return true
}

// size is that of a file; -1 where there is none.
func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return -1
	}
	return info.Size()
}

func (f *diskFaults) open(tls *libc.TLS, _, name, address uintptr, flags int32, out uintptr) int32 {
	what := "database"
	if flags&sqlite3.SQLITE_OPEN_WAL != 0 {
		what = "log"
	}
	path := libc.GoString(name)
	if flags&sqlite3.SQLITE_OPEN_CREATE != 0 && size(path) < 0 && f.refuses("create", what) {
		return sqlite3.SQLITE_CANTOPEN
	}
	rc := function[openFunc](at[sqlite3.Tsqlite3_vfs](f.inner).FxOpen)(tls, f.inner, name, address, flags, out)
	if rc != sqlite3.SQLITE_OK {
		return rc
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	own := &at[sqlite3.Tsqlite3_file](address).FpMethods
	if f.methods[*own] == nil {
		f.methods[*own] = f.over(*own)
	}
	f.files[address] = &file{f.methods[*own], path, what}
	*own = f.files[address].ours
	return rc
}

// over makes the methods of a kind of files.
func (f *diskFaults) over(own uintptr) *methods {
	m := &methods{own: *at[sqlite3.Tsqlite3_io_methods](own)}
	ours := m.own
	ours.FxWrite, ours.FxTruncate = f.number(writeFunc(f.write)), f.number(truncateFunc(f.truncate))
	ours.FxSync = f.number(syncFunc(f.sync))
	if ours.FxShmMap != 0 {
		ours.FxShmMap = f.number(shareFunc(f.share))
	}
	m.ours = libc.Xmalloc(f.tls, libc.Tsize_t(unsafe.Sizeof(ours)))
	*at[sqlite3.Tsqlite3_io_methods](m.ours) = ours
	return m
}

func (f *diskFaults) write(tls *libc.TLS, address, data uintptr, size int32, offset int64) int32 {
	to := f.file(address)
	write := function[writeFunc](to.own.FxWrite)
	if !f.refuses("write", to.what) {
		return write(tls, address, data, size, offset)
	}
	if f.torn && size > 1 {
		if rc := write(tls, address, data, size/2, offset); rc != sqlite3.SQLITE_OK {
			return rc
		}
	}
	return sqlite3.SQLITE_FULL
}

func (f *diskFaults) truncate(tls *libc.TLS, address uintptr, size int64) int32 {
	of := f.file(address)
	if f.refuses("cut", of.what) {
		return sqlite3.SQLITE_IOERR_TRUNCATE
	}
	return function[truncateFunc](of.own.FxTruncate)(tls, address, size)
}

func (f *diskFaults) sync(tls *libc.TLS, address uintptr, flags int32) int32 {
	of := f.file(address)
	if f.refuses("sync", of.what) {
		return sqlite3.SQLITE_IOERR_FSYNC
	}
	return function[syncFunc](of.own.FxSync)(tls, address, flags)
}

func (f *diskFaults) share(tls *libc.TLS, address uintptr, region, length, extend int32, to uintptr) int32 {
	of := f.file(address)
	if extend != 0 && size(of.path+"-shm") < int64(region+1)*int64(length) && f.refuses("extend", "index") {
		return sqlite3.SQLITE_IOERR_SHMSIZE
	}
	return function[shareFunc](of.own.FxShmMap)(tls, address, region, length, extend, to)
}
