// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	"claviger/internal/keys"
	"claviger/internal/seal"
	"claviger/internal/secret"
	"claviger/internal/store"
)

// A cursor is the mark of a page's last record and what the list was asked for, authenticated
// by a key of the system KEK: base64url(MAC ‖ created ‖ ordinal ‖ id ‖ name). A cursor of
// another list, another order or another caller's tenant is refused.

const (
	cursorMAC  = 16
	cursorHead = cursorMAC + 8 + 8 + 16
)

type cursor struct {
	mark    store.Mark
	ordinal int
}

func errCursor() error { return keys.Invalid("page", "the page token is not of this list") }

func cursorTag(system secret.Bytes, list string, payload []byte) []byte {
	mac := seal.MAC(system, "cursor", []byte(list), payload)
	return mac[:cursorMAC]
}

func (s *Service) encodeCursor(list string, c cursor) string {
	b := make([]byte, cursorHead, cursorHead+len(c.mark.Name))
	binary.BigEndian.PutUint64(b[cursorMAC:], uint64(c.mark.Time.UnixMicro()))
	binary.BigEndian.PutUint64(b[cursorMAC+8:], uint64(c.ordinal)) //nolint:gosec // never negative
	copy(b[cursorMAC+16:], c.mark.ID[:])
	b = append(b, c.mark.Name...)
	copy(b, cursorTag(s.systemKEK().kek, list, b[cursorMAC:]))
	return base64.RawURLEncoding.EncodeToString(b)
}

func (s *Service) decodeCursor(list, text string) (*cursor, error) {
	if text == "" {
		return nil, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) < cursorHead {
		return nil, errCursor()
	}
	if !secret.New(b[:cursorMAC]).Equal(secret.New(cursorTag(s.systemKEK().kek, list, b[cursorMAC:]))) {
		return nil, errCursor()
	}
	c := &cursor{ordinal: int(binary.BigEndian.Uint64(b[cursorMAC+8:]))}              //nolint:gosec // as encoded
	c.mark.Time = time.UnixMicro(int64(binary.BigEndian.Uint64(b[cursorMAC:]))).UTC() //nolint:gosec // as encoded
	copy(c.mark.ID[:], b[cursorMAC+16:])
	c.mark.Name = string(b[cursorHead:])
	return c, nil
}

// listName says what a cursor belongs to.
func listName(parts ...string) string { return strings.Join(parts, "\x00") }

// storePage turns a page into the store's. One row more than asked for tells whether there is
// a next page.
func (s *Service) storePage(list string, p Page) (store.Page, error) {
	out := store.Page{Sort: store.ByCreation, Desc: p.Desc, Offset: p.Offset, Limit: p.Limit}
	if p.ByName {
		out.Sort = store.ByName
	}
	if p.Limit > 0 {
		out.Limit = p.Limit + 1
	}
	c, err := s.decodeCursor(list, p.Cursor)
	if err != nil {
		return out, err
	}
	if c != nil {
		out.After = &c.mark
	}
	return out, nil
}

// cut drops the row that was read to see whether there is a next page.
func cut[T any](items []T, limit int) (page []T, more bool) {
	if limit > 0 && len(items) > limit {
		return items[:limit], true
	}
	return items, false
}
