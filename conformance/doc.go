// SPDX-License-Identifier: Apache-2.0

// Package conformance holds the tests that drive a live Claviger process with the clouds' own,
// unmodified SDKs: Oracle's Go SDK, Alibaba's current Go SDK (both of its signature versions) and
// Alibaba's classic Go SDK. It is a module of its own so that no vendor SDK ever becomes a
// dependency of the server.
//
// Nothing here imports the server: a test knows only what a user knows, the command line, the ready
// file, the admin API and the clouds' wire formats.
package conformance
