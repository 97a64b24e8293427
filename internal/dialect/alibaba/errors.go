// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"claviger/internal/dialect"
	"claviger/internal/keys"
	"claviger/internal/kms"
)

// row maps what the core says to what the cloud says. Empty fields match everything; the
// first row that matches decides, so the most specific come first.
type row struct {
	kind      keys.Kind
	noun      keys.Type
	state     keys.State
	action    keys.Action
	field     string
	operation string
	code      code
	message   string // "": the code's usual one
}

// rows is the error table. A kind that it does not have is an internal error; a test walks
// all kinds.
var rows = []row{
	{kind: keys.KindMalformed, code: codeMalformed},
	{kind: keys.KindMissing, code: codeMissing},
	{kind: keys.KindInvalid, field: "RotationInterval", operation: "UpdateRotationPolicy", code: codeInvalid, message: "The specified parameter RotationInterval is not valid."},
	{kind: keys.KindInvalid, operation: "Encrypt", code: codeInvalid, message: "The specified parameter is invalid."},
	{kind: keys.KindInvalid, operation: opAssumeRole, field: "RoleArn", code: codeRoleARN},
	{kind: keys.KindInvalid, operation: opAssumeRole, field: "RoleSessionName", code: codeSessionName},
	{kind: keys.KindInvalid, operation: opAssumeRole, field: "DurationSeconds", code: codeDuration},
	{kind: keys.KindInvalid, operation: opAssumeRole, field: "duration", code: codeDuration},
	{kind: keys.KindInvalid, operation: opAssumeRole, field: "Policy", code: codeSessionPolicy},
	{kind: keys.KindInvalid, operation: opAssumeRole, field: "ExternalId", code: codeExternalID},
	{kind: keys.KindInvalid, operation: opAssumeRole, field: "SourceIdentity", code: codeSourceIdentity},
	{kind: keys.KindInvalid, code: codeInvalid},
	{kind: keys.KindTooLarge, field: fieldBody, code: codeTooLarge},
	{kind: keys.KindTooLarge, operation: "Encrypt", code: codeInvalid, message: "The specified parameter is invalid."},
	{kind: keys.KindTooLarge, code: codeInvalid},
	{kind: keys.KindCiphertext, code: codeInvalid},
	{kind: keys.KindMaterial, code: codeMaterial},
	{kind: keys.KindImportToken, code: codeImportToken},
	{kind: keys.KindImportOver, code: codeImportOver},

	{kind: keys.KindUnauthenticated, noun: keys.TypeCredential, code: codeAccessKeyNotFound},
	{kind: keys.KindUnauthenticated, noun: keys.TypeSession, field: kms.SessionMalformed, code: codeToken},
	{kind: keys.KindUnauthenticated, noun: keys.TypeSession, field: kms.SessionMismatch, code: codeTokenMismatch},
	{kind: keys.KindUnauthenticated, noun: keys.TypeSession, code: codeTokenExpired}, // or ended: clients get a new one
	{kind: keys.KindUnauthenticated, code: codeIncomplete},
	{kind: keys.KindReplay, code: codeNonceUsed},
	{kind: keys.KindDenied, operation: opAssumeRole, code: codeRoleDenied},
	{kind: keys.KindDenied, code: codeNoPermission},
	{kind: keys.KindReadOnly, code: codeNoPermission}, // replicas show in the other dialect only

	{kind: keys.KindNotFound, operation: "TagResources", code: codeResourceIDNotFound},
	{kind: keys.KindNotFound, operation: "UntagResources", code: codeResourceIDNotFound},
	{kind: keys.KindNotFound, operation: "ListTagResources", code: codeResourceIDNotFound},
	{kind: keys.KindNotFound, noun: keys.TypeVersion, code: codeVersionNotFound},
	{kind: keys.KindNotFound, noun: keys.TypeAlias, code: codeAliasNotFound},
	{kind: keys.KindNotFound, noun: keys.TypeVault, code: codeInstanceNotFound},
	{kind: keys.KindNotFound, noun: typePolicy, code: codeResourceNotFound, message: "Policy not found."},
	{kind: keys.KindNotFound, noun: keys.TypeCompartment, code: codeResourceNotFound},
	{kind: keys.KindNotFound, noun: keys.TypePrincipal, code: codeRole},
	{kind: keys.KindNotFound, code: codeKeyNotFound},
	{kind: keys.KindRelatedNotFound, noun: keys.TypeKey, code: codeKeyNotFound},
	{kind: keys.KindRelatedNotFound, code: codeResourceNotFound},
	{kind: keys.KindExists, noun: keys.TypeAlias, code: codeAliasExists},
	{kind: keys.KindExists, code: codeResourceExists},

	// Which code a state gives depends on what was asked: a change of the state itself is
	// answered otherwise than anything else.
	{kind: keys.KindState, noun: keys.TypeKey, state: keys.Deleted, code: codeKeyNotFound},
	{kind: keys.KindState, noun: keys.TypeVersion, state: keys.Deleted, code: codeVersionNotFound},
	{kind: keys.KindState, noun: keys.TypeVault, state: keys.Deleted, code: codeInstanceNotFound},
	{kind: keys.KindState, noun: keys.TypeVault, code: codeInstanceState},
	{kind: keys.KindState, noun: keys.TypeVersion, state: keys.PendingDeletion, code: codePendingDeletion},
	{kind: keys.KindState, action: keys.EnsureEnabled, code: codeStateModified},
	{kind: keys.KindState, action: keys.EnsureDisabled, code: codeStateModified},
	{kind: keys.KindState, action: keys.ScheduleKeyDeletion, code: codeStateModified},
	{kind: keys.KindState, action: keys.RestoreKey, code: codeStateModified},
	{kind: keys.KindState, action: keys.CreateAlias, code: codeStateModified},
	{kind: keys.KindState, action: keys.ImportMaterial, code: codeStateModified},
	{kind: keys.KindState, state: keys.Disabled, code: codeDisabled},
	{kind: keys.KindState, state: keys.PendingDeletion, code: codePendingDeletion},
	{kind: keys.KindState, state: keys.PendingImport, code: codePendingImport},
	{kind: keys.KindState, code: codeStateUnavailable},

	{kind: keys.KindTooSoon, code: codeRejected},
	{kind: keys.KindPrimary, code: codeRejected},
	{kind: keys.KindUnsupported, field: "protection", code: codeProtection},
	{kind: keys.KindUnsupported, field: "origin", action: keys.ReadImportParameters, code: codeOrigin},
	{kind: keys.KindUnsupported, field: "origin", action: keys.ImportMaterial, code: codeOrigin},
	{kind: keys.KindUnsupported, field: "origin", action: keys.DeleteMaterial, code: codeOrigin},
	{kind: keys.KindUnsupported, operation: "CreateKey", code: codeUnsupported},
	{kind: keys.KindUnsupported, operation: "Encrypt", code: codeUnsupported},
	{kind: keys.KindUnsupported, operation: "Decrypt", code: codeUnsupported},
	{kind: keys.KindUnsupported, operation: "GenerateDataKey", code: codeUnsupported},
	{kind: keys.KindUnsupported, operation: "GenerateDataKeyWithoutPlaintext", code: codeUnsupported},
	{kind: keys.KindUnsupported, operation: "AsymmetricSign", code: codeInvalid},
	{kind: keys.KindUnsupported, operation: "AsymmetricVerify", code: codeInvalid},
	{kind: keys.KindUnsupported, operation: "GetPublicKey", code: codeInvalid},
	{kind: keys.KindUnsupported, operation: "ReEncrypt", code: codeInvalid},
	{kind: keys.KindUnsupported, operation: "ExportDataKey", code: codeInvalid},
	{kind: keys.KindUnsupported, operation: "GenerateAndExportDataKey", code: codeInvalid},
	{kind: keys.KindUnsupported, operation: "GenerateMac", code: codeInvalid},
	{kind: keys.KindUnsupported, operation: "VerifyMac", code: codeInvalid},
	{kind: keys.KindUnsupported, code: codeRejected},
	{kind: keys.KindLimit, code: codeLimit},
	{kind: keys.KindThrottled, field: dialect.SourceField, code: codeThrottledSource}, // the gateway's: nobody knows yet whose it is
	{kind: keys.KindThrottled, code: codeThrottled},
	{kind: keys.KindProtected, action: keys.ScheduleKeyDeletion, code: codeProtected},
	{kind: keys.KindProtected, code: codeProtection},
	{kind: keys.KindAliasNotAllowed, code: codeAlias},
	{kind: keys.KindNotImplemented, code: codeUnsupported},

	// No Alibaba operation has if-match or idempotency tokens; a lost race is worth a retry.
	{kind: keys.KindTransient, code: codeStateUnavailable},
	{kind: keys.KindRevision, code: codeUnavailable},
	{kind: keys.KindToken, code: codeUnavailable},
	{kind: keys.KindUnavailable, code: codeUnavailable},
	{kind: keys.KindInternal, code: codeInternal},
}

func (r *row) matches(e *keys.Error, operation string) bool {
	return r.kind == e.Kind &&
		(r.noun == "" || r.noun == e.Noun) &&
		(r.state == "" || r.state == e.State) &&
		(r.action == "" || r.action == e.Action) &&
		(r.field == "" || r.field == e.Field) &&
		(r.operation == "" || r.operation == operation)
}

// failure is an answer that says no.
type failure struct {
	status  int
	code    code
	message string
}

// failureOf finds what the cloud would say to e in operation.
func failureOf(e *keys.Error, operation string) failure {
	c, message := codeInternal, ""
	if own, ok := errors.AsType[code](e); ok {
		c = own
	} else {
		for i := range rows {
			if rows[i].matches(e, operation) {
				c, message = rows[i].code, rows[i].message
				break
			}
		}
	}
	a, ok := answers[c]
	if !ok {
		c, a = codeInternal, answers[codeInternal]
	}
	if message == "" {
		message = a.message
	}
	if strings.Contains(message, "%s") {
		message = fmt.Sprintf(message, e.Field)
	}
	if m, ok := errors.AsType[*mismatch](e); ok {
		message += " server string to sign is:" + m.stringToSign
	}
	return failure{status: a.status, code: c, message: message}
}

// dryRunFailure is what a request with DryRun answers instead of f. Faults of the server and
// throttling say nothing about the request and stay.
func dryRunFailure(f failure) failure {
	c := codeDryRunInvalid
	switch {
	case f.code == codeDryRun, f.status >= http.StatusInternalServerError, f.status == http.StatusTooManyRequests:
		return f
	case f.code == codeNoPermission:
		c = codeDryRunDenied
	}
	return failure{status: answers[c].status, code: c, message: answers[c].message}
}

// refuse makes an error that is answered with c.
func refuse(kind keys.Kind, c code, field, hint string) *keys.Error {
	return &keys.Error{Kind: kind, Field: field, Hint: hint, Err: c}
}

// unauthenticated refuses a request whose caller could not be established.
func unauthenticated(c code, field, hint string) *keys.Error {
	return refuse(keys.KindUnauthenticated, c, field, hint)
}

// mismatch is the cause of a signature that is not ours. The string to sign goes to the
// client, which sent all that is in it, and nowhere else: it may hold a plaintext.
type mismatch struct {
	code
	stringToSign string
}

// Unwrap is the code.
func (m *mismatch) Unwrap() error { return m.code }
