// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/base64"
	"fmt"
	"testing"

	"claviger/conformance/internal/alibaba"
	"claviger/conformance/internal/live"
	"claviger/conformance/internal/oracle"
)

// sealedText is a ciphertext with what it holds, made through one of the clouds.
type sealedText struct {
	made       string // who sealed it, for messages
	plaintext  []byte
	ciphertext string
}

// bridge is one key as both clouds call it, with everything that was sealed under it.
type bridge struct {
	oci    oci
	ali    map[alibaba.Generation]ali
	server *live.Process
	name   string
	ociID  string
	aliID  string
	sealed []sealedText
}

func (b *bridge) String() string { return b.name }

func newBridge(t *testing.T, server *live.Process, name string) *bridge {
	t.Helper()
	b := &bridge{server: server, name: name, oci: throughOCI(t, server), ali: map[alibaba.Generation]ali{}}
	for _, g := range alibaba.Generations() {
		b.ali[g] = throughAlibaba(t, server, g)
	}
	return b
}

// named fills in both clouds' ids from either.
func (b *bridge) named(t *testing.T, id string) {
	t.Helper()
	names := b.server.Admin.Key(t, id).Names
	if b.ociID, b.aliID = names.OCI, names.Alibaba; b.ociID == "" || b.aliID == "" {
		t.Fatalf("key %s is not visible in both clouds: %+v", id, names)
	}
}

// versionOCI is the current version as OCI names it.
func (b *bridge) versionOCI(t *testing.T) string {
	return *b.oci.key(t, b.ociID).CurrentKeyVersion
}

// seal seals something through each client under the current version.
func (b *bridge) seal(t *testing.T) {
	t.Helper()
	version := b.versionOCI(t)
	plaintext := []byte(fmt.Sprintf("%s %d", version, len(b.sealed)))
	through, err := b.oci.encrypt(t.Context(), b.ociID, plaintext, aliContext, "")
	if err != nil {
		t.Fatalf("Encrypt: %v", err)
	}
	b.sealed = append(b.sealed, sealedText{"OCI", plaintext, *through.Ciphertext})
	for g, client := range b.ali {
		reply := client.must(t, "Encrypt", alibaba.Params{
			"KeyId": b.aliID, "Plaintext": base64.StdEncoding.EncodeToString(plaintext), "EncryptionContext": aliContext,
		})
		b.sealed = append(b.sealed, sealedText{string(g), plaintext, reply.CiphertextBlob})
	}
}

// openAll opens everything that was ever sealed, through every client, and with a wrong context through none.
func (b *bridge) openAll(t *testing.T) {
	t.Helper()
	for _, s := range b.sealed {
		opened, err := b.oci.decrypt(t.Context(), b.ociID, "", s.ciphertext, aliContext, "")
		if err != nil {
			t.Fatalf("OCI's Decrypt of what %s sealed: %v", s.made, err)
		}
		want(t, "plaintext through OCI of what "+s.made+" sealed", string(opened), string(s.plaintext))
		_, err = b.oci.decrypt(t.Context(), b.ociID, "", s.ciphertext, nil, "")
		want(t, "OCI's Decrypt without the context", oracle.Refusal(err), "400 InvalidParameter")
		for g, client := range b.ali {
			reply := client.must(t, "Decrypt", alibaba.Params{"CiphertextBlob": s.ciphertext, "EncryptionContext": aliContext})
			want(t, fmt.Sprintf("plaintext through %s of what %s sealed", g, s.made),
				reply.Plaintext, base64.StdEncoding.EncodeToString(s.plaintext))
			want(t, "KeyId of Decrypt", reply.KeyID, b.aliID)
			want(t, "Decrypt without the context", client.refusal("Decrypt", alibaba.Params{"CiphertextBlob": s.ciphertext}),
				"400 InvalidParameter")
		}
	}
}

// One AES key under two APIs: sealed through either, rotated through both, opened through both.
func TestBridgeAES(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	var cast []*bridge
	for _, name := range []string{"made by OCI, 128", "made by OCI, 192", "made by OCI, 256", "made by Alibaba, 256"} {
		cast = append(cast, newBridge(t, server, name))
	}
	weekPasses := func(t *testing.T) { server.Admin.Advance(t, week) }
	chapters := []chapter[*bridge]{
		{name: "create", live: bridgeCreateAES},
		{name: "rotate through OCI", live: bridgeRotateOCI},
		{name: "rotate automatically from now on", live: func(t *testing.T, b *bridge) {
			b.ali[alibaba.ACS3].must(t, "UpdateRotationPolicy", alibaba.Params{
				"KeyId": b.aliID, "EnableAutomaticRotation": true, "RotationInterval": "7d",
			})
		}},
	}
	for range 3 {
		chapters = append(chapters, chapter[*bridge]{name: "the interval passes", before: weekPasses, live: bridgeRotated})
	}
	chapters = append(chapters, chapter[*bridge]{name: "rotate through OCI again", live: bridgeRotateOCI})
	tell(t, cast, append(chapters, chapter[*bridge]{name: "open all", live: func(t *testing.T, b *bridge) {
		if got, wanted := len(b.sealed), 4*8; got != wanted { // four clients, eight versions
			t.Fatalf("%d ciphertexts, want %d", got, wanted)
		}
		b.openAll(t)
	}}))
}

func bridgeCreateAES(t *testing.T, b *bridge) {
	switch b.name {
	case "made by OCI, 128":
		b.named(t, *b.oci.createKey(t, aesShape(16)).Id)
		want(t, "KeySpec", b.ali[alibaba.ACS3].key(t, b.aliID).KeySpec, "Aliyun_AES_128")
	case "made by OCI, 192":
		b.named(t, *b.oci.createKey(t, aesShape(24)).Id)
		want(t, "KeySpec", b.ali[alibaba.ACS3].key(t, b.aliID).KeySpec, "Aliyun_AES_192")
	case "made by OCI, 256":
		b.named(t, *b.oci.createKey(t, aesShape(32)).Id)
		want(t, "KeySpec", b.ali[alibaba.ACS3].key(t, b.aliID).KeySpec, "Aliyun_AES_256")
	default:
		b.named(t, b.ali[alibaba.ACS3].createKey(t, "Aliyun_AES_256", forEncryption).KeyID)
		key := b.oci.key(t, b.ociID)
		if shape := key.KeyShape; shape.Algorithm != "AES" || *shape.Length != 32 {
			t.Errorf("OCI shows key shape %v", shape)
		}
		want(t, "vault", *key.VaultId, b.server.Ready.OCI.VaultID)
	}
	b.seal(t)
}

// bridgeRotateOCI makes two versions.
func bridgeRotateOCI(t *testing.T, b *bridge) {
	for range 2 {
		made := b.oci.createVersion(t, b.ociID)
		names := b.server.Admin.Key(t, b.aliID)
		newest := names.Versions[len(names.Versions)-1]
		want(t, "newest version as the admin API names it", newest.Names.OCI, *made.Id)
		want(t, "PrimaryKeyVersion", b.ali[alibaba.ACS3].key(t, b.aliID).PrimaryKeyVersion, newest.Names.Alibaba)
		b.seal(t)
	}
}

// bridgeRotated finds the version that the schedule made.
func bridgeRotated(t *testing.T, b *bridge) {
	versions := b.oci.pages(t, b.ociID, 1000, "")[0]
	newest := versions[0]
	want(t, "current version", b.versionOCI(t), *newest.Id)
	if newest.IsAutoRotated == nil || !*newest.IsAutoRotated {
		t.Error("OCI does not show the version as made by the schedule (isAutoRotated)")
	}
	if listed := b.ali[alibaba.V1].versions(t, b.aliID); len(listed) != len(versions) {
		t.Errorf("Alibaba lists %d versions, OCI %d", len(listed), len(versions))
	}
	b.seal(t)
}

// Alibaba's plaintext is text, OCI's is base64 of bytes. Text that is not base64 survives both ways.
func TestBridgeOpaquePlaintext(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	b := newBridge(t, server, "opaque")
	b.named(t, *b.oci.createKey(t, aesShape(32)).Id)
	for _, text := range []string{"plaintext", "not base64!", "SGVsbG8", "SGVs\nbG8=", "ключ", "SGVsbG8="} {
		for g, client := range b.ali {
			sealed := client.must(t, "Encrypt", alibaba.Params{"KeyId": b.aliID, "Plaintext": text})
			opened := client.must(t, "Decrypt", alibaba.Params{"CiphertextBlob": sealed.CiphertextBlob})
			want(t, fmt.Sprintf("%s's plaintext", g), opened.Plaintext, text)
			wanted := text
			if text == "SGVsbG8=" { // canonical base64 is sealed as its bytes
				wanted = "Hello"
			}
			through, err := b.oci.decrypt(t.Context(), b.ociID, "", sealed.CiphertextBlob, nil, "")
			if err != nil {
				t.Errorf("OCI's Decrypt of %q: %v", text, err)
			}
			want(t, "plaintext through OCI", string(through), wanted)
		}
	}
}

// Absent and empty contexts are the same, in both clouds.
func TestBridgeEmptyContext(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	b := newBridge(t, server, "empty context")
	b.named(t, *b.oci.createKey(t, aesShape(32)).Id)
	sealed, err := b.oci.encrypt(t.Context(), b.ociID, []byte("Hello"), map[string]string{}, "")
	if err != nil {
		t.Fatal(err)
	}
	for g, client := range b.ali {
		for _, params := range []alibaba.Params{
			{"CiphertextBlob": *sealed.Ciphertext},
			{"CiphertextBlob": *sealed.Ciphertext, "EncryptionContext": map[string]string{}},
		} {
			want(t, string(g), client.must(t, "Decrypt", params).Plaintext, "SGVsbG8=")
		}
	}
}
