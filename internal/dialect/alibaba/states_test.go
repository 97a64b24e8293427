// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"strings"
	"testing"
	"time"

	"claviger/internal/dialect"
	"claviger/internal/keys"
)

const (
	ok           = "200"
	isDisabled   = "409 Rejected.Disabled"
	isPending    = "409 Rejected.PendingDeletion"
	isForImport  = "409 Rejected.PendingImport"
	wrongState   = "409 Rejected.StateModifiedFailed"
	useSymmetric = "Aliyun_AES_256"
	useSign      = "EC_P256"
	useEncrypt   = "RSA_2048"
)

// stateRow is a row of the cloud's table of operations by key state: Enabled, Disabled,
// PendingDeletion, PendingImport. In params, $key, $version, $alias and $blob stand for the
// key's own.
type stateRow struct {
	operation, spec, params                   string
	enabled, disabled, pending, pendingImport string
}

var stateTable = []stateRow{
	{"CreateKey", useSymmetric, "", ok, ok, ok, ok},
	{"ListKeys", useSymmetric, "", ok, ok, ok, ok},
	{"DescribeKey", useSymmetric, "KeyId=$key", ok, ok, ok, ok},
	{"ListAliases", useSymmetric, "", ok, ok, ok, ok},
	{"ListAliasesByKeyId", useSymmetric, "KeyId=$key", ok, ok, ok, ok},
	{"DeleteAlias", useSymmetric, "AliasName=$alias", ok, ok, ok, ok},
	{"DescribeKeyVersion", useSign, "KeyId=$key KeyVersionId=$version", ok, ok, ok, ok},
	{"ListKeyVersions", useSign, "KeyId=$key", ok, ok, ok, ok},
	{"DescribeRegions", useSymmetric, "", ok, ok, ok, ok},
	{"Encrypt", useSymmetric, "KeyId=$key Plaintext=aGk=", ok, isDisabled, isPending, isForImport},
	{"Decrypt", useSymmetric, "CiphertextBlob=$blob", ok, isDisabled, isPending, isForImport},
	{"GenerateDataKey", useSymmetric, "KeyId=$key", ok, isDisabled, isPending, isForImport},
	{"GenerateDataKeyWithoutPlaintext", useSymmetric, "KeyId=$key", ok, isDisabled, isPending, isForImport},
	{"CreateKeyVersion", useSign, "KeyId=$key", ok, isDisabled, isPending, isForImport},
	{"UpdateRotationPolicy", useSymmetric, "KeyId=$key EnableAutomaticRotation=true RotationInterval=30d", ok, isDisabled, isPending, isForImport},
	{"EnableKey", useSymmetric, "KeyId=$key", ok, ok, wrongState, wrongState},
	{"DisableKey", useSymmetric, "KeyId=$key", ok, ok, wrongState, wrongState},
	{"ScheduleKeyDeletion", useSymmetric, "KeyId=$key PendingWindowInDays=7", ok, ok, wrongState, ok},
	{"CancelKeyDeletion", useSymmetric, "KeyId=$key", wrongState, wrongState, ok, wrongState},
	{"UpdateKeyDescription", useSymmetric, "KeyId=$key Description=x", ok, ok, isPending, ok},
	{"CreateAlias", useSymmetric, "KeyId=$key AliasName=$new", ok, ok, wrongState, ok},
	{"UpdateAlias", useSymmetric, "KeyId=$key AliasName=$alias", ok, ok, isPending, ok},
	{"AsymmetricEncrypt", useEncrypt, "KeyId=$key KeyVersionId=$version Algorithm=RSAES_OAEP_SHA_256 Plaintext=aGk=", ok, isDisabled, isPending, isForImport},
	{"AsymmetricDecrypt", useEncrypt, "KeyId=$key KeyVersionId=$version Algorithm=RSAES_OAEP_SHA_256 CiphertextBlob=$blob", ok, isDisabled, isPending, isForImport},
	{"AsymmetricSign", useSign, "KeyId=$key KeyVersionId=$version Algorithm=ECDSA_SHA_256 Digest=$digest", ok, isDisabled, isPending, isForImport},
	{"AsymmetricVerify", useSign, "KeyId=$key KeyVersionId=$version Algorithm=ECDSA_SHA_256 Digest=$digest Value=$blob", ok, isDisabled, isPending, isForImport},
	{"GetPublicKey", useSign, "KeyId=$key KeyVersionId=$version", ok, isDisabled, isPending, isForImport},
}

var aDigest = strings.Repeat("A", 43) + "="

// TestStateTable tries every operation in every key state.
func TestStateTable(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	key, version, blob := map[string]string{}, map[string]string{}, map[string]string{}
	for spec, usage := range map[string]string{useSymmetric: usageEncrypt, useSign: usageSign, useEncrypt: usageEncrypt} {
		key[spec] = c.newKey(t, "KeySpec="+spec, "KeyUsage="+usage)
		version[spec] = c.oneVersion(t, key[spec])
	}
	blob[useSymmetric] = c.must(t, "Encrypt", "KeyId="+key[useSymmetric], "Plaintext=aGk=").at("CiphertextBlob")
	blob[useEncrypt] = c.must(t, "AsymmetricEncrypt", "KeyId="+key[useEncrypt], "KeyVersionId="+version[useEncrypt],
		"Algorithm=RSAES_OAEP_SHA_256", "Plaintext=aGk=").at("CiphertextBlob")
	blob[useSign] = c.must(t, "AsymmetricSign", "KeyId="+key[useSign], "KeyVersionId="+version[useSign],
		"Algorithm=ECDSA_SHA_256", "Digest="+aDigest).at("Value")
	c.advance(t, 8*keys.Day)
	for _, row := range stateTable {
		for state, want := range map[keys.State]string{
			keys.Enabled: row.enabled, keys.Disabled: row.disabled, keys.PendingDeletion: row.pending, keys.PendingImport: row.pendingImport,
		} {
			alias := "alias/" + row.operation + "-" + string(state)
			c.change(t, key[row.spec], func(k *keys.Key) { k.State, k.Before, k.DeleteAt = keys.Enabled, "", time.Time{} })
			c.must(t, "CreateAlias", "KeyId="+key[row.spec], "AliasName="+alias)
			c.change(t, key[row.spec], func(k *keys.Key) {
				k.State = state
				if state == keys.PendingDeletion {
					k.Before, k.DeleteAt = keys.Enabled, c.Now().Add(10*keys.Day)
				}
			})
			replace := strings.NewReplacer("$key", key[row.spec], "$version", version[row.spec], "$blob", blob[row.spec], "$alias", alias,
				"$new", alias+"-new", "$digest", aDigest)
			r := c.call(t, row.operation, strings.Fields(replace.Replace(row.params))...)
			if r.code() != want {
				t.Errorf("%s while %s: %s, want %s", row.operation, state, r, want)
			}
			if want != ok && want != wrongState && !strings.HasSuffix(r.at("Message"), "because the key state is "+nameOfState(state)+".") {
				t.Errorf("%s while %s: %s", row.operation, state, r.at("Message"))
			}
		}
	}
}

// TestStateTableIsComplete finds operations that the table above does not have.
func TestStateTableIsComplete(t *testing.T) {
	t.Parallel()
	for _, op := range supported() {
		found := false
		for _, row := range stateTable {
			found = found || row.operation == op.Name
		}
		if !found {
			t.Errorf("%s has no row", op.Name)
		}
	}
}

func supported() []dialect.Operation {
	var out []dialect.Operation
	for _, g := range (&Dialect{}).operations() {
		for _, op := range g.Operations {
			if op.Gap == "" {
				out = append(out, op)
			}
		}
	}
	return out
}
