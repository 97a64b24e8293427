// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// caller is the first principal of a server, with its credentials in both clouds. It is safe
// for concurrent use.
type caller struct {
	ready ready
	key   *rsa.PrivateKey
	http  *http.Client
}

func newCaller(t *testing.T, s *server) *caller {
	t.Helper()
	block, _ := pem.Decode(read(t, s.ready.OCI.PrivateKeyFile))
	if block == nil {
		t.Fatalf("%s is no PEM file", s.ready.OCI.PrivateKeyFile)
	}
	c := &caller{ready: s.ready, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}, Timeout: hang}}
	t.Cleanup(c.http.CloseIdleConnections)
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		c.key = key
		return c
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatalf("parse %s: %v", s.ready.OCI.PrivateKeyFile, err)
	}
	c.key = key.(*rsa.PrivateKey)
	return c
}

// answer is what came back. With err nothing did, or not all of it.
type answer struct {
	status int
	header http.Header
	body   []byte
	err    error
}

// lost reports whether the answer leaves open what was done.
func (a answer) lost() bool { return a.err != nil || a.status >= http.StatusInternalServerError }

// ok reports whether the server answered with a success.
func (a answer) ok() bool { return a.err == nil && a.status/100 == 2 }

func (a answer) String() string {
	if a.err != nil {
		return a.err.Error()
	}
	return fmt.Sprintf("%d %s %s", a.status, a.body, a.header.Get("X-Claviger-Hint"))
}

// text is a field of the JSON body, by its path; "" when there is none.
func (a answer) text(path ...string) string {
	var v any
	if json.Unmarshal(a.body, &v) != nil {
		return ""
	}
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	s, _ := v.(string)
	return s
}

// requestID is the id that the server gave the request.
func (a answer) requestID() string {
	if id := a.header.Get("Opc-Request-Id"); id != "" {
		return id
	}
	return a.text("RequestId")
}

// must fails the test unless the server answered with a success.
func must(t *testing.T, what string, a answer) answer {
	t.Helper()
	if !a.ok() {
		t.Fatalf("%s: %s", what, a)
	}
	return a
}

func (c *caller) send(req *http.Request) answer {
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, body, err}
}

// oci sends a request to OCI's API. body is sent as JSON unless it is nil; headers are pairs.
func (c *caller) oci(ctx context.Context, method, target string, body any, headers ...string) answer {
	req, err := c.ociRequest(ctx, method, target, body, headers...)
	if err != nil {
		return answer{err: err}
	}
	return c.send(req)
}

// ociRequest signs as OCI's Go SDK does: draft-cavage-http-signatures-08, RSA PKCS #1 v1.5
// with SHA-256.
func (c *caller) ociRequest(ctx context.Context, method, target string, body any, headers ...string) (*http.Request, error) {
	var raw []byte
	if body != nil {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	req.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	signed := []string{"date", "(request-target)", "host"}
	if method != http.MethodGet {
		digest := sha256.Sum256(raw)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Content-Sha256", base64.StdEncoding.EncodeToString(digest[:]))
		signed = append(signed, "content-length", "content-type", "x-content-sha256")
	}
	lines := make([]string, len(signed))
	for i, name := range signed {
		value := req.Header.Get(name)
		switch name {
		case "(request-target)":
			value = strings.ToLower(method) + " " + req.URL.RequestURI()
		case "host":
			value = req.URL.Host
		case "content-length":
			value = strconv.Itoa(len(raw))
		}
		lines[i] = name + ": " + value
	}
	digest := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	signature, err := rsa.SignPKCS1v15(nil, c.key, crypto.SHA256, digest[:])
	if err != nil {
		return nil, err
	}
	id := c.ready.OCI
	req.Header.Set("Authorization", fmt.Sprintf(
		`Signature version="1",headers="%s",keyId="%s/%s/%s",algorithm="rsa-sha256",signature="%s"`,
		strings.Join(signed, " "), id.Tenancy, id.User, id.Fingerprint, base64.StdEncoding.EncodeToString(signature),
	))
	return req, nil
}

// alibaba calls an operation of Alibaba's API, signed with ACS3-HMAC-SHA256; params are pairs.
func (c *caller) alibaba(ctx context.Context, action string, params ...string) answer {
	req, err := c.alibabaRequest(ctx, action, params...)
	if err != nil {
		return answer{err: err}
	}
	return c.send(req)
}

func (c *caller) alibabaRequest(ctx context.Context, action string, params ...string) (*http.Request, error) {
	query := url.Values{}
	for i := 0; i < len(params); i += 2 {
		query.Set(params[i], params[i+1])
	}
	canonical := strings.NewReplacer("+", "%20", "*", "%2A").Replace(query.Encode())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.ready.Alibaba.Endpoint+"/?"+canonical, http.NoBody)
	if err != nil {
		return nil, err
	}
	empty := sha256.Sum256(nil)
	signed := map[string]string{
		"host": req.URL.Host, "x-acs-action": action, "x-acs-version": "2016-01-20",
		"x-acs-date":            time.Now().UTC().Format("2006-01-02T15:04:05Z"),
		"x-acs-signature-nonce": rand.Text(), "x-acs-content-sha256": hex.EncodeToString(empty[:]),
	}
	names := slices.Sorted(maps.Keys(signed))
	var lines strings.Builder
	for _, name := range names {
		lines.WriteString(name + ":" + signed[name] + "\n")
		if name != "host" {
			req.Header.Set(name, signed[name])
		}
	}
	list := strings.Join(names, ";")
	digest := sha256.Sum256([]byte(strings.Join(
		[]string{http.MethodPost, "/", canonical, lines.String(), list, signed["x-acs-content-sha256"]}, "\n",
	)))
	mac := hmac.New(sha256.New, []byte(c.ready.Alibaba.AccessKeySecret))
	mac.Write([]byte("ACS3-HMAC-SHA256\n" + hex.EncodeToString(digest[:])))
	req.Header.Set("Authorization", fmt.Sprintf("ACS3-HMAC-SHA256 Credential=%s,SignedHeaders=%s,Signature=%s",
		c.ready.Alibaba.AccessKeyID, list, hex.EncodeToString(mac.Sum(nil))))
	return req, nil
}

// admin calls the server's own API.
func (c *caller) admin(ctx context.Context, method, path string, body any) answer {
	var raw []byte
	if body != nil {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return answer{err: err}
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.ready.Admin.Endpoint+"/admin/v1/"+path, bytes.NewReader(raw))
	if err != nil {
		return answer{err: err}
	}
	req.Header.Set("Authorization", "Bearer "+c.ready.Admin.Token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return c.send(req)
}

// The operations that these tests are made of. Those of OCI that take a retry token are given
// one by the caller; "" sends none.

func retry(token string) []string {
	if token == "" {
		return nil
	}
	return []string{"Opc-Retry-Token", token}
}

func (c *caller) keyURL(key string) string {
	return c.ready.OCI.ManagementEndpoint + "/20180608/keys/" + key
}

func (c *caller) createKey(ctx context.Context, name string, shape map[string]any, token string) answer {
	return c.oci(ctx, http.MethodPost, c.ready.OCI.ManagementEndpoint+"/20180608/keys", map[string]any{
		"compartmentId": c.ready.OCI.Compartment, "displayName": name, "keyShape": shape, "protectionMode": "SOFTWARE",
	}, retry(token)...)
}

func (c *caller) createVersion(ctx context.Context, key, token string) answer {
	return c.oci(ctx, http.MethodPost, c.keyURL(key)+"/keyVersions", nil, retry(token)...)
}

// act is an action on a key, or on a version when path begins with keyVersions/.
func (c *caller) act(ctx context.Context, key, path string) answer {
	return c.oci(ctx, http.MethodPost, c.keyURL(key)+"/"+path, nil)
}

func (c *caller) encrypt(ctx context.Context, key string, plaintext []byte) answer {
	return c.data(ctx, "encrypt", map[string]any{"keyId": key, "plaintext": base64.StdEncoding.EncodeToString(plaintext)})
}

func (c *caller) decrypt(ctx context.Context, key, ciphertext string) answer {
	return c.data(ctx, "decrypt", map[string]any{"keyId": key, "ciphertext": ciphertext})
}

// opens fails the test unless ciphertext decrypts to plaintext.
func (c *caller) opens(ctx context.Context, t *testing.T, key, ciphertext string, plaintext []byte) {
	t.Helper()
	a := must(t, "decrypt", c.decrypt(ctx, key, ciphertext))
	if got := a.text("plaintext"); got != base64.StdEncoding.EncodeToString(plaintext) {
		t.Errorf("a ciphertext of %q opens as %q", plaintext, got)
	}
}

// data calls a data operation of OCI.
func (c *caller) data(ctx context.Context, operation string, body map[string]any) answer {
	return c.oci(ctx, http.MethodPost, c.ready.OCI.CryptoEndpoint+"/20180608/"+operation, body)
}

// use encrypts and decrypts with a key, or signs and verifies with one that cannot.
func (c *caller) use(ctx context.Context, t *testing.T, key string) {
	t.Helper()
	is := must(t, "get key", c.oci(ctx, http.MethodGet, c.keyURL(key), nil))
	const plaintext = "b3BlbmVk"
	body := map[string]any{"keyId": key}
	switch is.text("keyShape", "algorithm") {
	case "ECDSA":
		body["message"], body["signingAlgorithm"] = plaintext, "ECDSA_SHA_256"
		body["signature"] = must(t, "sign", c.data(ctx, "sign", body)).text("signature")
		body["keyVersionId"] = is.text("currentKeyVersion")
		if a := must(t, "verify", c.data(ctx, "verify", body)); !a.verified() {
			t.Errorf("a signature does not verify: %s", a)
		}
		return
	case "RSA":
		body["encryptionAlgorithm"], body["keyVersionId"] = oaep, is.text("currentKeyVersion")
	}
	body["plaintext"] = plaintext
	body["ciphertext"] = must(t, "encrypt", c.data(ctx, "encrypt", body)).text("ciphertext")
	delete(body, "plaintext")
	if a := must(t, "decrypt", c.data(ctx, "decrypt", body)); a.text("plaintext") != plaintext {
		t.Errorf("%s opens as %s", plaintext, a)
	}
}

// verified reports whether the answer of Verify says that the signature is good.
func (a answer) verified() bool {
	var is struct{ IsSignatureValid bool }
	return json.Unmarshal(a.body, &is) == nil && is.IsSignatureValid
}

const oaep = "RSA_OAEP_SHA_256"

func aes256() map[string]any { return map[string]any{"algorithm": "AES", "length": 32} }

func rsa2048() map[string]any { return map[string]any{"algorithm": "RSA", "length": 256} }

func p256() map[string]any {
	return map[string]any{"algorithm": "ECDSA", "length": 32, "curveId": "NIST_P256"}
}
