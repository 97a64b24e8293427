// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"

	"claviger/internal/dialect"
	"claviger/internal/keys"
)

// row is one row of the error table: which errors it is for, and what they answer. Empty
// conditions match everything.
type row struct {
	kind   keys.Kind
	noun   keys.Type
	state  keys.State
	action keys.Action
	field  string
	crypto bool // only for operations of the crypto endpoint

	status int
	code   string
	text   string // message; what the braces hold is filled in, see message
}

// Texts of Oracle's service.
const (
	textNotFound       = "Authorization failed or requested resource not found."
	textCryptoNotFound = "Key or Vault does not exist or you are not authorized to access them."
	textState          = "The {noun} is in lifecycle state {state}, which does not allow the operation"
	textCurrent        = "The Key Version {version} cannot be deleted because it is the current key version of the key"
)

// The codes that more than one row has.
const (
	codeInvalid  = "InvalidParameter"
	codeConflict = "Conflict"
	// codeTransient is what clients try again by themselves.
	codeTransient = "IncorrectState"
	codeUnknown   = "NotAuthorizedOrNotFound"
	codeInternal  = "InternalServerError"
)

const textInternal = "Internal Server Error"

// errorTable says how every kind of error answers, the most specific row first. Terraform's
// provider takes any error for "the resource is gone" whose text holds "does not exist",
// " not present in ", "not found" or "status code: 404", so no other error says that.
//
// Conflicts with a settled state are Conflict and never IncorrectState: clients retry the latter
// and count it towards their circuit breakers. It is for what is about to change by itself.
var errorTable = []row{
	{kind: keys.KindMalformed, status: http.StatusBadRequest, code: "CannotParseRequest", text: "The request could not be parsed{field}"},
	{kind: keys.KindMissing, status: http.StatusBadRequest, code: "MissingParameter", text: "A required parameter is missing{field}"},
	{kind: keys.KindInvalid, field: fieldUnmatched, status: http.StatusBadRequest, code: "UnmatchedContentMD5", text: "The computed MD5 of the request body does not match the Content-MD5 header."},
	{kind: keys.KindInvalid, status: http.StatusBadRequest, code: codeInvalid, text: "A parameter has a value that is not allowed{field}"},
	{kind: keys.KindTooLarge, field: "body", status: http.StatusRequestEntityTooLarge, code: "RequestEntityTooLarge", text: "The request body is too large"},
	{kind: keys.KindTooLarge, status: http.StatusBadRequest, code: codeInvalid, text: "A parameter is too long{field}"},

	{kind: keys.KindUnauthenticated, field: fieldIncomplete, status: http.StatusUnauthorized, code: "NotAuthenticated", text: textIncomplete},
	{kind: keys.KindUnauthenticated, status: http.StatusUnauthorized, code: "NotAuthenticated", text: textNotVerified},
	{kind: keys.KindReplay, status: http.StatusUnauthorized, code: "NotAuthenticated", text: textNotVerified},

	{kind: keys.KindDenied, crypto: true, status: http.StatusNotFound, code: codeUnknown, text: textCryptoNotFound},
	{kind: keys.KindDenied, status: http.StatusNotFound, code: codeUnknown, text: textNotFound},
	{kind: keys.KindNotFound, field: fieldPath, status: http.StatusNotFound, code: "NotFound", text: "The path of the request is not one of this service's"},
	{kind: keys.KindNotFound, crypto: true, status: http.StatusNotFound, code: codeUnknown, text: textCryptoNotFound},
	{kind: keys.KindNotFound, status: http.StatusNotFound, code: codeUnknown, text: textNotFound},
	{kind: keys.KindRelatedNotFound, status: http.StatusBadRequest, code: "RelatedResourceNotAuthorizedOrNotFound", text: "Authorization failed or a resource that the request refers to is unknown{field}"},
	{kind: keys.KindExists, status: http.StatusConflict, code: "NotAuthorizedOrResourceAlreadyExists", text: "Authorization failed or the resource already exists"},

	{kind: keys.KindReadOnly, status: http.StatusForbidden, code: "NotAllowed", text: "The vault is a replica: the operation must be sent to the vault's own region"},
	{kind: keys.KindTransient, status: http.StatusConflict, code: codeTransient, text: "The {noun} is in lifecycle state {state}, which is about to change; try again"},
	{kind: keys.KindState, state: keys.Restoring, status: http.StatusConflict, code: codeTransient, text: "The {noun} is in lifecycle state {state}, which is about to change; try again"},
	{kind: keys.KindState, noun: keys.TypeReplica, status: http.StatusConflict, code: codeConflict, text: "The vault has a replica in another region"},
	{kind: keys.KindState, noun: keys.TypeVault, state: keys.Active, action: keys.ScheduleVaultDeletion, status: http.StatusConflict, code: codeConflict, text: "The vault holds a key whose deletion is scheduled for a later time"},
	{kind: keys.KindState, state: keys.Deleted, crypto: true, status: http.StatusNotFound, code: codeUnknown, text: textCryptoNotFound},
	{kind: keys.KindState, status: http.StatusConflict, code: codeConflict, text: textState},
	{kind: keys.KindPrimary, status: http.StatusConflict, code: codeConflict, text: textCurrent},
	{kind: keys.KindTooSoon, status: http.StatusConflict, code: codeConflict, text: "The key was rotated too recently"},
	{kind: keys.KindProtected, status: http.StatusConflict, code: codeConflict, text: "The {noun} is protected against deletion"},
	{kind: keys.KindToken, status: http.StatusConflict, code: "InvalidatedRetryToken", text: "The retry token was used with another request, or what it made is deleted"},
	{kind: keys.KindRevision, status: http.StatusPreconditionFailed, code: "NoEtagMatch", text: "The etag of the resource is another than the one in if-match"},

	{kind: keys.KindLimit, status: http.StatusBadRequest, code: "LimitExceeded", text: "A service limit is exceeded"},
	{kind: keys.KindThrottled, field: dialect.SourceField, status: http.StatusTooManyRequests, code: "TooManyRequests", text: "Too many requests"},
	{kind: keys.KindThrottled, status: http.StatusTooManyRequests, code: "TooManyRequests", text: "Too many requests for the tenancy"},
	{kind: keys.KindCiphertext, status: http.StatusBadRequest, code: codeInvalid, text: "The ciphertext cannot be decrypted with this key and associated data"},
	{kind: keys.KindMaterial, status: http.StatusBadRequest, code: codeInvalid, text: "A parameter has a value that is not allowed{field}"},
	{kind: keys.KindImportToken, status: http.StatusBadRequest, code: codeInvalid, text: "A parameter has a value that is not allowed{field}"},
	{kind: keys.KindImportOver, status: http.StatusBadRequest, code: codeInvalid, text: "A parameter has a value that is not allowed{field}"},
	{kind: keys.KindUnsupported, noun: keys.TypeVault, status: http.StatusBadRequest, code: codeInvalid, text: "The vault does not support the request{field}"},
	{kind: keys.KindUnsupported, status: http.StatusBadRequest, code: codeInvalid, text: "The key does not support the request{field}"},
	{kind: keys.KindAliasNotAllowed, status: http.StatusBadRequest, code: codeInvalid, text: "A parameter has a value that is not allowed{field}"},

	{kind: keys.KindNotImplemented, field: fieldMethod, status: http.StatusMethodNotAllowed, code: "MethodNotAllowed", text: "The path of the request has no such method"},
	{kind: keys.KindNotImplemented, status: http.StatusNotImplemented, code: "MethodNotImplemented", text: "This server does not have the operation"},
	{kind: keys.KindUnavailable, status: http.StatusServiceUnavailable, code: "ServiceUnavailable", text: "The service is unavailable; try again later"},
	{kind: keys.KindInternal, status: http.StatusInternalServerError, code: codeInternal, text: textInternal},
}

// fieldNames are OCI's names of the fields that the core names in its own words.
var fieldNames = map[string]string{
	"algorithm":        "encryptionAlgorithm",
	"compartment":      "compartmentId",
	"context":          "associatedData",
	"digest":           "message",
	"export":           "keyId",
	"fleet":            "fleetId",
	"material":         "wrappedImportKey.keyMaterial",
	"name":             "displayName",
	"origin":           "keyId",
	"protection":       "protectionMode",
	"rotation":         "isAutoRotationEnabled",
	"rotationInterval": "autoKeyRotationDetails.rotationIntervalInDays",
	"spec":             "keyShape",
	"tags":             "freeformTags",
	"usage":            "keyId",
	"wrapping":         "wrappedImportKey.wrappingAlgorithm",
}

// find is the first row for an error. m is nil where no operation was found.
func find(e *keys.Error, m *match) row {
	crypto := m != nil && m.op.on == onCrypto
	for _, r := range errorTable {
		if r.kind == e.Kind &&
			(r.noun == "" || r.noun == e.Noun) && (r.state == "" || r.state == e.State) &&
			(r.action == "" || r.action == e.Action) && (r.field == "" || r.field == e.Field) && (!r.crypto || crypto) {
			return r
		}
	}
	return row{status: http.StatusInternalServerError, code: codeInternal, text: textInternal}
}

// message fills in the row's text. {field} is a colon and the field's name, if there is one.
func (r *row) message(e *keys.Error, m *match) string {
	if s, ok := errors.AsType[said](e); ok {
		return s.text()
	}
	var b strings.Builder
	for text := r.text; ; {
		before, rest, found := strings.Cut(text, "{")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		var name string
		name, text, _ = strings.Cut(rest, "}")
		switch name {
		case "field":
			if field := fieldName(e, m); field != "" {
				b.WriteString(": " + field)
			}
		case "noun":
			b.WriteString(nounName(e.Noun))
		case "state":
			b.WriteString(stateName(e.State))
		case "version":
			if m != nil {
				b.WriteString(m.params[1])
			}
		}
	}
}

// said is a cause that has a message of its own.
type said interface {
	error
	text() string
}

func fieldName(e *keys.Error, m *match) string {
	name := e.Field
	if own, ok := fieldNames[name]; ok {
		name = own
	}
	if e.Field == "algorithm" && m != nil {
		switch m.op.Action {
		case keys.Sign, keys.Verify:
			name = "signingAlgorithm"
		case keys.ExportKey:
			name = "algorithm"
		case keys.GenerateDataKey: // it names no algorithm: the key is the wrong one
			name = "keyId"
		default:
		}
	}
	if !plainField(name) {
		return ""
	}
	return name
}

// plainField tells a field's name from what a client made up: no text of a client's gets into a
// message, since messages are searched for words.
func plainField(name string) bool {
	if len(name) > 64 {
		return false
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' {
			return false
		}
	}
	return true
}

func nounName(t keys.Type) string {
	switch t {
	case keys.TypeVault:
		return "vault"
	case keys.TypeKey:
		return "key"
	case keys.TypeVersion:
		return "key version"
	case keys.TypeReplica:
		return "replica"
	default:
		return "resource"
	}
}

// retryAfter is the whole seconds until a throttled request fits; "" for other errors.
func retryAfter(e *keys.Error) string {
	if e.Kind != keys.KindThrottled {
		return ""
	}
	seconds := 1.0
	if t, ok := errors.AsType[*dialect.Throttled](e.Err); ok {
		seconds = math.Max(1, math.Ceil(t.RetryAfter.Seconds()))
	}
	return strconv.Itoa(int(seconds))
}

// errorBody is the body of every error.
func errorBody(code, message string) []byte {
	return marshal(struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}{code, message})
}
