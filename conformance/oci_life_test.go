// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oracle/oci-go-sdk/v65/common"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/conformance/internal/live"
	"claviger/conformance/internal/oracle"
)

// ociContext is an encryption context that needs escaping in JSON and in a URL.
var ociContext = map[string]string{"app": "ledger", "naïve": "ключ <&>"}

// ociKey is one key in a life told through Oracle's SDK.
type ociKey struct {
	name       string
	shape      keymanagement.KeyShape
	encryption []string // algorithms; "" for an AES key, which needs none
	signing    []string // algorithms

	oci      oci
	server   *live.Process
	id       string
	versions []ociVersion // oldest first
}

// ociVersion is a version with something that only it can open or verify.
type ociVersion struct {
	id         string
	ciphertext map[string]string // encryption algorithm -> ciphertext
	signature  map[string]string // signing algorithm -> signature
}

func (k *ociKey) String() string { return k.name }

func ociCast() []*ociKey {
	oaep := []string{"RSA_OAEP_SHA_1", "RSA_OAEP_SHA_256"}
	rsa := []string{
		"SHA_224_RSA_PKCS_PSS", "SHA_256_RSA_PKCS_PSS", "SHA_384_RSA_PKCS_PSS", "SHA_512_RSA_PKCS_PSS",
		"SHA_224_RSA_PKCS1_V1_5", "SHA_256_RSA_PKCS1_V1_5", "SHA_384_RSA_PKCS1_V1_5", "SHA_512_RSA_PKCS1_V1_5",
	}
	return []*ociKey{
		{name: "AES-128", shape: aesShape(16), encryption: []string{""}},
		{name: "AES-192", shape: aesShape(24), encryption: []string{""}},
		{name: "AES-256", shape: aesShape(32), encryption: []string{""}},
		{name: "RSA-2048", shape: rsaShape(256), encryption: oaep, signing: rsa},
		{name: "RSA-3072", shape: rsaShape(384), encryption: oaep, signing: rsa},
		{name: "RSA-4096", shape: rsaShape(512), encryption: oaep, signing: rsa},
		{name: "P-256", shape: ecShape(keymanagement.KeyShapeCurveIdP256), signing: []string{"ECDSA_SHA_256"}},
		{name: "P-384", shape: ecShape(keymanagement.KeyShapeCurveIdP384), signing: []string{"ECDSA_SHA_384"}},
		{name: "P-521", shape: ecShape(keymanagement.KeyShapeCurveIdP521), signing: []string{"ECDSA_SHA_512"}},
	}
}

func TestOCILife(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	cast := ociCast()
	for _, k := range cast {
		k.server, k.oci = server, throughOCI(t, server)
	}
	retentionEnds := func(t *testing.T) { server.Admin.Advance(t, retention+time.Hour) }
	tell(t, cast, []chapter[*ociKey]{
		{name: "create", live: ociCreate},
		{name: "generate a data key", live: ociDataKey},
		{name: "rotate and use each version", live: ociRotate},
		{name: "open what every version sealed", live: ociOpenAll},
		{name: "list page by page", live: ociList},
		{name: "schedule and cancel and schedule a version's deletion", live: ociScheduleVersion},
		{name: "the version is gone", before: retentionEnds, live: ociVersionGone},
		{name: "schedule and cancel and schedule the key's deletion", live: ociScheduleKey},
		{name: "the key is gone", before: retentionEnds, live: ociKeyGone},
	})
}

func ociCreate(t *testing.T, k *ociKey) {
	created := k.oci.createKey(t, k.shape)
	k.id = *created.Id
	if diff := cmp.Diff(k.shape, *created.KeyShape); diff != "" {
		t.Errorf("keyShape (-want +got):\n%s", diff)
	}
	if *created.VaultId != k.server.Ready.OCI.VaultID || *created.CompartmentId != k.oci.compartment {
		t.Errorf("key in vault %s, compartment %s", *created.VaultId, *created.CompartmentId)
	}
	k.use(t, *created.CurrentKeyVersion)
}

// use seals and signs with the current version, which must be the given one, and keeps the results.
func (k *ociKey) use(t *testing.T, version string) {
	t.Helper()
	v := ociVersion{id: version, ciphertext: map[string]string{}, signature: map[string]string{}}
	for _, algorithm := range k.encryption {
		sealed, err := k.oci.encrypt(t.Context(), k.id, []byte("secret of "+version), k.aad(), algorithm)
		if err != nil {
			t.Fatalf("Encrypt %s: %v", algorithm, err)
		}
		if sealed.KeyVersionId == nil || *sealed.KeyVersionId != version {
			t.Errorf("Encrypt %s used version %v, want the current %s", algorithm, sealed.KeyVersionId, version)
		}
		v.ciphertext[algorithm] = *sealed.Ciphertext
	}
	for _, algorithm := range k.signing {
		signed, err := k.oci.sign(t.Context(), k.id, digestFor(t, algorithm, version), algorithm)
		if err != nil {
			t.Fatalf("Sign %s: %v", algorithm, err)
		}
		want(t, "version used by Sign", *signed.KeyVersionId, version)
		v.signature[algorithm] = *signed.Signature
	}
	k.versions = append(k.versions, v)
}

// aad is the encryption context, which only AES keys have.
func (k *ociKey) aad() map[string]string {
	if k.shape.Algorithm == keymanagement.KeyShapeAlgorithmAes {
		return ociContext
	}
	return nil
}

// check opens and verifies everything of v, with the version named and, to open, without.
func (k *ociKey) check(t *testing.T, v ociVersion) {
	t.Helper()
	for algorithm, ciphertext := range v.ciphertext {
		for _, named := range []string{"", v.id} {
			opened, err := k.oci.decrypt(t.Context(), k.id, named, ciphertext, k.aad(), algorithm)
			if err != nil {
				t.Fatalf("Decrypt %s of version %s (named %q): %v", algorithm, v.id, named, err)
			}
			want(t, "plaintext", string(opened), "secret of "+v.id)
		}
	}
	for algorithm, signature := range v.signature {
		for message, wanted := range map[string]bool{v.id: true, "another message": false} {
			valid, err := k.oci.verify(t.Context(), k.id, v.id, digestFor(t, algorithm, message), signature, algorithm)
			if err != nil {
				t.Fatalf("Verify %s: %v", algorithm, err)
			}
			if valid != wanted {
				t.Errorf("Verify %s of %q: %t, want %t", algorithm, message, valid, wanted)
			}
		}
	}
}

// refused checks that every use of v, named where it can be, is answered as given.
func (k *ociKey) refused(t *testing.T, v ociVersion, wanted string) {
	t.Helper()
	for algorithm, ciphertext := range v.ciphertext {
		_, err := k.oci.decrypt(t.Context(), k.id, v.id, ciphertext, k.aad(), algorithm)
		want(t, "Decrypt "+algorithm, oracle.Refusal(err), wanted)
	}
	for algorithm, signature := range v.signature {
		_, err := k.oci.verify(t.Context(), k.id, v.id, digestFor(t, algorithm, v.id), signature, algorithm)
		want(t, "Verify "+algorithm, oracle.Refusal(err), wanted)
	}
}

func ociDataKey(t *testing.T, k *ociKey) {
	if k.aad() == nil {
		return
	}
	for _, length := range []int{16, 24, 32} {
		shape := aesShape(length)
		generated, err := k.oci.Crypto.GenerateDataEncryptionKey(t.Context(), keymanagement.GenerateDataEncryptionKeyRequest{
			GenerateKeyDetails: keymanagement.GenerateKeyDetails{
				IncludePlaintextKey: common.Bool(true), KeyId: &k.id, KeyShape: &shape, AssociatedData: ociContext,
			},
		})
		if err != nil {
			t.Fatalf("GenerateDataEncryptionKey: %v", err)
		}
		plain, err := base64.StdEncoding.DecodeString(*generated.Plaintext)
		if err != nil || len(plain) != length {
			t.Fatalf("data key of %d bytes (%v), want %d", len(plain), err, length)
		}
		want(t, "checksum", *generated.PlaintextChecksum, strconv.FormatUint(uint64(crc32.ChecksumIEEE(plain)), 10))
		opened, err := k.oci.decrypt(t.Context(), k.id, "", *generated.Ciphertext, ociContext, "")
		if err != nil || !bytes.Equal(opened, plain) {
			t.Errorf("Decrypt of the data key gives another one (%v)", err)
		}
		for _, aad := range []map[string]string{nil, {"app": "other"}} {
			_, err := k.oci.decrypt(t.Context(), k.id, "", *generated.Ciphertext, aad, "")
			want(t, fmt.Sprintf("Decrypt with context %v", aad), oracle.Refusal(err), "400 InvalidParameter")
		}
	}
}

func ociRotate(t *testing.T, k *ociKey) {
	for range rotations {
		made := k.oci.createVersion(t, k.id)
		if current := k.oci.key(t, k.id).CurrentKeyVersion; *current != *made.Id {
			t.Errorf("current version is %s after %s was made", *current, *made.Id)
		}
		if public := made.PublicKey; (public != nil) != (len(k.signing) > 0) {
			t.Errorf("publicKey of a new version: %v", public)
		}
		k.use(t, *made.Id)
	}
}

func ociOpenAll(t *testing.T, k *ociKey) {
	for _, v := range k.versions {
		k.check(t, v)
	}
}

func ociList(t *testing.T, k *ociKey) {
	wanted := make([]string, len(k.versions))
	for i, v := range k.versions {
		wanted[i] = v.id
	}
	for _, order := range []keymanagement.ListKeyVersionsSortOrderEnum{
		keymanagement.ListKeyVersionsSortOrderAsc, keymanagement.ListKeyVersionsSortOrderDesc, "",
	} {
		var sizes []int
		var got []string
		for _, page := range k.oci.pages(t, k.id, 3, order) {
			sizes = append(sizes, len(page))
			for _, version := range page {
				got = append(got, *version.Id)
			}
		}
		if order != keymanagement.ListKeyVersionsSortOrderAsc { // newest first, also by default
			slices.Reverse(got)
		}
		if diff := cmp.Diff(wanted, got); diff != "" {
			t.Errorf("versions in order %q (-want +got):\n%s", order, diff)
		}
		if diff := cmp.Diff([]int{3, 3, 3, 2}, sizes); diff != "" {
			t.Errorf("page sizes in order %q (-want +got):\n%s", order, diff)
		}
	}
}

func ociScheduleVersion(t *testing.T, k *ociKey) {
	oldest := k.versions[0]
	at := k.server.Admin.Now(t).Add(retention)
	for round := range 2 {
		scheduled, err := k.oci.scheduleVersionDeletion(t.Context(), k.id, oldest.id, at)
		if err != nil {
			t.Fatalf("ScheduleKeyVersionDeletion: %v", err)
		}
		want(t, "state", string(scheduled.LifecycleState), "PENDING_DELETION")
		if got, wanted := scheduled.TimeOfDeletion.Time, at.Truncate(time.Second); !got.Equal(wanted) {
			t.Errorf("timeOfDeletion %s, want %s", got, wanted)
		}
		k.refused(t, oldest, "409 Conflict")
		if round == 0 {
			cancelled := k.oci.cancelVersionDeletion(t, k.id, oldest.id)
			want(t, "state after cancelling", string(cancelled.LifecycleState), "ENABLED")
			if cancelled.TimeOfDeletion != nil {
				t.Errorf("timeOfDeletion %s after cancelling, want none", cancelled.TimeOfDeletion)
			}
			k.check(t, oldest)
		}
	}
}

func ociVersionGone(t *testing.T, k *ociKey) {
	oldest := k.versions[0]
	want(t, "state", string(k.oci.version(t, k.id, oldest.id).LifecycleState), "DELETED")
	if k.aad() != nil { // the ciphertext names its version, and no cause is told of what does not open
		k.refused(t, oldest, "400 InvalidParameter")
	} else {
		k.refused(t, oldest, "404 NotAuthorizedOrNotFound")
	}
	_, err := k.oci.Management.CancelKeyVersionDeletion(t.Context(),
		keymanagement.CancelKeyVersionDeletionRequest{KeyId: &k.id, KeyVersionId: &oldest.id})
	want(t, "CancelKeyVersionDeletion of what is gone", oracle.Refusal(err), "409 Conflict")
	for _, v := range k.versions[1:] {
		k.check(t, v)
	}
}

func ociScheduleKey(t *testing.T, k *ociKey) {
	newest := k.versions[len(k.versions)-1]
	at := k.server.Admin.Now(t).Add(retention)
	for round := range 2 {
		want(t, "state", string(k.oci.scheduleKeyDeletion(t, k.id, at).LifecycleState), "PENDING_DELETION")
		k.refused(t, newest, "409 Conflict")
		if round == 0 {
			cancelled, err := k.oci.Management.CancelKeyDeletion(t.Context(), keymanagement.CancelKeyDeletionRequest{KeyId: &k.id})
			if err != nil {
				t.Fatalf("CancelKeyDeletion: %v", err)
			}
			want(t, "state after cancelling", string(cancelled.LifecycleState), "ENABLED")
			k.check(t, newest)
		}
	}
}

func ociKeyGone(t *testing.T, k *ociKey) {
	want(t, "state", string(k.oci.key(t, k.id).LifecycleState), "DELETED")
	k.refused(t, k.versions[len(k.versions)-1], "404 NotAuthorizedOrNotFound")
	_, err := k.oci.Management.CreateKeyVersion(t.Context(), keymanagement.CreateKeyVersionRequest{KeyId: &k.id})
	want(t, "CreateKeyVersion", oracle.Refusal(err), "409 Conflict")
}
