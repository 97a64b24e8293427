// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"testing"

	"github.com/oracle/oci-go-sdk/v65/common"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/conformance/internal/live"
	"claviger/conformance/internal/oracle"
)

// importer brings OpenSSL's keys into a vault, and takes them out again.
type importer struct {
	oci
	workshop
	wrapping []byte // the vault's wrapping key, public, in DER
	out      []byte // that of the recipient of exports, in PEM
}

func newImporter(t *testing.T, o oci) *importer {
	t.Helper()
	i := &importer{oci: o, workshop: newWorkshop(t)}
	i.rsaKey(t, "recipient", "2048")
	i.out = i.read(t, "recipient-public.pem")
	i.wrapping = i.wrappingKey(t)
	return i
}

// wrappingKey asks for the vault's wrapping key, whose PEM OpenSSL reads.
func (i *importer) wrappingKey(t *testing.T) []byte {
	t.Helper()
	got, err := i.Management.GetWrappingKey(t.Context(), keymanagement.GetWrappingKeyRequest{})
	if err != nil {
		t.Fatalf("GetWrappingKey: %v", err)
	}
	if got.LifecycleState != keymanagement.WrappingKeyLifecycleStateEnabled || *got.CompartmentId != i.compartment || got.TimeCreated == nil || got.Etag == nil {
		t.Errorf("the wrapping key: %v", got)
	}
	i.write(t, "wrapping.pem", []byte(*got.PublicKey))
	i.openssl(t, "pkey -pubin -in wrapping.pem -outform DER -out wrapping.der")
	return i.read(t, "wrapping.der")
}

// wrapped wraps as the algorithm says.
func (i *importer) wrapped(t *testing.T, algorithm keymanagement.WrappedImportKeyWrappingAlgorithmEnum, material []byte) *keymanagement.WrappedImportKey {
	t.Helper()
	var blob []byte
	if algorithm == keymanagement.WrappedImportKeyWrappingAlgorithmSha256 {
		blob = i.wrap(t, i.wrapping, material, oaep256)
	} else {
		blob = i.wrapAES(t, i.wrapping, material)
	}
	return &keymanagement.WrappedImportKey{KeyMaterial: common.String(inBase64(blob)), WrappingAlgorithm: algorithm}
}

const (
	byOAEP = keymanagement.WrappedImportKeyWrappingAlgorithmSha256
	byAES  = keymanagement.WrappedImportKeyWrappingAlgorithmAesSha256
)

func (i *importer) importKey(ctx context.Context, shape keymanagement.KeyShape, wrapped *keymanagement.WrappedImportKey, token *string) (keymanagement.Key, error) {
	made, err := i.Management.ImportKey(ctx, keymanagement.ImportKeyRequest{
		OpcRetryToken: token,
		ImportKeyDetails: keymanagement.ImportKeyDetails{
			CompartmentId: &i.compartment, DisplayName: common.String("imported"), KeyShape: &shape, WrappedImportKey: wrapped,
			ProtectionMode: keymanagement.ImportKeyDetailsProtectionModeSoftware,
		},
	})
	return made.Key, err
}

func (i *importer) importVersion(ctx context.Context, key string, wrapped *keymanagement.WrappedImportKey) (keymanagement.KeyVersion, error) {
	made, err := i.Management.ImportKeyVersion(ctx, keymanagement.ImportKeyVersionRequest{
		KeyId: &key, ImportKeyVersionDetails: keymanagement.ImportKeyVersionDetails{WrappedImportKey: wrapped},
	})
	return made.KeyVersion, err
}

func (i *importer) exportKey(ctx context.Context, key string, algorithm keymanagement.ExportKeyDetailsAlgorithmEnum) (keymanagement.ExportedKeyData, error) {
	got, err := i.Crypto.ExportKey(ctx, keymanagement.ExportKeyRequest{
		ExportKeyDetails: keymanagement.ExportKeyDetails{KeyId: &key, Algorithm: algorithm, PublicKey: common.String(string(i.out))},
	})
	return got.ExportedKeyData, err
}

// exported is a key's material, as OpenSSL opens it.
func (i *importer) exported(t *testing.T, key string, algorithm keymanagement.ExportKeyDetailsAlgorithmEnum) []byte {
	t.Helper()
	got, err := i.exportKey(t.Context(), key, algorithm)
	if err != nil {
		t.Fatalf("ExportKey: %v", err)
	}
	if *got.KeyId != key || got.KeyVersionId == nil || got.TimeCreated == nil || got.VaultId == nil || string(got.Algorithm) != string(algorithm) {
		t.Errorf("ExportKey: %v", got)
	}
	blob := fromBase64(t, *got.EncryptedKey)
	if algorithm == keymanagement.ExportKeyDetailsAlgorithmSha256 {
		return i.unwrap(t, "recipient.pem", blob, oaep256)
	}
	return i.unwrapAES(t, "recipient.pem", blob, 256)
}

// Material that OpenSSL wrapped comes in, works, and goes out again as it came.
func TestOCIImport(t *testing.T) {
	t.Parallel()
	newWorkshop(t)
	server := start(t, live.Options{})
	i := newImporter(t, throughOCI(t, server))
	i.hidden(t, server.Ready.OCI.VaultID)
	i.symmetric(t)
	i.asymmetric(t)
	i.mixed(t)
	i.refused(t)
}

// hidden: the wrapping key can be read, and that is all.
func (i *importer) hidden(t *testing.T, vault string) {
	t.Helper()
	id := *i.vault(t, vault).WrappingkeyId
	k := i.key(t, id)
	if *k.DisplayName != "RSA wrapping key" || *k.KeyShape.Length != 512 || k.KeyShape.Algorithm != keymanagement.KeyShapeAlgorithmRsa ||
		k.ProtectionMode != keymanagement.KeyProtectionModeHsm || k.LifecycleState != keymanagement.KeyLifecycleStateEnabled {
		t.Errorf("the wrapping key as a key: %v", k.Key)
	}
	if v := i.version(t, id, *k.CurrentKeyVersion); !bytes.Equal(publicDER(t, *v.PublicKey), i.wrapping) {
		t.Error("the version of the wrapping key has another public key")
	}
	if all := i.list(t, keymanagement.ListKeysRequest{CompartmentId: &i.compartment}); len(all) != 0 {
		t.Errorf("listed are %v", all)
	}
	_, err := i.encrypt(t.Context(), id, []byte("x"), nil, "RSA_OAEP_SHA_256")
	want(t, "Encrypt with it", oracle.Refusal(err), "400 InvalidParameter")
	_, err = i.Management.DisableKey(t.Context(), keymanagement.DisableKeyRequest{KeyId: &id})
	want(t, "DisableKey of it", oracle.Refusal(err), "400 InvalidParameter")
	_, err = i.exportKey(t.Context(), id, keymanagement.ExportKeyDetailsAlgorithmAesSha256)
	want(t, "ExportKey of it", oracle.Refusal(err), "400 InvalidParameter")
}

func (i *importer) symmetric(t *testing.T) {
	t.Helper()
	for _, size := range []int{16, 24, 32} {
		for _, algorithm := range []keymanagement.WrappedImportKeyWrappingAlgorithmEnum{byOAEP, byAES} {
			material := bytes.Repeat([]byte{byte(size)}, size)
			k, err := i.importKey(t.Context(), aesShape(size), i.wrapped(t, algorithm, material), nil)
			if err != nil {
				t.Fatalf("ImportKey: %v", err)
			}
			if v := i.version(t, *k.Id, *k.CurrentKeyVersion); v.Origin != keymanagement.KeyVersionOriginExternal {
				t.Errorf("the version is of origin %s", v.Origin)
			}
			sealed, err := i.encrypt(t.Context(), *k.Id, []byte("hello"), nil, "")
			if err != nil {
				t.Fatal(err)
			}
			if opened, err := i.decrypt(t.Context(), *k.Id, "", *sealed.Ciphertext, nil, ""); err != nil || string(opened) != "hello" {
				t.Errorf("opened %q, %v", opened, err)
			}
			for _, out := range []keymanagement.ExportKeyDetailsAlgorithmEnum{keymanagement.ExportKeyDetailsAlgorithmSha256, keymanagement.ExportKeyDetailsAlgorithmAesSha256} {
				if got := i.exported(t, *k.Id, out); !bytes.Equal(got, material) {
					t.Errorf("%s: exported is other material than was imported", out)
				}
			}
		}
	}
}

func (i *importer) asymmetric(t *testing.T) {
	t.Helper()
	for bits, size := range map[string]int{"2048": 256, "3072": 384} {
		private, public := i.rsaKey(t, "own", bits)
		k, err := i.importKey(t.Context(), rsaShape(size), i.wrapped(t, byAES, private), nil)
		if err != nil {
			t.Fatalf("ImportKey: %v", err)
		}
		v := i.version(t, *k.Id, *k.CurrentKeyVersion)
		if !bytes.Equal(publicDER(t, *v.PublicKey), public) {
			t.Error("the version has another public key than was imported")
		}
		digest := sha256.Sum256([]byte("message"))
		signed, err := i.sign(t.Context(), *k.Id, digest[:], "SHA_256_RSA_PKCS_PSS")
		if err != nil {
			t.Fatal(err)
		}
		i.write(t, "digest", digest[:])
		i.write(t, "signature", fromBase64(t, *signed.Signature))
		i.openssl(t, "pkeyutl -verify -pubin -inkey own-public.pem -in digest -sigfile signature -pkeyopt digest:sha256 -pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:digest")
		sealed := inBase64(i.wrap(t, public, []byte("hello"), oaep256))
		if opened, err := i.decrypt(t.Context(), *k.Id, "", sealed, nil, "RSA_OAEP_SHA_256"); err != nil || string(opened) != "hello" {
			t.Errorf("opened %q, %v", opened, err)
		}
		if got := i.exported(t, *k.Id, keymanagement.ExportKeyDetailsAlgorithmAesSha256); !bytes.Equal(got, private) {
			t.Error("exported is other material than was imported")
		}
		_, err = i.exportKey(t.Context(), *k.Id, keymanagement.ExportKeyDetailsAlgorithmSha256)
		want(t, "ExportKey of RSA under RSA alone", oracle.Refusal(err), "400 InvalidParameter")
	}
	// A key of the server's own: OpenSSL reads what is exported.
	k := i.createKey(t, ecShape(keymanagement.KeyShapeCurveIdP384))
	i.write(t, "exported.der", i.exported(t, *k.Id, keymanagement.ExportKeyDetailsAlgorithmAesSha256))
	i.openssl(t, "pkey -inform DER -in exported.der -pubout -outform DER -out exported-public.der")
	v := i.version(t, *k.Id, *k.CurrentKeyVersion)
	if !bytes.Equal(publicDER(t, *v.PublicKey), i.read(t, "exported-public.der")) {
		t.Error("the exported key has another public key")
	}
}

// mixed: versions of both origins under one key.
func (i *importer) mixed(t *testing.T) {
	t.Helper()
	k := i.createKey(t, aesShape(32))
	var sealed []string
	seal := func() {
		t.Helper()
		got, err := i.encrypt(t.Context(), *k.Id, []byte("hello"), nil, "")
		if err != nil {
			t.Fatal(err)
		}
		sealed = append(sealed, *got.Ciphertext)
	}
	seal()
	if _, err := i.importVersion(t.Context(), *k.Id, i.wrapped(t, byOAEP, bytes.Repeat([]byte{1}, 32))); err != nil {
		t.Fatalf("ImportKeyVersion: %v", err)
	}
	seal()
	i.createVersion(t, *k.Id)
	seal()
	for n, ciphertext := range sealed {
		if opened, err := i.decrypt(t.Context(), *k.Id, "", ciphertext, nil, ""); err != nil || string(opened) != "hello" {
			t.Errorf("ciphertext %d: %q, %v", n, opened, err)
		}
	}
	var origins []string
	for _, page := range i.pages(t, *k.Id, 10, keymanagement.ListKeyVersionsSortOrderAsc) {
		for _, v := range page {
			origins = append(origins, string(v.Origin))
		}
	}
	if len(origins) != 3 || origins[0] != "INTERNAL" || origins[1] != "EXTERNAL" || origins[2] != "INTERNAL" {
		t.Errorf("the versions are of origin %v", origins)
	}
}

// refused: whatever is wrong with wrapped material, the answer is one. A repeated request is not.
func (i *importer) refused(t *testing.T) {
	t.Helper()
	good := bytes.Repeat([]byte{7}, 32)
	_, other := i.rsaKey(t, "other", "4096")
	elsewhere := &importer{oci: i.oci, workshop: i.workshop, wrapping: other}
	small, _ := i.rsaKey(t, "small", "2048")
	message := ""
	for name, tc := range map[string]struct {
		shape   keymanagement.KeyShape
		wrapped *keymanagement.WrappedImportKey
	}{
		"another wrapping key":   {aesShape(32), elsewhere.wrapped(t, byOAEP, good)},
		"another way":            {aesShape(32), &keymanagement.WrappedImportKey{KeyMaterial: i.wrapped(t, byAES, good).KeyMaterial, WrappingAlgorithm: byOAEP}},
		"the other way":          {aesShape(32), &keymanagement.WrappedImportKey{KeyMaterial: i.wrapped(t, byOAEP, good).KeyMaterial, WrappingAlgorithm: byAES}},
		"a key too short":        {aesShape(32), i.wrapped(t, byOAEP, good[:16])},
		"a key too long":         {aesShape(16), i.wrapped(t, byAES, good)},
		"an RSA key of its size": {rsaShape(384), i.wrapped(t, byAES, small)},
		"no key":                 {rsaShape(256), i.wrapped(t, byAES, small[:len(small)-1])},
		"not wrapped":            {aesShape(32), &keymanagement.WrappedImportKey{KeyMaterial: common.String(inBase64(good)), WrappingAlgorithm: byOAEP}},
	} {
		_, err := i.importKey(t.Context(), tc.shape, tc.wrapped, nil)
		want(t, name, oracle.Refusal(err), "400 InvalidParameter")
		refused, ok := common.IsServiceError(err)
		if !ok {
			continue
		}
		if message == "" {
			message = refused.GetMessage()
		}
		if refused.GetMessage() != message {
			t.Errorf("%s: %q, the others %q", name, refused.GetMessage(), message)
		}
	}
	token, wrapped := common.String("once"), i.wrapped(t, byOAEP, good)
	first, err := i.importKey(t.Context(), aesShape(32), wrapped, token)
	if err != nil {
		t.Fatalf("ImportKey: %v", err)
	}
	again, err := i.importKey(t.Context(), aesShape(32), wrapped, token)
	if err != nil || *again.Id != *first.Id {
		t.Errorf("ImportKey with the same retry token: %v, %v", again, err)
	}
	hsm, err := i.Management.CreateKey(t.Context(), keymanagement.CreateKeyRequest{CreateKeyDetails: keymanagement.CreateKeyDetails{
		CompartmentId: &i.compartment, DisplayName: common.String("hsm"), KeyShape: new(aesShape(32)),
	}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = i.exportKey(t.Context(), *hsm.Id, keymanagement.ExportKeyDetailsAlgorithmAesSha256)
	want(t, "ExportKey of an HSM key", oracle.Refusal(err), "400 InvalidParameter")
}

// What was wrapped before a restart comes in after it, and what came in before is still there.
func TestOCIImportAndRestart(t *testing.T) {
	t.Parallel()
	newWorkshop(t)
	data := t.TempDir()
	server := start(t, live.Options{Data: data})
	i := newImporter(t, throughOCI(t, server))
	early, late := bytes.Repeat([]byte{1}, 32), i.wrapped(t, byAES, bytes.Repeat([]byte{2}, 32))
	k, err := i.importKey(t.Context(), aesShape(32), i.wrapped(t, byOAEP, early), nil)
	if err != nil {
		t.Fatal(err)
	}
	server.Kill()

	i.oci = throughOCI(t, start(t, live.Options{Data: data}))
	if !bytes.Equal(i.wrappingKey(t), i.wrapping) {
		t.Error("the wrapping key is another one after a restart")
	}
	if got := i.exported(t, *k.Id, keymanagement.ExportKeyDetailsAlgorithmSha256); !bytes.Equal(got, early) {
		t.Error("what was imported before the restart is other material")
	}
	if _, err := i.importVersion(t.Context(), *k.Id, late); err != nil {
		t.Errorf("ImportKeyVersion of what was wrapped before the restart: %v", err)
	}
}
