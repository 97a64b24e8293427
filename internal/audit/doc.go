// SPDX-License-Identifier: Apache-2.0

// Package audit records who did what to which key. An [Event] is one wide record; a [Log] keeps
// events in hash-chained segment files, and [Verify] proves offline that nothing in them was
// changed, removed, added or moved.
//
// # Invariants
//
// When [Log.Append] returns nil, the record has been handed to the operating system: killing
// the process loses nothing. It reaches the disk within 100 ms, or before Append returns if the
// log is durable. Once a write or sync has failed the log takes no more events, and the calls
// that they tell of must fail, until it could begin again: what was acknowledged is read back and
// brought to the disk, and a new segment links to it, as after a start. A log has one writer;
// nothing in it is ever changed. Events hold no secrets.
//
// # Format
//
// A segment is a text file, one JSON object per line, each line ended by a line feed:
//
//	{"seq":1,"header":{"format":"claviger-audit/1","segment":1,"node":"n1","process":"…","created":"…"},"hash":"…"}
//	{"seq":2,"event":{"time":"2026-11-21T18:30:12.000000Z","operation":"Encrypt",…,"outcome":"ok"},"hash":"…"}
//	{"seq":3,"pruned":{"segment":"…","hash":"…"},"hash":"…"}
//
// There is no white space between tokens. seq counts the lines of all segments of a directory,
// from 1 on, without gaps. hash is 64 lower-case hex digits of
//
//	SHA-256(hash of the line before, 32 bytes ‖ the line without its ,"hash":"…" and line feed)
//
// so what is hashed after the 32 bytes is a JSON object too. For the first line of all, the hash
// before is 32 zero bytes.
//
// The first line of a segment is its header. It names the format, the segment's number (1, 2, 3…
// within the directory), the node, the process (a fresh id at each start) and the time of
// creation by the machine's clock; previous and previous_hash name the segment before and the
// hash of its last line. The file is called NUMBER-CREATED-PROCESS.jsonl: ten digits, the time as
// 20060102T150405.000000Z, the first eight hex digits of the process. A segment begins at each
// start of the process and when the one before has reached its size.
//
// A pruned record says that a segment was removed because its time was over, and with which hash
// it ended. Without it, a missing segment is a break.
//
// A process that is killed within a write leaves the beginning of a line, perhaps followed by
// zero bytes, at the end of its last segment; a disk that is full does the same. That torn line was never acknowledged; the next
// segment links to the line before it.
//
// A chain shows every change except one: whoever can write the files can cut off the end of the
// newest segment, or write a new chain. Keep [Report].Head elsewhere from time to time to see that too.
package audit
