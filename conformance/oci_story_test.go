// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/oracle/oci-go-sdk/v65/common"
	km "github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/conformance/internal/live"
	"claviger/conformance/internal/oracle"
)

// ociStory calls every operation once at least, on things that have all that there is to show.
type ociStory struct {
	o      oci // at the vault's endpoints
	server *live.Process
	seen   *ociSeen

	vault, replication                        string
	aes, ec, imported, hsm                    string // keys; hsm is rotated by the clock
	version                                   string // the first one of aes
	ciphertext, signature, ecVersion, message string
}

// newOCIStory begins on a server that asks for certificates and has a second region.
func newOCIStory(t *testing.T, seen *ociSeen) *ociStory {
	t.Helper()
	server := start(t, live.Options{TLS: true, Regions: []string{there + "/cn-beijing"}})
	o := throughOCI(t, server)
	ca, err := os.ReadFile(server.Ready.CA.File)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		t.Fatal("the authority's file holds no certificate")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	client, ok := o.Vault.HTTPClient.(*http.Client) // which all clients share
	if !ok {
		t.Fatalf("the SDK's client is a %T", o.Vault.HTTPClient)
	}
	client.Transport = transport
	server.Admin.Through(transport)
	return &ociStory{o: o, server: server, seen: seen, message: base64.StdEncoding.EncodeToString([]byte("Hello"))}
}

// told notes an answer, and ends the story at a refusal.
func told[T any](t *testing.T, s *ociStory, operation string, answer T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %s (%v)", operation, oracle.Refusal(err), err)
	}
	s.seen.note(operation, answer)
	return answer
}

func definedTags() map[string]map[string]any { return map[string]map[string]any{"n": {"k": "v"}} }

func (s *ociStory) vaults(t *testing.T) {
	ctx, c := t.Context(), s.o.Vault
	made, err := c.CreateVault(ctx, km.CreateVaultRequest{CreateVaultDetails: km.CreateVaultDetails{
		CompartmentId: &s.o.compartment, DisplayName: common.String("v"), VaultType: km.CreateVaultDetailsVaultTypeVirtualPrivate,
		FreeformTags: map[string]string{"a": "b"}, DefinedTags: definedTags(),
	}})
	told(t, s, "CreateVault", made, err)
	s.vault = *made.Id
	s.o = s.o.in(t, made.Vault)
	updated, err := c.UpdateVault(ctx, km.UpdateVaultRequest{VaultId: &s.vault, IfMatch: made.Etag, UpdateVaultDetails: km.UpdateVaultDetails{DisplayName: common.String("w")}})
	told(t, s, "UpdateVault", updated, err)
	moved, err := c.ChangeVaultCompartment(ctx, km.ChangeVaultCompartmentRequest{
		VaultId: &s.vault, ChangeVaultCompartmentDetails: km.ChangeVaultCompartmentDetails{CompartmentId: &s.o.compartment},
	})
	told(t, s, "ChangeVaultCompartment", moved, err)
	registered, err := c.UpdateRegisteredVaultForMtls(ctx, km.UpdateRegisteredVaultForMtlsRequest{
		VaultId: &s.vault, UpdateRegisteredVaultForMtlsDetails: km.UpdateRegisteredVaultForMtlsDetails{FleetId: common.String("fleet")},
	})
	told(t, s, "UpdateRegisteredVaultForMtls", registered, err)
	replicated, err := s.o.createReplica(ctx, s.vault, there)
	told(t, s, "CreateVaultReplica", replicated, err)
	replicas, err := c.ListVaultReplicas(ctx, km.ListVaultReplicasRequest{VaultId: &s.vault})
	told(t, s, "ListVaultReplicas", replicas, err)
	got, err := c.GetVault(ctx, km.GetVaultRequest{VaultId: &s.vault})
	told(t, s, "GetVault", got, err)
	s.replication = *got.ReplicaDetails.ReplicationId
}

// create makes a key in the story's vault.
func (s *ociStory) create(t *testing.T, shape km.KeyShape, mode km.CreateKeyDetailsProtectionModeEnum) km.Key {
	t.Helper()
	made, err := s.o.Management.CreateKey(t.Context(), km.CreateKeyRequest{CreateKeyDetails: km.CreateKeyDetails{
		CompartmentId: &s.o.compartment, DisplayName: common.String("k"), KeyShape: &shape, ProtectionMode: mode,
		FreeformTags: map[string]string{"a": "b"}, DefinedTags: definedTags(), IsAutoRotationEnabled: common.Bool(true),
		AutoKeyRotationDetails: &km.AutoKeyRotationDetails{RotationIntervalInDays: common.Int(60)},
	}})
	return told(t, s, "CreateKey", made, err).Key
}

func (s *ociStory) keys(t *testing.T) {
	ctx, c := t.Context(), s.o.Management
	s.aes = *s.create(t, aesShape(32), km.CreateKeyDetailsProtectionModeSoftware).Id
	s.hsm = *s.create(t, aesShape(16), km.CreateKeyDetailsProtectionModeHsm).Id
	ec := s.create(t, ecShape(km.KeyShapeCurveIdP256), km.CreateKeyDetailsProtectionModeSoftware)
	s.ec, s.ecVersion = *ec.Id, *ec.CurrentKeyVersion
	got, err := c.GetKey(ctx, km.GetKeyRequest{KeyId: &s.aes})
	told(t, s, "GetKey", got, err)
	s.version = *got.CurrentKeyVersion
	updated, err := c.UpdateKey(ctx, km.UpdateKeyRequest{KeyId: &s.aes, UpdateKeyDetails: km.UpdateKeyDetails{DisplayName: common.String("l")}})
	told(t, s, "UpdateKey", updated, err)
	moved, err := c.ChangeKeyCompartment(ctx, km.ChangeKeyCompartmentRequest{
		KeyId: &s.aes, ChangeKeyCompartmentDetails: km.ChangeKeyCompartmentDetails{CompartmentId: &s.o.compartment},
	})
	told(t, s, "ChangeKeyCompartment", moved, err)
	disabled, err := c.DisableKey(ctx, km.DisableKeyRequest{KeyId: &s.aes})
	told(t, s, "DisableKey", disabled, err)
	enabled, err := c.EnableKey(ctx, km.EnableKeyRequest{KeyId: &s.aes})
	told(t, s, "EnableKey", enabled, err)
	status, err := c.GetReplicationStatus(ctx, km.GetReplicationStatusRequest{ReplicationId: &s.replication})
	told(t, s, "GetReplicationStatus", status, err)

	wrapping, err := c.GetWrappingKey(ctx, km.GetWrappingKeyRequest{})
	told(t, s, "GetWrappingKey", wrapping, err)
	shape := aesShape(32)
	imported, err := c.ImportKey(ctx, km.ImportKeyRequest{ImportKeyDetails: km.ImportKeyDetails{
		CompartmentId: &s.o.compartment, DisplayName: common.String("i"), KeyShape: &shape, ProtectionMode: km.ImportKeyDetailsProtectionModeSoftware,
		WrappedImportKey: wrapped(t, *wrapping.PublicKey),
	}})
	s.imported = *told(t, s, "ImportKey", imported, err).Id
	version, err := c.ImportKeyVersion(ctx, km.ImportKeyVersionRequest{
		KeyId: &s.imported, ImportKeyVersionDetails: km.ImportKeyVersionDetails{WrappedImportKey: wrapped(t, *wrapping.PublicKey)},
	})
	told(t, s, "ImportKeyVersion", version, err)
}

// wrapped is a fresh AES-256 key under a vault's wrapping key.
func wrapped(t *testing.T, text string) *km.WrappedImportKey {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatalf("%q is not PEM", text)
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	material := make([]byte, 32)
	if _, err := rand.Read(material); err != nil {
		t.Fatal(err)
	}
	blob, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public.(*rsa.PublicKey), material, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &km.WrappedImportKey{
		KeyMaterial: common.String(base64.StdEncoding.EncodeToString(blob)), WrappingAlgorithm: km.WrappedImportKeyWrappingAlgorithmSha256,
	}
}

func (s *ociStory) versions(t *testing.T) {
	ctx, c := t.Context(), s.o.Management
	made, err := c.CreateKeyVersion(ctx, km.CreateKeyVersionRequest{KeyId: &s.aes})
	told(t, s, "CreateKeyVersion", made, err)
	got, err := c.GetKeyVersion(ctx, km.GetKeyVersionRequest{KeyId: &s.ec, KeyVersionId: &s.ecVersion})
	told(t, s, "GetKeyVersion", got, err)
	scheduled, err := c.ScheduleKeyVersionDeletion(ctx, km.ScheduleKeyVersionDeletionRequest{KeyId: &s.aes, KeyVersionId: &s.version})
	told(t, s, "ScheduleKeyVersionDeletion", scheduled, err)
	listed, err := c.ListKeyVersions(ctx, km.ListKeyVersionsRequest{KeyId: &s.aes})
	told(t, s, "ListKeyVersions", listed, err)
	cancelled, err := c.CancelKeyVersionDeletion(ctx, km.CancelKeyVersionDeletionRequest{KeyId: &s.aes, KeyVersionId: &s.version})
	told(t, s, "CancelKeyVersionDeletion", cancelled, err)
}

func (s *ociStory) crypto(t *testing.T) {
	ctx, c := t.Context(), s.o.Crypto
	sealed, err := c.Encrypt(ctx, km.EncryptRequest{EncryptDataDetails: km.EncryptDataDetails{KeyId: &s.aes, Plaintext: &s.message}})
	s.ciphertext = *told(t, s, "Encrypt", sealed, err).Ciphertext
	opened, err := c.Decrypt(ctx, km.DecryptRequest{DecryptDataDetails: km.DecryptDataDetails{KeyId: &s.aes, Ciphertext: &s.ciphertext}})
	told(t, s, "Decrypt", opened, err)
	shape := aesShape(32)
	generated, err := c.GenerateDataEncryptionKey(ctx, km.GenerateDataEncryptionKeyRequest{
		GenerateKeyDetails: km.GenerateKeyDetails{KeyId: &s.aes, KeyShape: &shape, IncludePlaintextKey: common.Bool(true)},
	})
	told(t, s, "GenerateDataEncryptionKey", generated, err)
	signed, err := c.Sign(ctx, km.SignRequest{SignDataDetails: km.SignDataDetails{
		KeyId: &s.ec, Message: &s.message, SigningAlgorithm: km.SignDataDetailsSigningAlgorithmEcdsaSha256,
	}})
	s.signature = *told(t, s, "Sign", signed, err).Signature
	verified, err := c.Verify(ctx, km.VerifyRequest{VerifyDataDetails: km.VerifyDataDetails{
		KeyId: &s.ec, KeyVersionId: signed.KeyVersionId, Message: &s.message, Signature: &s.signature,
		SigningAlgorithm: km.VerifyDataDetailsSigningAlgorithmEcdsaSha256,
	}})
	told(t, s, "Verify", verified, err)
	own, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(own.Public())
	if err != nil {
		t.Fatal(err)
	}
	exported, err := c.ExportKey(ctx, km.ExportKeyRequest{ExportKeyDetails: km.ExportKeyDetails{
		KeyId: &s.aes, Algorithm: km.ExportKeyDetailsAlgorithmAesSha256,
		PublicKey: common.String(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))),
	}})
	told(t, s, "ExportKey", exported, err)
}

// wait lets the clock rotate.
func (s *ociStory) wait(t *testing.T) {
	s.server.Admin.Advance(t, 61*day)
	got, err := s.o.Management.GetKey(t.Context(), km.GetKeyRequest{KeyId: &s.hsm})
	told(t, s, "GetKey", got, err)
	version, err := s.o.Management.GetKeyVersion(t.Context(), km.GetKeyVersionRequest{KeyId: &s.hsm, KeyVersionId: got.CurrentKeyVersion})
	told(t, s, "GetKeyVersion", version, err)
}

func (s *ociStory) lists(t *testing.T) {
	ctx, one := t.Context(), common.Int(1)
	for _, limit := range []*int{one, nil} {
		versions, err := s.o.Management.ListKeyVersions(ctx, km.ListKeyVersionsRequest{KeyId: &s.hsm, Limit: limit})
		told(t, s, "ListKeyVersions", versions, err)
		keys, err := s.o.Management.ListKeys(ctx, km.ListKeysRequest{CompartmentId: &s.o.compartment, Limit: limit})
		told(t, s, "ListKeys", keys, err)
		vaults, err := s.o.Vault.ListVaults(ctx, km.ListVaultsRequest{CompartmentId: &s.o.compartment, Limit: limit})
		told(t, s, "ListVaults", vaults, err)
	}
	usage, err := s.o.Vault.GetVaultUsage(ctx, km.GetVaultUsageRequest{VaultId: &s.vault})
	told(t, s, "GetVaultUsage", usage, err)
}

// inBucket is where a backup lies.
func inBucket(object string) km.BackupLocation {
	return km.BackupLocationBucket{Namespace: common.String("n"), BucketName: common.String("b"), ObjectName: &object}
}

func (s *ociStory) backUp(t *testing.T) {
	ctx := t.Context()
	key, err := s.o.Management.BackupKey(ctx, km.BackupKeyRequest{KeyId: &s.aes, BackupKeyDetails: km.BackupKeyDetails{BackupLocation: inBucket("the-key")}})
	told(t, s, "BackupKey", key, err)
	vault, err := s.o.Vault.BackupVault(ctx, km.BackupVaultRequest{
		VaultId:            &s.vault,
		BackupVaultDetails: km.BackupVaultDetails{BackupLocation: inBucket("the-vault"), IsIncludeKeys: common.Bool(true)},
	})
	told(t, s, "BackupVault", vault, err)
}

func (s *ociStory) deletions(t *testing.T) {
	ctx := t.Context()
	key, err := s.o.Management.ScheduleKeyDeletion(ctx, km.ScheduleKeyDeletionRequest{KeyId: &s.aes})
	told(t, s, "ScheduleKeyDeletion", key, err)
	back, err := s.o.Management.CancelKeyDeletion(ctx, km.CancelKeyDeletionRequest{KeyId: &s.aes})
	told(t, s, "CancelKeyDeletion", back, err)
	vault, err := s.o.Vault.ScheduleVaultDeletion(ctx, km.ScheduleVaultDeletionRequest{VaultId: &s.vault})
	told(t, s, "ScheduleVaultDeletion", vault, err)
	active, err := s.o.Vault.CancelVaultDeletion(ctx, km.CancelVaultDeletionRequest{VaultId: &s.vault})
	told(t, s, "CancelVaultDeletion", active, err)
	gone, err := s.o.Vault.DeleteVaultReplica(ctx, km.DeleteVaultReplicaRequest{
		VaultId: &s.vault, DeleteVaultReplicaDetails: km.DeleteVaultReplicaDetails{ReplicaRegion: common.String(there)},
	})
	told(t, s, "DeleteVaultReplica", gone, err)
}

// forgotten is after how long nothing is known any more of what was scheduled for deletion.
const forgotten = 31*day + 91*day

// restore brings key and vault back, each from the bucket and from a file, after they were forgotten.
func (s *ociStory) restore(t *testing.T) {
	ctx := t.Context()
	forget := func() {
		if _, err := s.o.Management.ScheduleKeyDeletion(ctx, km.ScheduleKeyDeletionRequest{KeyId: &s.aes}); err != nil {
			t.Fatal(err)
		}
		s.server.Admin.Advance(t, forgotten)
	}
	forget()
	key, err := s.o.Management.RestoreKeyFromObjectStore(ctx, km.RestoreKeyFromObjectStoreRequest{
		RestoreKeyFromObjectStoreDetails: km.RestoreKeyFromObjectStoreDetails{BackupLocation: inBucket("the-key")},
	})
	told(t, s, "RestoreKeyFromObjectStore", key, err)
	version, err := s.o.Management.GetKeyVersion(ctx, km.GetKeyVersionRequest{KeyId: &s.aes, KeyVersionId: &s.version})
	told(t, s, "GetKeyVersion", version, err)
	forget()
	body, length, sum := s.object(t, "the-key")
	filed, err := s.o.Management.RestoreKeyFromFile(ctx, km.RestoreKeyFromFileRequest{RestoreKeyFromFileDetails: body, ContentLength: length, ContentMd5: sum})
	told(t, s, "RestoreKeyFromFile", filed, err)

	forgetVault := func() {
		if _, err := s.o.Vault.ScheduleVaultDeletion(ctx, km.ScheduleVaultDeletionRequest{VaultId: &s.vault}); err != nil {
			t.Fatal(err)
		}
		s.server.Admin.Advance(t, forgotten)
	}
	forgetVault()
	vault, err := s.o.Vault.RestoreVaultFromObjectStore(ctx, km.RestoreVaultFromObjectStoreRequest{
		CompartmentId:                      &s.o.compartment,
		RestoreVaultFromObjectStoreDetails: km.RestoreVaultFromObjectStoreDetails{BackupLocation: inBucket("the-vault")},
	})
	told(t, s, "RestoreVaultFromObjectStore", vault, err)
	forgetVault()
	body, length, sum = s.object(t, "the-vault")
	again, err := s.o.Vault.RestoreVaultFromFile(ctx, km.RestoreVaultFromFileRequest{
		CompartmentId: &s.o.compartment, RestoreVaultFromFileDetails: body, ContentLength: length, ContentMd5: sum,
	})
	told(t, s, "RestoreVaultFromFile", again, err)
}

// object is the content of an object, which dev keeps in a directory beside its keys.
func (s *ociStory) object(t *testing.T, name string) (body io.ReadCloser, length *int64, sum *string) {
	t.Helper()
	var content []byte
	err := filepath.WalkDir(filepath.Dir(s.server.Ready.OCI.PrivateKeyFile), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Name() == name {
			content, err = os.ReadFile(path)
		}
		return err
	})
	if err != nil || len(content) == 0 {
		t.Fatalf("object %s: %d bytes, %v", name, len(content), err)
	}
	md := md5.Sum(content)
	return io.NopCloser(bytes.NewReader(content)), common.Int64(int64(len(content))), common.String(base64.StdEncoding.EncodeToString(md[:]))
}
