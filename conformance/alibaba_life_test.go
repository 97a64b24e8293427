// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"claviger/conformance/internal/alibaba"
	"claviger/conformance/internal/live"
)

// The usages of Alibaba's keys.
const (
	forEncryption = "ENCRYPT/DECRYPT"
	forSigning    = "SIGN/VERIFY"
)

// aliContext is an encryption context that needs escaping in JSON and in a URL.
var aliContext = map[string]string{"app": "ledger", "naïve": "ключ <&> *~'()"}

// aliKey is one key in a life told through one of Alibaba's SDK generations.
type aliKey struct {
	spec, usage string
	algorithms  []string // none for a symmetric key

	ali      ali
	server   *live.Process
	id       string
	versions []aliVersion // oldest first
}

// aliVersion is a version with something that only it can open or verify.
type aliVersion struct {
	id    string
	proof map[string]string // algorithm, "" for a symmetric key -> ciphertext or signature
}

func (k *aliKey) String() string {
	return k.spec + " " + strings.ToLower(k.usage[:strings.Index(k.usage, "/")])
}

func (k *aliKey) symmetric() bool { return strings.HasPrefix(k.spec, "Aliyun_") }

// aliCasts are groups because an account may hold no more than 50 asymmetric versions in a
// region: four asymmetric keys with eleven versions each fit.
func aliCasts() map[string][]*aliKey {
	oaep := []string{"RSAES_OAEP_SHA_256", "RSAES_OAEP_SHA_1"}
	rsa := []string{"RSA_PSS_SHA_256", "RSA_PKCS1_SHA_256"}
	return map[string][]*aliKey{
		"small": {
			{spec: "Aliyun_AES_256", usage: forEncryption},
			{spec: "Aliyun_AES_192", usage: forEncryption},
			{spec: "Aliyun_AES_128", usage: forEncryption},
			{spec: "RSA_2048", usage: forEncryption, algorithms: oaep},
			{spec: "RSA_2048", usage: forSigning, algorithms: rsa},
			{spec: "EC_P256", usage: forSigning, algorithms: []string{"ECDSA_SHA_256"}},
			{spec: "EC_P256K", usage: forSigning, algorithms: []string{"ECDSA_SHA_256"}},
		},
		"chinese": {
			{spec: "Aliyun_SM4", usage: forEncryption},
			{spec: "EC_SM2", usage: forEncryption, algorithms: []string{"SM2PKE"}},
			{spec: "EC_SM2", usage: forSigning, algorithms: []string{"SM2DSA"}},
		},
		"large": {
			{spec: "RSA_3072", usage: forEncryption, algorithms: oaep},
			{spec: "RSA_3072", usage: forSigning, algorithms: rsa},
			{spec: "RSA_4096", usage: forEncryption, algorithms: oaep},
			{spec: "RSA_4096", usage: forSigning, algorithms: rsa},
		},
	}
}

func TestAlibabaLife(t *testing.T) {
	t.Parallel()
	for _, generation := range alibaba.Generations() {
		for group, cast := range aliCasts() {
			t.Run(string(generation)+" "+group, func(t *testing.T) {
				t.Parallel()
				server := start(t, live.Options{})
				for _, k := range cast {
					k.server, k.ali = server, throughAlibaba(t, server, generation)
				}
				tell(t, cast, aliChapters(server))
			})
		}
	}
}

func aliChapters(server *live.Process) []chapter[*aliKey] {
	weekPasses := func(t *testing.T) { server.Admin.Advance(t, week) }
	retentionEnds := func(t *testing.T) { server.Admin.Advance(t, retention+time.Hour) }
	chapters := []chapter[*aliKey]{
		{name: "create", live: aliCreate},
		{name: "generate data keys", live: aliDataKeys},
		{name: "rotation to come", live: aliBeforeRotation},
	}
	for range rotations {
		chapters = append(chapters, chapter[*aliKey]{name: "rotate", before: weekPasses, live: aliRotate})
	}
	return append(chapters, []chapter[*aliKey]{
		{name: "open what every version sealed", live: aliOpenAll},
		{name: "list page by page", live: aliList},
		{name: "schedule and cancel and schedule a version's deletion", live: aliScheduleVersion},
		{name: "the version is gone", before: retentionEnds, live: aliVersionGone},
		{name: "schedule and cancel and schedule the key's deletion", live: aliScheduleKey},
		{name: "the key is gone", before: weekPasses, live: aliKeyGone},
	}...)
}

func aliCreate(t *testing.T, k *aliKey) {
	created := k.ali.createKey(t, k.spec, k.usage)
	k.id = created.KeyID
	account, region := k.server.Ready.Alibaba.AccountID, k.server.Ready.Alibaba.RegionID
	wanted := alibaba.KeyMetadata{
		KeyID: k.id, ARN: "acs:kms:" + region + ":" + account + ":key/" + k.id, KeyState: "Enabled", KeySpec: k.spec,
		KeyUsage: k.usage, Origin: "Aliyun_KMS", ProtectionLevel: "SOFTWARE", Creator: account, Description: t.Name(),
		AutomaticRotation: "Disabled", CreationDate: created.CreationDate, LastRotationDate: created.CreationDate,
		PrimaryKeyVersion: created.PrimaryKeyVersion,
	}
	if diff := cmp.Diff(wanted, created); diff != "" {
		t.Errorf("CreateKey (-want +got):\n%s", diff)
	}
	parseTime(t, created.CreationDate)
	if diff := cmp.Diff(created, k.ali.key(t, k.id)); diff != "" {
		t.Errorf("DescribeKey differs from CreateKey:\n%s", diff)
	}
	versions := k.ali.versions(t, k.id)
	if len(versions) != 1 {
		t.Fatalf("a new key has versions %v, want one", versions)
	}
	if k.symmetric() {
		want(t, "PrimaryKeyVersion", created.PrimaryKeyVersion, versions[0])
	}
	k.use(t, versions[0])
}

// use seals or signs with the version and keeps the results.
func (k *aliKey) use(t *testing.T, version string) {
	t.Helper()
	v := aliVersion{id: version, proof: map[string]string{}}
	plaintext := base64.StdEncoding.EncodeToString([]byte(version))
	if k.symmetric() {
		sealed := k.ali.must(t, "Encrypt", alibaba.Params{"KeyId": k.id, "Plaintext": plaintext, "EncryptionContext": aliContext})
		want(t, "version used by Encrypt", sealed.KeyVersionID, version)
		v.proof[""] = sealed.CiphertextBlob
	}
	for _, algorithm := range k.algorithms {
		if k.usage == forSigning {
			v.proof[algorithm] = k.ali.sign(t, k.id, version, algorithm, digestFor(t, algorithm, version))
			continue
		}
		sealed := k.ali.must(t, "AsymmetricEncrypt", alibaba.Params{
			"KeyId": k.id, "KeyVersionId": version, "Algorithm": algorithm, "Plaintext": plaintext,
		})
		v.proof[algorithm] = sealed.CiphertextBlob
	}
	k.versions = append(k.versions, v)
}

// opening is the operation, with its parameters, that opens or verifies one proof of v.
func (k *aliKey) opening(t *testing.T, v aliVersion, algorithm string) (string, alibaba.Params) {
	t.Helper()
	params := alibaba.Params{"KeyId": k.id, "KeyVersionId": v.id, "Algorithm": algorithm}
	switch {
	case k.symmetric():
		return "Decrypt", alibaba.Params{"CiphertextBlob": v.proof[algorithm], "EncryptionContext": aliContext}
	case k.usage == forEncryption:
		params["CiphertextBlob"] = v.proof[algorithm]
		return "AsymmetricDecrypt", params
	}
	params["Value"] = v.proof[algorithm]
	params["Digest"] = base64.StdEncoding.EncodeToString(digestFor(t, algorithm, v.id))
	return "AsymmetricVerify", params
}

// check opens or verifies everything of v.
func (k *aliKey) check(t *testing.T, v aliVersion) {
	t.Helper()
	for algorithm := range v.proof {
		action, params := k.opening(t, v, algorithm)
		reply := k.ali.must(t, action, params)
		want(t, "key of "+action, reply.KeyID, k.id)
		want(t, "version of "+action, reply.KeyVersionID, v.id)
		if action != "AsymmetricVerify" {
			want(t, action, reply.Plaintext, base64.StdEncoding.EncodeToString([]byte(v.id)))
			continue
		}
		if reply.Value != true {
			t.Errorf("%s %s of version %s: %v, want true", action, algorithm, v.id, reply.Value)
		}
		if k.ali.verify(t, k.id, v.id, algorithm, digestFor(t, algorithm, "another message"), v.proof[algorithm]) {
			t.Errorf("%s %s accepts a signature over another message", action, algorithm)
		}
	}
}

// refused checks that every use of v is answered as given.
func (k *aliKey) refused(t *testing.T, v aliVersion, wanted string) {
	t.Helper()
	for algorithm := range v.proof {
		action, params := k.opening(t, v, algorithm)
		want(t, action+" "+algorithm, k.ali.refusal(action, params), wanted)
	}
}

func aliDataKeys(t *testing.T, k *aliKey) {
	if !k.symmetric() {
		return
	}
	for _, test := range []struct {
		params alibaba.Params
		length int
	}{
		{alibaba.Params{}, 32},
		{alibaba.Params{"KeySpec": "AES_256"}, 32},
		{alibaba.Params{"KeySpec": "AES_128"}, 16},
		{alibaba.Params{"KeySpec": "AES_128", "NumberOfBytes": 1024}, 1024},
	} {
		for _, action := range []string{"GenerateDataKey", "GenerateDataKeyWithoutPlaintext"} {
			test.params["KeyId"], test.params["EncryptionContext"] = k.id, aliContext
			generated := k.ali.must(t, action, test.params)
			opened := k.ali.must(t, "Decrypt", alibaba.Params{
				"CiphertextBlob": generated.CiphertextBlob, "EncryptionContext": aliContext,
			})
			plain, err := base64.StdEncoding.DecodeString(opened.Plaintext)
			if err != nil || len(plain) != test.length {
				t.Errorf("%s %v: a data key of %d bytes (%v), want %d", action, test.params, len(plain), err, test.length)
			}
			if action == "GenerateDataKey" {
				want(t, "plaintext of the data key", generated.Plaintext, opened.Plaintext)
			}
		}
	}
	sealed := k.versions[0].proof[""]
	want(t, "Decrypt with another context", k.ali.refusal("Decrypt", alibaba.Params{
		"CiphertextBlob": sealed, "EncryptionContext": map[string]string{"app": "other"},
	}), "400 InvalidParameter")
	want(t, "Decrypt with no context", k.ali.refusal("Decrypt", alibaba.Params{"CiphertextBlob": sealed}), "400 InvalidParameter")
}

// aliBeforeRotation sets a symmetric key rotating by itself and finds that an asymmetric key, which
// is rotated by hand, has to wait.
func aliBeforeRotation(t *testing.T, k *aliKey) {
	if !k.symmetric() {
		want(t, "CreateKeyVersion of a new key", k.ali.refusal("CreateKeyVersion", alibaba.Params{"KeyId": k.id}),
			"400 Rejected.UnsupportedOperation")
		return
	}
	k.ali.must(t, "UpdateRotationPolicy", alibaba.Params{
		"KeyId": k.id, "EnableAutomaticRotation": true, "RotationInterval": "7d",
	})
	key := k.ali.key(t, k.id)
	want(t, "AutomaticRotation", key.AutomaticRotation, "Enabled")
	want(t, "RotationInterval", key.RotationInterval, "604800s")
	want(t, "NextRotationDate", key.NextRotationDate,
		parseTime(t, key.LastRotationDate).Add(week).Format("2006-01-02T15:04:05Z"))
}

func aliRotate(t *testing.T, k *aliKey) {
	if k.symmetric() {
		key := k.ali.key(t, k.id)
		if previous := k.versions[len(k.versions)-1].id; key.PrimaryKeyVersion == previous {
			t.Fatalf("the key still uses version %s after its interval", previous)
		}
		k.use(t, key.PrimaryKeyVersion)
		return
	}
	made := k.ali.must(t, "CreateKeyVersion", alibaba.Params{"KeyId": k.id}).KeyVersion
	want(t, "KeyId", made.KeyID, k.id)
	want(t, "LastRotationDate", k.ali.key(t, k.id).LastRotationDate, made.CreationDate)
	k.use(t, made.KeyVersionID)
}

func aliOpenAll(t *testing.T, k *aliKey) {
	for _, v := range k.versions {
		k.check(t, v)
	}
}

func aliList(t *testing.T, k *aliKey) {
	if k.symmetric() { // so that it has the versions it has, from here on
		k.ali.must(t, "UpdateRotationPolicy", alibaba.Params{"KeyId": k.id, "EnableAutomaticRotation": false})
		key := k.ali.key(t, k.id)
		want(t, "AutomaticRotation", key.AutomaticRotation, "Disabled")
		want(t, "RotationInterval and NextRotationDate", key.RotationInterval+key.NextRotationDate, "")
	}
	var wanted, got []string
	for _, v := range k.versions {
		wanted = append(wanted, v.id)
	}
	var sizes []int
	for _, page := range k.ali.pages(t, k.id, 3) {
		sizes = append(sizes, len(page))
		for _, version := range page {
			want(t, "KeyId", version.KeyID, k.id)
			parseTime(t, version.CreationDate)
			got = append(got, version.KeyVersionID)
		}
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{3, 3, 3, 2}, sizes); diff != "" {
		t.Errorf("page sizes (-want +got):\n%s", diff)
	}
	if total := k.ali.must(t, "ListKeyVersions", alibaba.Params{"KeyId": k.id}).TotalCount; total != len(wanted) {
		t.Errorf("TotalCount %d, want %d", total, len(wanted))
	}
}

// aliScheduleVersion deletes a version through OCI, for Alibaba's API cannot. Keys that OCI does not
// show are left alone.
func aliScheduleVersion(t *testing.T, k *aliKey) {
	names := k.server.Admin.Key(t, k.id)
	if names.Names.OCI == "" {
		return
	}
	oldest := k.versions[0]
	i := slices.IndexFunc(names.Versions, func(v live.KeyVersion) bool { return v.Names.Alibaba == oldest.id })
	if i < 0 {
		t.Fatalf("the admin API does not name version %s: %+v", oldest.id, names)
	}
	through, version := throughOCI(t, k.server), names.Versions[i].Names.OCI
	at := k.server.Admin.Now(t).Add(retention)
	for round := range 2 {
		if _, err := through.scheduleVersionDeletion(t.Context(), names.Names.OCI, version, at); err != nil {
			t.Fatalf("ScheduleKeyVersionDeletion: %v", err)
		}
		k.refused(t, oldest, "409 Rejected.PendingDeletion")
		if !slices.Contains(k.ali.versions(t, k.id), oldest.id) {
			t.Error("a version that is pending deletion is not listed")
		}
		if round == 0 {
			through.cancelVersionDeletion(t, names.Names.OCI, version)
			k.check(t, oldest)
		}
	}
}

func aliVersionGone(t *testing.T, k *aliKey) {
	oldest := k.versions[0]
	if k.server.Admin.Key(t, k.id).Names.OCI == "" {
		k.check(t, oldest)
		return
	}
	if k.symmetric() {
		k.refused(t, oldest, "404 Forbidden.KeyNotFound")
	} else {
		k.refused(t, oldest, "404 Forbidden.KeyVersionNotFound")
	}
	want(t, "DescribeKeyVersion", k.ali.refusal("DescribeKeyVersion", alibaba.Params{
		"KeyId": k.id, "KeyVersionId": oldest.id,
	}), "404 Forbidden.KeyVersionNotFound")
	if slices.Contains(k.ali.versions(t, k.id), oldest.id) {
		t.Error("an erased version is listed")
	}
	for _, v := range k.versions[1:] {
		k.check(t, v)
	}
}

func aliScheduleKey(t *testing.T, k *aliKey) {
	newest := k.versions[len(k.versions)-1]
	for round := range 2 {
		k.ali.must(t, "ScheduleKeyDeletion", alibaba.Params{"KeyId": k.id, "PendingWindowInDays": 7})
		key := k.ali.key(t, k.id)
		want(t, "KeyState", key.KeyState, "PendingDeletion")
		parseTime(t, key.DeleteDate)
		k.refused(t, newest, "409 Rejected.PendingDeletion")
		want(t, "ScheduleKeyDeletion again", k.ali.refusal("ScheduleKeyDeletion",
			alibaba.Params{"KeyId": k.id, "PendingWindowInDays": 7}), "409 Rejected.StateModifiedFailed")
		if round == 0 {
			k.ali.must(t, "CancelKeyDeletion", alibaba.Params{"KeyId": k.id})
			key := k.ali.key(t, k.id)
			want(t, "KeyState after cancelling", key.KeyState, "Enabled")
			want(t, "DeleteDate after cancelling", key.DeleteDate, "")
			k.check(t, newest)
		}
	}
}

func aliKeyGone(t *testing.T, k *aliKey) {
	want(t, "DescribeKey", k.ali.refusal("DescribeKey", alibaba.Params{"KeyId": k.id}), "404 Forbidden.KeyNotFound")
	want(t, "CreateKeyVersion", k.ali.refusal("CreateKeyVersion", alibaba.Params{"KeyId": k.id}), "404 Forbidden.KeyNotFound")
	k.refused(t, k.versions[len(k.versions)-1], "404 Forbidden.KeyNotFound")
	for _, listed := range k.ali.must(t, "ListKeys", alibaba.Params{"PageSize": 100}).Keys.Key {
		if listed.KeyID == k.id {
			t.Error("an erased key is listed")
		}
	}
}
