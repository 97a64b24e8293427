// SPDX-License-Identifier: Apache-2.0

// Package archive is the one format of backups: of a key, of a vault, and of a whole store.
//
// An archive begins with three lines of text, which anybody may read: the format's name and
// version, the [Manifest], and the lock, which holds the archive's own key, encrypted to recovery
// recipients or wrapped by a root key. What follows is a stream of records in chunks, each sealed
// under a key that is derived from the archive's key and the three lines. So nothing in front or
// within can be changed, dropped, repeated or reordered, and a stream that ends early does not
// open to its end. docs/formats.md has every byte.
//
// Reading is strict: a document has exactly one encoding, records come in one order, and totals at
// the end must be those that were counted and those of the manifest. Neither writing nor reading
// keeps more than a chunk and a record in memory. Key material passes through buffers of this
// package only, which are overwritten after use; it is never part of a document.
//
// An archive that is encrypted to recipients says nothing about who wrote it: recipients are
// public. One under the root key was written by somebody who holds that.
package archive
