// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

func TestEverySpecIsShownOrHidden(t *testing.T) {
	t.Parallel()
	hidden := map[keys.Spec]bool{
		keys.SM2: true, keys.SM4: true, keys.SECP256K1: true,
		keys.HMACSHA224: true, keys.HMACSHA256: true, keys.HMACSHA384: true, keys.HMACSHA512: true, keys.HMACSM3: true,
	}
	for _, spec := range keys.Specs() {
		sh, shown := shapeOf(spec)
		if shown == hidden[spec] {
			t.Errorf("%s: shown is %v", spec, shown)
		}
		if shown {
			q := keyShapeDetails{given: true, algorithm: sh.algorithm, length: &sh.length, curve: sh.curve}
			if got, err := q.spec(); err != nil || got != spec {
				t.Errorf("%s: its shape makes %s, %v", spec, got, err)
			}
		}
	}
	if got := len(specsOf("", 0, "")); got != len(keys.Specs())-len(hidden) {
		t.Errorf("a list without filters asks for %d specs", got)
	}
}

func TestEveryStateHasANameOfOCIs(t *testing.T) {
	t.Parallel()
	for state, want := range map[keys.State]string{
		keys.Active: "ACTIVE", keys.Enabled: "ENABLED", keys.Disabled: "DISABLED", keys.PendingImport: "DISABLED",
		keys.PendingDeletion: "PENDING_DELETION", keys.Deleted: "DELETED",
	} {
		if got := stateName(state); got != want {
			t.Errorf("%s is shown as %s, want %s", state, got, want)
		}
	}
	v := &kms.Version{State: keys.Enabled}
	if versionState(v) != keys.Enabled {
		t.Error("an enabled version of a living key is not shown as enabled")
	}
	v.OfKey.State = keys.Deleted
	if versionState(v) != keys.Deleted {
		t.Error("a deleted key's version is not shown as deleted")
	}
	for origin, want := range map[keys.Origin]string{keys.Generated: "INTERNAL", keys.Imported: "EXTERNAL", keys.External: "EXTERNAL"} {
		if got := originName(origin); got != want {
			t.Errorf("origin %s is shown as %s, want %s", origin, got, want)
		}
	}
	for _, p := range []keys.Protection{keys.HSM, keys.Software} {
		if nameOf(protectionModes, p) != string(p) {
			t.Errorf("protection %s is shown as %q", p, nameOf(protectionModes, p))
		}
	}
}

// The page of divergences has every cell of the projection.
func TestDivergencesNameEveryCell(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/divergences-oci.md")
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, spec := range keys.Specs() {
		words = append(words, string(spec))
	}
	for _, state := range []keys.State{keys.Active, keys.PendingImport, keys.Enabled, keys.Disabled, keys.PendingDeletion, keys.Deleted} {
		words = append(words, string(state))
	}
	for _, origin := range []keys.Origin{keys.Generated, keys.Imported, keys.External} {
		words = append(words, string(origin))
	}
	words = append(words, string(keys.HSM), string(keys.Software), string(keys.SharedVault), string(keys.PrivateVault))
	for _, word := range words {
		if !strings.Contains(string(page), word) {
			t.Errorf("docs/divergences-oci.md says nothing of %s", word)
		}
	}
}

// Keys that another API made: those that OCI has no name for are neither listed nor found, the
// others are shown as far as OCI has words for them.
func TestKeysOfOtherAPIs(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	hidden := map[keys.Spec]string{}
	for _, spec := range keys.Specs() {
		if Visible(&keys.Key{Spec: spec}) {
			continue
		}
		k := r.systemKey(t, kms.NewKey{Spec: spec, Usages: spec.Usages(), Origin: keys.Generated, Protection: keys.Software})
		hidden[spec] = r.dialect.Namer().KeyName(&k.Key)
	}
	signer := r.systemKey(t, kms.NewKey{Description: "only signs", Spec: keys.RSA2048, Usages: keys.UsageSign, Origin: keys.Generated, Protection: keys.Software})
	url := r.vault(r.Tenant) + "/20180608/keys"

	got := r.call(t, r.Tenant, "GET", url+"?compartmentId="+r.Tenant.Names[Name], nil)
	if got.status != http.StatusOK || strings.Count(string(got.body), `"id"`) != 1 {
		t.Errorf("the list: %d %s", got.status, got.body)
	}
	sign := map[string]any{"message": "AAAA", "signingAlgorithm": "ECDSA_SHA_256"}
	for spec, name := range hidden {
		for method, path := range map[string]string{"GET": "", "POST": "/actions/disable", "PUT": ""} {
			if got := r.call(t, r.Tenant, method, url+"/"+name+path, nil).refusal(t); got != "404 NotAuthorizedOrNotFound" {
				t.Errorf("%s%s of a hidden %s key: %s", method, path, spec, got)
			}
		}
		sign["keyId"] = name
		for operation, body := range map[string]map[string]any{
			"sign": sign, "encrypt": {"keyId": name, "plaintext": "AAAA"},
			"generateDataEncryptionKey": {"keyId": name, "includePlaintextKey": true, "keyShape": map[string]any{"algorithm": "AES", "length": 32}},
		} {
			if got := r.crypto(t, operation, body); got.refusal(t) != "404 NotAuthorizedOrNotFound" || got.message(t) != textCryptoNotFound {
				t.Errorf("%s with a hidden %s key: %s", operation, spec, got.body)
			}
		}
	}

	shown := r.call(t, r.Tenant, "GET", url+"/"+r.dialect.Namer().KeyName(&signer.Key), nil).object(t)
	if shown["displayName"] != signer.ID.String() {
		t.Errorf("a key without a name is shown as %v", shown["displayName"])
	}
	sign["keyId"], sign["signingAlgorithm"] = shown["id"], "SHA_256_RSA_PKCS_PSS"
	r.crypto(t, "sign", sign).object(t)
	enc := map[string]any{"keyId": shown["id"], "plaintext": "AAAA", "encryptionAlgorithm": "RSA_OAEP_SHA_256"}
	if got := r.crypto(t, "encrypt", enc); got.refusal(t) != "400 InvalidParameter" || !strings.HasSuffix(got.message(t), ": keyId") {
		t.Errorf("encrypting with a key that only signs: %s", got.body)
	}
}

// A ciphertext that another API made of opaque text opens here as its bytes.
func TestOtherAPIsCiphertextOpens(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	k := r.newKey(t, r.Tenant, "AES", 32)
	_, id, _ := ParseName(fmt.Sprint(k["id"]))
	c := r.Call(t, r.Tenant)
	res, err := r.Encrypt(t.Context(), c, kms.EncryptRequest{Key: kms.KeyRef{ID: id}, Plaintext: make([]byte, 6144), Text: true, Context: map[string]string{"a": "b"}})
	c.End()
	if err != nil {
		t.Fatal(err)
	}
	got := r.crypto(t, "decrypt", map[string]any{"keyId": k["id"], "ciphertext": std(res.Ciphertext), "associatedData": map[string]string{"a": "b"}}).object(t)
	if got["plaintext"] != std(make([]byte, 6144)) {
		t.Errorf("%.100v", got)
	}
}

// Names that were carried over from Oracle's cloud stand for keys and versions created here.
func TestNamesCarriedOver(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	k := r.newKey(t, r.Tenant, "AES", 32)
	_, key, _ := ParseName(fmt.Sprint(k["id"]))
	_, version, _ := ParseName(fmt.Sprint(k["currentKeyVersion"]))
	const oldKey = "ocid1.key.oc1.iad.bbpqq6iuaacuu.abuwcljrydh5zgiwwtcrz7fzuurny3ijfhjka3vefnrqcwfd3"
	const oldVersion = "ocid1.keyversion.oc1.iad.bbpqq6iuaacuu.bcqlm2r2dxaac.abtheljsydh5zgiwwtcrz7fzuurny3ijfhjka3vefnrqcwfd3"
	r.carryOver(t, keys.TypeKey, oldKey, key)
	r.carryOver(t, keys.TypeVersion, oldVersion, version)
	url := r.vault(r.Tenant) + "/20180608/keys/"
	if got := r.call(t, r.Tenant, "GET", url+oldKey, nil).object(t); got["id"] != k["id"] {
		t.Errorf("the key is %v", got["id"])
	}
	if got := r.call(t, r.Tenant, "GET", url+oldKey+"/keyVersions/"+oldVersion, nil).object(t); got["id"] != k["currentKeyVersion"] {
		t.Errorf("the version is %v", got["id"])
	}
	sealed := r.crypto(t, "encrypt", map[string]any{"keyId": oldKey, "keyVersionId": oldVersion, "plaintext": "aGVsbG8="}).object(t)
	if sealed["keyId"] != k["id"] || sealed["keyVersionId"] != k["currentKeyVersion"] {
		t.Errorf("encrypted by %v", sealed)
	}
	const oldVault = "ocid1.vault.oc1.iad.bbpqq6iuaacuu.abuwcljrydh5zgiwwtcrz7fzuurny3ijfhjka3vefnrqcwfd3"
	r.carryOver(t, keys.TypeVault, oldVault, r.Tenant.Vault)
	if got := r.call(t, r.Tenant, "GET", r.region.URL+"/20180608/vaults/"+oldVault, nil).object(t); got["id"] != k["vaultId"] {
		t.Errorf("the vault is %v", got["id"])
	}
	if got := r.call(t, r.Other, "GET", r.region.URL+"/20180608/vaults/"+oldVault, nil).refusal(t); got != "404 NotAuthorizedOrNotFound" {
		t.Errorf("another tenant's vault: %s", got)
	}
	// Another tenant's names are not one's own, and a version's is not a key's.
	if got := r.call(t, r.Other, "GET", r.vault(r.Other)+"/20180608/keys/"+oldKey, nil).refusal(t); got != "404 NotAuthorizedOrNotFound" {
		t.Errorf("another tenant's: %s", got)
	}
	if got := r.call(t, r.Tenant, "GET", url+oldVersion, nil).refusal(t); got != "404 NotAuthorizedOrNotFound" {
		t.Errorf("a version's name for a key: %s", got)
	}
}
