// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"strconv"
	"testing"

	kwp "github.com/tink-crypto/tink-go/v2/kwp/subtle"

	"claviger/internal/keys"
	"claviger/internal/secret"
)

// wraps lists what can be wrapped for a recipient and how, with the recipient that is used here.
func wraps() []keys.Wrapping {
	return []keys.Wrapping{keys.WrapOAEPSHA1, keys.WrapOAEPSHA256, keys.WrapOAEPAES}
}

// TestWrap wraps material of every kind and opens it again.
func TestWrap(t *testing.T) {
	t.Parallel()
	recipient := fixedKey(t, keys.RSA2048)
	for _, spec := range specsWhere(func(s keys.Spec) bool { return Importable(s) == nil && s != keys.RSA4096 }) {
		m := fixedMaterial(t, spec)
		for _, w := range wraps() {
			wrapped, err := recipient.Public().Wrap(rand.Reader, w, m.Private)
			if w != keys.WrapOAEPAES && !spec.Symmetric() {
				if !errors.Is(err, ErrTooLong) {
					t.Errorf("%s with %s: %v, want too long", spec, w, err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s with %s: %v", spec, w, err)
				continue
			}
			got, err := recipient.Unwrap(w, spec, wrapped)
			if err != nil || !got.Private.Equal(m.Private) || !bytes.Equal(got.Public, m.Public) {
				t.Errorf("%s with %s: %v", spec, w, err)
			}
		}
	}
	sm2, material := fixedKey(t, keys.SM2), fixedMaterial(t, keys.SM4).Private
	wrapped, err := sm2.Public().Wrap(rand.Reader, keys.WrapSM2, material)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := sm2.Unwrap(keys.WrapSM2, keys.SM4, wrapped); err != nil || !got.Private.Equal(material) {
		t.Errorf("SM4 with SM2: %v", err)
	}
	for _, w := range []keys.Wrapping{keys.WrapPKCS1, keys.WrapSM2, "", "unknown"} {
		if _, err := recipient.Public().Wrap(rand.Reader, w, secret.New([]byte("x"))); !errors.Is(err, ErrAlgorithm) {
			t.Errorf("wrap with %q: %v", w, err)
		}
	}
}

func TestUnwrapRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	rsa2048, ec := fixedKey(t, keys.RSA2048), fixedKey(t, keys.ECP256)
	for name, c := range map[string]struct {
		key  *Key
		w    keys.Wrapping
		spec keys.Spec
		want error
	}{
		"EC material":            {rsa2048, keys.WrapOAEPAES, keys.ECP256, ErrSpec},
		"unknown material":       {rsa2048, keys.WrapOAEPAES, "AES_512", ErrSpec},
		"unknown wrapping":       {rsa2048, "x", keys.AES256, ErrAlgorithm},
		"no wrapping":            {rsa2048, "", keys.AES256, ErrAlgorithm},
		"SM2 wrapping under RSA": {rsa2048, keys.WrapSM2, keys.AES256, ErrAlgorithm},
		"OAEP under EC":          {ec, keys.WrapOAEPSHA256, keys.AES256, ErrAlgorithm},
		"OAEP and AES under EC":  {ec, keys.WrapOAEPAES, keys.AES256, ErrAlgorithm},
		"OAEP under AES":         {fixedKey(t, keys.AES256), keys.WrapOAEPAES, keys.AES256, ErrAlgorithm},
		"RSA within PKCS #1":     {rsa2048, keys.WrapPKCS1, keys.RSA2048, ErrAlgorithm},
	} {
		if _, err := c.key.Unwrap(c.w, c.spec, make([]byte, 256)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	wiped, err := Open(keys.RSA2048, fixedMaterial(t, keys.RSA2048).Private)
	if err != nil {
		t.Fatal(err)
	}
	wiped.Wipe()
	for _, w := range append(wraps(), keys.WrapPKCS1) {
		if _, err := wiped.Unwrap(w, keys.AES256, make([]byte, 256)); !errors.Is(err, ErrWiped) {
			t.Errorf("%s with a wiped key: %v", w, err)
		}
	}
}

// blob wraps anything at all, also what no caller of this package could.
func blob(t *testing.T, w keys.Wrapping, plain []byte) []byte {
	t.Helper()
	p := fixedKey(t, keys.RSA2048).Public()
	if w == keys.WrapPKCS1 {
		ct, err := rsa.EncryptPKCS1v15(rand.Reader, p.key.(rsaPublic).key, plain) //nolint:staticcheck // SA1019: what some clients send
		if err != nil {
			t.Fatal(err)
		}
		return ct
	}
	ct, err := p.Wrap(rand.Reader, w, secret.New(plain))
	if err != nil {
		t.Fatal(err)
	}
	return ct
}

// oaepThen is an OAEP block of a temporary key and then anything.
func oaepThen(t *testing.T, temporary, body []byte) []byte {
	t.Helper()
	return append(blob(t, keys.WrapOAEPSHA256, temporary), body...)
}

// TestUnwrapPKCS1 opens material that only this wrapping gives the size of.
func TestUnwrapPKCS1(t *testing.T) {
	t.Parallel()
	k := fixedKey(t, keys.RSA2048)
	for _, spec := range specsWhere(func(s keys.Spec) bool { return Importable(s) == nil && s.Symmetric() }) {
		for _, fill := range []byte{0, 1, 0xff} { // two of them are what the library leaves of wrong padding
			plain := bytes.Repeat([]byte{fill}, spec.Bits()/8)
			m, err := k.Unwrap(keys.WrapPKCS1, spec, blob(t, keys.WrapPKCS1, plain))
			if err != nil || !bytes.Equal(m.Private.Reveal(), plain) {
				t.Errorf("%s of %x: %v", spec, fill, err)
			}
		}
	}
}

// TestMalformedMaterialIsOneError unwraps what is wrong in every way: the error is always the
// same value.
func TestMalformedMaterialIsOneError(t *testing.T) {
	t.Parallel()
	k := fixedKey(t, keys.RSA2048)
	aes, short := bytes.Repeat([]byte{7}, 32), bytes.Repeat([]byte{7}, 31)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, &other.PublicKey, aes, nil)
	if err != nil {
		t.Fatal(err)
	}
	labelled, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, fixedKey(t, keys.RSA2048).Public().key.(rsaPublic).key, aes, []byte("label"))
	if err != nil {
		t.Fatal(err)
	}
	der := fixedMaterial(t, keys.RSA2048).Private.Reveal()
	good := blob(t, keys.WrapOAEPAES, aes)
	flipped := func(b []byte, at int) []byte {
		b = bytes.Clone(b)
		b[at] ^= 1
		return b
	}
	type row struct {
		w    keys.Wrapping
		spec keys.Spec
		blob []byte
	}
	rows := map[string]row{
		"no bytes":                          {keys.WrapOAEPSHA256, keys.AES256, nil},
		"a byte too few":                    {keys.WrapOAEPSHA256, keys.AES256, blob(t, keys.WrapOAEPSHA256, aes)[1:]},
		"a byte too many":                   {keys.WrapOAEPSHA256, keys.AES256, append(blob(t, keys.WrapOAEPSHA256, aes), 0)},
		"zeros":                             {keys.WrapOAEPSHA256, keys.AES256, make([]byte, 256)},
		"above the modulus":                 {keys.WrapOAEPSHA256, keys.AES256, bytes.Repeat([]byte{0xff}, 256)},
		"another hash":                      {keys.WrapOAEPSHA1, keys.AES256, blob(t, keys.WrapOAEPSHA256, aes)},
		"another padding":                   {keys.WrapPKCS1, keys.AES256, blob(t, keys.WrapOAEPSHA256, aes)},
		"a label":                           {keys.WrapOAEPSHA256, keys.AES256, labelled},
		"another recipient's":               {keys.WrapOAEPSHA256, keys.AES256, foreign},
		"a key too short":                   {keys.WrapOAEPSHA256, keys.AES256, blob(t, keys.WrapOAEPSHA256, short)},
		"a key of another spec":             {keys.WrapOAEPSHA256, keys.AES128, blob(t, keys.WrapOAEPSHA256, aes)},
		"an empty key":                      {keys.WrapOAEPSHA256, keys.AES256, blob(t, keys.WrapOAEPSHA256, nil)},
		"RSA as plain OAEP":                 {keys.WrapOAEPSHA256, keys.RSA2048, blob(t, keys.WrapOAEPSHA256, aes)},
		"PKCS #1: no bytes":                 {keys.WrapPKCS1, keys.AES256, nil},
		"PKCS #1: zeros":                    {keys.WrapPKCS1, keys.AES256, make([]byte, 256)},
		"PKCS #1: above the modulus":        {keys.WrapPKCS1, keys.AES256, bytes.Repeat([]byte{0xff}, 256)},
		"PKCS #1: a key too short":          {keys.WrapPKCS1, keys.AES256, blob(t, keys.WrapPKCS1, short)},
		"PKCS #1: a key too long":           {keys.WrapPKCS1, keys.AES128, blob(t, keys.WrapPKCS1, aes)},
		"PKCS #1: a bit changed":            {keys.WrapPKCS1, keys.AES256, flipped(blob(t, keys.WrapPKCS1, aes), 255)},
		"no second part":                    {keys.WrapOAEPAES, keys.AES256, good[:256]},
		"half a second part":                {keys.WrapOAEPAES, keys.AES256, good[:len(good)-8]},
		"no block of eight":                 {keys.WrapOAEPAES, keys.AES256, good[:len(good)-1]},
		"more after it":                     {keys.WrapOAEPAES, keys.AES256, append(bytes.Clone(good), make([]byte, 8)...)},
		"first part only":                   {keys.WrapOAEPAES, keys.AES256, good[:100]},
		"first part changed":                {keys.WrapOAEPAES, keys.AES256, flipped(good, 3)},
		"second part changed":               {keys.WrapOAEPAES, keys.AES256, flipped(good, 256)},
		"second part's end changed":         {keys.WrapOAEPAES, keys.AES256, flipped(good, len(good)-1)},
		"a temporary key of 16 bytes":       {keys.WrapOAEPAES, keys.AES256, oaepThen(t, aes[:16], kwpOf(t, aes[:16], aes))},
		"a temporary key of 24 bytes":       {keys.WrapOAEPAES, keys.AES256, oaepThen(t, aes[:24], kwpOf(t, aes, aes))},
		"an AES key where RSA should be":    {keys.WrapOAEPAES, keys.RSA2048, good},
		"an RSA key where AES should be":    {keys.WrapOAEPAES, keys.AES256, blob(t, keys.WrapOAEPAES, der)},
		"an RSA key of another size":        {keys.WrapOAEPAES, keys.RSA3072, blob(t, keys.WrapOAEPAES, der)},
		"a byte after the RSA key":          {keys.WrapOAEPAES, keys.RSA2048, blob(t, keys.WrapOAEPAES, append(bytes.Clone(der), 0))},
		"an RSA key cut short":              {keys.WrapOAEPAES, keys.RSA2048, blob(t, keys.WrapOAEPAES, der[:len(der)-1])},
		"an RSA key in PEM":                 {keys.WrapOAEPAES, keys.RSA2048, blob(t, keys.WrapOAEPAES, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))},
		"an RSA key in PKCS #1":             {keys.WrapOAEPAES, keys.RSA2048, blob(t, keys.WrapOAEPAES, x509.MarshalPKCS1PrivateKey(k.private.(rsaPrivate).key))},
		"an EC key where RSA should be":     {keys.WrapOAEPAES, keys.RSA2048, blob(t, keys.WrapOAEPAES, fixedMaterial(t, keys.ECP256).Private.Reveal())},
		"a public RSA key":                  {keys.WrapOAEPAES, keys.RSA2048, blob(t, keys.WrapOAEPAES, fixedMaterial(t, keys.RSA2048).Public)},
		"an RSA key with attributes":        {keys.WrapOAEPAES, keys.RSA2048, blob(t, keys.WrapOAEPAES, withAttributes(t, der))},
		"an RSA key with public exponent 3": {keys.WrapOAEPAES, keys.RSA2048, blob(t, keys.WrapOAEPAES, exponent3(t))},
	}
	for at := range 8 { // each byte of the integrity check
		rows["second part changed at "+strconv.Itoa(at)] = row{keys.WrapOAEPAES, keys.AES256, flipped(good, 256+at)}
	}
	for name, r := range rows {
		m, err := k.Unwrap(r.w, r.spec, r.blob)
		if err != ErrWrapped || m.Private.Len() != 0 || m.Public != nil { //nolint:errorlint // the very value
			t.Errorf("%s: %v", name, err)
		}
	}
}

// kwpOf wraps under a temporary key that need not have the right length.
func kwpOf(t *testing.T, temporary, plain []byte) []byte {
	t.Helper()
	c, err := kwp.NewKWP(temporary)
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.Wrap(plain)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// withAttributes puts an empty set of attributes (RFC 5208 §5) behind the key.
func withAttributes(t *testing.T, der []byte) []byte {
	t.Helper()
	var outer asn1.RawValue
	if _, err := asn1.Unmarshal(der, &outer); err != nil {
		t.Fatal(err)
	}
	outer.Bytes = append(slices.Clip(outer.Bytes), 0xa0, 0)
	outer.FullBytes = nil
	b, err := asn1.Marshal(outer)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// exponent3 is a valid RSA key whose public exponent is 3.
func exponent3(t *testing.T) []byte {
	t.Helper()
	three, one := big.NewInt(3), big.NewInt(1)
	prime := func() (p, less *big.Int) {
		for {
			p, err := rand.Prime(rand.Reader, 1024)
			if err != nil {
				t.Fatal(err)
			}
			if less := new(big.Int).Sub(p, one); new(big.Int).Mod(less, three).Sign() != 0 {
				return p, less
			}
		}
	}
	p, p1 := prime()
	q, q1 := prime()
	d := new(big.Int).ModInverse(three, new(big.Int).Mul(p1, q1))
	key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 3}, D: d, Primes: []*big.Int{p, q}}
	key.Precompute()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(keys.RSA2048, secret.Copy(der)); err != nil {
		t.Fatalf("the key is refused for another reason: %v", err)
	}
	return der
}

// oaep are the arguments of openssl pkeyutl for OAEP with SHA-256.
func oaep(args ...string) []string { return append(args, pkeyutlOptions(keys.OAEPSHA256)...) }

// kwpArgs are the arguments of openssl enc for AES-256 key wrap with padding (RFC 5649). The key
// is one that this test has just made.
func kwpArgs(key []byte, args ...string) []string {
	return append([]string{"enc", "-id-aes256-wrap-pad", "-iv", "A65959A6", "-K", hex.EncodeToString(key)}, args...)
}

// TestOpenSSLWrapping opens what OpenSSL wrapped, in each way, and lets OpenSSL open ours.
func TestOpenSSLWrapping(t *testing.T) {
	t.Parallel()
	d := newOpenSSL(t)
	recipient := fixedKey(t, keys.RSA2048)
	d.write(t, "recipient.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: recipient.Public().DER()}))
	d.write(t, "recipient.der", fixedMaterial(t, keys.RSA2048).Private.Reveal())
	d.run(t, "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "rsa.pem")
	d.run(t, "pkcs8", "-topk8", "-nocrypt", "-in", "rsa.pem", "-outform", "DER", "-out", "rsa.der")
	d.run(t, "pkey", "-in", "rsa.pem", "-pubout", "-outform", "DER", "-out", "rsa.public")
	temporary := bytes.Repeat([]byte{0x5a}, 32)
	d.write(t, "temporary", temporary)
	for _, spec := range []keys.Spec{keys.AES128, keys.AES192, keys.AES256, keys.RSA2048} {
		material, public := d.read(t, "rsa.der"), d.read(t, "rsa.public")
		if spec.Symmetric() {
			material, public = fixedMaterial(t, spec).Private.Reveal(), nil
		}
		d.write(t, "material", material)
		d.run(t, oaep("pkeyutl", "-encrypt", "-pubin", "-inkey", "recipient.pem", "-in", "temporary", "-out", "head")...)
		d.run(t, kwpArgs(temporary, "-in", "material", "-out", "body")...)
		got, err := recipient.Unwrap(keys.WrapOAEPAES, spec, append(d.read(t, "head"), d.read(t, "body")...))
		if err != nil || !bytes.Equal(got.Private.Reveal(), material) || !bytes.Equal(got.Public, public) {
			t.Errorf("%s wrapped by OpenSSL: %v", spec, err)
		}
		ours, err := recipient.Public().Wrap(rand.Reader, keys.WrapOAEPAES, secret.Copy(material))
		if err != nil {
			t.Fatal(err)
		}
		d.write(t, "head", ours[:256])
		d.write(t, "body", ours[256:])
		d.run(t, oaep("pkeyutl", "-decrypt", "-keyform", "DER", "-inkey", "recipient.der", "-in", "head", "-out", "opened")...)
		d.run(t, kwpArgs(d.read(t, "opened"), "-d", "-in", "body", "-out", "unwrapped")...)
		if !bytes.Equal(d.read(t, "unwrapped"), material) {
			t.Errorf("%s opened by OpenSSL is other material", spec)
		}
		if spec.Symmetric() {
			d.wholeByOpenSSL(t, recipient, spec, material)
		}
	}
}

// wholeByOpenSSL lets OpenSSL wrap short material as a whole.
func (d opensslDir) wholeByOpenSSL(t *testing.T, recipient *Key, spec keys.Spec, material []byte) {
	t.Helper()
	for w, options := range map[keys.Wrapping][]string{
		keys.WrapOAEPSHA256: pkeyutlOptions(keys.OAEPSHA256),
		keys.WrapOAEPSHA1:   pkeyutlOptions(keys.OAEPSHA1),
		keys.WrapPKCS1:      {"-pkeyopt", "rsa_padding_mode:pkcs1"},
	} {
		d.run(t, append([]string{"pkeyutl", "-encrypt", "-pubin", "-inkey", "recipient.pem", "-in", "material", "-out", "wrapped"}, options...)...)
		if got, err := recipient.Unwrap(w, spec, d.read(t, "wrapped")); err != nil || !bytes.Equal(got.Private.Reveal(), material) {
			t.Errorf("%s with %s by OpenSSL: %v", spec, w, err)
		}
	}
}

func TestRecipient(t *testing.T) {
	t.Parallel()
	for _, spec := range []keys.Spec{keys.RSA2048, keys.RSA3072} {
		p, err := Recipient(fixedMaterial(t, spec).Public)
		if err != nil || p.Spec() != spec {
			t.Errorf("%s: %v", spec, err)
		}
	}
	public := fixedMaterial(t, keys.RSA2048).Public
	for name, der := range map[string][]byte{
		"nothing": nil, "EC": fixedMaterial(t, keys.ECP256).Public, "cut short": public[:len(public)-1],
		"more after it": append(bytes.Clone(public), 0), "a private key": fixedMaterial(t, keys.RSA2048).Private.Reveal(),
	} {
		if _, err := Recipient(der); !errors.Is(err, ErrMaterial) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzUnwrap opens anything: what does open has the right length, and nothing else is answered
// but the one error.
func FuzzUnwrap(f *testing.F) {
	k := fixedKey(f, keys.RSA2048)
	wrappings := append(wraps(), keys.WrapPKCS1)
	specs := []keys.Spec{keys.AES128, keys.AES256, keys.RSA2048}
	for i, w := range wraps() {
		b, err := k.Public().Wrap(rand.Reader, w, secret.New(bytes.Repeat([]byte{1}, 32)))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), uint8(1), b)
		f.Add(uint8(i), uint8(0), b[:len(b)-1])
	}
	f.Add(uint8(3), uint8(1), make([]byte, 256))
	f.Fuzz(func(t *testing.T, w, s uint8, b []byte) {
		spec := specs[int(s)%len(specs)]
		m, err := k.Unwrap(wrappings[int(w)%len(wrappings)], spec, b)
		switch {
		case errors.Is(err, ErrAlgorithm):
			if spec.Symmetric() {
				t.Fatal(err)
			}
		case err != nil:
			if err != ErrWrapped || m.Private.Len() != 0 { //nolint:errorlint // the very value
				t.Fatal(err)
			}
		case spec.Symmetric() && m.Private.Len() != spec.Bits()/8:
			t.Fatalf("%s of %d bytes", spec, m.Private.Len())
		}
	})
}

// FuzzImported parses material as it comes out of its wrapping: what is accepted is kept as it
// is, and opens.
func FuzzImported(f *testing.F) {
	der := fixedMaterial(f, keys.RSA2048).Private.Reveal()
	f.Add(true, der)
	f.Add(true, der[:len(der)-1])
	f.Add(true, append(bytes.Clone(der), 0))
	f.Add(true, fixedMaterial(f, keys.ECP256).Private.Reveal())
	f.Add(false, make([]byte, 32))
	f.Add(false, make([]byte, 33))
	f.Fuzz(func(t *testing.T, private bool, plain []byte) {
		spec := keys.AES256
		if private {
			spec = keys.RSA2048
		}
		m, err := checkImported(spec, plain)
		if err != nil {
			if !errors.Is(err, ErrMaterial) || m.Private.Len() != 0 {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(m.Private.Reveal(), plain) {
			t.Fatal("what is kept is not what came")
		}
		if _, err := Open(spec, m.Private); err != nil {
			t.Fatal(err)
		}
	})
}

// TestMalformedSM2MaterialIsOneError is the same for SM2's wrapping.
func TestMalformedSM2MaterialIsOneError(t *testing.T) {
	t.Parallel()
	k := fixedKey(t, keys.SM2)
	wrap := func(plain []byte) []byte {
		b, err := k.Public().Wrap(rand.Reader, keys.WrapSM2, secret.New(plain))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	good := wrap(make([]byte, 16))
	rows := [][]byte{nil, {0x30, 0}, good[:len(good)-1], append(bytes.Clone(good), 0), wrap(make([]byte, 15)), wrap(make([]byte, 17))}
	for at := range good {
		changed := bytes.Clone(good)
		changed[at] ^= 1
		rows = append(rows, changed)
	}
	for i, b := range rows {
		m, err := k.Unwrap(keys.WrapSM2, keys.SM4, b)
		if err != ErrWrapped || m.Private.Len() != 0 { //nolint:errorlint // the very value
			t.Errorf("row %d, %x: %v", i, b, err)
		}
	}
}
