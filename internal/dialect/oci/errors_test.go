// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"claviger/internal/dialect"
	"claviger/internal/keys"
)

// documented are the codes that Oracle's page of errors and its SDKs know, by status.
var documented = map[string]bool{
	"400 UnmatchedContentMD5": true, "400 CannotParseRequest": true, "400 InvalidParameter": true, "400 MissingParameter": true, "400 LimitExceeded": true,
	"400 RelatedResourceNotAuthorizedOrNotFound": true, "401 NotAuthenticated": true, "404 NotAuthorizedOrNotFound": true,
	"404 NotFound": true, "405 MethodNotAllowed": true, "409 Conflict": true, "409 InvalidatedRetryToken": true, "409 IncorrectState": true, "403 NotAllowed": true,
	"409 NotAuthorizedOrResourceAlreadyExists": true, "412 NoEtagMatch": true, "413 RequestEntityTooLarge": true,
	"429 TooManyRequests": true, "500 InternalServerError": true, "501 MethodNotImplemented": true, "503 ServiceUnavailable": true,
}

func TestEveryKindHasARow(t *testing.T) {
	t.Parallel()
	for _, kind := range keys.Kinds() {
		row := find(&keys.Error{Kind: kind}, nil)
		if row.kind != kind {
			t.Errorf("%s has no row of its own", kind)
		}
		if (row.status >= 500) != (kind == keys.KindInternal || kind == keys.KindUnavailable || kind == keys.KindNotImplemented) {
			t.Errorf("%s answers %d", kind, row.status)
		}
	}
	if row := find(&keys.Error{Kind: "new"}, nil); row.status != 500 || row.code != codeInternal || row.text != textInternal {
		t.Errorf("a kind without a row answers %+v", row)
	}
}

func TestEveryRowCanBeReached(t *testing.T) {
	t.Parallel()
	for i, r := range errorTable {
		m := &match{op: &operation{on: onManagement}}
		if r.crypto {
			m.op.on = onCrypto
		}
		if got := find(&keys.Error{Kind: r.kind, Noun: r.noun, State: r.state, Action: r.action, Field: r.field}, m); got != r {
			t.Errorf("row %d (%+v) lies behind %+v", i, r, got)
		}
		if !documented[fmt.Sprint(r.status, " ", r.code)] {
			t.Errorf("row %d answers %d %s, which Oracle does not document", i, r.status, r.code)
		}
	}
}

// Terraform's provider drops a resource from its state when an error says one of these.
func TestOnlyNotFoundSoundsLikeIt(t *testing.T) {
	t.Parallel()
	for _, r := range errorTable {
		for _, phrase := range []string{"does not exist", " not present in ", "not found", "status code: 404"} {
			if strings.Contains(strings.ToLower(r.text), phrase) && r.status != 404 {
				t.Errorf("%d %s says %q", r.status, r.code, r.text)
			}
		}
	}
	// Nor does anything that a client sends get into a message.
	for _, field := range []string{"not found", "a does not exist b", "x not present in y", strings.Repeat("x", 100), "k\"", "status code: 404"} {
		e := &keys.Error{Kind: keys.KindMalformed, Field: field}
		row := find(e, nil)
		if got := row.message(e, nil); got != "The request could not be parsed" {
			t.Errorf("field %q: message %q", field, got)
		}
	}
}

// Clients retry these, or count them towards a circuit breaker, so nothing settled answers them.
func TestNothingSettledIsRetried(t *testing.T) {
	t.Parallel()
	for _, r := range errorTable {
		passing := r.kind == keys.KindTransient || r.state == keys.Restoring
		if (r.code == codeTransient) != passing || r.code == "LockConflict" {
			t.Errorf("%s answers %s", r.kind, r.code)
		}
	}
}

func TestInternalErrorsAreGeneric(t *testing.T) {
	t.Parallel()
	e := keys.AsError(errors.New("secret detail"))
	row := find(e, nil)
	if got := string(errorBody(row.code, row.message(e, nil))); got != `{"code":"InternalServerError","message":"Internal Server Error"}` {
		t.Errorf("body %s", got)
	}
}

func TestMessagesAreFilledIn(t *testing.T) {
	t.Parallel()
	sign := &match{op: &operation{on: onCrypto, Operation: dialect.Operation{Action: keys.Sign}}}
	version := &match{op: &operation{on: onManagement}, params: [2]string{"k", "ocid1.keyversion.x"}}
	for _, tc := range []struct {
		e    keys.Error
		m    *match
		want string
	}{
		{keys.Error{Kind: keys.KindState, Noun: keys.TypeKey, State: keys.PendingImport}, nil, "The key is in lifecycle state DISABLED, which does not allow the operation"},
		{keys.Error{Kind: keys.KindState, Noun: keys.TypeVersion, State: keys.PendingDeletion}, nil, "The key version is in lifecycle state PENDING_DELETION, which does not allow the operation"},
		{keys.Error{Kind: keys.KindPrimary, Noun: keys.TypeVersion}, version, "The Key Version ocid1.keyversion.x cannot be deleted because it is the current key version of the key"},
		{keys.Error{Kind: keys.KindUnsupported, Field: "algorithm"}, sign, "The key does not support the request: signingAlgorithm"},
		{keys.Error{Kind: keys.KindUnsupported, Field: "protection"}, nil, "The key does not support the request: protectionMode"},
		{keys.Error{Kind: keys.KindInvalid, Field: "rotationInterval"}, nil, "A parameter has a value that is not allowed: autoKeyRotationDetails.rotationIntervalInDays"},
		{keys.Error{Kind: keys.KindMissing, Field: "keyShape.length"}, nil, "A required parameter is missing: keyShape.length"},
		{keys.Error{Kind: keys.KindNotFound, Noun: keys.TypeKey}, sign, textCryptoNotFound},
		{keys.Error{Kind: keys.KindDenied}, version, textNotFound},
		{keys.Error{Kind: keys.KindProtected, Noun: keys.TypeKey}, nil, "The key is protected against deletion"},
	} {
		row := find(&tc.e, tc.m)
		if got := row.message(&tc.e, tc.m); got != tc.want {
			t.Errorf("%v: %q, want %q", tc.e.Kind, got, tc.want)
		}
	}
}

func TestRetryAfterIsInWholeSeconds(t *testing.T) {
	t.Parallel()
	for want, cause := range map[string]error{
		"1": nil, "2": &dialect.Throttled{RetryAfter: 1001 * time.Millisecond}, "3": fmt.Errorf("x: %w", &dialect.Throttled{RetryAfter: 3 * time.Second}),
	} {
		if got := retryAfter(&keys.Error{Kind: keys.KindThrottled, Err: cause}); got != want {
			t.Errorf("%v: %s, want %s", cause, got, want)
		}
	}
	if got := retryAfter(&keys.Error{Kind: keys.KindState}); got != "" {
		t.Errorf("a conflict is to be retried after %s", got)
	}
}
