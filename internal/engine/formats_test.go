// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"claviger/internal/keys"
	"claviger/internal/secret"
)

// docVector is one fenced block of docs/formats.md: its fields by name.
type docVector map[string]string

// docVectors reads every block of the kind, each field of which must be among names.
func docVectors(t *testing.T, kind string, names ...string) []docVector {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "formats.md"))
	if err != nil {
		t.Fatal(err)
	}
	var out []docVector
	blocks := strings.Split(string(text), "```vector "+kind+"\n")[1:]
	for _, block := range blocks {
		body, _, _ := strings.Cut(block, "\n```\n")
		v := make(docVector)
		for line := range strings.Lines(body) {
			name, value, ok := strings.Cut(line, "=")
			if !ok {
				t.Fatalf("vector line %q", line)
			}
			v[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
		for _, name := range names {
			if _, ok := v[name]; !ok {
				t.Fatalf("%s vector without %q: %v", kind, name, v)
			}
		}
		if len(v) != len(names) {
			t.Fatalf("%s vector has fields besides %q: %v", kind, names, v)
		}
		out = append(out, v)
	}
	if len(out) == 0 {
		t.Fatalf("docs/formats.md has no %s vector", kind)
	}
	return out
}

func (v docVector) hex(t *testing.T, name string) []byte {
	t.Helper()
	b, err := hex.DecodeString(v[name])
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return b
}

func (v docVector) id(t *testing.T, name string) keys.ID {
	t.Helper()
	id, err := keys.ParseID(v[name])
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return id
}

func TestFormatsEnvelope(t *testing.T) {
	t.Parallel()
	covered := make(map[keys.Spec]bool)
	for _, v := range docVectors(t, "envelope", "spec", "material", "key", "version", "flags", "salt",
		"context", "plaintext", "commitment", "envelope") {
		spec, keyID := keys.Spec(v["spec"]), v.id(t, "key")
		covered[spec] = true
		k, err := Open(spec, secret.New(v.hex(t, "material")))
		if err != nil {
			t.Fatal(err)
		}
		h := Header{Version: v.id(t, "version"), Suite: suiteOf(spec), Flags: Flags(v.hex(t, "flags")[0])}
		plaintext, context, want := v.hex(t, "plaintext"), v.hex(t, "context"), v.hex(t, "envelope")
		got, err := k.Seal(bytes.NewReader(v.hex(t, "salt")), keyID, h, context, plaintext)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s sealed %v\n got %x\nwant %x", spec, err, got, want)
		}
		if !bytes.Equal(want[commitAt:bodyAt], v.hex(t, "commitment")) {
			t.Errorf("%s: the commitment is not in its place", spec)
		}
		opened, gotHeader, err := k.Unseal(keyID, want, context)
		if err != nil || !bytes.Equal(opened, plaintext) || gotHeader != h {
			t.Errorf("%s opened %x, %+v, %v", spec, opened, gotHeader, err)
		}
	}
	for _, spec := range symmetric() {
		if !covered[spec] {
			t.Errorf("no vector for %s", spec)
		}
	}
}

func TestFormatsContext(t *testing.T) {
	t.Parallel()
	for _, v := range docVectors(t, "context", "pairs", "bytes") {
		var pairs map[string]string
		if err := json.Unmarshal([]byte(v["pairs"]), &pairs); err != nil {
			t.Fatal(err)
		}
		got, err := CanonicalContext(pairs)
		if err != nil || hex.EncodeToString(got) != v["bytes"] {
			t.Errorf("%s: %v\n got %x\nwant %s", v["pairs"], err, got, v["bytes"])
		}
	}
}

func TestFormatsMaterial(t *testing.T) {
	t.Parallel()
	for _, v := range docVectors(t, "material", "spec", "random", "private", "public") {
		m, err := Generate(bytes.NewReader(v.hex(t, "random")), keys.Spec(v["spec"]))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(m.Private.Reveal(), v.hex(t, "private")) || !bytes.Equal(m.Public, v.hex(t, "public")) {
			t.Errorf("%s differs:\nprivate %x\n public %x", v["spec"], m.Private.Reveal(), m.Public)
		}
	}
}

func TestFormatsSM2(t *testing.T) {
	t.Parallel()
	for _, v := range docVectors(t, "sm2", "private", "ephemeral", "plaintext", "der", "bare") {
		m, err := Generate(bytes.NewReader(v.hex(t, "private")), keys.SM2)
		if err != nil {
			t.Fatal(err)
		}
		k, err := Open(keys.SM2, m.Private)
		if err != nil {
			t.Fatal(err)
		}
		plaintext := v.hex(t, "plaintext")
		got, err := k.Encrypt(bytes.NewReader(v.hex(t, "ephemeral")), keys.SM2PKE, plaintext)
		if err != nil || !bytes.Equal(got, v.hex(t, "der")) {
			t.Errorf("encrypted to %x, %v", got, err)
		}
		for _, form := range []string{"der", "bare"} {
			if got, err := k.Decrypt(keys.SM2PKE, v.hex(t, form)); err != nil || !bytes.Equal(got, plaintext) {
				t.Errorf("%s: %x, %v", form, got, err)
			}
		}
	}
}
