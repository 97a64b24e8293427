// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emmansun/gmsm/sm4"

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
	if algorithms[alg].hash == 0 {
		return "sm3"
	}
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
	case schemeSM2PKE:
		return []string{"-pkeyopt", "digest:sm3"}
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
			for _, alg := range encryptAlgorithms(spec) {
				d.encryptBothWays(t, k, alg)
			}
		})
	}
}

func (d opensslDir) signBothWays(t *testing.T, k *Key, alg keys.Algorithm) {
	t.Helper()
	digest := k.Public().Digest(alg, []byte("message"))
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
		keys.SM2:       {"-algorithm", "SM2"},
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

// TestOpenSSLSM2 signs messages, so that the identity is mixed in on both sides.
func TestOpenSSLSM2(t *testing.T) {
	t.Parallel()
	d := newOpenSSL(t)
	m, k := fixedMaterial(t, keys.SM2), fixedKey(t, keys.SM2)
	d.write(t, "private.der", m.Private.Reveal())
	d.write(t, "public.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: m.Public}))
	message := []byte("a message of any length")
	d.write(t, "message", message)
	raw := []string{"-rawin", "-digest", "sm3", "-pkeyopt", "distid:" + sm2UserID}
	digest := k.Public().Digest(keys.SM2DSA, message)
	sig, err := k.Sign(rand.Reader, keys.SM2DSA, digest)
	if err != nil {
		t.Fatal(err)
	}
	d.write(t, "sig", sig)
	d.run(t, append([]string{"pkeyutl", "-verify", "-pubin", "-inkey", "public.pem", "-in", "message", "-sigfile", "sig"}, raw...)...)
	d.run(t, append([]string{"pkeyutl", "-sign", "-keyform", "DER", "-inkey", "private.der", "-in", "message", "-out", "theirs"}, raw...)...)
	if ok, err := k.Verify(keys.SM2DSA, digest, d.read(t, "theirs")); !ok || err != nil {
		t.Errorf("OpenSSL's signature: %t, %v", ok, err)
	}
	for _, size := range []int{1, 31, 32, 33, 200, 6047} {
		plaintext := bytes.Repeat([]byte{0xa5}, size)
		d.write(t, "pt", plaintext)
		d.run(t, "pkeyutl", "-encrypt", "-pubin", "-inkey", "public.pem", "-in", "pt", "-out", "theirs")
		if got, err := k.Decrypt(keys.SM2PKE, d.read(t, "theirs")); err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("%d bytes by OpenSSL: %v", size, err)
		}
		ct, err := k.Encrypt(rand.Reader, keys.SM2PKE, plaintext)
		if err != nil {
			t.Fatal(err)
		}
		d.write(t, "ct", ct)
		d.run(t, "pkeyutl", "-decrypt", "-keyform", "DER", "-inkey", "private.der", "-in", "ct", "-out", "back")
		if !bytes.Equal(d.read(t, "back"), plaintext) {
			t.Errorf("%d bytes: OpenSSL opens our ciphertext otherwise", size)
		}
	}
}

// TestOpenSSLSM compares the hash and the block cipher.
func TestOpenSSLSM(t *testing.T) {
	t.Parallel()
	d := newOpenSSL(t)
	block, err := sm4.NewCipher(bytes.Repeat([]byte{0x3c}, 16))
	if err != nil {
		t.Fatal(err)
	}
	for size := 16; size <= 2048; size *= 4 {
		text := bytes.Repeat([]byte{byte(size / 16)}, size)
		d.write(t, "text", text)
		h := algorithm{}.newHash()
		h.Write(text)
		if out := d.run(t, "dgst", "-sm3", "text"); !strings.Contains(out, hex.EncodeToString(h.Sum(nil))) {
			t.Errorf("SM3 of %d bytes: OpenSSL says %s", size, out)
		}
		d.run(t, "enc", "-sm4-ctr", "-K", strings.Repeat("3c", 16), "-iv", strings.Repeat("0", 32), "-in", "text", "-out", "ct")
		cipher.NewCTR(block, make([]byte, 16)).XORKeyStream(text, text)
		if !bytes.Equal(d.read(t, "ct"), text) {
			t.Errorf("SM4 of %d bytes differs", size)
		}
	}
}
