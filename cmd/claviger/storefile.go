// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"claviger/internal/kms"
)

// storeFiles makes the files of backups of the whole store, in a directory that is made if need be.
func storeFiles(dir string) func(at time.Time) (kms.StoreFile, error) {
	return func(at time.Time) (kms.StoreFile, error) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make the directory of backups: %w", err)
		}
		return newStoreFile(filepath.Join(dir, "store-"+at.UTC().Format("20060102T150405.000000Z")+".claviger"))
	}
}

// storeFile is a file that has its name once it is whole.
type storeFile struct {
	*bufio.Writer
	f    *os.File
	name string
}

// newStoreFile begins a file. One that is there is not replaced.
func newStoreFile(name string) (*storeFile, error) {
	if exists(name) {
		return nil, fmt.Errorf("there is a file %s already", name)
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("make the file of the backup: %w", err)
	}
	return &storeFile{Writer: bufio.NewWriterSize(f, 1<<20), f: f, name: name}, nil
}

// Commit implements [kms.StoreFile].
func (s *storeFile) Commit() (string, error) {
	err := errors.Join(s.Flush(), s.f.Sync(), s.f.Close())
	if err == nil {
		err = os.Link(s.f.Name(), s.name) // unlike a rename it replaces nothing
	}
	if err == nil {
		err = syncDirectory(filepath.Dir(s.name))
	}
	if err != nil {
		return "", fmt.Errorf("write the backup: %w", err)
	}
	return s.name, nil
}

// Abort implements [kms.StoreFile]. After Commit only the file's first name goes.
func (s *storeFile) Abort() error {
	_ = s.f.Close() // it may be closed
	if err := os.Remove(s.f.Name()); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
