// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oracle/oci-go-sdk/v65/common"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/conformance/internal/live"
	"claviger/conformance/internal/oracle"
)

// patient lets every operation of the clients be tried again as the SDK's default policy does,
// without its seconds in between.
func (o *oci) patient() {
	policy := common.NewRetryPolicyWithOptions(
		common.ReplaceWithValuesFromRetryPolicy(common.DefaultRetryPolicyWithoutEventualConsistency()),
		common.WithFixedBackoff(time.Millisecond),
	)
	for _, c := range []*common.BaseClient{&o.Clients.Vault.BaseClient, &o.Clients.Management.BaseClient, &o.Clients.Crypto.BaseClient} {
		c.Configuration.RetryPolicy = &policy
	}
}

// wait is how Terraform's provider and the CLI wait: they read until a target state, and any state
// but those on the way to it is a failure. It answers the states that were seen.
func wait(t *testing.T, what string, read func() string, pending, targets []string) (seen []string) {
	t.Helper()
	for range 20 {
		state := read()
		seen = append(seen, state)
		if slices.Contains(targets, state) {
			return seen
		}
		if !slices.Contains(pending, state) {
			t.Fatalf("%s: unexpected state %q after %v", what, state, seen)
		}
	}
	t.Fatalf("%s: still %v", what, seen)
	return nil
}

// cloudlikeLife is a life through the SDK on a server that shows changes on their way, with the
// waits of Terraform's provider, and answers every state that was seen.
func cloudlikeLife(t *testing.T, server *live.Process) (seen []string) {
	t.Helper()
	o := throughOCI(t, server)
	o.patient()
	log := func(what string, states []string) { seen = append(append(seen, what), states...) }
	vault := o.createVault(t, "cloudlike")
	log("vault", wait(t, "vault", func() string { return string(o.vault(t, *vault.Id).LifecycleState) }, []string{"CREATING", "RESTORING"}, []string{"ACTIVE"}))
	inside := o.in(t, vault)
	inside.patient()

	key := inside.createKey(t, aesShape(32))
	state := func() string { return string(inside.key(t, *key.Id).LifecycleState) }
	log("key", wait(t, "key", state, []string{"CREATING", "ENABLING", "RESTORING", "UPDATING"}, []string{"ENABLED"}))
	sealed, err := inside.encrypt(t.Context(), *key.Id, []byte("x"), nil, "")
	if err != nil {
		t.Fatal(err)
	}
	version := inside.createVersion(t, *key.Id)
	log("version", wait(t, "version", func() string { return string(inside.version(t, *key.Id, *version.Id).LifecycleState) },
		[]string{"CREATING", "ENABLING"}, []string{"ENABLED"}))

	// Terraform moves, updates, and then enables or disables, each as soon as the one before is answered.
	_, err = inside.Management.ChangeKeyCompartment(t.Context(), keymanagement.ChangeKeyCompartmentRequest{
		KeyId: key.Id, ChangeKeyCompartmentDetails: keymanagement.ChangeKeyCompartmentDetails{CompartmentId: &o.compartment},
	})
	want(t, "ChangeKeyCompartment", oracle.Refusal(err), "200")
	update := func() {
		t.Helper()
		_, err := inside.Management.UpdateKey(t.Context(), keymanagement.UpdateKeyRequest{
			KeyId: key.Id, UpdateKeyDetails: keymanagement.UpdateKeyDetails{DisplayName: common.String("renamed")},
		})
		want(t, "UpdateKey", oracle.Refusal(err), "200")
	}
	updating := []string{"ENABLING", "DISABLING", "UPDATING", "RESTORING"}
	update()
	_, err = inside.Management.DisableKey(t.Context(), keymanagement.DisableKeyRequest{KeyId: key.Id})
	want(t, "DisableKey", oracle.Refusal(err), "200")
	log("disabled", wait(t, "disabled", state, updating, []string{"DISABLED"}))
	_, err = inside.decrypt(t.Context(), *key.Id, "", *sealed.Ciphertext, nil, "")
	want(t, "Decrypt with the disabled key", oracle.Refusal(err), "409 Conflict")
	update()
	_, err = inside.Management.EnableKey(t.Context(), keymanagement.EnableKeyRequest{KeyId: key.Id})
	want(t, "EnableKey", oracle.Refusal(err), "200")
	log("enabled", wait(t, "enabled", state, updating, []string{"ENABLED"}))
	_, err = inside.decrypt(t.Context(), *key.Id, "", *sealed.Ciphertext, nil, "")
	want(t, "Decrypt with the enabled key", oracle.Refusal(err), "200")

	leaving, gone := []string{"DISABLED", "DELETING", "SCHEDULING_DELETION"}, []string{"DELETED", "PENDING_DELETION"}
	at := server.Admin.Now(t).Add(10 * day)
	if _, err := inside.scheduleVersionDeletion(t.Context(), *key.Id, *key.CurrentKeyVersion, at); err != nil {
		t.Fatalf("ScheduleKeyVersionDeletion: %v", err)
	}
	log("version's deletion", wait(t, "version's deletion", func() string { return string(inside.version(t, *key.Id, *key.CurrentKeyVersion).LifecycleState) }, leaving, gone))
	inside.scheduleKeyDeletion(t, *key.Id, at)
	log("key's deletion", wait(t, "key's deletion", state, leaving, gone))
	_, err = o.Vault.ScheduleVaultDeletion(t.Context(), keymanagement.ScheduleVaultDeletionRequest{
		VaultId: vault.Id, ScheduleVaultDeletionDetails: keymanagement.ScheduleVaultDeletionDetails{TimeOfDeletion: &common.SDKTime{Time: at.Add(day)}},
	})
	want(t, "ScheduleVaultDeletion", oracle.Refusal(err), "200")
	log("vault's deletion", wait(t, "vault's deletion", func() string { return string(o.vault(t, *vault.Id).LifecycleState) },
		[]string{"DELETING", "SCHEDULING_DELETION"}, gone))
	return seen
}

// A whole life under cloudlike comes through with the SDK's retries, and a seed shows the same states
// again: on another server, and after a reset.
func TestOCICloudlike(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{Chance: "42"})
	first := cloudlikeLife(t, server)
	for _, state := range []string{"CREATING", "DISABLING", "ENABLING", "SCHEDULING_DELETION"} {
		if !slices.Contains(first, state) {
			t.Errorf("nothing was ever %s: %v", state, first)
		}
	}
	server.Admin.Reset(t)
	if diff := cmp.Diff(first, cloudlikeLife(t, server)); diff != "" {
		t.Errorf("the same seed after a reset (-first +then):\n%s", diff)
	}
	if diff := cmp.Diff(first, cloudlikeLife(t, start(t, live.Options{Chance: "42"}))); diff != "" {
		t.Errorf("the same seed on another server (-first +other):\n%s", diff)
	}
	other := 43
	for ; other < 50; other++ { // some seed shows something else
		if !cmp.Equal(first, cloudlikeLife(t, start(t, live.Options{Chance: fmt.Sprint(other)}))) {
			return
		}
	}
	t.Errorf("the seeds 42 to %d show the same", other)
}

// Without retries the SDK meets what the cloud's clients meet.
func TestOCICloudlikeWithoutRetries(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{Chance: "1", Regions: []string{there}})
	o := throughOCI(t, server)
	key := o.createKey(t, aesShape(32))
	want(t, "a new key's state", string(key.LifecycleState), "CREATING")
	_, err := o.encrypt(t.Context(), *key.Id, []byte("x"), nil, "")
	want(t, "Encrypt with a new key", oracle.Refusal(err), "409 IncorrectState")
	policy := common.DefaultRetryPolicyWithoutEventualConsistency()
	if !policy.ShouldRetryOperation(common.NewOCIOperationResponse(nil, err, 1)) {
		t.Errorf("the SDK's default policy does not try again after %v", err)
	}
	// Replication, as Terraform waits for it: it looks at the first replica at once.
	if _, err := o.createReplica(context.Background(), server.Ready.OCI.VaultID, there); err != nil {
		t.Fatal(err)
	}
	replicas := func() string { return string(o.replicas(t, server.Ready.OCI.VaultID)[0].Status) }
	wait(t, "replica", replicas, []string{"CREATING"}, []string{"CREATED"})
	if err := o.deleteReplica(context.Background(), server.Ready.OCI.VaultID, there); err != nil {
		t.Fatal(err)
	}
	wait(t, "replica's deletion", func() string {
		if all := o.replicas(t, server.Ready.OCI.VaultID); len(all) > 0 {
			return string(all[0].Status)
		}
		return "DELETED"
	}, []string{"DELETING"}, []string{"DELETED"})
}
