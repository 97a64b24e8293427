// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"net/http"
	"slices"
	"testing"

	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
)

// What a backup is made of says so for a while, and what was restored says that: in the answer and
// afterwards, in the store as short as it may have been.
func TestBackupsOnTheWay(t *testing.T) {
	t.Parallel()
	r := newRig(t, cloudlike(19))
	key := r.newKey(t, r.Tenant, "AES", 32)
	path := "/20180608/keys/" + key["id"].(string)
	r.states(t, r.vault(r.Tenant)+path, "ENABLED")
	at := func(object string) map[string]any {
		return map[string]any{"backupLocation": map[string]any{"destination": "BUCKET", "namespace": "n", "bucketName": "b", "objectName": object}}
	}
	onWay := func(r *rig, shows, settles, change, url string, body any) {
		t.Helper()
		answer := r.call(t, r.Tenant, "POST", change, body).object(t)
		if answer["lifecycleState"] != shows {
			t.Errorf("%s answers %v, want %s", change, answer["lifecycleState"], shows)
		}
		seen := r.states(t, url, settles)
		if want := append(slices.Repeat([]string{shows}, len(seen)-1), settles); len(seen) < 2 || !slices.Equal(seen, want) {
			t.Errorf("after %s it is %v, want %s and then %s", change, seen, shows, settles)
		}
	}
	vaults := "/20180608/vaults"
	vault := vaults + "/" + r.vaultName(r.Tenant)
	whole := at("vault")
	whole["isIncludeKeys"] = false
	onWay(r, "BACKUP_IN_PROGRESS", "ENABLED", r.vault(r.Tenant)+path+"/actions/backup", r.vault(r.Tenant)+path, at("key"))
	onWay(r, "BACKUP_IN_PROGRESS", "ACTIVE", r.region.URL+vault+"/actions/backup", r.region.URL+vault, whole)

	// A second one has to wait, as has what else would change the key.
	backup := r.vault(r.Tenant) + path + "/actions/backup"
	r.call(t, r.Tenant, "POST", backup, at("key")).object(t)
	if got, n := r.try(t, "POST", backup, at("key")); got.status != http.StatusOK || n == 0 {
		t.Errorf("a second backup: %d %s after %d refusals", got.status, got.body, n)
	}
	if got := r.call(t, r.Tenant, "POST", r.vault(r.Tenant)+path+"/actions/disable", nil).refusal(t); got != "409 IncorrectState" {
		t.Errorf("disabling while a backup is made: %s", got)
	}

	to := newRigOn(t, kmstest.New(t, kmstest.With(func(c *kms.Config) {
		c.Seal, c.Backup, c.Objects = r.Config.Seal, r.Config.Backup, r.Config.Objects
	})), cloudlike(19))
	restore := to.region.URL + vaults + "/actions/restoreFromObjectStore?compartmentId=" + to.Tenant.Names[Name]
	onWay(to, "RESTORING", "ACTIVE", restore, to.region.URL+vault, at("vault"))
	to.Tenant.Vault = r.Tenant.Vault
	onWay(to, "RESTORING", "ENABLED", to.vault(to.Tenant)+"/20180608/keys/actions/restoreFromObjectStore", to.vault(to.Tenant)+path, at("key"))

	// Nothing is restored into a vault that is still being made or restored.
	made := to.call(t, to.Tenant, "POST", to.region.URL+vaults, map[string]any{
		"compartmentId": to.Tenant.Names[Name], "displayName": "v", "vaultType": "DEFAULT",
	}).object(t)
	early := made["managementEndpoint"].(string) + "/20180608/keys/actions/restoreFromObjectStore"
	if got := to.call(t, to.Tenant, "POST", early, at("key")).refusal(t); got != "409 IncorrectState" {
		t.Errorf("restoring into a vault that is being made: %s", got)
	}
}
