// SPDX-License-Identifier: Apache-2.0

// Package bench generates load for a server of one of the clouds' key APIs and measures how it
// answers. It knows these APIs as any client does, imports nothing of the server, and can be
// pointed at another server of the same API.
//
// The generator shares the machine with what it measures, so it is lean: requests are prepared
// bytes, signed ahead where the scheme has no nonce (OCI) and assembled of prepared parts where it
// has one (Alibaba), and of an answer only what a request needs to be judged is read. Every status
// is checked, and the content of a sample of the answers.
package bench
