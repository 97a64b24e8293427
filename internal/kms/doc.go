// SPDX-License-Identifier: Apache-2.0

// Package kms is the service: one method per use case, the only door to a key. It alone
// sees sealed and opened material together. Every method authorizes, applies the lifecycle
// and records an audit event, below all dialects, so that no caller can go around them.
//
// There are two doors. Mutations go through do: one store transaction that checks the
// idempotency token, re-establishes the caller, loads, authorizes, steps the lifecycle,
// runs, saves and records. Data calls go through use: the same checks against the keyring,
// a memory of immutable snapshots, with no database call when warm.
//
// Revocation: a call received after a revocation was answered never uses the revoked thing,
// and one received earlier never answers after it. A [Call] holds every snapshot it used
// until [Call.End], after its answer was written; a committed change retires the snapshots
// of what it changed, and its own answer waits until no call holds them.
//
// A backup is gathered in one snapshot and written out after it. A restore verifies a whole
// backup before it changes anything, stages what is in it below a vault or key that is
// RESTORING, in transactions of bounded size, and shows all of it in the last one.
package kms
