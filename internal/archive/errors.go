// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"errors"
	"fmt"
	"io"
)

// Why an archive is refused. Errors of the reader that it comes from are none of these.
var (
	ErrFormat  = errors.New("not an archive of claviger")
	ErrNewer   = errors.New("the archive was written by a newer release")
	ErrKey     = errors.New("the archive is encrypted to somebody else")
	ErrDamaged = errors.New("the archive is damaged")
)

// errStore is of what takes the backups of keys and vaults only.
var errStore = fmt.Errorf("%w: it is of a whole store, which is restored with \"claviger backup restore\"", ErrFormat)

// IsRefusal reports whether err is about the archive's own bytes.
func IsRefusal(err error) bool {
	return errors.Is(err, ErrFormat) || errors.Is(err, ErrNewer) || errors.Is(err, ErrKey) || errors.Is(err, ErrDamaged)
}

func damaged(form string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrDamaged, fmt.Errorf(form, args...))
}

// readError is an error of the source: one that ends early is a truncated archive.
func readError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged("it ends too early")
	}
	return fmt.Errorf("read archive: %w", err)
}
