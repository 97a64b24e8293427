// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"context"
	"io"
)

// Writer writes an archive. It belongs to one goroutine.
type Writer struct {
	chunks *chunkWriter
	order  order
}

// NewWriter begins an archive of what the manifest says, and locks it. Randomness is read from
// rand. Whoever called it calls Finish in the end, and Wipe in any case.
func NewWriter(ctx context.Context, w io.Writer, m *Manifest, l Lock, rand io.Reader) (*Writer, error) {
	if m.Kind == KindStore {
		return nil, errStore
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	key, err := writeHeader(ctx, w, m, l, rand)
	if err != nil {
		return nil, err
	}
	own := *m
	return &Writer{chunks: newChunkWriter(w, key, rand), order: order{m: &own}}, nil
}

// Write adds the next record. A record that a [Reader] would refuse there is an error.
func (w *Writer) Write(r *Record) error {
	doc, err := r.encode()
	if err != nil {
		return err
	}
	read, _, err := parse(doc)
	if err != nil {
		return err
	}
	read.Material, read.Fingerprint = r.Material, r.Fingerprint
	if err := w.order.admit(read); err != nil {
		return err
	}
	return writeFrame(w.chunks, doc, r)
}

// Finish writes the totals and the last chunk: until it returned, what was written is no archive.
func (w *Writer) Finish() error {
	if err := w.order.end(w.order.counts); err != nil {
		return err
	}
	doc, err := canonical(&document{End: &w.order.counts})
	if err != nil {
		return err
	}
	if err := writeFrame(w.chunks, doc, &Record{}); err != nil {
		return err
	}
	return w.chunks.finish()
}

// Wipe forgets the archive's key.
func (w *Writer) Wipe() { w.chunks.wipe() }
