// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/oracle/oci-go-sdk/v65/common"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/terraform-provider-oci/internal/cloud"
	"claviger/terraform-provider-oci/internal/livetest"
	"claviger/terraform-provider-oci/internal/provider"
	"claviger/terraform-provider-oci/internal/settings"
)

// root is the repository, seen from this directory.
const root = "../../.."

// Built or found once by TestMain, before any test runs.
var clavigerBinary, terraformBinary string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "terraform-provider-oci-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = prepare(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// prepare makes this process one in which terraform-plugin-testing finds all it wants, and in which
// nothing of the user's own Terraform is in the way.
func prepare(dir string) (err error) {
	if clavigerBinary, err = livetest.Build(root, "./cmd/claviger", dir, "claviger"); err != nil {
		return err
	}
	path, tofu, err := livetest.Terraform(root)
	if err != nil {
		return err
	}
	terraformBinary = path
	rc := filepath.Join(dir, "terraform.rc")
	if err := os.WriteFile(rc, nil, 0o600); err != nil {
		return err
	}
	env := map[string]string{
		"TF_ACC": "1", "TF_ACC_TERRAFORM_PATH": path, "TF_CLI_CONFIG_FILE": rc, "CHECKPOINT_DISABLE": "1",
		"GOGC": "400", // of hundreds of processes that end within a second
	}
	if tofu {
		env["TF_ACC_PROVIDER_HOST"] = "registry.opentofu.org"
	}
	for name, value := range env {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
}

// world is a server, and a user of it with an environment of his own.
type world struct {
	*livetest.Server
	mu  sync.Mutex
	env map[string]string // mu
}

func newWorld(t *testing.T, flags ...string) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("runs Terraform many times")
	}
	return worldFor(t, flags...)
}

func worldFor(t testing.TB, flags ...string) *world {
	t.Helper()
	s := livetest.Start(t, clavigerBinary, flags...)
	return &world{Server: s, env: s.Env()}
}

// export sets a variable of the environment for what is run from now on.
func (w *world) export(name, value string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.env[name] = value
}

func (w *world) getenv(name string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.env[name]
}

// environ is the environment for processes.
func (w *world) environ() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.env)
}

// providers serves the provider within this process, with the world's environment.
func (w *world) providers() map[string]func() (tfprotov5.ProviderServer, error) {
	p := provider.New(provider.Process{
		Surroundings: settings.Surroundings{Getenv: w.getenv}, Version: "test", Now: time.Now, Pause: cloud.Pause,
	})
	return map[string]func() (tfprotov5.ProviderServer, error){"oci": providerserver.NewProtocol5WithError(p())}
}

// management is Oracle's own client of the first vault, for what happens behind Terraform's back.
func (w *world) management(t *testing.T) keymanagement.KmsManagementClient {
	t.Helper()
	config, err := common.ConfigurationProviderFromFile(w.OCI.ConfigFile, "")
	if err != nil {
		t.Fatal(err)
	}
	client, err := keymanagement.NewKmsManagementClientWithConfigurationProvider(config, w.OCI.ManagementEndpoint)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// vaults is Oracle's own client of the vault service.
func (w *world) vaults(t *testing.T) keymanagement.KmsVaultClient {
	t.Helper()
	config, err := common.ConfigurationProviderFromFile(w.OCI.ConfigFile, "")
	if err != nil {
		t.Fatal(err)
	}
	client, err := keymanagement.NewKmsVaultClientWithConfigurationProvider(config)
	if err != nil {
		t.Fatal(err)
	}
	client.Host = w.OCI.VaultEndpoint
	return client
}

// compartment makes a compartment below the root and returns its OCID.
func (w *world) compartment(t *testing.T, name string) string {
	t.Helper()
	var made struct {
		Names struct {
			OCI string `json:"oci"`
		} `json:"names"`
	}
	w.Do(t, http.MethodPost, "compartments", map[string]string{"tenant": w.OCI.Tenancy, "name": name}, &made)
	return made.Names.OCI
}

func (w *world) findVault(t *testing.T, id string) keymanagement.Vault {
	t.Helper()
	answer, err := w.vaults(t).GetVault(context.Background(), keymanagement.GetVaultRequest{VaultId: &id})
	if err != nil {
		t.Fatal(err)
	}
	return answer.Vault
}

func (w *world) disable(t *testing.T, key string) {
	t.Helper()
	if _, err := w.management(t).DisableKey(context.Background(), keymanagement.DisableKeyRequest{KeyId: &key}); err != nil {
		t.Fatal(err)
	}
}

func (w *world) key(t *testing.T, id string) keymanagement.Key {
	t.Helper()
	answer, err := w.management(t).GetKey(context.Background(), keymanagement.GetKeyRequest{KeyId: &id})
	if err != nil {
		t.Fatal(err)
	}
	return answer.Key
}

func (w *world) version(t *testing.T, key, id string) keymanagement.KeyVersion {
	t.Helper()
	answer, err := w.management(t).GetKeyVersion(context.Background(), keymanagement.GetKeyVersionRequest{KeyId: &key, KeyVersionId: &id})
	if err != nil {
		t.Fatal(err)
	}
	return answer.KeyVersion
}

// createKey makes a key of AES with 256 bits behind Terraform's back.
func (w *world) createKey(t *testing.T) keymanagement.Key {
	t.Helper()
	name, length := "made elsewhere", 32
	answer, err := w.management(t).CreateKey(context.Background(), keymanagement.CreateKeyRequest{CreateKeyDetails: keymanagement.CreateKeyDetails{
		CompartmentId: &w.OCI.Compartment, DisplayName: &name,
		KeyShape: &keymanagement.KeyShape{Algorithm: keymanagement.KeyShapeAlgorithmAes, Length: &length},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return answer.Key
}
