// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"crypto/x509"
	"net/http"
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
	isOpen       = "400 Forbidden.Opened"
	useSymmetric = "Aliyun_AES_256"
	useSign      = "EC_P256"
	useEncrypt   = "RSA_2048"
	useMAC       = "HMAC_SM3"
)

// useInstance is the spec of rows that are about a symmetric key in a vault that is not the
// default one.
const useInstance = "instance"

// useImport is the spec of rows that are about a symmetric key of imported material.
const useImport = "imported"

// tableUsages is the usage of each spec in the table of states.
func tableUsages() map[string]string {
	return map[string]string{useSymmetric: usageEncrypt, useSign: usageSign, useEncrypt: usageEncrypt, useMAC: usageMAC}
}

// publicKeyBlob is a public key to wrap under.
func (c *cloud) publicKeyBlob(t testing.TB) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(c.Tenant.RSAKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	return b64(der)
}

// stateRow is a row of the cloud's table of operations by key state: Enabled, Disabled,
// PendingDeletion, PendingImport. In params, which have blanks between them, $key, $arn,
// $version, $alias and $blob stand for the key's own, $new for an alias that is not there,
// $instance for the vault that is not the default one, $public for a public key, $material for the
// key's material wrapped to fit an import token, which $token is.
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
	{"ReEncrypt", useSymmetric, "CiphertextBlob=$blob DestinationKeyId=$key", ok, isDisabled, isPending, isForImport},
	{"ExportDataKey", useSymmetric, "CiphertextBlob=$blob PublicKeyBlob=$public WrappingKeySpec=RSA_2048 WrappingAlgorithm=RSAES_OAEP_SHA_256", ok, isDisabled, isPending, isForImport},
	{"GenerateAndExportDataKey", useSymmetric, "KeyId=$key PublicKeyBlob=$public WrappingKeySpec=RSA_2048 WrappingAlgorithm=RSAES_OAEP_SHA_1", ok, isDisabled, isPending, isForImport},
	{"GenerateMac", useMAC, "KeyId=$key Algorithm=HMAC_SM3 Message=aGk=", ok, isDisabled, isPending, isForImport},
	{"VerifyMac", useMAC, "KeyId=$key Algorithm=HMAC_SM3 Message=aGk= Mac=aGk=", ok, isDisabled, isPending, isForImport},

	{"GetParametersForImport", useImport, "KeyId=$key WrappingKeySpec=EC_SM2 WrappingAlgorithm=SM2PKE", ok, ok, ok, ok},
	{"ImportKeyMaterial", useImport, "KeyId=$key EncryptedKeyMaterial=$material ImportToken=$token KeyMaterialExpireUnix=0", ok, ok, wrongState, ok},
	{"DeleteKeyMaterial", useImport, "KeyId=$key", ok, ok, ok, ok},

	{"TagResource", useSymmetric, `KeyId=$key Tags=[{"TagKey":"a","TagValue":"b"}]`, ok, ok, isPending, ok},
	{"UntagResource", useSymmetric, `KeyId=$key TagKeys=["z"]`, ok, ok, isPending, ok},
	{"ListResourceTags", useSymmetric, "KeyId=$key", ok, ok, ok, ok},
	{"TagResources", useSymmetric, "RegionId=cn-hangzhou ResourceType=key ResourceId.1=$key Tag.1.Key=a Tag.1.Value=b", ok, ok, isPending, ok},
	{"UntagResources", useSymmetric, "RegionId=cn-hangzhou ResourceType=key ResourceId.1=$key TagKey.1=z", ok, ok, isPending, ok},
	{"ListTagResources", useSymmetric, "RegionId=cn-hangzhou ResourceType=key ResourceId.1=$key", ok, ok, ok, ok},
	{"SetDeletionProtection", useSymmetric, "ProtectedResourceArn=$arn EnableDeletionProtection=false", ok, ok, isPending, ok},
	{"GetKeyPolicy", useInstance, "KeyId=$key", ok, ok, ok, ok},
	{"DescribeAccountKmsStatus", useSymmetric, "", ok, ok, ok, ok},
	{"OpenKmsService", useSymmetric, "", isOpen, isOpen, isOpen, isOpen},
	{"ListKmsInstances", useSymmetric, "", ok, ok, ok, ok},
	{"GetKmsInstance", useSymmetric, "KmsInstanceId=$instance", ok, ok, ok, ok},
	{"GetDefaultKmsInstance", useSymmetric, "", ok, ok, ok, ok},
}

var aDigest = strings.Repeat("A", 43) + "="

// stage has what the rows of the table need: a key of each spec that they name.
type stage struct {
	key, version, blob map[string]string // by spec
	instance, public   string
	cloud              *cloud
}

func newStage(t testing.TB, c *cloud, params ...string) *stage {
	t.Helper()
	s := &stage{key: map[string]string{}, version: map[string]string{}, blob: map[string]string{}, instance: InstanceName(c.newVault(t, "stage")), cloud: c}
	s.public = c.publicKeyBlob(t)
	for spec, usage := range tableUsages() {
		s.key[spec] = c.newKey(t, append(params, "KeySpec="+spec, "KeyUsage="+usage)...)
	}
	s.key[useInstance] = c.newKey(t, append(params, "DKMSInstanceId="+s.instance)...)
	s.key[useImport] = c.newKey(t, append(params, "Origin=EXTERNAL")...)
	c.importMaterial(t, s.key[useImport])
	for spec, key := range s.key {
		s.version[spec] = c.oneVersion(t, key)
	}
	s.blob[useSymmetric] = c.must(t, "Encrypt", "KeyId="+s.key[useSymmetric], "Plaintext=aGk=").at("CiphertextBlob")
	s.blob[useEncrypt] = c.must(t, "AsymmetricEncrypt", "KeyId="+s.key[useEncrypt], "KeyVersionId="+s.version[useEncrypt],
		"Algorithm=RSAES_OAEP_SHA_256", "Plaintext=aGk=").at("CiphertextBlob")
	s.blob[useSign] = c.must(t, "AsymmetricSign", "KeyId="+s.key[useSign], "KeyVersionId="+s.version[useSign],
		"Algorithm=ECDSA_SHA_256", "Digest="+aDigest).at("Value")
	return s
}

// params are a row's parameters.
func (s *stage) params(t testing.TB, row *stateRow, alias, fresh string) []string {
	t.Helper()
	key := s.key[row.spec]
	material, token := "", ""
	if strings.Contains(row.params, "$token") {
		material, token = s.cloud.wrapped(t, key)
	}
	return strings.Fields(strings.NewReplacer("$key", key, "$arn", KeyARN(testRegion, "1234567890123456", mustID(t, key)),
		"$version", s.version[row.spec], "$blob", s.blob[row.spec], "$alias", alias, "$new", fresh, "$digest", aDigest,
		"$instance", s.instance, "$public", s.public, "$material", material, "$token", token).Replace(row.params))
}

// best is the answer in the state that the operation is for.
func (r *stateRow) best() string {
	if r.pending == ok {
		return ok
	}
	return r.enabled
}

// set brings everything into the state in which a row's operation works, and is the row's
// parameters then.
func (s *stage) set(t testing.TB, c *cloud, row *stateRow) []string {
	t.Helper()
	const alias = "alias/of-the-stage"
	if !strings.Contains(row.params, "$new") {
		c.must(t, "CreateAlias", "KeyId="+s.key[row.spec], "AliasName="+alias)
	}
	switch row.operation {
	case "CancelKeyDeletion":
		c.must(t, "ScheduleKeyDeletion", "KeyId="+s.key[row.spec], "PendingWindowInDays=7")
	case "CreateKeyVersion":
		c.advance(t, 8*keys.Day)
	}
	return s.params(t, row, alias, alias)
}

// strike takes back what set and the row's operation did.
func (s *stage) strike(t testing.TB, c *cloud, row *stateRow) {
	t.Helper()
	_ = c.call(t, "DeleteAlias", "AliasName=alias/of-the-stage")
	if row.operation == "DeleteKeyMaterial" {
		c.importMaterial(t, s.key[row.spec])
	}
	if row.operation == "ScheduleKeyDeletion" || row.operation == "CancelKeyDeletion" {
		_ = c.call(t, "CancelKeyDeletion", "KeyId="+s.key[row.spec]) // unless it is cancelled, or was refused
	}
	c.must(t, "EnableKey", "KeyId="+s.key[row.spec])
}

// TestStateTable tries every operation in every key state.
func TestStateTable(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	s := newStage(t, c)
	c.advance(t, 8*keys.Day)
	for _, row := range stateTable {
		for state, want := range map[keys.State]string{
			keys.Enabled: row.enabled, keys.Disabled: row.disabled, keys.PendingDeletion: row.pending, keys.PendingImport: row.pendingImport,
		} {
			alias := "alias/" + row.operation + "-" + string(state)
			c.change(t, s.key[row.spec], func(k *keys.Key) { k.State, k.Before, k.DeleteAt = keys.Enabled, "", time.Time{} })
			c.must(t, "CreateAlias", "KeyId="+s.key[row.spec], "AliasName="+alias)
			c.change(t, s.key[row.spec], func(k *keys.Key) {
				k.State = state
				if state == keys.PendingDeletion {
					k.Before, k.DeleteAt = keys.Enabled, c.Now().Add(10*keys.Day)
				}
			})
			r := c.call(t, row.operation, s.params(t, &row, alias, alias+"-new")...)
			if r.code() != want {
				t.Errorf("%s while %s: %s, want %s", row.operation, state, r, want)
			}
			if r.status == http.StatusConflict && want != wrongState && !strings.HasSuffix(r.at("Message"), "because the key state is "+nameOfState(state)+".") {
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
