// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"claviger/internal/dialect"
	"claviger/internal/keys"
)

// One test for each sentence of Oracle's page on ScheduleKeyVersionDeletion and of the page on
// Terraform's oci_kms_key_version that states a behaviour.

// seeded is a key with an old version at its vault's endpoint.
type seeded struct {
	*rig
	base         string // .../keys/{key}
	key          string
	old, current string
}

func newSeeded(t *testing.T, change func(*Config)) *seeded {
	t.Helper()
	r := newRig(t, change)
	k := r.newKey(t, r.Tenant, "AES", 32)
	s := &seeded{rig: r, key: fmt.Sprint(k["id"]), old: fmt.Sprint(k["currentKeyVersion"])}
	s.base = r.vault(r.Tenant) + "/20180608/keys/" + s.key
	s.current = fmt.Sprint(r.call(t, r.Tenant, "POST", s.base+"/keyVersions", nil).object(t)["id"])
	return s
}

func (s *seeded) post(t *testing.T, path string, body any, header ...string) reply {
	t.Helper()
	return s.call(t, s.Tenant, "POST", s.base+path, body, header...)
}

func (s *seeded) schedule(t *testing.T, version string, body any, header ...string) reply {
	t.Helper()
	return s.post(t, "/keyVersions/"+version+"/actions/scheduleDeletion", body, header...)
}

func (s *seeded) get(t *testing.T, version string) map[string]any {
	t.Helper()
	return s.call(t, s.Tenant, "GET", s.base+"/keyVersions/"+version, nil).object(t)
}

func (s *seeded) wait(t *testing.T, d time.Duration) {
	t.Helper()
	s.Clock.Add(d)
	if _, err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestScheduleSetsTheLifecycleStateOfTheKeyVersionToPendingDeletion(t *testing.T) {
	t.Parallel()
	s := newSeeded(t, nil)
	if got := s.schedule(t, s.old, "{}").object(t); got["lifecycleState"] != "PENDING_DELETION" {
		t.Errorf("the answer says %v", got["lifecycleState"])
	}
	if got := s.get(t, s.old); got["lifecycleState"] != "PENDING_DELETION" {
		t.Errorf("the next GET says %v", got["lifecycleState"])
	}
}

func TestScheduleDeletesItAfterTheSpecifiedRetentionPeriodEnds(t *testing.T) {
	t.Parallel()
	s := newSeeded(t, nil)
	sealed := s.call(t, s.Tenant, "POST", s.rig.vault(s.Tenant)+"/20180608/encrypt", map[string]any{"keyId": s.key, "keyVersionId": s.old, "plaintext": "aGVsbG8="}).object(t)
	at := s.Clock.Now().Add(8 * keys.Day)
	s.schedule(t, s.old, map[string]any{"timeOfDeletion": at}).object(t)
	s.wait(t, 8*keys.Day-time.Second)
	if got := s.get(t, s.old); got["lifecycleState"] != "PENDING_DELETION" {
		t.Errorf("a second before the end: %v", got["lifecycleState"])
	}
	s.wait(t, time.Second)
	if got := s.get(t, s.old); got["lifecycleState"] != "DELETED" {
		t.Errorf("at the end: %v", got["lifecycleState"])
	}
	got := s.call(t, s.Tenant, "POST", s.rig.vault(s.Tenant)+"/20180608/decrypt", map[string]any{"keyId": s.key, "ciphertext": sealed["ciphertext"]})
	if got.refusal(t) != "400 InvalidParameter" {
		t.Errorf("a ciphertext of a deleted version: %s", got.body)
	}
	if got := s.post(t, "/keyVersions/"+s.old+"/actions/cancelDeletion", nil).refusal(t); got != "409 Conflict" {
		t.Errorf("cancelling what is deleted: %s", got)
	}
}

func TestScheduleIsThrottledAt10RequestsPerSecondForAGivenTenancy(t *testing.T) {
	t.Parallel()
	now := time.Now() // request time, which stands still here
	s := newSeeded(t, func(c *Config) {
		c.Limiter = dialect.NewLimiter(func() time.Time { return now }, WriteRates())
	})
	for i := range 10 {
		if got := s.schedule(t, "x", "{}"); got.status == http.StatusTooManyRequests {
			t.Fatalf("request %d of one second: %s", i+1, got.body)
		}
	}
	// What no use case was asked for spends nothing.
	for range 10 {
		if got := s.schedule(t, s.current, "{}").refusal(t); got != "409 Conflict" {
			t.Fatalf("within the rate: %s", got)
		}
	}
	got := s.schedule(t, s.old, "{}")
	if got.refusal(t) != "429 TooManyRequests" || got.header.Get("Retry-After") != "1" {
		t.Errorf("the 11th request of a second: %s, Retry-After %q", got.body, got.header.Get("Retry-After"))
	}
	if got := s.get(t, s.old); got["lifecycleState"] != "ENABLED" {
		t.Errorf("a throttled request made the version %v", got["lifecycleState"])
	}
	// Another tenancy, and the other classes, are not held up.
	other := s.newKey(t, s.Other, "AES", 32)
	url := s.rig.vault(s.Other) + "/20180608/keys/" + fmt.Sprint(other["id"]) + "/actions/scheduleDeletion"
	if got := s.call(t, s.Other, "POST", url, "{}"); got.status != http.StatusOK {
		t.Errorf("another tenancy: %d %s", got.status, got.body)
	}
	if got := s.post(t, "/keyVersions", "{}"); got.status != http.StatusOK {
		t.Errorf("a management write: %d %s", got.status, got.body)
	}
	now = now.Add(100 * time.Millisecond)
	if got := s.schedule(t, s.old, "{}"); got.status != http.StatusOK {
		t.Errorf("a tenth of a second later: %d %s", got.status, got.body)
	}
}

func TestScheduleTakesTimeOfDeletion(t *testing.T) {
	t.Parallel()
	s := newSeeded(t, nil)
	now := s.Clock.Now()
	for body, want := range map[string]string{
		`{"timeOfDeletion":"` + now.Add(7*keys.Day).Format(time.RFC3339) + `"}`:                                                       "2026-01-09T03:04:05.000Z",
		`{"timeOfDeletion":"` + now.Add(30*keys.Day).Format(time.RFC3339Nano) + `"}`:                                                  "2026-02-01T03:04:05.000Z",
		`{"timeOfDeletion":"` + now.Add(9*keys.Day+678*time.Millisecond).In(time.FixedZone("", 3600)).Format(time.RFC3339Nano) + `"}`: "2026-01-11T03:04:05.000Z",
		`{"timeOfDeletion":null}`: "2026-02-01T03:04:05.000Z",
		``:                        "2026-02-01T03:04:05.000Z",
	} {
		if got := s.schedule(t, s.old, body).object(t); got["timeOfDeletion"] != want {
			t.Errorf("%s: %v, want %s", body, got["timeOfDeletion"], want)
		}
		s.post(t, "/keyVersions/"+s.old+"/actions/cancelDeletion", nil).object(t)
	}
	for _, at := range []time.Time{now.Add(6 * keys.Day), now.Add(31 * keys.Day), now.Add(-time.Hour)} {
		got := s.schedule(t, s.old, map[string]any{"timeOfDeletion": at})
		if got.refusal(t) != "400 InvalidParameter" || !strings.Contains(got.hint(), "the server's time is 2026-01-02T03:04:05Z") {
			t.Errorf("%v: %s, hint %q", at, got.body, got.hint())
		}
	}
}

func TestScheduleHappensOnlyIfTheEtagMatchesTheCurrentOne(t *testing.T) {
	t.Parallel()
	s := newSeeded(t, nil)
	before := s.call(t, s.Tenant, "GET", s.base+"/keyVersions/"+s.old, nil).header.Get("Etag")
	if got := s.schedule(t, s.old, "{}", "If-Match", before+"0").refusal(t); got != "412 NoEtagMatch" {
		t.Errorf("another etag: %s", got)
	}
	if got := s.get(t, s.old); got["lifecycleState"] != "ENABLED" {
		t.Errorf("a refused request made the version %v", got["lifecycleState"])
	}
	got := s.schedule(t, s.old, "{}", "If-Match", before)
	got.object(t)
	if after := got.header.Get("Etag"); after == "" || after == before {
		t.Errorf("the etag before is %q, after %q", before, after)
	}
}

func TestReturnedRequestIDIncludesTheOneProvided(t *testing.T) {
	t.Parallel()
	s := newSeeded(t, nil)
	for provided, shape := range map[string]string{
		"aa2fbbede1c031959164df0acf569a6b":    "aa2fbbede1c031959164df0acf569a6b/H/H",
		"1699E3C0E5C8-11F1-9457-43D83682FF38": "1699E3C0E5C8-11F1-9457-43D83682FF38/H/H",
		"a/b/c":                               "a/b/c/H/H",
		"":                                    "H/H",
		strings.Repeat("x", 99):               "H/H",
		"with space":                          "H/H",
		`<script>`:                            "H/H",
	} {
		for _, version := range []string{s.old, "x"} { // errors have one too
			h := []string{"Opc-Request-Id", provided}
			if provided == "" {
				h = nil
			}
			got := s.schedule(t, version, "{}", h...).header.Get("Opc-Request-Id")
			parts := strings.Split(got, "/")
			for i := max(0, len(parts)-2); i < len(parts); i++ {
				if len(parts[i]) == 32 && strings.Trim(parts[i], "0123456789ABCDEF") == "" {
					parts[i] = "H"
				}
			}
			if strings.Join(parts, "/") != shape {
				t.Errorf("%q: %q does not look like %s", provided, got, shape)
			}
		}
	}
}

func TestRetryTokenRetriesWithoutExecutingTheSameActionAgain(t *testing.T) {
	t.Parallel()
	s := newSeeded(t, nil)
	first := s.schedule(t, s.old, "{}", "Opc-Retry-Token", "t")
	first.object(t)
	s.Clock.Add(time.Hour)
	again := s.schedule(t, s.old, "{}", "Opc-Retry-Token", "t")
	if string(again.body) != string(first.body) || again.header.Get("Etag") != first.header.Get("Etag") {
		t.Errorf("first %s, again %d %s", first.body, again.status, again.body)
	}
	if got := s.schedule(t, s.old, "{}", "Opc-Retry-Token", "u").refusal(t); got != "409 Conflict" {
		t.Errorf("another token: %s", got)
	}
}

func TestRetryTokensExpireAfter24Hours(t *testing.T) {
	t.Parallel()
	s := newSeeded(t, nil)
	s.schedule(t, s.old, "{}", "Opc-Retry-Token", "t").object(t)
	s.wait(t, keys.Day-time.Second)
	if got := s.schedule(t, s.old, "{}", "Opc-Retry-Token", "t"); got.status != http.StatusOK {
		t.Errorf("a second before: %d %s", got.status, got.body)
	}
	s.wait(t, time.Second)
	if got := s.schedule(t, s.old, "{}", "Opc-Retry-Token", "t").refusal(t); got != "409 Conflict" {
		t.Errorf("after 24 hours: %s", got)
	}
}

// "... but can be invalidated before then due to conflicting operations". Nothing made through
// this API can be gone within a token's 24 hours, since every retention is longer; what a client
// can meet is the conflict.
func TestRetryTokenOfAConflictingRequestIsRejected(t *testing.T) {
	t.Parallel()
	s := newSeeded(t, nil)
	s.schedule(t, s.old, "{}", "Opc-Retry-Token", "t").object(t)
	at := map[string]any{"timeOfDeletion": s.Clock.Now().Add(8 * keys.Day)}
	got := s.schedule(t, s.old, at, "Opc-Retry-Token", "t")
	if got.refusal(t) != "409 InvalidatedRetryToken" || !strings.Contains(got.hint(), "retry token") {
		t.Errorf("%s, hint %q", got.body, got.hint())
	}
}

func TestScheduleAnswersWithTheDocumentedFields(t *testing.T) {
	t.Parallel()
	s := newSeeded(t, nil)
	got := s.schedule(t, s.old, "{}").object(t)
	for _, name := range []string{
		"id", "compartmentId", "timeCreated", "vaultId", "keyId", "isPrimary", "lifecycleState", "origin",
		"publicKey", "replicaDetails", "restoredFromKeyVersionId", "timeOfDeletion",
	} {
		if _, ok := got[name]; !ok {
			t.Errorf("%s is missing", name)
		}
	}
	if m, ok := got["replicaDetails"].(map[string]any); !ok || len(m) != 1 {
		t.Errorf("replicaDetails is %v", got["replicaDetails"])
	}
}

// Terraform: "The key must be in an ENABLED state to be rotated."
func TestTheKeyMustBeInAnEnabledStateToBeRotated(t *testing.T) {
	t.Parallel()
	s := newSeeded(t, nil)
	s.post(t, "/actions/disable", nil).object(t)
	got := s.post(t, "/keyVersions", "{}")
	if got.refusal(t) != "409 Conflict" || !strings.Contains(got.hint(), "DISABLED") {
		t.Errorf("disabled: %s, hint %q", got.body, got.hint())
	}
	s.post(t, "/actions/enable", nil).object(t)
	s.post(t, "/actions/scheduleDeletion", nil).object(t)
	if got := s.post(t, "/keyVersions", "{}").refusal(t); got != "409 Conflict" {
		t.Errorf("pending deletion: %s", got)
	}
	s.wait(t, 30*keys.Day)
	if got := s.post(t, "/keyVersions", "{}").refusal(t); got != "409 Conflict" {
		t.Errorf("deleted: %s", got)
	}
}

// Terraform: "Generates a new KeyVersion resource that provides new cryptographic material."
func TestANewVersionIsTheCurrentOne(t *testing.T) {
	t.Parallel()
	s := newSeeded(t, nil)
	if got := s.call(t, s.Tenant, "GET", s.base, nil).object(t)["currentKeyVersion"]; got != s.current || got == s.old {
		t.Errorf("current is %v, the new one %s", got, s.current)
	}
}

// Terraform: "rate of management write operations exceeds 10 requests per second for a given tenancy".
func TestCreateKeyVersionIsThrottledAsAManagementWrite(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := newSeeded(t, func(c *Config) {
		c.Limiter = dialect.NewLimiter(func() time.Time { return now }, map[string]float64{mgmtWrite: 10})
	})
	for range 8 { // creating the key and its second version took two
		s.post(t, "/keyVersions", "{}").object(t)
	}
	if got := s.post(t, "/keyVersions", "{}").refusal(t); got != "429 TooManyRequests" {
		t.Errorf("the 11th management write of a second: %s", got)
	}
}

// Terraform's attributes: compartment_id, id, key_id, state, time_created, time_of_deletion, vault_id.
func TestTerraformsAttributesCanBeReadBack(t *testing.T) {
	t.Parallel()
	s := newSeeded(t, nil)
	k := s.call(t, s.Tenant, "GET", s.base, nil).object(t)
	got := s.get(t, s.old)
	for name, want := range map[string]any{
		"id": s.old, "keyId": s.key, "compartmentId": s.Tenant.Names[Name], "vaultId": k["vaultId"],
		"lifecycleState": "ENABLED", "timeCreated": "2026-01-02T03:04:05.000Z", "timeOfDeletion": nil,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	s.schedule(t, s.old, "{}").object(t)
	if got := s.get(t, s.old); got["timeOfDeletion"] != "2026-02-01T03:04:05.000Z" || got["lifecycleState"] != "PENDING_DELETION" {
		t.Errorf("scheduled: %v", got)
	}
}
