// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"testing"

	"claviger/internal/keys"
)

// good is an operation's request that succeeds, from which broken ones are made.
type good struct {
	vault bool              // on the vault's endpoint
	path  string            // with {key}, {version}, {vault}
	body  map[string]any    // nil: none
	query map[string]string // nil: none
	// fields tells what each field of the body or query is: a kind of badValues, with "!" where
	// it is required.
	fields map[string]string
}

// badValues are values that a field of a kind must not have, and the answer each must get; ""
// leaves it open which refusal it is.
func badValues(kind string) map[any]string {
	const parse, invalid, absent = "400 CannotParseRequest", "400 InvalidParameter", "400 MissingParameter"
	long := strings.Repeat("x", 5000)
	notText := map[any]string{json.Number("1"): parse, true: parse, jsonText("[]"): parse, jsonText("{}"): parse, jsonText(`"\ud800"`): parse, notUTF8: parse}
	out := maps.Clone(notText)
	switch kind {
	case "name":
		out[""], out[long] = invalid, invalid
	case "compartment":
		out[""], out[long], out["x"], out["ocid1.compartment.oc1..aaaa"] = absent, "", "", ""
	case "keyId":
		out[""], out[long], out["x"], out["ocid1.key.oc1.iad.aaaa.aaaa"] = absent, "404 NotAuthorizedOrNotFound", "404 NotAuthorizedOrNotFound", "404 NotAuthorizedOrNotFound"
	case "versionId":
		out[long], out["x"], out["ocid1.keyversion.oc1.iad.aaaa.aaaa.aaaa"] = "404 NotAuthorizedOrNotFound", "404 NotAuthorizedOrNotFound", "404 NotAuthorizedOrNotFound"
	case "bucket":
		out[""], out[long], out["a/b"], out[".."], out["a\x00b"] = absent, invalid, invalid, invalid, invalid
	case "object":
		return map[any]string{"x": parse, json.Number("1"): parse, jsonText("[]"): parse, true: parse}
	case "uri": // which does not go with a bucket
		out["x"], out[long] = invalid, invalid
	case "objectName":
		out[""], out[long], out["a/../b"], out["a\r\nb"] = absent, invalid, invalid, invalid
	case "enum":
		out[""], out["NOPE"], out["aes"], out[long] = invalid, invalid, invalid, invalid
	case "fleet":
		out[""], out[long] = absent, invalid
	case "region":
		out[""], out["NOPE"], out["home"], out[testRegion], out[long] = absent, invalid, invalid, invalid, invalid
	case "base64":
		out[notUTF8] = invalid // nothing outside of base64 is, whatever it is
		out["!!!!"], out["YQ"+"="], out["YWJj\nZGVm"], out[strings.Repeat("A", 8000)] = invalid, invalid, invalid, invalid
	case "pem":
		pem := "-----BEGIN PUBLIC KEY-----%s-----END PUBLIC KEY-----"
		out[""], out[long], out["AAAA"], out[fmt.Sprintf(pem, "")], out[fmt.Sprintf(pem, "AAAA")] = absent, invalid, invalid, invalid, invalid
	case "ciphertext", "signature":
		out[notUTF8] = invalid
		out["!!!!"], out["YWJj\r\nZGVm"], out["Y-_="] = invalid, invalid, invalid
	case "time":
		out[""], out["tomorrow"], out["2026-01-02"], out[long] = invalid, invalid, invalid, invalid
		out["0001-01-01T00:00:01Z"], out["9999-12-31T23:59:59Z"] = invalid, invalid
	case "bool":
		return map[any]string{"true": parse, json.Number("1"): parse, jsonText("[]"): parse, jsonText("{}"): parse}
	case "int":
		return map[any]string{"x": parse, json.Number("1.5"): parse, json.Number("1e99"): parse, json.Number("99999999999999999999"): parse, true: parse, json.Number("-1"): invalid, json.Number("0"): invalid}
	case "length":
		return map[any]string{"x": parse, "": parse, json.Number("1.5"): parse, json.Number("99999999999999999999"): parse, true: parse, json.Number("-1"): invalid, json.Number("0"): invalid, json.Number("33"): invalid, "33": invalid}
	case "map":
		return map[any]string{
			"x": parse, json.Number("1"): parse, jsonText("[]"): parse, jsonText(`{"a":1}`): parse, jsonText(`{"a":null}`): parse, jsonText(`{"a":"1","a":"2"}`): parse,
			jsonText(`{"a":"` + long + `"}`): invalid,
		}
	case "maps":
		return map[any]string{"x": parse, jsonText(`{"a":"b"}`): parse, jsonText(`{"a":{"b":[]}}`): parse, jsonText(`{"a":{"b":null}}`): parse, jsonText(`{"a":{"b":1e}}`): parse, jsonText(`{"a":{"b":"` + long + `"}}`): invalid, jsonText(`{"":{"b":"c"}}`): invalid}
	}
	return out
}

// jsonText is a value that is JSON already.
type jsonText string

const notUTF8 jsonText = "\"\xff\""

// goods has a request for every supported operation.
func goods(r *rig) map[string]good {
	tenancy := r.Tenant.Names[Name]
	shape := map[string]any{"algorithm": "AES", "length": 32}
	list := map[string]string{"compartmentId": tenancy, "limit": "10", "sortBy": "TIMECREATED", "sortOrder": "ASC"}
	listFields := map[string]string{"compartmentId": "compartment!", "limit": "query", "page": "query", "sortBy": "query", "sortOrder": "query"}
	notes := map[string]string{"limit": "10", "sortOrder": "ASC"}
	noteFields := map[string]string{"limit": "query", "page": "query", "sortOrder": "query"}
	schedule := map[string]string{"timeOfDeletion": "time"}
	backup := map[string]any{"backupLocation": map[string]any{"destination": "BUCKET", "namespace": "acme", "bucketName": "b", "objectName": "o"}}
	backupFields := map[string]string{
		"backupLocation": "object!", "backupLocation.destination": "enum!", "backupLocation.namespace": "bucket!",
		"backupLocation.bucketName": "bucket!", "backupLocation.objectName": "objectName!", "backupLocation.uri": "uri",
	}
	into := map[string]string{"compartmentId": tenancy}
	const restoreVault = "/20180608/vaults/actions/restoreFrom"
	move := map[string]any{"compartmentId": tenancy}
	moveFields := map[string]string{"compartmentId": "compartment!"}
	crypto := map[string]string{"keyId": "keyId!", "keyVersionId": "versionId", "loggingContext": "map"}
	with := func(base, more map[string]string) map[string]string {
		out := maps.Clone(base)
		maps.Copy(out, more)
		return out
	}
	labels := map[string]string{"displayName": "name", "freeformTags": "map", "definedTags": "maps"}
	shapeFields := map[string]string{"keyShape": "object!", "keyShape.algorithm": "enum!", "keyShape.length": "length!", "keyShape.curveId": "enum"}
	sign := map[string]any{"keyId": "{sign}", "message": "aGVsbG8=", "signingAlgorithm": "ECDSA_SHA_256"}
	signFields := with(crypto, map[string]string{"message": "base64!", "signingAlgorithm": "enum!", "messageType": "enum"})
	verifyFields := with(signFields, map[string]string{"signature": "signature!", "keyVersionId": "versionId!"})
	delete(verifyFields, "loggingContext")
	dekFields := with(crypto, with(shapeFields, map[string]string{"includePlaintextKey": "bool!", "associatedData": "map"}))
	delete(dekFields, "keyVersionId")
	wrapped := map[string]any{"keyMaterial": "{wrapped}", "wrappingAlgorithm": "RSA_OAEP_SHA256"}
	wrappedFields := map[string]string{
		"wrappedImportKey": "object!", "wrappedImportKey.keyMaterial": "base64!", "wrappedImportKey.wrappingAlgorithm": "enum!",
	}
	createFields := with(with(labels, shapeFields), map[string]string{
		"compartmentId": "compartment!", "displayName": "name!", "protectionMode": "enum", "isAutoRotationEnabled": "bool",
		"autoKeyRotationDetails": "object", "autoKeyRotationDetails.rotationIntervalInDays": "int", "autoKeyRotationDetails.timeOfScheduleStart": "time",
	})
	return map[string]good{
		"CreateVault": {
			path: "/20180608/vaults", body: map[string]any{"compartmentId": tenancy, "displayName": "v", "vaultType": "DEFAULT"},
			fields: with(labels, map[string]string{"compartmentId": "compartment!", "displayName": "name!", "vaultType": "enum!"}),
		},
		"BackupKey":                   {vault: true, path: "/20180608/keys/{key}/actions/backup", body: backup, fields: backupFields},
		"BackupVault":                 {path: "/20180608/vaults/{vault}/actions/backup", body: backup, fields: with(backupFields, map[string]string{"isIncludeKeys": "bool"})},
		"RestoreKeyFromFile":          {vault: true, path: "/20180608/keys/actions/restoreFromFile"},
		"RestoreKeyFromObjectStore":   {vault: true, path: "/20180608/keys/actions/restoreFromObjectStore", body: backup, fields: backupFields},
		"RestoreVaultFromFile":        {path: restoreVault + "File", query: into, fields: map[string]string{"compartmentId": "compartment!"}},
		"RestoreVaultFromObjectStore": {path: restoreVault + "ObjectStore?compartmentId=" + tenancy, body: backup, fields: backupFields},
		"GetWorkRequest":              {path: "/20160918/workRequests/{work}"},
		"ListWorkRequestErrors":       {path: "/20160918/workRequests/{work}/errors", query: notes, fields: noteFields},
		"ListWorkRequestLogs":         {path: "/20160918/workRequests/{work}/logs", query: notes, fields: noteFields},
		"ListWorkRequests":            {path: "/20160918/workRequests", query: map[string]string{"compartmentId": tenancy}, fields: map[string]string{"compartmentId": "compartment!", "limit": "query", "page": "query"}},
		"GetVault":                    {path: "/20180608/vaults/{vault}"},
		"ListVaults":                  {path: "/20180608/vaults", query: list, fields: listFields},
		"UpdateVault":                 {path: "/20180608/vaults/{vault}", body: map[string]any{}, fields: labels},
		"ScheduleVaultDeletion":       {path: "/20180608/vaults/{vault}/actions/scheduleDeletion", body: map[string]any{}, fields: schedule},
		"CancelVaultDeletion":         {path: "/20180608/vaults/{vault}/actions/cancelDeletion"},
		"CreateVaultReplica": {
			path: "/20180608/vaults/{vault}/actions/createReplica", body: map[string]any{"replicaRegion": awayRegion},
			fields: map[string]string{"replicaRegion": "region!", "replicaVaultMetadata": "external"},
		},
		"DeleteVaultReplica": {
			path: "/20180608/vaults/{vault}/actions/deleteReplica", body: map[string]any{"replicaRegion": awayRegion},
			fields: map[string]string{"replicaRegion": "text!"},
		},
		"ListVaultReplicas": {
			path: "/20180608/vaults/{vault}/actions/listReplicas", query: map[string]string{"limit": "10"},
			fields: map[string]string{"limit": "query", "page": "query", "sortBy": "query", "sortOrder": "query"},
		},
		"GetVaultUsage": {path: "/20180608/vaults/{vault}/usage"},
		"UpdateRegisteredVaultForMtls": {
			path: "/20180608/vaults/{vault}/updateRegisteredVaultForMtls", body: map[string]any{"fleetId": "f"}, fields: map[string]string{"fleetId": "fleet!"},
		},
		"GetReplicationStatus":   {vault: true, path: "/20180608/replicaOperations/00000000-0000-0000-0000-000000000001/status"},
		"ChangeVaultCompartment": {path: "/20180608/vaults/{vault}/actions/changeCompartment", body: move, fields: moveFields},
		"CreateKey": {
			vault: true, path: "/20180608/keys", body: map[string]any{"compartmentId": tenancy, "displayName": "k", "keyShape": shape},
			fields: createFields,
		},
		"GetWrappingKey": {vault: true, path: "/20180608/wrappingKeys"},
		"ImportKey": {
			vault: true, path: "/20180608/keys/import", body: map[string]any{"compartmentId": tenancy, "displayName": "k", "keyShape": shape, "wrappedImportKey": wrapped},
			fields: with(createFields, wrappedFields),
		},
		"ImportKeyVersion": {
			vault: true, path: "/20180608/keys/{key}/keyVersions/import", body: map[string]any{"wrappedImportKey": wrapped},
			fields: with(wrappedFields, map[string]string{"freeformTags": "map", "definedTags": "maps"}),
		},
		"ExportKey": {
			vault: true, path: "/20180608/exportKey", body: map[string]any{"keyId": "{key}", "algorithm": "RSA_OAEP_AES_SHA256", "publicKey": "{pem}"},
			fields: with(crypto, map[string]string{"algorithm": "enum!", "publicKey": "pem!"}),
		},
		"GetKey":   {vault: true, path: "/20180608/keys/{key}"},
		"ListKeys": {vault: true, path: "/20180608/keys", query: list, fields: with(listFields, map[string]string{"protectionMode": "query", "algorithm": "query", "length": "query", "curveId": "query"})},
		"UpdateKey": {vault: true, path: "/20180608/keys/{key}", body: map[string]any{}, fields: with(labels, map[string]string{
			"isAutoRotationEnabled": "bool", "autoKeyRotationDetails": "object",
			"autoKeyRotationDetails.rotationIntervalInDays": "int", "autoKeyRotationDetails.timeOfScheduleStart": "time",
		})},
		"EnableKey":                  {vault: true, path: "/20180608/keys/{key}/actions/enable"},
		"DisableKey":                 {vault: true, path: "/20180608/keys/{key}/actions/disable"},
		"ScheduleKeyDeletion":        {vault: true, path: "/20180608/keys/{key}/actions/scheduleDeletion", body: map[string]any{}, fields: schedule},
		"CancelKeyDeletion":          {vault: true, path: "/20180608/keys/{key}/actions/cancelDeletion"},
		"ChangeKeyCompartment":       {vault: true, path: "/20180608/keys/{key}/actions/changeCompartment", body: move, fields: moveFields},
		"CreateKeyVersion":           {vault: true, path: "/20180608/keys/{key}/keyVersions", body: map[string]any{}, fields: map[string]string{"externalKeyVersionId": "external"}},
		"GetKeyVersion":              {vault: true, path: "/20180608/keys/{key}/keyVersions/{version}"},
		"ListKeyVersions":            {vault: true, path: "/20180608/keys/{key}/keyVersions", query: map[string]string{"limit": "10"}, fields: map[string]string{"limit": "query", "page": "query", "sortBy": "query", "sortOrder": "query"}},
		"ScheduleKeyVersionDeletion": {vault: true, path: "/20180608/keys/{key}/keyVersions/{version}/actions/scheduleDeletion", body: map[string]any{}, fields: schedule},
		"CancelKeyVersionDeletion":   {vault: true, path: "/20180608/keys/{key}/keyVersions/{version}/actions/cancelDeletion"},
		"Encrypt": {
			vault: true, path: "/20180608/encrypt", body: map[string]any{"keyId": "{key}", "plaintext": "aGVsbG8="},
			fields: with(crypto, map[string]string{"plaintext": "base64!", "associatedData": "map", "encryptionAlgorithm": "enum"}),
		},
		"Decrypt": {
			vault: true, path: "/20180608/decrypt", body: map[string]any{"keyId": "{key}", "ciphertext": "{ciphertext}"},
			fields: with(crypto, map[string]string{"ciphertext": "ciphertext!", "associatedData": "object", "encryptionAlgorithm": "enum"}),
		},
		"GenerateDataEncryptionKey": {vault: true, path: "/20180608/generateDataEncryptionKey", body: map[string]any{"keyId": "{key}", "includePlaintextKey": true, "keyShape": shape}, fields: dekFields},
		"Sign":                      {vault: true, path: "/20180608/sign", body: sign, fields: signFields},
		"Verify": {vault: true, path: "/20180608/verify", body: map[string]any{
			"keyId": "{sign}", "keyVersionId": "{signVersion}", "message": "aGVsbG8=", "signature": "AAAA", "signingAlgorithm": "ECDSA_SHA_256",
		}, fields: verifyFields},
	}
}

// TestBadInput sends, for every operation, what is missing, empty, overlong, of the wrong type,
// unknown, another tenant's, malformed, huge or broken. Every answer is a documented error in
// Oracle's form, and none is a 5xx.
func TestBadInput(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	f := newFixtures(t, r)
	all := goods(r)
	for _, op := range table() {
		if op.Gap != "" {
			continue
		}
		g, ok := all[op.Name]
		if !ok {
			t.Errorf("%s has no good request to break", op.Name)
			continue
		}
		b := breaker{rig: r, fixtures: f, op: op, good: g}
		b.paths(t)
		b.bodies(t)
		b.values(t)
	}
}

// fixtures are the things that good requests name.
type fixtures struct {
	own, others map[string]string // placeholder → name
}

func newFixtures(t *testing.T, r *rig) fixtures {
	t.Helper()
	n := r.dialect.Namer()
	text := func(m map[string]any, name string) string {
		s, ok := m[name].(string)
		if !ok {
			t.Fatalf("%s is %v", name, m[name])
		}
		return s
	}
	vault := func(id keys.ID) string { return n.VaultName(&keys.Vault{ID: id, Region: "home"}) }
	own := r.workRequests(t, r.Tenant, n.keyName("home", r.Tenant.Vault, keys.ID{1}))[3]
	others := r.workRequests(t, r.Other, n.keyName("home", r.Other.Vault, keys.ID{1}))[3]
	key, sign, other := r.newKey(t, r.Tenant, "AES", 32), r.newKey(t, r.Tenant, "ECDSA", 32), r.newKey(t, r.Other, "AES", 32)
	r.call(t, r.Tenant, "POST", r.vault(r.Tenant)+"/20180608/keys/"+text(key, "id")+"/keyVersions", nil).object(t) // makes {version} an old one
	wrapped := base64.StdEncoding.EncodeToString(wrapOAEP(t, r.wrappingKey(t, r.Tenant), make([]byte, 32)))
	sealed := r.call(t, r.Tenant, "POST", r.vault(r.Tenant)+"/20180608/encrypt", map[string]any{"keyId": key["id"], "plaintext": "aGVsbG8="}).object(t)
	return fixtures{
		own: map[string]string{
			"{vault}": vault(r.Tenant.Vault), "{key}": text(key, "id"), "{version}": text(key, "currentKeyVersion"),
			"{work}": n.WorkRequestName(own), "{sign}": text(sign, "id"), "{signVersion}": text(sign, "currentKeyVersion"), "{ciphertext}": text(sealed, "ciphertext"),
			"{wrapped}": wrapped, "{pem}": strings.ReplaceAll(strings.TrimSpace(publicPEM(t, &r.Tenant.RSAKey.PublicKey)), "\n", " "),
		},
		others: map[string]string{
			"{vault}": vault(r.Other.Vault), "{key}": text(other, "id"), "{version}": text(other, "currentKeyVersion"),
			"{work}": n.WorkRequestName(others),
		},
	}
}

type breaker struct {
	*rig
	fixtures
	op   operation
	good good
}

func (b *breaker) fill(s string) string {
	for name, value := range b.own {
		s = strings.ReplaceAll(s, name, value)
	}
	return s
}

// try sends a request and checks that it is refused as it should be; want "" is any refusal.
func (b *breaker) try(t *testing.T, what, path, body, want string) {
	t.Helper()
	base := b.region.URL
	if b.good.vault {
		base = b.rig.vault(b.Tenant)
	}
	method, _, _ := strings.Cut(b.op.Route, " ")
	got := b.call(t, b.Tenant, method, base+path, body)
	if got.status < 400 {
		t.Errorf("%s: %.200s: accepted: %s", b.op.Name, what, got.body)
		return
	}
	refusal := got.refusal(t)
	if got.status >= 500 || !documented[refusal] || (want != "" && refusal != want) {
		t.Errorf("%s: %.200s: %s %s (%s), want %q", b.op.Name, what, refusal, got.body, got.hint(), want)
	}
	if len(got.body) > 400 {
		t.Errorf("%s: %.200s: the answer repeats the input: %s", b.op.Name, what, got.body)
	}
}

// paths breaks each name in the path.
func (b *breaker) paths(t *testing.T) {
	t.Helper()
	const unknown = "404 NotAuthorizedOrNotFound"
	body := b.fill(encode(t, b.good.body))
	for name := range b.others {
		if !strings.Contains(b.good.path, name) {
			continue
		}
		own := b.own[name]
		for what, value := range map[string]string{
			"another tenant's": b.others[name], "malformed": "x", "another type's": b.own["{sign}"] + "a", "overlong": strings.Repeat("x", 4000),
			"cut off": own[:len(own)-1], "upper case": strings.ToUpper(own), "unknown": own[:len(own)-60] + strings.Repeat("a", 60),
			"a null byte": "%00", "a slash": "a%2Fb", "dots": "%2E%2E", "a carried over one": "ocid1.key.oc1.iad.x.y", "not UTF-8": "%ff",
		} {
			b.try(t, what+" in place of "+name, b.fill(strings.Replace(b.good.path, name, value, 1)), body, unknown)
		}
		b.try(t, "nothing in place of "+name, b.fill(strings.Replace(b.good.path, name, "", 1)), body, "")
	}
}

// bodies breaks the body as a whole.
func (b *breaker) bodies(t *testing.T) {
	t.Helper()
	path := b.fill(b.good.path)
	huge := "413 RequestEntityTooLarge"
	if b.op.upload { // its bound is another, and what it holds is looked at; see TestUploadsAreBounded
		huge = "400 InvalidParameter"
		if b.good.query != nil {
			path += "?compartmentId=" + b.good.query["compartmentId"]
		}
		b.try(t, "nothing", path, "", huge)
	}
	b.try(t, "a huge body", path, strings.Repeat(" ", maxBody+1), huge)
	if b.good.body == nil {
		return
	}
	text := b.fill(encode(t, b.good.body))
	const parse = "400 CannotParseRequest"
	for what, body := range map[string]string{
		"half an object": "{", "a list": "[]", "a string": `"x"`, "null": "null", "a number": "1", "nothing but space": " ", "XML": "<a/>",
		"something behind": text + "x", "two objects": text + text, "a byte order mark": "\ufeff" + text, "no JSON": "compartmentId=x",
		"a nested bomb": strings.Repeat(`{"a":`, 10000), "a field twice": `{"x":1,"x":2}`, "not UTF-8": "{\"x\":\"\xff\"}",
	} {
		b.try(t, what, path, body, parse)
	}
}

// values breaks each field of the body or query.
func (b *breaker) values(t *testing.T) {
	t.Helper()
	for field, kind := range b.good.fields {
		kind, required := strings.CutSuffix(kind, "!")
		if b.good.query != nil {
			b.queryValues(t, field, kind, required)
			continue
		}
		if required {
			b.tryField(t, field, nil, "400 MissingParameter")
			b.tryField(t, field, jsonText("null"), "400 MissingParameter")
		}
		if kind == "external" {
			b.tryField(t, field, "x", "400 InvalidParameter")
			continue
		}
		for value, want := range badValues(kind) {
			b.tryField(t, field, value, want)
		}
		switch kind {
		case "keyId":
			b.tryField(t, field, b.others["{key}"], "404 NotAuthorizedOrNotFound")
			b.tryField(t, field, b.own["{vault}"], "404 NotAuthorizedOrNotFound")
		case "versionId":
			b.tryField(t, field, b.others["{version}"], "404 NotAuthorizedOrNotFound")
			b.tryField(t, field, b.own["{key}"], "404 NotAuthorizedOrNotFound")
		case "compartment":
			b.tryField(t, field, b.Other.Names[Name], "400 RelatedResourceNotAuthorizedOrNotFound")
		}
	}
}

// tryField sends the good body with another value in one field; nil leaves it out.
func (b *breaker) tryField(t *testing.T, field string, value any, want string) {
	t.Helper()
	body := maps.Clone(b.good.body)
	into := body
	outer, inner, nested := strings.Cut(field, ".")
	if nested {
		m, _ := body[outer].(map[string]any)
		into = maps.Clone(m)
		if into == nil {
			into = map[string]any{"rotationIntervalInDays": 60}
			body["isAutoRotationEnabled"] = true
		}
		body[outer] = into
	} else {
		inner = outer
	}
	if value == nil {
		delete(into, inner)
	} else {
		into[inner] = value
	}
	b.try(t, fmt.Sprintf("%s = %.60v", field, value), b.fill(b.good.path), b.fill(encode(t, body)), want)
}

func (b *breaker) queryValues(t *testing.T, field, kind string, required bool) {
	t.Helper()
	send := func(value *string, want string) {
		t.Helper()
		q := url.Values{}
		for name, v := range b.good.query {
			q.Set(name, v)
		}
		q.Del(field)
		if value != nil {
			q.Set(field, *value)
		}
		b.try(t, fmt.Sprintf("%s=%.60v", field, q.Get(field)), b.fill(b.good.path)+"?"+q.Encode(), "", want)
	}
	if required {
		send(nil, "400 MissingParameter")
	}
	bad, want := []string{"", "NOPE", "-1", "\x00", "\xff", strings.Repeat("x", 5000)}, "400 InvalidParameter"
	if kind == "compartment" {
		bad, want = []string{"x", b.own["{key}"], b.Other.Names[Name], "\x00", strings.Repeat("x", 5000)}, "404 NotAuthorizedOrNotFound"
	}
	for _, v := range bad {
		send(&v, want)
	}
	b.try(t, "a broken query", b.fill(b.good.path)+"?"+field+"=%zz", "", "")
}

// encode writes JSON in which jsonText stands for itself.
func encode(t *testing.T, v any) string {
	t.Helper()
	switch v := v.(type) {
	case jsonText:
		return string(v)
	case map[string]any:
		if v == nil {
			return ""
		}
		var parts []string
		for name, value := range v {
			parts = append(parts, encode(t, name)+":"+encode(t, value))
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
