// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"claviger/conformance/internal/alibaba"
	"claviger/conformance/internal/live"
)

// seedFile has the key and the version that Alibaba's page on DescribeKeyVersion describes, under ids
// carried over from the cloud, with material of its own, and a second account that may read them.
const seedFile = `
[[tenant]]
name = "first"
alibaba = "1234567890123456"

  [[tenant.principal]]
  name = "alice"
  role = "admin"
  [[tenant.principal.oci_api_key]]
  private_key_file = "alice.pem"
  [[tenant.principal.alibaba_access_key]]
  id = "LTAIalice"
  secret = "alice's secret"

  [[tenant.vault]]
  name = "main"
  default = true

    [[tenant.vault.key]]
    name = "carried over"
    id = "00112233-4455-6677-8899-aabbccddeeff"
    alibaba = "key-hzz630494463ejqjx0001"
    spec = "AES_256"
    aliases = ["alias/carried"]
    created_at = 2024-03-25T10:42:40Z
      [[tenant.vault.key.version]]
      id = "2ab1a983-7072-4bbc-a582-584b5bd80001"
      material = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
      [[tenant.vault.key.version]]
      created_at = 2024-05-01T00:00:00Z
      material = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="

  [[tenant.grant]]
  key = "carried over"
  grantee = "second"
  actions = ["ReadVersion"]

[[tenant]]
name = "second"
alibaba = "6543210987654321"
  [[tenant.principal]]
  name = "bob"
  role = "admin"
  [[tenant.principal.alibaba_access_key]]
  id = "LTAIbob"
  secret = "bob's secret"
`

// The same seed file gives the same ids, credentials and material to every process that begins with it.
func TestSeedFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "seed.toml")
	if err := os.WriteFile(path, []byte(seedFile), 0o600); err != nil {
		t.Fatal(err)
	}
	const carried = "key-hzz630494463ejqjx0001"
	var names []live.Key
	var sealed []string
	for range 2 {
		server := start(t, live.Options{Seed: path})
		want(t, "accessKeyId of the ready file", server.Ready.Alibaba.AccessKeyID, "LTAIalice")
		want(t, "accountId of the ready file", server.Ready.Alibaba.AccountID, "1234567890123456")
		names = append(names, server.Admin.Key(t, carried))
		a := throughAlibaba(t, server, alibaba.ACS3)
		sealed = append(sealed, a.must(t, "Encrypt", alibaba.Params{"KeyId": "alias/carried", "Plaintext": "QQ=="}).CiphertextBlob)
		for _, ciphertext := range sealed { // also of the process before
			want(t, "plaintext", a.must(t, "Decrypt", alibaba.Params{"CiphertextBlob": ciphertext}).Plaintext, "QQ==")
		}
		const arn = "acs:kms:cn-hangzhou:1234567890123456:key/" + carried
		for name, caller := range map[string]ali{
			carried: a, "alias/carried": a, arn: aliWith(t, server, alibaba.Classic, "LTAIbob", "bob's secret"),
		} {
			got := caller.must(t, "DescribeKeyVersion", alibaba.Params{"KeyId": name, "KeyVersionId": "2ab1a983-7072-4bbc-a582-584b5bd80001"})
			if diff := cmp.Diff("2024-03-25T10:42:40Z", got.KeyVersion.CreationDate); diff != "" {
				t.Errorf("%s: CreationDate (-want +got):\n%s", name, diff)
			}
		}
		if shape := throughOCI(t, server).key(t, names[len(names)-1].Names.OCI).KeyShape; *shape.Length != 32 {
			t.Errorf("OCI shows a key of %d bytes, want 32", *shape.Length)
		}
	}
	if diff := cmp.Diff(names[0], names[1]); diff != "" {
		t.Errorf("two processes of one seed differ:\n%s", diff)
	}
}

// A seed file that says something else than it can mean is refused at the start, in a sentence.
func TestSeedFileRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]struct{ old, new, says string }{
		"an unknown field":           {`role = "admin"`, `roll = "admin"`, "roll"},
		"an id that is no other's":   {`alibaba = "key-hzz630494463ejqjx0001"`, `alibaba = "2ab1a983-7072-4bbc-a582-584b5bd80002"`, "give it as id"},
		"a spec that is none":        {`spec = "AES_256"`, `spec = "AES_257"`, "AES_257"},
		"material of another length": {`material = "AAEC`, `material = "AAECAAEC`, "material"},
		"versions out of order":      {"2024-05-01T00:00:00Z", "2023-05-01T00:00:00Z", "older"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "seed.toml")
			if !strings.Contains(seedFile, change.old) {
				t.Fatalf("the seed file does not hold %s", change.old)
			}
			text := strings.Replace(seedFile, change.old, change.new, 1)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, binary, "dev", "--listen", "127.0.0.1:0", "--seed", path)
			cmd.Env = []string{"HOME=" + dir, "TMPDIR=" + dir}
			out, err := cmd.CombinedOutput()
			if ctx.Err() != nil || err == nil {
				t.Fatalf("the server runs with it: %v", err)
			}
			if !strings.Contains(string(out), change.says) {
				t.Errorf("it says %q, want something about %q", out, change.says)
			}
		})
	}
}
