// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oracle/oci-go-sdk/v65/common"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/conformance/internal/bucket"
	"claviger/conformance/internal/live"
	"claviger/conformance/internal/oracle"
)

func refusal(err error) string { return oracle.Refusal(err) }

// site is an installation that keeps backups in an S3 store and may use a shelf.
type site struct {
	*live.Site
	s3    *bucket.Store
	shelf *bucket.Shelf
}

func newSite(t *testing.T) *site {
	t.Helper()
	s3, shelf := bucket.Start(t, "backups"), bucket.NewShelf(t)
	origin, _, _ := strings.Cut(shelf.URL, "/p/")
	settings := fmt.Sprintf("[objects]\ntype = \"s3\"\nendpoint = %q\nregion = %q\ncredentials_file = %q\nrequest_hosts = [%q]\n",
		s3.URL, bucket.Region, s3.CredentialsFile, origin)
	return &site{live.NewSite(t, binary, settings), s3, shelf}
}

func (s *site) oci(t *testing.T) oci {
	t.Helper()
	return oci{oracle.New(t, s.OCI), s.OCI.Compartment}
}

// stored is the key of an object in the S3 store.
func (s *site) stored(object string) string { return s.OCI.Tenancy + "/acme/" + object }

// furnished is a vault with keys in many states.
type furnished struct {
	vault  keymanagement.Vault
	keys   []string
	sealed keymanagement.EncryptedData // under the first key's first version
	signed keymanagement.SignedData    // by the second key
}

func (o oci) furnish(t *testing.T) furnished {
	t.Helper()
	f := furnished{vault: o.createVault(t, "furnished")}
	in := o.in(t, f.vault)
	for _, shape := range []keymanagement.KeyShape{aesShape(32), ecShape(keymanagement.KeyShapeCurveIdP256), aesShape(16)} {
		f.keys = append(f.keys, *in.createKey(t, shape).Id)
	}
	var err error
	if f.sealed, err = in.encrypt(t.Context(), f.keys[0], []byte("kept"), nil, ""); err != nil {
		t.Fatal(err)
	}
	if f.signed, err = in.sign(t.Context(), f.keys[1], bytes.Repeat([]byte{7}, 32), "ECDSA_SHA_256"); err != nil {
		t.Fatal(err)
	}
	in.createVersion(t, f.keys[0])
	if _, err := in.scheduleVersionDeletion(t.Context(), f.keys[0], *f.sealed.KeyVersionId, time.Now().Add(20*day)); err != nil {
		t.Fatal(err)
	}
	in.cancelVersionDeletion(t, f.keys[0], *f.sealed.KeyVersionId)
	old := *in.key(t, f.keys[2]).CurrentKeyVersion
	in.createVersion(t, f.keys[2])
	if _, err := in.scheduleVersionDeletion(t.Context(), f.keys[2], old, time.Now().Add(10*day)); err != nil {
		t.Fatal(err)
	}
	in.scheduleKeyDeletion(t, f.keys[2], time.Now().Add(15*day))
	_, err = in.Management.UpdateKey(t.Context(), keymanagement.UpdateKeyRequest{KeyId: &f.keys[0], UpdateKeyDetails: keymanagement.UpdateKeyDetails{
		FreeformTags: map[string]string{"kept": "too"}, DefinedTags: map[string]map[string]any{"n": {"k": "v"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.Management.DisableKey(t.Context(), keymanagement.DisableKeyRequest{KeyId: &f.keys[1]}); err != nil {
		t.Fatal(err)
	}
	return f
}

// look is all that the API shows of a vault, but for what a restore adds.
func (o oci) look(t *testing.T, f furnished) map[string]any {
	t.Helper()
	vault := o.vault(t, *f.vault.Id)
	in := o.in(t, vault)
	vault.RestoredFromVaultId = nil
	out := map[string]any{"vault": vault}
	for _, id := range f.keys {
		key := in.key(t, id).Key
		key.RestoredFromKeyId = nil
		out[id] = key
		for _, page := range in.pages(t, id, 100, keymanagement.ListKeyVersionsSortOrderAsc) {
			for _, summary := range page {
				version := in.version(t, id, *summary.Id).KeyVersion
				version.RestoredFromKeyVersionId = nil
				out[*summary.Id] = version
			}
		}
	}
	return out
}

// A vault goes into a bucket, the installation loses it, and another process brings it back: ids,
// versions, states, scheduled deletions, tags; and what was sealed or signed before opens and
// verifies. The S3 store checks every signature as Amazon would.
func TestOCIVaultBackup(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	kept := t.TempDir()
	if err := os.CopyFS(kept, os.DirFS(s.Data)); err != nil { // the installation before it had the vault
		t.Fatal(err)
	}
	process := s.Serve(t)
	o := s.oci(t)
	f := o.furnish(t)
	before := o.look(t, f)
	backup, err := o.Vault.BackupVault(t.Context(), keymanagement.BackupVaultRequest{
		VaultId: f.vault.Id, BackupVaultDetails: keymanagement.BackupVaultDetails{BackupLocation: toBucket("a vault"), IsIncludeKeys: common.Bool(true)},
	})
	if err != nil || backup.LifecycleState != keymanagement.VaultLifecycleStateActive || backup.Etag == nil {
		t.Fatalf("BackupVault: %v %s", err, backup.Vault)
	}
	process.Stop(t)
	if err := os.RemoveAll(s.Data); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(s.Data, os.DirFS(kept)); err != nil {
		t.Fatal(err)
	}

	s.Serve(t)
	_, err = o.Vault.GetVault(t.Context(), keymanagement.GetVaultRequest{VaultId: f.vault.Id})
	want(t, "the vault that was lost", refusal(err), "404 NotAuthorizedOrNotFound")
	restored, err := o.Vault.RestoreVaultFromObjectStore(t.Context(), keymanagement.RestoreVaultFromObjectStoreRequest{
		CompartmentId: &o.compartment, RestoreVaultFromObjectStoreDetails: keymanagement.RestoreVaultFromObjectStoreDetails{BackupLocation: toBucket("a vault")},
	})
	if err != nil || restored.LifecycleState != keymanagement.VaultLifecycleStateActive || *restored.RestoredFromVaultId != *f.vault.Id {
		t.Fatalf("RestoreVaultFromObjectStore: %v %s", err, restored.Vault)
	}
	if diff := cmp.Diff(before, o.look(t, f)); diff != "" {
		t.Errorf("before and after (-before +after):\n%s", diff)
	}
	in := o.in(t, restored.Vault)
	if opened, err := in.decrypt(t.Context(), f.keys[0], "", *f.sealed.Ciphertext, nil, ""); err != nil || string(opened) != "kept" {
		t.Errorf("the old ciphertext opens as %q, %v", opened, err)
	}
	if _, err := in.Management.EnableKey(t.Context(), keymanagement.EnableKeyRequest{KeyId: &f.keys[1]}); err != nil {
		t.Fatal(err)
	}
	if ok, err := in.verify(t.Context(), f.keys[1], *f.signed.KeyVersionId, bytes.Repeat([]byte{7}, 32), *f.signed.Signature, "ECDSA_SHA_256"); err != nil || !ok {
		t.Errorf("the old signature verifies: %t, %v", ok, err)
	}
	_, err = o.Vault.RestoreVaultFromObjectStore(t.Context(), keymanagement.RestoreVaultFromObjectStoreRequest{
		CompartmentId: &o.compartment, RestoreVaultFromObjectStoreDetails: keymanagement.RestoreVaultFromObjectStoreDetails{BackupLocation: toBucket("a vault")},
	})
	want(t, "a vault that is there", refusal(err), "409 NotAuthorizedOrResourceAlreadyExists")
	s.s3.Check(t)
}

// A key's backup is uploaded, and fetched through a request URI. What is damaged on the way, not what
// it is said to be, or from elsewhere is refused and changes nothing.
func TestOCIKeyBackup(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	kept := t.TempDir()
	if err := os.CopyFS(kept, os.DirFS(s.Data)); err != nil {
		t.Fatal(err)
	}
	process := s.Serve(t)
	o := s.oci(t)
	key := *o.createKey(t, aesShape(32)).Id
	sealed, err := o.encrypt(t.Context(), key, []byte("kept"), nil, "")
	if err != nil {
		t.Fatal(err)
	}
	o.createVersion(t, key)
	for _, to := range []keymanagement.BackupLocation{toBucket("a key"), keymanagement.BackupLocationUri{Uri: &s.shelf.URL}} {
		if _, err := o.Management.BackupKey(t.Context(), keymanagement.BackupKeyRequest{KeyId: &key, BackupKeyDetails: keymanagement.BackupKeyDetails{BackupLocation: to}}); err != nil {
			t.Fatalf("BackupKey to %T: %v", to, err)
		}
	}
	backup := s.s3.Object(t, "backups", s.stored("a key"))
	process.Stop(t)
	if err := os.RemoveAll(s.Data); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(s.Data, os.DirFS(kept)); err != nil {
		t.Fatal(err)
	}

	s.Serve(t)
	flipped := bytes.Clone(backup)
	flipped[len(flipped)/2] ^= 1
	upload := func(content []byte, sum string) (keymanagement.RestoreKeyFromFileResponse, error) {
		request := keymanagement.RestoreKeyFromFileRequest{
			RestoreKeyFromFileDetails: io.NopCloser(bytes.NewReader(content)), ContentLength: common.Int64(int64(len(content))),
		}
		if sum != "" {
			request.ContentMd5 = &sum
		}
		return o.Management.RestoreKeyFromFile(t.Context(), request)
	}
	from := func(at keymanagement.BackupLocation) error {
		_, err := o.Management.RestoreKeyFromObjectStore(t.Context(), keymanagement.RestoreKeyFromObjectStoreRequest{
			RestoreKeyFromObjectStoreDetails: keymanagement.RestoreKeyFromObjectStoreDetails{BackupLocation: at},
		})
		return err
	}
	s.s3.Put(t, "backups", s.stored("flipped"), flipped)
	for name, c := range map[string]struct {
		call func() error
		want string
	}{
		"a flipped byte":             {func() error { _, err := upload(flipped, sumOf(flipped)); return err }, "400 InvalidParameter"},
		"a truncated file":           {func() error { _, err := upload(backup[:len(backup)/2], ""); return err }, "400 InvalidParameter"},
		"a wrong checksum":           {func() error { _, err := upload(backup, sumOf(flipped)); return err }, "400 UnmatchedContentMD5"},
		"a flipped byte in a bucket": {func() error { return from(toBucket("flipped")) }, "400 InvalidParameter"},
		"no such object":             {func() error { return from(toBucket("none")) }, "400 RelatedResourceNotAuthorizedOrNotFound"},
		"a forged host": {func() error {
			return from(keymanagement.BackupLocationUri{Uri: common.String("http://169.254.169.254/latest/meta-data")})
		}, "400 InvalidParameter"},
		"the server's own": {func() error { return from(keymanagement.BackupLocationUri{Uri: &s.OCI.VaultEndpoint}) }, "400 InvalidParameter"},
	} {
		want(t, name, refusal(c.call()), c.want)
	}
	listed, err := o.Management.ListKeys(t.Context(), keymanagement.ListKeysRequest{CompartmentId: &o.compartment})
	if err != nil || len(listed.Items) != 0 {
		t.Fatalf("after refused restores there are keys: %v %v", listed.Items, err)
	}
	restored, err := upload(backup, sumOf(backup))
	if err != nil {
		t.Fatalf("RestoreKeyFromFile: %v", err)
	}
	if *restored.Id != key || *restored.RestoredFromKeyId != key || *restored.OpcContentMd5 != sumOf(backup) || restored.OpcWorkRequestId == nil || restored.Etag == nil {
		t.Errorf("RestoreKeyFromFile answers %s, %v", restored.Key, restored.RawResponse.Header)
	}
	if opened, err := o.decrypt(t.Context(), key, "", *sealed.Ciphertext, nil, ""); err != nil || string(opened) != "kept" {
		t.Errorf("the old ciphertext opens as %q, %v", opened, err)
	}
	// The shelf holds the same key, which is there by now.
	want(t, "from the request URI", refusal(from(keymanagement.BackupLocationUri{Uri: &s.shelf.URL})), "409 NotAuthorizedOrResourceAlreadyExists")
	if log := s.Log(t); strings.Contains(log, "token-that-nobody-may-see") || strings.Contains(log, bucket.SecretKey) {
		t.Errorf("the log tells a secret:\n%s", log)
	}
	s.s3.Check(t)
}

func sumOf(b []byte) string {
	sum := md5.Sum(b)
	return base64.StdEncoding.EncodeToString(sum[:])
}
