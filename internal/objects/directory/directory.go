// SPDX-License-Identifier: Apache-2.0

// Package directory keeps objects as files below a local directory. Every name has a file of its
// own and no name leads out of the directory; an object is there, on disk, once Put has returned,
// and after a crash it is the old one or the new one.
package directory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sync/atomic"

	"claviger/internal/objects"
)

// Store is a directory of objects.
type Store struct {
	root *os.Root
	next atomic.Int64 // tells the files apart that are being written
}

// unfinished begins the names of files that are being written; no object's name is encoded to it.
const unfinished = ".unfinished-"

// Open opens the directory, and makes it if it is not there; its parent must be.
func Open(dir string) (*Store, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make object directory: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open object directory: %w", err)
	}
	s := &Store{root: root}
	if err := s.sweep(); err != nil {
		return nil, errors.Join(fmt.Errorf("open object directory: %w", err), root.Close())
	}
	return s, nil
}

// sweep removes what a crash has left unfinished.
func (s *Store) sweep() error {
	entries, err := fs.ReadDir(s.root.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Type().IsRegular() && len(e.Name()) > len(unfinished) && e.Name()[:len(unfinished)] == unfinished {
			err = errors.Join(err, s.root.Remove(e.Name()))
		}
	}
	return err
}

// Close gives the directory back.
func (s *Store) Close() error { return s.root.Close() }

// Put implements [objects.Store].
func (s *Store) Put(ctx context.Context, n objects.Name, body io.ReadSeeker, size int64) (err error) {
	dir, file := place(n)
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read what is to be stored: %w", err)
	}
	temporary := fmt.Sprint(unfinished, s.next.Add(1))
	f, err := s.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write object: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("write object: %w", errors.Join(err, s.root.Remove(temporary)))
		}
	}()
	copied, err := io.Copy(f, io.LimitReader(&interruptible{ctx, body}, size))
	if err == nil && copied != size {
		err = io.ErrUnexpectedEOF
	}
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := s.makeDir(dir); err != nil {
		return err
	}
	if err := s.root.Rename(temporary, path.Join(dir, file)); err != nil {
		return err
	}
	return s.syncDir(dir)
}

// makeDir makes a directory with those above it, and returns once they are on disk.
func (s *Store) makeDir(dir string) error {
	if _, err := s.root.Stat(dir); err == nil {
		return nil
	}
	if err := s.root.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for dir != "." {
		dir = path.Dir(dir)
		if err := s.syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) syncDir(dir string) error {
	d, err := s.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Get implements [objects.Store].
func (s *Store) Get(_ context.Context, n objects.Name) (io.ReadCloser, int64, error) {
	dir, file := place(n)
	f, err := s.root.Open(path.Join(dir, file))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, objects.ErrNotFound
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read object: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read object: %w", errors.Join(err, f.Close()))
	}
	return f, info.Size(), nil
}

// place is the directory and the file of an object: one for each part of its name.
func place(n objects.Name) (dir, file string) {
	return path.Join(encode(n.Owner), encode(n.Namespace), encode(n.Bucket)), encode(n.Object)
}

// maxPlain is the most characters of a file's name that still shows the object's.
const maxPlain = 200

// encode turns any text into a file's name, different texts into different names, also where
// the file system does not tell upper case from lower. Lower-case letters, digits, hyphens,
// underscores and inner periods stay; every other byte becomes its number after a percent sign. What
// is too long becomes its SHA-256 with a percent sign before it, which nothing else begins with.
func encode(s string) string {
	b := make([]byte, 0, len(s)+16)
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || (c == '.' && i > 0) {
			b = append(b, c)
			continue
		}
		b = append(b, '%')
		b = hex.AppendEncode(b, []byte{c})
	}
	if len(b) > maxPlain {
		sum := sha256.Sum256([]byte(s))
		return "%sha256-" + hex.EncodeToString(sum[:])
	}
	return string(b)
}

// interruptible is a reader that ends with its context.
type interruptible struct {
	ctx  context.Context //nolint:containedctx // lives as long as one copy
	from io.Reader
}

func (r *interruptible) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.from.Read(p)
}
