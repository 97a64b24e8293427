// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"claviger/terraform-provider-oci/internal/livetest"
)

// providerDir has the provider's binary, built when the first test wants it.
var providerDir = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "terraform-provider-oci-bin-")
	if err != nil {
		return "", err
	}
	_, err = livetest.Build("../..", ".", dir, "terraform-provider-oci")
	return dir, err
})

// workspace is one in which the world's user runs Terraform with the provider's binary.
func (w *world) workspace(t testing.TB) *livetest.Workspace {
	t.Helper()
	dir, err := providerDir()
	if err != nil {
		t.Fatal(err)
	}
	return livetest.NewWorkspace(t, terraformBinary, livetest.Override(dir), w.environ())
}

// show is what Terraform has of an attribute of a resource.
func show(t testing.TB, ws *livetest.Workspace, address, attribute string) any {
	t.Helper()
	var state struct {
		Values struct {
			Root struct {
				Resources []struct {
					Address string         `json:"address"`
					Values  map[string]any `json:"values"`
				} `json:"resources"`
			} `json:"root_module"`
		} `json:"values"`
	}
	if err := json.Unmarshal([]byte(ws.Must(t, "show", "-json")), &state); err != nil {
		t.Fatal(err)
	}
	for _, r := range state.Values.Root.Resources {
		if r.Address == address {
			return r.Values[attribute]
		}
	}
	t.Fatalf("%s is not in the state", address)
	return nil
}

// settled fails the test unless a plan changes nothing.
func settled(t testing.TB, ws *livetest.Workspace, args ...string) {
	t.Helper()
	if out, code := ws.Run(t, append([]string{"plan", "-detailed-exitcode"}, args...)...); code != 0 {
		t.Errorf("the plan is not empty:\n%s", out)
	}
}

func read(t testing.TB, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestSeedExample applies the example of the page on oci_kms_key_version, unedited but for the two
// values that it refers to, and goes through the life of what it makes, with the provider's binary.
func TestSeedExample(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.export("TF_VAR_compartment_id", w.OCI.Compartment)
	w.export("TF_VAR_key_version_management_endpoint", w.OCI.ManagementEndpoint)
	ws := w.workspace(t)
	const example = "../../examples/resources/oci_kms_key_version/resource.tf"
	ws.Write(t, "preamble.tf", read(t, "testdata/preamble.tf"))
	ws.Write(t, "provider.tf", read(t, "../../examples/provider/provider.tf"))
	ws.Write(t, "key.tf", `
resource "oci_kms_key" "test_key" {
  compartment_id      = var.compartment_id
  display_name        = "test"
  management_endpoint = var.key_version_management_endpoint
  key_shape {
    algorithm = "AES"
    length    = 32
  }
}
`)
	ws.Write(t, "resource.tf", read(t, example))
	const it = "oci_kms_key_version.test_key_version"

	ws.Must(t, "apply", "-auto-approve")
	settled(t, ws)
	key, _ := show(t, ws, it, "key_id").(string)
	id, _ := show(t, ws, it, "id").(string)

	ws.Must(t, "state", "rm", it)
	ws.Must(t, "import", it, "managementEndpoint/"+w.OCI.ManagementEndpoint+"/keys/"+key+"/keyVersions/"+id)
	settled(t, ws)

	at := w.Now(t).Add(10 * day).UTC()
	ws.Write(t, "resource.tf", strings.Replace(read(t, example), "#Required", "#Required\n\t"+deleteAt(at), 1))
	if out := ws.Must(t, "apply", "-auto-approve"); !strings.Contains(out, "0 added, 1 changed, 0 destroyed") {
		t.Errorf("another time of deletion was not put in place:\n%s", out)
	}
	settled(t, ws)

	out, code := ws.Run(t, "destroy", "-auto-approve", "-target="+it)
	if code == 0 || !strings.Contains(out, "terraform state rm") {
		t.Errorf("the destruction of the current version ended with %d:\n%s", code, out)
	}
	rotated := strings.ReplaceAll(read(t, example), "test_key_version\"", "next\"")
	ws.Write(t, "next.tf", rotated)
	ws.Must(t, "apply", "-auto-approve")
	ws.Must(t, "destroy", "-auto-approve", "-target="+it)
	if v := w.version(t, key, id); v.LifecycleState != "PENDING_DELETION" || v.TimeOfDeletion.Unix() != at.Unix() {
		t.Errorf("destroyed, the version is %s until %v, want %s", v.LifecycleState, v.TimeOfDeletion, at)
	}

	ws.Must(t, "import", it, "managementEndpoint/"+w.OCI.ManagementEndpoint+"/keys/"+key+"/keyVersions/"+id)
	if got := show(t, ws, it, "state"); got != "PENDING_DELETION" {
		t.Errorf("imported, the version is %v", got)
	}
	w.Advance(t, 11*day)
	ws.Must(t, "apply", "-refresh-only", "-auto-approve")
	if list := ws.Must(t, "state", "list"); strings.Contains(list, it+"\n") {
		t.Errorf("a version that was deleted is in the state:\n%s", list)
	}
}

// TestExamples applies every example of the documentation, each with those that it refers to.
func TestExamples(t *testing.T) {
	t.Parallel()
	w := newWorld(t, moreRegions()...)
	w.export("disable_kms_version_delete", "true")
	w.export("TF_VAR_compartment_id", w.OCI.Compartment)
	w.export("TF_VAR_key_version_management_endpoint", w.OCI.ManagementEndpoint)
	ws := w.workspace(t)
	ws.Write(t, "preamble.tf", read(t, "testdata/preamble.tf"))
	ws.Write(t, "provider.tf", read(t, "../../examples/provider/provider.tf"))
	found, err := filepath.Glob("../../examples/*/*/*.tf")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		config := strings.ReplaceAll(read(t, path), "var.key_version_management_endpoint", "oci_kms_vault.test_vault.management_endpoint")
		ws.Write(t, filepath.Base(filepath.Dir(filepath.Dir(path)))+"-"+filepath.Base(filepath.Dir(path))+".tf", config)
	}
	if len(found) < 9 {
		t.Fatalf("only %d examples were found", len(found))
	}
	ws.Must(t, "apply", "-auto-approve")
	settled(t, ws)
	ws.Must(t, "destroy", "-auto-approve")
}
