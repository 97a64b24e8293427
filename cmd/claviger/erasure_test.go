// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"claviger/internal/keys"
)

// filesHolding lists the files below dir that hold any 16 bytes in a row of a secret: what is
// left of a page that was partly overwritten counts too.
func filesHolding(t *testing.T, dir string, secret []byte) []string {
	t.Helper()
	const window = 16
	if len(secret) < 2*window {
		t.Fatalf("%d bytes are too few to search for", len(secret))
	}
	found := map[string]bool{}
	err := filepath.WalkDir(dir, func(name string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for at := 0; at+window <= len(secret); at++ {
			if bytes.Contains(content, secret[at:at+window]) {
				found[filepath.Base(name)] = true
				break
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range found {
		names = append(names, name)
	}
	return names
}

// doomed is a key of which something is erased.
type doomed struct {
	schedule       func(*testing.T, *caller)
	key, version   string // OCIDs; version "" is the whole key
	gone, kept     string // ciphertexts of what is erased and what is not; "" where the key cannot encrypt
	ids            []keys.ID
	sealedMaterial [][]byte
}

// doom makes a key with two versions, of which the first or the whole is to be erased.
func doom(t *testing.T, c *caller, shape map[string]any, whole bool) *doomed {
	t.Helper()
	ctx := t.Context()
	encrypts := shape["algorithm"] == "AES"
	d := &doomed{key: must(t, "create key", c.createKey(ctx, "doomed", shape, "")).text("id")}
	first := c.currentVersion(ctx, t, d.key)
	if encrypts {
		d.gone = must(t, "encrypt", c.encrypt(ctx, d.key, []byte("gone"))).text("ciphertext")
	}
	must(t, "create version", c.createVersion(ctx, d.key, ""))
	if encrypts {
		d.kept = must(t, "encrypt", c.encrypt(ctx, d.key, []byte("kept"))).text("ciphertext")
	}
	for _, v := range c.show(ctx, t, d.key).Versions {
		if whole || v.Names["oci"] == first {
			d.ids = append(d.ids, v.ID)
		}
	}
	path := "actions/scheduleDeletion"
	if !whole {
		d.version = first
		path = "keyVersions/" + d.version + "/" + path
	}
	d.schedule = func(t *testing.T, c *caller) {
		t.Helper()
		must(t, "schedule deletion", c.act(t.Context(), d.key, path))
	}
	return d
}

// doomImported makes a key with imported material, which is over at some time, or is deleted.
func doomImported(t *testing.T, c *caller, over string) *doomed {
	t.Helper()
	ctx := t.Context()
	key := must(t, "create key", c.alibaba(ctx, "CreateKey", "Origin", "EXTERNAL")).text("KeyMetadata", "KeyId")
	under := must(t, "parameters", c.alibaba(ctx, "GetParametersForImport", "KeyId", key, "WrappingKeySpec", "RSA_2048", "WrappingAlgorithm", "RSAES_OAEP_SHA_256"))
	must(t, "import", c.alibaba(ctx, "ImportKeyMaterial", "KeyId", key, "ImportToken", under.text("ImportToken"),
		"EncryptedKeyMaterial", wrapOAEP(t, under.text("PublicKey"), bytes.Repeat([]byte(key[:2]), 16)), "KeyMaterialExpireUnix", over))
	shown := c.show(ctx, t, key)
	d := &doomed{key: shown.Names["oci"], ids: []keys.ID{shown.Versions[0].ID}}
	d.gone = must(t, "encrypt", c.encrypt(ctx, d.key, []byte("gone"))).text("ciphertext")
	d.schedule = func(t *testing.T, c *caller) {
		t.Helper()
		if over == "" {
			must(t, "delete material", c.alibaba(t.Context(), "DeleteKeyMaterial", "KeyId", key))
		}
	}
	return d
}

// wrapOAEP wraps material under a public key in base64, and answers in base64.
func wrapOAEP(t *testing.T, public string, material []byte) string {
	t.Helper()
	der, err := base64.StdEncoding.DecodeString(public)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, key.(*rsa.PublicKey), material, nil)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(wrapped)
}

// testErasure follows the sealed material of versions, of whole keys and of imports to its end:
// when its time is over no file of the server holds it.
func testErasure(t *testing.T, binary string) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	ctx := t.Context()
	s := start(t, launch{binary: binary, data: data})
	c := newCaller(t, s)
	var all []*doomed
	for _, shape := range []map[string]any{aes256(), rsa2048(), p256()} {
		all = append(all, doom(t, c, shape, false), doom(t, c, shape, true))
	}
	soon := time.Now().Add(24 * time.Hour).Unix()
	all = append(all, doomImported(t, c, ""), doomImported(t, c, strconv.FormatInt(soon, 10)))
	s.stop(t)
	for _, d := range all {
		d.sealedMaterial = sealed(t, data, d.ids...)
	}

	s = start(t, launch{binary: binary, data: data})
	c = newCaller(t, s)
	for _, d := range all {
		for _, secret := range d.sealedMaterial {
			if len(filesHolding(t, data, secret)) == 0 {
				t.Errorf("the material of %s is in no file before its erasure: the search cannot find it", d.key)
			}
		}
		d.schedule(t, c)
	}
	must(t, "move the clock", c.admin(ctx, http.MethodPost, "clock", map[string]any{"advance": "720h"})) // 30 days
	gone := func(when string) {
		t.Helper()
		for _, d := range all {
			for _, secret := range d.sealedMaterial {
				if files := filesHolding(t, data, secret); len(files) > 0 {
					t.Errorf("%s %v hold material of %s, which is erased", when, files, d.key)
				}
			}
		}
	}
	gone("while the server runs")
	for _, d := range all {
		if d.gone == "" {
			continue
		}
		if a := c.decrypt(ctx, d.key, d.gone); a.ok() || a.err != nil {
			t.Errorf("a ciphertext of erased material: %s", a)
		}
		if d.version != "" {
			c.opens(ctx, t, d.key, d.kept, []byte("kept"))
		}
	}
	s.stop(t)
	gone("after the server stopped")
	s = start(t, launch{binary: binary, data: data})
	gone("after a restart")
	s.kill()
	gone("after a kill")
}
