// SPDX-License-Identifier: Apache-2.0

// Package sign signs requests by hand, in every form that the clouds' clients use. The SDKs sign for
// themselves; this is for what no Go SDK sends: the header forms of other languages' SDKs, bodies in
// XML, parameters in a form, and requests that are wrong on purpose. Times and nonces are passed in,
// so that a test can send a stale or a repeated one.
package sign
