// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"claviger/terraform-provider-oci/internal/livetest"
)

//go:generate go test -run TestDocumentation -update .

var update = flag.Bool("update", false, "write the documentation from the schemas and examples")

// TestDocumentation compares docs/ with what HashiCorp's generator makes of the schemas that Terraform
// sees, and of the examples.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs Terraform")
	}
	dir, err := providerDir()
	if err != nil {
		t.Fatal(err)
	}
	ws := livetest.NewWorkspace(t, terraformBinary, livetest.Override(dir), nil)
	ws.Write(t, "main.tf", read(t, "../../examples/provider/provider.tf")+read(t, "testdata/preamble.tf"))
	var schemas struct {
		Version   string                     `json:"format_version"`
		Providers map[string]json.RawMessage `json:"provider_schemas"`
	}
	if err := json.Unmarshal([]byte(ws.Must(t, "providers", "schema", "-json")), &schemas); err != nil {
		t.Fatal(err)
	}
	for address, schema := range schemas.Providers { // there is one, and the generator knows it by its short name
		delete(schemas.Providers, address)
		schemas.Providers["oci"] = schema
		break
	}
	raw, err := json.Marshal(schemas)
	if err != nil {
		t.Fatal(err)
	}
	ws.Write(t, "schema.json", string(raw))
	provider, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	// The generator writes below the provider's directory, so it works on a copy of the examples.
	if err := os.CopyFS(filepath.Join(ws.Dir, "examples"), os.DirFS(filepath.Join(provider, "examples"))); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "tool", "-modfile="+filepath.Join(provider, "..", "tools", "go.mod"), "tfplugindocs", "generate",
		"--provider-dir", ws.Dir, "--provider-name", "oci", "--providers-schema", filepath.Join(ws.Dir, "schema.json"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	made, docs := files(t, filepath.Join(ws.Dir, "docs")), filepath.Join(provider, "docs")
	if *update {
		if err := os.RemoveAll(docs); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(docs, os.DirFS(filepath.Join(ws.Dir, "docs"))); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(made, files(t, docs)); diff != "" {
		t.Errorf("docs/ is not what is generated; run make generate:\n%s", diff)
	}
}

// files are the contents of all files of a directory, by path.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		found[path[len(dir):]] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
