// SPDX-License-Identifier: Apache-2.0

// Package keys is the vocabulary that every other package speaks: tenants, vaults, keys,
// key versions, their states and actions, the three lifecycle tables, and the one error
// type. It has no behaviour beyond what can be decided from a value alone, imports the
// standard library only, and knows no cloud's words.
//
// Two rules hold everywhere. The effective state of a thing is derived from its own record,
// its parents' and the time, at the moment of asking; it is never copied into another row.
// And a due time acts at once: at or after it the thing is gone for every caller, whether
// or not anything has swept it away yet.
package keys
