// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"claviger/internal/secret"
)

// StoreBegin is what the archive of a whole store begins with: what its rows are of. docs/formats.md
// says how the rows follow.
type StoreBegin struct {
	Schema   int64        `json:"schema"`
	Revision int64        `json:"revision"`
	Events   int64        `json:"events"`
	Hash     []byte       `json:"hash"`
	Tables   []StoreTable `json:"tables"`
	System   []StoreKEK   `json:"system"`
}

// StoreTable is one table of a store.
type StoreTable struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
	Rows    int      `json:"rows"`
}

// StoreKEK is a KEK of the system: what the root key sealed, opened.
type StoreKEK struct {
	Generation int          `json:"generation"`
	CreatedAt  time.Time    `json:"createdAt"`
	Key        secret.Bytes `json:"-"`
}

// Wipe forgets the KEKs.
func (b *StoreBegin) Wipe() {
	for _, k := range b.System {
		k.Key.Wipe()
	}
}

// The kinds of frames in the archive of a store, each after its length in 4 bytes, big-endian.
const (
	frameBegin = 1 // a document
	frameKEK   = 2 // one for each of the document's, in its order
	frameRow   = 3 // the table's number and the values
	frameEnd   = 4

	maxFrame = 64 << 20
)

// The kinds of values in a row.
const (
	valueNull = 0
	valueInt  = 1
	valueText = 2
	valueBlob = 3
)

// StoreWriter writes the archive of a whole store. It belongs to one goroutine.
type StoreWriter struct {
	chunks *chunkWriter
	begin  *StoreBegin
	place  storePlace
	buf    []byte
}

// storePlace is how far the rows of an archive have come.
type storePlace struct{ table, rows int }

// admit says whether a row of a table, with so many values, may come next.
func (p *storePlace) admit(b *StoreBegin, table, values int) error {
	for p.table < len(b.Tables) && p.rows == b.Tables[p.table].Rows && p.table < table {
		p.table, p.rows = p.table+1, 0
	}
	if table < 0 || table >= len(b.Tables) || table != p.table || p.rows >= b.Tables[table].Rows || values != len(b.Tables[table].Columns) {
		return errRows
	}
	p.rows++
	return nil
}

// over says whether all rows have come.
func (p *storePlace) over(b *StoreBegin) error {
	for p.table < len(b.Tables) && p.rows == b.Tables[p.table].Rows {
		p.table, p.rows = p.table+1, 0
	}
	if p.table < len(b.Tables) {
		return errRows
	}
	return nil
}

var errRows = errors.New("its rows are not those that its beginning tells of")

// NewStoreWriter begins the archive of a store; see [NewWriter].
func NewStoreWriter(ctx context.Context, w io.Writer, m *Manifest, l Lock, rand io.Reader, b *StoreBegin) (*StoreWriter, error) {
	if m.Kind != KindStore {
		return nil, errors.New("the manifest is not of a store")
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	doc, err := canonical(b)
	if err != nil {
		return nil, err
	}
	key, err := writeHeader(ctx, w, m, l, rand)
	if err != nil {
		return nil, err
	}
	s := &StoreWriter{chunks: newChunkWriter(w, key, rand), begin: b}
	err = s.frame(frameBegin, doc)
	for _, k := range b.System {
		if err == nil {
			err = s.frame(frameKEK, k.Key.Reveal())
		}
	}
	return s, err
}

func (s *StoreWriter) frame(kind byte, payload []byte) error {
	if len(payload) >= maxFrame {
		return fmt.Errorf("a row of %d bytes is too large for an archive", len(payload))
	}
	head := binary.BigEndian.AppendUint32(nil, uint32(len(payload)+1)) //nolint:gosec // bounded above
	if _, err := s.chunks.Write(append(head, kind)); err != nil {
		return err
	}
	_, err := s.chunks.Write(payload)
	return err
}

// Row adds the next row: its values are nil, int64, string or []byte.
func (s *StoreWriter) Row(table int, row []any) error {
	if err := s.place.admit(s.begin, table, len(row)); err != nil {
		return err
	}
	b := binary.AppendUvarint(s.buf[:0], uint64(table)) //nolint:gosec // an index
	for _, v := range row {
		switch v := v.(type) {
		case nil:
			b = append(b, valueNull)
		case int64:
			b = binary.AppendVarint(append(b, valueInt), v)
		case string:
			b = append(binary.AppendUvarint(append(b, valueText), uint64(len(v))), v...)
		case []byte:
			b = append(binary.AppendUvarint(append(b, valueBlob), uint64(len(v))), v...)
		default:
			return fmt.Errorf("a row has a value of type %T", v)
		}
	}
	s.buf = b
	return s.frame(frameRow, b)
}

// Finish ends the archive; see [Writer.Finish].
func (s *StoreWriter) Finish() error {
	if err := s.place.over(s.begin); err != nil {
		return err
	}
	if err := s.frame(frameEnd, nil); err != nil {
		return err
	}
	return s.chunks.finish()
}

// Wipe forgets the archive's key.
func (s *StoreWriter) Wipe() { s.chunks.wipe() }

// StoreReader reads what a [StoreWriter] wrote. It belongs to one goroutine.
type StoreReader struct {
	header *Header
	begin  *StoreBegin
	chunks *chunkReader
	place  storePlace
	buf    []byte
}

// NewStoreReader reads and authenticates the beginning of the archive of a store; see [NewReader].
func NewStoreReader(ctx context.Context, r io.Reader, o Opener) (*StoreReader, error) {
	in := bufio.NewReaderSize(r, boxSize+1)
	h, err := readHeader(in)
	if err != nil {
		return nil, err
	}
	if h.manifest.Kind != KindStore {
		return nil, fmt.Errorf("%w: it is of a %s, not of a whole store", ErrFormat, h.manifest.Kind)
	}
	key, err := h.unlock(ctx, in, o)
	if err != nil {
		return nil, err
	}
	s := &StoreReader{header: h.shown(), chunks: newChunkReader(in, key), begin: &StoreBegin{}}
	if err := s.readBegin(); err != nil {
		s.Wipe()
		return nil, err
	}
	return s, nil
}

func (s *StoreReader) readBegin() error {
	kind, doc, err := s.frame()
	if err != nil {
		return err
	}
	if kind != frameBegin || decode(doc, s.begin) != nil || s.begin.check() != nil {
		return damaged("its beginning is not as any is")
	}
	if s.begin.Revision != s.header.Revision {
		return damaged("its beginning and its manifest contradict each other")
	}
	for i := range s.begin.System {
		kind, key, err := s.frame()
		if err != nil {
			return err
		}
		if kind != frameKEK {
			return damaged("it has fewer keys than its beginning tells of")
		}
		s.begin.System[i].Key = secret.Copy(key)
		clear(key)
	}
	return nil
}

func (b *StoreBegin) check() error {
	if b.Schema < 1 || b.Revision < 0 || b.Events < 0 || len(b.Hash) != 32 || len(b.System) == 0 || len(b.Tables) == 0 {
		return errRows
	}
	for _, t := range b.Tables {
		if t.Name == "" || len(t.Columns) == 0 || t.Rows < 0 {
			return errRows
		}
	}
	for _, k := range b.System {
		if k.Generation < 1 || !isTime(k.CreatedAt) {
			return errRows
		}
	}
	return nil
}

// Header is what the archive says of itself.
func (s *StoreReader) Header() *Header { return s.header }

// Begin is what its rows are of; Wipe forgets its keys.
func (s *StoreReader) Begin() *StoreBegin { return s.begin }

// Next reads the next row. [io.EOF] says that the archive came to its end, whole and authentic.
func (s *StoreReader) Next() (table int, row []any, err error) {
	kind, b, err := s.frame()
	switch {
	case err != nil:
		return 0, nil, err
	case kind == frameEnd && len(b) == 0:
		if err := s.place.over(s.begin); err != nil {
			return 0, nil, damaged("%w", err)
		}
		if _, err := s.chunks.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			return 0, nil, errors.Join(err, damaged("there is more after its end"))
		}
		return 0, nil, io.EOF
	case kind != frameRow:
		return 0, nil, damaged("a row is not as any is")
	}
	table, row, ok := parseRow(b)
	if !ok {
		return 0, nil, damaged("a row is not as any is")
	}
	if err := s.place.admit(s.begin, table, len(row)); err != nil {
		return 0, nil, damaged("%w", err)
	}
	return table, row, nil
}

// parseRow takes a row apart; what it answers does not share b's memory.
func parseRow(b []byte) (table int, row []any, ok bool) {
	index, n := binary.Uvarint(b)
	if n <= 0 || index > 1<<16 {
		return 0, nil, false
	}
	b = b[n:]
	for len(b) > 0 {
		kind := b[0]
		b = b[1:]
		switch kind {
		case valueNull:
			row = append(row, nil)
			continue
		case valueInt:
			v, n := binary.Varint(b)
			if n <= 0 {
				return 0, nil, false
			}
			row, b = append(row, v), b[n:]
			continue
		}
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) { //nolint:gosec // n is at most the length of b
			return 0, nil, false
		}
		part := b[n : n+int(size)] //nolint:gosec // at most the length of b
		b = b[n+int(size):]        //nolint:gosec // as above
		switch kind {
		case valueText:
			row = append(row, string(part))
		case valueBlob:
			row = append(row, append([]byte{}, part...))
		default:
			return 0, nil, false
		}
	}
	return int(index), row, true
}

func (s *StoreReader) frame() (kind byte, payload []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(s.chunks, head[:]); err != nil {
		return 0, nil, partError(err)
	}
	n := binary.BigEndian.Uint32(head[:4])
	if n == 0 || n > maxFrame {
		return 0, nil, damaged("a row is said to have %d bytes", n)
	}
	if n--; uint32(cap(s.buf)) < n { //nolint:gosec // a slice of at most maxFrame
		s.buf = make([]byte, n)
	}
	s.buf = s.buf[:n]
	if _, err := io.ReadFull(s.chunks, s.buf); err != nil {
		return 0, nil, partError(err)
	}
	return head[4], s.buf, nil
}

// Wipe forgets the archive's key and what was read.
func (s *StoreReader) Wipe() {
	s.chunks.wipe()
	s.begin.Wipe()
}
