// SPDX-License-Identifier: Apache-2.0

// Package alibaba speaks Alibaba Cloud KMS, the RPC API of version 2016-01-20: one URL, an
// operation named by the parameter or header Action, parameters in the query and in a form
// body, answers in JSON or XML.
//
// A request is signed by RPC signature version 1 (HMAC-SHA1 over every parameter) or by
// ACS3-HMAC-SHA256 (headers, query and the body's hash); nothing that is not covered by the
// signature is acted upon. The package sees no secret: the credential verifies. What the
// clouds' pages leave open is decided in docs/divergences-alibaba.md, the operations are
// listed in docs/coverage-alibaba.md.
package alibaba
