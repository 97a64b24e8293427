// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"

	"claviger/internal/kms/kmstest"
)

// The data path from a request's bytes to an answer's, without the socket.

func BenchmarkEncrypt(b *testing.B) {
	for _, size := range []int{32, 4096} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			r := newRig(b, nil)
			k := r.newKey(b, r.Tenant, "AES", 32)
			r.benchmark(b, "encrypt", map[string]any{"keyId": k["id"], "plaintext": std(make([]byte, size))}, size)
		})
	}
}

func BenchmarkDecrypt(b *testing.B) {
	for _, size := range []int{32, 4096} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			r := newRig(b, nil)
			k := r.newKey(b, r.Tenant, "AES", 32)
			sealed := r.crypto(b, "encrypt", map[string]any{"keyId": k["id"], "plaintext": std(make([]byte, size))}).object(b)
			r.benchmark(b, "decrypt", map[string]any{"keyId": k["id"], "ciphertext": sealed["ciphertext"]}, size)
		})
	}
}

func BenchmarkGenerateDataEncryptionKey(b *testing.B) {
	r := newRig(b, nil)
	k := r.newKey(b, r.Tenant, "AES", 32)
	r.benchmark(b, "generateDataEncryptionKey", map[string]any{
		"keyId": k["id"], "includePlaintextKey": true, "keyShape": map[string]any{"algorithm": "AES", "length": 32},
	}, 32)
}

func BenchmarkSign(b *testing.B) {
	for _, tc := range []struct {
		algorithm string
		length    int
		signing   string
	}{{"ECDSA", 32, "ECDSA_SHA_256"}, {"RSA", 256, "SHA_256_RSA_PKCS_PSS"}} {
		b.Run(tc.signing, func(b *testing.B) {
			r := newRig(b, nil)
			k := r.newKey(b, r.Tenant, tc.algorithm, tc.length)
			r.benchmark(b, "sign", map[string]any{"keyId": k["id"], "message": std(make([]byte, 32)), "signingAlgorithm": tc.signing}, 32)
		})
	}
}

// BenchmarkCreateKeyVersion makes versions of one key: new material, sealed, and a committed
// transaction for each.
func BenchmarkCreateKeyVersion(b *testing.B) {
	for _, tc := range []struct {
		algorithm string
		length    int
	}{{"AES", 32}, {"ECDSA", 32}} {
		b.Run(tc.algorithm, func(b *testing.B) {
			r := newRig(b, nil)
			k := r.newKey(b, r.Tenant, tc.algorithm, tc.length)
			r.benchmark(b, fmt.Sprintf("keys/%s/keyVersions", k["id"]), map[string]any{}, 0)
		})
	}
}

// BenchmarkAuthenticate is a request that is refused as soon as its signature verified: what
// every request pays.
func BenchmarkAuthenticate(b *testing.B) {
	r := newRig(b, nil)
	h := r.dialect.RegionHandler(kmstest.Region)
	r.serve(b, h, r.signer(r.Tenant).request(b, r.Clock.Now(), "GET", r.region.URL+"/20180608/vaults?limit=x", nil, nil), nil, http.StatusBadRequest)
}

func BenchmarkReadObject(b *testing.B) {
	for _, size := range []int{32, 4096} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			body := bodyBytes(b, map[string]any{
				"keyId": testNamer().keyName("home", id(1), id(2)), "plaintext": std(make([]byte, size)), "associatedData": map[string]string{"a": "b"},
			})
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				var q encryptRequest
				if _, err := readObject(body, &q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func (r *rig) benchmark(b *testing.B, operation string, body any, size int) {
	b.Helper()
	text := bodyBytes(b, body)
	req := r.signer(r.Tenant).request(b, r.Clock.Now(), "POST", r.vault(r.Tenant)+"/20180608/"+operation, nil, text)
	b.SetBytes(int64(size))
	r.serve(b, r.dialect.VaultHandler(kmstest.Region, r.Tenant.Vault), req, text, http.StatusOK)
}

func (r *rig) serve(b *testing.B, h http.Handler, req *http.Request, body []byte, want int) {
	b.Helper()
	var raw bytes.Buffer
	req.Body = io.NopCloser(bytes.NewReader(body))
	if err := req.Write(&raw); err != nil {
		b.Fatal(err)
	}
	in := bufio.NewReaderSize(nil, 16<<10)
	out := &recorder{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		in.Reset(bytes.NewReader(raw.Bytes()))
		q, err := http.ReadRequest(in)
		if err != nil {
			b.Fatal(err)
		}
		q.RemoteAddr = "127.0.0.1:1"
		clear(out.header)
		out.body.Reset()
		h.ServeHTTP(out, q)
		if out.status != want {
			b.Fatalf("%d %s %v", out.status, out.body.Bytes(), out.header)
		}
	}
}

// recorder is a ResponseWriter that is used again and again.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }
