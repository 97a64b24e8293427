// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const maxSkew = 5 * time.Minute

// oci answers the data calls of Oracle's API.
type oci struct {
	keyID  string
	public *rsa.PublicKey
	names  map[string]names
	keys   *keys
}

func newOCI(s *settings, k *keys) (http.Handler, error) {
	key, err := parsePublic(s.PublicKey)
	if err != nil {
		return nil, err
	}
	public, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("publicKey is no RSA key")
	}
	o := &oci{keyID: s.KeyID, public: public, names: s.Names, keys: k}
	mux := http.NewServeMux()
	for path, handle := range map[string]func(*http.Request, []byte) (any, error){
		"POST /20180608/encrypt": o.encrypt, "POST /20180608/decrypt": o.decrypt, "POST /20180608/sign": o.sign,
		"POST /20180608/generateDataEncryptionKey": o.dataKey, "GET /20180608/keys/{key}/keyVersions/{version}": o.version,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				refuse(w, http.StatusBadRequest, "InvalidParameter", err)
				return
			}
			if err := o.verify(r, body); err != nil {
				refuse(w, http.StatusUnauthorized, "NotAuthenticated", err)
				return
			}
			v, err := handle(r, body)
			if err != nil {
				refuse(w, http.StatusBadRequest, "InvalidParameter", err)
				return
			}
			w.Header().Set("opc-request-id", gatewayID(r.Header.Get("opc-request-id")))
			answer(w, v)
		})
	}
	return mux, nil
}

// verify verifies Oracle's signature version 1: RSA PKCS #1 v1.5 with SHA-256 over the headers that
// the client lists, the digest of the body among them.
func (o *oci) verify(r *http.Request, body []byte) error {
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Signature ")
	if !ok {
		return errors.New("no signature")
	}
	params := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(part, "=")
		params[name] = strings.Trim(value, `"`)
	}
	if params["keyId"] != o.keyID || params["algorithm"] != "rsa-sha256" {
		return errors.New("unknown key")
	}
	date, err := http.ParseTime(r.Header.Get("Date"))
	if err != nil || time.Since(date).Abs() > maxSkew {
		return errors.New("the date is too far off")
	}
	listed := strings.Fields(params["headers"])
	lines := make([]string, len(listed))
	seen := map[string]bool{}
	for i, name := range listed {
		var value string
		switch name {
		case "(request-target)":
			value = strings.ToLower(r.Method) + " " + r.RequestURI
		case "host":
			value = r.Host
		case "content-length":
			value = strconv.FormatInt(r.ContentLength, 10)
		default:
			value = r.Header.Get(name)
		}
		seen[name] = true
		lines[i] = name + ": " + value
	}
	if !seen["date"] || !seen["(request-target)"] || !seen["host"] {
		return errors.New("too little is signed")
	}
	if r.Method == http.MethodPost {
		sum := sha256.Sum256(body)
		if !seen["x-content-sha256"] || !seen["content-length"] || !seen["content-type"] ||
			r.Header.Get("X-Content-Sha256") != base64.StdEncoding.EncodeToString(sum[:]) {
			return errors.New("the body is not what was signed")
		}
	}
	signature, err := base64.StdEncoding.DecodeString(params["signature"])
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return rsa.VerifyPKCS1v15(o.public, crypto.SHA256, digest[:], signature)
}

// gatewayID is a client's own request id with the two segments that Oracle's gateways put after it.
func gatewayID(own string) string {
	if own != "" {
		own += "/"
	}
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return own + strings.ToUpper(hex.EncodeToString(b[:16])+"/"+hex.EncodeToString(b[16:]))
}

// request is the body of any of the calls. What is base64 in it is decoded with it.
type request struct {
	KeyID            string `json:"keyId"`
	Plaintext        []byte `json:"plaintext"`
	Ciphertext       []byte `json:"ciphertext"`
	Message          []byte `json:"message"`
	SigningAlgorithm string `json:"signingAlgorithm"`
}

func (o *oci) read(body []byte, kind string) (request, error) {
	var q request
	err := json.Unmarshal(body, &q)
	if err == nil && q.KeyID != o.names[kind].OCI {
		err = errors.New("no such key")
	}
	return q, err
}

func (o *oci) encrypt(_ *http.Request, body []byte) (any, error) {
	q, err := o.read(body, "aes")
	if err != nil {
		return nil, err
	}
	ciphertext, err := o.keys.seal(q.Plaintext)
	return struct {
		Ciphertext          []byte `json:"ciphertext"`
		KeyID               string `json:"keyId"`
		KeyVersionID        string `json:"keyVersionId"`
		EncryptionAlgorithm string `json:"encryptionAlgorithm"`
	}{ciphertext, q.KeyID, o.names["aes"].OCIVersion, "AES_256_GCM"}, err
}

func (o *oci) decrypt(_ *http.Request, body []byte) (any, error) {
	q, err := o.read(body, "aes")
	if err != nil {
		return nil, err
	}
	plaintext, err := o.keys.open(q.Ciphertext)
	if err != nil {
		return nil, err
	}
	return struct {
		Plaintext           []byte `json:"plaintext"`
		PlaintextChecksum   string `json:"plaintextChecksum"`
		KeyID               string `json:"keyId"`
		KeyVersionID        string `json:"keyVersionId"`
		EncryptionAlgorithm string `json:"encryptionAlgorithm"`
	}{plaintext, checksum(plaintext), q.KeyID, o.names["aes"].OCIVersion, "AES_256_GCM"}, nil
}

func checksum(b []byte) string { return strconv.FormatUint(uint64(crc32.ChecksumIEEE(b)), 10) }

func (o *oci) dataKey(_ *http.Request, body []byte) (any, error) {
	if _, err := o.read(body, "aes"); err != nil {
		return nil, err
	}
	plaintext, ciphertext, err := o.keys.dataKey()
	return struct {
		Ciphertext        []byte `json:"ciphertext"`
		Plaintext         []byte `json:"plaintext"`
		PlaintextChecksum string `json:"plaintextChecksum"`
	}{ciphertext, plaintext, checksum(plaintext)}, err
}

func (o *oci) sign(_ *http.Request, body []byte) (any, error) {
	kind := "rsa"
	q, err := o.read(body, kind)
	if q.SigningAlgorithm == "ECDSA_SHA_256" {
		kind = "ec"
		q, err = o.read(body, kind)
	}
	if err != nil {
		return nil, err
	}
	signature, err := o.keys.sign(q.SigningAlgorithm, q.Message)
	if err != nil {
		return nil, err
	}
	return struct {
		KeyID            string `json:"keyId"`
		KeyVersionID     string `json:"keyVersionId"`
		Signature        []byte `json:"signature"`
		SigningAlgorithm string `json:"signingAlgorithm"`
	}{q.KeyID, o.names[kind].OCIVersion, signature, q.SigningAlgorithm}, nil
}

// version tells public keys, so that signatures can be checked.
func (o *oci) version(r *http.Request, _ []byte) (any, error) {
	for kind, n := range o.names {
		if n.OCI == r.PathValue("key") && n.OCIVersion == r.PathValue("version") {
			return map[string]string{"id": n.OCIVersion, "publicKey": o.keys.public(kind)}, nil
		}
	}
	return nil, errors.New("no such version")
}
