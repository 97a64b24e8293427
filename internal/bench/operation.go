// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// Operation is one thing that load can consist of.
type Operation struct {
	Name string
	Kind Kind // of the key that it uses
	Text string

	ociOnly bool
	needs   need
	check   func(*work, *sample, *content) error
}

// need is what a sample must hold before the operation can be asked for.
type need int

const (
	needNothing need = iota
	needCiphertext
	needSignature
)

// Operations lists all that can be asked for.
func Operations() []Operation {
	return []Operation{
		{Name: "encrypt", Kind: AES, Text: "encrypt the payload under an AES-256 key", check: checkCiphertext},
		{Name: "decrypt", Kind: AES, Text: "decrypt it", needs: needCiphertext, check: checkPlaintext},
		{Name: "generate-data-key", Kind: AES, Text: "generate a data key of 32 bytes", check: checkDataKey},
		{Name: "sign-ec", Kind: EC, Text: "sign a digest with an EC P-256 key", check: checkSignature},
		{Name: "sign-rsa", Kind: RSA, Text: "sign a digest with an RSA-2048 key, PKCS #1 v1.5 with SHA-256 in OCI, PSS with SHA-256 in Alibaba", check: checkSignature},
		{Name: "verify-ec", Kind: EC, Text: "verify such a signature", needs: needSignature, check: checkValid},
		{Name: "verify-rsa", Kind: RSA, Text: "verify such a signature", needs: needSignature, check: checkValid},
		{Name: "create-version", Kind: AESVersions, Text: "create a version of an AES-256 key (OCI: Alibaba allows one in seven days)", ociOnly: true, check: checkID},
		{Name: "create-version-rsa", Kind: RSAVersions, Text: "create a version of an RSA-2048 key (OCI)", ociOnly: true, check: checkID},
		{Name: "describe-key", Kind: AES, Text: "read a key", check: checkID},
		{Name: "describe-version", Kind: AES, Text: "read a key version", check: checkID},
		{Name: "list-versions", Kind: AES, Text: "list the versions of a key, one page", check: checkAny},
		{Name: "list-keys", Kind: AES, Text: "list keys, one page", check: checkAny},
	}
}

// Find finds an operation by its name.
func Find(name string) (Operation, bool) {
	for _, op := range Operations() {
		if op.Name == name {
			return op, true
		}
	}
	return Operation{}, false
}

// sample is one set of inputs. There are many of each operation, so that no two requests of a pool
// have to be the same.
type sample struct {
	number     int
	plaintext  []byte
	digest     [sha256.Size]byte // of plaintext
	ciphertext string            // base64
	signature  string            // base64
}

// content is what answers hold that is looked at, whatever the dialect calls it.
type content struct {
	ciphertext, plaintext, signature, id, public, version string
	valid, json                                           bool
}

// readContent decodes an answer.
func readContent(d Dialect, body []byte) (c content, err error) {
	if d == OCI || d == Unsigned {
		var a struct {
			Ciphertext, Plaintext, Signature, ID, PublicKey, CurrentKeyVersion string
			IsSignatureValid                                                   bool
		}
		if bytes.HasPrefix(body, []byte("[")) {
			return content{json: json.Valid(body)}, nil
		}
		err = json.Unmarshal(body, &a)
		return content{a.Ciphertext, a.Plaintext, a.Signature, a.ID, a.PublicKey, a.CurrentKeyVersion, a.IsSignatureValid, err == nil}, err
	}
	var a struct {
		CiphertextBlob, Plaintext, PublicKey, KeyID, KeyVersionID string
		Value                                                     any
		KeyMetadata                                               struct{ KeyID, PrimaryKeyVersion string }
		KeyVersion                                                struct{ KeyVersionID string }
		KeyVersions                                               struct {
			KeyVersion []struct{ KeyVersionID string }
		}
	}
	err = json.Unmarshal(body, &a)
	c = content{ciphertext: a.CiphertextBlob, plaintext: a.Plaintext, public: a.PublicKey, version: a.KeyMetadata.PrimaryKeyVersion, json: err == nil}
	c.id = a.KeyMetadata.KeyID + a.KeyVersion.KeyVersionID
	if n := len(a.KeyVersions.KeyVersion); n > 0 {
		c.version = a.KeyVersions.KeyVersion[n-1].KeyVersionID
	}
	c.signature, _ = a.Value.(string)
	c.valid, _ = a.Value.(bool)
	return c, err
}

var errContent = errors.New("the answer is a success with the wrong content")

func wrong(what string) error { return fmt.Errorf("%w: %s", errContent, what) }

func checkCiphertext(_ *work, s *sample, c *content) error {
	if b, err := base64.StdEncoding.DecodeString(c.ciphertext); err != nil || len(b) <= len(s.plaintext) {
		return wrong("no ciphertext")
	}
	return nil
}

func checkPlaintext(_ *work, s *sample, c *content) error {
	if c.plaintext != base64.StdEncoding.EncodeToString(s.plaintext) {
		return wrong("not the plaintext")
	}
	return nil
}

func checkDataKey(_ *work, _ *sample, c *content) error {
	if b, err := base64.StdEncoding.DecodeString(c.plaintext); err != nil || len(b) != 32 || c.ciphertext == "" {
		return wrong("no data key of 32 bytes")
	}
	return nil
}

func checkSignature(w *work, s *sample, c *content) error {
	signature, err := base64.StdEncoding.DecodeString(c.signature)
	if err != nil {
		return wrong("no signature")
	}
	block, _ := pem.Decode([]byte(w.key.Public))
	if block == nil {
		return wrong("the key has no public key")
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return fmt.Errorf("parse public key: %w", err)
	}
	ok := false
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		ok = ecdsa.VerifyASN1(key, s.digest[:], signature)
	case *rsa.PublicKey:
		ok = rsa.VerifyPKCS1v15(key, crypto.SHA256, s.digest[:], signature) == nil ||
			rsa.VerifyPSS(key, crypto.SHA256, s.digest[:], signature, nil) == nil
	}
	if !ok {
		return wrong("the signature does not verify")
	}
	return nil
}

func checkValid(_ *work, _ *sample, c *content) error {
	if !c.valid {
		return wrong("a good signature is called wrong")
	}
	return nil
}

func checkID(_ *work, _ *sample, c *content) error {
	if c.id == "" {
		return wrong("no id")
	}
	return nil
}

func checkAny(_ *work, _ *sample, c *content) error {
	if !c.json {
		return wrong("no JSON")
	}
	return nil
}

// message is a request before it is signed: OCI's has a method, a path and a body, Alibaba's an
// action and parameters.
type message struct {
	at           int // endpoint
	method, path string
	body         []byte

	action string
	params map[string]string
}

const ociBase = "/20180608/"

// ociMessage writes the request of an operation as Oracle's API has it.
func (t *Target) ociMessage(op string, k Key, s *sample) message {
	post := func(path string, pairs ...string) message {
		var b bytes.Buffer
		for i := 0; i < len(pairs); i += 2 {
			fmt.Fprintf(&b, ",%q:%q", pairs[i], pairs[i+1])
		}
		return message{at: data, method: "POST", path: ociBase + path, body: append(append([]byte{'{'}, b.Bytes()[1:]...), '}')}
	}
	get := func(path string) message { return message{at: management, method: "GET", path: ociBase + path} }
	algorithm := "SHA_256_RSA_PKCS1_V1_5"
	if strings.HasSuffix(op, "-ec") {
		algorithm = "ECDSA_SHA_256"
	}
	text := base64.StdEncoding.EncodeToString
	switch op {
	case "encrypt":
		return post("encrypt", "keyId", k.ID, "plaintext", text(s.plaintext))
	case "decrypt":
		return post("decrypt", "keyId", k.ID, "ciphertext", s.ciphertext)
	case "generate-data-key":
		// There is nothing in this request that could differ, so blanks do.
		body := fmt.Appendf(nil, `{"keyId":%q,"includePlaintextKey":true,"keyShape":{"algorithm":"AES","length":32}}%*s`, k.ID, s.number, "")
		return message{at: data, method: "POST", path: ociBase + "generateDataEncryptionKey", body: body}
	case "sign-ec", "sign-rsa":
		return post("sign", "keyId", k.ID, "message", text(s.digest[:]), "messageType", "DIGEST", "signingAlgorithm", algorithm)
	case "verify-ec", "verify-rsa":
		return post("verify", "keyId", k.ID, "keyVersionId", k.Version, "message", text(s.digest[:]), "messageType", "DIGEST",
			"signingAlgorithm", algorithm, "signature", s.signature)
	case "create-version", "create-version-rsa":
		return message{at: management, method: "POST", path: ociBase + "keys/" + k.ID + "/keyVersions"}
	case "describe-version":
		return get("keys/" + k.ID + "/keyVersions/" + k.Version)
	case "list-versions":
		return get("keys/" + k.ID + "/keyVersions")
	case "list-keys":
		return get("keys?compartmentId=" + encode(t.Compartment))
	default: // describe-key
		return get("keys/" + k.ID)
	}
}

// alibabaMessage writes the request of an operation as Alibaba's API has it.
func alibabaMessage(op string, k Key, s *sample) message {
	algorithm := "RSA_PSS_SHA_256"
	if strings.HasSuffix(op, "-ec") {
		algorithm = "ECDSA_SHA_256"
	}
	ask := func(action string, pairs ...string) message {
		m := message{action: action, params: map[string]string{}}
		for i := 0; i < len(pairs); i += 2 {
			m.params[pairs[i]] = pairs[i+1]
		}
		return m
	}
	text := base64.StdEncoding.EncodeToString
	switch op {
	case "encrypt":
		return ask("Encrypt", "KeyId", k.ID, "Plaintext", text(s.plaintext))
	case "decrypt":
		return ask("Decrypt", "CiphertextBlob", s.ciphertext)
	case "generate-data-key":
		return ask("GenerateDataKey", "KeyId", k.ID)
	case "sign-ec", "sign-rsa":
		return ask("AsymmetricSign", "KeyId", k.ID, "KeyVersionId", k.Version, "Algorithm", algorithm, "Digest", text(s.digest[:]))
	case "verify-ec", "verify-rsa":
		return ask("AsymmetricVerify", "KeyId", k.ID, "KeyVersionId", k.Version, "Algorithm", algorithm, "Digest", text(s.digest[:]), "Value", s.signature)
	case "describe-version":
		return ask("DescribeKeyVersion", "KeyId", k.ID, "KeyVersionId", k.Version)
	case "list-versions":
		return ask("ListKeyVersions", "KeyId", k.ID)
	case "list-keys":
		return ask("ListKeys")
	default: // describe-key
		return ask("DescribeKey", "KeyId", k.ID)
	}
}
