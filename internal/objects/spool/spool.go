// SPDX-License-Identifier: Apache-2.0

// Package spool keeps what is too large for memory in temporary files of one directory: uploads
// until they are verified, backups until they are stored. All files together have a bound. Nobody
// else can open one, and none outlives the process by more than its next start.
package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"claviger/internal/objects"
)

// prefix begins the names of the files.
const prefix = "spool-"

// Dir is a directory of temporary files.
type Dir struct {
	path  string
	total int64

	mu   sync.Mutex
	used int64 // guarded by mu; bytes of all files
}

// Open takes a directory, and makes it and what it lies in if they are not there: nothing in it
// outlives a process. What an earlier process has left in it is removed. total bounds all files together, in bytes.
func Open(path string, total int64) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make directory of temporary files: %w", err)
	}
	entries, err := os.ReadDir(path)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			err = errors.Join(err, os.Remove(filepath.Join(path, e.Name())))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open directory of temporary files: %w", err)
	}
	return &Dir{path: path, total: total}, nil
}

// Used is how many bytes the files have.
func (d *Dir) Used() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used
}

// take reserves n more bytes, or gives them back where n is negative.
func (d *Dir) take(n int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n > 0 && d.used+n > d.total {
		return objects.ErrFull
	}
	d.used += n
	return nil
}

// New implements [objects.Spool].
func (d *Dir) New(most int64) (objects.File, error) {
	f, err := os.CreateTemp(d.path, prefix+"*") // of mode 0600
	if err != nil {
		return nil, fmt.Errorf("make temporary file: %w", err)
	}
	out := &file{f: f, dir: d, most: most}
	// Where the system lets go of a name at once, a process that is killed leaves nothing behind.
	out.named = os.Remove(f.Name()) != nil
	return out, nil
}

// file is one temporary file. Nothing of the system's file shows but what goes through the bounds.
type file struct {
	f     *os.File
	dir   *Dir
	most  int64
	size  int64
	named bool // it has its name still
	over  bool
}

// Size implements [objects.File].
func (f *file) Size() int64 { return f.size }

// Read implements [io.Reader].
func (f *file) Read(p []byte) (int, error) { return f.f.Read(p) }

// Seek implements [io.Seeker].
func (f *file) Seek(offset int64, whence int) (int64, error) { return f.f.Seek(offset, whence) }

// Write implements [io.Writer]. What is written is counted, also over what was written before.
func (f *file) Write(p []byte) (int, error) {
	n := int64(len(p))
	if f.size+n > f.most {
		return 0, objects.ErrTooLarge
	}
	if err := f.dir.take(n); err != nil {
		return 0, err
	}
	f.size += n
	return f.f.Write(p)
}

// Close implements [objects.File]. Calling it twice is harmless.
func (f *file) Close() error {
	if f.over {
		return nil
	}
	f.over = true
	err := f.f.Close()
	if f.named {
		err = errors.Join(err, os.Remove(f.f.Name()))
	}
	return errors.Join(err, f.dir.take(-f.size))
}
