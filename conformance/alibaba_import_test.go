// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"testing"
	"time"

	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/conformance/internal/alibaba"
	"claviger/conformance/internal/live"
	"claviger/conformance/internal/oracle"
)

// receiver is a key that takes its material from outside, through one SDK.
type receiver struct {
	ali
	workshop
	server *live.Process
	key    string
}

func newReceiver(t *testing.T, server *live.Process, g alibaba.Generation, spec string) *receiver {
	t.Helper()
	r := &receiver{ali: throughAlibaba(t, server, g), workshop: newWorkshop(t), server: server}
	made := r.must(t, "CreateKey", alibaba.Params{"Origin": "EXTERNAL", "KeySpec": spec}).KeyMetadata
	if made.KeyState != "PendingImport" || made.Origin != "EXTERNAL" || made.PrimaryKeyVersion != "" || made.LastRotationDate != "" || made.MaterialExpires != "" {
		t.Errorf("made as %+v", made)
	}
	r.key = made.KeyID
	return r
}

// parcel is material that OpenSSL wrapped, and the token for it.
type parcel struct{ wrapped, token string }

// pack asks for parameters and wraps material.
func (r *receiver) pack(t *testing.T, spec, algorithm string, material []byte) parcel {
	t.Helper()
	asked := r.server.Admin.Now(t)
	under := r.must(t, "GetParametersForImport", alibaba.Params{"KeyId": r.key, "WrappingKeySpec": spec, "WrappingAlgorithm": algorithm})
	if life := parseTime(t, under.TokenExpires).Sub(asked.Add(24 * time.Hour)).Abs(); under.KeyID != r.key || life > time.Minute {
		t.Errorf("parameters of %s until %s, asked at %s", under.KeyID, under.TokenExpires, asked)
	}
	how := map[string]string{"RSAES_PKCS1_V1_5": pkcs1, "RSAES_OAEP_SHA_1": oaep1, "RSAES_OAEP_SHA_256": oaep256, "SM2PKE": ""}[algorithm]
	return parcel{inBase64(r.wrap(t, fromBase64(t, under.PublicKey), material, how)), under.ImportToken}
}

// load imports what is in a parcel, until the Unix time unless that is 0.
func (r *receiver) load(t *testing.T, p parcel, until int64, wanted string) {
	t.Helper()
	want(t, "ImportKeyMaterial", r.refusal("ImportKeyMaterial", alibaba.Params{
		"KeyId": r.key, "EncryptedKeyMaterial": p.wrapped, "ImportToken": p.token, "KeyMaterialExpireUnix": int(until),
	}), wanted)
}

// is checks the key's state, and that it encrypts in no other than Enabled.
func (r *receiver) is(t *testing.T, state string) alibaba.KeyMetadata {
	t.Helper()
	k := r.ali.key(t, r.key)
	want(t, "KeyState", k.KeyState, state)
	wanted := map[string]string{"Enabled": "200", "PendingImport": "409 Rejected.PendingImport", "PendingDeletion": "409 Rejected.PendingDeletion"}[state]
	want(t, "Encrypt while "+state, r.refusal("Encrypt", alibaba.Params{"KeyId": r.key, "Plaintext": "QQ=="}), wanted)
	return k
}

// Material that OpenSSL wrapped in each of the documented ways, through each SDK, from its coming to
// its end and back.
func TestAlibabaImport(t *testing.T) {
	t.Parallel()
	newWorkshop(t)
	for _, generation := range alibaba.Generations() {
		t.Run(string(generation), func(t *testing.T) {
			t.Parallel()
			server := start(t, live.Options{})
			server.Admin.Freeze(t)
			for _, way := range [][2]string{{"RSA_2048", "RSAES_PKCS1_V1_5"}, {"RSA_2048", "RSAES_OAEP_SHA_1"}, {"RSA_2048", "RSAES_OAEP_SHA_256"}, {"EC_SM2", "SM2PKE"}} {
				for spec, size := range map[string]int{"Aliyun_AES_256": 32, "Aliyun_SM4": 16} {
					r := newReceiver(t, server, generation, spec)
					material := bytes.Repeat([]byte{0x4d}, size)
					r.load(t, r.pack(t, way[0], way[1], material[1:]), 0, "400 InvalidKeyMaterial")
					r.is(t, "PendingImport")
					r.load(t, r.pack(t, way[0], way[1], material), 0, "200")
					if k := r.is(t, "Enabled"); k.MaterialExpires != "" || k.PrimaryKeyVersion != r.versions(t, r.key)[0] {
						t.Errorf("imported as %+v", k)
					}
				}
			}
			newReceiver(t, server, generation, "Aliyun_AES_256").life(t)
		})
	}
}

// life is the story of one key's material.
func (r *receiver) life(t *testing.T) {
	t.Helper()
	admin := r.server.Admin
	material := bytes.Repeat([]byte{1}, 32)
	right, other := r.pack(t, "RSA_2048", "RSAES_OAEP_SHA_256", material), r.pack(t, "EC_SM2", "SM2PKE", bytes.Repeat([]byte{2}, 32))
	now := admin.Now(t)
	r.load(t, right, now.Add(-time.Second).Unix(), "400 InvalidParameter")
	end := now.Add(time.Hour).Truncate(time.Second)
	r.load(t, right, end.Unix(), "200")
	sealed := r.must(t, "Encrypt", alibaba.Params{"KeyId": r.key, "Plaintext": "QQ=="}).CiphertextBlob
	if k := r.is(t, "Enabled"); !parseTime(t, k.MaterialExpires).Equal(end) {
		t.Errorf("the material is over at %s, want %s", k.MaterialExpires, end)
	}
	r.load(t, other, 0, "400 InvalidKeyMaterial")

	// To the second.
	admin.Advance(t, end.Sub(admin.Now(t))-time.Second)
	r.is(t, "Enabled")
	admin.Advance(t, time.Second)
	if k := r.is(t, "PendingImport"); !parseTime(t, k.MaterialExpires).Equal(end) {
		t.Errorf("the material was over at %s, want %s", k.MaterialExpires, end)
	}
	want(t, "Decrypt without material", r.refusal("Decrypt", alibaba.Params{"CiphertextBlob": sealed}), "409 Rejected.PendingImport")

	// Only the same comes back, however often it went.
	r.load(t, other, 0, "400 InvalidKeyMaterial")
	r.load(t, right, 0, "200")
	for range 2 {
		r.must(t, "DeleteKeyMaterial", alibaba.Params{"KeyId": r.key})
		r.is(t, "PendingImport")
	}
	r.load(t, other, 0, "400 InvalidKeyMaterial")
	r.load(t, right, 0, "200")
	want(t, "opened", r.must(t, "Decrypt", alibaba.Params{"CiphertextBlob": sealed}).Plaintext, "QQ==")

	// Through a deletion that is cancelled.
	r.must(t, "ScheduleKeyDeletion", alibaba.Params{"KeyId": r.key, "PendingWindowInDays": 7})
	r.must(t, "DeleteKeyMaterial", alibaba.Params{"KeyId": r.key})
	r.is(t, "PendingDeletion")
	r.load(t, right, 0, "409 Rejected.StateModifiedFailed")
	r.must(t, "CancelKeyDeletion", alibaba.Params{"KeyId": r.key})
	r.is(t, "PendingImport")

	// The token: another key's, and over after a day.
	r.load(t, parcel{right.wrapped, newReceiver(t, r.server, alibaba.V1, "Aliyun_AES_256").pack(t, "EC_SM2", "SM2PKE", material).token}, 0, "400 InvalidImportToken")
	admin.Advance(t, 23*time.Hour)
	r.load(t, right, 0, "400 ExpiredImportToken")
	r.load(t, r.pack(t, "RSA_2048", "RSAES_PKCS1_V1_5", material), 0, "200")
	want(t, "opened", r.must(t, "Decrypt", alibaba.Params{"CiphertextBlob": sealed}).Plaintext, "QQ==")
	want(t, "CreateKeyVersion", r.refusal("CreateKeyVersion", alibaba.Params{"KeyId": r.key}), "400 Rejected.UnsupportedOperation")
}

// A token, what was imported, its end and what has to come back outlive a process that is killed.
func TestAlibabaImportAndRestart(t *testing.T) {
	t.Parallel()
	newWorkshop(t)
	data := t.TempDir()
	r := newReceiver(t, start(t, live.Options{Data: data}), alibaba.ACS3, "Aliyun_AES_256")
	r.server.Admin.Freeze(t)
	material := bytes.Repeat([]byte{1}, 32)
	right := r.pack(t, "RSA_2048", "RSAES_OAEP_SHA_256", material)
	r.load(t, right, r.server.Admin.Now(t).Add(time.Hour).Unix(), "200")
	sealed := r.must(t, "Encrypt", alibaba.Params{"KeyId": r.key, "Plaintext": "QQ=="}).CiphertextBlob
	again := func(state string) {
		t.Helper()
		r.server.Kill()
		r.server = start(t, live.Options{Data: data})
		r.ali = throughAlibaba(t, r.server, alibaba.ACS3)
		r.is(t, state)
	}
	again("Enabled")
	r.server.Admin.Advance(t, time.Hour)
	again("PendingImport")
	r.load(t, r.pack(t, "EC_SM2", "SM2PKE", bytes.Repeat([]byte{2}, 32)), 0, "400 InvalidKeyMaterial")
	r.load(t, right, 0, "200")
	again("Enabled")
	want(t, "opened", r.must(t, "Decrypt", alibaba.Params{"CiphertextBlob": sealed}).Plaintext, "QQ==")
}

// One key in both clouds: without material it is disabled at OCI, and what OCI imported is of
// external origin at Alibaba.
func TestImportInBothClouds(t *testing.T) {
	t.Parallel()
	newWorkshop(t)
	server := start(t, live.Options{})
	o, r := throughOCI(t, server), newReceiver(t, server, alibaba.ACS3, "Aliyun_AES_256")
	id := server.Admin.Key(t, r.key).Names.OCI
	if k := o.key(t, id); k.LifecycleState != keymanagement.KeyLifecycleStateDisabled || k.CurrentKeyVersion != nil {
		t.Errorf("at OCI: %v", k.Key)
	}
	_, err := o.encrypt(t.Context(), id, []byte("x"), nil, "")
	want(t, "Encrypt at OCI", oracle.Refusal(err), "409 Conflict")
	material := bytes.Repeat([]byte{1}, 32)
	r.load(t, r.pack(t, "EC_SM2", "SM2PKE", material), 0, "200")
	sealed, err := o.encrypt(t.Context(), id, []byte("x"), nil, "")
	if err != nil {
		t.Fatal(err)
	}
	i := newImporter(t, o)
	if got := i.exported(t, id, keymanagement.ExportKeyDetailsAlgorithmSha256); !bytes.Equal(got, material) {
		t.Error("exported is other material than was imported")
	}
	r.must(t, "DeleteKeyMaterial", alibaba.Params{"KeyId": r.key})
	_, err = o.decrypt(t.Context(), id, "", *sealed.Ciphertext, nil, "")
	want(t, "Decrypt at OCI", oracle.Refusal(err), "409 Conflict")

	private, public := i.rsaKey(t, "own", "2048")
	k, err := i.importKey(t.Context(), rsaShape(256), i.wrapped(t, byAES, private), nil)
	if err != nil {
		t.Fatal(err)
	}
	name := server.Admin.Key(t, *k.Id).Names.Alibaba
	want(t, "Origin", r.ali.key(t, name).Origin, "EXTERNAL")
	text := r.must(t, "GetPublicKey", alibaba.Params{"KeyId": name, "KeyVersionId": r.versions(t, name)[0]}).PublicKey
	if !bytes.Equal(publicDER(t, text), public) {
		t.Error("GetPublicKey answers another key")
	}
}
