// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"claviger/terraform-provider-oci/internal/livetest"
)

// exampleRoot has the examples for users of Terraform.
const exampleRoot = root + "/examples/terraform"

// exportForExamples sets the variables that the examples have.
func (w *world) exportForExamples() {
	w.export("TF_VAR_compartment_id", w.OCI.Compartment)
	w.export("TF_VAR_vault_id", w.OCI.VaultID)
}

// Each example is applied, has an empty plan then, and is destroyed.
func TestTerraformExamples(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exportForExamples()
	w.export("disable_kms_version_delete", "true")
	dirs, err := os.ReadDir(exampleRoot)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		if !dir.IsDir() {
			continue
		}
		t.Run(dir.Name(), func(t *testing.T) {
			t.Parallel()
			ws := w.workspace(t)
			ws.Copy(t, filepath.Join(exampleRoot, dir.Name()))
			ws.Must(t, "apply", "-auto-approve")
			settled(t, ws)
			ws.Must(t, "destroy", "-auto-approve")
		})
	}
}

// The names of the example come and go as its comments say.
func TestTerraformExamples_RotatingVersions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exportForExamples()
	ws := w.workspace(t)
	ws.Copy(t, filepath.Join(exampleRoot, "rotating-versions"))
	at := w.Now(t).Add(8 * day).UTC().Truncate(time.Second)
	apply := func(names string) map[string]string {
		t.Helper()
		ws.Must(t, "apply", "-auto-approve", "-var=versions="+names, "-var=delete_at="+at.Format(time.RFC3339))
		var versions map[string]string
		if err := json.Unmarshal([]byte(ws.Must(t, "output", "-json", "versions")), &versions); err != nil {
			t.Fatal(err)
		}
		return versions
	}
	key := func() string {
		t.Helper()
		id, _ := show(t, ws, "oci_kms_key.archive", "id").(string)
		return id
	}
	apply(`["spring"]`)
	both := apply(`["spring", "summer"]`)
	if current := *w.key(t, key()).CurrentKeyVersion; current != both["summer"] {
		t.Errorf("the current version is %s, want that of summer, %s", current, both["summer"])
	}
	left := apply(`["summer"]`)
	if len(left) != 1 || left["summer"] != both["summer"] {
		t.Errorf("left are %v of %v", left, both)
	}
	if v := w.version(t, key(), both["spring"]); v.LifecycleState != "PENDING_DELETION" || !v.TimeOfDeletion.Equal(at) {
		t.Errorf("the version of spring is %s until %v, want %s", v.LifecycleState, v.TimeOfDeletion, at)
	}
}

// make install-provider puts the provider where terraform init finds it, without a registry.
func TestInstall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mirror := t.TempDir()
	cmd := exec.Command("make", "-C", root, "install-provider", "PROVIDER_DIR="+mirror)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	w.exportForExamples()
	ws := livetest.NewWorkspace(t, terraformBinary, livetest.Mirror(mirror), w.environ())
	ws.Copy(t, filepath.Join(exampleRoot, "vault"))
	ws.Must(t, "init")
	ws.Must(t, "apply", "-auto-approve")
	settled(t, ws)
}

// BenchmarkApply measures what a user waits for: terraform apply of a key and five versions of it.
func BenchmarkApply(b *testing.B) {
	w := worldFor(b)
	for b.Loop() {
		b.StopTimer()
		ws := w.workspace(b)
		ws.Write(b, "main.tf", providersBlock+w.keyConfig(w.OCI.Compartment, "one", aes256)+fmt.Sprintf(`
resource "oci_kms_key_version" "it" {
  count               = 5
  key_id              = oci_kms_key.it.id
  management_endpoint = %q
}
`, w.OCI.ManagementEndpoint))
		b.StartTimer()
		ws.Must(b, "apply", "-auto-approve")
	}
}
