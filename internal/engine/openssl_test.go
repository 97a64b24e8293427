// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"crypto/rand"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"claviger/internal/keys"
	"claviger/internal/secret"
)

// opensslDir is a directory with the files of one key, in which openssl runs.
type opensslDir struct{ path string }

// newOpenSSL skips the test where there is no openssl command.
func newOpenSSL(t *testing.T) opensslDir {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("no openssl command to check against")
	}
	return opensslDir{t.TempDir()}
}

func (d opensslDir) write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(d.path, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (d opensslDir) read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(d.path, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// run fails the test if openssl does. No argument here holds a secret.
func (d opensslDir) run(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "openssl", args...)
	cmd.Dir = d.path
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// opensslHash is the digest of alg as openssl names it.
func opensslHash(alg keys.Algorithm) string {
	return strings.ToLower(strings.ReplaceAll(algorithms[alg].hash.String(), "-", ""))
}

// pkeyutlOptions are the -pkeyopt arguments that make pkeyutl do what alg says.
func pkeyutlOptions(alg keys.Algorithm) []string {
	hash := opensslHash(alg)
	switch algorithms[alg].scheme {
	case schemeOAEP:
		return []string{
			"-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:" + hash, "-pkeyopt", "rsa_mgf1_md:" + hash,
		}
	case schemePSS:
		return []string{
			"-pkeyopt", "digest:" + hash, "-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:digest",
		}
	case schemePKCS1:
		return []string{"-pkeyopt", "digest:" + hash, "-pkeyopt", "rsa_padding_mode:pkcs1"}
	default:
		return nil
	}
}

// TestOpenSSL reads our keys with OpenSSL, and passes signatures and ciphertexts both ways.
func TestOpenSSL(t *testing.T) {
	t.Parallel()
	for _, spec := range asymmetric() {
		t.Run(string(spec), func(t *testing.T) {
			t.Parallel()
			d := newOpenSSL(t)
			m, k := fixedMaterial(t, spec), fixedKey(t, spec)
			d.write(t, "private.der", m.Private.Reveal())
			d.write(t, "public.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: m.Public}))
			d.run(t, "pkey", "-inform", "DER", "-in", "private.der", "-check", "-noout")
			d.run(t, "pkey", "-pubin", "-in", "public.pem", "-pubcheck", "-noout")
			d.run(t, "pkey", "-inform", "DER", "-in", "private.der", "-pubout", "-outform", "DER", "-out", "public.der")
			if !bytes.Equal(d.read(t, "public.der"), m.Public) {
				t.Error("OpenSSL writes another public key")
			}
			for _, alg := range signAlgorithms(spec) {
				d.signBothWays(t, k, alg)
			}
			if spec.Usages().Has(keys.UsageEncrypt) {
				d.encryptBothWays(t, k, keys.OAEPSHA1)
				d.encryptBothWays(t, k, keys.OAEPSHA256)
			}
		})
	}
}

func (d opensslDir) signBothWays(t *testing.T, k *Key, alg keys.Algorithm) {
	t.Helper()
	digest := Digest(alg, []byte("message"))
	sig, err := k.Sign(rand.Reader, alg, digest)
	if err != nil {
		t.Fatal(err)
	}
	d.write(t, "digest", digest)
	d.write(t, "sig", sig)
	d.run(t, append([]string{
		"pkeyutl", "-verify", "-pubin", "-inkey", "public.pem", "-in", "digest", "-sigfile", "sig",
	}, pkeyutlOptions(alg)...)...)
	signatures := 1
	if k.Spec() == keys.SECP256K1 {
		signatures = 8 // OpenSSL does not normalise S: half of them are high
	}
	for range signatures {
		d.run(t, append([]string{
			"pkeyutl", "-sign", "-keyform", "DER", "-inkey", "private.der", "-in", "digest", "-out", "theirs",
		}, pkeyutlOptions(alg)...)...)
		if ok, err := k.Verify(alg, digest, d.read(t, "theirs")); !ok || err != nil {
			t.Errorf("%s: OpenSSL's signature: %t, %v", alg, ok, err)
		}
	}
}

func (d opensslDir) encryptBothWays(t *testing.T, k *Key, alg keys.Algorithm) {
	t.Helper()
	plaintext := []byte("plaintext")
	ct, err := k.Encrypt(rand.Reader, alg, plaintext)
	if err != nil {
		t.Fatal(err)
	}
	d.write(t, "ct", ct)
	d.run(t, append([]string{
		"pkeyutl", "-decrypt", "-keyform", "DER", "-inkey", "private.der", "-in", "ct", "-out", "pt",
	}, pkeyutlOptions(alg)...)...)
	if got := d.read(t, "pt"); !bytes.Equal(got, plaintext) {
		t.Errorf("%s: OpenSSL opens our ciphertext to %q", alg, got)
	}
	d.run(t, append([]string{
		"pkeyutl", "-encrypt", "-pubin", "-inkey", "public.pem", "-in", "pt", "-out", "theirs",
	}, pkeyutlOptions(alg)...)...)
	if got, err := k.Decrypt(alg, d.read(t, "theirs")); err != nil || !bytes.Equal(got, plaintext) {
		t.Errorf("%s: OpenSSL's ciphertext: %q, %v", alg, got, err)
	}
}

// TestOpenSSLKeys opens keys that OpenSSL made.
func TestOpenSSLKeys(t *testing.T) {
	t.Parallel()
	for spec, args := range map[keys.Spec][]string{
		keys.RSA2048:   {"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"},
		keys.ECP256:    {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"},
		keys.ECP384:    {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"},
		keys.ECP521:    {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"},
		keys.SECP256K1: {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"},
	} {
		t.Run(string(spec), func(t *testing.T) {
			t.Parallel()
			d := newOpenSSL(t)
			d.run(t, append([]string{"genpkey", "-outform", "PEM", "-out", "key.pem"}, args...)...)
			d.run(t, "pkcs8", "-topk8", "-nocrypt", "-in", "key.pem", "-outform", "DER", "-out", "key.der")
			d.run(t, "pkey", "-in", "key.pem", "-pubout", "-outform", "DER", "-out", "public.der")
			k, err := Open(spec, secret.New(d.read(t, "key.der")))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(k.Public().DER(), d.read(t, "public.der")) {
				t.Error("the public keys differ")
			}
		})
	}
}
