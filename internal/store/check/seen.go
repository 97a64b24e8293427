// SPDX-License-Identifier: Apache-2.0

package check

import "claviger/internal/keys"

// seen is what is remembered of a key or version: the revision of its newest change, which of the two it is, and
// whether its record was read. It is one word, because there may be millions of them.
type seen int64

const (
	seenVersion seen = 1 << iota // else a key
	seenRead
	seenBits = iota
)

func (s seen) revision() int64 { return int64(s >> seenBits) }

func (s seen) kind() keys.Type {
	if s&seenVersion != 0 {
		return keys.TypeVersion
	}
	return keys.TypeKey
}

// isMany reports whether a record is remembered in one word.
func (r ref) isMany() bool {
	return (r.kind == keys.TypeKey || r.kind == keys.TypeVersion) && r.name == "" && !r.id.IsZero()
}

// newest is the revision of a record's newest change in the feed; 0 when there is none.
func (c *checker) newest(of ref) int64 {
	if !of.isMany() {
		return c.last[of.mark()]
	}
	if s := c.many[of.id]; s.kind() == of.kind {
		return s.revision()
	}
	return 0
}

// changed remembers a change in the feed.
func (c *checker) changed(of ref, revision int64) {
	if !of.isMany() {
		c.last[of.mark()] = revision
		return
	}
	s := seen(revision) << seenBits
	if of.kind == keys.TypeVersion {
		s |= seenVersion
	}
	c.many[of.id] = s
}

// take notes that a record was read, and answers whose its id is already.
func (c *checker) take(of ref) (other keys.Type, taken bool) {
	other, taken = c.ids[of.id]
	if s := c.many[of.id]; s&seenRead != 0 {
		other, taken = s.kind(), true
	}
	if !of.isMany() {
		c.ids[of.id] = of.kind
		return other, taken
	}
	s := c.many[of.id] | seenRead
	if s.kind() != of.kind { // the feed does not know it
		s ^= seenVersion
	}
	c.many[of.id] = s
	return other, taken
}
