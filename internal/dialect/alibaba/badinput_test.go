// SPDX-License-Identifier: Apache-2.0

package alibaba

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// absent, as a bad value, leaves the parameter out.
const absent = "\x00absent"

const (
	isMissing   = "400 MissingParameter"
	isInvalid   = "400 InvalidParameter"
	noKey       = "404 Forbidden.KeyNotFound"
	noVersion   = "404 Forbidden.KeyVersionNotFound"
	noAlias     = "404 Forbidden.AliasNotFound"
	noResource  = "404 InvalidResourceId.NotFound"
	noInstance  = "403 Forbidden.DKMSInstanceNotFound"
	notHere     = "400 UnsupportedOperation"
	notByAlias  = "400 Unsupported.Alias"
	overlong    = 9000
	badContext  = `{"a":1} {"a":["b"]} [] {"a":"b"}x {"a":"b","a":"c"} { a`
	badNumbers  = "0 -1 +1 x 1.5 1e1 99999999999999999999 true {}"
	badBooleans = "1 0 yes TRUE! null"
)

// badValues are what is tried for each parameter, and the answer. $their stands for another
// tenant's.
func badValues(idOnly bool) map[string]map[string]string {
	each := func(values, want string) map[string]string {
		out := map[string]string{}
		for _, v := range strings.Fields(values) {
			out[v] = want
		}
		return out
	}
	with := func(m map[string]string, more map[string]string) map[string]string {
		maps.Copy(m, more)
		return m
	}
	text := map[string]string{absent: isMissing, "": isInvalid}
	long := map[string]string{strings.Repeat("x", overlong): isInvalid}
	key := with(maps.Clone(long), map[string]string{
		"not-an-id": noKey, "$theirKey": noKey, "a b": isInvalid, "é": isInvalid, "\x00": isInvalid, "0b30658a-ed1a-4922-b8f7-a673ca9c0000": noKey,
		"{}": noKey, "alias/none": noAlias, "$theirARN": noKey, "acs:kms:x": isInvalid,
	})
	if idOnly {
		maps.Copy(key, map[string]string{"alias/none": notByAlias, "$theirARN": isInvalid})
	}
	optionalKey := maps.Clone(key)
	context := with(each(badContext, isInvalid), map[string]string{`{"a":"` + strings.Repeat("x", overlong) + `"}`: isInvalid, `{"a":"\ud800"}`: isInvalid})
	base64 := with(each("*** YQ YR== -_-_ {}", isInvalid), text)
	return map[string]map[string]string{
		"KeyId": with(key, text),
		"KeyVersionId": with(map[string]string{
			"not-an-id": noVersion, "$theirVersion": noVersion, "a b": isInvalid, "é": isInvalid, strings.Repeat("x", overlong): isInvalid,
		}, text),
		"AliasName":               with(with(each("app alias/ alias/a.b alias/é /alias", isInvalid), map[string]string{"alias/" + strings.Repeat("x", overlong): isInvalid}), text),
		"Plaintext":               with(map[string]string{strings.Repeat("x", overlong): isInvalid}, text),
		"CiphertextBlob":          with(maps.Clone(base64), map[string]string{strings.Repeat("x", 4*overlong): isInvalid, "aGk=": isInvalid}),
		"Digest":                  with(maps.Clone(base64), map[string]string{"aGk=": isInvalid, strings.Repeat("x", overlong): isInvalid}),
		"Value":                   with(maps.Clone(base64), map[string]string{strings.Repeat("x", 4*overlong): isInvalid}),
		"Algorithm":               with(each("MD5 RSA ecdsa_sha_256 {} 1", isInvalid), text),
		"EncryptionContext":       context,
		"SourceEncryptionContext": context, "DestinationEncryptionContext": context,
		"DestinationKeyId":          with(maps.Clone(key), text),
		"SourceKeyId":               optionalKey,
		"SourceKeyVersionId":        each("x $theirVersion", isMissing),
		"SourceEncryptionAlgorithm": each("SM2PKE RSAES_OAEP_SHA_256 x", isMissing),
		"PublicKeyBlob":             with(maps.Clone(base64), map[string]string{"aGk=": isInvalid, strings.Repeat("x", overlong): isInvalid}),
		"EncryptedKeyMaterial":      with(maps.Clone(base64), map[string]string{"aGk=": "400 InvalidKeyMaterial", strings.Repeat("x", overlong): "400 InvalidKeyMaterial"}),
		"ImportToken":               with(maps.Clone(base64), map[string]string{"aGk=": "400 InvalidImportToken", strings.Repeat("x", overlong): "400 InvalidImportToken"}),
		"KeyMaterialExpireUnix":     each("x -1 1 1.5 1e9 {} 1700000000 253402300800 99999999999999999999", isInvalid),
		"WrappingKeySpec":           with(each("RSA_3072 AES_256 EC_P256 rsa_2048 {} EC_SM2", isInvalid), text),
		"WrappingAlgorithm":         with(each("RSAES_PKCS1_V1_5 RSAES_OAEP_SHA_512 ENVELOPE SM2PKE {}", isInvalid), text),
		"Message":                   base64,
		"Mac":                       with(maps.Clone(base64), map[string]string{strings.Repeat("x", 4*overlong): isInvalid}),
		"KeySpec":                   each("AES_512 aes_256 {} 1 Aliyun_AES_512", isInvalid),
		"NumberOfBytes":             with(each(badNumbers, isInvalid), map[string]string{"1025": isInvalid}),
		"KeyUsage":                  each("ENCRYPT SIGN encrypt/decrypt {} 1", isInvalid),
		"ProtectionLevel":           each("software NONE {} 1", isInvalid),
		"Origin":                    each("external NONE {} 1", isInvalid),
		"Description":               long,
		"Tags":                      each(`{} [1] [{"TagKey":"a"}x [{"TagKey":"acs:a","TagValue":"b"}] null 1`, isInvalid),
		"Filters":                   each(`{} [1] [{"Key":"none","Values":[]}] [{"Key":"keyId","Values":[1]}] null 1`, isInvalid),
		"PageNumber":                each(badNumbers, isInvalid),
		"PageSize":                  with(each(badNumbers, isInvalid), map[string]string{"101": isInvalid}),
		"PendingWindowInDays":       with(with(each(badNumbers, isInvalid), map[string]string{"6": isInvalid, "367": isInvalid}), text),
		"EnableAutomaticRotation":   each(badBooleans, isInvalid),
		"RotationInterval":          each("7 6d 731d x -7d 7w 1.5d 99999999999999999999d", isInvalid),
		"DryRun":                    each(badBooleans, isInvalid),
		"RegionId":                  each("cn-beijing cn-hangzhou2 CN-HANGZHOU {}", isInvalid),
		"Format":                    each("YAML {} 1", "400 InvalidParameter.Format"),

		"TagKeys":      with(each(`[ [1] {} [] , a,,b [""] ["a"]x`, isInvalid), text),
		"ResourceType": with(map[string]string{"secret": notHere, "Key": isInvalid, "keys": isInvalid}, text),
		"ResourceId.1": {
			absent: isMissing, "": isInvalid, "not-an-id": noResource, "$theirKey": noResource, "alias/none": notByAlias, "$theirARN": isInvalid, "a b": isInvalid,
		},
		"ResourceId.0":                  {"x": isInvalid},
		"ResourceId.51":                 {"$theirKey": isInvalid},
		"ResourceId.02":                 {"$theirKey": isInvalid},
		"Tag.1.Key":                     with(each("acs:x aliyun a,b é", "400 InvalidParameter.TagKey"), map[string]string{"": "400 InvalidParameter.TagKey", absent: "400 InvalidParameter.TagKey", strings.Repeat("x", 129): "400 InvalidParameter.TagKey"}),
		"Tag.1.Value":                   with(each("a,b é {}", "400 InvalidParameter.TagValue"), map[string]string{strings.Repeat("x", 129): "400 InvalidParameter.TagValue"}),
		"Tag.2.Key":                     {"a": "400 Duplicate.TagKey"},
		"Tag.21.Key":                    {"b": isInvalid},
		"TagKey.1":                      {absent: isMissing, "": isInvalid, strings.Repeat("x", overlong): isInvalid},
		"TagKey.21":                     {"x": isInvalid},
		"All":                           each(badBooleans, isInvalid),
		"NextToken":                     each("x {} ????", isInvalid),
		"SecretName":                    {"x": isInvalid},
		"CertificateId":                 {"x": isInvalid},
		"ProtectedResourceArn":          {absent: isMissing, "": isMissing, "x": isInvalid, "acs:kms:x": isInvalid, "$theirARN": noKey, "acs:kms:cn-hangzhou:1:key/x": noKey, "acs:kms:cn-beijing:1:key/x": noKey},
		"EnableDeletionProtection":      with(each(badBooleans, isInvalid), text),
		"DeletionProtectionDescription": long,
		"KmsInstanceId":                 with(each("x kst- kst-none kst-aaaaaaaaaaaaaaaaaaaaaaaaaa KST-X", noInstance), with(map[string]string{"a b": isInvalid, "é": isInvalid}, text)),
		"DKMSInstanceId":                with(each("x kst- kst-none kst-aaaaaaaaaaaaaaaaaaaaaaaaaa", noInstance), map[string]string{"a b": isInvalid}),
		"Policy":                        {"{}": "400 Forbidden.KeyPolicyUnSupported"},
		"PolicyName":                    {"other": "404 Forbidden.ResourceNotFound"},
	}
}

// takes lists the parameters of each operation beside those in its row of the table of states.
var takes = map[string]string{
	"CreateKey":                       "KeySpec KeyUsage ProtectionLevel Origin Description Tags EnableAutomaticRotation RotationInterval DKMSInstanceId Policy",
	"TagResource":                     "SecretName CertificateId",
	"UntagResource":                   "SecretName CertificateId",
	"TagResources":                    "ResourceId.0 ResourceId.51 ResourceId.02 Tag.2.Key Tag.21.Key",
	"UntagResources":                  "ResourceId.0 ResourceId.51 ResourceId.02 TagKey.21 All",
	"ListTagResources":                "ResourceId.0 ResourceId.51 ResourceId.02 Tag.21.Key NextToken",
	"SetDeletionProtection":           "DeletionProtectionDescription",
	"GetKeyPolicy":                    "PolicyName",
	"ListKmsInstances":                "PageNumber PageSize",
	"ListKeys":                        "PageNumber PageSize Filters",
	"ListAliases":                     "PageNumber PageSize",
	"ListAliasesByKeyId":              "PageNumber PageSize",
	"ListKeyVersions":                 "PageNumber PageSize",
	"Encrypt":                         "EncryptionContext DryRun",
	"Decrypt":                         "EncryptionContext DryRun",
	"GenerateDataKey":                 "KeySpec NumberOfBytes EncryptionContext DryRun",
	"GenerateDataKeyWithoutPlaintext": "KeySpec NumberOfBytes EncryptionContext DryRun",
	"ReEncrypt":                       "SourceKeyId SourceKeyVersionId SourceEncryptionAlgorithm SourceEncryptionContext DestinationEncryptionContext DryRun",
	"ExportDataKey":                   "EncryptionContext DryRun",
	"GenerateAndExportDataKey":        "KeySpec NumberOfBytes EncryptionContext DryRun",
	"GenerateMac":                     "DryRun",
	"VerifyMac":                       "DryRun",
	"AsymmetricEncrypt":               "DryRun", "AsymmetricDecrypt": "DryRun", "AsymmetricSign": "DryRun", "AsymmetricVerify": "DryRun", "GetPublicKey": "DryRun",
}

// byIDOnly lists the operations that take a key's id and nothing else.
var byIDOnly = strings.Fields("EnableKey DisableKey ScheduleKeyDeletion CancelKeyDeletion UpdateKeyDescription UpdateRotationPolicy CreateAlias UpdateAlias ListAliasesByKeyId " +
	"TagResource UntagResource ListResourceTags GetParametersForImport ImportKeyMaterial DeleteKeyMaterial")

// TestBadInput tries every bad value of every parameter of every operation, in both formats.
// Nothing is answered with a 5xx, and everything in the cloud's form.
func TestBadInput(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	their := c.callAs(t, c.Other, "CreateKey", "KeySpec=EC_P256").at("KeyMetadata.KeyId")
	theirVersion := c.callAs(t, c.Other, "ListKeyVersions", "KeyId="+their).at("KeyVersions.KeyVersion.0.KeyVersionId")
	foreign := strings.NewReplacer("$theirKey", their, "$theirVersion", theirVersion, "$theirARN", "acs:kms:cn-hangzhou:6543210987654321:key/"+their)
	s := newStage(t, c)
	c.must(t, "CreateAlias", "KeyId="+s.key[useSymmetric], "AliasName=alias/mine")
	tried := 0
	for _, row := range stateTable {
		good := s.params(t, &row, "alias/mine", "alias/other")
		names := append(strings.Fields(takes[row.operation]), "RegionId", "Format")
		for _, p := range good {
			name, _, _ := strings.Cut(p, "=")
			names = append(names, name)
		}
		bad := badValues(slices.Contains(byIDOnly, row.operation))
		if row.operation == "ListTagResources" {
			delete(bad["ResourceId.1"], absent)
		}
		if row.operation == "GetParametersForImport" { // under SM2
			delete(bad["WrappingKeySpec"], "EC_SM2")
			delete(bad["WrappingAlgorithm"], "SM2PKE")
			bad["WrappingKeySpec"]["RSA_2048"], bad["WrappingAlgorithm"]["RSAES_OAEP_SHA_256"] = isInvalid, isInvalid
		}
		if row.operation == "GetKeyPolicy" { // ids and ARNs, but no alias
			bad["KeyId"]["alias/none"] = notByAlias
		}
		for _, name := range names {
			if len(bad[name]) == 0 {
				t.Fatalf("no bad value for %s of %s", name, row.operation)
			}
			for value, want := range bad[name] {
				tried++
				values := c.common(c.Tenant, row.operation)
				set(values, good)
				if value == absent {
					values.Del(name)
				} else {
					values.Set(name, foreign.Replace(value))
				}
				r := c.sendV1(t, http.MethodPost, c.Tenant.Secret, values, nil)
				if r.code() != want {
					t.Errorf("%s with %s=%.60q: %s, want %s", row.operation, name, value, r, want)
				}
				checkRefusal(t, c, r)
				if name != "Format" {
					checkInXML(t, c, values, r)
				}
			}
		}
	}
	if tried < 500 {
		t.Errorf("only %d values were tried", tried)
	}
}

// checkInXML repeats a refused request in XML and holds its members against the first answer's.
func checkInXML(t testing.TB, c *cloud, values url.Values, inJSON reply) {
	t.Helper()
	values.Set("Format", "XML")
	values.Set("SignatureNonce", c.newNonce())
	r := c.sendV1(t, http.MethodPost, c.Tenant.Secret, values, nil)
	root, nodes := fromXML(t, r.body)
	if root != "Error" || r.header.Get("Content-Type") != "text/xml;charset=utf-8" || r.status != inJSON.status {
		t.Errorf("in XML: %s", r)
	}
	want := fromJSON(t, inJSON.body)
	for i := range want {
		if want[i].Name != nodes[i].Name || (want[i].Text != nodes[i].Text && want[i].Name != "RequestId") {
			t.Errorf("%s is %q in XML and %q in JSON", want[i].Name, nodes[i].Text, want[i].Text)
		}
	}
}

// TestBadBodies sends what is no form to every operation.
func TestBadBodies(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	for _, row := range stateTable {
		for name, tc := range map[string]struct {
			header     http.Header
			body, want string
		}{
			"huge":        {form, "Description=" + strings.Repeat("x", maxRequest), "413 RequestEntityTooLarge"},
			"broken":      {form, "KeyId=%e", "400 ParseRequestParameterException"},
			"not UTF-8":   {form, "KeyId=%ff", "400 ParseRequestParameterException"},
			"JSON":        {http.Header{"Content-Type": {"application/json"}}, `{"KeyId":"x"}`, "400 ParseRequestParameterException"},
			"XML":         {http.Header{"Content-Type": {"text/xml"}}, `<KeyId>x</KeyId>`, "400 ParseRequestParameterException"},
			"given twice": {form, "Action=" + row.operation, "400 ParseRequestParameterException"},
		} {
			values := c.common(c.Tenant, row.operation)
			values.Set("Signature", signV1(http.MethodPost, c.Tenant.Secret, values))
			r := c.send(t, http.MethodPost, "/?"+values.Encode(), tc.header, tc.body)
			if r.code() != tc.want {
				t.Errorf("%s, %s: %s, want %s", row.operation, name, r, tc.want)
			}
			checkRefusal(t, c, r)
		}
	}
}

// FuzzRequest throws anything at the socket's handler: it answers, never with a 5xx.
func FuzzRequest(f *testing.F) {
	c := newCloud(f)
	f.Add("POST", "Action=Encrypt&KeyId=x&Plaintext=y", "", "")
	f.Add("GET", "Format=XML&Action=ListKeys&PageSize=1", "", "")
	f.Add("POST", "", "Action=Decrypt&CiphertextBlob=aGk%3D", "ACS3-HMAC-SHA256 Credential=a,SignedHeaders=host,Signature=00")
	f.Fuzz(func(t *testing.T, method, query, form, authorization string) {
		if method != http.MethodPost {
			method, form = http.MethodGet, ""
		}
		p := &params{}
		if p.parse(query, form) != nil || strings.ContainsFunc(authorization, func(r rune) bool { return r < ' ' || r >= 0x7f }) {
			return
		}
		values := c.common(c.Tenant, "")
		var inForm []string
		for _, q := range p.list {
			if q.name == "Signature" {
				continue
			}
			values.Set(q.name, q.value)
			if q.form {
				inForm = append(inForm, q.name)
			}
		}
		values.Set("SignatureNonce", c.newNonce())
		if r := c.sendV1(t, method, c.Tenant.Secret, values, inForm); r.status >= 500 {
			t.Errorf("%s", r)
		}
		header := http.Header{}
		if authorization != "" {
			header.Set("Authorization", authorization)
		}
		if r := c.send(t, http.MethodPost, "/?"+values.Encode(), header, ""); r.status >= 500 || r.status < 200 {
			t.Errorf("%s", r)
		}
	})
}

func ExampleParseARN() {
	arn, ok := ParseARN("acs:kms:cn-hangzhou:1234567890123456:key/0b30658a-ed1a-4922-b8f7-a673ca9c1234")
	fmt.Println(arn.Region, arn.Account, arn.Key, ok)
	// Output: cn-hangzhou 1234567890123456 0b30658a-ed1a-4922-b8f7-a673ca9c1234 true
}
