// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/conformance/internal/live"
	"claviger/conformance/internal/oracle"
)

// The sentences of Oracle's page on ScheduleKeyVersionDeletion, one test each.

// deletable is a key with an old version that can be deleted, and the request that does it.
type deletable struct {
	oci            oci
	server         *live.Process
	key            string
	old, current   string
	request        rawOCI
	sealed         string // under the old version
	timeOfDeletion time.Time
}

func newDeletable(t *testing.T, options live.Options) deletable {
	t.Helper()
	server := start(t, options)
	o := throughOCI(t, server)
	made := o.createKey(t, aesShape(32))
	sealed, err := o.encrypt(t.Context(), *made.Id, []byte("old"), nil, "")
	if err != nil {
		t.Fatal(err)
	}
	current := o.createVersion(t, *made.Id)
	at := server.Admin.Now(t).Add(retention).UTC()
	return deletable{
		oci: o, server: server, key: *made.Id, old: *made.CurrentKeyVersion, current: *current.Id,
		sealed: *sealed.Ciphertext, timeOfDeletion: at,
		request: rawOCI{
			key: oracle.SigningKey(t, server.Ready.OCI), method: http.MethodPost,
			url: server.Ready.OCI.ManagementEndpoint + "/20180608/keys/" + *made.Id + "/keyVersions/" +
				*made.CurrentKeyVersion + "/actions/scheduleDeletion",
			body: `{"timeOfDeletion":"` + at.Format(time.RFC3339Nano) + `"}`,
		},
	}
}

// with is the same request with headers added.
func (d deletable) with(headers map[string]string) rawOCI {
	request := d.request
	request.header = headers
	return request
}

func (d deletable) state(t *testing.T) string {
	t.Helper()
	return string(d.oci.version(t, d.key, d.old).LifecycleState)
}

// "POST {{managementEndpoint}}/20180608/keys/:keyId/keyVersions/:keyVersionId/actions/scheduleDeletion"
// with the body {"timeOfDeletion": dateTime}, which may be missing; the fields of the answer.
func TestSeedScheduleKeyVersionDeletion_PathAndBody(t *testing.T) {
	t.Parallel()
	d := newDeletable(t, live.Options{})
	answer := d.request.send(t)
	want(t, "status", strconv.Itoa(answer.status), "200")
	want(t, "Content-Type", strings.Split(answer.header.Get("Content-Type"), ";")[0], "application/json")
	var body map[string]any
	answer.into(t, &body)
	documented := []string{
		"id", "compartmentId", "timeCreated", "vaultId", "keyId", "isPrimary", "lifecycleState", "origin",
		"publicKey", "replicaDetails", "restoredFromKeyVersionId", "timeOfDeletion",
	}
	for name := range maps.Keys(body) {
		if !slices.Contains(append(documented, "isAutoRotated", "externalKeyReferenceDetails"), name) {
			t.Errorf("field %s is not documented", name)
		}
	}
	got := map[string]any{}
	for _, name := range []string{"id", "compartmentId", "vaultId", "keyId", "lifecycleState", "origin", "timeOfDeletion"} {
		got[name] = body[name]
	}
	wanted := map[string]any{
		"id": d.old, "compartmentId": d.oci.compartment, "vaultId": d.server.Ready.OCI.VaultID, "keyId": d.key,
		"lifecycleState": "PENDING_DELETION", "origin": "INTERNAL",
		"timeOfDeletion": d.timeOfDeletion.Truncate(time.Second).Format("2006-01-02T15:04:05.000Z"),
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if created, _ := body["timeCreated"].(string); !utcMillis(created) {
		t.Errorf("timeCreated %v", body["timeCreated"])
	}
}

func utcMillis(text string) bool {
	_, err := time.Parse("2006-01-02T15:04:05.000Z", text)
	return err == nil && len(text) == len("2006-01-02T15:04:05.000Z")
}

// An absent body and an empty object mean thirty days.
func TestSeedScheduleKeyVersionDeletion_NoBody(t *testing.T) {
	t.Parallel()
	d := newDeletable(t, live.Options{})
	d.server.Admin.Freeze(t)
	now := d.server.Admin.Now(t)
	for _, body := range []string{"", "{}", `{"timeOfDeletion":null}`} {
		request := d.request
		request.body = body
		answer := request.send(t)
		want(t, "body "+body, answer.refusal(), "200")
		var scheduled struct{ TimeOfDeletion time.Time }
		answer.into(t, &scheduled)
		if got := scheduled.TimeOfDeletion.Sub(now).Round(time.Minute); got != 30*day {
			t.Errorf("body %q: deletion in %s, want 30 days", body, got)
		}
		d.oci.cancelVersionDeletion(t, d.key, d.old)
	}
}

// "This sets the lifecycle state of the key version to PENDING_DELETION"
func TestSeedScheduleKeyVersionDeletion_PendingAtOnce(t *testing.T) {
	t.Parallel()
	d := newDeletable(t, live.Options{})
	scheduled, err := d.oci.scheduleVersionDeletion(t.Context(), d.key, d.old, d.timeOfDeletion)
	if err != nil {
		t.Fatalf("ScheduleKeyVersionDeletion: %v", err)
	}
	want(t, "state in the answer", string(scheduled.LifecycleState), "PENDING_DELETION")
	want(t, "state in the next answer", d.state(t), "PENDING_DELETION")
	_, err = d.oci.decrypt(t.Context(), d.key, "", d.sealed, nil, "")
	want(t, "Decrypt", oracle.Refusal(err), "409 Conflict")
	_, err = d.oci.scheduleVersionDeletion(t.Context(), d.key, d.old, d.timeOfDeletion)
	want(t, "scheduling again", oracle.Refusal(err), "409 Conflict")
}

// "and then deletes it after the specified retention period ends."
func TestSeedScheduleKeyVersionDeletion_DeletedAtTheEnd(t *testing.T) {
	t.Parallel()
	d := newDeletable(t, live.Options{})
	want(t, "scheduling", d.request.send(t).refusal(), "200")
	d.server.Admin.Freeze(t)
	d.server.Admin.Advance(t, d.timeOfDeletion.Truncate(time.Second).Sub(d.server.Admin.Now(t))-time.Millisecond)
	want(t, "state a millisecond before", d.state(t), "PENDING_DELETION")
	d.server.Admin.Advance(t, time.Millisecond)
	want(t, "state at the end", d.state(t), "DELETED")
	_, err := d.oci.decrypt(t.Context(), d.key, "", d.sealed, nil, "")
	if oracle.Refusal(err) == "200" {
		t.Error("a deleted version decrypts")
	}
	_, err = d.oci.Management.CancelKeyVersionDeletion(t.Context(),
		keymanagement.CancelKeyVersionDeletionRequest{KeyId: &d.key, KeyVersionId: &d.old})
	want(t, "cancelling at the end", oracle.Refusal(err), "409 Conflict")
	d.oci.createVersion(t, d.key) // the key lives on
}

// The retention is between seven and thirty days.
func TestSeedScheduleKeyVersionDeletion_Retention(t *testing.T) {
	t.Parallel()
	d := newDeletable(t, live.Options{})
	now := d.server.Admin.Now(t)
	for after, wanted := range map[time.Duration]string{
		-day: "400 InvalidParameter", week - time.Hour: "400 InvalidParameter", 30*day + time.Hour: "400 InvalidParameter",
	} {
		_, err := d.oci.scheduleVersionDeletion(t.Context(), d.key, d.old, now.Add(after))
		want(t, "deletion after "+after.String(), oracle.Refusal(err), wanted)
	}
	want(t, "state after refusals", d.state(t), "ENABLED")
	for _, after := range []time.Duration{week + time.Hour, 30*day - time.Hour} {
		_, err := d.oci.scheduleVersionDeletion(t.Context(), d.key, d.old, now.Add(after))
		want(t, "deletion after "+after.String(), oracle.Refusal(err), "200")
		d.oci.cancelVersionDeletion(t, d.key, d.old)
	}
}

// The current version cannot be deleted.
func TestSeedScheduleKeyVersionDeletion_CurrentVersionRefused(t *testing.T) {
	t.Parallel()
	d := newDeletable(t, live.Options{})
	_, err := d.oci.scheduleVersionDeletion(t.Context(), d.key, d.current, d.timeOfDeletion)
	want(t, "the current version", oracle.Refusal(err), "409 Conflict")
	want(t, "its state", string(d.oci.version(t, d.key, d.current).LifecycleState), "ENABLED")
	d.oci.createVersion(t, d.key)
	_, err = d.oci.scheduleVersionDeletion(t.Context(), d.key, d.current, d.timeOfDeletion)
	want(t, "when it is no longer current", oracle.Refusal(err), "200")
}

// "if-match: [...] The resource will be updated or deleted only if the etag you provide matches the
// resource's current etag value."
func TestSeedScheduleKeyVersionDeletion_IfMatch(t *testing.T) {
	t.Parallel()
	d := newDeletable(t, live.Options{})
	etag := *d.oci.version(t, d.key, d.old).Etag
	want(t, "another etag", d.with(map[string]string{"if-match": etag + "0"}).send(t).refusal(), "412 NoEtagMatch")
	want(t, "state", d.state(t), "ENABLED")
	answer := d.with(map[string]string{"if-match": etag}).send(t)
	want(t, "the current etag", answer.refusal(), "200")
	changed := answer.header.Get("etag")
	if changed == "" || changed == etag {
		t.Errorf("etag %q after the change, %q before", changed, etag)
	}
	want(t, "etag of the next answer", *d.oci.version(t, d.key, d.old).Etag, changed)
	d.oci.cancelVersionDeletion(t, d.key, d.old)
	want(t, "the etag of before", d.with(map[string]string{"if-match": changed}).send(t).refusal(), "412 NoEtagMatch")
}

// "opc-request-id: [...] If provided, the returned request ID will include this value. Otherwise, a
// random request ID will be generated by the service."
func TestSeedScheduleKeyVersionDeletion_RequestID(t *testing.T) {
	t.Parallel()
	d := newDeletable(t, live.Options{})
	answer := d.with(map[string]string{"opc-request-id": "0123456789abcdef0123456789abcdef"}).send(t)
	want(t, "status", strconv.Itoa(answer.status), "200")
	if id := answer.header.Get("opc-request-id"); !strings.Contains(id, "0123456789abcdef0123456789abcdef") {
		t.Errorf("opc-request-id %q does not include the client's", id)
	}
	ids := map[string]bool{}
	for range 3 { // refused by now, which needs an id too
		id := d.request.send(t).header.Get("opc-request-id")
		if id == "" || ids[id] {
			t.Errorf("opc-request-id %q is empty or was used before", id)
		}
		ids[id] = true
	}
}

// "opc-retry-token: A token that uniquely identifies a request so it can be retried [...] without
// risk of executing that same action again. Retry tokens expire after 24 hours"
func TestSeedScheduleKeyVersionDeletion_RetryToken(t *testing.T) {
	t.Parallel()
	d := newDeletable(t, live.Options{})
	retry := d.with(map[string]string{"opc-retry-token": "once"})
	first := retry.send(t)
	want(t, "first", first.refusal(), "200")
	again := retry.send(t)
	want(t, "again", again.refusal(), "200")
	want(t, "the repeat's answer", string(again.body), string(first.body))
	want(t, "the repeat's etag", again.header.Get("etag"), first.header.Get("etag"))
	want(t, "without the token", d.request.send(t).refusal(), "409 Conflict")

	other := retry
	other.body = `{"timeOfDeletion":"` + d.timeOfDeletion.Add(day).Format(time.RFC3339) + `"}`
	want(t, "the token with another body", other.send(t).refusal(), "409 InvalidatedRetryToken")

	d.server.Admin.Advance(t, day-time.Minute)
	want(t, "a minute before the token expires", retry.send(t).refusal(), "200")
	d.server.Admin.Advance(t, 2*time.Minute)
	want(t, "when it has expired", retry.send(t).refusal(), "409 Conflict")
}

// "Key Management might throttle this call to reject an otherwise valid request when the total rate
// of provisioning write operations exceeds 10 requests per second for a given tenancy."
func TestSeedScheduleKeyVersionDeletion_TenPerSecondAndTenancy(t *testing.T) {
	t.Parallel()
	d := newDeletable(t, live.Options{Limits: "cloud"})
	want(t, "the first", d.with(map[string]string{"opc-retry-token": "same"}).send(t).refusal(), "200")
	// Other provisioning writes count too; cancelling and scheduling succeed in turns.
	var n int
	refused, sent := floodFrom(1, 500, func() answer {
		n++
		request := d.request
		if n%2 == 1 {
			request.url = strings.Replace(request.url, "scheduleDeletion", "cancelDeletion", 1)
			request.body = ""
		}
		return request.send(t)
	})
	want(t, "after "+strconv.Itoa(sent)+" requests", refused.refusal(), "429 TooManyRequests")
	if seconds, err := strconv.Atoi(refused.header.Get("Retry-After")); err != nil || seconds < 1 {
		t.Errorf("Retry-After %q, want whole seconds", refused.header.Get("Retry-After"))
	}
	d.oci.key(t, d.key) // reads are another class
	other := secondTenant(t, d.server)
	key := other.oci.createKey(t, aesShape(32))
	other.oci.createVersion(t, *key.Id)
	_, err := other.oci.scheduleVersionDeletion(t.Context(), *key.Id, *key.CurrentKeyVersion, d.timeOfDeletion)
	want(t, "another tenancy", oracle.Refusal(err), "200")
}
