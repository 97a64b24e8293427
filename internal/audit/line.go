// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
)

// The kinds of line.
const (
	kindHeader = "header"
	kindEvent  = "event"
	kindPruned = "pruned"
)

const (
	// maxContent bounds one record, so that a reader knows how much to expect.
	maxContent = 4 << 20

	lineStart  = `{"seq":`
	hashStart  = `,"hash":"`
	lineEnd    = `"}`
	suffixSize = len(hashStart) + 2*sha256.Size + len(lineEnd)

	// room is kept free in front of a record's content, for the hash before it and the
	// beginning of its line, so that what is hashed lies in one piece.
	room    = sha256.Size + len(lineStart) + 20 + len(`,"":`) + len(kindHeader)
	maxLine = room + maxContent + suffixSize + 1
)

// Head is the end of a chain: the sequence number and hash of its last line. The zero Head is
// that of an empty chain.
type Head struct {
	Sequence uint64
	Hash     [32]byte
}

// seal makes the next line of the chain from b, which holds the content after room bytes and is
// overwritten. It returns the line, with its line feed.
func (h *Head) seal(kind string, b []byte) []byte {
	h.Sequence++
	var buf [room]byte
	start := append(buf[:0], h.Hash[:]...)
	start = append(start, lineStart...)
	start = strconv.AppendUint(start, h.Sequence, 10)
	start = append(start, ',', '"')
	start = append(start, kind...)
	start = append(start, '"', ':')
	at := room - len(start)
	copy(b[at:], start)
	b = append(b, '}')
	h.Hash = sha256.Sum256(b[at:])
	b = append(b[:len(b)-1], hashStart...)
	b = hex.AppendEncode(b, h.Hash[:])
	b = append(b, lineEnd+"\n"...)
	return b[at+sha256.Size:]
}

// A line is one line taken apart; its slices point into the text.
type line struct {
	seq     uint64
	kind    string
	content []byte
	hash    [32]byte
	hashed  []byte // the line up to its hash; a closing brace makes it what was hashed
}

// parseLine takes a line without its line feed apart. It does not check the hash.
func parseLine(text []byte) (line, error) {
	at := len(text) - suffixSize
	if at < 0 || !bytes.HasPrefix(text[at:], []byte(hashStart)) || !bytes.HasSuffix(text, []byte(lineEnd)) {
		return line{}, errors.New("the line does not end with its hash")
	}
	l := line{hashed: text[:at]}
	if !decodeHash(l.hash[:], text[at+len(hashStart):len(text)-len(lineEnd)]) {
		return line{}, errors.New("the hash is not lower-case hexadecimal")
	}
	rest, ok := bytes.CutPrefix(l.hashed, []byte(lineStart))
	if !ok {
		return line{}, errors.New("the line does not begin with its sequence number")
	}
	number, rest, ok := bytes.Cut(rest, []byte(`,"`))
	seq, err := strconv.ParseUint(string(number), 10, 64)
	if !ok || err != nil || strconv.FormatUint(seq, 10) != string(number) {
		return line{}, errors.New("the sequence number is malformed")
	}
	l.seq = seq
	kind, content, ok := bytes.Cut(rest, []byte(`":`))
	if !ok {
		return line{}, errors.New("the line has no content")
	}
	switch string(kind) {
	case kindHeader, kindEvent, kindPruned:
		l.kind, l.content = string(kind), content
		return l, nil
	}
	return line{}, errors.New("the line is of an unknown kind")
}

// follows reports whether the line's hash is right when prev is the hash of the line before.
func (l line) follows(prev [32]byte) bool {
	h := sha256.New()
	h.Write(prev[:])
	h.Write(l.hashed)
	h.Write([]byte{'}'})
	return [32]byte(h.Sum(nil)) == l.hash
}

// decodeHash reads 64 lower-case hex digits; upper case would give one hash two texts.
func decodeHash(dst, text []byte) bool {
	if len(text) != 2*len(dst) || bytes.ContainsAny(text, "ABCDEF") {
		return false
	}
	_, err := hex.Decode(dst, text)
	return err == nil
}
