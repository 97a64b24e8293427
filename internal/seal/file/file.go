// SPDX-License-Identifier: Apache-2.0

// Package file is the seal whose root key lies in a file: for development and for sites without
// a hardware module. Whoever can read the file and the database can open every key, so the file
// must be readable by the server's user alone and be backed up apart from the database.
//
// The file is never changed once written, never overwritten, and never created by [Open].
package file

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"claviger/internal/seal"
)

// Create writes a new root key, read from rand, to path with mode 0600, and returns once the
// file and its directory entry are on disk. An existing file is never touched: the error then
// wraps [fs.ErrExist].
func Create(path string, rand io.Reader) error {
	root, err := seal.NewKey(rand)
	if err != nil {
		return fmt.Errorf("create root key: %w", err)
	}
	defer root.Wipe()
	text := render(root)
	defer clear(text)

	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("create root key: %w; it is kept as it is, since overwriting a root key loses all that it sealed", err)
	}
	if err != nil {
		return fmt.Errorf("create root key: %w", err)
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		// Nothing was sealed under it yet, and a half-written file would block the next try.
		return fmt.Errorf("create root key: %w", errors.Join(err, os.Remove(path)))
	}
	return nil
}

// Open reads the root key at path. It refuses a file that anybody but its owner may read, and
// every file that is not byte for byte as [Create] wrote it. A missing file is an error that
// wraps [fs.ErrNotExist]. Nonces are read from rand, which must be cryptographically secure.
func Open(path string, rand io.Reader) (seal.Seal, error) {
	text, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("open root key: %w", err)
	}
	defer clear(text)
	root, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("open root key %s: %w", path, err)
	}
	return seal.NewLocal(root, rand)
}

// read gives the contents, at most one byte more than a root key file has. The checks are made
// on the opened file, so that it cannot be exchanged in between.
func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; restore it from its backup, or run claviger init for a new and empty database", err)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return nil, fmt.Errorf("%s has mode %04o and is open to other users: run chmod 600 on it, "+
			"and consider the root key known to them", path, perm)
	}
	text := make([]byte, fileSize+1)
	n, err := io.ReadFull(f, text)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		clear(text)
		return nil, err
	}
	return text[:n], nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
