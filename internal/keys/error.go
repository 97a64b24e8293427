// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// Kind is the coarse reason of an [Error]. A dialect's error table maps kinds to its
// cloud's status and code; a kind that is in no table is an internal error.
type Kind string

// The kinds.
const (
	KindMalformed       Kind = "malformed"         // the request cannot be parsed
	KindMissing         Kind = "missing"           // a required field or parameter is absent: Field
	KindInvalid         Kind = "invalid"           // a value is outside of what the API allows: Field
	KindTooLarge        Kind = "too-large"         // a body or plaintext exceeds a limit: Field
	KindUnauthenticated Kind = "unauthenticated"   // who calls could not be established
	KindDenied          Kind = "denied"            // the caller is known and may not
	KindNotFound        Kind = "not-found"         // there is none, or the caller may not know: Noun
	KindRelatedNotFound Kind = "related-not-found" // a thing named inside the body is unknown: Noun, Field
	KindExists          Kind = "exists"            // a unique name is taken: Noun
	KindState           Kind = "state"             // the lifecycle forbids the action: Noun, State, Action
	KindPrimary         Kind = "primary"           // the primary version cannot be deleted
	KindTooSoon         Kind = "too-soon"          // the minimum interval between versions is not over
	KindLimit           Kind = "limit"             // a quota is exhausted: Noun
	KindThrottled       Kind = "throttled"         // too many requests in a time
	KindTransient       Kind = "transient"         // the thing is between two states: try again soon: Noun, State, Action
	KindReadOnly        Kind = "read-only"         // a vault's replica takes no changes: they go to the vault's own region
	KindRevision        Kind = "revision"          // if-match names another revision
	KindToken           Kind = "token"             // an idempotency token was used otherwise or its result is gone
	KindReplay          Kind = "replay"            // a signature nonce was used before
	KindCiphertext      Kind = "ciphertext"        // decryption: every cause, on purpose the same
	KindMaterial        Kind = "material"          // import: every fault of the wrapped material, on purpose the same
	KindImportToken     Kind = "import-token"      // an import token is not one of this key's
	KindImportOver      Kind = "import-token-over" // an import token's life is over
	KindUnsupported     Kind = "unsupported"       // the key's spec, usage or origin does not do this: Noun, Field
	KindProtected       Kind = "protected"         // deletion protection is on
	KindAliasNotAllowed Kind = "alias-not-allowed" // the operation takes a key's id only
	KindNotImplemented  Kind = "not-implemented"   // a documented operation that this server does not have
	KindUnavailable     Kind = "unavailable"       // try again later: sealed, store gone, shutting down
	KindInternal        Kind = "internal"          // a fault of ours; the text is for the log
)

// Kinds lists every kind, for exhaustiveness tests of error tables.
func Kinds() []Kind {
	return []Kind{
		KindMalformed, KindMissing, KindInvalid, KindTooLarge, KindUnauthenticated, KindDenied, KindNotFound,
		KindRelatedNotFound, KindExists, KindState, KindPrimary, KindTooSoon, KindLimit, KindThrottled,
		KindTransient, KindReadOnly, KindRevision, KindToken, KindReplay, KindCiphertext, KindMaterial, KindImportToken, KindImportOver, KindUnsupported, KindProtected,
		KindAliasNotAllowed, KindNotImplemented, KindUnavailable, KindInternal,
	}
}

// Error is what the core answers when it refuses. It never holds a secret.
type Error struct {
	Kind   Kind
	Noun   Type   // what it is about; "" when there is nothing to name
	ID     ID     // which one, when the caller may know
	State  State  // the effective state that forbade the action, with KindState
	Action Action // the action that was refused, when known
	Field  string // the offending field in the core's words, or the dialect's own when it raised the error
	Hint   string // a sentence for a person: why, and what to do next; shown only where hints are
	Err    error  // the cause, for the log
}

// Error is for logs. Dialects never send it to a client.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Kind))
	for _, part := range []string{string(e.Action), string(e.Noun), string(e.State), e.Field} {
		if part != "" {
			b.WriteByte(' ')
			b.WriteString(clip(part))
		}
	}
	if e.Hint != "" {
		b.WriteString(": ")
		b.WriteString(e.Reason())
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// maxReason bounds what one refusal puts into logs, in bytes. Hints may quote the request, and
// anybody may send one.
const maxReason = 1024

// Reason is the hint for logs and the audit log: at most 1024 bytes, cut at the end of a character.
func (e *Error) Reason() string { return clip(e.Hint) }

func clip(s string) string {
	if len(s) <= maxReason {
		return s
	}
	const mark = "..."
	end := maxReason - len(mark)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + mark
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// AsError finds the [Error] in err; any other error becomes KindInternal with err as its cause.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Kind: KindInternal, Err: err}
}

// IsKind reports whether err is an [Error] of kind k.
func IsKind(err error, k Kind) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == k
}

// NotFound says that there is no such noun, or that the caller may not know of it.
func NotFound(noun Type) *Error { return &Error{Kind: KindNotFound, Noun: noun} }

// Invalid says that field has a value that is not allowed; hint says what is.
func Invalid(field, hint string) *Error { return &Error{Kind: KindInvalid, Field: field, Hint: hint} }

// Missing says that field is required.
func Missing(field string) *Error {
	return &Error{Kind: KindMissing, Field: field, Hint: field + " is required"}
}

// Malformed says that the request could not be parsed.
func Malformed(err error) *Error { return &Error{Kind: KindMalformed, Err: err} }
