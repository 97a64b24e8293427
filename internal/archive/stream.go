// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"claviger/internal/seal"
	"claviger/internal/secret"
)

// The stream is cut into chunks, each a box of package seal. Its place among the others, and
// whether it is the last, are bound: the STREAM construction (Hoang, Reyhanitabar, Rogaway and
// Vizár, "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", 2015) with a
// random nonce in each chunk. A box's key seals 2^32 of them at most: 256 TiB.
const (
	chunkSize = 64 << 10 // of plaintext; only the last chunk has fewer, and at least one byte
	boxSize   = chunkSize + seal.BoxOverhead
)

const chunkLabel = "claviger/archive-chunk/1"

// chunkAAD is the place of a chunk.
func chunkAAD(index uint64, last bool) []byte {
	b := make([]byte, 0, len(chunkLabel)+9)
	b = append(b, chunkLabel...)
	b = binary.BigEndian.AppendUint64(b, index)
	if last {
		return append(b, 1)
	}
	return append(b, 0)
}

// chunkWriter seals what is written to it.
type chunkWriter struct {
	w     io.Writer
	rand  io.Reader
	key   secret.Bytes
	buf   []byte // what the next chunk holds so far
	index uint64
	err   error
}

func newChunkWriter(w io.Writer, key secret.Bytes, rand io.Reader) *chunkWriter {
	return &chunkWriter{w: w, rand: rand, key: key, buf: make([]byte, 0, chunkSize)}
}

// Write implements [io.Writer]. A full chunk waits for more: it may be the last.
func (c *chunkWriter) Write(p []byte) (int, error) {
	n := 0
	for n < len(p) && c.err == nil {
		if len(c.buf) == chunkSize {
			c.flush(false)
			continue
		}
		part := min(len(p)-n, chunkSize-len(c.buf))
		c.buf = append(c.buf, p[n:n+part]...)
		n += part
	}
	return n, c.err
}

func (c *chunkWriter) flush(last bool) {
	if c.err != nil {
		return
	}
	box, err := seal.SealBox(c.rand, c.key, chunkAAD(c.index, last), secret.New(c.buf))
	clear(c.buf)
	c.buf = c.buf[:0]
	c.index++
	if err == nil {
		_, err = c.w.Write(box)
	}
	if err != nil {
		c.err = fmt.Errorf("write archive: %w", err)
	}
}

// finish writes the last chunk.
func (c *chunkWriter) finish() error {
	c.flush(true)
	err := c.err
	c.wipe()
	return err
}

// wipe forgets the key and what is not written yet.
func (c *chunkWriter) wipe() {
	clear(c.buf[:cap(c.buf)])
	c.key.Wipe()
	if c.err == nil {
		c.err = errOver
	}
}

var errOver = errors.New("the archive is finished")

// chunkReader opens what a chunkWriter wrote.
type chunkReader struct {
	r     *bufio.Reader
	key   secret.Bytes
	box   []byte
	chunk secret.Bytes // opened
	at    int          // how much of it was read
	index uint64
	last  bool // chunk is the last one
	err   error
}

func newChunkReader(r *bufio.Reader, key secret.Bytes) *chunkReader {
	return &chunkReader{r: r, key: key, box: make([]byte, boxSize)}
}

// Read implements [io.Reader]. Its EOF says that the stream came to its authenticated end.
func (c *chunkReader) Read(p []byte) (int, error) {
	for c.at == c.chunk.Len() {
		switch {
		case c.err != nil:
			return 0, c.err
		case c.last:
			return 0, io.EOF
		}
		c.err = c.next()
	}
	n := copy(p, c.chunk.Reveal()[c.at:])
	c.at += n
	return n, nil
}

// next opens the next chunk.
func (c *chunkReader) next() error {
	c.chunk.Wipe()
	c.chunk, c.at = secret.Bytes{}, 0
	n, err := io.ReadFull(c.r, c.box)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		c.last = true
	case err != nil:
		return readError(err)
	default:
		if _, err := c.r.Peek(1); errors.Is(err, io.EOF) {
			c.last = true
		} else if err != nil {
			return readError(err)
		}
	}
	c.chunk, err = seal.OpenBox(c.key, chunkAAD(c.index, c.last), c.box[:n])
	switch {
	case err != nil:
		return damaged("part %d of it does not open: it was changed, or the archive ends too early", c.index)
	case c.chunk.Len() == 0:
		return damaged("part %d of it is empty", c.index)
	}
	c.index++
	return nil
}

// wipe forgets the key and what was opened.
func (c *chunkReader) wipe() {
	c.chunk.Wipe()
	c.key.Wipe()
	c.chunk, c.at, c.err = secret.Bytes{}, 0, errOver
}
