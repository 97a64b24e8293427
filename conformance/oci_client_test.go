// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"encoding/base64"
	"testing"
	"time"

	"github.com/oracle/oci-go-sdk/v65/common"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/conformance/internal/oracle"
)

// oci is a caller through Oracle's SDK. Its methods that take a testing.T fail the test on a refusal;
// the others return it.
type oci struct {
	oracle.Clients
	compartment string
}

// Key shapes by the length in bytes that the API counts in.
func aesShape(bytes int) keymanagement.KeyShape {
	return keymanagement.KeyShape{Algorithm: keymanagement.KeyShapeAlgorithmAes, Length: common.Int(bytes)}
}

func rsaShape(bytes int) keymanagement.KeyShape {
	return keymanagement.KeyShape{Algorithm: keymanagement.KeyShapeAlgorithmRsa, Length: common.Int(bytes)}
}

func ecShape(curve keymanagement.KeyShapeCurveIdEnum) keymanagement.KeyShape {
	bytes := map[keymanagement.KeyShapeCurveIdEnum]int{
		keymanagement.KeyShapeCurveIdP256: 32, keymanagement.KeyShapeCurveIdP384: 48, keymanagement.KeyShapeCurveIdP521: 66,
	}[curve]
	return keymanagement.KeyShape{Algorithm: keymanagement.KeyShapeAlgorithmEcdsa, Length: common.Int(bytes), CurveId: curve}
}

func (o oci) createKey(t *testing.T, shape keymanagement.KeyShape) keymanagement.Key {
	t.Helper()
	created, err := o.Management.CreateKey(t.Context(), keymanagement.CreateKeyRequest{
		CreateKeyDetails: keymanagement.CreateKeyDetails{
			CompartmentId: &o.compartment, DisplayName: common.String(t.Name()), KeyShape: &shape,
			ProtectionMode: keymanagement.CreateKeyDetailsProtectionModeSoftware,
		},
	})
	if err != nil {
		t.Fatalf("CreateKey: %v", err)
	}
	return created.Key
}

func (o oci) key(t *testing.T, id string) keymanagement.GetKeyResponse {
	t.Helper()
	got, err := o.Management.GetKey(t.Context(), keymanagement.GetKeyRequest{KeyId: &id})
	if err != nil {
		t.Fatalf("GetKey: %v", err)
	}
	return got
}

func (o oci) createVersion(t *testing.T, key string) keymanagement.KeyVersion {
	t.Helper()
	created, err := o.Management.CreateKeyVersion(t.Context(), keymanagement.CreateKeyVersionRequest{KeyId: &key})
	if err != nil {
		t.Fatalf("CreateKeyVersion: %v", err)
	}
	return created.KeyVersion
}

func (o oci) version(t *testing.T, key, version string) keymanagement.GetKeyVersionResponse {
	t.Helper()
	got, err := o.Management.GetKeyVersion(t.Context(),
		keymanagement.GetKeyVersionRequest{KeyId: &key, KeyVersionId: &version})
	if err != nil {
		t.Fatalf("GetKeyVersion: %v", err)
	}
	return got
}

// pages lists the versions of key page by page and returns the pages.
func (o oci) pages(t *testing.T, key string, limit int, order keymanagement.ListKeyVersionsSortOrderEnum) [][]keymanagement.KeyVersionSummary {
	t.Helper()
	var pages [][]keymanagement.KeyVersionSummary
	request := keymanagement.ListKeyVersionsRequest{KeyId: &key, Limit: &limit, SortOrder: order}
	for {
		listed, err := o.Management.ListKeyVersions(t.Context(), request)
		if err != nil {
			t.Fatalf("ListKeyVersions: %v", err)
		}
		pages = append(pages, listed.Items)
		if request.Page = listed.OpcNextPage; request.Page == nil {
			return pages
		}
	}
}

func (o oci) scheduleVersionDeletion(ctx context.Context, key, version string, at time.Time) (keymanagement.KeyVersion, error) {
	scheduled, err := o.Management.ScheduleKeyVersionDeletion(ctx, keymanagement.ScheduleKeyVersionDeletionRequest{
		KeyId: &key, KeyVersionId: &version,
		ScheduleKeyVersionDeletionDetails: keymanagement.ScheduleKeyVersionDeletionDetails{TimeOfDeletion: &common.SDKTime{Time: at}},
	})
	return scheduled.KeyVersion, err
}

func (o oci) cancelVersionDeletion(t *testing.T, key, version string) keymanagement.KeyVersion {
	t.Helper()
	cancelled, err := o.Management.CancelKeyVersionDeletion(t.Context(),
		keymanagement.CancelKeyVersionDeletionRequest{KeyId: &key, KeyVersionId: &version})
	if err != nil {
		t.Fatalf("CancelKeyVersionDeletion: %v", err)
	}
	return cancelled.KeyVersion
}

func (o oci) scheduleKeyDeletion(t *testing.T, key string, at time.Time) keymanagement.Key {
	t.Helper()
	scheduled, err := o.Management.ScheduleKeyDeletion(t.Context(), keymanagement.ScheduleKeyDeletionRequest{
		KeyId:                      &key,
		ScheduleKeyDeletionDetails: keymanagement.ScheduleKeyDeletionDetails{TimeOfDeletion: &common.SDKTime{Time: at}},
	})
	if err != nil {
		t.Fatalf("ScheduleKeyDeletion: %v", err)
	}
	return scheduled.Key
}

// encrypt seals plaintext under the current version; algorithm is empty for AES keys.
func (o oci) encrypt(ctx context.Context, key string, plaintext []byte, aad map[string]string,
	algorithm string,
) (keymanagement.EncryptedData, error) {
	sealed, err := o.Crypto.Encrypt(ctx, keymanagement.EncryptRequest{
		EncryptDataDetails: keymanagement.EncryptDataDetails{
			KeyId: &key, Plaintext: common.String(base64.StdEncoding.EncodeToString(plaintext)),
			AssociatedData: aad, EncryptionAlgorithm: keymanagement.EncryptDataDetailsEncryptionAlgorithmEnum(algorithm),
		},
	})
	return sealed.EncryptedData, err
}

// decrypt opens ciphertext; algorithm is empty for AES keys, version is empty to let the server find it.
func (o oci) decrypt(ctx context.Context, key, version, ciphertext string, aad map[string]string,
	algorithm string,
) ([]byte, error) {
	details := keymanagement.DecryptDataDetails{
		KeyId: &key, Ciphertext: &ciphertext, AssociatedData: aad,
		EncryptionAlgorithm: keymanagement.DecryptDataDetailsEncryptionAlgorithmEnum(algorithm),
	}
	if version != "" {
		details.KeyVersionId = &version
	}
	opened, err := o.Crypto.Decrypt(ctx, keymanagement.DecryptRequest{DecryptDataDetails: details})
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(*opened.Plaintext)
}

// sign signs a digest with the current version.
func (o oci) sign(ctx context.Context, key string, digest []byte, algorithm string) (keymanagement.SignedData, error) {
	signed, err := o.Crypto.Sign(ctx, keymanagement.SignRequest{SignDataDetails: keymanagement.SignDataDetails{
		KeyId: &key, Message: common.String(base64.StdEncoding.EncodeToString(digest)),
		MessageType:      keymanagement.SignDataDetailsMessageTypeDigest,
		SigningAlgorithm: keymanagement.SignDataDetailsSigningAlgorithmEnum(algorithm),
	}})
	return signed.SignedData, err
}

// verify says whether signature is the version's over digest.
func (o oci) verify(ctx context.Context, key, version string, digest []byte, signature,
	algorithm string,
) (bool, error) {
	verified, err := o.Crypto.Verify(ctx, keymanagement.VerifyRequest{VerifyDataDetails: keymanagement.VerifyDataDetails{
		KeyId: &key, KeyVersionId: &version, Signature: &signature,
		Message:          common.String(base64.StdEncoding.EncodeToString(digest)),
		MessageType:      keymanagement.VerifyDataDetailsMessageTypeDigest,
		SigningAlgorithm: keymanagement.VerifyDataDetailsSigningAlgorithmEnum(algorithm),
	}})
	if err != nil {
		return false, err
	}
	return *verified.IsSignatureValid, nil
}
