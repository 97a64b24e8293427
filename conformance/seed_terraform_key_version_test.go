// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/conformance/internal/live"
	"claviger/conformance/internal/oracle"
)

// The sentences of the Terraform provider's page on oci_kms_key_version, one test each. The provider
// calls the same SDK as these tests.

// "Generates a new KeyVersion resource that provides new cryptographic material for a master
// encryption key."
func TestSeedTerraformKeyVersion_NewMaterial(t *testing.T) {
	t.Parallel()
	o := throughOCI(t, start(t, live.Options{}))
	key := o.createKey(t, ecShape(keymanagement.KeyShapeCurveIdP256))
	first := o.version(t, *key.Id, *key.CurrentKeyVersion)
	second := o.createVersion(t, *key.Id)
	if publicKey(t, *first.PublicKey) == publicKey(t, *second.PublicKey) {
		t.Error("the new version has the material of the old one")
	}
	want(t, "current version", *o.key(t, *key.Id).CurrentKeyVersion, *second.Id)
}

// "The key must be in an ENABLED state to be rotated."
func TestSeedTerraformKeyVersion_OnlyEnabledKeysRotate(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	o := throughOCI(t, server)
	key := *o.createKey(t, aesShape(32)).Id
	rotate := func() string {
		_, err := o.Management.CreateKeyVersion(t.Context(), keymanagement.CreateKeyVersionRequest{KeyId: &key})
		return oracle.Refusal(err)
	}
	if _, err := o.Management.DisableKey(t.Context(), keymanagement.DisableKeyRequest{KeyId: &key}); err != nil {
		t.Fatal(err)
	}
	want(t, "DISABLED", rotate(), "409 Conflict")
	o.scheduleKeyDeletion(t, key, server.Admin.Now(t).Add(retention))
	want(t, "PENDING_DELETION", rotate(), "409 Conflict")
	if _, err := o.Management.CancelKeyDeletion(t.Context(), keymanagement.CancelKeyDeletionRequest{KeyId: &key}); err != nil {
		t.Fatal(err)
	}
	want(t, "DISABLED, as before", rotate(), "409 Conflict")
	if _, err := o.Management.EnableKey(t.Context(), keymanagement.EnableKeyRequest{KeyId: &key}); err != nil {
		t.Fatal(err)
	}
	want(t, "ENABLED", rotate(), "200")
	if listed := o.pages(t, key, 100, ""); len(listed[0]) != 2 {
		t.Errorf("%d versions, want 2: refused calls make none", len(listed[0]))
	}
}

// "Key Management might throttle this call to reject an otherwise valid request when the total rate
// of management write operations exceeds 10 requests per second for a given tenancy."
func TestSeedTerraformKeyVersion_TenPerSecondAndTenancy(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{Limits: "cloud"})
	access := server.Ready.OCI
	key := throughOCI(t, server).createKey(t, aesShape(32))
	create := rawOCI{
		key: oracle.SigningKey(t, access), method: http.MethodPost,
		url: access.ManagementEndpoint + "/20180608/keys/" + *key.Id + "/keyVersions",
	}
	refused, sent := flood(500, func() answer { return create.send(t) })
	want(t, "after "+strconv.Itoa(sent)+" requests", refused.refusal(), "429 TooManyRequests")
	other := secondTenant(t, server)
	theirs := other.oci.createKey(t, aesShape(32))
	other.oci.createVersion(t, *theirs.Id)
}

// "The following attributes are exported": each can be read back from what was created, also by the
// parts of the import's name, and in the answers' documented form.
func TestSeedTerraformKeyVersion_Attributes(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	o := throughOCI(t, server)
	before := server.Admin.Now(t).Truncate(time.Millisecond)
	key := o.createKey(t, aesShape(32))
	created := o.createVersion(t, *key.Id)
	read := o.version(t, *key.Id, *created.Id).KeyVersion
	if diff := cmp.Diff(created, read); diff != "" {
		t.Errorf("GetKeyVersion differs from CreateKeyVersion:\n%s", diff)
	}
	want(t, "compartment_id", *read.CompartmentId, server.Ready.OCI.Compartment)
	want(t, "id", *read.Id, *created.Id)
	want(t, "key_id", *read.KeyId, *key.Id)
	want(t, "state", string(read.LifecycleState), "ENABLED")
	want(t, "vault_id", *read.VaultId, server.Ready.OCI.VaultID)
	if at := read.TimeCreated.Time; at.Before(before) || at.After(server.Admin.Now(t)) {
		t.Errorf("time_created %s is not between %s and now", at, before)
	}
	if read.TimeOfDeletion != nil {
		t.Errorf("time_of_deletion %s, want none before a deletion is scheduled", read.TimeOfDeletion)
	}
	var wire struct{ TimeCreated string }
	answer := rawOCI{
		key: oracle.SigningKey(t, server.Ready.OCI), method: http.MethodGet,
		url: server.Ready.OCI.ManagementEndpoint + "/20180608/keys/" + *key.Id + "/keyVersions/" + *created.Id,
	}.send(t)
	answer.into(t, &wire)
	if !utcMillis(wire.TimeCreated) {
		t.Errorf("timeCreated %q, want RFC 3339 with milliseconds in UTC", wire.TimeCreated)
	}
}

// "time_of_deletion: An optional property for the deletion time of the key version, expressed in
// RFC 3339 timestamp format." The provider sends it when the resource is destroyed.
func TestSeedTerraformKeyVersion_TimeOfDeletion(t *testing.T) {
	t.Parallel()
	d := newDeletable(t, live.Options{})
	for _, zone := range []*time.Location{time.UTC, time.FixedZone("", 3600), time.FixedZone("", -34200)} {
		request := d.request
		request.body = `{"timeOfDeletion":"` + d.timeOfDeletion.In(zone).Format(time.RFC3339Nano) + `"}`
		want(t, "in zone "+zone.String(), request.send(t).refusal(), "200")
		read := d.oci.version(t, d.key, d.old)
		if wanted := d.timeOfDeletion.Truncate(time.Second); read.TimeOfDeletion == nil || !read.TimeOfDeletion.Equal(wanted) {
			t.Errorf("time_of_deletion %v, want %s", read.TimeOfDeletion, wanted)
		}
		want(t, "state", string(read.LifecycleState), "PENDING_DELETION")
		d.oci.cancelVersionDeletion(t, d.key, d.old)
	}
}
