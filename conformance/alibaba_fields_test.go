// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"claviger/conformance/internal/alibaba"
	"claviger/conformance/internal/live"
)

// instanceSeed has a vault beside the default one, under an id of the cloud's.
const instanceSeed = `
[[tenant]]
name = "first"
alibaba = "1234567890123456"
  [[tenant.vault]]
  name = "main"
  default = true
  [[tenant.vault]]
  name = "ledger"
  alibaba = "kst-bjj62d8f5e0sgtx8h0001"
`

const seedInstance = "kst-bjj62d8f5e0sgtx8h0001"

// fieldsScene is what the operations are called on.
type fieldsScene struct {
	ali
	t       *testing.T
	server  *live.Process
	key     string // symmetric, rotated, described and tagged, in an instance
	signing string
	sealing string
	version map[string]string // key -> its first version
	blob    string            // under key
	sealed  string            // under sealing
	value   string            // a signature
}

const thirtyTwoBytes = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

func newFieldsScene(t *testing.T, server *live.Process, g alibaba.Generation) *fieldsScene {
	t.Helper()
	s := &fieldsScene{ali: throughAlibaba(t, server, g), t: t, server: server, version: map[string]string{}}
	s.key = s.must(t, "CreateKey", alibaba.Params{
		"Description": "for its fields", "EnableAutomaticRotation": true, "RotationInterval": "30d", "DKMSInstanceId": seedInstance,
		"Tags": `[{"TagKey":"a","TagValue":"b"}]`,
	}).KeyMetadata.KeyID
	s.signing, s.sealing = s.createKey(t, "EC_P256", forSigning).KeyID, s.createKey(t, "RSA_2048", forEncryption).KeyID
	for _, key := range []string{s.key, s.signing, s.sealing} {
		s.version[key] = s.versions(t, key)[0]
	}
	s.must(t, "CreateAlias", alibaba.Params{"KeyId": s.key, "AliasName": "alias/fields"})
	s.must(t, "SetDeletionProtection", alibaba.Params{
		"ProtectedResourceArn": s.arn(s.key), "EnableDeletionProtection": true, "DeletionProtectionDescription": "why",
	})
	s.blob = s.must(t, "Encrypt", alibaba.Params{"KeyId": s.key, "Plaintext": "QQ=="}).CiphertextBlob
	s.sealed = s.must(t, "AsymmetricEncrypt", s.asymmetric(s.sealing, "RSAES_OAEP_SHA_256", alibaba.Params{"Plaintext": "QQ=="})).CiphertextBlob
	s.value, _ = s.must(t, "AsymmetricSign", s.asymmetric(s.signing, "ECDSA_SHA_256", alibaba.Params{"Digest": thirtyTwoBytes})).Value.(string)
	return s
}

func (s *fieldsScene) arn(key string) string {
	return "acs:kms:" + s.server.Ready.Alibaba.RegionID + ":1234567890123456:key/" + key
}

func (s *fieldsScene) asymmetric(key, algorithm string, params alibaba.Params) alibaba.Params {
	out := alibaba.Params{"KeyId": key, "KeyVersionId": s.version[key], "Algorithm": algorithm}
	maps.Copy(out, params)
	return out
}

// exporting names the public key that a data key is exported under: the sealing key's own.
func (s *fieldsScene) exporting(params alibaba.Params) alibaba.Params {
	text := s.must(s.t, "GetPublicKey", alibaba.Params{"KeyId": s.sealing, "KeyVersionId": s.version[s.sealing]}).PublicKey
	block, _ := pem.Decode([]byte(text))
	out := alibaba.Params{
		"PublicKeyBlob": base64.StdEncoding.EncodeToString(block.Bytes), "WrappingKeySpec": "RSA_2048", "WrappingAlgorithm": "RSAES_OAEP_SHA_256",
	}
	maps.Copy(out, params)
	return out
}

// forImport makes a key whose material is to come.
func (s *fieldsScene) forImport() string {
	return s.must(s.t, "CreateKey", alibaba.Params{"Origin": "EXTERNAL"}).KeyMetadata.KeyID
}

// importing brings a key's material, for a day.
func (s *fieldsScene) importing(key string) alibaba.Params {
	reply := s.must(s.t, "GetParametersForImport", alibaba.Params{
		"KeyId": key, "WrappingKeySpec": "RSA_2048", "WrappingAlgorithm": "RSAES_OAEP_SHA_256",
	})
	der, err := base64.StdEncoding.DecodeString(reply.PublicKey)
	if err != nil {
		s.t.Fatal(err)
	}
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		s.t.Fatal(err)
	}
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public.(*rsa.PublicKey), make([]byte, 32), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return alibaba.Params{
		"KeyId": key, "EncryptedKeyMaterial": base64.StdEncoding.EncodeToString(wrapped), "ImportToken": reply.ImportToken,
		"KeyMaterialExpireUnix": int(s.server.Admin.Now(s.t).Add(day).Unix()),
	}
}

// imported is a key whose material came from outside.
func (s *fieldsScene) imported() string {
	key := s.forImport()
	s.must(s.t, "ImportKeyMaterial", s.importing(key))
	return key
}

// on names the resources of the newer operations on tags.
func (s *fieldsScene) on(params alibaba.Params) alibaba.Params {
	out := alibaba.Params{"RegionId": s.server.Ready.Alibaba.RegionID, "ResourceType": "key", "ResourceId": []string{s.key}}
	maps.Copy(out, params)
	return out
}

// scheduled is a key that is being deleted.
func (s *fieldsScene) scheduled() string {
	id := s.createKey(s.t, "Aliyun_AES_256", forEncryption).KeyID
	s.must(s.t, "ScheduleKeyDeletion", alibaba.Params{"KeyId": id, "PendingWindowInDays": 7})
	return id
}

// manyTags makes more tags than fit on a page of ListTagResources.
func (s *fieldsScene) manyTags() {
	for range 11 {
		var tags []string
		for i := range 20 {
			tags = append(tags, fmt.Sprintf(`{"TagKey":"t%d","TagValue":"v"}`, i))
		}
		s.must(s.t, "CreateKey", alibaba.Params{"Tags": "[" + strings.Join(tags, ",") + "]"})
	}
}

// fieldCall is a call of an operation that is to succeed. Several calls of one operation together
// fill its fields.
type fieldCall struct {
	action string
	params func(s *fieldsScene) alibaba.Params
}

func nothing(*fieldsScene) alibaba.Params { return nil }

func byKey(s *fieldsScene) alibaba.Params { return alibaba.Params{"KeyId": s.key} }

// fieldCalls are the calls, in an order in which each works.
func fieldCalls() []fieldCall {
	return []fieldCall{
		{"CreateKey", func(*fieldsScene) alibaba.Params {
			return alibaba.Params{"Description": "x", "EnableAutomaticRotation": true, "RotationInterval": "7d", "DKMSInstanceId": seedInstance}
		}},
		{"DescribeKey", byKey},
		{"DescribeKey", func(s *fieldsScene) alibaba.Params { return alibaba.Params{"KeyId": s.scheduled()} }},
		{"DescribeKey", func(s *fieldsScene) alibaba.Params { return alibaba.Params{"KeyId": s.imported()} }},
		{"ListKeys", nothing},
		{"DisableKey", byKey},
		{"EnableKey", byKey},
		{"ScheduleKeyDeletion", func(s *fieldsScene) alibaba.Params {
			return alibaba.Params{"KeyId": s.createKey(s.t, "Aliyun_AES_256", forEncryption).KeyID, "PendingWindowInDays": 7}
		}},
		{"CancelKeyDeletion", func(s *fieldsScene) alibaba.Params { return alibaba.Params{"KeyId": s.scheduled()} }},
		{"UpdateKeyDescription", func(s *fieldsScene) alibaba.Params { return alibaba.Params{"KeyId": s.key, "Description": "y"} }},
		{"SetDeletionProtection", func(s *fieldsScene) alibaba.Params {
			return alibaba.Params{"ProtectedResourceArn": s.arn(s.key), "EnableDeletionProtection": true}
		}},
		{"CreateKeyVersion", func(s *fieldsScene) alibaba.Params {
			s.server.Admin.Advance(s.t, week)
			return alibaba.Params{"KeyId": s.signing}
		}},
		{"DescribeKeyVersion", func(s *fieldsScene) alibaba.Params {
			return alibaba.Params{"KeyId": s.key, "KeyVersionId": s.version[s.key]}
		}},
		{"ListKeyVersions", byKey},
		{"UpdateRotationPolicy", func(s *fieldsScene) alibaba.Params {
			return alibaba.Params{"KeyId": s.key, "EnableAutomaticRotation": true, "RotationInterval": "60d"}
		}},

		{"GetParametersForImport", func(s *fieldsScene) alibaba.Params {
			return alibaba.Params{"KeyId": s.forImport(), "WrappingKeySpec": "RSA_2048", "WrappingAlgorithm": "RSAES_PKCS1_V1_5"}
		}},
		{"ImportKeyMaterial", func(s *fieldsScene) alibaba.Params { return s.importing(s.forImport()) }},
		{"DeleteKeyMaterial", func(s *fieldsScene) alibaba.Params { return alibaba.Params{"KeyId": s.imported()} }},

		{"Encrypt", func(s *fieldsScene) alibaba.Params { return alibaba.Params{"KeyId": s.key, "Plaintext": "QQ=="} }},
		{"Decrypt", func(s *fieldsScene) alibaba.Params { return alibaba.Params{"CiphertextBlob": s.blob} }},
		{"GenerateDataKey", byKey},
		{"GenerateDataKeyWithoutPlaintext", byKey},
		{"AsymmetricEncrypt", func(s *fieldsScene) alibaba.Params {
			return s.asymmetric(s.sealing, "RSAES_OAEP_SHA_256", alibaba.Params{"Plaintext": "QQ=="})
		}},
		{"AsymmetricDecrypt", func(s *fieldsScene) alibaba.Params {
			return s.asymmetric(s.sealing, "RSAES_OAEP_SHA_256", alibaba.Params{"CiphertextBlob": s.sealed})
		}},
		{"AsymmetricSign", func(s *fieldsScene) alibaba.Params {
			return s.asymmetric(s.signing, "ECDSA_SHA_256", alibaba.Params{"Digest": thirtyTwoBytes})
		}},
		{"AsymmetricVerify", func(s *fieldsScene) alibaba.Params {
			return s.asymmetric(s.signing, "ECDSA_SHA_256", alibaba.Params{"Digest": thirtyTwoBytes, "Value": s.value})
		}},
		{"GetPublicKey", func(s *fieldsScene) alibaba.Params {
			return alibaba.Params{"KeyId": s.signing, "KeyVersionId": s.version[s.signing]}
		}},

		{"ReEncrypt", func(s *fieldsScene) alibaba.Params {
			return alibaba.Params{"CiphertextBlob": s.blob, "DestinationKeyId": s.key}
		}},
		{"ExportDataKey", func(s *fieldsScene) alibaba.Params { return s.exporting(alibaba.Params{"CiphertextBlob": s.blob}) }},
		{"GenerateAndExportDataKey", func(s *fieldsScene) alibaba.Params { return s.exporting(alibaba.Params{"KeyId": s.key}) }},
		{"GenerateMac", nothing}, // in later versions of the current SDK only
		{"VerifyMac", nothing},

		{"CreateAlias", func(s *fieldsScene) alibaba.Params { return alibaba.Params{"KeyId": s.key, "AliasName": "alias/more"} }},
		{"UpdateAlias", func(s *fieldsScene) alibaba.Params {
			return alibaba.Params{"KeyId": s.signing, "AliasName": "alias/more"}
		}},
		{"ListAliases", nothing},
		{"ListAliasesByKeyId", byKey},
		{"DeleteAlias", func(*fieldsScene) alibaba.Params { return alibaba.Params{"AliasName": "alias/more"} }},

		{"TagResource", func(s *fieldsScene) alibaba.Params {
			return alibaba.Params{"KeyId": s.key, "Tags": `[{"TagKey":"c","TagValue":"d"}]`}
		}},
		{"UntagResource", func(s *fieldsScene) alibaba.Params { return alibaba.Params{"KeyId": s.key, "TagKeys": `["c"]`} }},
		{"ListResourceTags", byKey},
		{"TagResources", func(s *fieldsScene) alibaba.Params {
			return s.on(alibaba.Params{"Tag": []alibaba.Tag{{Key: "e", Value: "f"}}})
		}},
		{"UntagResources", func(s *fieldsScene) alibaba.Params { return s.on(alibaba.Params{"TagKey": []string{"e"}}) }},
		{"ListTagResources", func(s *fieldsScene) alibaba.Params {
			s.manyTags()
			params := s.on(alibaba.Params{"Tag": []alibaba.Tag{{Key: "t1", Value: "v"}}})
			delete(params, "ResourceId")
			return params
		}},

		{"GetKeyPolicy", byKey},
		{"DescribeRegions", nothing},
		{"DescribeAccountKmsStatus", nothing},
		{"ListKmsInstances", nothing},
		{"GetKmsInstance", func(*fieldsScene) alibaba.Params { return alibaba.Params{"KmsInstanceId": seedInstance} }},
		{"GetDefaultKmsInstance", nothing},
	}
}

// notApplicable is every field of the SDKs' models that stays empty, those below it included, and why.
func notApplicable() map[string]string {
	const (
		noNetworks = "there are no VPCs, switches and zones"
		noContract = "an instance is not bought: it has no specification, quotas and end"
		noGateway  = "an instance has no gateway and no authority of its own"
		ofOther    = "one model for two operations: the other one's field"
		described  = "shown by DescribeKey only, as the cloud does"
	)
	out := map[string]string{
		"CreateKey.KeyMetadata.DeleteDate":                    "a new key is not scheduled for deletion",
		"CreateKey.KeyMetadata.MaterialExpireTime":            "a new key has no imported material",
		"CreateKey.KeyMetadata.DeletionProtection":            described,
		"CreateKey.KeyMetadata.DeletionProtectionDescription": described,
	}
	for field, reason := range map[string]string{
		"BindVpcs": noNetworks, "VpcId": noNetworks, "VpcNum": noNetworks, "VswitchIds": noNetworks, "ZoneIds": noNetworks,
		"KeyNum": noContract, "SecretNum": noContract, "Spec": noContract, "EndDate": noContract, "CaCertificateChainPem": noGateway,
	} {
		out["GetKmsInstance.KmsInstance."+field] = reason
		out["ListKmsInstances.KmsInstances.KmsInstance."+field] = ofOther
	}
	for _, field := range []string{"CreateTime", "InstanceId", "InstanceName", "StartDate", "Status"} {
		out["ListKmsInstances.KmsInstances.KmsInstance."+field] = ofOther
	}
	for _, field := range []string{"KmsInstanceArn", "KmsInstanceId"} {
		out["GetKmsInstance.KmsInstance."+field] = ofOther
	}
	return out
}

// excuse is the entry of notApplicable that a field falls under, "" for none.
func excuse(all map[string]string, field string) string {
	for path := field; path != ""; path = path[:max(0, strings.LastIndexByte(path, '.'))] {
		if all[path] != "" {
			return path
		}
	}
	return ""
}

// unasked are the supported operations that no SDK for keys is asked for here, and why.
var unasked = map[string]string{
	"OpenKmsService":    "always refused: the service is open",
	"AssumeRole":        "of another service, with an SDK of its own",
	"GetCallerIdentity": "of another service, with an SDK of its own",
}

// Every field of the answers of every supported operation, as the models of two SDKs have them, is
// filled by some call or stands above with the reason why not.
func TestAlibabaFields(t *testing.T) {
	t.Parallel()
	seed := filepath.Join(t.TempDir(), "seed.toml")
	if err := os.WriteFile(seed, []byte(instanceSeed), 0o600); err != nil {
		t.Fatal(err)
	}
	excused, used := notApplicable(), map[string]bool{}
	for _, g := range []alibaba.Generation{alibaba.ACS3, alibaba.Classic} {
		s := newFieldsScene(t, start(t, live.Options{Seed: seed}), g)
		known, filled := map[string]map[string]bool{}, map[string]bool{}
		for _, call := range fieldCalls() {
			model, err := s.Answer(call.action, call.params(s))
			switch {
			case err != nil && strings.Contains(err.Error(), "the SDK has no "):
				continue // there since a later version, or gone since an earlier one
			case err != nil:
				t.Errorf("%s: %s: %v", g, call.action, err)
				continue
			}
			fields := map[string]bool{}
			fieldsOf(model.Type(), call.action, fields)
			known[call.action] = fields
			filledOf(model, call.action, filled)
		}
		for action, fields := range known {
			for _, field := range slices.Sorted(maps.Keys(fields)) {
				reason := excuse(excused, field)
				used[reason] = true
				switch {
				case !filled[field] && reason == "":
					t.Errorf("%s: %s has the field %s, which is not filled", g, action, field)
				case filled[field] && reason != "":
					t.Errorf("%s: %s is filled, and said to be empty: %s", g, field, excused[reason])
				}
			}
		}
	}
	for field := range excused {
		if !used[field] {
			t.Errorf("no model has the field %s", field)
		}
	}
}

// Every operation that the table of coverage calls supported is called above.
func TestAlibabaFieldsIsComplete(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/coverage-alibaba.md")
	if err != nil {
		t.Fatal(err)
	}
	called := map[string]bool{}
	for _, call := range fieldCalls() {
		called[call.action] = true
	}
	rows := regexp.MustCompile("(?m)^\\| `(\\w+)` \\| `\\w+` \\| yes \\|$").FindAllStringSubmatch(string(page), -1)
	if len(rows) < 40 {
		t.Fatalf("%d supported operations found on the page of coverage", len(rows))
	}
	for _, row := range rows {
		if !called[row[1]] && unasked[row[1]] == "" {
			t.Errorf("%s is supported, and its fields are not looked at", row[1])
		}
	}
}

// fieldsOf collects the paths of all fields below t that hold a value.
func fieldsOf(t reflect.Type, path string, into map[string]bool) {
	switch t.Kind() {
	case reflect.Pointer:
		fieldsOf(t.Elem(), path, into)
	case reflect.Slice:
		fieldsOf(t.Elem(), path, into)
	case reflect.Struct:
		for i := range t.NumField() {
			if name := fieldName(t.Field(i)); name != "" {
				fieldsOf(t.Field(i).Type, path+"."+name, into)
			}
		}
	default:
		into[path] = true
	}
}

// fieldName is a field's name on the wire, "" for what is not part of the answer.
func fieldName(f reflect.StructField) string {
	if f.Anonymous {
		return ""
	}
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// filledOf collects the paths of the fields of v that are not empty.
func filledOf(v reflect.Value, path string, into map[string]bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			filledOf(v.Elem(), path, into)
		}
	case reflect.Slice:
		for i := range v.Len() {
			filledOf(v.Index(i), path, into)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if name := fieldName(v.Type().Field(i)); name != "" {
				filledOf(v.Field(i), path+"."+name, into)
			}
		}
	default:
		if !v.IsZero() {
			into[path] = true
		}
	}
}
