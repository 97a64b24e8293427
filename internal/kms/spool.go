// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"bytes"
	"errors"
	"io"
)

// Spool holds what a backup is gathered from the store into, before it is written out: sealed
// material, and records in the clear. Close removes it.
type Spool interface {
	io.ReadWriteSeeker
	io.Closer
}

// memorySpool is a spool in memory. It is written first and then read from its beginning.
type memorySpool struct{ bytes.Buffer }

// Seek goes to the beginning, where a buffer that was only written is.
func (*memorySpool) Seek(offset int64, whence int) (int64, error) {
	if offset != 0 || whence != io.SeekStart {
		return 0, errors.New("a spool in memory only goes to its beginning")
	}
	return 0, nil
}

// Close implements [io.Closer].
func (s *memorySpool) Close() error {
	s.Reset()
	return nil
}
