// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"claviger/internal/keys"
)

// TestEveryKindHasARow walks the kinds: each is answered on purpose, and only faults of the
// server with a 5xx.
func TestEveryKindHasARow(t *testing.T) {
	t.Parallel()
	faults := map[keys.Kind]bool{keys.KindInternal: true, keys.KindUnavailable: true, keys.KindRevision: true, keys.KindToken: true}
	for _, kind := range keys.Kinds() {
		found := false
		for _, r := range rows {
			found = found || r.kind == kind
		}
		if !found {
			t.Errorf("kind %s is in no row", kind)
		}
		f := failureOf(&keys.Error{Kind: kind}, "")
		if fault := f.status >= http.StatusInternalServerError; fault != faults[kind] {
			t.Errorf("kind %s gives %d %s", kind, f.status, f.code)
		}
	}
}

// TestRowsAreReached checks that no row stands behind one that matches everything it does.
func TestRowsAreReached(t *testing.T) {
	t.Parallel()
	for i, r := range rows {
		e := &keys.Error{Kind: r.kind, Noun: r.noun, State: r.state, Action: r.action, Field: r.field}
		for j := range rows[:i] {
			if rows[j].matches(e, r.operation) {
				t.Errorf("row %d (%+v) hides row %d (%+v)", j, rows[j], i, r)
			}
		}
	}
}

func TestEveryCodeHasAnAnswer(t *testing.T) {
	t.Parallel()
	for _, r := range rows {
		if _, ok := answers[r.code]; !ok {
			t.Errorf("code %s has no answer", r.code)
		}
	}
	for c, a := range answers {
		if a.message == "" || a.status < 400 || strings.ContainsAny(string(c), " %&") {
			t.Errorf("%s: %+v", c, a)
		}
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	type in = keys.Error
	for _, c := range []struct {
		e         *in
		operation string
		want      string
	}{
		{keys.Missing("KeyId"), "Encrypt", `400 MissingParameter The parameter "KeyId" is needed but not provided.`},
		{keys.Invalid("KeyVersionId", ""), "DescribeKeyVersion", "400 InvalidParameter The specified parameter is not valid."},
		{keys.Invalid("KeyId", ""), "Encrypt", "400 InvalidParameter The specified parameter is invalid."},
		{keys.Invalid("RotationInterval", ""), "UpdateRotationPolicy", "400 InvalidParameter The specified parameter RotationInterval is not valid."},
		{keys.NotFound(keys.TypeKey), "DescribeKey", "404 Forbidden.KeyNotFound The specified Key is not found."},
		{keys.NotFound(keys.TypeVersion), "DescribeKeyVersion", "404 Forbidden.KeyVersionNotFound The specified Key version is not found."},
		{keys.NotFound(keys.TypeAlias), "DescribeKey", "404 Forbidden.AliasNotFound The specified Alias is not found."},
		{&in{Kind: keys.KindExists, Noun: keys.TypeAlias}, "CreateAlias", "400 AliasAlreadyExists AliasName Already Exists."},
		{&in{Kind: keys.KindTooSoon}, "CreateKeyVersion", "400 Rejected.UnsupportedOperation Unsupported operation."},
		{&in{Kind: keys.KindLimit, Noun: keys.TypeVersion}, "CreateKeyVersion", "400 Rejected.LimitExceeded The request was rejected because user create resource limit was exceeded."},
		{&in{Kind: keys.KindUnsupported, Field: "spec"}, "CreateKeyVersion", "400 Rejected.UnsupportedOperation Unsupported operation."},
		{&in{Kind: keys.KindUnsupported, Field: "algorithm"}, "AsymmetricEncrypt", "400 Rejected.UnsupportedOperation Unsupported operation."},
		{&in{Kind: keys.KindUnsupported, Field: "algorithm"}, "AsymmetricSign", "400 InvalidParameter The specified parameter is not valid."},
		{&in{Kind: keys.KindUnsupported, Field: "algorithm"}, "GenerateDataKey", "400 UnsupportedOperation This action is not supported."},
		{&in{Kind: keys.KindUnsupported, Field: "protection"}, "CreateKey", "400 Unsupported.ProtectionLevel This protection level is not valid for this region"},
		{&in{Kind: keys.KindAliasNotAllowed}, "EnableKey", "400 Unsupported.Alias Alias is not valid for this api."},
		{&in{Kind: keys.KindDenied}, "Encrypt", "403 Forbidden.NoPermission This operation is forbidden by permission system."},
		{&in{Kind: keys.KindThrottled}, "Encrypt", "429 Rejected.Throttling QPS Limit Exceeded"},
		{&in{Kind: keys.KindReplay}, "", "400 SignatureNonceUsed Specified signature nonce was used already."},
		{&in{Kind: keys.KindUnauthenticated, Noun: keys.TypeCredential}, "", "404 InvalidAccessKeyId.NotFound The Access Key ID provided does not exist in our records."},
		{&in{Kind: keys.KindCiphertext}, "Decrypt", "400 InvalidParameter The specified parameter is not valid."},
		{&in{Kind: keys.KindProtected, Action: keys.ScheduleKeyDeletion}, "ScheduleKeyDeletion", "409 Rejected.DeletionProtection The key is protected from deletion."},
		{&in{Kind: keys.KindInternal, Err: errors.New("secret path")}, "Encrypt", "500 InternalFailure Internal Failure."},
		{&in{Kind: "a new kind"}, "Encrypt", "500 InternalFailure Internal Failure."},
		{keys.AsError(mandatory("Timestamp")), "", "400 MissingTimestamp Timestamp is mandatory for this action."},
		{&in{Kind: keys.KindUnauthenticated, Err: &mismatch{codeMismatch, "GET&%2F&"}}, "", "400 SignatureDoesNotMatch Specified signature is not matched with our calculation. server string to sign is:GET&%2F&"},
		{refuse(keys.KindInvalid, "made up", "", ""), "", "500 InternalFailure Internal Failure."},
	} {
		f := failureOf(c.e, c.operation)
		if got := fmt.Sprintf("%d %s %s", f.status, f.code, f.message); got != c.want {
			t.Errorf("%v in %s\ngot  %s\nwant %s", c.e, c.operation, got, c.want)
		}
	}
}

// TestStringToSignStaysOut keeps what was signed, which may be a plaintext, out of the log.
func TestStringToSignStaysOut(t *testing.T) {
	t.Parallel()
	p := parsed(t, "Plaintext=hunter2&Signature=AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "")
	c := &claim{signature: "AAAAAAAAAAAAAAAAAAAAAAAAAAA="}
	err := c.verifyV1(testCredential("a", "b"), p, "GET")
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error for the log: %v", err)
	}
	if f := failureOf(keys.AsError(err), ""); !strings.Contains(f.message, "hunter2") {
		t.Errorf("message for the client lacks the string to sign: %s", f.message)
	}
}

func TestDryRunFailure(t *testing.T) {
	t.Parallel()
	for in, want := range map[code]code{
		codeDryRun: codeDryRun, codeNoPermission: codeDryRunDenied, codeKeyNotFound: codeDryRunInvalid, codeInvalid: codeDryRunInvalid,
		codeThrottled: codeThrottled, codeInternal: codeInternal, codeUnavailable: codeUnavailable,
	} {
		a := answers[in]
		if got := dryRunFailure(failure{a.status, in, a.message}); got.code != want {
			t.Errorf("%s becomes %s, want %s", in, got.code, want)
		}
	}
}
