// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"claviger/internal/seal"
	"claviger/internal/secret"
)

const (
	magic   = "claviger-archive/"
	version = "1"

	maxLine        = 1 << 20 // bytes of a line of the header
	commitmentSize = 32
)

// deriveKeys gives the key of the chunks and the commitment to it. All that stands before the
// commitment is the salt, so that no other header leads to the same.
func deriveKeys(key secret.Bytes, header []byte) (chunks, commitment secret.Bytes, err error) {
	salt := sha256.Sum256(header)
	b, err := hkdf.Key(sha256.New, key.Reveal(), salt[:], "claviger/archive/1", seal.KeySize+commitmentSize)
	if err != nil {
		return secret.Bytes{}, secret.Bytes{}, fmt.Errorf("derive the archive's keys: %w", err)
	}
	return secret.New(b[:seal.KeySize:seal.KeySize]), secret.New(b[seal.KeySize:]), nil
}

// writeHeader writes the three lines and the commitment, and answers the key of the chunks.
func writeHeader(ctx context.Context, w io.Writer, m *Manifest, l Lock, rand io.Reader) (secret.Bytes, error) {
	key, err := seal.NewKey(rand)
	if err != nil {
		return secret.Bytes{}, err
	}
	defer key.Wipe()
	closed, err := l.close(ctx, m.ID, key)
	if err != nil {
		return secret.Bytes{}, err
	}
	header := []byte(magic + version + "\n")
	for _, line := range []any{m, closed} {
		text, err := canonical(line)
		if err != nil {
			return secret.Bytes{}, err
		}
		if len(text) >= maxLine {
			return secret.Bytes{}, fmt.Errorf("a line of the archive's header has %d bytes, at most %d are allowed", len(text), maxLine)
		}
		header = append(append(header, text...), '\n')
	}
	chunks, commitment, err := deriveKeys(key, header)
	if err != nil {
		return secret.Bytes{}, err
	}
	if _, err := w.Write(append(header, commitment.Reveal()...)); err != nil {
		chunks.Wipe()
		return secret.Bytes{}, fmt.Errorf("write archive: %w", err)
	}
	return chunks, nil
}

// header is the beginning of an archive, as it is read.
type header struct {
	manifest Manifest
	lock     lock
	text     []byte // the three lines
}

// readHeader reads the three lines.
func readHeader(r *bufio.Reader) (*header, error) {
	h := &header{}
	first, err := readLine(r, len(magic)+16)
	if err != nil {
		if errors.Is(err, ErrDamaged) {
			return nil, ErrFormat
		}
		return nil, err
	}
	format, ok := strings.CutPrefix(string(first), magic)
	switch {
	case !ok:
		return nil, ErrFormat
	case format != version:
		return nil, fmt.Errorf("%w: its format is %q, this one knows %q", ErrNewer, format, version)
	}
	h.text = append(append(h.text, first...), '\n')
	if err := h.line(r, "manifest", &h.manifest); err != nil {
		return nil, err
	}
	if err := h.manifest.check(); err != nil {
		return nil, err
	}
	return h, h.line(r, "lock", &h.lock)
}

// line reads one line into a document.
func (h *header) line(r *bufio.Reader, name string, into any) error {
	text, err := readLine(r, maxLine)
	if err != nil {
		return err
	}
	if err := decode(text, into); err != nil {
		return damaged("its %s: %w", name, err)
	}
	h.text = append(append(h.text, text...), '\n')
	return nil
}

// readLine reads a line of fewer than most bytes, without its end.
func readLine(r *bufio.Reader, most int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > most:
			return nil, damaged("a line of its header is too long")
		case err == nil:
			return line[:len(line)-1], nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, readError(err)
		}
	}
}

// unlock reads the commitment and answers the key of the chunks.
func (h *header) unlock(ctx context.Context, r io.Reader, o Opener) (secret.Bytes, error) {
	key, err := o.open(ctx, h.manifest.ID, &h.lock)
	if err != nil {
		return secret.Bytes{}, err
	}
	defer key.Wipe()
	chunks, commitment, err := deriveKeys(key, h.text)
	if err != nil {
		return secret.Bytes{}, err
	}
	var has [commitmentSize]byte
	if _, err := io.ReadFull(r, has[:]); err != nil {
		return secret.Bytes{}, readError(err)
	}
	if !commitment.Equal(secret.New(has[:])) {
		chunks.Wipe()
		return secret.Bytes{}, damaged("its header was changed")
	}
	return chunks, nil
}

// canonical is the one encoding of a document.
func canonical(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode a document of the archive: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

var errCanonical = errors.New("a document is not in its canonical form, or has members that are not known")

// decode reads a document, and nothing but its one encoding: what encodes to other bytes has a
// member that is unknown, repeated, or written in another way.
func decode(text []byte, into any) error {
	if err := json.Unmarshal(text, into); err != nil {
		return errCanonical // the library's text may quote what is in the archive
	}
	again, err := canonical(into)
	if err != nil || !bytes.Equal(again, text) {
		return errCanonical
	}
	return nil
}
