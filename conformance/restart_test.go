// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"claviger/conformance/internal/alibaba"
	"claviger/conformance/internal/live"
	"claviger/conformance/internal/oracle"
)

// With a data directory, ids, credentials and the clock outlive the process, however it ended, and
// everything that was sealed opens.
func TestRestart(t *testing.T) {
	t.Parallel()
	for _, kill := range []bool{false, true} {
		t.Run(map[bool]string{false: "stopped", true: "killed"}[kill], func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			first := start(t, live.Options{Data: data})
			b := newBridge(t, first, "restart")
			b.named(t, *b.oci.createKey(t, aesShape(32)).Id)
			b.seal(t)
			b.oci.createVersion(t, b.ociID)
			b.seal(t)
			signing := b.ali[alibaba.ACS3].createKey(t, "EC_P256K", forSigning).KeyID
			version := b.ali[alibaba.ACS3].versions(t, signing)[0]
			digest := digestFor(t, "SHA_256", "message")
			signature := b.ali[alibaba.ACS3].sign(t, signing, version, "ECDSA_SHA_256", digest)
			vault := b.oci.createVault(t, "second")
			inside := b.oci.in(t, vault).createKey(t, aesShape(16))
			first.Admin.Advance(t, 100*day)
			before := first.Admin.Now(t)
			if kill {
				first.Kill()
			} else {
				first.Stop(t)
			}

			second := start(t, live.Options{Data: data})
			if diff := cmp.Diff(identity(first.Ready), identity(second.Ready)); diff != "" {
				t.Errorf("the ready file after a restart (-before +after):\n%s", diff)
			}
			if now := second.Admin.Now(t); now.Before(before) || now.Sub(before) > 10*time.Minute {
				t.Errorf("domain time %s after a restart, %s before", now, before)
			}
			again := newBridge(t, second, "restart")
			again.named(t, b.ociID)
			want(t, "id in Alibaba", again.aliID, b.aliID)
			again.sealed = b.sealed
			again.openAll(t)
			if !again.ali[alibaba.V1].verify(t, signing, version, "ECDSA_SHA_256", digest, signature) {
				t.Error("a signature of before does not verify")
			}
			want(t, "vault's state", string(again.oci.vault(t, *vault.Id).LifecycleState), "ACTIVE")
			again.oci.in(t, again.oci.vault(t, *vault.Id)).key(t, *inside.Id)
			again.seal(t)
			again.openAll(t)
		})
	}
}

// identity is what must be the same after a restart: everything but the addresses, of which
// --listen 127.0.0.1:0 asks for new ones, and the admin token.
func identity(r live.Ready) []string {
	return []string{
		r.OCI.Tenancy, r.OCI.User, r.OCI.Fingerprint, r.OCI.Region, r.OCI.Compartment, r.OCI.VaultID, r.OCI.PrivateKeyFile,
		r.Alibaba.AccountID, r.Alibaba.AccessKeyID, r.Alibaba.AccessKeySecret, r.Alibaba.RegionID,
	}
}

// The ready file has every field that its description has, with a value.
func TestReadyFile(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	var sections map[string]map[string]any
	if err := json.Unmarshal(server.ReadyJSON, &sections); err != nil {
		t.Fatal(err)
	}
	for section, fields := range map[string][]string{
		"admin": {"endpoint", "token"},
		"oci": {
			"vaultEndpoint", "region", "tenancy", "user", "fingerprint", "privateKeyFile", "configFile", "compartment",
			"vaultId", "managementEndpoint", "cryptoEndpoint",
		},
		"alibaba": {"endpoint", "regionId", "accountId", "accessKeyId", "accessKeySecret"},
	} {
		for _, field := range fields {
			if value, _ := sections[section][field].(string); value == "" {
				t.Errorf("%s.%s is %v, want text", section, field, sections[section][field])
			}
		}
	}
	want(t, "the first vault's state", string(throughOCI(t, server).vault(t, server.Ready.OCI.VaultID).LifecycleState), "ACTIVE")
}

// The configuration file that the ready file names is what Oracle's SDK and CLI read.
func TestOCIConfigFile(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	clients := oracle.FromFile(t, server.Ready.OCI)
	oci{clients, server.Ready.OCI.Compartment}.createKey(t, aesShape(32))
}

// Reset takes the server back to its first state and to real time; the ready file stays true.
func TestReset(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	o := throughOCI(t, server)
	key := *o.createKey(t, aesShape(32)).Id
	server.Admin.Advance(t, 100*day)
	server.Admin.Reset(t)
	if now := server.Admin.Now(t); time.Since(now).Abs() > time.Minute {
		t.Errorf("domain time %s after a reset", now)
	}
	if err := server.Admin.Do("GET", "keys/"+key, nil, nil); err == nil {
		t.Error("a key of before the reset is there")
	}
	again := o.createKey(t, aesShape(32))
	if _, err := o.encrypt(t.Context(), *again.Id, []byte("x"), nil, ""); err != nil {
		t.Errorf("Encrypt after a reset: %v", err)
	}
	a := throughAlibaba(t, server, alibaba.ACS3)
	if keys := a.must(t, "ListKeys", alibaba.Params{}); keys.TotalCount != 1 {
		t.Errorf("%d keys after a reset and one creation", keys.TotalCount)
	}
}
