// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/base64"
	"encoding/hex"
	"testing"
)

// How OpenSSL's pkeyutl encrypts under a public key; for SM2 it takes no option.
const (
	pkcs1   = " -pkeyopt rsa_padding_mode:pkcs1"
	oaep1   = " -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha1 -pkeyopt rsa_mgf1_md:sha1"
	oaep256 = " -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256"
)

// wrap encrypts material under a public key in DER.
func (w workshop) wrap(t *testing.T, public, material []byte, how string) []byte {
	t.Helper()
	w.write(t, "under.der", public)
	w.write(t, "plain", material)
	w.openssl(t, "pkeyutl -encrypt -pubin -keyform DER -inkey under.der -in plain -out wrapped"+how)
	return w.read(t, "wrapped")
}

// unwrap decrypts with the private key in a file in PEM.
func (w workshop) unwrap(t *testing.T, private string, wrapped []byte, how string) []byte {
	t.Helper()
	w.write(t, "wrapped", wrapped)
	w.openssl(t, "pkeyutl -decrypt -inkey "+private+" -in wrapped -out plain"+how)
	return w.read(t, "plain")
}

// keyWrap is AES key wrap with padding (RFC 5649) under a temporary key; back undoes it.
func (w workshop) keyWrap(t *testing.T, temporary, in []byte, back bool) []byte {
	t.Helper()
	w.write(t, "in", in)
	direction := " -e"
	if back {
		direction = " -d"
	}
	w.openssl(t, "enc -id-aes256-wrap-pad -iv A65959A6 -K "+hex.EncodeToString(temporary)+" -in in -out out"+direction)
	return w.read(t, "out")
}

// wrapAES wraps material of any length under a temporary AES key, and that under a public RSA key.
func (w workshop) wrapAES(t *testing.T, public, material []byte) []byte {
	t.Helper()
	w.openssl(t, "rand -out temporary 32")
	temporary := w.read(t, "temporary")
	return append(w.wrap(t, public, temporary, oaep256), w.keyWrap(t, temporary, material, false)...)
}

// unwrapAES undoes wrapAES with a private key whose modulus has so many bytes.
func (w workshop) unwrapAES(t *testing.T, private string, wrapped []byte, modulus int) []byte {
	t.Helper()
	return w.keyWrap(t, w.unwrap(t, private, wrapped[:modulus], oaep256), wrapped[modulus:], true)
}

// rsaKey makes an RSA key: name.pem, and in DER its PKCS #8 and its public key.
func (w workshop) rsaKey(t *testing.T, name, bits string) (private, public []byte) {
	t.Helper()
	w.openssl(t, "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:"+bits+" -out "+name+".pem")
	w.openssl(t, "pkcs8 -topk8 -nocrypt -in "+name+".pem -outform DER -out "+name+".der")
	w.openssl(t, "pkey -in "+name+".pem -pubout -outform DER -out "+name+"-public.der")
	w.openssl(t, "pkey -in "+name+".pem -pubout -out "+name+"-public.pem")
	return w.read(t, name+".der"), w.read(t, name+"-public.der")
}

func inBase64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func fromBase64(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
