// SPDX-License-Identifier: Apache-2.0

// Package storetest holds the suite that every implementation of package store passes, and
// [Check], which looks for broken invariants in a store that somebody else has filled.
package storetest
