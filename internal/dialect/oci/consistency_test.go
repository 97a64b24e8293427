// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
)

// mostTries is within how many looks everything settles.
const mostTries = mostLooks + mostUnseen + 1

func cloudlike(seed uint64) func(*Config) {
	return func(c *Config) { c.Consistency, c.Seed = Cloudlike, seed }
}

// try sends a request again while it is answered 409 IncorrectState, as clients do, and tells how
// often it was.
func (r *rig) try(t testing.TB, method, url string, body any) (got reply, refused int) {
	t.Helper()
	for range mostTries {
		got = r.call(t, r.Tenant, method, url, body)
		if got.status != http.StatusConflict || got.refusal(t) != "409 IncorrectState" {
			return got, refused
		}
		if !strings.Contains(got.hint(), "cloudlike") {
			t.Errorf("%s %s: refused with the hint %q", method, url, got.hint())
		}
		refused++
	}
	t.Fatalf("%s %s: still %s after %d tries", method, url, got.body, refused)
	return got, refused
}

// states reads a thing until it is settled, and answers the states that it was in.
func (r *rig) states(t testing.TB, url string, settled ...string) (seen []string) {
	t.Helper()
	for range mostTries {
		state := r.call(t, r.Tenant, "GET", url, nil).object(t)["lifecycleState"].(string)
		seen = append(seen, state)
		if slices.Contains(settled, state) {
			return seen
		}
	}
	t.Fatalf("%s: not %v after %v", url, settled, seen)
	return nil
}

// step is one change of a key's or vault's life: what it answers, and what the thing settles in.
type step struct {
	name, method, path string // below the region's vault, or the vault's endpoint
	body               any
	shows, settles     string
}

// life is one of a vault and of a key in it, as Oracle's page of states has it.
func life(r *rig) (vault, key []step) {
	tenancy := map[string]any{"compartmentId": r.Tenant.Names[Name]}
	vault = []step{
		{"update", "PUT", "", map[string]any{"displayName": "v"}, "UPDATING", "ACTIVE"},
		{"move", "POST", "/actions/changeCompartment", tenancy, "", "ACTIVE"},
		{"schedule", "POST", "/actions/scheduleDeletion", nil, "SCHEDULING_DELETION", "PENDING_DELETION"},
		{"cancel", "POST", "/actions/cancelDeletion", nil, "CANCELLING_DELETION", "ACTIVE"},
	}
	key = []step{
		{"update", "PUT", "", map[string]any{"displayName": "k"}, "UPDATING", "ENABLED"},
		{"disable", "POST", "/actions/disable", nil, "DISABLING", "DISABLED"},
		{"update disabled", "PUT", "", map[string]any{"displayName": "l"}, "UPDATING", "DISABLED"},
		{"enable", "POST", "/actions/enable", nil, "ENABLING", "ENABLED"},
		{"move", "POST", "/actions/changeCompartment", tenancy, "", "ENABLED"},
		{"schedule", "POST", "/actions/scheduleDeletion", nil, "SCHEDULING_DELETION", "PENDING_DELETION"},
		{"cancel", "POST", "/actions/cancelDeletion", nil, "CANCELLING_DELETION", "ENABLED"},
	}
	return vault, key
}

// walk makes the steps one after the other, each when the one before has settled, and answers
// every state that was seen.
func (r *rig) walk(t testing.TB, url string, steps []step) (seen []string) {
	t.Helper()
	for _, s := range steps {
		answer := r.call(t, r.Tenant, s.method, url+s.path, s.body)
		if answer.status != http.StatusOK {
			t.Fatalf("%s: %d %s", s.name, answer.status, answer.body)
		}
		shows := s.shows
		if len(answer.body) == 0 {
			shows = "UPDATING"
		} else {
			body := answer.object(t)
			if body["lifecycleState"] != s.shows {
				t.Errorf("%s answers %v, want %s", s.name, body["lifecycleState"], s.shows)
			}
			if (body["timeOfDeletion"] != nil) != (s.name == "schedule" || s.name == "cancel") {
				t.Errorf("%s answers timeOfDeletion %v", s.name, body["timeOfDeletion"])
			}
		}
		states := r.states(t, url, s.settles)
		for _, state := range states[:len(states)-1] {
			if state != shows {
				t.Errorf("after %s it is %v, want %s until it is %s", s.name, states, shows, s.settles)
			}
		}
		if n := len(states) - 1; n < 1 || n > mostLooks {
			t.Errorf("after %s %d looks show the state on the way", s.name, n)
		}
		seen = append(append(seen, s.name), states...)
	}
	return seen
}

// wholeLife walks a vault and a key through everything, and answers every state that was seen.
func wholeLife(t testing.TB, r *rig) (seen []string) {
	t.Helper()
	vaults := r.region.URL + "/20180608/vaults"
	made := r.call(t, r.Tenant, "POST", vaults, map[string]any{"compartmentId": r.Tenant.Names[Name], "displayName": "v", "vaultType": "DEFAULT"}).object(t)
	vault := vaults + "/" + made["id"].(string)
	seen = append(seen, fmt.Sprint(made["lifecycleState"]))
	seen = append(seen, r.states(t, vault, "ACTIVE")...)
	inVault, inKey := life(r)
	seen = append(seen, r.walk(t, vault, inVault)...)

	base := r.vault(r.Tenant) + "/20180608/keys/"
	k := r.newKey(t, r.Tenant, "AES", 32)
	seen = append(seen, fmt.Sprint(k["lifecycleState"]))
	key := base + k["id"].(string)
	seen = append(seen, r.states(t, key, "ENABLED")...)
	seen = append(seen, r.walk(t, key, inKey)...)

	old := key + "/keyVersions/" + k["currentKeyVersion"].(string)
	made = r.call(t, r.Tenant, "POST", key+"/keyVersions", nil).object(t)
	if made["lifecycleState"] != "CREATING" {
		t.Errorf("a new version is %v", made["lifecycleState"])
	}
	if state := r.call(t, r.Tenant, "GET", key, nil).object(t)["lifecycleState"]; state != "UPDATING" {
		t.Errorf("the key of a new version is %v", state)
	}
	seen = append(seen, r.states(t, key+"/keyVersions/"+made["id"].(string), "ENABLED")...)
	seen = append(seen, r.states(t, key, "ENABLED")...)
	return append(seen, r.walk(t, old, []step{
		{"schedule", "POST", "/actions/scheduleDeletion", nil, "SCHEDULING_DELETION", "PENDING_DELETION"},
		{"cancel", "POST", "/actions/cancelDeletion", nil, "CANCELLING_DELETION", "ENABLED"},
	})...)
}

// The same seed shows the same, from the beginning and after everything was forgotten, and another
// seed something else.
func TestStatesOnTheWay(t *testing.T) {
	t.Parallel()
	r := newRig(t, cloudlike(7))
	first := wholeLife(t, r)
	r.dialect.Forget()
	if diff := cmp.Diff(first, wholeLife(t, r)); diff != "" {
		t.Errorf("the same seed after a reset (-first +then):\n%s", diff)
	}
	if diff := cmp.Diff(first, wholeLife(t, newRig(t, cloudlike(7)))); diff != "" {
		t.Errorf("the same seed elsewhere (-here +there):\n%s", diff)
	}
	if cmp.Equal(first, wholeLife(t, newRig(t, cloudlike(8)))) {
		t.Error("another seed shows the same")
	}
}

// What is asked of a thing on its way is refused so that clients try again, and comes through.
func TestOnTheWayIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, cloudlike(1))
	base := r.vault(r.Tenant) + "/20180608/"
	refused := 0
	comes := func(method, url string, body any) reply {
		t.Helper()
		got, n := r.try(t, method, url, body)
		if got.status != http.StatusOK {
			t.Fatalf("%s %s: %d %s", method, url, got.status, got.body)
		}
		if n == 0 {
			t.Errorf("%s %s came through at once", method, url)
		}
		refused += n
		return got
	}
	k := r.newKey(t, r.Tenant, "AES", 32)
	id := k["id"].(string)
	key := base + "keys/" + id
	encrypt := map[string]any{"keyId": id, "plaintext": "aGVsbG8="}
	sealed := comes("POST", base+"encrypt", encrypt).object(t)["ciphertext"]
	r.call(t, r.Tenant, "POST", key+"/actions/disable", nil).object(t)
	comes("POST", key+"/actions/enable", nil)
	comes("POST", base+"decrypt", map[string]any{"keyId": id, "ciphertext": sealed})
	r.call(t, r.Tenant, "POST", key+"/keyVersions", nil).object(t)
	if got := r.call(t, r.Tenant, "POST", base+"encrypt", encrypt); got.status != http.StatusOK { // either version does
		t.Errorf("Encrypt while a version is made: %d %s", got.status, got.body)
	}
	comes("POST", key+"/keyVersions", nil)
	comes("POST", key+"/actions/scheduleDeletion", nil)
	comes("POST", key+"/actions/cancelDeletion", nil)
	comes("POST", key+"/actions/disable", nil)

	// Until it is settled it will change by itself; then it will not.
	got, n := r.try(t, "POST", base+"encrypt", encrypt)
	if n == 0 || got.refusal(t) != "409 Conflict" {
		t.Errorf("Encrypt with a disabled key: %d refusals, then %d %s", n, got.status, got.body)
	}
	refused += n
	if refused < 10 {
		t.Errorf("only %d refusals in all", refused)
	}
}

// A revocation is true when it is answered, and the next look shows it.
func TestRevocationsDoNotSettle(t *testing.T) {
	t.Parallel()
	r := newRig(t, cloudlike(3))
	base := r.vault(r.Tenant) + "/20180608/"
	for i := range 10 {
		k := r.newKey(t, r.Tenant, "AES", 32)
		id := k["id"].(string)
		r.states(t, base+"keys/"+id, "ENABLED")
		action, states := "disable", []string{"DISABLING", "DISABLED"}
		if i%2 == 1 {
			action, states = "scheduleDeletion", []string{"SCHEDULING_DELETION", "PENDING_DELETION"}
		}
		r.call(t, r.Tenant, "POST", base+"keys/"+id+"/actions/"+action, nil).object(t)
		if got := r.call(t, r.Tenant, "POST", base+"encrypt", map[string]any{"keyId": id, "plaintext": "aGVsbG8="}); got.status != http.StatusConflict {
			t.Errorf("Encrypt right after %s: %d %s", action, got.status, got.body)
		}
		if state := r.call(t, r.Tenant, "GET", base+"keys/"+id, nil).object(t)["lifecycleState"].(string); !slices.Contains(states, state) {
			t.Errorf("right after %s the key is %s", action, state)
		}
	}
}

// What is new shows to whoever made it, and a little later to everybody and in lists.
func TestNewThingsShowLater(t *testing.T) {
	t.Parallel()
	r, _ := twoRegions(t, cloudlike(5))
	other := r.principal(t, identity.Auditor)
	r.replicate(t) // on its way; looked at until it is there
	home := r.region.URL + "/20180608/vaults/" + r.vaultName(r.Tenant) + "/actions/listReplicas"
	replica := ""
	for range mostTries {
		all := r.call(t, r.Tenant, "GET", home, nil).array(t)
		replica = all[0]["managementEndpoint"].(string) + "/20180608/"
	}
	base := r.vault(r.Tenant) + "/20180608/"
	late := map[string]int{}
	for range 12 {
		k := r.newKey(t, r.Tenant, "AES", 32)
		id := k["id"].(string)
		key, list := "keys/"+id, "keys?limit=1000&compartmentId="+r.Tenant.Names[Name]
		if state := r.call(t, r.Tenant, "GET", base+key, nil).object(t)["lifecycleState"]; state != "CREATING" {
			t.Errorf("to whoever made it the key is %v", state)
		}
		missing := func(what string, look func() bool) {
			t.Helper()
			if !look() {
				late[what]++
			}
		}
		has := func(p reply) bool {
			return slices.ContainsFunc(p.array(t), func(k map[string]any) bool { return k["id"] == id })
		}
		found := func(p reply) bool {
			if p.status != http.StatusOK && p.refusal(t) != "404 NotAuthorizedOrNotFound" {
				t.Errorf("a key that is new: %d %s", p.status, p.body)
			}
			return p.status == http.StatusOK
		}
		switch len(late) % 3 { // each look counts, so one kind at a time
		case 0:
			missing("list", func() bool { return has(r.call(t, r.Tenant, "GET", base+list, nil)) })
		case 1:
			missing("other", func() bool { return found(r.call(t, other, "GET", base+key, nil)) })
		default:
			missing("replica", func() bool { return found(r.call(t, r.Tenant, "GET", replica+key, nil)) })
		}
		r.states(t, base+key, "ENABLED")
		if !has(r.call(t, r.Tenant, "GET", base+list, nil)) || !found(r.call(t, other, "GET", base+key, nil)) || !found(r.call(t, r.Tenant, "GET", replica+key, nil)) {
			t.Error("a settled key does not show everywhere")
		}
	}
	if len(late) != 3 {
		t.Errorf("what was late: %v, want a list, another principal and a replica", late)
	}
}

// Readers that read at the same time all get there.
func TestManyReadersSettle(t *testing.T) {
	t.Parallel()
	r := newRig(t, cloudlike(11))
	key := r.vault(r.Tenant) + "/20180608/keys/" + r.newKey(t, r.Tenant, "AES", 32)["id"].(string)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { r.states(t, key, "ENABLED") })
	}
	wg.Wait()
}

// What nobody looks at settles by the clock, and what is overtaken shows what it has become.
func TestSettlingEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t, cloudlike(13))
	base := r.vault(r.Tenant) + "/20180608/keys/"
	state := func(id any) any {
		t.Helper()
		return r.call(t, r.Tenant, "GET", base+id.(string), nil).object(t)["lifecycleState"]
	}
	first, second := r.newKey(t, r.Tenant, "AES", 32)["id"], r.newKey(t, r.Tenant, "AES", 32)["id"]
	c := r.Call(t, r.Tenant)
	defer c.End()
	_, parsed, _ := ParseName(second.(string))
	if _, err := r.ChangeKeyState(t.Context(), c, kms.KeyRef{ID: parsed}, keys.DisableKey); err != nil { // through another API
		t.Fatal(err)
	}
	if got := state(second); got != "DISABLED" {
		t.Errorf("a key that was disabled while it was CREATING is %v", got)
	}
	if err := r.Advance(t.Context(), settleTime+time.Second); err != nil {
		t.Fatal(err)
	}
	if got := state(first); got != "ENABLED" {
		t.Errorf("after %v the key is %v", settleTime, got)
	}
	for range 2 { // a repeat gets the first answer, and nothing is on its way anew
		r.call(t, r.Tenant, "POST", base+first.(string)+"/actions/disable", nil, "Opc-Retry-Token", "t").object(t)
		r.states(t, base+first.(string), "DISABLED")
	}
	if got := r.states(t, base+first.(string), "DISABLED"); len(got) != 1 {
		t.Errorf("after the repeat: %v", got)
	}
}

// A replica is made and taken away in its own time.
func TestReplicaOnItsWay(t *testing.T) {
	t.Parallel()
	r, away := twoRegions(t, cloudlike(17))
	name := r.vaultName(r.Tenant)
	vault := r.region.URL + "/20180608/vaults/" + name
	region := map[string]any{"replicaRegion": awayRegion}
	key := r.newKey(t, r.Tenant, "AES", 32)
	r.states(t, r.vault(r.Tenant)+"/20180608/keys/"+key["id"].(string), "ENABLED")
	statuses := func() (seen []string) {
		t.Helper()
		for range mostTries {
			all := r.call(t, r.Tenant, "GET", vault+"/actions/listReplicas", nil).array(t)
			if len(all) == 0 {
				return append(seen, "")
			}
			status := all[0]["status"].(string)
			if seen = append(seen, status); status == "CREATED" {
				break
			}
		}
		return seen
	}
	made := r.replicate(t)
	url := made["cryptoEndpoint"].(string) + "/20180608/"
	if made["status"] != "CREATING" {
		t.Errorf("a new replica is %v", made["status"])
	}
	if again := r.call(t, r.Tenant, "POST", vault+"/actions/createReplica", region); again.status != http.StatusOK {
		t.Errorf("a second one where it is: %d %s", again.status, again.body)
	}
	decrypt := map[string]any{"keyId": key["id"], "plaintext": "aGVsbG8="}
	waited := 0
	for ; waited < mostTries; waited++ {
		got := r.call(t, r.Tenant, "POST", url+"encrypt", decrypt)
		if got.status == http.StatusOK {
			break
		}
		if got.refusal(t) != "404 NotAuthorizedOrNotFound" {
			t.Errorf("through a replica that is being made: %d %s", got.status, got.body)
		}
	}
	if seen := statuses(); len(seen) != 1 || seen[0] != "CREATED" || waited == mostTries {
		t.Errorf("after %d calls through it the replica is %v", waited, seen)
	}
	if got := r.call(t, r.Tenant, "GET", away+name, nil).object(t)["lifecycleState"]; got != "ACTIVE" {
		t.Errorf("away the vault is %v", got)
	}
	if got := r.call(t, r.Tenant, "POST", vault+"/actions/deleteReplica", region); got.status != http.StatusOK {
		t.Fatalf("deleteReplica: %d %s", got.status, got.body)
	}
	if got := r.call(t, r.Tenant, "POST", url+"encrypt", decrypt).refusal(t); got != "404 NotAuthorizedOrNotFound" {
		t.Errorf("through a replica that is being deleted: %s", got)
	}
	if got, n := r.try(t, "POST", vault+"/actions/createReplica", region); got.status != http.StatusOK || n == 0 {
		t.Errorf("another one while it is being deleted: %d %s after %d refusals", got.status, got.body, n)
	}
	if got, n := r.try(t, "POST", vault+"/actions/deleteReplica", region); got.status != http.StatusOK || n == 0 {
		t.Errorf("deletion of one that is being made: %d %s after %d refusals", got.status, got.body, n)
	}
	seen := statuses()
	if want := append(slices.Repeat([]string{"DELETING"}, len(seen)-1), ""); len(seen) < 2 || !slices.Equal(seen, want) {
		t.Errorf("a replica that is being deleted is %q", seen)
	}
}

// What is remembered is bounded, and the oldest settles for it.
func TestSettlingIsBounded(t *testing.T) {
	t.Parallel()
	s := newSettling(func() time.Time { return time.Unix(0, 0) }, 1)
	c := &kms.Call{Region: kmstest.Region, Who: identity.NewSystem("test")}
	s.watch(c)
	id := func(n int) keys.ID { return keys.ID{byte(n), byte(n >> 8), 1} }
	for n := range 2 * mostOnWay {
		k := &keys.Key{ID: id(n), State: keys.Enabled}
		c.Changed(keys.CreateKey, kms.Thing{Vault: &keys.Vault{State: keys.Active}, Key: k})
	}
	if len(s.marks) != mostOnWay || len(s.order) > mostOnWay {
		t.Errorf("%d things on their way, %d changes", len(s.marks), len(s.order))
	}
	for n, want := range map[int]keys.State{0: keys.Enabled, 2*mostOnWay - 1: creating} {
		if got, _ := s.shown(id(n), keys.Enabled); got != want {
			t.Errorf("thing %d is %s, want %s", n, got, want)
		}
	}
}
