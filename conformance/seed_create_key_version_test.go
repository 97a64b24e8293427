// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"claviger/conformance/internal/alibaba"
	"claviger/conformance/internal/live"
)

// The sentences of Alibaba's page on CreateKeyVersion, one test each.

// "Creates a new version for the CMK."
func TestSeedCreateKeyVersion_CreatesAVersion(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	a := throughAlibaba(t, server, alibaba.ACS3)
	key := a.createKey(t, "EC_P256", forSigning).KeyID
	before := a.versions(t, key)
	server.Admin.Advance(t, week)
	made := a.must(t, "CreateKeyVersion", alibaba.Params{"KeyId": key}).KeyVersion
	if diff := cmp.Diff(append(before, made.KeyVersionID), a.versions(t, key)); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
	publicKeys := map[string]bool{}
	for _, version := range a.versions(t, key) {
		publicKeys[a.must(t, "GetPublicKey", alibaba.Params{"KeyId": key, "KeyVersionId": version}).PublicKey] = true
	}
	if len(publicKeys) != 2 {
		t.Errorf("two versions have %d public keys", len(publicKeys))
	}
}

// "This operation is available only for asymmetric CMKs"
func TestSeedCreateKeyVersion_OnlyAsymmetricKeys(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	for _, g := range alibaba.Generations() {
		a := throughAlibaba(t, server, g)
		for spec, wanted := range map[string]string{
			"Aliyun_AES_256": "400 Rejected.UnsupportedOperation", "Aliyun_AES_192": "400 Rejected.UnsupportedOperation",
			"Aliyun_AES_128": "400 Rejected.UnsupportedOperation", "RSA_2048": "200", "EC_P256": "200", "EC_P256K": "200",
		} {
			usage := forEncryption
			if strings.HasPrefix(spec, "EC") {
				usage = forSigning
			}
			key := a.createKey(t, spec, usage).KeyID
			server.Admin.Advance(t, week)
			want(t, string(g)+", "+spec, a.refusal("CreateKeyVersion", alibaba.Params{"KeyId": key}), wanted)
		}
	}
}

// "and only when the CMK is in the Enabled state."
func TestSeedCreateKeyVersion_OnlyEnabled(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	for _, g := range alibaba.Generations() {
		a := throughAlibaba(t, server, g)
		key := a.createKey(t, "EC_P256", forSigning).KeyID
		server.Admin.Advance(t, week)
		create := func() string { return a.refusal("CreateKeyVersion", alibaba.Params{"KeyId": key}) }
		a.must(t, "DisableKey", alibaba.Params{"KeyId": key})
		want(t, "Disabled", create(), "409 Rejected.Disabled")
		a.must(t, "ScheduleKeyDeletion", alibaba.Params{"KeyId": key, "PendingWindowInDays": 7})
		want(t, "PendingDeletion", create(), "409 Rejected.PendingDeletion")
		a.must(t, "CancelKeyDeletion", alibaba.Params{"KeyId": key})
		want(t, "Enabled again", create(), "200")
	}
}

// "The minimum interval at which a key version is created is seven days. If you call this operation
// within seven days after the creation of the last key version, the error code
// Rejected.UnsupportedOperation is returned."
func TestSeedCreateKeyVersion_SevenDays(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	server.Admin.Freeze(t)
	for _, g := range alibaba.Generations() {
		a := throughAlibaba(t, server, g)
		key := a.createKey(t, "EC_P256", forSigning).KeyID
		create := func() string { return a.refusal("CreateKeyVersion", alibaba.Params{"KeyId": key}) }
		for round := range 2 { // after the first version, which came with the key, and after a second
			want(t, "at once", create(), "400 Rejected.UnsupportedOperation")
			server.Admin.Advance(t, week-time.Millisecond)
			want(t, "a millisecond before seven days", create(), "400 Rejected.UnsupportedOperation")
			server.Admin.Advance(t, time.Millisecond)
			want(t, "after exactly seven days", create(), "200")
			if got := len(a.versions(t, key)); got != round+2 {
				t.Errorf("%d versions, want %d: refused calls make none", got, round+2)
			}
		}
	}
}

// "The creation date of the last key version is specified by the LastRotationDate parameter."
func TestSeedCreateKeyVersion_LastRotationDate(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	a := throughAlibaba(t, server, alibaba.V1)
	created := a.createKey(t, "EC_P256", forSigning)
	want(t, "LastRotationDate of a new key", created.LastRotationDate, created.CreationDate)
	for range 2 {
		server.Admin.Advance(t, week+time.Hour)
		made := a.must(t, "CreateKeyVersion", alibaba.Params{"KeyId": created.KeyID}).KeyVersion
		want(t, "LastRotationDate", a.key(t, created.KeyID).LastRotationDate, made.CreationDate)
	}
}

// "Each user can hold up to 50 asymmetric key versions in each region."
func TestSeedCreateKeyVersion_FiftyVersionsPerUserAndRegion(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	a := throughAlibaba(t, server, alibaba.ACS3)
	a.createKey(t, "Aliyun_AES_256", forEncryption) // does not count
	ids := make([]string, 10)
	for i := range ids {
		ids[i] = a.createKey(t, "EC_P256", forSigning).KeyID
	}
	create := func(id string) string { return a.refusal("CreateKeyVersion", alibaba.Params{"KeyId": id}) }
	for version := 2; version <= 5; version++ { // 10 keys with 5 versions: the fiftieth is allowed
		server.Admin.Advance(t, week)
		for i, id := range ids {
			want(t, "version "+strconv.Itoa((version-1)*10+i+1), create(id), "200")
		}
	}
	server.Admin.Advance(t, week)
	want(t, "version 51", create(ids[0]), "400 Rejected.LimitExceeded")

	other := secondTenant(t, server)
	theirs := other.ali.createKey(t, "EC_P256", forSigning).KeyID
	server.Admin.Advance(t, week)
	want(t, "another user's second version", other.ali.refusal("CreateKeyVersion", alibaba.Params{"KeyId": theirs}), "200")

	a.must(t, "ScheduleKeyDeletion", alibaba.Params{"KeyId": ids[9], "PendingWindowInDays": 7})
	want(t, "while the versions still are held", create(ids[0]), "400 Rejected.LimitExceeded")
	server.Admin.Advance(t, week+time.Hour)
	want(t, "when five versions are gone", create(ids[0]), "200")
}

// "KeyId: The globally unique ID of the CMK."
func TestSeedCreateKeyVersion_RequestParameters(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	a := throughAlibaba(t, server, alibaba.ACS3)
	key := a.createKey(t, "EC_P256", forSigning)
	alias := "alias/signing"
	a.must(t, "CreateAlias", alibaba.Params{"KeyId": key.KeyID, "AliasName": alias})
	for _, name := range []string{key.KeyID, alias, key.ARN} { // newer pages take all three
		server.Admin.Advance(t, week)
		made := a.must(t, "CreateKeyVersion", alibaba.Params{"KeyId": name}).KeyVersion
		want(t, "KeyId of the answer to "+name, made.KeyID, key.KeyID)
	}
	caller := rawCaller(server)
	caller.way, caller.action = wayV1Get, "CreateKeyVersion"
	want(t, "no KeyId", caller.send(t).refusal(), "400 MissingParameter")
}

var (
	uuidText = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	utcTime  = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`)
)

// Response parameters and the example bodies, JSON: these fields and no others.
func TestSeedCreateKeyVersion_ResponseJSON(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	key := throughAlibaba(t, server, alibaba.ACS3).createKey(t, "EC_P256", forSigning).KeyID
	server.Admin.Advance(t, week)
	caller := rawCaller(server)
	caller.way, caller.action, caller.params = wayV1Get, "CreateKeyVersion", url.Values{"KeyId": {key}, "Format": {"JSON"}}
	answer := caller.send(t)
	want(t, "CreateKeyVersion", answer.refusal(), "200")
	checkVersionJSON(t, answer, key)
}

// The XML example body, whose root is <KMS>.
func TestSeedCreateKeyVersion_ResponseXML(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	key := throughAlibaba(t, server, alibaba.ACS3).createKey(t, "EC_P256", forSigning).KeyID
	for _, way := range []string{wayV1Get, wayV1Form} {
		server.Admin.Advance(t, week)
		caller := rawCaller(server)
		caller.way, caller.action, caller.params = way, "CreateKeyVersion", url.Values{"KeyId": {key}, "Format": {"XML"}}
		answer := caller.send(t)
		want(t, "status", strconv.Itoa(answer.status), "200")
		want(t, "Content-Type", strings.Split(answer.header.Get("Content-Type"), ";")[0], "application/xml")
		if !regexp.MustCompile(versionXML("KMS", key, false)).Match(flatXML(answer.body)) {
			t.Errorf("body:\n%s", answer.body)
		}
	}
}

// checkVersionJSON compares with the example body of both pages on versions.
func checkVersionJSON(t *testing.T, a answer, key string) {
	t.Helper()
	want(t, "Content-Type", strings.Split(a.header.Get("Content-Type"), ";")[0], "application/json")
	var body map[string]json.RawMessage
	a.into(t, &body)
	var version map[string]string
	if err := json.Unmarshal(body["KeyVersion"], &version); err != nil {
		t.Fatalf("KeyVersion of %s: %v", a.body, err)
	}
	if len(body) != 2 || len(version) != 3 {
		t.Errorf("body %s, want KeyVersion of three fields and RequestId", a.body)
	}
	var request string
	if err := json.Unmarshal(body["RequestId"], &request); err != nil || !uuidText.MatchString(request) {
		t.Errorf("RequestId %s", body["RequestId"])
	}
	want(t, "KeyId", version["KeyId"], key)
	if !uuidText.MatchString(version["KeyVersionId"]) {
		t.Errorf("KeyVersionId %q", version["KeyVersionId"])
	}
	if !utcTime.MatchString(version["CreationDate"]) {
		t.Errorf("CreationDate %q", version["CreationDate"])
	}
}

// versionXML is the example XML body of a page as a pattern, without the space between elements.
func versionXML(root, key string, requestFirst bool) string {
	const uuid = `[0-9a-fA-F-]{36}`
	version := `<KeyVersion><KeyId>` + key + `</KeyId><KeyVersionId>` + uuid + `</KeyVersionId>` +
		`<CreationDate>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ</CreationDate></KeyVersion>`
	request := `<RequestId>` + uuid + `</RequestId>`
	if requestFirst {
		version, request = request, version
	}
	return `^(<\?xml[^>]*\?>)?<` + root + `>` + version + request + `</` + root + `>$`
}

// flatXML removes the space between elements.
func flatXML(body []byte) []byte {
	return regexp.MustCompile(`>\s+<`).ReplaceAll([]byte(strings.TrimSpace(string(body))), []byte("><"))
}
