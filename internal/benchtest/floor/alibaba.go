// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const isoTime = "2006-01-02T15:04:05Z"

// alibaba answers the data calls of Alibaba's API.
type alibaba struct {
	id, secret string
	names      map[string]names
	keys       *keys
}

func newAlibaba(s *settings, k *keys) http.Handler {
	a := &alibaba{id: s.AccessKey, secret: s.Secret, names: s.Names, keys: k}
	return http.HandlerFunc(a.serve)
}

func (a *alibaba) serve(w http.ResponseWriter, r *http.Request) {
	params := r.URL.Query()
	action, err := params.Get("Action"), error(nil)
	if strings.HasPrefix(r.Header.Get("Authorization"), "ACS3-HMAC-SHA256 ") {
		action, err = r.Header.Get("x-acs-action"), a.verifyACS3(r, params)
	} else {
		err = a.verifyV1(r, params)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "IncompleteSignature", err)
		return
	}
	v, err := a.do(action, params)
	if err != nil {
		refuse(w, http.StatusBadRequest, "InvalidParameter", err)
		return
	}
	v.RequestID = requestID()
	w.Header().Set("x-acs-request-id", v.RequestID)
	answer(w, v)
}

// requestID is a random UUID, as the cloud's are.
func requestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// result is the answer of any of the calls.
type result struct {
	KeyID          string `json:"KeyId"`
	KeyVersionID   string `json:"KeyVersionId"`
	Plaintext      []byte `json:",omitempty"`
	CiphertextBlob []byte `json:",omitempty"`
	Value          []byte `json:",omitempty"`
	PublicKey      string `json:",omitempty"`
	RequestID      string `json:"RequestId"`
}

// verifyV1 verifies RPC signature version 1.0: HMAC-SHA1 over the sorted parameters.
func (a *alibaba) verifyV1(r *http.Request, params url.Values) error {
	if params.Get("AccessKeyId") != a.id || params.Get("SignatureMethod") != "HMAC-SHA1" {
		return errors.New("unknown access key")
	}
	if err := checkTime(params.Get("Timestamp")); err != nil {
		return err
	}
	signature, err := base64.StdEncoding.DecodeString(params.Get("Signature"))
	if err != nil {
		return err
	}
	params.Del("Signature")
	mac := hmac.New(sha1.New, []byte(a.secret+"&"))
	mac.Write([]byte(r.Method + "&%2F&" + encode(canonical(params))))
	if !hmac.Equal(mac.Sum(nil), signature) {
		return errors.New("the signature does not match")
	}
	return nil
}

// verifyACS3 verifies ACS3-HMAC-SHA256 over query, signed headers and the digest of the body.
func (a *alibaba) verifyACS3(r *http.Request, params url.Values) error {
	parts := map[string]string{}
	for part := range strings.SplitSeq(strings.TrimPrefix(r.Header.Get("Authorization"), "ACS3-HMAC-SHA256 "), ",") {
		name, value, _ := strings.Cut(part, "=")
		parts[name] = value
	}
	if parts["Credential"] != a.id {
		return errors.New("unknown access key")
	}
	if err := checkTime(r.Header.Get("x-acs-date")); err != nil {
		return err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if digest := sha256.Sum256(body); hex.EncodeToString(digest[:]) != r.Header.Get("x-acs-content-sha256") {
		return errors.New("the body is not what was signed")
	}
	var headers strings.Builder
	for name := range strings.SplitSeq(parts["SignedHeaders"], ";") {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		headers.WriteString(name + ":" + strings.TrimSpace(value) + "\n")
	}
	request := strings.Join([]string{r.Method, "/", canonical(params), headers.String(), parts["SignedHeaders"], r.Header.Get("x-acs-content-sha256")}, "\n")
	sum := sha256.Sum256([]byte(request))
	mac := hmac.New(sha256.New, []byte(a.secret))
	mac.Write([]byte("ACS3-HMAC-SHA256\n" + hex.EncodeToString(sum[:])))
	signature, err := hex.DecodeString(parts["Signature"])
	if err != nil {
		return err
	}
	if !hmac.Equal(mac.Sum(nil), signature) {
		return errors.New("the signature does not match")
	}
	return nil
}

func checkTime(text string) error {
	at, err := time.Parse(isoTime, text)
	if err != nil {
		return err
	}
	if time.Since(at).Abs() > maxSkew {
		return errors.New("the time of signing is too far off")
	}
	return nil
}

// canonical sorts by name and encodes as RFC 3986 does.
func canonical(params url.Values) string {
	list := make([]string, 0, len(params))
	for name := range params {
		list = append(list, name)
	}
	slices.Sort(list)
	for i, name := range list {
		list[i] = encode(name) + "=" + encode(params.Get(name))
	}
	return strings.Join(list, "&")
}

func encode(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func (a *alibaba) do(action string, params url.Values) (*result, error) {
	n := a.names["aes"]
	if action != "Decrypt" && params.Get("KeyId") != n.Alibaba {
		return a.asymmetric(action, params)
	}
	switch action {
	case "Encrypt":
		plaintext, err := base64.StdEncoding.DecodeString(params.Get("Plaintext"))
		if err != nil {
			return nil, err
		}
		ciphertext, err := a.keys.seal(plaintext)
		return &result{KeyID: n.Alibaba, KeyVersionID: n.AlibabaVersion, CiphertextBlob: ciphertext}, err
	case "Decrypt":
		ciphertext, err := base64.StdEncoding.DecodeString(params.Get("CiphertextBlob"))
		if err != nil {
			return nil, err
		}
		plaintext, err := a.keys.open(ciphertext)
		return &result{KeyID: n.Alibaba, KeyVersionID: n.AlibabaVersion, Plaintext: plaintext}, err
	case "GenerateDataKey":
		plaintext, ciphertext, err := a.keys.dataKey()
		return &result{KeyID: n.Alibaba, KeyVersionID: n.AlibabaVersion, Plaintext: plaintext, CiphertextBlob: ciphertext}, err
	}
	return nil, errors.New("unknown action")
}

func (a *alibaba) asymmetric(action string, params url.Values) (*result, error) {
	for _, kind := range []string{"ec", "rsa"} {
		n := a.names[kind]
		if n.Alibaba != params.Get("KeyId") {
			continue
		}
		switch action {
		case "AsymmetricSign":
			digest, err := base64.StdEncoding.DecodeString(params.Get("Digest"))
			if err != nil {
				return nil, err
			}
			signature, err := a.keys.sign(params.Get("Algorithm"), digest)
			return &result{KeyID: n.Alibaba, KeyVersionID: n.AlibabaVersion, Value: signature}, err
		case "GetPublicKey":
			return &result{KeyID: n.Alibaba, KeyVersionID: n.AlibabaVersion, PublicKey: a.keys.public(kind)}, nil
		}
	}
	return nil, errors.New("no such key")
}
