// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"bufio"
	"context"
	"errors"
	"io"
)

// Reader reads an archive. It belongs to one goroutine.
type Reader struct {
	header *Header
	chunks *chunkReader
	order  order
	buf    []byte
	err    error
}

// Header is what anybody may read of an archive.
type Header struct {
	Manifest
	Root       string   // the ID of the root key that the archive is under, or ""
	Recipients []string // or whom it is encrypted to
}

func (h *header) shown() *Header { return &Header{h.manifest, h.lock.Root, h.lock.Recipients} }

// ReadHeader reads the beginning of an archive. Nothing of it is authenticated.
func ReadHeader(r io.Reader) (*Header, error) {
	h, err := readHeader(bufio.NewReader(r))
	if err != nil {
		return nil, err
	}
	return h.shown(), nil
}

// NewReader reads and authenticates the beginning of an archive. Whoever called it calls Wipe in
// the end. The errors of it and of Next are [ErrFormat], [ErrNewer], [ErrKey], [ErrDamaged], and
// what r says.
func NewReader(ctx context.Context, r io.Reader, o Opener) (*Reader, error) {
	in := bufio.NewReaderSize(r, boxSize+1)
	h, err := readHeader(in)
	if err != nil {
		return nil, err
	}
	if h.manifest.Kind == KindStore {
		return nil, errStore
	}
	key, err := h.unlock(ctx, in, o)
	if err != nil {
		return nil, err
	}
	return &Reader{header: h.shown(), chunks: newChunkReader(in, key), order: order{m: &h.manifest}}, nil
}

// Header is what the archive says of itself. Its totals are certain after Next's io.EOF.
func (r *Reader) Header() *Header { return r.header }

// Next reads the next record, whose material the caller wipes. [io.EOF] says that the archive
// came to its end and that all of it was authentic and whole; before it, nothing that was read
// may have an effect that cannot be undone.
func (r *Reader) Next() (*Record, error) {
	if r.err != nil {
		return nil, r.err
	}
	rec, err := r.next()
	if err != nil {
		r.err = err
		r.Wipe()
	}
	return rec, err
}

func (r *Reader) next() (*Record, error) {
	f, err := readFrame(r.chunks, r.buf)
	if err != nil {
		return nil, err
	}
	r.buf = f.document
	rec, end, err := parse(f.document)
	secrets := Record{Material: f.material, Fingerprint: f.fingerprint}
	switch {
	case err != nil:
	case rec != nil:
		rec.Material, rec.Fingerprint = f.material, f.fingerprint
		err = r.order.admit(rec)
	case secrets.hasSecrets():
		err = errRecord
	default:
		err = r.order.end(*end)
	}
	if err != nil {
		secrets.Wipe()
		return nil, damaged("%w", err)
	}
	if rec == nil {
		return nil, r.finished()
	}
	return rec, nil
}

// finished checks that nothing follows the end.
func (r *Reader) finished() error {
	var one [1]byte
	switch _, err := io.ReadFull(r.chunks, one[:]); {
	case err == nil:
		return damaged("there is more after its end")
	case errors.Is(err, io.EOF) && !errors.Is(err, ErrDamaged):
		return io.EOF
	default:
		return err
	}
}

// Wipe forgets the archive's key and what was read.
func (r *Reader) Wipe() {
	r.chunks.wipe()
	if r.err == nil {
		r.err = errOver
	}
}
