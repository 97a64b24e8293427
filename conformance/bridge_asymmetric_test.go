// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/oracle/oci-go-sdk/v65/keymanagement"

	"claviger/conformance/internal/alibaba"
	"claviger/conformance/internal/live"
)

// Algorithms by Alibaba's name, with OCI's name of the same.
var (
	rsaSignatures  = map[string]string{"RSA_PSS_SHA_256": "SHA_256_RSA_PKCS_PSS", "RSA_PKCS1_SHA_256": "SHA_256_RSA_PKCS1_V1_5"}
	ecSignatures   = map[string]string{"ECDSA_SHA_256": "ECDSA_SHA_256"}
	rsaEncryptions = map[string]string{"RSAES_OAEP_SHA_256": "RSA_OAEP_SHA_256", "RSAES_OAEP_SHA_1": "RSA_OAEP_SHA_1"}
)

// pair is one asymmetric key under both APIs.
type pair struct {
	*bridge
	create     func(t *testing.T, p *pair) string // in either cloud; returns its id there
	signing    map[string]string
	encryption map[string]string
	versions   []live.Names // oldest first
}

// createdByOCI and createdByAlibaba say where a pair's key begins its life.
func createdByOCI(shape keymanagement.KeyShape) func(*testing.T, *pair) string {
	return func(t *testing.T, p *pair) string { return *p.oci.createKey(t, shape).Id }
}

func createdByAlibaba(spec, usage string) func(*testing.T, *pair) string {
	return func(t *testing.T, p *pair) string { return p.ali[alibaba.V1].createKey(t, spec, usage).KeyID }
}

// One RSA or EC key under two APIs: rotated through both, signed and sealed through each, verified
// and opened through the other.
func TestBridgeAsymmetric(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	var cast []*pair
	for _, test := range []struct {
		name string
		pair pair
	}{
		{"OCI RSA-2048", pair{create: createdByOCI(rsaShape(256)), signing: rsaSignatures, encryption: rsaEncryptions}},
		{"OCI RSA-3072", pair{create: createdByOCI(rsaShape(384)), signing: rsaSignatures, encryption: rsaEncryptions}},
		{"OCI RSA-4096", pair{create: createdByOCI(rsaShape(512)), signing: rsaSignatures, encryption: rsaEncryptions}},
		{"OCI P-256", pair{create: createdByOCI(ecShape(keymanagement.KeyShapeCurveIdP256)), signing: ecSignatures}},
		{"Alibaba RSA_2048 sign", pair{create: createdByAlibaba("RSA_2048", forSigning), signing: rsaSignatures}},
		{"Alibaba RSA_2048 encrypt", pair{create: createdByAlibaba("RSA_2048", forEncryption), encryption: rsaEncryptions}},
		{"Alibaba EC_P256", pair{create: createdByAlibaba("EC_P256", forSigning), signing: ecSignatures}},
	} {
		test.pair.bridge = newBridge(t, server, test.name)
		cast = append(cast, &test.pair)
	}
	weekPasses := func(t *testing.T) { server.Admin.Advance(t, week) }
	tell(t, cast, []chapter[*pair]{
		{name: "create", live: pairCreate},
		{name: "rotate through OCI", live: pairRotateOCI},
		{name: "rotate through Alibaba", before: weekPasses, live: pairRotateAlibaba},
		{name: "rotate through Alibaba again", before: weekPasses, live: pairRotateAlibaba},
		{name: "rotate through OCI again", live: pairRotateOCI},
		{name: "public keys", live: pairPublicKeys},
		{name: "sign and verify", live: pairSignatures},
		{name: "encrypt and decrypt", live: pairEncryption},
	})
}

func pairCreate(t *testing.T, p *pair) {
	p.named(t, p.create(t, p))
	p.remember(t, 1)
}

// remember notes the versions' names, of which there must be count.
func (p *pair) remember(t *testing.T, count int) {
	t.Helper()
	p.versions = nil
	for _, v := range p.server.Admin.Key(t, p.ociID).Versions {
		p.versions = append(p.versions, v.Names)
	}
	var ids []string
	for _, v := range p.versions {
		ids = append(ids, v.Alibaba)
	}
	if diff := cmp.Diff(ids, p.ali[alibaba.Classic].versions(t, p.aliID)); diff != "" {
		t.Errorf("versions in the admin API and in Alibaba's list differ:\n%s", diff)
	}
	if len(ids) != count {
		t.Fatalf("%d versions, want %d", len(ids), count)
	}
}

func pairRotateOCI(t *testing.T, p *pair) {
	made := p.oci.createVersion(t, p.ociID)
	p.remember(t, len(p.versions)+1)
	want(t, "newest version", p.versions[len(p.versions)-1].OCI, *made.Id)
	want(t, "LastRotationDate", p.ali[alibaba.ACS3].key(t, p.aliID).LastRotationDate,
		made.TimeCreated.UTC().Format("2006-01-02T15:04:05Z"))
	want(t, "CreateKeyVersion right after OCI's", p.ali[alibaba.ACS3].refusal("CreateKeyVersion", alibaba.Params{"KeyId": p.aliID}),
		"400 Rejected.UnsupportedOperation")
}

func pairRotateAlibaba(t *testing.T, p *pair) {
	made := p.ali[alibaba.Classic].must(t, "CreateKeyVersion", alibaba.Params{"KeyId": p.aliID}).KeyVersion
	p.remember(t, len(p.versions)+1)
	newest := p.versions[len(p.versions)-1]
	want(t, "newest version", newest.Alibaba, made.KeyVersionID)
	want(t, "OCI's current version", p.versionOCI(t), newest.OCI)
}

func pairPublicKeys(t *testing.T, p *pair) {
	for _, v := range p.versions {
		through := p.oci.version(t, p.ociID, v.OCI)
		other := p.ali[alibaba.ACS3].must(t, "GetPublicKey", alibaba.Params{"KeyId": p.aliID, "KeyVersionId": v.Alibaba})
		if through.PublicKey == nil {
			t.Fatal("OCI shows no public key")
		}
		if a, b := publicKey(t, *through.PublicKey), publicKey(t, other.PublicKey); a != b {
			t.Errorf("version %s has one public key in OCI and another in Alibaba", v.OCI)
		}
	}
}

func pairSignatures(t *testing.T, p *pair) {
	current := p.versionOCI(t)
	for aliName, ociName := range p.signing {
		digest := digestFor(t, aliName, "message")
		signed, err := p.oci.sign(t.Context(), p.ociID, digest, ociName)
		if err != nil {
			t.Fatalf("Sign: %v", err)
		}
		want(t, "version used by Sign", *signed.KeyVersionId, current)
		for i, v := range p.versions {
			for g, client := range p.ali {
				if got, wanted := client.verify(t, p.aliID, v.Alibaba, aliName, digest, *signed.Signature), v.OCI == current; got != wanted {
					t.Errorf("%s: version %d verifies OCI's signature: %t, want %t", g, i, got, wanted)
				}
				signature := client.sign(t, p.aliID, v.Alibaba, aliName, digest)
				for j, other := range p.versions {
					valid, err := p.oci.verify(t.Context(), p.ociID, other.OCI, digest, signature, ociName)
					if err != nil {
						t.Fatalf("Verify: %v", err)
					}
					if valid != (i == j) {
						t.Errorf("OCI: version %d verifies a signature of version %d made through %s: %t", j, i, g, valid)
					}
				}
			}
		}
	}
}

func pairEncryption(t *testing.T, p *pair) {
	text := base64.StdEncoding.EncodeToString([]byte("message"))
	for aliName, ociName := range p.encryption {
		sealed, err := p.oci.encrypt(t.Context(), p.ociID, []byte("message"), nil, ociName)
		if err != nil {
			t.Fatalf("Encrypt: %v", err)
		}
		newest := p.versions[len(p.versions)-1]
		for g, client := range p.ali {
			opened := client.must(t, "AsymmetricDecrypt", alibaba.Params{
				"KeyId": p.aliID, "KeyVersionId": newest.Alibaba, "Algorithm": aliName, "CiphertextBlob": *sealed.Ciphertext,
			})
			want(t, fmt.Sprintf("%s: plaintext", g), opened.Plaintext, text)
			for _, v := range p.versions {
				sealed := client.must(t, "AsymmetricEncrypt", alibaba.Params{
					"KeyId": p.aliID, "KeyVersionId": v.Alibaba, "Algorithm": aliName, "Plaintext": text,
				})
				for _, named := range []string{"", v.OCI} {
					opened, err := p.oci.decrypt(t.Context(), p.ociID, named, sealed.CiphertextBlob, nil, ociName)
					if err != nil {
						t.Fatalf("Decrypt: %v", err)
					}
					want(t, "plaintext through OCI", string(opened), "message")
				}
			}
		}
	}
}

// publicKey parses a PEM public key and returns its canonical DER.
func publicKey(t *testing.T, text string) string {
	t.Helper()
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "PUBLIC KEY" || len(rest) != 0 {
		t.Fatalf("not a public key in PEM:\n%s", text)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(der)
}
